//! `vigil incidents`: the rescues that are going on, as a table.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use tonic::transport::Channel;

use super::history::now;
use super::show::clean;
use super::time::{Moment, Zone, from_proto, rfc3339, span, to_proto};
use super::{Server, Terminal, refused};
use crate::clock::Clock;
use crate::model::alert::{Certainty, Severity};
use crate::model::incident::{Cause, Reassurance, State, StepKind, Tier};
use crate::proto::v1::dispatch_service_client::DispatchServiceClient;
use crate::proto::v1::{Incident, IncidentFilter, IncidentLeg, ListIncidentsRequest, Party, QueryIncidentsRequest};

const REPAINT: Duration = Duration::from_secs(1);

/// Show the rescues that are going on
///
/// One line each, the most urgent first: how long it has been waiting, severity, how sure it is, how far it has come, who is
/// on it and what is awaited of them, whether people are in the car, rescue code, address, and how old the newest of this is.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: Server,
    /// Paint the table anew every second, until Ctrl-C
    #[arg(long, conflicts_with = "json")]
    live: bool,
    /// Also those of the last two days that are over
    #[arg(long)]
    over: bool,
    /// All that were received from this time on instead, also long ago, in the order of receipt
    #[arg(long, value_name = "TIME", value_parser = Moment::parse, conflicts_with_all = ["live", "over"])]
    from: Option<Moment>,
    /// With --from: up to this time, but not at it
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = Moment::parse, requires = "from")]
    to: Moment,
    /// Only this district (2 to 6 digits) and those within it; may be given several times
    #[arg(long, value_name = "DIGITS")]
    district: Vec<String>,
    /// One JSON object a line instead
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    zone: Zone,
}

pub(super) async fn run(args: Args, terminal: &mut Terminal) -> anyhow::Result<ExitCode> {
    let channel = args.server.connect().await?;
    loop {
        let incidents = match args.from {
            Some(from) => query(&args, from, channel.clone()).await?,
            None => list(&args, channel.clone()).await?,
        };
        let now_ms = Clock::default().wall().ms();
        if args.live {
            // The cursor to the corner, and the rest of the screen empty.
            terminal.line("\x1b[H\x1b[2J")?;
        }
        for incident in &incidents {
            let line =
                if args.json { incident_json(incident).to_string() } else { line(incident, now_ms, terminal.colour) };
            terminal.line(&line)?;
        }
        if incidents.is_empty() && !args.json {
            let what = if args.from.is_some() { "# no rescue was received then" } else { "# no rescue is going on" };
            terminal.notice(what)?;
        }
        if !args.live {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(REPAINT).await;
    }
}

async fn list(args: &Args, channel: Channel) -> anyhow::Result<Vec<Incident>> {
    let mut client = DispatchServiceClient::new(channel);
    let filter = IncidentFilter { districts: args.district.clone(), ..Default::default() };
    let mut request = ListIncidentsRequest { filter: Some(filter), with_over: args.over, ..Default::default() };
    let mut incidents = Vec::new();
    loop {
        let page = client.list_incidents(request.clone()).await.map_err(|status| refused(&status))?.into_inner();
        incidents.extend(page.incidents);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return Ok(incidents);
        }
    }
}

/// Those of the past.
async fn query(args: &Args, from: Moment, channel: Channel) -> anyhow::Result<Vec<Incident>> {
    let resolve = |moment: Moment| moment.resolve(now(), &args.zone.zone).map_err(anyhow::Error::msg);
    let mut request = QueryIncidentsRequest {
        from: Some(to_proto(resolve(from)?)),
        to: Some(to_proto(resolve(args.to)?)),
        filter: Some(IncidentFilter { districts: args.district.clone(), ..Default::default() }),
        ..Default::default()
    };
    let mut client = DispatchServiceClient::new(channel);
    let mut incidents = Vec::new();
    loop {
        let page = client.query_incidents(request.clone()).await.map_err(|status| refused(&status))?.into_inner();
        incidents.extend(page.incidents);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return Ok(incidents);
        }
    }
}

/// One line of the table.
pub(super) fn line(it: &Incident, now_ms: i64, colour: bool) -> String {
    let since =
        |at: Option<&prost_types::Timestamp>| from_proto(at).map_or(0, |at| (now_ms - at.as_millisecond()).max(0));
    let waiting_ms = it.freed_ms.or(it.over_ms).unwrap_or_else(|| since(it.received_at.as_ref()));
    let severity = Severity::from_number(it.severity);
    let padded = format!("{:<8}", severity.map_or("unknown", Severity::name));
    let severity =
        if colour && severity == Some(Severity::Critical) { format!("\x1b[1;31m{padded}\x1b[0m") } else { padded };
    let words = [
        format!("{:<7}", it.id),
        format!("{:>8}", clock(waiting_ms)),
        severity,
        format!("{:<8}", Certainty::from_number(it.certainty).map_or("unknown", Certainty::name)),
        format!("{:<11}", State::from_number(it.state).map_or("unknown", State::name)),
        format!("{:<6}", if it.rescue_code.is_empty() { "-" } else { &it.rescue_code }),
    ];
    let mut line = words.map(|word| clean_keeping_colour(&word, colour)).join(" ");
    line += match it.occupied {
        Some(true) => " | people in the car",
        Some(false) => " | car empty",
        None => "",
    };
    line += &format!(" | {}", clean(if it.address.is_empty() { "address not known" } else { &it.address }));
    if let Some(leg) = it.legs.last().filter(|leg| leg.ended_ms.is_none()) {
        line += &format!(" | {}", party_words(leg.party.as_ref()));
    }
    let elapsed_ms = since(it.received_at.as_ref());
    for (what, by_ms) in [("answer", it.accept_by_ms), ("arrival", it.arrive_by_ms)] {
        line += &by_ms.map_or_else(String::new, |by| match by - elapsed_ms {
            left @ 0.. => format!(" | {what} due in {}", span(left)),
            late => format!(" | {what} overdue by {}", span(-late)),
        });
    }
    if let Some(party) = &it.proposed {
        line += &format!(" | command {}", party_words(Some(party)));
    }
    if it.arrival_late {
        line += " | arrival late";
    }
    if it.sensors_say_over {
        line += " | the sensors say freed: confirm";
    }
    if let Some(how) = Reassurance::from_number(it.reassurance) {
        line += &format!(" | reassurance {}", how.name());
    }
    line + &format!(" | {} old", span(since(it.changed_at.as_ref())))
}

fn clean_keeping_colour(word: &str, colour: bool) -> String {
    if colour && word.starts_with('\x1b') { word.to_owned() } else { clean(word) }
}

/// `0:03:12`: how long somebody has been waiting.
fn clock(ms: i64) -> String {
    let s = ms / 1_000;
    format!("{}:{:02}:{:02}", s / 3_600, s / 60 % 60, s % 60)
}

pub(super) fn party_words(party: Option<&Party>) -> String {
    let Some(party) = party else { return "nobody".into() };
    let tier = Tier::from_number(party.tier).map_or("unknown", Tier::name);
    let mut words = format!("{tier} {}", clean(&party.name));
    if !party.phone.is_empty() {
        words += &format!(" ({})", clean(&party.phone));
    }
    words
}

pub(super) fn incident_json(it: &Incident) -> Value {
    let leg = |leg: &IncidentLeg| {
        json!({
            "party": leg.party.as_ref().map(party_json),
            "commanded_ms": leg.commanded_ms,
            "took_over": leg.took_over,
            "accepted_ms": leg.accepted_ms,
            "turned_out_ms": leg.turned_out_ms,
            "arrived_ms": leg.arrived_ms,
            "ended_ms": leg.ended_ms,
            "declined": leg.declined,
        })
    };
    let caller = |it: &crate::proto::v1::Caller| json!({ "name": it.name, "phone": it.phone });
    let ending = it.ending.as_ref().map(|it| {
        let cause = Cause::from_number(it.cause).map(Cause::name);
        json!({ "persons_freed": it.persons_freed, "cause": cause, "action": it.action })
    });
    json!({
        "id": it.id,
        "state": State::from_number(it.state).map(State::name),
        "device": it.device,
        "rescue_code": it.rescue_code,
        "district": it.district,
        "address": it.address,
        "firm": it.firm,
        "rule": it.rule,
        "severity": Severity::from_number(it.severity).map(Severity::name),
        "certainty": Certainty::from_number(it.certainty).map(Certainty::name),
        "occupied": it.occupied,
        "received_at": rfc3339(it.received_at.as_ref()),
        "changed_at": rfc3339(it.changed_at.as_ref()),
        "alerts": it.alerts.iter().map(|it| json!({ "id": it.alert_id, "open": it.open })).collect::<Vec<_>>(),
        "sensors_say_over": it.sensors_say_over,
        "calls": it.calls,
        "caller": it.caller.as_ref().map(caller),
        "legs": it.legs.iter().map(leg).collect::<Vec<_>>(),
        "proposed": it.proposed.as_ref().map(party_json),
        "accept_by_ms": it.accept_by_ms,
        "arrive_by_ms": it.arrive_by_ms,
        "arrival_late": it.arrival_late,
        "freed_ms": it.freed_ms,
        "over_ms": it.over_ms,
        "ending": ending,
        "reassurance": Reassurance::from_number(it.reassurance).map(Reassurance::name),
        "possible": it.possible.iter().filter_map(|n| StepKind::from_number(*n)).map(StepKind::name).collect::<Vec<_>>(),
    })
}

pub(super) fn party_json(it: &Party) -> Value {
    json!({ "tier": Tier::from_number(it.tier).map(Tier::name), "id": it.id, "name": it.name, "phone": it.phone })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_who_waits_and_for_what() {
        let at = |s| Some(prost_types::Timestamp { seconds: s, nanos: 0 });
        let party = Party { tier: 1, id: "F1".into(), name: "first\u{7} firm".into(), phone: "1".into() };
        let leg = IncidentLeg { party: Some(party), commanded_ms: 30_000, ..Default::default() };
        let it = Incident {
            id: "1-42".into(),
            state: State::Commanded.number(),
            severity: Severity::Critical.number(),
            certainty: Certainty::Likely.number(),
            rescue_code: "640001".into(),
            occupied: Some(true),
            received_at: at(1_000),
            changed_at: at(1_030),
            legs: vec![leg],
            accept_by_ms: Some(210_000),
            arrive_by_ms: Some(60_000),
            ..Default::default()
        };
        assert_eq!(
            line(&it, 1_090_000, false),
            "1-42     0:01:30 critical likely   commanded   640001 | people in the car | address not known \
             | firm first\u{fffd} firm (1) | answer due in 2m 0s | arrival overdue by 30s | 1m 0s old"
        );
        assert_eq!(clock(7_384_000), "2:03:04");
    }
}
