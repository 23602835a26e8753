//! What rescues that have ended say of the rules in question.

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::super::super::count;
use super::report::{civil_at, signed, time};
use crate::backtest::{Ending, Rescues, ToldRescue};
use crate::model::ids::DeviceCode;

pub(super) struct RescueReport {
    all: Rescues,
    /// Real ones that would have been missed: the first of them.
    missed: Vec<(DeviceCode, ToldRescue)>,
    /// Most that are listed.
    list: usize,
}

impl RescueReport {
    pub(super) fn new(list: usize) -> Self {
        Self { all: Rescues::default(), missed: Vec::new(), list }
    }

    pub(super) fn add(&mut self, device: DeviceCode, told: ToldRescue) {
        let before = self.all.missed;
        self.all.add(&told);
        if self.all.missed > before && self.missed.len() < self.list {
            self.missed.push((device, told));
        }
    }

    pub(super) fn lines(&self, zone: &TimeZone) -> Vec<String> {
        let Rescues { real, missed, found, false_alarms, saved, added, unsure, later } = &self.all;
        if real + false_alarms == 0 {
            return vec!["# no rescue of that time has ended in a way that says whether anybody was trapped".into()];
        }
        let rescues = count(*real, "rescue");
        let mut line = format!("{rescues} of people who were trapped: {missed} would have been missed");
        if *found > 0 {
            line += &format!(", {found} found of which only callers told");
        }
        if let Some((median, largest)) = later.median_and_largest() {
            line += &format!("; the others told {} later (median; {} at most)", signed(median), signed(largest));
        }
        let mut lines = vec![line];
        let mut line = format!("{}: {saved} would have been saved", count(*false_alarms, "false alarm"));
        if *added > 0 {
            line += &format!(", {added} told of which only callers did");
        }
        lines.push(line);
        if *unsure > 0 {
            lines.push(format!("# {unsure} more unsure: the rules in force, replayed, don't open them again"));
        }
        for (device, told) in &self.missed {
            let at = civil_at(told.rescue.received_at, zone);
            lines.push(format!("  missed: {at}  {device}  incident {}", told.rescue.incident));
        }
        lines.push(String::new());
        lines
    }

    pub(super) fn json(&self) -> Value {
        let Rescues { real, missed, found, false_alarms, saved, added, unsure, later } = &self.all;
        let later = later.median_and_largest();
        json!({
            "what": "rescues",
            "real": real,
            "missed": missed,
            "found": found,
            "false_alarms": false_alarms,
            "saved": saved,
            "added": added,
            "unsure": unsure,
            "later_median_ms": later.map(|(median, _)| median),
            "later_largest_ms": later.map(|(_, largest)| largest),
        })
    }
}

pub(super) fn told_json(device: &DeviceCode, told: &ToldRescue) -> Value {
    let ending = match told.rescue.ending {
        Ending::Real => "real",
        Ending::FalseAlarm => "false-alarm",
    };
    json!({
        "what": "rescue",
        "incident": told.rescue.incident,
        "device": device.as_str(),
        "received_at": time(told.rescue.received_at),
        "ending": ending,
        "in_force_at": told.in_force.map(time),
        "new_at": told.new.map(time),
        "shift_ms": told.shift_ms(),
        "unsure": told.is_unsure(),
    })
}
