//! `HistoryService.Explain`: from the inbox as far as it reaches back, from stored frames beyond it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::history::store_status;
use super::{Violations, convert};
use crate::core::explain::{Explanation, stored};
use crate::journal::JournalError;
use crate::limits;
use crate::model::actor::Actor;
use crate::model::ids::{DeviceCode, RuleId, Subject};
use crate::model::row::{FrameRow, Order};
use crate::model::time::Wall;
use crate::proto::v1;
use crate::serve::command::not_found;
use crate::serve::history::{FrameMark, FramePage};
use crate::serve::{Shared, overload};
use crate::spine::retrace::{RetraceError, Retraced};

/// Without a record for so long, the service was not running: it notes every few seconds that it hears.
const GAP_MS: i64 = 15_000;
/// A device's clock may be so much ahead of ours, and history goes by it all the same.
const AHEAD_MS: i64 = 5 * 60_000;

/// What an explanation was made from.
pub(super) struct Basis {
    /// `None`: stored frames.
    pub(super) position: Option<u64>,
    pub(super) from: Option<Wall>,
    pub(super) to: Option<Wall>,
    pub(super) count: u64,
    pub(super) caveats: Vec<String>,
}

struct Question {
    device: DeviceCode,
    at: Option<Wall>,
    now: Wall,
    rule: Option<RuleId>,
}

/// Ends the work on another thread once nobody waits for it.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    pub(super) async fn explain(
        &self,
        actor: &Actor,
        asked: &v1::ExplainRequest,
    ) -> Result<v1::ExplainResponse, Status> {
        let mut violations = Violations::default();
        let device = violations.take("device", DeviceCode::parse(&asked.device));
        let at = asked.at.as_ref().map(|at| violations.take("at", convert::moment(at)));
        let rule = violations.optional("rule", &asked.rule, RuleId::parse);
        violations.check()?;
        let device = device.expect("what is missing was noted, and ended the call");
        let now = self.backend.clock.wall();
        let question = Question { device, at: at.flatten(), now, rule };
        if let Some(at) = question.at.filter(|at| *at > now) {
            return Err(Status::out_of_range(format!("{at} lies in the future: it is {now}")));
        }
        self.check_scope(actor, &Subject::Device(device)).await?;
        let limit = Duration::from_millis(limits::EXPLAIN_MS);
        let answer = tokio::time::timeout(limit, self.answer(&question)).await.map_err(|_| too_long())??;
        narrowed(answer, &question)
    }

    async fn answer(&self, question: &Question) -> Result<v1::ExplainResponse, Status> {
        let reaches_back = match self.retrace(question.device, question.at, question.now).await? {
            Ok(retraced) => {
                if let Some(explanation) = retraced.core.explain(&question.device, retraced.at) {
                    return Ok(convert::explanation(&explanation, inbox_basis(&retraced)));
                }
                retraced.from
            }
            Err(oldest) => oldest,
        };
        self.explain_frames(question, reaches_back).await
    }

    /// One is made at a time, and those who ask while it is have their turn one after the other.
    async fn slot_to_explain(&self) -> Result<OwnedSemaphorePermit, Status> {
        let _place =
            Arc::clone(&self.explanations_awaited).try_acquire_owned().map_err(|_| overload("explanations"))?;
        let wait = Duration::from_millis(limits::EXPLAIN_WAIT_MS);
        let slot = tokio::time::timeout(wait, Arc::clone(&self.explanations).acquire_owned()).await;
        slot.ok().and_then(Result::ok).ok_or_else(|| overload("explanations"))
    }

    /// The core of a lift at that moment, or the oldest one that the inbox leads back to.
    async fn retrace(
        &self,
        device: DeviceCode,
        at: Option<Wall>,
        now: Wall,
    ) -> Result<Result<Retraced, Option<Wall>>, Status> {
        let slot = self.slot_to_explain().await?;
        let (past, cancelled) = (Arc::clone(&self.backend.past), Arc::new(AtomicBool::new(false)));
        let _cancel = CancelOnDrop(Arc::clone(&cancelled));
        let work = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            past.of(&device, at, now, &cancelled)
        });
        match work.await {
            Ok(Ok(retraced)) => Ok(Ok(retraced)),
            Ok(Err(RetraceError::Beyond { oldest })) => Ok(Err(oldest)),
            Ok(Err(RetraceError::Journal(JournalError::Trimmed { .. }))) => Ok(Err(None)),
            Ok(Err(error)) => Err(failed(&error)),
            Err(error) => Err(failed(&error)),
        }
    }

    async fn explain_frames(
        &self,
        question: &Question,
        reaches_back: Option<Wall>,
    ) -> Result<v1::ExplainResponse, Status> {
        let device = question.device;
        let at = question.at.unwrap_or(question.now);
        let frames = self.frames_before(device, at).await?;
        let present = self.retrace(device, None, question.now).await?.ok();
        let archived = present.as_ref().and_then(|present| present.core.archived(&device));
        let policy = present.as_ref().map(|present| (present.core.policy().clone(), present.core.policy_version()));
        let work = tokio::task::spawn_blocking(move || {
            let (policy, version) = policy?;
            let explanation = stored::explain(&policy, archived, device, &frames, at)?;
            let basis = frames_basis(&frames, at);
            Some((Explanation { policy: version, ..explanation }, basis))
        });
        if let Some((explanation, basis)) = work.await.map_err(|error| failed(&error))? {
            return Ok(convert::explanation(&explanation, basis));
        }
        let is_known = present.is_some_and(|present| present.core.knows(&device));
        Err(self.nothing_known(device, at, is_known, reaches_back).await?)
    }

    /// The frames that had arrived by then, in the order of their arrival.
    async fn frames_before(&self, device: DeviceCode, at: Wall) -> Result<Vec<FrameRow>, Status> {
        let (from, to) = (at - limits::EXPLAIN_BACK_MS, at + AHEAD_MS + 1);
        let mut page = FramePage { device, from, to, after: None, limit: limits::PAGE_ROWS };
        let mut frames: Vec<FrameRow> = Vec::new();
        loop {
            let rows = self.backend.store.frames(page.clone()).await.map_err(store_status)?;
            let is_last = rows.len() < page.limit;
            page.after = rows.last().map(FrameMark::of);
            frames.extend(rows.into_iter().filter(|row| row.received_at <= at && row.order != Order::VeryLate));
            let too_many = frames.len().saturating_sub(limits::EXPLAIN_FRAMES);
            frames.drain(..too_many);
            if is_last {
                break;
            }
        }
        frames.sort_by_key(|row| (row.received_at, FrameMark::of(row)));
        Ok(frames)
    }

    /// Says what is available instead.
    async fn nothing_known(
        &self,
        device: DeviceCode,
        at: Wall,
        is_known: bool,
        reaches_back: Option<Wall>,
    ) -> Result<Status, Status> {
        let ever = FramePage { device, from: Wall(0), to: Wall::LAST + 1, after: None, limit: 1 };
        let first = self.backend.store.frames(ever).await.map_err(store_status)?.first().map(|row| row.effective_at);
        if first.is_none() && !is_known {
            return Ok(not_found(&device.to_string()));
        }
        let back_h = limits::EXPLAIN_BACK_MS / 3_600_000;
        let mut message = format!("nothing is known of {device} at {at}, nor in the {back_h} h before");
        match first {
            Some(first) => message += &format!("; its first stored frame is of {first}"),
            None => message += "; no frame of it is stored",
        }
        if let Some(from) = reaches_back {
            message += &format!("; the inbox reaches back to {from}");
        }
        Ok(Status::out_of_range(message))
    }
}

fn inbox_basis(retraced: &Retraced) -> Basis {
    let mut caveats = Vec::new();
    if let Some(last) = retraced.last.filter(|last| retraced.at.wall - *last > GAP_MS) {
        caveats.push(format!("nothing was recorded since {last}: the service was not running"));
    }
    if retraced.other_version {
        caveats.push("part of it was judged by another version of vigil, which may have judged it otherwise".into());
    }
    Basis {
        position: Some(retraced.core.next().saturating_sub(1)),
        from: retraced.from,
        to: retraced.last,
        count: retraced.records,
        caveats,
    }
}

fn frames_basis(frames: &[FrameRow], at: Wall) -> Basis {
    let from = frames.first().map(|row| row.received_at);
    let mut caveats = vec![
        "judged by the rules and the archive as they are now, not as they were".to_owned(),
        "what people cleared or acknowledged is not in it, nor whether the service could hear the device".to_owned(),
    ];
    if let Some(from) = from {
        caveats.push(format!("values that were last reported before {from} count as never reported"));
    }
    if frames.len() >= limits::EXPLAIN_FRAMES {
        caveats.push(format!("only the last {} frames before {at} were judged", limits::EXPLAIN_FRAMES));
    }
    let to = frames.last().map(|row| row.received_at);
    Basis { position: None, from, to, count: frames.len() as u64, caveats }
}

/// Only the rule asked for, if one was.
fn narrowed(mut answer: v1::ExplainResponse, question: &Question) -> Result<v1::ExplainResponse, Status> {
    if let Some(rule) = &question.rule {
        let in_force: Vec<String> = answer.rules.iter().map(|explained| explained.rule.clone()).collect();
        answer.rules.retain(|explained| explained.rule == rule.as_str());
        answer.other_alerts.clear();
        if answer.rules.is_empty() {
            let message = format!("rule {rule} was not in force for lifts; those in force: {}", in_force.join(", "));
            let details = ErrorDetails::with_resource_info("rule", rule.to_string(), "", "not in force");
            return Err(Status::with_error_details(Code::NotFound, message, details));
        }
    }
    let fits = super::fitting(&answer.rules);
    if fits < answer.rules.len() {
        let left = answer.rules.len() - fits;
        answer.caveats.push(format!("{left} more rules don't fit into one answer: ask for them by `rule`"));
        answer.rules.truncate(fits);
    }
    Ok(answer)
}

fn too_long() -> Status {
    let seconds = limits::EXPLAIN_MS / 1_000;
    Status::deadline_exceeded(format!(
        "explaining took more than {seconds} s: too much was recorded between that moment and the snapshot before it"
    ))
}

/// What failed may name files: that is for the log.
fn failed(error: &dyn std::error::Error) -> Status {
    tracing::error!(%error, "an explanation failed");
    Status::internal("the inbox could not be judged again; the service's log says why")
}
