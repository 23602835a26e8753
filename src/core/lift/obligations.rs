//! What is due on a lift by civil days: found out anew, told where it changed, and judged.

use super::Lift;
use super::facts::ObligationFacts;
use crate::core::judge::run::Footing;
use crate::core::judge::{self, Context};
use crate::core::obligation::lift::{self as schedule, LiftFacts, OnDemand};
use crate::core::obligation::upkeep::{TOLD, Told, Upkeep};
use crate::core::obligation::{Due, Dues};
use crate::core::policy::Policy;
use crate::core::rules::{Facts, Field, Rule, Tri, Value};
use crate::limits;
use crate::model::alert::{Evidence, Severity};
use crate::model::archive::ContractKind;
use crate::model::ids::{District, Subject};
use crate::model::obligation::{DueKind, DueRow, Party};
use crate::model::row::Row;
use crate::model::time::{CivilDay, Wall};

impl Lift {
    /// Finds out what is due, tells what of it has changed, and judges the rules on it: on a new day, and whenever the
    /// archive, a record or the tables say something else.
    pub fn judge_due_dates(&mut self, cx: &mut Context<'_>, today: CivilDay) {
        self.look_after(cx, today);
        let dues = self.dues(cx.policy);
        self.tell_dues(cx, &dues, today);
        self.judge_dues(cx, &dues, today);
    }

    pub(crate) fn dues(&self, policy: &Policy) -> Dues {
        schedule::due(&policy.tables, &self.obligation_facts())
    }

    fn obligation_facts(&self) -> LiftFacts {
        let Some(entry) = &self.entry else { return LiftFacts::default() };
        let upkeep = self.upkeep.as_deref();
        let on_demand = entry.contract().and_then(|contract| match contract.kind {
            ContractKind::OnDemand { every_days } => {
                Some(OnDemand { every_days: every_days.into(), link_lost_on: upkeep.and_then(Upkeep::link_lost_on) })
            }
            ContractKind::Calendar => None,
        });
        let archived = LiftFacts {
            base_on: entry.base_on(),
            inspected_on: entry.inspected_on(),
            inspection_due: entry.inspection_due(),
            out_of_use_since: entry.out_of_use_since(),
            on_demand,
            ..LiftFacts::default()
        };
        upkeep.map_or(archived, |upkeep| upkeep.facts(archived))
    }

    /// Takes note of what follows from the archive, from the day and from its data link.
    fn look_after(&mut self, cx: &Context<'_>, today: CivilDay) {
        let Some(entry) = &self.entry else { return };
        let (contract, out_of_use_since) = (entry.contract(), entry.out_of_use_since());
        if self.upkeep.is_none() && contract.is_none() && out_of_use_since.is_none() && self.dues(cx.policy).is_empty()
        {
            return;
        }
        let is_on_demand = contract.is_some_and(|contract| contract.kind != ContractKind::Calendar);
        let lost_on = is_on_demand.then(|| self.link_lost_on(cx)).flatten();
        let upkeep = self.upkeep.get_or_insert_default();
        if upkeep.known_since.get().is_none() {
            upkeep.known_since = Some(today).into();
        }
        if let (None, Some(contract)) = (upkeep.maintained_from.get(), contract) {
            upkeep.maintained_from = Some(contract.from).into();
        }
        // From the day on which it was lost, for as long as it is.
        let known_since = upkeep.known_since.get();
        upkeep.set_link_lost_on(lost_on.and_then(|lost| upkeep.link_lost_on().or(lost).or(known_since)));
        if out_of_use_since.is_some() {
            upkeep.set_idle_since(out_of_use_since);
        } else if upkeep.idle_since().is_some() && !self.must_be_inspected(cx.policy, today) {
            // It runs again, and nothing has to come before that.
            self.upkeep_mut().set_idle_since(None);
        }
    }

    /// The day on which the data link ceased to be healthy, where it isn't; `Some(None)`: it never was.
    fn link_lost_on(&self, cx: &Context<'_>) -> Option<Option<CivilDay>> {
        let Some((heard, arrived)) = self.heard else { return Some(None) };
        let is_lost = cx.hearing.now().0 - heard.0 >= limits::LINK_LOST_MS;
        is_lost.then(|| Some(CivilDay::of(cx.books.now.wall_at(arrived), &cx.policy.zone)))
    }

    /// As rules on lifts read it: known of those that the archive has.
    pub(super) fn needs_inspection(&self, policy: &Policy, now: Wall) -> Option<bool> {
        self.entry.as_ref()?;
        // Of nearly all lifts nothing else is looked at.
        let is_idle = self.upkeep.as_ref().is_some_and(|upkeep| upkeep.idle_since().is_some());
        Some(is_idle && self.must_be_inspected(policy, CivilDay::of(now, &policy.zone)))
    }

    fn must_be_inspected(&self, policy: &Policy, today: CivilDay) -> bool {
        let idle_since = self.upkeep.as_ref().and_then(|upkeep| upkeep.idle_since());
        let facts = LiftFacts { out_of_use_since: idle_since, ..self.obligation_facts() };
        schedule::restart_needs_inspection(&policy.tables, &facts, today)
    }

    /// Tells each date that isn't as it was told last.
    fn tell_dues(&mut self, cx: &mut Context<'_>, dues: &[Due], today: CivilDay) {
        let Some(upkeep) = &self.upkeep else { return };
        let (before, (district, party)) = (upkeep.told, self.whose());
        let mut told = before;
        for (told, kind) in told.iter_mut().zip(TOLD) {
            let due = dues.iter().find(|due| due.kind == kind);
            *told = due.map_or(Told::NOTHING, |due| {
                let source = schedule::source(&cx.policy.tables, due);
                Told::of(due, source, district.as_ref(), party.as_ref())
            });
        }
        if told == before {
            return;
        }
        for ((kind, told), before) in TOLD.into_iter().zip(told).zip(before) {
            if told != before {
                let due = dues.iter().find(|due| due.kind == kind);
                let row = self.due_row(cx.policy, kind, due, today, cx.books.now.wall);
                cx.out.rows.push(Row::Due(row));
            }
        }
        self.upkeep_mut().told = told;
    }

    fn whose(&self) -> (Option<District>, Option<Party>) {
        let entry = self.entry.as_ref();
        (entry.and_then(|entry| entry.district()), entry.and_then(|entry| entry.firm()).map(Party::Firm))
    }

    fn due_row(&self, policy: &Policy, kind: DueKind, due: Option<&Due>, today: CivilDay, now: Wall) -> DueRow {
        let (district, party) = self.whose();
        DueRow {
            subject: Subject::Device(self.code),
            kind,
            due_on: due.map(|due| due.due_on),
            basis_on: due.and_then(|due| due.basis_on),
            clause: due.map(|due| schedule::words(&policy.tables, due)).unwrap_or_default(),
            district,
            party,
            recorded_on: today,
            recorded_at: now,
        }
    }

    /// When something of a kind is due, as it would be told now.
    pub fn present_due(&self, policy: &Policy, kind: DueKind, today: CivilDay, now: Wall) -> DueRow {
        let dues = self.dues(policy);
        self.due_row(policy, kind, dues.iter().find(|due| due.kind == kind), today, now)
    }

    /// All dates are told again: the store is new.
    pub fn forget_told(&mut self) {
        if let Some(upkeep) = &mut self.upkeep {
            upkeep.told = Default::default();
        }
    }

    fn judge_dues(&mut self, cx: &mut Context<'_>, dues: &[Due], today: CivilDay) {
        let policy = cx.policy;
        for ix in policy.obligation_rules() {
            let Some(rule) = self.rule(policy, *ix) else { continue };
            let number = policy.number(*ix);
            let (facts, when) = self.gravest(policy, rule, dues, today);
            if !when.is_true() && judge::find(&self.runs, number).is_none() {
                continue;
            }
            let mut inputs = judge::inputs(rule, when, &facts, &facts, cx.books.now.elapsed, false, Footing::Sound);
            // Days left until something else are no crossing.
            inputs.crossed = inputs.crossed.filter(|_| when.is_true());
            let mut evidence = judge::evidence(rule, &facts, false);
            evidence.extend(facts.due.map(due_on));
            let run = self.runs.entry(number);
            if let Some(transition) = run.step(rule, &policy.set.moments, &inputs) {
                self.carry_out(cx, *ix, transition, evidence);
                self.runs.entry(number).note_crossed(&inputs);
            }
        }
        self.runs.drop_blank();
    }

    /// What a rule says of all that is due, and of what it says so: of several, the one with the gravest consequence, then
    /// the one that is overdue for longest.
    pub(super) fn gravest<'a>(
        &'a self,
        policy: &'a Policy,
        rule: &Rule,
        dues: &[Due],
        today: CivilDay,
    ) -> (ObligationFacts<'a>, Tri) {
        let facts = |kind, due| ObligationFacts { policy, runs: &self.runs, kind, due, today };
        let all = dues.iter().map(|due| facts(due.kind, Some(due.due_on)));
        let mut all: Vec<(ObligationFacts<'_>, Tri)> = all.map(|facts| (facts, rule.when.eval(&facts))).collect();
        // Where nothing at all is known to be due, nobody knows when it is; unless the lift is out of use.
        let is_idle = self.entry.as_ref().is_some_and(|entry| entry.out_of_use_since().is_some());
        if all.is_empty() {
            let nothing = |kind| {
                let facts = facts(kind, None);
                (facts, if is_idle { Tri::False } else { rule.when.eval(&facts) })
            };
            all.extend(TOLD.map(nothing));
        }
        let rank = |(facts, when): &(ObligationFacts<'_>, Tri)| {
            let severity = if when.is_true() { judge::level(rule, facts).0 } else { Severity::Warning };
            let days_overdue = match facts.field(Field::ObligationDaysOverdue) {
                Value::Int(days) => days,
                _ => i64::MIN,
            };
            (when.is_true(), when.is_unknown(), severity, days_overdue)
        };
        let nothing = || (facts(DueKind::Inspection, None), Tri::Unknown);
        all.into_iter().reduce(|a, b| if rank(&b) > rank(&a) { b } else { a }).unwrap_or_else(nothing)
    }
}

fn due_on(day: CivilDay) -> Evidence {
    Evidence { name: "due_on".into(), value: day.to_string().into(), age_ms: None }
}

impl Lift {
    /// What is known of its obligations, to be added to. A new one has nothing told yet.
    pub fn upkeep_mut(&mut self) -> &mut Upkeep {
        self.upkeep.get_or_insert_default()
    }
}
