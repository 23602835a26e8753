//! The dear checks: what stands in the core, on the board and in the store, beside what was told.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt as _;
use vigil::model::actor::Actor;
use vigil::model::alert::Alert;
use vigil::model::ids::{AlertId, DeviceCode};
use vigil::model::row::{FrameRow, Order, Row, ScanRow};
use vigil::model::time::Wall;
use vigil::pages::Filter;
use vigil::store::{FrameCursor, FrameQuery, ScanQuery, Store as _};

use crate::faults::Fault;
use crate::model::Told;
use crate::stations::{self, ALIASES, CYLINDERS};
use crate::world::{Check, World};

const ALL: usize = 1_000_000;
/// What ticks, links, commands and policies may add to a full journal in one run.
const BEYOND_QUOTA_BYTES: u64 = 128 * 1024;

impl World {
    pub(crate) fn check(&mut self) -> Check {
        self.check_store()?;
        let used = self.house.inbox.used_after_failure() + self.house.outbox.used_after_failure();
        if used > 0 {
            return Err(format!("P1: a journal that had failed was used again, {used} times"));
        }
        self.check_open()?;
        self.check_cylinders()?;
        if self.process.is_some() {
            self.model.check_skipped_told(!self.house.poisoned.is_empty())?;
        }
        self.check_dues()?;
        self.check_heads()?;
        self.check_rescues()?;
        self.check_sizes()
    }

    /// P4: what is open is the fold of what was told; the board shows the same.
    fn check_open(&self) -> Check {
        let Some(process) = &self.process else { return Ok(()) };
        let told: Vec<_> = self.model.open.values().map(gist).collect();
        let core = process.spine.core().open_alerts();
        let listing = process.board.list(&Filter::all(Actor::local_admin()), None, ALL);
        let mut listed: Vec<&Alert> = listing.alerts.iter().map(|alert| &**alert).collect();
        if !listed.is_sorted_by_key(|alert| (alert.urgency(), alert.id.clone())) {
            return Err(format!("P4: the board lists {listed:?}, not the most urgent first"));
        }
        listed.sort_by(|a, b| a.id.cmp(&b.id));
        // How large a group has become the board finds out from events, the core counts it.
        let in_numbers = |alert: &Alert| (alert.occupied, alert.group, alert.flapping);
        if !core.iter().map(in_numbers).eq(listed.iter().map(|alert| in_numbers(alert))) {
            return Err(format!("P4: the core holds {core:?}, the board {listed:?}"));
        }
        let (core, board): (Vec<_>, Vec<_>) = (core.iter().map(gist).collect(), listed.into_iter().map(gist).collect());
        for (what, open) in [("core", core), ("board", board)] {
            if open != told {
                return Err(format!("P4: the {what} holds {open:?} open, told was {told:?}"));
            }
        }
        Ok(())
    }

    /// P4 and P2: the store is the fold of the outbox up to its checkpoint, each frame once.
    fn check_store(&self) -> Check {
        let store = &self.house.database.inner;
        let checkpoint = store.checkpoint().now_or_never().expect("it is in memory").map_err(|e| e.to_string())?;
        let stored_to = checkpoint.map_or(0, |checkpoint| checkpoint.position as usize);
        let told = &self.model.outbox[..stored_to.min(self.model.outbox.len())];
        self.check_frames(told)?;
        self.check_scans(told)?;
        self.check_kept(told)?;
        let expected = told.iter().map(|told| told.effects.events.len()).sum::<usize>();
        let mut seq = 0;
        while (seq as usize) < expected {
            let events = store.alert_events_after(1, seq, ALL).now_or_never().expect("it is in memory");
            let events = events.map_err(|e| e.to_string())?;
            let Some(last) = events.last() else { break };
            for event in &events {
                if self.model.events.get(event.seq as usize - 1).map(|(_, told)| told) != Some(event) {
                    return Err(format!("P4: the store has another event {} than was told", event.seq));
                }
            }
            seq = last.seq;
        }
        if seq as usize != expected {
            return Err(format!("P4: the store has {seq} events, and {expected} were told up to its checkpoint"));
        }
        Ok(())
    }

    /// Each frame that was told, of those made up by mangled payloads too. Only one that is too old to be known may be
    /// told twice; the store then keeps the first of the same key and claimed time.
    fn check_frames(&self, told: &[Told]) -> Check {
        let (mut expected, mut old) = (BTreeMap::<_, Vec<&FrameRow>>::new(), BTreeSet::new());
        for row in told.iter().flat_map(|told| &told.effects.rows) {
            let Row::Frame(row) = row else { continue };
            if row.order != Order::VeryLate || old.insert((row.device, row.frame.key, row.frame.claimed_at)) {
                expected.entry(row.device).or_default().push(row);
            }
        }
        for (device, mut expected) in expected {
            let mut found = self.stored_frames(device)?;
            let order = |row: &FrameRow| {
                let FrameRow { generation, frame, received_at, .. } = row;
                (*generation, frame.key, row.order == Order::VeryLate, frame.claimed_at, *received_at)
            };
            expected.sort_by_key(|row| order(row));
            found.sort_by_key(order);
            if !expected.iter().copied().eq(&found) {
                return Err(format!(
                    "P4: of {device} the store has {} frames, and {} were told up to its checkpoint",
                    found.len(),
                    expected.len()
                ));
            }
        }
        Ok(())
    }

    fn stored_frames(&self, device: DeviceCode) -> Result<Vec<FrameRow>, String> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let query = FrameQuery { device, from: Wall(i64::MIN), to: Wall::MAX, after, limit: ALL };
            let page = self.house.database.inner.frames(query).now_or_never().expect("it is in memory");
            let mut page = page.map_err(|e| e.to_string())?;
            let Some(last) = page.last() else { return Ok(found) };
            after = Some(FrameCursor::of(last));
            found.append(&mut page);
        }
    }

    /// Each scan that was told.
    fn check_scans(&self, told: &[Told]) -> Check {
        let order = |row: &ScanRow| row.scan.tare_g;
        let mut all: BTreeMap<_, Vec<&ScanRow>> = BTreeMap::new();
        for row in told.iter().flat_map(|told| &told.effects.rows) {
            if let Row::Scan(row) = row {
                all.entry(row.scan.cylinder).or_default().push(row);
            }
        }
        for cylinder in stations::codes() {
            let mut expected = all.remove(&cylinder).unwrap_or_default();
            let query = ScanQuery { cylinder, from: Wall(i64::MIN), to: Wall::MAX, after: None, limit: ALL };
            let found = self.house.database.inner.scans(query).now_or_never().expect("it is in memory");
            let mut found = found.map_err(|e| e.to_string())?;
            expected.sort_by_key(|row| order(row));
            found.sort_by_key(order);
            if !expected.iter().copied().eq(&found) {
                let (found, told) = (found.len(), expected.len());
                return Err(format!("P4: of {cylinder} the store has {found} scans, and {told} were told"));
            }
        }
        Ok(())
    }

    /// P9: what must stay small stays small.
    fn check_sizes(&self) -> Check {
        let Some(process) = &self.process else { return Ok(()) };
        let quotas = self.house.settings.quotas;
        let sizes = [(process.spine.inbox(), quotas.inbox_bytes), (process.spine.outbox(), quotas.outbox_bytes)];
        for (journal, quota_bytes) in sizes {
            // The reserve is far larger in life, and a policy takes a few KiB of it.
            if journal.size_bytes() > quota_bytes + BEYOND_QUOTA_BYTES {
                return Err(format!("P9: a journal of at most {quota_bytes} bytes has {}", journal.size_bytes()));
            }
        }
        let cylinders = process.spine.core().cylinders().len() as u64;
        if cylinders > CYLINDERS + ALIASES {
            return Err(format!("P9: the core holds {cylinders} cylinders, and only so many codes are ever told"));
        }
        // Every device that ever got through, those among them that mangled payloads made up.
        let lifts = process.spine.core().lifts().len();
        let most = self.lifts.len() + self.faults.drawn[Fault::PayloadMangled as usize] as usize;
        if lifts > most {
            return Err(format!("P9: the core holds {lifts} lifts, and there are {most}"));
        }
        Ok(())
    }
}

fn gist(alert: &Alert) -> (AlertId, String) {
    let Alert { id, severity, certainty, acknowledged, opened_at, .. } = alert;
    (id.clone(), format!("{severity:?} {certainty:?} {acknowledged:?} {opened_at}"))
}
