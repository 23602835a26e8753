//! Whatever is uploaded, signed or adopted: the core takes it or says why not, and goes on from a snapshot all the same.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use crate::core::Core;
use crate::model::actor::Actor;
use crate::model::arbitrary::visit;
use crate::model::archive::{Entry, Lift};
use crate::model::ids::{DeviceCode, FirmId, RecordId};
use crate::model::record::{Action, Command, Kind, Outcome, PolicyText, Record};
use crate::model::time::{Elapsed, Wall};
use crate::model::visit::{ChainLink, Sign, Upload, Visit};

/// 2026-11-22T08:00 in Shanghai.
const BEGIN: Wall = Wall(1_795_305_600_000);
const DEVICE: &str = "31305001122014017242";
const RECORDS: [&str; 4] = ["r-1", "r-2", "r-3", "r-4"];

fn policy() -> PolicyText {
    let rules = [
        ("maintenance.toml", include_str!("../../../config/rules/maintenance.toml")),
        ("tables/lifts.toml", include_str!("../../../config/rules/tables/lifts.toml")),
        ("tables/maintenance.toml", include_str!("../../../config/rules/tables/maintenance.toml")),
    ];
    PolicyText {
        rules: rules.map(|(name, text)| (name.into(), text.into())).into(),
        zone: "Asia/Shanghai".into(),
        tzdb: "2025b".into(),
        topic_prefix: "vigil/v1".into(),
    }
}

fn record_id() -> impl Strategy<Value = RecordId> {
    select(&RECORDS[..]).prop_map(|id| RecordId::parse(id).unwrap())
}

/// Any visit, most often one that can be taken: of a lift and a firm that are known, of the last days, of four ids.
fn near() -> impl Strategy<Value = Visit> {
    let ids = (record_id(), of(record_id()), vec(record_id(), 0..3));
    (visit::visit(), ids, 0..40 * 86_400_000_i64, any::<[bool; 3]>()).prop_map(
        |(visit, (record, supersedes, rectifies), ago_ms, [is_near, is_of_kind, is_whole])| {
            let mut visit = Visit { record, supersedes, rectifies, firm: FirmId::parse("F-1").unwrap(), ..visit };
            if is_near {
                (visit.started_at, visit.ended_at) = (BEGIN + (-ago_ms - 3_600_000), BEGIN + -ago_ms);
            }
            if is_of_kind || is_whole {
                visit.device = DeviceCode::parse(DEVICE).unwrap();
            }
            if is_whole {
                // Without a list that holds it to its items.
                (visit.kind, visit.items) = (crate::model::visit::VisitKind::OnDemand, Vec::new());
            }
            visit
        },
    )
}

fn action() -> impl Strategy<Value = Action> {
    let upload = (near(), any::<[u8; 16]>(), any::<bool>()).prop_map(|(visit, salt, looked_up)| Upload {
        visit,
        salt,
        looked_up,
    });
    let sign = (visit::sign(), record_id()).prop_map(|(sign, record)| Sign {
        device: DeviceCode::parse(DEVICE).unwrap(),
        firm: FirmId::parse("F-1").unwrap(),
        record,
        ..sign
    });
    let link = (visit::link(), near()).prop_map(|(link, visit)| match link {
        ChainLink::Visit(mut row) => {
            row.visit = visit;
            ChainLink::Visit(row)
        }
        link => link,
    });
    prop_oneof![
        4 => vec(upload, 1..4).prop_map(Action::UploadVisits),
        2 => sign.prop_map(Action::Sign),
        1 => vec(link, 0..3).prop_map(Action::AdoptRecords),
    ]
}

proptest! {
    #[test]
    fn no_record_makes_the_core_fail(actions in vec((action(), 0..3 * 86_400_000_i64), 1..10)) {
        let mut core = Core::new(1);
        let mut at_ms = 0;
        let mut apply = |core: &mut Core, kind: Kind, after_ms: i64| {
            at_ms += after_ms;
            let record = |kind, core: &Core| Record { pos: core.next(), elapsed: Elapsed(at_ms), wall: BEGIN + at_ms, kind };
            let reply = core.apply(&record(kind, core)).reply;
            while !core.is_settled() {
                core.apply(&record(Kind::Tick, core));
            }
            reply
        };
        let command = |n: usize, action| Command { request: format!("{n}").into(), actor: Actor::local_admin(), action };
        apply(&mut core, Kind::Policy(policy()), 0);
        let lift = Entry::Lift(Lift::new(DeviceCode::parse(DEVICE).unwrap()));
        apply(&mut core, Kind::Command(command(0, Action::Upsert(vec![lift]))), 0);
        for (n, (action, after_ms)) in (1..).zip(actions) {
            let asked = if let Action::UploadVisits(uploads) = &action { uploads.len() } else { 0 };
            let reply = apply(&mut core, Kind::Command(command(n, action)), after_ms);
            if asked > 0 {
                let is_answered = matches!(&reply, Some(Outcome::Items { items, .. }) if items.len() == asked);
                prop_assert!(is_answered, "{:?}", reply);
            }
            let bytes = core.freeze().encode();
            let again = Core::restore(bytes.clone().into());
            prop_assert!(again.is_ok_and(|again| again.freeze().encode() == bytes));
        }
    }
}
