//! What the writer tells its readers. Held under a lock for moments only, never during I/O.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::SegmentInfo;
use super::scan::Place;
use super::segment::Header;
use crate::model::time::Wall;

/// A place is remembered about every so many bytes of a segment, so that finding a position needs no long walk.
pub(super) const WAYPOINT_BYTES: u64 = 256 * 1024;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) dir: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    /// Oldest first; never empty. The last one is the one being written.
    pub(super) segments: Vec<Segment>,
    /// The position after the last one that readers may see.
    pub(super) released: u64,
}

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) header: Header,
    /// The position after its last record in the file.
    pub(super) next: u64,
    /// Length of the file, as far as it was written.
    pub(super) bytes: u64,
    pub(super) closed_at: Option<Wall>,
    /// Ascending; the first is the start.
    pub(super) waypoints: Vec<Place>,
}

/// A segment as it was a moment ago, and where to begin in it for a certain position.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    pub(super) header: Header,
    pub(super) next: u64,
    pub(super) bytes: u64,
    pub(super) nearest: Place,
}

impl Segment {
    pub(super) fn new(header: Header, next: u64, bytes: u64) -> Self {
        Self { header, next, bytes, closed_at: None, waypoints: vec![Place::start(&header)] }
    }

    fn info(&self) -> SegmentInfo {
        SegmentInfo { first: self.header.first, next: self.next, bytes: self.bytes, closed_at: self.closed_at }
    }
}

impl Shared {
    pub(super) fn new(dir: PathBuf, segments: Vec<Segment>) -> Self {
        let released = segments.last().map_or(0, |segment| segment.next);
        Self { dir, state: Mutex::new(State { segments, released }) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Every change of the state is a few plain assignments: a panic elsewhere leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn segment_file(&self, first: u64) -> PathBuf {
        self.dir.join(file_name(first))
    }
}

impl State {
    pub(super) fn first(&self) -> u64 {
        self.segments.first().map_or(0, |segment| segment.header.first)
    }

    pub(super) fn last(&mut self) -> &mut Segment {
        self.segments.last_mut().expect("a journal has a segment from the start")
    }

    pub(super) fn infos(&self) -> Vec<SegmentInfo> {
        self.segments.iter().map(Segment::info).collect()
    }

    /// The segment that holds `pos`, or will.
    pub(super) fn view(&self, pos: u64) -> Option<View> {
        let n = self.segments.partition_point(|segment| segment.header.first <= pos).checked_sub(1)?;
        let Segment { header, next, bytes, waypoints, .. } = &self.segments[n];
        let nearest = waypoints[waypoints.partition_point(|place| place.pos <= pos).saturating_sub(1)];
        Some(View { header: *header, next: *next, bytes: *bytes, nearest })
    }
}

/// Padded, so that the order of names is that of positions.
pub(super) fn file_name(first: u64) -> String {
    format!("{first:020}.segment")
}

/// The first position of a segment file, by its name; `None` for other files.
pub(super) fn first_of_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".segment")?;
    (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// When a file was last written.
pub(super) fn written_at(file: &File) -> io::Result<Wall> {
    let since = file.metadata()?.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Ok(Wall(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
}
