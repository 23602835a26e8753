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
    /// From here on the service could not hear its devices, …
    LinkDown,
    /// … and from here on it could.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::frame::{Frame, FrameKey, Listed, Reported};
    use crate::model::record::PolicyText;
    use crate::model::row::TimeSource;

    const BEGIN: Wall = Wall(1_795_305_600_000);

    /// The source's own "trapped", from the shipped rules.
    const RULE: &str = "trapped-reported";

    fn policy() -> PolicyText {
        let rules = vec![("elevator.toml".into(), include_str!("../../config/rules/elevator.toml").into())];
        PolicyText { rules, zone: "Asia/Shanghai".into(), tzdb: "test".into(), topic_prefix: "vigil/v1".into() }
    }

    fn row(seq: u64, at_s: i64, order: Order, trapped: bool) -> FrameRow {
        let at = BEGIN + at_s * 1_000;
        let conditions = Listed { items: if trapped { vec!["trapped".into()] } else { vec![] }, partial: false };
        let (key, mode) = (FrameKey { boot: 1, seq }, Reported::Known(crate::model::frame::Mode::Normal));
        FrameRow {
            device: "31305001122014017242".parse().unwrap(),
            generation: 0,
            frame: Frame { key, claimed_at: Some(at), mode, conditions, has_status: true, ..Frame::default() },
            received_at: at,
            effective_at: at,
            time_source: TimeSource::Claimed,
            order,
        }
    }

    /// Frames as (seq, at in s, order, trapped) and acts at a time in s; what became of that rule and of silence, in s.
    fn check(frames: &[(u64, i64, Order, bool)], acts: &[(i64, Act)], want: &[(&str, i64, Option<i64>)]) {
        let device = "31305001122014017242".parse().unwrap();
        let agenda = acts.iter().map(|(at_s, act)| (BEGIN + at_s * 1_000, act.clone()));
        let blank = Replay::begin(&policy(), BEGIN);
        let mut lift = LiftReplay::new(&blank, device, None, agenda, BEGIN + 3_600_000);
        for &(seq, at_s, order, trapped) in frames {
            lift.take(&[row(seq, at_s, order, trapped)]);
        }
        let alerts = lift.finish();
        let seconds = |at: Wall| (at - BEGIN) / 1_000;
        let of_interest = alerts.iter().filter(|it| [RULE, "offline"].contains(&it.rule.as_str()));
        let got = of_interest.map(|it| (it.rule.as_str(), seconds(it.opened_at), it.cleared_at.map(seconds)));
        assert_eq!(got.collect::<Vec<_>>(), want, "{frames:?} {acts:?}");
    }

    fn clear() -> Act {
        Act::Clear(RuleId::parse(RULE).unwrap())
    }

    #[test]
    fn a_replay_begins_with_what_was_news() {
        use Order::{Late, Newer, VeryLate};
        let silent = ("offline", 240, None);
        check(&[(7, 10, Newer, false), (8, 60, Newer, false)], &[], &[silent]);
        check(&[(5, 10, Late, true), (8, 60, Newer, false)], &[], &[silent]);
        check(&[(5, 10, VeryLate, true), (8, 60, Newer, false)], &[], &[silent]);
        check(&[(5, 10, Late, true)], &[], &[]);
    }

    #[test]
    fn what_a_person_cleared_is_cleared_even_if_it_came_somewhat_later() {
        use Order::Newer;
        let open = (1, 60, Newer, true);
        let silent = ("offline", 240, None);
        check(&[open], &[], &[silent, (RULE, 60, None)]);
        check(&[open], &[(70, clear())], &[silent, (RULE, 60, Some(70))]);
        check(&[open], &[(50, clear())], &[silent, (RULE, 60, Some(60))]);
        let late = (1, 701, Newer, true);
        check(&[late], &[(100, clear())], &[("offline", 885, None), (RULE, 701, None)]);
        // It is armed again ten minutes later, as it is for the service.
        let again = [("offline", 885, None), (RULE, 701, Some(701)), (RULE, 1_301, None)];
        check(&[late], &[(101, clear())], &again);
    }

    #[test]
    fn silence_does_not_count_while_nothing_could_be_heard() {
        use Order::Newer;
        let frames = [(1, 60, Newer, false), (2, 1_300, Newer, false)];
        check(&frames, &[], &[("offline", 240, Some(1_300)), ("offline", 1_480, None)]);
        check(&frames, &[(100, Act::LinkDown), (1_290, Act::LinkUp)], &[("offline", 1_480, None)]);
    }
}
