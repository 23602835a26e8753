//! Sites with scanners: what they say of a handful of cylinders, and what is lost or repeated on the way.

use bytes::Bytes;
use prost::Message as _;
use vigil::model::archive::SiteKind;
use vigil::model::ids::{CylinderCode, SiteCode};
use vigil::model::scan::ScanEvent;
use vigil::model::time::Wall;
use vigil::proto::v1;

use crate::dice::Dice;
use crate::faults::{Fault, Faults};
use crate::lifts::{Published, Sending};

const DAY_MS: i64 = 86_400_000;
/// Of fewer boots than a scanner's order remembers, nothing is ever too old to be known.
const BOOTS: u32 = 4;
/// The last one is never entered into the archive.
pub(crate) const CYLINDERS: u64 = 7;
pub(crate) const ALIASES: u64 = 3;
pub(crate) const SITES: [(&str, SiteKind); 3] =
    [("6401-A", SiteKind::FillingStation), ("6401-B", SiteKind::Shop), ("6401-C", SiteKind::InspectionBody)];

/// Filling, dispatch and delivery are what the rules look at; what makes a code void is rare, since it is for ever.
const EVENTS: [ScanEvent; 30] = [
    ScanEvent::Filled,
    ScanEvent::Filled,
    ScanEvent::Filled,
    ScanEvent::Dispatched,
    ScanEvent::Dispatched,
    ScanEvent::Delivered,
    ScanEvent::Delivered,
    ScanEvent::Collected,
    ScanEvent::Collected,
    ScanEvent::Returned,
    ScanEvent::Returned,
    ScanEvent::CheckedBeforeFill,
    ScanEvent::CheckedBeforeFill,
    ScanEvent::CheckedBeforeFill,
    ScanEvent::CheckedAfterFill,
    ScanEvent::FillRequested,
    ScanEvent::FillRequested,
    ScanEvent::FillRequested,
    ScanEvent::FillRequested,
    ScanEvent::FillRequested,
    ScanEvent::StockedIn,
    ScanEvent::Registered,
    ScanEvent::Registered,
    ScanEvent::Inspected,
    ScanEvent::Inspected,
    ScanEvent::SentForInspection,
    ScanEvent::Disabled,
    ScanEvent::Lost,
    ScanEvent::Scrapped,
    ScanEvent::Collected,
];

pub(crate) fn cylinder(n: u64) -> CylinderCode {
    CylinderCode::parse(&format!("16400100{n:04}")).expect("codes of the simulation are well formed")
}

/// Codes that cylinders bear beside their own.
pub(crate) fn alias(n: u64) -> CylinderCode {
    CylinderCode::parse(&format!("16400199{n:04}")).expect("codes of the simulation are well formed")
}

/// All that is ever scanned.
pub(crate) fn codes() -> impl Iterator<Item = CylinderCode> {
    (0..CYLINDERS).map(cylinder).chain((0..ALIASES).map(alias))
}

pub(crate) fn site(n: usize) -> SiteCode {
    SiteCode::parse(SITES[n].0).expect("codes of the simulation are well formed")
}

/// A good scan. Its mark is its number among all scans, and stands in its field `tare_g`.
#[derive(Debug, Clone)]
pub(crate) struct Scanned {
    pub(crate) mark: u64,
    pub(crate) site: SiteCode,
    pub(crate) cylinder: CylinderCode,
    pub(crate) event: ScanEvent,
    pub(crate) medium: Option<&'static str>,
    pub(crate) passed: Option<bool>,
    pub(crate) valid_until: Option<Wall>,
}

/// One scanner of a site.
pub(crate) struct Station {
    pub(crate) next_at: i64,
    site: usize,
    scanner: String,
    dice: Dice,
    json: bool,
    boot: u32,
    seq: u64,
    every_ms: i64,
}

impl Station {
    pub(crate) fn all(seed: u64, dice: &mut Dice) -> Vec<Self> {
        let mut stations = Vec::new();
        for site in 0..SITES.len() {
            for n in 0..dice.between(1, 2) {
                let mut dice = Dice::new(seed, 2_000 + stations.len() as u64);
                stations.push(Self {
                    next_at: dice.between(0, 20_000),
                    scanner: format!("gun-{n}"),
                    json: dice.chance(500),
                    boot: u32::from(dice.chance(500)),
                    seq: 0,
                    every_ms: *dice.pick(&[15_000, 40_000, 120_000]),
                    site,
                    dice,
                });
            }
        }
        stations
    }

    /// What it publishes at `now`. `mark` is the number of the next scan.
    pub(crate) fn speak(&mut self, now: i64, epoch: i64, mark: u64, faults: &mut Faults) -> Sending {
        self.next_at = now + self.dice.between(500, self.every_ms);
        if self.boot < BOOTS && faults.draw(&mut self.dice, Fault::ScannerReboot, 20) {
            (self.boot, self.seq) = (self.boot + 1, 0);
        }
        let scans = if self.dice.chance(200) { self.dice.between(2, 4) } else { 1 };
        let (mut encoded, mut published) = (Vec::new(), Published::default());
        for n in 0..scans {
            self.seq += 1;
            let scanned = self.look(epoch + now, mark + published.scans.len() as u64);
            let unreadable = faults.draw(&mut self.dice, Fault::ScanUnreadable, 30);
            encoded.push(self.encode(&scanned, epoch + now - (scans - 1 - n), unreadable));
            if unreadable {
                published.rejects += 1;
            } else {
                published.scans.push(scanned);
            }
        }
        let mut sending = Sending {
            arrives_at: now + self.dice.between(1, 200),
            topic: format!("vigil/v1/cylinder/{}/scan", SITES[self.site].0),
            payload: self.report(encoded),
            published,
            again_after: Vec::new(),
            lost: faults.draw(&mut self.dice, Fault::ScanLost, 25),
        };
        if faults.draw(&mut self.dice, Fault::ScanLate, 60) {
            sending.arrives_at += self.dice.between(1_000, 200_000);
        }
        while sending.again_after.len() < 3 && faults.draw(&mut self.dice, Fault::ScanRepeated, 80) {
            sending.again_after.push(self.dice.between(1, 60_000));
        }
        sending
    }

    fn look(&mut self, now: i64, mark: u64) -> Scanned {
        let event = *self.dice.pick(&EVENTS);
        // A code that is void takes no further part, so scrapping is rarer still.
        let event = if event == ScanEvent::Scrapped && self.dice.chance(800) { ScanEvent::Returned } else { event };
        let inspected = event == ScanEvent::Inspected;
        Scanned {
            mark,
            site: site(self.site),
            cylinder: match self.dice.below(CYLINDERS + 2) {
                n if n < CYLINDERS => cylinder(n),
                _ => alias(self.dice.below(ALIASES)),
            },
            event,
            medium: match event {
                ScanEvent::Registered => Some(*self.dice.pick(&["lpg", "lpg", "lpg", "oxygen"])),
                ScanEvent::FillRequested | ScanEvent::Filled => Some("lpg"),
                _ => None,
            },
            passed: (inspected || event == ScanEvent::CheckedBeforeFill).then(|| self.dice.chance(800)),
            valid_until: (inspected && self.dice.chance(800)).then(|| Wall(now + self.dice.between(-2, 2) * DAY_MS)),
        }
    }

    fn encode(&self, scanned: &Scanned, claimed: i64, unreadable: bool) -> v1::CylinderScan {
        v1::CylinderScan {
            boot: self.boot,
            seq: self.seq,
            observed_at_ms: claimed,
            scanner: self.scanner.clone(),
            cylinder: scanned.cylinder.to_string(),
            event: if unreadable { 99 } else { scanned.event.number() },
            medium: scanned.medium.unwrap_or_default().to_owned(),
            tare_g: Some(scanned.mark as u32),
            passed: scanned.passed,
            request: request(scanned),
            valid_until_ms: scanned.valid_until.map(|until| until.0),
            ..v1::CylinderScan::default()
        }
    }

    fn report(&self, scans: Vec<v1::CylinderScan>) -> Bytes {
        if !self.json {
            return v1::ScanReport { scans, ..v1::ScanReport::default() }.encode_to_vec().into();
        }
        let scans: Vec<String> = scans.iter().map(json).collect();
        format!(r#"{{"scans":[{}]}}"#, scans.join(",")).into()
    }
}

/// A gun names what it asks for.
fn request(scanned: &Scanned) -> String {
    if scanned.event == ScanEvent::FillRequested { format!("r-{}", scanned.mark) } else { String::new() }
}

fn json(scan: &v1::CylinderScan) -> String {
    let v1::CylinderScan { boot, seq, observed_at_ms, scanner, cylinder, event, medium, request, .. } = scan;
    let event = u8::try_from(*event).ok().and_then(|number| ScanEvent::from_number(number.into()));
    let event = event.map_or("vanished", ScanEvent::name);
    let mut text = format!(
        r#"{{"boot":{boot},"seq":{seq},"observed_at_ms":{observed_at_ms},"scanner":"{scanner}","cylinder":"{cylinder}","event":"{event}","tare_g":{}"#,
        scan.tare_g.unwrap_or_default()
    );
    if !medium.is_empty() {
        text += &format!(r#","medium":"{medium}""#);
    }
    if !request.is_empty() {
        text += &format!(r#","request":"{request}""#);
    }
    if let Some(passed) = scan.passed {
        text += &format!(r#","passed":{passed}"#);
    }
    if let Some(until) = scan.valid_until_ms {
        text += &format!(r#","valid_until_ms":{until}"#);
    }
    text + "}"
}
