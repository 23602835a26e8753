//! Answers to commands, kept so that the same request again gets the same answer.

use std::collections::{BTreeMap, VecDeque};

use crate::limits;
use crate::model::record::{Command, Outcome};
use crate::model::time::Elapsed;

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Requests {
    /// By (actor, request).
    answers: BTreeMap<(Box<str>, Box<str>), Answer>,
    /// In the order of their coming.
    queue: VecDeque<(Elapsed, Box<str>, Box<str>)>,
}

#[derive(Debug, Clone, PartialEq)]
struct Answer {
    action: u64,
    outcome: Outcome,
}

/// One remembered answer, as a snapshot holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Remembered {
    pub at: Elapsed,
    pub actor: Box<str>,
    pub request: Box<str>,
    pub action: u64,
    pub outcome: Outcome,
}

impl Requests {
    /// The answer that this request already got.
    pub fn find(&self, command: &Command) -> Option<Outcome> {
        let answer = self.answers.get(&(command.actor.id.clone(), command.request.clone()))?;
        let same = answer.action == fingerprint(command);
        Some(if same { answer.outcome.clone() } else { Outcome::RequestReused })
    }

    pub fn remember(&mut self, command: &Command, outcome: &Outcome, now: Elapsed) {
        self.put(Remembered {
            at: now,
            actor: command.actor.id.clone(),
            request: command.request.clone(),
            action: fingerprint(command),
            outcome: outcome.clone(),
        });
        self.forget(now);
    }

    pub fn put(&mut self, answer: Remembered) {
        let Remembered { at, actor, request, action, outcome } = answer;
        self.queue.push_back((at, actor.clone(), request.clone()));
        self.answers.insert((actor, request), Answer { action, outcome });
    }

    fn forget(&mut self, now: Elapsed) {
        let too_old = |at: &Elapsed| now - *at > limits::REQUEST_MS;
        while self.queue.len() > limits::REQUESTS || self.queue.front().is_some_and(|(at, ..)| too_old(at)) {
            let Some((_, actor, request)) = self.queue.pop_front() else { return };
            self.answers.remove(&(actor, request));
        }
    }

    /// In the order of their coming.
    pub fn iter(&self) -> impl Iterator<Item = Remembered> {
        self.queue.iter().filter_map(|(at, actor, request)| {
            let answer = self.answers.get(&(actor.clone(), request.clone()))?;
            let (actor, request) = (actor.clone(), request.clone());
            Some(Remembered { at: *at, actor, request, action: answer.action, outcome: answer.outcome.clone() })
        })
    }
}

/// FNV-1a of what is asked: not secret, only to tell a retry from another action under the same id.
fn fingerprint(command: &Command) -> u64 {
    let text = format!("{:?}", command.action);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
