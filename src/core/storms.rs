//! Storms: many lifts of one place that raise one rule together. Their alerts are told like any other, each with the group
//! that it belongs to (`docs/adr/0009-storms.md`).
//!
//! **Invariant:** nothing here decides whether an alert opens, rises or clears. A lift's own state depends on other lifts
//! by the name of its group only.

use std::collections::VecDeque;
use std::ops::Bound;

use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

use super::books::Now;
use super::judge::run::RuleNo;
use super::rules::StormRule;
use super::{Core, Effects};
use crate::limits;
use crate::model::alert::{Cursor, Group, StormScope};
use crate::model::ids::{DeviceCode, PlaceId};
use crate::model::time::{Elapsed, Wall};

/// What is counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub rule: RuleNo,
    pub scope: StormScope,
    pub place: PlaceId,
}

/// Copies share all that they have in common.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Storms {
    pub(crate) gatherings: RedBlackTreeMapSync<Key, Gathering>,
    /// By the event that began it: those that go on, and those of which an alert is open.
    pub(crate) storms: RedBlackTreeMapSync<Cursor, Storm>,
    /// The gathering looked at last for whether it may be let go of.
    pub(crate) looked_at: Option<Key>,
    /// Alerts that are to be told that they have a group, or another one. Never in a snapshot. Each open alert stands in it
    /// once for every scope at the most.
    waiting: VecDeque<Joins>,
}

/// Who raised a rule in a place lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gathering {
    /// Let go of when nothing came up to here: so long a window after it was last added to.
    pub until: Elapsed,
    /// The lifts that are in no narrower storm, and when each raised the rule last. Fewer than make a storm.
    pub loose: Vec<(DeviceCode, Elapsed)>,
    /// Storms of narrower places in it.
    pub parts: Vec<Cursor>,
    /// The storm of this very place.
    pub going: Option<Cursor>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storm {
    pub key: Key,
    pub began_at: Wall,
    /// When its lifts raised the rule, in judged time.
    pub first: Elapsed,
    pub last: Elapsed,
    /// How many lifts have joined it.
    pub lifts: u32,
    /// Which, as long as it goes on: each counts once.
    pub members: RedBlackTreeSetSync<DeviceCode>,
    /// How many of its alerts are open. Follows from the lifts.
    pub open: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Joins {
    rule: RuleNo,
    lift: DeviceCode,
    group: Cursor,
}

/// An alert that opens, or opens again.
#[derive(Debug, Clone, Copy)]
pub struct Opening {
    pub rule: RuleNo,
    pub lift: DeviceCode,
    /// In judged time: a backlog is no storm by being told at once.
    pub at: Elapsed,
    pub now: Now,
    /// The event that will tell of it.
    pub event: Cursor,
}

/// A storm that may be about to begin.
struct Forming {
    key: Key,
    first: Elapsed,
    last: Elapsed,
    members: RedBlackTreeSetSync<DeviceCode>,
    absorbed: Vec<Cursor>,
}

impl Storms {
    /// Counts an opening in all the places of its lift, the narrowest first. The group that it belongs to from now on.
    pub fn note(
        &mut self,
        rule: &StormRule,
        places: impl Iterator<Item = (StormScope, PlaceId)>,
        it: &Opening,
    ) -> Option<Cursor> {
        let keys: Vec<Key> = places.map(|(scope, place)| Key { rule: it.rule, scope, place }).collect();
        self.let_go(it.now.elapsed);
        keys.iter().for_each(|key| self.refresh(rule, key, it));
        if let Some(n) = keys.iter().position(|key| self.is_joined(rule, key, it)) {
            let storm = self.join(rule, &keys[n], it)?;
            keys[n + 1..].iter().for_each(|key| self.add_part(rule, key, it, storm));
            return Some(storm);
        }
        let counted: Vec<Key> = keys.into_iter().filter(|key| self.count(rule, key, it)).collect();
        let forming = self.forming(rule, &counted, it)?;
        Some(self.begin(rule, forming, &counted, it))
    }

    /// Ends what is over by the time of this opening.
    fn refresh(&mut self, rule: &StormRule, key: &Key, it: &Opening) {
        let Some(gathering) = self.gatherings.get(key) else { return };
        let is_stale = it.now.elapsed > gathering.until;
        let is_over =
            |storm: &Cursor| is_stale || self.storms.get(storm).is_none_or(|storm| it.at - storm.last > rule.within_ms);
        if let Some(storm) = gathering.going.filter(is_over) {
            self.end(storm);
        }
        if is_stale {
            self.gatherings.remove_mut(key);
        }
    }

    fn is_joined(&self, rule: &StormRule, key: &Key, it: &Opening) -> bool {
        let storm = self.gatherings.get(key).and_then(|it| it.going).and_then(|storm| self.storms.get(&storm));
        storm.is_some_and(|storm| storm.first - it.at <= rule.within_ms)
    }

    fn join(&mut self, rule: &StormRule, key: &Key, it: &Opening) -> Option<Cursor> {
        let gathering = self.gatherings.get_mut(key)?;
        gathering.until = it.now.elapsed + rule.within_ms;
        let began = gathering.going?;
        let storm = self.storms.get_mut(&began)?;
        if !storm.members.contains(&it.lift) {
            storm.members.insert_mut(it.lift);
            storm.lifts += 1;
        }
        (storm.first, storm.last) = (storm.first.min(it.at), storm.last.max(it.at));
        Some(began)
    }

    /// The gathering of a place, made if there is room for it.
    fn gathering(&mut self, rule: &StormRule, key: &Key, it: &Opening) -> Option<&mut Gathering> {
        let until = it.now.elapsed + rule.within_ms;
        if !self.gatherings.contains_key(key) {
            if self.gatherings.size() >= limits::STORM_PLACES {
                return None;
            }
            let gathering = Gathering { until, loose: Vec::new(), parts: Vec::new(), going: None };
            self.gatherings.insert_mut(*key, gathering);
        }
        let gathering = self.gatherings.get_mut(key)?;
        gathering.until = until;
        Some(gathering)
    }

    fn add_part(&mut self, rule: &StormRule, key: &Key, it: &Opening, storm: Cursor) {
        let Some(gathering) = self.gathering(rule, key, it) else { return };
        if gathering.going.is_none() && !gathering.parts.contains(&storm) && gathering.parts.len() < limits::STORM_LIFTS
        {
            gathering.parts.push(storm);
        }
    }

    /// Notes the lift among those of a place. `false`: what it tells of lies too far back to count.
    fn count(&mut self, rule: &StormRule, key: &Key, it: &Opening) -> bool {
        let Some(gathering) = self.gathering(rule, key, it) else { return false };
        // The storm there is too far ahead of this one.
        if gathering.going.is_some() {
            return false;
        }
        match gathering.loose.iter_mut().find(|(lift, _)| *lift == it.lift) {
            Some((_, at)) => *at = it.at.max(*at),
            None => gathering.loose.push((it.lift, it.at)),
        }
        let last = gathering.loose.iter().map(|(_, at)| *at).max().unwrap_or(it.at);
        gathering.loose.retain(|(_, at)| last - *at <= rule.within_ms);
        gathering.loose.iter().any(|(lift, _)| *lift == it.lift)
    }

    /// The narrowest place in which enough lifts raised the rule; or a wider one that has enough of them, too, of which
    /// half are things of their own: a narrower storm is one thing, or every storm would become that of its district as
    /// soon as anything else happens there.
    fn forming(&self, rule: &StormRule, keys: &[Key], it: &Opening) -> Option<Forming> {
        let mut forming: Option<Forming> = None;
        for key in keys {
            let Some(gathering) = self.gatherings.get(key) else { continue };
            let is_part = |storm: &&Storm| it.at - storm.last <= rule.within_ms && !storm.members.is_empty();
            let parts = gathering.parts.iter().filter_map(|part| self.storms.get(part)).filter(is_part);
            let part_lifts: usize = parts.clone().map(|storm| storm.members.size()).sum();
            let is_loose = |lift: &DeviceCode| forming.as_ref().is_none_or(|narrower| !narrower.members.contains(lift));
            let loose = gathering.loose.iter().filter(|(lift, _)| is_loose(lift)).count();
            let formed = forming.as_ref().map_or(0, |narrower| narrower.members.size());
            let things = loose + parts.count() + usize::from(formed > 0);
            let most = rule.lifts(key.scope);
            if loose + part_lifts + formed >= most && 2 * things >= most {
                forming = Some(self.form(rule, key, gathering, forming.take(), it));
            }
        }
        forming
    }

    fn form(
        &self,
        rule: &StormRule,
        key: &Key,
        gathering: &Gathering,
        narrower: Option<Forming>,
        it: &Opening,
    ) -> Forming {
        let nothing = || Forming {
            key: *key,
            first: it.at,
            last: it.at,
            members: RedBlackTreeSetSync::new_sync(),
            absorbed: Vec::new(),
        };
        let mut forming = Forming { key: *key, ..narrower.unwrap_or_else(nothing) };
        for (lift, at) in &gathering.loose {
            forming.members.insert_mut(*lift);
            (forming.first, forming.last) = (forming.first.min(*at), forming.last.max(*at));
        }
        let mut room = limits::STORM_ABSORBED;
        for part in &gathering.parts {
            let Some(storm) = self.storms.get(part).filter(|storm| it.at - storm.last <= rule.within_ms) else {
                continue;
            };
            // A large one stays what it is: telling all its alerts again would say less than it costs.
            let Some(left) = room.checked_sub(storm.members.size()) else { continue };
            room = left;
            storm.members.iter().for_each(|lift| forming.members.insert_mut(*lift));
            (forming.first, forming.last) = (forming.first.min(storm.first), forming.last.max(storm.last));
            forming.absorbed.push(*part);
        }
        forming
    }

    fn begin(&mut self, rule: &StormRule, it: Forming, keys: &[Key], opening: &Opening) -> Cursor {
        let group = opening.event;
        let others = it.members.iter().filter(|lift| **lift != opening.lift);
        self.waiting.extend(others.map(|lift| Joins { rule: opening.rule, lift: *lift, group }));
        it.absorbed.iter().for_each(|part| self.end(*part));
        for key in keys.iter().filter(|key| key.scope >= it.key.scope) {
            let Some(gathering) = self.gatherings.get_mut(key) else { continue };
            if *key == it.key {
                (gathering.loose, gathering.parts, gathering.going) = (Vec::new(), Vec::new(), Some(group));
            } else {
                gathering.loose.retain(|(lift, _)| !it.members.contains(lift));
                self.add_part(rule, key, opening, group);
            }
        }
        let storm = Storm {
            key: it.key,
            began_at: opening.now.wall_at(it.first),
            first: it.first,
            last: it.last,
            lifts: u32::try_from(it.members.size()).unwrap_or(u32::MAX),
            members: it.members,
            open: 0,
        };
        self.storms.insert_mut(group, storm);
        group
    }

    /// Nobody joins it any more. What its alerts say of it stays until none of them is open.
    fn end(&mut self, storm: Cursor) {
        let Some(it) = self.storms.get_mut(&storm) else { return };
        it.members = RedBlackTreeSetSync::new_sync();
        let (key, is_over) = (it.key, it.open == 0);
        if let Some(gathering) = self.gatherings.get_mut(&key) {
            gathering.going = gathering.going.filter(|going| *going != storm);
        }
        if is_over {
            self.storms.remove_mut(&storm);
        }
    }

    /// Looks at some gatherings, and lets go of those to which nothing was added for a window.
    pub fn let_go(&mut self, now: Elapsed) {
        for _ in 0..limits::STORM_LOOKS {
            let from = self.looked_at.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            let next = self.gatherings.range((from, Bound::Unbounded)).next();
            let next = next.map(|(key, it)| (*key, it.until, it.going));
            self.looked_at = next.map(|(key, ..)| key);
            let Some((key, until, going)) = next else { return };
            if now > until {
                going.into_iter().for_each(|storm| self.end(storm));
                self.gatherings.remove_mut(&key);
            }
        }
    }

    /// An open alert carries this group now.
    pub fn carry(&mut self, group: Cursor) {
        if let Some(storm) = self.storms.get_mut(&group) {
            storm.open += 1;
        }
    }

    /// An open alert doesn't carry it any more.
    pub fn put_down(&mut self, group: Cursor) {
        let Some(storm) = self.storms.get_mut(&group) else { return };
        storm.open = storm.open.saturating_sub(1);
        if storm.open == 0 && storm.members.is_empty() {
            self.storms.remove_mut(&group);
        }
    }

    /// A group as it stands.
    pub fn group(&self, group: Cursor) -> Option<Group> {
        let storm = self.storms.get(&group)?;
        let Key { scope, place, .. } = storm.key;
        Some(Group { scope, place, began: group, began_at: storm.began_at, lifts: storm.lifts })
    }

    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

impl Core {
    /// Tells alerts that opened before it was known that they were some of many, a bounded number at a time.
    pub(super) fn tell_groups(&mut self, out: &mut Effects) {
        for _ in 0..limits::GROUPED_PER_RECORD {
            let Some(Joins { rule, lift, group }) = self.books.storms.waiting.pop_front() else { return };
            let Some(ix) = self.lift_at(&lift) else { continue };
            let title = self.title(rule);
            let dispatch = self.policy.rule_of(rule).and_then(|(_, rule)| rule.dispatch.as_deref());
            let label = super::books::Label { title: &title, dispatch, rules: None };
            let lift = self.lifts.get_mut(ix);
            let who = lift.who();
            if let Some(run) = lift.runs.iter_mut().find(|run| run.rule == rule) {
                self.books.group(out, &who, run, &label, group);
            }
        }
    }
}

#[cfg(test)]
mod tests;
