//! Records of maintenance: which are taken, once, and what follows from them.

use vigil::core::chain::Followed;
use vigil::core::{Core, tables};
use vigil::limits;
use vigil::model::actor::{Actor, Role, Scope};
use vigil::model::alert::{AlertEvent, EventKind, Reason};
use vigil::model::archive::{Contract, ContractKind, Entry, Equipment, Firm, Lift, Worker};
use vigil::model::ids::{DeviceCode, FirmId, RecordId, Subject, WorkerId};
use vigil::model::obligation::DueKind;
use vigil::model::record::{Action, ItemOutcome, Outcome};
use vigil::model::row::Row;
use vigil::model::time::{CivilDay, Wall};
use vigil::model::visit::{ChainLink, ItemDone, ItemResult, Person, Problem, Sign, Upload, Visit, VisitKind, VisitRow};

use crate::timeline::{Timeline, lift_code, shipped};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

fn device(name: &str) -> DeviceCode {
    DeviceCode::parse(&lift_code(name)).unwrap()
}

fn firm(id: &str) -> FirmId {
    FirmId::parse(id).unwrap()
}

fn id(id: &str) -> RecordId {
    RecordId::parse(id).unwrap()
}

fn worker(id: &str) -> WorkerId {
    WorkerId::parse(id).unwrap()
}

struct World {
    timeline: Timeline,
    requests: u32,
}

impl World {
    /// Lifts A and B are firm F-1's, whose workers W-1 and W-2 are certified; W-3 isn't any more, W-4 is another firm's.
    fn new() -> Self {
        let mut world = Self { timeline: Timeline::new(&shipped()), requests: 0 };
        let from = CivilDay::parse("2026-01-01").unwrap();
        let contract = Contract { from, to: CivilDay::parse("2028-12-31"), kind: ContractKind::Calendar };
        let lift = |name: &str| {
            Entry::Lift(Lift { firm: Some(firm("F-1")), contract: Some(contract), ..Lift::new(device(name)) })
        };
        let of = |who: &str, of: &str, until: &str| {
            let until = CivilDay::parse(until);
            Entry::Worker(Worker { firm: Some(firm(of)), certified_until: until, ..Worker::new(worker(who), who) })
        };
        let firm = Firm { id: firm("F-1"), name: "Firm".into(), phone: None, address: None, district: None };
        let workers = [
            of("W-1", "F-1", "2029-01-01"),
            of("W-2", "F-1", "2029-01-01"),
            of("W-3", "F-1", "2026-01-01"),
            of("W-4", "F-2", "2029-01-01"),
        ];
        let entries = [Entry::Firm(firm), lift("A"), lift("B")].into_iter().chain(workers).collect();
        let done = world.ask(Action::Upsert(entries));
        assert!(matches!(done, Outcome::Done { changed: 7, .. }), "{done:?}");
        world
    }

    fn ask(&mut self, action: Action) -> Outcome {
        self.requests += 1;
        self.timeline.command(&format!("request-{}", self.requests), action)
    }

    fn upload_of(&mut self, actor: Actor, visit: &Visit, looked_up: bool) -> ItemOutcome {
        let upload = Upload { visit: visit.clone(), salt: [7; 16], looked_up };
        let outcome = self.timeline.command_of(actor, "upload", Action::UploadVisits(vec![upload]));
        let Outcome::Items { items, .. } = outcome else { panic!("{outcome:?}") };
        let [item] = items.try_into().unwrap();
        item
    }

    fn upload(&mut self, visit: &Visit) -> ItemOutcome {
        self.upload_of(Actor::local_admin(), visit, false)
    }

    fn taken(&mut self, visit: &Visit) {
        assert_eq!(self.upload(visit), ItemOutcome::Taken { flags: Vec::new() });
    }

    fn sign(&mut self, visit: &Visit) -> Outcome {
        let Visit { device, firm, record, .. } = *visit;
        self.ask(Action::Sign(Sign { device, firm, record, signatory: "officer-1".into(), note: None }))
    }

    /// A half-monthly visit of two hours, finished a minute ago, of which everything is good.
    fn visit(&self, record: &str) -> Visit {
        self.visit_of(record, VisitKind::HalfMonth, 120)
    }

    fn visit_of(&self, record: &str, kind: VisitKind, minutes: i64) -> Visit {
        let tables = tables::parse(&shipped().rules).unwrap();
        let class = tables.maintenance.class_for(Equipment::Lift, None).unwrap();
        let item = |id: &str| ItemDone { item: id.into(), result: ItemResult::Good, note: None };
        let ended_at = self.timeline.wall() - 60_000;
        Visit {
            firm: firm("F-1"),
            record: id(record),
            device: device("A"),
            kind,
            workers: vec![worker("W-1"), worker("W-2")],
            recorder: worker("W-1"),
            started_at: ended_at - minutes * 60_000,
            ended_at,
            items: class.required(kind).map(|it| item(&it.id)).collect(),
            problem: Problem::None,
            note: None,
            photos: Vec::new(),
            next_on: None,
            supersedes: None,
            rectifies: Vec::new(),
            people: Vec::new(),
        }
    }

    fn after(&mut self, span_ms: i64) {
        self.timeline.advance_to(self.timeline.now_ms + span_ms);
    }

    /// Goes on from a snapshot.
    fn restart(&mut self) {
        let core = Core::restore(self.timeline.core.freeze().encode().into()).unwrap();
        self.timeline.core = core;
    }

    /// `opened minor unsigned=1`: what became of a rule's alerts, with their evidence.
    fn events(&self, rule: &str) -> Vec<String> {
        let own = self.timeline.events.iter().filter(|event| event.alert.id.rule.as_str() == rule);
        let told = |event: &AlertEvent| {
            let evidence = event.alert.evidence.iter().map(|it| format!(" {}={}", it.name, it.value));
            format!("{} {}{}", event.kind.name(), event.alert.severity.name(), evidence.collect::<String>())
        };
        own.map(told).collect()
    }

    /// A frame of lift A, its n-th.
    fn frame(&mut self, n: u32, fields: &str) {
        let (code, at) = (lift_code("A"), self.timeline.wall().ms());
        let payload = format!("{{\"boot\":1,\"seq\":{n},\"observed_at_ms\":{at},{fields}}}");
        self.timeline.report(&format!("vigil/v1/elevator/{code}/report"), payload);
    }

    fn links(&self) -> Vec<ChainLink> {
        let link = |row: &Row| match row {
            Row::Visit(row) => Some(ChainLink::Visit(row.clone())),
            Row::Signature(row) => Some(ChainLink::Signature(row.clone())),
            _ => None,
        };
        self.timeline.rows.iter().filter_map(link).collect()
    }
}

#[test]
fn a_record_is_taken_once_however_often_it_is_sent() {
    let mut world = World::new();
    let first = world.visit("r-1");
    world.taken(&first);
    assert_eq!(world.upload(&first), ItemOutcome::Known);
    world.restart();
    assert_eq!(world.upload(&first), ItemOutcome::Known);
    let person = Person { duty: "responsible".into(), name: "某人".into(), phone: None };
    for other in [
        Visit { note: Some("replaced a lamp".into()), ..first.clone() },
        Visit { device: device("B"), ..first.clone() },
        Visit { people: vec![person], ..first.clone() },
    ] {
        let outcome = world.upload(&other);
        assert!(matches!(&outcome, ItemOutcome::Exists { why } if why.contains("`supersedes`")), "{outcome:?}");
    }
    // Another firm may have the same id.
    let flags = vec!["firm-unknown", "not-contracted", "foreign-worker"];
    let foreign = Visit { firm: firm("F-2"), ..first.clone() };
    assert_eq!(world.upload(&foreign), ItemOutcome::Taken { flags });
    assert_eq!(world.links().len(), 2);
}

#[test]
fn a_correction_names_what_it_supersedes() {
    let mut world = World::new();
    let first = world.visit("r-1");
    world.taken(&first);
    let correction = |record: &str, of: &str| Visit { record: id(record), supersedes: Some(id(of)), ..first.clone() };
    let outcome = world.upload(&correction("r-2", "r-0"));
    assert!(matches!(&outcome, ItemOutcome::NotFound { what } if what.contains("r-0")), "{outcome:?}");
    let outcome = world.upload(&Visit { device: device("B"), ..correction("r-2", "r-1") });
    assert!(matches!(&outcome, ItemOutcome::Precondition { why } if why.contains("another lift")), "{outcome:?}");
    world.taken(&correction("r-2", "r-1"));
    assert_eq!(world.upload(&correction("r-2", "r-1")), ItemOutcome::Known);
    assert_eq!(world.upload(&first), ItemOutcome::Known, "what was superseded was recorded all the same");
    let outcome = world.upload(&correction("r-3", "r-1"));
    assert!(matches!(&outcome, ItemOutcome::Precondition { why } if why.contains("superseded already")), "{outcome:?}");
    // Only the correction waits for a signature.
    assert!(matches!(world.sign(&first), Outcome::NotFound { .. }));
    assert!(matches!(world.sign(&correction("r-2", "r-1")), Outcome::Done { .. }));
}

/// Each date by the newest record that is still valid, also after a restart.
#[test]
fn a_correction_takes_back_the_day_of_the_visit() {
    let mut world = World::new();
    world.after(30 * DAY_MS);
    let today = CivilDay::of(world.timeline.wall(), &jiff::tz::TimeZone::get("Asia/Shanghai").unwrap());
    let check = |world: &World, kind: DueKind, basis: i32, days: i32| {
        let told = |row: &Row| match row {
            Row::Due(row) if row.subject == Subject::Device(device("A")) && row.kind == kind => Some(row.clone()),
            _ => None,
        };
        let last = world.timeline.rows.iter().rev().find_map(told).unwrap();
        assert_eq!(last.basis_on, Some(CivilDay(today.0 + basis)), "{last:?}");
        assert_eq!(last.due_on, Some(CivilDay(today.0 + basis + days)), "{last:?}");
    };
    let earlier = |visit: Visit, days: i64| Visit {
        started_at: visit.started_at + -days * DAY_MS,
        ended_at: visit.ended_at + -days * DAY_MS,
        ..visit
    };
    let old = earlier(world.visit("r-1"), 9);
    world.taken(&old);
    let wrong = world.visit_of("r-2", VisitKind::Quarter, 120);
    world.taken(&wrong);
    check(&world, DueKind::HalfMonth, 0, 15);
    check(&world, DueKind::Quarter, 0, 90);
    world.restart();
    // It was five days ago, and half-monthly.
    let visit = world.visit("r-3");
    world.taken(&earlier(Visit { supersedes: Some(wrong.record), ..visit }, 5));
    check(&world, DueKind::HalfMonth, -5, 15);
    check(&world, DueKind::Quarter, -30, 90);
    // No visit at all, but a repair: what stands is the visit before.
    let repair = world.visit_of("r-4", VisitKind::Repair, 30);
    world.taken(&Visit { supersedes: Some(id("r-3")), ..repair });
    check(&world, DueKind::HalfMonth, -9, 15);
}

#[test]
fn a_correction_brings_back_the_hazard_that_it_no_longer_says_to_be_rectified() {
    let mut world = World::new();
    let reported = Visit { problem: Problem::SafetyDevice, ..world.visit("r-1") };
    world.taken(&reported);
    let rectifies = |world: &World, record: &str, supersedes: Option<&str>, rectifies: &[&str]| Visit {
        supersedes: supersedes.map(id),
        rectifies: rectifies.iter().map(|record| id(record)).collect(),
        ..world.visit(record)
    };
    let is_open = |world: &World| {
        let events = world.events("hazard-reported");
        !events.last().unwrap().starts_with("cleared")
    };
    for (record, supersedes, names, open) in [
        ("r-2", None, &["r-1"][..], false),
        // It was another lift's safety gear.
        ("r-3", Some("r-2"), &[], true),
        ("r-4", Some("r-3"), &["r-1"], false),
        // What was wrong in this one was something else.
        ("r-5", Some("r-4"), &["r-1"], false),
        // Two say so: one of them is enough.
        ("r-6", None, &["r-1"], false),
        ("r-7", Some("r-6"), &[], false),
        ("r-8", Some("r-5"), &[], true),
    ] {
        world.after(HOUR_MS);
        let visit = rectifies(&world, record, supersedes, names);
        world.taken(&visit);
        assert_eq!(is_open(&world), open, "after {record}: {:?}", world.events("hazard-reported"));
        world.restart();
    }
    let told = world.events("hazard-reported");
    // It has been one all along.
    assert!(told.last().unwrap().contains("problem=S3 record=F-1/r-1"), "{told:?}");
    // There was none: nothing of it comes back.
    let nothing = rectifies(&world, "r-9", Some("r-1"), &[]);
    world.taken(&nothing);
    assert!(!is_open(&world), "{:?}", world.events("hazard-reported"));
}

#[test]
fn what_is_wrong_with_a_record_is_told_by_field() {
    let mut world = World::new();
    let good = world.visit("r-1");
    let check = |world: &mut World, bad: Visit, wanted: &[(&str, &str)]| {
        let ItemOutcome::Invalid(faults) = world.upload(&bad) else { panic!("{wanted:?}") };
        assert_eq!(faults.len(), wanted.len(), "{faults:?}");
        for (fault, (field, why)) in faults.iter().zip(wanted) {
            assert!(&*fault.field == *field && fault.why.contains(why), "{fault:?}, not {field}: {why}");
        }
    };
    let with = |change: &dyn Fn(&mut Visit)| {
        let mut visit = good.clone();
        change(&mut visit);
        visit
    };
    check(&mut world, with(&|it| it.workers.truncate(1)), &[("workers", "two workers")]);
    check(&mut world, with(&|it| it.workers[1] = worker("W-1")), &[("workers", "two workers")]);
    check(&mut world, with(&|it| it.ended_at = it.started_at), &[("ended_at", "later than")]);
    check(&mut world, with(&|it| it.started_at = it.ended_at - DAY_MS - 1), &[("ended_at", "more than 24 h")]);
    check(&mut world, with(&|it| it.ended_at = it.ended_at + 6 * 60_000 + 1), &[("ended_at", "lies ahead")]);
    check(&mut world, with(&|it| it.supersedes = Some(it.record)), &[("supersedes", "itself")]);
    check(&mut world, with(&|it| it.rectifies = vec![it.record]), &[("rectifies", "can't rectify")]);
    check(&mut world, with(&|it| drop(it.items.remove(3))), &[("items", "31 items; missing: t04")]);
    check(&mut world, with(&|it| it.kind = VisitKind::Year), &[("items", "76 items; missing: t32, t33")]);
    check(&mut world, with(&|it| it.items[1].item = "t01".into()), &[("items[1].item", "twice"), ("items", "t02")]);
    let other_class = with(&|it| it.items.push(ItemDone { item: "e01".into(), result: ItemResult::Good, note: None }));
    check(&mut world, other_class, &[("items[31].item", "traction")]);
    let unknown = Visit { device: device("Z"), ..good.clone() };
    assert!(matches!(world.upload(&unknown), ItemOutcome::NotFound { .. }));
    // What was refused is not remembered, and the same bytes as they should be are taken.
    world.taken(&good);
}

#[test]
fn a_visit_names_all_items_of_its_class_and_of_lesser_visits() {
    let mut world = World::new();
    for (n, (kind, count)) in [
        (VisitKind::HalfMonth, 31),
        (VisitKind::Quarter, 44),
        (VisitKind::HalfYear, 59),
        (VisitKind::Year, 76),
        (VisitKind::OnDemand, 0),
        (VisitKind::Repair, 0),
    ]
    .into_iter()
    .enumerate()
    {
        let visit = world.visit_of(&format!("r-{n}"), kind, 60);
        assert_eq!(visit.items.len(), count, "{kind:?}");
        world.taken(&visit);
    }
}

#[test]
fn what_is_odd_is_flagged_by_the_archive_of_the_day() {
    let mut world = World::new();
    let mut check = |n: usize, flags: &[&'static str], change: &dyn Fn(&mut Visit)| {
        let mut visit = world.visit(&format!("r-{n}"));
        change(&mut visit);
        assert_eq!(world.upload(&visit), ItemOutcome::Taken { flags: flags.to_vec() });
    };
    check(1, &["worker-unknown"], &|it| it.workers[1] = worker("W-9"));
    check(2, &["certificate-expired"], &|it| it.workers[1] = worker("W-3"));
    check(3, &["foreign-worker"], &|it| it.workers[1] = worker("W-4"));
    check(4, &["failed-without-problem"], &|it| it.items[0].result = ItemResult::Failed);
    check(5, &[], &|it| (it.items[0].result, it.problem) = (ItemResult::Failed, Problem::SafetyDevice));
    // The certificate was good by then, and the contract not yet.
    let day = Wall(1_764_000_000_000);
    check(6, &["not-contracted"], &|it| {
        (it.started_at, it.ended_at, it.workers[1]) = (day, day + HOUR_MS, worker("W-3"));
    });
}

#[test]
fn a_firm_uploads_its_own_records_only() {
    let mut world = World::new();
    let visit = world.visit("r-1");
    let of = |id: &str| Actor { id: id.into(), roles: vec![Role::Firm], scope: Scope::Firm(firm(id)) };
    let outcome = world.upload_of(of("F-2"), &visit, false);
    assert!(matches!(&outcome, ItemOutcome::Denied { .. }), "{outcome:?}");
    assert_eq!(world.upload_of(of("F-1"), &visit, false), ItemOutcome::Taken { flags: Vec::new() });
}

/// The boundary is exact, whatever happens in between.
#[test]
fn a_record_that_nobody_signs_alerts_after_24_hours() {
    for restarts in [false, true] {
        let mut world = World::new();
        let visit = world.visit("r-1");
        world.taken(&visit);
        world.after(10 * HOUR_MS);
        if restarts {
            world.restart();
        }
        world.after(14 * HOUR_MS - 1);
        assert_eq!(world.events("record-unsigned").len(), 0, "a ms too early");
        world.after(1);
        let opened = "opened minor unsigned=1 unsigned_hours=24 record=F-1/r-1";
        assert_eq!(world.events("record-unsigned"), [opened]);
        world.after(DAY_MS);
        assert!(matches!(world.sign(&visit), Outcome::Done { changed: 1, .. }));
        assert_eq!(world.events("record-unsigned").len(), 2);
        assert!(matches!(world.sign(&visit), Outcome::NotFound { .. }), "it is signed");
        assert_eq!(world.links().len(), 2);
    }
    // Signed in time.
    let mut world = World::new();
    let visit = world.visit("r-1");
    world.taken(&visit);
    world.after(24 * HOUR_MS - 1);
    world.sign(&visit);
    world.after(10 * DAY_MS);
    assert_eq!(world.events("record-unsigned").len(), 0);
    assert_eq!(world.timeline.core.next_deadline().map(|_| ()), Some(()), "only the day turns");
}

#[test]
fn a_problem_stands_until_a_record_names_it_as_rectified() {
    let mut world = World::new();
    let first = Visit { problem: Problem::SafetyDevice, ..world.visit("r-1") };
    world.taken(&first);
    let opened = "opened critical problems=1 problem=S3 record=F-1/r-1";
    assert_eq!(world.events("hazard-reported"), [opened]);
    world.after(15 * DAY_MS);
    let later = world.visit("r-2");
    world.taken(&later);
    assert_eq!(world.events("hazard-reported").len(), 1, "a visit that doesn't name it says nothing of it");
    let outcome = world.upload(&Visit { rectifies: vec![id("r-9")], ..world.visit("r-3") });
    assert!(matches!(outcome, ItemOutcome::NotFound { .. }), "{outcome:?}");
    let repair = Visit { rectifies: vec![id("r-1")], ..world.visit_of("r-3", VisitKind::Repair, 30) };
    world.taken(&repair);
    let last = world.timeline.events.last().unwrap();
    assert_eq!((last.kind, last.alert.id.rule.as_str()), (EventKind::Cleared, "hazard-reported"));

    // A correction says that there never was one.
    let mut world = World::new();
    world.taken(&first);
    let correction = Visit { problem: Problem::None, supersedes: Some(id("r-1")), ..world.visit("r-4") };
    world.taken(&correction);
    assert_eq!(world.events("hazard-reported").len(), 2);
}

#[test]
fn unintended_movement_ends_with_the_maintenance_that_followed() {
    let mut world = World::new();
    world.frame(1, r#""mode":"normal","car":"running","faults":[]"#);
    world.after(1_000);
    world.frame(2, r#""mode":"normal","car":"stopped","faults":["05"]"#);
    let opened = "opened critical code(5)=true";
    assert_eq!(world.events("unintended-movement"), [opened]);
    world.after(1_000);
    world.frame(3, r#""mode":"normal","car":"running","faults":[]"#);
    // Of work that began before, and of work that left a problem.
    let before = world.visit("r-1");
    world.taken(&before);
    world.after(HOUR_MS);
    let left = world.visit_of("r-2", VisitKind::Repair, 30);
    world.taken(&Visit { problem: Problem::Other, ..left });
    assert_eq!(world.events("unintended-movement").len(), 1);
    world.after(HOUR_MS);
    let repair = world.visit_of("r-3", VisitKind::Repair, 30);
    world.taken(&repair);
    let told = world.events("unintended-movement");
    assert_eq!(told[1..], ["cleared critical record=F-1/r-3"]);
    let last = world.timeline.events.iter().rfind(|event| event.alert.id.rule.as_str() == "unintended-movement");
    assert_eq!(last.unwrap().reason, Reason::Maintained);
    // It may move again.
    world.after(HOUR_MS);
    world.frame(4, r#""mode":"normal","car":"stopped","faults":["05"]"#);
    assert_eq!(world.events("unintended-movement").len(), 3);
}

#[test]
fn the_links_of_a_lift_make_one_chain() {
    let mut world = World::new();
    for n in 1..=5 {
        let people = vec![Person { duty: "responsible".into(), name: "某人".into(), phone: Some("139".into()) }];
        let visit = Visit { people, ..world.visit(&format!("r-{n}")) };
        world.taken(&visit);
        world.after(HOUR_MS);
        if n % 2 == 0 {
            world.sign(&visit);
            world.restart();
        }
    }
    let other = Visit { device: device("B"), ..world.visit("r-6") };
    world.taken(&other);
    let links = world.links();
    let (of_a, of_b): (Vec<_>, Vec<_>) = links.iter().partition(|link| link.device() == device("A"));
    let mut followed = Followed::default();
    of_a.iter().try_for_each(|link| followed.take(link)).unwrap();
    assert_eq!((followed.links, followed.head), (7, of_a[6].link()));
    assert_eq!(of_b.iter().map(|link| link.number()).collect::<Vec<_>>(), [1]);

    // Erased people leave the chain whole, others don't.
    let ChainLink::Visit(row) = of_a[0] else { panic!("the first one is a visit") };
    let with = |people: Vec<Person>, salt| {
        let visit = Visit { people, ..row.visit.clone() };
        ChainLink::Visit(Box::new(VisitRow { visit, salt, ..(**row).clone() }))
    };
    assert!(Followed::default().take(&with(Vec::new(), None)).is_ok());
    let other = Person { duty: "responsible".into(), name: "别人".into(), phone: None };
    let broken = Followed::default().take(&with(vec![other], row.salt)).unwrap_err();
    assert!(broken.to_string().contains("people of number 1"), "{broken}");
}

#[test]
fn ids_are_known_for_400_days_and_older_work_is_looked_up() {
    let mut world = World::new();
    let old = world.visit("r-1");
    world.taken(&old);
    // Nothing else happens meanwhile: the days between need no ticks of their own.
    world.timeline.link_down();
    world.timeline.now_ms += i64::from(limits::RECORD_DAYS + 1) * DAY_MS;
    let outcome = world.upload(&old);
    assert!(matches!(&outcome, ItemOutcome::Precondition { why } if why.contains("so old")), "{outcome:?}");
    // The service says that the store has none: it can't be told from a new one here.
    assert_eq!(world.upload_of(Actor::local_admin(), &old, true), ItemOutcome::Taken { flags: Vec::new() });
    assert_eq!(world.upload_of(Actor::local_admin(), &old, true), ItemOutcome::Known);
}
