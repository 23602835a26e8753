//! On which line of a file a byte stands. The CSV reader's own count is off after blank lines and where lines end in
//! CR LF. As to that reader, LF, CR LF and a CR alone each end a line.

use std::io::{self, BufRead};

pub(super) struct Lines<R> {
    file: R,
    at: u64,
    line: u64,
    after_cr: bool,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(file: R) -> Self {
        Self { file, at: 0, line: 1, after_cr: false }
    }

    /// The line of the first byte at or behind `byte` that ends no line. `byte` never goes back.
    pub(super) fn of(&mut self, byte: u64) -> io::Result<u64> {
        loop {
            let piece = self.file.fill_buf()?;
            let before = usize::try_from(byte.saturating_sub(self.at)).unwrap_or(usize::MAX).min(piece.len());
            let ends = piece[before..].iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
            let taken = before + ends;
            for byte in &piece[..taken] {
                self.line += u64::from(*byte == b'\r' || (*byte == b'\n' && !self.after_cr));
                self.after_cr = *byte == b'\r';
            }
            let done = taken < piece.len() || piece.is_empty();
            self.at += taken as u64;
            self.file.consume(taken);
            if done {
                return Ok(self.line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cr_alone_ends_a_line() {
        let mut lines = Lines::new(&b"a\rb\r\rc\r\n\rd"[..]);
        assert_eq!([0, 2, 5, 9].map(|byte| lines.of(byte).unwrap()), [1, 2, 4, 6]);
    }

    #[test]
    fn lines_are_counted_past_blank_ones_whatever_the_buffer() {
        let text = b"a\r\n\r\n\nbc\r\nd";
        for capacity in 1..=text.len() {
            let mut lines = Lines::new(io::BufReader::with_capacity(capacity, &text[..]));
            let found = [0, 1, 2, 6, 7, 8, 9, 10, 99].map(|byte| lines.of(byte).unwrap());
            assert_eq!(found, [1, 4, 4, 4, 4, 5, 5, 5, 5], "buffer of {capacity}");
        }
    }
}
