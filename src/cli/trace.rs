//! `vigil trace`: one cylinder's whole life.

use std::process::ExitCode;

use prost_types::Timestamp;
use serde_json::{Value, json};

use super::show::{Language, Look, clean, event_json};
use super::time::{FORMS, Moment, Zone, civil, rfc3339, to_proto};
use super::{Server, Terminal, history, refused};
use crate::model::scan::ScanEvent;
use crate::model::visit::{Problem, VisitKind};
use crate::proto::v1::chain_link::What;
use crate::proto::v1::cylinder_service_client::CylinderServiceClient;
use crate::proto::v1::stored_scan::Event as StoredEvent;
use crate::proto::v1::timeline_item::Item;
use crate::proto::v1::{
    ChainLink, CylinderStep, DeviceChange, DeviceChangeKind, FieldChange, StoredScan, TraceCylinderRequest,
};

/// Show the life of a gas cylinder: its scans, who had it, its fillings, what filling guns were told, its alerts
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Code of the cylinder, now or before it was relabelled
    cylinder: String,
    #[command(flatten)]
    server: Server,
    #[arg(long, value_name = "TIME", default_value = "1970-01-02", value_parser = Moment::parse, help = format!("From this time on: {FORMS}"))]
    from: Moment,
    /// Up to this time, but not at it
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = Moment::parse)]
    to: Moment,
    /// One JSON object a line instead
    #[arg(long)]
    json: bool,
    /// Language of titles
    #[arg(long, value_enum, default_value = "en")]
    lang: Language,
    #[command(flatten)]
    zone: Zone,
}

pub(super) async fn run(args: Args, terminal: &mut Terminal) -> anyhow::Result<ExitCode> {
    let moment = |moment: Moment| moment.resolve(history::now(), &args.zone.zone).map_err(anyhow::Error::msg);
    let (from, to) = (to_proto(moment(args.from)?), to_proto(moment(args.to)?));
    let order = |at: &Timestamp| (at.seconds, at.nanos);
    let is_wanted = |step: &CylinderStep| {
        let at = step.item.as_ref().and_then(|item| item.at.as_ref());
        at.is_none_or(|at| (order(&from)..order(&to)).contains(&order(at)))
    };
    let look = Look { zone: args.zone.zone.clone(), language: args.lang, colour: terminal.colour };
    let mut client = CylinderServiceClient::new(args.server.connect().await?);
    let request = TraceCylinderRequest { cylinder: args.cylinder.clone() };
    let mut life = client.trace_cylinder(request).await.map_err(|status| refused(&status))?.into_inner();
    let mut count = 0;
    let mut holder = String::new();
    while let Some(message) = life.message().await.map_err(|status| refused(&status))? {
        for step in &message.steps {
            let had_by = std::mem::replace(&mut holder, step.holder.clone());
            if !is_wanted(step) {
                continue;
            }
            count += 1;
            let line = if args.json { step_json(step).to_string() } else { line(step, &args.cylinder, &had_by, &look) };
            terminal.line(&line)?;
        }
    }
    if count == 0 {
        terminal.notice(&format!(
            "# nothing is known to have happened to cylinder {} in that time",
            clean(&args.cylinder)
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `asked`: the code that was asked for; `had_by`: who had the cylinder before.
fn line(step: &CylinderStep, asked: &str, had_by: &str, look: &Look) -> String {
    let at = step.item.as_ref().and_then(|item| item.at.as_ref());
    match step.item.as_ref().and_then(|item| item.item.as_ref()) {
        Some(Item::AlertEvent(event)) => look.event(event),
        Some(Item::Scan(scan)) => {
            let mut words = scan_words(scan);
            if scan.cylinder != asked {
                words += &format!(" | as {}", clean(&scan.cylinder));
            }
            if scan.event == StoredEvent::Filled as i32 {
                words += &format!(" | filling {}", step.fills);
            }
            if step.holder != had_by {
                words += &match &*step.holder {
                    "" => " | now with nobody known".to_owned(),
                    holder => format!(" | now with {}", clean(holder)),
                };
            }
            format!("{} {words}", civil(at, &look.zone))
        }
        Some(Item::Status(status)) => {
            format!("{} {}", civil(at, &look.zone), if status.online { "online" } else { "offline" })
        }
        Some(Item::Record(link)) => format!("{} {}", civil(at, &look.zone), link_words(link)),
        Some(Item::Change(change)) => format!("{} {}", civil(at, &look.zone), change_words(change)),
        None => format!("{} something that this version doesn't know", civil(at, &look.zone)),
    }
}

fn event_name(scan: &StoredScan) -> &'static str {
    ScanEvent::from_number(scan.event.into()).map_or("unknown", ScanEvent::name)
}

fn scan_words(scan: &StoredScan) -> String {
    let mut words = format!("{:<18} at {} by {}", event_name(scan), clean(&scan.site), clean(&scan.scanner));
    for (name, text) in [("operator", &scan.operator), ("counterparty", &scan.counterparty), ("medium", &scan.medium)] {
        if !text.is_empty() {
            words += &format!(" | {name} {}", clean(text));
        }
    }
    let amounts = [
        ("tare", scan.tare_g, "g"),
        ("gross", scan.gross_g, "g"),
        ("net", scan.net_g, "g"),
        ("pressure", scan.pressure_kpa, "kPa"),
    ];
    for (name, amount, unit) in amounts {
        if let Some(amount) = amount {
            words += &format!(" | {name} {amount} {unit}");
        }
    }
    if let Some(passed) = scan.passed {
        words += if passed { " | passed" } else { " | not passed" };
    }
    if let Some(verdict) = &scan.verdict {
        words += if verdict.allow { " | allowed" } else { " | denied" };
        for (n, reason) in verdict.reasons.iter().enumerate() {
            words += if n == 0 { ": " } else { ", " };
            words += &clean(reason);
        }
    }
    for finding in scan.findings.iter().chain(&scan.flags) {
        words += &format!(" | {}", clean(finding));
    }
    words
}

fn link_words(link: &ChainLink) -> String {
    match &link.what {
        Some(What::Record(stored)) => {
            let record = stored.record.clone().unwrap_or_default();
            let kind = VisitKind::from_number(record.kind).map_or("unknown", VisitKind::name);
            let problem = Problem::from_number(record.problem).map_or("unknown", Problem::name);
            let (firm, id) = (clean(&record.firm), clean(&record.record));
            let mut words = format!("{kind} visit by {firm}, record {id} | {} items | {problem}", record.items.len());
            for (name, text) in [("supersedes", &record.supersedes), ("note", &record.note)] {
                if !text.is_empty() {
                    words += &format!(" | {name} {}", clean(text));
                }
            }
            stored.flags.iter().for_each(|flag| words += &format!(" | {}", clean(flag)));
            words
        }
        Some(What::Signature(it)) => {
            format!("record {} of {} signed by {}", clean(&it.record), clean(&it.firm), clean(&it.signatory))
        }
        None => "a record that this version doesn't know".into(),
    }
}

fn change_name(change: &DeviceChange) -> &'static str {
    match change.what() {
        DeviceChangeKind::Created => "created",
        DeviceChangeKind::Changed => "changed",
        DeviceChangeKind::TerminalReplaced => "terminal replaced",
        DeviceChangeKind::Transferred => "transferred",
        DeviceChangeKind::Unspecified => "changed in a way that this version doesn't know",
    }
}

fn change_words(change: &DeviceChange) -> String {
    let mut words = format!("archive: {} by {}", change_name(change), clean(&change.actor));
    for FieldChange { field, before, after } in &change.fields {
        let or_nothing = |text: &str| if text.is_empty() { "nothing".to_owned() } else { clean(text).to_string() };
        words += &format!(" | {} {} -> {}", clean(field), or_nothing(before), or_nothing(after));
    }
    words
}

fn change_json(change: &DeviceChange) -> Value {
    let field = |it: &FieldChange| json!({ "field": it.field, "before": it.before, "after": it.after });
    let fields: Vec<Value> = change.fields.iter().map(field).collect();
    json!({ "what": change_name(change), "actor": change.actor, "fields": fields })
}

fn link_json(link: &ChainLink) -> Value {
    let what = match &link.what {
        Some(What::Record(stored)) => {
            let record = stored.record.clone().unwrap_or_default();
            json!({ "visit": {
                "firm": record.firm,
                "record": record.record,
                "kind": VisitKind::from_number(record.kind).map(VisitKind::name),
                "workers": record.workers,
                "recorder": record.recorder,
                "started_at": rfc3339(record.started_at.as_ref()),
                "ended_at": rfc3339(record.ended_at.as_ref()),
                "items": record.items.len(),
                "problem": Problem::from_number(record.problem).map(Problem::name),
                "note": record.note,
                "supersedes": record.supersedes,
                "rectifies": record.rectifies,
                "flags": stored.flags,
            }})
        }
        Some(What::Signature(it)) => json!({ "signature": {
            "firm": it.firm, "record": it.record, "signatory": it.signatory, "note": it.note,
        }}),
        None => Value::Null,
    };
    json!({ "number": link.number, "link": link.link, "what": what })
}

fn step_json(step: &CylinderStep) -> Value {
    let at = rfc3339(step.item.as_ref().and_then(|item| item.at.as_ref()));
    let (holder, fills) = (&step.holder, step.fills);
    match step.item.as_ref().and_then(|item| item.item.as_ref()) {
        Some(Item::AlertEvent(event)) => {
            json!({ "at": at, "holder": holder, "fills": fills, "alert_event": event_json(event) })
        }
        Some(Item::Scan(scan)) => json!({ "at": at, "holder": holder, "fills": fills, "scan": scan_json(scan) }),
        Some(Item::Status(status)) => json!({ "at": at, "status": { "online": status.online } }),
        Some(Item::Record(link)) => json!({ "at": at, "record": link_json(link) }),
        Some(Item::Change(change)) => {
            json!({ "at": at, "holder": holder, "fills": fills, "change": change_json(change) })
        }
        None => json!({ "at": at }),
    }
}

fn scan_json(scan: &StoredScan) -> Value {
    json!({
        "event": event_name(scan),
        "site": scan.site,
        "scanner": scan.scanner,
        "generation": scan.generation,
        "boot": scan.boot,
        "seq": scan.seq,
        "claimed_at": rfc3339(scan.claimed_at.as_ref()),
        "received_at": rfc3339(scan.received_at.as_ref()),
        "cylinder": scan.cylinder,
        "operator": scan.operator,
        "counterparty": scan.counterparty,
        "medium": scan.medium,
        "tare_g": scan.tare_g,
        "gross_g": scan.gross_g,
        "net_g": scan.net_g,
        "pressure_kpa": scan.pressure_kpa,
        "passed": scan.passed,
        "findings": scan.findings,
        "latitude_e7": scan.latitude_e7,
        "longitude_e7": scan.longitude_e7,
        "request": scan.request,
        "valid_until": rfc3339(scan.valid_until.as_ref()),
        "flags": scan.flags,
        "verdict": scan.verdict.as_ref().map(|it| {
            json!({ "allow": it.allow, "reasons": it.reasons, "expires_at": rfc3339(it.expires_at.as_ref()) })
        }),
        "invalid": scan.invalid,
    })
}
