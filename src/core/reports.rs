//! What messages from the broker do: decoded here, taken by the lift or cylinder they are about.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::cylinder::Cylinder;
use super::cylinder::custody::{Moment, Standing};
use super::cylinder::fills::{Asked, How};
use super::decode::profile::{Feed, Mapped};
use super::decode::{Decoded, Items, Rejected, decode};
use super::lift::{Arrival, Lift, Took, effective, row_order};
use super::scanner::Scanner;
use super::telemetry::order::Verdict;
use super::{Core, Effects};
use crate::limits;
use crate::model::archive::SiteKind;
use crate::model::fill::GOOD_MS;
use crate::model::frame::Frame;
use crate::model::ids::{CylinderCode, DeviceCode, District, SiteCode};
use crate::model::row::{RejectReason, RejectRow, Row, ScanFlag, ScanRow, StatusRow};
use crate::model::scan::{Scan, ScanEvent};
use crate::model::time::CivilDay;

impl Core {
    pub(super) fn take_report(&mut self, out: &mut Effects, topic: &str, payload: &Bytes) {
        if let Some(profile) = self.policy.profiles.find(&self.policy.text.topic_prefix, topic) {
            let (feed, keep_alive_s) = (profile.decode(topic, payload), profile.keep_alive_s);
            return self.take_feed(out, topic, feed, keep_alive_s);
        }
        match decode(&self.policy.text.topic_prefix, topic, payload) {
            Decoded::Frames { device, items } => self.take_frames(out, topic, device, items),
            Decoded::Scans { site, items } => self.take_scans(out, topic, site, items),
            Decoded::Status { device, online } => self.take_status(out, device, online),
            Decoded::CommandResult { device, id, ok } => self.take_result(out, device, &id, ok),
            Decoded::Rejected(rejected) => self.reject(out, topic, rejected),
        }
    }

    /// What a device says of its connection has no key to know a repeat by, and the broker sends it again whenever we
    /// subscribe: so only what differs from what was said before is news. A device that has never reported is no lift
    /// yet, and nothing is remembered of it.
    fn take_status(&mut self, out: &mut Effects, device: DeviceCode, online: bool) {
        if let Some(ix) = self.lift_at(&device) {
            let said = &mut self.lifts.get_mut(ix).online;
            if said.replace(online) == Some(online) {
                out.tally.repeats += 1;
                return;
            }
        }
        out.rows.push(Row::Status(StatusRow { device, online, received_at: self.books.now.wall }));
    }

    fn take_frames(&mut self, out: &mut Effects, topic: &str, device: DeviceCode, items: Items<Frame>) {
        out.tally.unknown_fields += items.unknown_fields;
        for rejected in items.rejects {
            self.reject(out, topic, rejected);
        }
        if !items.good.is_empty() && self.take_good(out, device, items.good).is_none() {
            self.reject_all(out, topic, "more devices than this service takes");
        }
    }

    /// `None`: there are too many devices to take another one.
    pub(super) fn take_good(&mut self, out: &mut Effects, device: DeviceCode, frames: Vec<Frame>) -> Option<()> {
        let ix = self.lift(&device)?;
        let now = self.books.now;
        let arrival = Arrival { elapsed: now.elapsed, wall: now.wall };
        let today = self.day();
        let (mut cx, lifts, _) = self.context(out);
        let lift = lifts.get_mut(ix);
        lift.follow(&mut cx, today);
        // No more than there are: rows are large, and most reports have one.
        cx.out.rows.reserve_exact(frames.len());
        for frame in frames {
            match lift.take(&mut cx, frame, &arrival) {
                Took::Newer => cx.out.tally.frames += 1,
                Took::Late | Took::VeryLate => cx.out.tally.late += 1,
                Took::Repeat => cx.out.tally.repeats += 1,
            }
        }
        self.settle(ix);
        Some(())
    }

    /// Messages of a feed may be about several lifts, whose frames stand together.
    fn take_feed(&mut self, out: &mut Effects, topic: &str, feed: Feed, keep_alive_s: u16) {
        for rejected in feed.rejects {
            self.reject(out, topic, rejected);
        }
        let mut frames = feed.frames.into_iter().peekable();
        while let Some(device) = frames.peek().map(|(device, _)| *device) {
            let of_device: Vec<Mapped> =
                std::iter::from_fn(|| frames.next_if(|(next, _)| *next == device).map(|(_, mapped)| mapped)).collect();
            if self.take_mapped(out, device, of_device, keep_alive_s).is_none() {
                self.reject_all(out, topic, "more devices than this service takes");
            }
        }
    }

    /// As `take_good`, of frames that may still lack a key.
    fn take_mapped(
        &mut self,
        out: &mut Effects,
        device: DeviceCode,
        mapped: Vec<Mapped>,
        keep_alive_s: u16,
    ) -> Option<()> {
        let ix = self.lift(&device)?;
        let now = self.books.now.wall;
        let lift = self.lifts.get_mut(ix);
        lift.feed_keep_alive_s = keep_alive_s;
        let mut frames = Vec::with_capacity(mapped.len());
        for Mapped { mut frame, id } in mapped {
            if let Some(id) = id {
                let Some(key) = lift.order.derive(frame.claimed_at.unwrap_or(now), id) else {
                    out.tally.repeats += 1;
                    continue;
                };
                frame.key = key;
            }
            frames.push(frame);
        }
        self.take_good(out, device, frames)
    }

    /// The lift of that code, made if it is new; `None` when there are too many.
    pub(super) fn lift(&mut self, code: &DeviceCode) -> Option<u32> {
        if let Some(ix) = self.lift_at(code) {
            return Some(ix);
        }
        if self.lifts.len() >= limits::SUBJECTS {
            return None;
        }
        let mut lift = Lift::new(*code, self.policy.version);
        lift.find_reach(&self.policy);
        let ix = self.lifts.push(lift);
        self.index.lifts.insert(code, ix);
        Some(ix)
    }

    fn take_scans(&mut self, out: &mut Effects, topic: &str, site: SiteCode, items: Items<Scan>) {
        out.tally.unknown_fields += items.unknown_fields;
        for rejected in items.rejects {
            self.reject(out, topic, rejected);
        }
        for scan in items.good {
            if self.take_scan(out, site, scan).is_none() {
                self.reject_all(out, topic, "more scanners or cylinders than this service takes");
            }
        }
    }

    /// `None`: there are too many to take another one.
    fn take_scan(&mut self, out: &mut Effects, site: SiteCode, scan: Scan) -> Option<()> {
        let by = self.scanner(site, &scan.scanner)?;
        let now = self.books.now;
        let drained = self.hearing.is_drained();
        let (verdict, age) = self.scanners.get_mut(by).take(scan.key, scan.claimed_at, now, drained);
        let took = match verdict {
            Verdict::Repeat => {
                out.tally.repeats += 1;
                self.repeat_fill(out, by, site, &scan);
                return Some(());
            }
            Verdict::Newer { .. } => Took::Newer,
            Verdict::Late => Took::Late,
            Verdict::VeryLate => Took::VeryLate,
        };
        out.tally.scans += 1;
        let moment = self.moment(age, verdict);
        let generation = self.scanners.get(by).order.generation();
        let mut flags = self.flags(site, &scan);
        let answer = if took == Took::VeryLate && scan.event != ScanEvent::FillRequested {
            self.take_very_late(&scan, moment);
            None
        } else {
            let ix = self.cylinder(&scan.cylinder)?;
            let before = self.cylinders.get(ix).custody;
            if !before.is_overtaken(moment) && !before.is_legal(scan.event) {
                flags.push(ScanFlag::IllegalMove);
            }
            self.note_scan(ix, by, site, &scan, &flags, moment);
            let answer = if scan.event == ScanEvent::FillRequested {
                let is_stale = !age.is_certain || age.ms > GOOD_MS || took == Took::VeryLate;
                let asked = Asked { by, how: How::Scan { generation, key: scan.key } };
                self.answer(out, ix, asked, site, &scan, is_stale)
            } else {
                None
            };
            self.judge_scan(out, ix, site, &scan, before);
            answer
        };
        let (effective_at, time_source) = effective(scan.claimed_at, now.wall);
        let (received_at, order) = (now.wall, row_order(took));
        out.rows.push(Row::Scan(ScanRow {
            site,
            generation,
            scan,
            received_at,
            effective_at,
            time_source,
            order,
            flags,
            verdict: answer,
        }));
        Some(())
    }

    /// Of a scan so old that it may be a repeat only what speaks against a fill is taken.
    fn take_very_late(&mut self, scan: &Scan, moment: Moment) {
        if let Some(ix) = self.cylinder_at(&scan.cylinder) {
            self.cylinders.get_mut(ix).custody.take_very_late(scan, moment);
        }
    }

    pub(super) fn scanner(&mut self, site: SiteCode, name: &str) -> Option<u32> {
        if let Some(ix) = self.scanner_at(site, name) {
            return Some(ix);
        }
        if self.scanners.len() >= limits::SCANNERS {
            return None;
        }
        let ix = self.scanners.push(Scanner::new(site, name.into()));
        self.index.scanners.insert(&(site, name), ix);
        Some(ix)
    }

    pub(super) fn cylinder(&mut self, code: &CylinderCode) -> Option<u32> {
        if let Some(ix) = self.cylinder_at(code) {
            return Some(ix);
        }
        self.new_cylinder(code)
    }

    pub(super) fn new_cylinder(&mut self, code: &CylinderCode) -> Option<u32> {
        if self.cylinders.len() >= limits::SUBJECTS {
            return None;
        }
        let ix = self.cylinders.push(Cylinder::new(*code, self.policy.version));
        self.index.cylinders.insert(code, ix);
        Some(ix)
    }

    pub(super) fn lift_at(&self, code: &DeviceCode) -> Option<u32> {
        self.index.lifts.find(code, |ix| self.lifts.get(ix).code == *code)
    }

    /// The cylinder that bears the code, or bore it before it was relabelled. What the archive has under the code itself goes
    /// before all, and what it never had after all.
    pub(super) fn cylinder_at(&self, code: &CylinderCode) -> Option<u32> {
        let named = self.cylinder_named(code);
        if self.index.aliases.is_empty() || named.is_some_and(|ix| self.cylinders.get(ix).entry.is_some()) {
            return named;
        }
        // Should several claim it, the one that has been known for longest.
        let relabelled = self.index.aliases.range((*code, 0)..=(*code, u32::MAX)).next();
        relabelled.map(|(_, ix)| *ix).or(named)
    }

    /// By its own code only.
    pub(super) fn cylinder_named(&self, code: &CylinderCode) -> Option<u32> {
        self.index.cylinders.find(code, |ix| self.cylinders.get(ix).code == *code)
    }

    /// Has the lift found by its rescue code. What it was found by before stays, and no longer leads to it.
    pub(super) fn note_rescue_code(&mut self, ix: u32, code: Option<&str>) {
        if let Some(code) = code
            && !self.index.rescue_codes.all(code).any(|known| known == ix)
        {
            self.index.rescue_codes.insert(code, ix);
        }
    }

    /// The lifts with that rescue code, within the district if one is named, in the order of their coming. Codes are given
    /// by cities, so that there may be several.
    pub(super) fn lifts_by_rescue_code(&self, code: &str, within: Option<&District>) -> BTreeSet<u32> {
        let is = |ix: &u32| {
            let entry = self.lifts.get(*ix).archived();
            entry.is_some_and(|it| {
                it.rescue_code.as_deref() == Some(code)
                    && within.is_none_or(|within| it.district.is_some_and(|own| own.is_within(within)))
            })
        };
        self.index.rescue_codes.all(code).filter(is).collect()
    }

    pub(super) fn scanner_at(&self, site: SiteCode, name: &str) -> Option<u32> {
        let is = |it: &Scanner| it.site == site && *it.name == *name;
        self.index.scanners.find(&(site, name), |ix| is(self.scanners.get(ix)))
    }

    /// What is wrong with who says it.
    pub(super) fn flags(&self, site: SiteCode, scan: &Scan) -> Vec<ScanFlag> {
        let known = self.sites.get(&site);
        let is_body = known.is_some_and(|site| site.kind == SiteKind::InspectionBody);
        let entry = self.cylinder_at(&scan.cylinder).and_then(|ix| self.cylinders.get(ix).entry.as_ref());
        let unit = entry.and_then(|entry| entry.filling_unit());
        let is_own = unit == Some(site);
        let mut flags = Vec::new();
        if known.is_none() {
            flags.push(ScanFlag::UnregisteredSite);
        }
        let foreign = match scan.event {
            ScanEvent::Disabled | ScanEvent::Lost | ScanEvent::SentForInspection => !is_own,
            ScanEvent::Scrapped => !is_own && !is_body,
            _ => false,
        };
        if foreign {
            flags.push(ScanFlag::ForeignSite);
        }
        if scan.event == ScanEvent::Inspected && !is_body {
            flags.push(ScanFlag::NotAnInspectionBody);
        }
        // To register a code again, as it stands in the archive, is a claim that is true already.
        let is_other = |medium: &str| scan.medium.as_deref().is_some_and(|claimed| claimed != medium);
        let is_another = entry.and_then(|entry| entry.medium()).is_some_and(is_other) || (unit.is_some() && !is_own);
        if scan.event == ScanEvent::Registered && is_another {
            flags.push(ScanFlag::DuplicateCode);
        }
        flags
    }

    /// A passed inspection by a registered inspection body is good until the date it names; a scrapped cylinder, by
    /// whoever may say so, is void.
    fn note_scan(&mut self, ix: u32, by: u32, site: SiteCode, scan: &Scan, flags: &[ScanFlag], moment: Moment) {
        let is_body = self.sites.get(&site).is_some_and(|site| site.kind == SiteKind::InspectionBody);
        let until = scan.valid_until.map(|until| CivilDay::of(until, &self.policy.zone));
        let (inspected_at, _) = effective(scan.claimed_at, self.books.now.wall);
        let on = CivilDay::of(inspected_at, &self.policy.zone);
        let cylinder = self.cylinders.get_mut(ix);
        if scan.event == ScanEvent::Scrapped && !flags.contains(&ScanFlag::ForeignSite) {
            cylinder.scrapped = true;
        }
        if flags.contains(&ScanFlag::DuplicateCode) {
            cylinder.duplicate = true;
        }
        let unit = cylinder.entry.as_ref().and_then(|entry| entry.filling_unit());
        cylinder.custody.take(scan, by, Standing { is_own: unit == Some(site), is_body }, moment);
        if scan.event == ScanEvent::Inspected && scan.passed == Some(true) && is_body {
            cylinder.note_inspection(on, until);
        }
        if scan.event == ScanEvent::Filled {
            self.fills.release(ix);
        }
    }

    fn reject_all(&mut self, out: &mut Effects, topic: &str, why: &str) {
        let rejected =
            Rejected { reason: RejectReason::TooMany, pointer: "".into(), detail: why.into(), payload: Bytes::new() };
        self.reject(out, topic, rejected);
    }

    fn reject(&mut self, out: &mut Effects, topic: &str, rejected: Rejected) {
        out.tally.note_reject(rejected.reason);
        let topic: Box<str> = bounded_topic(topic).into();
        if !Arc::make_mut(&mut self.quota).admits(&topic, self.books.now.elapsed) {
            return;
        }
        let Rejected { reason, pointer, detail, payload } = rejected;
        out.rows.push(Row::Reject(RejectRow {
            topic,
            reason,
            pointer,
            detail,
            payload,
            received_at: self.books.now.wall,
        }));
    }
}

/// A topic as it may be stored: bounded, and without what no database takes.
fn bounded_topic(topic: &str) -> String {
    let end = topic.floor_char_boundary(limits::TOPIC_BYTES);
    topic[..end].replace('\0', "\u{fffd}")
}
