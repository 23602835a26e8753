//! `vigil sign`: the use unit countersigns a record of maintenance.

use std::process::ExitCode;

use super::show::clean;
use super::{Server, Terminal, new_request, refused};
use crate::proto::v1::SignRecordRequest;
use crate::proto::v1::maintenance_service_client::MaintenanceServiceClient;

/// Sign a record of maintenance for the use unit
///
/// The signature becomes a link of the lift's chain of records, behind the record, and can't be taken back (docs/records.md).
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The lift, by its device code
    device: String,
    /// The firm's id of the record
    record: String,
    #[command(flatten)]
    server: Server,
    /// The firm that uploaded it
    #[arg(long, value_name = "ID")]
    firm: String,
    /// Who signs, by an id of the use unit, and not by name: it stands in the chain for ever
    #[arg(long, value_name = "ID")]
    by: String,
    /// At most 200 characters
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Try the same signature again under this id, should the answer to it have been lost
    #[arg(long, value_name = "ID")]
    request: Option<String>,
}

pub(super) async fn run(args: Args, terminal: &mut Terminal) -> anyhow::Result<ExitCode> {
    let mut client = MaintenanceServiceClient::new(args.server.connect().await?);
    let request_id = args.request.unwrap_or_else(new_request);
    let request = SignRecordRequest {
        request_id: request_id.clone(),
        device: args.device.clone(),
        firm: args.firm,
        record: args.record.clone(),
        signatory: args.by.clone(),
        note: args.note.unwrap_or_default(),
    };
    match client.sign_record(request).await {
        Ok(answer) => {
            let position = answer.into_inner().position;
            let (record, device, by) = (clean(&args.record), clean(&args.device), clean(&args.by));
            terminal.line(&format!("record {record} of {device} is signed by {by} (position {position})"))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(status) => {
            terminal.notice(&format!("# to try the very same again: --request {request_id}"))?;
            Err(refused(&status))
        }
    }
}
