//! The service under test: the release binary in a process of its own, with its figures read from outside.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::measure::{ProcessCpu, resident_bytes};

const PATIENCE: Duration = Duration::from_secs(60);

pub struct Service {
    child: Child,
    folder: TempDir,
    settings: Vec<(&'static str, String)>,
    grpc: SocketAddr,
    http: SocketAddr,
}

impl Service {
    /// `store`: a URL, or `None` for a SQLite file of its own.
    pub fn start(broker: SocketAddr, store: Option<&str>) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("cargo makes this folder for benchmarks");
        let (grpc, http) = (free_addr(), free_addr());
        let settings = vec![
            ("VIGIL_SERVICE_DATA_DIR", folder.path().display().to_string()),
            ("VIGIL_MQTT_URL", format!("mqtt://{broker}")),
            ("VIGIL_STORE_URL", store.unwrap_or("sqlite:vigil.db").to_owned()),
            ("VIGIL_GRPC_LISTEN", grpc.to_string()),
            ("VIGIL_HTTP_LISTEN", http.to_string()),
        ];
        let child = spawn(folder.path(), &settings);
        let mut service = Self { child, folder, settings, grpc, http };
        service.wait_until_heard();
        service
    }

    pub fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    /// The history's file, where it is SQLite.
    pub fn sqlite(&self) -> PathBuf {
        self.folder.path().join("vigil.db")
    }

    /// Ends it and starts it again; the times to the end, and from the start until it is ready.
    pub fn restart(&mut self, signal: Signal) -> (Duration, Duration) {
        let began = Instant::now();
        self.end(signal);
        let ended = began.elapsed();
        let began = Instant::now();
        self.child = spawn(self.folder.path(), &self.settings);
        self.await_that("it is ready", Duration::from_millis(2), |it| it.page("/readyz").0);
        (ended, began.elapsed())
    }

    fn wait_until_heard(&mut self) {
        self.await_that("it is ready", Duration::from_millis(20), |it| it.page("/readyz").0);
        // The first marker that comes back is acknowledged: from then on messages are taken as they come.
        self.await_that("it hears the broker", Duration::from_millis(20), |it| {
            it.metric("vigil_ingest_acknowledged_total") > 0
        });
    }

    pub fn await_that(&mut self, what: &str, every: Duration, holds: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        let (mut last, mut moved) = (0, Instant::now());
        while !holds(self) {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("the service ended with {status}:\n{}", self.log());
            }
            let judged = self.metric("vigil_records_judged_total");
            if judged != last {
                (last, moved) = (judged, Instant::now());
            }
            assert!(moved.elapsed() < PATIENCE, "{what} never came in {:?}:\n{}", began.elapsed(), self.log());
            std::thread::sleep(every);
        }
    }

    /// Of all series of that name, or of the one with these labels.
    pub fn metric(&self, name: &str) -> u64 {
        let (_, text) = self.page("/metrics");
        let value = |line: &str| line.strip_prefix(name)?.split(' ').next_back()?.parse::<f64>().ok();
        text.lines().filter_map(value).sum::<f64>() as u64
    }

    pub fn frames(&self) -> u64 {
        self.metric("vigil_items_total{what=\"newer\"}")
    }

    pub fn cpu(&self) -> ProcessCpu {
        ProcessCpu::of(self.child.id())
    }

    pub fn resident_bytes(&self) -> u64 {
        resident_bytes(&self.child.id().to_string())
    }

    pub fn import(&self, kind: &str, csv: &str) {
        let file = self.folder.path().join(format!("{kind}.csv"));
        fs::write(&file, csv).expect("the folder is ours");
        let mut import = Command::new(env!("CARGO_BIN_EXE_vigil"));
        import.arg("import").arg(kind).arg(&file).arg("--server").arg(format!("http://{}", self.grpc));
        let output = import.output().expect("the program runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Another command of the program, with the service's settings; what it says.
    pub fn run(&self, args: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vigil"));
        command.args(args).arg("--config").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/config/vigil.toml"));
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        let output = command.output().expect("the program runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn end(&mut self, signal: Signal) {
        let _ended = kill_process(Pid::from_child(&self.child), signal);
        self.child.wait().expect("it is our child");
    }

    /// Whether the answer was 200, and its text.
    fn page(&self, path: &str) -> (bool, String) {
        let ask = || {
            let mut stream = TcpStream::connect(self.http)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            write!(stream, "GET {path} HTTP/1.1\r\nHost: vigil\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            std::io::Result::Ok(answer)
        };
        let answer = ask().unwrap_or_default();
        (answer.starts_with("HTTP/1.1 200"), answer)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.end(Signal::KILL);
    }
}

fn spawn(folder: &Path, settings: &[(&str, String)]) -> Child {
    let log = fs::File::options().create(true).append(true).open(folder.join("log")).expect("the folder is ours");
    let mut command = Command::new("setpriv");
    // It ends with us, however we end.
    command.args(["--pdeathsig", "KILL", env!("CARGO_BIN_EXE_vigil"), "serve", "--config"]);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/config/vigil.toml"));
    command.envs(settings.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("setpriv (util-linux) is in PATH")
}

fn free_addr() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr()).expect("a free port")
}
