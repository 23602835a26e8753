//! Where the spine's thread hands over what it released: to the feed, to the store's writer, to the figures.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::watch;

use crate::core::telemetry::heard::Way;
use crate::feed::{Feed, Judged, LinkState};
use crate::ingest::downlink::Downlinks;
use crate::model::incident::IncidentEvent;
use crate::observe::{AlertTransition, IncidentMoved, JudgedReports, RescuesRefused, StormBegan, emit};
use crate::spine::Released;
use crate::spine::driver::{Outlet, Standing, Vitals};

pub(super) struct ToFeed {
    feed: Arc<Feed>,
    incidents: Arc<Feed<IncidentEvent>>,
    vitals: Arc<Vitals>,
    outbox_next: watch::Sender<u64>,
    downlinks: Downlinks,
}

impl ToFeed {
    pub(super) fn new(
        feed: Arc<Feed>,
        incidents: Arc<Feed<IncidentEvent>>,
        vitals: Arc<Vitals>,
        outbox_next: watch::Sender<u64>,
        downlinks: Downlinks,
    ) -> Self {
        Self { feed, incidents, vitals, outbox_next, downlinks }
    }
}

impl Outlet for ToFeed {
    fn released(&mut self, released: Released, standing: Standing) {
        // First, since somebody stands with a gun in his hand.
        self.downlinks.send(released.downlinks);
        let link = match standing.way {
            Way::Down => LinkState::Down,
            Way::Draining => LinkState::Draining,
            Way::Open => LinkState::Up,
        };
        let store_stalled_ms = self.vitals.store_stalled_ms.load(Ordering::Relaxed);
        let judged = Judged { position: standing.inbox, wall: standing.wall, link, store_stalled_ms };
        // An incident may be told a moment before the alert that opened it, never after: who waits for a position waits for
        // that of alerts.
        if let Err(gap) = self.incidents.publish(&released.incidents, judged) {
            tracing::error!(%gap, "events of incidents came out of order");
        }
        if let Err(gap) = self.feed.publish(&released.events, judged) {
            // Watchers go back to the outbox, which has no gap; that one came here is a fault of ours.
            tracing::error!(%gap, "alert events came out of order");
        }
        self.outbox_next.send_if_modified(|next| std::mem::replace(next, standing.outbox_next) != standing.outbox_next);
        for event in &released.events {
            let alert = &event.alert;
            emit(AlertTransition {
                rule: &alert.id.rule,
                subject: &alert.id.subject.to_string(),
                kind: event.kind,
                severity: alert.severity,
                reason: event.reason,
            });
            if let Some(group) = alert.group.as_ref().filter(|group| group.began == event.cursor()) {
                emit(StormBegan { rule: &alert.id.rule, group });
            }
        }
        for event in &released.incidents {
            let (entry, incident) = (&event.entry, &event.incident);
            let (what, since_ms) = (entry.what, entry.since_ms);
            emit(IncidentMoved { incident: incident.id, what, state: incident.state, since_ms });
        }
        if released.tally.rescues_refused > 0 {
            emit(RescuesRefused { count: released.tally.rescues_refused });
        }
        if released.records > 0 {
            emit(JudgedReports { records: released.records, tally: released.tally });
        }
    }
}
