//! What is known of a lift's obligations, to bytes and back.

use std::num::NonZeroU32;

use super::read::bounded;
use crate::core::obligation::lift::VISITS;
use crate::core::obligation::upkeep::{Counted, Day, Seldom, TOLD, Told, Upkeep, Visited};
use crate::limits;
use crate::model::report::ReportKind;
use crate::model::time::CivilDay;
use crate::proto::internal as wire;
use crate::proto::read::{CodecError, Result, each, numbered};
use crate::proto::write::{number, some_day};
use crate::proto::writer::Writer;

pub(super) fn write(w: &mut Writer<'_>, it: &Upkeep) {
    some_day(w, 1, it.known_since.get());
    some_day(w, 2, it.maintained_from.get());
    for it in it.visits.iter().filter(|it| it.key.is_none()) {
        some_day(w, 3 + u32::from(it.nth), Some(it.on));
    }
    some_day(w, 7, it.link_lost_on());
    some_day(w, 8, it.idle_since());
    for it in &it.reports {
        w.message(9, |w| {
            w.fixed(1, it.key);
            w.sint(2, it.done_on.0);
            w.uint(3, number(it.kind.number()));
            w.uint(4, it.passed);
        });
    }
    let before = it.rare.as_ref().map_or([Day::default(); ReportKind::ALL.len()], |rare| rare.before);
    for (kind, day) in ReportKind::ALL.iter().zip(before).filter_map(|(kind, day)| Some((kind, day.get()?))) {
        w.message(10, |w| {
            w.uint(1, number(kind.number()));
            w.sint(2, day.0);
        });
    }
    for (kind, told) in TOLD.iter().zip(it.told).filter(|(_, told)| *told != Told::NOTHING) {
        w.message(11, |w| {
            w.uint(1, number(kind.number()));
            w.uint(2, told.0);
        });
    }
    for (it, key) in it.visits.iter().filter_map(|it| Some((it, it.key?))) {
        w.message(12, |w| {
            w.uint(1, number(VISITS[usize::from(it.nth)].number()));
            w.sint(2, it.on.0);
            w.uint(3, key.get());
        });
    }
}

pub(super) fn read(it: wire::UpkeepState) -> Result<Upkeep> {
    bounded(it.reports.len(), limits::REPORTS_REMEMBERED)?;
    bounded(it.visits.len(), limits::VISITS_REMEMBERED * VISITS.len())?;
    let day = |day: Option<i32>| Day::from(day.map(CivilDay));
    let report = |it: wire::CountedReport| {
        Ok(Counted {
            key: it.key,
            done_on: CivilDay(it.done_on_day),
            kind: numbered("kind of report", it.kind, ReportKind::from_number)?,
            passed: it.passed,
        })
    };
    let visit = |it: wire::VisitedDay| {
        let nth = VISITS.iter().position(|kind| number(kind.number()) == it.kind);
        let nth = nth.ok_or(CodecError::Unfit("it has a visit that the schedule doesn't have"))?;
        let key = NonZeroU32::new(it.key).ok_or(CodecError::Unfit("it has a visit without a key"))?;
        Ok(Visited { nth: nth as u8, on: CivilDay(it.day), key: Some(key) })
    };
    let mut upkeep = Upkeep {
        known_since: day(it.known_since_day),
        maintained_from: day(it.maintained_from_day),
        reports: each(it.reports, report)?.into(),
        ..Upkeep::default()
    };
    if !upkeep.reports.is_sorted_by_key(|it| it.done_on) {
        return Err(CodecError::Unfit("its reports are not in the order of their days"));
    }
    let named = each(it.visits, visit)?;
    if !named.is_sorted() {
        return Err(CodecError::Unfit("its visits are not in their order"));
    }
    let before = (0..).zip([it.half_month_day, it.quarter_day, it.half_year_day, it.year_day]);
    let nameless = before.filter_map(|(nth, day)| Some(Visited { nth, on: CivilDay(day?), key: None }));
    let mut visits: Vec<Visited> = nameless.chain(named).collect();
    visits.sort_unstable();
    upkeep.visits = visits.into();
    let mut rare =
        Seldom { link_lost_on: day(it.link_lost_on_day), idle_since: day(it.idle_since_day), ..Seldom::default() };
    for it in it.before {
        let at = usize::try_from(it.kind).ok().and_then(|kind| kind.checked_sub(1));
        let place = at.and_then(|at| rare.before.get_mut(at));
        *place.ok_or(CodecError::Unfit("it has a kind of report that can't be"))? = Some(CivilDay(it.day)).into();
    }
    for it in it.told {
        let at = TOLD.iter().position(|kind| number(kind.number()) == it.kind);
        let at = at.ok_or(CodecError::Unfit("it has something due that can't be due on a lift"))?;
        upkeep.told[at] = Told(it.sum);
    }
    upkeep.rare = Some(Box::new(rare)).filter(|rare| **rare != Seldom::default());
    Ok(upkeep)
}
