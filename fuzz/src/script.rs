//! Bytes taken as a list of small decisions. At its end every further one is 0.

/// Whether an input is one of those few that get the expensive part of a check as well. The input alone decides, so
/// that it fails again where it failed once.
pub fn is_one_in(count: u64, input: &[u8]) -> bool {
    let hash = input
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    // The low bits of this sum hardly mix.
    (hash >> 32) % count == 0
}

pub struct Script<'a>(pub &'a [u8]);

impl<'a> Script<'a> {
    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub fn word(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// Below `count`, which is at most 256.
    pub fn index(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }

    pub fn chance(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// At most so many bytes.
    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
