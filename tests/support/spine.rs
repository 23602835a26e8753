//! The subscriber under test, and a spine that does what the test says.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use vigil::clock::Clock;
use vigil::ingest::{self, IngestError, MqttOptions};
use vigil::model::record::Link;
use vigil::model::time::Elapsed;
use vigil::spine::input::{Durable, Input, Inputs, Token};

use super::wait::is_soon;

/// Far above what anything takes, so that only what never comes runs into it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Markers keep coming, so that waiting for the next input never runs out; waiting for a certain one must.
pub struct Patience(Instant);

impl Patience {
    pub fn new() -> Self {
        Self(Instant::now())
    }

    pub fn check(&self) {
        assert!(self.0.elapsed() < PATIENCE, "it never came");
    }
}

/// A report as the spine got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub token: Token,
    pub topic: String,
    pub payload: Vec<u8>,
}

pub struct Spine {
    inputs: Option<Receiver<Input>>,
    durable: watch::Sender<Durable>,
    shutdown: CancellationToken,
    clock: Clock,
    runtime: Runtime,
    task: Option<JoinHandle<Result<(), IngestError>>>,
}

/// Settings that make a test quick.
pub fn options(addr: SocketAddr) -> MqttOptions {
    MqttOptions {
        backoff_min: Duration::from_millis(20),
        backoff_max: Duration::from_millis(100),
        marker_every: Duration::from_millis(20),
        ..MqttOptions::new(&addr.ip().to_string(), addr.port(), "vigil/v1", "test")
    }
}

impl Spine {
    /// Starts a subscriber, and a spine in front of which `queue` inputs may wait.
    pub fn start(options: MqttOptions, queue: usize) -> Self {
        let (sender, inputs) = sync_channel(queue);
        let (durable, watch) = watch::channel(Durable::default());
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let (shutdown, clock) = (CancellationToken::new(), Clock::default());
        let run = ingest::run(options, Inputs::new(sender), watch, clock.clone(), shutdown.clone());
        let task = Some(runtime.spawn(run));
        Self { inputs: Some(inputs), durable, shutdown, clock, runtime, task }
    }

    /// The next input, if one comes in time.
    pub fn next_within(&self, time: Duration) -> Option<Input> {
        match self.inputs.as_ref().expect("the spine has not ended").recv_timeout(time) {
            Ok(input) => Some(input),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the subscriber has ended"),
        }
    }

    pub fn next(&self) -> Input {
        self.next_within(PATIENCE).expect("nothing came")
    }

    /// The next change of the link, past markers and reports.
    pub fn next_change(&self) -> Link {
        let patience = Patience::new();
        loop {
            if let Input::Link(link @ (Link::Up | Link::Down)) = self.next() {
                return link;
            }
            patience.check();
        }
    }

    /// The next link input of any kind; a report is a failure.
    pub fn next_link(&self) -> Link {
        match self.next() {
            Input::Link(link) => link,
            other => panic!("{other:?} came where something of the link was due"),
        }
    }

    /// The next reports, past all else.
    pub fn reports(&self, count: usize) -> Vec<Seen> {
        let patience = Patience::new();
        let mut seen = Vec::new();
        while seen.len() < count {
            seen.extend(report(self.next()));
            patience.check();
        }
        seen
    }

    /// The reports that come before a marker that was sent after now comes back.
    pub fn reports_until_heard(&self) -> Vec<Seen> {
        let now = self.clock.elapsed();
        let mut seen = Vec::new();
        loop {
            match self.next() {
                Input::Link(Link::Heard { sent }) if sent > now => return seen,
                input => seen.extend(report(input)),
            }
        }
    }

    pub fn say_durable(&self, token: Token) {
        self.durable.send_modify(|durable| durable.token = token);
    }

    pub fn withhold(&self, withheld: bool) {
        self.durable.send_modify(|durable| durable.withheld = withheld);
    }

    /// Says that all up to `token` is durable, and returns once the broker has the acknowledgements: a marker sent after
    /// them came back. (The second one: the first may have been on its way out as we said it.)
    pub fn say_durable_and_wait(&self, token: Token) {
        self.say_durable(token);
        self.reports_until_heard();
        self.reports_until_heard();
    }

    /// As `kill -9` does to its connection.
    pub fn kill(mut self) {
        let task = self.task.take().expect("it runs");
        task.abort();
        assert!(self.runtime.block_on(task).expect_err("it was aborted").is_cancelled());
    }

    pub fn begin_shutdown(&self) {
        self.shutdown.cancel();
    }

    /// The spine ends and takes nothing more.
    pub fn end_spine(&mut self) {
        self.inputs = None;
    }

    pub fn result(mut self) -> Result<(), IngestError> {
        let task = self.task.take().expect("it runs");
        let deadline = async { tokio::time::timeout(PATIENCE, task).await };
        self.runtime.block_on(deadline).expect("the subscriber does not end").expect("it panicked")
    }

    pub fn elapsed(&self) -> Elapsed {
        self.clock.elapsed()
    }
}

pub fn report(input: Input) -> Option<Seen> {
    match input {
        Input::Report { token, topic, payload } => Some(Seen { token, topic: topic.into(), payload: payload.to_vec() }),
        Input::Link(_) => None,
        other => panic!("the subscriber sent {other:?}"),
    }
}

pub fn payloads(seen: &[Seen]) -> Vec<String> {
    seen.iter().map(|seen| String::from_utf8_lossy(&seen.payload).into_owned()).collect()
}

/// Waits for what will be true soon.
pub fn wait_until(what: &str, is_true: impl FnMut() -> bool) {
    assert!(is_soon(PATIENCE, is_true), "waited in vain until {what}");
}
