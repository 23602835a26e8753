//! The rules on lifts, as the table of the domain's section 8 has them. Stated here by hand, not read from the files
//! that the engine reads. `silent-with-passenger` is none of theirs: none of them asks for how long nothing was heard.

use vigil::model::alert::{Certainty, Severity};
use vigil::model::frame::Mode;

use super::facts::{Facts, Tri, and, not, or};
use crate::timeline::Item;

/// The rule that is none of the shipped ones, as a file has it.
pub(crate) const OWN: &str = r#"
[[rule]]
id = "silent-with-passenger"
on = "elevator"
when = "passenger && silent_s >= 40"
for = "20s"
severity = "warning"
title = { en = "Silent with a passenger", zh = "有乘客时无数据" }
"#;
/// After so long a silence.
pub(crate) const QUIET_MS: i64 = 40_000;

pub(crate) struct Rule {
    pub(crate) id: &'static str,
    pub(crate) severity: Severity,
    pub(crate) certainty: Certainty,
    pub(crate) dispatch: bool,
    pub(crate) kind: Kind,
    /// While it is true nothing opens.
    pub(crate) suppress: fn(&Facts) -> Tri,
    pub(crate) clear: Clear,
    /// How long the clear is held, or how long it must be quiet.
    pub(crate) clear_for_ms: i64,
    /// Doesn't open while one of these is open, and gives way to it.
    pub(crate) unless: &'static [&'static str],
    /// A severity that is reached while that is true.
    pub(crate) escalate: fn(&Facts) -> Option<Severity>,
    /// The codes and conditions that it waits for.
    pub(crate) items: &'static [Item],
}

pub(crate) enum Kind {
    Held {
        when: fn(&Facts) -> Tri,
        for_ms: i64,
        drop_ms: i64,
    },
    Counted {
        count: usize,
        within_ms: i64,
        each: bool,
    },
    /// No frame for so many keep-alives; of a case only, if it says so.
    Silent {
        keep_alives: i64,
        of_a_case: bool,
    },
}

#[derive(Clone, Copy)]
pub(crate) enum Clear {
    Manual,
    /// When this is true.
    When(fn(&Facts, &[Item]) -> Tri),
    /// When what opens it is known false.
    WhenOver,
    Quiet,
    /// With the next frame.
    Frame,
}

const CRITICAL_DROP_MS: i64 = 3_000;
const STATE_MS: i64 = 5_000;
const CASES: &[&str] = &["trapped-out-of-zone", "trapped-in-zone", "trapped-reported", "trapped-alarm"];

fn never(_: &Facts) -> Tri {
    Some(false)
}

fn stays(_: &Facts) -> Option<Severity> {
    None
}

fn inspection(facts: &Facts) -> Tri {
    facts.is_mode(&[Mode::Inspection])
}

fn waits_in_zone(facts: &Facts) -> Tri {
    and(&[facts.passenger, facts.is_stopped(), facts.zone, facts.door_shut])
}

fn gets_out(facts: &Facts, _: &[Item]) -> Tri {
    or(&[facts.is_open(), not(facts.passenger), facts.is_running()])
}

/// Running in normal mode, by a frame with none of the rule's codes.
fn normal_run(facts: &Facts, items: &[Item]) -> Tri {
    let is_free = !items.iter().any(|item| facts.carried.contains(item));
    and(&[Some(facts.frame_runs), facts.is_mode(&[Mode::Normal]), Some(is_free)])
}

const fn codes<const N: usize>(codes: [u32; N]) -> [Item; N] {
    let mut items = [Item::Code(0); N];
    let mut at = 0;
    while at < N {
        items[at] = Item::Code(codes[at]);
        at += 1;
    }
    items
}

/// What most rules have in common.
const PLAIN: Rule = Rule {
    id: "",
    severity: Severity::Critical,
    certainty: Certainty::Observed,
    dispatch: false,
    kind: Kind::Held { when: never, for_ms: 0, drop_ms: CRITICAL_DROP_MS },
    suppress: never,
    clear: Clear::Manual,
    clear_for_ms: 0,
    unless: &[],
    escalate: stays,
    items: &[],
};

/// In the order in which they are judged: a stronger case before the weaker one that gives way to it.
pub(crate) const RULES: [Rule; 16] = [
    Rule {
        id: "trapped-out-of-zone",
        certainty: Certainty::Likely,
        dispatch: true,
        kind: Kind::Held {
            when: |f| and(&[f.passenger, f.is_stopped(), not(f.zone), f.door_shut]),
            for_ms: 30_000,
            drop_ms: CRITICAL_DROP_MS,
        },
        suppress: |f| f.is_mode(&[Mode::Inspection, Mode::FireReturn, Mode::Firefighter]),
        clear: Clear::When(|f, _| or(&[f.is_open(), f.zone, not(f.passenger)])),
        clear_for_ms: STATE_MS,
        ..PLAIN
    },
    Rule {
        id: "trapped-in-zone",
        certainty: Certainty::Likely,
        dispatch: true,
        kind: Kind::Held {
            when: |f| and(&[waits_in_zone(f), or(&[f.code(3), f.code(90)])]),
            for_ms: 45_000,
            drop_ms: CRITICAL_DROP_MS,
        },
        suppress: inspection,
        clear: Clear::When(gets_out),
        clear_for_ms: STATE_MS,
        items: &codes([3, 90]),
        ..PLAIN
    },
    Rule {
        id: "trapped-reported",
        dispatch: true,
        kind: Kind::Held { when: |f| f.condition("trapped"), for_ms: 0, drop_ms: CRITICAL_DROP_MS },
        clear: Clear::WhenOver,
        items: &[Item::Condition("trapped")],
        ..PLAIN
    },
    Rule {
        id: "trapped-alarm",
        certainty: Certainty::Likely,
        dispatch: true,
        kind: Kind::Held {
            when: |f| and(&[f.code(90), f.passenger, f.is_stopped(), f.door_shut]),
            for_ms: 10_000,
            drop_ms: CRITICAL_DROP_MS,
        },
        suppress: inspection,
        items: &codes([90]),
        ..PLAIN
    },
    Rule {
        id: "trapped-in-zone-quiet",
        severity: Severity::Major,
        certainty: Certainty::Possible,
        dispatch: true,
        kind: Kind::Held { when: waits_in_zone, for_ms: 120_000, drop_ms: 0 },
        suppress: inspection,
        clear: Clear::When(gets_out),
        clear_for_ms: STATE_MS,
        unless: CASES,
        ..PLAIN
    },
    Rule {
        id: "trapped-stale",
        certainty: Certainty::Likely,
        dispatch: true,
        kind: Kind::Silent { keep_alives: 2, of_a_case: true },
        clear: Clear::Frame,
        ..PLAIN
    },
    Rule {
        id: "stopped-out-of-zone",
        severity: Severity::Major,
        kind: Kind::Held {
            when: |f| or(&[f.code(4), and(&[not(f.passenger), not(f.zone), f.is_stopped()])]),
            for_ms: 45_000,
            drop_ms: 0,
        },
        suppress: inspection,
        clear: Clear::When(|f, _| and(&[f.zone, not(f.code(4))])),
        clear_for_ms: STATE_MS,
        items: &codes([4]),
        ..PLAIN
    },
    Rule {
        id: "safety-circuit",
        severity: Severity::Major,
        kind: Kind::Held { when: |f| f.code(1), for_ms: 0, drop_ms: 0 },
        suppress: inspection,
        clear: Clear::When(|f, items| or(&[f.code(40), normal_run(f, items)])),
        items: &codes([1]),
        ..PLAIN
    },
    Rule {
        id: "unintended-movement",
        kind: Kind::Held { when: |f| f.code(5), for_ms: 0, drop_ms: CRITICAL_DROP_MS },
        items: &codes([5]),
        ..PLAIN
    },
    Rule {
        id: "overtravel",
        kind: Kind::Held {
            when: |f| or(&[f.condition("overtravel_top"), f.condition("overtravel_bottom")]),
            for_ms: 20_000,
            drop_ms: CRITICAL_DROP_MS,
        },
        suppress: inspection,
        clear: Clear::When(|f, _| f.zone),
        clear_for_ms: STATE_MS,
        items: &[Item::Condition("overtravel_top"), Item::Condition("overtravel_bottom")],
        ..PLAIN
    },
    Rule {
        id: "door-fault",
        severity: Severity::Minor,
        kind: Kind::Counted { count: 3, within_ms: 10 * 60_000, each: false },
        suppress: inspection,
        clear: Clear::Quiet,
        clear_for_ms: 30 * 60_000,
        items: &codes([2, 3]),
        ..PLAIN
    },
    Rule {
        id: "escalator-stop",
        severity: Severity::Major,
        kind: Kind::Held {
            when: |f| or(&[f.code(61), f.code(62), f.code(63), f.code(64), f.code(65)]),
            for_ms: 0,
            drop_ms: 0,
        },
        // The same numbers may mean something else on what is known to be a lift.
        suppress: |f| f.equipment_is_lift,
        clear: Clear::When(normal_run),
        escalate: |f| (or(&[f.code(63), f.code(64)]) == Some(true)).then_some(Severity::Critical),
        items: &codes([61, 62, 63, 64, 65]),
        ..PLAIN
    },
    Rule {
        id: "fault-repeats",
        severity: Severity::Warning,
        kind: Kind::Counted { count: 5, within_ms: 60 * 60_000, each: true },
        clear: Clear::Quiet,
        clear_for_ms: 60 * 60_000,
        items: &codes([1, 2, 3, 4, 5, 6, 7, 8, 61, 62, 63, 64, 65]),
        ..PLAIN
    },
    Rule {
        id: "power-lost",
        severity: Severity::Minor,
        kind: Kind::Held { when: |f| f.code(41), for_ms: 0, drop_ms: 0 },
        clear: Clear::When(|f, _| or(&[f.code(40), f.is_mode(&[Mode::Normal])])),
        escalate: |f| (f.passenger == Some(true)).then_some(Severity::Critical),
        items: &codes([41]),
        ..PLAIN
    },
    Rule {
        id: "silent-with-passenger",
        severity: Severity::Warning,
        kind: Kind::Held { when: |f| and(&[f.passenger, Some(f.is_quiet)]), for_ms: 20_000, drop_ms: 0 },
        clear: Clear::WhenOver,
        ..PLAIN
    },
    Rule {
        id: "offline",
        severity: Severity::Minor,
        kind: Kind::Silent { keep_alives: 3, of_a_case: false },
        clear: Clear::Frame,
        ..PLAIN
    },
];

impl Rule {
    pub(crate) fn is_critical(&self) -> bool {
        self.severity == Severity::Critical
    }

    pub(crate) fn when(&self, facts: &Facts) -> Tri {
        match self.kind {
            Kind::Held { when, .. } => when(facts),
            Kind::Counted { .. } | Kind::Silent { .. } => Some(true),
        }
    }

    /// A frame that carries what the rule waits for never clears it.
    pub(crate) fn is_carried(&self, facts: &Facts) -> bool {
        self.items.iter().any(|item| facts.carried.contains(item))
    }

    pub(crate) fn clear(&self, facts: &Facts) -> Tri {
        match self.clear {
            Clear::When(clear) => clear(facts, self.items),
            Clear::WhenOver => not(self.when(facts)),
            Clear::Manual | Clear::Quiet | Clear::Frame => Some(false),
        }
    }

    /// Whether an open case of this rule can go stale.
    pub(crate) fn is_case(&self) -> bool {
        CASES.contains(&self.id) || self.id == "trapped-in-zone-quiet"
    }
}
