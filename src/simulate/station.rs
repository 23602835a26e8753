//! A filling station: its guns and its hand-held scanner, and the cylinders that go round through it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use bytes::Bytes;

use super::archive::{self, Standing};
use super::dice::{Dice, Stream};
use super::truth::{Incident, IncidentKind};
use super::wire::{self, Encoding, Envelope, Item, Reporter, Scan};
use super::{Equip, FleetOptions, Message, Tape, Writing};
use crate::model::frame::FrameKey;
use crate::model::ids::{SiteCode, Subject};
use crate::model::scan::ScanEvent;
use crate::model::time::Wall;

/// One round of a cylinder: each event, and the least and most time since the one before. The first time round
/// it is stocked in, later it is returned.
const ROUND: [(ScanEvent, (i64, i64)); 7] = [
    (ScanEvent::Returned, (0, 0)),
    (ScanEvent::CheckedBeforeFill, (5_000, 20_000)),
    (ScanEvent::FillRequested, (3_000, 6_000)),
    // The verdict is good for 10 s: the gun opens within them, and scans when the cylinder is full.
    (ScanEvent::Filled, (40_000, 70_000)),
    (ScanEvent::CheckedAfterFill, (5_000, 15_000)),
    (ScanEvent::Dispatched, (30_000, 90_000)),
    (ScanEvent::Delivered, (120_000, 600_000)),
];
const GUNS: usize = 6;
/// The hand-held scanner, after the guns.
const HAND_HELD: usize = GUNS;

#[derive(Debug, Clone, Copy, Default)]
struct Cylinder {
    index: u32,
    in_round: bool,
    has_been_round: bool,
}

/// A cylinder on its way; ordered by its next scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Next {
    at: Wall,
    cylinder: usize,
    stage: usize,
    gun: usize,
}

#[derive(Debug)]
pub(super) struct Station {
    index: u32,
    code: SiteCode,
    topic: Arc<str>,
    stations: u32,
    dice: Dice,
    encoding: Encoding,
    fill_every_ms: i64,
    cylinders: Vec<Cylinder>,
    /// The cylinder whose round begins next.
    cursor: usize,
    rounds: usize,
    next_round_at: Wall,
    /// One entry for a cylinder at most.
    on_their_way: BinaryHeap<Reverse<Next>>,
    keys: [FrameKey; GUNS + 1],
}

impl Station {
    pub(super) fn new(options: &FleetOptions, equip: Equip, index: u32) -> Self {
        let mut dice = Dice::new(options.seed, Stream::Station(index));
        let code = archive::site_code(index);
        let encoding = if dice.chance(50) {
            Encoding::Protobuf { names_itself: dice.chance(30) }
        } else {
            Encoding::Json { envelope: Envelope::Object, rfc3339: dice.chance(30), text_codes: false }
        };
        let encoding =
            if equip.writing == Writing::Protobuf { Encoding::Protobuf { names_itself: false } } else { encoding };
        let own = |n: &u32| archive::station_of(*n, options.stations) == index;
        let cylinders: Vec<_> =
            (0..options.cylinders).filter(own).map(|index| Cylinder { index, ..Cylinder::default() }).collect();
        let first = options.began + dice.between((1_000, options.pace.fill_every_ms.max(1_000)));
        Self {
            index,
            code,
            topic: format!("{}/cylinder/{code}/scan", super::TOPIC_PREFIX).into(),
            stations: options.stations,
            encoding,
            fill_every_ms: options.pace.fill_every_ms,
            next_round_at: if cylinders.is_empty() { Wall::MAX } else { first },
            cylinders,
            cursor: 0,
            rounds: 0,
            on_their_way: BinaryHeap::new(),
            keys: std::array::from_fn(|_| FrameKey { boot: equip.first_boot.saturating_add(dice.below(9)), seq: 0 }),
            dice,
        }
    }

    pub(super) fn next_at(&self) -> Wall {
        self.on_their_way.peek().map_or(Wall::MAX, |Reverse(next)| next.at).min(self.next_round_at)
    }

    pub(super) fn act(&mut self, now: Wall, tape: &mut Tape) {
        if self.next_round_at <= now {
            self.begin_round(now);
        }
        while let Some(Reverse(next)) = self.on_their_way.peek().copied().filter(|Reverse(next)| next.at <= now) {
            self.on_their_way.pop();
            self.scan(next, now, tape);
            let cylinder = &mut self.cylinders[next.cylinder];
            if let Some((_, wait_ms)) = ROUND.get(next.stage + 1) {
                let at = now + self.dice.between(*wait_ms);
                self.on_their_way.push(Reverse(Next { at, stage: next.stage + 1, ..next }));
            } else {
                cylinder.in_round = false;
                cylinder.has_been_round = true;
            }
        }
    }

    /// Takes the next cylinder, unless all have gone round so fast that it is still away.
    fn begin_round(&mut self, now: Wall) {
        let spread_ms = self.fill_every_ms / 5;
        self.next_round_at = now + (self.fill_every_ms + self.dice.between((-spread_ms, spread_ms))).max(1);
        let cylinder = self.cursor;
        if self.cylinders[cylinder].in_round {
            return;
        }
        self.cylinders[cylinder].in_round = true;
        self.cursor = (cylinder + 1) % self.cylinders.len();
        self.rounds += 1;
        self.on_their_way.push(Reverse(Next { at: now, cylinder, stage: 0, gun: self.rounds % GUNS }));
    }

    fn scan(&mut self, next: Next, now: Wall, tape: &mut Tape) {
        let cylinder = self.cylinders[next.cylinder];
        let event = match ROUND[next.stage].0 {
            ScanEvent::Returned if !cylinder.has_been_round => ScanEvent::StockedIn,
            event => event,
        };
        self.expect_alert(cylinder, event, now, &mut tape.truth);
        let by_hand = !matches!(
            event,
            ScanEvent::CheckedBeforeFill | ScanEvent::FillRequested | ScanEvent::Filled | ScanEvent::CheckedAfterFill
        );
        let scanner = if by_hand { HAND_HELD } else { next.gun };
        let body = self.body(cylinder.index, event, now, scanner);
        let payload = wire::report(&[body], self.encoding, Reporter::site(self.code.as_str()));
        tape.counts.scans += 1;
        let topic = self.topic.clone();
        tape.out.push(Message { at: now, topic, payload, qos: 1, retain: false, lane: self.index });
    }

    /// One alert for a cylinder stays open until somebody mends the cause, and nobody does: it is expected once.
    fn expect_alert(&self, cylinder: Cylinder, event: ScanEvent, now: Wall, truth: &mut Vec<Incident>) {
        if cylinder.has_been_round {
            return;
        }
        let kind = match (Standing::of(cylinder.index), event) {
            (Standing::Overdue, ScanEvent::Filled) => IncidentKind::CylinderOverdue,
            (Standing::Unregistered, ScanEvent::StockedIn) => IncidentKind::CylinderUnregistered,
            _ => return,
        };
        let subject = Subject::Cylinder(archive::cylinder_code(cylinder.index, self.stations));
        truth.push(Incident::new(subject, kind, now, 0));
    }

    fn body(&mut self, cylinder: u32, event: ScanEvent, now: Wall, scanner: usize) -> Bytes {
        self.keys[scanner].seq += 1;
        let key = self.keys[scanner];
        let code = archive::cylinder_code(cylinder, self.stations);
        let (medium, _) = archive::medium(cylinder);
        let scanner = if scanner == HAND_HELD { "HAND-1".to_owned() } else { format!("GUN-{}", scanner + 1) };
        let operator = format!("W-{:03}", 1 + self.dice.below(20));
        let counterparty = match event {
            ScanEvent::Dispatched => format!("VEHICLE-{:02}", 1 + self.dice.below(12)),
            ScanEvent::Delivered => format!("CUSTOMER-{:04}", 1 + self.dice.below(5_000)),
            _ => String::new(),
        };
        let asks = event == ScanEvent::FillRequested;
        let request = if asks { format!("{scanner}-{}-{}", key.boot, key.seq) } else { String::new() };
        let weighed = matches!(event, ScanEvent::Filled | ScanEvent::CheckedAfterFill) && medium == "lpg";
        // A YSP35.5 cylinder: at most 14.9 kg of gas.
        let (tare_g, net_g) = (16_000 + cylinder % 700, 14_200 + self.dice.below(500));
        let checked = matches!(event, ScanEvent::CheckedBeforeFill | ScanEvent::CheckedAfterFill);
        let scan = Scan {
            key,
            observed_at: now,
            scanner: &scanner,
            cylinder: code.as_str(),
            event,
            operator: &operator,
            counterparty: &counterparty,
            medium: if asks || event == ScanEvent::Filled { medium } else { "" },
            tare_g: weighed.then_some(tare_g),
            gross_g: weighed.then_some(tare_g + net_g),
            net_g: weighed.then_some(net_g),
            passed: checked.then_some(true),
            request: &request,
        };
        scan.encode(self.encoding)
    }
}
