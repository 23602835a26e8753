//! What maintenance firms tell of their visits (无纸化维保), and the use unit's signature below it.
//!
//! A record is never changed: a correction is a record of its own that names what it supersedes. Names and phones of
//! people stand beside it, so that they can be erased: in what is chained there is only their salted digest.

use std::fmt;

use super::ids::{DeviceCode, FirmId, RecordId, WorkerId};
use super::row::bounded_set;
use super::time::{CivilDay, Wall};

bounded_set!(
    /// What sort of visit it was. TSG T5002-2017: each of the first four contains those before it.
    VisitKind {
        HalfMonth = 1 "half-month",
        Quarter = 2 "quarter",
        HalfYear = 3 "half-year",
        Year = 4 "year",
        /// By the policy of an on-demand contract (按需维保).
        OnDemand = 5 "on-demand",
        /// Outside of the schedule: a fault or hazard was seen to.
        Repair = 6 "repair",
    }
);
bounded_set!(
    /// What became of one item of the list.
    ItemResult {
        Good = 1 "good",
        /// It is good now: it was cleaned, adjusted or replaced.
        Adjusted = 2 "adjusted",
        Failed = 3 "failed",
        /// This lift has no such part.
        NotApplicable = 4 "not-applicable",
    }
);
bounded_set!(
    /// What the firm has to report to the regulator.
    Problem {
        None = 1 "S0",
        IllegallyMade = 2 "S1",
        BeyondParameters = 3 "S2",
        SafetyDevice = 4 "S3",
        ToBeScrapped = 5 "S4",
        ObviousFault = 6 "S5",
        AccidentNotReported = 7 "S6",
        Other = 8 "S7",
    }
);
bounded_set!(
    /// What is odd about a record that is taken all the same.
    VisitFlag {
        /// The archive doesn't have the firm.
        FirmUnknown = 1 "firm-unknown",
        /// By the archive another firm has the lift under contract, or none had on that day.
        NotContracted = 2 "not-contracted",
        /// The archive doesn't have one of the workers.
        WorkerUnknown = 3 "worker-unknown",
        /// One of the workers is another firm's.
        ForeignWorker = 4 "foreign-worker",
        /// One of the workers had no valid certificate on that day.
        CertificateExpired = 5 "certificate-expired",
        /// An item failed, and no problem is reported.
        FailedWithoutProblem = 6 "failed-without-problem",
        /// There is no list of items to hold it against.
        ItemsUnchecked = 7 "items-unchecked",
    }
);

macro_rules! from_name {
    ($($name:ident)+) => {
        $(impl $name {
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|it| it.name() == name)
            }
        })+
    };
}
from_name! { VisitKind ItemResult Problem VisitFlag }

/// SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Reads 64 digits of base 16, of either case.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
        for (byte, two) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |at: usize| char::from(two[at]).to_digit(16);
            *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
        }
        Some(Self(bytes))
    }

    pub fn is_zero(&self) -> bool {
        self.0 == [0; 32]
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Drawn at random for each record: with it a digest of a phone number can't be guessed back.
pub type Salt = [u8; 16];

/// A record as the firm tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    pub firm: FirmId,
    /// The firm's own id of it: with the firm it is known again by that.
    pub record: RecordId,
    pub device: DeviceCode,
    pub kind: VisitKind,
    /// Two at least, each once.
    pub workers: Vec<WorkerId>,
    /// Who wrote it.
    pub recorder: WorkerId,
    pub started_at: Wall,
    pub ended_at: Wall,
    /// Each item once.
    pub items: Vec<ItemDone>,
    pub problem: Problem,
    /// What the problem is, or what was done.
    pub note: Option<Box<str>>,
    pub photos: Vec<Photo>,
    /// When the firm means to come again.
    pub next_on: Option<CivilDay>,
    /// The record that it corrects: of the same firm and lift.
    pub supersedes: Option<RecordId>,
    /// Records of the same firm and lift whose problem is no more.
    pub rectifies: Vec<RecordId>,
    /// Who answers for it, for people. Empty also where it has been erased.
    pub people: Vec<Person>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemDone {
    /// Its id in the table of items.
    pub item: Box<str>,
    pub result: ItemResult,
    pub note: Option<Box<str>>,
}

/// A photo, which is kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Photo {
    pub digest: Digest,
    /// Such as `image/jpeg`.
    pub media: Box<str>,
    pub bytes: u32,
    pub taken_at: Option<Wall>,
    /// The item that it shows.
    pub item: Option<Box<str>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Such as `responsible`.
    pub duty: Box<str>,
    pub name: Box<str>,
    pub phone: Option<Box<str>>,
}

/// A record on its way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    pub visit: Visit,
    pub salt: Salt,
    /// The store was asked for a record of this firm and id, and has none.
    pub looked_up: bool,
}

/// A record as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisitRow {
    pub visit: Visit,
    /// Its place in the device's chain, from 1.
    pub number: u64,
    pub recorded_at: Wall,
    /// Ascending.
    pub flags: Vec<VisitFlag>,
    /// Of the people; zeros where nobody was named.
    pub people_digest: Digest,
    /// `None`: nobody was named, or it has been erased.
    pub salt: Option<Salt>,
    /// The digest of all of this and of the link before it.
    pub link: Digest,
}

/// The use unit signs a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign {
    pub device: DeviceCode,
    pub firm: FirmId,
    pub record: RecordId,
    /// Whoever signs, by an id: not by name.
    pub signatory: Box<str>,
    pub note: Option<Box<str>>,
}

/// A signature as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureRow {
    pub sign: Sign,
    /// Its place in the device's chain, from 1.
    pub number: u64,
    /// The place of the record that it signs.
    pub visit_number: u64,
    pub signed_at: Wall,
    pub link: Digest,
}

/// One link of a device's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainLink {
    Visit(Box<VisitRow>),
    Signature(SignatureRow),
}

impl ChainLink {
    pub fn device(&self) -> DeviceCode {
        match self {
            Self::Visit(row) => row.visit.device,
            Self::Signature(row) => row.sign.device,
        }
    }

    /// Its place, from 1.
    pub fn number(&self) -> u64 {
        match self {
            Self::Visit(row) => row.number,
            Self::Signature(row) => row.number,
        }
    }

    pub fn recorded_at(&self) -> Wall {
        match self {
            Self::Visit(row) => row.recorded_at,
            Self::Signature(row) => row.signed_at,
        }
    }

    pub fn link(&self) -> Digest {
        match self {
            Self::Visit(row) => row.link,
            Self::Signature(row) => row.link,
        }
    }

    /// The record that it is, or signs.
    pub fn record(&self) -> (FirmId, RecordId) {
        match self {
            Self::Visit(row) => (row.visit.firm, row.visit.record),
            Self::Signature(row) => (row.sign.firm, row.sign.record),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_read_as_they_are_written() {
        let digest = Digest(std::array::from_fn(|at| (at * 9) as u8));
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        assert_eq!(Digest::parse(&digest.to_string().to_uppercase()), Some(digest));
        for bad in ["", "00", &"0g".repeat(32), &"0".repeat(65), &"é".repeat(32)] {
            assert_eq!(Digest::parse(bad), None, "{bad}");
        }
    }
}
