//! Records of maintenance: what comes back, and what `vigil verify` says when somebody has had their hands in them.

use vigil::app::verify::{self, Heads, Known};
use vigil::core::chain;
use vigil::limits::PAGE_ROWS;
use vigil::model::ids::{DeviceCode, FirmId, RecordId, WorkerId};
use vigil::model::row::Row;
use vigil::model::time::{CivilDay, Wall};
use vigil::model::visit::{
    ChainLink, Digest, ItemDone, ItemResult, Person, Photo, Problem, Sign, SignatureRow, Visit, VisitFlag, VisitKind,
    VisitRow,
};
use vigil::store::{LinkCursor, LinkQuery, Store};

use crate::databases::execute;
use crate::support::rows::{self, device};
use crate::world::{Kind, World, run};

const BEGAN: Wall = Wall(1_795_312_800_000);

fn firm() -> FirmId {
    FirmId::parse("F-1").unwrap()
}

fn record(n: u64) -> RecordId {
    RecordId::parse(&format!("r-{n}")).unwrap()
}

fn visit(device: DeviceCode, n: u64) -> Visit {
    let worker = |id: &str| WorkerId::parse(id).unwrap();
    let started_at = BEGAN + n as i64 * 60_000;
    let note = |text: &str| Some(text.into());
    let item = |item: &str, result, note| ItemDone { item: item.into(), result, note };
    let is_full = n.is_multiple_of(2);
    let photo = Photo {
        digest: Digest([n as u8; 32]),
        media: "image/jpeg".into(),
        bytes: u32::MAX,
        taken_at: is_full.then_some(started_at),
        item: is_full.then(|| "t01".into()),
    };
    let person =
        Person { duty: "responsible".into(), name: "某人\\\"'".into(), phone: is_full.then(|| "139".into()) };
    Visit {
        firm: firm(),
        record: record(n),
        device,
        kind: VisitKind::ALL[n as usize % VisitKind::ALL.len()],
        workers: vec![worker("W-1"), worker("W-2")],
        recorder: worker("W-1"),
        started_at,
        ended_at: started_at + 3_600_000,
        items: vec![
            item("t01", ItemResult::Good, None),
            item("t02", ItemResult::Failed, note("刹车 \"x\" \\ \u{1f6d7}")),
        ],
        problem: Problem::ALL[n as usize % Problem::ALL.len()],
        note: is_full.then(|| "换了灯".into()),
        photos: if is_full { vec![photo] } else { Vec::new() },
        next_on: is_full.then(|| CivilDay::parse("2026-12-24").unwrap()),
        supersedes: is_full.then(|| record(n - 1)),
        rectifies: if is_full { vec![record(1), record(2)] } else { Vec::new() },
        people: if n.is_multiple_of(4) { vec![person] } else { Vec::new() },
    }
}

/// `links` of them, every third one a signature below the one before.
fn chain_of(device: DeviceCode, links: u64) -> Vec<ChainLink> {
    let mut head = chain::START;
    let mut all = Vec::new();
    for number in 1..=links {
        let at = BEGAN + number as i64 * 3_600_000;
        let link = if number.is_multiple_of(3) {
            let sign = Sign {
                device,
                firm: firm(),
                record: record(number - 1),
                signatory: "officer-1".into(),
                note: number.is_multiple_of(2).then(|| "fine".into()),
            };
            let row = SignatureRow { sign, number, visit_number: number - 1, signed_at: at, link: Digest::default() };
            ChainLink::Signature(SignatureRow { link: chain::link_of_signature(&head, &row), ..row })
        } else {
            let visit = visit(device, number * 7);
            let salt = (!visit.people.is_empty()).then_some([number as u8; 16]);
            let people_digest = salt.map(|salt| chain::people(&visit.people, &salt)).unwrap_or_default();
            let flags = if number == 2 { Vec::new() } else { VisitFlag::ALL.to_vec() };
            let row = VisitRow { visit, number, recorded_at: at, flags, people_digest, salt, link: Digest::default() };
            ChainLink::Visit(Box::new(VisitRow { link: chain::link_of_visit(&head, &row), ..row }))
        };
        head = link.link();
        all.push(link);
    }
    all
}

fn row(link: &ChainLink) -> Row {
    match link {
        ChainLink::Visit(row) => Row::Visit(row.clone()),
        ChainLink::Signature(row) => Row::Signature(row.clone()),
    }
}

async fn by(store: &dyn Store, device: DeviceCode, from: Wall, to: Wall, limit: usize) -> Vec<ChainLink> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.links(LinkQuery { device, from, to, after, limit }).await.unwrap();
        after = page.last().map(LinkCursor::of);
        let is_last = page.len() < limit;
        all.extend(page.into_iter().map(|link| link.row));
        if is_last {
            return all;
        }
    }
}

pub(crate) async fn read_back(world: &mut World) {
    let (one, two) = (chain_of(device(1), 23), chain_of(device(2), 4));
    world.commit(vec![rows::rows(one[..10].iter().map(row))]).await;
    world.commit(vec![rows::rows(two.iter().map(row)), rows::rows(one[10..].iter().map(row))]).await;
    for limit in [1, 7, PAGE_ROWS] {
        assert_eq!(by(&*world.store, device(1), Wall(i64::MIN), Wall::MAX, limit).await, one);
    }
    assert_eq!(by(&*world.store, device(2), Wall(i64::MIN), Wall::MAX, PAGE_ROWS).await, two);
    let (from, to) = (one[4].recorded_at(), one[8].recorded_at());
    assert_eq!(by(&*world.store, device(1), from, to, 2).await, one[4..8]);
    let found = world.store.visit(firm(), record(7 * 7)).await.unwrap();
    assert_eq!(found.map(|row| ChainLink::Visit(Box::new(row))).as_ref(), Some(&one[6]));
    assert_eq!(world.store.visit(firm(), record(1_000)).await.unwrap(), None);
    assert_eq!(world.store.chained(None, 10).await.unwrap(), [device(1), device(2)]);
    assert_eq!(world.store.chained(Some(device(1)), 10).await.unwrap(), [device(2)]);
}

/// Flow: the chain of a lift is stored, then somebody changes, deletes, swaps and inserts rows with SQL.
/// Asserts: `vigil verify` names the first link that isn't what was recorded; people may be erased, and not changed.
#[test]
fn whoever_touches_a_record_breaks_its_chain_there() {
    let check = async |kind: Kind, sql: &str, want: &str| {
        let mut world = World::new(kind).await;
        let links = chain_of(device(1), 9);
        world.commit(vec![rows::rows(links.iter().map(row))]).await;
        let known = Known::Heads(Heads::from([(device(1), (9, links[8].link()))]), Wall(0));
        let verdict = verify::verify(&*world.store, &known, device(1)).await.unwrap();
        assert_eq!((verdict.links, verdict.broken), (9, None), "{kind:?}: before anybody touched it");
        execute(&world, sql).await;
        let verdict = verify::verify(&*world.store, &known, device(1)).await.unwrap();
        let found = verdict.broken.map_or_else(|| "whole".into(), |broken| broken.to_string());
        assert!(found.starts_with(want), "{kind:?}: {sql}: {found}, not {want}");
        let devices = verify::devices(&*world.store, &known).await.unwrap();
        assert!(devices.contains(&device(1)), "also where nothing is left of it");
    };
    let copy = "INSERT INTO maintenance (device, number, what, recorded_at, link, firm, record, visit_number, signatory) \
                SELECT device, number, what, recorded_at, link, firm, record, visit_number, signatory FROM maintenance";
    run(|| async {
        for kind in [Kind::Sqlite, Kind::Postgres] {
            let set = |what: &str| format!("UPDATE maintenance SET {what}");
            for (sql, want) in [
                (set("note = 'nothing was wrong' WHERE number = 4"), "number 4 is not what was recorded"),
                (set("problem = 'S0' WHERE number = 5"), "number 5 is not"),
                (set("recorder = 'W-2' WHERE number = 7"), "number 7 is not"),
                (set("flags = NULL WHERE number = 8"), "number 8 is not"),
                (set("kind = 'no-such-kind' WHERE number = 5"), "number 5 is not"),
                (set("signatory = 'officer-2' WHERE number = 6"), "number 6 is not"),
                (set("link = (SELECT link FROM maintenance WHERE number = 2) WHERE number = 1"), "number 1 is not"),
                (set("number = CASE number WHEN 2 THEN 4 ELSE 2 END WHERE number IN (2, 4)"), "number 2 is not"),
                (set("device = 'ELSEWHERE00000000000' WHERE number = 3"), "number 3 is missing"),
                ("DELETE FROM maintenance WHERE number = 1".into(), "number 1 is missing: the next one is number 2"),
                ("DELETE FROM maintenance WHERE number = 5".into(), "number 5 is missing"),
                ("DELETE FROM maintenance WHERE number >= 8".into(), "it ends with number 7, and the service has recorded up to number 9"),
                ("DELETE FROM maintenance".into(), "it ends with number 0"),
                (format!("{copy} WHERE number = 3"), "number 3 is there twice"),
                ("DELETE FROM maintenance_people".into(), "whole"),
                ("UPDATE maintenance_people SET people = '[]' WHERE number = (SELECT min(number) FROM maintenance_people)".into(), "the people of number"),
                ("UPDATE maintenance_people SET salt = '00000000000000000000000000000000'".into(), "the people of number"),
            ] {
                check(kind, &sql, want).await;
            }
        }
    });
}

/// Flow: somebody deletes the last record and appends another one, with a link that is right.
/// Asserts: only what the service remembers tells it, and it does.
#[test]
fn a_chain_made_anew_is_not_what_the_service_remembers() {
    run(|| async {
        let mut world = World::new(Kind::Memory).await;
        let (links, mut others) = (chain_of(device(1), 5), chain_of(device(1), 5));
        let before = others[3].link();
        let ChainLink::Visit(last) = &mut others[4] else { panic!("the fifth is a visit") };
        last.visit.note = Some("made up".into());
        last.link = chain::link_of_visit(&before, last);
        world.commit(vec![rows::rows(others.iter().map(row))]).await;
        let known = Known::Heads(Heads::from([(device(1), (5, links[4].link()))]), Wall(0));
        let verdict = verify::verify(&*world.store, &known, device(1)).await.unwrap();
        assert_eq!(verdict.broken, Some(chain::Broken::Replaced { number: 5 }));
        let nothing = Known::Nothing(String::new());
        assert_eq!(verify::verify(&*world.store, &nothing, device(1)).await.unwrap().broken, None);
    });
}
