//! Figures of rescues (DB37/T 3451-2018): each with what it is made from, so that it can be reckoned again by hand.

use std::collections::BTreeMap;

use crate::model::incident::{Incident, Leg, State};

/// Spans of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spans {
    /// Ascending, in ms.
    ms: Vec<i64>,
    /// Of how many it could be known at most.
    pub of: u64,
}

impl Spans {
    pub fn count(&self) -> u64 {
        self.ms.len() as u64
    }

    /// All of the following are rounded down to the ms, and absent where there is none.
    pub fn mean_ms(&self) -> Option<i64> {
        let sum: i128 = self.ms.iter().map(|ms| i128::from(*ms)).sum();
        let count = i128::try_from(self.ms.len()).ok().filter(|count| *count > 0)?;
        i64::try_from(sum / count).ok()
    }

    /// The middle one; of an even number, the mean of the two in the middle.
    pub fn median_ms(&self) -> Option<i64> {
        let middle = self.ms.len() / 2;
        let upper = *self.ms.get(middle)?;
        if self.ms.len() % 2 == 1 {
            return Some(upper);
        }
        let lower = self.ms[middle - 1];
        Some(lower + (upper - lower) / 2)
    }

    /// The least one that nine of ten don't exceed.
    pub fn p90_ms(&self) -> Option<i64> {
        let rank = (self.ms.len() * 9).div_ceil(10);
        self.ms.get(rank.checked_sub(1)?).copied()
    }

    fn note(&mut self, ms: Option<i64>) {
        self.of += 1;
        self.ms.extend(ms);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rate {
    pub numerator: u64,
    pub denominator: u64,
}

impl Rate {
    fn note(&mut self, hit: bool) {
        self.numerator += u64::from(hit);
        self.denominator += 1;
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kpis {
    pub incidents: u64,
    pub freed: u64,
    pub false_alarms: u64,
    /// Neither closed nor a false alarm yet.
    pub going: u64,
    pub persons_freed: u64,
    /// From each command to its acceptance; of all commands.
    pub response: Spans,
    /// From each command to the turn-out, of whoever was commanded or took over from them; of all commands.
    pub turnout: Spans,
    /// From the call or alert to the first arrival; of all incidents to which somebody was commanded, but for false alarms.
    pub arrival: Spans,
    /// From the first arrival to when they were free; of all incidents that somebody arrived at, but for false alarms.
    pub rescue: Spans,
    /// Commands upon which somebody turned out, or was there, also whoever took over; of all.
    pub turnouts: Rate,
    /// Incidents at which somebody arrived in time; of those to which somebody was commanded, but for false alarms.
    pub in_time: Rate,
    /// False alarms of what has ended.
    pub false_alarm: Rate,
    /// The same by the rule that opened it (empty: a person did), and by the firm under contract (empty: none known).
    pub false_alarm_by_rule: BTreeMap<Box<str>, Rate>,
    pub false_alarm_by_firm: BTreeMap<Box<str>, Rate>,
    /// By the terminal's model, which is the first word of what the archive has of it (empty: nothing).
    pub false_alarm_by_terminal: BTreeMap<Box<str>, Rate>,
}

/// Of incidents as they stand.
pub fn reckon<'i>(incidents: impl IntoIterator<Item = &'i Incident>) -> Kpis {
    let mut kpis = Kpis::default();
    incidents.into_iter().for_each(|incident| kpis.note(incident));
    for spans in [&mut kpis.response, &mut kpis.turnout, &mut kpis.arrival, &mut kpis.rescue] {
        spans.ms.sort_unstable();
    }
    kpis
}

impl Kpis {
    fn note(&mut self, it: &Incident) {
        let is_false = it.state == State::FalseAlarm;
        self.incidents += 1;
        self.freed += u64::from(it.freed_ms.is_some());
        self.false_alarms += u64::from(is_false);
        self.going += u64::from(!it.state.is_over());
        self.persons_freed += it.ending.as_ref().map_or(0, |ending| u64::from(ending.persons_freed));
        // Who takes over was not commanded by the centre: there is no answer to wait for, and what they do is done upon the
        // command to whoever handed over to them.
        for legs in it.legs.chunk_by(|_, next| next.took_over) {
            let [leg, ..] = legs else { continue };
            self.response.note(leg.accepted_ms.map(|ms| ms - leg.commanded_ms));
            let first = legs.iter().find(|leg| leg.turned_out_ms.or(leg.arrived_ms).is_some());
            self.turnout.note(first.and_then(|it| it.turned_out_ms).map(|ms| ms - leg.commanded_ms));
            self.turnouts.note(first.is_some());
        }
        if !it.legs.is_empty() && !is_false {
            let arrived = it.legs.iter().filter_map(|leg: &Leg| leg.arrived_ms).min();
            self.arrival.note(arrived);
            self.in_time.note(arrived.is_some() && !it.arrival_late);
            if let Some(arrived) = arrived {
                self.rescue.note(it.freed_ms.map(|freed| freed - arrived));
            }
        }
        if it.state.is_over() {
            let rule = it.scene.rule.as_ref().map_or("", |rule| rule.as_str());
            let firm = it.scene.firm.as_ref().map_or("", |firm| firm.as_str());
            self.false_alarm.note(is_false);
            self.false_alarm_by_rule.entry(rule.into()).or_default().note(is_false);
            let terminal = it.scene.terminal.as_deref().and_then(|text| text.split_whitespace().next());
            self.false_alarm_by_terminal.entry(terminal.unwrap_or_default().into()).or_default().note(is_false);
            self.false_alarm_by_firm.entry(firm.into()).or_default().note(is_false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_ninth_of_ten() {
        let of = |ms: &[i64]| {
            let spans = Spans { ms: ms.to_vec(), of: ms.len() as u64 };
            (spans.mean_ms(), spans.median_ms(), spans.p90_ms())
        };
        assert_eq!(of(&[]), (None, None, None));
        assert_eq!(of(&[7]), (Some(7), Some(7), Some(7)));
        assert_eq!(of(&[1, 4]), (Some(2), Some(2), Some(4)));
        assert_eq!(of(&[1, 2, 9]), (Some(4), Some(2), Some(9)));
        assert_eq!(of(&(1..=10).collect::<Vec<_>>()), (Some(5), Some(5), Some(9)));
        assert_eq!(of(&(1..=11).collect::<Vec<_>>()), (Some(6), Some(6), Some(10)));
    }
}
