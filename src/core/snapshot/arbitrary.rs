//! Every state that the types allow, whether or not any journey leads there.

use std::num::NonZeroU32;

use proptest::array::{uniform3, uniform4, uniform5, uniform7, uniform8};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use thin_vec::ThinVec;

use super::Frozen;
use super::journey::small_policy;
use crate::core::Core;
use crate::core::books::Now;
use crate::core::cylinder::Cylinder;
use crate::core::cylinder::custody::{self, Custody};
use crate::core::cylinder::fills::{Asked, Fills, Given, How};
use crate::core::doubt::Doubt;
use crate::core::judge::run::{Closed, Hold, Open, Phase, RuleNo, Run, Wait};
use crate::core::judge::runs::Runs;
use crate::core::judge::tally::{Occurrence, Tally};
use crate::core::lift::{CatchingUp, Lift};
use crate::core::maintenance::known::{Key as RecordKey, KnownRecord, KnownRecords};
use crate::core::maintenance::records::{Hazard, Records, Unsigned};
use crate::core::obligation::cylinder::Inspected;
use crate::core::obligation::upkeep::{Counted, Day, Seldom, Told, Upkeep, Visited};
use crate::core::policy::Policy;
use crate::core::rejects::Quota;
use crate::core::requests::{Remembered, Requests};
use crate::core::rules::{CodeList, Reach};
use crate::core::scanner::{Scanner, Steady};
use crate::core::service::Service;
use crate::core::storms::{Gathering, Key, Storm, Storms};
use crate::core::sweep::Today;
use crate::core::telemetry::fields::Fields;
use crate::core::telemetry::heard::{Heard, Hearing, Way};
use crate::core::telemetry::offset::Offset;
use crate::core::telemetry::order::{self, Boot, Newest, Order};
use crate::core::telemetry::registers::{
    Active, DoorMoves, FIELDS, Held, Item, Left, Lingering, Rare, Register, Registers, Stamp,
};
use crate::core::telemetry::windows::{Bucket, Kept};
use crate::limits;
use crate::model::alert::{Acknowledged, Certainty, Cursor, Evidence, Severity, StormScope};
use crate::model::arbitrary as model;
use crate::model::archive::Entry;
use crate::model::fill::Finding;
use crate::model::frame::FrameKey;
use crate::model::ids::{PlaceId, RuleId};
use crate::model::incident::IncidentId;
use crate::model::record::{Health, Outcome};
use crate::model::report::ReportKind;
use crate::model::scan::ScanEvent;
use crate::model::time::{CivilDay, Elapsed, Wall};
use crate::model::visit::Problem;

fn elapsed() -> impl Strategy<Value = Elapsed> {
    prop_oneof![Just(Elapsed(0)), (0..1i64 << 40).prop_map(Elapsed), any::<i64>().prop_map(Elapsed)]
}

fn span_ms() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), -(1i64 << 60)..1 << 60]
}

fn number<T: Arbitrary + Clone + Default>() -> impl Strategy<Value = T> {
    prop_oneof![Just(T::default()), any::<T>()]
}

fn frame_key() -> impl Strategy<Value = FrameKey> {
    (number(), number()).prop_map(|(boot, seq)| FrameKey { boot, seq })
}

fn stamp() -> impl Strategy<Value = Stamp> {
    (number(), frame_key()).prop_map(|(generation, key)| Stamp::new(generation, key))
}

fn order_state() -> BoxedStrategy<Order> {
    let newest = || (frame_key(), uniform4(number())).prop_map(|(key, seen)| Newest { key, seen });
    let boot = || (number(), number(), number()).prop_map(|(boot, seq, seen)| Boot { boot, seq, seen });
    let earlier = || vec(boot(), 0..=limits::DERIVED_KEYS).prop_map(ThinVec::from);
    let run = (number(), frame_key(), newest(), earlier(), of(model::wall()), elapsed(), any::<bool>()).prop_map(
        |(count, last, newest, earlier, claimed, began, all_claimed_later)| {
            Box::new(order::Run { count, last, newest, earlier, claimed, began, all_claimed_later })
        },
    );
    (number(), of(newest()), earlier(), of(model::wall()), of(run))
        .prop_map(|(generation, newest, earlier, claimed, run)| Order { generation, newest, earlier, claimed, run })
        .boxed()
}

fn registers() -> BoxedStrategy<Registers> {
    let held = prop_oneof![Just(Held::Unknown), number().prop_map(Held::Known)];
    let reported = (stamp(), elapsed(), held).prop_map(|(stamp, at, held)| Register { stamp, at, held });
    let register = prop_oneof![Just(Register::default()), reported];
    let fields = (vec(register, FIELDS.len()), uniform3(of(stamp()))).prop_map(|(registers, whole)| {
        let mut fields = Fields::default();
        (0..).zip(whole).for_each(|(list, stamp)| stamp.into_iter().for_each(|stamp| fields.set_whole(list, stamp)));
        for (slot, register) in registers.into_iter().enumerate() {
            let fits = |number: &i64| Fields::fits(slot, *number);
            let held = match register.held {
                Held::Known(number) => Held::Known(Some(number).filter(fits).unwrap_or(1)),
                held => held,
            };
            fields.set(slot, &Register { held, ..register });
        }
        fields
    });
    let item = prop_oneof![
        number().prop_map(Item::Fault),
        number().prop_map(Item::Alarm),
        model::text().prop_map(Item::Condition),
    ];
    let active =
        (item, stamp(), elapsed(), any::<bool>()).prop_map(|(item, stamp, at, on)| Active { item, stamp, at, on });
    let list = select(vec![CodeList::Alarm, CodeList::Event, CodeList::Fault]);
    let lingering =
        (list, number(), elapsed(), elapsed()).prop_map(|(list, code, at, until)| Lingering { list, code, at, until });
    let finite = any::<f64>().prop_filter("sensors report finite values", |value| value.is_finite());
    let extra = (model::text(), stamp(), elapsed(), finite);
    let item = prop_oneof![
        number().prop_map(Item::Fault),
        number().prop_map(Item::Alarm),
        model::text().prop_map(Item::Condition),
    ];
    let left = (item, stamp(), elapsed()).prop_map(|(item, stamp, at)| Left { item, stamp, at });
    let finite = || any::<f64>().prop_filter("sensors report finite values", |value| value.is_finite());
    let bucket =
        (span_ms(), finite(), finite(), number()).prop_map(|(nth, max, sum, count)| Bucket { nth, max, sum, count });
    let window = (model::text(), number(), vec(bucket, 0..3)).prop_map(|(extra, span_ms, buckets)| Kept {
        extra,
        span_ms,
        buckets: buckets.into(),
    });
    let rare = (vec(extra, 0..3), vec(left, 0..3), vec(window, 0..3)).prop_map(|(extras, left, windows)| {
        Rare { left: left.into(), extras: extras.into(), windows: windows.into() }.boxed()
    });
    let door_moves = (elapsed(), any::<bool>()).prop_map(|(since, from_open)| DoorMoves { since, from_open });
    (fields, of(door_moves), vec(active, 0..3), vec(lingering, 0..3), rare)
        .prop_map(|(fields, door_moves, active, lingering, rare)| Registers {
            fields,
            door_moves,
            active: active.into(),
            lingering: lingering.into(),
            rare,
        })
        .boxed()
}

fn upkeep() -> BoxedStrategy<Upkeep> {
    let day = || of(model::civil_day()).prop_map(Day::from);
    let report = (any::<u64>(), model::civil_day(), select(ReportKind::ALL), any::<bool>())
        .prop_map(|(key, done_on, kind, passed)| Counted { key, done_on, kind, passed });
    let days = ([day(), day()], uniform8(any::<u32>().prop_map(Told)));
    let rare = of((day(), day(), uniform7(day()))).prop_map(|rare| {
        let rare = rare.map(|(link_lost_on, idle_since, before)| Seldom { link_lost_on, idle_since, before });
        rare.filter(|rare| *rare != Seldom::default()).map(Box::new)
    });
    let visit = (0..4_u8, model::civil_day(), any::<Option<NonZeroU32>>());
    let visit = visit.prop_map(|(nth, on, key)| Visited { nth, on, key });
    (days, vec(report, 0..4), vec(visit, 0..4), rare)
        .prop_map(|(([known_since, maintained_from], told), mut reports, mut visits, rare)| {
            reports.sort_by_key(|it| it.done_on);
            visits.sort_unstable();
            let mut nameless = [false; 4];
            visits.retain(|it| it.key.is_some() || !std::mem::replace(&mut nameless[usize::from(it.nth)], true));
            let (reports, visits) = (reports.into(), visits.into());
            Upkeep { known_since, maintained_from, visits, told, reports, rare }
        })
        .boxed()
}

fn event_ref() -> impl Strategy<Value = Cursor> {
    (number(), number()).prop_map(|(epoch, seq)| Cursor { epoch, seq })
}

fn storms(rules: u16) -> BoxedStrategy<Storms> {
    let key = move || {
        let place = "[0-9A-Za-z._-]{1,32}".prop_map(|place| PlaceId::parse(&place).unwrap());
        (0..rules, select(StormScope::ALL), place).prop_map(|(rule, scope, place)| Key {
            rule: RuleNo(rule),
            scope,
            place,
        })
    };
    let moment = || span_ms().prop_map(Elapsed);
    let loose = vec((model::device_code(), moment()), 0..3);
    let gathering = (moment(), loose, vec(event_ref(), 0..3), of(event_ref()))
        .prop_map(|(until, loose, parts, going)| Gathering { until, loose, parts, going });
    let members = btree_set(model::device_code(), 0..3);
    let storm = (key(), model::wall(), (moment(), moment()), number(), members).prop_map(
        |(key, began_at, (first, last), lifts, members)| {
            let members = members.into_iter().collect();
            Storm { key, began_at, first, last, lifts, members, open: 0 }
        },
    );
    (vec((key(), gathering), 0..3), vec((event_ref(), storm), 0..3), of(key()))
        .prop_map(|(gatherings, all, looked_at)| {
            let mut storms = Storms::default();
            storms.gatherings = gatherings.into_iter().collect();
            storms.storms = all.into_iter().collect();
            storms.looked_at = looked_at;
            storms
        })
        .boxed()
}

fn open() -> BoxedStrategy<Open> {
    let acknowledged = (model::text(), model::wall()).prop_map(|(by, at)| Acknowledged { by, at });
    let evidence = (model::text(), model::text(), of(any::<i64>())).prop_map(|(name, value, age_ms)| Evidence {
        name,
        value,
        age_ms,
    });
    let what = (select(Severity::ALL), select(Certainty::ALL), model::wall(), elapsed());
    let flags = (any::<bool>(), any::<Option<bool>>(), of(event_ref()), any::<bool>(), of(0..=16_u8));
    (what, of(acknowledged), vec(evidence, 0..3), of(elapsed()), span_ms(), span_ms(), flags)
        .prop_map(|(what, acknowledged, evidence, clear_since, clear_done_ms, stood_still_ms, flags)| {
            let (severity, certainty, opened_at, since) = what;
            let (unproven, occupied, group, flapping, crossed) = flags;
            Open {
                severity,
                certainty,
                opened_at,
                since,
                acknowledged,
                unproven,
                evidence,
                clear_since,
                clear_done_ms,
                stood_still_ms,
                occupied,
                group,
                flapping,
                crossed,
            }
        })
        .boxed()
}

fn runs(rules: u16) -> BoxedStrategy<Runs> {
    let waits = select(vec![Wait::No, Wait::Footing, Wait::Condition]);
    let hold =
        (elapsed(), of(elapsed()), waits).prop_map(|(since, false_since, waits)| Hold { since, false_since, waits });
    let phase = prop_oneof![
        Just(Phase::Idle),
        hold.prop_map(Phase::Holding),
        open().prop_map(|open| Phase::Open(Box::new(open))),
    ];
    let closed = (elapsed(), any::<bool>(), open()).prop_map(|(at, by_hand, open)| {
        let Open { severity, flapping, opened_at, acknowledged, group, .. } = open;
        let acknowledged = acknowledged.map(Box::new);
        Box::new(Closed { at, by_hand, severity, flapping, opened_at, acknowledged, group })
    });
    let occurrence = (number(), elapsed()).prop_map(|(term, at)| Occurrence { term, at });
    let tally = vec(occurrence, 0..4).prop_map(|all| Tally(all.into()));
    let lately = vec(span_ms().prop_map(Elapsed), 0..4);
    btree_map(0..rules, (number(), phase, of(closed), tally, lately), 0..3)
        .prop_map(|runs| {
            let run = |(rule, (openings, phase, closed, tally, lately)): (_, (_, _, _, _, Vec<Elapsed>))| Run {
                rule: RuleNo(rule),
                openings,
                phase,
                closed,
                tally,
                lately: lately.into(),
            };
            runs.into_iter().map(run).collect()
        })
        .boxed()
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    vec(model::entry(), 0..8)
}

prop_compose! {
    fn lift(rules: u16)(
        code in model::device_code(),
        entries in entries(),
        order in order_state(),
        offset in offset(),
        registers in registers(),
        (judged, heard, silent) in (elapsed(), of((span_ms(), elapsed())), span_ms()),
        (first_heard, catching_up) in (of(elapsed()), of((elapsed(), elapsed()))),
        runs in runs(rules),
        (policy, unreadable, sighted_in, online) in (number(), number(), of(number()), of(any::<bool>())),
        feed_keep_alive_s in number(),
        records in of(records()),
        upkeep in of(upkeep()),
    ) -> Lift {
        Lift {
            code,
            entry: entries.into_iter().find_map(|it| if let Entry::Lift(it) = it { Some((&it).into()) } else { None }),
            order,
            offset,
            registers,
            judged,
            heard: heard.map(|(heard, at)| (Heard(heard), at)),
            absence_judged_to: Heard(silent),
            first_heard,
            catching_up: catching_up.map(|(since, last_arrival)| CatchingUp { since, last_arrival }.into()),
            runs,
            policy,
            unreadable,
            sighted_in,
            online,
            feed_keep_alive_s,
            upkeep: upkeep.map(Box::new),
            reach: Reach::NONE,
            records: records.map(Box::new),
        }
    }
}

fn records() -> impl Strategy<Value = Records> {
    let unsigned = (model::text(), number(), span_ms()).prop_map(|(name, number, since)| Unsigned {
        name,
        number,
        since: Elapsed(since),
    });
    let record = || model::text().prop_map(|text| Box::<str>::from(format!("firm/{text}")));
    let hazard =
        (model::text(), select(Problem::ALL), span_ms(), vec(record(), 0..3)).prop_map(|(name, problem, since, by)| {
            Hazard { name, problem, since: Elapsed(since), rectified_by: by.into() }
        });
    (number(), model::visit::digest(), vec(unsigned, 0..3), vec(hazard, 0..3), span_ms()).prop_map(
        |(links, head, unsigned, hazards, judged)| Records {
            links,
            head,
            unsigned: unsigned.into(),
            hazards: hazards.into(),
            judged: Elapsed(judged),
        },
    )
}

fn known_records() -> impl Strategy<Value = KnownRecords> {
    let known = (any::<u64>(), any::<u32>(), model::civil_day(), any::<bool>())
        .prop_map(|(content, device, day, superseded)| KnownRecord { content, device, day, superseded });
    (btree_map(any::<u128>().prop_map(RecordKey), known, 0..5), any::<u128>()).prop_map(|(known, swept_to)| {
        KnownRecords::restore(known.into_iter(), RecordKey(swept_to)).expect("a map is in order")
    })
}

prop_compose! {
    fn custody()(
        last in of(select(ScanEvent::ALL)),
        flags in 0..=custody::FLAGS,
        (holder, filled_by) in (number(), number()),
        (moved_s, checked_s, filled_s) in (number(), number(), number()),
        (returned_s, inspected_s) in (number(), number()),
    ) -> Custody {
        Custody { last, flags, holder, filled_by, moved_s, checked_s, filled_s, returned_s, inspected_s }
    }
}

fn offset() -> impl Strategy<Value = Offset> {
    (uniform5(of(any::<i64>())), elapsed(), of(model::wall())).prop_map(|(least_ms, began, claimed)| Offset {
        least_ms: least_ms.map(Into::into),
        began,
        claimed,
    })
}

fn scanner() -> impl Strategy<Value = Scanner> {
    let steady = (elapsed(), number()).prop_map(|(since, least_ms)| Steady { since, least_ms });
    (model::site_code(), model::text(), order_state(), offset(), of(steady))
        .prop_map(|(site, name, order, offset, steady)| Scanner { site, name, order, offset, steady })
}

fn fills() -> impl Strategy<Value = Fills> {
    let scan = (number(), frame_key()).prop_map(|(generation, key)| How::Scan { generation, key });
    let how = prop_oneof![scan, model::text().prop_map(How::Call)];
    let asked = (number(), how).prop_map(|(by, how)| Asked { by, how });
    let given = (number(), model::verdict(), elapsed(), any::<bool>());
    btree_map(asked, given, 0..4).prop_map(|all| {
        let mut fills = Fills::default();
        for (asked, (cylinder, verdict, until, reserves)) in all {
            let reserves = reserves && verdict.allows();
            fills.restore(asked, Given { cylinder, verdict, until }, reserves);
        }
        fills
    })
}

prop_compose! {
    fn cylinder(rules: u16)(
        code in model::cylinder_code(),
        entries in entries(),
        report in of((any::<i32>(), of(any::<i32>()))),
        told in (number(), number()),
        scrapped in any::<bool>(),
        duplicate in any::<bool>(),
        custody in custody(),
        runs in runs(rules),
        policy in number(),
    ) -> Cylinder {
        let entry = entries.into_iter().find_map(|it| if let Entry::Cylinder(it) = it { Some((&it).into()) } else { None });
        let report =
            report.map(|(on, until)| Inspected { on: CivilDay(on), valid_until: until.map(CivilDay) });
        let told = [Told(told.0), Told(told.1)];
        Cylinder { code, entry, report, told, scrapped, duplicate, custody, runs, policy }
    }
}

fn finding() -> impl Strategy<Value = Finding> {
    (model::cylinder_code(), vec(model::text(), 0..3)).prop_map(|(cylinder, reasons)| Finding { cylinder, reasons })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        (number(), number()).prop_map(|(position, changed)| Outcome::Done { position, changed }),
        (number(), 1..9u64).prop_map(|(position, number)| {
            let joined = number % 2 == 0;
            Outcome::Incident { position, incident: IncidentId { epoch: 1, number }, joined }
        }),
        model::text().prop_map(|what| Outcome::NotFound { what }),
        model::text().prop_map(|why| Outcome::Precondition { why }),
        model::text().prop_map(|why| Outcome::Denied { why }),
        Just(Outcome::RequestReused),
        (number(), model::verdict()).prop_map(|(position, verdict)| Outcome::Fill { position, verdict }),
        (number(), vec(finding(), 0..3)).prop_map(|(position, findings)| Outcome::Findings { position, findings }),
    ]
}

prop_compose! {
    fn requests()(
        asked in btree_set((model::text(), model::text()), 0..4),
        answers in vec((elapsed(), number(), outcome()), 4),
    ) -> Requests {
        let mut requests = Requests::default();
        for ((actor, request), (at, action, outcome)) in asked.into_iter().zip(answers) {
            requests.put(Remembered { at, actor, request, action, outcome });
        }
        requests
    }
}

prop_compose! {
    fn service(rules: u16)(
        runs in runs(rules),
        (journal_fill_percent, store_stalled_ms, dropped) in (number(), number(), number()),
        dropped_at in of(elapsed()),
    ) -> Service {
        Service { runs, health: Health { journal_fill_percent, store_stalled_ms, dropped }, dropped_at }
    }
}

prop_compose! {
    fn hearing()(
        way in select(vec![Way::Down, Way::Draining, Way::Open]),
        (up_at, heard_to, blind_ms, proven_at) in (elapsed(), span_ms(), span_ms(), elapsed()),
    ) -> Hearing {
        Hearing { way, up_at, heard_to: Elapsed(heard_to), blind_ms, proven_at }
    }
}

/// The parts are boxed, since unboxed they outgrow a test's stack. Of rules there are always the same, since compiling them takes longest.
pub(super) fn frozen() -> impl Strategy<Value = Frozen> {
    let mut core = Core::new(0);
    core.policy = Policy::compile(&small_policy(), &Policy::none(), &mut core.books).unwrap().into();
    core.books.names.extend(["ingest-blind", "gone"].map(|name| RuleId::parse(name).unwrap()));
    let base = core.parts();
    let rules = u16::try_from(base.books.names.len()).unwrap();
    let subjects = (
        btree_map(model::device_code(), lift(rules).boxed(), 0..3),
        btree_map(model::cylinder_code(), cylinder(rules).boxed(), 0..3),
        vec(scanner(), 0..3),
        (entries(), fills(), of((any::<u32>(), any::<u32>()).prop_map(|(before, since_s)| Doubt { before, since_s }))),
    );
    let books = (number(), number(), number(), elapsed(), model::wall(), storms(rules));
    let day = of((any::<i32>(), model::wall(), model::wall()));
    let quota = (elapsed(), btree_map(model::text(), number(), 0..3), known_records());
    (books, hearing(), subjects, service(rules).boxed(), requests().boxed(), quota, day).prop_map(
        move |(books, hearing, subjects, service, requests, (began, kept, known_records), day)| {
            let (lifts, cylinders, scanners, (entries, fills, doubt)) = subjects;
            let (next, epoch, seq, elapsed, wall, storms) = books;
            let mut frozen = base.clone();
            frozen.next = next;
            (frozen.books.epoch, frozen.books.seq, frozen.books.now) = (epoch, seq, Now { elapsed, wall });
            frozen.books.storms = storms;
            frozen.hearing = hearing;
            frozen.lifts = lifts.into_iter().map(|(code, lift)| Lift { code, ..lift }).collect();
            super::storms::recount(&mut frozen.books.storms, &frozen.lifts);
            frozen.cylinders = cylinders.into_iter().map(|(code, it)| Cylinder { code, ..it }).collect();
            frozen.scanners = scanners.into_iter().collect();
            (frozen.fills, frozen.doubt) = (fills, doubt);
            let entries = || entries.iter().cloned();
            let site = |it| if let Entry::Site(it) = it { Some((it.code, it)) } else { None };
            frozen.sites = entries().filter_map(site).collect();
            let firm = |it| if let Entry::Firm(it) = it { Some((it.id, it)) } else { None };
            frozen.firms = entries().filter_map(firm).collect();
            let worker = |it| if let Entry::Worker(it) = it { Some((it.id, it)) } else { None };
            frozen.workers = entries().filter_map(worker).collect();
            frozen.service = service;
            frozen.requests = requests;
            frozen.known_records = known_records;
            frozen.quota = Quota { began, kept }.into();
            frozen.today = day.map(|(day, begins, ends): (_, Wall, Wall)| Today { day: CivilDay(day), begins, ends });
            frozen
        },
    )
}
