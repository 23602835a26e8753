//! Holds the alerts that were raised against what really happened, as it goes.
//!
//! An incident is found **in time** when an alert of one of the rules that it [accepts](Incident::accepts), about its
//! subject, opened from its beginning up to `must_alert_by`, both included, or stood open when it began: whoever watches
//! has that alert before them, and a rule has one open alert for a subject at most. It is **missed** once
//! `must_alert_by` has passed without one, and moves from there to **late** if such an alert opens before the incident
//! has ended (as below). Until one of these it is **waiting**.
//!
//! An alert is **false** when it opened at a time at which nothing explains it: a trapped alert is explained by any
//! entrapment of its lift, a cylinder's alert only by an incident that accepts its rule. An incident explains from its
//! beginning until [`JUST_ENDED_MS`] and its terminal's lateness after its end. Alerts of other rules are not judged:
//! lost power, silence and the like are raised by design. Times are compared with a leeway of [`SKEW_MS`].

use std::collections::{BTreeMap, BTreeSet};

use super::truth::{Incident, TOLERANCE_MS};
use crate::limits;
use crate::model::ids::Subject;
use crate::model::time::Wall;

/// The rules that say that somebody is trapped. trapped-stale is none: it says so of a case that another one opened.
pub const TRAPPED_RULES: [&str; 5] =
    ["trapped-out-of-zone", "trapped-in-zone", "trapped-in-zone-quiet", "trapped-reported", "trapped-alarm"];
pub const CYLINDER_RULES: [&str; 2] = ["cylinder-overdue", "cylinder-unregistered"];
/// How long an incident explains alerts after it has ended: what was under way when the door opened.
pub const JUST_ENDED_MS: i64 = TOLERANCE_MS;
/// The fleet and the service round their times each for itself.
pub const SKEW_MS: i64 = 1_000;

/// The sum so far. `in_time + late + missed + waiting == incidents`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    pub incidents: usize,
    pub in_time: usize,
    pub late: usize,
    pub missed: usize,
    /// Begun, not found, and not yet due.
    pub waiting: usize,
    /// Entrapments that go on.
    pub open: usize,
    pub false_alerts: usize,
}

/// An alert that nothing explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FalseAlert {
    pub subject: Subject,
    pub rule: Box<str>,
    pub opened_at: Wall,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Waiting,
    InTime,
    Late,
    Missed,
}

#[derive(Debug)]
struct Heard {
    subject: Subject,
    rule: Box<str>,
    at: Wall,
    opened: bool,
}

#[derive(Debug, Default)]
pub struct Score {
    /// By their place in the truth.
    verdicts: Vec<Verdict>,
    /// When the alert opened that found it, unless one stood open already.
    found_at: BTreeMap<usize, Wall>,
    waiting: BTreeSet<usize>,
    going_on: BTreeSet<usize>,
    by_subject: BTreeMap<Subject, Vec<usize>>,
    /// Alerts that stand open.
    standing: BTreeMap<Subject, BTreeSet<Box<str>>>,
    /// What was heard and is not judged yet, because the truth of its time is not complete.
    heard: Vec<Heard>,
    false_named: Vec<FalseAlert>,
    false_count: usize,
}

impl Score {
    /// An alert stands open from before the beginning. Nobody asks what explains it.
    pub fn stands(&mut self, subject: Subject, rule: &str) {
        self.standing.entry(subject).or_default().insert(rule.into());
    }

    /// One that stood open from before the beginning no longer does.
    pub fn falls(&mut self, subject: Subject, rule: &str) {
        if let Some(rules) = self.standing.get_mut(&subject) {
            rules.remove(rule);
        }
    }

    /// An alert opened, or opened again.
    pub fn opened(&mut self, subject: Subject, rule: &str, at: Wall) {
        self.hear(subject, rule, at, true);
    }

    pub fn cleared(&mut self, subject: Subject, rule: &str, at: Wall) {
        self.hear(subject, rule, at, false);
    }

    fn hear(&mut self, subject: Subject, rule: &str, at: Wall, opened: bool) {
        if TRAPPED_RULES.contains(&rule) || CYLINDER_RULES.contains(&rule) {
            self.heard.push(Heard { subject, rule: rule.into(), at, opened });
        }
    }

    /// Judges all that happened up to `now`. `truth` is always the same fleet's, complete up to `now`, and all that
    /// opened before `now` has been said; what is said later still turns missed incidents into found ones.
    pub fn advance(&mut self, truth: &[Incident], now: Wall) {
        let mut heard = std::mem::take(&mut self.heard);
        // An incident that explains it may begin a little later by the fleet's clock.
        let (mut heard, later) = heard.drain(..).partition::<Vec<_>, _>(|heard| heard.at + SKEW_MS <= now);
        self.heard = later;
        heard.sort_by_key(|heard| heard.at);
        let begun = self.verdicts.len();
        let mut new = truth.iter().enumerate().skip(begun).peekable();
        for heard in heard {
            while let Some((n, incident)) = new.next_if(|(_, incident)| incident.began_at <= heard.at + SKEW_MS) {
                self.begin(n, incident);
            }
            self.judge(heard, truth);
        }
        for (n, incident) in new {
            self.begin(n, incident);
        }
        let overdue: Vec<usize> =
            self.waiting.iter().copied().filter(|n| truth.get(*n).is_some_and(|i| i.must_alert_by < now)).collect();
        for n in overdue {
            self.set(n, Verdict::Missed);
        }
        self.going_on.retain(|n| truth.get(*n).is_some_and(|incident| incident.ended_at.is_none_or(|end| end > now)));
    }

    fn begin(&mut self, n: usize, incident: &Incident) {
        let stands = self.standing.get(&incident.subject);
        let found = stands.is_some_and(|rules| rules.iter().any(|rule| incident.accepts(rule)));
        self.verdicts.push(Verdict::Waiting);
        self.waiting.insert(n);
        if found {
            self.set(n, Verdict::InTime);
        }
        if incident.kind.is_entrapment() {
            self.going_on.insert(n);
        }
        self.by_subject.entry(incident.subject).or_default().push(n);
    }

    fn judge(&mut self, heard: Heard, truth: &[Incident]) {
        let Heard { subject, rule, at, opened } = heard;
        if !opened {
            if let Some(rules) = self.standing.get_mut(&subject) {
                rules.remove(&rule);
            }
            return;
        }
        let mut explained = false;
        for n in self.by_subject.get(&subject).cloned().unwrap_or_default() {
            let incident = &truth[n];
            let accepted = incident.accepts(&rule);
            let of_its_kind = incident.kind.is_entrapment() && TRAPPED_RULES.contains(&&*rule);
            if !(accepted || of_its_kind) || !stands_at(incident, at) {
                continue;
            }
            explained = true;
            if accepted && matches!(self.verdicts[n], Verdict::Waiting | Verdict::Missed) {
                let in_time = at <= incident.must_alert_by + SKEW_MS;
                self.set(n, if in_time { Verdict::InTime } else { Verdict::Late });
                self.found_at.insert(n, at);
            }
        }
        if !explained {
            self.false_count += 1;
            if self.false_named.len() < limits::SCORE_FALSE_NAMED {
                self.false_named.push(FalseAlert { subject, rule: rule.clone(), opened_at: at });
            }
        }
        self.standing.entry(subject).or_default().insert(rule);
    }

    fn set(&mut self, n: usize, verdict: Verdict) {
        self.verdicts[n] = verdict;
        self.waiting.remove(&n);
    }

    pub fn tally(&self) -> Tally {
        let count = |wanted| self.verdicts.iter().filter(|verdict| **verdict == wanted).count();
        Tally {
            incidents: self.verdicts.len(),
            in_time: count(Verdict::InTime),
            late: count(Verdict::Late),
            missed: count(Verdict::Missed),
            waiting: count(Verdict::Waiting),
            open: self.going_on.len(),
            false_alerts: self.false_count,
        }
    }

    /// The places in the truth of the incidents that were missed, ascending.
    pub fn missed(&self) -> impl Iterator<Item = usize> {
        self.of(Verdict::Missed)
    }

    /// The places in the truth of the incidents of this verdict, ascending.
    pub fn of(&self, wanted: Verdict) -> impl Iterator<Item = usize> {
        self.verdicts.iter().enumerate().filter(move |(_, verdict)| **verdict == wanted).map(|(n, _)| n)
    }

    /// The places in the truth of the incidents that an alert found when it opened, ascending, and when it did.
    pub fn found(&self) -> impl Iterator<Item = (usize, Wall)> {
        self.found_at.iter().map(|(n, at)| (*n, *at))
    }

    /// Those that were judged since the last call and are named; each is handed out once.
    pub fn take_false_alerts(&mut self) -> Vec<FalseAlert> {
        std::mem::take(&mut self.false_named)
    }

    /// The first `limits::SCORE_FALSE_NAMED` of them, as they were judged.
    pub fn false_alerts(&self) -> &[FalseAlert] {
        &self.false_named
    }
}

/// Whether an incident explains what opened at that time.
fn stands_at(incident: &Incident, at: Wall) -> bool {
    let until = incident.ended_at.map_or(Wall::MAX, |end| end + (JUST_ENDED_MS + incident.lateness_ms));
    incident.began_at <= at + SKEW_MS && at <= until + SKEW_MS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::DeviceCode;
    use crate::simulate::IncidentKind;

    fn lift(n: u32) -> Subject {
        Subject::Device(DeviceCode::parse(&format!("{n:020}")).unwrap())
    }

    /// One entrapment between floors of lift 1, from 100 s to 200 s, so that the alert is due by 140 s.
    fn incident() -> Incident {
        let mut incident = Incident::new(lift(1), IncidentKind::BetweenFloors, Wall(100_000), 0);
        incident.ended_at = Some(Wall(200_000));
        incident
    }

    /// Flow: alerts (lift, rule, opened s, cleared s) against that one incident, told as they come, until 300 s.
    /// Asserts: in time, late, missed, false.
    fn check(alerts: &[(u32, &str, i64, Option<i64>)], want: [usize; 4]) {
        let mut score = Score::default();
        for now_s in 1..=300 {
            for (n, rule, opened_s, cleared_s) in alerts {
                if *opened_s == now_s {
                    score.opened(lift(*n), rule, Wall(now_s * 1_000));
                }
                if *cleared_s == Some(now_s) {
                    score.cleared(lift(*n), rule, Wall(now_s * 1_000));
                }
            }
            let mut truth = if now_s >= 100 { vec![incident()] } else { vec![] };
            if let Some(incident) = truth.first_mut().filter(|_| now_s < 200) {
                incident.ended_at = None;
            }
            score.advance(&truth, Wall(now_s * 1_000));
            let tally = score.tally();
            assert_eq!(tally.incidents, tally.in_time + tally.late + tally.missed + tally.waiting);
            assert_eq!(tally.open, usize::from((100..200).contains(&now_s)), "at {now_s} s");
        }
        let tally = score.tally();
        assert_eq!([tally.in_time, tally.late, tally.missed, tally.false_alerts], want, "{alerts:?}");
        assert_eq!(score.missed().count(), tally.missed);
        assert_eq!(score.false_alerts().len(), tally.false_alerts);
    }

    #[test]
    fn an_incident_is_found_in_time_late_or_never() {
        const RULE: &str = "trapped-out-of-zone";
        check(&[], [0, 0, 1, 0]);
        check(&[(1, RULE, 130, None)], [1, 0, 0, 0]);
        check(&[(1, RULE, 140, None)], [1, 0, 0, 0]);
        check(&[(1, RULE, 142, None)], [0, 1, 0, 0]);
        check(&[(1, RULE, 210, None)], [0, 1, 0, 0]);
        // Long after its end it is too late, and false.
        check(&[(1, RULE, 212, None)], [0, 0, 1, 1]);
        // Another lift's alert, or another rule's, finds nothing.
        check(&[(2, RULE, 130, None)], [0, 0, 1, 1]);
        check(&[(1, "trapped-alarm", 130, None)], [0, 0, 1, 0]);
        check(&[(1, "offline", 130, None)], [0, 0, 1, 0]);
    }

    #[test]
    fn an_alert_before_the_incident_is_false_and_counts_if_it_stands() {
        const RULE: &str = "trapped-out-of-zone";
        check(&[(1, RULE, 90, None)], [1, 0, 0, 1]);
        check(&[(1, RULE, 90, Some(95))], [0, 0, 1, 1]);
        check(&[(1, RULE, 90, Some(95)), (1, RULE, 130, None)], [1, 0, 0, 1]);
        // Rounding alone makes nothing false.
        check(&[(1, RULE, 99, None)], [1, 0, 0, 0]);
    }

    #[test]
    fn what_is_said_late_still_counts_by_its_own_time() {
        let mut score = Score::default();
        score.advance(&[incident()], Wall(190_000));
        assert_eq!(score.tally().missed, 1);
        score.opened(lift(1), "trapped-out-of-zone", Wall(135_000));
        score.advance(&[incident()], Wall(191_000));
        assert_eq!((score.tally().missed, score.tally().in_time), (0, 1));
    }
}
