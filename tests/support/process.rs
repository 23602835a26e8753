//! A program beside the test, that ends with the value that owns it, also when the test panics, and with the test
//! process, also when that is killed.

use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// How long a program may take to end when it is asked to.
const ENDS_WITHIN: Duration = Duration::from_secs(15);

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

/// The pipes to a program that its command has asked for.
pub struct Pipes {
    pub to: Option<ChildStdin>,
    pub out: Option<ChildStdout>,
    pub err: Option<ChildStderr>,
}

/// A command for a program that dies with us.
pub fn command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program.as_ref());
    command
}

/// The same, for one that is neither told nor asked anything.
pub fn quiet(program: impl AsRef<Path>) -> Command {
    let mut command = command(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

impl Process {
    /// Starts what [`command`] made.
    pub fn start(command: Command) -> (Self, Pipes) {
        let (started, starting) = sync_channel(1);
        let (ending, ended) = sync_channel(1);
        let keeper = thread::spawn(move || keep(command, &started, &ending));
        let (pid, pipes) = starting.recv().expect("the program and setpriv (util-linux) must be installed and in PATH");
        (Self { pid, ended, status: None, keeper: Some(keeper) }, pipes)
    }

    pub fn pid(&self) -> Pid {
        self.pid
    }

    pub fn has_ended(&mut self) -> bool {
        self.ends_within(Duration::ZERO)
    }

    /// Waits for its end at most so long. A caller that asks for something again and again paces itself with this.
    pub fn ends_within(&mut self, time: Duration) -> bool {
        self.status_within(time).is_some()
    }

    /// How it ended, if it does so by itself in time.
    pub fn status_within(&mut self, time: Duration) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = match self.ended.recv_timeout(time) {
                Ok(status) => Some(status),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => Some(ExitStatus::from_raw(1)),
            };
        }
        self.status
    }

    pub fn signal(&self, signal: Signal) {
        if self.status.is_none() {
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Asks it to end with `signal` and waits for it; kills it where that takes too long.
    pub fn end(&mut self, signal: Signal) -> ExitStatus {
        if !self.has_ended() {
            self.signal(signal);
            if !self.ends_within(ENDS_WITHIN) {
                self.signal(Signal::KILL);
                self.ends_within(ENDS_WITHIN);
            }
        }
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
        self.status.unwrap_or(ExitStatus::from_raw(Signal::KILL.as_raw()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end(Signal::KILL);
    }
}

fn keep(mut command: Command, started: &SyncSender<(Pid, Pipes)>, ending: &SyncSender<ExitStatus>) {
    let Ok(mut child) = command.spawn() else { return };
    let pid = Pid::from_child(&child);
    let pipes = Pipes { to: child.stdin.take(), out: child.stdout.take(), err: child.stderr.take() };
    if started.send((pid, pipes)).is_err() {
        let _ = child.kill();
    }
    let status = child.wait().unwrap_or_else(|_| ExitStatus::from_raw(1));
    let _ = ending.send(status);
}

/// The lines that come out of a pipe, as they come. They are read on a thread of their own, so that the pipe never
/// fills; the channel ends with the pipe.
pub fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (tell, told) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            // Nobody may listen any more, and the pipe still has to be emptied.
            let _ = tell.send(line);
        }
    });
    told
}
