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
/// One line each, the most urgent first: how long it has been waiting, severity, how sure it is, how far it has come, rescue
/// code, whether people are in the car or how it ended, address, who is on it (or that nobody is), what is awaited of them, what
/// is overdue, and how old the newest of this is.
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
    line += &people_words(it);
    line += &format!(" | {}", place_words(it));
    let is_pending = State::from_number(it.state).is_none_or(State::is_pending);
    match it.legs.last().filter(|leg| leg.ended_ms.is_none()) {
        Some(leg) => line += &format!(" | {}", party_words(leg.party.as_ref())),
        None if is_pending => line += " | NOBODY IS ON IT",
        None => {}
    }
    let elapsed_ms = since(it.received_at.as_ref());
    if let Some(due_ms) = it.unanswered_ms {
        line += &format!(" | NOT ANSWERED, overdue by {}", span((elapsed_ms - due_ms).max(0)));
    }
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
    } else if is_pending && !it.alerts.is_empty() && it.alerts.iter().all(|alert| !alert.open) {
        line += " | no alert stands, but not by the sensors' word: confirm";
    }
    if let Some(how) = Reassurance::from_number(it.reassurance) {
        line += &format!(" | reassurance {}", how.name());
    }
    line + &format!(" | {} old", span(since(it.changed_at.as_ref())))
}

/// Whether people are in the car, as far as that is known, or what became of them.
fn people_words(it: &Incident) -> String {
    let state = State::from_number(it.state);
    let persons = it.ending.as_ref().and_then(|ending| ending.persons_freed);
    let words = match (state, persons, it.occupied) {
        (Some(State::Freed), ..) => "freed, how many is not said yet",
        (Some(State::Closed), Some(0), _) => "nobody had to be freed",
        (Some(State::Closed), Some(persons), _) => return format!(" | {persons} freed"),
        (Some(State::FalseAlarm), ..) => "nobody was trapped",
        (_, _, Some(true)) if it.sensors_say_over => "people were in the car",
        (_, _, Some(true)) => "people in the car",
        (_, _, Some(false)) => "car empty",
        (_, _, None) => return String::new(),
    };
    format!(" | {words}")
}

/// A lift that the archive doesn't know has no address to be found by but its code.
fn place_words(it: &Incident) -> String {
    match (it.address.is_empty(), it.device.is_empty()) {
        (false, _) => clean(&it.address),
        (true, false) => format!("address not known, lift {}", clean(&it.device)),
        (true, true) => "address not known".to_owned(),
    }
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
        "alerts": it.alerts.iter().map(|it| json!({ "id": it.alert_id, "open": it.open, "cleared_by_hand": it.cleared_by_hand })).collect::<Vec<_>>(),
        "sensors_say_over": it.sensors_say_over,
        "calls": it.calls,
        "caller": it.caller.as_ref().map(caller),
        "legs": it.legs.iter().map(leg).collect::<Vec<_>>(),
        "proposed": it.proposed.as_ref().map(party_json),
        "accept_by_ms": it.accept_by_ms,
        "arrive_by_ms": it.arrive_by_ms,
        "unanswered_ms": it.unanswered_ms,
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
    use crate::proto::v1::{IncidentAlert, IncidentEnding};

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

    /// What a line says at 3 a.m. of a rescue that is changed as given; the lift has no address.
    fn check(change: impl FnOnce(&mut Incident), wanted: &[&str], unwanted: &[&str]) {
        let at = |s| Some(prost_types::Timestamp { seconds: s, nanos: 0 });
        let mut it = Incident {
            state: State::Received.number(),
            occupied: Some(true),
            device: "31106401052012000157".into(),
            received_at: at(1_000),
            changed_at: at(1_000),
            ..Default::default()
        };
        change(&mut it);
        let line = line(&it, 1_600_000, false);
        wanted.iter().for_each(|words| assert!(line.contains(words), "{words:?} isn't in {line}"));
        unwanted.iter().for_each(|words| assert!(!line.contains(words), "{words:?} is in {line}"));
    }

    #[test]
    fn a_line_says_what_holds_now() {
        let alert = |open, cleared_by_hand| IncidentAlert { open, cleared_by_hand, ..Default::default() };
        let ended = |state: State, persons_freed| {
            move |it: &mut Incident| {
                it.state = state.number();
                it.ending = Some(IncidentEnding { persons_freed, ..Default::default() });
            }
        };
        let past = &["people", "NOBODY IS ON IT", "NOT ANSWERED"];
        check(ended(State::Freed, None), &["| freed, how many is not said yet"], past);
        check(ended(State::Closed, Some(2)), &["| 2 freed"], past);
        check(ended(State::Closed, Some(0)), &["| nobody had to be freed"], past);
        check(ended(State::FalseAlarm, None), &["| nobody was trapped"], past);
        let says_over = |it: &mut Incident| (it.alerts, it.sensors_say_over) = (vec![alert(false, false)], true);
        check(says_over, &["people were in the car", "the sensors say freed: confirm"], &["people in the car"]);
        let by_hand = |it: &mut Incident| it.alerts = vec![alert(false, true), alert(false, false)];
        check(
            by_hand,
            &["people in the car", "no alert stands, but not by the sensors' word"],
            &["the sensors say freed"],
        );
        check(|it| it.alerts = vec![alert(true, false), alert(false, true)], &[], &["confirm"]);
    }

    #[test]
    fn a_line_says_that_nobody_comes() {
        let leg = |ended_ms| IncidentLeg { party: Some(Party::default()), ended_ms, ..Default::default() };
        check(|_| {}, &["address not known, lift 31106401052012000157", "| NOBODY IS ON IT"], &["NOT ANSWERED"]);
        check(|it| it.legs = vec![leg(Some(5)), leg(Some(7))], &["| NOBODY IS ON IT"], &[]);
        let silent = |it: &mut Incident| {
            it.state = State::Commanded.number();
            it.legs = vec![leg(None)];
            it.unanswered_ms = Some(180_000);
        };
        check(silent, &["| NOT ANSWERED, overdue by 7m 0s"], &["NOBODY IS ON IT"]);
        check(|it| it.address = "1 Renmin Road".into(), &["| 1 Renmin Road |"], &["31106401052012000157"]);
    }
}
