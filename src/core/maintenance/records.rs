//! What a lift remembers of its records: the head of its chain, what waits for a signature, which hazards are open.

use thin_vec::ThinVec;

use super::known::name;
use crate::core::chain;
use crate::limits;
use crate::model::time::Elapsed;
use crate::model::visit::{Digest, Problem, Visit};

const HOUR_MS: i64 = 3_600_000;

/// Of a lift that has any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Records {
    /// Links in its chain.
    pub links: u64,
    pub head: Digest,
    /// In the order in which they came.
    pub unsigned: ThinVec<Unsigned>,
    /// Also such as were rectified, as long as what rectified them may turn out to be wrong.
    pub hazards: ThinVec<Hazard>,
    /// Rules on what is open have been judged up to here.
    pub judged: Elapsed,
}

// In time every lift has some.
const _: () = assert!(size_of::<Records>() <= 64);

/// A record that the use unit has not signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsigned {
    /// Its firm and id, as `known::name` writes them.
    pub name: Box<str>,
    /// Its place in the chain.
    pub number: u64,
    pub since: Elapsed,
}

/// A problem that a record told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hazard {
    pub name: Box<str>,
    pub problem: Problem,
    pub since: Elapsed,
    /// The records that said it was rectified, in the order in which they came. It is open without any.
    pub rectified_by: ThinVec<Box<str>>,
}

impl Hazard {
    pub fn is_open(&self) -> bool {
        self.rectified_by.is_empty()
    }
}

impl Records {
    pub fn new(now: Elapsed) -> Self {
        Self { links: 0, head: chain::START, unsigned: ThinVec::new(), hazards: ThinVec::new(), judged: now }
    }

    /// Takes note of all that a record leaves open, and of what it ends.
    pub fn note(&mut self, visit: &Visit, number: u64, now: Elapsed) {
        let Visit { firm, record, problem, .. } = *visit;
        if let Some(old) = &visit.supersedes {
            self.supersede(&name(&firm, old));
        }
        for id in &visit.rectifies {
            self.rectify(&name(&firm, id), &name(&firm, &record));
        }
        self.note_unsigned(Unsigned { name: name(&firm, &record), number, since: now });
        if problem != Problem::None {
            let rectified_by = ThinVec::new();
            self.note_hazard(Hazard { name: name(&firm, &record), problem, since: now, rectified_by });
        }
        self.bound_hazards();
    }

    pub fn open_hazards(&self) -> impl Iterator<Item = &Hazard> {
        self.hazards.iter().filter(|it| it.is_open())
    }

    pub fn note_unsigned(&mut self, unsigned: Unsigned) {
        if self.unsigned.len() >= limits::UNSIGNED_RECORDS {
            self.unsigned.remove(0);
        }
        // Room for no more than there is: most lifts have one.
        self.unsigned.reserve_exact(1);
        self.unsigned.push(unsigned);
    }

    pub fn note_hazard(&mut self, hazard: Hazard) {
        self.hazards.reserve_exact(1);
        self.hazards.push(hazard);
    }

    /// Lets go of all that a record left open, and takes back what it said to be rectified: it was corrected by another one,
    /// which says so again if it still is.
    fn supersede(&mut self, name: &str) {
        self.sign(name);
        self.hazards.retain(|it| *it.name != *name);
        for hazard in &mut self.hazards {
            hazard.rectified_by.retain(|by| **by != *name);
        }
    }

    /// Where it stands in the chain, if it waited for a signature.
    pub fn sign(&mut self, name: &str) -> Option<u64> {
        let at = self.unsigned.iter().position(|it| *it.name == *name)?;
        let number = self.unsigned.remove(at).number;
        self.unsigned.shrink_to_fit();
        Some(number)
    }

    fn rectify(&mut self, name: &str, by: &str) {
        for hazard in self.hazards.iter_mut().filter(|it| *it.name == *name) {
            if hazard.rectified_by.len() >= limits::RECTIFIED_BY {
                hazard.rectified_by.remove(0);
            }
            hazard.rectified_by.push(by.into());
        }
    }

    /// The oldest go first, of those that are open and of the others.
    fn bound_hazards(&mut self) {
        for (is_open, most) in [(true, limits::OPEN_HAZARDS), (false, limits::RECTIFIED_HAZARDS)] {
            let mut too_many = self.hazards.iter().filter(|it| it.is_open() == is_open).count().saturating_sub(most);
            self.hazards.retain(|it| {
                let goes = it.is_open() == is_open && too_many > 0;
                too_many -= usize::from(goes);
                !goes
            });
        }
        self.hazards.shrink_to_fit();
    }

    /// The next moment at which something has been open for one more hour.
    pub fn next_due(&self) -> Option<Elapsed> {
        let unsigned = self.unsigned.iter().map(|it| it.since);
        unsigned.chain(self.open_hazards().map(|it| it.since)).filter_map(|since| self.next_hour(since)).min()
    }

    fn next_hour(&self, since: Elapsed) -> Option<Elapsed> {
        let hours = (self.judged - since).max(0) / HOUR_MS + 1;
        (hours <= limits::OPEN_HOURS).then(|| since + hours * HOUR_MS)
    }
}

/// Whole hours.
pub fn open_hours(since: Elapsed, now: Elapsed) -> i64 {
    (now - since).max(0) / HOUR_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unsigned(name: &str, since: i64) -> Unsigned {
        Unsigned { name: name.into(), number: 1, since: Elapsed(since) }
    }

    #[test]
    fn it_is_due_whenever_something_has_been_open_for_another_hour() {
        let mut records = Records::new(Elapsed(0));
        assert_eq!(records.next_due(), None);
        records.note_unsigned(unsigned("a", 1_000));
        records.note_unsigned(unsigned("b", 2_000));
        for (judged, due) in [
            (0, Some(HOUR_MS + 1_000)),
            (HOUR_MS + 999, Some(HOUR_MS + 1_000)),
            (HOUR_MS + 1_000, Some(HOUR_MS + 2_000)),
            (HOUR_MS + 2_000, Some(2 * HOUR_MS + 1_000)),
            (limits::OPEN_HOURS * HOUR_MS + 1_000, Some(limits::OPEN_HOURS * HOUR_MS + 2_000)),
            (limits::OPEN_HOURS * HOUR_MS + 2_000, None),
        ] {
            records.judged = Elapsed(judged);
            assert_eq!(records.next_due(), due.map(Elapsed), "{judged}");
        }
        assert_eq!(open_hours(Elapsed(1_000), Elapsed(24 * HOUR_MS + 999)), 23);
        assert_eq!(open_hours(Elapsed(1_000), Elapsed(24 * HOUR_MS + 1_000)), 24);
    }

    #[test]
    fn the_oldest_go_first() {
        let mut records = Records::new(Elapsed(0));
        for n in 0..=limits::UNSIGNED_RECORDS {
            records.note_unsigned(unsigned(&format!("r{n}"), 0));
        }
        assert_eq!(records.unsigned.len(), limits::UNSIGNED_RECORDS);
        assert_eq!(&*records.unsigned[0].name, "r1");
    }
}
