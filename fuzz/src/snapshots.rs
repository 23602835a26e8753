//! Snapshots: the file, and the state in it.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use tempfile::TempDir;
use vigil::core::Core;
use vigil::journal::snapshots::SnapshotDir;
use vigil::model::time::Wall;

use super::script::Script;

const POS: u64 = 7;
const TAKEN_AT: Wall = Wall(9);

thread_local! {
    /// One folder for all inputs: each writes the same file anew.
    static FOLDER: TempDir = tempfile::tempdir().expect("a folder can be made");
}

/// The first byte says what the rest is: `v` a whole file; else a content, before it two bytes that say where to spoil
/// the file that is made of it.
///
/// A file that is taken is one that we would write, and a spoilt one is refused.
pub fn file(input: &[u8]) {
    FOLDER.with(|folder| check_file(input, folder.path()));
}

fn check_file(input: &[u8], folder: &Path) {
    let dir = SnapshotDir::open(folder).expect("the folder can be opened");
    let path = folder.join(format!("{POS:020}-{}.snapshot", TAKEN_AT.0));
    let write = |content: &[u8]| {
        let info = dir.write(POS, TAKEN_AT, |out| out.write_all(content)).expect("it can be written");
        assert_eq!(info.file, path);
        fs::read(&path).expect("what was written can be read")
    };
    if input.first() == Some(&b'v') {
        fs::write(&path, input).expect("it can be written");
        if let Ok(Some(snapshot)) = dir.newest() {
            assert_eq!((snapshot.pos, snapshot.taken_at), (POS, TAKEN_AT));
            assert_eq!(write(&snapshot.content), input);
        }
        return;
    }
    let mut script = Script(input);
    let (at, mask) = (script.word(), script.byte());
    let mut bytes = write(script.0);
    let read = dir.newest().expect("what was written can be read").expect("it is there");
    assert_eq!(read.content, script.0);
    assert!(read.skipped.is_empty());
    let at = usize::from(at) % bytes.len();
    bytes[at] ^= mask;
    fs::write(&path, &bytes).expect("it can be written");
    assert_eq!(dir.newest().is_err(), mask != 0);
}

/// A state that can be read is written in one way, and read from that as the same.
pub fn content(input: &[u8]) {
    let Ok(core) = Core::restore(Bytes::copy_from_slice(input)) else { return };
    // What is left over from a record is in no snapshot of ours.
    if !core.is_settled() {
        return;
    }
    let bytes = core.freeze().encode();
    let again = Core::restore(bytes.clone().into()).expect("what was written can be read");
    assert!(again.is_settled());
    assert!(again.freeze().encode() == bytes, "it is written in two ways");
    assert_eq!(again.next_deadline(), core.next_deadline());
}
