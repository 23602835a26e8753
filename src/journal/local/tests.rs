use std::fs::{self, OpenOptions};

use proptest::prelude::*;
use tempfile::TempDir;

use super::super::memory::{Crash, MemoryDisk};
use super::super::{Entry, hash_of_nothing};
use super::*;

const IDENTITY: Identity = Identity { id: 0x5eed, epoch: 1 };

fn options(segment_bytes: u64) -> Options {
    Options { segment_bytes, ..Options::new(IDENTITY) }
}

fn open(dir: &Path, segment_bytes: u64) -> LocalJournal {
    LocalJournal::open(dir, &options(segment_bytes)).unwrap().journal
}

/// Reads all that is there, a few records at a time, up to the first failure.
fn read_all(journal: &dyn Journal) -> (Vec<Entry>, Option<JournalError>) {
    let mut reader = journal.reader();
    let (mut all, mut some) = (Vec::new(), Vec::new());
    loop {
        let from = all.last().map_or(reader.first(), |entry: &Entry| entry.pos + 1);
        match reader.read(from, 3, usize::MAX, &mut some) {
            Ok(()) if some.is_empty() => return (all, None),
            Ok(()) => all.append(&mut some),
            Err(error) => return (all, Some(error)),
        }
    }
}

fn payload(n: u64) -> Vec<u8> {
    vec![n as u8 ^ 0x5a; (n as usize * 7) % 23]
}

const SMALL_BYTES: u64 = 110;

/// Three segments; the last one holds two synced groups and two records that were only released.
fn small_journal(dir: &Path) -> Vec<Entry> {
    let mut journal = open(dir, SMALL_BYTES);
    for n in 0..20 {
        journal.append(&payload(n)).unwrap();
        if n % 2 == 1 && n < 18 {
            journal.sync().unwrap();
        }
    }
    journal.release().unwrap();
    let firsts: Vec<u64> = journal.segments().iter().map(|segment| segment.first).collect();
    assert_eq!(firsts, [0, 7, 14]);
    read_all(&journal).0
}

/// Opens a copy of `dir` in which `file` holds `content`, and checks that it is refused by that file's or its
/// successor's name, or gives exactly the first records, and goes on from there.
fn check_spoilt(dir: &Path, file: &Path, content: &[u8], whole: &[Entry]) -> Result<usize, JournalError> {
    let copy = TempDir::new().unwrap();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    let spoilt = copy.path().join(file.file_name().unwrap());
    fs::write(&spoilt, content).unwrap();

    let lazily = LocalJournal::open(copy.path(), &options(SMALL_BYTES)).map(|opened| read_all(&opened.journal));
    let opened = LocalJournal::open(copy.path(), &Options { check_all: true, ..options(SMALL_BYTES) });
    match (lazily, opened) {
        (Ok((read, None)), Ok(Opened { mut journal, .. })) => {
            assert_eq!(read, whole[..read.len()]);
            assert_eq!(journal.next(), read.len() as u64);
            journal.append(b"goes on").unwrap();
            journal.sync().unwrap();
            drop(journal);
            let journal = open(copy.path(), SMALL_BYTES);
            let (again, error) = read_all(&journal);
            assert!(error.is_none(), "{error:?}");
            assert_eq!(again[..read.len()], whole[..read.len()]);
            assert_eq!(again[read.len()].payload, "goes on");
            assert_eq!(again.len(), read.len() + 1);
            Ok(read.len())
        }
        (lazily, Err(error)) => {
            match lazily {
                Ok((read, stopped)) => {
                    assert_eq!(read, whole[..read.len()]);
                    assert!(matches!(stopped, Some(JournalError::Damaged { .. })), "{stopped:?}");
                }
                Err(lazily) => assert_eq!(lazily.to_string(), error.to_string()),
            }
            match &error {
                JournalError::Damaged { file, offset, .. } => {
                    assert_eq!(file, &spoilt);
                    assert!(*offset <= content.len() as u64);
                }
                other => panic!("{other}"),
            }
            assert_eq!(fs::read(&spoilt).unwrap(), content, "a refused file is left as it is");
            Err(error)
        }
        (lazily, Ok(_)) => panic!("checked as whole, but reading says {lazily:?}"),
    }
}

fn segment_files(dir: &Path) -> Vec<PathBuf> {
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|e| e == "segment");
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(is_segment).collect();
    files.sort();
    files
}

#[test]
fn a_file_cut_at_any_byte_gives_its_whole_records_or_is_refused() {
    let dir = TempDir::new().unwrap();
    let whole = small_journal(dir.path());
    let files = segment_files(dir.path());
    let (last, closed) = files.split_last().unwrap();
    for file in closed {
        let content = fs::read(file).unwrap();
        for cut in 0..content.len() {
            check_spoilt(dir.path(), file, &content[..cut], &whole).unwrap_err();
        }
    }
    let content = fs::read(last).unwrap();
    let mut lengths = Vec::new();
    for cut in 0..=content.len() {
        match check_spoilt(dir.path(), last, &content[..cut], &whole) {
            Ok(length) => lengths.push(length),
            Err(error) => assert!(cut < HEADER_BYTES, "cut at {cut}: {error}"),
        }
    }
    assert_eq!(lengths.len(), content.len() + 1 - HEADER_BYTES);
    assert!(lengths.is_sorted());
    lengths.dedup();
    let first: u64 = shared::first_of_name(last.file_name().unwrap().to_str().unwrap()).unwrap();
    assert_eq!(lengths, (first as usize..=20).collect::<Vec<_>>());
}

#[test]
fn a_flipped_byte_is_never_read_and_what_was_durable_is_never_dropped() {
    let dir = TempDir::new().unwrap();
    let whole = small_journal(dir.path());
    let files = segment_files(dir.path());
    let last = files.last().unwrap();
    for file in &files {
        let content = fs::read(file).unwrap();
        let tag = *b"vig\xff";
        let proof = content.windows(4).rposition(|window| window == tag).unwrap();
        for at in 0..content.len() {
            let mut spoilt = content.clone();
            spoilt[at] ^= [0x01, 0x80, 0xff][at % 3];
            let result = check_spoilt(dir.path(), file, &spoilt, &whole);
            // Nothing proves that the end of the last file was durable; and a sync point at the end of a closed
            // file holds nothing.
            let can_go = at >= proof && (file == last || content.len() == proof + SYNC_POINT_BYTES);
            assert_eq!(result.is_ok(), can_go, "{} byte {at} of {}: {result:?}", file.display(), content.len());
        }
    }
}

#[test]
fn a_write_that_reached_the_disk_in_part_is_cut_even_if_its_end_arrived() {
    let dir = TempDir::new().unwrap();
    let mut journal = open(dir.path(), 1_000);
    journal.append(b"acknowledged").unwrap();
    journal.sync().unwrap();
    let torn_from = journal.written.offset;
    let foreign = encode_sync_point(Identity { id: 1, epoch: 1 }, 9, 0);
    for payload in [b"lost".as_slice(), b"arrived", &foreign] {
        journal.append(payload).unwrap();
    }
    journal.release().unwrap();
    let path = journal.path();
    drop(journal);
    let mut content = fs::read(&path).unwrap();
    let bytes = content.len() as u64 - torn_from;
    content[torn_from as usize..][..12].fill(0);
    fs::write(&path, content).unwrap();

    let opened = LocalJournal::open(dir.path(), &options(1_000)).unwrap();
    assert_eq!(opened.cut, Some(Cut { file: path, offset: torn_from, bytes }));
    let (read, error) = read_all(&opened.journal);
    assert_eq!((read.len(), &read[0].payload[..]), (1, b"acknowledged".as_slice()));
    assert!(error.is_none());
}

#[test]
fn a_missing_or_foreign_segment_is_refused() {
    let dir = TempDir::new().unwrap();
    small_journal(dir.path());
    let files = segment_files(dir.path());
    let kept = fs::read(&files[1]).unwrap();
    fs::remove_file(&files[1]).unwrap();
    match LocalJournal::open(dir.path(), &options(SMALL_BYTES)) {
        Err(JournalError::Missing { file }) => assert_eq!(file, files[1]),
        other => panic!("{other:?}"),
    }
    fs::write(&files[1], &kept).unwrap();
    LocalJournal::open(dir.path(), &options(SMALL_BYTES)).unwrap();

    let other = TempDir::new().unwrap();
    let foreign = Options { identity_if_new: Identity { id: 0xbad, epoch: 1 }, ..options(SMALL_BYTES) };
    drop(LocalJournal::open(other.path(), &foreign).unwrap());
    fs::copy(segment_files(other.path())[0].clone(), &files[0]).unwrap();
    assert!(matches!(LocalJournal::open(dir.path(), &options(SMALL_BYTES)), Err(JournalError::Damaged { .. })));
}

/// Two copies of one journal that went apart in their first record, with files of the same names and lengths.
#[test]
fn a_segment_from_a_copy_that_went_its_own_way_is_found() {
    let write = |first: &[u8]| {
        let dir = TempDir::new().unwrap();
        let mut journal = open(dir.path(), 20);
        for payload in [first, b"the same", b"the same too"] {
            journal.append(payload).unwrap();
            journal.sync().unwrap();
        }
        let hash = journal.hash();
        drop(journal);
        (dir, hash)
    };
    let (ours, our_hash) = write(b"ours");
    let (theirs, their_hash) = write(b"else");
    assert_ne!(our_hash, their_hash, "the running hash vouches for all that came before");
    let (our_files, their_files) = (segment_files(ours.path()), segment_files(theirs.path()));
    assert_eq!(our_files.len(), 2);
    fs::copy(&their_files[1], &our_files[1]).unwrap();

    let journal = open(ours.path(), 20);
    let (read, error) = read_all(&journal);
    assert_eq!(read.len(), 2);
    assert!(matches!(error, Some(JournalError::Damaged { file, .. }) if file == our_files[1]));
    drop(journal);
    let checked = LocalJournal::open(ours.path(), &Options { check_all: true, ..options(20) });
    assert!(matches!(checked, Err(JournalError::Damaged { file, .. }) if file == our_files[1]));
}

#[test]
fn a_directory_belongs_to_one_opener() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path(), SMALL_BYTES);
    assert!(matches!(LocalJournal::open(dir.path(), &options(SMALL_BYTES)), Err(JournalError::Locked { .. })));
    drop(journal);
    open(dir.path(), SMALL_BYTES);
}

#[test]
fn a_reader_keeps_up_with_the_writer_across_segments() {
    let dir = TempDir::new().unwrap();
    let mut journal = open(dir.path(), 2_000);
    let mut reader = journal.reader();
    const RECORDS: u64 = 20_000;
    let reading = std::thread::spawn(move || {
        let (mut next, mut some) = (0, Vec::new());
        while next < RECORDS {
            reader.read(next, 100, 1_000, &mut some).unwrap();
            for entry in &some {
                assert_eq!((entry.pos, &entry.payload[..]), (next, &payload(next)[..]));
                next += 1;
            }
            if some.is_empty() {
                std::thread::yield_now();
            }
        }
    });
    for n in 0..RECORDS {
        journal.append(&payload(n)).unwrap();
        if n % 17 == 0 {
            journal.release().unwrap();
        }
    }
    journal.release().unwrap();
    reading.join().unwrap();
    assert!(journal.segments().len() > 100);
}

#[test]
fn readers_see_only_what_was_released() {
    let dir = TempDir::new().unwrap();
    let mut journal = open(dir.path(), 40);
    let mut reader = journal.reader();
    let mut some = Vec::new();
    for n in 0..9 {
        journal.append(&payload(n)).unwrap();
        reader.read(0, 99, usize::MAX, &mut some).unwrap();
        assert!(some.is_empty());
    }
    assert!(journal.segments().len() > 1, "closing a segment writes it, but shows nothing");
    journal.release().unwrap();
    reader.read(0, 99, 1, &mut some).unwrap();
    assert_eq!(
        some.iter().map(|entry| entry.payload.len()).collect::<Vec<_>>(),
        [0, 7],
        "ends when the bytes are reached"
    );
    reader.read(0, 99, usize::MAX, &mut some).unwrap();
    assert_eq!(some.len(), 9);
}

#[test]
fn trimming_drops_whole_closed_segments_and_readers_hear_of_it() {
    let dir = TempDir::new().unwrap();
    let whole = small_journal(dir.path());
    let mut journal = open(dir.path(), SMALL_BYTES);
    let segments = journal.segments();
    assert!(segments[..2].iter().all(|segment| segment.closed_at.is_some()));
    let mut reader = journal.reader();
    let mut some = Vec::new();
    reader.read(0, 1, 1, &mut some).unwrap();

    journal.trim(segments[2].first - 1).unwrap();
    let first = segments[1].first;
    assert_eq!(journal.first(), first);
    match reader.read(1, 9, usize::MAX, &mut some) {
        Err(JournalError::Trimmed { wanted: 1, first: named }) => assert_eq!(named, first),
        other => panic!("{other:?}"),
    }
    assert_eq!(journal.hash_at(1).unwrap(), None);
    assert_eq!(read_all(&journal).0, whole[first as usize..]);
    journal.trim(u64::MAX).unwrap();
    assert_eq!(journal.segments().len(), 1);
    drop(journal);
    assert_eq!(open(dir.path(), SMALL_BYTES).first(), segments[2].first);
}

#[test]
fn marks_lead_to_the_segment_that_follows_them() {
    let dir = TempDir::new().unwrap();
    let mut journal = open(dir.path(), 1);
    for n in 0..5 {
        journal.set_mark(n * 10);
        journal.append(b"event").unwrap();
    }
    let mut reader = journal.reader();
    for (mark, first) in [(0, Some(0)), (9, Some(0)), (10, Some(1)), (25, Some(2)), (1_000, Some(4))] {
        assert_eq!(reader.seek_mark(mark), first, "mark {mark}");
    }
    journal.trim(2).unwrap();
    assert_eq!(reader.seek_mark(19), None);
}

#[test]
fn a_raised_epoch_begins_a_segment_and_keeps_the_chain() {
    let dir = TempDir::new().unwrap();
    let mut journal = open(dir.path(), 1_000);
    assert_eq!(journal.hash(), hash_of_nothing(IDENTITY.id));
    journal.raise_epoch(2).unwrap();
    journal.append(b"a").unwrap();
    let hash = journal.hash();
    journal.raise_epoch(5).unwrap();
    assert!(matches!(journal.raise_epoch(5), Err(JournalError::Epoch { asked: 5, present: 5 })));
    assert_eq!((journal.hash(), journal.hash_at(1).unwrap()), (hash, Some(hash)));
    drop(journal);
    let journal = open(dir.path(), 1_000);
    assert_eq!((journal.identity().epoch, journal.identity().id, journal.next()), (5, IDENTITY.id, 1));
    assert_eq!(journal.segments().len(), 2);
}

#[test]
fn a_disk_that_fails_once_is_never_asked_again() {
    for fails_at in ["write", "sync"] {
        let dir = TempDir::new().unwrap();
        let mut journal = open(dir.path(), 1_000);
        journal.append(b"durable").unwrap();
        journal.sync().unwrap();
        let (_pipe, end) = io::pipe().unwrap();
        // A pipe takes writes and can't be synced; a file opened for reading takes none.
        let broken = if fails_at == "sync" {
            File::from(std::os::fd::OwnedFd::from(end))
        } else {
            File::open(journal.path()).unwrap()
        };
        let sound = std::mem::replace(&mut journal.file, broken);
        journal.append(b"lost").unwrap();
        match journal.sync() {
            Err(JournalError::Io { doing, .. }) => assert_eq!(doing, fails_at),
            other => panic!("{other:?}"),
        }
        journal.file = sound;
        assert!(matches!(journal.sync(), Err(JournalError::Failed { .. })));
        assert!(matches!(journal.release(), Err(JournalError::Failed { .. })));
        assert!(matches!(journal.append(b"x"), Err(JournalError::Failed { .. })));
        assert!(matches!(journal.trim(0), Err(JournalError::Failed { .. })));
        assert!(matches!(journal.raise_epoch(2), Err(JournalError::Failed { .. })));
    }
}

#[test]
fn a_record_above_the_limit_is_refused_and_costs_nothing_else() {
    let dir = TempDir::new().unwrap();
    let mut journal = open(dir.path(), 1_000);
    let large = vec![1; JOURNAL_RECORD_BYTES + 1];
    assert!(matches!(journal.append(&large), Err(JournalError::TooLarge { .. })));
    for _ in 0..5 {
        journal.append(&large[1..]).unwrap();
        assert!(journal.buffer.len() <= JOURNAL_BUFFER_BYTES);
    }
    journal.sync().unwrap();
    assert_eq!(read_all(&journal).0.len(), 5);
}

#[derive(Debug, Clone)]
enum Op {
    Append(u16),
    Release,
    Sync,
    Crash(Crash),
    Trim(u8),
    Mark(u8),
    RaiseEpoch,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (0..400u16).prop_map(Op::Append),
        4 => Just(Op::Release),
        4 => Just(Op::Sync),
        1 => prop::sample::select(vec![Crash::Process, Crash::Machine, Crash::Torn]).prop_map(Op::Crash),
        1 => any::<u8>().prop_map(Op::Trim),
        1 => any::<u8>().prop_map(Op::Mark),
        1 => Just(Op::RaiseEpoch),
    ]
}

/// The local journal, and how much of its last file is durable.
struct OnDisk {
    dir: TempDir,
    journal: Option<LocalJournal>,
    durable: (u64, u64),
}

impl OnDisk {
    fn journal(&mut self) -> &mut LocalJournal {
        self.journal.as_mut().unwrap()
    }

    fn note_durable(&mut self) {
        let journal = self.journal();
        self.durable = (journal.header.first, journal.written.offset);
    }

    fn crash(&mut self, crash: Crash, segment_bytes: u64) {
        let journal = self.journal.take().unwrap();
        let (first, path) = (journal.header.first, journal.path());
        drop(journal);
        let durable = if first == self.durable.0 { self.durable.1 } else { HEADER_BYTES as u64 };
        let written = fs::metadata(&path).unwrap().len();
        let left = match crash {
            Crash::Process => written,
            Crash::Machine => durable,
            Crash::Torn => written.min(durable + 5),
        };
        OpenOptions::new().write(true).open(&path).unwrap().set_len(left).unwrap();
        self.journal = Some(open(self.dir.path(), segment_bytes));
        self.note_durable();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn on_disk_it_does_what_it_does_in_memory(ops in prop::collection::vec(op(), 1..120)) {
        const SEGMENT_BYTES: u64 = 700;
        let dir = TempDir::new().unwrap();
        let mut disk = OnDisk { journal: Some(open(dir.path(), SEGMENT_BYTES)), dir, durable: (0, HEADER_BYTES as u64) };
        let memory = MemoryDisk::with_segments_of(IDENTITY, SEGMENT_BYTES);
        let (mut model, _) = memory.open();
        let mut mark = 0;
        for op in ops {
            let journal = disk.journal();
            match op {
                Op::Append(bytes) => {
                    let payload = vec![bytes as u8; usize::from(bytes)];
                    prop_assert_eq!(journal.append(&payload).unwrap(), model.append(&payload).unwrap());
                }
                Op::Release => {
                    journal.release().unwrap();
                    model.release().unwrap();
                }
                Op::Sync => {
                    journal.sync().unwrap();
                    model.sync().unwrap();
                    disk.note_durable();
                }
                Op::Crash(crash) => {
                    memory.crash(crash);
                    model = memory.open().0;
                    disk.crash(crash, SEGMENT_BYTES);
                }
                Op::Trim(part) => {
                    let before = journal.next() * u64::from(part) / 255;
                    journal.trim(before).unwrap();
                    model.trim(before).unwrap();
                }
                Op::Mark(more) => {
                    mark += u64::from(more);
                    journal.set_mark(mark);
                    model.set_mark(mark);
                }
                Op::RaiseEpoch => {
                    let epoch = model.identity().epoch + 1;
                    journal.raise_epoch(epoch).unwrap();
                    model.raise_epoch(epoch).unwrap();
                    disk.note_durable();
                }
            }
            let journal = disk.journal();
            prop_assert_eq!(journal.identity(), model.identity());
            prop_assert_eq!((journal.first(), journal.next(), journal.hash()), (model.first(), model.next(), model.hash()));
            for pos in [0, journal.first(), journal.next() / 2, journal.next().saturating_sub(1), journal.next() + 1] {
                prop_assert_eq!(journal.hash_at(pos).unwrap(), model.hash_at(pos).unwrap(), "hash at {}", pos);
            }
            prop_assert_eq!(journal.reader().seek_mark(mark), model.reader().seek_mark(mark));
            prop_assert_eq!(journal.reader().seek_mark(mark / 2), model.reader().seek_mark(mark / 2));
            prop_assert_eq!(read_all(journal).0, read_all(&model).0);
        }
    }
}
