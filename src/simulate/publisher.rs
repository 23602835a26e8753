//! Plays a fleet to a broker, in its own time, and loses nothing on the way.
//!
//! What a lost connection leaves unacknowledged is sent again on the next one, in order. The client library forgets
//! such messages where the broker has forgotten the session, so they are kept here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rumqttc::{AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, MqttOptions, Outgoing, Packet, QoS};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Fleet, Message};
use crate::clock::Clock;
use crate::limits;
use crate::model::time::{Elapsed, Wall};

#[derive(Debug, Clone)]
pub struct PublishOptions {
    pub host: String,
    pub port: u16,
    /// No other client of this broker may use it: each would throw the other out.
    pub client_id: String,
    /// User name and password.
    pub credentials: Option<(String, String)>,
    /// Messages sent and not yet acknowledged, 1 to `limits::PUBLISH_WINDOW`. Brokers have a window of their own, often 20.
    pub window: u16,
    /// The fleet's seconds in one of ours. With another speed than 1 the devices' clocks run away from the service's,
    /// and no hold lasts as long as it claims: good for load, not for truth.
    pub speed: f64,
    /// Where in the fleet's time to end; `None`: at the shutdown.
    pub until: Option<Wall>,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Published {
    /// Messages taken from the fleet.
    pub taken: u64,
    /// Of these, how many the broker has acknowledged.
    pub acknowledged: u64,
    /// Connections made.
    pub connections: u32,
}

#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error("the broker at {host}:{port} refuses client {client_id:?}: {code:?}; check user name, password and ACL")]
    Refused { host: String, port: u16, client_id: String, code: ConnectReturnCode },
}

/// How long the end waits for acknowledgements.
const DRAIN: Duration = Duration::from_secs(5);
/// The fleet is advanced at least this often, so that its truth is fresh.
const STEP_MS: i64 = 200;
const BACKOFF_MS: (u64, u64) = (100, 5_000);
/// Larger than any report of the fleet with its topic.
const PACKET_BYTES: usize = limits::PAYLOAD_BYTES + limits::TOPIC_BYTES + 16;

/// Publishes what `fleet` does, from where it stands now, until `options.until` or `shutdown`; then waits a few seconds
/// for what is not acknowledged. `counts` tells how it goes. Others may look into the fleet meanwhile, to read its truth.
///
/// # Errors
/// Only where the broker refuses the client. While it can't be reached, this tries again, and says so in the log.
pub async fn publish(
    fleet: Arc<Mutex<Fleet>>,
    options: PublishOptions,
    clock: Clock,
    counts: &watch::Sender<Published>,
    shutdown: CancellationToken,
) -> Result<Published, PublishError> {
    let began = (clock.elapsed(), lock(&fleet).now());
    let mut publisher = Publisher {
        fleet,
        clock,
        began,
        options,
        counts,
        outbound: Outbound::default(),
        published: Published::default(),
    };
    let give_up = give_up(shutdown.clone());
    tokio::pin!(give_up);
    let mut backoff_ms = BACKOFF_MS.0;
    loop {
        let connections = publisher.published.connections;
        let end = tokio::select! {
            end = publisher.connection(&shutdown) => end,
            () = &mut give_up => break,
        };
        match end {
            End::Done => break,
            End::Lost(ConnectionError::ConnectionRefused(code)) if code != ConnectReturnCode::ServiceUnavailable => {
                let PublishOptions { host, port, client_id, .. } = publisher.options;
                return Err(PublishError::Refused { host, port, client_id, code });
            }
            End::Lost(error) => {
                let PublishOptions { host, port, .. } = &publisher.options;
                tracing::warn!(%error, "no connection to the broker at {host}:{port}; trying again");
            }
        }
        publisher.outbound.connection_lost();
        let connected = publisher.published.connections > connections;
        backoff_ms = if connected { BACKOFF_MS.0 } else { (backoff_ms * 2).min(BACKOFF_MS.1) };
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(backoff_ms)) => {}
            () = &mut give_up => break,
        }
    }
    Ok(publisher.published)
}

async fn give_up(shutdown: CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(DRAIN).await;
}

/// The fleet is whole between two calls, even if whoever held the lock panicked.
fn lock(fleet: &Mutex<Fleet>) -> MutexGuard<'_, Fleet> {
    fleet.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was taken from the fleet and is not acknowledged, by how far it is.
#[derive(Debug, Default)]
struct Outbound {
    taken: VecDeque<Message>,
    /// Handed to the client, in this order.
    requested: VecDeque<Message>,
    /// By packet id, with the how-many-th it was.
    sent: BTreeMap<u16, (u64, Message)>,
    sent_count: u64,
}

impl Outbound {
    fn in_flight(&self) -> usize {
        self.requested.len() + self.sent.len()
    }

    fn is_empty(&self) -> bool {
        self.taken.is_empty() && self.in_flight() == 0
    }

    /// The client has given the oldest request this packet id.
    fn sent(&mut self, packet: u16) {
        if let Some(message) = self.requested.pop_front() {
            self.sent_count += 1;
            self.sent.insert(packet, (self.sent_count, message));
        }
    }

    /// Puts all that is not acknowledged back in front, in its order.
    fn connection_lost(&mut self) {
        let mut sent: Vec<_> = std::mem::take(&mut self.sent).into_values().collect();
        sent.sort_by_key(|(n, _)| *n);
        let again = sent.into_iter().map(|(_, message)| message).chain(self.requested.drain(..));
        let again: VecDeque<_> = again.chain(self.taken.drain(..)).collect();
        self.taken = again;
    }
}

struct Publisher<'a> {
    fleet: Arc<Mutex<Fleet>>,
    clock: Clock,
    /// The same moment in our time and in the fleet's.
    began: (Elapsed, Wall),
    options: PublishOptions,
    counts: &'a watch::Sender<Published>,
    outbound: Outbound,
    published: Published,
}

enum End {
    Done,
    Lost(ConnectionError),
}

/// What the connection tells. Handed on by a task of its own, because the client may not be interrupted at its work.
enum Told {
    Up,
    Sent(u16),
    Acknowledged(u16),
    Lost(ConnectionError),
}

impl Publisher<'_> {
    fn window(&self) -> usize {
        usize::from(self.options.window.clamp(1, limits::PUBLISH_WINDOW))
    }

    async fn connection(&mut self, shutdown: &CancellationToken) -> End {
        let PublishOptions { host, port, client_id, credentials, .. } = &self.options;
        let mut mqtt = MqttOptions::new(client_id, host, *port);
        mqtt.set_clean_session(true).set_keep_alive(Duration::from_secs(20));
        mqtt.set_inflight(limits::PUBLISH_WINDOW).set_max_packet_size(PACKET_BYTES, PACKET_BYTES);
        if let Some((user, password)) = credentials {
            mqtt.set_credentials(user, password);
        }
        let (client, network) = AsyncClient::new(mqtt, self.window());
        let (tell, mut told) = mpsc::channel(2 * self.window());
        let _poll = AbortOnDrop(tokio::spawn(poll(network, tell)));
        let mut up = false;
        let mut stop = false;
        loop {
            let wake = self.wake_after(up && !stop);
            tokio::select! {
                () = shutdown.cancelled(), if !stop => stop = true,
                event = told.recv() => match event {
                    Some(Told::Up) => {
                        up = true;
                        self.published.connections += 1;
                    }
                    Some(Told::Sent(packet)) => self.outbound.sent(packet),
                    Some(Told::Acknowledged(packet)) => {
                        self.published.acknowledged += u64::from(self.outbound.sent.remove(&packet).is_some());
                    }
                    Some(Told::Lost(error)) => return End::Lost(error),
                    None => return End::Lost(ConnectionError::RequestsDone),
                },
                () = tokio::time::sleep(wake.unwrap_or_default()), if wake.is_some() => {}
            }
            if up {
                if !stop {
                    stop = self.take();
                }
                self.request(&client);
            }
            self.counts.send_replace(self.published);
            if stop && self.outbound.is_empty() {
                disconnect(&client, &mut told).await;
                return End::Done;
            }
        }
    }

    /// How long until the fleet has something to send; `None` while there is no room for it.
    fn wake_after(&self, taking: bool) -> Option<Duration> {
        if !taking || self.outbound.in_flight() >= self.window() {
            return None;
        }
        let wait_ms = (lock(&self.fleet).next_at() - self.fleet_time()).clamp(0, STEP_MS) as f64;
        Some(Duration::from_millis((wait_ms / self.speed()).ceil() as u64))
    }

    fn speed(&self) -> f64 {
        self.options.speed.clamp(0.001, 1_000_000.0)
    }

    fn fleet_time(&self) -> Wall {
        let elapsed_ms = (self.clock.elapsed() - self.began.0) as f64 * self.speed();
        let now = self.began.1 + elapsed_ms as i64;
        self.options.until.map_or(now, |until| now.min(until))
    }

    /// Takes from the fleet what is due and has room; `true`: that was all until the end.
    fn take(&mut self) -> bool {
        let now = self.fleet_time();
        let room = self.window();
        let mut fleet = lock(&self.fleet);
        while self.outbound.taken.len() + self.outbound.in_flight() < room {
            let next = fleet.next_at();
            let messages = fleet.advance(next.min(now));
            self.published.taken += messages.len() as u64;
            self.outbound.taken.extend(messages);
            if next > now {
                return self.options.until.is_some_and(|until| now >= until);
            }
        }
        false
    }

    fn request(&mut self, client: &AsyncClient) {
        while self.outbound.in_flight() < self.window()
            && let Some(message) = self.outbound.taken.front()
        {
            // Its queue is as long as the window, so it is never full; a client that has ended says so in `told`.
            let request =
                client.try_publish(&*message.topic, QoS::AtLeastOnce, message.retain, message.payload.clone());
            if request.is_err() {
                return;
            }
            self.outbound.requested.extend(self.outbound.taken.pop_front());
        }
    }
}

async fn poll(mut network: EventLoop, tell: mpsc::Sender<Told>) {
    loop {
        let told = match network.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => Told::Up,
            Ok(Event::Incoming(Packet::PubAck(ack))) => Told::Acknowledged(ack.pkid),
            Ok(Event::Outgoing(Outgoing::Publish(packet))) => Told::Sent(packet),
            Ok(Event::Outgoing(Outgoing::Disconnect)) => return,
            Ok(_) => continue,
            Err(error) => Told::Lost(error),
        };
        let lost = matches!(told, Told::Lost(_));
        if tell.send(told).await.is_err() || lost {
            return;
        }
    }
}

/// Takes leave, so that the broker publishes no last will and logs no error.
async fn disconnect(client: &AsyncClient, told: &mut mpsc::Receiver<Told>) {
    if client.try_disconnect().is_ok() {
        let closed = async { while told.recv().await.is_some() {} };
        // A broker that doesn't take the leave has nothing of ours any more.
        let _ = tokio::time::timeout(Duration::from_secs(1), closed).await;
    }
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
