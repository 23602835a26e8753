//! The way from a call that reloads the rules to whoever does it, and back.

use tokio::sync::{mpsc, oneshot, watch};

use crate::core::rules::{Difference, RuleFault};
use crate::limits;
use crate::model::actor::Actor;
use crate::model::record::PolicyText;

/// What a reload came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// Of the policy now in force.
    pub version: u32,
    /// Of its record; `None`: it was in force already.
    pub position: Option<u64>,
    pub difference: Difference,
}

/// The policy that judges now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InForce {
    /// Counts the policies, from 1.
    pub version: u32,
    pub text: PolicyText,
}

/// Why the rules in force stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The folder or a file can't be read.
    Unreadable(String),
    Faults(Vec<RuleFault>),
    /// Nobody asked for them, and they would end what people rely on.
    Unasked(String),
    /// The core has more to do than it can take.
    Busy,
    /// The core ended, or had no use for them.
    NotTaken(String),
}

pub type Answer = Result<Reloaded, Refused>;

#[derive(Debug)]
pub struct Ask {
    pub actor: Actor,
    pub request: Box<str>,
    pub reply: oneshot::Sender<Answer>,
}

/// Bounded: who finds it full is told to come again.
#[derive(Debug, Clone)]
pub struct Reloads {
    asks: mpsc::Sender<Ask>,
    /// Why the files as they are were refused; `None`: they weren't.
    refused: watch::Receiver<Option<String>>,
    in_force: watch::Receiver<InForce>,
}

impl Reloads {
    pub fn new(
        refused: watch::Receiver<Option<String>>,
        in_force: watch::Receiver<InForce>,
    ) -> (Self, mpsc::Receiver<Ask>) {
        let (asks, asked) = mpsc::channel(limits::RELOADS_WAITING);
        (Self { asks, refused, in_force }, asked)
    }

    pub(super) fn ask(&self, ask: Ask) -> Result<(), mpsc::error::TrySendError<Ask>> {
        self.asks.try_send(ask)
    }

    pub(super) fn refused(&self) -> Option<String> {
        self.refused.borrow().clone()
    }

    pub(super) fn in_force(&self) -> InForce {
        self.in_force.borrow().clone()
    }
}
