//! What happens in one drawn timeline. Times are ms from its beginning.

use serde_json::{Map, Value, json};
use vigil::model::frame::{Car, Door, Mode};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Timeline {
    pub(crate) lifts: Vec<LiftSpec>,
    /// In the order of their times.
    pub(crate) steps: Vec<Step>,
    pub(crate) until_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct LiftSpec {
    pub(crate) keep_alive_s: u32,
    pub(crate) is_escalator: bool,
    /// The archive knows it.
    pub(crate) is_registered: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    pub(crate) at_ms: i64,
    pub(crate) what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    /// One report of a lift's terminal reaches the broker.
    Report {
        lift: usize,
        frames: Vec<Frame>,
    },
    LinkDown,
    /// What the broker kept comes at once.
    LinkUp,
    /// The first marker of this connection comes back.
    Drained,
    /// The service saves its state, ends, and begins again after a while.
    Restart {
        down_ms: i64,
    },
    /// Our own civil clock is set.
    Wall {
        by_ms: i64,
    },
    Clear {
        lift: usize,
        rule: &'static str,
    },
    Acknowledge {
        lift: usize,
        rule: &'static str,
    },
}

/// What a frame says of a field it names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Said<T> {
    /// That it is not known, or something unreadable.
    Unknown,
    Is(T),
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Frame {
    pub(crate) boot: u32,
    pub(crate) seq: u64,
    /// By the terminal's clock, from the beginning.
    pub(crate) claimed_ms: Option<i64>,
    pub(crate) mode: Option<Said<Mode>>,
    pub(crate) car: Option<Said<Car>>,
    pub(crate) door_zone: Option<Said<bool>>,
    pub(crate) door: Option<Said<Door>>,
    pub(crate) passenger: Option<Said<bool>>,
    pub(crate) faults: Vec<u32>,
    pub(crate) events: Vec<u32>,
    pub(crate) alarms: Vec<u32>,
    pub(crate) conditions: Vec<&'static str>,
    pub(crate) cleared: Vec<Item>,
}

/// A code or a mapped condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Item {
    Code(u32),
    Condition(&'static str),
}

impl Item {
    /// As a list of what has ended names it.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Code(code) => format!("{code:02}"),
            Self::Condition(name) => name.into(),
        }
    }
}

impl Frame {
    /// Its lists are the whole active set.
    pub(crate) fn has_status(&self) -> bool {
        self.mode.is_some()
            || self.car.is_some()
            || self.door_zone.is_some()
            || self.door.is_some()
            || self.passenger.is_some()
    }

    /// All codes and conditions that stand in its lists, whichever.
    pub(crate) fn items(&self) -> Vec<Item> {
        let codes = [&self.faults, &self.events, &self.alarms].into_iter().flatten().copied();
        codes.map(Item::Code).chain(self.conditions.iter().map(|name| Item::Condition(name))).collect()
    }

    /// The fields that it names, beside its key and its time.
    pub(crate) fn fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                fields.insert(name.into(), value);
            }
        };
        put("mode", self.mode.map(|said| name(said, Mode::name)));
        put("car", self.car.map(|said| name(said, Car::name)));
        put("door_zone", self.door_zone.map(flag));
        put("door", self.door.map(|said| name(said, Door::name)));
        put("passenger", self.passenger.map(flag));
        let list = |items: Vec<Value>| (!items.is_empty()).then_some(Value::Array(items));
        put("faults", list(self.faults.iter().map(|code| json!(code)).collect()));
        put("events", list(self.events.iter().map(|code| json!(code)).collect()));
        put("alarms", list(self.alarms.iter().map(|code| json!(code)).collect()));
        put("conditions", list(self.conditions.iter().map(|name| json!(name)).collect()));
        put("cleared", list(self.cleared.iter().map(|item| json!(item.name())).collect()));
        fields
    }

    /// Fields that can't be read, on purpose.
    pub(crate) fn unreadable(&self) -> Vec<&'static str> {
        let bad = |said: Option<Said<bool>>, name| (said == Some(Said::Unknown)).then_some(name);
        [bad(self.door_zone, "/door_zone"), bad(self.passenger, "/passenger")].into_iter().flatten().collect()
    }
}

fn name<T>(said: Said<T>, name: fn(T) -> &'static str) -> Value {
    match said {
        Said::Unknown => json!("unknown"),
        Said::Is(value) => json!(name(value)),
    }
}

/// There is no way to say that a flag is not known but to say something that is none.
fn flag(said: Said<bool>) -> Value {
    match said {
        Said::Unknown => json!("perhaps"),
        Said::Is(value) => json!(value),
    }
}
