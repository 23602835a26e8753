//! Gas cylinders.

use super::{day, in_order, short, shown};
use crate::limits::{ALIASES, ARCHIVE_TEXT_CHARS, ENTRUSTMENTS};
use crate::model::archive::{Cylinder, Entrustment};
use crate::model::ids::{CylinderCode, District, SiteCode};
use crate::proto::v1;
use crate::serve::grpc::Violations;
use crate::serve::grpc::convert::text;

/// Far above every cylinder: a number beyond it is of another unit.
const MOST: u32 = 10_000_000;

/// Its fields that aren't codes may be wrong, too: whoever asks looks whether anything was noted.
pub(super) fn cylinder_from(e: &v1::Cylinder, v: &mut Violations) -> Option<Cylinder> {
    let code = v.take("cylinder.code", CylinderCode::parse(&e.code));
    let filling_unit = v.optional("cylinder.filling_unit", &e.filling_unit, SiteCode::parse);
    let medium = v.optional("cylinder.medium", &e.medium, medium);
    let made_on = v.optional("cylinder.made_on", &e.made_on, day);
    let inspection_due = v.optional("cylinder.inspection_due", &e.inspection_due, day);
    let district = v.optional("cylinder.district", &e.district, District::parse);
    let aliases = aliases(e, v);
    let stamped_number = v.optional_text("cylinder.stamped_number", &e.stamped_number, ARCHIVE_TEXT_CHARS);
    let kind = v.optional("cylinder.kind", &e.kind, kind);
    let standard = v.optional_text("cylinder.standard", &e.standard, ARCHIVE_TEXT_CHARS);
    for (field, number) in [("volume_ml", e.volume_ml), ("tare_g", e.tare_g), ("max_fill_g", e.max_fill_g)] {
        if let Some(number) = number.filter(|number| !(1..=MOST).contains(number)) {
            v.add(format!("cylinder.{field}"), format!("{number} does not fit: 1 to {MOST}"));
        }
    }
    let since = v.optional("cylinder.filling_unit_since", &e.filling_unit_since, day);
    if since.is_some() && e.filling_unit.is_empty() {
        v.add("cylinder.filling_unit_since", "says nothing without `filling_unit`");
    }
    let entrusted = entrusted(e, v);
    let inspected_on = v.optional("cylinder.inspected_on", &e.inspected_on, day);
    let extended_until = v.optional("cylinder.extended_until", &e.extended_until, day);
    let made = ("cylinder.made_on", made_on);
    in_order(v, made, ("cylinder.inspected_on", inspected_on));
    in_order(v, made, ("cylinder.filling_unit_since", since));
    in_order(v, made, ("cylinder.inspection_due", inspection_due));
    in_order(v, made, ("cylinder.extended_until", extended_until));
    in_order(v, ("cylinder.inspected_on", inspected_on), ("cylinder.inspection_due", inspection_due));
    Some(Cylinder {
        code: code?,
        aliases,
        stamped_number,
        kind,
        medium,
        standard,
        made_on,
        volume_ml: e.volume_ml,
        tare_g: e.tare_g,
        max_fill_g: e.max_fill_g,
        filling_unit,
        filling_unit_since: since,
        entrusted,
        inspected_on,
        inspection_due,
        extended_until,
        scrapped: e.scrapped,
        district,
    })
}

fn aliases(e: &v1::Cylinder, v: &mut Violations) -> Vec<CylinderCode> {
    if e.aliases.len() > ALIASES {
        v.add("cylinder.aliases", format!("are {}; at most {ALIASES} are kept", e.aliases.len()));
    }
    let mut aliases = Vec::new();
    for (n, alias) in e.aliases.iter().take(ALIASES).enumerate() {
        let field = format!("cylinder.aliases[{n}]");
        let Some(code) = v.take(&field, CylinderCode::parse(alias)) else { continue };
        if *alias == e.code || aliases.contains(&code) {
            v.add(&field, format!("{alias} is there already: each code stands once"));
        }
        aliases.push(code);
    }
    aliases
}

fn entrusted(e: &v1::Cylinder, v: &mut Violations) -> Vec<Entrustment> {
    if e.entrusted.len() > ENTRUSTMENTS {
        v.add("cylinder.entrusted", format!("are {}; at most {ENTRUSTMENTS} are kept", e.entrusted.len()));
    }
    let mut entrusted = Vec::new();
    for (n, it) in e.entrusted.iter().take(ENTRUSTMENTS).enumerate() {
        let [site, from, to] = ["site", "from", "to"].map(|field| format!("cylinder.entrusted[{n}].{field}"));
        let code = v.take(&site, SiteCode::parse(&it.site));
        let first = v.take(&from, day(&it.from));
        let last = v.optional(&to, &it.to, day);
        in_order(v, (&from, first), (&to, last));
        if let (Some(site), Some(from)) = (code, first) {
            entrusted.push(Entrustment { site, from, to: last });
        }
    }
    entrusted
}

/// One, or several joined by `+`.
fn medium(text: &str) -> Result<Box<str>, String> {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    if text.len() <= 32 && text.split('+').all(is_word) {
        return Ok(text.into());
    }
    Err(format!(
        "{:?} does not fit: at most 32 characters of a-z 0-9 _, the parts of a mixture joined by +",
        short(text)
    ))
}

fn kind(text: &str) -> Result<Box<str>, String> {
    let is_fit = text.len() <= 32 && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
    if is_fit {
        return Ok(text.into());
    }
    Err(format!("{:?} does not fit: at most 32 characters of a-z 0-9 - _", short(text)))
}

pub(in crate::serve::grpc) fn cylinder_to(e: &Cylinder) -> v1::Cylinder {
    v1::Cylinder {
        code: e.code.to_string(),
        filling_unit: shown(e.filling_unit),
        medium: text(e.medium.as_deref()),
        made_on: shown(e.made_on),
        inspection_due: shown(e.inspection_due),
        scrapped: e.scrapped,
        district: shown(e.district),
        aliases: e.aliases.iter().map(ToString::to_string).collect(),
        stamped_number: text(e.stamped_number.as_deref()),
        kind: text(e.kind.as_deref()),
        volume_ml: e.volume_ml,
        tare_g: e.tare_g,
        max_fill_g: e.max_fill_g,
        standard: text(e.standard.as_deref()),
        filling_unit_since: shown(e.filling_unit_since),
        entrusted: e.entrusted.iter().map(entrustment_to).collect(),
        inspected_on: shown(e.inspected_on),
        extended_until: shown(e.extended_until),
    }
}

fn entrustment_to(it: &Entrustment) -> v1::Entrustment {
    v1::Entrustment { site: it.site.to_string(), from: it.from.to_string(), to: shown(it.to) }
}
