//! Decides what happens with what the broker sends, and when to connect, pause, leave and come back.

use std::collections::hash_map::RandomState;
use std::future::pending;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::select;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, trace, warn};

use super::backoff::Backoff;
use super::ledger::{Ledger, Reply};
use super::marker::Markers;
use super::mqtt::{Connection, Event, LinkError, Message};
use super::options::MqttOptions;
use crate::clock::Clock;
use crate::model::record::Link;
use crate::observe::{Connected, Disconnected, IngestCounters, emit, not_connected_yet};
use crate::spine::input::{DurableWatch, Input, Inputs, NotTaken};

/// How often a full queue is tried again.
const RETRY: Duration = Duration::from_millis(10);
/// How long a shutdown waits for what was taken to become durable, so that it can be acknowledged.
const GRACE: Duration = Duration::from_secs(2);

#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    #[error("the MQTT settings do not fit: {}", .0.join("; "))]
    Options(Vec<String>),
    #[error("the spine has ended: nobody takes what the broker sends")]
    SpineEnded,
}

/// Reads from the broker until `shutdown`, reconnecting as often as it takes.
///
/// A broker that is away, or refuses us, is no error: it is logged and tried again.
pub async fn run(
    options: MqttOptions,
    inputs: Inputs,
    durable: DurableWatch,
    clock: Clock,
    shutdown: CancellationToken,
) -> Result<(), IngestError> {
    let faults = options.faults();
    if !faults.is_empty() {
        return Err(IngestError::Options(faults));
    }
    not_connected_yet();
    let seed = RandomState::new().build_hasher().finish();
    Subscriber {
        backoff: Backoff::new(options.backoff_min, options.backoff_max, seed),
        marker_topic: options.marker_topic(),
        nonce: seed,
        connections: 0,
        subscribed: false,
        feeds: Vec::new(),
        is_kept: false,
        counters: IngestCounters::new(),
        options,
        inputs,
        durable,
        clock,
        shutdown,
    }
    .run()
    .await
}

struct Subscriber {
    options: MqttOptions,
    inputs: Inputs,
    durable: DurableWatch,
    clock: Clock,
    shutdown: CancellationToken,
    backoff: Backoff,
    marker_topic: String,
    nonce: u64,
    /// How many there have been: the number of the newest.
    connections: u32,
    /// This process has subscribed within the session that the broker keeps.
    subscribed: bool,
    /// The feeds among it.
    feeds: Vec<String>,
    /// The broker has a session of ours, in which it keeps what comes while we are away.
    is_kept: bool,
    counters: IngestCounters,
}

/// Why a connection is left.
enum End {
    Shutdown,
    SpineEnded,
    /// The journals are nearly full.
    Withheld,
    /// Nothing may be taken before it is known that the journals are the right ones.
    Shut,
    /// Nothing could be taken for too long.
    NoRoom,
    Link(LinkError),
}

impl End {
    /// Why a session has ended, in a word and in words; `None`: we end ourselves.
    fn reason(&self) -> Option<(&'static str, String)> {
        match self {
            Self::Shutdown | Self::SpineEnded => None,
            Self::Withheld => Some(("withheld", "the journals are nearly full".into())),
            Self::Shut => Some(("shut", "the store has not answered yet".into())),
            Self::NoRoom => Some(("no-room", "nothing could be taken for too long".into())),
            Self::Link(error) => Some((error.reason(), error.to_string())),
        }
    }
}

impl From<LinkError> for End {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

impl Subscriber {
    async fn run(mut self) -> Result<(), IngestError> {
        loop {
            let end = match self.one_connection().await {
                Ok(never) => match never {},
                Err(end) => end,
            };
            match end {
                End::Shutdown => return Ok(()),
                End::SpineEnded => return Err(IngestError::SpineEnded),
                End::Withheld => info!("the broker keeps what devices send until the journals have room again"),
                End::Shut => info!("the broker keeps what devices send until the store has answered"),
                End::Link(error @ LinkError::FilterRefused { .. }) => error!("{error}"),
                End::Link(error) if !error.ends_session() => warn!("{error}"),
                // Told already, as the end of a session.
                End::NoRoom | End::Link(_) => {}
            }
            let wait = self.backoff.next_wait();
            info!("connecting to the broker again in {} ms", wait.as_millis());
            select! {
                () = self.shutdown.cancelled() => return Ok(()),
                () = sleep(wait) => {}
            }
        }
    }

    async fn one_connection(&mut self) -> Result<std::convert::Infallible, End> {
        self.wait_until_wanted().await?;
        let (connection, session_present) = select! {
            () = self.shutdown.cancelled() => return Err(End::Shutdown),
            opened = Connection::open(&self.options) => opened?,
        };
        self.connections += 1;
        let broker = format!("{}:{}", self.options.host, self.options.port);
        emit(Connected { broker: &broker, resumed: session_present });
        if !session_present && self.subscribed {
            warn!("the broker has forgotten our session: what it held for us is lost");
        }
        self.subscribed &= session_present;
        self.is_kept = session_present;

        self.tell(Link::Up).await?;
        let shutdown = self.shutdown.clone();
        let mut session = Session::new(self, connection);
        let (end, may_write) = select! {
            biased;
            served = session.serve() => match served {
                Ok(never) => match never {},
                Err(end) => {
                    let may_write = matches!(end, End::Shutdown | End::Withheld | End::Shut | End::NoRoom);
                    (end, may_write)
                }
            },
            // It waits for a broker that takes nothing, with a packet half sent.
            () = grace_ends(&shutdown) => (End::Shutdown, false),
        };
        if may_write {
            // Nobody waits for a broker that takes nothing. What was not acknowledged is sent again.
            let _late = timeout(GRACE + GRACE, async { session.finish(&end).await.close().await }).await;
        }
        if let Some((reason, detail)) = end.reason() {
            emit(Disconnected { reason, detail: &detail });
        }
        // A clean end needs no `Down`: the next record after it will be a `Start`, which implies one.
        if !matches!(end, End::Shutdown | End::SpineEnded) {
            self.tell(Link::Down).await?;
        }
        Err(end)
    }

    /// There is no use in a connection on which nothing may be acknowledged, but for one: from our first subscription on,
    /// the broker keeps what devices send.
    async fn wait_until_wanted(&mut self) -> Result<(), End> {
        let wanted = async {
            if self.is_kept {
                self.inputs.opened().await;
            }
            self.durable.wait_for(|durable| !durable.withheld).await.map(|_| ()).map_err(|_| End::SpineEnded)
        };
        select! {
            () = self.shutdown.cancelled() => Err(End::Shutdown),
            wanted = wanted => wanted,
        }
    }

    /// A change of the link must not be lost: this waits for room, and nothing overtakes it.
    async fn tell(&self, link: Link) -> Result<(), End> {
        let mut input = Input::Link(link);
        loop {
            input = match self.inputs.offer(input) {
                Ok(()) => return Ok(()),
                Err(NotTaken::Full(input) | NotTaken::Shut(input)) => input,
                Err(NotTaken::Ended(_)) => return Err(End::SpineEnded),
            };
            select! {
                () = self.shutdown.cancelled() => return Err(End::Shutdown),
                () = sleep(RETRY) => {}
            }
        }
    }

    /// How long reading may pause. rumqttc sends no pings meanwhile, and has to find the answer to the last one in time
    /// before it sends the next.
    fn pause_max(&self) -> Duration {
        self.options.keep_alive / 2
    }
}

/// A message on its way to the spine.
struct Arrival {
    /// `None` for a marker that isn't one of ours: there is nothing to say about it.
    input: Option<Input>,
    bytes: usize,
    reply: Option<Reply>,
}

/// What lives as long as one connection.
struct Session<'a> {
    shared: &'a mut Subscriber,
    connection: Connection,
    ledger: Ledger,
    markers: Markers,
    /// Ticks once we are subscribed, at first at once.
    marker_timer: Option<Interval>,
    subscribe_by: Instant,
    /// When something last came from the broker, or could not have, because reading paused.
    heard_at: Instant,
    /// When a message last came that we subscribe to, a marker or another, or could not have.
    message_at: Instant,
    /// Found no room, and since when. Nothing is read before it is placed: what follows must not overtake it.
    parked: Option<(Arrival, Instant)>,
    /// When something last became durable, or nothing waited for it.
    moved_at: Instant,
    warned: bool,
}

impl<'a> Session<'a> {
    fn new(shared: &'a mut Subscriber, connection: Connection) -> Self {
        let now = Instant::now();
        Self {
            connection,
            ledger: Ledger::new(shared.connections),
            markers: Markers::new(shared.nonce, shared.connections),
            marker_timer: None,
            subscribe_by: now + shared.options.connect_within,
            heard_at: now,
            message_at: now,
            parked: None,
            moved_at: now,
            warned: false,
            shared,
        }
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, End> {
        let feeds = self.shared.options.feeds.borrow_and_update().clone();
        if self.shared.subscribed && self.shared.feeds == feeds {
            self.start_markers();
        } else {
            self.subscribe(feeds).await?;
        }
        let silent_max = self.shared.options.silent_max;
        loop {
            while self.parked.is_none()
                && let Some(event) = self.connection.buffered()
            {
                self.handle(event)?;
            }
            self.acknowledge().await?;
            if self.shared.is_kept && self.shared.inputs.is_shut() {
                return Err(End::Shut);
            }
            let durable = *self.shared.durable.borrow();
            if durable.withheld || durable.refused == self.shared.connections {
                return Err(End::Withheld);
            }
            select! {
                biased;
                () = self.shared.shutdown.cancelled() => return Err(End::Shutdown),
                changed = self.shared.durable.changed() => changed.map_err(|_| End::SpineEnded)?,
                () = tick(self.marker_timer.as_mut()) => self.send_marker().await?,
                () = sleep_until(self.subscribe_by), if !self.is_subscribed() => {
                    return Err(LinkError::SubscriptionUnanswered(self.shared.options.connect_within).into());
                }
                () = sleep(RETRY), if self.parked.is_some() => {}
                feeds = changed(&mut self.shared.options.feeds) => self.subscribe(feeds).await?,
                event = self.connection.next(), if self.parked.is_none() => self.handle(event?)?,
                // After reading: what has come and only waits to be read is no silence.
                () = sleep_until(self.heard_at + silent_max), if self.parked.is_none() => {
                    return Err(LinkError::Silent(silent_max).into());
                }
                () = sleep_until(self.message_at + silent_max), if self.is_subscribed() && self.parked.is_none() => {
                    // It has lost what we subscribed to: restored, perhaps, from before.
                    self.shared.subscribed = false;
                    return Err(LinkError::Unheard(silent_max).into());
                }
            }
            self.place_parked()?;
        }
    }

    fn handle(&mut self, event: Event) -> Result<(), End> {
        self.heard_at = Instant::now();
        match event {
            Event::Message(message) => {
                self.message_at = self.heard_at;
                let arrival = self.receive(message);
                self.place(arrival, None)
            }
            Event::Subscribed(granted) => self.check_subscription(&granted),
            Event::Other => Ok(()),
        }
    }

    /// Asks for all that we want, and for nothing any more of what we don't.
    async fn subscribe(&mut self, feeds: Vec<String>) -> Result<(), End> {
        let gone: Vec<String> = self.shared.feeds.iter().filter(|topic| !feeds.contains(topic)).cloned().collect();
        if !gone.is_empty() {
            self.connection.unsubscribe(&gone).await?;
        }
        self.shared.feeds = feeds;
        let mut filters = self.shared.options.all_filters();
        filters.extend(self.shared.feeds.iter().cloned());
        Ok(self.connection.subscribe(&filters).await?)
    }

    fn check_subscription(&mut self, granted: &[bool]) -> Result<(), End> {
        let mut filters = self.shared.options.all_filters().into_iter().zip(0..);
        if let Some((filter, _)) = filters.find(|(_, i)| granted.get(*i) != Some(&true)) {
            return Err(LinkError::FilterRefused { filter }.into());
        }
        let first = self.shared.options.all_filters().len();
        for (feed, _) in self.shared.feeds.iter().zip(first..).filter(|(_, i)| granted.get(*i) != Some(&true)) {
            error!(
                "the broker refuses {feed:?}, the topics of a profile, or grants less than QoS 1: look at its access rules"
            );
        }
        self.shared.subscribed = true;
        self.shared.is_kept = true;
        self.start_markers();
        Ok(())
    }

    /// Then markers are sent, and have to come back.
    fn is_subscribed(&self) -> bool {
        self.marker_timer.is_some()
    }

    fn start_markers(&mut self) {
        self.message_at = Instant::now();
        let mut timer = interval(self.shared.options.marker_every);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.marker_timer = Some(timer);
    }

    fn receive(&mut self, message: Message) -> Arrival {
        let Message { topic, payload, reply } = message;
        trace!(%topic, bytes = payload.len(), ?reply, "received");
        let qos = match reply {
            None => 0,
            Some(Reply::PubAck(_)) => 1,
            Some(Reply::PubRec(_)) => 2,
        };
        self.shared.counters.received[qos].increment(1);
        let bytes = topic.len() + payload.len();
        let input = if *topic == *self.shared.marker_topic {
            self.hear(&payload)
        } else {
            Some(Input::Report { token: self.ledger.next_token(), topic, payload })
        };
        Arrival { input, bytes, reply }
    }

    fn hear(&mut self, payload: &Bytes) -> Option<Input> {
        let sent = self.markers.hear(payload)?;
        // Now the connection is known to carry messages, and the next failure is a new one.
        self.shared.backoff.reset();
        Some(Input::Link(Link::Heard { sent }))
    }

    /// Gives the message to the spine, or parks it, or drops it where that is allowed.
    fn place(&mut self, arrival: Arrival, parked_at: Option<Instant>) -> Result<(), End> {
        let Arrival { input, bytes, reply } = arrival;
        let Some(input) = input else {
            self.ledger.take_other(bytes, reply);
            return Ok(());
        };
        let is_report = matches!(input, Input::Report { .. });
        let offered = if self.ledger.has_room(bytes, self.shared.options.in_flight_bytes) {
            self.shared.inputs.offer(input)
        } else {
            Err(NotTaken::Full(input))
        };
        match offered {
            Ok(()) if is_report => self.ledger.take_report(bytes, reply),
            Ok(()) => self.ledger.take_other(bytes, reply),
            Err(NotTaken::Full(_) | NotTaken::Shut(_)) if reply.is_none() => {
                self.shared.options.dropped.fetch_add(1, Ordering::Relaxed);
                self.shared.counters.dropped.increment(1);
            }
            Err(NotTaken::Shut(_)) => return Err(End::Shut),
            Err(NotTaken::Full(input)) => {
                let since = parked_at.unwrap_or_else(Instant::now);
                if since.elapsed() > self.shared.pause_max() {
                    return Err(End::NoRoom);
                }
                self.parked = Some((Arrival { input: Some(input), bytes, reply }, since));
            }
            Err(NotTaken::Ended(_)) => return Err(End::SpineEnded),
        }
        Ok(())
    }

    fn place_parked(&mut self) -> Result<(), End> {
        match self.parked.take() {
            Some((arrival, since)) => {
                self.heard_at = Instant::now();
                self.message_at = self.heard_at;
                self.place(arrival, Some(since))
            }
            None => Ok(()),
        }
    }

    /// Sends on what has become durable. Not to be dropped half-way: a reply that is taken out is a reply to be sent.
    async fn acknowledge(&mut self) -> Result<(), LinkError> {
        let durable = self.shared.durable.borrow_and_update().token;
        if self.ledger.has_due(durable) {
            let sent = self.connection.reply(std::iter::from_fn(|| self.ledger.next_due(durable))).await?;
            self.shared.counters.acknowledged.increment(sent);
            self.moved_at = Instant::now();
            self.warned = false;
        }
        Ok(())
    }

    async fn send_marker(&mut self) -> Result<(), LinkError> {
        self.warn_if_stuck();
        // The first one of a connection may be older than the record of its beginning, which waits for the disk, and
        // then proves nothing. The second one comes soon.
        if self.markers.is_first()
            && let Some(timer) = &mut self.marker_timer
        {
            timer.reset_after(self.shared.options.marker_every / 20);
        }
        let payload = self.markers.send(self.shared.clock.elapsed());
        self.connection.publish(&self.shared.marker_topic, payload).await
    }

    /// Leaving the broker would not help: it would send the same again, and they would wait as long.
    fn warn_if_stuck(&mut self) {
        if self.ledger.is_empty() {
            self.moved_at = Instant::now();
        } else if self.moved_at.elapsed() > self.shared.options.stuck_acks_after && !self.warned {
            self.warned = true;
            warn!(
                "{} messages wait to become durable, the first for {} s: look at the journal's disk",
                self.ledger.len(),
                self.moved_at.elapsed().as_secs()
            );
        }
    }

    /// Sends the last acknowledgements and gives the connection back.
    async fn finish(mut self, end: &End) -> Connection {
        let deadline = Instant::now() + if matches!(end, End::Shutdown) { GRACE } else { Duration::ZERO };
        while self.acknowledge().await.is_ok() && !self.ledger.is_empty() {
            if !matches!(timeout_at(deadline, self.shared.durable.changed()).await, Ok(Ok(()))) {
                break;
            }
        }
        self.connection
    }
}

async fn grace_ends(shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    sleep(GRACE).await;
}

/// What the feeds have changed to. Where nobody changes them, never.
async fn changed(feeds: &mut watch::Receiver<Vec<String>>) -> Vec<String> {
    match feeds.changed().await {
        Ok(()) => feeds.borrow_and_update().clone(),
        Err(_) => pending().await,
    }
}

async fn tick(timer: Option<&mut Interval>) {
    match timer {
        Some(timer) => drop(timer.tick().await),
        None => pending().await,
    }
}
