use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::JournalError;

/// What the name of a file ends in while it is being written; a crash may leave some.
pub(super) const UNFINISHED: &str = "new";

/// Makes what was created, renamed or removed in a directory durable.
pub(super) fn sync(dir: &Path) -> Result<(), JournalError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(JournalError::io("sync the directory", dir))
}

/// Makes a directory, durably, if it isn't there.
pub(super) fn make(dir: &Path) -> Result<(), JournalError> {
    if dir.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(dir).map_err(JournalError::io("create", dir))?;
    sync(dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

pub(super) fn list(dir: &Path) -> Result<Vec<PathBuf>, JournalError> {
    let entries = fs::read_dir(dir).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    entries.map_err(JournalError::io("list", dir))
}

pub(super) fn remove_unfinished(dir: &Path) -> Result<(), JournalError> {
    for path in list(dir)? {
        if path.extension().is_some_and(|extension| extension == UNFINISHED) {
            fs::remove_file(&path).map_err(JournalError::io("remove", &path))?;
        }
    }
    Ok(())
}
