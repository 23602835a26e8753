//! Due dates: what stood at the end of a day.

use vigil::limits::PAGE_ROWS;
use vigil::model::ids::Subject;
use vigil::model::obligation::{DueKind, DueRow, Party};
use vigil::model::row::Row;
use vigil::model::time::CivilDay;
use vigil::store::{DueQuery, StandingCursor, StandingQuery};

use crate::support::rows::{self, cylinder, device};
use crate::world::World;

fn day(text: &str) -> CivilDay {
    CivilDay::parse(text).unwrap()
}

/// Flow: due dates of three lifts and a cylinder change over some days, more than once in a batch and on one day, and one
/// is recorded after our clock was set back.
/// Asserts: a question as of a day has the answer of what was recorded by its end, however many pages it is read by, and
/// the same one after more was recorded.
pub(crate) async fn due_dates_stand_until_another_is_recorded(mut world: World) {
    let lift = |n| Subject::Device(device(n));
    let of = |subject, kind, due_on: Option<&str>, recorded_on: &str| DueRow {
        due_on: due_on.map(day),
        recorded_on: day(recorded_on),
        ..rows::due(subject, kind)
    };
    let inspection = |subject, due_on, recorded_on| of(subject, DueKind::Inspection, due_on, recorded_on);
    let standing = |row: &DueRow| (row.subject, row.kind, row.due_on.unwrap().to_string());
    let ask = async |world: &World, query: StandingQuery| {
        let mut found = Vec::new();
        for limit in [1, 2, PAGE_ROWS] {
            let (mut all, mut after) = (Vec::new(), None);
            loop {
                let query = StandingQuery { after, limit, ..query.clone() };
                let page = world.store.due_standing(query).await.unwrap();
                after = page.last().map(StandingCursor::of);
                all.extend(page.iter().map(standing));
                if page.len() < limit {
                    break;
                }
            }
            found.push(all);
        }
        assert!(found.iter().all(|all| *all == found[0]), "{found:?}");
        found.swap_remove(0)
    };
    let overdue = |as_of: &str| StandingQuery {
        as_of: day(as_of),
        due_before: day(as_of),
        subject: None,
        kinds: Vec::new(),
        districts: Vec::new(),
        party: None,
        after: None,
        limit: 0,
    };
    let (first, second, third) = (lift(1), lift(2), lift(3));
    let bottle = Subject::Cylinder(cylinder(1));
    let elsewhere = DueRow {
        district: Some("640104".parse().unwrap()),
        party: Some(Party::parse("firm:F-2").unwrap()),
        ..of(third, DueKind::Drill, Some("2026-03-01"), "2026-03-01")
    };
    let told = [
        inspection(first, Some("2026-03-10"), "2026-03-01"),
        inspection(first, Some("2026-03-12"), "2026-03-01"),
        of(first, DueKind::Testing, Some("2026-03-11"), "2026-03-02"),
        inspection(second, Some("2026-03-10"), "2026-03-01"),
        of(bottle, DueKind::CylinderInspection, Some("2026-03-05"), "2026-03-04"),
        elsewhere,
    ];
    world.commit(vec![rows::rows(told.map(Row::Due))]).await;
    world.commit(vec![rows::rows([inspection(second, None, "2026-03-11")].map(Row::Due))]).await;

    let drill = (third, DueKind::Drill, "2026-03-01".to_owned());
    let inspected = |subject, due: &str| (subject, DueKind::Inspection, due.to_owned());
    let bottled = (bottle, DueKind::CylinderInspection, "2026-03-05".to_owned());
    let on_the_10th = vec![drill.clone(), bottled.clone()];
    let on_the_11th = vec![drill.clone(), bottled.clone()];
    let on_the_13th = vec![
        inspected(first, "2026-03-12"),
        (first, DueKind::Testing, "2026-03-11".to_owned()),
        drill.clone(),
        bottled.clone(),
    ];
    assert_eq!(ask(&world, overdue("2026-02-28")).await, []);
    assert_eq!(ask(&world, overdue("2026-03-10")).await, on_the_10th, "a due date runs through its whole day");
    assert_eq!(ask(&world, overdue("2026-03-11")).await, on_the_11th, "the second lift's was recorded on that day");
    assert_eq!(ask(&world, overdue("2026-03-13")).await, on_the_13th);
    assert_eq!(ask(&world, overdue("2027-01-01")).await, on_the_13th, "a day to come goes by what is known now");

    let only = |change: &dyn Fn(&mut StandingQuery)| {
        let mut query = overdue("2026-03-13");
        change(&mut query);
        query
    };
    let of_first = ask(&world, only(&|query| query.subject = Some(first))).await;
    assert_eq!(of_first, on_the_13th[..2]);
    let by_kind = ask(&world, only(&|query| query.kinds = vec![DueKind::Testing, DueKind::Drill])).await;
    assert_eq!(by_kind, on_the_13th[1..3]);
    let places = |text: &str| text.split(' ').map(|code| code.parse().unwrap()).collect::<Vec<_>>();
    assert_eq!(ask(&world, only(&|query| query.districts = places("6401 11"))).await, on_the_13th[2..3]);
    assert_eq!(ask(&world, only(&|query| query.districts = places("640105"))).await, []);
    assert_eq!(ask(&world, only(&|query| query.party = Party::parse("firm:F-2").ok())).await, on_the_13th[2..3]);
    let due_soon = ask(&world, only(&|query| (query.as_of, query.due_before) = (day("2026-03-01"), day("2026-03-12"))));
    assert_eq!(due_soon.await, [inspected(second, "2026-03-10"), drill.clone()]);

    let later = [
        inspection(first, Some("2027-03-31"), "2026-03-20"),
        of(first, DueKind::Testing, None, "2026-03-20"),
        of(third, DueKind::Drill, Some("2026-09-01"), "2026-03-20"),
    ];
    world.commit(vec![rows::rows(later.map(Row::Due))]).await;
    for (as_of, expected) in [("2026-03-10", &on_the_10th), ("2026-03-11", &on_the_11th), ("2026-03-19", &on_the_13th)]
    {
        assert_eq!(ask(&world, overdue(as_of)).await, *expected, "{as_of}, asked later");
    }
    assert_eq!(ask(&world, overdue("2026-03-20")).await, std::slice::from_ref(&bottled));

    let set_back = inspection(first, Some("2026-03-13"), "2026-03-15");
    world.commit(vec![rows::rows([set_back].map(Row::Due))]).await;
    let put_right = |rest: &[_]| [&[inspected(first, "2026-03-13")], rest].concat();
    assert_eq!(ask(&world, overdue("2026-03-21")).await, put_right(&[bottled]), "what was told last stands");
    assert_eq!(ask(&world, overdue("2026-03-16")).await, put_right(&on_the_13th[1..]), "and nothing stands twice");

    let before = world.store.due_history(DueQuery { subject: first, after: None, limit: 9 }).await.unwrap();
    assert_eq!(before.len(), 6);
    let rest = DueQuery { subject: first, after: Some(before[3].n), limit: 9 };
    assert_eq!(world.store.due_history(rest).await.unwrap(), before[4..]);
    let long_after = day("2026-03-20").begins(&jiff::tz::TimeZone::UTC) + 95 * 86_400_000;
    world.store.maintain(long_after).await.unwrap();
    let kept = world.store.due_history(DueQuery { subject: first, after: None, limit: 9 }).await.unwrap();
    assert_eq!(kept.iter().map(|due| due.n).collect::<Vec<_>>(), [before[4].n, before[5].n], "what stands is kept");
}
