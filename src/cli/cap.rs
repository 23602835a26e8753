//! `vigil cap`: an alert or a rescue for other alerting systems.

use std::process::ExitCode;

use super::{Server, Terminal, refused};
use crate::proto::v1::ExportCapRequest;
use crate::proto::v1::notification_service_client::NotificationServiceClient;

/// Show an alert or a rescue as a CAP 1.2 message
///
/// The last message says how it stands: it updates or cancels those before it.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// An alert, as SUBJECT/RULE/NUMBER, or a rescue, as EPOCH-NUMBER
    id: String,
    /// Every message about it, in order, each one a document of its own
    #[arg(long)]
    chain: bool,
    #[command(flatten)]
    server: Server,
}

pub(super) async fn run(args: Args, terminal: &mut Terminal) -> anyhow::Result<ExitCode> {
    let mut client = NotificationServiceClient::new(args.server.connect().await?);
    let mut request = ExportCapRequest::default();
    // No incident's id has a slash, and every alert's has two.
    let id = if args.id.contains('/') { &mut request.alert_id } else { &mut request.incident_id };
    id.clone_from(&args.id);
    let messages = client.export_cap(request).await.map_err(|status| refused(&status))?.into_inner().messages;
    let Some(last) = messages.len().checked_sub(1) else {
        terminal.notice("there is nothing to tell of it")?;
        return Ok(ExitCode::FAILURE);
    };
    for message in &messages[if args.chain { 0 } else { last }..] {
        terminal.line(message.xml.trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}
