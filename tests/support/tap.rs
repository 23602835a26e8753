//! What passes between the service and its broker, packet by packet: who was sent what, and what was acknowledged.

use std::collections::{HashMap, VecDeque};

/// What was learnt of all connections together.
#[derive(Debug, Default)]
pub struct Heard {
    /// Payloads of reports that the service acknowledged, by what they were counted as (`Tap::counts`), and how often.
    pub acknowledged: HashMap<u64, u32>,
    /// Reports passed on to the service, repeats and all.
    pub delivered: u64,
    /// What must not happen: an acknowledgement of what was not sent on this connection, or out of order.
    pub faults: Vec<String>,
    pub connections: u32,
    /// The newest connection on which one of the service's own markers came back to it.
    pub marker_on: u32,
}

/// Reads a report's number from topic and payload; `None` for what isn't counted.
pub type Counts = fn(topic: &str, payload: &[u8]) -> Option<u64>;

/// One connection.
pub struct Tap {
    n: u32,
    counts: Counts,
    down: Packets,
    up: Packets,
    /// Packet ids that wait for their acknowledgement, in the order of sending, with the report's number.
    waiting: VecDeque<(u16, Option<u64>)>,
    /// The service's own markers that it sent by this connection.
    markers: Vec<Vec<u8>>,
}

impl Tap {
    pub fn new(n: u32, counts: Counts) -> Self {
        Self {
            n,
            counts,
            down: Packets::default(),
            up: Packets::default(),
            waiting: VecDeque::new(),
            markers: Vec::new(),
        }
    }

    /// Bytes from the broker.
    pub fn down(&mut self, bytes: &[u8], heard: &mut Heard) {
        self.down.push(bytes);
        while let Some((kind, body)) = self.down.next() {
            if kind >> 4 != 3 || kind & 0x06 == 0 {
                continue;
            }
            let topic_end = 2 + usize::from(number(&body));
            let topic = String::from_utf8_lossy(&body[2..topic_end]).into_owned();
            let payload = &body[topic_end + 2..];
            // Those of earlier connections prove nothing of this one.
            if self.markers.iter().any(|marker| marker == payload) {
                heard.marker_on = self.n;
            }
            let n = (self.counts)(&topic, payload);
            heard.delivered += u64::from(n.is_some());
            self.waiting.push_back((number(&body[topic_end..]), n));
        }
    }

    /// Bytes from the service.
    pub fn up(&mut self, bytes: &[u8], heard: &mut Heard) {
        self.up.push(bytes);
        while let Some((kind, body)) = self.up.next() {
            if kind >> 4 == 3 {
                // The service publishes nothing but markers.
                self.markers.push(body[2 + usize::from(number(&body)) + 2..].to_vec());
            }
            if kind >> 4 != 4 {
                continue;
            }
            match self.waiting.pop_front() {
                Some((id, n)) if id == number(&body) => {
                    if let Some(n) = n {
                        *heard.acknowledged.entry(n).or_default() += 1;
                    }
                }
                due => heard.faults.push(format!(
                    "on connection {} the service acknowledged {} where {due:?} was due",
                    self.n,
                    number(&body)
                )),
            }
        }
    }
}

fn number(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0], bytes[1]])
}

/// A stream of bytes as packets: the first byte, and what follows the length.
#[derive(Default)]
struct Packets {
    bytes: Vec<u8>,
    at: usize,
}

impl Packets {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..std::mem::take(&mut self.at));
        self.bytes.extend_from_slice(bytes);
    }

    fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let rest = &self.bytes[self.at..];
        let (kind, rest) = rest.split_first()?;
        let mut len = 0;
        for (n, byte) in rest.iter().enumerate().take(4) {
            len |= usize::from(byte & 0x7f) << (7 * n);
            if byte & 0x80 == 0 {
                let body = rest.get(n + 1..n + 1 + len)?.to_vec();
                self.at += 1 + n + 1 + len;
                return Some((*kind, body));
            }
        }
        None
    }
}
