//! What single lifts, or the lifts of a district, are judged by instead of the rules as they stand.

use std::collections::BTreeMap;

use super::{Rule, RuleIx};
use crate::model::ids::{DeviceCode, District, RuleId};

/// Whom an override is for. Of several, the nearest counts, and only that one: the device, then the longest district.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whom {
    Device(DeviceCode),
    /// This one and all within it.
    District(District),
}

/// What stands for a rule; `None`: nothing, it is switched off.
type Instead = Option<Box<Rule>>;

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Overrides {
    devices: BTreeMap<DeviceCode, BTreeMap<RuleIx, Instead>>,
    /// Ascending. Each with what holds there, also by the districts around it.
    districts: Vec<(District, BTreeMap<RuleIx, Instead>)>,
}

/// Which overrides may concern a lift: found once, not with every look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reach(u16);

impl Reach {
    pub const NONE: Self = Self(0);
    const DEVICE: u16 = 1 << 15;
}

impl Overrides {
    pub(super) fn new(all: Vec<(RuleIx, Whom, Instead)>) -> Self {
        let mut overrides = Self::default();
        let mut districts: BTreeMap<District, BTreeMap<RuleIx, Instead>> = BTreeMap::new();
        for (rule, whom, instead) in all {
            let of_whom = match whom {
                Whom::Device(device) => overrides.devices.entry(device).or_default(),
                Whom::District(district) => districts.entry(district).or_default(),
            };
            of_whom.insert(rule, instead);
        }
        // A district stands before those within it, so that what holds around it is complete by then.
        for (district, own) in districts {
            let around = overrides.districts.iter().rfind(|(around, _)| district.is_within(around));
            let mut all = around.map(|(_, rules)| rules.clone()).unwrap_or_default();
            all.extend(own);
            overrides.districts.push((district, all));
        }
        overrides
    }

    /// Each of them by what doesn't change with the places of rules: whom it is for, which rule, and what stands for it.
    pub(super) fn by_name<'a>(&'a self, rules: &'a [Rule]) -> Vec<(Whom, &'a RuleId, Option<u64>)> {
        let devices = self.devices.iter().map(|(device, own)| (Whom::Device(*device), own));
        let districts = self.districts.iter().map(|(district, own)| (Whom::District(*district), own));
        let named = |whom: Whom, (ix, instead): (&RuleIx, &'a Instead)| {
            (whom, &rules[usize::from(*ix)].id, instead.as_ref().map(|rule| rule.fingerprint))
        };
        devices.chain(districts).flat_map(|(whom, own)| own.iter().map(move |of_rule| named(whom, of_rule))).collect()
    }

    /// What stands for a rule somewhere.
    pub(super) fn rules(&self) -> impl Iterator<Item = &Rule> {
        let everywhere = self.devices.values().chain(self.districts.iter().map(|(_, own)| own));
        everywhere.flat_map(BTreeMap::values).filter_map(|instead| instead.as_deref())
    }

    pub fn is_empty(&self) -> bool {
        self.devices.is_empty() && self.districts.is_empty()
    }

    pub fn reach(&self, device: &DeviceCode, district: Option<District>) -> Reach {
        if self.is_empty() {
            return Reach::NONE;
        }
        let near = district.and_then(|own| self.districts.iter().rposition(|(around, _)| own.is_within(around)));
        let near = near.and_then(|at| u16::try_from(at + 1).ok()).unwrap_or(0);
        Reach(near | if self.devices.contains_key(device) { Reach::DEVICE } else { 0 })
    }

    /// What a lift within this reach is judged by instead of a rule; `None`: the rule as it stands.
    pub fn instead(&self, reach: Reach, device: &DeviceCode, rule: RuleIx) -> Option<Option<&Rule>> {
        let own = (reach.0 & Reach::DEVICE != 0).then(|| self.devices.get(device)?.get(&rule)).flatten();
        let near = || {
            let at = usize::from(reach.0 & !Reach::DEVICE).checked_sub(1)?;
            self.districts.get(at)?.1.get(&rule)
        };
        own.or_else(near).map(|instead| instead.as_deref())
    }
}
