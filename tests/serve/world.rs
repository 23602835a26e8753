//! A server with a pretended spine, a log and a store that tests fill.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use vigil::cap::Profile;
use vigil::clock::Clock;
use vigil::config::Config;
use vigil::feed::events::StoredIncidents;
use vigil::feed::{EventLog, Feed, Judged, LinkState, LogFuture};
use vigil::model::actor::{Actor, Role, Scope};
use vigil::model::alert::{
    Acknowledged, Alert, AlertEvent, AlertState, Certainty, Cursor, EventKind, Evidence, Place, Reason, Severity, Title,
};
use vigil::model::archive::{Entry, EntryKind};
use vigil::model::fill::{Finding, Verdict};
use vigil::model::ids::{AlertId, CylinderCode, DeviceCode, District, FirmId, RecordId, RuleId, Subject};
use vigil::model::incident::{Incident, IncidentEvent, IncidentId};
use vigil::model::obligation::{DueRow, Party};
use vigil::model::record::{Action, Command, Outcome};
use vigil::model::report::ReportRow;
use vigil::model::row::{ChangeRow, FrameRow, RejectRow};
use vigil::model::time::Wall;
use vigil::model::visit::{ChainLink, VisitRow};
use vigil::notify::Notifier;
use vigil::pages::{Board, Incidents, Page};
use vigil::proto::v1::alert_service_client::AlertServiceClient;
use vigil::proto::v1::history_service_client::HistoryServiceClient;
use vigil::proto::v1::registry_service_client::RegistryServiceClient;
use vigil::serve::auth::Authenticate;
use vigil::serve::history::{
    FramePage, Happened, HistoryStore, LinkMark, LinkPage, MemoryHistory, StoreFuture, TimelinePage,
};
use vigil::serve::reloads::{InForce, Reloads};
use vigil::serve::{Backend, ServeError, Settings, serve};
use vigil::spine::input::{Input, Inputs};
use vigil::spine::retrace::Past;
use vigil::store::memory::MemoryStore;
use vigil::store::{
    ChangeQuery, IncidentQuery, LiftQuery, Numbered, Options, RejectQuery, ReportQuery, ReportingQuery, StandingQuery,
};

/// Everything a test may wait for comes within this time, or never.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) backend: Backend,
    pub(crate) teller: Arc<Mutex<Teller>>,
    pub(crate) store: Arc<Store>,
    pub(crate) address: SocketAddr,
    pub(crate) settings: Settings,
    stop: CancellationToken,
    server: JoinHandle<Result<(), ServeError>>,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::after(Past::of_nothing(), change).await
    }

    /// In front of an inbox.
    pub(crate) async fn after(past: Past, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings { auth: Arc::new(ByHeader), ..Settings::default() };
        change(&mut settings);
        let store = Arc::new(Store::default());
        let (backend, teller) = backend(&store, past);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve(listener, backend.clone(), settings.clone(), stop.clone()));
        Self { backend, teller, store, address, settings, stop, server }
    }

    pub(crate) async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    /// A channel that takes little ahead of its user: the default is 2 MiB a stream.
    pub(crate) async fn narrow_channel(&self) -> Channel {
        let endpoint = Channel::from_shared(format!("http://{}", self.address)).unwrap();
        endpoint.initial_stream_window_size(65_535).connect().await.unwrap()
    }

    pub(crate) async fn alerts(&self) -> AlertServiceClient<Channel> {
        AlertServiceClient::new(self.channel().await)
    }

    pub(crate) async fn registry(&self) -> RegistryServiceClient<Channel> {
        RegistryServiceClient::new(self.channel().await)
    }

    pub(crate) async fn history(&self) -> HistoryServiceClient<Channel> {
        HistoryServiceClient::new(self.channel().await)
    }

    /// Opens `n` alerts, those of lifts `first`, `first` + 1, ….
    pub(crate) fn open(&self, first: u64, n: u64) {
        let mut teller = self.teller.lock().unwrap();
        for number in first..first + n {
            teller.tell(EventKind::Opened, alert(number));
        }
    }

    pub(crate) fn head(&self) -> Cursor {
        self.backend.feed.head()
    }

    /// Ends the server and starts it again at the same address.
    pub(crate) async fn restart(&mut self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, &mut self.server).await.unwrap().unwrap().unwrap();
        self.stop = CancellationToken::new();
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.server = tokio::spawn(serve(listener, self.backend.clone(), self.settings.clone(), self.stop.clone()));
    }

    pub(crate) fn shutdown(&self) {
        self.stop.cancel();
    }

    pub(crate) async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.server).await.expect("the server ends in time").unwrap().unwrap();
    }
}

fn backend(store: &Arc<Store>, past: Past) -> (Backend, Arc<Mutex<Teller>>) {
    let board = Arc::new(Board::default());
    let log = Log::default();
    let feed = Arc::new(Feed::new(Arc::clone(&board), Arc::new(log.clone())));
    // Nobody is trapped here.
    let incidents = Arc::new(Incidents::default());
    let nothing = Arc::new(StoredIncidents(Arc::new(MemoryStore::new(Options::default()))));
    let incident_feed = Arc::new(Feed::after(Arc::clone(&incidents) as Arc<dyn Page<_>>, nothing, Vec::new()));
    let (sender, receiver) = sync_channel(16);
    let clock = Clock::default();
    let teller =
        Teller { feed: Arc::clone(&feed), log, clock: clock.clone(), seq: 0, position: 0, link: LinkState::Up };
    let teller = Arc::new(Mutex::new(teller));
    let mut spine = Spine { teller: Arc::clone(&teller), store: Arc::clone(store), answered: BTreeMap::new() };
    std::thread::spawn(move || {
        while let Ok(input) = receiver.recv() {
            if let Input::Command { command, reply } = input {
                let outcome = spine.answer(command);
                let _ = reply.send(outcome);
            }
        }
    });
    let store: Arc<dyn HistoryStore> = Arc::clone(store) as _;
    let past = Arc::new(past);
    // Nobody reloads rules here.
    let in_force = InForce { version: 1, text: crate::timeline::shipped() };
    let (reloads, _) = Reloads::new(watch::channel(None).1, watch::channel(in_force).1);
    let inputs = Inputs::new(sender);
    // Nobody is told of anything.
    let notifier = Notifier::of_nobody(Profile::of(&Config::default()));
    (Backend { feed, board, incident_feed, incidents, inputs, store, clock, past, reloads, notifier }, teller)
}

/// Counts events and positions as the core would.
pub(crate) struct Teller {
    pub(crate) feed: Arc<Feed>,
    pub(crate) log: Log,
    clock: Clock,
    seq: u64,
    position: u64,
    pub(crate) link: LinkState,
}

impl Teller {
    /// Publishes one event and returns its position.
    pub(crate) fn tell(&mut self, kind: EventKind, alert: Alert) -> u64 {
        self.seq += 1;
        let event = event(self.seq, kind, alert);
        self.log.0.lock().unwrap().push(event.clone());
        let judged = self.judge();
        self.feed.publish(&[event], judged).unwrap();
        self.position
    }

    pub(crate) fn judge(&mut self) -> Judged {
        self.position += 1;
        let judged =
            Judged { position: Some(self.position), wall: self.clock.wall(), link: self.link, store_stalled_ms: 0 };
        self.feed.judged(judged);
        judged
    }
}

struct Spine {
    teller: Arc<Mutex<Teller>>,
    store: Arc<Store>,
    answered: BTreeMap<Box<str>, (Action, Outcome)>,
}

impl Spine {
    fn answer(&mut self, command: Command) -> Outcome {
        if let Some((action, outcome)) = self.answered.get(&command.request) {
            return if *action == command.action { outcome.clone() } else { Outcome::RequestReused };
        }
        let outcome = match command.action.clone() {
            Action::Acknowledge { alert, .. } => self.change(&alert, |alert, now| {
                if alert.acknowledged.is_some() {
                    return Err("is acknowledged already");
                }
                alert.acknowledged = Some(Acknowledged { by: command.actor.id.clone(), at: now });
                Ok(EventKind::Acknowledged)
            }),
            Action::Clear { alert, .. } => self.change(&alert, |alert, now| {
                alert.state = AlertState::Cleared;
                alert.cleared_at = Some(now);
                Ok(EventKind::Cleared)
            }),
            Action::Upsert(entries) => self.upsert(entries),
            Action::OpenIncident(_) | Action::AdvanceIncident { .. } | Action::AdoptIncident { .. } => {
                Outcome::Precondition { why: "nobody is trapped here".into() }
            }
            Action::CheckFill(request) => Outcome::Fill {
                position: 7,
                verdict: Verdict {
                    reasons: vec![format!("asked {} ms ago", request.age_ms).into()],
                    expires_at: Wall(10_000),
                },
            },
            Action::CheckBatch { cylinders, .. } => Outcome::Findings {
                position: 8,
                findings: cylinders.into_iter().map(|cylinder| Finding { cylinder, reasons: Vec::new() }).collect(),
            },
            Action::ReplaceTerminal { device, .. } => {
                let key = (EntryKind::Lift, device.as_str().into());
                let is_there = self.store.archive.lock().unwrap().contains_key(&key);
                if is_there {
                    self.upsert(Vec::new())
                } else {
                    Outcome::NotFound { what: format!("lift {device}").into() }
                }
            }
            Action::TransferCylinders { .. } => self.upsert(Vec::new()),
            Action::UploadVisits(_)
            | Action::Sign(_)
            | Action::AdoptRecords(_)
            | Action::AdoptReports(_)
            | Action::AdoptCustody(_)
            | Action::UploadReports(_) => {
                panic!("this world has no records")
            }
        };
        self.answered.insert(command.request, (command.action, outcome.clone()));
        outcome
    }

    fn change(
        &self,
        id: &AlertId,
        change: impl FnOnce(&mut Alert, Wall) -> Result<EventKind, &'static str>,
    ) -> Outcome {
        let mut teller = self.teller.lock().unwrap();
        let open = open_alert(&teller, id);
        let Some(mut alert) = open else { return Outcome::NotFound { what: format!("alert {id}").into() } };
        match change(&mut alert, Wall(0)) {
            Ok(kind) => Outcome::Done { position: teller.tell(kind, alert), changed: 1 },
            Err(why) => Outcome::Precondition { why: why.into() },
        }
    }

    fn upsert(&self, entries: Vec<Entry>) -> Outcome {
        let mut archive = self.store.archive.lock().unwrap();
        let mut changed = 0;
        for entry in entries {
            let key = (entry.kind(), entry.code().into());
            changed += u32::from(archive.insert(key, entry.clone()) != Some(entry));
        }
        let position = self.teller.lock().unwrap().judge().position.unwrap();
        Outcome::Done { position, changed }
    }
}

fn open_alert(teller: &Teller, id: &AlertId) -> Option<Alert> {
    let log = teller.log.0.lock().unwrap();
    let last = log.iter().rev().find(|event| event.alert.id == *id)?;
    (last.alert.state == AlertState::Open).then(|| last.alert.clone())
}

pub(crate) fn device(number: u64) -> DeviceCode {
    DeviceCode::parse(&format!("{number:020}")).unwrap()
}

/// The alert of a lift. Its number by 3 gives the district, 640100 to 640102, and by 4 the severity.
pub(crate) fn alert(number: u64) -> Alert {
    let subject = Subject::Device(device(number));
    Alert {
        id: AlertId { subject, rule: RuleId::parse("trapped-out-of-zone").unwrap(), opening: 1 },
        state: AlertState::Open,
        severity: Severity::ALL[(number % 4) as usize],
        certainty: Certainty::Likely,
        opened_at: Wall(1_763_766_000_000),
        cleared_at: None,
        acknowledged: None,
        evidence: vec![Evidence { name: "passenger".into(), value: "true".into(), age_ms: Some(31_000) }],
        unregistered: false,
        place: Place {
            district: Some(District::parse(&format!("64010{}", number % 3)).unwrap()),
            address: Some("北京路 1 号".into()),
        },
        title: Title { en: "Passenger trapped outside the door zone".into(), zh: "轿厢非平层困人".into() },
        dispatch: Some("rescue".into()),
        occupied: Some(true),
        group: None,
        flapping: false,
    }
}

pub(crate) fn event(seq: u64, kind: EventKind, alert: Alert) -> AlertEvent {
    AlertEvent {
        seq,
        epoch: 1,
        kind,
        reason: Reason::ConditionHeld,
        at: Wall(1_763_766_031_000),
        published_at: Wall(1_763_766_031_005),
        delayed: false,
        actor: None,
        note: None,
        alert,
    }
}

/// All events ever told, as the outbox keeps them.
#[derive(Clone, Default)]
pub(crate) struct Log(pub(crate) Arc<Mutex<Vec<AlertEvent>>>);

impl EventLog for Log {
    fn after(&self, after: Cursor, limit: usize) -> LogFuture<'_> {
        let events = self.0.lock().unwrap();
        let from = events.partition_point(|event| event.cursor() <= after);
        let found = events[from..].iter().take(limit).cloned().collect();
        Box::pin(std::future::ready(Ok(found)))
    }
}

/// A store whose archive the spine writes. Frames come from memory, or are made up as they are read.
#[derive(Default)]
pub(crate) struct Store {
    pub(crate) memory: Mutex<MemoryHistory>,
    pub(crate) archive: Mutex<BTreeMap<(EntryKind, Box<str>), Entry>>,
    pub(crate) made_up: Mutex<MadeUp>,
}

/// `frames` frames at 1 s, 2 s, … since 1970.
#[derive(Default)]
pub(crate) struct MadeUp {
    pub(crate) frames: u64,
    pub(crate) row: Option<FrameRow>,
    /// Frames read so far.
    pub(crate) read: u64,
}

impl MadeUp {
    fn page(&mut self, page: &FramePage) -> Option<Vec<FrameRow>> {
        let row = self.row.as_ref()?;
        let first = page.after.map_or(1, |mark| mark.key.seq + 1);
        let rows = (first..=self.frames).take(page.limit).map(|seq| {
            let mut row = FrameRow { effective_at: Wall(seq as i64 * 1_000), ..row.clone() };
            row.frame.key.seq = seq;
            row
        });
        let rows: Vec<_> = rows.collect();
        self.read += rows.len() as u64;
        Some(rows)
    }
}

impl HistoryStore for Store {
    fn frames(&self, page: FramePage) -> StoreFuture<'_, Vec<FrameRow>> {
        if let Some(rows) = self.made_up.lock().unwrap().page(&page) {
            return Box::pin(std::future::ready(Ok(rows)));
        }
        let memory = self.memory.lock().unwrap().clone();
        Box::pin(async move { memory.frames(page).await })
    }

    fn timeline(&self, page: TimelinePage) -> StoreFuture<'_, Vec<Happened>> {
        let memory = self.memory.lock().unwrap().clone();
        Box::pin(async move { memory.timeline(page).await })
    }

    fn incident(&self, id: IncidentId) -> StoreFuture<'_, Option<Incident>> {
        let memory = self.memory.lock().unwrap().clone();
        Box::pin(async move { memory.incident(id).await })
    }

    fn incident_timeline(&self, id: IncidentId, after: Cursor, limit: usize) -> StoreFuture<'_, Vec<IncidentEvent>> {
        let memory = self.memory.lock().unwrap().clone();
        Box::pin(async move { memory.incident_timeline(id, after, limit).await })
    }

    fn incidents(&self, query: IncidentQuery) -> StoreFuture<'_, Vec<Incident>> {
        let memory = self.memory.lock().unwrap().clone();
        Box::pin(async move { memory.incidents(query).await })
    }

    fn reporting(&self, query: ReportingQuery) -> StoreFuture<'_, (u64, u64)> {
        let memory = self.memory.lock().unwrap().clone();
        Box::pin(async move { memory.reporting(query).await })
    }

    fn entry(&self, kind: EntryKind, code: Box<str>) -> StoreFuture<'_, Option<Entry>> {
        let mut memory = self.memory.lock().unwrap().clone();
        memory.entries = self.archive.lock().unwrap().values().cloned().collect();
        Box::pin(async move { memory.entry(kind, code).await })
    }

    fn entries(&self, kind: EntryKind, after: Option<Box<str>>, limit: usize) -> StoreFuture<'_, Vec<Entry>> {
        let mut memory = self.memory.lock().unwrap().clone();
        memory.entries = self.archive.lock().unwrap().values().cloned().collect();
        Box::pin(async move { memory.entries(kind, after, limit).await })
    }

    fn lifts(&self, query: LiftQuery) -> StoreFuture<'_, Vec<Entry>> {
        let mut memory = self.memory.lock().unwrap().clone();
        memory.entries = self.archive.lock().unwrap().values().cloned().collect();
        Box::pin(async move { memory.lifts(query).await })
    }

    fn relabelled(&self, code: CylinderCode) -> StoreFuture<'_, Vec<Entry>> {
        let mut memory = self.memory.lock().unwrap().clone();
        memory.entries = self.archive.lock().unwrap().values().cloned().collect();
        Box::pin(async move { memory.relabelled(code).await })
    }

    fn changes(&self, query: ChangeQuery) -> StoreFuture<'_, Vec<Numbered<ChangeRow>>> {
        let memory = self.memory.lock().unwrap().clone();
        Box::pin(async move { memory.changes(query).await })
    }

    fn links(&self, page: LinkPage) -> StoreFuture<'_, Vec<(LinkMark, ChainLink)>> {
        let memory = self.memory.lock().unwrap().clone();
        Box::pin(async move { memory.links(page).await })
    }

    fn visit(&self, firm: FirmId, record: RecordId) -> StoreFuture<'_, Option<VisitRow>> {
        let memory = self.memory.lock().unwrap().clone();
        Box::pin(async move { memory.visit(firm, record).await })
    }

    fn due(&self, query: StandingQuery) -> StoreFuture<'_, Vec<DueRow>> {
        let memory = self.memory.lock().unwrap().clone();
        Box::pin(async move { memory.due(query).await })
    }

    fn rejects(&self, query: RejectQuery) -> StoreFuture<'_, Vec<Numbered<RejectRow>>> {
        let memory = self.memory.lock().unwrap().clone();
        Box::pin(async move { memory.rejects(query).await })
    }

    fn reports(&self, query: ReportQuery) -> StoreFuture<'_, Vec<Numbered<ReportRow>>> {
        let memory = self.memory.lock().unwrap().clone();
        Box::pin(async move { memory.reports(query).await })
    }

    fn report(&self, party: Party, id: RecordId) -> StoreFuture<'_, Option<ReportRow>> {
        let memory = self.memory.lock().unwrap().clone();
        Box::pin(async move { memory.report(party, id).await })
    }
}

/// `district` and `role` headers make an actor of smaller scope than the local administrator.
struct ByHeader;

impl Authenticate for ByHeader {
    fn actor(&self, _: Option<SocketAddr>, metadata: &MetadataMap) -> Result<Actor, Status> {
        let header = |name| metadata.get(name).map(|value| value.to_str().unwrap());
        let mut actor = Actor::local_admin();
        if let Some(district) = header("district") {
            actor.scope = Scope::Districts(vec![District::parse(district).unwrap()]);
        }
        if let Some(role) = header("role") {
            actor.roles = vec![Role::from_name(role).unwrap()];
        }
        Ok(actor)
    }
}

/// A request of an actor who may see one district only.
pub(crate) fn within<T>(district: &'static str, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("district", tonic::metadata::MetadataValue::from_static(district));
    request
}

/// Tries until it works.
pub(crate) async fn eventually<T>(what: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let trying = async {
        loop {
            if let Some(value) = attempt().await {
                return value;
            }
            crate::wait::pause().await;
        }
    };
    tokio::time::timeout(PATIENCE, trying).await.unwrap_or_else(|_| panic!("{what} never came true"))
}
