//! The frames of one lift in the order in which they were received.

use std::collections::BTreeMap;

use crate::core::telemetry::offset::AHEAD_MAX_MS;
use crate::limits;
use crate::model::frame::FrameKey;
use crate::model::row::FrameRow;
use crate::model::time::Wall;

/// History gives frames by the time at which they were sent, which may be long before they were received, but not more
/// than five minutes after it. So a frame is next once history has been read so far beyond it, and only what came late
/// has to wait here.
#[derive(Debug, Default)]
pub struct Arrivals {
    waiting: BTreeMap<(Wall, u32, FrameKey, u64), FrameRow>,
    /// All frames of history up to here are in.
    read_to: Option<Wall>,
    /// Tells frames apart that have all else in common.
    count: u64,
    /// Frames that could not wait for their turn.
    pub hurried: u64,
}

impl Arrivals {
    /// In the order of history.
    pub fn push(&mut self, row: FrameRow) {
        self.read_to = Some(row.effective_at);
        self.count += 1;
        self.waiting.insert((row.received_at, row.generation, row.frame.key, self.count), row);
    }

    /// All of history is in.
    pub fn end(&mut self) {
        self.read_to = Some(Wall::MAX);
    }

    /// The next report: frames that were received in the same ms.
    pub fn next_report(&mut self) -> Option<Vec<FrameRow>> {
        let (first, ..) = *self.waiting.first_key_value()?.0;
        let is_next = self.read_to.is_some_and(|read_to| first + AHEAD_MAX_MS < read_to || read_to == Wall::MAX);
        let hurries = !is_next && self.waiting.len() > limits::BACKTEST_HELD_FRAMES;
        if !is_next && !hurries {
            return None;
        }
        let mut report = Vec::new();
        while let Some(entry) = self.waiting.first_entry().filter(|entry| entry.key().0 == first) {
            report.push(entry.remove());
        }
        self.hurried += if hurries { report.len() as u64 } else { 0 };
        Some(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::frame::Frame;
    use crate::model::row::{Order, TimeSource};

    fn row(seq: u64, effective_s: i64, received_s: i64) -> FrameRow {
        FrameRow {
            device: "31305001122014017242".parse().unwrap(),
            generation: 0,
            frame: Frame { key: FrameKey { boot: 1, seq }, ..Frame::default() },
            received_at: Wall(received_s * 1_000),
            effective_at: Wall(effective_s * 1_000),
            time_source: TimeSource::Claimed,
            order: Order::Newer,
        }
    }

    /// Rows as (seq, effective, received) in s; reports by the seq of their frames, each with how many rows had been
    /// read when it came out.
    fn check(rows: &[(u64, i64, i64)], want: &[(usize, &[u64])]) {
        let mut arrivals = Arrivals::default();
        let mut got: Vec<(usize, Vec<u64>)> = Vec::new();
        for nth in 0..=rows.len() {
            match rows.get(nth) {
                Some(&(seq, effective_s, received_s)) => arrivals.push(row(seq, effective_s, received_s)),
                None => arrivals.end(),
            }
            while let Some(report) = arrivals.next_report() {
                got.push((nth + 1, report.iter().map(|row| row.frame.key.seq).collect()));
            }
        }
        let got: Vec<(usize, &[u64])> = got.iter().map(|(nth, seqs)| (*nth, seqs.as_slice())).collect();
        assert_eq!(got, want, "{rows:?}");
    }

    #[test]
    fn reports_come_out_in_the_order_of_receipt() {
        check(&[], &[]);
        check(&[(1, 0, 0), (2, 60, 60)], &[(3, &[1]), (3, &[2])]);
        // What was sent more than five minutes later tells that nothing received before is still to come.
        check(&[(1, 0, 0), (2, 300, 300), (3, 301, 301)], &[(3, &[1]), (4, &[2]), (4, &[3])]);
        // Its clock is ahead: it was received before what it follows.
        check(&[(1, 0, 0), (3, 200, 260), (2, 299, 2)], &[(4, &[1]), (4, &[2]), (4, &[3])]);
        // One that came an hour late, and a backlog of one report.
        check(&[(1, 0, 3_600), (2, 600, 600), (3, 7_200, 7_200)], &[(3, &[2]), (3, &[1]), (4, &[3])]);
        check(&[(1, 0, 900), (2, 60, 900), (3, 120, 900), (4, 1_300, 1_300)], &[(4, &[1, 2, 3]), (5, &[4])]);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut arrivals = Arrivals::default();
        let rows = limits::BACKTEST_HELD_FRAMES as u64 + 3;
        (0..rows).for_each(|seq| arrivals.push(row(seq + 1, 0, 1_000_000 + seq as i64)));
        let out = std::iter::from_fn(|| arrivals.next_report()).map(|report| report.len() as u64).sum::<u64>();
        assert_eq!((out, arrivals.hurried), (3, 3));
    }
}
