//! Lifts, cylinders and scanners, from the generated types.

use thin_vec::ThinVec;

use super::read::bounded;
use super::{records, upkeep, write};
use crate::core::cylinder::Cylinder;
use crate::core::cylinder::custody::{self, Custody};
use crate::core::judge::run::{Closed, Hold, Open, Phase, RuleNo, Run, Wait};
use crate::core::judge::runs::Runs;
use crate::core::judge::tally::{Occurrence, Tally};
use crate::core::kept::{KeptCylinder, KeptLift, Pools};
use crate::core::lift::{CatchingUp, Lift};
use crate::core::obligation::cylinder::Inspected;
use crate::core::obligation::upkeep::Told;
use crate::core::rules::{CodeList, Reach};
use crate::core::scanner::{Scanner, Steady};
use crate::core::telemetry::fields::Fields;
use crate::core::telemetry::heard::Heard;
use crate::core::telemetry::offset::Offset;
use crate::core::telemetry::order::{self, Boot, Newest, Order};
use crate::core::telemetry::registers::{
    Active, DoorMoves, Held, Item, Left, Lingering, Rare, Register, Registers, Stamp,
};
use crate::core::telemetry::windows::{Bucket, Kept};
use crate::limits;
use crate::model::alert::{Certainty, Cursor, Severity};
use crate::model::frame::FrameKey;
use crate::model::ids::{CylinderCode, DeviceCode, SiteCode};
use crate::model::scan::ScanEvent;
use crate::model::time::{CivilDay, Elapsed, Wall};
use crate::proto::internal as wire;
use crate::proto::read::{self, CodecError, Result, acknowledged, each, evidence, known, numbered, there};

/// How many rules there ever were: runs name them by number.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub(super) count: usize,
}

pub(super) fn lift(it: wire::LiftState, rules: Rules, pools: &mut Pools) -> Result<Lift> {
    let mut entry = it.entry.map(read::lift).transpose()?.as_ref().map(KeptLift::from);
    entry.iter_mut().for_each(|entry| entry.share(pools));
    Ok(Lift {
        code: DeviceCode::parse(&it.code)?,
        entry,
        order: order(it.order.unwrap_or_default())?,
        offset: offset(&it.offset.unwrap_or_default()),
        registers: registers(it.registers.unwrap_or_default())?,
        judged: Elapsed(it.judged_ms),
        heard: it.last_heard.map(last_heard).transpose()?,
        absence_judged_to: Heard(span(it.absence_judged_to_ms)?),
        first_heard: it.first_heard_ms.map(Elapsed),
        catching_up: it
            .catching_up
            .map(|it| CatchingUp { since: Elapsed(it.since_ms), last_arrival: Elapsed(it.last_arrival_ms) }.into()),
        runs: rules.runs(it.runs)?,
        policy: it.policy,
        unreadable: known("count of unreadable frames", it.unreadable, |got| u8::try_from(got).ok())?,
        sighted_in: it.sighted_in,
        online: it.online,
        feed_keep_alive_s: known("keep-alive of a feed", it.feed_keep_alive_s, |got| u16::try_from(got).ok())?,
        upkeep: it.upkeep.map(|it| upkeep::read(it).map(Box::new)).transpose()?,
        // Found once the policy is at hand.
        reach: Reach::NONE,
        records: it.records.map(records::read_state).transpose()?.map(Box::new),
    })
}

fn last_heard(it: wire::LastHeard) -> Result<(Heard, Elapsed)> {
    Ok((Heard(span(it.heard_ms)?), Elapsed(it.arrived_ms)))
}

/// A number that is reckoned with without further care.
pub(super) fn span(ms: i64) -> Result<i64> {
    const MAX: u64 = 1 << 60;
    if ms.unsigned_abs() > MAX { Err(CodecError::Unfit("it has a time that can't be")) } else { Ok(ms) }
}

pub(super) fn cylinder(it: wire::CylinderState, rules: Rules, pools: &mut Pools) -> Result<Cylinder> {
    let mut entry = it.entry.map(read::cylinder).transpose()?.as_ref().map(KeptCylinder::from);
    entry.iter_mut().for_each(|entry| entry.share(pools));
    Ok(Cylinder {
        code: CylinderCode::parse(&it.code)?,
        entry,
        report: inspected(it.inspected_on_day, it.inspected_until_day),
        scrapped: it.scrapped,
        duplicate: it.duplicate,
        told: [Told(it.told_inspection), Told(it.told_life)],
        custody: it.custody.map(|it| custody(&it)).transpose()?.unwrap_or_default(),
        runs: rules.runs(it.runs)?,
        policy: it.policy,
    })
}

pub(super) fn scanner(it: wire::ScannerState) -> Result<Scanner> {
    let least_ms = it.steady_least_ms;
    Ok(Scanner {
        site: SiteCode::parse(&it.site)?,
        name: it.name.into(),
        order: order(it.order.unwrap_or_default())?,
        offset: offset(&it.offset.unwrap_or_default()),
        steady: it.steady_since_ms.map(|since| Steady { since: Elapsed(since), least_ms }),
    })
}

/// Older snapshots don't tell on which day it was: the date that was set is what counts.
fn inspected(on: Option<i32>, until: Option<i32>) -> Option<Inspected> {
    let on = on.or(until)?;
    Some(Inspected { on: CivilDay(on), valid_until: until.map(CivilDay) })
}

fn custody(it: &wire::CustodyState) -> Result<Custody> {
    let event = |number| known("event of a scan", number, |got| ScanEvent::from_number(i64::from(got)));
    Ok(Custody {
        last: (it.last != 0).then(|| event(it.last)).transpose()?,
        flags: known("what is remembered of a cylinder", it.flags, |got| {
            u8::try_from(got).ok().filter(|flags| flags & !custody::FLAGS == 0)
        })?,
        holder: it.holder.wrapping_sub(1),
        filled_by: it.filled_by.wrapping_sub(1),
        moved_s: it.moved_s,
        checked_s: it.checked_s,
        filled_s: it.filled_s,
        returned_s: it.returned_s,
        inspected_s: it.inspected_s,
    })
}

fn order(it: wire::OrderState) -> Result<Order> {
    let lower_run = |it: wire::LowerRun| -> Result<_> {
        Ok(Box::new(order::Run {
            count: it.count,
            last: FrameKey { boot: it.last_boot, seq: it.last_seq },
            claimed: it.claimed_at_ms.map(Wall),
            newest: newest(&it.newest.unwrap_or_default())?,
            earlier: earlier(it.earlier)?,
            began: Elapsed(it.began_ms),
            all_claimed_later: it.all_claimed_later,
        }))
    };
    Ok(Order {
        generation: it.generation,
        newest: it.newest.map(|it| newest(&it)).transpose()?,
        earlier: earlier(it.earlier)?,
        claimed: it.claimed_at_ms.map(Wall),
        run: it.run.map(lower_run).transpose()?,
    })
}

fn earlier(boots: Vec<wire::EarlierBoot>) -> Result<ThinVec<Boot>> {
    bounded(boots.len(), limits::DERIVED_KEYS)?;
    Ok(boots.into_iter().map(|it| Boot { boot: it.boot, seq: it.seq, seen: it.seen }).collect())
}

fn newest(it: &wire::Newest) -> Result<Newest> {
    let mut seen = [0; 4];
    bounded(it.seen.len(), seen.len())?;
    seen[..it.seen.len()].copy_from_slice(&it.seen);
    Ok(Newest { key: FrameKey { boot: it.boot, seq: it.seq }, seen })
}

fn offset(it: &wire::OffsetState) -> Offset {
    Offset {
        least_ms: [it.least_1_ms, it.least_2_ms, it.least_3_ms, it.least_4_ms, it.least_5_ms].map(Into::into),
        began: Elapsed(it.began_ms),
        claimed: it.claimed_at_ms.map(Wall),
    }
}

fn registers(it: wire::Registers) -> Result<Registers> {
    bounded(it.active.len(), limits::ACTIVE_ITEMS)?;
    bounded(it.lingering.len(), limits::LINGERING_CODES)?;
    bounded(it.left.len(), limits::LEFT_ITEMS)?;
    bounded(it.windows.len(), limits::WINDOWS)?;
    let mut fields = Fields::default();
    for (list, whole) in [it.whole_faults, it.whole_alarms, it.whole_conditions].iter().enumerate() {
        whole.iter().for_each(|it| fields.set_whole(list, stamp(it)));
    }
    let reported = [
        it.mode,
        it.car,
        it.direction,
        it.door_zone,
        it.door,
        it.passenger,
        it.floor,
        it.load_kg,
        it.speed_mm_s,
        it.runs,
        it.run_hours,
    ];
    for (slot, it) in reported.iter().enumerate() {
        let Some(it) = it else { continue };
        if it.known.is_some_and(|number| !Fields::fits(slot, number)) {
            return Err(CodecError::Unfit("it has a value that its field can't have"));
        }
        fields.set(slot, &register(it));
    }
    Ok(Registers {
        fields,
        door_moves: it
            .door_moves_since_ms
            .map(|since| DoorMoves { since: Elapsed(since), from_open: it.door_was_open }),
        active: each(it.active, active)?.into(),
        lingering: each(it.lingering, lingering)?.into(),
        rare: Rare {
            left: each(it.left, left)?.into(),
            extras: each(it.extras, extra)?.into(),
            windows: each(it.windows, window)?.into(),
        }
        .boxed(),
    })
}

fn register(it: &wire::Register) -> Register {
    Register {
        stamp: Stamp { generation: it.generation, boot: it.boot, seq: it.seq },
        at: Elapsed(it.judged_ms),
        held: it.known.map_or(Held::Unknown, Held::Known),
    }
}

fn stamp(it: &wire::Stamp) -> Stamp {
    Stamp { generation: it.generation, boot: it.boot, seq: it.seq }
}

fn active(it: wire::ActiveItem) -> Result<Active> {
    use wire::active_item::Item as Wire;
    Ok(Active {
        item: match there("a code or condition", it.item)? {
            Wire::Fault(code) => Item::Fault(code),
            Wire::Alarm(code) => Item::Alarm(code),
            Wire::Condition(name) => Item::Condition(name.into()),
        },
        stamp: Stamp { generation: it.generation, boot: it.boot, seq: it.seq },
        at: Elapsed(it.judged_ms),
        on: !it.ended,
    })
}

fn left(it: wire::LeftItem) -> Result<Left> {
    use wire::left_item::Item as Wire;
    Ok(Left {
        item: match there("a code or condition", it.item)? {
            Wire::Fault(code) => Item::Fault(code),
            Wire::Alarm(code) => Item::Alarm(code),
            Wire::Condition(name) => Item::Condition(name.into()),
        },
        stamp: Stamp { generation: it.generation, boot: it.boot, seq: it.seq },
        at: Elapsed(it.judged_ms),
    })
}

fn lingering(it: wire::Lingering) -> Result<Lingering> {
    Ok(Lingering {
        list: known("list of a code", it.list, |got| {
            [CodeList::Alarm, CodeList::Event, CodeList::Fault]
                .into_iter()
                .find(|list| write::lingering_list(*list) == got)
        })?,
        code: it.code,
        at: Elapsed(it.judged_ms),
        until: Elapsed(it.until_ms),
    })
}

fn extra(it: wire::ExtraState) -> Result<(Box<str>, Stamp, Elapsed, f64)> {
    let by = Stamp { generation: it.generation, boot: it.boot, seq: it.seq };
    Ok((it.name.into(), by, Elapsed(it.judged_ms), there("a sensor's value", it.value)?))
}

fn window(it: wire::ExtraWindow) -> Result<Kept> {
    bounded(it.buckets.len(), limits::WINDOW_BUCKETS as usize)?;
    let bucket = |it: wire::WindowBucket| -> Result<Bucket> {
        let (max, sum) = (there("a sensor's value", it.max)?, there("a sensor's value", it.sum)?);
        Ok(Bucket { nth: span(it.nth)?, max, sum, count: it.count })
    };
    Ok(Kept { extra: it.name.into(), span_ms: it.span_ms, buckets: each(it.buckets, bucket)?.into() })
}

impl Rules {
    pub(super) fn runs(self, runs: Vec<wire::RunState>) -> Result<Runs> {
        let runs = each(runs, |it| self.run(it))?;
        if runs.is_sorted_by(|one, next| one.rule < next.rule) {
            Ok(runs.into_iter().collect())
        } else {
            Err(CodecError::Unfit("its rules are not in their order"))
        }
    }

    pub(super) fn number(self, got: u32) -> Result<RuleNo> {
        let named = |got| u16::try_from(got).ok().filter(|number| usize::from(*number) < self.count);
        Ok(RuleNo(known("number of a rule", got, named)?))
    }

    fn run(self, it: wire::RunState) -> Result<Run> {
        use wire::run_state::Phase as Wire;
        Ok(Run {
            rule: self.number(it.rule)?,
            openings: it.openings,
            phase: match it.phase {
                None => Phase::Idle,
                Some(Wire::Holding(it)) => Phase::Holding(hold(&it)?),
                Some(Wire::Open(it)) => Phase::Open(Box::new(open(it)?)),
            },
            closed: it.closed.map(closed).transpose()?.map(Box::new),
            tally: tally(it.tally)?,
            lately: lately(it.lately_ms)?,
        })
    }
}

fn tally(occurrences: Vec<wire::Occurrence>) -> Result<Tally> {
    bounded(occurrences.len(), limits::COUNTED_TERMS * limits::WINDOW_BUCKETS as usize)?;
    let occurrence = |it: wire::Occurrence| -> Result<Occurrence> {
        Ok(Occurrence {
            term: known("term of a rule", it.term, |got| u16::try_from(got).ok())?,
            at: Elapsed(it.judged_ms),
        })
    };
    Ok(Tally(each(occurrences, occurrence)?.into()))
}

fn lately(moments: Vec<i64>) -> Result<ThinVec<Elapsed>> {
    bounded(moments.len(), limits::FLAPPING_OPENINGS as usize)?;
    each(moments, |at_ms| Ok(Elapsed(span(at_ms)?))).map(Into::into)
}

pub(super) fn event_ref(it: &wire::EventRef) -> Cursor {
    Cursor { epoch: it.epoch, seq: it.seq }
}

fn hold(it: &wire::Hold) -> Result<Hold> {
    Ok(Hold {
        since: Elapsed(it.since_ms),
        false_since: it.false_since_ms.map(Elapsed),
        waits: known("reason to wait", it.waits, |got| {
            [Wait::No, Wait::Footing, Wait::Condition].into_iter().find(|wait| write::wait(*wait) == got)
        })?,
    })
}

fn closed(it: wire::Closed) -> Result<Closed> {
    let open = there("what was closed", it.open)?;
    Ok(Closed {
        at: Elapsed(it.closed_ms),
        by_hand: it.by_hand,
        severity: numbered("severity", open.severity, Severity::from_number)?,
        flapping: open.flapping,
        opened_at: Wall(open.opened_at_ms),
        acknowledged: open.acknowledged.map(acknowledged).map(Box::new),
        group: open.group.as_ref().map(event_ref),
    })
}

fn open(it: wire::OpenState) -> Result<Open> {
    Ok(Open {
        severity: numbered("severity", it.severity, Severity::from_number)?,
        certainty: numbered("certainty", it.certainty, Certainty::from_number)?,
        opened_at: Wall(it.opened_at_ms),
        acknowledged: it.acknowledged.map(acknowledged),
        evidence: it.evidence.into_iter().map(evidence).collect(),
        clear_since: it.clear_since_ms.map(Elapsed),
        clear_done_ms: span(it.clear_done_ms)?,
        unproven: it.unproven,
        stood_still_ms: span(it.stood_still_ms)?,
        occupied: it.occupied,
        group: it.group.as_ref().map(event_ref),
        flapping: it.flapping,
        since: Elapsed(it.since_ms),
        crossed: it.crossed.map(|got| known("count of crossings", got, |got| u8::try_from(got).ok())).transpose()?,
    })
}
