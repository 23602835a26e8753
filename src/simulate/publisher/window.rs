//! What one connection has to send, by how far it is.

use std::collections::VecDeque;

use crate::simulate::Message;

/// Packet ids are given in order, 1 to 65,535 and round again, so those of the messages that wait for their
/// acknowledgement lie one after the other.
#[derive(Debug)]
pub(super) struct Window {
    most: usize,
    waiting: VecDeque<Message>,
    /// `None`: acknowledged before one that was sent earlier.
    in_flight: VecDeque<Option<Message>>,
    /// Of the first in flight.
    first_id: u16,
}

impl Window {
    pub(super) fn new(most: u16) -> Self {
        Self { most: usize::from(most), waiting: VecDeque::new(), in_flight: VecDeque::new(), first_id: 1 }
    }

    pub(super) fn add(&mut self, messages: Vec<Message>) {
        self.waiting.extend(messages);
    }

    /// More is wanted before the window has nothing left to send.
    pub(super) fn wants_more(&self) -> bool {
        self.waiting.len() < self.most
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.in_flight.is_empty()
    }

    /// The message that has waited longest for its acknowledgement, or to be sent.
    pub(super) fn oldest(&self) -> Option<&Message> {
        // The first in flight is never one that is acknowledged.
        self.in_flight.front().and_then(Option::as_ref).or(self.waiting.front())
    }

    /// The next to send, with its packet id, if the window has room.
    pub(super) fn next(&mut self) -> Option<(u16, &Message)> {
        if self.in_flight.len() >= self.most {
            return None;
        }
        let message = self.waiting.pop_front()?;
        let id = nth_after(self.first_id, self.in_flight.len());
        self.in_flight.push_back(Some(message));
        Some((id, self.in_flight.back()?.as_ref()?))
    }

    /// Whether that is news.
    pub(super) fn acknowledged(&mut self, id: u16) -> bool {
        let place = places_between(self.first_id, id);
        let news = self.in_flight.get_mut(place).is_some_and(|slot| slot.take().is_some());
        while let Some(None) = self.in_flight.front() {
            self.in_flight.pop_front();
            self.first_id = nth_after(self.first_id, 1);
        }
        news
    }

    /// Puts all that is not acknowledged back in front, in its order.
    pub(super) fn connection_lost(&mut self) {
        let again = self.in_flight.drain(..).flatten();
        let again: VecDeque<_> = again.chain(self.waiting.drain(..)).collect();
        self.waiting = again;
        self.first_id = 1;
    }
}

const IDS: usize = u16::MAX as usize;

fn nth_after(id: u16, n: usize) -> u16 {
    ((usize::from(id) - 1 + n) % IDS + 1) as u16
}

/// An id of 0, which no broker should send, is far away.
fn places_between(first: u16, id: u16) -> usize {
    if id == 0 { usize::MAX } else { (usize::from(id) + IDS - usize::from(first)) % IDS }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Wall;

    fn message(n: i64) -> Message {
        Message { at: Wall(n), topic: "t".into(), payload: bytes::Bytes::new(), qos: 1, retain: false, lane: 0 }
    }

    fn sent(window: &mut Window) -> Vec<(u16, i64)> {
        std::iter::from_fn(|| window.next().map(|(id, message)| (id, message.at.ms()))).collect()
    }

    #[test]
    fn ids_go_round_and_acknowledgements_may_come_in_any_order() {
        let mut window = Window::new(3);
        window.add((0..70_000).map(message).collect());
        assert_eq!(sent(&mut window), [(1, 0), (2, 1), (3, 2)]);
        assert!(!window.acknowledged(4) && !window.acknowledged(0) && !window.acknowledged(65_535), "never sent");
        assert!(window.acknowledged(2) && !window.acknowledged(2));
        assert_eq!(sent(&mut window), [], "the window begins with the first that is not acknowledged");
        assert!(window.acknowledged(1));
        assert_eq!(sent(&mut window), [(4, 3), (5, 4)]);
        for n in 2_i64..69_997 {
            assert!(window.acknowledged((n % 65_535 + 1) as u16), "{n}");
            let (id, at) = sent(&mut window)[0];
            assert_eq!((i64::from(id), at), ((n + 3) % 65_535 + 1, n + 3));
        }
        assert_eq!(window.oldest().map(|message| message.at.ms()), Some(69_997));
        assert!(!window.is_empty());
    }

    #[test]
    fn what_is_left_is_sent_again_in_order() {
        let mut window = Window::new(4);
        window.add((0..6).map(message).collect());
        sent(&mut window);
        window.acknowledged(3);
        window.connection_lost();
        assert_eq!(sent(&mut window), [(1, 0), (2, 1), (3, 3), (4, 4)]);
    }
}
