//! The service itself, as `vigil serve` with a configuration and a data folder of its own. It ends as a `Process` does.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use super::process::{Process, quiet};
use super::wait::is_soon;

/// Far above what a start takes, so that only what never comes runs into it.
const READY_WITHIN: Duration = Duration::from_secs(30);
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

pub struct Service {
    folder: TempDir,
    data: PathBuf,
    grpc: SocketAddr,
    http: SocketAddr,
    /// Beside the configuration.
    variables: BTreeMap<String, String>,
    starts: u32,
    running: Option<Process>,
}

/// What a process has of the machine's memory.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    pub now_mib: u64,
    pub peak_mib: u64,
}

impl Service {
    /// Writes the configuration and doesn't start it yet.
    pub fn prepare(broker: SocketAddr, store_url: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        let (grpc, http) = (free_address(), free_address());
        let service = Self { data, folder, grpc, http, variables: BTreeMap::new(), starts: 0, running: None };
        service.configure(broker, store_url);
        service
    }

    /// An environment variable of the next starts: `VIGIL_SECTION_KEY` counts instead of the configuration.
    pub fn set(&mut self, variable: &str, value: impl ToString) {
        self.variables.insert(variable.to_owned(), value.to_string());
    }

    /// Puts the data elsewhere.
    pub fn set_data(&mut self, data: &Path) {
        self.data = data.to_owned();
        self.set("VIGIL_SERVICE_DATA_DIR", data.display());
    }

    /// Counts from the next start on.
    pub fn configure(&self, broker: SocketAddr, store_url: &str) {
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rules");
        let config = format!(
            "[service]\ndata_dir = {:?}\n[mqtt]\nurl = \"mqtt://{broker}\"\n[store]\nurl = {store_url:?}\n\
             [grpc]\nlisten = \"{}\"\n[http]\nlisten = \"{}\"\n[rules]\ndir = {rules:?}\n\
             [journal]\nsnapshot_every = \"10s\"\n",
            self.data, self.grpc, self.http
        );
        fs::write(self.config(), config).expect("the configuration");
    }

    /// Adds to the configuration; counts from the next start on.
    pub fn append(&self, text: &str) {
        let mut file = fs::File::options().append(true).open(self.config()).expect("the configuration");
        file.write_all(text.as_bytes()).expect("the configuration");
    }

    /// A file in the folder of the configuration.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Begins to start; it may be killed before it is ready.
    pub fn start(&mut self) {
        assert!(self.running.is_none(), "it runs already");
        self.starts += 1;
        let mut command = quiet(env!("CARGO_BIN_EXE_vigil"));
        command.arg("serve").arg("--config").arg(self.config()).stderr(File::create(self.log_file()).expect("a log"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("VIGIL_")) {
            command.env_remove(name);
        }
        command.envs(&self.variables);
        self.running = Some(Process::start(command).0);
    }

    /// Starts it and returns once it is ready, with the time that took.
    pub fn start_and_wait(&mut self) -> Duration {
        let began = Instant::now();
        self.start();
        let ready = is_soon(READY_WITHIN, || self.has_ended() || self.is_ready());
        assert!(ready && !self.has_ended(), "the service doesn't get ready:\n{}", self.log());
        began.elapsed()
    }

    pub fn is_ready(&self) -> bool {
        self.page("/readyz").starts_with("HTTP/1.1 200 ")
    }

    /// The whole answer of its HTTP server; empty if there is none.
    pub fn page(&self, path: &str) -> String {
        self.get(path).unwrap_or_default()
    }

    pub fn has_ended(&mut self) -> bool {
        self.running.as_mut().is_none_or(Process::has_ended)
    }

    /// SIGKILL. Fails if it had ended by itself: it may not.
    pub fn kill(&mut self) {
        assert!(!self.has_ended(), "the service has ended by itself:\n{}", self.log());
        self.running.take().expect("it was started").end(Signal::KILL);
    }

    /// SIGTERM. Returns how it ended, and in what time.
    pub fn terminate(&mut self, within: Duration) -> (ExitStatus, Duration) {
        let mut running = self.running.take().expect("it was started");
        let began = Instant::now();
        running.signal(Signal::TERM);
        let status = running.status_within(within);
        (status.unwrap_or_else(|| panic!("it still runs {within:?} after SIGTERM:\n{}", self.log())), began.elapsed())
    }

    /// How it ended by itself, and what it said.
    pub fn ends_within(&mut self, limit: Duration) -> Option<(ExitStatus, String)> {
        let status = self.running.as_mut()?.status_within(limit)?;
        self.running = None;
        Some((status, self.log()))
    }

    pub fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    /// What this run of it has said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// What all its runs have said.
    pub fn logs(&self) -> String {
        (1..=self.starts).map(|n| fs::read_to_string(self.log_file_of(n)).unwrap_or_default()).collect()
    }

    /// The sum of the metrics whose lines begin so, name and perhaps labels; 0 before the first was counted.
    pub fn metric(&self, line: &str) -> f64 {
        let page = self.get("/metrics").unwrap_or_default();
        let lines = page.lines().filter(|of_page| of_page.starts_with(line));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// How much memory it takes, and has taken at most in this run.
    pub fn memory(&self) -> Memory {
        let pid = self.running.as_ref().expect("it runs").pid();
        let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).expect("it runs");
        let mib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|kib| kib.parse::<u64>().ok());
            kib.expect("Linux tells it in kB") / 1024
        };
        Memory { now_mib: mib("VmRSS:"), peak_mib: mib("VmHWM:") }
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut socket = TcpStream::connect_timeout(&self.http, ANSWER_WITHIN).ok()?;
        socket.set_read_timeout(Some(ANSWER_WITHIN)).ok()?;
        write!(socket, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("vigil.toml")
    }

    fn log_file(&self) -> PathBuf {
        self.log_file_of(self.starts)
    }

    fn log_file_of(&self, start: u32) -> PathBuf {
        self.folder.path().join(format!("log.{start}"))
    }
}

fn free_address() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, super::ports::free()))
}
