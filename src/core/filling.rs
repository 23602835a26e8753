//! Requests to fill a cylinder: judged, answered, remembered while the answer is good.

use super::cylinder::custody::{Custody, Moment};
use super::cylinder::fills::{Asked, Fills, Given, How};
use super::cylinder::verdict::{RequestFacts, StandingFacts, reasons, standing_reasons};
use super::cylinder::{Cylinder, Scanned};
use super::scanner::Age;
use super::telemetry::offset::LATE_MS;
use super::telemetry::order::Verdict as Order;
use super::{Core, Effects};
use crate::limits;
use crate::model::downlink::Downlink;
use crate::model::fill::{FillAnswer, FillRequest, Finding, GOOD_MS, Verdict};
use crate::model::frame::FrameKey;
use crate::model::ids::{CylinderCode, SiteCode};
use crate::model::record::{Command, Outcome};
use crate::model::row::{self, Row, ScanFlag, ScanRow, TimeSource};
use crate::model::scan::{Scan, ScanEvent};

/// Lateness below this is the network's.
const PROMPT_MS: i64 = 1_000;

impl Core {
    /// When a scan happened, by our clock.
    pub(super) fn moment(&self, age: Age, order: Order) -> Moment {
        let is_newer = matches!(order, Order::Newer { .. });
        Moment {
            s: seconds(self.books.now.elapsed.0.saturating_sub(age.ms)),
            is_prompt: is_newer && age.ms < PROMPT_MS,
            is_late: !is_newer || age.ms > LATE_MS,
            is_certain: age.is_certain,
        }
    }

    /// Judges a gun's request, and answers it.
    pub(super) fn answer(
        &mut self,
        out: &mut Effects,
        cylinder: u32,
        asked: Asked,
        site: SiteCode,
        scan: &Scan,
        is_stale: bool,
    ) -> Option<Verdict> {
        let verdict = self.judge_fill(out, cylinder, asked, site, scan, is_stale)?;
        let given = Given { cylinder, verdict, until: Fills::until(self.books.now.elapsed) };
        out.downlinks.push(downlink(site, scan, &given));
        Some(given.verdict)
    }

    /// Judges a request. `asked` names it, `is_stale` says that it was made too long ago, or nobody knows when. `None`: more
    /// are asked at a time than are remembered, and so nothing may be allowed.
    pub(super) fn judge_fill(
        &mut self,
        out: &mut Effects,
        cylinder: u32,
        asked: Asked,
        site: SiteCode,
        scan: &Scan,
        is_stale: bool,
    ) -> Option<Verdict> {
        let now = self.books.now;
        if !self.fills.has_room(now.elapsed) {
            return None;
        }
        let reasons = self.fill_reasons(cylinder, &asked, site, scan, is_stale);
        let verdict = Verdict { reasons, expires_at: now.wall + GOOD_MS };
        self.fills.give(asked, Given { cylinder, verdict: verdict.clone(), until: Fills::until(now.elapsed) });
        if verdict.allows() {
            out.tally.allowed += 1;
        } else {
            out.tally.denied += 1;
        }
        Some(verdict)
    }

    fn fill_reasons(&self, ix: u32, asked: &Asked, site: SiteCode, scan: &Scan, is_stale: bool) -> Vec<Box<str>> {
        let cylinder = self.cylinders.get(ix);
        let request = RequestFacts {
            has_request: scan.request.as_deref().is_some_and(|request| !request.is_empty()),
            is_stale,
            is_reserved: self.fills.is_reserved(ix, asked.by, self.books.now.elapsed),
            has_medium: scan.medium.is_some() && cylinder.entry.as_ref().is_some_and(|entry| entry.medium().is_some()),
        };
        let scanned = Scanned { scan, site, place: self.sites.get(&site), before: cylinder.custody };
        let standing = self.facts_of(cylinder, self.is_confirmed(ix));
        reasons(&request, &standing, cylinder.denied_by(&self.policy, &scanned, self.day()))
    }

    fn facts_of(&self, cylinder: &Cylinder, is_confirmed: bool) -> StandingFacts {
        StandingFacts { is_registered: cylinder.is_registered(), custody: cylinder.custody, is_confirmed }
    }

    /// The very same scan again: it gets its first answer while that holds.
    pub(super) fn repeat_fill(&self, out: &mut Effects, by: u32, site: SiteCode, scan: &Scan) {
        if scan.event != ScanEvent::FillRequested {
            return;
        }
        let generation = self.scanners.get(by).order.generation();
        let asked = Asked { by, how: How::Scan { generation, key: scan.key } };
        let Some(given) = self.standing_answer(&asked, site, scan) else { return };
        out.downlinks.push(downlink(site, scan, given));
    }

    /// The answer that the same request got, as far as nothing has happened since that it would not be given after.
    fn standing_answer(&self, asked: &Asked, site: SiteCode, scan: &Scan) -> Option<&Given> {
        let now = self.books.now;
        let given = self.fills.find(asked, now.elapsed, now.wall)?;
        let is_same = self.cylinder_at(&scan.cylinder) == Some(given.cylinder);
        let holds =
            || !given.verdict.allows() || self.fill_reasons(given.cylinder, asked, site, scan, false).is_empty();
        (is_same && holds()).then_some(given)
    }

    pub(super) fn check_fill(&mut self, out: &mut Effects, command: &Command, request: &FillRequest) -> Outcome {
        let now = self.books.now;
        let FillRequest { site, cylinder, .. } = *request;
        let too_many = || Outcome::Precondition { why: "more scanners or cylinders than this service takes".into() };
        let Some(by) = self.scanner(site, &request.scanner) else { return too_many() };
        let position = self.next - 1;
        let scan = scan_of(request, command, position);
        let asked = Asked { by, how: How::Call(command.request.clone()) };
        if let Some(given) = self.standing_answer(&asked, site, &scan) {
            return Outcome::Fill { position, verdict: given.verdict.clone() };
        }
        let Some(ix) = self.cylinder(&cylinder) else { return too_many() };
        let is_stale = request.age_ms.saturating_add((now.elapsed - request.asked).max(0)) > GOOD_MS;
        let verdict = self.judge_fill(out, ix, asked, site, &scan, is_stale);
        let mut flags = self.flags(site, &scan);
        flags.push(ScanFlag::ByCall);
        self.judge_scan(out, ix, site, &scan, self.cylinders.get(ix).custody);
        out.rows.push(Row::Scan(ScanRow {
            site,
            generation: 0,
            scan,
            received_at: now.wall,
            effective_at: now.wall,
            time_source: TimeSource::Absent,
            order: row::Order::Newer,
            flags,
            verdict: verdict.clone(),
        }));
        match verdict {
            Some(verdict) => Outcome::Fill { position, verdict },
            None => Outcome::Precondition { why: "too many fill requests at a time: ask again".into() },
        }
    }

    /// What is wrong with each of these cylinders, whoever wants to do whatever with them.
    pub(super) fn check_batch(&self, command: &Command, site: SiteCode, cylinders: &[CylinderCode]) -> Outcome {
        let most = limits::BATCH_CYLINDERS;
        if cylinders.len() > most {
            let why = format!("{} cylinders; ask about at most {most} at a time", cylinders.len());
            return Outcome::Precondition { why: why.into() };
        }
        let position = self.next - 1;
        let find = |code: &CylinderCode| {
            let unknown = Cylinder::new(*code, self.policy.version);
            let ix = self.cylinder_at(code);
            let cylinder = ix.map_or(&unknown, |ix| self.cylinders.get(ix));
            let standing = self.facts_of(cylinder, ix.is_none_or(|ix| self.is_confirmed(ix)));
            let request = FillRequest {
                site,
                scanner: "".into(),
                cylinder: *code,
                medium: None,
                operator: None,
                age_ms: 0,
                asked: self.books.now.elapsed,
            };
            let scan = scan_of(&request, command, position);
            let scanned = Scanned { scan: &scan, site, place: self.sites.get(&site), before: cylinder.custody };
            let rules = cylinder.denied_by(&self.policy, &scanned, self.day());
            Finding { cylinder: *code, reasons: standing_reasons(&standing, rules) }
        };
        Outcome::Findings { position, findings: cylinders.iter().map(find).collect() }
    }

    /// The rules of a cylinder at a scan of it.
    pub(super) fn judge_scan(&mut self, out: &mut Effects, ix: u32, site: SiteCode, scan: &Scan, before: Custody) {
        let today = self.day();
        let place = self.sites.get(&site).cloned();
        let filled_at = self.filled_at(ix);
        let (mut cx, _, cylinders) = self.context(out);
        let cylinder = cylinders.get_mut(ix);
        cylinder.take_policy(&mut cx);
        let scanned = Scanned { scan, site, place: place.as_ref(), before };
        cylinder.judge(&mut cx, Some(&scanned), filled_at, today);
    }

    /// The site that filled the cylinder last.
    pub(super) fn filled_at(&self, cylinder: u32) -> Option<SiteCode> {
        let by = self.cylinders.get(cylinder).custody.filled_by;
        ((by as usize) < self.scanners.len()).then(|| self.scanners.get(by).site)
    }
}

pub(super) fn downlink(site: SiteCode, scan: &Scan, given: &Given) -> Downlink {
    Downlink::Fill(FillAnswer {
        site,
        scanner: scan.scanner.clone(),
        cylinder: scan.cylinder,
        request: scan.request.clone(),
        verdict: given.verdict.clone(),
        good_until: given.until,
    })
}

/// What was asked by a call, as its cylinder's history shows it.
fn scan_of(request: &FillRequest, command: &Command, position: u64) -> Scan {
    Scan {
        scanner: request.scanner.clone(),
        // No scanner counts so: it is the place in the inbox.
        key: FrameKey { boot: 0, seq: position },
        claimed_at: None,
        cylinder: request.cylinder,
        event: ScanEvent::FillRequested,
        operator: request.operator.clone(),
        counterparty: None,
        medium: request.medium.clone(),
        tare_g: None,
        gross_g: None,
        net_g: None,
        pressure_kpa: None,
        passed: None,
        findings: Vec::new(),
        latitude_e7: None,
        longitude_e7: None,
        request: Some(command.request.clone()),
        valid_until: None,
        invalid: Vec::new(),
    }
}

/// Elapsed time in whole seconds, as custody keeps it.
fn seconds(ms: i64) -> u32 {
    u32::try_from(ms.max(0) / 1_000).unwrap_or(u32::MAX)
}
