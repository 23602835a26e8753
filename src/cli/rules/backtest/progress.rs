//! How far a replay is: a bar for people, a line now and then for logs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::super::super::Terminal;
use super::super::super::time::span;

/// The length of one lift.
const WHOLE: u64 = 1_000;
const LINE_EVERY: Duration = Duration::from_secs(30);

pub(super) struct Progress {
    bar: Bar,
    lifts: u64,
    begun: Instant,
    said: Instant,
}

/// Cloned for whoever works.
#[derive(Clone)]
pub(super) struct Bar {
    bar: ProgressBar,
    frames: Arc<AtomicU64>,
}

/// How far one lift is.
pub(super) struct OfLift {
    bar: Bar,
    done: u64,
}

impl Progress {
    pub(super) fn begin(terminal: &Terminal, lifts: usize) -> Self {
        let lifts = lifts as u64;
        let bar = if terminal.progress {
            let style = ProgressStyle::with_template("{bar:40} {percent}% {msg}, {eta} left");
            ProgressBar::new(lifts * WHOLE).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        } else {
            ProgressBar::hidden()
        };
        bar.set_message(message(0, lifts, 0));
        let (bar, now) = (Bar { bar, frames: Arc::default() }, Instant::now());
        Self { bar, lifts, begun: now, said: now }
    }

    pub(super) fn bar(&self) -> Bar {
        self.bar.clone()
    }

    /// So many lifts are done.
    pub(super) fn tell(&mut self, done: u64, terminal: &mut Terminal) -> std::io::Result<()> {
        let frames = self.bar.frames.load(Ordering::Relaxed);
        self.bar.bar.set_message(message(done, self.lifts, frames));
        if terminal.progress || self.said.elapsed() < LINE_EVERY {
            return Ok(());
        }
        self.said = Instant::now();
        let for_ms = i64::try_from(self.begun.elapsed().as_millis()).unwrap_or(i64::MAX);
        terminal.notice(&format!("# {} in {}", message(done, self.lifts, frames), span(for_ms)))
    }
}

fn message(done: u64, lifts: u64, frames: u64) -> String {
    format!("{done} of {lifts} lifts, {frames} frames")
}

/// However the replay ends, the terminal is left clean.
impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.bar.finish_and_clear();
    }
}

impl Bar {
    pub(super) fn of_lift(&self) -> OfLift {
        OfLift { bar: self.clone(), done: 0 }
    }
}

impl OfLift {
    pub(super) fn frames(&self, more: u64) {
        self.bar.frames.fetch_add(more, Ordering::Relaxed);
    }

    /// `part_ms` of `whole_ms` are done.
    pub(super) fn reach(&mut self, part_ms: i64, whole_ms: i64) {
        let done = u64::try_from(part_ms.max(0)).unwrap_or(0).saturating_mul(WHOLE);
        let done = (done / u64::try_from(whole_ms.max(1)).unwrap_or(1)).clamp(self.done, WHOLE);
        self.bar.bar.inc(done - std::mem::replace(&mut self.done, done));
    }
}

impl Drop for OfLift {
    fn drop(&mut self) {
        self.bar.bar.inc(WHOLE - self.done);
    }
}
