//! One lift, replayed by one set of rules.

use std::collections::{BTreeMap, VecDeque};

use super::alerts::{Alert, Alerts, Told};
use super::matching::TOLERANCE_MS;
use crate::core::replay::Replay;
use crate::model::archive;
use crate::model::ids::{AlertId, DeviceCode, RuleId, Subject};
use crate::model::record::Action;
use crate::model::row::{FrameRow, Order};
use crate::model::time::Wall;

/// What happened beside the frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// A person cleared that rule's alert.
    Clear(RuleId),
    /// From here on the service could not hear its devices.
    LinkDown,
    LinkUp,
}

#[derive(Debug)]
pub struct LiftReplay {
    replay: Replay,
    device: DeviceCode,
    agenda: VecDeque<(Wall, Act)>,
    /// Clears that found nothing open, and until when they wait: whoever clears an alert soon after it was raised would
    /// have cleared it as well had it come somewhat later.
    early: Vec<(RuleId, Wall)>,
    open: BTreeMap<RuleId, AlertId>,
    alerts: Alerts,
    /// Up to here, and not beyond, it is replayed.
    end: Wall,
    /// A frame that was newer than all before it has been taken.
    has_begun: bool,
    clears: u64,
}

impl LiftReplay {
    /// `blank` has the rules, and stands where the replay begins. `agenda` is in the order of time.
    pub fn new(
        blank: &Replay,
        device: DeviceCode,
        entry: Option<archive::Lift>,
        agenda: impl IntoIterator<Item = (Wall, Act)>,
        end: Wall,
    ) -> Self {
        let mut replay = blank.clone();
        entry.into_iter().for_each(|entry| replay.enter(entry));
        Self {
            replay,
            device,
            agenda: agenda.into_iter().collect(),
            early: Vec::new(),
            open: BTreeMap::new(),
            alerts: Alerts::until(end),
            end,
            has_begun: false,
            clears: 0,
        }
    }

    /// Takes the frames of one report, received from where the replay begins up to `end`, in the order of receipt.
    pub fn take(&mut self, report: &[FrameRow]) {
        let Some(at) = report.first().map(|row| row.received_at) else { return };
        // What was late for the service would be news for one that knows nothing yet.
        self.has_begun |= report.iter().any(|row| row.order == Order::Newer);
        if !self.has_begun {
            return;
        }
        self.advance_to(at);
        self.replay.take(self.device, report.iter().map(|row| row.frame.clone()).collect());
        self.note_events();
    }

    /// Its alerts, once nothing more comes.
    pub fn finish(mut self) -> Vec<Alert> {
        self.advance_to(self.end);
        self.alerts.into_vec()
    }

    fn advance_to(&mut self, to: Wall) {
        while let Some((at, act)) = self.agenda.pop_front_if(|(at, _)| *at <= to) {
            self.replay.advance_to(at);
            self.note_events();
            match act {
                Act::LinkDown => self.replay.link_down(),
                Act::LinkUp => self.replay.link_up(),
                Act::Clear(rule) => {
                    if !self.clear(&rule) {
                        self.early.push((rule, at + TOLERANCE_MS));
                    }
                }
            }
            self.note_events();
        }
        self.replay.advance_to(to);
        self.note_events();
    }

    fn note_events(&mut self) {
        for event in self.replay.take_events() {
            if event.alert.id.subject != Subject::Device(self.device) {
                continue;
            }
            let told = Told::from(&event);
            self.alerts.note(&told);
            match event.alert.cleared_at {
                None => self.open.insert(told.rule, event.alert.id),
                Some(_) => self.open.remove(&told.rule),
            };
        }
        self.clear_what_came_later();
    }

    fn clear_what_came_later(&mut self) {
        let now = self.replay.moment().wall;
        self.early.retain(|(_, until)| *until >= now);
        let come = self.early.iter().position(|(rule, _)| self.open.contains_key(rule));
        if let Some((rule, _)) = come.map(|at| self.early.remove(at)) {
            self.clear(&rule);
            self.note_events();
        }
    }

    /// Whether there was anything to clear.
    fn clear(&mut self, rule: &RuleId) -> bool {
        let Some(alert) = self.open.remove(rule) else { return false };
        self.clears += 1;
        self.replay.command(&format!("clear-{}", self.clears), Action::Clear { alert, note: None });
        true
    }
}
