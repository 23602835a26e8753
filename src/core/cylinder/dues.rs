//! What is due on a cylinder by civil days: its inspection and the end of its life. Found out anew, told where it changed.

use super::Cylinder;
use crate::core::judge::Context;
use crate::core::obligation::cylinder::{self as schedule, CylinderFacts, Inspected};
use crate::core::obligation::upkeep::Told;
use crate::core::obligation::{Due, Dues};
use crate::core::policy::Policy;
use crate::core::tables::cylinders::Make;
use crate::model::ids::Subject;
use crate::model::obligation::{DueKind, DueRow, Party};
use crate::model::row::Row;
use crate::model::time::{CivilDay, Wall};

/// In the order of `Cylinder::told`.
const TOLD: [DueKind; 2] = [DueKind::CylinderInspection, DueKind::CylinderLife];

impl Cylinder {
    pub(super) fn dues(&self, policy: &Policy) -> Dues {
        let Some(entry) = &self.entry else { return Dues::new() };
        let facts = CylinderFacts {
            make: self.make(),
            inspected_on: entry.inspected_on(),
            inspection_due: entry.inspection_due(),
            extended_until: entry.extended_until(),
            report: self.report,
            scrapped: self.scrapped || entry.scrapped,
            used_on: None,
        };
        schedule::due(&policy.tables, &facts)
    }

    fn make(&self) -> Make<'_> {
        let Some(entry) = &self.entry else { return Make::default() };
        Make { kind: entry.kind(), medium: entry.medium(), made_on: entry.made_on() }
    }

    /// Takes note of a passed inspection by a registered body. Of two the later one counts, in whatever order they come.
    pub(crate) fn note_inspection(&mut self, on: CivilDay, valid_until: Option<CivilDay>) {
        let is_older = self.report.is_some_and(|report| {
            (report.on, report.valid_until.is_some(), report.valid_until) > (on, valid_until.is_some(), valid_until)
        });
        if !is_older {
            self.report = Some(Inspected { on, valid_until });
        }
    }

    /// Tells each date that isn't as it was told last.
    pub(super) fn tell_dues(&mut self, cx: &mut Context<'_>, dues: &[Due], today: CivilDay) {
        let Some(entry) = &self.entry else { return };
        let (district, party) = (entry.district(), entry.filling_unit().map(Party::Site));
        for (at, kind) in TOLD.into_iter().enumerate() {
            let due = dues.iter().find(|due| due.kind == kind);
            let now = due.map_or(Told::NOTHING, |due| {
                let source = schedule::source(&cx.policy.tables, self.make(), due);
                Told::of(due, source, district.as_ref(), party.as_ref())
            });
            if std::mem::replace(&mut self.told[at], now) == now {
                continue;
            }
            let row = self.due_row(cx.policy, kind, due, today, cx.books.now.wall);
            cx.out.rows.push(Row::Due(row));
        }
    }

    fn due_row(&self, policy: &Policy, kind: DueKind, due: Option<&Due>, today: CivilDay, now: Wall) -> DueRow {
        let entry = self.entry.as_ref();
        DueRow {
            subject: Subject::Cylinder(self.code),
            kind,
            due_on: due.map(|due| due.due_on),
            basis_on: due.and_then(|due| due.basis_on),
            clause: due.map(|due| schedule::words(&policy.tables, self.make(), due)).unwrap_or_default(),
            district: entry.and_then(|entry| entry.district()),
            party: entry.and_then(|entry| entry.filling_unit()).map(Party::Site),
            recorded_on: today,
            recorded_at: now,
        }
    }

    /// When something of a kind is due, as it would be told now.
    pub fn present_due(&self, policy: &Policy, kind: DueKind, today: CivilDay, now: Wall) -> DueRow {
        let dues = self.dues(policy);
        self.due_row(policy, kind, dues.iter().find(|due| due.kind == kind), today, now)
    }

    /// All dates are told again: the store is new.
    pub fn forget_told(&mut self) {
        self.told = Default::default();
    }
}
