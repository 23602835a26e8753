//! The commands that talk to a running service, one file each.

mod history;
mod import;
mod show;
mod terminal;
mod time;
mod trace;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

pub use self::terminal::Terminal;
use crate::limits;

/// What a user can ask of a running service.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Watch(watch::Args),
    History(history::Args),
    Trace(trace::Args),
    Import(import::Args),
}

/// Which service to ask.
#[derive(Debug, Clone, clap::Args)]
pub struct Server {
    /// Address of the service
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:50051")]
    server: String,
}

impl Server {
    fn endpoint(&self) -> anyhow::Result<Endpoint> {
        let endpoint = Endpoint::from_shared(self.server.clone())
            .map_err(|_| anyhow::anyhow!("--server {:?} is no URL: write http://HOST:PORT", self.server))?;
        Ok(endpoint
            .connect_timeout(Duration::from_secs(5))
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_while_idle(true))
    }

    async fn connect(&self) -> anyhow::Result<Channel> {
        self.endpoint()?.connect().await.map_err(|error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            anyhow::anyhow!("{} can't be reached{cause}", self.server)
        })
    }
}

/// Runs one command until it is done, or `stop` for those that have no end.
pub async fn run(
    command: Command,
    terminal: &mut Terminal,
    stop: tokio_util::sync::CancellationToken,
) -> anyhow::Result<ExitCode> {
    let work = async {
        match command {
            Command::Watch(args) => watch::run(args, terminal).await,
            Command::History(args) => history::run(args, terminal).await,
            Command::Trace(args) => trace::run(args, terminal).await,
            Command::Import(args) => import::run(args, terminal).await,
        }
    };
    let result = tokio::select! {
        result = work => result,
        () = stop.cancelled() => Ok(ExitCode::SUCCESS),
    };
    match result {
        // Whoever reads from us, such as `head`, has enough.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        result => result,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

/// What the service answered, for people.
fn refused(status: &tonic::Status) -> anyhow::Error {
    anyhow::anyhow!("the service answered {:?}: {}", status.code(), status.message())
}

const _: () = assert!(limits::HEARTBEAT_MS * 3 <= 15_000, "watch takes the service for dead after 15 s");
