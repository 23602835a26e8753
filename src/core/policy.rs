//! The rules in force, compiled, and how they differ from those before.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;

use crate::core::books::Books;
use crate::core::decode::profile::Profiles;
use crate::core::judge::built_in;
use crate::core::judge::run::RuleNo;
use crate::core::rules::{self, Family, Field, Reads, Rule, RuleFault, RuleIx, RuleSet, Term};
use crate::core::tables::{self, Tables};
use crate::limits;
use crate::model::record::PolicyText;

#[derive(Debug, Clone)]
pub struct Policy {
    /// Counts the policies, from 1; 0 is the one before any.
    pub version: u32,
    pub text: PolicyText,
    pub set: RuleSet,
    pub tables: Tables,
    pub profiles: Profiles,
    pub zone: TimeZone,
    numbers: Vec<RuleNo>,
    /// By number: where the rule stands in `set`, and its fingerprint; also of rules that are gone.
    known: Vec<Known>,
    reads: Vec<Reads>,
    /// What may make each rule begin where nothing is remembered of it.
    begins_by: Vec<Reads>,
    lift_rules: Vec<RuleIx>,
    counting_rules: Vec<RuleIx>,
    absence_rules: Vec<RuleIx>,
    cylinder_rules: Vec<RuleIx>,
    obligation_rules: Vec<RuleIx>,
    record_rules: Vec<RuleIx>,
    /// How long a lift's silence has lasted when some rule may change by that alone. Ascending.
    silences_ms: Vec<i64>,
    /// Fields of lifts without which some critical rule can't be judged, ascending.
    critical_fields: Vec<Field>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known {
    pub ix: Option<RuleIx>,
    pub fingerprint: u64,
    /// The version that brought, changed or removed it.
    pub changed_in: u32,
}

impl Policy {
    /// No rules at all: what stands before the first policy record.
    pub fn none() -> Self {
        let set = rules::parse(&[]).unwrap_or_else(|_| unreachable!("no files, no faults"));
        let read = Read { set, tables: Tables::default(), profiles: Profiles::default(), zone: TimeZone::UTC };
        Self::assemble(0, PolicyText::default(), read, Vec::new(), Vec::new())
    }

    /// Compiles a policy to follow `before`. Every fault comes back, one a line.
    pub fn compile(text: &PolicyText, before: &Policy, books: &mut Books) -> Result<Self, String> {
        let read = read(text).map_err(|faults| rules::one_a_line(&faults))?;
        let set = &read.set;
        if books.names.len() > limits::RULE_NAMES {
            let most = limits::RULE_NAMES;
            return Err(format!("more than {most} rule ids were in force over time; keep the ids of rules"));
        }
        let version = before.version + 1;
        let numbers: Vec<RuleNo> = set.rules.iter().map(|rule| books.number(&rule.id)).collect();
        let mut known = before.known.clone();
        known.resize(books.names.len(), Known::default());
        for (number, known) in known.iter_mut().enumerate() {
            let ix = numbers.iter().position(|n| usize::from(n.0) == number);
            let fingerprint = ix.map_or(0, |ix| set.rules[ix].fingerprint);
            let ix = ix.and_then(|ix| RuleIx::try_from(ix).ok());
            if (known.fingerprint, known.ix.is_some()) != (fingerprint, ix.is_some()) {
                known.changed_in = version;
            }
            *known = Known { ix, fingerprint, ..*known };
        }
        Ok(Self::assemble(version, text.clone(), read, numbers, known))
    }

    fn assemble(version: u32, text: PolicyText, read: Read, numbers: Vec<RuleNo>, known: Vec<Known>) -> Self {
        let Read { set, tables, profiles, zone } = read;
        let of = |wanted: &dyn Fn(&Rule) -> bool| -> Vec<RuleIx> {
            set.order.iter().copied().filter(|ix| wanted(set.rule(*ix))).collect()
        };
        let lift_rules = of(&|rule| rule.family == Family::Elevator && rule.absent.is_none());
        let critical = lift_rules.iter().map(|ix| set.rule(*ix)).filter(|rule| rule.is_critical());
        let fields = critical.flat_map(|rule| rule.when.terms()).filter_map(|term| match term {
            Term::Field(Field::DoorShut) => Some(Field::Door),
            Term::Field(field) => Some(*field),
            _ => None,
        });
        let critical_fields: BTreeSet<Field> = fields.collect();
        let silences_ms: BTreeSet<i64> = set.rules.iter().flat_map(Rule::silences_ms).collect();
        Self {
            critical_fields: critical_fields.into_iter().collect(),
            silences_ms: silences_ms.into_iter().collect(),
            lift_rules,
            absence_rules: of(&|rule| rule.absent.is_some()),
            cylinder_rules: of(&|rule| rule.family == Family::Cylinder),
            obligation_rules: of(&|rule| rule.family == Family::Obligation),
            record_rules: of(&|rule| rule.family == Family::Record),
            counting_rules: of(&|rule| rule.count.is_some()),
            reads: set.rules.iter().map(Rule::reads).collect(),
            begins_by: set.rules.iter().map(Rule::begins_by).collect(),
            version,
            tables,
            profiles,
            text,
            set,
            zone,
            numbers,
            known,
        }
    }

    /// As a snapshot holds it: the text, and which version last changed what.
    pub fn restore(version: u32, text: &PolicyText, known: Vec<Known>, books: &mut Books) -> Result<Self, String> {
        if version == 0 {
            return Ok(Self::none());
        }
        let read = read(text).map_err(|faults| rules::one_a_line(&faults))?;
        let numbers = read.set.rules.iter().map(|rule| books.number(&rule.id)).collect();
        Ok(Self::assemble(version, text.clone(), read, numbers, known))
    }

    /// The rules' fingerprints as this version of the core has them.
    pub fn read_anew(&mut self) {
        for (ix, number) in self.numbers.iter().enumerate() {
            if let Some(known) = self.known.get_mut(usize::from(number.0)).filter(|known| known.ix.is_some()) {
                let fingerprint = self.set.rules[ix].fingerprint;
                *known = Known { ix: RuleIx::try_from(ix).ok(), fingerprint, ..*known };
            }
        }
    }

    /// Whether what is known of the rules, which a restored policy was given, is said of these rules.
    pub fn fits(&self) -> bool {
        let is_known = |(ix, number): (usize, &RuleNo)| {
            self.known.get(usize::from(number.0)).is_some_and(|known| {
                known.ix.map(usize::from) == Some(ix) && known.fingerprint == self.set.rules[ix].fingerprint
            })
        };
        let in_force = self.known.iter().filter(|known| known.ix.is_some()).count();
        in_force == self.numbers.len() && self.numbers.iter().enumerate().all(is_known)
    }

    pub fn known(&self) -> &[Known] {
        &self.known
    }

    pub fn number(&self, ix: RuleIx) -> RuleNo {
        self.numbers[usize::from(ix)]
    }

    /// The rule of that number, if it is in force.
    pub fn rule_of(&self, number: RuleNo) -> Option<(RuleIx, &Rule)> {
        let ix = self.known.get(usize::from(number.0))?.ix?;
        Some((ix, self.set.rule(ix)))
    }

    /// Whether a rule was changed or removed after `version`.
    pub fn has_changed(&self, number: RuleNo, version: u32) -> bool {
        self.known.get(usize::from(number.0)).is_some_and(|known| known.changed_in > version)
    }

    pub fn reads(&self, ix: RuleIx) -> Reads {
        self.reads[usize::from(ix)]
    }

    /// What may make a rule begin of which nothing is remembered.
    pub fn begins_by(&self, ix: RuleIx) -> Reads {
        self.begins_by[usize::from(ix)]
    }

    pub fn critical_fields(&self) -> &[Field] {
        &self.critical_fields
    }

    pub fn lift_rules(&self) -> &[RuleIx] {
        &self.lift_rules
    }

    pub fn counting_rules(&self) -> &[RuleIx] {
        &self.counting_rules
    }

    pub fn absence_rules(&self) -> &[RuleIx] {
        &self.absence_rules
    }

    /// Rules that ask for how long nothing was heard have a say when a silence has lasted so long. Ascending.
    pub fn silences_ms(&self) -> &[i64] {
        &self.silences_ms
    }

    pub fn cylinder_rules(&self) -> &[RuleIx] {
        &self.cylinder_rules
    }

    /// Cylinder rules that say which fillings to deny, ascending by id.
    pub fn denying_rules(&self) -> impl Iterator<Item = &Rule> {
        self.set.rules.iter().filter(|rule| rule.deny.is_some())
    }

    pub fn obligation_rules(&self) -> &[RuleIx] {
        &self.obligation_rules
    }

    pub fn record_rules(&self) -> &[RuleIx] {
        &self.record_rules
    }
}

/// What a policy's text says.
struct Read {
    set: RuleSet,
    tables: Tables,
    profiles: Profiles,
    zone: TimeZone,
}

/// Reads the rules and settings, or finds every fault.
pub fn check(text: &PolicyText) -> Result<(RuleSet, Profiles), Vec<RuleFault>> {
    read(text).map(|read| (read.set, read.profiles))
}

fn read(text: &PolicyText) -> Result<Read, Vec<RuleFault>> {
    let mut faults = Vec::new();
    let zone = TimeZone::get(&text.zone).map_err(|_| {
        let message = format!("zone {:?} is not in the tz database; use a name such as Asia/Shanghai", text.zone);
        faults.push(RuleFault { file: "".into(), line: 0, column: 0, message: message.into() });
    });
    let rules = read_rules(&text.rules).map_err(|of_rules| faults.extend(of_rules));
    let profiles =
        Profiles::parse(Some(&text.topic_prefix), &text.rules).map_err(|of_profiles| faults.extend(of_profiles));
    match (rules, profiles, zone) {
        (Ok((set, tables)), Ok(profiles), Ok(zone)) => Ok(Read { set, tables, profiles, zone }),
        _ => Err(faults),
    }
}

/// Reads the rules, and the tables beside them.
pub fn check_rules(files: &[(Box<str>, Box<str>)]) -> Result<RuleSet, Vec<RuleFault>> {
    read_rules(files).map(|(set, _)| set)
}

fn read_rules(files: &[(Box<str>, Box<str>)]) -> Result<(RuleSet, Tables), Vec<RuleFault>> {
    let (set, tables) = match (rules::parse(files), tables::parse(files)) {
        (Ok(set), Ok(tables)) => (set, tables),
        (set, tables) => return Err([set.err(), tables.err()].into_iter().flatten().flatten().collect()),
    };
    // Its alerts would be mixed up with those that this service raises itself.
    let taken = set.rules.iter().filter(|rule| built_in::title_of(&rule.id).is_some());
    let faults: Vec<RuleFault> = taken.map(|rule| taken_id(files, rule)).collect();
    if faults.is_empty() { Ok((set, tables)) } else { Err(faults) }
}

fn taken_id(files: &[(Box<str>, Box<str>)], rule: &Rule) -> RuleFault {
    let quoted = format!("\"{}\"", rule.id);
    let found = files.iter().find_map(|(file, text)| {
        let line = text.lines().position(|line| line.trim_start().starts_with("id") && line.contains(&quoted))?;
        Some((file.clone(), u32::try_from(line + 1).ok()?))
    });
    let (file, line) = found.unwrap_or_default();
    let message = format!("rule `{}` has the id of an alert of this service; rename it", rule.id);
    RuleFault { file, line, column: 1, message: message.into() }
}
