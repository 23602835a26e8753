//! Profiles, and what they make of messages.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::model::frame::{Car, Ended, Frame, FrameKey, Listed, Reported};
use crate::model::time::Wall;

const LIFT: &str = "31305001122014017242";

fn read(text: &str) -> Result<Profiles, Vec<String>> {
    let files = [("profiles/a.toml".into(), text.into())];
    Profiles::parse(Some("vigil/v1"), &files).map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

/// A feed of which `seq` and the device are given, and what stands in `more`.
fn profile(more: &str) -> Profile {
    let text = format!("topic = \"a/+\"\nkeep_alive = \"30s\"\ndevice = {{ level = 2 }}\n{more}");
    read(&text).unwrap().all()[0].clone()
}

fn decode(profile: &Profile, payload: &str) -> Feed {
    profile.decode(&format!("a/{LIFT}"), &Bytes::copy_from_slice(payload.as_bytes()))
}

/// The frame that a message comes to.
fn one(profile: &Profile, payload: &str) -> Frame {
    let feed = decode(profile, payload);
    assert_eq!((feed.frames.len(), &feed.rejects), (1, &Vec::new()), "{payload}");
    feed.frames[0].1.frame.clone()
}

/// What a message that doesn't fit is set aside for.
fn aside(profile: &Profile, payload: &str) -> Vec<String> {
    let feed = decode(profile, payload);
    assert_eq!(feed.frames, Vec::new(), "{payload}");
    feed.rejects.iter().map(|it| format!("{} {}", it.pointer, it.reason.name())).collect()
}

const COUNTED: &str = "fields.seq = { from = \"/n\" }\n";

#[test]
fn values_become_ours() {
    let check = |field: &str, value: &str, want: fn(&Frame) -> bool| {
        let profile = profile(&format!("{COUNTED}fields.{field}"));
        let frame = one(&profile, &format!("{{\"n\":1,\"v\":{value}}}"));
        assert!(want(&frame), "{field} of {value}: {frame:?}");
    };
    check("car = { from = \"/v\", map = { 0 = \"stopped\", 1 = \"running\" } }", "1", |f| {
        f.car == Reported::Known(Car::Running) && f.has_status
    });
    check("car = { from = \"/v\", map = { 0 = \"stopped\" } }", "\"0\"", |f| f.car == Reported::Known(Car::Stopped));
    check("car = { from = \"/v\", map = { 0 = \"stopped\" } }", "7", |f| {
        f.car == Reported::Unknown && *f.invalid == ["/car".into()]
    });
    check("door = { from = \"/v\", map = { \"\" = \"unknown\" } }", "\"\"", |f| {
        f.door == Reported::Unknown && f.invalid.is_empty() && f.has_status
    });
    check("passenger = { from = \"/v\", invert = true }", "false", |f| f.passenger == Reported::Known(true));
    check("passenger = { from = \"/v\", invert = true }", "0", |f| f.passenger == Reported::Unknown);
    check("passenger = { from = \"/v\" }", "true", |f| f.passenger == Reported::Known(true));
    check("floor = { from = \"/v\", map = { B1 = -1 } }", "\"B1\"", |f| f.floor == Reported::Known(-1));
    check("floor = { from = \"/v\" }", "\" -2 \"", |f| f.floor == Reported::Known(-2));
    check("floor = { from = \"/v\" }", "1e99", |f| f.floor == Reported::Unknown);
    check("floor = { from = \"/v\" }", "[1]", |f| f.floor == Reported::Unknown);
    check("speed_mm_s = { from = \"/v\", scale = 1000 }", "-1.75", |f| f.speed_mm_s == Reported::Known(-1_750));
    check("load_kg = { from = \"/v\", scale = 0.5, add = 10 }", "\"81\"", |f| f.load_kg == Reported::Known(51));
    check("load_kg = { from = \"/v\" }", "-1", |f| f.load_kg == Reported::Unknown);
    check("floor_label = { from = \"/v\" }", "12", |f| f.floor_label == Reported::Known("12".into()));
    check("mode = { const = \"normal\" }\nfields.floor = { from = \"/v\" }", "1", |f| f.has_status);
    check("floor = { from = \"/none\", default = 3 }\nfields.door_zone = { from = \"/v\" }", "true", |f| {
        f.floor == Reported::Known(3)
    });
    check("floor = { from = \"/none\", required = false }\nfields.door_zone = { from = \"/v\" }", "true", |f| {
        f.floor == Reported::Absent
    });
}

#[test]
fn times_become_utc() {
    let check = |time: &str, value: &str, want: Option<&str>| {
        let more =
            format!("{COUNTED}fields.observed_at = {{ from = \"/t\", {time} }}\nfields.car = {{ from = \"/c\" }}");
        let feed = decode(&profile(&more), &format!("{{\"n\":1,\"c\":\"stopped\",\"t\":{value}}}"));
        let got = feed.frames.first().and_then(|(_, mapped)| mapped.frame.claimed_at).map(|at| at.to_string());
        assert_eq!(got.as_deref(), want, "{time} of {value}: {:?}", feed.rejects);
        assert!(want.is_some() || feed.rejects[0].pointer.as_ref() == "/t");
    };
    check("time = \"epoch_s\"", "1795307400", Some("2026-11-22T00:30:00.000Z"));
    check("time = \"epoch_s\"", "\"1795307400\"", Some("2026-11-22T00:30:00.000Z"));
    check("time = \"epoch_s\"", "1795307400.25", Some("2026-11-22T00:30:00.250Z"));
    check("time = \"epoch_ms\"", "1795307400250", Some("2026-11-22T00:30:00.250Z"));
    check("time = \"epoch_ms\"", "-1", None);
    check("time = \"rfc3339\"", "\"2026-11-22T08:30:00+08:00\"", Some("2026-11-22T00:30:00.000Z"));
    check("time = \"rfc3339\"", "\"2026-11-22 08:30:00\"", None);
    let local = "time = \"%Y-%m-%d %H:%M:%S\", offset = \"+08:00\"";
    check(local, "\"2026-11-22 08:30:00\"", Some("2026-11-22T00:30:00.000Z"));
    check(local, "\"2026-11-22 07:60:00\"", None);
    check(local, "\"2026-13-22 07:59:00\"", None);
    check(
        "time = \"%d.%m.%Y %H:%M:%S\", offset = \"-03:30\"",
        "\"22.11.2026 08:30:00\"",
        Some("2026-11-22T12:00:00.000Z"),
    );
}

#[test]
fn codes_go_where_the_profile_says() {
    let check = |codes: &str, record: &str, want: fn(&Frame) -> bool| {
        let profile = profile(&format!("{COUNTED}[[codes]]\n{codes}"));
        let frame = one(&profile, &format!("{{\"n\":1,{record}}}"));
        assert!(want(&frame), "{codes} of {record}: {frame:?}");
    };
    let mapped = "from = \"/f\"\nmap = { E3 = 3, K = \"trapped\" }\nignore = [\"E0\"]\n";
    check(mapped, "\"f\":[\"E3\",\"K\",\"E0\"]", |f| {
        f.faults.items == [3] && f.conditions.items == ["trapped".into()] && f.invalid.is_empty() && !f.has_status
    });
    check(mapped, "\"f\":\"E3\"", |f| f.faults.items == [3]);
    check(mapped, "\"f\":[\"E3\",\"E9\"]", |f| {
        f.faults == Listed { items: vec![3], partial: true } && *f.invalid == ["/faults/1".into()]
    });
    check(&format!("{mapped}split = \";\""), "\"f\":\" E3 ;K;\"", |f| {
        f.faults.items == [3] && f.conditions.items.len() == 1
    });
    check(&format!("{mapped}code = \"/c\""), "\"f\":[{\"c\":\"E3\"},{\"d\":\"E3\"}]", |f| {
        f.faults == Listed { items: vec![3], partial: true }
    });
    check("from = \"/f\"\ninto = \"alarms\"", "\"f\":[\"03\",90]", |f| f.alarms.items == [3, 90]);
    let stated = format!("{mapped}code = \"/c\"\nstate = \"/s\"\nstates = {{ 1 = \"active\", 0 = \"cleared\" }}");
    check(&stated, "\"f\":[{\"c\":\"E3\",\"s\":0},{\"c\":\"K\",\"s\":1}]", |f| {
        f.cleared == [Ended::Code(3)] && f.faults.items.is_empty() && f.conditions.items == ["trapped".into()]
    });
    let beside = format!("{mapped}state = \"/s\"\nstates = {{ 1 = \"active\", 0 = \"cleared\" }}");
    check(&beside, "\"f\":\"K\",\"s\":\"0\"", |f| f.cleared == [Ended::Condition("trapped".into())]);
    check(&beside, "\"f\":\"K\",\"s\":2", |f| f.faults.partial && f.conditions.items.is_empty());
    let two = "from = \"/f\"\nmap = { E3 = 3 }\n[[codes]]\nfrom = \"/f\"\ninto = \"alarms\"\nmap = { A = 90 }";
    check(two, "\"f\":[\"E3\",\"A\"]", |f| f.faults.items == [3] && f.alarms.items == [90] && f.invalid.is_empty());
}

#[test]
fn what_does_not_fit_is_set_aside_with_its_pointer() {
    let flat = profile(&format!("{COUNTED}fields.car = {{ from = \"/st/car\" }}\nfields.floor = {{ from = \"/fl\" }}"));
    for (payload, want) in [
        (r#"{"n":1,"fl":2}"#, &["/st/car profile-misfit"][..]),
        (r#"{"n":0,"fl":2,"st":{"car":"stopped"}}"#, &["/n bad-identity"]),
        (r#"{"fl":2,"st":{"car":"stopped"}}"#, &["/n profile-misfit"]),
        ("[1]", &["/0 unreadable-item"]),
        ("nothing", &[" unreadable"]),
        ("", &[]),
        ("[]", &[]),
        (r#"{"n":1"#, &[" unreadable"]),
        ("[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", &[" too-deep"]),
    ] {
        assert_eq!(aside(&flat, payload), want, "{payload}");
    }
    let many = format!("[{}1]", "1,".repeat(crate::limits::REPORT_ITEMS));
    assert_eq!(aside(&flat, &many), [" too-many"]);
    let other = flat.decode("a/nobody", &Bytes::from_static(br#"{"n":1}"#));
    assert_eq!((other.rejects[0].reason.name(), other.frames.len()), ("profile-misfit", 0));

    let batch = profile(&format!("records = \"/d\"\n{COUNTED}fields.car = {{ from = \"/car\" }}"));
    let feed = decode(
        &batch,
        r#"{"d":[{"n":2,"car":"stopped"},{"n":3,"x":0,"car":null},{"car":"stopped"},{"n":1,"car":"running"}]}"#,
    );
    assert_eq!(feed.frames.iter().map(|(_, it)| it.frame.key.seq).collect::<Vec<_>>(), [1, 2, 3], "by their key");
    assert_eq!(feed.rejects[0].pointer.as_ref(), "/d/2/n");
    assert_eq!(feed.rejects[0].payload, r#"{"car":"stopped"}"#);
    assert_eq!(aside(&batch, r#"{"d":{}}"#), ["/d profile-misfit"]);
    assert_eq!(aside(&batch, r#"{}"#), ["/d profile-misfit"]);
}

#[test]
fn a_record_that_says_nothing_of_the_lift_is_a_keep_alive() {
    let profile =
        profile(&format!("{COUNTED}fields.mode = {{ const = \"normal\" }}\nfields.car = {{ from = \"/car\" }}"));
    let frame = one(&profile, r#"{"n":7,"car":null}"#);
    assert_eq!(frame, Frame { key: FrameKey { boot: 0, seq: 7 }, ..Frame::default() });
}

#[test]
fn records_that_nobody_counts_are_known_by_id_or_content() {
    let by_id = profile("key = { from = \"/id\" }\nfields.car = { from = \"/car\" }");
    let id = |payload: &str| decode(&by_id, payload).frames[0].1.id.unwrap();
    assert_eq!(id(r#"{"id":"a","car":"stopped"}"#), id(r#"{"car":"running","id":"a"}"#));
    assert_ne!(id(r#"{"id":"a","car":"stopped"}"#), id(r#"{"id":"b","car":"stopped"}"#));
    assert_eq!(aside(&by_id, r#"{"car":"stopped"}"#), ["/id profile-misfit"]);

    let by_content = profile(
        "key = \"record\"\nfields.observed_at = { from = \"/t\", time = \"epoch_s\" }\nfields.car = { from = \"/car\" }",
    );
    let feed = decode(&by_content, r#"[{"t":9,"car":"stopped"},{"car":"stopped","t":9},{"t":8,"car":"stopped"}]"#);
    let told: Vec<_> = feed.frames.iter().map(|(_, it)| (it.frame.claimed_at, it.id)).collect();
    assert_eq!(told[1], told[2], "the order of names says nothing");
    assert_eq!((told[0].0, told[0].1 == told[1].1), (Some(Wall(8_000)), false), "the earlier first");
}

/// That a hash is remembered across versions.
#[test]
fn what_a_record_is_known_by_stays_the_same() {
    let profile = profile("key = { from = \"/id\" }\nfields.car = { from = \"/car\" }");
    let feed = decode(&profile, r#"{"id":"a","car":"stopped"}"#);
    assert_eq!(feed.frames[0].1.id.map(|id| format!("{id:016x}")).as_deref(), Some(HASH));
}
const HASH: &str = "7505dc4f34db6e6c";

#[test]
fn a_topic_is_for_one_profile_and_never_ours() {
    let file = |name: &str, topic: &str| -> (Box<str>, Box<str>) {
        let text = format!(
            "topic = {topic:?}\nkeep_alive = \"30s\"\ndevice = {{ level = 1 }}\n{COUNTED}fields.floor = {{ from = \"/f\" }}"
        );
        (format!("profiles/{name}.toml").into(), text.into())
    };
    let faults = |files: &[(Box<str>, Box<str>)]| match Profiles::parse(Some("vigil/v1"), files) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(faults(&[file("a", "x/+"), file("b", "y/+"), ("lift.toml".into(), "nonsense".into())]), [""; 0]);
    assert_eq!(
        faults(&[file("a", "x/+"), file("b", "+/z")]),
        ["profiles/b.toml:1:9: `topic` takes topics that profile a takes (x/+): a topic has one profile"]
    );
    assert_eq!(
        faults(&[file("a", "+/v1/#")]),
        ["profiles/a.toml:1:9: `topic` takes topics of our own devices (vigil/v1/#): give the feed others"]
    );
    let profiles = Profiles::parse(Some("vigil/v1"), &[file("a", "x/+"), file("b", "y/#")]).unwrap();
    for (topic, want) in [("x/1", Some("a")), ("y", Some("b")), ("x/1/2", None), ("vigil/v1/x", None)] {
        assert_eq!(profiles.find("vigil/v1", topic).map(|profile| &*profile.name), want, "{topic}");
    }
}

#[test]
fn every_fault_has_its_place_and_what_to_do() {
    let base = "topic = \"a/+\"\nkeep_alive = \"30s\"\ndevice = { level = 2 }\n";
    for (more, want) in [
        (
            "fields.seq = { from = \"/n\" }\nfields.dor = { from = \"/d\" }",
            "5:8: no field of a frame is called `dor`; did you mean `door`?",
        ),
        (
            "fields.seq = { from = \"/n\" }\nfields.car = { form = \"/d\" }",
            "5:16: unknown key `form` in a field; did you mean `from`?",
        ),
        ("fields.seq = { from = \"/n\" }\nfields.car = { from = \"d\" }", "did you mean \"/d\"?"),
        (
            "fields.seq = { from = \"/n\" }\nfields.car = { from = \"/d\", map = { 1 = \"runing\" } }",
            "5:41: \"runing\" is no value of `car`; did you mean `running`?",
        ),
        (
            "fields.seq = { from = \"/n\" }\nfields.car = { from = \"/d\", invert = true }",
            "`invert` means nothing for this field: `car` is one of several names",
        ),
        (
            "fields.seq = { from = \"/n\" }\nfields.car = { from = \"/d\", point = \"d\" }",
            "exactly one of from, message, point says where the value is",
        ),
        (
            "fields.seq = { from = \"/n\" }\nfields.car = { point = \"d\" }",
            "`point` needs [points], which says where they are",
        ),
        ("fields.seq = { const = 3 }\nfields.car = { from = \"/c\" }", "it can't be the same in all of them"),
        ("fields.car = { from = \"/d\" }", "1:1: nothing tells records apart: map `seq`"),
        (
            "key = \"record\"\nfields.car = { from = \"/d\" }",
            "4:1: `key = \"record\"` needs `observed_at` among the fields",
        ),
        ("fields.seq = { from = \"/n\" }", "1:1: the profile maps nothing that says anything of a lift"),
        ("fields.seq = { from = \"/n\" }\nfields.observed_at = { from = \"/t\", time = \"epoch\" }", "not \"epoch\""),
        (
            "fields.seq = { from = \"/n\" }\nfields.observed_at = { from = \"/t\", time = \"%H:%M:%S\", offset = \"Z\" }",
            "doesn't hold a whole date and time of day",
        ),
        (
            "fields.seq = { from = \"/n\" }\nfields.observed_at = { from = \"/t\", time = \"%Y-%m-%d %H:%M:%S\" }",
            "a field needs `offset`",
        ),
        (
            "fields.seq = { from = \"/n\" }\n[[codes]]\nfrom = \"/f\"\nmap = { E = \"traped\" }",
            "7:13: no rule knows the condition \"traped\"; did you mean `trapped`?",
        ),
        (
            "fields.seq = { from = \"/n\" }\n[[codes]]\nfrom = \"/f\"\nmap = { E = 3 }\nignore = [\"E\"]",
            "both mapped and ignored",
        ),
        (
            "fields.seq = { from = \"/n\" }\n[[codes]]\nfrom = \"/f\"\nstate = \"/s\"",
            "7:1: `state` is where it stands, `states` what its values mean: give both",
        ),
        (
            "fields.seq = { from = \"/n\" }\n[[codes]]\nfrom = \"/f\"\ninto = \"fault\"",
            "not \"fault\"; did you mean `faults`?",
        ),
        ("fields.seq = { from = \"/n\" }\nextras.Vibration = { from = \"/v\" }", "its unit last: vibration_mg"),
        (
            "records = \"data\"\nfields.seq = { from = \"/n\" }\nfields.car = { from = \"/c\" }",
            "`records` is a JSON pointer",
        ),
        ("keep_alive = \"30s\"", "not TOML"),
    ] {
        let faults = read(&format!("{base}{more}")).expect_err(more).join("\n");
        assert!(faults.contains(want), "{more}:\n{faults}\nwanted: {want}");
    }
    for (topic, want) in [("a/#/b", "# only for the last ones"), ("", "1 to 512 bytes")] {
        let text = format!("topic = {topic:?}\nkeep_alive = \"0s\"\ndevice = {{}}\n");
        let faults = read(&text).expect_err(topic).join("\n");
        assert!(faults.contains(want) && faults.contains("`keep_alive` is from 1s to 12h"), "{faults}");
    }
}

/// Pieces of which profiles are made, good and bad.
fn some_profile() -> impl Strategy<Value = String> {
    let source = prop::sample::select(vec![
        "from = \"/a\"",
        "from = \"/a/b\"",
        "message = \"/a\"",
        "point = \"x\"",
        "from = \"\"",
        "const = 1",
    ]);
    let change = prop::sample::select(vec![
        "",
        ", required = false",
        ", invert = true",
        ", scale = 1e300",
        ", scale = -0.5, add = 7",
        ", default = 0",
        ", map = { 1 = true, x = false }",
        ", map = { 1 = \"running\", x = \"stopped\" }",
        ", time = \"epoch_s\"",
        ", time = \"epoch_ms\", required = false",
        ", time = \"%Y-%m-%d %H:%M:%S\", offset = \"+08:00\"",
    ]);
    let name = prop::sample::select(vec![
        "seq",
        "boot",
        "observed_at",
        "mode",
        "car",
        "door_zone",
        "passenger",
        "floor",
        "floor_label",
        "load_kg",
        "runs",
    ]);
    let field = (name, source.clone(), change)
        .prop_map(|(name, source, change)| format!("fields.{name} = {{ {source}{change} }}\n"));
    let head = prop::sample::select(vec![
        "",
        "records = \"/a\"\n",
        "records = \"/a/b\"\n",
        "key = \"record\"\n",
        "key = { from = \"/a\" }\n",
        "points = { list = \"/a\", label = \"/x\", value = \"/b\" }\n",
    ]);
    let codes = prop::sample::select(vec![
        "",
        "[[codes]]\nfrom = \"/a\"\nsplit = \"x\"\n",
        "[[codes]]\nfrom = \"/b\"\ncode = \"/a\"\nmap = { 1 = 3, x = \"trapped\" }\nrequired = false\n",
        "[[codes]]\nmessage = \"/a\"\nstate = \"/b\"\nstates = { 1 = \"active\", x = \"cleared\" }\ninto = \"events\"\n",
    ]);
    (prop::collection::vec(head, 0..3), prop::collection::vec(field, 0..5), codes).prop_map(|(heads, fields, codes)| {
        format!(
            "topic = \"a/+\"\nkeep_alive = \"30s\"\ndevice = {{ level = 2 }}\n{}fields.floor_label = {{ from = \"/x\", required = false }}\n{}{codes}",
            heads.concat(),
            fields.concat()
        )
    })
}

fn some_json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec!["x", "1", "", "2026-11-22 08:30:00", "困人", "\0", "x1x"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let name = prop::sample::select(vec!["a", "b", "x", "~"]).prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..4)
                .prop_map(|all| all.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #[test]
    fn no_profile_and_no_message_can_make_it_panic(text in some_profile(), message in some_json(), bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(profiles) = read(&text) {
            for profile in profiles.all() {
                let whole = decode(profile, &message.to_string());
                prop_assert_eq!(&whole, &decode(profile, &message.to_string()));
                for (_, mapped) in &whole.frames {
                    prop_assert!(mapped.id.is_some() || mapped.frame.key.seq > 0);
                    prop_assert!(mapped.frame.invalid.len() <= crate::limits::INVALID_FIELDS + 1);
                }
                profile.decode("a/b", &Bytes::from(bytes.clone()));
            }
        }
        let _any_text = read(&String::from_utf8_lossy(&bytes));
    }
}
