//! `vigil alerts`: those that are open.

use std::process::ExitCode;

use super::show::{Language, Look, alert_json, clean};
use super::time::Zone;
use super::watch::Which;
use super::{Server, Terminal, refused};
use crate::proto::v1::alert_service_client::AlertServiceClient;
use crate::proto::v1::{Alert, ListAlertsRequest};

/// Show the alerts that are open
///
/// One line each, the most urgent first: since when, severity, the lift, its address, the title and how sure it is, the evidence,
/// whether people are in the car, who has acknowledged it, and its id, by which `vigil alert` acknowledges and clears it.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    which: Which,
    /// Only those of which nobody has taken notice
    #[arg(long)]
    unacknowledged: bool,
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
    let channel = args.server.connect().await?;
    for warning in args.which.warnings(channel.clone()).await {
        terminal.notice(&warning)?;
    }
    let look = Look { zone: args.zone.zone.clone(), language: args.lang, colour: terminal.colour };
    let mut client = AlertServiceClient::new(channel);
    let filter = Some(args.which.filter());
    let mut request =
        ListAlertsRequest { filter, unacknowledged_only: args.unacknowledged, ..ListAlertsRequest::default() };
    let mut shown = 0_u64;
    loop {
        let page = client.list_alerts(request.clone()).await.map_err(|status| refused(&status))?.into_inner();
        shown += page.alerts.len() as u64;
        for alert in &page.alerts {
            terminal.line(&if args.json { alert_json(alert).to_string() } else { line(alert, &look) })?;
        }
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    if shown == 0 && !args.json {
        terminal.notice("# no alert is open")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// An alert with what it takes to do something about it.
pub(super) fn line(alert: &Alert, look: &Look) -> String {
    let mut line = look.open(alert);
    if let Some(acknowledged) = &alert.acknowledged {
        line += &format!(" | acknowledged by {}", clean(&acknowledged.by));
    }
    line + &format!(" | {}", clean(&alert.id))
}
