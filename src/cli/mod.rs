//! The commands, one file each: those that run the service, and those that talk to a running one.

mod advance;
mod alert;
mod alerts;
mod call;
mod cap;
#[cfg(feature = "demo")]
mod demo;
mod explain;
mod export;
mod history;
pub mod import;
mod incident;
mod incidents;
mod notify;
mod overdue;
mod profile;
mod recover;
mod rules;
mod serve;
mod show;
mod sign;
mod simulate;
mod terminal;
mod time;
mod trace;
mod verify;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

pub use self::terminal::Terminal;
use crate::limits;

/// Safety of smart lifts and gas cylinders: MQTT in, trapped-passenger alerts and overdue inspections out.
#[derive(Debug, clap::Parser)]
#[command(name = "vigil", version, about, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Serve(serve::Args),
    #[cfg(feature = "demo")]
    Demo(demo::Args),
    Watch(watch::Args),
    Alerts(alerts::Args),
    Alert(alert::Args),
    Incidents(incidents::Args),
    Call(call::Args),
    Incident(incident::Args),
    Advance(advance::Args),
    Cap(cap::Args),
    Notify(notify::Args),
    History(history::Args),
    Trace(trace::Args),
    Explain(explain::Args),
    Overdue(overdue::Args),
    Import(import::Args),
    Export(export::Args),
    Rules(rules::Args),
    Profile(profile::Args),
    Recover(recover::Args),
    Verify(verify::Args),
    Sign(sign::Args),
    Simulate(Box<simulate::Args>),
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
        // Never in plain text where somebody has asked for more.
        match endpoint.uri().scheme_str() {
            Some("http") => {}
            Some("https") => anyhow::bail!(
                "--server {}: the service doesn't speak TLS yet, so that nothing was sent: run this on its machine, or through a \
                 tunnel to it (ssh -L 50051:127.0.0.1:50051 HOST), with http://127.0.0.1:50051",
                self.server
            ),
            _ => anyhow::bail!("--server {:?} is no URL: write http://HOST:PORT", self.server),
        }
        Ok(endpoint
            .connect_timeout(Duration::from_secs(5))
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_while_idle(true))
    }

    async fn connect(&self) -> anyhow::Result<Channel> {
        let connected = self.endpoint()?.connect().await;
        // Its own words say less than its causes: "transport error".
        connected.map_err(|error| {
            let cause = with_causes(anyhow::Error::from(error).chain().skip(1));
            anyhow::anyhow!("{} can't be reached ({cause}): is the service running there?", self.server)
        })
    }
}

/// Reads the command line of this process, runs the command and says what went wrong.
pub fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    let mut terminal = Terminal::of_process();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&mut terminal, &anyhow::anyhow!("no threads to run on: {error}")),
    };
    let result = runtime.block_on(async {
        let stop = CancellationToken::new();
        tokio::spawn(stop_on_signal(stop.clone()));
        run(command, &mut terminal, stop).await
    });
    // A thread that still waits for a disk or a terminal must not keep the process.
    runtime.shutdown_background();
    result.unwrap_or_else(|error| fail(&mut terminal, &error))
}

fn fail(terminal: &mut Terminal, error: &anyhow::Error) -> ExitCode {
    let _nowhere_to_say = terminal.notice(&format!("vigil: {}", with_causes(error.chain())));
    ExitCode::FAILURE
}

/// An error with its causes, but for those that it names itself.
fn with_causes<'a>(chain: impl IntoIterator<Item = &'a (dyn std::error::Error + 'static)>) -> String {
    let mut text = String::new();
    for cause in chain.into_iter().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Ctrl-C and SIGTERM ask for an orderly end; the second one doesn't wait for it.
async fn stop_on_signal(stop: CancellationToken) {
    let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else { return };
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        if stop.is_cancelled() {
            std::process::exit(130);
        }
        stop.cancel();
    }
}

/// Runs one command until it is done, or `stop` for those that have no end.
pub async fn run(command: Command, terminal: &mut Terminal, stop: CancellationToken) -> anyhow::Result<ExitCode> {
    let work = async {
        match command {
            // These end in order when they are asked to.
            Command::Serve(args) => serve::run(args, terminal, stop.clone()).await,
            #[cfg(feature = "demo")]
            Command::Demo(args) => demo::run(args, terminal, stop.clone()).await,
            Command::Simulate(args) => simulate::run(*args, terminal, stop.clone()).await,
            Command::Incidents(args) => or_stop(&stop, incidents::run(args, terminal)).await,
            Command::Call(args) => or_stop(&stop, call::run(args, terminal)).await,
            Command::Incident(args) => or_stop(&stop, incident::run(args, terminal)).await,
            Command::Advance(args) => or_stop(&stop, advance::run(args, terminal)).await,
            Command::Cap(args) => or_stop(&stop, cap::run(args, terminal)).await,
            Command::Notify(args) => or_stop(&stop, notify::run(args, terminal)).await,
            Command::Alerts(args) => or_stop(&stop, alerts::run(args, terminal)).await,
            Command::Alert(args) => or_stop(&stop, alert::run(args, terminal)).await,
            Command::Sign(args) => or_stop(&stop, sign::run(args, terminal)).await,
            Command::Watch(args) => or_stop(&stop, watch::run(args, terminal)).await,
            Command::History(args) => or_stop(&stop, history::run(args, terminal)).await,
            Command::Trace(args) => or_stop(&stop, trace::run(args, terminal)).await,
            Command::Explain(args) => or_stop(&stop, explain::run(args, terminal)).await,
            Command::Overdue(args) => or_stop(&stop, overdue::run(args, terminal)).await,
            Command::Rules(args) => rules::run(args, terminal, stop.clone()).await,
            Command::Profile(args) => or_stop(&stop, profile::run(args, terminal)).await,
            Command::Recover(args) => recover::run(args, terminal).await,
            Command::Verify(args) => or_stop(&stop, verify::run(args, terminal)).await,
            Command::Import(args) => or_stop(&stop, import::run(args, terminal)).await,
            Command::Export(args) => or_stop(&stop, export::run(args, terminal)).await,
        }
    };
    match work.await {
        // Whoever reads from us, such as `head`, has enough.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        result => result,
    }
}

async fn or_stop(
    stop: &CancellationToken,
    work: impl Future<Output = anyhow::Result<ExitCode>>,
) -> anyhow::Result<ExitCode> {
    tokio::select! {
        result = work => result,
        () = stop.cancelled() => Ok(ExitCode::SUCCESS),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

/// The id of a request; no two draw the same.
fn new_request() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    format!("cli-{:016x}", RandomState::new().hash_one(crate::clock::Clock::default().wall().ms()))
}

/// `1 row`, `2 rows`.
fn count(n: u64, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// What the service answered, for people.
fn refused(status: &tonic::Status) -> anyhow::Error {
    anyhow::anyhow!("the service answered {:?}: {}", status.code(), status.message())
}

const _: () = assert!(limits::HEARTBEAT_MS * 3 <= 15_000, "watch takes the service for dead after 15 s");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_each_cause_once() {
        for (causes, text) in [
            (&["no such file"][..], "no such file"),
            (&["no such file", "reading it"], "reading it: no such file"),
            (&["no such file", "reading it: no such file"], "reading it: no such file"),
            (&["no such file", "reading it: no such file", "starting"], "starting: reading it: no such file"),
        ] {
            let first = anyhow::anyhow!("{}", causes[0]);
            let error = causes[1..].iter().fold(first, |error, cause| error.context(cause.to_string()));
            assert_eq!(with_causes(error.chain()), text);
        }
    }
}
