//! A broker that keeps one persistent session, and checks what it is told.

use std::collections::VecDeque;

use bytes::Bytes;

#[derive(Debug, Clone)]
pub(crate) struct Message {
    /// Names the report among all that were published; `None`: a marker.
    pub(crate) uid: Option<u64>,
    pub(crate) topic: Box<str>,
    pub(crate) payload: Bytes,
}

#[derive(Default)]
pub(crate) struct Broker {
    waiting: VecDeque<Message>,
    in_flight: VecDeque<(u16, Message)>,
    connected: bool,
    last_packet: u16,
    window: usize,
    /// Sent again on a new connection.
    pub(crate) redelivered: u64,
}

impl Broker {
    pub(crate) fn new(window: usize) -> Self {
        Self { window, ..Self::default() }
    }

    pub(crate) fn publish(&mut self, message: Message) {
        self.waiting.push_back(message);
    }

    /// A new connection to the session: what was in flight comes first, under new packet ids.
    pub(crate) fn connect(&mut self) {
        self.disconnect();
        self.connected = true;
    }

    pub(crate) fn disconnect(&mut self) {
        self.connected = false;
        while let Some((_, message)) = self.in_flight.pop_back() {
            self.redelivered += u64::from(message.uid.is_some());
            self.waiting.push_front(message);
        }
    }

    pub(crate) fn deliver(&mut self) -> Option<(u16, Message)> {
        if !self.connected || self.in_flight.len() >= self.window {
            return None;
        }
        let message = self.waiting.pop_front()?;
        self.last_packet = self.last_packet.checked_add(1).unwrap_or(1);
        self.in_flight.push_back((self.last_packet, message.clone()));
        Some((self.last_packet, message))
    }

    /// What an acknowledgement is of, if it is the one that is due.
    pub(crate) fn acknowledge(&mut self, packet: u16) -> Result<Option<u64>, String> {
        match self.in_flight.pop_front() {
            Some((first, message)) if first == packet => Ok(message.uid),
            other => Err(format!("P1: packet {packet} was acknowledged, and due was {other:?}")),
        }
    }

    /// Whether it has nothing of devices left.
    pub(crate) fn is_idle_but_for_markers(&self) -> bool {
        !self.holds(|message| message.uid.is_some())
    }

    pub(crate) fn holds(&self, is_wanted: impl Fn(&Message) -> bool) -> bool {
        self.waiting.iter().chain(self.in_flight.iter().map(|(_, message)| message)).any(is_wanted)
    }

    pub(crate) fn has_waiting(&self) -> bool {
        self.connected && !self.waiting.is_empty() && self.in_flight.len() < self.window
    }
}
