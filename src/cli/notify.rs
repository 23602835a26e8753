//! `vigil notify`: how those stand who are told of what happens.

use std::process::ExitCode;

use serde_json::json;

use super::show::clean;
use super::time::{Zone, civil, rfc3339, span};
use super::{Server, Terminal, count, refused};
use crate::clock::Clock;
use crate::proto::v1::notification_service_client::NotificationServiceClient;
use crate::proto::v1::{
    Cursor, Delivery, ListDeliveriesRequest, ListTargetsRequest, NotificationTarget, ReplayDeliveriesRequest,
    TargetState,
};

/// Show who is told of what happens, what was not delivered, and tell it again
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum What {
    /// How each target stands
    Status {
        #[command(flatten)]
        server: Server,
        /// One JSON object a line instead
        #[arg(long)]
        json: bool,
    },
    /// What became of the last deliveries of a target, newest first
    Deliveries {
        /// The target, as the configuration names it
        #[arg(long, value_name = "NAME")]
        target: String,
        /// Only those that were given up
        #[arg(long)]
        given_up: bool,
        #[command(flatten)]
        server: Server,
        #[command(flatten)]
        zone: Zone,
    },
    /// Tell a target again what has happened from one event on
    Replay {
        /// The target, as the configuration names it
        #[arg(long, value_name = "NAME")]
        target: String,
        /// The first event to be told again: its number, or EPOCH:SEQ as `vigil notify` and `vigil-seq` have it
        #[arg(long, value_name = "[EPOCH:]SEQ", value_parser = first)]
        from: First,
        #[command(flatten)]
        server: Server,
    },
}

/// The first event of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct First {
    /// 0: the present one.
    epoch: u32,
    seq: u64,
}

fn first(text: &str) -> Result<First, String> {
    if let Ok(seq) = text.parse() {
        return Ok(First { epoch: 0, seq });
    }
    let it = super::watch::cursor(text)
        .map_err(|_| format!("{text:?} is no event: write SEQ or EPOCH:SEQ, such as 1:4711"))?;
    Ok(First { epoch: it.epoch, seq: it.seq })
}

pub(super) async fn run(args: Args, terminal: &mut Terminal) -> anyhow::Result<ExitCode> {
    match args.what {
        What::Status { server, json } => status(&server, json, terminal).await,
        What::Deliveries { target, given_up, server, zone } => {
            deliveries(&server, target, given_up, &zone, terminal).await
        }
        What::Replay { target, from, server } => replay(&server, target, from, terminal).await,
    }
}

async fn status(server: &Server, json: bool, terminal: &mut Terminal) -> anyhow::Result<ExitCode> {
    let mut client = NotificationServiceClient::new(server.connect().await?);
    let answer = client.list_targets(ListTargetsRequest {}).await.map_err(|status| refused(&status))?;
    let targets = answer.into_inner().targets;
    if targets.is_empty() {
        terminal.notice("nobody is told: the configuration has no [[notify]]")?;
    }
    let now_ms = Clock::default().wall().ms();
    for target in &targets {
        terminal.line(&if json { target_json(target) } else { line(target, now_ms) })?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn deliveries(
    server: &Server,
    target: String,
    given_up_only: bool,
    zone: &Zone,
    terminal: &mut Terminal,
) -> anyhow::Result<ExitCode> {
    let mut client = NotificationServiceClient::new(server.connect().await?);
    let request = ListDeliveriesRequest { target, given_up_only };
    let answer = client.list_deliveries(request).await.map_err(|status| refused(&status))?;
    for delivery in &answer.into_inner().deliveries {
        terminal.line(&delivery_line(delivery, zone))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn replay(server: &Server, target: String, from: First, terminal: &mut Terminal) -> anyhow::Result<ExitCode> {
    let mut client = NotificationServiceClient::new(server.connect().await?);
    let request = ReplayDeliveriesRequest { target: target.clone(), from_seq: from.seq, from_epoch: from.epoch };
    let answer = client.replay_deliveries(request).await.map_err(|status| refused(&status))?.into_inner();
    terminal.line(&format!("{} is told again what came after {}", clean(&target), cursor(answer.cursor.as_ref())))?;
    Ok(ExitCode::SUCCESS)
}

fn state(it: &NotificationTarget) -> &'static str {
    match it.state() {
        TargetState::Starting => "starting",
        TargetState::Idle => "idle",
        TargetState::Telling => "telling",
        TargetState::Failing => "failing",
        TargetState::Unspecified => "unknown",
    }
}

fn cursor(it: Option<&Cursor>) -> String {
    it.map_or_else(|| "nothing".into(), |it| format!("{}:{}", it.epoch, it.seq))
}

/// `city     failing  https://… | alert json | at 1:7 of 1:9 | 2 events behind | 4 attempts, …`
fn line(it: &NotificationTarget, now_ms: i64) -> String {
    let since = |at: &prost_types::Timestamp| now_ms - (at.seconds * 1_000 + i64::from(at.nanos) / 1_000_000);
    let mut line = format!(
        "{:<16} {:<8} {} | {} {} | at {} of {}",
        clean(&it.name),
        state(it),
        clean(&it.url),
        clean(&it.stream),
        clean(&it.format),
        cursor(it.cursor.as_ref()),
        cursor(it.head.as_ref()),
    );
    if it.behind > 0 {
        line += &format!(" | {} behind", count(it.behind, "event"));
    }
    if let Some(at) = &it.pending_since {
        line += &format!(" | {} old, {}", span(since(at).max(0)), count(it.attempts.into(), "attempt"));
    }
    if let Some(at) = &it.next_attempt_at {
        line += &format!(", next in {}", span((-since(at)).max(0)));
    }
    line += &format!(" | {} delivered, {} given up", it.delivered, it.given_up);
    if it.state() == TargetState::Failing {
        line += &format!(" | {}: {}", clean(&it.reason), clean(&it.detail));
    }
    line
}

fn target_json(it: &NotificationTarget) -> String {
    let at = |at: Option<&Cursor>| at.map(|at| json!({ "epoch": at.epoch, "seq": at.seq }));
    json!({
        "name": it.name,
        "url": it.url,
        "format": it.format,
        "stream": it.stream,
        "state": state(it),
        "cursor": at(it.cursor.as_ref()),
        "head": at(it.head.as_ref()),
        "behind": it.behind,
        "pending_since": rfc3339(it.pending_since.as_ref()),
        "attempts": it.attempts,
        "next_attempt_at": rfc3339(it.next_attempt_at.as_ref()),
        "reason": it.reason,
        "detail": it.detail,
        "delivered_at": rfc3339(it.delivered_at.as_ref()),
        "delivered": it.delivered,
        "given_up": it.given_up,
    })
    .to_string()
}

fn delivery_line(it: &Delivery, zone: &Zone) -> String {
    let became = if it.delivered { "delivered" } else { "given up" };
    let mut line = format!(
        "{} {became} {} | {}",
        civil(it.done_at.as_ref(), &zone.zone),
        cursor(it.event.as_ref()),
        count(it.attempts.into(), "attempt")
    );
    if !it.delivered {
        line += &format!(" | {}: {}", clean(&it.reason), clean(&it.detail));
    }
    line
}
