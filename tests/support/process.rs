//! A process that ends with the value that owns it, also when the test panics, and with the test process, also when
//! that is killed.

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// How long a process may take to end before it is killed.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// The process, and the thread that started it.
///
/// The kernel ends the process when that *thread* ends (`setpriv --pdeathsig`), so a thread is kept for it: a test's
/// own may be a pool's, which ends when it likes.
pub struct Process {
    pid: Pid,
    ended: Receiver<ExitStatus>,
    status: Option<ExitStatus>,
    keeper: Option<JoinHandle<()>>,
}

/// A command that runs `program` so that it can't outlive us; arguments and the like are the caller's.
pub fn guarded(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

impl Process {
    /// Starts what `guarded` made.
    pub fn start(command: Command) -> Self {
        let (started, starting) = sync_channel(1);
        let (ending, ended) = sync_channel(1);
        let keeper = thread::spawn(move || keep(command, &started, &ending));
        let pid = starting.recv().expect("the program and setpriv (util-linux) must be installed and in PATH");
        Self { pid, ended, status: None, keeper: Some(keeper) }
    }

    pub fn has_ended(&mut self) -> bool {
        self.ends_within(Duration::ZERO).is_some()
    }

    /// Waits for it to end by itself.
    pub fn ends_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.ended.recv_timeout(limit).ok();
        }
        self.status
    }

    pub fn signal(&mut self, signal: Signal) {
        if !self.has_ended() {
            let _ended_just_now = kill_process(self.pid, signal);
        }
    }

    /// Ends it by a signal, and by force if it doesn't.
    pub fn end(&mut self, signal: Signal) {
        let Some(keeper) = self.keeper.take() else { return };
        self.signal(signal);
        if self.ends_within(ENDS_WITHIN).is_none() {
            self.signal(Signal::KILL);
        }
        let _ = keeper.join();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end(Signal::KILL);
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
