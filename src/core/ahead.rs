//! Brings the memory that the next reports will need close, of several lifts at once. A lift is some ten cache lines that
//! nobody has looked at for seconds: waiting for them, one lift after the other, is most of what judging costs in a city.

use std::hint::black_box;

use smallvec::SmallVec;

use super::kept::KeptLift;
use super::lift::Lift;
use super::places::Key;
use super::{Core, decode};
use crate::model::record::{Kind, Record};

/// So many records at once: what they need has to stay in the nearest cache until they are judged.
pub const AHEAD: usize = 8;

impl Core {
    /// Looks at what judging these records, the next ones, will look at. Changes nothing. Of more than [`AHEAD`] the
    /// first count.
    ///
    /// Each step waits for what the one before fetched, so it is taken for all records before the next step is taken
    /// for any.
    pub fn look_ahead<'r>(&self, records: impl Iterator<Item = &'r Record>) {
        let mut keys: SmallVec<[Key; AHEAD]> = SmallVec::new();
        for record in records.take(AHEAD) {
            if let Kind::Report { topic, .. } = &record.kind
                && let Some(code) = decode::reporter(&self.policy.text.topic_prefix, topic)
            {
                keys.push(self.index.lifts.key(&code));
            }
        }
        let places: SmallVec<[u32; AHEAD]> = keys.iter().filter_map(|key| self.index.lifts.perhaps(*key)).collect();
        let mut seen = 0;
        for place in &places {
            let (lift, holders) = (self.lifts.get(*place), self.lifts.holders(*place));
            seen ^= lift.touch() ^ holders as u64 ^ self.timers.touch(*place);
        }
        for place in &places {
            seen ^= self.lifts.get(*place).runs.last().map_or(0, |run| u64::from(run.openings));
        }
        black_box(seen);
    }
}

impl Lift {
    /// Reads a part of each of its cache lines, as far as the order of its fields lets one tell.
    fn touch(&self) -> u64 {
        let of_entry = self.entry.as_ref().and_then(KeptLift::keep_alive_s).unwrap_or_default();
        let of_order = self.order.newest.as_ref().map_or(0, |newest| newest.seen[0] ^ newest.seen[3]);
        let claimed = [self.order.claimed, self.offset.claimed].into_iter().flatten().fold(0, |all, at| all ^ at.0);
        let heard = self.heard.map_or(0, |(heard, at)| heard.0 ^ at.0);
        let door = self.registers.door_moves.map_or(0, |moves| moves.since.0);
        let times = claimed ^ heard ^ door ^ self.offset.began.0 ^ self.judged.0 ^ self.absence_judged_to.0;
        let words = [of_entry, self.policy, self.unreadable.into()];
        words.into_iter().fold(of_order ^ times as u64 ^ self.registers.fields.touch(), |all, it| all ^ u64::from(it))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::{Elapsed, Wall};

    #[test]
    fn looking_ahead_takes_anything_and_changes_nothing() {
        let mut core = Core::new(1);
        let record = |pos, topic: &str| {
            let kind = Kind::Report { topic: topic.into(), payload: br#"{"seq":1,"car":"stopped"}"#.as_slice().into() };
            Record { pos, elapsed: Elapsed(1), wall: Wall(1), kind }
        };
        let known = "elevator/31305001122014017242/report";
        core.apply(&record(0, known));
        assert_eq!(core.lifts().len(), 1);
        let topics = [known, "elevator/31305001122014017243/report", "elevator/x/report", "", "cylinder/6401-A/scan"];
        let mut ahead: Vec<Record> = topics.iter().map(|topic| record(1, topic)).collect();
        ahead.push(Record { kind: Kind::Tick, ..ahead[0].clone() });
        let before = core.freeze().encode();
        core.look_ahead(ahead.iter().cycle().take(3 * AHEAD));
        assert_eq!(core.freeze().encode(), before);
    }
}
