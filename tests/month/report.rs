//! What came of a life: a table, and what is wrong with it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use vigil::model::alert::Reason;
use vigil::model::ids::Subject;
use vigil::model::time::Wall;
use vigil::simulate::score::{FalseAlert, TRAPPED_RULES, Verdict};
use vigil::simulate::{Counts, Fault, Fleet, Incident, IncidentKind, NearMissKind, Score};

use crate::life::Size;

/// An open case is stale after two keep-alives of 60 s, and it takes a marker to know that they have passed.
const STALE_AFTER_MS: i64 = 135_000;
/// What is told later than this is so because its terminal could not be heard, or we could not hear; one of them is told.
const LONG_MS: i64 = 600_000;
const SILENCE: [&str; 2] = ["offline", "trapped-stale"];
/// Faults that are told one by one.
const TOLD: usize = 20;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) from: Wall,
    /// `None`: it goes on.
    pub(crate) to: Option<Wall>,
}

impl Span {
    fn meets(self, from: Wall, to: Wall) -> bool {
        self.from <= to && self.to.is_none_or(|end| end >= from)
    }
}

#[derive(Default)]
struct OfKind {
    all: usize,
    in_time: usize,
    /// Of these: an alert of that rule stood open already.
    stood_open: usize,
    unseen: usize,
    late: usize,
    missed: usize,
    waiting: usize,
    /// From the moment at which its rule can find it: of those that deliver at once while we hear, and of all.
    prompt_ms: Vec<i64>,
    worst_ms: i64,
}

pub(crate) struct Report {
    size: Size,
    pub(crate) took: Duration,
    pub(crate) blind: Vec<Span>,
    pub(crate) cleared_by_hand: u64,
    kinds: BTreeMap<IncidentKind, OfKind>,
    rules: BTreeMap<Box<str>, u64>,
    /// Of trapped alerts, trapped-stale and offline, by lift.
    spans: BTreeMap<(Subject, Box<str>), Vec<Span>>,
    causes: BTreeMap<(Box<str>, &'static str), u64>,
    near_misses: BTreeMap<&'static str, u64>,
    counts: Counts,
    /// Cases that stood open when their lift fell silent.
    stale: u64,
    faults: Vec<String>,
}

impl Report {
    pub(crate) fn new(size: Size) -> Self {
        Self {
            size,
            took: Duration::ZERO,
            blind: Vec::new(),
            cleared_by_hand: 0,
            kinds: BTreeMap::new(),
            rules: BTreeMap::new(),
            spans: BTreeMap::new(),
            causes: BTreeMap::new(),
            near_misses: BTreeMap::new(),
            counts: Counts::default(),
            stale: 0,
            faults: Vec::new(),
        }
    }

    pub(crate) fn opened(&mut self, subject: Subject, rule: &str, at: Wall) {
        *self.rules.entry(rule.into()).or_default() += 1;
        self.spans.entry((subject, rule.into())).or_default().push(Span { from: at, to: None });
    }

    pub(crate) fn ended(&mut self, subject: Subject, rule: &str, at: Wall) {
        if let Some(last) = self.spans.get_mut(&(subject, rule.into())).and_then(|spans| spans.last_mut()) {
            last.to = Some(at);
        }
    }

    pub(crate) fn false_alert(&mut self, alert: &FalseAlert, cause: Option<&'static str>, reason: Option<Reason>) {
        let FalseAlert { subject, rule, opened_at } = alert;
        if cause.is_none() {
            let reason = reason.map_or("unknown", Reason::name);
            self.faults.push(format!("{subject} has {rule} ({reason}) at {opened_at}, and nothing explains it"));
        }
        *self.causes.entry((rule.clone(), cause.unwrap_or("UNEXPLAINED"))).or_default() += 1;
    }

    fn stood(&self, subject: Subject, rule: &str, from: Wall, to: Wall) -> bool {
        self.spans.get(&(subject, rule.into())).is_some_and(|spans| spans.iter().any(|span| span.meets(from, to)))
    }

    pub(crate) fn finish(&mut self, fleet: &Fleet, truth: &[Incident], score: &Score) {
        self.counts = fleet.counts();
        let found: BTreeMap<usize, Wall> = score.found().collect();
        for verdict in [Verdict::InTime, Verdict::Late, Verdict::Missed, Verdict::Waiting] {
            for n in score.of(verdict) {
                self.judged(&truth[n], verdict, found.get(&n).copied());
            }
        }
        for near_miss in fleet.near_misses() {
            *self.near_misses.entry(near_miss.kind.name()).or_default() += 1;
            if near_miss.kind == NearMissKind::CutOff {
                self.check_stale(near_miss.subject, near_miss.began_at, near_miss.ended_at.unwrap_or(fleet.now()));
            }
        }
    }

    fn judged(&mut self, incident: &Incident, verdict: Verdict, found_at: Option<Wall>) {
        let subject = incident.subject;
        if let Some(at) = found_at.filter(|at| *at - incident.due_at() > LONG_MS) {
            let heard = !self.blind.iter().any(|blind| blind.meets(incident.began_at, at));
            if heard && !SILENCE.iter().any(|rule| self.stood(subject, rule, incident.began_at, at)) {
                self.faults.push(format!("{incident:?} was told of at {at} only, and nobody of the silence before"));
            }
        }
        let of_kind = self.kinds.entry(incident.kind).or_default();
        of_kind.all += 1;
        if let Some(delay_ms) = found_at.map(|at| at - incident.due_at()) {
            of_kind.worst_ms = of_kind.worst_ms.max(delay_ms);
            if incident.lateness_ms == 0 {
                of_kind.prompt_ms.push(delay_ms);
            }
        }
        match verdict {
            Verdict::InTime => {
                of_kind.in_time += 1;
                of_kind.stood_open += usize::from(found_at.is_none());
            }
            Verdict::Waiting => of_kind.waiting += 1,
            Verdict::Late | Verdict::Missed if incident.unseen => {
                of_kind.unseen += 1;
                let to = incident.ended_at.unwrap_or(Wall::MAX);
                if !SILENCE.iter().any(|rule| self.stood(subject, rule, incident.began_at, to)) {
                    self.faults.push(format!("{incident:?} could not be seen, and nobody was told of the silence"));
                }
            }
            Verdict::Late => {
                of_kind.late += 1;
                self.faults.push(format!("{} was found late, at {found_at:?}: {incident:?}", incident.kind.name()));
            }
            Verdict::Missed => {
                of_kind.missed += 1;
                self.faults.push(format!("{} was missed: {incident:?}", incident.kind.name()));
            }
        }
    }

    /// A case that stands open while its lift can't be heard is told to be stale.
    fn check_stale(&mut self, subject: Subject, from: Wall, to: Wall) {
        let told_by = from + STALE_AFTER_MS;
        let stands = |rule: &&str| {
            let spans = self.spans.get(&(subject, (**rule).into())).into_iter().flatten();
            spans.into_iter().any(|span| span.from <= from && span.to.is_none_or(|end| end > told_by))
        };
        // Absence stands still while we can't hear.
        let heard = !self.blind.iter().any(|blind| blind.meets(from, told_by));
        if told_by >= to || !heard || !TRAPPED_RULES.iter().any(stands) {
            return;
        }
        self.stale += 1;
        if !self.stood(subject, "trapped-stale", from, told_by) {
            self.faults
                .push(format!("{subject} fell silent at {from} with an open case, and trapped-stale didn't open"));
        }
    }

    /// Entrapments of this kind that no alert found in time although it could.
    pub(crate) fn not_in_time(&self, kind: IncidentKind) -> usize {
        self.kinds.get(&kind).map_or(0, |it| it.late + it.missed)
    }

    pub(crate) fn faults(&self) -> &[String] {
        &self.faults[..self.faults.len().min(TOLD)]
    }

    /// Whether all of it was tried.
    pub(crate) fn is_eventful(&self) -> bool {
        let trapped = IncidentKind::ALL.into_iter().filter(|kind| kind.is_entrapment());
        let all_kinds = trapped.clone().all(|kind| self.kinds.get(&kind).is_some_and(|it| it.in_time > 3));
        let all_faults = Fault::ALL.into_iter().all(|fault| self.counts.of(fault) > 0);
        let all_causes = ["long-idler", "ghost", "fire", "cut-off", "seen-in-passing", "never-cleared"];
        let all_causes = all_causes.iter().all(|cause| self.near_misses.contains_key(cause));
        all_kinds && all_faults && all_causes && self.stale > 0 && self.blind.len() > 2 && !self.causes.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Size { lifts, days, seed, .. } = self.size;
        let took_s = self.took.as_secs_f64();
        let frames = self.counts.frames;
        writeln!(
            f,
            "{lifts} lifts for {days} days (seed {seed}) in {took_s:.1} s: {:.0} days of a lift a second, \
             {frames} frames, {:.0}/s; we could not hear {} times; {} alerts cleared by hand",
            f64::from(lifts) * f64::from(days) / took_s,
            frames as f64 / took_s,
            self.blind.len(),
            self.cleared_by_hand,
        )?;
        let faults = Fault::ALL.map(|fault| format!("{} {}", self.counts.of(fault), fault.name()));
        writeln!(f, "faults: {}", faults.join(", "))?;
        let odd: Vec<String> = self.near_misses.iter().map(|(name, n)| format!("{n} {name}")).collect();
        writeln!(f, "near misses: {}\n", odd.join(", "))?;
        writeln!(
            f,
            "{:<16}{:>8}{:>8}{:>12}{:>8}{:>8}{:>8}{:>9}{:>12}{:>12}",
            "entrapments", "all", "in time", "stood open", "unseen", "late", "missed", "not due", "p50 prompt", "worst"
        )?;
        for (kind, it) in &self.kinds {
            let mut prompt_ms = it.prompt_ms.clone();
            prompt_ms.sort_unstable();
            let p50_ms = prompt_ms.get(prompt_ms.len() / 2).copied().unwrap_or_default();
            writeln!(
                f,
                "{:<16}{:>8}{:>8}{:>12}{:>8}{:>8}{:>8}{:>9}{:>10} s{:>10} s",
                kind.name(),
                it.all,
                it.in_time,
                it.stood_open,
                it.unseen,
                it.late,
                it.missed,
                it.waiting,
                p50_ms as f64 / 1e3,
                it.worst_ms as f64 / 1e3
            )?;
            let worst_prompt = prompt_ms.last().copied().unwrap_or_default();
            writeln!(f, "{:<16}{:>87} s", "", format!("worst prompt {}", worst_prompt as f64 / 1e3))?;
        }
        writeln!(
            f,
            "\nopen cases whose lift fell silent, all told by trapped-stale unless a fault says otherwise: {}",
            self.stale
        )?;
        writeln!(f, "\nalerts by rule, and those of them that nobody was trapped for:")?;
        for (rule, n) in &self.rules {
            let of_rule: Vec<String> = self
                .causes
                .iter()
                .filter(|((of, _), _)| of == rule)
                .map(|((_, cause), n)| format!("{n} {cause}"))
                .collect();
            writeln!(f, "{rule:<24}{n:>8}  {}", of_rule.join(", "))?;
        }
        for fault in self.faults() {
            writeln!(f, "WRONG: {fault}")?;
        }
        Ok(())
    }
}
