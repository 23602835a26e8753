//! What a record must be to be taken, but for what depends on others.

use std::collections::BTreeSet;

use crate::core::tables::maintenance::Class;
use crate::limits;
use crate::model::record::ItemFault;
use crate::model::time::Wall;
use crate::model::visit::{ItemResult, Problem, Visit, VisitFlag, VisitKind};

/// How far a device's or firm's clock may be ahead of ours.
const AHEAD_MS: i64 = 5 * 60_000;
/// Missing items that are named; of more there is their number.
const MISSING_NAMED: usize = 8;

/// All that is wrong with it, by field. `class` has the list of its items, if there is one.
pub(super) fn faults(visit: &Visit, class: Option<&Class>, now: Wall) -> Vec<ItemFault> {
    let mut faults = Faults(Vec::new());
    faults.workers(visit);
    faults.times(visit, now);
    faults.bounds(visit);
    faults.items(visit, class);
    faults.0
}

/// What is odd about the record in itself.
pub(super) fn flags(visit: &Visit, class: Option<&Class>) -> Vec<VisitFlag> {
    let mut flags = Vec::new();
    if visit.problem == Problem::None && visit.items.iter().any(|it| it.result == ItemResult::Failed) {
        flags.push(VisitFlag::FailedWithoutProblem);
    }
    if class.is_none() {
        flags.push(VisitFlag::ItemsUnchecked);
    }
    flags
}

struct Faults(Vec<ItemFault>);

impl Faults {
    fn add(&mut self, field: impl Into<Box<str>>, why: impl Into<Box<str>>) {
        self.0.push(ItemFault { field: field.into(), why: why.into() });
    }

    fn workers(&mut self, visit: &Visit) {
        let different: BTreeSet<_> = visit.workers.iter().collect();
        if different.len() < 2 || different.len() != visit.workers.len() {
            self.add("workers", "a visit is made by two workers at least, each named once (TSG T5002-2017)");
        }
    }

    fn times(&mut self, visit: &Visit, now: Wall) {
        if visit.ended_at <= visit.started_at {
            self.add("ended_at", "must be later than started_at");
        } else if visit.ended_at - visit.started_at > limits::VISIT_MS {
            self.add("ended_at", "is more than 24 h after started_at: tell each visit by a record of its own");
        }
        if visit.ended_at - now > AHEAD_MS {
            self.add("ended_at", format!("lies ahead: it is {now} now"));
        }
    }

    fn bounds(&mut self, visit: &Visit) {
        let bounds = [
            ("workers", visit.workers.len(), limits::VISIT_WORKERS),
            ("items", visit.items.len(), limits::VISIT_ITEMS),
            ("photos", visit.photos.len(), limits::VISIT_PHOTOS),
            ("people", visit.people.len(), limits::VISIT_PEOPLE),
            ("rectifies", visit.rectifies.len(), limits::VISIT_RECTIFIES),
        ];
        for (field, count, most) in bounds {
            if count > most {
                self.add(field, format!("has {count} elements: at most {most} are taken"));
            }
        }
        if visit.supersedes == Some(visit.record) {
            self.add("supersedes", "a record can't supersede itself: give the correction an id of its own");
        }
        if visit.rectifies.contains(&visit.record) {
            self.add("rectifies", "a record that tells of a problem can't rectify it");
        }
    }

    fn items(&mut self, visit: &Visit, class: Option<&Class>) {
        let mut seen = BTreeSet::new();
        for (nth, it) in visit.items.iter().enumerate() {
            if !seen.insert(&*it.item) {
                self.add(format!("items[{nth}].item"), format!("{} is there twice", it.item));
            } else if class.is_some_and(|class| class.item(&it.item).is_none()) {
                let name = class.map_or("", |class| &*class.name);
                self.add(format!("items[{nth}].item"), format!("{} is no item of the list of class {name}", it.item));
            }
        }
        let Some(class) = class else { return };
        // What an on-demand visit or a repair must see to, its contract or the fault says.
        if matches!(visit.kind, VisitKind::OnDemand | VisitKind::Repair) {
            return;
        }
        let missing: Vec<_> = class.required(visit.kind).filter(|item| !seen.contains(&*item.id)).collect();
        if !missing.is_empty() {
            let named: Vec<_> = missing.iter().take(MISSING_NAMED).map(|item| &*item.id).collect();
            let more = missing.len() - named.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let (kind, class, all) = (visit.kind.name(), &class.name, class.required(visit.kind).count());
            let why = format!("a {kind} visit of class {class} has {all} items; missing: {}{more}", named.join(", "));
            self.add("items", why);
        }
    }
}
