//! Which columns a file may have, and how a line becomes an entry.

use crate::model::archive::position_from;
use crate::proto::v1::upsert_devices_request::Entry;
use crate::proto::v1::{
    Cylinder, Entrustment, Equipment, Firm, Lift, MaintenanceContract, Position, Site, SiteKind, Worker,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    Lifts,
    Cylinders,
    Firms,
    Sites,
    Workers,
    /// Records of maintenance visits
    Records,
}

/// (name, must be there, what it holds)
type Column = (&'static str, bool, &'static str);

const LIFTS: &[Column] = &[
    ("code", true, "device code or registration code: 17 to 20 characters of 0-9 A-Z"),
    ("equipment", false, "lift or escalator; if empty as the catalogue says, else lift"),
    ("catalogue", false, "equipment catalogue: 4 digits, such as 3110 or 3310"),
    ("registration", false, "registration code: 17 to 20 characters of 0-9 A-Z"),
    ("use_registration", false, "number of its use registration"),
    ("address", false, "where it is, for people"),
    ("district", false, "administrative division: 2 to 6 digits"),
    ("latitude", false, "degrees, WGS 84, up to 7 decimals: 38.4871933"),
    ("longitude", false, "likewise"),
    ("rescue_code", false, "on the plate in the car: 1 to 12 digits"),
    ("building", false, "the building it stands in: 1 to 32 characters of 0-9 A-Z a-z - _ ."),
    ("feeder", false, "the feeder that supplies it, in the same form"),
    ("firm", false, "id of the maintenance firm under contract"),
    ("contract_from", false, "first day of the contract: YYYY-MM-DD"),
    ("contract_to", false, "last day of it; empty: until further notice"),
    ("on_demand_days", false, "most days between two visits as needed: 1 to 365; empty: visits by the calendar"),
    ("use_unit", false, "who is responsible for its use"),
    ("officer", false, "the use unit's safety officer"),
    ("officer_phone", false, "how to reach them"),
    ("keep_alive_s", false, "longest time between two frames: 1 to 86400 s"),
    ("terminal", false, "model and number of the monitoring terminal"),
    ("base_on", false, "supervisory inspection of the installation or renovation: YYYY-MM-DD"),
    ("inspected_on", false, "last periodic inspection that it passed: YYYY-MM-DD"),
    ("inspection_due", false, "last day on which the inspection is good: YYYY-MM-DD"),
    ("out_of_use_since", false, "YYYY-MM-DD; empty: in use"),
];

const CYLINDERS: &[Column] = &[
    ("code", true, "8 to 32 characters of 0-9 A-Z -"),
    ("aliases", false, "codes that it bore before, separated by blanks: at most 8"),
    ("stamped_number", false, "the number stamped into it"),
    ("kind", false, "its type, as in the table of inspection intervals: lpg-welded, ..."),
    ("medium", false, "lpg, nitrogen, oxygen, acetylene, cng, ...; mixtures joined by +"),
    ("standard", false, "what it was made to: GB 5842-2006"),
    ("made_on", false, "the day it was made: YYYY-MM-DD"),
    ("volume_ml", false, "what it holds, in ml"),
    ("tare_g", false, "what it weighs empty, in g"),
    ("max_fill_g", false, "the most that may be filled into it, in g"),
    ("filling_unit", false, "site code of the filling unit it belongs to"),
    ("filling_unit_since", false, "the first day on which it did: YYYY-MM-DD"),
    ("entrusted", false, "other sites that may fill it: SITE FROM [TO]; SITE FROM [TO]; ..."),
    ("inspected_on", false, "last inspection that it passed: YYYY-MM-DD"),
    ("inspection_due", false, "last day on which the inspection is good: YYYY-MM-DD"),
    ("extended_until", false, "beyond its design life it may be used until: YYYY-MM-DD"),
    ("scrapped", false, "yes or no (if empty)"),
    ("district", false, "administrative division: 2 to 6 digits"),
];

const FIRMS: &[Column] = &[
    ("id", true, "1 to 32 characters of 0-9 A-Z a-z - _"),
    ("name", true, "its name"),
    ("phone", false, "its 24 h hotline"),
    ("address", false, "where it is, for people"),
    ("district", false, "administrative division: 2 to 6 digits"),
];

const SITES: &[Column] = &[
    ("code", true, "4 to 32 characters of 0-9 A-Z -"),
    ("kind", true, "filling_station, shop or inspection_body"),
    ("name", true, "its name"),
    ("address", false, "where it is, for people"),
    ("district", false, "administrative division: 2 to 6 digits"),
];

const WORKERS: &[Column] = &[
    ("id", true, "1 to 32 characters of 0-9 A-Z a-z - _"),
    ("name", true, "their name"),
    ("firm", false, "id of the maintenance firm that they work for"),
    ("phone", false, "how to reach them"),
    ("certificate", false, "the number of their certificate"),
    ("certified_until", false, "the last day on which it is good: YYYY-MM-DD"),
];

const RECORDS: &[Column] = &[
    ("firm", true, "id of the firm in the archive"),
    ("record", true, "the firm's own id of the record: 1 to 64 characters of 0-9 A-Z a-z - _ . :"),
    ("device", true, "code of the lift"),
    ("kind", true, "half-month, quarter, half-year, year, on-demand or repair"),
    ("workers", true, "ids of two workers or more, separated by blanks"),
    ("recorder", true, "id of whoever wrote it"),
    ("started_at", true, "2026-11-22T09:00:00+08:00"),
    ("ended_at", true, "likewise"),
    ("items", false, "ids with what became of each, good if nothing is said: t01..t31 t05=adjusted t07=failed"),
    ("problem", false, "S0 (if empty) to S7"),
    ("note", false, "what the problem is, or what was done"),
    ("next_on", false, "when the firm means to come again: YYYY-MM-DD"),
    ("supersedes", false, "id of the record that it corrects"),
    ("rectifies", false, "ids of records whose problem is no more, separated by blanks"),
    ("responsible", false, "who answers for it"),
    ("responsible_phone", false, "how to reach them"),
];

impl Kind {
    const ALL: &'static [Self] =
        &[Self::Lifts, Self::Cylinders, Self::Firms, Self::Sites, Self::Workers, Self::Records];

    fn columns(self) -> &'static [Column] {
        match self {
            Self::Lifts => LIFTS,
            Self::Cylinders => CYLINDERS,
            Self::Firms => FIRMS,
            Self::Sites => SITES,
            Self::Workers => WORKERS,
            Self::Records => RECORDS,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Lifts => "lifts",
            Self::Cylinders => "cylinders",
            Self::Firms => "firms",
            Self::Sites => "sites",
            Self::Workers => "workers",
            Self::Records => "records",
        }
    }
}

pub(super) fn help() -> String {
    let mut help = String::from("Columns, in any order (* must be there):\n");
    for kind in Kind::ALL {
        help += &format!("\n  {}\n", kind.name());
        for (name, must, what) in kind.columns() {
            help += &format!("    {:<19} {what}\n", format!("{name}{}", if *must { "*" } else { "" }));
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
        let name = match field.split_once('.').map_or(field, |(_, name)| name) {
            "contract" | "contract.from" => "contract_from",
            "contract.to" => "contract_to",
            "contract.on_demand_days" => "on_demand_days",
            "position.latitude_e7" => "latitude",
            "position.longitude_e7" => "longitude",
            // An element of a list, and perhaps a part of it.
            name => name.split(['[', '.']).next().unwrap_or(name),
        };
        self.names.iter().position(|own| own == name).map(|at| at + 1)
    }

    /// The code of a line: what tells its entry from others.
    pub(super) fn code<'a>(&self, fields: &[&'a str]) -> &'a str {
        self.text(fields, self.kind.columns()[0].0)
    }

    pub(super) fn text<'a>(&self, fields: &[&'a str], name: &str) -> &'a str {
        self.number(name).and_then(|number| fields.get(number - 1)).copied().unwrap_or_default()
    }

    /// The entry of a line, or for each word that can't be understood its field and why.
    pub(super) fn entry(&self, fields: &[&str]) -> Result<Entry, Vec<(&'static str, String)>> {
        let mut words = Words { columns: self, fields, faults: Vec::new() };
        let entry = match self.kind {
            Kind::Lifts => Entry::Lift(words.lift()),
            Kind::Cylinders => Entry::Cylinder(words.cylinder()),
            Kind::Firms => Entry::Firm(words.firm()),
            Kind::Sites => Entry::Site(words.site()),
            Kind::Workers => Entry::Worker(words.worker()),
            Kind::Records => unreachable!("records are no entries of the archive: `records` reads them"),
        };
        if words.faults.is_empty() { Ok(entry) } else { Err(words.faults) }
    }
}

/// A line, and what in it can't be understood.
struct Words<'a> {
    columns: &'a Columns,
    fields: &'a [&'a str],
    faults: Vec<(&'static str, String)>,
}

impl Words<'_> {
    fn word(&self, name: &str) -> &str {
        self.columns.text(self.fields, name)
    }

    fn text(&self, name: &str) -> String {
        self.word(name).to_owned()
    }

    /// A word that stands for something else; what the empty one stands for if it can't be understood.
    fn read<T: Default>(&mut self, name: &'static str, read: impl Fn(&str) -> Result<T, String>) -> T {
        read(self.word(name)).unwrap_or_else(|why| {
            self.faults.push((name, why));
            T::default()
        })
    }

    fn lift(&mut self) -> Lift {
        Lift {
            code: self.text("code"),
            equipment: self.read("equipment", equipment),
            catalogue: self.text("catalogue"),
            registration: self.text("registration"),
            use_registration: self.text("use_registration"),
            address: self.text("address"),
            district: self.text("district"),
            position: self.position(),
            rescue_code: self.text("rescue_code"),
            building: self.text("building"),
            feeder: self.text("feeder"),
            firm: self.text("firm"),
            contract: self.contract(),
            use_unit: self.text("use_unit"),
            officer: self.text("officer"),
            officer_phone: self.text("officer_phone"),
            keep_alive_s: self.read("keep_alive_s", |text| number(text, 86_400)),
            terminal: self.text("terminal"),
            base_on: self.text("base_on"),
            inspected_on: self.text("inspected_on"),
            inspection_due: self.text("inspection_due"),
            out_of_use_since: self.text("out_of_use_since"),
        }
    }

    fn position(&mut self) -> Option<Position> {
        let (latitude, longitude) = (self.word("latitude"), self.word("longitude"));
        if latitude.is_empty() && longitude.is_empty() {
            return None;
        }
        match position_from(latitude, longitude) {
            Ok(it) => Some(Position { latitude_e7: it.latitude_e7, longitude_e7: it.longitude_e7 }),
            Err(fault) => {
                self.faults.push(fault);
                None
            }
        }
    }

    fn contract(&mut self) -> Option<MaintenanceContract> {
        let (from, to) = (self.text("contract_from"), self.text("contract_to"));
        let on_demand_days = self.read("on_demand_days", |text| number(text, 365));
        let is_there = !from.is_empty() || !to.is_empty() || on_demand_days.is_some();
        is_there.then(|| MaintenanceContract { from, to, on_demand_days: on_demand_days.unwrap_or_default() })
    }

    fn cylinder(&mut self) -> Cylinder {
        let grams = |text: &str| number(text, 10_000_000);
        Cylinder {
            code: self.text("code"),
            aliases: self.word("aliases").split_whitespace().map(str::to_owned).collect(),
            stamped_number: self.text("stamped_number"),
            kind: self.text("kind"),
            medium: self.text("medium"),
            standard: self.text("standard"),
            made_on: self.text("made_on"),
            volume_ml: self.read("volume_ml", grams),
            tare_g: self.read("tare_g", grams),
            max_fill_g: self.read("max_fill_g", grams),
            filling_unit: self.text("filling_unit"),
            filling_unit_since: self.text("filling_unit_since"),
            entrusted: self.read("entrusted", entrusted),
            inspected_on: self.text("inspected_on"),
            inspection_due: self.text("inspection_due"),
            extended_until: self.text("extended_until"),
            scrapped: self.read("scrapped", yes),
            district: self.text("district"),
        }
    }

    fn firm(&self) -> Firm {
        Firm {
            id: self.text("id"),
            name: self.text("name"),
            phone: self.text("phone"),
            address: self.text("address"),
            district: self.text("district"),
        }
    }

    fn site(&mut self) -> Site {
        Site {
            code: self.text("code"),
            kind: self.read("kind", site_kind),
            name: self.text("name"),
            address: self.text("address"),
            district: self.text("district"),
        }
    }

    fn worker(&self) -> Worker {
        Worker {
            id: self.text("id"),
            name: self.text("name"),
            firm: self.text("firm"),
            phone: self.text("phone"),
            certificate: self.text("certificate"),
            certified_until: self.text("certified_until"),
        }
    }
}

/// Empty: none.
fn number(text: &str, most: u32) -> Result<Option<u32>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.parse().ok().filter(|number| (1..=most).contains(number));
    number.map(Some).ok_or_else(|| format!("{text:?} is no number from 1 to {most}"))
}

fn entrusted(text: &str) -> Result<Vec<Entrustment>, String> {
    let one = |text: &str| {
        let mut words = text.split_whitespace().map(str::to_owned);
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some(site), Some(from), to, None) => Ok(Entrustment { site, from, to: to.unwrap_or_default() }),
            _ => Err(format!("{text:?} does not fit: write SITE FROM [TO], and ; between several")),
        }
    };
    text.split(';').map(str::trim).filter(|text| !text.is_empty()).map(one).collect()
}

fn equipment(text: &str) -> Result<i32, String> {
    match text {
        "" => Ok(Equipment::Unspecified.into()),
        "lift" => Ok(Equipment::Lift.into()),
        "escalator" => Ok(Equipment::Escalator.into()),
        _ => Err(format!("{text:?} is neither lift nor escalator")),
    }
}

fn yes(text: &str) -> Result<bool, String> {
    match text {
        "" | "no" => Ok(false),
        "yes" => Ok(true),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::archive::{EntryKind, field_names};

    #[test]
    fn what_is_exported_can_be_imported() {
        for (kind, of) in [
            (Kind::Lifts, EntryKind::Lift),
            (Kind::Cylinders, EntryKind::Cylinder),
            (Kind::Firms, EntryKind::Firm),
            (Kind::Sites, EntryKind::Site),
            (Kind::Workers, EntryKind::Worker),
        ] {
            let columns: Vec<_> = kind.columns().iter().map(|(name, ..)| *name).collect();
            assert_eq!(columns, field_names(of));
        }
    }

    #[test]
    fn faults_of_parts_are_faults_of_their_column() {
        let lifts = Columns::read(Kind::Lifts, &["code", "contract_from", "on_demand_days", "longitude"]).unwrap();
        for (field, want) in [
            ("lift.code", Some(1)),
            ("lift.contract", Some(2)),
            ("lift.contract.from", Some(2)),
            ("lift.contract.to", None),
            ("lift.contract.on_demand_days", Some(3)),
            ("lift.position.longitude_e7", Some(4)),
            ("on_demand_days", Some(3)),
        ] {
            assert_eq!(lifts.number(field), want, "{field}");
        }
        let cylinders = Columns::read(Kind::Cylinders, &["code", "aliases", "entrusted"]).unwrap();
        assert_eq!(cylinders.number("cylinder.aliases[3]"), Some(2));
        assert_eq!(cylinders.number("cylinder.entrusted[0].from"), Some(3));
    }

    #[test]
    fn entrustments_are_sites_with_days() {
        let one =
            |site: &str, from: &str, to: &str| Entrustment { site: site.into(), from: from.into(), to: to.into() };
        assert_eq!(entrusted(""), Ok(Vec::new()));
        let two = vec![one("6401-B", "2026-01-01", "2026-12-31"), one("6401-C", "2026-05-01", "")];
        assert_eq!(entrusted("6401-B 2026-01-01 2026-12-31; 6401-C 2026-05-01;"), Ok(two));
        assert!(entrusted("6401-B").is_err());
        assert!(entrusted("6401-B 2026-01-01 2026-12-31 x").is_err());
    }
}
