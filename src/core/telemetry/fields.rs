//! The last-known values of a lift's fields and which frame wrote each, packed: a city has many lifts, and what a
//! judged frame costs is mostly how much memory it touches.
//!
//! Most fields of a lift were written by one or two frames, so a stamp stands once with the set of fields it wrote.

use smallvec::SmallVec;

use super::registers::{FIELDS, Held, Register, Stamp};
use crate::core::rules::Field;
use crate::model::time::Elapsed;

/// Bit n is the n-th of [`FIELDS`]; behind them, bit `FIELDS.len() + n` is the whole of the n-th list of codes.
type Bits = u16;

const SMALL: usize = 6;
const WHOLE: Bits = !0 << FIELDS.len();

const _: () = assert!(FIELDS.len() + 3 <= Bits::BITS as usize);

/// A frame, as far as something that it wrote still stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Writer {
    stamp: Stamp,
    /// The judged time at which the fields were reported; 0 for the whole of lists, which have none.
    at: Elapsed,
    wrote: Bits,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fields {
    /// Whose last report was a value and not that it is unknown. What isn't known stands as 0.
    known: Bits,
    /// Mode, car, direction, door zone, door and passenger, by their numbers.
    small: [u8; SMALL],
    floor: i32,
    load_kg: u32,
    speed_mm_s: i32,
    run_hours: u32,
    runs: u64,
    /// Descending by (stamp, at), fields before lists; no two of them wrote the same bit, none wrote nothing.
    writers: SmallVec<[Writer; 3]>,
}

impl Fields {
    /// A part of each cache line.
    pub(crate) fn touch(&self) -> u64 {
        let of_writers = self.writers.iter().map(|writer| u64::from(writer.wrote));
        self.runs ^ u64::from(self.known) ^ of_writers.fold(0, |all, wrote| all ^ wrote)
    }

    /// Whether a field could ever hold that number.
    pub(crate) fn fits(slot: usize, number: i64) -> bool {
        match slot {
            0..SMALL => u8::try_from(number).is_ok(),
            6 | 8 => i32::try_from(number).is_ok(),
            7 | 10 => u32::try_from(number).is_ok(),
            _ => number >= 0,
        }
    }

    pub(crate) fn held(&self, slot: usize) -> Held {
        if self.known & bit(slot) != 0 {
            return Held::Known(self.number(slot));
        }
        if self.writers.iter().any(|writer| writer.wrote & bit(slot) != 0) { Held::Unknown } else { Held::Never }
    }

    pub(crate) fn get(&self, slot: usize) -> Register {
        let writer = self.writers.iter().find(|writer| writer.wrote & bit(slot) != 0);
        let (stamp, at) = writer.map_or_else(Default::default, |writer| (writer.stamp, writer.at));
        Register { stamp, at, held: self.held(slot) }
    }

    /// Puts back what `get` gave.
    pub(crate) fn set(&mut self, slot: usize, register: &Register) {
        if register.held != Held::Never {
            self.hold(slot, register.held);
            self.write(bit(slot), register.stamp, register.at);
        }
    }

    /// The newest frame that carried the whole of the n-th list.
    pub(crate) fn whole(&self, list: usize) -> Option<Stamp> {
        let bit = bit(FIELDS.len() + list);
        self.writers.iter().find(|writer| writer.wrote & bit != 0).map(|writer| writer.stamp)
    }

    pub(crate) fn set_whole(&mut self, list: usize, stamp: Stamp) {
        self.set_wholes(1 << list, stamp);
    }

    /// Bit n: the frame carried the whole of the n-th list.
    pub(crate) fn set_wholes(&mut self, lists: Bits, stamp: Stamp) {
        self.write(lists << FIELDS.len(), stamp, Elapsed(0));
    }

    /// Takes what a frame reports, where no frame as new has reported it. Gives the set of fields that changed.
    pub(super) fn take(&mut self, reported: &[Option<Held>; FIELDS.len()], stamp: Stamp, at: Elapsed) -> u16 {
        let newer = self.writers.iter().filter(|writer| writer.stamp >= stamp);
        let kept = newer.fold(0, |all, writer| all | writer.wrote);
        let (mut written, mut changed) = (0, 0);
        for (slot, held) in reported.iter().enumerate() {
            let Some(held) = *held else { continue };
            if kept & bit(slot) != 0 {
                continue;
            }
            written |= bit(slot);
            if self.held(slot) != held {
                changed |= bit(slot);
                self.hold(slot, held);
            }
        }
        self.write(written, stamp, at);
        changed
    }

    /// Makes a field unknown as of a frame, at the time when it was last reported, unless a frame as new reported it.
    pub(super) fn make_unknown(&mut self, slot: usize, stamp: Stamp) -> bool {
        let register = self.get(slot);
        if register.held == Held::Never || register.stamp >= stamp {
            return false;
        }
        self.hold(slot, Held::Unknown);
        self.write(bit(slot), stamp, register.at);
        true
    }

    fn number(&self, slot: usize) -> i64 {
        match slot {
            0..SMALL => self.small[slot].into(),
            6 => self.floor.into(),
            7 => self.load_kg.into(),
            8 => self.speed_mm_s.into(),
            9 => i64::try_from(self.runs).unwrap_or(i64::MAX),
            _ => self.run_hours.into(),
        }
    }

    /// Numbers are of the types of the frame's fields, so that none is cut.
    fn hold(&mut self, slot: usize, held: Held) {
        let number = match held {
            Held::Known(number) => number,
            Held::Never | Held::Unknown => 0,
        };
        self.known = if matches!(held, Held::Known(_)) { self.known | bit(slot) } else { self.known & !bit(slot) };
        match slot {
            0..SMALL => self.small[slot] = number as u8,
            6 => self.floor = number as i32,
            7 => self.load_kg = number as u32,
            8 => self.speed_mm_s = number as i32,
            9 => self.runs = number as u64,
            _ => self.run_hours = number as u32,
        }
    }

    /// Notes who wrote some bits, fields or lists.
    fn write(&mut self, bits: Bits, stamp: Stamp, at: Elapsed) {
        if bits == 0 {
            return;
        }
        let new = Writer { stamp, at, wrote: bits };
        // Most frames write all that one before them wrote, and stand where that one stood.
        if let Some(place) = self.writers.iter().position(|writer| writer.wrote == bits)
            && (place == 0 || self.writers[place - 1].key() > new.key())
            && self.writers.get(place + 1).is_none_or(|next| new.key() > next.key())
        {
            self.writers[place] = new;
            return;
        }
        for writer in &mut self.writers {
            writer.wrote &= !bits;
        }
        self.writers.retain(|writer| writer.wrote != 0);
        let place = self.writers.partition_point(|writer| writer.key() > new.key());
        match self.writers.get_mut(place) {
            Some(writer) if writer.key() == new.key() => writer.wrote |= bits,
            _ => self.writers.insert(place, new),
        }
    }
}

impl Writer {
    fn key(&self) -> (Stamp, Elapsed, bool) {
        (self.stamp, self.at, self.wrote & WHOLE == 0)
    }
}

fn bit(slot: usize) -> Bits {
    1 << slot
}

/// Where a field stands in `registers::FIELDS`; `None` for those that are derived.
pub fn slot(field: Field) -> Option<usize> {
    match field as usize {
        n if n < Field::DoorShut as usize => Some(n),
        n if n == Field::DoorShut as usize || n > FIELDS.len() => None,
        n => Some(n - 1),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::frame::FrameKey;

    /// What a table with a register of its own for each field would do.
    #[derive(Default)]
    struct Plain([Register; FIELDS.len()]);

    impl Plain {
        fn take(&mut self, reported: &[Option<Held>; FIELDS.len()], stamp: Stamp, at: Elapsed) -> u16 {
            let mut changed = 0;
            for (slot, held) in reported.iter().enumerate() {
                let register = &mut self.0[slot];
                let Some(held) = *held else { continue };
                if register.held != Held::Never && register.stamp >= stamp {
                    continue;
                }
                changed |= if register.held == held { 0 } else { bit(slot) };
                *register = Register { stamp, at, held };
            }
            changed
        }
    }

    fn reported() -> impl Strategy<Value = [Option<Held>; FIELDS.len()]> {
        let held = prop_oneof![Just(Held::Unknown), (0..3i64).prop_map(Held::Known)];
        prop::collection::vec(prop::option::of(held), FIELDS.len()).prop_map(|all| all.try_into().unwrap())
    }

    proptest! {
        #[test]
        fn packed_fields_hold_what_plain_ones_would(
            frames in prop::collection::vec((reported(), 0..2u32, 0..9u64, any::<bool>(), any::<bool>()), 0..40)
        ) {
            let (mut packed, mut plain, mut whole) = (Fields::default(), Plain::default(), [None; 3]);
            for (n, (reported, boot, seq, runs, lists)) in frames.into_iter().enumerate() {
                let stamp = Stamp::new(0, FrameKey { boot, seq });
                let at = Elapsed(n as i64);
                prop_assert_eq!(packed.take(&reported, stamp, at), plain.take(&reported, stamp, at));
                let zone = &mut plain.0[3];
                if runs && zone.held != Held::Never && zone.stamp < stamp {
                    *zone = Register { stamp, held: Held::Unknown, ..*zone };
                    prop_assert!(packed.make_unknown(3, stamp));
                }
                if lists {
                    packed.set_whole(n % 3, stamp);
                    whole[n % 3] = Some(stamp);
                }
                for (slot, register) in plain.0.iter().enumerate() {
                    prop_assert_eq!(packed.get(slot), *register);
                }
                prop_assert_eq!([0, 1, 2].map(|list| packed.whole(list)), whole);
            }
            // Put back from what is seen of it, it is the same in every part.
            let mut again = Fields::default();
            (0..3).for_each(|list| if let Some(stamp) = whole[list] { again.set_whole(list, stamp) });
            plain.0.iter().enumerate().for_each(|(slot, register)| again.set(slot, register));
            prop_assert_eq!(again, packed);
        }
    }

    #[test]
    fn numbers_keep_their_type() {
        for (slot, most) in [(0, 255), (6, i32::MAX.into()), (7, u32::MAX.into()), (9, i64::MAX), (10, u32::MAX.into())]
        {
            let mut fields = Fields::default();
            let register = Register { held: Held::Known(most), ..Register::default() };
            assert!(Fields::fits(slot, most));
            fields.set(slot, &register);
            assert_eq!(fields.get(slot), register);
            assert!(most == i64::MAX || !Fields::fits(slot, most + 1));
        }
    }
}
