//! What the rules must say of a timeline: slow, and obvious.
//!
//! Nothing here is taken from `core/`, and nothing here remembers what a rule is about to do. Everything that arrived is
//! kept in lists; whenever anything could happen, every rule is asked afresh, by looking back over all of it.

mod facts;
mod hearing;
mod judge;
mod lateness;
mod lift;
pub(crate) mod rules;

use self::hearing::Hearing;
use self::lift::Lift;
use crate::counts::Counts;
use crate::timeline::{Frame, Timeline, What};
use crate::told::Told;

const MARKER_MS: i64 = 5_000;

/// The alert events that the timeline must lead to.
pub(crate) fn foretell(timeline: &Timeline, counts: &mut Counts) -> Vec<Told> {
    let mut model = Model {
        now_ms: 0,
        hearing: Hearing::default(),
        wall_step_ms: 0,
        starts_at_ms: None,
        is_up: true,
        next_marker_ms: None,
        kept: Vec::new(),
        lifts: timeline.lifts.iter().enumerate().map(|(nth, spec)| Lift::new(nth, *spec)).collect(),
    };
    model.drained();
    for step in &timeline.steps {
        model.pass_to(step.at_ms);
        model.step(&step.what);
    }
    model.pass_to(timeline.until_ms);
    model.lifts.iter_mut().for_each(|lift| lift.count(counts));
    model.lifts.into_iter().flat_map(|lift| lift.told).collect()
}

struct Model {
    now_ms: i64,
    hearing: Hearing,
    wall_step_ms: i64,
    /// The service is away until then.
    starts_at_ms: Option<i64>,
    is_up: bool,
    next_marker_ms: Option<i64>,
    /// What the broker keeps while we are not connected.
    kept: Vec<(usize, Vec<Frame>)>,
    lifts: Vec<Lift>,
}

impl Model {
    fn pass_to(&mut self, to_ms: i64) {
        if let Some(starts_at_ms) = self.starts_at_ms {
            if starts_at_ms > to_ms {
                self.now_ms = to_ms;
                return;
            }
            self.starts_at_ms = None;
            // Nothing was judged while it was away.
            self.lifts.iter_mut().for_each(|lift| lift.passed_ms = starts_at_ms);
            self.let_pass(starts_at_ms);
            self.connected();
            self.drained();
        }
        while let Some(marker_ms) = self.next_marker_ms.filter(|at| *at <= to_ms) {
            self.let_pass(marker_ms);
            self.hearing.marker(marker_ms);
            self.next_marker_ms = Some(marker_ms + MARKER_MS);
            self.lifts.iter_mut().for_each(|lift| lift.heard(&self.hearing, marker_ms));
        }
        self.let_pass(to_ms);
    }

    fn let_pass(&mut self, to_ms: i64) {
        self.lifts.iter_mut().for_each(|lift| lift.pass_to(&self.hearing, to_ms));
        self.now_ms = to_ms;
    }

    fn step(&mut self, what: &What) {
        match what {
            What::Report { lift, frames } if self.is_up => {
                let wall_ms = self.now_ms + self.wall_step_ms;
                self.lifts[*lift].take(&self.hearing, frames, self.now_ms, wall_ms);
            }
            What::Report { lift, frames } => self.kept.push((*lift, frames.clone())),
            What::Clear { lift, rule } => self.lifts[*lift].clear_by_hand(&self.hearing, rule, self.now_ms),
            What::Acknowledge { lift, rule } => self.lifts[*lift].acknowledge(rule, self.now_ms),
            What::LinkDown => self.lost(),
            What::LinkUp => self.connected(),
            What::Drained => self.drained(),
            What::Restart { down_ms } => {
                self.lost();
                self.starts_at_ms = Some(self.now_ms + down_ms);
            }
            What::Wall { by_ms } => self.wall_step_ms += by_ms,
        }
    }

    fn lost(&mut self) {
        (self.is_up, self.next_marker_ms) = (false, None);
        self.hearing.lost();
    }

    /// What the broker kept comes at once.
    fn connected(&mut self) {
        self.is_up = true;
        for (lift, frames) in std::mem::take(&mut self.kept) {
            self.step(&What::Report { lift, frames });
        }
    }

    fn drained(&mut self) {
        self.hearing.drained(self.now_ms);
        self.next_marker_ms = Some(self.now_ms + MARKER_MS);
        self.lifts.iter_mut().for_each(|lift| lift.drained(&self.hearing, self.now_ms));
    }
}
