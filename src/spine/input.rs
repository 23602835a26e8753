//! What the rest of the service hands to the spine, and how it hears that it is safe.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};

use bytes::Bytes;
use tokio::sync::{oneshot, watch};

use crate::model::record::{Command, Health, Link, Outcome, PolicyText};

/// Names one message of one connection to the broker. Within a connection `n` counts from 1 in the order of receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Token {
    /// Which connection, from 1; raised at every reconnect.
    pub connection: u32,
    pub n: u64,
}

#[derive(Debug)]
pub enum Input {
    Report {
        token: Token,
        topic: Box<str>,
        payload: Bytes,
    },
    Link(Link),
    Command {
        command: Command,
        reply: oneshot::Sender<Outcome>,
    },
    Policy {
        policy: PolicyText,
        reply: oneshot::Sender<Outcome>,
    },
    Health(Health),
    /// Sync everything, write a snapshot and return.
    Stop,
}

/// Why reports and commands are not taken while the queue is shut, and the ways on.
pub const SHUT: &str = "reports and commands are not taken yet: the store has not answered since these journals were made, \
     copied or restored, so nobody knows whether they belong together. Bring the database back (store.url); to go on \
     without it, stop the service and run `vigil recover --without-store`";

/// The queue in front of the inbox. Bounded by `limits::INPUT_QUEUE`; sending never waits.
///
/// It can be shut to reports and commands: nobody may be told that they are safe in journals that may turn out to be the
/// wrong ones. All that keeps the core going still passes.
#[derive(Debug, Clone)]
pub struct Inputs {
    queue: SyncSender<Input>,
    shut: Arc<watch::Sender<bool>>,
}

/// The input comes back to the sender, who decides what to do with it.
#[derive(Debug)]
pub enum NotTaken {
    Full(Input),
    /// The queue is shut; see [`Inputs::opened`].
    Shut(Input),
    /// The spine has ended.
    Ended(Input),
}

impl Inputs {
    /// Open.
    pub fn new(queue: SyncSender<Input>) -> Self {
        Self { queue, shut: Arc::new(watch::Sender::new(false)) }
    }

    #[expect(clippy::result_large_err, reason = "the input goes back to whoever offered it")]
    pub fn offer(&self, input: Input) -> Result<(), NotTaken> {
        if matches!(input, Input::Report { .. } | Input::Command { .. }) && self.is_shut() {
            return Err(NotTaken::Shut(input));
        }
        self.queue.try_send(input).map_err(|error| match error {
            TrySendError::Full(input) => NotTaken::Full(input),
            TrySendError::Disconnected(input) => NotTaken::Ended(input),
        })
    }

    pub fn shut(&self) {
        self.shut.send_replace(true);
    }

    pub fn open(&self) {
        self.shut.send_replace(false);
    }

    pub fn is_shut(&self) -> bool {
        *self.shut.borrow()
    }

    /// Returns once it is open.
    pub async fn opened(&self) {
        // The sender lives in `self`, so waiting can't fail before `self` ends.
        let _ = self.shut.subscribe().wait_for(|shut| !shut).await;
    }
}

/// What the spine tells whoever reads from the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Durable {
    /// Every message of `token.connection` up to `token.n` is fsynced in the inbox and may be acknowledged.
    pub token: Token,
    /// The journals are nearly full: reports are not taken, and what was sent since `token` will not be.
    /// Disconnect, and connect again once this is false.
    pub withheld: bool,
    /// The last connection of which a report was not taken; 0: none. Nothing more of it is taken, since to acknowledge
    /// a later message would be to acknowledge that one: disconnect.
    pub refused: u32,
}

pub type DurableWatch = watch::Receiver<Durable>;
