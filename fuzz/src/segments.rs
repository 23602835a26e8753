//! Journals on disk.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vigil::journal::local::{LocalJournal, Opened, Options};
use vigil::journal::{Entry, Identity, Journal, JournalError};

use super::script::{Script, is_one_in};

const IDENTITY: Identity = Identity { id: 0x5eed, epoch: 1 };

thread_local! {
    /// One folder for all inputs, emptied before each.
    static FOLDER: TempDir = tempfile::tempdir().expect("a folder can be made");
}

/// The first byte says what the rest is: `v` the whole of the first segment; else a journal to be written, and what
/// is then done to its files.
///
/// Whatever stands in the files, opening and reading never give an entry that wasn't written, and a journal that opens
/// can be appended to and opened again. One changed byte never drops what was durable.
pub fn segments(input: &[u8]) {
    FOLDER.with(|folder| check_segments(input, folder.path(), true));
}

/// Whether a journal can be gone on with, and what it gives without being read through first, only now and then: each
/// opening is some thirty calls of the system.
pub fn segments_in_part(input: &[u8]) {
    FOLDER.with(|folder| check_segments(input, folder.path(), is_one_in(8, input)));
}

fn check_segments(input: &[u8], dir: &Path, whole: bool) {
    for file in segment_files(dir) {
        fs::remove_file(file).expect("the segment can be removed");
    }
    if input.first() == Some(&b'v') {
        let file = dir.join(format!("{:020}.segment", 0));
        fs::write(file, input).expect("the segment can be written");
        check(dir, 1024, whole, None);
        return;
    }
    let mut script = Script(input);
    let segment_bytes = 40 + u64::from(script.byte());
    let (written, durable) = write(dir, segment_bytes, &mut script);
    let damage = spoil(dir, &mut script);
    let count = check(dir, segment_bytes, whole, Some(&written));
    match damage {
        Damage::None => assert_eq!(count, Some(written.len())),
        Damage::OneByte => assert!(count.is_none_or(|count| count >= durable), "{count:?} of {durable} durable ones"),
        Damage::More => {}
    }
}

enum Damage {
    None,
    OneByte,
    More,
}

fn options(segment_bytes: u64, check_all: bool) -> Options {
    Options { segment_bytes, check_all, ..Options::new(IDENTITY) }
}

/// Returns all that was appended, and how much of it was durable.
fn write(dir: &Path, segment_bytes: u64, script: &mut Script<'_>) -> (Vec<Entry>, usize) {
    let opened = LocalJournal::open(dir, &options(segment_bytes, true)).expect("an empty folder becomes a journal");
    let mut journal = opened.journal;
    let (mut written, mut durable, mut epoch) = (Vec::new(), 0, 1);
    for _ in 0..32 {
        match script.index(8) {
            0 => break,
            1 => {
                journal.sync().expect("it can be synced");
                durable = written.len();
            }
            2 => journal.release().expect("it can be released"),
            3 => {
                epoch += 1;
                journal.raise_epoch(epoch).expect("a higher epoch is taken");
                durable = written.len();
            }
            _ => {
                let count = script.index(48);
                let payload = bytes::Bytes::copy_from_slice(script.bytes(count));
                let pos = journal.append(&payload).expect("a small record is taken");
                written.push(Entry { pos, hash_after: journal.hash(), payload });
            }
        }
    }
    journal.release().expect("it can be released");
    (written, durable)
}

fn segment_files(dir: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir).expect("the folder is there").map(|entry| entry.expect("its entry is").path());
    let mut files: Vec<_> = paths.filter(|path| path.extension().is_some_and(|e| e == "segment")).collect();
    files.sort();
    files
}

fn spoil(dir: &Path, script: &mut Script<'_>) -> Damage {
    let mut damage = Damage::None;
    for _ in 0..8 {
        if script.is_over() {
            break;
        }
        let kind = script.index(8);
        let files = segment_files(dir);
        let Some(file) = files.get(script.index(files.len().max(1))) else { return Damage::More };
        let mut content = fs::read(file).expect("the segment can be read");
        let at = usize::from(script.word()) % content.len().max(1);
        let before = content.clone();
        match kind {
            0..4 => content.get_mut(at).into_iter().for_each(|byte| *byte ^= script.byte()),
            4 => content.truncate(at),
            5 => content.extend_from_slice(script.bytes(24)),
            6 => drop(content.drain(at..content.len().min(at + 8))),
            _ => {
                fs::remove_file(file).expect("the segment can be removed");
                damage = Damage::More;
                continue;
            }
        }
        if content != before {
            let is_first = matches!(damage, Damage::None) && kind < 4;
            damage = if is_first { Damage::OneByte } else { Damage::More };
            fs::write(file, content).expect("the segment can be written");
        }
    }
    damage
}

/// Opens it, both ways if `whole`. Returns how many entries it gives, or `None` if it is refused.
fn check(dir: &Path, segment_bytes: u64, whole: bool, written: Option<&[Entry]>) -> Option<usize> {
    let is_written = |read: &[Entry]| {
        let Some(written) = written else { return };
        for entry in read {
            let same = usize::try_from(entry.pos).ok().and_then(|pos| written.get(pos));
            assert_eq!(Some(entry), same, "nobody wrote this");
        }
    };
    if whole && let Ok(Opened { journal, .. }) = LocalJournal::open(dir, &options(segment_bytes, false)) {
        is_written(&read_all(&journal).0);
    }
    let Opened { mut journal, .. } = LocalJournal::open(dir, &options(segment_bytes, true)).ok()?;
    let (read, error) = read_all(&journal);
    is_written(&read);
    assert!(error.is_none(), "it was checked, and then {error:?}");
    assert!(read.iter().map(|entry| entry.pos).eq(journal.first()..journal.next()));
    assert_eq!(read.last().map_or(journal.hash(), |entry| entry.hash_after), journal.hash());
    if !whole {
        return Some(read.len());
    }
    journal.append(b"goes on").expect("a record is taken");
    journal.sync().expect("it can be synced");
    drop(journal);
    let opened = LocalJournal::open(dir, &options(segment_bytes, true)).expect("it opens again");
    let (again, error) = read_all(&opened.journal);
    assert!(error.is_none() && opened.cut.is_none());
    assert_eq!(again[..read.len()], read);
    assert_eq!(again.last().map(|entry| &entry.payload[..]), Some(&b"goes on"[..]));
    Some(read.len())
}

/// All that can be read, and what stopped it.
fn read_all(journal: &dyn Journal) -> (Vec<Entry>, Option<JournalError>) {
    let mut reader = journal.reader();
    let (mut all, mut some) = (Vec::new(), Vec::new());
    loop {
        let from = all.last().map_or(reader.first(), |entry: &Entry| entry.pos + 1);
        match reader.read(from, 5, usize::MAX, &mut some) {
            Ok(()) if some.is_empty() => return (all, None),
            Ok(()) => all.append(&mut some),
            Err(error) => return (all, Some(error)),
        }
    }
}
