//! `vigil incident ID`: all that happened to one rescue.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::incidents::{incident_json, line, party_json, party_words};
use super::show::clean;
use super::time::{Zone, civil, rfc3339};
use super::{Server, Terminal, refused};
use crate::clock::Clock;
use crate::model::incident::{Cause, Source, What};
use crate::proto::v1::dispatch_service_client::DispatchServiceClient;
use crate::proto::v1::{GetIncidentRequest, IncidentEnding, IncidentEvent};

/// Show one rescue and its timeline
///
/// Each line shows the time, how long after the incident was received, what happened, who it is about, where that comes from,
/// who wrote it, and what they wrote.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// EPOCH-NUMBER, such as 1-42
    id: String,
    #[command(flatten)]
    server: Server,
    /// One JSON object a line instead: the incident, then its entries
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    zone: Zone,
}

pub(super) async fn run(args: Args, terminal: &mut Terminal) -> anyhow::Result<ExitCode> {
    let mut client = DispatchServiceClient::new(args.server.connect().await?);
    let request = GetIncidentRequest { incident_id: args.id.clone(), at_least: 0 };
    let answer = client.get_incident(request).await.map_err(|status| refused(&status))?.into_inner();
    if let Some(incident) = &answer.incident {
        let now_ms = Clock::default().wall().ms();
        let json = || incident_json(incident).to_string();
        terminal.line(&if args.json { json() } else { line(incident, now_ms, terminal.colour) })?;
    }
    for entry in &answer.timeline {
        terminal.line(&if args.json { entry_json(entry).to_string() } else { entry_line(entry, &args.zone) })?;
    }
    Ok(ExitCode::SUCCESS)
}

fn entry_line(it: &IncidentEvent, zone: &Zone) -> String {
    let what = What::from_number(it.kind).map_or("unknown", What::name);
    let mut line = format!("{} +{:<9} {what:<13}", civil(it.at.as_ref(), &zone.zone), seconds(it.since_ms));
    if it.party.is_some() {
        line += &format!(" | {}", party_words(it.party.as_ref()));
    }
    if !it.alert_id.is_empty() {
        line += &format!(" | {}", clean(&it.alert_id));
    }
    if let Some(caller) = it.caller.as_ref().filter(|caller| !caller.name.is_empty() || !caller.phone.is_empty()) {
        line += &format!(" | {} {}", clean(&caller.name), clean(&caller.phone));
    }
    if let Some(ending) = &it.ending {
        line += &format!(" | {}", ending_words(ending));
    }
    line += &format!(" | {}", Source::from_number(it.source).map_or("unknown", Source::name));
    if !it.actor.is_empty() {
        line += &format!(" | by {}", clean(&it.actor));
    }
    if !it.note.is_empty() {
        line += &format!(": {}", clean(&it.note));
    }
    line
}

/// `+210.000s`
fn seconds(ms: i64) -> String {
    format!("{}.{:03}s", ms / 1_000, ms % 1_000)
}

fn ending_words(it: &IncidentEnding) -> String {
    let cause = Cause::from_number(it.cause).map_or("unknown", Cause::name);
    format!("{} freed, cause {cause}: {}", it.persons_freed.unwrap_or_default(), clean(&it.action))
}

fn entry_json(it: &IncidentEvent) -> Value {
    json!({
        "epoch": it.epoch,
        "seq": it.seq,
        "kind": What::from_number(it.kind).map(What::name),
        "source": Source::from_number(it.source).map(Source::name),
        "at": rfc3339(it.at.as_ref()),
        "since_ms": it.since_ms,
        "actor": it.actor,
        "note": it.note,
        "party": it.party.as_ref().map(party_json),
        "alert_id": it.alert_id,
    })
}
