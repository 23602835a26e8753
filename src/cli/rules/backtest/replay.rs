//! Lift by lift: what was raised is read, its frames are read once, and judged by both rule sets as they come.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tokio_util::task::AbortOnDropHandle;

use super::super::super::Terminal;
use super::fetch::{Raised, Service};
use super::progress::{OfLift, Progress};
use super::report::Report;
use super::select::Lifts;
use crate::backtest::{
    Act, Alert, Alerts, Arrivals, Compared, LiftReplay, Rescue, Rules, Span, ToldRescue, compare, hold,
};
use crate::core::replay::Replay;
use crate::core::telemetry::offset::AHEAD_MAX_MS;
use crate::limits;
use crate::model::archive;
use crate::model::ids::{DeviceCode, RuleId};
use crate::model::time::Wall;

/// What is the same for all lifts.
pub(super) struct Plan {
    pub(super) span: Span,
    pub(super) rules: Rules,
    pub(super) now: Wall,
    /// When the service could not hear its devices.
    pub(super) blind: Vec<(Wall, Wall)>,
    /// Those that are over, by lift.
    pub(super) rescues: BTreeMap<DeviceCode, Vec<Rescue>>,
    /// By the rules to try, and by those in force: both stand where the replay begins.
    pub(super) new: Replay,
    pub(super) old: Replay,
}

/// What one lift came to.
pub(super) struct Done {
    pub(super) device: DeviceCode,
    pub(super) compared: BTreeMap<RuleId, Compared>,
    pub(super) rescues: Vec<ToldRescue>,
    pub(super) frames: u64,
    pub(super) first_frame: Option<Wall>,
    /// Frames that were replayed later than they were received.
    pub(super) hurried: u64,
}

/// Some lifts at a time, told in the order of their codes.
pub(super) async fn all(
    service: &Service,
    plan: Arc<Plan>,
    lifts: Lifts,
    report: &mut Report,
    terminal: &mut Terminal,
) -> anyhow::Result<()> {
    let mut progress = Progress::begin(terminal, lifts.len());
    let mut waiting = lifts.into_iter();
    let mut running: VecDeque<AbortOnDropHandle<anyhow::Result<Done>>> = VecDeque::new();
    loop {
        while running.len() < limits::BACKTEST_AT_ONCE
            && let Some((device, entry)) = waiting.next()
        {
            let (service, plan, of_lift) = (service.patient(), Arc::clone(&plan), progress.bar().of_lift());
            let work = async move { replay(&service, &plan, device, entry, of_lift).await };
            running.push_back(AbortOnDropHandle::new(tokio::spawn(work)));
        }
        let Some(first) = running.pop_front() else { return Ok(()) };
        report.add(first.await??, terminal)?;
        progress.tell(report.lifts(), terminal)?;
    }
}

async fn replay(
    service: &Service,
    plan: &Plan,
    device: DeviceCode,
    entry: Option<archive::Lift>,
    mut progress: OfLift,
) -> anyhow::Result<Done> {
    let span = &plan.span;
    let raised = service.raised(&device, span, plan.now).await?;
    let agenda = agenda(plan, &raised);
    let mut new = LiftReplay::new(&plan.new, device, entry.clone(), agenda.clone(), span.end);
    let mut old = LiftReplay::new(&plan.old, device, entry, agenda, span.end);
    let (mut arrivals, mut count, mut first_frame) = (Arrivals::default(), 0, None);
    let (from, to) = (span.begin - limits::BACKTEST_LATE_MS, span.end + AHEAD_MAX_MS);
    let mut frames = service.frames(&device, from, to);
    loop {
        let page = frames.next().await?;
        let is_over = page.is_none();
        for row in page.into_iter().flatten() {
            progress.reach(row.effective_at - from, to - from);
            arrivals.push(row);
        }
        if is_over {
            arrivals.end();
        }
        while let Some(report) = arrivals.next_report() {
            let received_at = report[0].received_at;
            if (span.begin..span.end).contains(&received_at) {
                first_frame = first_frame.or(Some(received_at));
                count += report.len() as u64;
                progress.frames(report.len() as u64);
                new.take(&report);
                old.take(&report);
            }
        }
        if is_over {
            break;
        }
    }
    let (new, old, rules) = (new.finish(), old.finish(), &plan.rules);
    let compared = compare(span, rules, &alerts(plan, &raised), &new, Some(&old));
    let of_lift = plan.rescues.get(&device).into_iter().flatten().cloned();
    let told =
        |rescue| hold(rescue, (&old, |rule: &RuleId| rules.sent(rule)), (&new, |rule: &RuleId| rules.sends(rule)));
    let rescues = of_lift.map(told).collect();
    Ok(Done { device, compared, rescues, frames: count, first_frame, hurried: arrivals.hurried })
}

/// What was raised.
fn alerts(plan: &Plan, raised: &Raised) -> Vec<Alert> {
    let mut alerts = Alerts::until(plan.span.end);
    raised.told.iter().for_each(|told| alerts.note(told));
    raised.open.iter().for_each(|(alert, opened_at)| alerts.note_open(&alert.rule, *opened_at, alert.opening));
    alerts.into_vec()
}

/// What happened beside the frames, in the order of time.
fn agenda(plan: &Plan, raised: &Raised) -> Vec<(Wall, Act)> {
    let cleared = raised.told.iter().filter(|told| told.is_by_hand());
    let mut agenda: Vec<(Wall, Act)> = cleared.map(|told| (told.published_at, Act::Clear(told.rule.clone()))).collect();
    agenda.retain(|(at, _)| (plan.span.begin..plan.span.end).contains(at));
    agenda.extend(plan.blind.iter().flat_map(|(from, to)| [(*from, Act::LinkDown), (*to, Act::LinkUp)]));
    agenda.sort_by_key(|(at, _)| *at);
    agenda
}
