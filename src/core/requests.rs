//! Answers to commands, kept so that the same request again gets the same answer.

use std::fmt::Write as _;
use std::hash::{Hash as _, Hasher};
use std::sync::Arc;

use rpds::RedBlackTreeMapSync;

use crate::limits;
use crate::model::record::{Action, Command, Outcome};
use crate::model::time::Elapsed;

/// Copies share all that they have in common: a snapshot costs nothing, and what is changed afterwards little.
#[derive(Debug, Clone, PartialEq)]
pub struct Requests {
    /// By (actor, request).
    answers: RedBlackTreeMapSync<Key, Answer>,
    /// In the order of their coming.
    queue: RedBlackTreeMapSync<u64, (Elapsed, Key)>,
    /// The place in the queue of the next one.
    next: u64,
}

type Key = (Arc<str>, Arc<str>);

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

impl Default for Requests {
    fn default() -> Self {
        Self { answers: RedBlackTreeMapSync::new_sync(), queue: RedBlackTreeMapSync::new_sync(), next: 0 }
    }
}

impl Requests {
    /// The answer that this request already got.
    pub fn find(&self, command: &Command) -> Option<Outcome> {
        let answer = self.answers.get(&(Arc::from(&*command.actor.id), Arc::from(&*command.request)))?;
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
        let key: Key = (actor.into(), request.into());
        self.queue.insert_mut(self.next, (at, key.clone()));
        self.next += 1;
        self.answers.insert_mut(key, Answer { action, outcome });
    }

    /// Lets go of more than one comes with each, so that old ones get fewer, but never of all that an import left.
    fn forget(&mut self, now: Elapsed) {
        for _ in 0..limits::FORGOTTEN_PER_COMMAND {
            let Some((place, (at, key))) = self.queue.first() else { return };
            if self.queue.size() <= limits::REQUESTS && now - *at <= limits::REQUEST_MS {
                return;
            }
            let (place, key) = (*place, key.clone());
            self.queue.remove_mut(&place);
            self.answers.remove_mut(&key);
        }
    }

    /// In the order of their coming.
    pub fn iter(&self) -> impl Iterator<Item = Remembered> {
        self.queue.values().filter_map(|(at, key)| {
            let answer = self.answers.get(key)?;
            let (actor, request) = (Box::from(&*key.0), Box::from(&*key.1));
            Some(Remembered { at: *at, actor, request, action: answer.action, outcome: answer.outcome.clone() })
        })
    }
}

/// Of what is asked: not secret, only to tell a retry from another action under the same id.
fn fingerprint(command: &Command) -> u64 {
    let mut hash = Fingerprint(0xcbf2_9ce4_8422_2325);
    match &command.action {
        // The largest of all: writing it out as text takes a third of the time that taking it does.
        Action::Upsert(entries) => entries.hash(&mut hash),
        action => write!(hash, "{action:?}").expect("a hash takes everything"),
    }
    hash.finish()
}

/// FNV-1a, eight bytes at a time: the same in every run, since it stands in snapshots.
struct Fingerprint(u64);

impl Hasher for Fingerprint {
    fn finish(&self) -> u64 {
        // What was multiplied last has moved no bit downwards.
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for word in bytes.chunks(8) {
            let mut eight = [0; 8];
            eight[..word.len()].copy_from_slice(word);
            let mixed = (self.0 ^ u64::from_le_bytes(eight)).wrapping_mul(0x0000_0100_0000_01b3);
            self.0 = mixed ^ (mixed >> 29);
        }
    }
}

impl std::fmt::Write for Fingerprint {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.write(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::actor::Actor;
    use crate::model::arbitrary;
    use crate::model::archive::Entry;

    fn print(entries: &[Entry]) -> u64 {
        let action = Action::Upsert(entries.to_vec());
        fingerprint(&Command { request: "r".into(), actor: Actor::local_admin(), action })
    }

    proptest! {
        #[test]
        fn other_entries_have_another_fingerprint(
            one in prop::collection::vec(arbitrary::entry(), 0..3),
            other in prop::collection::vec(arbitrary::entry(), 0..3),
        ) {
            prop_assert_eq!(print(&one) == print(&other), one == other);
            prop_assert_eq!(print(&one), print(&one.clone()));
        }
    }

    #[test]
    fn what_differs_little_has_another_fingerprint() {
        let firm = |name: &str| Entry::Firm(crate::model::archive::Firm::new("f".parse().unwrap(), name));
        let all: Vec<u64> = ["", "a", "b", "ab", "ba", "aaaaaaaa", "aaaaaaab", "baaaaaaa", "aaaaaaaaa"]
            .iter()
            .map(|name| print(&[firm(name)]))
            .collect();
        let different: std::collections::BTreeSet<&u64> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }
}
