//! The note beside the journals of which store they were last seen to fit.
//!
//! A service that starts while the database is away can't ask it whether these journals are the ones that it follows. If they
//! aren't, say because they were restored from a backup, whatever is acknowledged into them is lost to everybody else. So
//! what was once found to fit is noted, and only journals with a note that is theirs are trusted without asking.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::store::Checkpoint;

/// The folders whose contents the note vouches for.
const JOURNALS: [&str; 2] = ["inbox", "outbox"];

/// What is noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The store's own id; `None`: somebody decided to go on without having asked one.
    pub store: Option<u128>,
    /// A place of the outbox up to which they belonged together.
    pub at: Checkpoint,
}

/// The file that holds the note.
#[derive(Debug, Clone)]
pub struct KnownStore {
    data_dir: PathBuf,
}

impl KnownStore {
    /// `data_dir` is the folder in which the journals are.
    pub fn new(data_dir: &Path) -> Self {
        Self { data_dir: data_dir.to_owned() }
    }

    /// What is noted of these journals; `Err`: there is no note, or it is not theirs, and why.
    pub fn read(&self) -> Result<Known, String> {
        let file = self.file();
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err("they have met none yet".into()),
            Err(error) => return Err(format!("{} can't be read: {error}", file.display())),
        };
        let Some((known, folders)) = parse(&text) else {
            return Err(format!("{} is damaged", file.display()));
        };
        match self.folders() {
            Ok(present) if present == folders => Ok(known),
            Ok(_) => Err("they have been copied or restored since they last met it".into()),
            Err(error) => Err(format!("{} can't be looked at: {error}", self.data_dir.display())),
        }
    }

    /// Durable when it returns. Takes the place of what was noted before.
    pub fn write(&self, known: &Known) -> io::Result<()> {
        let Checkpoint { journal, epoch, position, hash } = known.at;
        let store = known.store.map_or_else(|| "unseen".to_owned(), |id| format!("{id:032x}"));
        let text = format!(
            "store {store}\njournal {journal:032x}\nepoch {epoch}\nposition {position}\nhash {hash:08x}\nfolders {}\n",
            self.folders()?
        );
        let new = self.file().with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, self.file())?;
        File::open(&self.data_dir)?.sync_all()
    }

    fn file(&self) -> PathBuf {
        self.data_dir.join("known-store")
    }

    /// What tells these folders from copies of them: a copy, or what a backup restores, has another inode or was born at
    /// another time. (A file system that tells no time of birth leaves the inode.)
    fn folders(&self) -> io::Result<String> {
        let of = |name: &str| {
            let folder = fs::metadata(self.data_dir.join(name))?;
            let born = folder.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            Ok(format!("{}@{}", folder.ino(), born.map_or(0, |since| since.as_nanos())))
        };
        let all: io::Result<Vec<String>> = JOURNALS.into_iter().map(of).collect();
        Ok(all?.join(","))
    }
}

/// The note, and the folders it is of.
fn parse(text: &str) -> Option<(Known, &str)> {
    let mut lines = text.lines();
    let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
    let store = match value("store")? {
        "unseen" => None,
        id => Some(u128::from_str_radix(id, 16).ok()?),
    };
    let at = Checkpoint {
        journal: u128::from_str_radix(value("journal")?, 16).ok()?,
        epoch: value("epoch")?.parse().ok()?,
        position: value("position")?.parse().ok()?,
        hash: u32::from_str_radix(value("hash")?, 16).ok()?,
    };
    Some((Known { store, at }, value("folders")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_holds_for_its_own_folders_only() {
        let dir = tempfile::tempdir().unwrap();
        let [data, copy] = ["data", "copy"].map(|name| dir.path().join(name));
        for folder in [&data, &copy] {
            JOURNALS.iter().for_each(|name| fs::create_dir_all(folder.join(name)).unwrap());
        }
        let note = KnownStore::new(&data);
        assert_eq!(note.read().unwrap_err(), "they have met none yet");
        let at = Checkpoint { journal: u128::MAX - 3, epoch: 2, position: 77, hash: 0xfe };
        for store in [Some(5), None] {
            let known = Known { store, at };
            note.write(&known).unwrap();
            assert_eq!(note.read(), Ok(known));
        }

        fs::copy(data.join("known-store"), copy.join("known-store")).unwrap();
        assert!(KnownStore::new(&copy).read().unwrap_err().contains("copied or restored"));
        let text = fs::read_to_string(data.join("known-store")).unwrap();
        for cut in 0..text.len() - 1 {
            fs::write(data.join("known-store"), &text[..cut]).unwrap();
            assert!(note.read().is_err(), "cut at {cut}");
        }
    }
}
