//! Publishes what goes down to devices, by a connection of its own: what comes up must not wait for it, and nothing that
//! the broker does to it may cost an acknowledgement.
//!
//! **Invariants:** whoever hands something over never waits. Nothing is published that is no longer good: a gun that hears
//! nothing doesn't fill, and asks again. What a connection that broke had not delivered is not sent again on the next one.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use serde::Serialize;
use tokio::select;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::backoff::Backoff;
use super::mqtt::{Connection, LinkError};
use super::options::MqttOptions;
use crate::clock::Clock;
use crate::limits;
use crate::model::downlink::{Downlink, Reassure};
use crate::model::fill::FillAnswer;
use crate::model::time::Elapsed;
use crate::observe::{DownlinksDropped, DownlinksPublished, emit};

/// How long a shutdown waits to say goodbye.
const GRACE: Duration = Duration::from_secs(1);

/// Where to hand over what is to be published.
#[derive(Debug, Clone)]
pub struct Downlinks(Sender<Downlink>);

impl Downlinks {
    pub fn new() -> (Self, Receiver<Downlink>) {
        let (sender, receiver) = channel(limits::DOWNLINKS);
        (Self(sender), receiver)
    }

    /// Never waits: what finds no room is dropped and counted.
    pub fn send(&self, downlinks: Vec<Downlink>) {
        let (mut full, mut ended) = (0, 0);
        for downlink in downlinks {
            match self.0.try_send(downlink) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => full += 1,
                Err(TrySendError::Closed(_)) => ended += 1,
            }
        }
        drop_counted("no-room", full);
        drop_counted("ended", ended);
    }
}

fn drop_counted(reason: &'static str, count: u64) {
    if count > 0 {
        emit(DownlinksDropped { reason, count });
    }
}

/// Publishes until `shutdown`, connecting again as often as it takes.
pub async fn run(options: MqttOptions, downlinks: Receiver<Downlink>, clock: Clock, shutdown: CancellationToken) {
    let seed = RandomState::new().build_hasher().finish();
    let options = MqttOptions { client_id: format!("{}-down", options.client_id), ..options };
    let backoff = Backoff::new(options.backoff_min, options.backoff_max, seed);
    let mut publisher = Publisher { options, downlinks, waiting: VecDeque::new(), clock, backoff };
    loop {
        let Some(error) = publisher.one_connection(&shutdown).await else { return };
        warn!(target: "vigil::downlink", "no answers go down to devices: {error}");
        let wait = publisher.backoff.next_wait();
        info!(target: "vigil::downlink", "connecting to the broker again in {} ms", wait.as_millis());
        select! {
            () = shutdown.cancelled() => return,
            () = sleep(wait) => {}
        }
    }
}

struct Publisher {
    options: MqttOptions,
    downlinks: Receiver<Downlink>,
    /// Taken from the queue and not published yet.
    waiting: VecDeque<Downlink>,
    clock: Clock,
    backoff: Backoff,
}

impl Publisher {
    /// `None`: it was told to end.
    async fn one_connection(&mut self, shutdown: &CancellationToken) -> Option<LinkError> {
        let opened = select! {
            () = shutdown.cancelled() => return None,
            opened = Connection::open_clean(&self.options) => opened,
        };
        let mut connection = match opened {
            Ok(connection) => connection,
            Err(error) => return Some(error),
        };
        let ended = select! {
            () = shutdown.cancelled() => None,
            error = self.serve(&mut connection) => Some(error),
        };
        if ended.is_none() {
            let _late = timeout(GRACE, connection.close()).await;
        }
        ended
    }

    async fn serve(&mut self, connection: &mut Connection) -> LinkError {
        // When the broker last acknowledged enough for more to be sent.
        let mut room_at = Instant::now();
        loop {
            self.take_waiting();
            let room = limits::DOWNLINKS_UNACKED.saturating_sub(connection.unacked());
            if room > 0 {
                room_at = Instant::now();
                if let Err(error) = self.publish(connection, room).await {
                    return error;
                }
            }
            let stuck_at = room_at + self.options.stuck_acks_after;
            select! {
                event = connection.next() => match event {
                    // The broker has answered: the next failure is a new one.
                    Ok(_) => self.backoff.reset(),
                    Err(error) => return error,
                },
                downlink = self.downlinks.recv(), if self.waiting.is_empty() => match downlink {
                    Some(downlink) => self.waiting.push_back(downlink),
                    // Whoever hands things over has ended, and this will be told to.
                    None => std::future::pending().await,
                },
                () = sleep_until(stuck_at), if !self.waiting.is_empty() => {
                    return LinkError::NotTaken(self.options.stuck_acks_after);
                }
            }
        }
    }

    async fn publish(&mut self, connection: &mut Connection, room: u16) -> Result<(), LinkError> {
        self.forget_expired(self.clock.elapsed());
        let now = self.waiting.len().min(usize::from(room));
        if now == 0 {
            return Ok(());
        }
        let prefix = &self.options.topic_prefix;
        let messages = self.waiting.drain(..now).map(|downlink| (topic(prefix, &downlink), payload(&downlink)));
        let published = connection.publish_all(messages).await?;
        emit(DownlinksPublished { count: published });
        Ok(())
    }

    fn take_waiting(&mut self) {
        while self.waiting.len() < limits::DOWNLINKS
            && let Ok(downlink) = self.downlinks.try_recv()
        {
            self.waiting.push_back(downlink);
        }
    }

    fn forget_expired(&mut self, now: Elapsed) {
        let before = self.waiting.len();
        self.waiting.retain(|downlink| now < downlink.good_until());
        drop_counted("expired", (before - self.waiting.len()) as u64);
    }
}

fn topic(prefix: &str, downlink: &Downlink) -> String {
    match downlink {
        Downlink::Fill(answer) => format!("{prefix}/cylinder/{}/verdict", answer.site),
        Downlink::Reassure(it) => format!("{prefix}/elevator/{}/command", it.device),
    }
}

/// As guns read it (`docs/devices.md`).
#[derive(Serialize)]
struct VerdictPayload<'a> {
    cylinder: &'a str,
    scanner: &'a str,
    request: &'a str,
    allow: bool,
    reasons: &'a [Box<str>],
    issued_at: String,
    expires_at: String,
}

/// As terminals of lifts read it.
#[derive(Serialize)]
struct CommandPayload<'a> {
    command: &'a str,
    id: String,
    incident: String,
    issued_at: String,
    expires_at: String,
}

fn payload(downlink: &Downlink) -> String {
    let text = match downlink {
        Downlink::Fill(answer) => serde_json::to_string(&verdict(answer)),
        Downlink::Reassure(it) => serde_json::to_string(&reassure(it)),
    };
    text.expect("texts and a boolean are always JSON")
}

fn verdict(answer: &FillAnswer) -> VerdictPayload<'_> {
    let verdict = &answer.verdict;
    VerdictPayload {
        cylinder: answer.cylinder.as_str(),
        scanner: &answer.scanner,
        request: answer.request.as_deref().unwrap_or_default(),
        allow: verdict.allows(),
        reasons: &verdict.reasons,
        issued_at: verdict.issued_at().to_string(),
        expires_at: verdict.expires_at.to_string(),
    }
}

fn reassure(it: &Reassure) -> CommandPayload<'_> {
    CommandPayload {
        command: "reassure",
        id: it.id(),
        incident: it.incident.to_string(),
        issued_at: it.issued_at.to_string(),
        expires_at: it.expires_at.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fill::Verdict;
    use crate::model::ids::{CylinderCode, DeviceCode, SiteCode};
    use crate::model::incident::IncidentId;
    use crate::model::time::Wall;

    fn answer(n: i64) -> FillAnswer {
        FillAnswer {
            site: SiteCode::parse("640104-0001").unwrap(),
            scanner: "gun-\"1\"".into(),
            cylinder: CylinderCode::parse("264001000001").unwrap(),
            request: Some("r-1".into()),
            verdict: Verdict {
                reasons: vec!["cylinder-overdue".into(), "stale".into()],
                expires_at: Wall(1_795_305_610_000 + n),
            },
            good_until: Elapsed(10_000 + n),
        }
    }

    fn downlink(n: i64) -> Downlink {
        Downlink::Fill(answer(n))
    }

    #[test]
    fn a_verdict_reads_as_the_contract_has_it() {
        assert_eq!(topic("vigil/v1", &downlink(0)), "vigil/v1/cylinder/640104-0001/verdict");
        assert_eq!(
            payload(&downlink(0)),
            r#"{"cylinder":"264001000001","scanner":"gun-\"1\"","request":"r-1","allow":false,"reasons":["cylinder-overdue","stale"],"issued_at":"2026-11-22T00:00:00.000Z","expires_at":"2026-11-22T00:00:10.000Z"}"#
        );
        let allowed = FillAnswer { verdict: Verdict { reasons: vec![], ..answer(0).verdict }, ..answer(0) };
        assert!(payload(&Downlink::Fill(allowed)).contains(r#""allow":true,"reasons":[],"#));
    }

    #[test]
    fn words_for_a_car_read_as_the_contract_has_them() {
        let incident = IncidentId { epoch: 1, number: 42 };
        let it = Reassure {
            device: DeviceCode::parse("31305001122014017242").unwrap(),
            incident,
            issued_at: Wall(1_795_305_600_000),
            expires_at: Wall(1_795_305_660_000),
            good_until: Elapsed(60_000),
        };
        assert_eq!(Reassure::incident_of(&it.id()), Some(incident));
        assert_eq!([Reassure::incident_of("c-1"), Reassure::incident_of("reassure-1")], [None, None]);
        let downlink = Downlink::Reassure(it);
        assert_eq!(topic("vigil/v1", &downlink), "vigil/v1/elevator/31305001122014017242/command");
        assert_eq!(
            payload(&downlink),
            r#"{"command":"reassure","id":"reassure-1-42","incident":"1-42","issued_at":"2026-11-22T00:00:00.000Z","expires_at":"2026-11-22T00:01:00.000Z"}"#
        );
    }

    #[tokio::test]
    async fn what_finds_no_room_is_dropped_and_nobody_waits() {
        let (downlinks, mut queue) = Downlinks::new();
        downlinks.send((0..limits::DOWNLINKS as i64 + 5).map(downlink).collect());
        let mut taken = 0;
        while let Ok(next) = queue.try_recv() {
            assert_eq!(next, downlink(taken));
            taken += 1;
        }
        assert_eq!(taken, limits::DOWNLINKS as i64);
    }

    #[tokio::test]
    async fn what_is_no_longer_good_is_forgotten() {
        let (_sender, downlinks) = channel(1);
        let options = MqttOptions::new("localhost", 1, "vigil/v1", "a");
        let backoff = Backoff::new(Duration::ZERO, Duration::ZERO, 1);
        let waiting = (0..4).map(downlink).collect();
        let mut publisher = Publisher { options, downlinks, waiting, clock: Clock::default(), backoff };
        publisher.forget_expired(Elapsed(10_002));
        assert_eq!(publisher.waiting, [downlink(3)]);
    }
}
