//! The processor's time, of this thread or of another process, and how many measurements become one.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// The processor's time that `work` takes on this thread: what else runs on the machine counts less than by the clock.
pub fn cpu_of(work: impl FnOnce()) -> Duration {
    let start = read(ClockId::ThreadCPUTime);
    work();
    read(ClockId::ThreadCPUTime) - start
}

/// What all threads of this process have used.
pub fn own_cpu() -> Duration {
    read(ClockId::ProcessCPUTime)
}

pub fn thread_cpu() -> Duration {
    read(ClockId::ThreadCPUTime)
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let result = work();
    (result, began.elapsed())
}

/// What disturbs a round only ever adds to it.
pub fn least(rounds: impl IntoIterator<Item = Duration>) -> Duration {
    rounds.into_iter().min().unwrap_or_default()
}

pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Of values in ascending order.
pub fn percentile(sorted: &[Duration], percent: f64) -> Duration {
    let at = (sorted.len() as f64 * percent / 100.0) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

pub fn us(span: Duration) -> f64 {
    span.as_secs_f64() * 1e6
}

pub fn ms(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

/// What the threads of another process use, as its scheduler counts it, in ns. A thread that has ended keeps what it had
/// when it was last looked at, so look from time to time.
pub struct ProcessCpu {
    pid: u32,
    threads: BTreeMap<String, (String, u64)>,
}

impl ProcessCpu {
    pub fn of(pid: u32) -> Self {
        let mut meter = Self { pid, threads: BTreeMap::new() };
        meter.look();
        meter
    }

    pub fn look(&mut self) -> Duration {
        for task in fs::read_dir(format!("/proc/{}/task", self.pid)).into_iter().flatten().flatten() {
            let read = |file: &str| fs::read_to_string(task.path().join(file));
            // A thread may end while we look at it.
            let (Ok(name), Ok(stat)) = (read("comm"), read("schedstat")) else { continue };
            let Some(ns) = stat.split(' ').next().and_then(|ns| ns.parse().ok()) else { continue };
            self.threads.insert(task.file_name().to_string_lossy().into_owned(), (name.trim().to_owned(), ns));
        }
        Duration::from_nanos(self.threads.values().map(|(_, ns)| ns).sum())
    }

    /// The same by the names of threads.
    pub fn by_name(&self) -> BTreeMap<String, Duration> {
        let mut names = BTreeMap::new();
        for (name, ns) in self.threads.values() {
            *names.entry(name.clone()).or_default() += Duration::from_nanos(*ns);
        }
        names
    }
}

/// Resident memory of a process, in bytes; of this one with `self`.
pub fn resident_bytes(pid: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(0) * 1_024
}

pub fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("?").to_owned()
}
