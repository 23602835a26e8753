//! How a target stands, for those who ask.

use std::sync::{Mutex, PoisonError};

use crate::model::alert::Cursor;
use crate::model::time::Wall;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// It isn't known yet where it goes on.
    #[default]
    Starting,
    /// It has been told all there is.
    Idle,
    /// It is being told.
    Telling,
    /// The last attempt failed; another one follows.
    Failing,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Idle => "idle",
            Self::Telling => "telling",
            Self::Failing => "failing",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    pub state: State,
    /// The last event that it is through with.
    pub cursor: Cursor,
    /// The last event there is.
    pub head: Cursor,
    /// Events from the one to the other, whether it wants them or not.
    pub behind: u64,
    /// Of what is being told: when it happened, and attempts so far.
    pub pending_since: Option<Wall>,
    pub attempts: u32,
    pub next_attempt_at: Option<Wall>,
    /// Of the last attempt that failed: why, and what was said.
    pub reason: &'static str,
    pub detail: String,
    pub delivered_at: Option<Wall>,
    /// Since the service started.
    pub delivered: u64,
    pub given_up: u64,
    /// Times that a fault of ours ended what tells it.
    pub panics: u64,
}

impl Standing {
    pub fn is_failing(&self) -> bool {
        self.state == State::Failing
    }
}

#[derive(Debug, Default)]
pub(super) struct Shared(Mutex<Standing>);

impl Shared {
    pub(super) fn get(&self) -> Standing {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, change: impl FnOnce(&mut Standing)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
