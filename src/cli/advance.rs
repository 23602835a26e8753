//! `vigil advance`: one step of a rescue.

use std::process::ExitCode;

use tonic::transport::Channel;

use super::incidents::line;
use super::{Server, Terminal, new_request, refused};
use crate::clock::Clock;
use crate::model::incident::{Cause, StepKind, Tier};
use crate::proto::v1::dispatch_service_client::DispatchServiceClient;
use crate::proto::v1::{AdvanceIncidentRequest, GetIncidentRequest, IncidentEnding};

/// Take one step of a rescue
///
/// Steps: command, accept, decline, turn-out, arrive, hand-over, free, close, false-alarm, note. A step that is not possible
/// now is refused, and those that are named, as is an option that doesn't belong to the step.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// EPOCH-NUMBER, such as 1-42
    id: String,
    /// What to do
    #[arg(value_parser = step)]
    step: StepKind,
    #[command(flatten)]
    server: Server,
    /// Of command and hand-over: firm, station or public; without it, the tier that is proposed
    #[arg(long, value_parser = tier)]
    tier: Option<Tier>,
    /// The same: which one of that tier, by its id; without it, whoever is next
    #[arg(long, value_name = "ID")]
    party: Option<String>,
    /// Of close: how many people were freed
    #[arg(long, value_name = "COUNT")]
    persons: Option<u32>,
    /// Of close: external, human, door, control or other
    #[arg(long, value_parser = cause)]
    cause: Option<Cause>,
    /// Of close: what was done
    #[arg(long, value_name = "TEXT")]
    action: Option<String>,
    /// For others to read
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Try the same step again under this id, should the answer to it have been lost
    #[arg(long, value_name = "ID")]
    request: Option<String>,
}

fn step(text: &str) -> Result<StepKind, String> {
    named(text, StepKind::from_name, StepKind::ALL.iter().map(|it| it.name()))
}

fn tier(text: &str) -> Result<Tier, String> {
    named(text, Tier::from_name, Tier::ALL.iter().map(|it| it.name()))
}

fn cause(text: &str) -> Result<Cause, String> {
    named(text, Cause::from_name, Cause::ALL.iter().map(|it| it.name()))
}

fn named<T>(
    text: &str,
    from_name: impl Fn(&str) -> Option<T>,
    names: impl Iterator<Item = &'static str>,
) -> Result<T, String> {
    from_name(text).ok_or_else(|| format!("write one of {}", names.collect::<Vec<_>>().join(", ")))
}

/// What is wrong with the options for that step, in the words of the command line.
fn check(args: &Args) -> Result<(), String> {
    let step = args.step.name();
    let sends = matches!(args.step, StepKind::Command | StepKind::HandOver);
    let closes = args.step == StepKind::Close;
    let given = [
        ("--tier", args.tier.is_some(), sends, "command and hand-over"),
        ("--party", args.party.is_some(), sends, "command and hand-over"),
        ("--persons", args.persons.is_some(), closes, "close"),
        ("--cause", args.cause.is_some(), closes, "close"),
        ("--action", args.action.is_some(), closes, "close"),
    ];
    let mut faults: Vec<String> = given
        .iter()
        .filter(|(_, is_given, belongs, _)| *is_given && !belongs)
        .map(|(option, _, _, of)| format!("{option} belongs to {of}, not to {step}"))
        .collect();
    if closes {
        let wanted = [
            (args.persons.is_none(), "--persons COUNT is missing: say how many were freed, also when it is 0"),
            (args.cause.is_none(), "--cause is missing: external, human, door, control or other"),
            (args.action.as_deref().is_none_or(str::is_empty), "--action TEXT is missing: say what was done"),
        ];
        faults.extend(wanted.iter().filter(|(is_missing, _)| *is_missing).map(|(_, fault)| (*fault).to_owned()));
    }
    if args.step == StepKind::Note && args.note.as_deref().is_none_or(str::is_empty) {
        faults.push("--note TEXT is missing: say what is to be noted".to_owned());
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}

/// The tier that is proposed, for whoever names none.
async fn proposed(client: &mut DispatchServiceClient<Channel>, id: &str) -> anyhow::Result<Tier> {
    let request = GetIncidentRequest { incident_id: id.to_owned(), at_least: 0 };
    let answer = client.get_incident(request).await.map_err(|status| refused(&status))?.into_inner();
    let party = answer.incident.and_then(|incident| incident.proposed);
    party.and_then(|party| Tier::from_number(party.tier)).ok_or_else(|| {
        anyhow::anyhow!("nobody is proposed for rescue {id}: say --tier firm, --tier station or --tier public")
    })
}

pub(super) async fn run(args: Args, terminal: &mut Terminal) -> anyhow::Result<ExitCode> {
    check(&args).map_err(anyhow::Error::msg)?;
    let mut client = DispatchServiceClient::new(args.server.connect().await?);
    let tier = match args.step {
        StepKind::Command | StepKind::HandOver if args.tier.is_none() => Some(proposed(&mut client, &args.id).await?),
        _ => args.tier,
    };
    let request_id = args.request.clone().unwrap_or_else(new_request);
    let closes = args.step == StepKind::Close;
    let ending = IncidentEnding {
        persons_freed: args.persons,
        cause: args.cause.map_or(0, Cause::number),
        action: args.action.clone().unwrap_or_default(),
    };
    let request = AdvanceIncidentRequest {
        request_id: request_id.clone(),
        incident_id: args.id.clone(),
        step: args.step.number(),
        tier: tier.map_or(0, Tier::number),
        party_id: args.party.clone().unwrap_or_default(),
        ending: closes.then_some(ending),
        note: args.note.clone().unwrap_or_default(),
    };
    let answer = match client.advance_incident(request).await {
        Ok(answer) => answer.into_inner(),
        Err(status) if status.code() == tonic::Code::DeadlineExceeded => {
            anyhow::bail!("{}; add --request {request_id} to ask what became of it", refused(&status))
        }
        Err(status) => return Err(refused(&status)),
    };
    if let Some(incident) = &answer.incident {
        terminal.line(&line(incident, Clock::default().wall().ms(), terminal.colour))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn options_of_another_step_are_refused_and_missing_ones_named() {
        let check = |line: &str, wanted: &str| {
            let args = Line::try_parse_from(["advance", "1-42"].into_iter().chain(line.split(' '))).unwrap().args;
            assert_eq!(check(&args).err().unwrap_or_default(), wanted, "{line}");
        };
        check("accept", "");
        check("command", "");
        check("command --tier station --party G1 --note hurry", "");
        check("hand-over --tier public", "");
        check("close --persons 0 --cause door --action freed", "");
        check("note --note x", "");
        check("free --persons 2", "--persons belongs to close, not to free");
        check(
            "accept --tier firm --cause door",
            "--tier belongs to command and hand-over, not to accept; --cause belongs to close, not to accept",
        );
        check("note", "--note TEXT is missing: say what is to be noted");
        check(
            "close --party G1 --action freed",
            "--party belongs to command and hand-over, not to close; \
             --persons COUNT is missing: say how many were freed, also when it is 0; \
             --cause is missing: external, human, door, control or other",
        );
    }
}
