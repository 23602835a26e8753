//! What lifts raise together, from the generated types.

use super::read::bounded;
use super::subject::{Rules, event_ref, span};
use crate::core::judge::run::Phase;
use crate::core::lift::Lift;
use crate::core::paged::Paged;
use crate::core::storms::{Gathering, Key, Storm, Storms};
use crate::limits;
use crate::model::alert::StormScope;
use crate::model::ids::{DeviceCode, PlaceId};
use crate::model::time::{Elapsed, Wall};
use crate::proto::internal as wire;
use crate::proto::read::{Result, each, numbered, there};

pub(super) fn read(it: wire::StormsState, rules: Rules) -> Result<Storms> {
    bounded(it.gatherings.len(), limits::STORM_PLACES)?;
    let mut storms = Storms::default();
    storms.looked_at = it.looked_at.map(|it| key(&it, rules)).transpose()?;
    for it in it.gatherings {
        storms.gatherings.insert_mut(key(&there("a place", it.key.clone())?, rules)?, gathering(it)?);
    }
    for it in it.storms {
        storms.storms.insert_mut(event_ref(&there("an event", it.began)?), storm(it, rules)?);
    }
    Ok(storms)
}

fn key(it: &wire::StormKey, rules: Rules) -> Result<Key> {
    Ok(Key {
        rule: rules.number(it.rule)?,
        scope: numbered("scope of a storm", it.scope, StormScope::from_number)?,
        place: PlaceId::parse(&it.place)?,
    })
}

fn gathering(it: wire::GatheringState) -> Result<Gathering> {
    bounded(it.loose.len(), limits::STORM_LIFTS)?;
    bounded(it.parts.len(), limits::STORM_LIFTS)?;
    let loose = |it: wire::LooseLift| Ok((DeviceCode::parse(&it.device)?, Elapsed(span(it.judged_ms)?)));
    Ok(Gathering {
        until: Elapsed(span(it.until_ms)?),
        loose: each(it.loose, loose)?,
        parts: it.parts.iter().map(event_ref).collect(),
        going: it.going.as_ref().map(event_ref),
    })
}

fn storm(it: wire::StormState, rules: Rules) -> Result<Storm> {
    bounded(it.members.len(), limits::SUBJECTS)?;
    Ok(Storm {
        key: key(&there("a place", it.key)?, rules)?,
        began_at: Wall(it.began_at_ms),
        first: Elapsed(span(it.first_ms)?),
        last: Elapsed(span(it.last_ms)?),
        lifts: it.lifts,
        members: each(it.members, |code| Ok(DeviceCode::parse(&code)?))?.into_iter().collect(),
        open: 0,
    })
}

/// How many alerts of each storm are open.
pub(super) fn recount(storms: &mut Storms, lifts: &Paged<Lift>) {
    let runs = lifts.iter().flat_map(|lift| lift.runs.iter());
    let carried = runs.filter_map(|run| if let Phase::Open(open) = &run.phase { open.group } else { None });
    carried.for_each(|group| storms.carry(group));
}
