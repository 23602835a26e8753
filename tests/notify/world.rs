//! Targets of a pretended core: events as the test tells them, receivers and the ledger for real.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use vigil::cap::Profile;
use vigil::clock::Clock;
use vigil::config::{Config, Variables};
use vigil::feed::{EventLog, Feed, Judged, LogError, LogFuture};
use vigil::model::alert::{
    Alert, AlertEvent, AlertState, Certainty, Cursor, EventKind, Place, Reason, Severity, Title,
};
use vigil::model::archive::{Entry, EntryKind};
use vigil::model::ids::{AlertId, DeviceCode, District, RuleId, Subject};
use vigil::model::row::{Effects, Row};
use vigil::notify::{Archive, Ledger, Notifier, Parts, Source, Standing, State};
use vigil::pages::Board;
use vigil::store::memory::MemoryStore;
use vigil::store::{Batch, Checkpoint, Fut, Options, Store};

use crate::support::receiver::Receiver;

/// Everything a test may wait for comes within this time, or never.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const SECRET: &str = "correct horse battery staple";

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) feed: Arc<Feed>,
    log: Log,
    pub(crate) archive: Arc<Moody>,
    pub(crate) clock: Clock,
    seq: u64,
    epoch: u32,
    running: Option<Running>,
}

struct Running {
    notifier: Notifier,
    stop: CancellationToken,
    work: JoinHandle<()>,
}

/// Everything that was told, for those who come late.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<AlertEvent>>>);

/// An archive that does as the test wants.
pub(crate) struct Moody {
    store: MemoryStore,
    pub(crate) asked: AtomicUsize,
    mood: Mutex<Box<dyn Fn(DeviceCode) -> ArchiveMood + Send>>,
}

#[derive(Clone, Copy)]
pub(crate) enum ArchiveMood {
    Answer,
    Hang,
    Panic,
}

impl Moody {
    pub(crate) fn be(&self, mood: impl Fn(DeviceCode) -> ArchiveMood + Send + 'static) {
        *self.mood.lock().unwrap() = Box::new(mood);
    }
}

impl Archive for Moody {
    fn lift(&self, device: DeviceCode) -> Fut<'_, Option<Entry>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mood = (self.mood.lock().unwrap())(device);
        match mood {
            ArchiveMood::Answer => self.store.entry(EntryKind::Lift, device.to_string()),
            ArchiveMood::Hang => Box::pin(std::future::pending()),
            ArchiveMood::Panic => panic!("the test wants {device} to be too much"),
        }
    }

    fn checkpoint(&self) -> Fut<'_, Option<Checkpoint>> {
        self.store.checkpoint()
    }
}

impl EventLog for Log {
    fn after(&self, after: Cursor, limit: usize) -> LogFuture<'_> {
        let events = self.0.lock().unwrap();
        let found: Vec<_> =
            events.iter().filter(|e| e.epoch == after.epoch && e.seq > after.seq).take(limit).cloned().collect();
        let is_kept = found.first().is_none_or(|first| first.seq == after.seq + 1);
        Box::pin(std::future::ready(if is_kept { Ok(found) } else { Err(LogError::TooOld) }))
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let log = Log::default();
        let feed = Arc::new(Feed::new(Arc::new(Board::default()), Arc::new(log.clone())));
        let folder = tempfile::tempdir().unwrap();
        write_secret(&folder.path().join("secret"), SECRET);
        let archive = Arc::new(Moody {
            store: MemoryStore::new(Options::default()),
            asked: AtomicUsize::new(0),
            mood: Mutex::new(Box::new(|_| ArchiveMood::Answer)),
        });
        Self { folder, feed, log, archive, clock: Clock::default(), seq: 0, epoch: 1, running: None }
    }

    pub(crate) fn secret(&self) -> PathBuf {
        self.folder.path().join("secret")
    }

    /// Begins to tell the targets: `[[notify]]` sections as the configuration has them.
    pub(crate) fn start(&mut self, targets: &str) {
        let text = format!("[service]\ninstance = \"test-1\"\n[cap]\nsender = \"vigil@test.example\"\n{targets}");
        let read = Config::from_text(&self.folder.path().join("vigil.toml"), &text, &Variables::new());
        let config = read.unwrap_or_else(|faults| panic!("{faults}"));
        let names: Vec<&str> = config.notify.iter().map(|target| &*target.name).collect();
        let ledger = Ledger::open(&self.folder.path().join("notify.db"), &names, self.clock.wall()).unwrap();
        let parts = Parts {
            alerts: Source::Alerts(Arc::clone(&self.feed)),
            // Nobody here wants to hear of them.
            incidents: Source::Alerts(Arc::clone(&self.feed)),
            archive: Arc::clone(&self.archive) as Arc<dyn Archive>,
            clock: self.clock.clone(),
            profile: Arc::new(Profile::of(&config)),
        };
        let stop = CancellationToken::new();
        let (notifier, work) = Notifier::new(&config.notify, ledger, parts, stop.clone()).unwrap();
        self.running = Some(Running { notifier, stop, work: tokio::spawn(work) });
    }

    /// Ends the telling, as the service does.
    pub(crate) async fn stop(&mut self) {
        let running = self.running.take().unwrap();
        running.stop.cancel();
        tokio::time::timeout(PATIENCE, running.work).await.unwrap().unwrap();
    }

    pub(crate) fn notifier(&self) -> &Notifier {
        &self.running.as_ref().unwrap().notifier
    }

    pub(crate) fn standing(&self, target: &str) -> Standing {
        let standings = self.notifier().standings();
        standings.into_iter().find(|(it, _)| *it.name == *target).unwrap().1
    }

    /// Waits until a target stands as wanted.
    pub(crate) async fn until(&self, target: &str, wanted: impl Fn(&Standing) -> bool) -> Standing {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let standing = self.standing(target);
                if wanted(&standing) {
                    return standing;
                }
                crate::support::wait::pause().await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("{target} stands otherwise: {:?}", self.standing(target)))
    }

    /// Waits until a target knows where to begin: before, it begins with what happens next.
    pub(crate) async fn begun(&self, target: &str) {
        self.until(target, |it| it.state != State::Starting).await;
    }

    /// Tells of `n` alerts that open.
    pub(crate) fn open(&mut self, n: u64) {
        for _ in 0..n {
            let alert = alert(self.seq + 1);
            self.tell(EventKind::Opened, alert);
        }
    }

    pub(crate) fn tell(&mut self, kind: EventKind, alert: Alert) {
        self.tell_late(kind, alert, 0);
    }

    /// What happened so long ago.
    pub(crate) fn tell_late(&mut self, kind: EventKind, alert: Alert, ago_ms: i64) {
        self.seq += 1;
        let at = self.clock.wall() - ago_ms;
        let event = AlertEvent {
            seq: self.seq,
            epoch: self.epoch,
            kind,
            reason: Reason::ConditionHeld,
            at,
            published_at: at,
            delayed: false,
            actor: None,
            note: None,
            alert,
        };
        self.log.0.lock().unwrap().push(event.clone());
        self.feed.publish(&[event], Judged::default()).unwrap();
    }

    /// Brings an entry into the archive.
    pub(crate) async fn archive(&self, entry: Entry) {
        let effects = vec![Effects { rows: vec![Row::Entry(entry)], ..Effects::default() }];
        let to = Checkpoint { journal: 1, epoch: 1, position: 1, hash: 0 };
        self.archive.store.commit(Arc::new(Batch { from: None, to, effects })).await.unwrap();
    }

    /// What follows is of the next epoch; its numbers go on, or begin anew as those of new journals do.
    pub(crate) fn raise_epoch(&mut self, anew: bool) {
        self.epoch += 1;
        self.seq = if anew { 0 } else { self.seq };
    }
}

/// A `[[notify]]` section for a receiver; `more` are further lines of it.
pub(crate) fn target(name: &str, receiver: &Receiver, more: &str) -> String {
    target_at(name, &receiver.url(), more)
}

pub(crate) fn target_at(name: &str, url: &str, more: &str) -> String {
    format!("[[notify]]\nname = {name:?}\nurl = {url:?}\nsecret_file = \"secret\"\ntimeout = \"1s\"\n{more}\n")
}

pub(crate) fn write_secret(file: &Path, secret: &str) {
    // Written beside it and renamed, as whoever replaces one in use has to.
    let beside = file.with_extension("new");
    std::fs::write(&beside, secret).unwrap();
    std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(beside, file).unwrap();
}

/// The alert of a lift. Its number by 4 gives the severity, by 3 the district.
pub(crate) fn alert(n: u64) -> Alert {
    let subject = Subject::Device(DeviceCode::parse(&format!("{n:020}")).unwrap());
    Alert {
        id: AlertId { subject, rule: RuleId::parse("trapped-out-of-zone").unwrap(), opening: 1 },
        state: AlertState::Open,
        severity: Severity::ALL[(n % 4) as usize],
        certainty: Certainty::Likely,
        opened_at: vigil::model::time::Wall(1_763_766_000_000),
        cleared_at: None,
        acknowledged: None,
        evidence: Vec::new(),
        unregistered: false,
        place: Place {
            district: Some(District::parse(&format!("64010{}", n % 3)).unwrap()),
            address: Some("北京路 1 号".into()),
        },
        title: Title { en: "Passenger trapped outside the door zone".into(), zh: "轿厢非平层困人".into() },
        dispatch: Some("rescue".into()),
        occupied: Some(true),
        group: None,
        flapping: false,
    }
}

/// The numbers of what a receiver took, in its order.
pub(crate) fn seqs(received: &[crate::support::receiver::Received]) -> Vec<u64> {
    received.iter().map(|it| it.header("vigil-seq").split_once(':').unwrap().1.parse().unwrap()).collect()
}
