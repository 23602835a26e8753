//! `vigil call`: somebody has called about people who are trapped.

use std::process::ExitCode;

use super::incidents::{incident_json, line};
use super::{Server, Terminal, new_request, refused};
use crate::clock::Clock;
use crate::proto::v1::dispatch_service_client::DispatchServiceClient;
use crate::proto::v1::{Caller, OpenIncidentRequest};

/// Take down a call about somebody who is trapped
///
/// It opens a rescue, or joins the one of that lift that stands, says which, and shows it. Say where by the lift's device code, by the code
/// on the plate in the car, or, if the archive knows neither, in words.
#[derive(Debug, Clone, clap::Args)]
#[command(group = clap::ArgGroup::new("where").args(["device", "code", "address"]).required(true).multiple(true))]
pub struct Args {
    #[command(flatten)]
    server: Server,
    /// The lift, by its device code
    #[arg(long, value_name = "CODE")]
    device: Option<String>,
    /// The rescue code on the plate in the car
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
    /// The district (2 to 6 digits): where to look for the rescue code
    #[arg(long, value_name = "DIGITS")]
    district: Option<String>,
    /// Where it is, in words
    #[arg(long, value_name = "TEXT")]
    address: Option<String>,
    /// Who calls
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// From which number
    #[arg(long, value_name = "NUMBER")]
    phone: Option<String>,
    /// Whether people are in the car, if the caller says so
    #[arg(long, value_name = "true|false")]
    occupied: Option<bool>,
    /// For others to read
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Take the same call down again under this id, should the answer to it have been lost
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// One JSON object instead
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, terminal: &mut Terminal) -> anyhow::Result<ExitCode> {
    let mut client = DispatchServiceClient::new(args.server.connect().await?);
    let request_id = args.request.unwrap_or_else(new_request);
    let caller = Caller { name: args.name.unwrap_or_default(), phone: args.phone.unwrap_or_default() };
    let request = OpenIncidentRequest {
        request_id: request_id.clone(),
        device: args.device.unwrap_or_default(),
        rescue_code: args.code.unwrap_or_default(),
        district: args.district.unwrap_or_default(),
        address: args.address.unwrap_or_default(),
        caller: Some(caller),
        occupied: args.occupied,
        note: args.note.unwrap_or_default(),
    };
    let answer = match client.open_incident(request).await {
        Ok(answer) => answer.into_inner(),
        Err(status) if status.code() == tonic::Code::DeadlineExceeded => {
            anyhow::bail!("{}; add --request {request_id} to ask what became of it", refused(&status))
        }
        Err(status) => return Err(refused(&status)),
    };
    if let Some(it) = &answer.incident {
        let now_ms = Clock::default().wall().ms();
        if args.json {
            let mut json = incident_json(it);
            json["joined"] = answer.joined.into();
            terminal.line(&json.to_string())?;
            return Ok(ExitCode::SUCCESS);
        }
        let id = &it.id;
        terminal.notice(&if answer.joined {
            format!("# the call joins rescue {id}, which stood already")
        } else {
            format!("# the call opens rescue {id}")
        })?;
        terminal.line(&line(it, now_ms, terminal.colour))?;
    }
    Ok(ExitCode::SUCCESS)
}
