//! Reads the outbox ahead of the store: while the database is busy with one batch, the next one is read and decoded.

use super::writer::WriterError;
use super::{Batch, Checkpoint};
use crate::journal::{Entry, JournalReader, codec};
use crate::limits;
use crate::model::row::Effects;

/// Entries read at a time: a batch ends between two such reads.
const READ_ENTRIES: usize = 512;

/// The batch that comes next, as far as it has been read. Two are in memory at a time: this one, and the one that the
/// database is busy with.
pub struct Batches {
    outbox: Box<dyn JournalReader>,
    epoch: u32,
    /// What has been handed out ends here; `None`: nothing was ever stored.
    from: Option<Checkpoint>,
    /// What has been read ends here.
    to: Checkpoint,
    effects: Vec<Effects>,
    rows: usize,
    bytes: usize,
    entries: Vec<Entry>,
}

impl Batches {
    /// `at` is where to go on: `from`, or the beginning.
    pub fn new(outbox: Box<dyn JournalReader>, epoch: u32, from: Option<Checkpoint>, at: Checkpoint) -> Self {
        let to = Checkpoint { epoch, ..at };
        Self { outbox, epoch, from, to, effects: Vec::new(), rows: 0, bytes: 0, entries: Vec::new() }
    }

    /// The position that is read next.
    pub fn next(&self) -> u64 {
        self.to.position
    }

    pub fn is_empty(&self) -> bool {
        self.effects.is_empty()
    }

    /// As much as one transaction should hold.
    pub fn is_full(&self) -> bool {
        self.rows >= limits::BATCH_ROWS || self.bytes >= limits::BATCH_BYTES / 2
    }

    /// Reads on until the batch is full, or there is no more. Waits for the disk.
    pub fn fill(&mut self) -> Result<(), WriterError> {
        while !self.is_full() {
            let mut entries = std::mem::take(&mut self.entries);
            self.outbox.read(self.to.position, READ_ENTRIES, limits::JOURNAL_READ_BYTES, &mut entries)?;
            if entries.is_empty() {
                break;
            }
            for entry in entries.drain(..) {
                self.push(entry)?;
            }
            self.entries = entries;
        }
        Ok(())
    }

    fn push(&mut self, entry: Entry) -> Result<(), WriterError> {
        let Entry { pos, hash_after, payload } = entry;
        self.bytes += payload.len();
        let (_, effects) = codec::decode_effects(payload).map_err(|error| WriterError::Entry { pos, error })?;
        self.rows += effects.rows.len() + effects.events.len();
        self.effects.push(effects);
        self.to = Checkpoint { epoch: self.epoch, position: pos + 1, hash: hash_after, ..self.to };
        Ok(())
    }

    /// Hands out what has been read, and begins the next batch.
    pub fn take(&mut self) -> Batch {
        let effects = std::mem::take(&mut self.effects);
        (self.rows, self.bytes) = (0, 0);
        Batch { from: self.from.replace(self.to), to: self.to, effects }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::memory::MemoryDisk;
    use crate::journal::{Identity, Journal as _};
    use crate::model::ids::DeviceCode;
    use crate::model::row::{Row, StatusRow};
    use crate::model::time::Wall;

    fn entry(rows: usize) -> Vec<u8> {
        let device = DeviceCode::parse("31305001122014017242").unwrap();
        let row = Row::Status(StatusRow { device, online: true, received_at: Wall(7) });
        let mut bytes = Vec::new();
        codec::encode_effects(0, &Effects { rows: vec![row; rows], ..Effects::default() }, &mut bytes);
        bytes
    }

    /// Flow: what makes two full batches and a half waits in the outbox; then a little more comes.
    /// Asserts: full batches have enough rows and not many more; they follow each other without a gap, to the end.
    #[test]
    fn batches_are_full_while_much_waits_and_follow_each_other() {
        let (mut outbox, _) = MemoryDisk::new(Identity { id: 5, epoch: 1 }).open();
        let (rows_each, entries) = (10, limits::BATCH_ROWS / 4);
        for _ in 0..entries {
            outbox.append(&entry(rows_each)).unwrap();
        }
        outbox.release().unwrap();
        let at = Checkpoint { journal: 5, epoch: 1, position: 0, hash: 0 };
        let mut batches = Batches::new(outbox.reader(), 1, None, at);
        let mut taken = Vec::new();
        loop {
            batches.fill().unwrap();
            if !batches.is_full() {
                break;
            }
            taken.push(batches.take());
        }
        assert_eq!(taken.len(), 2);
        assert!(!batches.is_empty());
        outbox.append(&entry(1)).unwrap();
        outbox.release().unwrap();
        batches.fill().unwrap();
        taken.push(batches.take());
        assert!(batches.is_empty());

        let most = limits::BATCH_ROWS + READ_ENTRIES * rows_each;
        let mut before = None;
        for batch in &taken {
            assert_eq!(batch.from, before);
            let from = before.map_or(0, |at: Checkpoint| at.position);
            assert_eq!(batch.to.position - from, batch.effects.len() as u64);
            assert_eq!(Some(batch.to.hash), outbox.hash_at(batch.to.position).unwrap());
            assert!(batch.effects.iter().map(|effects| effects.rows.len()).sum::<usize>() <= most);
            before = Some(batch.to);
        }
        assert_eq!(before.unwrap().position, entries as u64 + 1);
    }
}
