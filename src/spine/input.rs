//! What the rest of the service hands to the spine, and how it hears that it is safe.

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

/// The queue in front of the inbox. Bounded by `limits::INPUT_QUEUE`; sending never waits.
#[derive(Debug, Clone)]
pub struct Inputs(SyncSender<Input>);

/// The input comes back to the sender, who decides what to do with it.
#[derive(Debug)]
pub enum NotTaken {
    Full(Input),
    /// The spine has ended.
    Ended(Input),
}

impl Inputs {
    pub fn new(sender: SyncSender<Input>) -> Self {
        Self(sender)
    }

    #[expect(clippy::result_large_err, reason = "the input goes back to whoever offered it")]
    pub fn offer(&self, input: Input) -> Result<(), NotTaken> {
        self.0.try_send(input).map_err(|error| match error {
            TrySendError::Full(input) => NotTaken::Full(input),
            TrySendError::Disconnected(input) => NotTaken::Ended(input),
        })
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
