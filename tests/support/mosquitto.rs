//! A Mosquitto of a test's own: on a free loopback port, with config and data in a temporary folder.
//!
//! It ends as a `Process` does.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::process::{Process, quiet};
use super::wait::is_soon;

const START_LIMIT: Duration = Duration::from_secs(10);

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
    running: Option<Process>,
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
        if let Some(mut running) = self.running.take() {
            running.end(Signal::TERM);
        }
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
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
        let mut command = quiet("mosquitto");
        command.arg("-c").arg(self.path("conf"));
        let (mut running, _) = Process::start(command);
        is_soon(START_LIMIT, || running.has_ended() || TcpStream::connect(self.addr).is_ok());
        // Whoever answers may be somebody else, who had the port before.
        let starts = !running.has_ended() && TcpStream::connect(self.addr).is_ok();
        self.running = starts.then_some(running);
        starts
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
