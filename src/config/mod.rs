//! What the service is told when it starts: one TOML file, and environment variables that override it.
//!
//! `config/vigil.toml` lists every key with its meaning, unit, range and default. A wrong configuration is
//! reported whole: every fault at once, each with its place and what to do about it.

mod check;
mod fault;
mod keys;
mod notify;
mod raw;
mod units;

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::limits;

pub use fault::{Fault, Faults, Place};
pub use notify::{NotifyFormat, NotifyTarget, NotifyUrl};

/// Reads `mqtt://HOST:PORT`, as `mqtt.url` has it. The error says what is wrong and what to do about it.
pub fn broker(text: &str) -> Result<(String, u16), String> {
    check::broker(text).map_err(|what| what.to_string())
}

/// Reads a span such as 90s or 10m between `least` and `most`, which are written the same way. The error as above.
pub fn span_ms(text: &str, least: &str, most: &str) -> Result<i64, String> {
    units::span_ms(text, least, most).map_err(|what| what.to_string())
}

/// Reads the first line of a file that holds a secret. The error as above.
pub fn secret(file: &Path) -> Result<Secret, String> {
    check::read_secret(file).map_err(|what| what.to_string())
}

/// Environment variables by name. Passed in, so that tests need not change those of the process.
pub type Variables = BTreeMap<String, String>;

/// Checked: each value lies within its bounds and fits the others.
///
/// Relative paths have been joined to the folder of the file they came from; in [`Config::default`] they are
/// still as `config/vigil.toml` writes them.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub service: Service,
    pub mqtt: Mqtt,
    pub store: Store,
    pub grpc: Grpc,
    pub http: Http,
    pub journal: Journal,
    pub rules: Rules,
    pub profiles: Profiles,
    pub cap: Cap,
    /// Whom to tell of what happens.
    pub notify: Vec<NotifyTarget>,
    pub log: Log,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// 1 to 32 characters of a-z 0-9 -. It tells this service from others at the same broker.
    pub instance: String,
    /// Holds the journals, the snapshots and a SQLite store.
    pub data_dir: PathBuf,
    /// In which civil dates turn, by its name in the tz database.
    pub zone: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Mqtt {
    /// A name or an address; an IPv6 address stands without brackets.
    pub host: String,
    pub port: u16,
    pub client_id: String,
    pub credentials: Option<Credentials>,
    /// The first levels of every topic of ours, without a slash at either end.
    pub topic_prefix: String,
    /// 5 s to 1 h, whole seconds.
    pub keep_alive_ms: i64,
    /// Payload bytes taken from the broker and not yet acknowledged.
    pub in_flight_max_bytes: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Credentials {
    pub username: String,
    pub password: Option<Secret>,
}

/// Text that no log and no error shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Store {
    pub at: StoreAt,
    /// How long frames and the devices' own statuses are kept.
    pub frame_retention_ms: i64,
    /// How long frames from around alerts are: no shorter than all frames.
    pub evidence_retention_ms: i64,
    /// How long alerts are, once they are cleared: no shorter than their evidence.
    pub alert_retention_ms: i64,
    pub scan_retention_ms: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub enum StoreAt {
    /// The database file, joined to the data folder.
    Sqlite(PathBuf),
    /// Password included; its `Debug` hides it.
    Postgres(Box<tokio_postgres::Config>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Grpc {
    /// A loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
}

/// Metrics and health.
#[derive(Debug, Clone, PartialEq)]
pub struct Http {
    /// A loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Journal {
    /// Reports are withheld from acknowledging near it.
    pub inbox_max_bytes: u64,
    pub outbox_max_bytes: u64,
    /// The least that stays for `explain` once it is projected and in a snapshot.
    pub inbox_retention_ms: i64,
    /// How long a watcher may be away and still resume from the outbox.
    pub event_retention_ms: i64,
    pub snapshot_every_ms: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// Every `*.toml` in it is a rule file.
    pub dir: PathBuf,
    /// Take changes of the files by themselves.
    pub watch: bool,
}

/// Feeds of other vendors (`docs/profiles.md`).
#[derive(Debug, Clone, PartialEq)]
pub struct Profiles {
    /// Every `*.toml` in it is a source profile. It need not be there.
    pub dir: PathBuf,
}

/// What messages for other alerting systems have in common (`docs/cap.md`).
#[derive(Debug, Clone, PartialEq)]
pub struct Cap {
    /// Without spaces, commas, `<` and `&`.
    pub sender: String,
    pub status: crate::cap::Status,
    pub restriction: String,
    pub sender_name_zh: Option<String>,
    pub sender_name_en: Option<String>,
    pub web: Option<String>,
    pub contact: Option<String>,
    /// `None`: they don't expire.
    pub expires_ms: Option<i64>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// A level, or directives as tracing's `EnvFilter` reads them.
    pub filter: String,
    pub format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

impl Config {
    /// Reads and checks `file`, with `variables` (see [`process_variables`]) over it.
    pub fn load(file: &Path, variables: &Variables) -> Result<Self, Faults> {
        let text = read_file(file).map_err(|wrong| Faults(vec![Fault::of_file(file, wrong)]))?;
        Self::from_text(file, &text, variables)
    }

    /// As [`Config::load`], for a text that is already there; `file` is named in faults, and its folder is what
    /// relative paths start from.
    pub fn from_text(file: &Path, text: &str, variables: &Variables) -> Result<Self, Faults> {
        let mut faults = Vec::new();
        let raw = raw::read(file, text, variables, &mut faults);
        let base = file.parent().unwrap_or(Path::new(""));
        match check::check(&raw, base, &mut faults) {
            Some(config) if faults.is_empty() => Ok(config),
            _ => {
                faults.sort();
                Err(Faults(faults))
            }
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        let mut faults = Vec::new();
        let config = check::check(&raw::Raw::default(), Path::new(""), &mut faults);
        config.filter(|_| faults.is_empty()).expect("the defaults pass their own checks")
    }
}

/// Those of this process that are meant for us.
pub fn process_variables() -> Variables {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .filter(|(name, _)| name.starts_with(raw::VARIABLE_PREFIX))
        .collect()
}

fn read_file(file: &Path) -> Result<String, fault::Wrong> {
    let wrong = |what: String| fault::Wrong::new(what, "name a TOML file; config/vigil.toml is one to start from");
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|opened| opened.take(limits::CONFIG_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| wrong(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > limits::CONFIG_FILE_BYTES {
        return Err(wrong(format!("is larger than {} bytes", limits::CONFIG_FILE_BYTES)));
    }
    String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8 text".into()))
}
