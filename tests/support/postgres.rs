//! A PostgreSQL server of our own: on a free loopback port, with its data in a temporary folder.
//!
//! A shell stands between us and the server and reads from a pipe that we hold open. A word on the pipe tells it how to
//! stop the server; when the pipe closes without one, this process is gone, and it also removes the data. So no
//! server is left behind, however the tests end, and no data, unless they are killed while it is being created.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const USER: &str = "vigil";
/// Starting also replays the log after a crash.
const START_LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Postgres {
    folder: PathBuf,
    data: PathBuf,
    port: u16,
    fsync: bool,
    running: Option<Child>,
    databases: AtomicU32,
}

impl Postgres {
    /// Without `fsync` it is faster and survives a crash of its own, though not one of the machine.
    pub(crate) fn start(fsync: bool) -> Self {
        let folder = folder();
        let data = folder.join("data");
        Self::start_with(folder, data, fsync)
    }

    /// With its data on a disk of the test's, and its log of changes elsewhere: without room for data it refuses what it
    /// has no room for, without room for the log it would end.
    pub(crate) fn start_on(disk: &Path) -> Self {
        Self::start_with(folder(), disk.join("data"), false)
    }

    fn start_with(folder: PathBuf, data: PathBuf, fsync: bool) -> Self {
        let mut initdb = as_other_user(&binary("initdb"));
        initdb.args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username", USER]);
        run(initdb.arg("--pgdata").arg(&data).arg("--waldir").arg(folder.join("wal")));
        let port = super::ports::free();
        let mut server = Self { folder, data, port, fsync, running: None, databases: AtomicU32::new(0) };
        server.restart();
        server
    }

    /// The URL of a new, empty database.
    pub(crate) fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let port = self.port.to_string();
        run(Command::new(binary("createdb")).args(["--host=127.0.0.1", "--port", &port, "--username", USER, &name]));
        self.url_of(&name)
    }

    /// The URL of a database that is there from the start.
    pub(crate) fn url(&self) -> String {
        self.url_of("postgres")
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// Ends connections and stops in good order.
    pub(crate) fn stop_and_keep_data(&mut self) {
        self.end("INT");
    }

    /// As a crash would: nothing is written any more.
    pub(crate) fn kill(&mut self) {
        self.end("KILL");
    }

    /// Makes the server and all its processes stand still.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// To the server first, so that it begins no further process in between.
    fn signal(&self, signal: Signal) {
        let pid_file = fs::read_to_string(self.data().join("postmaster.pid")).expect("it runs");
        let server = pid_file.lines().next().expect("the first line is its number");
        let send = |pid: &str| {
            let pid = pid.parse().ok().and_then(Pid::from_raw).expect("a number of a process");
            // A child may have ended by itself.
            let _ended = kill_process(pid, signal);
        };
        send(server);
        let children = fs::read_to_string(format!("/proc/{server}/task/{server}/children")).expect("Linux tells them");
        children.split_whitespace().for_each(send);
    }

    /// What happens when this process dies: the pipe closes, and nothing is said. Returns the folder that was in use.
    pub(crate) fn abandon(mut self) -> PathBuf {
        let mut child = self.running.take().expect("it runs");
        drop(child.stdin.take());
        child.wait().expect("it is our child");
        self.folder.clone()
    }

    /// Starts what was stopped or killed, on the same port with the same data.
    pub(crate) fn restart(&mut self) {
        assert!(self.running.is_none(), "stop it first");
        let begun = Instant::now();
        while !self.try_start() {
            // After a kill, the server's children may hold its memory for another moment.
            assert!(begun.elapsed() < START_LIMIT, "PostgreSQL doesn't start: {}", self.log());
        }
    }

    fn try_start(&mut self) -> bool {
        let settings = [
            format!("port={}", self.port),
            format!("fsync={}", if self.fsync { "on" } else { "off" }),
            "listen_addresses=127.0.0.1".to_owned(),
            "unix_socket_directories=".to_owned(),
            "max_connections=100".to_owned(),
            "shared_buffers=128MB".to_owned(),
        ];
        let mut postgres = as_other_user(&binary("postgres"));
        postgres.arg("-D").arg(self.data());
        postgres.args(settings.iter().flat_map(|setting| ["-c", setting]));

        let log = fs::File::options().create(true).append(true).open(self.folder.join("log")).expect("a log");
        let mut shell = Command::new("sh");
        shell.args(["-c", WATCH, "watch"]).arg(&self.folder);
        shell.arg(postgres.get_program()).args(postgres.get_args());
        // What interrupts us, such as Ctrl-C, must reach the shell as a closed pipe and not by itself.
        shell.process_group(0);
        shell.stdin(Stdio::piped()).stdout(log.try_clone().expect("a second handle")).stderr(log);
        let mut child = shell.spawn().expect("there is a shell");
        loop {
            if child.try_wait().expect("it is our child").is_some() {
                return false;
            }
            if self.is_ready() {
                self.running = Some(child);
                return true;
            }
        }
    }

    /// Returns as soon as the server answers, or after a second.
    fn is_ready(&self) -> bool {
        let port = self.port.to_string();
        let mut ask = Command::new(binary("pg_isready"));
        ask.args(["--quiet", "--timeout=1", "--host=127.0.0.1", "--port", &port]);
        ask.status().expect("pg_isready runs").success()
    }

    fn end(&mut self, signal: &str) {
        let Some(mut child) = self.running.take() else { return };
        let mut pipe = child.stdin.take().expect("it was piped");
        // If the server has ended by itself, so has the shell.
        let _ = writeln!(pipe, "{signal}");
        child.wait().expect("it is our child");
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // At once: nobody needs the data any more, and in the middle of a recovery it may not heed a milder word.
        self.end("QUIT");
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A temporary folder that the server may write to.
fn folder() -> PathBuf {
    let folder = tempfile::Builder::new().prefix("vigil-postgres-").tempdir().expect("a temporary folder").keep();
    if let Some(user) = other_user() {
        std::os::unix::fs::chown(&folder, Some(user.uid), Some(user.gid)).expect("root may give folders away");
    }
    folder
}

/// $1 is the folder, the rest the server's command line. The inner shell ends this one if the server ends by itself.
const WATCH: &str = r#"
folder=$1; shift
"$@" </dev/null & server=$!
# One that has ended has no program any more, but stays known until it is waited for.
( while readlink /proc/$server/exe >/dev/null; do sleep 1; done; kill $$ 2>/dev/null ) </dev/null & guard=$!
if read -r signal; then keep=yes; else signal=QUIT; keep=no; fi
kill $guard 2>/dev/null
children=
if [ $signal = KILL ]; then
    # Otherwise its children would live on for a moment, and answer.
    kill -STOP $server
    children=$(cat /proc/$server/task/$server/children)
fi
kill -$signal $server $children 2>/dev/null
wait $server
if [ $keep = no ]; then rm -rf "$folder"; fi
"#;

struct OtherUser {
    name: String,
    uid: u32,
    gid: u32,
}

/// PostgreSQL refuses to run as root; then it runs as somebody without rights.
fn other_user() -> Option<OtherUser> {
    if fs::metadata("/proc/self").expect("Linux").uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("it is readable by all");
    let find = |wanted: &str| {
        users.lines().map(|line| line.split(':').collect::<Vec<_>>()).find_map(|fields| match fields[..] {
            [name, _, uid, gid, ..] if name == wanted => {
                Some(OtherUser { name: name.to_owned(), uid: uid.parse().ok()?, gid: gid.parse().ok()? })
            }
            _ => None,
        })
    };
    Some(find("postgres").or_else(|| find("nobody")).expect("every system has a user nobody"))
}

fn as_other_user(program: &Path) -> Command {
    let Some(user) = other_user() else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &user.name, "--regid", &user.gid.to_string(), "--clear-groups", "--"]);
    command.arg(program);
    command
}

/// Debian keeps the server's binaries out of the path.
fn binary(name: &str) -> PathBuf {
    find_binary(name).unwrap_or_else(|| {
        panic!("{name} is neither in the path nor in /usr/lib/postgresql/*/bin: install PostgreSQL 14 or newer")
    })
}

pub(crate) fn is_installed() -> bool {
    find_binary("initdb").is_some()
}

fn find_binary(name: &str) -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    let mut versions: Vec<_> =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    versions.sort();
    folders.extend(versions.into_iter().rev().map(|version| version.join("bin")));
    folders.into_iter().map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().expect("the program runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
