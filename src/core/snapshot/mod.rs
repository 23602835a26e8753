//! The whole state as bytes and back, by `proto/vigil/internal/v1/snapshot.proto`.
//!
//! Indexes and timers follow from the rest and are made anew. **Invariant:** equal states give equal bytes, and a core
//! that was restored goes on exactly as the one it was taken from.

#[cfg(test)]
mod arbitrary;
mod incidents;
#[cfg(test)]
mod journey;
#[cfg(test)]
mod one;
mod read;
mod records;
mod storms;
mod subject;
#[cfg(test)]
mod tests;
mod upkeep;
mod write;

use std::sync::Arc;

use bytes::Bytes;
use rpds::RedBlackTreeMapSync;

pub use self::read::Restoring;
use super::books::Books;
use super::cylinder::Cylinder;
use super::cylinder::fills::Fills;
use super::dispatch::Dispatch;
use super::doubt::Doubt;
use super::lift::Lift;
use super::maintenance::known::KnownRecords;
use super::paged::Paged;
use super::policy::Policy;
use super::rejects::Quota;
use super::requests::Requests;
use super::scanner::Scanner;
use super::service::Service;
use super::sweep::Today;
use super::telemetry::heard::Hearing;
use super::{CORE_VERSION, Core};
use crate::model::archive;
use crate::model::ids::{FirmId, SiteCode, WorkerId};

/// Rises with each field that is added, and with whatever else an earlier program would overlook or misread. It says
/// whether a snapshot can be read; `CORE_VERSION` says whether it is gone on from as if nothing had happened.
const FORMAT: u32 = 6;
/// The oldest one that is still read: what it lacks has a value here that means what its absence meant.
const FORMAT_OLDEST: u32 = 1;

/// The state after a record, held fast: what the core changes afterwards it changes in copies. Cheap to make; to be
/// encoded on another thread.
#[derive(Debug, Clone)]
pub struct Frozen {
    version: u32,
    next: u64,
    books: Books,
    policy: Arc<Policy>,
    hearing: Hearing,
    lifts: Paged<Lift>,
    cylinders: Paged<Cylinder>,
    scanners: Paged<Scanner>,
    sites: RedBlackTreeMapSync<SiteCode, archive::Site>,
    firms: RedBlackTreeMapSync<FirmId, archive::Firm>,
    workers: RedBlackTreeMapSync<WorkerId, archive::Worker>,
    service: Service,
    dispatch: Dispatch,
    requests: Requests,
    known_records: KnownRecords,
    fills: Fills,
    doubt: Option<Doubt>,
    quota: Arc<Quota>,
    today: Option<Today>,
}

/// Why bytes are not a state that this program can go on from.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SnapshotError {
    #[error("the snapshot is of format {got}, this program reads format {FORMAT}: start the version that wrote it")]
    Format { got: u32 },
    /// What this program doesn't know of may stand in it, and what follows from it was told already by other rules.
    #[error(
        "the snapshot is of core version {got}, this program's is {ours}: a newer vigil wrote it; start that version"
    )]
    CoreVersion { got: u32, ours: u32 },
    #[error("{place} in the snapshot can't be read: {why}; use an older snapshot")]
    Unreadable { place: Box<str>, why: Box<str> },
}

impl Core {
    /// The state as it stands, to be encoded. Only when nothing is left over from the last record (`is_settled`).
    pub fn freeze(&self) -> Frozen {
        assert!(self.is_settled(), "what is left over from a record is in no snapshot");
        self.parts()
    }

    fn parts(&self) -> Frozen {
        Frozen {
            version: self.version,
            next: self.next,
            books: self.books.clone(),
            policy: self.policy.clone(),
            hearing: self.hearing.clone(),
            lifts: self.lifts.clone(),
            cylinders: self.cylinders.clone(),
            scanners: self.scanners.clone(),
            sites: self.sites.clone(),
            firms: self.firms.clone(),
            workers: self.workers.clone(),
            service: self.service.clone(),
            dispatch: self.dispatch.clone(),
            requests: self.requests.clone(),
            known_records: self.known_records.clone(),
            fills: self.fills.clone(),
            doubt: self.doubt,
            quota: self.quota.clone(),
            today: self.today,
        }
    }

    /// Whether the bytes were whole is the file's to say; these are refused only if they can't be a state.
    pub fn restore(bytes: Bytes) -> Result<Self, SnapshotError> {
        Self::restore_as(CORE_VERSION, bytes)
    }

    /// A snapshot of this version or an older one, to be gone on from by this version.
    pub fn restore_as(version: u32, bytes: Bytes) -> Result<Self, SnapshotError> {
        let mut restoring = Restoring::new(version);
        restoring.take(bytes)?;
        restoring.finish()
    }
}

impl Frozen {
    /// The position that the next record has.
    pub fn next(&self) -> u64 {
        self.next
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.clone().pieces(|piece| out.extend_from_slice(piece));
        out
    }

    /// The same bytes piece by piece, each cut between two fields: those of a city need not be in memory at a time. What
    /// has been written is let go
    /// of, so that the core soon changes it in place again.
    pub fn pieces(self, take: impl FnMut(&[u8])) {
        write::frozen(self, take);
    }
}
