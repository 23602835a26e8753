//! Golden journals: timelines in `tests/golden/*.toml`, and what the core says of each in the `.effects` beside it.
//!
//! After an update a replay must say what was said before it, or the program must know that it doesn't. So when the
//! effects of a timeline change, `CORE_VERSION` has to change too. `BLESS=1` writes the files anew, if it has.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod timeline;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use vigil::core::{CORE_VERSION, Core};
use vigil::journal::codec::{decode_record, encode_effects, encode_record};
use vigil::model::alert::AlertEvent;
use vigil::model::incident::IncidentEvent;
use vigil::model::record::Record;
use vigil::model::row::{Effects, Row};

/// What the core says, for people and to the bit: the checksum is of what the outbox gets.
fn replay(records: &[Record]) -> String {
    let mut core = Core::new(1);
    let mut told = format!("core version {CORE_VERSION}\n");
    for record in records {
        let mut bytes = Vec::new();
        encode_record(record, &mut bytes);
        assert_eq!(&decode_record(record.pos, bytes.into()).unwrap(), record);
        tell(&mut told, record, &core.apply(record));
        if core.is_settled() {
            core = restored(&core);
        }
    }
    told
}

/// Wherever a snapshot lies, it changes nothing.
fn restored(core: &Core) -> Core {
    let bytes = core.freeze().encode();
    let restored = Core::restore(bytes.clone().into()).unwrap();
    assert!(restored.freeze().encode() == bytes, "a restored core freezes to other bytes");
    restored
}

/// A record that nothing follows from has no line.
fn tell(told: &mut String, record: &Record, effects: &Effects) {
    if effects.is_empty() && effects.reply.is_none() {
        return;
    }
    let mut bytes = Vec::new();
    encode_effects(record.pos, effects, &mut bytes);
    writeln!(told, "{} at {} ms: {:08x}", record.pos, record.elapsed.0, crc32c::crc32c(&bytes)).unwrap();
    effects.rows.iter().for_each(|it| writeln!(told, "    {}", row(it)).unwrap());
    effects.events.iter().for_each(|it| writeln!(told, "    {}", event(it)).unwrap());
    effects.incidents.iter().for_each(|it| writeln!(told, "    {}", incident(it)).unwrap());
    if let Some(reply) = &effects.reply {
        writeln!(told, "    reply {}", format!("{reply:?}").replace("\\n", " | ")).unwrap();
    }
}

fn row(row: &Row) -> String {
    match row {
        Row::Frame(it) => {
            let key = it.frame.key;
            format!(
                "frame {} {}-{}-{} {:?} {:?}",
                it.device, it.generation, key.boot, key.seq, it.order, it.time_source
            )
        }
        Row::Scan(it) => {
            let flags: Vec<&str> = it.flags.iter().map(|flag| flag.name()).collect();
            format!("scan {} {} {:?} {}", it.scan.cylinder, it.scan.event.name(), it.order, flags.join(" "))
        }
        Row::Reject(it) => format!("reject {} {:?} {}", it.reason.name(), &*it.pointer, it.detail),
        Row::Status(it) => format!("status {} {}", it.device, it.online),
        Row::Entry(it) => format!("entry {} {}", it.kind().name(), it.code()),
        Row::Change(it) => {
            let fields = it.fields.iter().map(|it| format!(" {}={}", it.field, it.after)).collect::<String>();
            format!("{} {} {} by {}{fields}", it.what.name(), it.kind.name(), it.code, it.actor)
        }
        Row::Due(it) => {
            let due_on = it.due_on.map_or("never".to_owned(), |day| day.to_string());
            format!("due {} {} {due_on} {}", it.subject, it.kind.name(), it.clause)
        }
        Row::Report(it) => {
            let report = &it.report;
            format!("report {} {} {} {}", report.device, report.party, report.id, report.kind.name())
        }
        Row::Visit(it) => format!("visit {} {} {}", it.visit.device, it.number, it.link),
        Row::Signature(it) => format!("signature {} {} {}", it.sign.device, it.number, it.link),
    }
}

fn event(it: &AlertEvent) -> String {
    let alert = &it.alert;
    let mut text = format!(
        "#{} {} {}: {} {} because {}",
        it.seq,
        it.kind.name(),
        alert.id,
        alert.severity.name(),
        alert.certainty.name(),
        it.reason.name()
    );
    let back_ms = it.published_at - it.at;
    if back_ms != 0 {
        write!(text, ", {back_ms} ms ago{}", if it.delayed { ", delayed" } else { "" }).unwrap();
    }
    for evidence in &alert.evidence {
        write!(text, ", {}={}", evidence.name, evidence.value).unwrap();
    }
    text
}

fn incident(it: &IncidentEvent) -> String {
    let (entry, state) = (&it.entry, it.incident.state.name());
    let about = entry.party.as_ref().map_or_else(String::new, |party| format!(" {} {}", party.tier.name(), party.id));
    format!("incident #{} {} {}{about}: {state}, +{} ms", entry.seq, it.incident.id, entry.what.name(), entry.since_ms)
}

fn check(file: &Path) {
    let told = replay(&timeline::read(file));
    let beside = file.with_extension("effects");
    let known = std::fs::read_to_string(&beside).unwrap_or_default();
    if told == known {
        return;
    }
    let raised = known.lines().next() != told.lines().next();
    if std::env::var_os("BLESS").is_some() && raised {
        return std::fs::write(&beside, told).unwrap();
    }
    let differs = told.lines().zip(known.lines()).position(|(now, before)| now != before);
    let line = differs.unwrap_or(told.lines().count().min(known.lines().count()));
    panic!(
        "{}: the core says something else than before, from line {} on:\n  before: {}\n  now:    {}\nIf that is meant, \
         raise CORE_VERSION in src/core/mod.rs (it is {CORE_VERSION}; not twice between two releases: then delete the \
         .effects files), run `BLESS=1 cargo test --test golden`, and look at what has changed.",
        beside.display(),
        line + 1,
        known.lines().nth(line).unwrap_or("(nothing)"),
        told.lines().nth(line).unwrap_or("(nothing)"),
    );
}

#[test]
fn the_core_says_what_it_said_before() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    files.sort();
    assert!(files.len() >= 4, "{files:?}");
    files.iter().for_each(|file| check(file));
}
