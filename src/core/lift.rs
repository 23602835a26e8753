//! One lift or escalator: its telemetry, its rules, its timers.

mod counted;
mod explain;
mod facts;
mod obligations;
mod overridden;
mod past;
mod records;
mod silence;
mod told;
mod who;

use self::facts::LiftFacts;
use self::who::who;
use crate::core::books::ByHand;
use crate::core::judge::run::{Closed, Footing, Phase, RuleNo, Transition, Wait};
use crate::core::judge::runs::Runs;
use crate::core::judge::{self, Context, Reading};
use crate::core::kept::KeptLift;
use crate::core::maintenance::records::Records;
use crate::core::obligation::upkeep::Upkeep;
use crate::core::policy::Policy;
use crate::core::rules::{Clear, Facts, Family, Field, Moments, Reach, Reads, Rule, RuleIx, Term, Tri, Value};
use crate::core::telemetry::heard::Heard;
use crate::core::telemetry::offset::{self, Offset};
use crate::core::telemetry::order::{Order, Verdict};
use crate::core::telemetry::registers::{self, Came, Registers, Stamp, Wanted};
use crate::model::alert::{Evidence, Reason};
use crate::model::frame::Frame;
use crate::model::ids::DeviceCode;
use crate::model::row::{self, FrameRow, Row, TimeSource};
use crate::model::time::{CivilDay, Elapsed, Wall};

/// A device that is catching up is waited for until this long after its last frame …
const CATCH_UP_QUIET_MS: i64 = 2_000;
/// … but no longer than this in all.
const CATCH_UP_MAX_MS: i64 = 15_000;
/// Fields that are missing for this long are taken to be never reported.
const NEVER_REPORTED_AFTER_MS: i64 = 10 * 60_000;
/// How much a frame that can't be read in part, or one that can, counts towards `unreadable`.
const UNREADABLE: (u8, u8) = (4, 1);
const UNREADABLE_AT: u8 = 12;
const UNREADABLE_MAX: u8 = 24;

#[derive(Debug, Clone, PartialEq)]
pub struct Lift {
    pub code: DeviceCode,
    pub entry: Option<KeptLift>,
    pub(crate) order: Order,
    pub(crate) offset: Offset,
    pub(crate) registers: Registers,
    /// How far it has been judged. Never steps back.
    pub(crate) judged: Elapsed,
    /// When its last frame arrived, in heard time, and in elapsed time.
    pub(crate) heard: Option<(Heard, Elapsed)>,
    /// Absence rules that fell due up to here have been judged.
    pub(crate) absence_judged_to: Heard,
    /// When its first frame arrived.
    pub(crate) first_heard: Option<Elapsed>,
    /// Of few at a time.
    pub(crate) catching_up: Option<Box<CatchingUp>>,
    /// By rule number, ascending.
    pub(crate) runs: Runs,
    /// The version of the policy that its runs follow.
    pub(crate) policy: u32,
    pub(crate) unreadable: u8,
    /// Whether every field that critical rules need has been seen to be reported, under this policy version.
    pub(crate) sighted_in: Option<u32>,
    /// What the source profile states by which it reported last; 0: it never did by one.
    pub(crate) feed_keep_alive_s: u16,
    /// What it last said of its own connection.
    pub(crate) online: Option<bool>,
    /// Of one of which something is due or done.
    pub(crate) upkeep: Option<Box<Upkeep>>,
    /// Of the overrides of the policy that its runs follow. Follows from these and its archive entry.
    pub(crate) reach: Reach,
    /// Of its maintenance; `None`: there are none.
    pub(crate) records: Option<Box<Records>>,
}

// A city has many, and judging a frame touches most of it. `tests/footprint.rs` counts what belongs to it beside.
const _: () = assert!(size_of::<Lift>() <= 512);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatchingUp {
    pub since: Elapsed,
    pub last_arrival: Elapsed,
}

impl CatchingUp {
    fn ends(&self) -> Elapsed {
        (self.last_arrival + CATCH_UP_QUIET_MS).min(self.since + CATCH_UP_MAX_MS)
    }
}

/// A frame as it arrived.
pub struct Arrival {
    pub elapsed: Elapsed,
    pub wall: Wall,
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Took {
    Newer,
    Late,
    VeryLate,
    Repeat,
}

impl Lift {
    pub fn new(code: DeviceCode, policy: u32) -> Self {
        Self {
            code,
            entry: None,
            order: Order::default(),
            offset: Offset::default(),
            registers: Registers::default(),
            judged: Elapsed::default(),
            heard: None,
            absence_judged_to: Heard::default(),
            first_heard: None,
            catching_up: None,
            runs: Runs::new(),
            policy,
            unreadable: 0,
            sighted_in: None,
            feed_keep_alive_s: 0,
            online: None,
            upkeep: None,
            reach: Reach::NONE,
            records: None,
        }
    }

    pub fn keep_alive_ms(&self, moments: &Moments) -> i64 {
        let own = self.entry.as_ref().and_then(KeptLift::keep_alive_s);
        let stated = (self.feed_keep_alive_s > 0).then(|| self.feed_keep_alive_s.into());
        own.or(stated).map_or(moments.keep_alive_ms, |s| i64::from(s.max(1)) * 1_000)
    }

    /// Takes a frame: its order, its time, what was due before it, its values, and what follows from them.
    pub fn take(&mut self, cx: &mut Context<'_>, frame: Frame, arrival: &Arrival) -> Took {
        let keep_alive_ms = self.keep_alive_ms(&cx.policy.set.moments);
        let was_broken = self.order.is_broken();
        let verdict = self.order.take(frame.key, frame.claimed_at, arrival.elapsed, keep_alive_ms);
        self.say_order(cx, was_broken);
        let took = match verdict {
            Verdict::Repeat => return Took::Repeat,
            Verdict::VeryLate => Took::VeryLate,
            Verdict::Newer { .. } => Took::Newer,
            Verdict::Late => Took::Late,
        };
        if took != Took::VeryLate {
            self.judge_frame(cx, &frame, arrival, took == Took::Newer);
        }
        let (effective_at, time_source) = effective(frame.claimed_at, arrival.wall);
        // Made where it is to stand: a frame is large, and each move of it a copy.
        cx.out.rows.push(Row::Frame(FrameRow {
            device: self.code,
            generation: self.order.generation(),
            frame,
            received_at: arrival.wall,
            effective_at,
            time_source,
            order: row_order(took),
        }));
        took
    }

    /// Another terminal reports from here on. The generations of before and of now.
    pub fn replace_terminal(&mut self, cx: &mut Context<'_>) -> (u32, u32) {
        let (before, was_broken) = (self.order.generation(), self.order.is_broken());
        self.order.replace();
        self.say_order(cx, was_broken);
        (before, self.order.generation())
    }

    fn judge_frame(&mut self, cx: &mut Context<'_>, frame: &Frame, arrival: &Arrival, newer: bool) {
        let drained = cx.hearing.is_drained();
        let late_ms = if newer {
            self.offset.lateness_ms(frame.claimed_at, arrival.wall, arrival.elapsed, drained)
        } else {
            self.offset.lateness_of_late_ms(frame.claimed_at, arrival.wall, arrival.elapsed)
        };
        let judged = if newer { self.judged.max(arrival.elapsed - late_ms).min(arrival.elapsed) } else { self.judged };
        if newer {
            self.note_lateness(late_ms, arrival.elapsed);
        }
        // What fell due before this frame was seen fell due without it; in a backlog it may be over since.
        let before = if self.catching_up.is_some() { Footing::CatchingUp } else { self.footing_by_clock(cx) };
        let passed_ms = judged - self.judged;
        self.fire_until(cx, judged, before);
        self.judged = judged;
        self.stand_still(cx, arrival.elapsed, passed_ms, true);
        let (was_silent, speaks_up) = (self.is_silent(cx), self.has_silence_counted(cx));
        self.hear(cx, arrival.elapsed);
        self.forget(cx.policy);
        let stamp = Stamp::new(self.order.generation(), frame.key);
        let moments = &cx.policy.set.moments;
        // However old, what is in order is how things went; what comes behind newer frames counts only while it is fresh.
        let came = match newer {
            true => Came::InOrder,
            false if late_ms < moments.late_codes_ms => Came::Late,
            false => Came::Stale,
        };
        let wanted = Wanted { extras: &cx.policy.set.extras, windows: &cx.policy.set.windows };
        let mut taken = self.registers.take(frame, stamp, judged, came, moments, wanted);
        if !taken.occurred.is_empty() && self.count(cx, &taken.occurred) {
            taken.changed |= Reads::COUNTED;
        }
        if speaks_up {
            taken.changed |= Reads::field(Field::SilentS);
        }
        // After a long silence all that was known is known again.
        let changed = if was_silent || self.is_unsettled(cx.policy) { ALL } else { taken.changed };
        self.judge(cx, changed, Some(frame), self.footing_of_frame());
        if !taken.over.is_empty() {
            self.raise_what_is_over(cx, &taken.over, arrival.elapsed - late_ms);
        }
        self.say_telemetry(cx, frame, arrival);
    }

    fn note_lateness(&mut self, late_ms: i64, now: Elapsed) {
        self.catching_up = (late_ms > offset::LATE_MS).then(|| {
            // A backlog that comes after a pause is another one: what it still holds is waited for anew.
            let going_on = self.catching_up.as_ref().filter(|catching_up| catching_up.ends() > now);
            let since = going_on.map_or(now, |catching_up| catching_up.since);
            CatchingUp { since, last_arrival: now }.into()
        });
    }

    fn footing_of_frame(&self) -> Footing {
        if self.catching_up.is_some() { Footing::CatchingUp } else { Footing::Sound }
    }

    /// Notes that it was heard: silence begins anew, and absence rules clear.
    fn hear(&mut self, cx: &mut Context<'_>, now: Elapsed) {
        self.heard = Some((cx.hearing.of_arrival(now), now));
        self.first_heard.get_or_insert(now);
        if self.runs.is_empty() {
            return;
        }
        for ix in cx.policy.absence_rules() {
            let number = cx.policy.number(*ix);
            let Some(run) = self.runs.iter().position(|run| run.rule == number) else { continue };
            let within_ms = cx.policy.set.moments.reopen_within_ms;
            // Silence that comes back soon is the same alert; one that a person cleared is armed again at once.
            let is_kept = |closed: &Closed| !closed.by_hand && now - closed.at <= within_ms;
            if self.runs[run].closed.as_deref().is_some_and(|closed| !is_kept(closed)) {
                self.runs[run].closed = None;
            }
            if self.runs[run].open().is_some() {
                let clear = Transition::Clear { reason: Reason::Heard, at: now };
                self.carry_out(cx, *ix, clear, Vec::new());
            }
        }
    }

    /// Judges every rule that reads something that changed, in the order in which they depend on each other.
    pub fn judge(&mut self, cx: &mut Context<'_>, changed: Reads, frame: Option<&Frame>, footing: Footing) {
        let mut changed = changed;
        let policy = cx.policy;
        let is_silent = self.is_silent(cx);
        for ix in policy.lift_rules() {
            let is_touched = policy.begins_by(*ix).touches(changed)
                || policy.reads(*ix).touches(changed) && judge::find(&self.runs, policy.number(*ix)).is_some();
            if is_touched && self.judge_rule(cx, *ix, frame, is_silent, footing) {
                changed |= Reads::OPEN;
            }
        }
        if changed.touches(Reads::OPEN) {
            self.judge_absence(cx);
        }
    }

    /// Whether the rule opened or cleared.
    fn judge_rule(
        &mut self,
        cx: &mut Context<'_>,
        ix: RuleIx,
        frame: Option<&Frame>,
        is_silent: bool,
        footing: Footing,
    ) -> bool {
        let policy = cx.policy;
        let Some(rule) = self.rule(policy, ix) else { return false };
        let number = policy.number(ix);
        let now = cx.books.now.elapsed;
        let counted = rule.count.as_ref().map(|count| {
            let run = self.runs.iter_mut().find(|run| run.rule == number);
            // What has opened it stays counted: it is confirmed even where the first of them is too old by then.
            Tri::from(run.is_some_and(|run| run.has_counted(count, self.judged) || run.open().is_some()))
        });
        // A late frame shows nothing of the present: what a newer one lists it can't clear.
        let shown = frame.filter(|frame| self.order.newest() == Some(frame.key));
        let events_from = self.events_from(number, rule, frame, false);
        let wall = cx.books.now.wall;
        let facts = LiftFacts {
            lift: self,
            policy,
            is_silent,
            heard_to: self.silence_judged_to(cx),
            now,
            wall,
            frame: shown,
            rule: Some(rule),
            over: &[],
            events_from,
        };
        let when = counted.unwrap_or_else(|| rule.when.eval(&facts));
        // Most rules of most lifts are at rest: there is nothing to remember and nothing begins.
        if !when.is_true() && judge::find(&self.runs, number).is_none() {
            return false;
        }
        let of_clear = LiftFacts { events_from: self.events_from(number, rule, frame, true), ..facts };
        let carried = self.carries(shown, rule);
        let inputs = judge::inputs(rule, when, &facts, &of_clear, self.judged, carried, footing);
        let run = self.runs.entry(number);
        let Some(transition) = run.step(rule, &policy.set.moments, &inputs) else {
            if run.is_blank() {
                self.runs.drop_blank();
            }
            return false;
        };
        let of_clear = matches!(transition, Transition::Clear { .. });
        let evidence = self.evidence(cx, ix, rule, frame, of_clear);
        self.carry_out(cx, ix, transition, evidence);
        let run = self.runs.entry(number);
        if rule.clear == Clear::Quiet {
            run.begin_quiet();
        }
        if matches!(transition, Transition::Clear { reason: Reason::Superseded, .. }) {
            // It is held anew from here on, not from when something else has it looked at.
            let waits = run.step(rule, &policy.set.moments, &inputs);
            debug_assert_eq!(waits, None, "the stronger one is open");
        }
        true
    }

    /// From when on events count for a rule. What the frame at hand brings is new, even if the rule cleared at the same
    /// moment, or the frame is late.
    fn events_from(&self, number: RuleNo, rule: &Rule, frame: Option<&Frame>, of_clear: bool) -> Elapsed {
        if !self.registers.has_lingering() {
            return ALL_EVENTS;
        }
        let from = judge::find(&self.runs, number).and_then(|run| run.events_from(of_clear)).unwrap_or(ALL_EVENTS);
        let is_new = frame.is_some_and(|frame| registers::brings_event(frame, &rule.raising));
        if is_new { from.min(self.judged) } else { from }
    }

    /// Whether a code that the rule waits for is there: in the frame at hand, or listed before and not over since, as it is
    /// between frames and in a frame that doesn't list everything. Unless the frame says by a code of its own that it is over.
    fn carries(&self, frame: Option<&Frame>, rule: &Rule) -> bool {
        let brings = |terms| frame.is_some_and(|frame| registers::carries(frame, terms));
        let ends = || matches!(&rule.clear, Clear::When(clear) if brings(clear.raising()));
        brings(&rule.raising) || self.registers.lists(&rule.raising) && !ends()
    }

    fn evidence(
        &self,
        cx: &Context<'_>,
        ix: RuleIx,
        rule: &Rule,
        frame: Option<&Frame>,
        of_clear: bool,
    ) -> Vec<Evidence> {
        let number = cx.policy.number(ix);
        let events_from = self.events_from(number, rule, frame, of_clear);
        let facts = LiftFacts { events_from, ..self.facts(cx, frame, Some(rule)) };
        let run = judge::find(&self.runs, number).filter(|_| rule.count.is_some() && !of_clear);
        let mut evidence = match run.map(|run| &run.tally).filter(|tally| !tally.is_empty()) {
            Some(tally) => {
                let mut evidence = tally.evidence(&rule.raising, cx.books.now.elapsed);
                evidence.extend(judge::causes(rule, &facts));
                evidence
            }
            None => judge::evidence(rule, &facts, of_clear),
        };
        // Wherever it is stuck, people are sent to a floor.
        let floor = Term::Field(Field::Floor);
        if facts.field(Field::Floor) != Value::Unknown && evidence.iter().all(|e| &*e.name != Field::Floor.name()) {
            evidence.push(Evidence { name: floor.name(), value: floor.value(&facts), age_ms: facts.age_ms(&floor) });
        }
        evidence
    }

    fn carry_out(&mut self, cx: &mut Context<'_>, ix: RuleIx, transition: Transition, evidence: Vec<Evidence>) {
        let rule = cx.policy.set.rule(ix);
        let who = self.who_with_passengers(cx);
        let run = self.runs.entry(cx.policy.number(ix));
        cx.books.carry_out(
            cx.out,
            &who,
            run,
            &judge::label(&cx.policy.set, rule),
            transition,
            evidence,
            &ByHand::default(),
        );
    }

    /// The judged time at which the next rule may change by time alone.
    fn next_due(&self, policy: &Policy) -> Option<Elapsed> {
        let moments = &policy.set.moments;
        let of_runs = self.runs.iter().filter_map(|run| {
            // What is due on civil days is looked at by the day.
            let (_, rule) = self.rule_of(policy, run.rule).filter(|(_, rule)| rule.family == Family::Elevator)?;
            run.deadline(rule, moments)
        });
        of_runs.chain(self.registers.next_change(self.judged, moments)).min()
    }

    /// When the shell's clock next has to look at this lift, if no frame comes.
    pub fn next_timer(&self, policy: &Policy, drained: bool) -> Option<Elapsed> {
        self.next_of_frames(policy, drained).into_iter().chain(self.next_of_records(policy)).min()
    }

    /// The same, of rules on what it reports.
    fn next_of_frames(&self, policy: &Policy, drained: bool) -> Option<Elapsed> {
        let due = self.next_due(policy);
        match &self.catching_up {
            None => due,
            Some(catching_up) if drained => Some(catching_up.ends()),
            Some(catching_up) => due.map(|due| due.max(catching_up.ends())),
        }
    }

    /// Fires what fell due by the clock, up to a moment: lifts take turns in the order of their deadlines, however late
    /// the clock is looked at.
    pub fn fire(&mut self, cx: &mut Context<'_>, until: Elapsed) {
        if self.next_of_frames(cx.policy, cx.hearing.is_drained()).is_some_and(|due| due <= until) {
            self.fire_frames(cx, until);
        }
        if self.next_of_records(cx.policy).is_some_and(|due| due <= until) {
            self.judge_records(cx);
        }
    }

    fn fire_frames(&mut self, cx: &mut Context<'_>, until: Elapsed) {
        if self.catching_up.as_ref().is_some_and(|catching_up| cx.hearing.is_drained() && catching_up.ends() <= until) {
            self.catching_up = None;
            self.fire_until(cx, until, self.footing_by_clock(cx));
            self.judge(cx, ALL, None, self.footing_by_clock(cx));
        } else {
            self.fire_until(cx, until, self.footing_by_clock(cx));
        }
    }

    /// Once the backlog is in: what waited for it is looked at again.
    pub fn drained(&mut self, cx: &mut Context<'_>) {
        self.catching_up = None;
        // The link may be down again by the time that it is this lift's turn.
        let (now, footing) = (cx.books.now.elapsed, self.footing_by_clock(cx));
        self.fire_until(cx, now, footing);
        self.judge(cx, ALL, None, footing);
    }

    /// Looks at every rule, because something else than a frame or the clock changed one.
    pub fn look_again(&mut self, cx: &mut Context<'_>) {
        if self.heard.is_none() {
            return;
        }
        let footing = self.footing_by_clock(cx);
        if footing != Footing::Sound {
            self.judge(cx, ALL, None, footing);
            return;
        }
        let now = cx.books.now.elapsed;
        self.fire_until(cx, now, footing);
        // What begins by this begins now, but the lift isn't brought to the present: a frame that its terminal still
        // keeps back is to be judged at its own time.
        let judged = std::mem::replace(&mut self.judged, now);
        self.judge(cx, ALL, None, footing);
        self.judged = judged;
    }

    /// Fires what falls due up to a judged time, moment by moment.
    fn fire_until(&mut self, cx: &mut Context<'_>, until: Elapsed, footing: Footing) {
        let mut last = None;
        while let Some(due) = self.next_due(cx.policy).filter(|due| *due <= until) {
            // A rule that is still due after it was looked at waits for something else than time.
            if last.is_some_and(|last| due <= last) {
                break;
            }
            last = Some(due);
            let passed_ms = (due - self.judged).max(0);
            self.judged = self.judged.max(due);
            self.stand_still(cx, self.judged, passed_ms, false);
            self.judge(cx, ALL, None, footing);
        }
    }

    fn footing_by_clock(&self, cx: &Context<'_>) -> Footing {
        match &self.catching_up {
            _ if cx.hearing.is_blind(cx.books.now.elapsed) => Footing::Blind,
            Some(_) => Footing::CatchingUp,
            None => Footing::Sound,
        }
    }

    /// Whether something waits for firmer ground, or was opened without it.
    pub fn is_unsettled(&self, policy: &Policy) -> bool {
        self.runs.iter().any(|run| match &run.phase {
            Phase::Idle => false,
            Phase::Holding(hold) => hold.waits == Wait::Footing,
            Phase::Open(open) => {
                let is_waiting = |rule: &Rule| {
                    open.certainty < rule.certainty || rule.clear == Clear::Quiet && open.clear_since.is_none()
                };
                open.unproven || self.rule_of(policy, run.rule).is_some_and(|(_, rule)| is_waiting(rule))
            }
        })
    }

    /// Follows a new policy: what its changed rules knew is forgotten, and every rule is looked at.
    pub fn follow(&mut self, cx: &mut Context<'_>, today: CivilDay) {
        if self.policy == cx.policy.version {
            return;
        }
        let who = self.who();
        let now = cx.books.now.elapsed;
        judge::forget_changed(cx, &who, &mut self.runs, self.policy, now);
        self.policy = cx.policy.version;
        self.find_reach(cx.policy);
        self.drop_switched_off(cx, Reason::RuleChanged);
        self.look_again(cx);
        self.judge_due_dates(cx, today);
        self.judge_records(cx);
    }

    fn facts<'a>(&'a self, cx: &'a Context<'_>, frame: Option<&'a Frame>, rule: Option<&'a Rule>) -> LiftFacts<'a> {
        let is_silent = self.is_silent(cx);
        let (now, wall) = (cx.books.now.elapsed, cx.books.now.wall);
        LiftFacts {
            lift: self,
            policy: cx.policy,
            is_silent,
            heard_to: self.silence_judged_to(cx),
            now,
            wall,
            frame,
            rule,
            over: &[],
            events_from: ALL_EVENTS,
        }
    }
}

/// When history shows something that claims a time.
pub fn effective(claimed: Option<Wall>, received: Wall) -> (Wall, TimeSource) {
    match claimed {
        None => (received, TimeSource::Absent),
        Some(claimed) if offset::is_wrong(claimed, received) => (received, TimeSource::Wrong),
        Some(claimed) => (claimed, TimeSource::Claimed),
    }
}

pub fn row_order(took: Took) -> row::Order {
    match took {
        Took::Newer | Took::Repeat => row::Order::Newer,
        Took::Late => row::Order::Late,
        Took::VeryLate => row::Order::VeryLate,
    }
}

/// However long ago.
const ALL_EVENTS: Elapsed = Elapsed(i64::MIN);

/// Everything that rules of lifts read.
pub const ALL: Reads = Reads::ALL;
