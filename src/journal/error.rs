use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("cannot {doing} {}: {source}{}", .file.display(), advice(.source))]
    Io { doing: &'static str, file: PathBuf, source: io::Error },

    /// What came before has failed, so nobody knows what is on disk.
    #[error(
        "the journal takes nothing more since it failed ({why}): end the process; the next start finds out what is durable"
    )]
    Failed { why: Box<str> },

    #[error("a record of {bytes} bytes is larger than a journal takes ({limit} bytes)")]
    TooLarge { bytes: usize, limit: usize },

    #[error("position {wanted} is no longer held; the oldest is {first}")]
    Trimmed { wanted: u64, first: u64 },

    #[error(
        "{} is damaged at byte {offset}: {what}. Nothing was changed. Put the file back from a copy of the disk, \
         or move the journal away and run `vigil recover`", .file.display()
    )]
    Damaged { file: PathBuf, offset: u64, what: String },

    #[error("the segment {} is missing. Put it back, or move the journal away and run `vigil recover`", .file.display())]
    Missing { file: PathBuf },

    #[error("{} is in use by another process: stop that one, or give this one a directory of its own", .dir.display())]
    Locked { dir: PathBuf },

    #[error("epoch {asked} is not above the present one, {present}")]
    Epoch { asked: u32, present: u32 },
}

/// What somebody can do about it, where that is known.
fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            ". Make room on that disk, then start again: what was acknowledged is safe"
        }
        _ => "",
    }
}

impl JournalError {
    pub(crate) fn io(doing: &'static str, file: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let file = file.as_ref().to_owned();
        move |source| Self::Io { doing, file, source }
    }
}
