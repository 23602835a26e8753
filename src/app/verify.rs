//! `vigil verify`: the chains of records in the store, link by link, and held against what the service remembers of them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;

use super::AppError;
use crate::config::Config;
use crate::core::CORE_VERSION;
use crate::core::chain::{Broken, Followed};
use crate::core::snapshot::{Restoring, SnapshotError};
use crate::journal::JournalError;
use crate::journal::snapshots::SnapshotDir;
use crate::limits;
use crate::model::archive::EntryKind;
use crate::model::ids::DeviceCode;
use crate::model::time::Wall;
use crate::model::visit::Digest;
use crate::proto::internal::JournalPoint;
use crate::spine::image::{Part, Parts};
use crate::store::{LinkCursor, LinkQuery, Store, StoreError};

#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("{0}")]
    App(#[from] AppError),
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// What the newest snapshot says of the chains: how many links each has, and the last one.
pub type Heads = BTreeMap<DeviceCode, (u64, Digest)>;

/// What there is to hold the store against.
#[derive(Debug)]
pub enum Known {
    /// Those of a snapshot, and of when.
    Heads(Heads, Wall),
    /// Nothing, and why.
    Nothing(String),
}

/// What was found out about one device's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub device: DeviceCode,
    /// Links that are whole, from the first one on.
    pub links: u64,
    /// Of them those up to the last one that the snapshot knows: none of these is missing. None: it knows of none.
    pub confirmed: u64,
    pub broken: Option<Broken>,
}

/// Opens the store of a service, which may be running, and finds out what its newest snapshot says.
pub async fn open(config: &Config) -> Result<(std::sync::Arc<dyn Store>, Known), VerifyError> {
    let store = super::store(config);
    let stored = store.checkpoint().await?;
    let known = match newest(config) {
        Err(why) => Known::Nothing(why),
        Ok(None) => Known::Nothing("the service has taken no snapshot yet".into()),
        // What the store doesn't have yet isn't missing.
        Ok(Some((outbox, heads, at_wall))) => match stored {
            Some(at) if outbox.id == at.journal.to_le_bytes()[..] && at.position >= outbox.position => {
                Known::Heads(heads, at_wall)
            }
            Some(at) if outbox.id == at.journal.to_le_bytes()[..] => {
                Known::Nothing("the database is behind the newest snapshot".into())
            }
            _ => Known::Nothing("the newest snapshot belongs to another database".into()),
        },
    };
    Ok((store, known))
}

fn newest(config: &Config) -> Result<Option<(JournalPoint, Heads, Wall)>, String> {
    let wrong = |error: JournalError| error.to_string();
    let snapshots = SnapshotDir::look(config.service.data_dir.join("snapshots"));
    let Some(snapshot) = snapshots.newest().map_err(wrong)? else { return Ok(None) };
    let (mut restoring, mut outbox) = (Restoring::new(CORE_VERSION), None);
    for part in (Parts { input: Cursor::new(snapshot.content) }) {
        match part.map_err(|error| error.to_string())? {
            Part::Inbox(_) => {}
            Part::Outbox(point) => outbox = Some(point),
            Part::Core(piece) => restoring.take(piece).map_err(|error: SnapshotError| error.to_string())?,
        }
    }
    let core = restoring.finish().map_err(|error| error.to_string())?;
    let heads = core.lifts().iter().filter_map(|lift| Some((lift.code, lift.chain()?))).collect();
    Ok(outbox.map(|outbox| (outbox, heads, core.now().wall)))
}

/// Devices whose chains there are to follow, those among them of which the store has nothing left.
pub async fn devices(store: &dyn Store, known: &Known) -> Result<BTreeSet<DeviceCode>, StoreError> {
    let mut devices: BTreeSet<DeviceCode> = match known {
        Known::Heads(heads, _) => heads.keys().copied().collect(),
        Known::Nothing(_) => BTreeSet::new(),
    };
    let mut after = None;
    loop {
        let page = store.chained(after, limits::PAGE_ROWS).await?;
        let Some(last) = page.last() else { return Ok(devices) };
        after = Some(*last);
        devices.extend(page);
    }
}

/// Follows one chain to its end, or to the first link that is broken.
pub async fn verify(store: &dyn Store, known: &Known, device: DeviceCode) -> Result<Verdict, StoreError> {
    let head = match known {
        Known::Heads(heads, _) => heads.get(&device).copied(),
        Known::Nothing(_) => None,
    };
    let mut followed = Followed::default();
    let broken = follow(store, device, head, &mut followed).await?;
    let broken = broken.or_else(|| {
        let (want, _) = head?;
        (followed.links < want).then_some(Broken::CutOff { want, got: followed.links })
    });
    let confirmed = if broken.is_none() { head.map_or(0, |(links, _)| links) } else { 0 };
    Ok(Verdict { device, links: followed.links, confirmed, broken })
}

/// Whether a lift is in the archive. Of one that isn't, nothing was proven by finding no records.
pub async fn is_archived(store: &dyn Store, device: DeviceCode) -> Result<bool, StoreError> {
    Ok(store.entry(EntryKind::Lift, device.to_string()).await?.is_some())
}

async fn follow(
    store: &dyn Store,
    device: DeviceCode,
    head: Option<(u64, Digest)>,
    followed: &mut Followed,
) -> Result<Option<Broken>, StoreError> {
    let (mut after, mut limit) = (None, limits::PAGE_ROWS);
    loop {
        let query = LinkQuery { device, from: Wall(i64::MIN), to: Wall::MAX, after, limit };
        let page = match store.links(query).await {
            Ok(page) => page,
            // A value that no record has: which of them has it shows one by one.
            Err(StoreError::Corrupt { .. }) if limit > 1 => {
                limit = 1;
                continue;
            }
            Err(StoreError::Corrupt { .. }) => return Ok(Some(Broken::Changed { number: followed.links + 1 })),
            Err(error) => return Err(error),
        };
        for link in &page {
            if let Err(broken) = followed.take(&link.row) {
                return Ok(Some(broken));
            }
            if head.is_some_and(|(number, head)| number == followed.links && head != followed.head) {
                return Ok(Some(Broken::Replaced { number: followed.links }));
            }
        }
        after = page.last().map(LinkCursor::of);
        if page.len() < limit {
            return Ok(None);
        }
    }
}
