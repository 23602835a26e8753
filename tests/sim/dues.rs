//! What must be due: the dates that were told, beside those that the core would tell now and those that follow from
//! visits, drills and the archive by counting.

use std::collections::BTreeMap;

use jiff::ToSpan as _;
use vigil::model::alert::{EventKind, Reason};
use vigil::model::archive::{ContractKind, Lift};
use vigil::model::ids::{AlertId, Subject};
use vigil::model::obligation::{DueKind, DueRow};
use vigil::model::row::Row;
use vigil::model::time::CivilDay;

use crate::cylinders::day;
use crate::faults::Fault;
use crate::records::File;
use crate::world::{Check, World};

const DRILL_MONTHS: i32 = 6;
const SIGNED_WITHIN_MS: i64 = 24 * 3_600_000;
const VISITS: [(DueKind, i32); 4] =
    [(DueKind::HalfMonth, 15), (DueKind::Quarter, 90), (DueKind::HalfYear, 180), (DueKind::Year, 365)];

/// The dates as they were told last.
#[derive(Default)]
pub(crate) struct Dates {
    heard_to: usize,
    told: BTreeMap<(Subject, DueKind), DueRow>,
}

impl World {
    pub(crate) fn check_dues(&mut self) -> Check {
        let Dates { mut heard_to, mut told } = std::mem::take(&mut self.dates);
        let mut moved = 0;
        for row in self.model.outbox[heard_to..].iter().flat_map(|told| &told.effects.rows) {
            let Row::Due(row) = row else { continue };
            let before = told.insert((row.subject, row.kind), row.clone());
            moved += u64::from(before.is_some_and(|before| before.due_on != row.due_on));
        }
        heard_to = self.model.outbox.len();
        self.faults.drawn[Fault::DueDateMoved as usize] += moved;
        self.dates = Dates { heard_to, told };
        self.check_standing()?;
        self.check_counted()?;
        self.check_told_of()
    }

    fn settled_day(&self) -> Option<CivilDay> {
        let process = self.process.as_ref()?;
        let core = process.spine.core();
        let last = self.model.inbox.last().filter(|_| core.is_settled())?;
        (self.judged_to == self.model.inbox.len()).then(|| day(last.wall))
    }

    /// P4: what was told is what the core would tell now.
    fn check_standing(&self) -> Check {
        let (Some(process), Some(_)) = (&self.process, self.settled_day()) else { return Ok(()) };
        for row in self.dates.told.values() {
            let Some(now) = process.spine.core().present_due(row) else {
                return Err(format!("P4: the core knows nothing of what it told is due: {row:?}"));
            };
            let says = |row: &DueRow| (row.due_on, row.basis_on, row.clause.clone(), row.district, row.party);
            let is_nothing = row.due_on.is_none() && now.due_on.is_none();
            if !is_nothing && says(row) != says(&now) {
                return Err(format!("P4: what was told is {row:?}, and the core would tell {now:?}"));
            }
        }
        Ok(())
    }

    /// P6: visits and drills fall due so long after the last one, or after somebody could first tell of one.
    fn check_counted(&self) -> Check {
        if self.settled_day().is_none() {
            return Ok(());
        }
        for (code, entry) in &self.ledger.lifts {
            let file = self.ledger.files.get(code).cloned().unwrap_or_default();
            for (kind, expected) in counted(entry, &file) {
                let told = self.dates.told.get(&(Subject::Device(*code), kind)).and_then(|row| row.due_on);
                if told != expected {
                    return Err(format!(
                        "P6: of {code} the {} is told to be due on {told:?}, expected is {expected:?}, of {entry:?}, \
                         {file:?}",
                        kind.name()
                    ));
                }
            }
        }
        Ok(())
    }

    /// P5: what is overdue is told of, and nothing else; so are hazards and records that nobody has signed.
    fn check_told_of(&self) -> Check {
        let Some(today) = self.settled_day() else { return Ok(()) };
        let now = self.model.inbox.last().expect("it is settled").elapsed;
        for code in self.ledger.lifts.keys() {
            let subject = Subject::Device(*code);
            let due = |kind: DueKind| self.dates.told.get(&(subject, kind)).and_then(|row| row.due_on);
            let is_known = DueKind::ALL.iter().any(|kind| due(*kind).is_some());
            let is_over = |kinds: &[DueKind]| kinds.iter().any(|kind| due(*kind).is_some_and(|due| due < today));
            let rules = [
                ("inspection-overdue", &[DueKind::Inspection][..]),
                ("testing-overdue", &[DueKind::Testing]),
                ("maintenance-overdue", &VISITS.map(|(kind, _)| kind)),
                ("drill-overdue", &[DueKind::Drill]),
            ];
            for (rule, kinds) in rules {
                // Where nothing has a date nothing is known, which neither opens nor clears.
                if is_known {
                    self.check_one(subject, rule, is_over(kinds))?;
                }
            }
            if let Some(file) = self.ledger.files.get(code).filter(|file| file.chain().0 > 0) {
                self.check_one(subject, "hazard-reported", file.has_hazard())?;
                let waits = file.unsigned_since().is_some_and(|since| now - since >= SIGNED_WITHIN_MS);
                self.check_one(subject, "record-unsigned", waits)?;
            }
        }
        Ok(())
    }

    fn check_one(&self, subject: Subject, rule: &str, expected: bool) -> Check {
        let is_it = |id: &AlertId| id.subject == subject && id.rule.as_str() == rule;
        let is_open = self.model.open.keys().any(is_it);
        let by_hand = || {
            let mut events = self.model.events.iter().map(|(_, event)| event);
            events.any(|it| it.kind == EventKind::Cleared && it.reason == Reason::Operator && is_it(&it.alert.id))
        };
        // What a person cleared may stay away for a while.
        if is_open == expected || by_hand() {
            return Ok(());
        }
        Err(format!("P5: {rule} of {subject} is open: {is_open}, expected: {expected}"))
    }
}

/// The dates of a lift that can be counted out here.
fn counted(entry: &Lift, file: &File) -> Vec<(DueKind, Option<CivilDay>)> {
    let mut dues = Vec::new();
    let is_used = entry.out_of_use_since.is_none();
    // Before anybody could tell of a visit here, none is missed.
    let from = file.maintained_from.map(|from| from.max(file.known_since.unwrap_or(from)));
    let is_on_demand = entry.contract.is_some_and(|contract| contract.kind != ContractKind::Calendar);
    for (nth, (kind, days)) in VISITS.into_iter().enumerate() {
        // An on-demand contract's half month hangs on its data link.
        if kind == DueKind::HalfMonth && is_on_demand {
            continue;
        }
        let last = file.visited_on(nth);
        dues.push((kind, last.max(from).filter(|_| is_used).map(|day| CivilDay(day.0 + days))));
    }
    let drilled_on = file.drills.iter().map(|(on, _)| *on).max();
    dues.push((DueKind::Drill, drilled_on.max(from).filter(|_| is_used).map(|day| months_after(day, DRILL_MONTHS))));
    if !file.has_years {
        dues.push((DueKind::Inspection, entry.inspection_due.filter(|_| is_used)));
    }
    dues
}

fn months_after(day: CivilDay, months: i32) -> CivilDay {
    let epoch = jiff::civil::date(1970, 1, 1);
    let after = epoch + day.0.days() + months.months();
    CivilDay((after - epoch).get_days())
}
