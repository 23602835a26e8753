//! What must have been told, worked out from what was sent and when it was taken, without the core: entrapments of
//! orderly lifts, and silence.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use vigil::model::alert::{AlertEvent, EventKind, Reason};
use vigil::model::ids::{AlertId, Subject};
use vigil::model::record::Link;
use vigil::model::time::Elapsed;

use crate::lifts::{Episode, Lift, Nature};
use crate::model::{Taken, What};
use crate::world::{Check, World};

const TRAPPED: &str = "trapped-out-of-zone";
const HOLD_MS: i64 = 30_000;
/// How far apart our measure of a lift's lateness and the truth may lie.
const TOLERANCE_MS: i64 = 8_000;
/// Whoever is shut in for less is told of only if the end is heard of too late.
const SURELY_MS: i64 = 60_000;
/// Heard of at once, but for what the network takes.
const LIVE_MS: i64 = 4_000;
/// A lift's lateness is measured against what was heard of it in ten minutes, in spans of two.
const SPAN_MS: i64 = 120_000;
/// After so many, nothing from before counts.
const FORGOTTEN_AFTER: u32 = 6;
/// Longer than anything is under way.
const BEFORE_LEAP_MS: i64 = 700_000;
const OFFLINE_AFTER_MS: i64 = 3 * 60_000;
/// Told at once, when nothing holds anybody up.
const PROMPT_MS: i64 = 1_500;

/// An alert's life, by the time that nobody sets.
struct Life<'a> {
    /// When it says that it began, and when that was told.
    opened: (i64, i64),
    cleared: Option<(i64, i64)>,
    event: &'a AlertEvent,
}

impl World {
    /// How many alerts were foretold, all rightly.
    pub(crate) fn check_foretold(&self) -> Result<u64, String> {
        let mut foretold = 0;
        for lift in self.lifts.iter().filter(|lift| lift.nature == Nature::Orderly) {
            foretold += self.check_entrapments(lift)?;
        }
        self.check_silence()?;
        Ok(foretold)
    }

    /// P5 and P6: who is shut in for long is told of once; who isn't, never; and no case clears before its end is heard.
    fn check_entrapments(&self, lift: &Lift) -> Result<u64, String> {
        let Some(arrivals) = self.arrivals(lift) else { return Ok(0) };
        let doubts = self.doubts(lift);
        let is_doubtful = |from, to| doubts.iter().any(|(began, ended)| *began <= to && *ended >= from);
        let mut lives = self.lives(lift);
        lives.retain(|life| !is_doubtful(life.opened.0, life.opened.1));
        let mut lives = lives.into_iter().peekable();
        let mut foretold = 0;
        let known_from = self.clock_known_from(lift, 0, 1);
        let mut may_come_late = false;
        for episode in &lift.episodes {
            let ended = episode.ended.expect("every story has ended");
            let (first, last) = (arrivals[&episode.first_uid], arrivals[&episode.last_uid.expect("it has ended")]);
            if std::mem::take(&mut may_come_late) {
                // Told before this one was heard of, so it was of the one before it, in whose backlog the lift's own timers
                // had brought it further than that lasted.
                let _of_the_one_before = lives.next_if(|life| life.opened.1 < first);
            }
            let told_until = ended.max(episode.began + HOLD_MS) + TOLERANCE_MS;
            let mut of_it = Vec::new();
            while let Some(life) = lives.next_if(|life| life.opened.0 <= told_until) {
                of_it.push(life);
            }
            if episode.began < known_from || is_doubtful(episode.began, last.max(told_until)) {
                continue;
            }
            let about = format!("of {} from {} to {ended}, heard of from {first} to {last}", lift.code, episode.began);
            let told = |what: &str| {
                Err(format!("P6: the entrapment {about} was told {what}{}", self.records(lift, episode.began, last)))
            };
            // In a backlog, a lift's own timers may have brought it beyond what it is told afterwards.
            let is_live = first - episode.began <= LIVE_MS;
            let is_sure = is_live && ended - episode.began >= SURELY_MS;
            let is_possible = ended - episode.began >= SURELY_MS || last >= episode.began + HOLD_MS - TOLERANCE_MS;
            let [life] = &of_it[..] else {
                if of_it.is_empty() && !is_sure {
                    may_come_late = !is_live;
                    continue;
                }
                let lives: Vec<_> = of_it.iter().map(|life| (life.opened, life.cleared)).collect();
                return told(&format!("{} times, {lives:?}", of_it.len()));
            };
            if !is_possible || life.opened.0 < episode.began + HOLD_MS - TOLERANCE_MS {
                return told(&format!("as of {}, at {}: {:?}", life.opened.0, life.opened.1, life.event.reason));
            }
            self.check_clear(&about, ended, last, life)?;
            self.check_prompt(&about, episode, first, life)?;
            foretold += u64::from(is_sure);
        }
        match lives.find(|life| life.opened.0 >= known_from) {
            Some(life) => Err(format!("P6: {} was told to be shut at {}, and nobody was", lift.code, life.opened.0)),
            None => Ok(foretold),
        }
    }

    fn check_clear(&self, about: &str, ended: i64, heard: i64, life: &Life<'_>) -> Check {
        match life.cleared {
            None => Err(format!("P6: the entrapment {about} was never cleared")),
            Some((at, told)) if told < heard || at < ended - TOLERANCE_MS => {
                Err(format!("P5: the entrapment {about} was cleared as of {at}, at {told}"))
            }
            Some(_) => Ok(()),
        }
    }

    /// P5: time alone fires it, with no further frame.
    fn check_prompt(&self, about: &str, episode: &Episode, heard: i64, life: &Life<'_>) -> Check {
        let (from, to) = (episode.began - 1_000, episode.began + HOLD_MS + PROMPT_MS);
        let was_held_up = heard > episode.began + PROMPT_MS / 2
            || self.interruptions.iter().any(|(began, ended)| *began <= to && *ended >= from);
        let told = life.opened.1;
        if was_held_up || (episode.began + HOLD_MS - PROMPT_MS..=to).contains(&told) {
            return Ok(());
        }
        Err(format!("P5: the entrapment {about} was told only at {told}: {:?}", life.event.reason))
    }

    /// When each report of a lift was first taken; `None` if a record of it was passed over.
    fn arrivals(&self, lift: &Lift) -> Option<BTreeMap<u64, i64>> {
        let mut arrivals = BTreeMap::new();
        for (pos, taken) in self.model.inbox.iter().enumerate() {
            let What::Report(Some(uid)) = taken.what else { continue };
            if self.model.published[uid as usize].lift == Some(lift.ix) {
                if self.house.poisoned.contains(pos as u64) {
                    return None;
                }
                arrivals.entry(uid).or_insert(taken.at);
            }
        }
        Some(arrivals)
    }

    /// From when on we can know how far the lift's clock is from ours: in so many spans after `after` it was heard at
    /// once, and without a backlog before it. Until then a slow clock can't be told from a backlog of its own.
    fn clock_known_from(&self, lift: &Lift, after: i64, spans: u32) -> i64 {
        let (mut up_at, mut open) = (None, false);
        let (mut heard, mut began) = (0, i64::MIN);
        for taken in &self.model.inbox {
            match taken.what {
                What::Start | What::Link(Link::Down) => (up_at, open) = (None, false),
                What::Link(Link::Up) => (up_at, open) = (Some(taken.elapsed), false),
                What::Link(Link::Heard { sent }) => open |= up_at.is_some_and(|up_at| sent >= up_at),
                What::Report(Some(uid)) if open && taken.at >= after && taken.at >= began.saturating_add(SPAN_MS) => {
                    let published = &self.model.published[uid as usize];
                    let is_prompt = published.said.as_ref().is_some_and(|(at, _)| taken.at - at < 1_000);
                    if published.lift == Some(lift.ix) && is_prompt {
                        (heard, began) = (heard + 1, taken.at);
                        if heard == spans {
                            return taken.at;
                        }
                    }
                }
                _ => {}
            }
        }
        i64::MAX
    }

    /// Spans in which our clock can't be trusted to measure this lift's lateness.
    fn doubts(&self, lift: &Lift) -> Vec<(i64, i64)> {
        let doubt = |leap: &i64| (leap - BEFORE_LEAP_MS, self.clock_known_from(lift, *leap, FORGOTTEN_AFTER));
        self.leaps.iter().map(doubt).collect()
    }

    fn lives(&self, lift: &Lift) -> Vec<Life<'_>> {
        let mut lives: Vec<Life<'_>> = Vec::new();
        for (cause, event) in &self.model.events {
            let AlertId { subject, rule, .. } = &event.alert.id;
            if rule.as_str() != TRAPPED || subject.to_string() != lift.code {
                continue;
            }
            let told = self.model.inbox[*cause as usize].at;
            let at = told - (event.published_at - event.at);
            match event.kind {
                EventKind::Opened | EventKind::Reopened => {
                    lives.push(Life { opened: (at, told), cleared: None, event });
                }
                EventKind::Cleared => {
                    if let Some(life) = lives.last_mut() {
                        life.cleared = Some((at, told));
                    }
                }
                EventKind::Raised | EventKind::Acknowledged | EventKind::Grouped => {}
            }
        }
        lives
    }

    /// What was taken of a lift around a span, for whoever looks for the cause.
    fn records(&self, lift: &Lift, from: i64, to: i64) -> String {
        let mut text = String::new();
        for (pos, taken) in self.model.inbox.iter().enumerate() {
            let everything = std::env::var_os("VIGIL_SIM_ALL").is_some();
            let is_of_it = match &taken.what {
                _ if everything => true,
                What::Report(uid) => uid.is_some_and(|uid| self.model.published[uid as usize].lift == Some(lift.ix)),
                What::Link(Link::Heard { .. }) | What::Command(_) | What::Policy | What::Other => false,
                What::Link(_) | What::Start => true,
            };
            if is_of_it && (from - 60_000..=to + 60_000).contains(&taken.at) {
                let _infallible =
                    write!(text, "\n  {pos} at {} ({}, {}): {:?}", taken.at, taken.wall, taken.elapsed.0, taken.what);
                if let What::Report(Some(uid)) = taken.what {
                    let _infallible = write!(text, " {:?}", self.model.published[uid as usize].said);
                }
                for (_, event) in self.model.events.iter().filter(|(cause, _)| *cause == pos as u64) {
                    let id = &event.alert.id;
                    let _infallible = write!(text, "\n    {:?} {id} {:?} as of {}", event.kind, event.reason, event.at);
                }
            }
        }
        text
    }

    /// P5: nobody is called silent for time in which we couldn't hear.
    fn check_silence(&self) -> Check {
        let mut offline = self
            .model
            .events
            .iter()
            .filter(|(_, event)| event.kind == EventKind::Opened && event.alert.id.rule.as_str() == "offline");
        offline.try_for_each(|(cause, event)| {
            let Subject::Device(code) = event.alert.id.subject else { return Ok(()) };
            let Some(lift) = self.lifts.iter().find(|lift| lift.code == code.as_str()) else { return Ok(()) };
            if lift.nature == Nature::Chaotic {
                return Ok(());
            }
            let heard_ms = self.heard_since_last(*cause as usize, lift);
            if heard_ms >= OFFLINE_AFTER_MS {
                return Ok(());
            }
            let at = self.model.inbox[*cause as usize].at;
            let records = self.records(lift, at - OFFLINE_AFTER_MS, at);
            Err(format!(
                "P5: {code} was called offline at position {cause} after {heard_ms} ms in which it could be heard{records}"
            ))
        })
    }

    /// For how long we could have heard the lift since it was last heard: only what a marker that came back proves.
    fn heard_since_last(&self, cause: usize, lift: &Lift) -> i64 {
        let records = &self.model.inbox[..=cause];
        // A repeat is nothing heard, nor is what was passed over, or what is too old to be judged, such as the first frames
        // of another terminal.
        let mut known = BTreeSet::new();
        let is_news = |(pos, taken): &(usize, &Taken)| match taken.what {
            What::Report(Some(uid)) => {
                self.model.published[uid as usize].lift == Some(lift.ix)
                    && !self.house.poisoned.contains(*pos as u64)
                    && !self.model.is_very_late(uid)
                    && known.insert(uid)
            }
            _ => false,
        };
        let Some((last, _)) = records.iter().enumerate().filter(is_news).last() else { return 0 };
        let mut since = records[last].elapsed;
        let (mut up_at, mut proven, mut heard_ms) = (None, None, 0);
        for (pos, taken) in records.iter().enumerate() {
            match taken.what {
                What::Start | What::Link(Link::Down) => (up_at, proven) = (None, None),
                What::Link(Link::Up) => (up_at, proven) = (Some(taken.elapsed), None),
                What::Link(Link::Heard { sent }) if up_at.is_some_and(|up_at| sent >= up_at) => {
                    if pos > last && proven.is_none() {
                        // What comes in before the first marker was sent before it.
                        since = since.min(sent);
                    }
                    let from: Elapsed = proven.unwrap_or(sent);
                    heard_ms += (sent - from.max(since)).max(0);
                    proven = Some(sent.max(from));
                }
                _ => {}
            }
        }
        heard_ms
    }

    /// After minutes of silence over a sound link every lift that ever spoke is called offline.
    pub(crate) fn check_all_offline(&self) -> Check {
        for lift in self.lifts.iter().filter(|lift| lift.nature != Nature::Chaotic) {
            let of_it = |id: &AlertId| id.rule.as_str() == "offline" && id.subject.to_string() == lift.code;
            let heard_ms = self.heard_since_last(self.model.inbox.len() - 1, lift);
            let is_silent = self.model.spoke(lift.ix) && heard_ms > OFFLINE_AFTER_MS;
            if is_silent && !self.model.open.keys().any(of_it) && !self.is_cleared_by_hand(of_it) {
                let records = self.records(lift, self.now - 800_000, self.now);
                return Err(format!("P5: {} is silent for {heard_ms} ms, and nobody says so{records}", lift.code));
            }
        }
        Ok(())
    }

    /// Whether a person cleared such an alert: it may then stay away for a while.
    fn is_cleared_by_hand(&self, is_it: impl Fn(&AlertId) -> bool) -> bool {
        let by_hand = |event: &AlertEvent| event.kind == EventKind::Cleared && event.reason == Reason::Operator;
        self.model.events.iter().any(|(_, event)| by_hand(event) && is_it(&event.alert.id))
    }
}
