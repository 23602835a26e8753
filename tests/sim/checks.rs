//! The dear checks: what stands in the core, on the board and in the store, beside what was told.

use futures_util::FutureExt as _;
use vigil::model::actor::Actor;
use vigil::model::alert::Alert;
use vigil::model::frame::Reported;
use vigil::model::ids::{AlertId, DeviceCode};
use vigil::model::row::Row;
use vigil::model::time::Wall;
use vigil::pages::Filter;
use vigil::store::{FrameCursor, FrameQuery, Store as _};

use crate::faults::Fault;
use crate::lifts::Nature;
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
        self.check_inspections()?;
        self.check_sizes()
    }

    /// P4: what is open is the fold of what was told; the board shows the same.
    fn check_open(&self) -> Check {
        let Some(process) = &self.process else { return Ok(()) };
        let told: Vec<_> = self.model.open.values().map(gist).collect();
        let core = process.spine.core().open_alerts();
        let listing = process.board.list(&Filter::all(Actor::local_admin()), None, ALL);
        let (core, board): (Vec<_>, Vec<_>) =
            (core.iter().map(gist).collect(), listing.alerts.iter().map(|alert| gist(alert)).collect());
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
        // Mangled frames may repeat a key that nobody remembers: those the store keeps once.
        for lift in self.lifts.iter().filter(|lift| lift.nature != Nature::Chaotic) {
            let code = DeviceCode::parse(&lift.code).expect("codes of the simulation are well formed");
            let rows = told.iter().flat_map(|told| &told.effects.rows);
            let mut expected: Vec<_> = rows
                .filter_map(|row| match row {
                    Row::Frame(row) if row.device == code => Some((row.frame.runs, row.frame.key)),
                    _ => None,
                })
                .collect();
            let mut found = self.stored_frames(code)?;
            let order = |frame: &(Reported<u64>, vigil::model::frame::FrameKey)| (frame.1, frame.0.known().copied());
            expected.sort_by_key(order);
            found.sort_by_key(order);
            if expected != found {
                return Err(format!(
                    "P4: of {code} the store has {} frames, and {} were told up to its checkpoint {stored_to}",
                    found.len(),
                    expected.len()
                ));
            }
        }
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

    fn stored_frames(&self, device: DeviceCode) -> Result<Vec<(Reported<u64>, vigil::model::frame::FrameKey)>, String> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let query = FrameQuery { device, from: Wall(i64::MIN), to: Wall::MAX, after, limit: ALL };
            let page = self.house.database.inner.frames(query).now_or_never().expect("it is in memory");
            let page = page.map_err(|e| e.to_string())?;
            let Some(last) = page.last() else { return Ok(found) };
            after = Some(FrameCursor::of(last));
            found.extend(page.iter().map(|row| (row.frame.runs, row.frame.key)));
        }
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
