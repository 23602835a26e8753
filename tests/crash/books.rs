//! What the database holds, beside what the broker acknowledged and what a watcher saw.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use prost::Message as _;
use rustix::process::Pid;
use tokio::runtime::Runtime;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Row};
use vigil::journal::codec::decode_record;
use vigil::journal::local::{LocalJournal, Options};
use vigil::journal::{Identity, Journal as _};
use vigil::model::record::Kind;
use vigil::proto::v1::{AlertEventKind, ElevatorReport};

use crate::support::fleet::{Plan, Published, code};
use crate::support::tap::Heard;
use crate::support::wait;
use crate::support::watcher::Watched;

/// How many there are, by subject and rule.
type Alerts = BTreeMap<(String, String), i64>;

/// The number that a fleet gave a report, by which a proxy counts it.
pub(crate) fn number_of(topic: &str, payload: &[u8]) -> Option<u64> {
    let report = topic.ends_with("/report").then(|| ElevatorReport::decode(payload).ok())??;
    report.frames.first()?.runs
}

/// Puts what the service acknowledged in the place of what the broker did: a broker that is killed forgets.
pub(crate) fn as_acknowledged_by_the_service(published: &mut Published, heard: &Heard) {
    assert_eq!(heard.faults, Vec::<String>::new());
    for (n, acknowledged) in (0..).zip(&mut published.acknowledged) {
        *acknowledged = heard.acknowledged.contains_key(&n);
    }
}

const RECOVERS_WITHIN: Duration = Duration::from_secs(30);

pub(crate) struct Books {
    runtime: Runtime,
    client: Client,
}

impl Books {
    pub(crate) fn open(url: &str) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        // After one of its processes was killed it recovers first, and answers nobody meanwhile.
        let began = Instant::now();
        let (client, connection) = loop {
            match runtime.block_on(tokio_postgres::connect(url, NoTls)) {
                Ok(connected) => break connected,
                Err(error)
                    if error.code() == Some(&SqlState::CANNOT_CONNECT_NOW) && began.elapsed() < RECOVERS_WITHIN => {}
                Err(error) => panic!("the database doesn't answer: {error:?}"),
            }
        };
        runtime.spawn(connection);
        Self { runtime, client }
    }

    fn query(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Vec<Row> {
        self.runtime.block_on(self.client.query(sql, parameters)).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    pub(crate) fn number(&self, sql: &str) -> i64 {
        self.query(sql, &[])[0].get(0)
    }

    /// One of the server's processes that serve the service.
    pub(crate) fn backend(&self) -> Option<Pid> {
        let sql = "SELECT pid FROM pg_stat_activity WHERE application_name = 'vigil' ORDER BY query_start DESC LIMIT 1";
        self.query(sql, &[]).first().and_then(|row| Pid::from_raw(row.get(0)))
    }

    /// The frames in the store, wherever they were put.
    pub(crate) fn stored(&self) -> i64 {
        self.number("SELECT count(*) FROM frame_history")
    }

    /// Puts what was published beside what is stored, and beside what was put there before.
    pub(crate) fn load(&self, published: &Published) {
        self.query("CREATE TEMP TABLE IF NOT EXISTS sent (device text, boot bigint, seq bigint, claimed_ms bigint, runs bigint, acknowledged bool)", &[]);
        let all: Vec<_> = published.sent.iter().zip(&published.acknowledged).collect();
        for part in all.chunks(20_000) {
            let devices: Vec<String> = part.iter().map(|(sent, _)| code(sent.lift)).collect();
            let numbers = |of: &dyn Fn(usize) -> i64| (0..part.len()).map(of).collect::<Vec<i64>>();
            let boots = numbers(&|n| i64::from(part[n].0.boot));
            let seqs = numbers(&|n| part[n].0.seq as i64);
            let claimed = numbers(&|n| part[n].0.claimed_ms);
            let runs = numbers(&|n| part[n].0.runs as i64);
            let acknowledged: Vec<bool> = part.iter().map(|(_, is)| **is).collect();
            let insert = "INSERT INTO sent SELECT * FROM unnest(
                $1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bool[])";
            self.query(insert, &[&devices, &boots, &seqs, &claimed, &runs, &acknowledged]);
        }
    }

    /// Waits until the store has as many frames as were acknowledged. Should they never come, `check_frames` says which.
    pub(crate) fn await_stored(&self, published: &Published, limit: Duration) -> Duration {
        let (began, acknowledged) = (Instant::now(), published.acknowledged().count() as i64);
        wait::is_soon(limit, || self.stored() >= acknowledged);
        began.elapsed()
    }

    /// Every acknowledged report is there once, as it was sent, and nothing else is.
    pub(crate) fn check_frames(&self) {
        let same = "s.device = f.device AND s.boot = f.boot AND s.seq = f.seq AND s.runs = f.runs
                    AND to_timestamp(s.claimed_ms / 1000.0) = f.claimed_at";
        for (what, sql) in [
            (
                "acknowledged and not stored",
                format!(
                    "SELECT s.device, s.boot, s.seq FROM sent s LEFT JOIN frame_history f ON {same}
                         WHERE s.acknowledged AND f.device IS NULL"
                ),
            ),
            (
                "stored more than once",
                "SELECT device, boot, seq FROM frame_history GROUP BY device, boot, seq HAVING count(*) > 1".to_owned(),
            ),
            (
                "stored and never sent so",
                format!(
                    "SELECT f.device, f.boot, f.seq FROM frame_history f LEFT JOIN sent s ON {same}
                         WHERE s.device IS NULL"
                ),
            ),
            (
                "stored as of another terminal",
                "SELECT device, boot, seq FROM frame_history WHERE generation <>
                 (SELECT min(generation) FROM frame_history)"
                    .to_owned(),
            ),
        ] {
            let rows = self.query(&format!("{sql} ORDER BY 1, 2, 3"), &[]);
            let some: Vec<String> = rows.iter().take(5).map(key).collect();
            assert!(rows.is_empty(), "{} reports {what}, among them {some:?}", rows.len());
        }
    }

    /// Each transaction stored what had come after all that the one before it stored.
    pub(crate) fn check_order(&self) {
        let earlier = "SELECT count(*) FROM (
                SELECT min(received_at) AS first, lag(max(received_at)) OVER (ORDER BY xmin::text::bigint) AS before
                FROM frame GROUP BY xmin::text::bigint) AS transaction
            WHERE first < before";
        assert_eq!(self.number(earlier), 0, "rows were stored out of order");
        let transactions = self.number("SELECT count(DISTINCT xmin::text) FROM frame");
        assert!(transactions > 10, "{transactions} transactions show no order");
    }

    /// Alerts on lifts.
    fn alerts(&self) -> Alerts {
        let sql = "SELECT subject, rule, count(*) FROM alert WHERE subject <> 'vigil' GROUP BY subject, rule";
        self.query(sql, &[]).iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect()
    }

    /// The lifts with open alerts.
    pub(crate) fn open_alerts(&self) -> Vec<String> {
        let sql = "SELECT subject FROM alert WHERE subject <> 'vigil' AND state <> 'cleared' ORDER BY subject";
        self.query(sql, &[]).iter().map(|row| row.get(0)).collect()
    }

    /// Waits until the alerts of every trouble of the plan are stored, and over. The store may lag behind what was told.
    pub(crate) fn await_settled(&self, plan: &Plan, within: Duration) {
        let wanted = plan.alerts();
        wait::is_soon(within, || self.alerts() == wanted && self.open_alerts().is_empty());
        let open = self.open_alerts();
        assert!(open.is_empty(), "still open on lifts that report that all is well:\n{}", self.stories(&open));
    }

    /// What happened to some lifts, for whoever has to find out why.
    pub(crate) fn stories(&self, lifts: &[String]) -> String {
        let sql = "SELECT concat_ws(' ', subject, seq, kind, rule, opening, reason, certainty, at, published_at)
                   FROM alert_event WHERE subject = ANY($1) ORDER BY subject, epoch, seq";
        let lines = self.query(sql, &[&&lifts[..lifts.len().min(5)]]);
        lifts.join(" ") + "\n" + &lines.iter().map(|row| row.get::<_, String>(0) + "\n").collect::<String>()
    }

    /// Every trouble of the plan has led to exactly one alert, and nothing else has; all of them are over, and whoever
    /// watched saw what is stored. Nothing was set aside, skipped or dropped.
    pub(crate) fn check_alerts(&self, plan: &Plan, watched: &Watched) {
        assert_eq!(watched.faults, Vec::<String>::new());
        let (alerts, wanted) = (self.alerts(), plan.alerts());
        let differs = |of: &Alerts, to: &Alerts| -> Vec<String> {
            of.iter().filter(|(key, n)| to.get(*key) != Some(*n)).map(|(key, _)| key.0.clone()).collect()
        };
        let wrong = [differs(&alerts, &wanted), differs(&wanted, &alerts)].concat();
        assert!(wrong.is_empty(), "{} alerts are too many or too few:\n{}", wrong.len(), self.stories(&wrong));
        assert_eq!(self.open_alerts(), Vec::<String>::new());
        assert_eq!(self.number("SELECT count(*) FROM alert WHERE rule IN ('record-skipped', 'broker-drops')"), 0);
        for table in ["reject", "set_aside"] {
            assert_eq!(self.number(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
        }
        self.check_events(watched);
    }

    /// What was stored of alerts is what was told of them.
    pub(crate) fn check_events(&self, watched: &Watched) {
        let sql = "SELECT epoch, seq, kind, subject, rule, opening FROM alert_event ORDER BY epoch, seq";
        let stored: Vec<(i64, i64, String)> = self
            .query(sql, &[])
            .iter()
            .map(|row| {
                let (kind, subject, rule, opening): (String, String, String, i64) =
                    (row.get(2), row.get(3), row.get(4), row.get(5));
                (row.get(0), row.get(1), format!("{kind} {subject}/{rule}/{opening}"))
            })
            .collect();
        let seen: Vec<(i64, i64, String)> = watched
            .seen
            .iter()
            .map(|seen| {
                let event = &seen.event;
                let kind = AlertEventKind::try_from(event.kind).expect("a kind that we know").as_str_name();
                let kind = kind.trim_start_matches("ALERT_EVENT_KIND_").to_lowercase();
                let id = event.alert.as_ref().map_or("", |alert| &alert.id);
                (i64::from(event.epoch), event.seq as i64, format!("{kind} {id}"))
            })
            .collect();
        let differ = stored.iter().zip(&seen).find(|(stored, seen)| stored != seen);
        assert_eq!(differ, None, "the store and the watcher were told different things");
        let shared = stored.len().min(seen.len());
        let (only_stored, only_seen) = (&stored[shared..], &seen[shared..]);
        assert!(only_stored.is_empty(), "the watcher wasn't told of {only_stored:?}");
        assert!(only_seen.is_empty(), "the store doesn't have {only_seen:?}");
        assert!(stored.iter().zip(1..).all(|((epoch, seq, _), n)| (*epoch, *seq) == (1, n)), "the seqs have gaps");
    }
}

fn key(row: &Row) -> String {
    let (device, boot, seq): (String, i64, i64) = (row.get(0), row.get(1), row.get(2));
    format!("{device} {boot} {seq}")
}

/// The reports of lifts in the inbox, repeats and all.
pub(crate) fn reports_in_inbox(data: &Path) -> i64 {
    let inbox = open(&data.join("inbox"));
    assert_eq!(inbox.first(), 0, "the inbox is trimmed already");
    let (mut reader, mut entries, mut at, mut reports) = (inbox.reader(), Vec::new(), 0, 0);
    loop {
        reader.read(at, 4_096, 1 << 20, &mut entries).expect("the inbox can be read");
        if entries.is_empty() {
            return reports;
        }
        at += entries.len() as u64;
        let records = entries.drain(..).map(|entry| decode_record(entry.pos, entry.payload).expect("it can be read"));
        reports += records.filter(|record| matches!(record.kind, Kind::Report { .. })).count() as i64;
    }
}

/// The position after the last entry of the outbox.
pub(crate) fn outbox_next(data: &Path) -> i64 {
    open(&data.join("outbox")).next() as i64
}

fn open(journal: &Path) -> LocalJournal {
    assert!(journal.is_dir(), "{} is no journal", journal.display());
    LocalJournal::open(journal, &Options::new(Identity { id: 0, epoch: 1 }))
        .expect("the service has let go of it")
        .journal
}
