//! State to bytes. The numbers are the fields of `snapshot.proto`, ascending as the generated types would write them.

use super::{FORMAT, Frozen, records, upkeep};
use crate::core::books::Books;
use crate::core::cylinder::Cylinder;
use crate::core::cylinder::custody::Custody;
use crate::core::cylinder::fills::{Asked, Given, How};
use crate::core::dispatch::Kept as Incident;
use crate::core::judge::run::{Open, Phase, Run, Wait};
use crate::core::judge::runs::Runs;
use crate::core::lift::Lift;
use crate::core::policy::Policy;
use crate::core::requests::Remembered;
use crate::core::rules::CodeList;
use crate::core::scanner::Scanner;
use crate::core::service::Service;
use crate::core::storms::{Key, Storms};
use crate::core::telemetry::heard::{Hearing, Way};
use crate::core::telemetry::offset::Offset;
use crate::core::telemetry::order::{Boot, Newest, Order};
use crate::core::telemetry::registers::{Held, Item, Register, Registers, Stamp};
use crate::core::telemetry::windows::Kept;
use crate::model::alert::Cursor;
use crate::model::record::Outcome;
use crate::model::time::{Elapsed, Wall};
use crate::proto::incident::write_entry;
use crate::proto::write::{
    acknowledged, cylinder, evidence, firm, health, lift, number, policy, site, verdict, worker,
};
use crate::proto::writer::Writer;

/// The number of each of `registers::FIELDS` in telemetry.proto.
pub(super) const REGISTER_FIELDS: [u32; 11] = [4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15];

/// A piece is handed on once it has so many bytes. Small states are cut, too, where they are tested.
const PIECE_BYTES: usize = if cfg!(test) { 64 } else { 64 * 1024 };

pub(super) fn frozen(it: Frozen, mut take: impl FnMut(&[u8])) {
    let mut piece = Vec::with_capacity(2 * PIECE_BYTES);
    head(&it, &mut Writer::new(&mut piece));
    let mut part = |write: &mut dyn FnMut(&mut Writer<'_>)| {
        write(&mut Writer::new(&mut piece));
        if piece.len() >= PIECE_BYTES {
            take(&piece);
            piece.clear();
        }
    };
    for it in it.sites.values() {
        part(&mut |w| w.message(11, |w| site(w, it)));
    }
    for it in it.firms.values() {
        part(&mut |w| w.message(12, |w| firm(w, it)));
    }
    it.lifts.drain(|it| part(&mut |w| w.message(13, |w| lift_state(w, it))));
    it.cylinders.drain(|it| part(&mut |w| w.message(14, |w| cylinder_state(w, it))));
    it.scanners.drain(|it| part(&mut |w| w.message(15, |w| scanner_state(w, it))));
    part(&mut |w| w.part(16, |w| storms(w, &it.books.storms)));
    for it in it.workers.values() {
        part(&mut |w| w.message(17, |w| worker(w, it)));
    }
    for (key, known) in it.known_records.iter() {
        part(&mut |w| w.message(20, |w| records::known(w, key, &known)));
    }
    let swept_to = it.known_records.swept_to().0;
    part(&mut |w| {
        w.fixed(21, (swept_to >> 64) as u64);
        w.fixed(22, swept_to as u64);
    });
    for (asked, it, reserves) in it.fills.iter() {
        part(&mut |w| w.message(30, |w| given(w, asked, it, reserves)));
    }
    if let Some(doubt) = it.doubt {
        part(&mut |w| {
            w.message(31, |w| {
                w.uint(1, doubt.before);
                w.uint(2, doubt.since_s);
            });
        });
    }
    part(&mut |w| {
        w.part(40, |w| {
            w.uint(1, it.dispatch.seq);
            w.uint(2, it.dispatch.number);
        });
    });
    for it in it.dispatch.iter() {
        part(&mut |w| w.message(41, |w| incident_state(w, it)));
    }
    take(&piece);
}

fn head(it: &Frozen, w: &mut Writer<'_>) {
    w.uint(1, FORMAT);
    w.uint(2, it.version);
    w.uint(3, it.next);
    w.part(4, |w| books(w, &it.books));
    w.part(5, |w| policy_state(w, &it.policy));
    w.part(6, |w| hearing(w, &it.hearing));
    w.part(7, |w| service(w, &it.service));
    for it in it.requests.iter() {
        w.message(8, |w| answer(w, &it));
    }
    w.part(9, |w| {
        w.int(1, it.quota.began.0);
        for (topic, count) in &it.quota.kept {
            w.message(2, |w| {
                w.text(1, topic);
                w.uint(2, *count);
            });
        }
    });
    w.some_message(10, it.today, |w, it| {
        w.sint(1, it.day.0);
        w.int(2, it.begins.0);
        w.int(3, it.ends.0);
    });
}

fn books(w: &mut Writer<'_>, it: &Books) {
    w.uint(1, it.epoch);
    w.uint(2, it.seq);
    w.int(3, it.now.elapsed.0);
    w.int(4, it.now.wall.0);
    for name in &it.names {
        w.present_text(5, name.as_str());
    }
}

fn policy_state(w: &mut Writer<'_>, it: &Policy) {
    w.uint(1, it.version);
    w.part(2, |w| policy(w, &it.text));
    for it in it.known() {
        w.message(3, |w| {
            w.some_uint(1, it.ix);
            w.fixed(2, it.fingerprint);
            w.uint(3, it.changed_in);
        });
    }
}

fn hearing(w: &mut Writer<'_>, it: &Hearing) {
    w.uint(1, way(it.way));
    w.int(2, it.up_at.0);
    w.int(3, it.heard_to.0);
    w.int(4, it.blind_ms);
    w.int(5, it.proven_at.0);
}

pub(super) fn way(it: Way) -> u32 {
    match it {
        Way::Down => 0,
        Way::Draining => 1,
        Way::Open => 2,
    }
}

fn service(w: &mut Writer<'_>, it: &Service) {
    runs(w, 1, &it.runs);
    w.part(2, |w| health(w, &it.health));
    some_elapsed(w, 3, it.dropped_at);
}

fn answer(w: &mut Writer<'_>, it: &Remembered) {
    w.int(1, it.at.0);
    w.text(2, &it.actor);
    w.text(3, &it.request);
    w.fixed(4, it.action);
    match &it.outcome {
        Outcome::Done { position, changed } => w.message(5, |w| {
            w.uint(1, *position);
            w.uint(2, *changed);
        }),
        Outcome::Incident { position, incident, joined } => w.message(40, |w| {
            w.uint(1, *position);
            w.text(2, &incident.to_string());
            w.uint(3, *joined);
        }),
        Outcome::Fill { position, verdict: it } => w.message(20, |w| {
            w.uint(1, *position);
            w.message(2, |w| verdict(w, it));
        }),
        Outcome::Findings { position, findings } => w.message(21, |w| {
            w.uint(1, *position);
            for it in findings {
                w.message(2, |w| {
                    w.text(1, it.cylinder.as_str());
                    w.texts(2, &it.reasons);
                });
            }
        }),
        Outcome::NotFound { what } => w.present_text(6, what),
        Outcome::Precondition { why } => w.present_text(7, why),
        Outcome::Denied { why } => w.present_text(8, why),
        Outcome::RequestReused => w.present_uint(9, true),
        Outcome::Items { .. } => unreachable!("what is taken item by item is known again by its items"),
    }
}

fn lift_state(w: &mut Writer<'_>, it: &Lift) {
    w.text(1, it.code.as_str());
    w.some_message(2, it.archived().as_ref(), lift);
    w.part(3, |w| order(w, &it.order));
    w.part(4, |w| offset(w, &it.offset));
    w.part(5, |w| registers(w, &it.registers));
    w.int(6, it.judged.0);
    w.some_message(7, it.heard, |w, (heard, arrived)| {
        w.int(1, heard.0);
        w.int(2, arrived.0);
    });
    w.int(8, it.absence_judged_to.0);
    some_elapsed(w, 9, it.first_heard);
    w.some_message(10, it.catching_up.as_deref(), |w, it| {
        w.int(1, it.since.0);
        w.int(2, it.last_arrival.0);
    });
    runs(w, 11, &it.runs);
    w.uint(12, it.policy);
    w.uint(13, it.unreadable);
    w.some_uint(14, it.sighted_in);
    w.some_uint(15, it.online);
    w.uint(16, it.feed_keep_alive_s);
    w.some_message(20, it.records.as_deref(), records::state);
    w.some_message(21, it.upkeep.as_deref(), upkeep::write);
}

fn incident_state(w: &mut Writer<'_>, it: &Incident) {
    w.text(1, &it.incident.id.to_string());
    w.int(2, it.received.0);
    for entry in &it.timeline {
        w.message(3, |w| write_entry(w, entry));
    }
    runs(w, 4, &it.runs);
}

fn cylinder_state(w: &mut Writer<'_>, it: &Cylinder) {
    w.text(1, it.code.as_str());
    w.some_message(2, it.archived().as_ref(), cylinder);
    w.some_sint(3, it.report.and_then(|report| report.valid_until).map(|day| day.0));
    runs(w, 4, &it.runs);
    w.uint(5, it.policy);
    w.uint(6, it.scrapped);
    w.uint(7, it.duplicate);
    if it.custody != Custody::default() {
        w.message(8, |w| custody(w, &it.custody));
    }
    w.some_sint(9, it.report.map(|report| report.on.0));
    w.uint(10, it.told[0].0);
    w.uint(11, it.told[1].0);
}

fn custody(w: &mut Writer<'_>, it: &Custody) {
    w.uint(1, it.last.map_or(0, |event| number(event.number())));
    w.uint(2, it.flags);
    w.uint(3, it.holder.wrapping_add(1));
    w.uint(4, it.filled_by.wrapping_add(1));
    w.uint(5, it.moved_s);
    w.uint(6, it.checked_s);
    w.uint(7, it.filled_s);
    w.uint(8, it.returned_s);
    w.uint(9, it.inspected_s);
}

fn given(w: &mut Writer<'_>, asked: &Asked, given: &Given, reserves: bool) {
    w.uint(1, asked.by);
    match &asked.how {
        How::Scan { generation, key } => w.message(2, |w| {
            w.uint(1, *generation);
            w.uint(2, key.boot);
            w.uint(3, key.seq);
        }),
        How::Call(request) => w.present_text(3, request),
    }
    w.uint(4, given.cylinder);
    w.message(5, |w| verdict(w, &given.verdict));
    w.int(6, given.until.0);
    w.uint(7, reserves);
}

fn scanner_state(w: &mut Writer<'_>, it: &Scanner) {
    w.text(1, it.site.as_str());
    w.text(2, &it.name);
    w.part(3, |w| order(w, &it.order));
    w.part(4, |w| offset(w, &it.offset));
    some_elapsed(w, 5, it.steady.map(|steady| steady.since));
    w.int(6, it.steady.map_or(0, |steady| steady.least_ms));
}

fn order(w: &mut Writer<'_>, it: &Order) {
    w.uint(1, it.generation);
    w.some_message(2, it.newest.as_ref(), newest);
    earlier(w, 3, &it.earlier);
    w.some_int(4, it.claimed.map(Wall::ms));
    w.some_message(5, it.run.as_deref(), |w, it| {
        w.uint(1, it.count);
        w.some_message(2, Some(&it.newest), newest);
        earlier(w, 3, &it.earlier);
        w.int(4, it.began.0);
        w.uint(5, it.all_claimed_later);
        w.uint(6, it.last.boot);
        w.uint(7, it.last.seq);
        w.some_int(8, it.claimed.map(Wall::ms));
    });
}

fn newest(w: &mut Writer<'_>, it: &Newest) {
    w.uint(1, it.key.boot);
    w.uint(2, it.key.seq);
    let words = it.seen.iter().rposition(|word| *word != 0).map_or(0, |last| last + 1);
    w.fixeds(3, &it.seen[..words]);
}

fn earlier(w: &mut Writer<'_>, field: u32, boots: &[Boot]) {
    for it in boots {
        w.message(field, |w| {
            w.uint(1, it.boot);
            w.uint(2, it.seq);
            w.fixed(3, it.seen);
        });
    }
}

fn offset(w: &mut Writer<'_>, it: &Offset) {
    for (field, least_ms) in (1..).zip(it.least_ms) {
        w.some_sint(field, least_ms.get());
    }
    w.int(6, it.began.0);
    w.some_int(7, it.claimed.map(Wall::ms));
}

fn registers(w: &mut Writer<'_>, it: &Registers) {
    for (slot, field) in REGISTER_FIELDS.into_iter().enumerate() {
        register(w, field, &it.fields.get(slot));
    }
    some_elapsed(w, 16, it.door_moves.map(|moves| moves.since));
    for it in &it.active {
        w.message(17, |w| {
            stamp(w, it.stamp);
            w.int(4, it.at.0);
            w.uint(5, !it.on);
            match &it.item {
                Item::Fault(code) => w.present_uint(6, *code),
                Item::Alarm(code) => w.present_uint(7, *code),
                Item::Condition(name) => w.present_text(8, name),
            }
        });
    }
    for (field, list) in (18..).zip(0..3) {
        w.some_message(field, it.fields.whole(list), stamp);
    }
    for it in &it.lingering {
        w.message(21, |w| {
            w.uint(1, lingering_list(it.list));
            w.uint(2, it.code);
            w.int(3, it.at.0);
            w.int(4, it.until.0);
        });
    }
    for (name, by, at, value) in it.rare.iter().flat_map(|rare| &rare.extras) {
        w.message(22, |w| {
            stamp(w, *by);
            w.int(4, at.0);
            w.text(5, name);
            w.present_double(6, *value);
        });
    }
    let rare = it.rare.as_deref();
    for it in rare.into_iter().flat_map(|rare| &rare.left) {
        w.message(23, |w| {
            stamp(w, it.stamp);
            w.int(4, it.at.0);
            match &it.item {
                Item::Fault(code) => w.present_uint(5, *code),
                Item::Alarm(code) => w.present_uint(6, *code),
                Item::Condition(name) => w.present_text(7, name),
            }
        });
    }
    for it in rare.into_iter().flat_map(|rare| &rare.windows) {
        w.message(24, |w| window(w, it));
    }
    w.uint(25, it.door_moves.is_some_and(|moves| moves.from_open));
}

fn window(w: &mut Writer<'_>, it: &Kept) {
    w.text(1, &it.extra);
    w.uint(2, it.span_ms);
    for it in &it.buckets {
        w.message(3, |w| {
            w.int(1, it.nth);
            w.present_double(2, it.max);
            w.present_double(3, it.sum);
            w.uint(4, it.count);
        });
    }
}

fn register(w: &mut Writer<'_>, field: u32, it: &Register) {
    let known = match it.held {
        Held::Never => return,
        Held::Unknown => None,
        Held::Known(value) => Some(value),
    };
    w.message(field, |w| {
        stamp(w, it.stamp);
        w.int(4, it.at.0);
        w.some_sint(5, known);
    });
}

fn stamp(w: &mut Writer<'_>, it: Stamp) {
    w.uint(1, it.generation);
    w.uint(2, it.boot);
    w.uint(3, it.seq);
}

pub(super) fn lingering_list(it: CodeList) -> u32 {
    match it {
        CodeList::Alarm => 1,
        CodeList::Event => 2,
        CodeList::Fault => 3,
        // A frame has it in one of the others.
        CodeList::Any => 0,
    }
}

fn runs(w: &mut Writer<'_>, field: u32, runs: &Runs) {
    for (rule, openings, it) in runs.all() {
        w.message(field, |w| match it {
            Some(it) => run(w, it),
            None => {
                w.uint(1, rule.0);
                w.uint(2, openings);
            }
        });
    }
}

fn run(w: &mut Writer<'_>, it: &Run) {
    w.uint(1, it.rule.0);
    w.uint(2, it.openings);
    match &it.phase {
        Phase::Idle => {}
        Phase::Holding(hold) => w.message(3, |w| {
            w.int(1, hold.since.0);
            some_elapsed(w, 2, hold.false_since);
            w.uint(3, wait(hold.waits));
        }),
        Phase::Open(it) => w.message(4, |w| open(w, it)),
    }
    w.some_message(5, it.closed.as_deref(), |w, it| {
        w.int(1, it.at.0);
        w.uint(2, it.by_hand);
        w.message(3, |w| {
            w.uint(1, number(it.severity.number()));
            w.int(3, it.opened_at.0);
            w.some_message(4, it.acknowledged.as_deref(), acknowledged);
            w.some_message(11, it.group, event_ref);
            w.uint(12, it.flapping);
        });
    });
    for it in &it.tally.0 {
        w.message(6, |w| {
            w.uint(1, it.term);
            w.int(2, it.at.0);
        });
    }
    w.ints(7, it.lately.iter().map(|at| at.0));
}

pub(super) fn wait(it: Wait) -> u32 {
    match it {
        Wait::No => 0,
        Wait::Footing => 1,
        Wait::Condition => 2,
    }
}

fn open(w: &mut Writer<'_>, it: &Open) {
    w.uint(1, number(it.severity.number()));
    w.uint(2, number(it.certainty.number()));
    w.int(3, it.opened_at.0);
    w.some_message(4, it.acknowledged.as_ref(), acknowledged);
    for it in &it.evidence {
        w.message(5, |w| evidence(w, it));
    }
    some_elapsed(w, 6, it.clear_since);
    w.int(7, it.clear_done_ms);
    w.uint(8, it.unproven);
    w.int(9, it.stood_still_ms);
    w.some_uint(10, it.occupied);
    w.some_message(11, it.group, event_ref);
    w.uint(12, it.flapping);
    w.int(13, it.since.0);
    w.some_uint(14, it.crossed);
}

fn storms(w: &mut Writer<'_>, it: &Storms) {
    for (key, it) in it.gatherings.iter() {
        w.message(1, |w| {
            w.message(1, |w| storm_key(w, key));
            w.int(2, it.until.0);
            for (lift, at) in &it.loose {
                w.message(3, |w| {
                    w.text(1, lift.as_str());
                    w.int(2, at.0);
                });
            }
            it.parts.iter().for_each(|part| w.message(4, |w| event_ref(w, *part)));
            w.some_message(5, it.going, event_ref);
        });
    }
    for (began, it) in it.storms.iter() {
        w.message(2, |w| {
            w.message(1, |w| storm_key(w, &it.key));
            w.message(2, |w| event_ref(w, *began));
            w.int(3, it.began_at.0);
            w.int(4, it.first.0);
            w.int(5, it.last.0);
            w.uint(6, it.lifts);
            it.members.iter().for_each(|lift| w.present_text(7, lift.as_str()));
        });
    }
    w.some_message(3, it.looked_at.as_ref(), storm_key);
}

fn storm_key(w: &mut Writer<'_>, it: &Key) {
    w.uint(1, it.rule.0);
    w.uint(2, number(it.scope.number()));
    w.text(3, it.place.as_str());
}

fn event_ref(w: &mut Writer<'_>, it: Cursor) {
    w.uint(1, it.epoch);
    w.uint(2, it.seq);
}

fn some_elapsed(w: &mut Writer<'_>, field: u32, at: Option<Elapsed>) {
    w.some_int(field, at.map(Elapsed::ms));
}
