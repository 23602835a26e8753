//! A lift's rules, each with what it reads and why it is where it is.

use super::facts::LiftFacts;
use super::records::RecordFacts;
use super::{Lift, who};
use crate::core::explain::{
    BuiltInAlert, Clause, Clears, Explained, Explanation, NotJudged, OpenAlert, Reading as Read, Standing, Unknown,
    WhyNot,
};
use crate::core::judge::run::{Footing, Hold, Inputs, Open, Phase, Run};
use crate::core::judge::tally::Occurrence;
use crate::core::judge::{self, Context, Reading, built_in};
use crate::core::rules::{Clear, Count, Expr, Family, Field, Rule, RuleIx, RuleText, Term, Texts, Tri};
use crate::core::telemetry::heard::{Heard, Way};
use crate::model::alert::{Evidence, Title};
use crate::model::ids::{AlertId, RuleId};
use crate::model::time::{CivilDay, Wall};

impl Lift {
    pub(in crate::core) fn explain(&self, cx: &Context<'_>, today: CivilDay, texts: &Texts) -> Explanation {
        let set = &cx.policy.set;
        let all = (0..set.rules.len()).filter_map(|ix| RuleIx::try_from(ix).ok());
        let rules =
            all.filter(|ix| set.rule(*ix).family != Family::Cylinder).map(|ix| match self.rule(cx.policy, ix) {
                None => self.explain_switched_off(cx, ix, today, texts),
                Some(rule) if rule.absent.is_some() => self.explain_absence(cx, ix, rule, texts),
                Some(rule) if rule.family == Family::Obligation => self.explain_obligation(cx, ix, rule, today, texts),
                Some(rule) if rule.family == Family::Record => self.explain_record(cx, ix, rule, texts),
                Some(rule) => self.explain_rule(cx, ix, rule, texts),
            });
        Explanation {
            device: self.code,
            at: cx.books.now.wall,
            policy: cx.policy.version,
            registered: self.entry.is_some(),
            footing: self.footing_by_clock(cx),
            heard_ago_ms: self.heard.map(|(_, arrived)| (cx.books.now.elapsed - arrived).max(0)),
            keep_alive_ms: self.keep_alive_ms(&set.moments),
            is_silent: self.is_silent(cx),
            rules: rules.collect(),
            built_in: self.built_in_alerts(cx),
        }
    }

    fn explain_rule(&self, cx: &Context<'_>, ix: RuleIx, rule: &Rule, texts: &Texts) -> Explained {
        let events_from = |of_clear| self.events_from(cx.policy.number(ix), rule, None, of_clear);
        let facts = LiftFacts { events_from: events_from(false), ..self.facts(cx, None, Some(rule)) };
        let of_clear = LiftFacts { events_from: events_from(true), ..facts };
        let about = About { lift: self, cx, rule, run: self.run(cx, ix), facts: &facts, of_clear: &of_clear, texts };
        let inputs = about.inputs(self.carries(None, rule));
        let why_not = match about.run.map(|run| &run.phase) {
            Some(Phase::Open(_)) => Vec::new(),
            Some(Phase::Holding(hold)) => about.why_it_waits(hold, &inputs),
            Some(Phase::Idle) | None => about.why_it_rests(&inputs),
        };
        let waits_ms = self.waits_for_silence(rule, &facts).filter(|_| why_not == [WhyNot::ConditionFalse]);
        match waits_ms.zip(self.silent_ms(facts.heard_to)) {
            Some((absent_ms, silent_ms)) => {
                let (why_not, next) = self.not_silent(cx, silent_ms, absent_ms);
                Explained { next, ..about.explained(&inputs, why_not) }
            }
            None => about.explained(&inputs, why_not),
        }
    }

    /// For how long it must have been silent for a rule that isn't true now to become so by that alone.
    fn waits_for_silence(&self, rule: &Rule, facts: &LiftFacts<'_>) -> Option<i64> {
        let (heard, _) = self.heard?;
        let then = |ms: &i64| LiftFacts { heard_to: Heard(heard.0 + ms), ..*facts };
        rule.when.silences_ms().iter().copied().find(|ms| rule.when.eval(&then(ms)).is_true())
    }

    /// That it isn't silent for long enough, and when it will be if nothing comes.
    fn not_silent(&self, cx: &Context<'_>, silent_ms: i64, absent_ms: i64) -> (Vec<WhyNot>, Option<Wall>) {
        let mut why_not = vec![WhyNot::NotSilent { silent_ms, absent_ms }];
        if cx.hearing.way() != Way::Open || cx.hearing.is_blind(cx.books.now.elapsed) {
            why_not.push(WhyNot::Blind);
            return (why_not, None);
        }
        let due = self.heard.map(|(heard, _)| cx.hearing.elapsed_at(Heard(heard.0 + absent_ms)));
        let due = due.filter(|due| *due > cx.books.now.elapsed);
        (why_not, due.map(|due| cx.books.now.wall_at(due)))
    }

    fn explain_obligation(
        &self,
        cx: &Context<'_>,
        ix: RuleIx,
        rule: &Rule,
        today: CivilDay,
        texts: &Texts,
    ) -> Explained {
        let (facts, _) = self.gravest(cx.policy, rule, &self.dues(cx.policy), today);
        let about = About { lift: self, cx, rule, run: self.run(cx, ix), facts: &facts, of_clear: &facts, texts };
        let inputs = Inputs { footing: Footing::Sound, ..about.inputs(false) };
        let is_open = about.run.is_some_and(|run| run.open().is_some());
        let why_not = if is_open { Vec::new() } else { about.why_it_rests(&inputs) };
        about.explained(&inputs, why_not)
    }

    fn explain_record(&self, cx: &Context<'_>, ix: RuleIx, rule: &Rule, texts: &Texts) -> Explained {
        let now = cx.books.now.elapsed;
        let facts = RecordFacts { policy: cx.policy, runs: &self.runs, records: self.records.as_deref(), now };
        let about = About { lift: self, cx, rule, run: self.run(cx, ix), facts: &facts, of_clear: &facts, texts };
        let inputs = Inputs { footing: Footing::Sound, ..about.inputs(false) };
        let is_open = about.run.is_some_and(|run| run.open().is_some());
        let why_not = if is_open { Vec::new() } else { about.why_it_rests(&inputs) };
        about.explained(&inputs, why_not)
    }

    /// As it stands for other lifts, but that it is not judged.
    fn explain_switched_off(&self, cx: &Context<'_>, ix: RuleIx, today: CivilDay, texts: &Texts) -> Explained {
        let explained = match cx.policy.set.rule(ix) {
            rule if rule.absent.is_some() => self.explain_absence(cx, ix, rule, texts),
            rule if rule.family == Family::Obligation => self.explain_obligation(cx, ix, rule, today, texts),
            rule if rule.family == Family::Record => self.explain_record(cx, ix, rule, texts),
            rule => self.explain_rule(cx, ix, rule, texts),
        };
        Explained { why_not: vec![WhyNot::SwitchedOff], next: None, ..explained }
    }

    fn explain_absence(&self, cx: &Context<'_>, ix: RuleIx, rule: &Rule, texts: &Texts) -> Explained {
        let facts = self.facts(cx, None, None);
        let about = About { lift: self, cx, rule, run: self.run(cx, ix), facts: &facts, of_clear: &facts, texts };
        let inputs = about.inputs(false);
        let absent_ms = i64::from(rule.absent.unwrap_or(1)) * self.keep_alive_ms(&cx.policy.set.moments);
        let hears = cx.hearing.way() == Way::Open && !cx.hearing.is_blind(cx.books.now.elapsed);
        // Time that nothing proves yet was most likely heard as well.
        let heard_to = if hears { cx.hearing.of_arrival(cx.books.now.elapsed) } else { cx.hearing.now() };
        let silent_ms = self.heard.map(|(heard, _)| (heard_to.0 - heard.0).max(0));
        let mut why_not = about.why_disarmed();
        let mut next = None;
        match (silent_ms, inputs.when) {
            _ if about.run.is_some_and(|run| run.open().is_some()) => why_not.clear(),
            (None, _) => why_not.push(WhyNot::NotJudged(NotJudged::NeverHeard)),
            (Some(_), Tri::False) => why_not.push(WhyNot::ConditionFalse),
            (Some(_), Tri::Unknown) => why_not.push(about.unknown_because()),
            (Some(silent_ms), Tri::True) => {
                why_not.push(WhyNot::NotSilent { silent_ms, absent_ms });
                // While we are blind no time counts as heard.
                if hears {
                    let due = cx.books.now.wall + (absent_ms - silent_ms);
                    next = Some(due).filter(|due| *due > cx.books.now.wall);
                } else {
                    why_not.push(WhyNot::Blind);
                }
            }
        }
        let next = next.or_else(|| about.rearms_at());
        Explained { next, ..about.explained(&inputs, why_not) }
    }

    fn run(&self, cx: &Context<'_>, ix: RuleIx) -> Option<&Run> {
        judge::find(&self.runs, cx.policy.number(ix))
    }

    /// What is wrong with the terminal, and whatever else is open under no rule in force.
    fn built_in_alerts(&self, cx: &Context<'_>) -> Vec<BuiltInAlert> {
        let who = who(self.code, self.entry.as_ref());
        let of_run = |run: &Run| {
            let open = run.open().filter(|_| cx.policy.rule_of(run.rule).is_none())?;
            let rule = cx.books.names.get(usize::from(run.rule.0))?.clone();
            let title: Title = built_in::title_of(&rule).unwrap_or_else(built_in::title_of_changed);
            let alert = AlertId { subject: who.subject, rule, opening: run.openings };
            Some(BuiltInAlert { alert, severity: open.severity, opened_at: open.opened_at, title })
        };
        let mut alerts: Vec<BuiltInAlert> = self.runs.iter().filter_map(of_run).collect();
        alerts.sort_by(|a, b| a.alert.cmp(&b.alert));
        alerts
    }
}

/// One rule of a lift, and what it reads.
struct About<'a, F> {
    lift: &'a Lift,
    cx: &'a Context<'a>,
    rule: &'a Rule,
    run: Option<&'a Run>,
    facts: &'a F,
    /// What counts for its clear condition.
    of_clear: &'a F,
    texts: &'a Texts,
}

impl<F: Reading> About<'_, F> {
    fn inputs(&self, carried: bool) -> Inputs {
        let when = match &self.rule.count {
            Some(count) => Tri::from(self.counted(count) >= count.times),
            None => self.rule.when.eval(self.facts),
        };
        let footing = self.lift.footing_by_clock(self.cx);
        judge::inputs(self.rule, when, self.facts, self.of_clear, self.cx.books.now.elapsed, carried, footing)
    }

    fn explained(&self, inputs: &Inputs, why_not: Vec<WhyNot>) -> Explained {
        let rule = self.rule;
        let text = self.text();
        let open = self.run.and_then(Run::open);
        Explained {
            rule: rule.id.clone(),
            family: rule.family,
            title: rule.title.clone(),
            when: self.when(inputs, &text),
            suppress: rule.suppress.as_ref().map(|suppress| self.clause(self.facts, suppress, &text.suppress)),
            unless: rule.unless.iter().map(|other| (self.id(*other), self.facts.is_open(*other))).collect(),
            severity: open.map_or(inputs.severity, |open| open.severity),
            certainty: open.map_or(inputs.certainty, |open| open.certainty),
            for_ms: rule.for_ms,
            standing: self.standing(inputs, &text),
            why_not,
            next: self.next(),
        }
    }

    fn standing(&self, inputs: &Inputs, text: &RuleText) -> Standing {
        let Some(run) = self.run else { return Standing::Idle };
        match &run.phase {
            Phase::Idle => Standing::Idle,
            Phase::Holding(hold) => {
                Standing::Holding { since: self.cx.books.now.wall_at(hold.since), held_ms: self.held_ms(hold) }
            }
            Phase::Open(open) => {
                let who = who(self.lift.code, self.lift.entry.as_ref());
                Standing::Open(Box::new(OpenAlert {
                    alert: AlertId { subject: who.subject, rule: self.rule.id.clone(), opening: run.openings },
                    opened_at: open.opened_at,
                    acknowledged_by: open.acknowledged.as_ref().map(|by| by.by.clone()),
                    unproven: open.unproven,
                    clears: self.clears(open, inputs, text),
                }))
            }
        }
    }

    fn clears(&self, open: &Open, inputs: &Inputs, text: &RuleText) -> Clears {
        let since_ms = open.clear_since.map_or(0, |since| (self.cx.books.now.elapsed - since).max(0));
        let done_ms = (open.clear_done_ms + since_ms).min(self.rule.clear_for_ms);
        let when = |clause: Clause| Clears::When {
            // A frame that carries the rule's code holds it open, whatever the condition says.
            clause: Clause { is: inputs.clear, ..clause },
            done_ms,
            for_ms: self.rule.clear_for_ms,
        };
        match &self.rule.clear {
            Clear::Manual => Clears::ByHand,
            Clear::Maintained => Clears::Maintained,
            Clear::Heard => Clears::Heard,
            Clear::Quiet => Clears::Quiet { done_ms, for_ms: self.rule.clear_for_ms },
            Clear::When(clear) => when(self.clause(self.of_clear, clear, &text.clear)),
            Clear::WhenFalse => {
                let not_when = format!("!({})", text.when);
                when(self.clause(self.facts, &self.rule.when, &not_when))
            }
        }
    }

    /// Why a hold has not opened.
    fn why_it_waits(&self, hold: &Hold, inputs: &Inputs) -> Vec<WhyNot> {
        let mut why = self.why_not_by_others(inputs);
        let held_ms = self.held_ms(hold);
        if let Some(since) = hold.false_since {
            let false_ms = (self.cx.books.now.elapsed - since).max(0);
            why.insert(0, WhyNot::Flickers { false_ms, drop_ms: self.rule.drop_ms });
            return why;
        }
        if held_ms < self.rule.for_ms {
            why.insert(0, WhyNot::HoldGoesOn { held_ms, for_ms: self.rule.for_ms });
        }
        if inputs.when.is_unknown() && (held_ms < self.rule.for_ms || !self.rule.is_critical()) {
            why.push(self.unknown_because());
        }
        match inputs.footing {
            Footing::Blind if !self.rule.is_critical() => why.push(WhyNot::Blind),
            Footing::CatchingUp => why.push(self.catching_up()),
            Footing::Blind | Footing::Sound => {}
        }
        if why.is_empty() {
            why.push(WhyNot::NotJudged(NotJudged::NotLooked));
        }
        why
    }

    /// Why nothing has begun.
    fn why_it_rests(&self, inputs: &Inputs) -> Vec<WhyNot> {
        let timed_by_frames = self.rule.family == Family::Elevator;
        if timed_by_frames && self.lift.heard.is_none() {
            return vec![WhyNot::NotJudged(NotJudged::NeverHeard)];
        }
        match inputs.when {
            Tri::False => return vec![self.false_because()],
            Tri::Unknown => return vec![self.unknown_because()],
            Tri::True => {}
        }
        let disarmed = self.why_disarmed();
        if !disarmed.is_empty() {
            return disarmed;
        }
        if self.lift.policy != self.cx.policy.version {
            return vec![WhyNot::NotJudged(NotJudged::NewPolicy)];
        }
        let mut why = self.why_not_by_others(inputs);
        why.push(WhyNot::NotJudged(NotJudged::NotLooked));
        why
    }

    fn why_not_by_others(&self, inputs: &Inputs) -> Vec<WhyNot> {
        let mut why = Vec::new();
        if inputs.suppressed {
            why.push(WhyNot::Suppressed { by: self.text().suppress });
        }
        let stronger = self.rule.unless.iter().filter(|other| self.facts.is_open(**other));
        why.extend(stronger.map(|other| WhyNot::GivesWay { to: self.id(*other) }));
        why
    }

    fn why_disarmed(&self) -> Vec<WhyNot> {
        let closed = self.run.and_then(|run| run.closed.as_ref()).filter(|closed| closed.by_hand);
        let disarmed = closed.and_then(|closed| {
            let cleared_ago_ms = (self.cx.books.now.elapsed - closed.at).max(0);
            let armed_in_ms = self.cx.policy.set.moments.rearm_ms - cleared_ago_ms;
            (armed_in_ms > 0).then_some(WhyNot::Disarmed { cleared_ago_ms, armed_in_ms })
        });
        disarmed.into_iter().collect()
    }

    /// When a rule whose alert a person cleared may open again all the same.
    fn rearms_at(&self) -> Option<Wall> {
        let closed = self.run?.closed.as_ref().filter(|closed| closed.by_hand)?;
        let until = closed.at + self.cx.policy.set.moments.rearm_ms;
        (until > self.cx.books.now.elapsed).then(|| self.cx.books.now.wall_at(until))
    }

    /// How often what a counting rule counts has occurred, of whichever it has most often.
    fn counted(&self, count: &Count) -> u32 {
        let Some(tally) = self.run.map(|run| &run.tally) else { return 0 };
        let counts = |it: &&Occurrence| self.lift.judged - it.at <= count.within_ms;
        let alike =
            |one: &Occurrence| tally.0.iter().filter(counts).filter(|it| !count.each || it.term == one.term).count();
        tally.0.iter().filter(counts).map(alike).max().and_then(|most| most.try_into().ok()).unwrap_or(0)
    }

    fn when(&self, inputs: &Inputs, text: &RuleText) -> Clause {
        let clause = self.clause(self.facts, &self.rule.when, &text.when);
        if self.rule.count.is_none() {
            return clause;
        }
        let tally = self.run.map(|run| &run.tally);
        let counts = tally.map(|tally| tally.evidence(&self.rule.raising, self.cx.books.now.elapsed));
        let read = |it: Evidence| Read { name: it.name, value: it.value, age_ms: it.age_ms, unknown: None };
        Clause { is: inputs.when, values: counts.into_iter().flatten().map(read).collect(), ..clause }
    }

    fn false_because(&self) -> WhyNot {
        match &self.rule.count {
            Some(count) => {
                WhyNot::CountsOn { counted: self.counted(count), times: count.times, within_ms: count.within_ms }
            }
            None => WhyNot::ConditionFalse,
        }
    }

    fn unknown_because(&self) -> WhyNot {
        let read = self.rule.when.terms().iter().map(|term| self.read(self.facts, term));
        WhyNot::ConditionUnknown(read.filter_map(|read| Some((read.name, read.unknown?))).collect())
    }

    fn catching_up(&self) -> WhyNot {
        let ends = self.lift.catching_up.as_ref().filter(|_| self.cx.hearing.is_drained()).map(|it| it.ends());
        WhyNot::CatchingUp { wait_ms: ends.map(|at| (at - self.cx.books.now.elapsed).max(0)) }
    }

    fn held_ms(&self, hold: &Hold) -> i64 {
        (self.cx.books.now.elapsed - hold.since).max(0)
    }

    /// A deadline that has passed waits for something else than time.
    fn next(&self) -> Option<Wall> {
        let due = self.run?.deadline(self.rule, &self.cx.policy.set.moments)?;
        let waits = self.lift.catching_up.as_ref().map(|it| it.ends());
        let due = waits.map_or(due, |waits| due.max(waits));
        (due > self.cx.books.now.elapsed).then(|| self.cx.books.now.wall_at(due))
    }

    fn clause(&self, facts: &F, expr: &Expr, text: &str) -> Clause {
        let values = expr.terms().iter().map(|term| self.read(facts, term)).collect();
        Clause { text: text.into(), is: expr.eval(facts), values }
    }

    fn read(&self, facts: &F, term: &Term) -> Read {
        let (value, age_ms) = (term.value(facts), facts.age_ms(term));
        let unknown = (&*value == "unknown").then(|| match term {
            Term::Field(Field::DeviceEquipment | Field::ObligationDaysOverdue) => Unknown::NotInArchive,
            _ if self.lift.is_silent(self.cx) => Unknown::Silent,
            _ if age_ms.is_none() => Unknown::NeverReported,
            _ => Unknown::Reported,
        });
        Read { name: term.name(), value, age_ms, unknown }
    }

    fn text(&self) -> RuleText {
        self.texts.get(&self.rule.id).cloned().unwrap_or_default()
    }

    fn id(&self, ix: RuleIx) -> RuleId {
        self.cx.policy.set.rule(ix).id.clone()
    }
}
