//! Opening: which segments there are, whether they fit together, and where the last one really ends.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::super::{Identity, JournalError, directory, hash_of_nothing};
use super::scan::{Place, Scan, Step};
use super::segment::{HEADER_BYTES, Header, RECORD_HEAD_BYTES, encode_sync_point, proves_durable};
use super::shared::{Segment, WAYPOINT_BYTES, file_name, first_of_name, written_at};

/// A write that was under way when the process or the machine ended. None of it was ever acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    pub file: PathBuf,
    pub offset: u64,
    pub bytes: u64,
}

/// What opening has found.
pub(super) struct Found {
    pub(super) segments: Vec<Segment>,
    pub(super) end: Place,
    /// What the records of the last segment take.
    pub(super) record_bytes: u64,
    /// The last segment, to be appended to.
    pub(super) file: File,
    pub(super) cut: Option<Cut>,
}

/// Makes the directory this process's own until the file is dropped.
pub(super) fn lock(dir: &Path) -> Result<File, JournalError> {
    directory::make(dir)?;
    let path = dir.join("lock");
    let file = File::create(&path).map_err(JournalError::io("create", &path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(JournalError::Locked { dir: dir.to_owned() }),
        Err(error) => Err(JournalError::io("lock", &path)(error.into())),
    }
}

pub(super) fn open(dir: &Path, identity_if_new: Identity, check_all: bool) -> Result<Found, JournalError> {
    let firsts = list(dir)?;
    let mut headers = Vec::with_capacity(firsts.len());
    for first in firsts {
        headers.push(read_header(dir, first)?);
    }
    if headers.is_empty() {
        let hash_before = hash_of_nothing(identity_if_new.id);
        let header =
            Header { identity: identity_if_new, first: 0, mark: 0, hash_before, previous_first: 0, previous_bytes: 0 };
        let file = create(dir, &header)?;
        let segment = Segment::new(header, 0, HEADER_BYTES as u64);
        return Ok(Found { segments: vec![segment], end: Place::start(&header), record_bytes: 0, file, cut: None });
    }
    let mut segments = Vec::with_capacity(headers.len());
    for pair in headers.windows(2) {
        segments.push(closed(dir, &pair[0], &pair[1], check_all)?);
    }
    let header = headers[headers.len() - 1];
    let Last { end, record_bytes, waypoints, file, cut } = open_last(dir, &header)?;
    segments.push(Segment { waypoints, ..Segment::new(header, end.pos, end.offset) });
    Ok(Found { segments, end, record_bytes, file, cut })
}

/// Writes a new segment file that is either there whole, or not at all.
pub(super) fn create(dir: &Path, header: &Header) -> Result<File, JournalError> {
    let path = dir.join(file_name(header.first));
    let new = path.with_extension(directory::UNFINISHED);
    let written =
        File::create(&new).and_then(|file| file.write_all_at(&header.encode(), 0).and_then(|()| file.sync_all()));
    written.map_err(JournalError::io("write", &new))?;
    fs::rename(&new, &path).map_err(JournalError::io("rename to", &path))?;
    directory::sync(dir)?;
    append_to(&path)
}

fn append_to(path: &Path) -> Result<File, JournalError> {
    OpenOptions::new().read(true).append(true).open(path).map_err(JournalError::io("open", path))
}

/// First positions, ascending.
fn list(dir: &Path) -> Result<Vec<u64>, JournalError> {
    directory::remove_unfinished(dir)?;
    let first_of = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).and_then(first_of_name);
    let mut firsts: Vec<u64> = directory::list(dir)?.iter().filter_map(first_of).collect();
    firsts.sort_unstable();
    Ok(firsts)
}

fn read_header(dir: &Path, first: u64) -> Result<Header, JournalError> {
    let file = dir.join(file_name(first));
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    File::open(&file)
        .and_then(|opened| io::Read::read_to_end(&mut io::Read::take(opened, HEADER_BYTES as u64), &mut bytes))
        .map_err(JournalError::io("read", &file))?;
    let damaged = |(offset, what)| JournalError::Damaged { file: file.clone(), offset, what };
    let header = Header::decode(&bytes).map_err(damaged)?;
    if header.first != first {
        return Err(damaged((32, format!("it begins with position {}, and its name says {first}", header.first))));
    }
    Ok(header)
}

/// A segment that another one follows: it was durable, whole, before that one was begun.
fn closed(dir: &Path, header: &Header, following: &Header, check_all: bool) -> Result<Segment, JournalError> {
    let next_file = dir.join(file_name(following.first));
    let misfit = |what: &str| JournalError::Damaged { file: next_file.clone(), offset: 0, what: what.into() };
    if following.identity.id != header.identity.id {
        return Err(misfit("it is of another journal than the segment before it"));
    }
    if following.previous_first != header.first {
        return Err(JournalError::Missing { file: dir.join(file_name(following.previous_first)) });
    }
    let path = dir.join(file_name(header.first));
    let file = File::open(&path).map_err(JournalError::io("open", &path))?;
    let bytes = file.metadata().map_err(JournalError::io("look at", &path))?.len();
    let expected = following.previous_bytes;
    if bytes != expected {
        let what = format!("it has {bytes} bytes, and by the next segment it had {expected}");
        return Err(JournalError::Damaged { file: path, offset: bytes.min(expected), what });
    }
    let mut segment = Segment::new(*header, following.first, bytes);
    segment.closed_at = Some(written_at(&file).map_err(JournalError::io("look at", &path))?);
    if check_all {
        let mut scan = Scan::new(file, *header, Place::start(header));
        scan.skip_to(following.first, bytes, &path)?;
        if scan.place().hash != following.hash_before {
            return Err(misfit("it does not continue the segment before it"));
        }
    }
    Ok(segment)
}

struct Last {
    end: Place,
    record_bytes: u64,
    waypoints: Vec<Place>,
    file: File,
    cut: Option<Cut>,
}

/// Finds the end of the segment that was being written, cuts off what never became a record, and makes the rest durable.
fn open_last(dir: &Path, header: &Header) -> Result<Last, JournalError> {
    let path = dir.join(file_name(header.first));
    let failed = |doing| JournalError::io(doing, &path);
    let file = append_to(&path)?;
    let bytes = file.metadata().map_err(failed("look at"))?.len();
    let mut scan = Scan::new(file.try_clone().map_err(failed("open"))?, *header, Place::start(header));
    // Where the last sync point begins: what stands before it is durable.
    let mut proof = Place::start(header);
    let mut waypoints = vec![proof];
    let mut record_bytes = 0;
    let bad = loop {
        let before = scan.place();
        match scan.step(bytes).map_err(failed("read"))? {
            Step::Record(entry) => record_bytes += (RECORD_HEAD_BYTES + entry.payload.len()) as u64,
            Step::SyncPoint => proof = before,
            Step::End => break None,
            Step::Bad(what) => break Some(what),
        }
        if waypoints.last().is_none_or(|last| before.offset >= last.offset + WAYPOINT_BYTES) {
            waypoints.push(before);
        }
    };
    let mut end = scan.place();
    let mut rest = read_range(&file, proof.offset, bytes).map_err(failed("read"))?;
    let kept = (end.offset - proof.offset) as usize;
    if let Some(what) = bad.filter(|_| proves_durable(&rest[kept..], header.identity, end.pos)) {
        return Err(scan.damage(&path, &format!("{what}, and what stands behind shows that it was once whole")));
    }
    rest.truncate(kept);
    write_anew(&path, proof.offset, &rest).map_err(failed("write"))?;
    if end.pos > proof.pos {
        (&file).write_all(&encode_sync_point(header.identity, end.pos, end.hash)).map_err(failed("write"))?;
    }
    let cut = (end.offset < bytes).then(|| Cut { file: path.clone(), offset: end.offset, bytes: bytes - end.offset });
    end.offset = file.metadata().map_err(failed("look at"))?.len();
    Ok(Last { end, record_bytes, waypoints, file, cut })
}

/// After a failed fsync the kernel may show bytes that it never wrote and no longer means to write. So the end of the
/// file, from the last proof on, is written anew before it is trusted: the same bytes over themselves, which a crash
/// at any point leaves as they are.
fn write_anew(path: &Path, from: u64, bytes: &[u8]) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.write_all_at(bytes, from)?;
    file.set_len(from + bytes.len() as u64)?;
    file.sync_all()
}

fn read_range(file: &File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; (to - from) as usize];
    file.read_exact_at(&mut bytes, from)?;
    Ok(bytes)
}
