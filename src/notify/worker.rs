//! What tells one target: event by event, each again until it is taken or given up.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::attempt::{Body, Client, TlsError};
use super::ledger::{Delivery, Ledger, LedgerError, Note, Outcome, Place, Taken};
use super::site::{Archive, Sites};
use super::source::{Event, Source};
use super::standing::{Shared, Standing, State};
use super::verdict::{self, Answer, Failure, Verdict, judge};
use super::{Parts, Replay, body, read_secrets, signature};
use crate::cap::{self, Earlier, Told};
use crate::clock::Clock;
use crate::config::{NotifyFormat, NotifyTarget};
use crate::feed::ReadError;
use crate::ingest::backoff::Backoff;
use crate::limits;
use crate::model::alert::Cursor;
use crate::observe::{NotifyAttemptFailed, NotifyDelivered, NotifyGivenUp, NotifyLedgerFailed, NotifyPanicked, emit};

/// While nothing is to be told, a place that has moved is written down so often.
const KEEP_EVERY: Duration = Duration::from_secs(60);
/// When the ledger can't be written, it is tried again after so long.
const LEDGER_AGAIN: Duration = Duration::from_secs(1);
/// How often it is tried to read what is left of an earlier epoch.
const PAST_TRIES: u32 = 6;

pub(super) struct Worker {
    target: Arc<NotifyTarget>,
    source: Source,
    ledger: Ledger,
    client: Client,
    archive: Arc<dyn Archive>,
    sites: Arc<Sites>,
    clock: Clock,
    profile: Arc<cap::Profile>,
    standing: Arc<Shared>,
    asks: Asks,
    backoff: Backoff,
    place: Place,
    /// Events since the place was last written down.
    passed: usize,
    has_begun: bool,
    /// The event that it is at, and how often it has failed on it by a fault of ours, with what was said.
    at_work: Option<Cursor>,
    panics: u32,
    panicked: String,
}

/// What ends any wait.
struct Asks {
    replays: mpsc::Receiver<Replay>,
    stop: CancellationToken,
}

enum Interrupt {
    Replay(Replay),
    Stop,
}

impl Asks {
    /// Waits for `work`, unless something else is wanted before. What is dropped then is done again or was only a wait.
    async fn or<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Interrupt> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Interrupt::Stop),
            Some(replay) = self.replays.recv() => Err(Interrupt::Replay(replay)),
            done = work => Ok(done),
        }
    }
}

/// An event on its way to the target.
struct Pending<'a> {
    told: Told<'a>,
    body: Body,
    taken: Option<Taken>,
    attempts: u32,
}

impl<'a> Pending<'a> {
    /// One that can't be made.
    fn unmade(told: Told<'a>) -> Self {
        let body = Body { id: String::new(), seq: String::new(), content_type: "", bytes: Bytes::new() };
        Self { told, body, taken: None, attempts: 0 }
    }
}

impl Worker {
    pub(super) fn new(
        target: &Arc<NotifyTarget>,
        source: &Source,
        ledger: &Ledger,
        (parts, sites): (&Parts, &Arc<Sites>),
        standing: &Arc<Shared>,
        replays: mpsc::Receiver<Replay>,
        stop: CancellationToken,
    ) -> Result<Self, TlsError> {
        let seed = target.name.bytes().fold(parts.clock.elapsed().ms().unsigned_abs(), |seed, byte| {
            seed.wrapping_mul(31).wrapping_add(u64::from(byte))
        });
        let (min, max) = (limits::NOTIFY_RETRY_MS_MIN, limits::NOTIFY_RETRY_MS_MAX);
        Ok(Self {
            client: Client::new(target)?,
            target: Arc::clone(target),
            source: source.clone(),
            ledger: ledger.clone(),
            archive: Arc::clone(&parts.archive),
            sites: Arc::clone(sites),
            clock: parts.clock.clone(),
            profile: Arc::clone(&parts.profile),
            standing: Arc::clone(standing),
            asks: Asks { replays, stop },
            backoff: Backoff::new(Duration::from_millis(min), Duration::from_millis(max), seed),
            place: Place::default(),
            passed: 0,
            has_begun: false,
            at_work: None,
            panics: 0,
            panicked: String::new(),
        })
    }

    /// Until the service ends: whatever fails is begun again.
    pub(super) async fn run(mut self) {
        loop {
            // What it holds is whole at any await, and its place moves last: what was being told is told again.
            let outcome = match AssertUnwindSafe(self.step()).catch_unwind().await {
                Ok(outcome) => outcome,
                Err(panic) => self.has_panicked(said(&*panic)).await,
            };
            match outcome {
                Ok(()) => {}
                Err(Interrupt::Replay(replay)) => self.replay(replay).await,
                Err(Interrupt::Stop) => break,
            }
        }
        if self.passed > 0 {
            // Else it is looked at again at the next start, which costs no more than that.
            let _ = self.ledger.note(&self.target.name, self.note()).await;
        }
    }

    async fn step(&mut self) -> Result<(), Interrupt> {
        if !self.has_begun {
            self.begin().await?;
            self.has_begun = true;
        }
        self.round().await
    }

    /// A fault of ours: it is told, and what was being done is done again after a while. An event on which it fails again and
    /// again must not hold up all that follow.
    async fn has_panicked(&mut self, detail: String) -> Result<(), Interrupt> {
        emit(NotifyPanicked { target: &self.target.name, detail: &detail });
        self.panics += u32::from(self.at_work.is_some());
        self.panicked.clone_from(&detail);
        self.standing.set(|it| {
            it.state = State::Failing;
            it.reason = verdict::PANICKED;
            it.detail = detail;
            it.panics += 1;
        });
        let wait = self.backoff.next_wait();
        self.asks.or(tokio::time::sleep(wait)).await
    }

    /// Goes on where it was; a target that is new begins with what happens next.
    async fn begin(&mut self) -> Result<(), Interrupt> {
        let incidents = self.target.wants_incidents();
        let found = loop {
            match self.ledger.place(&self.target.name, incidents).await {
                Ok(found) => break found,
                Err(error) => self.ledger_failed(&error).await?,
            }
        };
        match found {
            Some(place) => self.place = place,
            None => {
                self.place = Place { cursor: self.source.head(), ..Place::default() };
                self.keep(None, None).await?;
            }
        }
        self.standing.set(|it| it.through(self.place.cursor));
        Ok(())
    }

    async fn round(&mut self) -> Result<(), Interrupt> {
        let mut heads = self.source.heads();
        heads.borrow_and_update();
        let read = self.asks.or(self.source.read(self.place.cursor, limits::NOTIFY_BATCH)).await?;
        match read {
            Ok(events) if events.is_empty() => {
                self.standing.set(|it| it.state = State::Idle);
                let news = self.asks.or(tokio::time::timeout(KEEP_EVERY, heads.changed())).await?;
                if news.is_err() && self.passed > 0 {
                    self.keep(None, None).await?;
                }
                Ok(())
            }
            Ok(events) => self.tell_all(&events).await,
            Err(error) => self.unreadable(error).await,
        }
    }

    async fn tell_all(&mut self, events: &[Event]) -> Result<(), Interrupt> {
        for event in events {
            let told = event.told();
            if self.at_work != Some(told.cursor()) {
                (self.at_work, self.panics) = (Some(told.cursor()), 0);
            }
            if self.panics >= limits::NOTIFY_PANICS {
                let why = self.panicked.clone();
                self.give_up(&Pending::unmade(told), verdict::PANICKED, why).await?;
                continue;
            }
            match if self.target.filter.passes(told) { self.prepare(told).await? } else { None } {
                Some(pending) => self.tell(pending).await?,
                None => self.pass(told.cursor()).await?,
            }
        }
        self.at_work = None;
        Ok(())
    }

    /// Nothing of it is for the target.
    async fn pass(&mut self, cursor: Cursor) -> Result<(), Interrupt> {
        self.place.cursor = cursor;
        self.passed += 1;
        self.standing.set(|it| it.cursor = cursor);
        if self.passed >= limits::NOTIFY_PASSED {
            self.keep(None, None).await?;
        }
        Ok(())
    }

    /// What to send of an event; `None`: there is nothing to tell.
    async fn prepare<'a>(&mut self, told: Told<'a>) -> Result<Option<Pending<'a>>, Interrupt> {
        let instance = &self.profile.instance;
        let (id, seq) = (cap::identifier(instance, told.stream(), told.cursor()), told.cursor().to_string());
        if self.target.format == NotifyFormat::Json {
            let value = body::json(&id, instance, &self.target.name, told);
            let body = Body { id, seq, content_type: "application/json", bytes: value.to_string().into() };
            return Ok(Some(Pending { told, body, taken: None, attempts: 0 }));
        }
        let of = told.of();
        let chain = loop {
            match self.ledger.chain(&self.target.name, &of, told.cursor()).await {
                Ok(chain) => break chain,
                Err(error) => self.ledger_failed(&error).await?,
            }
        };
        let site = self.asks.or(self.sites.of(told)).await?;
        let Some(message) = cap::message(&self.profile, told, &site, &chain) else { return Ok(None) };
        let (kind, earlier) = (message.kind, Earlier { cursor: told.cursor(), sent: message.sent });
        let taken = Some(Taken { chain: of, message: earlier, kind });
        let body = Body { id, seq, content_type: "application/cap+xml", bytes: message.xml.into() };
        Ok(Some(Pending { told, body, taken, attempts: 0 }))
    }

    /// Tries until it is taken or given up.
    async fn tell(&mut self, mut pending: Pending<'_>) -> Result<(), Interrupt> {
        if pending.body.bytes.len() > limits::NOTIFY_BODY_BYTES {
            let detail = format!("{} bytes", pending.body.bytes.len());
            return self.give_up(&pending, verdict::TOO_LARGE, detail).await;
        }
        self.backoff.reset();
        let mut last = String::new();
        loop {
            if self.age_ms(pending.told) > self.target.max_age_ms {
                return self.give_up(&pending, verdict::TOO_OLD, last).await;
            }
            pending.attempts += 1;
            self.standing.set(|it| it.begin(&pending));
            let (answer, detail) = {
                let attempt = attempt(&self.client, &self.target, &self.clock, &pending.body);
                self.asks.or(attempt).await?
            };
            let detail = shown(&detail);
            match judge(&answer) {
                Verdict::Delivered => return self.delivered(pending).await,
                Verdict::GivenUp(reason) => return self.give_up(&pending, reason, detail).await,
                Verdict::Again { reason, not_before_ms } => {
                    let wait = self.backoff.next_wait().max(Duration::from_millis(not_before_ms));
                    self.failed(&pending, reason, &detail, wait);
                    last = detail;
                    self.asks.or(tokio::time::sleep(wait)).await?;
                }
            }
        }
    }

    /// Since it happened, or since somebody wanted to have it again.
    fn age_ms(&self, told: Told<'_>) -> i64 {
        let is_replayed = told.cursor().seq <= self.place.replay_to;
        let since = if is_replayed { told.at().max(self.place.replayed_at) } else { told.at() };
        self.clock.wall() - since
    }

    async fn delivered(&mut self, pending: Pending<'_>) -> Result<(), Interrupt> {
        let (now, cursor) = (self.clock.wall(), pending.told.cursor());
        emit(NotifyDelivered {
            target: &self.target.name,
            cursor,
            attempts: pending.attempts,
            after_ms: now - pending.told.at(),
        });
        self.place.cursor = cursor;
        self.standing.set(|it| {
            it.through(cursor);
            it.delivered += 1;
            it.delivered_at = Some(now);
        });
        let delivery = self.outcome(&pending, Outcome::Delivered, "", String::new());
        self.keep(Some(delivery), pending.taken).await
    }

    async fn give_up(&mut self, pending: &Pending<'_>, reason: &'static str, detail: String) -> Result<(), Interrupt> {
        let cursor = pending.told.cursor();
        emit(NotifyGivenUp { target: &self.target.name, cursor, reason, detail: &detail });
        self.place.cursor = cursor;
        self.standing.set(|it| {
            it.through(cursor);
            it.given_up += 1;
            it.reason = reason;
            it.detail.clone_from(&detail);
        });
        let delivery = self.outcome(pending, Outcome::GivenUp, reason, detail);
        self.keep(Some(delivery), None).await
    }

    fn failed(&self, pending: &Pending<'_>, reason: &'static str, detail: &str, wait: Duration) {
        let next = self.clock.wall() + i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        let first = pending.attempts == 1;
        emit(NotifyAttemptFailed { target: &self.target.name, reason, detail, first });
        self.standing.set(|it| {
            it.state = State::Failing;
            it.next_attempt_at = Some(next);
            it.reason = reason;
            detail.clone_into(&mut it.detail);
        });
    }

    fn outcome(&self, pending: &Pending<'_>, outcome: Outcome, reason: &str, detail: String) -> Delivery {
        Delivery {
            cursor: pending.told.cursor(),
            outcome,
            reason: reason.to_owned(),
            detail,
            attempts: pending.attempts,
            happened_at: pending.told.at(),
            done_at: self.clock.wall(),
        }
    }

    fn note(&self) -> Note {
        let incidents = self.target.wants_incidents();
        Note { place: self.place, incidents, at: self.clock.wall(), delivery: None, taken: None }
    }

    /// Writes down where the target is. Nothing but the end of the service interrupts it: what is noted later must not be
    /// overtaken by it.
    async fn keep(&mut self, delivery: Option<Delivery>, taken: Option<Taken>) -> Result<(), Interrupt> {
        let note = Note { delivery, taken, ..self.note() };
        loop {
            match self.ledger.note(&self.target.name, note.clone()).await {
                Ok(()) => {
                    self.passed = 0;
                    return Ok(());
                }
                Err(error) => self.ledger_failed(&error).await?,
            }
        }
    }

    async fn ledger_failed(&mut self, error: &LedgerError) -> Result<(), Interrupt> {
        let detail = shown(&error.to_string());
        emit(NotifyLedgerFailed { target: &self.target.name, detail: &detail });
        self.standing.set(|it| {
            it.state = State::Failing;
            it.reason = "ledger";
            it.detail = detail;
        });
        tokio::select! {
            () = self.asks.stop.cancelled() => Err(Interrupt::Stop),
            () = tokio::time::sleep(LEDGER_AGAIN) => Ok(()),
        }
    }

    async fn replay(&mut self, Replay { after, done }: Replay) {
        let before = std::mem::replace(
            &mut self.place,
            Place { cursor: after, replay_to: self.source.head().seq, replayed_at: self.clock.wall() },
        );
        let noted = self.ledger.note(&self.target.name, self.note()).await;
        if noted.is_err() {
            self.place = before;
        }
        self.standing.set(|it| it.through(self.place.cursor));
        // Whoever asked may have gone meanwhile.
        let _ = done.send(noted.map_err(|error| error.to_string()));
    }

    async fn unreadable(&mut self, error: ReadError) -> Result<(), Interrupt> {
        match error {
            ReadError::Unavailable { why, .. } => self.wait_for_events(&why).await,
            ReadError::OtherEpoch { asked, now } if asked < now => self.finish_epoch(now).await,
            ReadError::OtherEpoch { .. } | ReadError::Ahead { .. } | ReadError::TooOld { .. } => {
                self.skip_to(self.source.head(), error.to_string()).await
            }
        }
    }

    async fn wait_for_events(&mut self, why: &str) -> Result<(), Interrupt> {
        let (wait, detail) = (self.backoff.next_wait(), shown(why));
        let first = !self.standing.get().is_failing();
        emit(NotifyAttemptFailed { target: &self.target.name, reason: "unavailable", detail: &detail, first });
        self.standing.set(|it| {
            it.state = State::Failing;
            it.reason = "unavailable";
            it.detail = detail;
        });
        self.asks.or(tokio::time::sleep(wait)).await
    }

    /// Tells what an earlier epoch has left, then goes on with the first event of the present one.
    async fn finish_epoch(&mut self, now: u32) -> Result<(), Interrupt> {
        let mut tries = 0;
        loop {
            let read = self.asks.or(self.source.read_past(self.place.cursor, limits::NOTIFY_BATCH)).await?;
            match read {
                Ok(events) if !events.is_empty() => self.tell_all(&events).await?,
                Ok(_) if tries < PAST_TRIES && !self.is_all_stored(now).await => {
                    tries += 1;
                    self.wait_for_events("the database hasn't taken all of an earlier epoch yet").await?;
                }
                Ok(_) | Err(ReadError::TooOld { .. }) => break,
                Err(error) if tries < PAST_TRIES => {
                    tries += 1;
                    self.wait_for_events(&error.to_string()).await?;
                }
                // What happens now must not wait for a database any longer.
                Err(error) => {
                    let begin = self.begin_of(now).await?;
                    return self.skip_to(begin, error.to_string()).await;
                }
            }
        }
        self.place = Place { cursor: self.begin_of(now).await?, ..Place::default() };
        self.standing.set(|it| it.through(self.place.cursor));
        self.keep(None, None).await
    }

    /// Rescues are read from the store, which has all of an epoch once it has something of a later one.
    async fn is_all_stored(&self, now: u32) -> bool {
        if !self.target.wants_incidents() {
            return true;
        }
        matches!(self.archive.checkpoint().await, Ok(Some(stored)) if stored.epoch >= now)
    }

    /// What the first event of an epoch follows on: numbers go on where the epoch before ended, unless journals were begun anew.
    async fn begin_of(&mut self, epoch: u32) -> Result<Cursor, Interrupt> {
        let (anew, on) = (Cursor { epoch, seq: 0 }, Cursor { epoch, ..self.place.cursor });
        if self.source.head() < on {
            return Ok(anew);
        }
        let first = self.asks.or(self.source.read(anew, 1)).await?;
        Ok(if first.is_ok_and(|events| !events.is_empty()) { anew } else { on })
    }

    /// Goes on elsewhere, and says what was left out.
    async fn skip_to(&mut self, to: Cursor, why: String) -> Result<(), Interrupt> {
        let (from, now, reason) = (self.place.cursor, self.clock.wall(), verdict::GONE);
        let detail = shown(&format!("from {from} to {to}: {why}"));
        emit(NotifyGivenUp { target: &self.target.name, cursor: from, reason, detail: &detail });
        self.place = Place { cursor: to, ..Place::default() };
        self.standing.set(|it| {
            it.through(to);
            it.given_up += 1;
        });
        let (outcome, reason) = (Outcome::GivenUp, reason.to_owned());
        let gone = Delivery { cursor: from, outcome, reason, detail, attempts: 0, happened_at: now, done_at: now };
        self.keep(Some(gone), None).await
    }
}

impl Standing {
    fn begin(&mut self, pending: &Pending<'_>) {
        // One that fails stays so until an attempt has succeeded.
        if self.state == State::Idle {
            self.state = State::Telling;
        }
        self.pending_since = Some(pending.told.at());
        self.attempts = pending.attempts;
        self.next_attempt_at = None;
    }

    fn through(&mut self, cursor: Cursor) {
        self.cursor = cursor;
        self.state = State::Telling;
        self.pending_since = None;
        self.attempts = 0;
        self.next_attempt_at = None;
    }
}

async fn attempt(client: &Client, target: &NotifyTarget, clock: &Clock, body: &Body) -> (Answer, String) {
    let file = target.secret_file.clone();
    let read = tokio::task::spawn_blocking(move || read_secrets(&file)).await;
    let secrets = match read {
        Ok(Ok(secrets)) => secrets,
        Ok(Err(error)) => return (Answer::None(Failure::Secret), format!("the secret {error}")),
        Err(error) => return (Answer::None(Failure::Secret), error.to_string()),
    };
    let timestamp = clock.wall().ms().div_euclid(1_000);
    let signatures: Vec<String> = secrets.iter().map(|secret| signature(secret, timestamp, &body.bytes)).collect();
    client.send(body, timestamp, &signatures).await
}

fn said(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref().map(String::as_str));
    shown(words.unwrap_or("no words"))
}

/// What others said, for our own logs and lists.
fn shown(text: &str) -> String {
    let kept = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    kept.take(limits::NOTIFY_DETAIL_CHARS).collect::<String>().trim().to_owned()
}

const _: () = assert!(limits::NOTIFY_RETRY_MS_MIN < limits::NOTIFY_RETRY_MS_MAX);
