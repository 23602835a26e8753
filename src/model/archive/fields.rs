//! Entries in words, field by field: as the columns of a CSV file, and as the history of changes tells them.

use super::{Contract, ContractKind, Cylinder, Entrustment, Entry, EntryKind, Firm, Lift, Position, Site, Worker};

/// What the fields of such an entry are called, the code first.
pub fn field_names(kind: EntryKind) -> &'static [&'static str] {
    match kind {
        EntryKind::Lift => &[
            "code",
            "equipment",
            "catalogue",
            "registration",
            "use_registration",
            "address",
            "district",
            "latitude",
            "longitude",
            "rescue_code",
            "building",
            "feeder",
            "firm",
            "contract_from",
            "contract_to",
            "on_demand_days",
            "use_unit",
            "officer",
            "officer_phone",
            "keep_alive_s",
            "terminal",
            "base_on",
            "inspected_on",
            "inspection_due",
            "out_of_use_since",
        ],
        EntryKind::Cylinder => &[
            "code",
            "aliases",
            "stamped_number",
            "kind",
            "medium",
            "standard",
            "made_on",
            "volume_ml",
            "tare_g",
            "max_fill_g",
            "filling_unit",
            "filling_unit_since",
            "entrusted",
            "inspected_on",
            "inspection_due",
            "extended_until",
            "scrapped",
            "district",
        ],
        EntryKind::Firm => &["id", "name", "phone", "address", "district"],
        EntryKind::Site => &["code", "kind", "name", "address", "district"],
        EntryKind::Worker => &["id", "name", "firm", "phone", "certificate", "certified_until"],
    }
}

/// What they hold, in the order of their names. What isn't known is empty.
pub fn field_texts(entry: &Entry) -> Vec<String> {
    match entry {
        Entry::Lift(it) => of_lift(it),
        Entry::Cylinder(it) => of_cylinder(it),
        Entry::Firm(it) => of_firm(it),
        Entry::Site(it) => of_site(it),
        Entry::Worker(it) => of_worker(it),
    }
}

/// A field that has another value than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// One of `field_names`, or `generation`, which counts the terminals of a lift.
    pub field: Box<str>,
    /// Empty: it wasn't known.
    pub before: Box<str>,
    /// Empty: it isn't known any more.
    pub after: Box<str>,
}

/// What differs between two states of one entry.
pub fn changes(before: &Entry, after: &Entry) -> Vec<FieldChange> {
    let names = field_names(after.kind());
    let texts = field_texts(before).into_iter().zip(field_texts(after));
    let changed = names.iter().zip(texts).filter(|(_, (before, after))| before != after);
    let change = |(name, (before, after)): (&&str, (String, String))| FieldChange {
        field: (*name).into(),
        before: before.into(),
        after: after.into(),
    };
    changed.map(change).collect()
}

fn of_lift(it: &Lift) -> Vec<String> {
    let [latitude, longitude] =
        it.position.map(|it| [it.latitude_e7, it.longitude_e7].map(degrees)).unwrap_or_default();
    let on_demand = |contract: Contract| match contract.kind {
        ContractKind::Calendar => None,
        ContractKind::OnDemand { every_days } => Some(every_days),
    };
    vec![
        it.code.to_string(),
        it.equipment.name().to_owned(),
        shown(it.catalogue),
        shown(it.registration),
        text(&it.use_registration),
        text(&it.address),
        shown(it.district),
        latitude,
        longitude,
        text(&it.rescue_code),
        shown(it.building),
        shown(it.feeder),
        shown(it.firm),
        shown(it.contract.map(|contract| contract.from)),
        shown(it.contract.and_then(|contract| contract.to)),
        shown(it.contract.and_then(on_demand)),
        text(&it.use_unit),
        text(&it.officer),
        text(&it.officer_phone),
        shown(it.keep_alive_s),
        text(&it.terminal),
        shown(it.base_on),
        shown(it.inspected_on),
        shown(it.inspection_due),
        shown(it.out_of_use_since),
    ]
}

fn of_cylinder(it: &Cylinder) -> Vec<String> {
    let aliases: Vec<&str> = it.aliases.iter().map(|code| code.as_str()).collect();
    let entrusted: Vec<String> = it.entrusted.iter().map(entrustment).collect();
    vec![
        it.code.to_string(),
        aliases.join(" "),
        text(&it.stamped_number),
        text(&it.kind),
        text(&it.medium),
        text(&it.standard),
        shown(it.made_on),
        shown(it.volume_ml),
        shown(it.tare_g),
        shown(it.max_fill_g),
        shown(it.filling_unit),
        shown(it.filling_unit_since),
        entrusted.join("; "),
        shown(it.inspected_on),
        shown(it.inspection_due),
        shown(it.extended_until),
        if it.scrapped { "yes" } else { "no" }.to_owned(),
        shown(it.district),
    ]
}

fn of_firm(it: &Firm) -> Vec<String> {
    vec![it.id.to_string(), it.name.to_string(), text(&it.phone), text(&it.address), shown(it.district)]
}

fn of_site(it: &Site) -> Vec<String> {
    vec![it.code.to_string(), it.kind.name().to_owned(), it.name.to_string(), text(&it.address), shown(it.district)]
}

fn of_worker(it: &Worker) -> Vec<String> {
    vec![
        it.id.to_string(),
        it.name.to_string(),
        shown(it.firm),
        text(&it.phone),
        text(&it.certificate),
        shown(it.certified_until),
    ]
}

fn entrustment(it: &Entrustment) -> String {
    let to = it.to.map(|to| format!(" {to}")).unwrap_or_default();
    format!("{} {}{to}", it.site, it.from)
}

fn text(text: &Option<Box<str>>) -> String {
    text.as_deref().unwrap_or_default().to_owned()
}

fn shown(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

const UNITS: i64 = 10_000_000;

/// All seven decimals, so that nothing is lost and no float is needed.
fn degrees(e7: i32) -> String {
    let (sign, all) = (if e7 < 0 { "-" } else { "" }, i64::from(e7).abs());
    format!("{sign}{}.{:07}", all / UNITS, all % UNITS)
}

/// Degrees with up to seven decimals, as units of 1e-7.
fn degrees_from(text: &str) -> Option<i32> {
    let (sign, rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, decimals) = rest.split_once('.').unwrap_or((rest, "0"));
    let is_number =
        |digits: &str, most| (1..=most).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole, 3) || !is_number(decimals, 7) {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let decimals: i64 = format!("{decimals:0<7}").parse().ok()?;
    i32::try_from(sign * (whole * UNITS + decimals)).ok()
}

/// A position from latitude and longitude in degrees, or which of them is wrong.
pub fn position_from(latitude: &str, longitude: &str) -> Result<Position, (&'static str, String)> {
    let read = |name, text: &str, most: i64| {
        let within = |e7: &i32| i64::from(*e7).abs() <= most * UNITS;
        let why = || format!("{text:?} is no number of degrees from -{most} to {most} with up to 7 decimals");
        degrees_from(text).filter(within).ok_or_else(|| (name, why()))
    };
    Ok(Position { latitude_e7: read("latitude", latitude, 90)?, longitude_e7: read("longitude", longitude, 180)? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::arbitrary;

    proptest! {
        #[test]
        fn every_field_has_a_name(entry in arbitrary::entry()) {
            let (names, texts) = (field_names(entry.kind()), field_texts(&entry));
            prop_assert_eq!(names.len(), texts.len());
            prop_assert_eq!(&texts[0], entry.code());
        }

        #[test]
        fn positions_read_back_what_they_show(latitude_e7 in -900_000_000..=900_000_000, longitude_e7 in -1_800_000_000..=1_800_000_000) {
            let [latitude, longitude] = [latitude_e7, longitude_e7].map(degrees);
            prop_assert_eq!(position_from(&latitude, &longitude), Ok(Position { latitude_e7, longitude_e7 }));
        }
    }

    #[test]
    fn changes_name_what_differs() {
        let before = Firm { phone: Some("1".into()), ..Firm::new("f".parse().unwrap(), "A") };
        let after = Firm { phone: None, district: "6401".parse().ok(), ..before.clone() };
        let changes = changes(&Entry::Firm(before), &Entry::Firm(after));
        let told: Vec<_> = changes.iter().map(|it| (&*it.field, &*it.before, &*it.after)).collect();
        assert_eq!(told, [("phone", "1", ""), ("district", "", "6401")]);
    }

    #[test]
    fn degrees_are_read_strictly() {
        for (text, want) in [
            ("38.4871933", Some(384_871_933)),
            ("-0.5", Some(-5_000_000)),
            ("90", Some(900_000_000)),
            ("", None),
            ("-", None),
            (".5", None),
            ("1.", None),
            ("1e2", None),
            ("+1", None),
            ("1.00000001", None),
            ("999", None),
        ] {
            assert_eq!(degrees_from(text), want, "{text:?}");
        }
        assert_eq!(position_from("90.0000001", "0").unwrap_err().0, "latitude");
        assert_eq!(position_from("1", "180.1").unwrap_err().0, "longitude");
    }
}
