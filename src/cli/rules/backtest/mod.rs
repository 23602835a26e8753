//! `vigil rules backtest`: what other rules would have made of a span of history.

mod fetch;
mod progress;
mod replay;
mod report;
mod rescues;
mod select;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::super::history::now;
use super::super::time::{FORMS, Moment, Zone};
use super::super::{Server, count};
use super::Terminal;
use super::check::placed;
use crate::app::policy::{RuleFiles, check_files, read_folder};
use crate::backtest::{Rules, Span};
use crate::core::policy;
use crate::core::replay::Replay;
use crate::core::rules::{RuleFault, RuleSet, one_a_line};
use crate::model::record::PolicyText;
use crate::model::time::Wall;

use self::fetch::{InForce, Service};
use self::replay::Plan;
use self::report::Report;

/// Replay history through other rules, and tell what they would have raised otherwise
///
/// The stored frames of lifts are read from a running service and judged in this process: by the rules of --rules, and
/// likewise by those in force, to tell what the rules change from what the frames don't tell. An alert is gained that was
/// not raised, lost that would not have been, or moved: opened more than a second earlier or later, or with another
/// severity or certainty. Rescues that have ended in that time say which of the real ones would have been missed, and
/// which false alarms saved. Rules of cylinders and of what is due on a day are not compared. docs/rules-testing.md says
/// more. The exit code is 0 whatever differs.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// The folder of the rules to try
    #[arg(long, value_name = "DIR")]
    rules: PathBuf,
    /// The folder of the rules that were in force then; otherwise those in force now are asked for
    #[arg(long, value_name = "DIR")]
    current: Option<PathBuf>,
    #[command(flatten)]
    server: Server,
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = Moment::parse, help = format!("Alerts count that were raised from this time on: {FORMS}"))]
    from: Moment,
    /// Up to this time, but not at it
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = Moment::parse)]
    to: Moment,
    /// Only these lifts: device codes and districts (2 to 6 digits) with commas between them, or a file with one a line.
    /// Otherwise all lifts of the archive that you may see
    #[arg(long, value_name = "LIST|FILE")]
    devices: Option<String>,
    /// Most differences that are listed one by one, of each kind
    #[arg(long, value_name = "N", default_value_t = 20)]
    list: usize,
    /// One JSON object a line: every difference, then every rule, then all in all
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    zone: Zone,
}

/// Stopped by a person, as shells have it.
const INTERRUPTED: u8 = 130;

pub(super) async fn run(args: Args, terminal: &mut Terminal, stop: CancellationToken) -> anyhow::Result<ExitCode> {
    tokio::select! {
        biased;
        () = stop.cancelled() => {
            terminal.notice("# stopped before the end: what is missing is not compared")?;
            Ok(ExitCode::from(INTERRUPTED))
        }
        result = backtest(args, terminal) => result,
    }
}

async fn backtest(args: Args, terminal: &mut Terminal) -> anyhow::Result<ExitCode> {
    let zone = &args.zone.zone;
    let moment = |moment: Moment| moment.resolve(now(), zone).map_err(anyhow::Error::msg);
    let wall = |at: jiff::Timestamp| Wall(at.as_millisecond());
    let now = wall(now());
    let (from, to) = (wall(moment(args.from)?), wall(moment(args.to)?).min(now));
    let shown = |at| report::civil_at(at, zone);
    anyhow::ensure!(
        from < to,
        "--from must be before --to and before now: {} is not before {}",
        shown(from),
        shown(to)
    );
    let Some((new, new_set)) = read_rules(&args.rules, terminal)? else { return Ok(ExitCode::FAILURE) };
    let wanted = select::Wanted::read(args.devices.as_deref())?;

    let service = Service::new(args.server.connect().await?);
    let in_force = service.rules().await?;
    let (old, old_set) = match &args.current {
        None => rules_of(&in_force)?,
        Some(dir) => match read_rules(dir, terminal)? {
            Some(rules) => rules,
            None => return Ok(ExitCode::FAILURE),
        },
    };
    let span = Span::around(from, to, now, &[&new_set, &old_set]);
    let lifts = wanted.lifts(&service).await?;
    let blind = service.blind_times(&span).await?;
    let rescues = service.rescues(&span).await?;
    let rescues_are_known = rescues.is_some();
    let blank = |files: RuleFiles| Replay::begin(&policy_text(files, &in_force.zone), span.begin);
    let plan = Plan {
        span,
        rules: Rules::of(&new_set, &old_set),
        now,
        blind: blind.clone().unwrap_or_default(),
        rescues: rescues.unwrap_or_default(),
        new: blank(new),
        old: blank(old),
    };
    let mut report = Report::begin(&args, &plan, &in_force, blind.is_some(), rescues_are_known);
    replay::all(&service, Arc::new(plan), lifts, &mut report, terminal).await?;
    report.end(&service, terminal).await?;
    Ok(ExitCode::SUCCESS)
}

/// `None`: they are wrong, and that was told.
fn read_rules(dir: &Path, terminal: &mut Terminal) -> anyhow::Result<Option<(RuleFiles, RuleSet)>> {
    let files = read_folder(dir)?;
    match check_files(&files) {
        Ok(set) => Ok(Some((files, set))),
        Err(faults) => {
            for fault in &faults {
                terminal.notice(&placed(dir, fault))?;
            }
            terminal.notice(&count(faults.len() as u64, "fault"))?;
            Ok(None)
        }
    }
}

fn rules_of(in_force: &InForce) -> anyhow::Result<(RuleFiles, RuleSet)> {
    let wrong = |faults: Vec<RuleFault>| {
        anyhow::anyhow!(
            "the service's rules can't be read by this version of vigil; name those to compare with by --current:\n{}",
            one_a_line(&faults)
        )
    };
    let (set, _) = policy::check(&policy_text(in_force.files.clone(), &in_force.zone)).map_err(wrong)?;
    Ok((in_force.files.clone(), set))
}

fn policy_text(rules: RuleFiles, zone: &str) -> PolicyText {
    PolicyText { rules, zone: zone.into(), tzdb: "bundled".into(), topic_prefix: "vigil/v1".into() }
}
