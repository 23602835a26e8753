use super::*;
use crate::model::archive::Equipment;

fn contract(from: &str, to: &str, on_demand_days: u32) -> v1::MaintenanceContract {
    v1::MaintenanceContract { from: from.into(), to: to.into(), on_demand_days }
}

fn cylinder() -> v1::Cylinder {
    let entrusted = |to: &str| v1::Entrustment { site: "6401-B".into(), from: "2026-01-01".into(), to: to.into() };
    v1::Cylinder {
        code: "564010012345".into(),
        filling_unit: "6401-A".into(),
        medium: "nitrogen+oxygen".into(),
        made_on: "2020-02-29".into(),
        inspection_due: "2027-01-01".into(),
        scrapped: true,
        district: "6401".into(),
        aliases: vec!["64010012345".into(), "OLD-0012345".into()],
        stamped_number: "A 12345".into(),
        kind: "seamless-steel".into(),
        volume_ml: Some(40_000),
        tare_g: Some(48_300),
        max_fill_g: Some(1),
        standard: "GB/T 5099.1-2017".into(),
        filling_unit_since: "2020-04-01".into(),
        entrusted: vec![entrusted("2026-12-31"), entrusted("")],
        inspected_on: "2025-01-01".into(),
        extended_until: "2032-01-01".into(),
    }
}

fn lift() -> v1::Lift {
    v1::Lift {
        code: "31305001122014017242".into(),
        equipment: v1::Equipment::Escalator.into(),
        address: "北京路 1 号".into(),
        district: "640104".into(),
        rescue_code: "640123".into(),
        firm: "nx-lift".into(),
        use_unit: "Hall".into(),
        keep_alive_s: Some(60),
        inspection_due: "2027-03-31".into(),
        building: "B.7".into(),
        feeder: "F12".into(),
        catalogue: "3310".into(),
        registration: "33105001122014017242".into(),
        use_registration: "梯11宁A00012(26)".into(),
        position: Some(v1::Position { latitude_e7: 384_871_933, longitude_e7: -1_062_309_087 }),
        officer: "张".into(),
        officer_phone: "0951 1234567".into(),
        contract: Some(contract("2026-01-01", "2026-12-31", 30)),
        base_on: "2020-03-15".into(),
        inspected_on: "2026-03-01".into(),
        out_of_use_since: "2026-11-01".into(),
        terminal: "T-1000 no. 7".into(),
    }
}

fn check(entry: ArchiveEntry, want: &[&str]) {
    let mut violations = Violations::default();
    let read = entry_from(entry, &mut violations);
    let fields: Vec<_> = violations.0.iter().map(|v| v.field.as_str()).collect();
    assert_eq!(fields, want);
    assert_eq!(read.is_none(), !want.is_empty());
}

#[test]
fn an_entry_shows_what_was_written() {
    let read = entry_from(ArchiveEntry::Lift(lift()), &mut Violations::default()).unwrap();
    assert_eq!(entry_to(&read), Shown::Lift(lift()));
    let cylinder = cylinder();
    let read = entry_from(ArchiveEntry::Cylinder(cylinder.clone()), &mut Violations::default()).unwrap();
    assert_eq!(entry_to(&read), Shown::Cylinder(cylinder));
}

#[test]
fn all_faults_of_an_entry_are_told_at_once() {
    check(ArchiveEntry::Lift(lift()), &[]);
    let bad = v1::Lift {
        code: "x".into(),
        equipment: 9,
        address: "a\nb".into(),
        district: "64o1".into(),
        rescue_code: "1234567890123".into(),
        firm: "a b".into(),
        use_unit: "u".repeat(201),
        keep_alive_s: Some(0),
        inspection_due: "2027-02-30".into(),
        building: "楼".into(),
        feeder: "a/b".into(),
        ..Default::default()
    };
    let fields = [
        "code",
        "equipment",
        "keep_alive_s",
        "address",
        "district",
        "rescue_code",
        "firm",
        "use_unit",
        "inspection_due",
        "building",
        "feeder",
    ];
    check(ArchiveEntry::Lift(bad), &fields.map(|f| format!("lift.{f}")).each_ref().map(String::as_str));
    check(ArchiveEntry::Site(v1::Site::default()), &["site.code", "site.kind", "site.name"]);
    check(ArchiveEntry::Firm(v1::Firm::default()), &["firm.id", "firm.name"]);
    let medium = v1::Cylinder { code: "12345678".into(), medium: "LPG".into(), ..Default::default() };
    check(ArchiveEntry::Cylinder(medium), &["cylinder.medium"]);
}

#[test]
fn a_client_of_before_says_what_it_always_said() {
    let old = v1::Lift { code: lift().code, equipment: 2, firm: "nx-lift".into(), ..Default::default() };
    check(ArchiveEntry::Lift(old), &[]);
    let old = v1::Cylinder { code: cylinder().code, medium: "lpg".into(), ..Default::default() };
    check(ArchiveEntry::Cylinder(old), &[]);
    let old = v1::Firm { id: "f".into(), name: "F".into(), ..Default::default() };
    check(ArchiveEntry::Firm(old), &[]);
}

#[test]
fn equipment_follows_from_the_catalogue_and_agrees_with_it() {
    let read = |catalogue: &str, equipment: v1::Equipment| {
        let asked = v1::Lift { catalogue: catalogue.into(), equipment: equipment.into(), ..lift() };
        let mut violations = Violations::default();
        match entry_from(ArchiveEntry::Lift(asked), &mut violations) {
            Some(Entry::Lift(lift)) => Ok(lift.equipment),
            _ => Err(violations.0.iter().map(|v| format!("{}: {}", v.field, v.why)).collect::<Vec<_>>().join("; ")),
        }
    };
    assert_eq!(read("3310", v1::Equipment::Unspecified), Ok(Equipment::Escalator));
    assert_eq!(read("3110", v1::Equipment::Unspecified), Ok(Equipment::Lift));
    assert_eq!(read("", v1::Equipment::Unspecified), Ok(Equipment::Lift));
    assert_eq!(read("3320", v1::Equipment::Escalator), Ok(Equipment::Escalator));
    let why = "lift.equipment: is lift, and catalogue number 3310 is that of escalators: correct one of them";
    assert_eq!(read("3310", v1::Equipment::Lift), Err(why.to_owned()));
    let why = "lift.catalogue: \"2310\" is no lift, escalator or moving walk: theirs begin with 3";
    assert_eq!(read("2310", v1::Equipment::Unspecified), Err(why.to_owned()));
}

#[test]
fn each_new_field_of_a_lift_is_checked() {
    let with = |change: &dyn Fn(&mut v1::Lift), want: &[&str]| {
        let mut asked = lift();
        change(&mut asked);
        check(ArchiveEntry::Lift(asked), want);
    };
    with(&|it| it.catalogue = "31".into(), &["lift.catalogue"]);
    with(&|it| it.registration = "no".into(), &["lift.registration"]);
    with(&|it| it.use_registration = "a\nb".into(), &["lift.use_registration"]);
    with(&|it| it.officer = "字".repeat(201), &["lift.officer"]);
    with(&|it| it.officer_phone = "\0".into(), &["lift.officer_phone"]);
    with(&|it| it.terminal = "t".repeat(201), &["lift.terminal"]);
    let position = |latitude_e7, longitude_e7| Some(v1::Position { latitude_e7, longitude_e7 });
    with(
        &|it| it.position = position(900_000_001, i32::MIN),
        &["lift.position.latitude_e7", "lift.position.longitude_e7"],
    );
    with(&|it| it.position = position(-900_000_000, 1_800_000_000), &[]);
    with(&|it| it.contract = Some(contract("", "", 0)), &["lift.contract.from"]);
    with(&|it| it.contract = Some(contract("2026-01-01", "2025-12-31", 0)), &["lift.contract.to"]);
    with(&|it| it.contract = Some(contract("2026-01-01", "2026-01-01", 366)), &["lift.contract.on_demand_days"]);
    with(&|it| it.contract = Some(contract("2026-01-01", "", 365)), &[]);
    with(&|it| it.firm.clear(), &["lift.contract"]);
    with(&|it| it.inspected_on = "2020-03-14".into(), &["lift.inspected_on"]);
    with(&|it| it.inspection_due = "2026-02-28".into(), &["lift.inspection_due"]);
    with(&|it| it.out_of_use_since = "2020-03-14".into(), &["lift.out_of_use_since"]);
    with(&|it| it.base_on = "2020-13-01".into(), &["lift.base_on"]);
}

#[test]
fn each_new_field_of_a_cylinder_is_checked() {
    let with = |change: &dyn Fn(&mut v1::Cylinder), want: &[&str]| {
        let mut asked = cylinder();
        change(&mut asked);
        check(ArchiveEntry::Cylinder(asked), want);
    };
    with(&|_| (), &[]);
    with(&|it| it.aliases = vec!["x".into(), it.code.clone()], &["cylinder.aliases[0]", "cylinder.aliases[1]"]);
    with(&|it| it.aliases = vec!["OLD-0012345".into(); 2], &["cylinder.aliases[1]"]);
    with(&|it| it.aliases = (0..9).map(|n| format!("OLD-{n:08}")).collect(), &["cylinder.aliases"]);
    with(&|it| it.stamped_number = "7".repeat(201), &["cylinder.stamped_number"]);
    with(&|it| it.kind = "LPG welded".into(), &["cylinder.kind"]);
    with(&|it| it.standard = "a\tb".into(), &["cylinder.standard"]);
    with(&|it| it.medium = "nitrogen+".into(), &["cylinder.medium"]);
    with(&|it| it.volume_ml = Some(0), &["cylinder.volume_ml"]);
    with(&|it| it.tare_g = Some(10_000_001), &["cylinder.tare_g"]);
    with(&|it| it.max_fill_g = Some(u32::MAX), &["cylinder.max_fill_g"]);
    with(&|it| it.filling_unit.clear(), &["cylinder.filling_unit_since"]);
    with(&|it| it.filling_unit_since = "2020-02-28".into(), &["cylinder.filling_unit_since"]);
    with(&|it| it.inspected_on = "2020-02-28".into(), &["cylinder.inspected_on"]);
    with(&|it| it.inspection_due = "2024-12-31".into(), &["cylinder.inspection_due"]);
    with(&|it| it.extended_until = "2020-02-28".into(), &["cylinder.extended_until"]);
    let entrusted =
        |site: &str, from: &str, to: &str| v1::Entrustment { site: site.into(), from: from.into(), to: to.into() };
    with(
        &|it| it.entrusted = vec![entrusted("x", "", "y")],
        &["cylinder.entrusted[0].site", "cylinder.entrusted[0].from", "cylinder.entrusted[0].to"],
    );
    with(&|it| it.entrusted = vec![entrusted("6401-B", "2026-02-01", "2026-01-31")], &["cylinder.entrusted[0].to"]);
    with(&|it| it.entrusted = vec![entrusted("6401-B", "2026-02-01", ""); 9], &["cylinder.entrusted"]);
}

#[test]
fn workers_are_read_as_they_are_shown() {
    let worker = v1::Worker {
        id: "W-1".into(),
        name: "李".into(),
        firm: "nx-lift".into(),
        phone: "1".into(),
        certificate: "T-640100-1".into(),
        certified_until: "2028-01-31".into(),
    };
    let read = entry_from(ArchiveEntry::Worker(worker.clone()), &mut Violations::default()).unwrap();
    assert_eq!(entry_to(&read), Shown::Worker(worker));
    let bad = v1::Worker { certified_until: "soon".into(), firm: "a b".into(), ..Default::default() };
    check(ArchiveEntry::Worker(bad), &["worker.id", "worker.name", "worker.firm", "worker.certified_until"]);
}
