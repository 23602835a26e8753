//! A Mosquitto of a test's own: on a free loopback port, with config and data in a temporary folder.
//!
//! It ends with the value that owns it, also when the test panics, and with the test process, also when that is killed.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

#[derive(Debug, Clone)]
pub struct Settings {
    /// Keep sessions and queued messages on disk, so that they outlive a stop.
    pub persistence: bool,
    /// Messages to one client that it has not acknowledged; 0 is no bound.
    pub max_inflight: u32,
    /// Messages kept for one client beyond those; 0 is no bound.
    pub max_queued: u32,
    /// Further lines of mosquitto.conf.
    pub extra: String,
    /// Lines of an access list; `None` lets everybody do everything.
    pub acl: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { persistence: true, max_inflight: 1_000, max_queued: 0, extra: String::new(), acl: None }
    }
}

pub struct Mosquitto {
    settings: Settings,
    folder: TempDir,
    addr: SocketAddr,
    running: Option<Running>,
}

impl Mosquitto {
    pub fn start(settings: Settings) -> Self {
        for _ in 0..16 {
            let mut broker = Self::prepare(settings.clone());
            if broker.try_start_again() {
                return broker;
            }
        }
        panic!("found no port for Mosquitto in 16 attempts");
    }

    /// Chooses a port and writes the config, and doesn't start it yet.
    pub fn prepare(settings: Settings) -> Self {
        let addr = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let broker = Self { settings, folder, addr, running: None };
        broker.write_config();
        broker
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// Ends it as an administrator would; with persistence it saves what it holds.
    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.end(Signal::TERM);
        }
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.end(Signal::KILL);
        }
    }

    /// On the same port, with the same data.
    pub fn start_again(&mut self) {
        assert!(self.try_start_again(), "Mosquitto does not start:\n{}", self.log());
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn try_start_again(&mut self) -> bool {
        assert!(self.running.is_none(), "it runs already");
        let mut running = Running::start(&self.path("conf"));
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline && !running.has_ended() {
            if TcpStream::connect(self.addr).is_ok() && !running.has_ended() {
                self.running = Some(running);
                return true;
            }
            super::patience::pause();
        }
        running.end(Signal::KILL);
        false
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_config(&self) {
        let Settings { persistence, max_inflight, max_queued, extra, acl } = &self.settings;
        let folder = self.folder.path().display();
        let mut config = format!(
            "listener {} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n\
             persistence {persistence}\npersistence_location {folder}/\nlog_dest file {folder}/log\n\
             max_inflight_messages {max_inflight}\nmax_queued_messages {max_queued}\n",
            self.port()
        );
        if rustix::process::geteuid().is_root() {
            // It would become a user of its own, to whom the temporary folder is closed.
            config.push_str("user root\n");
        }
        if let Some(acl) = acl {
            std::fs::write(self.path("acl"), acl).expect("the access list");
            config.push_str(&format!("acl_file {folder}/acl\n"));
        }
        config.push_str(extra);
        config.push('\n');
        std::fs::write(self.path("conf"), config).expect("the config");
    }
}

/// The process, and the thread that started it.
///
/// The kernel ends the process when that *thread* ends (`setpriv --pdeathsig`), so a thread is kept for it: a test's
/// own may be a pool's, which ends when it likes.
struct Running {
    pid: Pid,
    ended: Receiver<ExitStatus>,
    is_over: bool,
    keeper: Option<JoinHandle<()>>,
}

impl Running {
    fn start(config: &Path) -> Self {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "mosquitto", "-c"]).arg(config);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let (started, starting) = sync_channel(1);
        let (ending, ended) = sync_channel(1);
        let keeper = thread::spawn(move || keep(command, &started, &ending));
        let pid = starting.recv().expect("mosquitto and setpriv (util-linux) must be installed and in PATH");
        Self { pid, ended, is_over: false, keeper: Some(keeper) }
    }

    fn has_ended(&mut self) -> bool {
        self.is_over |= !matches!(self.ended.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
        self.is_over
    }

    fn end(mut self, signal: Signal) {
        self.end_by(signal);
    }

    fn end_by(&mut self, signal: Signal) {
        let Some(keeper) = self.keeper.take() else { return };
        if !self.has_ended() {
            let _ = kill_process(self.pid, signal);
            if self.ended.recv_timeout(Duration::from_secs(10)).is_err() {
                let _ = kill_process(self.pid, Signal::KILL);
            }
        }
        let _ = keeper.join();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end_by(Signal::KILL);
    }
}

fn keep(mut command: Command, started: &SyncSender<Pid>, ending: &SyncSender<ExitStatus>) {
    let Ok(mut child): Result<Child, _> = command.spawn() else { return };
    let pid = Pid::from_child(&child);
    if started.send(pid).is_err() {
        let _ = child.kill();
    }
    let status = child.wait().unwrap_or_else(|_| ExitStatus::from_raw(1));
    let _ = ending.send(status);
}
