//! Markers: messages that we send to ourselves, to prove that the way through the broker is open (`docs/devices.md`).

use std::str;

use crate::model::time::Elapsed;

/// Writes and recognises the markers of one connection.
#[derive(Debug)]
pub struct Markers {
    /// Drawn when the process starts, so that the markers of an earlier one, which may still lie in the session, are not
    /// taken for ours.
    nonce: u64,
    connection: u32,
    sent: Option<Elapsed>,
    heard: Option<Elapsed>,
}

impl Markers {
    pub fn new(nonce: u64, connection: u32) -> Self {
        Self { nonce, connection, sent: None, heard: None }
    }

    /// Whether none has been sent yet.
    pub(super) fn is_first(&self) -> bool {
        self.sent.is_none()
    }

    /// The payload of a marker that is sent now.
    pub fn send(&mut self, now: Elapsed) -> String {
        self.sent = Some(now);
        format!("{:016x} {} {}", self.nonce, self.connection, now.ms())
    }

    /// When the marker was sent, if it is one of this connection and newer than those heard before.
    pub fn hear(&mut self, payload: &[u8]) -> Option<Elapsed> {
        let mut parts = str::from_utf8(payload).ok()?.split(' ');
        let (nonce, connection, sent) = (parts.next()?, parts.next()?, parts.next()?);
        let ours = parts.next().is_none()
            && u64::from_str_radix(nonce, 16) == Ok(self.nonce)
            && connection.parse() == Ok(self.connection);
        let sent = sent.parse().ok().map(Elapsed).filter(|sent| ours && Some(*sent) <= self.sent)?;
        if self.heard.is_some_and(|heard| sent <= heard) {
            return None;
        }
        self.heard = Some(sent);
        Some(sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_this_connection_sent_is_heard_and_only_once() {
        let mut markers = Markers::new(0xfeed, 3);
        let first = markers.send(Elapsed(1_000));
        let second = markers.send(Elapsed(2_000));
        assert_eq!(markers.hear(first.as_bytes()), Some(Elapsed(1_000)));
        assert_eq!(markers.hear(first.as_bytes()), None, "heard before");
        assert_eq!(markers.hear(second.as_bytes()), Some(Elapsed(2_000)));
        let foreign = [
            Markers::new(0xbeef, 3).send(Elapsed(2_001)),
            Markers::new(0xfeed, 2).send(Elapsed(2_001)),
            "000000000000feed 3 99999".to_owned(), // Ours in form, but never sent.
            "000000000000feed 3".to_owned(),
            "000000000000feed 3 2001 x".to_owned(),
            String::new(),
            "\0".to_owned(),
        ];
        markers.send(Elapsed(3_000));
        for payload in foreign {
            assert_eq!(markers.hear(payload.as_bytes()), None, "{payload:?}");
        }
        assert_eq!(markers.hear(b"\xff\xff"), None);
    }

    #[test]
    fn nothing_is_heard_before_anything_was_sent() {
        let payload = Markers::new(1, 1).send(Elapsed(5));
        assert_eq!(Markers::new(1, 1).hear(payload.as_bytes()), None);
    }
}
