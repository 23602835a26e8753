//! `tables/dispatch.toml`: who is sent to a rescue, and by when they are expected.

use toml::de::DeTable;

use super::Source;
use super::cylinders::entries;
use super::read::source;
use crate::core::rules::section::{Faults, Section, Text};
use crate::limits;
use crate::model::ids::{CodeError, District, FirmId, SiteCode};
use crate::model::incident::{Party, Tier};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dispatching {
    deadlines: Box<[Deadlines]>,
    stations: Box<[Station]>,
    publics: Box<[Public]>,
    duties: Box<[Duty]>,
    reassuring: Box<[Reassuring]>,
}

/// Where terminals are asked to reassure whoever is trapped, and how long that is good.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reassuring {
    districts: Box<[District]>,
    good_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadlines {
    districts: Box<[District]>,
    pub accept_ms: i64,
    pub arrive_ms: i64,
    /// Whether the first tier, and each next one, is commanded without asking anybody.
    pub commands_first: bool,
    pub commands_next: bool,
    pub source: Source,
}

/// Degrees in units of 1e-7, WGS 84.
pub type LatLon = (i32, i32);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Station {
    party: Party,
    districts: Box<[District]>,
    at: Option<LatLon>,
    hours: Hours,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Public {
    party: Party,
    districts: Box<[District]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Duty {
    firm: FirmId,
    hours: Hours,
    name: Box<str>,
    phone: Box<str>,
}

/// Minutes of the day, from and to; over midnight where the end is not later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hours(u16, u16);

impl Hours {
    const ALWAYS: Self = Self(0, 1_440);

    fn parse(text: &str) -> Option<Self> {
        let minute = |text: &str| {
            let (hour, minute) = text.split_once(':').filter(|(h, m)| h.len() == 2 && m.len() == 2)?;
            let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
            (minute < 60 && hour * 60 + minute <= 1_440).then_some(hour * 60 + minute)
        };
        let (from, to) = text.split_once('-')?;
        let hours = Self(minute(from)?, minute(to)?);
        (hours.0 != hours.1 && hours.0 < 1_440).then_some(hours)
    }

    fn holds(self, minute: u16) -> bool {
        let Self(from, to) = self;
        if from < to { (from..to).contains(&minute) } else { minute >= from || minute < to }
    }
}

impl Dispatching {
    /// What counts in a district; `None`: nothing is expected by any time, and nobody is sent without being asked.
    pub fn deadlines(&self, district: Option<&District>) -> Option<&Deadlines> {
        most_particular(&self.deadlines, |it| &it.districts, district)
    }

    /// How long words for whoever is trapped are good; `None`: nothing is said to them.
    pub fn reassure_ms(&self, district: Option<&District>) -> Option<i64> {
        most_particular(&self.reassuring, |it| &it.districts, district).map(|it| it.good_ms)
    }

    /// The station of that id, whether on duty or not: somebody named it.
    pub fn station(&self, id: &str) -> Option<&Party> {
        self.stations.iter().map(|station| &station.party).find(|party| *party.id == *id)
    }

    /// Of the stations that serve a district and are on duty at that minute of the day, the one nearest to `at`. Where
    /// that isn't known of the lift or of a station, the first in the file.
    pub fn nearest_station(&self, district: Option<&District>, at: Option<LatLon>, minute: u16) -> Option<&Party> {
        let serving =
            self.stations.iter().filter(|it| it.hours.holds(minute) && reach(&it.districts, district).is_some());
        let distance = |station: &&Station| at.zip(station.at).map_or(u64::MAX, |(a, b)| apart(a, b));
        serving.min_by_key(distance).map(|station| &station.party)
    }

    pub fn public(&self, district: Option<&District>, id: Option<&str>) -> Option<&Party> {
        match id {
            Some(id) => self.publics.iter().map(|it| &it.party).find(|party| *party.id == *id),
            None => most_particular(&self.publics, |it| &it.districts, district).map(|it| &it.party),
        }
    }

    /// Who answers for a firm at that minute of the day: name and phone.
    pub fn on_duty(&self, firm: &FirmId, minute: u16) -> Option<(&str, &str)> {
        let duty = self.duties.iter().find(|duty| duty.firm == *firm && duty.hours.holds(minute))?;
        Some((&duty.name, &duty.phone))
    }
}

/// How many digits of a district an entry names; 0 where it is for all.
fn reach(districts: &[District], of: Option<&District>) -> Option<usize> {
    if districts.is_empty() {
        return Some(0);
    }
    let within = |other: &&District| of.is_some_and(|of| of.is_within(other));
    districts.iter().filter(within).map(|district| district.as_str().len()).max()
}

/// The entry that names the most of a district's digits, the first in the file of several.
fn most_particular<'t, T>(
    entries: &'t [T],
    districts: impl Fn(&T) -> &[District],
    of: Option<&District>,
) -> Option<&'t T> {
    let reaching = entries.iter().filter_map(|entry| Some((reach(districts(entry), of)?, entry)));
    reaching.rev().max_by_key(|(digits, _)| *digits).map(|(_, entry)| entry)
}

/// A measure of the distance, to compare by: on the scale of a city the earth is flat, and a degree of longitude as long
/// as the cosine of the latitude says.
fn apart((lat, lon): LatLon, (other_lat, other_lon): LatLon) -> u64 {
    let (north, east) = (i64::from(lat) - i64::from(other_lat), i64::from(lon) - i64::from(other_lon));
    // By Bhaskara's approximation, in thousandths: integers give the same on every machine.
    let degree = (i64::from(lat) / 10_000_000).unsigned_abs().min(90);
    let cos = 1_000 * (32_400 - 4 * degree * degree) / (32_400 + degree * degree);
    let east = east.unsigned_abs().min(3_600_000_000) * cos / 1_000;
    // In units of 1e-5 degrees, some metre, the squares fit.
    let (north, east) = (north.unsigned_abs() / 100, east / 100);
    north * north + east * east
}

pub(super) fn read(root: &DeTable<'_>, faults: &mut Faults) -> Dispatching {
    let top =
        Section::new(root, 0, "the table of dispatch", &["deadlines", "station", "public", "duty", "reassure"], faults);
    Dispatching {
        deadlines: entries(&top, "deadlines", limits::TABLE_ENTRIES, faults, deadlines),
        stations: entries(&top, "station", limits::STATIONS, faults, station),
        publics: entries(&top, "public", limits::TABLE_ENTRIES, faults, public),
        duties: entries(&top, "duty", limits::DUTIES, faults, duty),
        reassuring: entries(&top, "reassure", limits::TABLE_ENTRIES, faults, reassuring),
    }
}

fn deadlines(start: usize, table: &DeTable<'_>, faults: &mut Faults) -> Option<Deadlines> {
    let keys = &["districts", "accept", "arrive", "first", "next", "source", "standing"];
    let section = Section::new(table, start, "an entry of deadlines", keys, faults);
    let (districts, source) = (districts(&section, faults), source(&section, faults));
    let [accept, arrive] = ["accept", "arrive"].map(|key| deadline_ms(&section, key, faults));
    let [first, next] = ["first", "next"].map(|key| commands(&section, key, faults));
    let [accept_ms, arrive_ms] = [accept?, arrive?];
    Some(Deadlines { districts, accept_ms, arrive_ms, commands_first: first?, commands_next: next?, source })
}

fn reassuring(start: usize, table: &DeTable<'_>, faults: &mut Faults) -> Option<Reassuring> {
    let section = Section::new(table, start, "an entry of reassure", &["districts", "good_for"], faults);
    let districts = districts(&section, faults);
    Some(Reassuring { districts, good_ms: deadline_ms(&section, "good_for", faults)? })
}

fn deadline_ms(section: &Section<'_>, key: &str, faults: &mut Faults) -> Option<i64> {
    let start = section.need(key, faults)?.span().start;
    match section.span_ms(key, faults)? {
        span_ms @ 1..=limits::DEADLINE_MS => Some(span_ms),
        _ => faults.add(start, format!("`{key}` is longer than 0 and at most 24h")),
    }
}

fn commands(section: &Section<'_>, key: &str, faults: &mut Faults) -> Option<bool> {
    let text = section.need_text(key, faults)?;
    match text.value {
        "propose" => Some(false),
        "command" => Some(true),
        other => faults.add(text.span.start, format!("`{key}` is \"propose\" or \"command\", not {other:?}")),
    }
}

fn station(start: usize, table: &DeTable<'_>, faults: &mut Faults) -> Option<Station> {
    let keys = &["id", "name", "phone", "districts", "latitude", "longitude", "duty"];
    let section = Section::new(table, start, "a station", keys, faults);
    let districts = districts(&section, faults);
    let party = party(&section, Tier::Station, faults);
    let latitude = degrees(&section, "latitude", 90, faults);
    let longitude = degrees(&section, "longitude", 180, faults);
    if section.has("latitude") != section.has("longitude") {
        faults.add::<()>(start, "a station has both `latitude` and `longitude`, or neither");
    }
    let hours = hours(&section, "duty", faults);
    Some(Station { party: party?, districts, at: latitude.zip(longitude), hours: hours.unwrap_or(Hours::ALWAYS) })
}

fn public(start: usize, table: &DeTable<'_>, faults: &mut Faults) -> Option<Public> {
    let section = Section::new(table, start, "public rescue", &["id", "name", "phone", "districts"], faults);
    let districts = districts(&section, faults);
    Some(Public { party: party(&section, Tier::Public, faults)?, districts })
}

fn duty(start: usize, table: &DeTable<'_>, faults: &mut Faults) -> Option<Duty> {
    let section = Section::new(table, start, "a duty", &["firm", "hours", "name", "phone"], faults);
    let firm = section.need_text("firm", faults).and_then(|text| code(&text, FirmId::parse, faults));
    section.need("hours", faults);
    let hours = hours(&section, "hours", faults);
    let [name, phone] = ["name", "phone"].map(|key| words(&section, key, faults));
    Some(Duty { firm: firm?, hours: hours?, name: name?, phone: phone? })
}

fn party(section: &Section<'_>, tier: Tier, faults: &mut Faults) -> Option<Party> {
    // A station's account is one of a site, a public one has none: any short text is its id.
    let id = match tier {
        Tier::Station => section
            .need_text("id", faults)
            .and_then(|text| code(&text, SiteCode::parse, faults))
            .map(|code| code.as_str().into()),
        Tier::Firm | Tier::Public => words(section, "id", faults),
    };
    let name = words(section, "name", faults);
    let phone = if section.has("phone") { words(section, "phone", faults) } else { None };
    Some(Party { tier, id: id?, name: name?, phone })
}

fn words(section: &Section<'_>, key: &str, faults: &mut Faults) -> Option<Box<str>> {
    let text = section.need_text(key, faults)?;
    let fits = (1..=limits::TABLE_TEXT_CHARS).contains(&text.value.chars().count());
    if fits && !text.value.chars().any(char::is_control) {
        return Some(text.value.into());
    }
    let most = limits::TABLE_TEXT_CHARS;
    faults.add(text.span.start, format!("`{key}` has 1 to {most} characters, none of them a control character"))
}

fn code<T>(text: &Text<'_>, parse: impl Fn(&str) -> Result<T, CodeError>, faults: &mut Faults) -> Option<T> {
    match parse(text.value) {
        Ok(code) => Some(code),
        Err(error) => faults.add(text.span.start, error.to_string()),
    }
}

fn districts(section: &Section<'_>, faults: &mut Faults) -> Box<[District]> {
    let texts = section.texts("districts", faults);
    texts.iter().filter_map(|text| code(text, District::parse, faults)).collect()
}

fn hours(section: &Section<'_>, key: &str, faults: &mut Faults) -> Option<Hours> {
    let text = section.text(key, faults)?;
    match Hours::parse(text.value) {
        Some(hours) => Some(hours),
        None => faults.add(text.span.start, format!("`{key}` is {:?}: write such as \"08:00-20:00\"", text.value)),
    }
}

/// Up to seven decimals, as text: a number of TOML would be rounded on its way.
fn degrees(section: &Section<'_>, key: &str, most: i64, faults: &mut Faults) -> Option<i32> {
    let text = section.text(key, faults)?;
    let read = || {
        let (sign, digits) = text.value.strip_prefix('-').map_or((1, text.value), |rest| (-1, rest));
        let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
        let plain =
            |digits: &str, most| (1..=most).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        let fits = plain(whole, 3) && plain(part, 7);
        let e7 = fits.then(|| format!("{whole}{part:0<7}").parse::<i64>().ok())??;
        (e7 <= most * 10_000_000).then_some(sign * e7)
    };
    let e7 = read().and_then(|e7| i32::try_from(e7).ok());
    e7.or_else(|| {
        let wanted = format!("degrees up to {most} with up to seven decimals, such as \"38.4863700\"");
        faults.add(text.span.start, format!("`{key}` is {:?}: write {wanted}", text.value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tables;

    fn parse(text: &str) -> Dispatching {
        tables::parse(&[("tables/dispatch.toml".into(), text.into())]).unwrap().dispatch
    }

    #[test]
    fn hours_are_read_and_go_over_midnight() {
        for (text, holds, not) in [
            ("00:00-24:00", &[0, 720, 1_439][..], &[][..]),
            ("08:00-20:00", &[480, 1_199], &[479, 1_200]),
            ("18:00-08:00", &[1_080, 1_439, 0, 479], &[480, 1_079]),
        ] {
            let hours = Hours::parse(text).unwrap();
            assert!(holds.iter().all(|minute| hours.holds(*minute)), "{text}");
            assert!(!not.iter().any(|minute| hours.holds(*minute)), "{text}");
        }
        for bad in
            ["", "08:00", "8:00-20:00", "08:60-20:00", "08:00-08:00", "24:00-08:00", "08:00-24:01", "aa:bb-cc:dd"]
        {
            assert_eq!(Hours::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_shipped_table_knows_the_two_deadlines() {
        let table = parse(include_str!("../../../config/rules/tables/dispatch.toml"));
        let of = |district: &str| {
            let it = table.deadlines(Some(&District::parse(district).unwrap())).unwrap();
            (it.accept_ms, it.arrive_ms, it.commands_first, it.commands_next)
        };
        assert_eq!(of("640104"), (180_000, 1_800_000, false, false));
        assert_eq!(of("640181"), (180_000, 1_800_000, false, false));
        assert_eq!(of("640422"), (180_000, 3_600_000, false, false));
        assert_eq!(table.deadlines(None).unwrap().arrive_ms, 3_600_000);
        assert_eq!(&*table.public(None, None).unwrap().name, "119");
        assert_eq!(Dispatching::default().deadlines(None), None, "without a table nothing is expected");
    }

    /// Two stations lie some 5 km apart, east and west of a lift; a third serves another district, a fourth is asleep.
    #[test]
    fn the_nearest_station_on_duty_is_found() {
        let table = parse(
            "[[station]]\nid = \"WEST\"\nname = \"west\"\ndistricts = [\"640104\"]\nlatitude = \"38.48\"\nlongitude = \"106.20\"\n\
             [[station]]\nid = \"EAST\"\nname = \"east\"\ndistricts = [\"6401\"]\nlatitude = \"38.48\"\nlongitude = \"106.26\"\nduty = \"08:00-20:00\"\n\
             [[station]]\nid = \"OTHER\"\nname = \"other\"\ndistricts = [\"640105\"]\nlatitude = \"38.48\"\nlongitude = \"106.25\"\n\
             [[station]]\nid = \"SOMEWHERE\"\nname = \"somewhere\"\ndistricts = [\"6401\"]\n",
        );
        let district = District::parse("640104").unwrap();
        let find = |at, minute| table.nearest_station(Some(&district), at, minute).map(|party| party.id.to_string());
        for (at, minute, want) in [
            (Some((384_800_000, 1_062_500_000)), 600, "EAST"),
            (Some((384_800_000, 1_062_500_000)), 1_300, "WEST"),
            (Some((384_800_000, 1_062_200_000)), 600, "WEST"),
            (None, 600, "WEST"),
        ] {
            assert_eq!(find(at, minute).as_deref(), Some(want), "{at:?} at {minute}");
        }
        assert_eq!(table.nearest_station(None, None, 600), None, "who serves districts serves no unknown one");
        assert_eq!(table.station("OTHER").map(|party| &*party.name), Some("other"));
    }

    /// At 60° north a degree of longitude is half as long as one of latitude.
    #[test]
    fn distances_know_that_meridians_converge() {
        let at = (600_000_000, 100_000_000);
        let (north, east) = (apart(at, (601_000_000, 100_000_000)), apart(at, (600_000_000, 101_900_000)));
        assert!(east < north, "{east} {north}");
        assert!(apart(at, (600_000_000, 102_100_000)) > north);
        assert!(apart((900_000_000, 1_800_000_000), (-900_000_000, -1_800_000_000)) > 0);
    }

    #[test]
    fn faults_are_told_where_they_stand() {
        let check = |text: &str, want: &str| {
            let faults = tables::parse(&[("tables/dispatch.toml".into(), text.into())]).unwrap_err();
            let told: Vec<_> = faults.iter().map(|fault| format!("{}: {}", fault.line, fault.message)).collect();
            assert!(told.iter().any(|told| told.contains(want)), "{want:?} is not in {told:#?}");
        };
        let of_deadlines = |extra: &str| {
            format!(
                "[[deadlines]]\naccept = \"3m\"\narrive = \"1h\"\nfirst = \"propose\"\nsource = \"x\"\nstanding = \"std\"\n{extra}"
            )
        };
        check(&of_deadlines(""), "needs `next`");
        check(&of_deadlines("next = \"ask\"\n"), "7: `next` is \"propose\" or \"command\", not \"ask\"");
        check(&of_deadlines("next = \"propose\"\ndistricts = [\"6\"]\n"), "8: ");
        check("[[deadlines]]\naccept = \"25h\"\n", "2: `accept` is longer than 0 and at most 24h");
        check(
            "[[station]]\nid = \"EAST\"\nname = \"e\"\nlatitude = \"91\"\nlongitude = \"1.12345678\"\n",
            "4: `latitude`",
        );
        check("[[station]]\nid = \"EAST\"\nname = \"e\"\nlatitude = \"90\"\n", "both `latitude` and `longitude`");
        check("[[duty]]\nfirm = \"F\"\nhours = \"8-20\"\nname = \"x\"\nphone = \"1\"\n", "3: `hours`");
        check("[[public]]\nid = \"119\"\nname = \"\"\n", "3: `name` has 1 to");
        check("[[station]]\nid = \"e\"\nname = \"e\"\n", "2: ");
    }
}
