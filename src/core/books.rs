//! Numbers that must never repeat or skip, the present moment, and the one place where alert events are made.

use crate::core::judge::built_in::Numbers;
use crate::core::judge::run::{Closed, Open, Phase, RuleNo, Run, Transition};
use crate::core::rules::{FlappingRule, StormRule};
use crate::core::storms::{Opening, Storms};
use crate::model::alert::{
    Acknowledged, Alert, AlertEvent, AlertState, Certainty, Cursor, EventKind, Evidence, Place, Reason, Severity,
    StormScope, Title,
};
use crate::model::ids::{AlertId, PlaceId, RuleId, Subject};
use crate::model::row::Effects;
use crate::model::time::{Elapsed, Wall};

/// A transition that lies further back than this when it is published is marked as delayed.
const DELAYED_MS: i64 = 5_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    pub elapsed: Elapsed,
    pub wall: Wall,
}

impl Now {
    /// The civil time of a moment in elapsed time, as the clock stands now.
    pub fn wall_at(&self, at: Elapsed) -> Wall {
        self.wall - (self.elapsed - at)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Books {
    pub epoch: u32,
    /// Of the last event.
    pub seq: u64,
    pub now: Now,
    /// Every rule there ever was, by its number.
    pub names: Vec<RuleId>,
    pub(crate) built_in: Numbers,
    pub storms: Storms,
}

/// Who an alert is about, as events show it.
pub struct Who {
    pub subject: Subject,
    pub place: Place,
    pub unregistered: bool,
    pub building: Option<PlaceId>,
    pub feeder: Option<PlaceId>,
    /// Whether people are in the car; `None`: not known, or it has none.
    pub occupied: Option<bool>,
}

impl Who {
    /// Somebody of whom nothing else is known.
    pub fn new(subject: Subject) -> Self {
        let place = Place::default();
        Self { subject, place, unregistered: false, building: None, feeder: None, occupied: None }
    }

    /// Where it is, the narrowest place first.
    fn places(&self) -> impl Iterator<Item = (StormScope, PlaceId)> {
        let district = self.place.district.and_then(|district| PlaceId::parse(district.as_str()).ok());
        let [building, feeder] = [self.building, self.feeder];
        [(StormScope::Building, building), (StormScope::Feeder, feeder), (StormScope::District, district)]
            .into_iter()
            .filter_map(|(scope, place)| Some((scope, place?)))
    }
}

/// What the rule says of its alerts.
pub struct Label<'a> {
    pub title: &'a Title,
    pub dispatch: Option<&'a str>,
    /// When they are taken for some of many; `None`: never.
    pub rules: Option<(&'a StormRule, &'a FlappingRule)>,
}

/// What people add.
#[derive(Default)]
pub struct ByHand<'a> {
    pub actor: Option<&'a str>,
    pub note: Option<&'a str>,
}

impl Books {
    pub fn new(epoch: u32) -> Self {
        Self {
            epoch,
            seq: 0,
            now: Now::default(),
            names: Vec::new(),
            built_in: Numbers::default(),
            storms: Storms::default(),
        }
    }

    /// The number of a rule; a new one gets the next.
    pub fn number(&mut self, rule: &RuleId) -> RuleNo {
        let at = self.names.iter().position(|name| name == rule).unwrap_or_else(|| {
            self.names.push(rule.clone());
            self.names.len() - 1
        });
        RuleNo(u16::try_from(at).unwrap_or(u16::MAX))
    }

    /// Carries out a transition: changes the run, and says so in an event.
    #[expect(
        clippy::too_many_arguments,
        reason = "what happened, to whom, under which rule and by whom are four things"
    )]
    pub fn carry_out(
        &mut self,
        out: &mut Effects,
        who: &Who,
        run: &mut Run,
        label: &Label<'_>,
        transition: Transition,
        evidence: Vec<Evidence>,
        by: &ByHand<'_>,
    ) {
        let (kind, reason, at) = match transition {
            Transition::Open { reopens, severity, certainty, reason, at } => {
                let kind = self.open(run, reopens, severity, certainty, reason, at);
                self.count_opening(who, run, label, at);
                (kind, reason, at)
            }
            Transition::Raise { severity, certainty, reason, at } => {
                if let Phase::Open(open) = &mut run.phase {
                    open.severity = severity;
                    open.certainty = certainty;
                }
                (EventKind::Raised, reason, at)
            }
            Transition::Clear { reason, at } => (EventKind::Cleared, reason, at),
        };
        let Phase::Open(open) = &mut run.phase else { return };
        if !evidence.is_empty() {
            open.evidence = evidence;
        }
        if kind != EventKind::Cleared {
            open.occupied = who.occupied;
        }
        let alert = self.alert(who, run.rule, run.openings, open, label);
        let cleared = kind == EventKind::Cleared;
        let at_wall = self.now.wall_at(at);
        let alert =
            if cleared { Alert { state: AlertState::Cleared, cleared_at: Some(at_wall), ..alert } } else { alert };
        if cleared {
            self.close(run, at, reason);
        }
        self.publish(out, kind, reason, at_wall, alert, by);
    }

    fn open(
        &self,
        run: &mut Run,
        reopens: bool,
        severity: Severity,
        certainty: Certainty,
        reason: Reason,
        at: Elapsed,
    ) -> EventKind {
        // What may be over sends nobody; its confirmation does.
        let unproven = matches!(reason, Reason::CatchingUp | Reason::AlreadyOver);
        let open = Open {
            severity,
            certainty,
            opened_at: self.now.wall_at(at),
            since: at,
            acknowledged: None,
            unproven,
            evidence: Vec::new(),
            clear_since: None,
            clear_done_ms: 0,
            stood_still_ms: 0,
            occupied: None,
            group: None,
            flapping: false,
            crossed: None,
        };
        match run.closed.take().filter(|_| reopens) {
            Some(closed) => {
                let Closed { severity: before, flapping, opened_at, acknowledged, group, .. } = *closed;
                let (severity, acknowledged) = (severity.max(before), acknowledged.map(|it| *it));
                let open = Open { severity, acknowledged, opened_at, group, flapping, ..open };
                run.phase = Phase::Open(Box::new(open));
                EventKind::Reopened
            }
            None => {
                run.openings += 1;
                run.phase = Phase::Open(Box::new(open));
                EventKind::Opened
            }
        }
    }

    /// Counts an alert that has just opened together with others of its lift and of other lifts.
    fn count_opening(&mut self, who: &Who, run: &mut Run, label: &Label<'_>, at: Elapsed) {
        let (mut joined, mut flaps) = (None, false);
        if let (Some((storm, flapping)), Subject::Device(lift)) = (label.rules, who.subject) {
            flaps = run.note_opening(flapping, at);
            let event = Cursor { epoch: self.epoch, seq: self.seq + 1 };
            let opening = Opening { rule: run.rule, lift, at, now: self.now, event };
            joined = self.storms.note(storm, who.places(), &opening);
        }
        if let Phase::Open(open) = &mut run.phase {
            open.flapping |= flaps;
            open.group = joined.or(open.group);
            open.group.into_iter().for_each(|group| self.storms.carry(group));
        }
    }

    /// Puts an open alert into a group, and says so.
    pub fn group(&mut self, out: &mut Effects, who: &Who, run: &mut Run, label: &Label<'_>, group: Cursor) {
        let (rule, openings) = (run.rule, run.openings);
        let Phase::Open(open) = &mut run.phase else { return };
        if open.group == Some(group) || self.storms.group(group).is_none() {
            return;
        }
        open.group.replace(group).into_iter().for_each(|before| self.storms.put_down(before));
        self.storms.carry(group);
        let alert = self.alert(who, rule, openings, open, label);
        self.publish(out, EventKind::Grouped, Reason::Storm, self.now.wall, alert, &ByHand::default());
    }

    fn close(&mut self, run: &mut Run, at: Elapsed, reason: Reason) {
        if let Phase::Open(open) = std::mem::replace(&mut run.phase, Phase::Idle) {
            let by_hand = matches!(reason, Reason::Operator | Reason::Maintained);
            self.storms.let_go(self.now.elapsed);
            open.group.into_iter().for_each(|group| self.storms.put_down(group));
            // By hand it counts from when the person did it.
            let at = if by_hand { self.now.elapsed } else { at };
            let Open { severity, flapping, opened_at, acknowledged, group, .. } = *open;
            let acknowledged = acknowledged.map(Box::new);
            run.closed = Some(Box::new(Closed { at, by_hand, severity, flapping, opened_at, acknowledged, group }));
            // Else what was counted before would open it again.
            run.tally = Default::default();
        }
    }

    /// Tells an alert as it is said to stand: another version of the core told it otherwise.
    pub fn correct(&mut self, out: &mut Effects, kind: EventKind, at: Wall, alert: Alert) {
        self.publish(out, kind, Reason::CoreChanged, at, alert, &ByHand::default());
    }

    /// Notes who has seen it. `false`: it isn't open.
    pub fn acknowledge(
        &mut self,
        out: &mut Effects,
        who: &Who,
        run: &mut Run,
        label: &Label<'_>,
        by: &ByHand<'_>,
    ) -> bool {
        let wall = self.now.wall;
        let (rule, openings) = (run.rule, run.openings);
        let Phase::Open(open) = &mut run.phase else { return false };
        open.acknowledged = Some(Acknowledged { by: by.actor.unwrap_or_default().into(), at: wall });
        let alert = self.alert(who, rule, openings, open, label);
        self.publish(out, EventKind::Acknowledged, Reason::Operator, wall, alert, by);
        true
    }

    /// An open alert, as it stands.
    pub fn alert(&self, who: &Who, rule: RuleNo, opening: u32, open: &Open, label: &Label<'_>) -> Alert {
        Alert {
            id: AlertId { subject: who.subject, rule: self.names[usize::from(rule.0)].clone(), opening },
            state: AlertState::Open,
            severity: open.severity,
            certainty: open.certainty,
            opened_at: open.opened_at,
            cleared_at: None,
            acknowledged: open.acknowledged.clone(),
            evidence: open.evidence.clone(),
            unregistered: who.unregistered,
            place: who.place.clone(),
            title: label.title.clone(),
            dispatch: label.dispatch.filter(|_| !open.unproven).map(Into::into),
            occupied: open.occupied,
            group: open.group.and_then(|group| self.storms.group(group)),
            flapping: open.flapping,
        }
    }

    fn publish(&mut self, out: &mut Effects, kind: EventKind, reason: Reason, at: Wall, alert: Alert, by: &ByHand<'_>) {
        self.seq += 1;
        out.events.push(AlertEvent {
            seq: self.seq,
            epoch: self.epoch,
            kind,
            reason,
            at,
            published_at: self.now.wall,
            delayed: self.now.wall - at > DELAYED_MS,
            actor: by.actor.map(Into::into),
            note: by.note.map(Into::into),
            alert,
        });
    }
}
