//! Which columns a file may have, and how a line becomes an entry.

use crate::proto::v1::upsert_devices_request::Entry;
use crate::proto::v1::{Cylinder, Equipment, Firm, Lift, Site, SiteKind};

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    Lifts,
    Cylinders,
    Firms,
    Sites,
}

/// (name, must be there, what it holds)
type Column = (&'static str, bool, &'static str);

const LIFTS: &[Column] = &[
    ("code", true, "device code or registration code: 17 to 20 characters of 0-9 A-Z"),
    ("equipment", false, "lift (if empty) or escalator"),
    ("address", false, "where it is, for people"),
    ("district", false, "administrative division: 2 to 6 digits"),
    ("rescue_code", false, "on the plate in the car: 1 to 12 digits"),
    ("firm", false, "id of the maintenance firm under contract"),
    ("use_unit", false, "who is responsible for its use"),
    ("keep_alive_s", false, "longest time between two frames: 1 to 86400 s"),
    ("inspection_due", false, "last day on which the inspection is good: YYYY-MM-DD"),
    ("building", false, "the building it stands in: 1 to 32 characters of 0-9 A-Z a-z - _ ."),
    ("feeder", false, "the feeder that supplies it, in the same form"),
];

const CYLINDERS: &[Column] = &[
    ("code", true, "8 to 32 characters of 0-9 A-Z -"),
    ("filling_unit", false, "site code of the filling unit it belongs to"),
    ("medium", false, "lpg, nitrogen, oxygen, acetylene, cng, ..."),
    ("made_on", false, "the day it was made: YYYY-MM-DD"),
    ("inspection_due", false, "last day on which the inspection is good: YYYY-MM-DD"),
    ("scrapped", false, "yes or no (if empty)"),
    ("district", false, "administrative division: 2 to 6 digits"),
];

const FIRMS: &[Column] = &[
    ("id", true, "1 to 32 characters of 0-9 A-Z a-z - _"),
    ("name", true, "its name"),
    ("phone", false, "its 24 h hotline"),
];

const SITES: &[Column] = &[
    ("code", true, "4 to 32 characters of 0-9 A-Z -"),
    ("kind", true, "filling_station, shop or inspection_body"),
    ("name", true, "its name"),
    ("address", false, "where it is, for people"),
    ("district", false, "administrative division: 2 to 6 digits"),
];

impl Kind {
    fn columns(self) -> &'static [Column] {
        match self {
            Self::Lifts => LIFTS,
            Self::Cylinders => CYLINDERS,
            Self::Firms => FIRMS,
            Self::Sites => SITES,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Lifts => "lifts",
            Self::Cylinders => "cylinders",
            Self::Firms => "firms",
            Self::Sites => "sites",
        }
    }
}

pub(super) fn help() -> String {
    let mut help = String::from("Columns, in any order (* must be there):\n");
    for kind in [Kind::Lifts, Kind::Cylinders, Kind::Firms, Kind::Sites] {
        help += &format!("\n  {}\n", kind.name());
        for (name, must, what) in kind.columns() {
            help += &format!("    {:<16} {what}\n", format!("{name}{}", if *must { "*" } else { "" }));
        }
    }
    help
}

/// Faults of a header that are told, and characters of a name that nobody knows.
const FAULTS: usize = 16;
const NAME_CHARS: usize = 40;

/// The columns of one file, by where they stand in it.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    kind: Kind,
    names: Vec<String>,
}

impl Columns {
    /// Takes a header, or says all that is wrong with it.
    pub(super) fn read(kind: Kind, header: &[&str]) -> Result<Self, String> {
        let known = kind.columns();
        let mut faults = Vec::new();
        for (i, name) in header.iter().enumerate() {
            if faults.len() == FAULTS {
                faults.push(format!("and so on, up to column {}", header.len()));
                break;
            }
            if !known.iter().any(|(known, ..)| known == name) {
                let shown: String = name.chars().take(NAME_CHARS).collect();
                faults.push(format!("column {}: {shown:?} is not known", i + 1));
            } else if header[..i].contains(name) {
                faults.push(format!("column {}: {name:?} is there twice", i + 1));
            }
        }
        for (name, ..) in known.iter().filter(|(name, must, _)| *must && !header.contains(name)) {
            faults.push(format!("{name:?} is missing"));
        }
        if faults.is_empty() {
            return Ok(Self { kind, names: header.iter().map(|name| (*name).to_owned()).collect() });
        }
        if let [only] = header
            && only.contains([';', '\t'])
        {
            faults.push("columns are separated by commas".to_owned());
        }
        let names: Vec<_> = known.iter().map(|(name, ..)| *name).collect();
        Err(format!("{}; a file of {} has the columns {}", faults.join("; "), kind.name(), names.join(", ")))
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn name(&self, at: usize) -> &str {
        &self.names[at]
    }

    /// Where the column of a field such as `lift.district` stands, from 1.
    pub(super) fn number(&self, field: &str) -> Option<usize> {
        let name = field.rsplit('.').next().unwrap_or(field);
        self.names.iter().position(|own| own == name).map(|at| at + 1)
    }

    /// The code of a line: what tells its entry from others.
    pub(super) fn code<'a>(&self, fields: &[&'a str]) -> &'a str {
        self.text(fields, self.kind.columns()[0].0)
    }

    fn text<'a>(&self, fields: &[&'a str], name: &str) -> &'a str {
        self.number(name).and_then(|number| fields.get(number - 1)).copied().unwrap_or_default()
    }

    /// The entry of a line, or for each word that can't be understood its field and why.
    pub(super) fn entry(&self, fields: &[&str]) -> Result<Entry, Vec<(&'static str, String)>> {
        let mut faults = Vec::new();
        let text = |name: &str| self.text(fields, name).to_owned();
        let mut word = |name: &'static str, read: &dyn Fn(&str) -> Result<i32, String>| {
            read(self.text(fields, name)).unwrap_or_else(|why| {
                faults.push((name, why));
                0
            })
        };
        let entry = match self.kind {
            Kind::Lifts => Entry::Lift(Lift {
                code: text("code"),
                equipment: word("equipment", &equipment),
                address: text("address"),
                district: text("district"),
                rescue_code: text("rescue_code"),
                firm: text("firm"),
                use_unit: text("use_unit"),
                keep_alive_s: Some(word("keep_alive_s", &seconds)).filter(|s| *s != NOT_GIVEN).map(i32::cast_unsigned),
                inspection_due: text("inspection_due"),
                building: text("building"),
                feeder: text("feeder"),
            }),
            Kind::Cylinders => Entry::Cylinder(Cylinder {
                code: text("code"),
                filling_unit: text("filling_unit"),
                medium: text("medium"),
                made_on: text("made_on"),
                inspection_due: text("inspection_due"),
                scrapped: word("scrapped", &yes) == 1,
                district: text("district"),
            }),
            Kind::Firms => Entry::Firm(Firm { id: text("id"), name: text("name"), phone: text("phone") }),
            Kind::Sites => Entry::Site(Site {
                code: text("code"),
                kind: word("kind", &site_kind),
                name: text("name"),
                address: text("address"),
                district: text("district"),
            }),
        };
        if faults.is_empty() { Ok(entry) } else { Err(faults) }
    }
}

const NOT_GIVEN: i32 = -1;

fn seconds(text: &str) -> Result<i32, String> {
    if text.is_empty() {
        return Ok(NOT_GIVEN);
    }
    let seconds = text.parse().ok().filter(|s| (1..=86_400).contains(s));
    seconds.ok_or_else(|| format!("{text:?} is no number from 1 to 86400"))
}

fn equipment(text: &str) -> Result<i32, String> {
    match text {
        "" | "lift" => Ok(Equipment::Lift.into()),
        "escalator" => Ok(Equipment::Escalator.into()),
        _ => Err(format!("{text:?} is neither lift nor escalator")),
    }
}

fn yes(text: &str) -> Result<i32, String> {
    match text {
        "" | "no" => Ok(0),
        "yes" => Ok(1),
        _ => Err(format!("{text:?} is neither yes nor no")),
    }
}

fn site_kind(text: &str) -> Result<i32, String> {
    match text {
        "filling_station" => Ok(SiteKind::FillingStation.into()),
        "shop" => Ok(SiteKind::Shop.into()),
        "inspection_body" => Ok(SiteKind::InspectionBody.into()),
        _ => Err(format!("{text:?} is none of filling_station, shop, inspection_body")),
    }
}
