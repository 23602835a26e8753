//! `vigil serve`: the service.

use std::path::PathBuf;
use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use super::Terminal;
use crate::app;
use crate::config::{Config, process_variables};
use crate::observe::{Metrics, install_log};

/// Run the service
///
/// Reads the configuration, subscribes to the MQTT broker, judges what devices send, and serves gRPC and /metrics
/// until Ctrl-C or SIGTERM. Rule files that change are taken while it runs (rules.watch), at once on SIGHUP or
/// `vigil rules reload`. Environment variables VIGIL_SECTION_KEY, such as
/// VIGIL_MQTT_URL, override the file.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The configuration; config/vigil.toml lists every key
    #[arg(long, value_name = "FILE", default_value = "config/vigil.toml")]
    config: PathBuf,
}

pub(super) async fn run(args: Args, terminal: &mut Terminal, stop: CancellationToken) -> anyhow::Result<ExitCode> {
    let config = match Config::load(&args.config, &process_variables()) {
        Ok(config) => config,
        Err(faults) => {
            terminal.notice(&faults.to_string())?;
            return Ok(ExitCode::FAILURE);
        }
    };
    install_log(&config.log)?;
    let metrics = Metrics::install()?;
    let ready = |addresses: app::Addresses| {
        tracing::info!(grpc = %addresses.grpc, http = %addresses.http, "serving");
    };
    app::run(config, metrics, stop, ready).await?;
    tracing::info!("ended in order");
    Ok(ExitCode::SUCCESS)
}
