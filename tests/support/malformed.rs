//! The corpus of `tests/malformed/`: payloads that a device should not send, and what becomes of them.
//!
//! A file holds `[[case]]` tables. A case gives its payload as
//! - `payload`: text as it stands, or `payload_hex`;
//! - `item`: one frame or scan, or `item_hex`; it is put between two good neighbours;
//! - `fields`: members of a JSON item whose identity is good, or `fields_hex`; between two good neighbours likewise;
//! - `repeat` (text) or `repeat_hex` and `times`, after `payload` or `payload_hex` and before `after`.
//!
//! What is expected: `whole` = a reason with `pointer`; or `set_aside` = a reason with `pointer`; or `invalid` = pointers
//! of a kept item, and `shows` = parts of how the item prints. `on` in the file or the case says what kind of report it
//! is; `topic` replaces its topic. The item of a case has boot 1, its neighbours have boot 9.

use std::path::Path;

use serde::Deserialize;
use vigil::model::row::RejectReason;

pub(crate) const PREFIX: &str = "vigil/v1";
pub(crate) const NEIGHBOUR_BOOT: u32 = 9;

/// One payload and what becomes of it.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// File and case: `frame_json/door-is-a-number`.
    pub(crate) name: String,
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    /// How many good items of boot 9 stand beside the one that the case is about.
    pub(crate) neighbours: usize,
    pub(crate) expect: Expect,
}

#[derive(Debug, Clone)]
pub(crate) enum Expect {
    /// The whole message is set aside.
    Whole { reason: RejectReason, pointer: String },
    /// The item is.
    SetAside { reason: RejectReason, pointer: String },
    /// The item is kept.
    Kept { invalid: Vec<String>, shows: Vec<String> },
    /// The report holds nothing.
    Empty,
}

/// All cases, by file name and in the order of their files.
pub(crate) fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/malformed");
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .expect("tests/malformed can be listed");
    paths.sort();
    let mut cases = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("a corpus file can be read");
        let file: File = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let family = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
        cases.extend(file.case.into_iter().map(|case| case.build(&family, file.on)));
    }
    cases
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    on: On,
    case: Vec<RawCase>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum On {
    Elevator,
    Cylinder,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCase {
    name: String,
    on: Option<On>,
    topic: Option<String>,
    payload: Option<String>,
    payload_hex: Option<String>,
    repeat: Option<String>,
    repeat_hex: Option<String>,
    #[serde(default)]
    times: usize,
    #[serde(default)]
    after: String,
    item: Option<String>,
    item_hex: Option<String>,
    fields: Option<String>,
    fields_hex: Option<String>,
    whole: Option<String>,
    set_aside: Option<String>,
    #[serde(default)]
    pointer: String,
    invalid: Option<Vec<String>>,
    #[serde(default)]
    shows: Vec<String>,
}

impl RawCase {
    fn build(self, family: &str, on: On) -> Case {
        let name = format!("{family}/{}", self.name);
        let on = self.on.unwrap_or(on);
        let (payload, neighbours) = self.payload(on, &name);
        let expect = match (&self.whole, &self.set_aside, self.invalid) {
            (Some(whole), None, None) => Expect::Whole { reason: reason(whole, &name), pointer: self.pointer },
            (None, Some(item), None) => Expect::SetAside { reason: reason(item, &name), pointer: self.pointer },
            (None, None, Some(invalid)) => Expect::Kept { invalid, shows: self.shows },
            (None, None, None) => Expect::Empty,
            _ => panic!("{name}: expects more than one thing"),
        };
        let topic = self.topic.unwrap_or_else(|| on.topic().to_owned());
        Case { name, topic, payload, neighbours, expect }
    }

    fn payload(&self, on: On, name: &str) -> (Vec<u8>, usize) {
        let item = match (&self.item, &self.item_hex, &self.fields, &self.fields_hex) {
            (Some(item), None, None, None) => return on.among_neighbours(item),
            (None, None, Some(fields), None) => {
                return on.among_neighbours(&format!("{{{},{fields}}}", on.identity()));
            }
            (None, Some(item), None, None) => hex(item, name),
            (None, None, None, Some(fields)) => [hex(on.identity_hex(), name), hex(fields, name)].concat(),
            (None, None, None, None) => return (self.report(name), 0),
            _ => panic!("{name}: says its payload twice"),
        };
        let neighbours = on.neighbours_hex().map(|neighbour| hex(neighbour, name));
        let items = [&neighbours[0], &item, &neighbours[1]];
        let mut payload = Vec::new();
        for item in items {
            prost::encoding::bytes::encode(1, item, &mut payload);
        }
        (payload, 2)
    }

    fn report(&self, name: &str) -> Vec<u8> {
        let bytes = |text: &Option<String>, digits: &Option<String>| match (text, digits) {
            (Some(text), None) => text.clone().into_bytes(),
            (None, Some(digits)) => hex(digits, name),
            (None, None) => Vec::new(),
            _ => panic!("{name}: both text and hex"),
        };
        let mut payload = bytes(&self.payload, &self.payload_hex);
        payload.extend(bytes(&self.repeat, &self.repeat_hex).repeat(self.times));
        payload.extend(self.after.as_bytes());
        payload
    }
}

impl On {
    fn topic(self) -> &'static str {
        match self {
            Self::Elevator => "vigil/v1/elevator/31305001122014017242/report",
            Self::Cylinder => "vigil/v1/cylinder/6401-A/scan",
        }
    }

    fn identity(self) -> &'static str {
        match self {
            Self::Elevator => r#""boot":1,"seq":2"#,
            Self::Cylinder => r#""boot":1,"seq":2,"scanner":"g1","cylinder":"12345678","event":"filled""#,
        }
    }

    fn identity_hex(self) -> &'static str {
        match self {
            Self::Elevator => "08 01 10 02",
            Self::Cylinder => "08 01 10 02 22 02 6731 2a 08 3132333435363738 30 05",
        }
    }

    fn among_neighbours(self, item: &str) -> (Vec<u8>, usize) {
        let (list, rest) = match self {
            Self::Elevator => ("frames", r#""mode":"normal","faults":[3]"#),
            Self::Cylinder => ("scans", r#""scanner":"g1","cylinder":"12345678","event":"filled""#),
        };
        let neighbour = |seq| format!(r#"{{"boot":{NEIGHBOUR_BOOT},"seq":{seq},{rest}}}"#);
        (format!(r#"{{"{list}":[{},{item},{}]}}"#, neighbour(1), neighbour(2)).into_bytes(), 2)
    }

    fn neighbours_hex(self) -> [&'static str; 2] {
        match self {
            Self::Elevator => ["08 09 10 01 20 02 82 01 01 03", "08 09 10 02 20 02 82 01 01 03"],
            Self::Cylinder => [
                "08 09 10 01 22 02 6731 2a 08 3132333435363738 30 05",
                "08 09 10 02 22 02 6731 2a 08 3132333435363738 30 05",
            ],
        }
    }
}

fn reason(text: &str, name: &str) -> RejectReason {
    let found = RejectReason::ALL.iter().copied().find(|reason| reason.name() == text);
    found.unwrap_or_else(|| panic!("{name}: no reason is called {text:?}"))
}

fn hex(text: &str, name: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(|pair| byte(pair).filter(|_| pair.len() == 2)).collect();
    bytes.unwrap_or_else(|| panic!("{name}: {text:?} is not hex"))
}
