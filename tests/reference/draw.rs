//! Draws timelines: a walk through what happens to lifts, with gaps around the spans of the rules.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use vigil::model::frame::{Door, Mode};

use crate::model::rules::RULES;
use crate::timeline::{Item, LiftSpec};

#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) lifts: Vec<LiftSpec>,
    pub(crate) beats: Vec<Beat>,
    /// How long it goes on after the last.
    pub(crate) rest_ms: i64,
}

/// Something that happens, some time after what happened before.
#[derive(Debug, Clone)]
pub(crate) struct Beat {
    pub(crate) gap: Gap,
    pub(crate) lift: usize,
    pub(crate) act: Act,
    /// How much later than it is sent it comes.
    pub(crate) delay_ms: i64,
    /// A frame tells the whole state, and not only what has changed.
    pub(crate) whole: bool,
}

impl Beat {
    fn plain(act: Act) -> Self {
        Self { gap: Gap::Ms(1_000), lift: 0, act, delay_ms: 0, whole: true }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Gap {
    Ms(i64),
    /// A span of the rules after something of before, or a moment sooner or later.
    Span {
        span_ms: i64,
        off_ms: i64,
        back: usize,
    },
}

#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// The lift is found in that situation.
    Is(Situation),
    Door(Door),
    Passenger(bool),
    Mode(Mode),
    /// Something that is about to be an alert, and ends a moment before.
    Almost(Almost),
    /// Nothing is wrong any more.
    Recovers(Situation),
    /// A code, or a condition, begins to stand, or ends.
    Begins(Item),
    Ends(Item),
    /// The source says that it has ended, in a frame that may say nothing else.
    SaidToEnd(Item),
    Occurs(u32),
    Forgets(Field),
    Nothing,
    /// The same event so often.
    Burst {
        code: u32,
        times: usize,
        every_ms: i64,
    },
    /// Whole frames, one after the other, without a change.
    Goes {
        times: usize,
        every_ms: i64,
    },
    /// One of the last reports is delivered again.
    Again {
        back: usize,
    },
    /// The terminal restarts.
    Reboots,
    /// Its clock is wrong by so much from now on.
    Clock(i64),
    /// What it sends from now on comes so much later, all at once.
    Withholds(i64),
    /// Our own clock is set.
    Wall(i64),
    /// The link is down for so long, and drained so long after it is up.
    Outage {
        down_ms: i64,
        drained_ms: i64,
    },
    /// The service is away for so long.
    Restart(i64),
    Clear(&'static str),
    Acknowledge(&'static str),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Almost {
    /// Found like that, with that listed, for so long less 1 ms.
    Held(Situation, Option<Item>, i64),
    /// Listed for a moment, which is over, and then delivered again.
    Repeated(Item),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Situation {
    Idle,
    Waiting,
    Stuck,
    StuckEmpty,
    Running,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Field {
    Mode,
    Car,
    Zone,
    Door,
    Passenger,
}

/// Holds, clears, lingering, keep-alives and their multiples, as far as timelines wait for them.
const SPANS_MS: &[i64] = &[3_000, 5_000, 10_000, 20_000, 30_000, 40_000, 45_000, 60_000, 120_000, 180_000];
/// Between occurrences: three of them then span just what a rule counts within, or a moment more.
const BURSTS_MS: &[i64] = &[1_000, 20_000, 150_000, 300_000, 300_001];
const CODES: &[u32] = &[1, 2, 3, 4, 5, 6, 40, 41, 61, 62, 63, 90, 90];
const EVENTS: &[u32] = &[2, 6];
const DELAYS_MS: &[i64] = &[1, 3_000, 5_000, 5_001, 8_000, 20_000, 40_000, 120_000, 599_999, 600_000];
const CLOCKS_MS: &[i64] = &[0, -10_800_000, 10_800_000, 34_560_000_000];
const WALLS_MS: &[i64] = &[3_600_000, -3_600_000, 86_400_000, -5_000, 7_000];
const CONDITIONS: &[&str] = &["trapped", "overtravel_top", "overtravel_bottom"];
const DOORS: &[Door] = &[
    Door::Closed,
    Door::Closed,
    Door::Open,
    Door::Open,
    Door::Opening,
    Door::Closing,
    Door::Locked,
    Door::NotFullyClosed,
];
const MODES: &[Mode] =
    &[Mode::Normal, Mode::Normal, Mode::Normal, Mode::Inspection, Mode::FireReturn, Mode::EmergencyPower];
const SITUATIONS: &[Situation] = &[
    Situation::Idle,
    Situation::Waiting,
    Situation::Waiting,
    Situation::Stuck,
    Situation::Stuck,
    Situation::StuckEmpty,
    Situation::Running,
];

pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    let rest = select(vec![1_000_i64, 60_000, 700_000]);
    // Now and then it goes on for so long that even what has to be quiet for an hour ends.
    (vec(lift(), 1..=2), vec(beat(), 5..40), rest, prop::bool::weighted(0.06)).prop_map(
        |(lifts, mut beats, rest_ms, is_long)| {
            let goes = Act::Goes { times: 14, every_ms: 300_000 };
            let long = [Act::Recovers(Situation::Idle), goes];
            beats.extend(long.into_iter().filter(|_| is_long).map(Beat::plain));
            Plan { lifts, beats, rest_ms }
        },
    )
}

fn lift() -> impl Strategy<Value = LiftSpec> {
    (select(vec![60_u32, 60, 20, 240]), prop::bool::weighted(0.3), prop::bool::weighted(0.8))
        .prop_map(|(keep_alive_s, is_escalator, is_registered)| LiftSpec { keep_alive_s, is_escalator, is_registered })
        // What the archive doesn't know has the keep-alive of the rules.
        .prop_map(|lift| if lift.is_registered { lift } else { LiftSpec { keep_alive_s: 60, ..lift } })
}

fn beat() -> impl Strategy<Value = Beat> {
    let act = prop_oneof![8 => act(), 1 => fault()];
    let delay = prop_oneof![20 => Just(0_i64), 1 => select(DELAYS_MS), 1 => 1_i64..60_000];
    (gap(), prop::bool::weighted(0.25), act, delay, prop::bool::weighted(0.7))
        .prop_map(|(gap, other, act, delay_ms, whole)| Beat { gap, lift: usize::from(other), act, delay_ms, whole })
}

fn gap() -> impl Strategy<Value = Gap> {
    let span = (select(SPANS_MS), -1_i64..=1, 0_usize..3).prop_map(|(span_ms, off_ms, back)| Gap::Span {
        span_ms,
        off_ms,
        back,
    });
    prop_oneof![
        4 => (1_i64..10).prop_map(|s| Gap::Ms(s * 1_000)),
        1 => (0_i64..60_000).prop_map(Gap::Ms),
        4 => span,
    ]
}

fn almost() -> impl Strategy<Value = Almost> {
    select(vec![
        Almost::Held(Situation::Stuck, None, 30_000),
        Almost::Held(Situation::Waiting, Some(Item::Code(3)), 45_000),
        Almost::Held(Situation::Waiting, None, 120_000),
        Almost::Held(Situation::Waiting, Some(Item::Code(90)), 10_000),
        Almost::Held(Situation::StuckEmpty, None, 45_000),
        Almost::Held(Situation::Idle, Some(Item::Condition("overtravel_top")), 20_000),
        Almost::Repeated(Item::Condition("trapped")),
        Almost::Repeated(Item::Code(5)),
        Almost::Repeated(Item::Code(41)),
        Almost::Repeated(Item::Code(1)),
    ])
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![
        4 => select(CODES).prop_map(Item::Code),
        1 => select(CONDITIONS).prop_map(Item::Condition),
    ]
}

/// What goes wrong around the lifts.
fn fault() -> impl Strategy<Value = Act> {
    let outage = (select(vec![2_000_i64, 14_000, 31_000, 60_000, 150_000]), select(vec![0_i64, 500, 1_000, 20_000]));
    prop_oneof![
        6 => (0_usize..12).prop_map(|back| Act::Again { back }),
        1 => Just(Act::Reboots),
        1 => select(CLOCKS_MS).prop_map(Act::Clock),
        1 => select(vec![6_000_i64, 12_000, 30_000, 60_000, 200_000]).prop_map(Act::Withholds),
        1 => select(WALLS_MS).prop_map(Act::Wall),
        1 => outage.prop_map(|(down_ms, drained_ms)| Act::Outage { down_ms, drained_ms }),
        1 => select(vec![0_i64, 3_000, 33_000, 120_000]).prop_map(Act::Restart),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let rules: Vec<&'static str> = RULES.iter().map(|rule| rule.id).collect();
    // These end in no other way.
    let by_hand = vec!["trapped-alarm", "unintended-movement"];
    let field = select(vec![Field::Mode, Field::Car, Field::Zone, Field::Door, Field::Passenger]);
    prop_oneof![
        8 => select(SITUATIONS).prop_map(Act::Is),
        3 => select(DOORS).prop_map(Act::Door),
        3 => any::<bool>().prop_map(Act::Passenger),
        2 => select(MODES).prop_map(Act::Mode),
        5 => item().prop_map(Act::Begins),
        3 => item().prop_map(Act::Ends),
        2 => select(vec![Situation::Idle, Situation::Running]).prop_map(Act::Recovers),
        1 => almost().prop_map(Act::Almost),
        1 => item().prop_map(Act::SaidToEnd),
        3 => select(EVENTS).prop_map(Act::Occurs),
        1 => field.prop_map(Act::Forgets),
        2 => Just(Act::Nothing),
        1 => (select(EVENTS), 2_usize..7, select(BURSTS_MS)).prop_map(|(code, times, every_ms)| Act::Burst { code, times, every_ms }),
        1 => (2_usize..14, select(vec![50_000_i64, 300_000])).prop_map(|(times, every_ms)| Act::Goes { times, every_ms }),
        1 => select(rules.clone()).prop_map(Act::Clear),
        1 => select(by_hand).prop_map(Act::Clear),
        1 => select(rules).prop_map(Act::Acknowledge),
    ]
}
