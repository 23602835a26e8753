//! `vigil alert`: somebody has taken notice of an alert, or says that it is over.

use std::process::ExitCode;

use super::alerts::line;
use super::show::{Language, Look, alert_json, clean};
use super::time::Zone;
use super::{Server, Terminal, new_request, refused};
use crate::model::alert::AlertState;
use crate::proto::v1::alert_service_client::AlertServiceClient;
use crate::proto::v1::{AcknowledgeAlertRequest, ClearAlertRequest};

/// Acknowledge or clear an alert
///
/// Acknowledged, it stays open and others see that somebody has taken notice. Cleared, it is closed, whatever sensors say; the rule
/// opens a new one once its condition has been false. Neither ends a rescue: that is `vigil advance`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// SUBJECT/RULE/NUMBER, as `vigil alerts` shows it
    id: String,
    /// What to do
    #[arg(value_enum)]
    what: What,
    #[command(flatten)]
    server: Server,
    /// Who does it. Calls aren't signed yet: the service knows only that it was somebody on its machine, and this stands in the note
    #[arg(long, value_name = "NAME")]
    by: String,
    /// For others to read
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Try the same again under this id, should the answer to it have been lost
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// One JSON object instead
    #[arg(long)]
    json: bool,
    /// Language of titles
    #[arg(long, value_enum, default_value = "en")]
    lang: Language,
    #[command(flatten)]
    zone: Zone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// Somebody has taken notice
    Ack,
    /// It is over, or was none
    Clear,
}

pub(super) async fn run(args: Args, terminal: &mut Terminal) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(!args.by.trim().is_empty(), "--by is empty: say who does it");
    let mut client = AlertServiceClient::new(args.server.connect().await?);
    let request_id = args.request.unwrap_or_else(new_request);
    let (id, name) = (request_id.clone(), args.by.trim());
    let note = args.note.map_or_else(|| name.to_owned(), |note| format!("{name}: {note}"));
    let answer = match args.what {
        What::Ack => {
            let request = AcknowledgeAlertRequest { request_id, alert_id: args.id.clone(), note };
            client.acknowledge_alert(request).await.map(|answer| answer.into_inner().alert)
        }
        What::Clear => {
            let request = ClearAlertRequest { request_id, alert_id: args.id.clone(), note };
            client.clear_alert(request).await.map(|answer| answer.into_inner().alert)
        }
    };
    let alert = match answer {
        Ok(alert) => alert,
        Err(status) => {
            terminal.notice(&format!("# to try the very same again: --request {id}"))?;
            return Err(refused(&status));
        }
    };
    let look = Look { zone: args.zone.zone, language: args.lang, colour: terminal.colour };
    let shown = match &alert {
        Some(alert) if args.json => alert_json(alert).to_string(),
        Some(alert) if AlertState::from_number(alert.state) == Some(AlertState::Cleared) => {
            format!("cleared: {}", clean(&alert.id))
        }
        Some(alert) => line(alert, &look),
        None => format!("done: {} is no longer in memory", clean(&args.id)),
    };
    terminal.line(&shown)?;
    Ok(ExitCode::SUCCESS)
}
