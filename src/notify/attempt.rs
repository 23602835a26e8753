//! One attempt to tell a target something, over HTTP/1.1.

use std::error::Error as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response, Uri};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::verdict::{Answer, Failure};
use crate::config::NotifyTarget;
use crate::limits;

const AGENT: &str = concat!("vigil/", env!("CARGO_PKG_VERSION"));
/// A connection that is kept for the next event.
const IDLE: Duration = Duration::from_secs(30);
/// What the receiver says beside its status is of use to people only.
const WORDS_WITHIN: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("the certificates of the target {target} in {}: {what}", file.display())]
    File { target: Box<str>, file: PathBuf, what: String },
    #[error(
        "no certificates are trusted on this machine, so that the target {target} can't be reached: install them, or give `ca_file` ({what})"
    )]
    None { target: Box<str>, what: String },
    #[error("TLS: {0}")]
    Config(#[from] rustls::Error),
}

/// What is sent: the same at each attempt, but for when it was signed.
#[derive(Debug, Clone)]
pub(super) struct Body {
    /// Tells this event from all others, so that a receiver can drop what it has.
    pub(super) id: String,
    pub(super) seq: String,
    pub(super) content_type: &'static str,
    pub(super) bytes: Bytes,
}

/// Keeps at most one connection.
pub(super) struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
    uri: Uri,
    timeout: Duration,
}

impl Client {
    pub(super) fn new(target: &NotifyTarget) -> Result<Self, TlsError> {
        let timeout = Duration::from_millis(target.timeout_ms.unsigned_abs());
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(timeout));
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls(target)?).https_or_http().enable_http1();
        let pool = Pool::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(1)
            .pool_timer(hyper_util::rt::TokioTimer::new())
            .http1_max_buf_size(limits::NOTIFY_HEAD_BYTES)
            .build(connector.wrap_connector(http));
        let uri = target.url.as_str().parse().expect("a URL that was checked is a URI");
        Ok(Self { pool, uri, timeout })
    }

    /// The answer, and what there is to say about it. No redirect is followed: what was signed for one receiver goes to no other.
    pub(super) async fn send(&self, body: &Body, timestamp: i64, signatures: &[String]) -> (Answer, String) {
        let Ok(request) = self.request(body, timestamp, signatures) else {
            return (Answer::None(Failure::Lost), "the request can't be written".into());
        };
        match tokio::time::timeout(self.timeout, self.pool.request(request)).await {
            Err(_) => (Answer::None(Failure::TimedOut), format!("no answer in {} ms", self.timeout.as_millis())),
            Ok(Err(error)) => {
                let failure = if error.is_connect() { Failure::Connect } else { Failure::Lost };
                (Answer::None(failure), with_causes(&error))
            }
            Ok(Ok(response)) => self.answered(response).await,
        }
    }

    fn request(
        &self,
        body: &Body,
        timestamp: i64,
        signatures: &[String],
    ) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let signed: Vec<String> = signatures.iter().map(|signature| format!("v1={signature}")).collect();
        Request::post(self.uri.clone())
            .header(USER_AGENT, AGENT)
            .header(CONTENT_TYPE, body.content_type)
            .header("vigil-delivery", &body.id)
            .header("vigil-seq", &body.seq)
            .header("vigil-timestamp", timestamp)
            .header("vigil-signature", signed.join(","))
            .body(Full::new(body.bytes.clone()))
    }

    async fn answered(&self, response: Response<hyper::body::Incoming>) -> (Answer, String) {
        let code = response.status().as_u16();
        let retry_after_ms = response.headers().get(RETRY_AFTER).and_then(seconds).map(|s| s.saturating_mul(1_000));
        // Read to its end, the connection can serve the next event; a longer one costs the connection.
        let words = Limited::new(response.into_body(), limits::NOTIFY_ANSWER_BYTES).collect();
        let words = match tokio::time::timeout(WORDS_WITHIN.min(self.timeout), words).await {
            Ok(Ok(words)) => String::from_utf8_lossy(&words.to_bytes()).into_owned(),
            Ok(Err(_)) | Err(_) => String::new(),
        };
        let words = if words.trim().is_empty() { String::new() } else { format!(": {words}") };
        (Answer::Status { code, retry_after_ms }, format!("status {code}{words}"))
    }
}

/// Its other form, a date, isn't worth a clock: the usual wait does.
fn seconds(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.trim().parse().ok()
}

fn tls(target: &NotifyTarget) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = match &target.ca_file {
        Some(file) => builder.with_root_certificates(roots(target, file)?),
        None if target.url.is_encrypted() => builder
            .with_native_roots()
            .map_err(|error| TlsError::None { target: target.name.clone(), what: error.to_string() })?,
        None => builder.with_root_certificates(RootCertStore::empty()),
    };
    Ok(builder.with_no_client_auth())
}

fn roots(target: &NotifyTarget, file: &Path) -> Result<RootCertStore, TlsError> {
    let wrong = |what: String| TlsError::File { target: target.name.clone(), file: file.to_owned(), what };
    let mut pem = Vec::new();
    std::fs::File::open(file)
        .and_then(|opened| opened.take(limits::CERTIFICATES_BYTES).read_to_end(&mut pem))
        .map_err(|error| wrong(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() { Err(wrong("there is none in it".into())) } else { Ok(roots) }
}

fn with_causes(error: &hyper_util::client::legacy::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let words = next.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = next.source();
    }
    text
}
