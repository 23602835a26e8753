//! `vigil advance`: one step of a rescue.

use std::process::ExitCode;

use super::incidents::line;
use super::{Server, Terminal, new_request, refused};
use crate::clock::Clock;
use crate::model::incident::{Cause, StepKind, Tier};
use crate::proto::v1::dispatch_service_client::DispatchServiceClient;
use crate::proto::v1::{AdvanceIncidentRequest, IncidentEnding};

/// Take one step of a rescue
///
/// Steps: command, accept, decline, turn-out, arrive, hand-over, free, close, false-alarm, note. A step that is not possible
/// now is refused, and those that are named.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// EPOCH-NUMBER, such as 1-42
    id: String,
    /// What to do
    #[arg(value_parser = step)]
    step: StepKind,
    #[command(flatten)]
    server: Server,
    /// Of command and hand-over: firm, station or public
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

pub(super) async fn run(args: Args, terminal: &mut Terminal) -> anyhow::Result<ExitCode> {
    let mut client = DispatchServiceClient::new(args.server.connect().await?);
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
        tier: args.tier.map_or(0, Tier::number),
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
