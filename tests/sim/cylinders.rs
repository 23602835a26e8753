//! What the rules on cylinders must have told, worked out scan by scan from what was published and from the archive, without
//! the core.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use vigil::model::alert::EventKind;
use vigil::model::archive::{self, Entry, SiteKind};
use vigil::model::fill::GOOD_MS;
use vigil::model::ids::{CylinderCode, SiteCode, Subject};
use vigil::model::row::{Order, Row};
use vigil::model::scan::ScanEvent;
use vigil::model::time::{CivilDay, Elapsed, Wall};

use crate::faults::Canary;
use crate::ledger::{At, Ledger};
use crate::model::What;
use crate::stations::Scanned;
use crate::world::{Check, World};

const OVERDUE: &str = "cylinder-overdue";
const UNREGISTERED: &str = "cylinder-unregistered";

/// Everything that is known of cylinders after the records up to `judged_to`.
#[derive(Default)]
pub(crate) struct Yard {
    judged_to: usize,
    /// In the order in which they were first heard of.
    born: Vec<CylinderCode>,
    /// Alert events that were held against it.
    heard_to: usize,
    sites: BTreeMap<SiteCode, SiteKind>,
    cylinders: BTreeMap<CylinderCode, Cylinder>,
    /// Marks of scans that were judged.
    known: BTreeSet<u64>,
    expected: BTreeSet<(CylinderCode, &'static str)>,
    told: BTreeSet<(CylinderCode, Box<str>)>,
    /// Alerts that had to be told, and were.
    pub(crate) foretold: u64,
    /// Fillings that were allowed.
    pub(crate) allowed: u64,
}

#[derive(Default)]
struct Cylinder {
    entry: Option<archive::Cylinder>,
    /// The last passed inspection: its day, and the date that it set.
    report: Option<(CivilDay, Option<CivilDay>)>,
    /// Who may fill it, and until when.
    allowed: Option<(SiteCode, Box<str>, Elapsed)>,
    scrapped: bool,
    duplicate: bool,
}

/// The civil day where the policy's zone is, eight hours ahead of UTC.
pub(crate) fn day(wall: Wall) -> CivilDay {
    CivilDay((wall.0 + 8 * 3_600_000).div_euclid(86_400_000) as i32)
}

impl Cylinder {
    fn is_registered(&self) -> bool {
        !self.scrapped && !self.duplicate && self.entry.as_ref().is_some_and(|entry| !entry.scrapped)
    }

    /// Unknown without a date. Of a void code nothing falls due.
    fn is_overdue(&self, today: CivilDay) -> Option<bool> {
        let entry = self.entry.as_ref().filter(|entry| !entry.scrapped && !self.scrapped)?;
        let due = self.report.and_then(|(_, until)| until).max(entry.inspection_due);
        // By the tables it is years until the next one, from when it was made or inspected.
        let has_interval = entry.medium.is_some() || entry.kind.is_some();
        let by_interval = has_interval && (due.is_none() || self.report.is_some_and(|(_, until)| until.is_none()));
        if by_interval { Some(false) } else { due.map(|due| today > due) }
    }
}

impl Yard {
    /// The cylinder that bears a code: the one that the archive has under it, or the one that has been known for longest of
    /// those that are said to bear it as well.
    pub(crate) fn resolve(&self, code: CylinderCode) -> CylinderCode {
        let entry = |code: &CylinderCode| self.cylinders.get(code).and_then(|cylinder| cylinder.entry.as_ref());
        if entry(&code).is_some() {
            return code;
        }
        let mut bearers = self.born.iter().filter(|own| entry(own).is_some_and(|entry| entry.aliases.contains(&code)));
        bearers.next().copied().unwrap_or(code)
    }

    /// By what scans say of it.
    pub(crate) fn is_void(&self, code: CylinderCode) -> bool {
        self.cylinders.get(&code).is_some_and(|cylinder| cylinder.scrapped || cylinder.duplicate)
    }

    fn cylinder(&mut self, code: CylinderCode) -> &mut Cylinder {
        if !self.cylinders.contains_key(&code) {
            self.born.push(code);
        }
        self.cylinders.entry(code).or_default()
    }

    /// What speaks against using a cylinder doesn't end with a new label: it goes over from codes that are newly its own.
    fn inherit(&mut self, entry: &archive::Cylinder) {
        let known = self.cylinders.get(&entry.code).and_then(|cylinder| cylinder.entry.as_ref());
        let known = known.map_or(Vec::new(), |entry| entry.aliases.clone());
        for alias in entry.aliases.iter().filter(|alias| !known.contains(alias)) {
            let Some(before) = self.cylinders.get(alias) else { continue };
            let scrapped = before.scrapped || before.entry.as_ref().is_some_and(|entry| entry.scrapped);
            let report = before.report;
            let cylinder = self.cylinder(entry.code);
            cylinder.scrapped |= scrapped;
            cylinder.report = cylinder.report.max(report);
        }
    }

    fn note(&mut self, scan: &Scanned, on: CivilDay) {
        let by = self.sites.get(&scan.site).copied();
        let is_body = by == Some(SiteKind::InspectionBody);
        let code = self.resolve(scan.cylinder);
        let cylinder = self.cylinder(code);
        let unit = cylinder.entry.as_ref().and_then(|entry| entry.filling_unit);
        let medium = cylinder.entry.as_ref().and_then(|entry| entry.medium.clone());
        match scan.event {
            ScanEvent::Scrapped => cylinder.scrapped |= is_body || unit == Some(scan.site),
            ScanEvent::Registered => {
                let is_other = medium.is_some_and(|medium| scan.medium.is_some_and(|claimed| *medium != *claimed));
                cylinder.duplicate |= is_other || unit.is_some_and(|unit| unit != scan.site);
            }
            ScanEvent::Inspected if is_body && scan.passed == Some(true) => {
                // Of two the later one counts, whatever it says.
                cylinder.report = cylinder.report.max(Some((on, scan.valid_until.map(day))));
            }
            _ => {}
        }
    }

    /// What stands of one cylinder: a scan may open, anything may clear.
    fn judge(&mut self, code: CylinderCode, scanned: Option<ScanEvent>, today: CivilDay, collected_is_use: bool) {
        let Some(cylinder) = self.cylinders.get(&code) else { return };
        let mut set = |rule, is_open: Option<bool>| match is_open {
            Some(true) => self.foretold += u64::from(self.expected.insert((code, rule))),
            Some(false) => _ = self.expected.remove(&(code, rule)),
            None => {}
        };
        let is_registered = cylinder.is_registered();
        set(UNREGISTERED, if is_registered { Some(false) } else { scanned.map(|_| true) });
        let in_use = scanned.is_some_and(|event| {
            matches!(event, ScanEvent::Filled | ScanEvent::Dispatched | ScanEvent::Delivered)
                || (collected_is_use && event == ScanEvent::Collected)
        });
        set(OVERDUE, cylinder.is_overdue(today).filter(|overdue| in_use || !overdue));
    }
}

impl World {
    /// P6: after each record the open alerts on cylinders are those that the scans and the archive so far lead to.
    pub(crate) fn check_cylinders(&mut self) -> Check {
        let mut yard = std::mem::take(&mut self.yard);
        let mut ledger = std::mem::take(&mut self.ledger);
        let result = (yard.judged_to..self.judged_to).try_for_each(|pos| {
            // What becomes of a command hangs on what was known before it.
            self.check_command(&mut ledger, &yard, pos)?;
            self.check_record(&mut yard, pos)
        });
        yard.judged_to = yard.judged_to.max(self.judged_to);
        ledger.counted.drain(..).for_each(|fault| self.faults.count(fault));
        (self.yard, self.ledger) = (yard, ledger);
        result?;
        if let Some((firm, record)) = self.ledger.visits.keys().find(|name| !self.asker.has_written(**name)) {
            return Err(format!("P2: record {record} of firm {firm} was taken, and nobody wrote it"));
        }
        // A process that fails may have answered what nobody has looked at yet.
        if self.process.is_none() {
            return Ok(());
        }
        let heard = std::mem::take(&mut self.model.heard);
        heard.iter().try_for_each(|(command, outcome)| self.ledger.check_answer(command, outcome))
    }

    fn check_command(&self, ledger: &mut Ledger, yard: &Yard, pos: usize) -> Check {
        let (pos, taken) = (pos as u64, &self.model.inbox[pos]);
        let told = self.model.rows_of(pos);
        match self.model.commands.get(&pos) {
            Some(command) if !self.house.poisoned.contains(pos) => {
                let at = At { wall: taken.wall, elapsed: taken.elapsed };
                ledger.take(pos, at, command, told, yard)
            }
            _ => ledger.hear(pos, told),
        }
    }

    fn check_record(&self, yard: &mut Yard, pos: usize) -> Check {
        let taken = &self.model.inbox[pos];
        let today = day(taken.wall);
        let collected_is_use = self.faults.has(Canary::CollectedIsUse);
        for row in self.model.rows_of(pos as u64) {
            match row {
                Row::Entry(Entry::Site(site)) => _ = yard.sites.insert(site.code, site.kind),
                Row::Entry(Entry::Cylinder(entry)) => {
                    yard.inherit(entry);
                    let cylinder = yard.cylinder(entry.code);
                    (cylinder.entry, cylinder.duplicate) = (Some(entry.clone()), false);
                    yard.judge(entry.code, None, today, collected_is_use);
                }
                _ => {}
            }
        }
        let at = self.check_verdicts(yard, pos)?;
        if let What::Report(Some(uid)) = taken.what
            && !self.house.poisoned.contains(pos as u64)
        {
            for scan in &self.model.published[uid as usize].scans {
                if yard.known.insert(scan.mark) {
                    yard.note(scan, day(at.get(&scan.mark).copied().unwrap_or(taken.wall)));
                    yard.judge(yard.resolve(scan.cylinder), Some(scan.event), today, collected_is_use);
                }
            }
        }
        // The day may have turned, or turned back.
        for code in yard.cylinders.keys().copied().collect::<Vec<_>>() {
            yard.judge(code, None, today, collected_is_use);
        }
        self.hear(yard, pos as u64);
        let is_same = yard.expected.len() == yard.told.len()
            && yard.expected.iter().zip(&yard.told).all(|(a, b)| (a.0, a.1) == (b.0, &*b.1));
        if is_same {
            return Ok(());
        }
        let Yard { expected, told, .. } = yard;
        Err(format!("P6: after the record at {pos} open are {told:?}, expected {expected:?}{}", self.scans_until(pos)))
    }

    /// What guns were told: of one cylinder no second one is allowed while the first may still fill it, and none that isn't in
    /// order. Returns when each scan happened.
    fn check_verdicts(&self, yard: &mut Yard, pos: usize) -> Result<BTreeMap<u64, Wall>, String> {
        let (now, today) = (self.model.inbox[pos].elapsed, day(self.model.inbox[pos].wall));
        let mut at = BTreeMap::new();
        for row in self.model.rows_of(pos as u64) {
            let Row::Scan(row) = row else { continue };
            at.insert(u64::from(row.scan.tare_g.unwrap_or_default()), row.effective_at);
            let code = yard.resolve(row.scan.cylinder);
            let cylinder = yard.cylinder(code);
            if row.scan.event == ScanEvent::Filled && row.order != Order::VeryLate {
                cylinder.allowed = None;
            }
            let Some(verdict) = &row.verdict else { continue };
            if verdict.allows() {
                let gun = (row.site, &*row.scan.scanner);
                let first = cylinder.allowed.as_ref().filter(|first| now < first.2);
                if first.is_some_and(|(site, scanner, _)| (*site, &**scanner) != gun) {
                    return Err(format!("two guns may fill {} at {pos}: {first:?} and {gun:?}", row.scan.cylinder));
                }
                let may_fill = |entry: &archive::Cylinder| {
                    entry.filling_unit == Some(row.site)
                        || entry.entrusted.iter().any(|it| it.site == row.site && it.covers(today))
                };
                let is_theirs = cylinder.entry.as_ref().is_some_and(may_fill);
                if !cylinder.is_registered() || !is_theirs || row.scan.request.is_none() {
                    return Err(format!("{} must not be filled at {pos}: {row:?}", row.scan.cylinder));
                }
                cylinder.allowed = Some((row.site, row.scan.scanner.clone(), now + GOOD_MS));
                yard.allowed += 1;
            }
        }
        Ok(at)
    }

    fn hear(&self, yard: &mut Yard, pos: u64) {
        while let Some((cause, event)) = self.model.events.get(yard.heard_to)
            && *cause <= pos
        {
            yard.heard_to += 1;
            let Subject::Cylinder(code) = event.alert.id.subject else { continue };
            // Others have timelines of their own.
            if ![OVERDUE, UNREGISTERED].contains(&event.alert.id.rule.as_str()) {
                continue;
            }
            let which = (code, event.alert.id.rule.as_str().into());
            match event.kind {
                EventKind::Opened | EventKind::Reopened => _ = yard.told.insert(which),
                EventKind::Cleared => _ = yard.told.remove(&which),
                EventKind::Raised | EventKind::Acknowledged | EventKind::Grouped => {}
            }
        }
    }

    /// For whoever looks for the cause.
    fn scans_until(&self, pos: usize) -> String {
        let mut text = String::new();
        for (at, taken) in self.model.inbox[..=pos].iter().enumerate() {
            if let What::Report(Some(uid)) = taken.what {
                for scan in &self.model.published[uid as usize].scans {
                    let _infallible = write!(text, "\n  {at} on {}: {scan:?}", day(taken.wall));
                }
            }
            for row in self.model.rows_of(at as u64) {
                if let Row::Entry(entry @ (Entry::Cylinder(_) | Entry::Site(_))) = row {
                    let _infallible = write!(text, "\n  {at} on {}: {entry:?}", day(taken.wall));
                }
            }
        }
        text
    }
}
