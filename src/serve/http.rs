//! For those who run the service: `/metrics`, `/healthz` (the process answers) and `/readyz` (it can serve, and what is to be
//! mended nevertheless, or why not).

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::Backend;
use super::conn::Few;
use crate::limits;

/// How long a connection may send nothing, but in tests.
pub const SILENCE: Duration = Duration::from_millis(limits::HTTP_SILENCE_MS);

#[derive(Clone)]
pub struct Pages {
    pub backend: Backend,
    pub metrics: PrometheusHandle,
    /// How long a connection may send nothing.
    pub silence: Duration,
    /// From then on the service isn't ready.
    pub shutdown: CancellationToken,
}

/// Serves until the shutdown of `pages`, and a second longer for answers under way.
pub async fn serve(listener: TcpListener, pages: Pages) -> std::io::Result<()> {
    let (shutdown, silence) = (pages.shutdown.clone(), pages.silence);
    let cut = CancellationToken::new();
    // Whatever way this function is left, no connection outlives it.
    let _cut = cut.clone().drop_guard();
    let listener = Few { listener, slots: Arc::new(Semaphore::new(limits::HTTP_CONNECTIONS)), silence, cut };
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(pages);
    let too_late = async {
        shutdown.cancelled().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    tokio::select! {
        ended = axum::serve(listener, router).with_graceful_shutdown(shutdown.clone().cancelled_owned()) => ended,
        () = too_late => Ok(()),
    }
}

async fn metrics(State(pages): State<Pages>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], pages.metrics.render())
}

async fn ready(State(pages): State<Pages>) -> (StatusCode, String) {
    let mut reasons = pages.backend.not_ready();
    if pages.shutdown.is_cancelled() {
        reasons.push("the service is shutting down".into());
    }
    if reasons.is_empty() {
        let notices = pages.backend.notices();
        return (StatusCode::OK, std::iter::once("ready".into()).chain(notices).map(|line| line + "\n").collect());
    }
    (StatusCode::SERVICE_UNAVAILABLE, reasons.iter().map(|reason| format!("{reason}\n")).collect())
}
