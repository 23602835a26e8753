//! Text files that people write and we only read: rules and timelines.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum TextFileError {
    #[error("{} can't be read: {source}{}", shown(.file), advice(.source))]
    Read { file: PathBuf, source: io::Error },
    #[error("{} is no file", shown(.file))]
    NoFile { file: PathBuf },
    #[error("{} is larger than {} KiB", shown(.file), .most_bytes / 1024)]
    TooLarge { file: PathBuf, most_bytes: usize },
    #[error("{} is not UTF-8 text", shown(.file))]
    NotText { file: PathBuf },
}

impl TextFileError {
    pub fn file(&self) -> &Path {
        let (Self::Read { file, .. } | Self::NoFile { file } | Self::TooLarge { file, .. } | Self::NotText { file }) =
            self;
        file
    }
}

/// Reads it whole, unless it is larger, no file, or not text.
pub fn read(file: &Path, most_bytes: usize) -> Result<String, TextFileError> {
    let failed = |source| TextFileError::Read { file: file.to_owned(), source };
    // Opening a pipe would wait for whoever writes into it, and a device may never end.
    if !fs::metadata(file).map_err(failed)?.is_file() {
        return Err(TextFileError::NoFile { file: file.to_owned() });
    }
    let mut bytes = Vec::new();
    let opened = fs::File::open(file).map_err(failed)?;
    opened.take(most_bytes as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > most_bytes {
        return Err(TextFileError::TooLarge { file: file.to_owned(), most_bytes });
    }
    String::from_utf8(bytes).map_err(|_| TextFileError::NotText { file: file.to_owned() })
}

/// A name that can't command a terminal: whoever names a file may be somebody else than who reads of it.
pub fn shown(path: &Path) -> String {
    path.display().to_string().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Whether its name begins with a dot: editors keep their locks and copies so.
pub fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// What to do about a file that is there by its name and can't be read.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "; let the user that vigil runs as read it",
        io::ErrorKind::NotFound => "; it is gone, or a link to nothing: remove the link",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_file_is_named_and_not_read_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("fits"), "12345678").unwrap();
        std::fs::write(path("large"), "123456789").unwrap();
        std::fs::write(path("bytes"), [0xff]).unwrap();
        std::os::unix::fs::symlink("nowhere", path("dangling")).unwrap();
        assert_eq!(read(&path("fits"), 8).unwrap(), "12345678");
        for (file, why) in [
            (path("large"), "large is larger than 0 KiB"),
            (path("bytes"), "bytes is not UTF-8 text"),
            (path("dangling"), "remove the link"),
            (dir.path().to_owned(), "is no file"),
            (PathBuf::from("/dev/zero"), "/dev/zero is no file"),
            (path("a\u{1b}[2J"), "a\u{fffd}[2J can't be read"),
        ] {
            let error = read(&file, 8).unwrap_err();
            assert!(error.to_string().contains(why) && error.file() == file, "{why}: {error}");
        }
    }
}
