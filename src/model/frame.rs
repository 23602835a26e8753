//! A lift's sensor frame, decoded. Fields, units and ranges: `docs/devices.md`.

use std::borrow::Cow;

use super::time::Wall;

/// What a frame says of one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reported<T> {
    /// Nothing: the last known value still stands.
    #[default]
    Absent,
    /// That it is not known, or something unreadable.
    Unknown,
    Known(T),
}

impl<T> Reported<T> {
    pub fn is_present(&self) -> bool {
        !matches!(self, Self::Absent)
    }

    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Absent | Self::Unknown => None,
        }
    }
}

macro_rules! wire_enum {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $number:literal $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($variant = $number),+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// By the number it has on the wire; 0 (not reported) and unknown numbers are `None`.
            pub fn from_number(number: i64) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)+ _ => None }
            }

            pub fn number(self) -> i32 {
                self as i32
            }

            /// By its name in JSON.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)+ _ => None }
            }

            /// Its name in JSON; rules use it in upper case.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}
pub(crate) use wire_enum;

wire_enum!(
    /// Service mode: GB/T 24476's code + 1. The wire's `unknown` (8) is [`Reported::Unknown`].
    Mode {
        StoppedService = 1 "stopped_service", Normal = 2 "normal", Inspection = 3 "inspection", FireReturn = 4 "fire_return",
        Firefighter = 5 "firefighter", EmergencyPower = 6 "emergency_power", Earthquake = 7 "earthquake",
    }
);
wire_enum!(Car { Stopped = 1 "stopped", Running = 2 "running" });
wire_enum!(Direction { None = 1 "none", Up = 2 "up", Down = 3 "down" });
wire_enum!(
    /// Door state: GB/T 24476's code + 1. The wire's `unknown` (1) is [`Reported::Unknown`].
    Door {
        Closing = 2 "closing", Closed = 3 "closed", Opening = 4 "opening", Open = 5 "open", Locked = 6 "locked",
        NotFullyClosed = 7 "not_fully_closed",
    }
);

/// (boot, seq): with the device and its terminal's generation, a frame's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FrameKey {
    /// Counts the terminal's restarts.
    pub boot: u32,
    /// Counts frames since that restart, 1 to 2^63 − 1.
    pub seq: u64,
}

/// A list of codes or conditions, as far as it could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    pub items: Vec<T>,
    /// An element, or the whole list, could not be read: what is listed holds, but nothing is over because it isn't.
    pub partial: bool,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { items: Vec::new(), partial: false }
    }
}

/// Something a source says has ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ended {
    Code(u32),
    Condition(Box<str>),
}

impl Ended {
    /// As devices write it: a code in at least two digits, or the name of a condition.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Code(code) => Cow::Owned(format!("{code:02}")),
            Self::Condition(name) => Cow::Borrowed(name),
        }
    }

    pub fn from_text(text: &str) -> Self {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse() {
            Ok(code) if digits => Self::Code(code),
            _ => Self::Condition(text.into()),
        }
    }
}

/// Names of fields or lists, where a frame is kept field by field: of those that were unknown, or read in part.
pub struct Names<'a>(pub &'a [String]);

impl Names<'_> {
    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|own| own == name)
    }

    pub fn reported<T>(&self, name: &str, value: Option<T>) -> Reported<T> {
        match value {
            Some(value) => Reported::Known(value),
            None if self.has(name) => Reported::Unknown,
            None => Reported::Absent,
        }
    }

    pub fn listed<T>(&self, name: &str, items: Vec<T>) -> Listed<T> {
        Listed { items, partial: self.has(name) }
    }
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Frame {
    pub key: FrameKey,
    /// When the terminal says it saw this: never rewritten. `None`: the device gave no time.
    pub claimed_at: Option<Wall>,
    pub mode: Reported<Mode>,
    pub car: Reported<Car>,
    pub direction: Reported<Direction>,
    /// In the unlocking zone. Already [`Reported::Absent`] where the same frame says that the car is running.
    pub door_zone: Reported<bool>,
    pub door: Reported<Door>,
    pub passenger: Reported<bool>,
    pub floor: Reported<i32>,
    /// At most 8 characters.
    pub floor_label: Reported<Box<str>>,
    pub load_kg: Reported<u32>,
    /// Up is positive.
    pub speed_mm_s: Reported<i32>,
    /// At most 2^63 − 1.
    pub runs: Reported<u64>,
    pub run_hours: Reported<u32>,
    /// Active now. Ascending, without repeats, without 0; so are the next two.
    pub faults: Listed<u32>,
    pub events: Listed<u32>,
    pub alarms: Listed<u32>,
    pub conditions: Listed<Box<str>>,
    /// By name, ascending, finite.
    pub extras: Vec<(Box<str>, f64)>,
    pub cleared: Vec<Ended>,
    /// Whether any of fields 4 to 9 stood in it, readable or not: then its lists are the whole active set.
    pub has_status: bool,
    /// JSON pointers, relative to the frame, of fields that could not be read. Bounded, ascending.
    pub invalid: Vec<Box<str>>,
}
