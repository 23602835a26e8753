//! Every configuration in `tests/config/` is wrong, and says at its top what must be told about it:
//!
//! ```text
//! # expect: 5:7: mqtt.url …      a fault in the file, at this line and column
//! # env: VIGIL_MQTT_URL=…        a variable to read it with
//! ```
//!
//! The faults told must be those expected, all of them, in order, and no others.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::path::{Path, PathBuf};

use vigil::config::{Config, LogFormat, Place, StoreAt, Variables};

/// The file that faults name, in a folder that isn't there: nothing but secrets is read beside it.
const FILE: &str = "tests/config/given.toml";

fn check(text: &str, expect: &[&str]) {
    let mut variables = Variables::new();
    for variable in text.lines().filter_map(|line| line.strip_prefix("# env: ")) {
        let (name, value) = variable.split_once('=').expect("NAME=VALUE");
        variables.insert(name.into(), value.into());
    }
    let told: Vec<String> = match Config::from_text(Path::new(FILE), text, &variables) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.0.iter().map(ToString::to_string).collect(),
    };
    let told: Vec<&str> = told.iter().map(|f| f.strip_prefix(FILE).map_or(f.as_str(), |f| &f[1..])).collect();
    assert_eq!(told, expect, "for:\n{text}");
}

fn corpus() -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "toml"));
    files.sort();
    files.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn every_wrong_file_tells_what_is_wrong() {
    let corpus = corpus();
    assert!(corpus.len() >= 35, "only {} files", corpus.len());
    for (path, text) in corpus {
        let expect: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# expect: ")).collect();
        assert!(!expect.is_empty(), "{} expects nothing", path.display());
        check(&text, &expect);
    }
}

#[test]
fn the_shipped_file_is_the_default() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/vigil.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let read = Config::from_text(Path::new("vigil.toml"), &text, &Variables::new()).unwrap();
    assert_eq!(read, Config::default());

    // An optional key stands there as a comment that is right once the `#` is gone.
    let all = text.replace("# client_id", "client_id").replace("# username", "username");
    let read = Config::from_text(Path::new("vigil.toml"), &all, &Variables::new()).unwrap();
    assert_eq!(read.mqtt.client_id, Config::default().mqtt.client_id);
    assert_eq!(read.mqtt.credentials.map(|c| c.username).as_deref(), Some("vigil"));
    assert_eq!(text.matches("# password_file = ").count(), 2);
}

/// Each line with a value is taken out of the shipped file in turn: the default must be what it said.
#[test]
fn every_default_is_the_one_the_shipped_file_names() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/vigil.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let keys: Vec<&str> = text.lines().filter(|line| !line.starts_with('#') && line.contains(" = ")).collect();
    assert_eq!(keys.len(), 26);
    for key in keys {
        let without = text.replacen(&format!("{key}\n"), "", 1);
        let read = Config::from_text(Path::new("vigil.toml"), &without, &Variables::new()).unwrap();
        assert_eq!(read, Config::default(), "without {key}");
    }
}

#[test]
fn an_empty_file_is_the_default_beside_it() {
    let read = Config::from_text(Path::new("/etc/vigil/vigil.toml"), "", &Variables::new()).unwrap();
    assert_eq!(read.rules.dir, Path::new("/etc/vigil/rules"));
    assert_eq!(read.store.at, StoreAt::Sqlite("/etc/vigil/../data/vigil.db".into()));
    assert_eq!(read.journal, Config::default().journal);
}

#[test]
fn variables_override_the_file() {
    let variables: Variables = [
        ("VIGIL_MQTT_URL", "mqtt://[::1]:2883"),
        ("VIGIL_MQTT_USERNAME", "vigil"),
        ("VIGIL_MQTT_PASSWORD_FILE", "config/secret"),
        ("VIGIL_STORE_URL", "postgres://vigil@db.example:5433/lifts"),
        ("VIGIL_STORE_PASSWORD_FILE", "config/secret"),
        ("VIGIL_SERVICE_INSTANCE", "west-2"),
        ("VIGIL_SERVICE_ZONE", "asia/urumqi"),
        ("VIGIL_GRPC_LISTEN", "[::1]:0"),
        ("VIGIL_LOG_LEVEL", "warn,vigil::ingest=trace"),
        ("VIGIL_LOG_FORMAT", "json"),
        ("VIGILANCE", "of another"),
        ("HOME", "/root"),
    ]
    .map(|(name, value)| (name.to_string(), value.to_string()))
    .into();
    // What a variable overrides isn't looked at.
    let text = "[mqtt]\nurl = 'nonsense'\nkeep_alive = '10s'\n";
    let read = Config::from_text(Path::new("tests/vigil.toml"), text, &variables).unwrap();
    assert_eq!((read.mqtt.host.as_str(), read.mqtt.port, read.mqtt.keep_alive_ms), ("::1", 2883, 10_000));
    assert_eq!(read.mqtt.client_id, "vigil-west-2");
    assert_eq!(read.service.zone, "Asia/Urumqi");
    assert_eq!(read.grpc.listen.to_string(), "[::1]:0");
    assert_eq!((read.log.filter.as_str(), read.log.format), ("warn,vigil::ingest=trace", LogFormat::Json));
    assert!(!format!("{read:?}").contains("s3cret"), "a secret is shown: {read:?}");
    let password = read.mqtt.credentials.unwrap().password.unwrap();
    assert_eq!(password.reveal(), "s3cret of the tests");
    let StoreAt::Postgres(store) = read.store.at else { panic!("not PostgreSQL") };
    assert_eq!((store.get_user(), store.get_dbname()), (Some("vigil"), Some("lifts")));
    assert_eq!(store.get_password(), Some(password.reveal().as_bytes()));
}

#[test]
fn a_file_that_is_not_there_or_no_text_is_one_fault() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("bytes.toml"), b"[mqtt]\nurl = \"\xff\"\n").unwrap();
    std::fs::write(path("large.toml"), vec![b'#'; 65 * 1024]).unwrap();
    for (name, wrong) in [
        ("missing.toml", "cannot be read: No such file"),
        ("", "cannot be read: Is a directory"),
        ("bytes.toml", "is not UTF-8 text"),
        ("large.toml", "is larger than 65536 bytes"),
    ] {
        let faults = Config::load(&path(name), &Variables::new()).unwrap_err();
        assert_eq!(faults.0.len(), 1, "{faults}");
        assert_eq!(faults.0[0].place, Place::File(path(name)));
        assert!(faults.0[0].wrong.starts_with(wrong), "{faults}");
    }
}

#[test]
fn the_whole_report_reads_well() {
    let text = "[mqtt]\nulr = 'x'\nkeep_alive = '1s'\n";
    let variables = [("VIGIL_STORE_ULR".to_string(), "x".to_string())].into();
    let faults = Config::from_text(Path::new("vigil.toml"), text, &variables).unwrap_err();
    assert_eq!(
        faults.to_string(),
        "the configuration has 3 faults:\n  \
         vigil.toml:2:1: mqtt.ulr is not a known key; did you mean url?\n  \
         vigil.toml:3:14: mqtt.keep_alive \"1s\" is too little; give at least 5s\n  \
         environment variable VIGIL_STORE_ULR: is not known; did you mean VIGIL_STORE_URL? \
         If it isn't meant for vigil, unset it"
    );
}

/// Reading only ever ends in a configuration or in faults, whatever a disk or a person made of the file.
#[test]
fn no_text_makes_reading_panic() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/vigil.toml");
    let shipped = std::fs::read_to_string(&file).unwrap();
    let nested = ["[", "{a=", "[[", "a.", "\"\"\"", "'''"].map(|open| format!("[mqtt]\nurl = {}", open.repeat(10_000)));
    for text in nested {
        assert!(Config::from_text(Path::new(FILE), &text, &Variables::new()).is_err());
    }
    for cut in (0..shipped.len()).filter(|cut| shipped.is_char_boundary(*cut)) {
        // Half a file may be right: what matters is that it is read at all.
        let told = Config::from_text(Path::new(FILE), &shipped[..cut], &Variables::new());
        assert!(told.is_ok() || told.is_err_and(|faults| !faults.0.is_empty()), "cut at {cut}");
    }
}
