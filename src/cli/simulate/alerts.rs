//! The service's alerts, across reconnects and without a gap, for the judge.

use std::time::Duration;

use tokio::sync::mpsc;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::cli::refused;
use crate::cli::time::from_proto;
use crate::clock::Clock;
use crate::limits;
use crate::model::alert::EventKind;
use crate::model::ids::AlertId;
use crate::model::time::Wall;
use crate::proto::v1::alert_service_client::AlertServiceClient;
use crate::proto::v1::watch_alerts_response::Message;
use crate::proto::v1::{AlertEvent, AlertFilter, Cursor, Heartbeat, LinkState, ListAlertsRequest, WatchAlertsRequest};
use crate::simulate::score::{CYLINDER_RULES, TRAPPED_RULES};

/// The service sends a heartbeat every 5 s.
const DEAD_AFTER: Duration = Duration::from_secs(15);
const COME_BACK_AFTER: Duration = Duration::from_millis(500);
/// A service that is away for longer is not waited for.
const AWAY_MOST: Duration = Duration::from_secs(300);

/// What the stream says.
#[derive(Debug)]
pub(super) enum Heard {
    /// An alert opened, or opened again (`true`), or cleared.
    Alert { id: AlertId, opened: bool, at: Wall, received_at: Wall },
    /// All events up to here have been told.
    Scanned { cursor: Cursor, judged_at: Option<Wall>, is_up: bool },
    /// The connection broke, and why. What happened meanwhile will be told.
    Away(String),
    /// It can't be followed any longer.
    Lost(anyhow::Error),
}

fn filter() -> AlertFilter {
    let rules = TRAPPED_RULES.into_iter().chain(CYLINDER_RULES);
    AlertFilter { rules: rules.map(str::to_owned).collect(), ..AlertFilter::default() }
}

/// The alerts that stand open, and the cursor that they are consistent with.
pub(super) async fn open(channel: Channel) -> anyhow::Result<(Vec<AlertId>, Cursor)> {
    let mut client = AlertServiceClient::new(channel);
    let mut request = ListAlertsRequest { filter: Some(filter()), ..ListAlertsRequest::default() };
    let mut open = Vec::new();
    loop {
        let page = client.list_alerts(request.clone()).await.map_err(|status| refused(&status))?.into_inner();
        open.extend(page.alerts.iter().filter_map(|alert| AlertId::parse(&alert.id).ok()));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            let cursor = page.cursor.ok_or_else(|| anyhow::anyhow!("the service names no cursor"))?;
            return Ok((open, cursor));
        }
    }
}

/// Follows from `cursor` on, until nobody listens any more.
pub(super) fn follow(channel: Channel, cursor: Cursor) -> mpsc::Receiver<Heard> {
    let (tell, told) = mpsc::channel(limits::JUDGE_AHEAD);
    tokio::spawn(async move {
        let mut follower = Follower { channel, cursor, tell };
        let mut away_since = None;
        loop {
            let cursor = follower.cursor.seq;
            let ended = follower.stream().await;
            if follower.cursor.seq > cursor {
                away_since = None;
            }
            let since = *away_since.get_or_insert_with(tokio::time::Instant::now);
            let told = match ended {
                Ended::Nobody => return,
                Ended::Broken(status) if may_pass(status.code()) && since.elapsed() < AWAY_MOST => {
                    Heard::Away(status.message().to_owned())
                }
                Ended::Broken(status) => Heard::Lost(refused(&status)),
                Ended::Gap(why) => Heard::Lost(anyhow::anyhow!(why)),
            };
            let is_lost = matches!(told, Heard::Lost(_));
            if follower.tell.send(told).await.is_err() || is_lost {
                return;
            }
            tokio::time::sleep(COME_BACK_AFTER).await;
        }
    });
    told
}

enum Ended {
    Nobody,
    Broken(Status),
    Gap(String),
}

struct Follower {
    channel: Channel,
    cursor: Cursor,
    tell: mpsc::Sender<Heard>,
}

impl Follower {
    async fn stream(&mut self) -> Ended {
        let silent = || Status::unavailable(format!("nothing was heard for {} s", DEAD_AFTER.as_secs()));
        let request = WatchAlertsRequest { cursor: Some(self.cursor), filter: Some(filter()), kinds: Vec::new() };
        let mut client = AlertServiceClient::new(self.channel.clone());
        let mut stream = match tokio::time::timeout(DEAD_AFTER, client.watch_alerts(request)).await {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => return Ended::Broken(status),
            Err(_) => return Ended::Broken(silent()),
        };
        let mut previous = self.cursor.seq;
        loop {
            let message = match tokio::time::timeout(DEAD_AFTER, stream.message()).await {
                Ok(Ok(Some(response))) => response.message,
                Ok(Ok(None)) => return Ended::Broken(Status::unavailable("the service closed the stream")),
                Ok(Err(status)) => return Ended::Broken(status),
                Err(_) => return Ended::Broken(silent()),
            };
            let heard = match message {
                Some(Message::Event(event)) => {
                    if event.previous_seq != previous {
                        return Ended::Gap(format!("alert event {} does not follow on {previous}", event.seq));
                    }
                    previous = event.seq;
                    self.cursor = Cursor { epoch: event.epoch, seq: event.seq };
                    alert(&event)
                }
                Some(Message::Heartbeat(heartbeat)) => self.scanned(&heartbeat),
                None => None,
            };
            if let Some(heard) = heard
                && self.tell.send(heard).await.is_err()
            {
                return Ended::Nobody;
            }
        }
    }

    fn scanned(&mut self, heartbeat: &Heartbeat) -> Option<Heard> {
        self.cursor = heartbeat.scanned?;
        let judged = heartbeat.judged.as_ref().and_then(|judged| wall(judged.at.as_ref()));
        let is_up = LinkState::try_from(heartbeat.link) == Ok(LinkState::Up);
        Some(Heard::Scanned { cursor: self.cursor, judged_at: judged, is_up })
    }
}

fn alert(event: &AlertEvent) -> Option<Heard> {
    let opened = match EventKind::from_number(event.kind)? {
        EventKind::Opened | EventKind::Reopened => true,
        EventKind::Cleared => false,
        _ => return None,
    };
    let id = AlertId::parse(&event.alert.as_ref()?.id).ok()?;
    let received_at = Clock::default().wall();
    Some(Heard::Alert { id, opened, at: wall(event.published_at.as_ref())?, received_at })
}

fn wall(at: Option<&prost_types::Timestamp>) -> Option<Wall> {
    from_proto(at).map(|at| Wall(at.as_millisecond()))
}

/// Whether trying again may help.
fn may_pass(code: Code) -> bool {
    !matches!(
        code,
        Code::OutOfRange | Code::InvalidArgument | Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented
    )
}
