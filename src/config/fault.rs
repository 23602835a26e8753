//! One thing that is wrong with a configuration, said so that whoever wrote it can mend it.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where the wrong value came from. Ordered as faults are shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Lines and columns count from 1, columns in characters.
    Line { file: PathBuf, line: usize, column: usize },
    /// The file as a whole.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// Nobody gave it: our own default.
    Default,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { file, line, column } => write!(f, "{}:{line}:{column}", file.display()),
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Default => f.write_str("default"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    pub place: Place,
    /// `mqtt.url`; empty where no key can be told.
    pub key: String,
    pub wrong: String,
    /// What to do about it.
    pub remedy: String,
}

impl Fault {
    pub(super) fn new(place: Place, key: impl Into<String>, what: Wrong) -> Self {
        Self { place, key: key.into(), wrong: what.wrong, remedy: what.remedy }
    }

    pub(super) fn of_file(file: &Path, what: Wrong) -> Self {
        Self::new(Place::File(file.to_owned()), "", what)
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.wrong, self.remedy)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{} ", self.key)?;
        }
        write!(f, "{}; {}", self.wrong, self.remedy)
    }
}

/// Every fault of one configuration, in the order of their places. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "the configuration has {count} fault{}:", if count == 1 { "" } else { "s" })?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for Faults {}

/// A fault before it is known where it stands.
#[derive(Debug)]
pub(super) struct Wrong {
    wrong: String,
    remedy: String,
}

impl Wrong {
    pub(super) fn new(wrong: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { wrong: wrong.into(), remedy: remedy.into() }
    }
}
