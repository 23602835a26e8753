//! Which messages of one connection still wait for being safe, in the order in which they came.

use std::collections::VecDeque;

use crate::spine::input::Token;

/// What an entry weighs beside its topic and payload: the queues' own share, so that empty messages count too.
const ENTRY_BYTES: usize = 64;

/// What the broker is told once a message is safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// Of a QoS 1 message, with its packet id.
    PubAck(u16),
    /// Of a QoS 2 message. We subscribe with QoS 1, but a session may still hold what an older subscription left.
    PubRec(u16),
}

#[derive(Debug)]
struct Waiting {
    /// Durable up to here, and this one may be answered.
    reach: u64,
    bytes: usize,
    /// `None` for QoS 0, which only weighs.
    reply: Option<Reply>,
}

/// One for each connection, dropped with it: the broker sends again what was not acknowledged on it.
#[derive(Debug)]
pub struct Ledger {
    connection: u32,
    reports: u64,
    waiting: VecDeque<Waiting>,
    bytes: usize,
}

impl Ledger {
    pub fn new(connection: u32) -> Self {
        Self { connection, reports: 0, waiting: VecDeque::new(), bytes: 0 }
    }

    /// The name of the report that is taken next.
    pub fn next_token(&self) -> Token {
        Token { connection: self.connection, n: self.reports + 1 }
    }

    /// Whether a message of `bytes` more stays within `bound_bytes`. A single message always does.
    pub fn has_room(&self, bytes: usize, bound_bytes: usize) -> bool {
        self.waiting.is_empty() || self.bytes.saturating_add(bytes).saturating_add(ENTRY_BYTES) <= bound_bytes
    }

    /// The spine has been given the report named `next_token`.
    pub fn take_report(&mut self, bytes: usize, reply: Option<Reply>) {
        self.reports += 1;
        self.push(bytes, reply);
    }

    /// A message that the spine doesn't see by its token. It keeps its place: it is answered after all before it.
    pub fn take_other(&mut self, bytes: usize, reply: Option<Reply>) {
        self.push(bytes, reply);
    }

    fn push(&mut self, bytes: usize, reply: Option<Reply>) {
        let bytes = bytes + ENTRY_BYTES;
        self.bytes += bytes;
        self.waiting.push_back(Waiting { reach: self.reports, bytes, reply });
    }

    pub fn has_due(&self, durable: Token) -> bool {
        self.waiting.front().is_some_and(|first| first.reach <= self.reached(durable))
    }

    /// Takes out the next reply that may be sent now that all up to `durable` is safe.
    pub fn next_due(&mut self, durable: Token) -> Option<Reply> {
        while self.has_due(durable) {
            let first = self.waiting.pop_front()?;
            self.bytes -= first.bytes;
            if first.reply.is_some() {
                return first.reply;
            }
        }
        None
    }

    /// How far this connection's reports are safe. What is said of another connection says nothing of this one.
    fn reached(&self, durable: Token) -> u64 {
        if durable.connection == self.connection { durable.n } else { 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Report { bytes: usize, qos: u8 },
        Marker,
        Durable { connection: u32, n: u64 },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..5_000_usize, 0..3_u8).prop_map(|(bytes, qos)| Step::Report { bytes, qos }),
            1 => Just(Step::Marker),
            3 => (1..4_u32, 0..60_u64).prop_map(|(connection, n)| Step::Durable { connection, n }),
        ]
    }

    fn reply(qos: u8, pkid: u16) -> Option<Reply> {
        match qos {
            0 => None,
            1 => Some(Reply::PubAck(pkid)),
            _ => Some(Reply::PubRec(pkid)),
        }
    }

    fn drain(ledger: &mut Ledger, durable: Token) -> Vec<Reply> {
        std::iter::from_fn(|| ledger.next_due(durable)).collect()
    }

    proptest! {
        /// Against a model that keeps everything: what is answered is always the longest prefix that may be.
        #[test]
        fn replies_are_in_order_of_receipt_of_this_connection_only_and_none_is_lost(
            steps in prop::collection::vec(step(), 1..120)
        ) {
            const OURS: u32 = 2;
            let mut ledger = Ledger::new(OURS);
            // (the report that must be durable first, the reply)
            let mut came: Vec<(u64, Option<Reply>)> = Vec::new();
            let (mut reports, mut durable_n, mut pkid) = (0, 0, 0);
            let mut answered = Vec::new();
            for step in steps {
                pkid += 1;
                match step {
                    Step::Report { bytes, qos } => {
                        reports += 1;
                        prop_assert_eq!(ledger.next_token(), Token { connection: OURS, n: reports });
                        ledger.take_report(bytes, reply(qos, pkid));
                        came.push((reports, reply(qos, pkid)));
                    }
                    Step::Marker => {
                        ledger.take_other(40, reply(1, pkid));
                        came.push((reports, reply(1, pkid)));
                    }
                    Step::Durable { connection, n } => {
                        // The spine can only have made durable what it was given, and never takes it back.
                        let n = if connection == OURS { n.min(reports).max(durable_n) } else { n };
                        if connection == OURS {
                            durable_n = n;
                        }
                        answered.extend(drain(&mut ledger, Token { connection, n }));
                    }
                }
                let allowed: Vec<Reply> =
                    came.iter().take_while(|(reach, _)| *reach <= durable_n).filter_map(|(_, reply)| *reply).collect();
                prop_assert!(allowed.starts_with(&answered), "{:?} was answered, allowed was {:?}", answered, allowed);
            }
            answered.extend(drain(&mut ledger, Token { connection: OURS, n: reports }));
            let all: Vec<Reply> = came.iter().filter_map(|(_, reply)| *reply).collect();
            prop_assert_eq!(answered, all);
            prop_assert!(ledger.is_empty());
            prop_assert_eq!(ledger.bytes, 0);
        }
    }

    #[test]
    fn a_marker_before_any_report_is_due_at_once_and_after_one_waits_for_it() {
        let mut ledger = Ledger::new(1);
        ledger.take_other(10, Some(Reply::PubAck(1)));
        ledger.take_report(10, None);
        ledger.take_other(10, Some(Reply::PubAck(2)));
        assert_eq!(drain(&mut ledger, Token::default()), [Reply::PubAck(1)]);
        assert_eq!(drain(&mut ledger, Token { connection: 1, n: 1 }), [Reply::PubAck(2)]);
    }

    #[test]
    fn the_bound_holds_for_all_but_a_single_message() {
        let mut ledger = Ledger::new(1);
        assert!(ledger.has_room(1_000_000, 500));
        ledger.take_report(300, None);
        assert!(ledger.has_room(500 - 300 - 2 * ENTRY_BYTES, 500));
        assert!(!ledger.has_room(500 - 300 - 2 * ENTRY_BYTES + 1, 500));
        assert_eq!(ledger.next_due(Token { connection: 1, n: 1 }), None);
        assert!(ledger.has_room(1_000_000, 500));
    }
}
