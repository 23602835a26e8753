//! What the archive has on the place of an alert or incident. A message that can't have it goes without.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::cap::{Site, Told};
use crate::limits;
use crate::model::archive::{Entry, EntryKind};
use crate::model::ids::{DeviceCode, Subject};
use crate::store::{Checkpoint, Fut, Store};

/// What notifications want of the store.
pub trait Archive: Send + Sync {
    fn lift(&self, device: DeviceCode) -> Fut<'_, Option<Entry>>;
    fn checkpoint(&self) -> Fut<'_, Option<Checkpoint>>;
}

impl Archive for Arc<dyn Store> {
    fn lift(&self, device: DeviceCode) -> Fut<'_, Option<Entry>> {
        self.entry(EntryKind::Lift, device.to_string())
    }

    fn checkpoint(&self) -> Fut<'_, Option<Checkpoint>> {
        Store::checkpoint(&**self)
    }
}

/// Shared by all targets: that the database hangs is found out once for all of them.
pub(super) struct Sites {
    archive: Arc<dyn Archive>,
    /// It didn't answer: until then nobody waits for it.
    ask_again_at: Mutex<Option<Instant>>,
}

impl Sites {
    pub(super) fn new(archive: Arc<dyn Archive>) -> Self {
        Self { archive, ask_again_at: Mutex::new(None) }
    }

    pub(super) async fn of(&self, told: Told<'_>) -> Site {
        let Some(device) = device(told) else { return Site::default() };
        if !self.may_ask() {
            return Site::default();
        }
        let waited = Duration::from_millis(limits::NOTIFY_PLACE_MS);
        let found = tokio::time::timeout(waited, self.archive.lift(device)).await;
        let again_after = Duration::from_millis(limits::NOTIFY_PLACE_AGAIN_MS);
        *self.ask_again() = if matches!(found, Ok(Ok(_))) { None } else { Some(Instant::now() + again_after) };
        match found {
            Ok(Ok(Some(Entry::Lift(lift)))) => Site { position: lift.position, rescue_code: lift.rescue_code },
            _ => Site::default(),
        }
    }

    /// Once the time is over, one of all those who want to know tries.
    fn may_ask(&self) -> bool {
        let now = Instant::now();
        let mut ask_again_at = self.ask_again();
        match *ask_again_at {
            None => true,
            Some(at) if at <= now => {
                *ask_again_at = Some(now + Duration::from_millis(limits::NOTIFY_PLACE_AGAIN_MS));
                true
            }
            Some(_) => false,
        }
    }

    fn ask_again(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.ask_again_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn device(told: Told<'_>) -> Option<DeviceCode> {
    match told {
        Told::Alert(event) => match event.alert.id.subject {
            Subject::Device(device) => Some(device),
            Subject::Cylinder(_) | Subject::Service | Subject::Incident(_) => None,
        },
        Told::Incident(event) => event.incident.scene.device,
    }
}
