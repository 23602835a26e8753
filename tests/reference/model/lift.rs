//! One lift: what arrived from it, what was true when, and what was told of it.

use std::collections::{BTreeMap, BTreeSet};

use vigil::model::alert::{EventKind, Reason};

use super::facts::{DOOR_MOVES_MS, Facts, Taken, lingering, listed, stands_in};
use super::hearing::Hearing;
use super::lateness::Lateness;
use super::rules::{Clear, Kind, QUIET_MS, RULES, Rule};
use crate::counts::Counts;
use crate::timeline::{Frame, Item, LiftSpec};
use crate::told::Told;

/// More is late.
const LATE_MS: i64 = 5_000;
/// Codes of late frames count while these are younger.
const LATE_CODES_MS: i64 = 600_000;
const SILENT_MS: i64 = 600_000;
/// A hold is nearly one that opens if it lacks no more than this part of its time.
const NEARLY: i64 = 10;
const SILENT_KEEP_ALIVES: i64 = 3;

pub(crate) struct Lift {
    pub(super) nth: usize,
    pub(super) spec: LiftSpec,
    pub(super) frames: Vec<Taken>,
    /// When they came.
    pub(super) arrivals: Vec<i64>,
    /// What was true from when on, ascending; those behind `judged_ms` are what time alone will bring.
    pub(super) moments: Vec<Moment>,
    pub(super) told: Vec<Told>,
    /// The last of each rule.
    pub(super) last_told: BTreeMap<&'static str, Told>,
    /// How many frames had come when each of them was told.
    pub(super) frames_when_told: Vec<usize>,
    /// How far it had been judged then.
    pub(super) judged_when_told: Vec<i64>,
    /// Of the last frame that was judged, or the last event.
    pub(super) judged_ms: i64,
    /// Every rule has been asked what it says up to here, and has nothing to say before then.
    pub(super) asked_ms: i64,
    pub(super) calm_to_ms: i64,
    /// Time has passed so far.
    pub(super) passed_ms: i64,
    /// When its last frame came, in heard time.
    last_heard_ms: i64,
    /// Nothing that it said is known any more, since then.
    silent_since_ms: Option<i64>,
    /// Nothing was heard for `QUIET_MS`, since then.
    quiet_since_ms: Option<i64>,
    lateness: Lateness,
    pub(super) catches_up: Option<CatchesUp>,
    /// Open alerts that were told by what may be over.
    pub(super) unproven: BTreeSet<&'static str>,
    missed: Counts,
}

/// Its frames come late: what they say may be over, and more of them may come.
#[derive(Debug, Clone, Copy)]
pub(super) struct CatchesUp {
    since_ms: i64,
    last_ms: i64,
}

impl CatchesUp {
    /// It is waited for until 2 s after the last of them, and 15 s in all.
    fn ends_ms(self) -> i64 {
        (self.last_ms + 2_000).min(self.since_ms + 15_000)
    }
}

/// How far what is known can be taken for the present.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Footing {
    Sound,
    CatchingUp,
    Blind,
}

impl Footing {
    fn by_clock(hearing: &Hearing) -> Self {
        if hearing.is_blind() { Self::Blind } else { Self::Sound }
    }
}

/// From then on, until the next one.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    pub(super) from_ms: i64,
    /// So many frames had come.
    pub(super) frames: usize,
    /// Otherwise time alone brought it.
    pub(super) is_frame: bool,
    pub(super) facts: Facts,
    pub(super) occurred: Vec<Item>,
    /// Of each rule.
    pub(super) truths: Vec<Truth>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Truth {
    pub(super) when: Option<bool>,
    pub(super) suppress: Option<bool>,
    pub(super) clear: Option<bool>,
    pub(super) is_carried: bool,
}

impl Lift {
    pub(super) fn new(nth: usize, spec: LiftSpec) -> Self {
        Self {
            nth,
            spec,
            frames: Vec::new(),
            arrivals: Vec::new(),
            moments: Vec::new(),
            told: Vec::new(),
            last_told: BTreeMap::new(),
            frames_when_told: Vec::new(),
            judged_when_told: Vec::new(),
            judged_ms: i64::MIN,
            asked_ms: i64::MIN,
            calm_to_ms: i64::MIN,
            passed_ms: 0,
            last_heard_ms: 0,
            silent_since_ms: None,
            quiet_since_ms: None,
            lateness: Lateness::default(),
            catches_up: None,
            unproven: BTreeSet::new(),
            missed: Counts::default(),
        }
    }

    /// The frames of one report, in the order of their keys.
    pub(super) fn take(&mut self, hearing: &Hearing, frames: &[Frame], now_ms: i64, wall_ms: i64) {
        let mut frames = frames.to_vec();
        frames.sort_by_key(|frame| (frame.boot, frame.seq));
        for frame in frames {
            self.take_one(hearing, frame, now_ms, wall_ms);
        }
        self.pass_to(hearing, now_ms);
    }

    fn take_one(&mut self, hearing: &Hearing, frame: Frame, now_ms: i64, wall_ms: i64) {
        let key = (0, frame.boot, frame.seq);
        if self.frames.iter().any(|taken| taken.key == key) {
            return self.note_repeat(&frame);
        }
        let is_late = self.frames.iter().any(|taken| taken.key > key);
        let (claimed_ms, is_live) = (frame.claimed_ms, hearing.is_drained);
        let late_ms = match is_late {
            false => self.lateness.of_newer(claimed_ms, now_ms, wall_ms, is_live),
            true => self.lateness.of_late(claimed_ms, now_ms, wall_ms),
        };
        let mut judged_ms = self.judged_ms;
        if !is_late {
            judged_ms = judged_ms.max(now_ms - late_ms).min(now_ms);
            self.catches_up = (late_ms > LATE_MS).then(|| CatchesUp {
                since_ms: self.catches_up.filter(|it| it.ends_ms() > now_ms).map_or(now_ms, |it| it.since_ms),
                last_ms: now_ms,
            });
        }
        let before = if self.catches_up.is_some() { Footing::CatchingUp } else { Footing::by_clock(hearing) };
        while let Some(at_ms) = self.next_instant(judged_ms) {
            self.judge(hearing, at_ms, now_ms, before);
        }
        self.note_silence(hearing);
        self.moments.retain(|moment| moment.from_ms <= judged_ms);
        let counts = !is_late || late_ms < LATE_CODES_MS;
        let occurred = if counts { self.occurrences(&frame, key) } else { Vec::new() };
        let over = if is_late && counts { self.over(&frame, key) } else { Vec::new() };
        self.frames.push(Taken { frame, key, judged_ms, lingers: counts });
        self.arrivals.push(now_ms);
        self.last_heard_ms = hearing.heard_by(now_ms);
        (self.silent_since_ms, self.quiet_since_ms) = (None, None);
        self.judged_ms = judged_ms;
        self.push_moment(judged_ms, true, occurred);
        self.end_silence(now_ms);
        let footing = if self.catches_up.is_some() { Footing::CatchingUp } else { Footing::Sound };
        self.judge(hearing, judged_ms, now_ms, footing);
        self.raise_what_is_over(hearing, &over, now_ms - late_ms, now_ms);
    }

    /// What a late frame lists and a newer one says is over.
    fn over(&self, frame: &Frame, key: (u32, u32, u64)) -> Vec<Item> {
        let mut with: Vec<Taken> = self.frames.clone();
        with.push(Taken { frame: frame.clone(), key, judged_ms: 0, lingers: false });
        let stands = listed(with.iter());
        let is_over = |taken: &Taken| taken.key > key && taken.frame.has_status();
        let newer = self.frames.iter().any(is_over);
        stands_in(frame).into_iter().filter(|item| newer && !stands.contains(item)).collect()
    }

    fn note_repeat(&mut self, frame: &Frame) {
        let items = frame.items();
        for rule in RULES.iter().filter(|rule| matches!(rule.kind, Kind::Held { for_ms: 0, .. })) {
            let nearly = self.open(rule.id).is_none() && rule.items.iter().any(|item| items.contains(item));
            self.missed.of(rule.id).missed += u64::from(nearly);
        }
    }

    /// Holds that ended shortly before they fell due; where none is needed, what was suppressed.
    fn note_holds(&mut self) {
        for (nth, rule) in RULES.iter().enumerate() {
            let Kind::Held { for_ms, drop_ms, .. } = rule.kind else { continue };
            let ends = self.moments.iter().skip(1).map(|moment| moment.from_ms).chain([i64::MAX]);
            let (mut since_ms, mut missed) = (None, 0);
            for (moment, end_ms) in self.moments.iter().zip(ends) {
                let truth = &moment.truths[nth];
                if truth.when == Some(true) {
                    since_ms.get_or_insert(moment.from_ms);
                    missed += u64::from(for_ms == 0 && moment.is_frame && truth.suppress == Some(true));
                } else if truth.when == Some(false) && end_ms.saturating_sub(moment.from_ms) >= drop_ms {
                    let held_ms = since_ms.take().map_or(0, |since_ms| moment.from_ms - since_ms);
                    missed += u64::from(held_ms < for_ms && held_ms >= for_ms - for_ms / NEARLY);
                }
            }
            self.missed.of(rule.id).missed += missed;
        }
    }

    /// A silence that ends shortly before it is told.
    fn note_silence(&mut self, hearing: &Hearing) {
        let silent_ms = hearing.heard_ms() - self.last_heard_ms;
        for rule in &RULES {
            let Kind::Silent { keep_alives, of_a_case } = rule.kind else { continue };
            let span_ms = keep_alives * i64::from(self.spec.keep_alive_s) * 1_000;
            let nearly = silent_ms < span_ms && silent_ms >= span_ms - span_ms / NEARLY;
            self.missed.of(rule.id).missed += u64::from(nearly && (!of_a_case || self.has_case()));
        }
    }

    /// Counts that came to one less than it takes, and no further in time.
    fn note_counts(&mut self) {
        for rule in &RULES {
            let Kind::Counted { count, within_ms, each } = rule.kind else { continue };
            let of_rule = |moment: &&Moment| moment.occurred.iter().any(|item| rule.items.contains(item));
            let ended = |at_ms: i64| {
                let opens = |told: &Told| told.rule == rule.id && (at_ms..=at_ms + within_ms).contains(&told.true_ms);
                self.has_occurred(rule, at_ms, within_ms, each) == count - 1 && !self.told.iter().any(opens)
            };
            let missed = self.moments.iter().filter(of_rule).filter(|moment| ended(moment.from_ms)).count();
            self.missed.of(rule.id).missed += u64::try_from(missed).unwrap();
        }
    }

    /// Codes among the events, and what stands in the lists and didn't in the frames before.
    fn occurrences(&self, frame: &Frame, key: (u32, u32, u64)) -> Vec<Item> {
        let stood = listed(self.frames.iter().filter(|taken| taken.key < key));
        // What stands in the frame that follows a late one has been counted with that.
        let next = self.frames.iter().filter(|taken| taken.key > key).min_by_key(|taken| taken.key);
        let stands_on = next.map(|taken| stands_in(&taken.frame)).unwrap_or_default();
        let appears = |item: &Item| !stood.contains(item) && !stands_on.contains(item) || frame.cleared.contains(item);
        let mut items: Vec<Item> = stands_in(frame).into_iter().filter(appears).collect();
        items.extend(frame.events.iter().copied().map(Item::Code));
        items.sort();
        items.dedup();
        items
    }

    fn push_moment(&mut self, from_ms: i64, is_frame: bool, occurred: Vec<Item>) {
        let is_silent = self.silent_since_ms.is_some_and(|since_ms| from_ms >= since_ms);
        let mut facts = Facts::look_up(&self.frames, from_ms, self.spec, is_silent);
        facts.is_quiet = self.quiet_since_ms.is_some_and(|since_ms| from_ms >= since_ms);
        facts.door_shut = match facts.door_moves() {
            None => None,
            Some(false) => facts.is_open().map(|is_open| !is_open),
            Some(true) if from_ms - self.door_moves_since(from_ms) >= DOOR_MOVES_MS => Some(true),
            // Until then nobody knows what becomes of it, unless it was open: then it isn't shut yet.
            Some(true) => self.door_was_open().then_some(false),
        };
        facts.door_settles = facts.door_moves() == Some(true) && facts.door_shut != Some(true);
        facts.frame_runs &= is_frame;
        let holds = |rule: &Rule| rule.items.iter().any(|item| facts.listed.contains(item));
        let truths = RULES.iter().map(|rule| Truth {
            when: rule.when(&facts),
            suppress: (rule.suppress)(&facts),
            clear: rule.clear(&facts),
            // Between frames, the last one still says what it listed.
            is_carried: if is_frame { rule.is_carried(&facts) } else { holds(rule) },
        });
        let truths = truths.collect();
        self.moments.push(Moment { from_ms, frames: self.frames.len(), is_frame, facts, occurred, truths });
    }

    /// Since when the door has been opening or closing. That it was unknown in between doesn't matter.
    fn door_moves_since(&self, now_ms: i64) -> i64 {
        let known = self.moments.iter().rev().filter(|moment| moment.facts.door.is_some());
        let moving = known.take_while(|moment| moment.facts.door_moves() == Some(true));
        moving.last().map_or(now_ms, |moment| moment.from_ms)
    }

    /// Whether the door was open just before it began to open or close.
    fn door_was_open(&self) -> bool {
        let moves = |moment: &Moment| moment.facts.door_moves() == Some(true);
        let known = self.moments.iter().enumerate().rev().filter(|(_, moment)| moment.facts.door.is_some());
        let began = known.take_while(|(_, moment)| moves(moment)).last().map_or(self.moments.len(), |(nth, _)| nth);
        let before = self.moments[..began].iter().rev().find(|moment| !moment.facts.is_silent);
        before.is_some_and(|moment| moment.facts.is_open() == Some(true))
    }

    /// When time alone changes what is true next.
    fn next_change(&self) -> Option<i64> {
        let last = self.moments.last()?;
        let mut lingers = BTreeMap::new();
        for (item, ends_ms) in lingering(&self.frames, last.from_ms) {
            lingers.entry(item).or_insert(ends_ms);
        }
        let lingers = lingers.into_values();
        let door = (last.facts.door_moves() == Some(true)).then(|| self.door_moves_since(last.from_ms) + DOOR_MOVES_MS);
        lingers.chain(door).filter(|at| *at > last.from_ms).min()
    }

    /// Time passes, and nothing else comes.
    pub(super) fn pass_to(&mut self, hearing: &Hearing, to_ms: i64) {
        let waits_to_ms = self.catches_up.map(|it| it.ends_ms());
        match waits_to_ms {
            Some(ends_ms) if ends_ms > to_ms => return,
            Some(ends_ms) if hearing.is_drained => self.settle(hearing, ends_ms),
            _ => {}
        }
        while let Some(at_ms) = self.next_instant(to_ms) {
            let told_ms = at_ms.max(self.passed_ms).max(waits_to_ms.unwrap_or(at_ms));
            self.judge(hearing, at_ms, told_ms, Footing::by_clock(hearing));
        }
        self.passed_ms = to_ms;
    }

    /// What its frames say is the present again: everything that waited is looked at.
    fn settle(&mut self, hearing: &Hearing, now_ms: i64) {
        self.catches_up = None;
        while let Some(at_ms) = self.next_instant(now_ms) {
            self.judge(hearing, at_ms, now_ms, Footing::Sound);
        }
        self.judge(hearing, self.judged_ms, now_ms, Footing::Sound);
    }

    /// The backlog is in.
    pub(super) fn drained(&mut self, hearing: &Hearing, now_ms: i64) {
        self.settle(hearing, now_ms);
        self.heard(hearing, now_ms);
    }

    /// The next moment at which a rule has to be asked.
    fn next_instant(&mut self, to_ms: i64) -> Option<i64> {
        if self.calm_to_ms > to_ms {
            return None;
        }
        while let Some(at_ms) = self.next_change() {
            self.push_moment(at_ms, false, Vec::new());
        }
        let after_ms = self.asked_ms;
        let changes = self.moments.iter().map(|moment| moment.from_ms);
        let due = (0..RULES.len()).filter_map(|rule| self.due(rule, after_ms));
        self.calm_to_ms = changes.chain(due).filter(|at| *at > after_ms).min().unwrap_or(i64::MAX);
        (self.calm_to_ms <= to_ms).then_some(self.calm_to_ms)
    }

    /// What is true then.
    pub(super) fn moment_at(&self, at_ms: i64) -> Option<&Moment> {
        let behind = self.moments.partition_point(|moment| moment.from_ms <= at_ms);
        self.moments[..behind].last()
    }

    /// The last that was told of a rule.
    pub(super) fn last(&self, rule: &Rule) -> Option<&Told> {
        self.last_told.get(rule.id)
    }

    pub(super) fn open(&self, id: &str) -> Option<&Told> {
        self.last_told.get(id).filter(|told| told.kind != EventKind::Cleared)
    }

    /// A marker came back: silence is proven up to now.
    pub(super) fn heard(&mut self, hearing: &Hearing, now_ms: i64) {
        self.judge_silence(hearing, now_ms);
        let is_quiet = hearing.heard_ms() - self.last_heard_ms >= QUIET_MS;
        if is_quiet && self.quiet_since_ms.is_none() && !self.frames.is_empty() {
            self.quiet_since_ms = Some(now_ms);
            self.moments.retain(|moment| moment.from_ms <= now_ms);
            self.push_moment(now_ms, false, Vec::new());
            self.look_again(hearing, now_ms);
        }
        let is_silent = hearing.heard_ms() - self.last_heard_ms >= self.unknown_after_ms();
        if is_silent && self.silent_since_ms.is_none() && !self.frames.is_empty() {
            // What it said isn't known any more.
            self.silent_since_ms = Some(now_ms);
            self.moments.retain(|moment| moment.from_ms <= now_ms);
            self.push_moment(now_ms, false, Vec::new());
            self.look_again(hearing, now_ms);
        }
    }

    pub(super) fn unknown_after_ms(&self) -> i64 {
        SILENT_MS.max(SILENT_KEEP_ALIVES * i64::from(self.spec.keep_alive_s) * 1_000)
    }

    /// Asks every rule without bringing the lift to the present: a frame that comes late is judged at its own time.
    pub(super) fn look_again(&mut self, hearing: &Hearing, now_ms: i64) {
        let judged_ms = self.judged_ms;
        self.judge(hearing, now_ms, now_ms, Footing::by_clock(hearing));
        self.judged_ms = judged_ms;
    }

    /// A frame came.
    fn end_silence(&mut self, now_ms: i64) {
        for rule in RULES.iter().filter(|rule| matches!(rule.clear, Clear::Frame)) {
            if self.open(rule.id).is_some() {
                self.clear(rule, Reason::Heard, now_ms, now_ms);
            }
        }
    }

    pub(super) fn judge_silence(&mut self, hearing: &Hearing, now_ms: i64) {
        for rule in &RULES {
            let Kind::Silent { keep_alives, of_a_case } = rule.kind else { continue };
            let Some(last_frame_ms) = self.arrivals.last().copied() else { continue };
            if of_a_case && !self.has_case() {
                if self.open(rule.id).is_some() {
                    self.clear(rule, Reason::ConditionEnded, now_ms, now_ms);
                }
                continue;
            }
            let span_ms = keep_alives * i64::from(self.spec.keep_alive_s) * 1_000;
            let is_silent = hearing.heard_ms() - self.last_heard_ms >= span_ms;
            let armed_ms = self.armed_from_silence(rule, last_frame_ms);
            if is_silent && self.open(rule.id).is_none() && now_ms >= armed_ms {
                self.open_as(rule, rule.certainty, Reason::Silence, now_ms, now_ms, true);
            }
        }
    }

    /// A case of trapped people is open.
    fn has_case(&self) -> bool {
        RULES.iter().any(|rule| rule.is_case() && self.open(rule.id).is_some())
    }

    pub(super) fn count(&mut self, counts: &mut Counts) {
        self.note_counts();
        self.note_holds();
        counts.add(&self.missed);
        for told in &self.told {
            let count = counts.of(told.rule);
            count.opened += u64::from(matches!(told.kind, EventKind::Opened | EventKind::Reopened));
            count.cleared += u64::from(told.kind == EventKind::Cleared);
        }
    }
}
