//! What is wrong with a target is told, each fault with its place and what to do.

use std::os::unix::fs::PermissionsExt as _;

use vigil::config::{Config, NotifyFormat, Variables};

use crate::world::{SECRET, write_secret};

const GOOD: &str =
    "[[notify]]\nname = \"city\"\nurl = \"https://city.example/hook?token=t0ken\"\nsecret_file = \"secret\"\n";

fn read(text: &str) -> Result<Config, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    write_secret(&folder.path().join("secret"), SECRET);
    write_secret(&folder.path().join("short"), "short");
    write_secret(&folder.path().join("open"), SECRET);
    std::fs::set_permissions(folder.path().join("open"), std::fs::Permissions::from_mode(0o640)).unwrap();
    let place = format!("{}/", folder.path().display());
    let read = Config::from_text(&folder.path().join("v.toml"), text, &Variables::new());
    read.map_err(|faults| faults.0.iter().map(|fault| fault.to_string().replace(&place, "")).collect())
}

#[test]
fn a_target_has_defaults_for_all_but_who_and_where() {
    let config = read(GOOD).unwrap();
    let [target] = &config.notify[..] else { panic!("one target") };
    assert_eq!((&*target.name, target.format, target.wants_incidents()), ("city", NotifyFormat::Json, false));
    assert_eq!((target.timeout_ms, target.max_age_ms), (10_000, 24 * 3_600_000));
    assert_eq!(target.url.shown(), "https://city.example");
    let shown = format!("{config:?}");
    assert!(!shown.contains("t0ken") && !shown.contains(SECRET), "{shown}");
    assert!(read("").unwrap().notify.is_empty());
}

#[test]
fn every_fault_of_a_target_is_told() {
    let url = |url: &str| GOOD.replace("https://city.example/hook?token=t0ken", url);
    let and = |more: &str| format!("{GOOD}{more}\n");
    let instead = |from: &str, to: &str| GOOD.replace(from, to);
    let mut otherwise = Vec::new();
    for (text, want) in [
        (
            "[notify]\nname = \"a\"\n".into(),
            &[
                "v.toml:1:2: notify is one section for each target; write [[notify]] on a line of its own for each target, and its keys below it",
            ][..],
        ),
        (
            "[[notify]]\n".into(),
            &[
                "v.toml:1:1: notify.name is missing; each [[notify]] has a name, a url and a secret_file",
                "v.toml:1:1: notify.secret_file is missing; each [[notify]] has a name, a url and a secret_file",
                "v.toml:1:1: notify.url is missing; each [[notify]] has a name, a url and a secret_file",
            ],
        ),
        (
            format!("{GOOD}{GOOD}"),
            &["v.toml:6:8: notify.name \"city\" is the name of another target; give it one of its own"],
        ),
        (
            instead("\"city\"", "\"The City\""),
            &["v.toml:2:8: notify.name \"The City\" is not a target's name; use 1 to 32 characters of a-z 0-9 -"],
        ),
        (
            url("city.example"),
            &["v.toml:3:7: notify.url is not a URL: relative URL without a base; write it as https://HOST/PATH"],
        ),
        (url("ftp://city.example"), &["v.toml:3:7: notify.url has the scheme ftp; write it as https://HOST/PATH"]),
        (
            url("https://me:pass@city.example"),
            &["v.toml:3:7: notify.url holds credentials; leave them out: deliveries are signed with the secret"],
        ),
        (
            url("http://10.0.0.1/"),
            &[
                "v.toml:3:7: notify.url is not encrypted, and leads to another machine; use https, or write insecure = true below it if the way there is safe by other means",
            ],
        ),
        (url("https://city.example:0/"), &["v.toml:3:7: notify.url has the port 0; give the receiver's port"]),
        (
            instead("\"secret\"", "\"none\""),
            &[
                "v.toml:4:15: notify.secret_file none: cannot be read: No such file or directory (os error 2); name a file of your own that holds what the receiver checks signatures with",
            ],
        ),
        (
            instead("\"secret\"", "\"open\""),
            &[
                "v.toml:4:15: notify.secret_file open: may be read by others: take that from them (chmod 600); name a file of your own that holds what the receiver checks signatures with",
            ],
        ),
        (
            instead("\"secret\"", "\"short\""),
            &[
                "v.toml:4:15: notify.secret_file short: is no secret: write one line, or two while it is replaced, each of 16 to 256 bytes of text; name a file of your own that holds what the receiver checks signatures with",
            ],
        ),
        (
            and("events = \"all\""),
            &["v.toml:5:10: notify.events \"all\" is not what targets are told of; write \"alerts\" or \"incidents\""],
        ),
        (and("format = \"xml\""), &["v.toml:5:10: notify.format \"xml\" is not a format; write \"json\" or \"cap\""]),
        (
            and("minimum_severity = \"critcal\""),
            &["v.toml:5:20: notify.minimum_severity \"critcal\" is no severity; did you mean \"critical\"?"],
        ),
        (
            and("kinds = [\"opened\", \"arrived\"]"),
            &[
                "v.toml:5:20: notify.kinds \"arrived\" is no kind of event of alerts; write one of opened, reopened, raised, acknowledged, cleared, grouped",
            ],
        ),
        (
            and("kinds = \"opened\""),
            &["v.toml:5:9: notify.kinds is of the type string; write it as kinds = [\"text\", \"text\"]"],
        ),
        (
            and("districts = [\"Ningxia\"]"),
            &["v.toml:5:14: notify.districts \"Ningxia\" is no district; write 2 to 6 digits"],
        ),
        (and("timeout = \"2m\""), &["v.toml:5:11: notify.timeout \"2m\" is too much; give at most 1m"]),
        (and("max_age = \"1s\""), &["v.toml:5:11: notify.max_age \"1s\" is too little; give at least 1m"]),
        (
            and("insecure = \"yes\""),
            &["v.toml:5:12: notify.insecure \"yes\" is neither true nor false; write true or false"],
        ),
        (and("timout = \"2s\""), &["v.toml:5:1: notify.timout is not a known key; did you mean timeout?"]),
        (
            "[cap]\nsender = \"a b\"\nstatus = \"real\"\n".into(),
            &[
                "v.toml:2:10: cap.sender \"a b\" is too long, or holds a space, a comma, < or &; name this service as no other is named, for example \"vigil@96333.example\"",
                "v.toml:3:10: cap.status \"real\" is not a status; write \"actual\", \"exercise\", \"system\", \"test\" or \"draft\"",
            ],
        ),
    ] {
        let told = read(&text).unwrap_err();
        if told != want {
            otherwise.push(format!("{text}\nsays {told:#?}\ninstead of {want:#?}"));
        }
    }
    assert!(otherwise.is_empty(), "{}", otherwise.join("\n\n"));
}

#[test]
fn unencrypted_ways_are_for_this_machine_or_said_so() {
    for (url, more) in [
        ("http://127.0.0.1:8080/a", ""),
        ("http://[::1]/", ""),
        ("http://localhost/", ""),
        ("http://10.0.0.1/", "insecure = true\n"),
    ] {
        let text = GOOD.replace("https://city.example/hook?token=t0ken", url) + more;
        assert_eq!(read(&text).unwrap().notify.len(), 1, "{url}");
    }
    let kinds = "events = \"incidents\"\nformat = \"cap\"\nkinds = [\"received\", \"closed\"]\n";
    assert!(read(&format!("{GOOD}{kinds}")).unwrap().notify[0].wants_incidents());
}
