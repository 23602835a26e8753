//! When we could hear the devices: proven by the markers that we send to ourselves, and only up to the last of them.

#[derive(Debug, Clone, Default)]
pub(crate) struct Hearing {
    /// Spans in which everything that was sent is known to have come in, ascending.
    proven: Vec<(i64, i64)>,
    /// Connected and drained: markers come back.
    pub(crate) is_drained: bool,
}

impl Hearing {
    /// The first marker of a connection: heard from here on.
    pub(crate) fn drained(&mut self, at_ms: i64) {
        self.is_drained = true;
        self.proven.push((at_ms, at_ms));
    }

    /// A later marker of the connection.
    pub(crate) fn marker(&mut self, at_ms: i64) {
        self.proven.last_mut().unwrap().1 = at_ms;
    }

    pub(crate) fn lost(&mut self) {
        self.is_drained = false;
    }

    /// We can't hear the devices: the link is down, or what the broker kept isn't all in.
    pub(crate) fn is_blind(&self) -> bool {
        !self.is_drained
    }

    /// All the time in which we are known to have heard.
    pub(crate) fn heard_ms(&self) -> i64 {
        self.proven.iter().map(|(from_ms, to_ms)| to_ms - from_ms).sum()
    }

    /// The same, for something that comes now: on a connection that is drained, the next marker is taken to come back.
    pub(crate) fn heard_by(&self, now_ms: i64) -> i64 {
        let since_marker_ms = self.proven.last().filter(|_| self.is_drained).map_or(0, |(_, to_ms)| now_ms - to_ms);
        self.heard_ms() + since_marker_ms
    }
}
