//! Rescue incidents: opened by rules or people, advanced by people, watched by deadlines.
//!
//! `machine` says what may be done and what comes of it, `tiers` who can be sent, `commands` takes what people do, `deadlines`
//! what time does, `reassurance` speaks to whoever is trapped, `kpi` makes figures of what happened. This file holds the
//! incidents and writes their entries.

mod commands;
mod deadlines;
pub mod kpi;
pub mod machine;
mod reassurance;
mod tiers;

use std::collections::BTreeSet;
use std::sync::Arc;

use rpds::RedBlackTreeMapSync;

use super::books::{Now, Who};
use super::judge::runs::Runs;
use super::{Core, Effects};
use crate::limits;
use crate::model::alert::{AlertEvent, Certainty, Cursor, EventKind, Place, Reason, Severity};
use crate::model::ids::{DeviceCode, District, Subject};
use crate::model::incident::{Caller, Ending, Entry, Incident, IncidentEvent, IncidentId, Party, Scene, Source, What};
use crate::model::record::Outcome;
use crate::model::time::Elapsed;

/// The rules' word for what opens or joins an incident.
pub const RESCUE: &str = "rescue";

#[derive(Debug, Clone, Default)]
pub struct Dispatch {
    /// Of the last event; it counts within the epoch of the books.
    pub(crate) seq: u64,
    /// Of the last incident.
    pub number: u64,
    /// Those that are not over, and those that are for a short while. Copies share what they have in common.
    pub(crate) kept: RedBlackTreeMapSync<IncidentId, Arc<Kept>>,
    /// What follows from the above: deadlines, incidents of lifts that are not over, and those that are, by when.
    due: BTreeSet<(Elapsed, IncidentId)>,
    going: BTreeSet<(Option<DeviceCode>, IncidentId)>,
    over: BTreeSet<(Elapsed, IncidentId)>,
    /// Those that are still to be told anew, a few with each record. No snapshot is taken before there are none.
    untold: BTreeSet<IncidentId>,
}

/// An incident with all that happened to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    pub incident: Incident,
    /// When it was received: what `since_ms` counts from.
    pub received: Elapsed,
    pub timeline: Vec<Entry>,
    /// The alerts about the rescue itself.
    pub runs: Runs,
}

impl Kept {
    pub(super) fn who(&self) -> Who {
        let Incident { id, scene, occupied, .. } = &self.incident;
        let who = Who::new(Subject::Incident(*id));
        Who { place: scene.place.clone(), occupied: *occupied, ..who }
    }

    fn deadline(&self) -> Option<Elapsed> {
        let Incident { accept_by_ms, arrive_by_ms, reassure_by_ms, .. } = self.incident;
        [accept_by_ms, arrive_by_ms, reassure_by_ms].into_iter().flatten().min().map(|ms| self.received + ms)
    }

    fn over_at(&self) -> Option<Elapsed> {
        self.incident.over_ms.map(|ms| self.received + ms)
    }
}

/// What an entry says beside what happened, and when.
#[derive(Default)]
struct Says<'a> {
    actor: Option<&'a str>,
    note: Option<&'a str>,
    scene: Option<Scene>,
    party: Option<Party>,
    alert: Option<&'a AlertEvent>,
    severity: Option<Severity>,
    certainty: Option<Certainty>,
    occupied: Option<bool>,
    caller: Option<Caller>,
    accept_by_ms: Option<i64>,
    arrive_by_ms: Option<i64>,
    ending: Option<Ending>,
    reassure_by_ms: Option<i64>,
}

impl Dispatch {
    /// Without any incident yet, after so many events and incidents.
    pub(crate) fn after(seq: u64, number: u64) -> Self {
        Self { seq, number, ..Self::default() }
    }

    pub fn get(&self, id: &IncidentId) -> Option<&Kept> {
        self.kept.get(id).map(|kept| &**kept)
    }

    pub(super) fn runs_mut(&mut self, id: &IncidentId) -> Option<&mut Runs> {
        self.kept.get_mut(id).map(|kept| &mut Arc::make_mut(kept).runs)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Kept> {
        self.kept.values().map(|kept| &**kept)
    }

    /// The incidents of a lift that are not over.
    fn of(&self, device: Option<DeviceCode>) -> impl Iterator<Item = &Kept> {
        let all =
            (device, IncidentId { epoch: 0, number: 0 })..=(device, IncidentId { epoch: u32::MAX, number: u64::MAX });
        self.going.range(all).filter_map(|(_, id)| self.get(id))
    }

    /// The one in which somebody of that lift may still be trapped.
    fn pending(&self, device: DeviceCode) -> Option<IncidentId> {
        self.of(Some(device)).map(|kept| &kept.incident).find(|it| it.state.is_pending()).map(|it| it.id)
    }

    /// What follows from an incident as it stands, in place of what followed before.
    fn settle(&mut self, id: IncidentId, before: Option<(Option<Elapsed>, Option<Elapsed>)>) {
        let Some(kept) = self.kept.get(&id) else { return };
        let (device, due, over) = (kept.incident.scene.device, kept.deadline(), kept.over_at());
        let (was_due, was_over) = before.unwrap_or_default();
        if was_due != due {
            was_due.into_iter().for_each(|at| _ = self.due.remove(&(at, id)));
            due.into_iter().for_each(|at| _ = self.due.insert((at, id)));
        }
        match over {
            None => _ = self.going.insert((device, id)),
            Some(at) if was_over.is_none() => {
                self.going.remove(&(device, id));
                self.over.insert((at, id));
            }
            Some(_) => {}
        }
    }

    /// One that a snapshot holds.
    pub(crate) fn put(&mut self, kept: Kept) {
        let id = kept.incident.id;
        self.kept.insert_mut(id, Arc::new(kept));
        self.settle(id, None);
    }

    fn remove(&mut self, id: IncidentId) {
        let Some(kept) = self.kept.get(&id) else { return };
        let (device, due, over) = (kept.incident.scene.device, kept.deadline(), kept.over_at());
        due.into_iter().for_each(|at| _ = self.due.remove(&(at, id)));
        over.into_iter().for_each(|at| _ = self.over.remove(&(at, id)));
        self.going.remove(&(device, id));
        self.kept.remove_mut(&id);
    }

    pub(super) fn is_all_told(&self) -> bool {
        self.untold.is_empty()
    }

    pub(super) fn first_due(&self) -> Option<Elapsed> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Lets go of what has been over for long enough, or is too much; a few at a time.
    fn forget(&mut self, now: Elapsed) {
        for _ in 0..limits::INCIDENTS_DROPPED {
            let Some((at, id)) = self.over.first().copied() else { return };
            if self.over.len() <= limits::INCIDENTS_OVER && now - at < limits::INCIDENT_KEPT_MS {
                return;
            }
            self.over.pop_first();
            self.kept.remove_mut(&id);
        }
    }

    /// Writes an entry, and tells it. `None`: there is no such incident any more.
    fn write(
        &mut self,
        (epoch, now): (u32, Now),
        out: &mut Effects,
        id: IncidentId,
        what: What,
        source: Source,
        says: Says<'_>,
    ) -> Option<()> {
        let kept = Arc::make_mut(self.kept.get_mut(&id)?);
        let before = (kept.deadline(), kept.over_at());
        self.seq += 1;
        let entry = says.entry(Cursor { epoch, seq: self.seq }, now, now.elapsed - kept.received, what, source);
        machine::take(&mut kept.incident, &entry);
        kept.timeline.push(entry.clone());
        out.incidents.push(IncidentEvent { entry, incident: kept.incident.clone() });
        self.settle(id, Some(before));
        Some(())
    }

    /// Opens an incident. `None`: there are too many.
    fn open(
        &mut self,
        (epoch, now): (u32, Now),
        out: &mut Effects,
        source: Source,
        says: Says<'_>,
    ) -> Option<IncidentId> {
        if self.going.len() >= limits::INCIDENTS {
            return None;
        }
        self.forget(now.elapsed);
        (self.seq, self.number) = (self.seq + 1, self.number + 1);
        let id = IncidentId { epoch, number: self.number };
        let entry = says.entry(Cursor { epoch, seq: self.seq }, now, 0, What::Received, source);
        let incident = machine::begin(id, &entry);
        out.incidents.push(IncidentEvent { entry: entry.clone(), incident: incident.clone() });
        self.put(Kept { incident, received: now.elapsed, timeline: vec![entry], runs: Runs::new() });
        Some(id)
    }
}

impl Says<'_> {
    fn entry(self, at: Cursor, now: Now, since_ms: i64, what: What, source: Source) -> Entry {
        let alert = self.alert.map(|event| &event.alert);
        Entry {
            seq: at.seq,
            epoch: at.epoch,
            at: now.wall,
            since_ms,
            what,
            source,
            actor: self.actor.map(Into::into),
            note: self.note.map(Into::into),
            scene: self.scene.map(Box::new),
            party: self.party,
            alert: alert.map(|alert| alert.id.clone()),
            severity: alert.map(|alert| alert.severity).or(self.severity),
            certainty: alert.map(|alert| alert.certainty).or(self.certainty),
            occupied: alert.map_or(self.occupied, |alert| alert.occupied),
            caller: self.caller,
            accept_by_ms: self.accept_by_ms,
            arrive_by_ms: self.arrive_by_ms,
            ending: self.ending,
            reassure_by_ms: self.reassure_by_ms,
        }
    }
}

impl Core {
    pub fn dispatch(&self) -> &Dispatch {
        &self.dispatch
    }

    /// What is remembered of incidents, as it was told: the events of each whose timeline is kept, in their order.
    pub fn incident_events(&self) -> Vec<IncidentEvent> {
        let mut events = Vec::new();
        for kept in self.dispatch.iter() {
            let mut incident: Option<Incident> = None;
            for entry in &kept.timeline {
                match &mut incident {
                    None => incident = Some(machine::begin(kept.incident.id, entry)),
                    Some(incident) => machine::take(incident, entry),
                }
                events.extend(incident.clone().map(|incident| IncidentEvent { entry: entry.clone(), incident }));
            }
        }
        events.sort_by_key(IncidentEvent::cursor);
        events
    }

    /// The last event of incidents.
    pub fn incident_cursor(&self) -> Cursor {
        Cursor { epoch: self.books.epoch, seq: self.dispatch.seq }
    }

    /// Has incidents follow the alerts that this record brought. An alert never ends one.
    pub(super) fn follow_alerts(&mut self, out: &mut Effects) {
        if out.events.is_empty() {
            return;
        }
        let events = std::mem::take(&mut out.events);
        for event in &events {
            if let Subject::Device(device) = event.alert.id.subject {
                self.follow_alert(out, device, event);
            }
        }
        debug_assert!(out.events.is_empty(), "what alerts bring to incidents raises no alert");
        out.events = events;
    }

    fn follow_alert(&mut self, out: &mut Effects, device: DeviceCode, event: &AlertEvent) {
        let id = &event.alert.id;
        let knows = |kept: &&Kept| kept.incident.alerts.iter().any(|joined| joined.alert == *id);
        let known = self.dispatch.of(Some(device)).find(knows).map(|kept| (kept.incident.id, kept.incident.state));
        match event.kind {
            EventKind::Cleared => {
                let of_incident = known.map(|(incident, _)| incident);
                of_incident.into_iter().for_each(|incident| self.annotate(out, incident, What::AlertCleared, event));
            }
            EventKind::Opened | EventKind::Reopened | EventKind::Raised => {
                if event.alert.dispatch.as_deref() != Some(RESCUE) {
                    return;
                }
                // A further word of what is known already is no second case; that it opens again after people are free is.
                let same = known.filter(|(_, state)| state.is_pending() || event.kind == EventKind::Raised);
                match same.map(|(incident, _)| incident).or_else(|| self.dispatch.pending(device)) {
                    Some(incident) => self.annotate(out, incident, What::AlertJoined, event),
                    None => self.open_by_alert(out, device, event),
                }
            }
            EventKind::Acknowledged | EventKind::Grouped => {}
        }
    }

    fn annotate(&mut self, out: &mut Effects, incident: IncidentId, what: What, event: &AlertEvent) {
        let entries = self.dispatch.get(&incident).map_or(0, |kept| kept.timeline.len());
        let source = match event.reason {
            Reason::Operator => Source::Dispatcher,
            reason if reason.is_by_sensors() => Source::Sensor,
            // They are judged otherwise, or no longer.
            _ => Source::Deadline,
        };
        // A sensor that flickers for hours must not fill the timeline that people work with.
        if entries < limits::INCIDENT_SENSOR_ENTRIES || source == Source::Dispatcher {
            let (actor, note) = (event.actor.as_deref(), event.note.as_deref());
            let says = Says { actor, note, alert: Some(event), ..Says::default() };
            self.write(out, incident, what, source, says);
            self.reassure(out, incident);
        }
    }

    fn open_by_alert(&mut self, out: &mut Effects, device: DeviceCode, event: &AlertEvent) {
        let scene = Scene { rule: Some(event.alert.id.rule.clone()), ..self.scene_of(device) };
        let accept_by_ms = self.accept_ms(scene.place.district.as_ref());
        let says = Says { alert: Some(event), accept_by_ms, scene: Some(scene), ..Says::default() };
        let at = self.present();
        match self.dispatch.open(at, out, Source::Sensor, says) {
            Some(id) => {
                self.begin_rescue(out, id);
                self.reassure(out, id);
            }
            None => out.tally.rescues_refused += 1,
        }
    }

    /// How long it may take in a district until somebody accepts a rescue; `None`: nothing says so.
    fn accept_ms(&self, district: Option<&District>) -> Option<i64> {
        self.policy.tables.dispatch.deadlines(district).map(|it| it.accept_ms)
    }

    /// Where a lift is and who maintains it, by the archive as it stands.
    fn scene_of(&self, device: DeviceCode) -> Scene {
        let lift = self.lift_at(&device).map(|ix| self.lifts.get(ix));
        let entry = lift.and_then(|lift| lift.archived());
        let place = lift.map(|lift| lift.who().place).unwrap_or_default();
        let Some(it) = entry else { return Scene { device: Some(device), place, ..Scene::default() } };
        let (rescue_code, firm, terminal) = (it.rescue_code, it.firm, it.terminal);
        Scene { device: Some(device), rescue_code, place, firm, terminal, rule: None }
    }

    /// Has the rescue of a lift take up what the archive has learned about it. Whoever was proposed for want of better
    /// knowledge is proposed anew, as long as nobody has been commanded.
    pub(super) fn follow_archive(&mut self, out: &mut Effects, device: DeviceCode) {
        let Some(id) = self.dispatch.pending(device) else { return };
        let Some(kept) = self.dispatch.get(&id) else { return };
        let (was, now) = (kept.incident.scene.clone(), self.scene_of(device));
        let is_full = kept.timeline.len() >= limits::INCIDENT_ENTRIES;
        // What a caller said stands where the archive is silent.
        let place = Place {
            district: now.place.district.or(was.place.district),
            address: now.place.address.or_else(|| was.place.address.clone()),
        };
        let rescue_code = now.rescue_code.or_else(|| was.rescue_code.clone());
        let scene = Scene { rescue_code, place, rule: was.rule.clone(), ..now };
        if !is_full && scene != was {
            let says = Says { scene: Some(scene), ..Says::default() };
            self.write(out, id, What::SceneChanged, Source::Archive, says);
        }
        self.begin_rescue(out, id);
    }

    /// Has all be told anew that are not over: what was told of them up to `seq` may be otherwise, or not where it should be. 0:
    /// nothing was.
    pub(super) fn retell_incidents(&mut self, seq: u64) {
        if seq == 0 {
            return;
        }
        self.dispatch.seq = self.dispatch.seq.max(seq);
        self.dispatch.untold = self.dispatch.going.iter().map(|(_, id)| *id).collect();
    }

    /// As many as fit what follows from one record.
    pub(super) fn continue_retelling(&mut self, out: &mut Effects) {
        for _ in 0..limits::INCIDENTS_RETOLD {
            let Some(id) = self.dispatch.untold.pop_first() else { return };
            // It may have been let go of since.
            if self.dispatch.get(&id).is_some() {
                self.write(out, id, What::Retold, Source::Deadline, Says::default());
            }
        }
    }

    /// Goes on with rescues as they were told up to `seq`, in place of how this version would have told them.
    pub(super) fn take_rescues(&mut self, seq: u64, rescues: &[(IncidentId, Vec<Entry>)]) {
        self.dispatch.seq = self.dispatch.seq.max(seq);
        let now = self.books.now;
        for (id, timeline) in rescues {
            let ours = self.dispatch.get(id).map(|kept| (kept.incident.scene.device, kept.received, kept.runs.clone()));
            self.dispatch.remove(*id);
            let (Some(incident), Some(first), Some(last)) =
                (machine::fold(*id, timeline), timeline.first(), timeline.last())
            else {
                continue;
            };
            let ours = ours.filter(|(device, ..)| *device == incident.scene.device);
            let received = now.elapsed + -last.since_ms.max(now.wall - first.at);
            let (received, runs) = ours.map_or((received, Runs::new()), |(_, received, runs)| (received, runs));
            self.dispatch.number = self.dispatch.number.max(id.number);
            self.dispatch.put(Kept { incident, received, timeline: timeline.clone(), runs });
        }
    }

    /// Goes on with a rescue whose journals were lost. It has been waiting all the while: `since_ms` goes on by the wall clock,
    /// and never back.
    pub(super) fn adopt_incident(&mut self, out: &mut Effects, id: IncidentId, timeline: &[Entry]) -> Outcome {
        let refuse = |why: &str| Outcome::Precondition { why: format!("incident {id} {why}").into() };
        let Some((first, last)) = timeline.first().zip(timeline.last()).filter(|(it, _)| it.what == What::Received)
        else {
            return refuse("doesn't begin with how it was received");
        };
        let mut incident = machine::begin(id, first);
        timeline[1..].iter().for_each(|entry| machine::take(&mut incident, entry));
        if let Some(kept) = self.dispatch.get(&id) {
            if kept.timeline.first() != Some(first) {
                return refuse("is another one by these journals");
            }
            // Others know what happened since these journals were copied. They told it, so that it isn't told again.
            if kept.timeline.last().is_some_and(|ours| ours.cursor() < last.cursor()) {
                let (received, runs) = (kept.received, kept.runs.clone());
                self.dispatch.remove(id);
                self.dispatch.put(Kept { incident, received, timeline: timeline.to_vec(), runs });
            }
            return Outcome::Incident { position: self.next - 1, incident: id, joined: false };
        }
        if incident.state.is_over() {
            return refuse("is over");
        }
        if self.dispatch.going.len() >= limits::INCIDENTS {
            let most = limits::INCIDENTS;
            return refuse(&format!("would be one too many: {most} are going on"));
        }
        let now = self.books.now;
        let received = now.elapsed + -last.since_ms.max(now.wall - first.at);
        self.dispatch.put(Kept { incident, received, timeline: timeline.to_vec(), runs: Runs::new() });
        self.write(out, id, What::Retold, Source::Deadline, Says::default());
        Outcome::Incident { position: self.next - 1, incident: id, joined: false }
    }

    fn present(&self) -> (u32, Now) {
        (self.books.epoch, self.books.now)
    }

    fn write(&mut self, out: &mut Effects, id: IncidentId, what: What, source: Source, says: Says<'_>) {
        let at = self.present();
        let written = self.dispatch.write(at, out, id, what, source, says);
        debug_assert!(written.is_some(), "only incidents that are kept are written to");
        self.follow_deadlines(out, id);
    }

    fn incident(&self, id: IncidentId) -> Option<&Incident> {
        self.dispatch.get(&id).map(|kept| &kept.incident)
    }
}
