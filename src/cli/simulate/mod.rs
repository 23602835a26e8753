//! `vigil simulate`: a fleet whose truth is known, played to a broker, and a service held against it.

mod alerts;
mod archive;
mod flags;
mod judge;
mod play;
mod report;

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use self::flags::Plan;
use super::Terminal;
use crate::clock::Clock;
use crate::limits;
use crate::simulate::truth_file::{self, Run};
use crate::simulate::{Faults, Fleet};

/// Size a machine: play a fleet of any size to a broker, and judge a service by its alerts
///
/// Lifts carry people, trap some, and do odd things that are no incidents; stations fill cylinders, some of which they
/// should not. With --judge, the fleet is written into the service's archive, and every alert about it is held against
/// what really happened: what was raised in time, late, not at all, or without cause, and how fast. The same seed gives
/// the same fleet.
///
/// Exit code 0: all that was due was raised in time, and nothing without cause. 1: it was not, or something failed.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = flags::HELP)]
pub struct Args {
    /// Where devices publish: mqtt://HOST:PORT
    #[arg(long, value_name = "URL", value_parser = crate::config::broker)]
    broker: Option<(String, u16)>,
    /// The service to judge: http://HOST:PORT of its gRPC
    #[arg(long, value_name = "URL")]
    judge: Option<String>,
    /// Write what really happens to this file; without --broker and --dry-run, judge by what it says
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Write the fleet's archive to this folder, as CSV files for vigil import
    #[arg(long, value_name = "DIR")]
    archive: Option<PathBuf>,
    /// Lifts in the fleet
    #[arg(long, default_value_t = 200, value_parser = flags::number::<u32>(0..=limits::SIMULATED_LIFTS.into()))]
    lifts: u32,
    /// Cylinders in the fleet
    #[arg(long, default_value_t = 500, value_parser = flags::number::<u32>(0..=limits::SIMULATED_CYLINDERS.into()))]
    cylinders: u32,
    /// Frames a second of the whole fleet, at most one a lift; without it, one a lift each 30 s
    #[arg(long, value_name = "FRAMES")]
    rate: Option<f64>,
    /// Entrapments an hour in the whole fleet, at most 6 a lift; without it 360, or 6 a lift
    #[arg(long, value_name = "NUMBER")]
    entrapments: Option<f64>,
    /// The same seed gives the same fleet
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// End after this time, such as 90s, 30m or 8h; without it, at Ctrl-C
    #[arg(long = "for", value_name = "SPAN", value_parser = flags::duration)]
    span_ms: Option<i64>,
    /// What goes wrong, separated by commas, or all; each afflicts one lift in fifty
    #[arg(long, value_name = "LIST", default_value = "none", value_parser = flags::faults)]
    faults: Faults,
    /// Samples of a lift's state in one report; the rate counts all of them
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = flags::number::<u16>(1..=limits::SIMULATED_SAMPLES.into()))]
    frames_per_report: u16,
    /// Let half of the devices write JSON instead of protobuf
    #[arg(long)]
    json_devices: bool,
    /// Connections to the broker
    #[arg(long, default_value_t = 4, value_parser = flags::number::<u16>(1..=limits::PUBLISH_CONNECTIONS.into()))]
    connections: u16,
    /// Reports on each connection that wait for the broker's acknowledgement
    #[arg(long, default_value_t = 500, value_parser = flags::number::<u16>(1..=limits::PUBLISH_WINDOW.into()))]
    window: u16,
    /// What the ids of the connections begin with; two simulations at one broker need two
    #[arg(long, value_name = "ID", default_value = "vigil-simulate")]
    client_id: String,
    /// User name at the broker
    #[arg(long, value_name = "NAME", requires = "password_file")]
    username: Option<String>,
    /// File with the password for it
    #[arg(long, value_name = "FILE", requires = "username")]
    password_file: Option<PathBuf>,
    /// With --judge: the archive has this fleet already
    #[arg(long, requires = "judge")]
    registered: bool,
    /// Play as fast as this machine can, to nobody: for --truth, --archive and the counts
    #[arg(long, conflicts_with_all = ["broker", "judge"], requires = "span_ms")]
    dry_run: bool,
    /// Print the result as one JSON object on standard output, and all else on standard error
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, terminal: &mut Terminal, stop: CancellationToken) -> anyhow::Result<ExitCode> {
    if args.broker.is_none() && !args.dry_run {
        return match (&args.judge, &args.truth) {
            (Some(service), Some(truth)) => judge_file(service, truth, &args, terminal, &stop).await,
            _ => anyhow::bail!(
                "say where to play: --broker mqtt://HOST:PORT; or --dry-run; or --truth FILE and --judge URL to judge \
                 by an earlier run"
            ),
        };
    }
    let plan = Plan::make(&args)?;
    // Found out now and not after the run.
    let truth = args.truth.as_deref().map(|path| create(path).map(|file| (path, file))).transpose()?;
    if let Some(folder) = &args.archive {
        archive::write(folder, &plan.options).with_context(|| format!("the archive in {}", folder.display()))?;
    }
    let played = match &args.broker {
        Some(broker) => play::run(&args, &plan, broker.clone(), terminal, stop).await?,
        None => dry_run(&plan, args.span_ms.unwrap_or_default(), &stop),
    };
    if let Some((path, file)) = truth {
        let written = write_truth(file, &played.run, &played.fleet);
        written.with_context(|| format!("writing {} failed", path.display()))?;
    }
    let result = played.result();
    if args.json {
        terminal.line(&result.json().to_string())?;
    } else {
        terminal.line(&result.text())?;
    }
    Ok(if result.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn create(path: &Path) -> anyhow::Result<File> {
    File::create(path).with_context(|| format!("--truth {} can't be written", path.display()))
}

fn write_truth(file: File, run: &Run, fleet: &Fleet) -> std::io::Result<()> {
    let mut out = BufWriter::new(file);
    truth_file::write(&mut out, run, fleet.truth(), fleet.near_misses())?;
    out.flush()
}

/// All of it at once, in steps small enough to be interrupted.
fn dry_run(plan: &Plan, span_ms: i64, stop: &CancellationToken) -> play::Played {
    const STEP_MS: i64 = 1_000;
    let began = Clock::default().elapsed();
    let mut fleet = Fleet::equipped(&plan.options, plan.equip);
    let until = plan.options.began + span_ms;
    let mut reports = 0;
    while fleet.now() < until && !stop.is_cancelled() {
        let now = fleet.now() + STEP_MS;
        reports += fleet.advance(now.min(until)).len() as u64;
    }
    let seconds = (Clock::default().elapsed() - began) as f64 / 1_000.0;
    play::Played { run: plan.run(&fleet), fleet, traffic: report::Traffic::dry(reports, seconds), judged: None }
}

async fn judge_file(
    service: &str,
    truth: &Path,
    args: &Args,
    terminal: &mut Terminal,
    stop: &CancellationToken,
) -> anyhow::Result<ExitCode> {
    let named = || format!("--truth {}", truth.display());
    let file = File::open(truth).with_context(|| format!("{} can't be read", named()))?;
    let (run, incidents) = truth_file::read(BufReader::new(file)).with_context(named)?;
    let channel = flags::service(service)?.connect().await?;
    let judged = tokio::select! {
        judged = judge::afterwards(channel, &run, incidents) => judged?,
        () = stop.cancelled() => return Ok(ExitCode::FAILURE),
    };
    terminal.line(&if args.json { judged.json().to_string() } else { judged.text() })?;
    Ok(if judged.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
