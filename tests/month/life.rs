//! Plays a fleet to the core, second by second, and holds what is told of it against what happened.

use std::collections::BTreeMap;

use vigil::limits;
use vigil::model::actor::Actor;
use vigil::model::alert::{AlertEvent, EventKind, Reason};
use vigil::model::ids::Subject;
use vigil::model::record::{Action, Command, Kind, PolicyText};
use vigil::model::time::Wall;
use vigil::scenario::drive::{Drive, Message};
use vigil::simulate::score::{FalseAlert, TRAPPED_RULES};
use vigil::simulate::{Equip, Fleet, FleetOptions, Incident, Pace, Score};

use crate::causes::{self, Causes};
use crate::dispatcher::Dispatcher;
use crate::report::{Report, Span};

// 2026-11-22T00:00:00Z
const BEGAN: Wall = Wall(1_795_305_600_000);
const STEP_MS: i64 = 10_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// What is judged late because we could not hear: a lift that is caught up with is waited for.
const CATCHING_UP_MS: i64 = 17_000;
/// Something happens to us so often.
const TROUBLE_EVERY_MS: i64 = 7 * HOUR_MS;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) seed: u64,
    pub(crate) lifts: u32,
    pub(crate) days: u32,
    /// Of each lift.
    pub(crate) entrapment_every_h: u32,
    /// From one trip to the next, at most.
    pub(crate) idle_s: u32,
}

impl Size {
    fn fleet(self) -> Fleet {
        let pace = Pace {
            idle_ms: (60_000, i64::from(self.idle_s) * 1_000),
            entrapment_every_ms: i64::from(self.entrapment_every_h) * HOUR_MS,
            oddity_every_ms: i64::from(self.entrapment_every_h) * HOUR_MS / 6,
            ..Pace::REALISTIC
        };
        let options =
            FleetOptions { seed: self.seed, lifts: self.lifts, cylinders: 0, stations: 0, began: BEGAN, pace };
        Fleet::equipped(&options, Equip::LIFELIKE)
    }
}

/// What befalls us rather than the lifts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// The connection to the broker, which keeps what devices send.
    LinkDown,
    /// Nothing is wrong but that our own markers don't come back.
    MarkersLost,
    /// The service ends, and goes on from its snapshot.
    Restart,
}

impl Trouble {
    const ALL: [Self; 3] = [Self::LinkDown, Self::MarkersLost, Self::Restart];

    /// Longer and longer, and then again from the beginning.
    fn lasts_ms(self, n: i64) -> i64 {
        match self {
            Self::LinkDown => 20_000 + n * 7 % 40 * 30_000,
            Self::MarkersLost => 20_000 + n * 5 % 20 * 15_000,
            Self::Restart => 10_000 + n * 3 % 10 * 10_000,
        }
    }
}

pub(crate) struct Life {
    size: Size,
    fleet: Fleet,
    drive: Drive,
    score: Score,
    /// What happened, as the fleet has it, and delayed where we could not hear.
    truth: Vec<Incident>,
    causes: Causes,
    dispatcher: Dispatcher,
    /// Of the trapped alerts that opened lately: why.
    reasons: BTreeMap<(Subject, Box<str>, Wall), Reason>,
    trouble: Option<(Trouble, i64)>,
    troubles: i64,
    requests: u64,
    report: Report,
}

impl Life {
    pub(crate) fn new(size: Size, rules: Vec<(Box<str>, Box<str>)>) -> Self {
        let fleet = size.fleet();
        let mut life = Self {
            size,
            drive: Drive::new(BEGAN),
            score: Score::default(),
            truth: Vec::new(),
            causes: Causes::default(),
            dispatcher: Dispatcher::default(),
            reasons: BTreeMap::new(),
            trouble: None,
            troubles: 0,
            requests: 0,
            report: Report::new(size),
            fleet,
        };
        let policy =
            PolicyText { rules, zone: "Asia/Shanghai".into(), tzdb: "month".into(), topic_prefix: "vigil/v1".into() };
        life.drive.start();
        life.drive.apply(Kind::Policy(policy), 0);
        for entries in life.fleet.archive().chunks(limits::COMMAND_ITEMS) {
            life.ask(Action::Upsert(entries.to_vec()));
        }
        life.drive.link_up();
        life.drive.marker();
        life
    }

    pub(crate) fn live(mut self) -> Report {
        let until_ms = i64::from(self.size.days) * DAY_MS;
        for now_ms in (0..until_ms).step_by(STEP_MS as usize).map(|ms| ms + STEP_MS) {
            for message in self.fleet.advance(BEGAN + now_ms) {
                self.drive.advance_to(message.at - BEGAN);
                let message = Message { topic: (*message.topic).into(), payload: message.payload, place: 0 };
                self.drive.publish(message);
            }
            self.drive.advance_to(now_ms);
            self.drive.rows.clear();
            self.befall(now_ms);
            self.look(now_ms);
        }
        assert_eq!(self.drive.broken, None, "{:?}", self.size);
        self.report.finish(&self.fleet, &self.truth, &self.score);
        self.report
    }

    fn befall(&mut self, now_ms: i64) {
        match self.trouble {
            None if now_ms / TROUBLE_EVERY_MS > self.troubles => {
                let trouble = Trouble::ALL[(self.troubles % 3) as usize];
                self.trouble = Some((trouble, now_ms));
                let lasts_ms = trouble.lasts_ms(self.troubles);
                self.troubles += 1;
                match trouble {
                    Trouble::LinkDown => self.drive.link_down(),
                    Trouble::MarkersLost => self.drive.lose_markers(),
                    Trouble::Restart => self.drive.end(lasts_ms),
                }
            }
            Some((trouble, from_ms)) if now_ms - from_ms >= trouble.lasts_ms(self.troubles - 1) => {
                match trouble {
                    // The broker kept it all; the marker that says so takes until the next step.
                    Trouble::LinkDown if !self.drive.is_up => return self.drive.link_up(),
                    Trouble::LinkDown | Trouble::MarkersLost => self.drive.marker(),
                    Trouble::Restart => {}
                }
                self.trouble = None;
                self.learn();
                self.delay(from_ms, now_ms);
            }
            _ => {}
        }
    }

    /// What went on while we could not hear can be known only afterwards.
    fn delay(&mut self, from_ms: i64, to_ms: i64) {
        let (from, to) = (BEGAN + from_ms, BEGAN + to_ms);
        self.report.blind.push(Span { from, to: Some(to) });
        for incident in &mut self.truth {
            if incident.began_at <= to && incident.must_alert_by >= from {
                incident.delay(to - incident.began_at + CATCHING_UP_MS);
            }
        }
    }

    /// Takes over what the fleet knows by now.
    fn learn(&mut self) {
        let known = self.truth.len();
        self.truth.extend_from_slice(&self.fleet.truth()[known..]);
        for (incident, told) in self.truth.iter_mut().zip(self.fleet.truth()).filter(|(it, _)| it.ended_at.is_none()) {
            (incident.ended_at, incident.unseen) = (told.ended_at, told.unseen);
        }
    }

    fn look(&mut self, now_ms: i64) {
        for (at_ms, event) in std::mem::take(&mut self.drive.events) {
            self.hear(at_ms, &event);
        }
        if now_ms % 60_000 != 0 {
            return;
        }
        self.learn();
        self.causes.learn(&self.fleet);
        self.score.advance(&self.truth, BEGAN + now_ms);
        for alert in self.score.take_false_alerts() {
            self.explain(&alert);
        }
        if self.trouble.is_none() {
            self.dispatch(now_ms);
        }
        self.reasons.retain(|(_, _, at), _| *at >= BEGAN + (now_ms - HOUR_MS));
    }

    fn hear(&mut self, at_ms: i64, event: &AlertEvent) {
        let id = &event.alert.id;
        let (subject, rule, at) = (id.subject, id.rule.as_str(), BEGAN + at_ms);
        let is_trapped = TRAPPED_RULES.contains(&rule);
        match event.kind {
            EventKind::Opened | EventKind::Reopened => {
                self.report.opened(subject, rule, at);
                self.score.opened(subject, rule, at);
                if is_trapped {
                    self.reasons.insert((subject, rule.into(), at), event.reason);
                    self.dispatcher.opened(id.clone(), at_ms);
                }
            }
            EventKind::Cleared => {
                self.report.ended(subject, rule, at);
                self.score.cleared(subject, rule, at);
                self.dispatcher.ended(id);
            }
            _ => {}
        }
    }

    fn explain(&mut self, alert: &FalseAlert) {
        let FalseAlert { subject, rule, opened_at } = alert;
        let reason = self.reasons.get(&(*subject, rule.clone(), *opened_at)).copied();
        let cause = self.causes.of(&self.fleet, *subject, rule, opened_at.ms());
        let ours = || reason.filter(|reason| causes::is_ours(*reason)).map(|_| "we could not hear");
        self.report.false_alert(alert, cause.or_else(ours), reason);
    }

    fn dispatch(&mut self, now_ms: i64) {
        let going_on = self.truth.iter().rev().take_while(|it| BEGAN + now_ms - it.began_at < DAY_MS);
        let trapped: Vec<Subject> = going_on.filter(|it| it.ended_at.is_none()).map(|it| it.subject).collect();
        for alert in self.dispatcher.clear(now_ms, |subject| trapped.contains(&subject)) {
            self.report.cleared_by_hand += 1;
            self.ask(Action::Clear { alert, note: None });
        }
    }

    fn ask(&mut self, action: Action) {
        self.requests += 1;
        let request = format!("month-{}", self.requests).into();
        self.drive.apply(Kind::Command(Command { request, actor: Actor::local_admin(), action }), 0);
    }
}
