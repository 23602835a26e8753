//! A second, slow reading of `domain.md`'s trapped rules, with all frames of a lift in hand: what a service without
//! faults would raise.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::read;
use crate::model::ids::{DeviceCode, Subject};
use crate::model::time::Wall;
use crate::simulate::Message;
use crate::simulate::score::TRAPPED_RULES;

#[derive(Debug)]
pub(super) struct Raised {
    pub(super) subject: Subject,
    pub(super) rule: &'static str,
    pub(super) at: Wall,
    pub(super) opened: bool,
}

/// A frame with its lift's real time.
pub(super) struct Seen {
    pub(super) at: i64,
    pub(super) frame: Map<String, Value>,
}

/// Frames by lift, each once, by (boot, seq), with the clock's offset taken off their times.
pub(super) fn by_lift(messages: &[Message]) -> BTreeMap<DeviceCode, Vec<Seen>> {
    let mut lifts: BTreeMap<DeviceCode, Keyed> = BTreeMap::new();
    for message in messages.iter().filter(|message| message.topic.ends_with("/report")) {
        let code = DeviceCode::parse(message.topic.split('/').nth(3).unwrap()).unwrap();
        for frame in read::items(message) {
            let [boot, seq] = ["boot", "seq"].map(|name| frame[name].as_u64().unwrap());
            let at = frame["observed_at_ms"].as_i64().unwrap();
            let delay = message.at.ms() - at;
            lifts.entry(code).or_default().entry((boot, seq)).or_insert((delay, Seen { at, frame }));
        }
    }
    let seen = lifts.into_iter().map(|(code, frames)| {
        let offset = frames.values().map(|(delay, _)| *delay).min().unwrap();
        (code, frames.into_values().map(|(_, seen)| Seen { at: seen.at + offset, ..seen }).collect())
    });
    seen.collect()
}

/// By (boot, seq), with how late it was said.
type Keyed = BTreeMap<(u64, u64), (i64, Seen)>;

#[derive(Default)]
struct Known {
    mode: String,
    car: String,
    door: String,
    door_since: i64,
    level: Option<bool>,
    passenger: bool,
    codes: Vec<u64>,
    alarm_until: i64,
    trapped: bool,
}

impl Known {
    fn take(&mut self, seen: &Seen) {
        let text = |name: &str| seen.frame.get(name).map(|value| value.as_str().unwrap().to_owned());
        let codes = |name: &str| -> Vec<u64> {
            let list = seen.frame.get(name).and_then(Value::as_array);
            list.into_iter().flatten().map(|code| code.as_u64().unwrap()).collect()
        };
        self.mode = text("mode").unwrap_or(std::mem::take(&mut self.mode));
        let was_running = self.car == "running";
        self.car = text("car").unwrap_or(std::mem::take(&mut self.car));
        if let Some(door) = text("door").filter(|door| *door != self.door) {
            (self.door, self.door_since) = (door, seen.at);
        }
        if self.car == "running" || was_running {
            self.level = None;
        }
        if let Some(level) = seen.frame.get("door_zone").filter(|_| self.car == "stopped") {
            self.level = level.as_bool();
        }
        if let Some(passenger) = seen.frame.get("passenger") {
            self.passenger = passenger.as_bool().unwrap();
        }
        // All of the fleet's frames report status, so what they don't list is over.
        self.codes = [codes("faults"), codes("alarms")].concat();
        if [&self.codes[..], &codes("events")].concat().contains(&90) {
            self.alarm_until = seen.at + 60_000;
        }
        self.trapped = seen.frame.contains_key("conditions");
    }

    /// When, after `at`, something becomes true or false by time alone.
    fn turns(&self, at: i64, until: i64) -> Vec<i64> {
        let mut turns = vec![self.alarm_until, self.door_since + 10_000];
        turns.retain(|turn| at < *turn && *turn < until);
        turns.sort_unstable();
        turns
    }

    /// Condition, hold and drop of each of `TRAPPED_RULES`, and whether inspection mode suppresses it.
    fn rules(&self, at: i64) -> [(bool, i64, i64, bool); 5] {
        let moving = matches!(self.door.as_str(), "opening" | "closing");
        let shut = self.door != "open" && (!moving || at >= self.door_since + 10_000);
        let inside = self.passenger && self.car == "stopped" && shut;
        let alarm = at < self.alarm_until;
        let called = alarm || self.codes.contains(&3);
        let level = self.level == Some(true);
        [
            (inside && self.level == Some(false), 30_000, 3_000, true),
            (inside && level && called, 45_000, 3_000, true),
            (inside && level && !called, 120_000, 0, true),
            (self.trapped, 0, 3_000, false),
            (inside && alarm, 10_000, 3_000, true),
        ]
    }
}

#[derive(Clone, Copy, Default)]
struct Hold {
    since: Option<i64>,
    false_since: Option<i64>,
    open: bool,
}

/// Everything that the trapped rules raise, by time.
pub(super) fn raised(lifts: &BTreeMap<DeviceCode, Vec<Seen>>) -> Vec<Raised> {
    let mut raised = Vec::new();
    for (code, frames) in lifts {
        let mut known = Known::default();
        let mut holds = [Hold::default(); 5];
        for (n, seen) in frames.iter().enumerate() {
            known.take(seen);
            let until = frames.get(n + 1).map_or(seen.at, |next| next.at);
            let mut bounds = vec![seen.at];
            bounds.extend(known.turns(seen.at, until));
            bounds.push(until);
            for span in bounds.windows(2) {
                for (rule, hold) in holds.iter_mut().enumerate() {
                    let told = judge(known.rules(span[0])[rule], hold, span[0], span[1], known.mode == "inspection");
                    let subject = Subject::Device(*code);
                    raised.extend(told.into_iter().map(|(at, opened)| Raised {
                        subject,
                        rule: TRAPPED_RULES[rule],
                        at: Wall(at),
                        opened,
                    }));
                }
            }
        }
    }
    raised.sort_by_key(|raised| raised.at);
    raised
}

/// One rule over a span in which nothing changes.
fn judge(
    (condition, hold_ms, drop_ms, suppressible): (bool, i64, i64, bool),
    hold: &mut Hold,
    from: i64,
    until: i64,
    inspection: bool,
) -> Option<(i64, bool)> {
    if !condition {
        let since = *hold.false_since.get_or_insert(from);
        if until - since >= drop_ms {
            hold.since = None;
        }
        return std::mem::take(&mut hold.open).then_some((from, false));
    }
    // A flicker shorter than the drop doesn't begin the hold anew.
    hold.false_since = None;
    let due = (*hold.since.get_or_insert(from) + hold_ms).max(from);
    let fires = !hold.open && due <= until && !(inspection && suppressible);
    hold.open |= fires;
    fires.then_some((due, true))
}
