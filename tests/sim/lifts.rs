//! Lifts that report. Orderly ones send everything in order, with a known truth; wild ones and what lies between them
//! and the broker lose, repeat, reorder and spoil.

use bytes::Bytes;
use prost::Message as _;
use vigil::model::ids::DeviceCode;
use vigil::proto::v1;

use crate::dice::Dice;
use crate::faults::{Fault, Faults};
use crate::stations::Scanned;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    Orderly,
    Wild,
    /// Its payloads are mangled: nothing is expected of it but that it does no harm.
    Chaotic,
}

/// Somebody is shut in between floors from `began` until the frame that says it is over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Episode {
    pub(crate) began: i64,
    pub(crate) ended: Option<i64>,
    /// The report that ended it.
    pub(crate) last_uid: Option<u64>,
    pub(crate) first_uid: u64,
}

/// What was published under a uid, and so what is expected of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Published {
    pub(crate) lift: Option<usize>,
    /// Of its good frames. A frame's mark is its number among all frames, and stands in its field `runs`.
    pub(crate) marks: Vec<u64>,
    pub(crate) rejects: usize,
    /// Its good scans, if it is of a scanner.
    pub(crate) scans: Vec<Scanned>,
    /// What its last frame says, and when it was seen: for whoever looks for the cause of a failure.
    pub(crate) said: Option<(i64, Said)>,
    /// (boot, seq) of its good frames and the time they claim, for the same.
    pub(crate) keys: Vec<(u32, u64, i64)>,
}

/// A report on its way to the broker.
pub(crate) struct Sending {
    pub(crate) arrives_at: i64,
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    pub(crate) published: Published,
    /// How often it arrives, and how much later each time.
    pub(crate) again_after: Vec<i64>,
    pub(crate) lost: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    running: bool,
    zone: Option<bool>,
    open: bool,
    passenger: bool,
    faults: Vec<u32>,
    alarms: Vec<u32>,
    events: Vec<u32>,
    /// A field that can't be read.
    spoilt: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Calm {
        until: i64,
    },
    Trapped {
        until: i64,
    },
    /// The door is open at a floor: nothing else happens until the alert has cleared.
    Freed {
        until: i64,
    },
}

/// Enough frames for a terminal to be told from the one before it, though some are lost and others late.
const RECOGNISED_AFTER: u64 = 20;

pub(crate) struct Lift {
    pub(crate) ix: usize,
    pub(crate) code: String,
    pub(crate) nature: Nature,
    pub(crate) episodes: Vec<Episode>,
    pub(crate) next_at: i64,
    dice: Dice,
    json: bool,
    boot: u32,
    seq: u64,
    clock_ms: i64,
    /// A terminal is told from the one before it by its clock, so that must have been right.
    clock_was_wrong: bool,
    replaced: bool,
    /// Since it was replaced, or began.
    frames: u64,
    phase: Phase,
    /// Nothing leaves before.
    outage_until: i64,
    last_arrival: i64,
    /// Frames between two that are due.
    every_ms: (i64, i64),
}

impl Lift {
    pub(crate) fn new(ix: usize, nature: Nature, seed: u64) -> Self {
        let mut dice = Dice::new(seed, 1_000 + ix as u64);
        let clock_ms = dice.between(-1_000, 1_000);
        let every_ms = *dice.pick(&[(2_000, 9_000), (8_000, 20_000), (20_000, 55_000)]);
        Self {
            code: code(ix),
            episodes: Vec::new(),
            next_at: dice.between(0, 5_000),
            json: dice.chance(500),
            boot: u32::from(dice.chance(500)),
            seq: 0,
            clock_ms: if nature == Nature::Orderly { clock_ms / 2 } else { clock_ms },
            clock_was_wrong: false,
            replaced: false,
            frames: 0,
            phase: Phase::Calm { until: dice.between(30_000, 200_000) },
            outage_until: 0,
            last_arrival: 0,
            every_ms,
            dice,
            ix,
            nature,
        }
    }

    /// What it publishes at `now`. `mark` is the number of the next frame; `quiet`: nothing of it is on its way.
    pub(crate) fn speak(
        &mut self,
        now: i64,
        epoch: i64,
        next_uid: u64,
        mark: u64,
        quiet: bool,
        faults: &mut Faults,
    ) -> Sending {
        self.suffer(now, quiet, faults);
        let frames = if self.dice.chance(100) { self.dice.between(2, 4) as u64 } else { 1 };
        let (mut encoded, mut published) = (Vec::new(), Published { lift: Some(self.ix), ..Published::default() });
        for n in 0..frames {
            self.frames += 1;
            self.seq += 1 + u64::from(self.nature == Nature::Wild && self.dice.chance(50));
            // Frames of one report are the last moments before it is sent; only the last one brings news.
            let is_last = n + 1 == frames;
            let said = self.look(now, next_uid, is_last, faults);
            let claimed = epoch + now - (frames - 1 - n) as i64 + self.clock_ms;
            encoded.push(self.encode(&said, mark + n, claimed));
            published.marks.push(mark + n);
            published.keys.push((self.boot, self.seq, claimed - epoch));
            published.said = Some((now, said));
        }
        let (low, high) = self.every_ms;
        self.next_at = now + self.dice.between(low, high);
        if let Phase::Trapped { until } | Phase::Freed { until } = self.phase {
            self.next_at = self.next_at.min(until.max(now + 1));
        }
        self.send(now, encoded, published, faults)
    }

    pub(crate) fn device(&self) -> DeviceCode {
        DeviceCode::parse(&self.code).expect("codes of the simulation are well formed")
    }

    /// Whether it would be told from the one before it, should nobody hear that it was replaced.
    pub(crate) fn may_be_replaced(&self) -> bool {
        self.nature == Nature::Wild && self.frames >= RECOGNISED_AFTER && !self.clock_was_wrong
    }

    pub(crate) fn replace(&mut self) {
        (self.boot, self.seq, self.frames, self.replaced) = (0, 0, 0, true);
    }

    /// What goes wrong with the terminal itself.
    fn suffer(&mut self, now: i64, quiet: bool, faults: &mut Faults) {
        // A new terminal that counts further boots before it is told from the one before it passes for that one: a late
        // frame of its first boot is then rightly taken for a repeat.
        let is_recognised = !self.replaced || self.frames >= RECOGNISED_AFTER;
        if is_recognised && faults.draw(&mut self.dice, Fault::TerminalReboot, 15) {
            self.boot += 1;
            self.seq = 0;
        }
        if self.outage_until < now && faults.draw(&mut self.dice, Fault::DeviceOutage, 12) {
            self.outage_until = now + self.dice.between(5_000, 240_000);
        }
        // A repeat is a known frame of the same generation: what comes of a terminal after the next one was recognised is
        // no longer known, since only one generation is remembered, and may rightly be judged again. So nothing is under way.
        if self.nature != Nature::Wild || !quiet {
            return;
        }
        // Until a terminal is told from the one before it, its clock must be right and it must not be replaced again.
        if self.frames < RECOGNISED_AFTER {
            return;
        }
        if faults.draw(&mut self.dice, Fault::DeviceClockWrong, 15) {
            self.clock_ms = *self.dice.pick(&[0, 0, -40_000, 30_000, 7_200_000, -3_600_000, -800_000_000]);
            self.clock_was_wrong = true;
        } else if !self.clock_was_wrong && faults.draw(&mut self.dice, Fault::TerminalReplaced, 40) {
            self.replace();
        }
    }

    fn look(&mut self, now: i64, uid: u64, is_last: bool, faults: &mut Faults) -> Said {
        if is_last {
            self.live(now, uid, faults);
        }
        let parked = Said { zone: Some(true), open: true, ..Said::default() };
        let mut said = match self.phase {
            Phase::Trapped { .. } => Said { zone: Some(false), passenger: true, ..Said::default() },
            Phase::Freed { .. } => parked,
            Phase::Calm { .. } => match self.dice.below(4) {
                0 => Said { running: true, passenger: self.dice.chance(500), ..Said::default() },
                1 => Said { passenger: self.dice.chance(500), ..parked },
                2 => Said { open: false, passenger: self.dice.chance(300), ..parked },
                _ => parked,
            },
        };
        if self.nature != Nature::Orderly {
            if self.dice.chance(100) {
                said.zone = Some(self.dice.chance(500));
            }
            let codes = [1, 2, 3, 4, 5, 41, 90];
            for (list, per_mille) in [(&mut said.faults, 120), (&mut said.alarms, 60), (&mut said.events, 60)] {
                if self.dice.chance(per_mille) {
                    list.push(*self.dice.pick(&codes));
                }
            }
            said.spoilt = self.json && faults.draw(&mut self.dice, Fault::FieldUnreadable, 40);
        }
        said
    }

    /// Goes on with its story.
    fn live(&mut self, now: i64, uid: u64, faults: &Faults) {
        match self.phase {
            Phase::Calm { until } if now >= until && !faults.over => {
                let lasts_ms = if self.dice.chance(500) {
                    self.dice.between(4_000, 14_000)
                } else {
                    self.dice.between(62_000, 180_000)
                };
                self.phase = Phase::Trapped { until: now + lasts_ms };
                self.episodes.push(Episode { began: now, ended: None, last_uid: None, first_uid: uid });
            }
            Phase::Trapped { until } if now >= until => {
                self.phase = Phase::Freed { until: now + 15_000 };
                let episode = self.episodes.last_mut().expect("it began");
                (episode.ended, episode.last_uid) = (Some(now), Some(uid));
            }
            Phase::Freed { until } if now >= until => {
                self.phase = Phase::Calm { until: now + self.dice.between(20_000, 150_000) };
            }
            _ => {}
        }
    }

    /// Puts the frames into a report, and says what becomes of it on the way to the broker.
    fn send(&mut self, now: i64, mut encoded: Vec<Bytes>, mut published: Published, faults: &mut Faults) -> Sending {
        let mut topic = format!("vigil/v1/elevator/{}/report", self.code);
        let sending = |lift: &mut Self, topic, payload, published| Sending {
            arrives_at: now + lift.dice.between(1, 200),
            topic,
            payload,
            published,
            again_after: Vec::new(),
            lost: false,
        };
        if self.nature == Nature::Orderly {
            let payload = self.report(&encoded);
            let mut sending = sending(self, topic, payload, published);
            sending.arrives_at = sending.arrives_at.max(self.outage_until).max(self.last_arrival + 1);
            self.last_arrival = sending.arrives_at;
            if faults.draw(&mut self.dice, Fault::ReportRepeated, 30) {
                sending.again_after.push(self.dice.between(1, 60_000));
            }
            return sending;
        }
        if self.json && faults.draw(&mut self.dice, Fault::FrameUnreadable, 30) {
            let at = self.dice.below(encoded.len() as u64 + 1) as usize;
            encoded.insert(at, Bytes::from(format!(r#"{{"boot":1,"seq":0,"door":"open","runs":{}}}"#, self.seq)));
            published.rejects += 1;
        }
        let mut payload = self.report(&encoded);
        if faults.draw(&mut self.dice, Fault::ReportUnreadable, 20) {
            // Whatever is left of it, it ends within something.
            payload = if self.json { payload.slice(..payload.len() - 1) } else { Bytes::from(spoil(&payload)) };
            published = Published { rejects: 1, ..Published::default() };
        } else if faults.draw(&mut self.dice, Fault::TopicWrong, 10) {
            topic = format!("vigil/v1/elevator/{}/report", self.code.replace('3', "x"));
            published = Published { rejects: 1, ..Published::default() };
        } else if self.nature == Nature::Chaotic && faults.draw(&mut self.dice, Fault::PayloadMangled, 700) {
            payload = self.mangle(&payload);
        }
        let mut sending = sending(self, topic, payload, published);
        if self.nature == Nature::Chaotic {
            sending.published = Published::default();
        }
        if faults.draw(&mut self.dice, Fault::ReportLate, 40) {
            sending.arrives_at += self.dice.between(6_000, 200_000);
        } else if faults.draw(&mut self.dice, Fault::ReportReordered, 60) {
            sending.arrives_at += self.dice.between(1_000, 30_000);
        } else {
            sending.arrives_at = sending.arrives_at.max(self.outage_until);
        }
        while sending.again_after.len() < 3 && faults.draw(&mut self.dice, Fault::ReportRepeated, 60) {
            sending.again_after.push(self.dice.between(1, 60_000));
        }
        sending.lost = faults.draw(&mut self.dice, Fault::ReportLost, 25);
        sending
    }

    fn mangle(&mut self, payload: &[u8]) -> Bytes {
        let mut bytes = payload.to_vec();
        for _ in 0..self.dice.between(1, 6) {
            let at = self.dice.below(bytes.len() as u64) as usize;
            match self.dice.below(4) {
                0 => bytes[at] ^= 1 << self.dice.below(8),
                1 => bytes[at] = self.dice.below(256) as u8,
                2 if bytes.len() > 1 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, self.dice.below(256) as u8),
            }
        }
        bytes.into()
    }

    fn encode(&self, said: &Said, mark: u64, claimed: i64) -> Bytes {
        if self.json { self.encode_json(said, mark, claimed) } else { self.encode_protobuf(said, mark, claimed) }
    }

    fn encode_json(&self, said: &Said, mark: u64, claimed: i64) -> Bytes {
        let zone = said.zone.map_or(String::new(), |zone| format!(r#""door_zone":{zone},"#));
        let door = if said.spoilt {
            "ajar"
        } else if said.open {
            "open"
        } else {
            "closed"
        };
        let car = if said.running { "running" } else { "stopped" };
        let Said { passenger, faults, alarms, events, .. } = said;
        format!(
            r#"{{"boot":{},"seq":{},"observed_at_ms":{claimed},"mode":"normal","car":"{car}","door":"{door}",{zone}"passenger":{passenger},"runs":{mark},"faults":{faults:?},"alarms":{alarms:?},"events":{events:?}}}"#,
            self.boot, self.seq
        )
        .into()
    }

    fn encode_protobuf(&self, said: &Said, mark: u64, claimed: i64) -> Bytes {
        let (closed, open) = (v1::Door::Closed, v1::Door::Open);
        v1::ElevatorFrame {
            boot: self.boot,
            seq: self.seq,
            observed_at_ms: claimed,
            mode: v1::Mode::Normal.into(),
            car: if said.running { v1::Car::Running } else { v1::Car::Stopped }.into(),
            door: if said.open { open } else { closed }.into(),
            door_zone: said.zone,
            passenger: Some(said.passenger),
            runs: Some(mark),
            faults: said.faults.clone(),
            alarms: said.alarms.clone(),
            events: said.events.clone(),
            ..v1::ElevatorFrame::default()
        }
        .encode_to_vec()
        .into()
    }

    fn report(&self, frames: &[Bytes]) -> Bytes {
        if !self.json {
            let frame = |bytes: &Bytes| v1::ElevatorFrame::decode(bytes.clone()).expect("it was just encoded");
            let frames = frames.iter().map(frame).collect();
            return v1::ElevatorReport { frames, ..v1::ElevatorReport::default() }.encode_to_vec().into();
        }
        [&b"{\"frames\":["[..], &frames.join(&b","[..]), b"]}"].concat().into()
    }
}

pub(crate) fn code(ix: usize) -> String {
    format!("3110500112201401{ix:04}")
}

/// A protobuf report whose envelope is broken, and that differs from every other one.
fn spoil(payload: &[u8]) -> Vec<u8> {
    let mut bytes = payload.to_vec();
    // A field of 2^35 bytes.
    bytes.extend([0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f]);
    bytes
}
