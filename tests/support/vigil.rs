//! The service itself, as it is shipped: `vigil serve` on free ports, with its data in a temporary folder.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use super::process::{self, Process};

/// The binary that cargo has built for this test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_vigil");
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Lines of the log that a failure shows.
const LOG_LINES: usize = 200;

pub struct Vigil {
    process: Process,
    folder: TempDir,
    log: Arc<Mutex<VecDeque<String>>>,
    grpc: SocketAddr,
    http: SocketAddr,
}

impl Vigil {
    /// With its history in a SQLite file of its own. Returns when it is ready.
    pub fn with_sqlite(broker: SocketAddr) -> Self {
        Self::start(broker, "sqlite:vigil.db")
    }

    /// With its history where `store_url` says. Returns when it is ready.
    pub fn start(broker: SocketAddr, store_url: &str) -> Self {
        Self::start_with(broker, store_url, &Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rules"))
    }

    /// With other rules than the shipped ones.
    pub fn start_with(broker: SocketAddr, store_url: &str, rules: &Path) -> Self {
        Self::start_watching(broker, store_url, rules, true)
    }

    /// With rules whose files it may watch, or may not.
    pub fn start_watching(broker: SocketAddr, store_url: &str, rules: &Path, watch: bool) -> Self {
        let watch = if watch { "on" } else { "off" };
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = folder.path().join("vigil.toml");
        let text = format!(
            "[service]\ndata_dir = \"data\"\n[mqtt]\nurl = \"mqtt://{broker}\"\n[store]\nurl = {store_url:?}\n\
             [grpc]\nlisten = \"127.0.0.1:0\"\n[http]\nlisten = \"127.0.0.1:0\"\n[rules]\ndir = {rules:?}\nwatch = \"{watch}\"\n\
             [log]\nformat = \"json\"\n"
        );
        std::fs::write(&config, text).expect("the configuration");

        let mut command = process::command(BINARY);
        command.arg("serve").arg("--config").arg(&config);
        // Those of whoever runs the tests would count instead of the file.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("VIGIL_")) {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let (process, pipes) = Process::start(command);
        let log = Arc::new(Mutex::new(VecDeque::new()));
        let lines = process::lines(pipes.err.expect("it was piped"));
        let (grpc, http) = addresses(&lines, &log);
        keep_log(lines, Arc::clone(&log));
        let mut vigil = Self { process, folder, log, grpc, http };
        vigil.wait_until_ready();
        vigil
    }

    pub fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    pub fn http(&self) -> SocketAddr {
        self.http
    }

    pub fn grpc_url(&self) -> String {
        format!("http://{}", self.grpc)
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("vigil.toml")
    }

    /// The history's file, where it is SQLite.
    pub fn sqlite(&self) -> PathBuf {
        self.folder.path().join("data/vigil.db")
    }

    pub fn log(&self) -> String {
        let lines = self.log.lock().expect("nobody panics while holding it");
        lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// Asks again and again until `wanted` answers, and fails if it doesn't for `time`.
    pub fn wait_for<T>(&mut self, what: &str, time: Duration, mut wanted: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = wanted() {
                return found;
            }
            assert!(begun.elapsed() < time, "{what}: not within {time:?}; the service's log:\n{}", self.log());
            let ended = self.process.ends_within(Duration::from_millis(20));
            assert!(!ended, "{what}: the service has ended; its log:\n{}", self.log());
        }
    }

    /// The status and the text of one of its pages, such as `/readyz`.
    pub fn page(&self, path: &str) -> std::io::Result<(u16, String)> {
        page(self.http, path)
    }

    /// Asks it to read its rules again.
    pub fn hang_up(&mut self) {
        self.process.signal(Signal::HUP);
    }

    /// Asks it to end, and returns how it did. Its data stay as long as this value.
    pub fn stop(&mut self) -> ExitStatus {
        self.process.end(Signal::TERM)
    }

    fn wait_until_ready(&mut self) {
        let http = self.http;
        self.wait_for("/readyz", READY_WITHIN, || page(http, "/readyz").ok().filter(|(status, _)| *status == 200));
    }
}

/// What the log says of where it can be reached.
fn addresses(lines: &Receiver<String>, log: &Mutex<VecDeque<String>>) -> (SocketAddr, SocketAddr) {
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        let line = match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => {
                panic!("it doesn't begin to serve: {:?}", log.lock().expect("nobody panics while holding it"))
            }
            Err(RecvTimeoutError::Disconnected) => {
                panic!("it ended as it began: {:?}", log.lock().expect("nobody panics while holding it"))
            }
        };
        let entry: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        log.lock().expect("nobody panics while holding it").push_back(line);
        if entry["message"] == "serving" {
            let addr = |name: &str| entry[name].as_str().and_then(|addr| addr.parse().ok()).expect("an address");
            return (addr("grpc"), addr("http"));
        }
    }
}

fn keep_log(lines: Receiver<String>, log: Arc<Mutex<VecDeque<String>>>) {
    std::thread::spawn(move || {
        for line in lines {
            let mut log = log.lock().expect("nobody panics while holding it");
            if log.len() == LOG_LINES {
                log.pop_front();
            }
            log.push_back(line);
        }
    });
}

pub fn page(addr: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    let mut socket = TcpStream::connect(addr)?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(socket, "GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok((status, body.to_owned()))
}
