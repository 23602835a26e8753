//! What is wrong with some terminals and the way from them, and how often it happened.

use crate::model::time::Wall;

/// Each afflicts one lift in fifty, by the lift's number, so that fifty lifts are enough to have all of them; clocks are
/// wrong in two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Now and then a frame never arrives. Never two within [`MISHAP_APART_MS`]: what no frame tells, nobody can find.
    Lost,
    /// Some reports are sent again, seconds later.
    Repeated,
    /// Now and then there is no way out for half a minute, and then all is sent at once.
    Late,
    /// Now and then one frame overtakes the one before it.
    Reordered,
    /// Now and then a report arrives as something that can't be read. As seldom as frames are lost.
    Corrupt,
    /// The terminal restarts, and counts from 1 again with the next boot.
    Reboot,
    /// The clock is wrong, always by the same: some lifts are 5 h ahead, some 3 h behind.
    Clock,
    /// The terminal falls silent for some keep-alives.
    Silent,
}

impl Fault {
    pub const ALL: [Self; 8] = [
        Self::Lost,
        Self::Repeated,
        Self::Late,
        Self::Reordered,
        Self::Corrupt,
        Self::Reboot,
        Self::Clock,
        Self::Silent,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Repeated => "repeated",
            Self::Late => "late",
            Self::Reordered => "reordered",
            Self::Corrupt => "corrupt",
            Self::Reboot => "reboot",
            Self::Clock => "clock",
            Self::Silent => "silent",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name() == name)
    }
}

/// A set of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults(u8);

impl Faults {
    pub const NONE: Self = Self(0);
    pub const ALL: Self = Self(u8::MAX);

    #[must_use]
    pub const fn with(self, fault: Fault) -> Self {
        Self(self.0 | 1 << fault as u8)
    }

    pub const fn has(self, fault: Fault) -> bool {
        self.0 & 1 << fault as u8 != 0
    }

    pub fn iter(self) -> impl Iterator<Item = Fault> {
        Fault::ALL.into_iter().filter(move |fault| self.has(*fault))
    }
}

/// What a fleet has made so far, whether or not it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Of lifts, lost ones and repeats left aside.
    pub frames: u64,
    pub scans: u64,
    faults: [u64; Fault::ALL.len()],
}

impl Counts {
    /// How often it happened: frames that were lost, late, overtaken or had a wrong time; reports that were repeated or
    /// unreadable; restarts; times of silence.
    pub fn of(&self, fault: Fault) -> u64 {
        self.faults[fault as usize]
    }

    pub(super) fn add(&mut self, fault: Fault, n: u64) {
        self.faults[fault as usize] += n;
    }
}

/// The least time between two mishaps of one terminal. A passenger presses the alarm button twice within half a minute:
/// one of them is heard.
pub(super) const MISHAP_APART_MS: i64 = 60_000;

/// When something next goes wrong on the way.
#[derive(Debug)]
pub(super) struct Mishaps {
    next_at: Wall,
}

impl Mishaps {
    pub(super) fn new(next_at: Wall) -> Self {
        Self { next_at }
    }

    /// Whether it goes wrong now; then not again for `apart_ms`.
    pub(super) fn strike(&mut self, now: Wall, apart_ms: i64) -> bool {
        let strikes = now >= self.next_at;
        if strikes {
            self.next_at = now + apart_ms.max(MISHAP_APART_MS);
        }
        strikes
    }
}
