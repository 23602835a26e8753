//! Snapshot files: the state of the core after a position of the inbox, so that a restart replays only what follows.
//!
//! ```text
//! magic 8 · version u32 · position u64 · taken at i64 · content · length of the content u64 · CRC-32C of all this u32
//! ```
//!
//! What the content means is the caller's; the journal's identity and running hash belong into it. All numbers are
//! little-endian.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::{JournalError, directory};
use crate::limits::SNAPSHOT_BYTES;
use crate::model::time::Wall;

const MAGIC: &[u8; 8] = b"vigilsnp";
const VERSION: u32 = 1;
const HEAD_BYTES: usize = 28;
const TAIL_BYTES: usize = 12;
/// Read from a file at a time, and written: the pieces of a state are about as large.
const READ_BYTES: usize = 64 * 1024;
const WRITE_BYTES: usize = 64 * 1024;

/// Always kept.
const NEWEST: usize = 2;
/// Beside them, the first one of every such span is kept …
const SPAN_MS: i64 = 6 * 3_600_000;
/// … as long as it is not older than this.
const KEPT_MS: i64 = 24 * 3_600_000;

#[derive(Debug)]
pub struct SnapshotDir {
    dir: PathBuf,
}

/// One that was read whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The inbox position of the first record that is not in it.
    pub pos: u64,
    pub taken_at: Wall,
    pub content: Vec<u8>,
    /// Newer ones that are damaged, each with what is wrong with it.
    pub skipped: Vec<(PathBuf, String)>,
}

/// One that is there; whether it is sound shows when it is read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotInfo {
    pub pos: u64,
    pub taken_at: Wall,
    pub file: PathBuf,
}

impl SnapshotDir {
    /// Makes the directory if need be, and removes what a crash left half written.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, JournalError> {
        let dir = dir.into();
        directory::make(&dir)?;
        directory::remove_unfinished(&dir)?;
        Ok(Self { dir })
    }

    /// Those of a service that may be running: nothing is made or removed.
    pub fn look(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Writes a snapshot that is either there whole, or not at all. `content` writes into a buffer of its own.
    pub fn write(
        &self,
        pos: u64,
        taken_at: Wall,
        content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<SnapshotInfo, JournalError> {
        let file = self.dir.join(file_name(pos, taken_at));
        let new = file.with_extension(directory::UNFINISHED);
        if let Err(error) = write_file(&new, pos, taken_at, content) {
            // A full disk should not be filled with what is of no use; the error to tell is the first one.
            let _removed = fs::remove_file(&new);
            return Err(JournalError::io("write", &new)(error));
        }
        fs::rename(&new, &file).map_err(JournalError::io("rename to", &file))?;
        directory::sync(&self.dir)?;
        Ok(SnapshotInfo { pos, taken_at, file })
    }

    /// The newest one that is sound. `Ok(None)`: there is none at all. Where there are only damaged ones, or a file
    /// can't be read for another reason, it is an error: to begin anew must be somebody's decision.
    pub fn newest(&self) -> Result<Option<Snapshot>, JournalError> {
        let mut skipped = Vec::new();
        for info in self.list()?.into_iter().rev() {
            let bytes = read_file(&info.file)?;
            match check(bytes, &info) {
                Ok(content) => return Ok(Some(Snapshot { pos: info.pos, taken_at: info.taken_at, content, skipped })),
                Err(what) => skipped.push((info.file, what)),
            }
        }
        match skipped.into_iter().next() {
            None => Ok(None),
            Some((file, what)) => {
                Err(JournalError::Damaged { file, offset: 0, what: format!("{what}, and no older snapshot is sound") })
            }
        }
    }

    /// The content of one, to be read piece by piece: it was read once by now, and matches its checksum. `Ok(None)`: it is
    /// damaged, or was pruned meanwhile.
    pub fn open_one(&self, info: &SnapshotInfo) -> Result<Option<impl BufRead + use<>>, JournalError> {
        let file = match File::open(&info.file) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(JournalError::io("open", &info.file)(error)),
        };
        content(file, info).map_err(JournalError::io("read", &info.file))
    }

    /// All that are there, oldest first. The inbox must be kept from the position of the oldest one to be used.
    pub fn list(&self) -> Result<Vec<SnapshotInfo>, JournalError> {
        let info = |file: PathBuf| {
            let (pos, taken_at) = numbers_of_name(file.file_name()?.to_str()?)?;
            Some(SnapshotInfo { pos, taken_at, file })
        };
        let mut infos: Vec<_> = directory::list(&self.dir)?.into_iter().filter_map(info).collect();
        infos.sort_unstable();
        Ok(infos)
    }

    /// Removes all but the two newest and the first one of every 6 h of the last 24 h. Returns what it removed.
    pub fn prune(&self, now: Wall) -> Result<Vec<PathBuf>, JournalError> {
        let infos = self.list()?;
        let newest = infos.len().saturating_sub(NEWEST);
        let mut spans = Vec::new();
        let mut removed = Vec::new();
        for (n, info) in infos.into_iter().enumerate() {
            let span = info.taken_at.0.div_euclid(SPAN_MS);
            let is_first = !spans.contains(&span);
            spans.push(span);
            // A clock that stepped back has made some from the future: those go like the old ones.
            let is_recent = (0..=KEPT_MS).contains(&(now - info.taken_at));
            if n >= newest || (is_first && is_recent) {
                continue;
            }
            fs::remove_file(&info.file).map_err(JournalError::io("remove", &info.file))?;
            removed.push(info.file);
        }
        if !removed.is_empty() {
            directory::sync(&self.dir)?;
        }
        Ok(removed)
    }
}

fn file_name(pos: u64, taken_at: Wall) -> String {
    format!("{pos:020}-{}.snapshot", taken_at.0)
}

fn numbers_of_name(name: &str) -> Option<(u64, Wall)> {
    let (pos, taken_at) = name.strip_suffix(".snapshot")?.split_once('-')?;
    Some((pos.parse().ok()?, Wall(taken_at.parse().ok()?)))
}

fn head(pos: u64, taken_at: Wall) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[..8].copy_from_slice(MAGIC);
    head[8..12].copy_from_slice(&VERSION.to_le_bytes());
    head[12..20].copy_from_slice(&pos.to_le_bytes());
    head[20..].copy_from_slice(&taken_at.0.to_le_bytes());
    head
}

fn write_file(
    path: &Path,
    pos: u64,
    taken_at: Wall,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let file = File::create(path)?;
    let mut out = Summed { inner: BufWriter::with_capacity(WRITE_BYTES, file), crc: 0, bytes: 0 };
    out.write_all(&head(pos, taken_at))?;
    content(&mut out)?;
    let length = out.bytes - HEAD_BYTES as u64;
    if length > SNAPSHOT_BYTES {
        let why = format!("a snapshot of {length} bytes is above the limit of {SNAPSHOT_BYTES}");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    out.write_all(&length.to_le_bytes())?;
    let crc = out.crc;
    out.write_all(&crc.to_le_bytes())?;
    out.inner.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// Sums up what goes through it.
struct Summed {
    inner: BufWriter<File>,
    crc: u32,
    bytes: u64,
}

impl Write for Summed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.crc = crc32c::crc32c_append(self.crc, &bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// `None`: the file is not the snapshot that it should be.
fn content(mut file: File, info: &SnapshotInfo) -> io::Result<Option<io::Take<BufReader<File>>>> {
    let size = file.metadata()?.len();
    let Some(length) = size.checked_sub((HEAD_BYTES + TAIL_BYTES) as u64).filter(|it| *it <= SNAPSHOT_BYTES) else {
        return Ok(None);
    };
    let mut summed = Sum { inner: BufReader::with_capacity(READ_BYTES, &file), crc: 0 };
    let (mut head_read, mut tail) = ([0; HEAD_BYTES], [0; TAIL_BYTES]);
    summed.read_exact(&mut head_read)?;
    io::copy(&mut summed.by_ref().take(length), &mut io::sink())?;
    summed.read_exact(&mut tail[..8])?;
    let crc = summed.crc;
    summed.read_exact(&mut tail[8..])?;
    let is_sound = head_read == head(info.pos, info.taken_at)
        && tail[..8] == length.to_le_bytes()
        && tail[8..] == crc.to_le_bytes();
    file.seek(SeekFrom::Start(HEAD_BYTES as u64))?;
    Ok(is_sound.then(|| BufReader::with_capacity(READ_BYTES, file).take(length)))
}

/// Sums up what is read through it.
struct Sum<R> {
    inner: R,
    crc: u32,
}

impl<R: Read> Read for Sum<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.crc = crc32c::crc32c_append(self.crc, &bytes[..read]);
        Ok(read)
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, JournalError> {
    let size = fs::metadata(path).map_err(JournalError::io("look at", path))?.len();
    if size > SNAPSHOT_BYTES + (HEAD_BYTES + TAIL_BYTES) as u64 {
        // Too short to be one: it is set aside as damaged, and not read.
        return Ok(Vec::new());
    }
    fs::read(path).map_err(JournalError::io("read", path))
}

/// The content, or what is wrong.
fn check(mut bytes: Vec<u8>, info: &SnapshotInfo) -> Result<Vec<u8>, String> {
    let Some(end) = bytes.len().checked_sub(TAIL_BYTES).filter(|end| *end >= HEAD_BYTES) else {
        return Err("it is too short, or too long, to be a snapshot".into());
    };
    let (summed, crc) = bytes.split_at(end + 8);
    if crc32c::crc32c(summed).to_le_bytes() != *crc {
        return Err("it does not match its checksum".into());
    }
    if summed[..HEAD_BYTES] != head(info.pos, info.taken_at) {
        return Err(format!("it is not a snapshot of format {VERSION}, or not the one that its name says"));
    }
    if summed[end..] != ((end - HEAD_BYTES) as u64).to_le_bytes() {
        return Err("it has not the length that it says".into());
    }
    bytes.truncate(end);
    bytes.drain(..HEAD_BYTES);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn two_snapshots() -> (TempDir, SnapshotDir, PathBuf) {
        let dir = TempDir::new().unwrap();
        let snapshots = SnapshotDir::open(dir.path()).unwrap();
        snapshots.write(10, Wall(1_000), |out| out.write_all(b"older")).unwrap();
        let newer = snapshots.write(20, Wall(2_000), |out| out.write_all(b"the newer one")).unwrap();
        (dir, snapshots, newer.file)
    }

    #[test]
    fn a_snapshot_is_read_as_it_was_written() {
        let (_dir, snapshots, _) = two_snapshots();
        let newest = snapshots.newest().unwrap().unwrap();
        let expected =
            Snapshot { pos: 20, taken_at: Wall(2_000), content: b"the newer one".to_vec(), skipped: Vec::new() };
        assert_eq!(newest, expected);
    }

    #[test]
    fn a_damaged_one_is_named_and_the_older_one_used() {
        let (_dir, snapshots, newer) = two_snapshots();
        let sound = fs::read(&newer).unwrap();
        let info = snapshots.list().unwrap().pop().unwrap();
        let open_newest = |snapshots: &SnapshotDir| {
            let mut content = Vec::new();
            snapshots.open_one(&info).unwrap()?.read_to_end(&mut content).unwrap();
            Some(content)
        };
        let cuts = (0..sound.len()).map(|length| sound[..length].to_vec());
        let flips = (0..sound.len() * 3).map(|n| {
            let mut spoilt = sound.clone();
            spoilt[n / 3] ^= [0x01, 0x80, 0xff][n % 3];
            spoilt
        });
        let longer = [sound.as_slice(), b"\0"].concat();
        for spoilt in cuts.chain(flips).chain([longer]) {
            fs::write(&newer, &spoilt).unwrap();
            let newest = snapshots.newest().unwrap().unwrap();
            assert_eq!((newest.pos, newest.content.as_slice()), (10, b"older".as_slice()), "{spoilt:?}");
            assert_eq!(newest.skipped.len(), 1);
            assert_eq!(newest.skipped[0].0, newer);
            assert!(open_newest(&snapshots).is_none(), "{spoilt:?}");
        }
        fs::write(&newer, &sound).unwrap();
        assert_eq!(open_newest(&snapshots).unwrap(), b"the newer one");
        fs::remove_file(&newer).unwrap();
        assert!(snapshots.open_one(&info).unwrap().is_none(), "it was pruned meanwhile");
    }

    #[test]
    fn where_all_are_damaged_nothing_begins_anew_by_itself() {
        let dir = TempDir::new().unwrap();
        let snapshots = SnapshotDir::open(dir.path()).unwrap();
        assert_eq!(snapshots.newest().unwrap(), None);
        let info = snapshots.write(1, Wall(1), |out| out.write_all(b"x")).unwrap();
        fs::write(&info.file, b"spoilt").unwrap();
        assert!(matches!(snapshots.newest(), Err(JournalError::Damaged { file, .. }) if file == info.file));
    }

    #[test]
    fn one_that_was_not_finished_is_not_there() {
        let (dir, snapshots, _) = two_snapshots();
        let result = snapshots.write(30, Wall(3_000), |out| {
            out.write_all(b"half")?;
            Err(io::Error::other("the test wants it to fail"))
        });
        assert!(matches!(result, Err(JournalError::Io { doing: "write", .. })));
        assert_eq!(snapshots.newest().unwrap().unwrap().pos, 20);
        assert_eq!(directory::list(dir.path()).unwrap().len(), 2);
        fs::write(dir.path().join("30.new"), "half").unwrap();
        let snapshots = SnapshotDir::open(dir.path()).unwrap();
        assert_eq!((snapshots.list().unwrap().len(), directory::list(dir.path()).unwrap().len()), (2, 2));
    }

    #[test]
    fn pruning_keeps_the_two_newest_and_one_for_every_six_hours_of_a_day() {
        const HOUR_MS: i64 = 3_600_000;
        let check = |taken_at_hours: &[i64], now_hours: i64, kept_hours: &[i64]| {
            let dir = TempDir::new().unwrap();
            let snapshots = SnapshotDir::open(dir.path()).unwrap();
            for (pos, hours) in taken_at_hours.iter().enumerate() {
                snapshots.write(pos as u64, Wall(hours * HOUR_MS), |_| Ok(())).unwrap();
            }
            snapshots.prune(Wall(now_hours * HOUR_MS)).unwrap();
            let kept: Vec<i64> = snapshots.list().unwrap().iter().map(|info| info.taken_at.0 / HOUR_MS).collect();
            assert_eq!(kept, kept_hours, "of {taken_at_hours:?} at {now_hours}");
        };
        check(&[], 100, &[]);
        check(&[1, 2], 100, &[1, 2]);
        check(&[1, 2, 3], 100, &[2, 3]);
        let hourly: Vec<i64> = (60..=100).collect();
        check(&hourly, 100, &[78, 84, 90, 96, 99, 100]);
        // The clock was set back from 200 to 100.
        check(&[199, 200, 99, 100, 101], 101, &[99, 100, 101]);
    }
}
