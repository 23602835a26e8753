//! What is known of cylinders after journals were lost or replaced (`vigil recover`): nobody knows what happened to a
//! cylinder in between, so none is filled until somebody who may has told of it again (`docs/adr/0020-after-a-loss.md`).

use super::cylinder::Cylinder;
use super::cylinder::custody::Flag;
use super::{Core, Effects};
use crate::limits;
use crate::model::fill::{Against, Stored};
use crate::model::record::Outcome;
use crate::model::time::{CivilDay, Elapsed};

/// Since when, and of which cylinders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubt {
    /// Of those before this place of their table: later ones came to be known after it.
    pub(crate) before: u32,
    /// In whole seconds of elapsed time, as custody keeps moments.
    pub(crate) since_s: u32,
}

impl Doubt {
    /// Whether the cylinder's own unit has had it back since, or a registered body has passed it.
    fn is_over(self, ix: u32, cylinder: &Cylinder) -> bool {
        let told_s = cylinder.custody.returned_s.max(cylinder.custody.inspected_s);
        ix >= self.before || told_s > self.since_s
    }
}

impl Core {
    /// All cylinders that are known are in doubt from now on.
    pub(super) fn begin_doubt(&mut self) {
        let before = u32::try_from(self.cylinders.len()).unwrap_or(u32::MAX);
        let since_s = seconds(self.books.now.elapsed);
        self.doubt = Some(Doubt { before, since_s }).filter(|doubt| doubt.before > 0);
    }

    pub(super) fn is_confirmed(&self, ix: u32) -> bool {
        self.doubt.is_none_or(|doubt| doubt.is_over(ix, self.cylinders.get(ix)))
    }

    /// Takes what the store's scans say of cylinders for what was scanned. What speaks against a fill is only added.
    pub(super) fn adopt_custody(&mut self, out: &mut Effects, stored: &[Stored]) -> Outcome {
        let today = self.day();
        for it in stored.iter().take(limits::COMMAND_ITEMS) {
            let Some(ix) = self.cylinder_at(&it.cylinder) else { continue };
            let day = |at| CivilDay::of(at, &self.policy.zone);
            let inspected = it.inspected_at.map(|at| (day(at), it.valid_until.map(day)));
            let filled_at = self.filled_at(ix);
            let (mut cx, _, cylinders) = self.context(out);
            let cylinder = cylinders.get_mut(ix);
            for against in &it.against {
                match against {
                    Against::Disabled => cylinder.custody.raise(Flag::Disabled),
                    Against::Lost => cylinder.custody.raise(Flag::Lost),
                    Against::AtInspection => cylinder.custody.raise(Flag::AtInspection),
                    Against::Scrapped => cylinder.scrapped = true,
                    Against::Duplicate => cylinder.duplicate = true,
                }
            }
            if let Some((on, until)) = inspected {
                cylinder.note_inspection(on, until);
            }
            cylinder.follow(&mut cx, filled_at, today);
        }
        self.done(u32::try_from(stored.len()).unwrap_or(u32::MAX))
    }
}

fn seconds(elapsed: Elapsed) -> u32 {
    u32::try_from(elapsed.0.max(0) / 1_000).unwrap_or(u32::MAX)
}
