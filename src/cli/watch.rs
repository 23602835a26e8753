//! `vigil watch`: alerts as they happen, across reconnects, without a gap.

use std::process::ExitCode;
use std::time::Duration;

use tonic::Code;
use tonic::transport::Channel;

use super::show::{Language, Look, alert_json, event_json};
use super::time::{Zone, from_proto, span};
use super::{Server, Terminal, refused};
use crate::clock::Clock;
use crate::core::judge::built_in;
use crate::core::rules;
use crate::model::alert::{Cursor, Severity};
use crate::proto::v1::alert_service_client::AlertServiceClient;
use crate::proto::v1::rules_service_client::RulesServiceClient;
use crate::proto::v1::watch_alerts_response::Message;
use crate::proto::v1::{
    self, AlertFilter, GetRulesRequest, Heartbeat, LinkState, ListAlertsRequest, WatchAlertsRequest,
};

/// The service sends a heartbeat every 5 s.
const DEAD_AFTER: Duration = Duration::from_secs(15);
const BACKOFF_SHORTEST: Duration = Duration::from_millis(250);
const BACKOFF_LONGEST: Duration = Duration::from_secs(30);
/// A core that has judged nothing for this long is told of.
const STALLED_MS: i64 = 10_000;

/// Show alerts as they happen
///
/// Each line shows the time, severity, what happened, the lift, its address, the title and how sure it is, the
/// evidence, whether people are in the car, the group that the alert is part of when many lifts of one place raise the
/// same rule, whether the rule keeps opening for this lift, for how long the alert has stood, why, and the cursor EPOCH:SEQ from which to go on. When the connection
/// breaks it is made again, and no event is left out or shown twice.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: Server,
    /// Begin after this event, as EPOCH:SEQ; without it, with the next one to happen
    #[arg(long, value_name = "EPOCH:SEQ", value_parser = cursor)]
    from: Option<Cursor>,
    #[command(flatten)]
    which: Which,
    /// One JSON object a line instead
    #[arg(long)]
    json: bool,
    /// Language of titles
    #[arg(long, value_enum, default_value = "en")]
    lang: Language,
    #[command(flatten)]
    zone: Zone,
}

/// Which alerts are wanted.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Which {
    /// Only this district (2 to 6 digits) and those within it; may be given several times
    #[arg(long, value_name = "DIGITS")]
    district: Vec<String>,
    /// Only this rule; may be given several times
    #[arg(long, value_name = "ID")]
    rule: Vec<String>,
    /// Only this device code, or cylinder:CODE; may be given several times
    #[arg(long, value_name = "CODE")]
    subject: Vec<String>,
    /// Only this grave or graver: warning, minor, major, critical
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    min_severity: Option<Severity>,
}

impl Which {
    pub(super) fn filter(&self) -> AlertFilter {
        AlertFilter {
            districts: self.district.clone(),
            rules: self.rule.clone(),
            minimum_severity: self.min_severity.map_or(0, Severity::number),
            subjects: self.subject.clone(),
        }
    }

    /// What there is to say of rules that are not in force.
    pub(super) async fn warnings(&self, channel: Channel) -> Vec<String> {
        unknown_rules(&self.rule, channel).await
    }
}

pub(super) fn cursor(text: &str) -> Result<Cursor, String> {
    let parse = || {
        let (epoch, seq) = text.split_once(':')?;
        Some(Cursor { epoch: epoch.parse().ok()?, seq: seq.parse().ok()? })
    };
    parse().ok_or_else(|| format!("{text:?} is no cursor: write EPOCH:SEQ, such as 1:4711"))
}

fn severity(text: &str) -> Result<Severity, String> {
    Severity::from_name(text).ok_or_else(|| format!("{text:?} is no severity: write warning, minor, major or critical"))
}

pub(super) async fn run(args: Args, terminal: &mut Terminal) -> anyhow::Result<ExitCode> {
    let channel = args.server.connect().await?;
    for warning in args.which.warnings(channel.clone()).await {
        terminal.notice(&warning)?;
    }
    let look = Look { zone: args.zone.zone.clone(), language: args.lang, colour: terminal.colour };
    let mut follower = Follower { cursor: args.from, concern: None, backoff: BACKOFF_SHORTEST, look, args };
    loop {
        let ended = follower.follow(channel.clone(), terminal).await?;
        follower.recover(channel.clone(), &ended, terminal).await?;
    }
}

/// Of the rules that are watched, those that are not in force: they may come with a reload, or be misspelt.
async fn unknown_rules(watched: &[String], channel: Channel) -> Vec<String> {
    if watched.is_empty() {
        return Vec::new();
    }
    let mut client = RulesServiceClient::new(channel);
    // Without an answer nothing can be said of them, and the stream says what is the matter.
    let asked = tokio::time::timeout(DEAD_AFTER, client.get_rules(GetRulesRequest {})).await;
    let Ok(Ok(answer)) = asked else { return Vec::new() };
    let files = answer.into_inner().files.into_iter().map(|file| (file.name.into(), file.text.into()));
    let Ok(set) = rules::parse(&files.collect::<Vec<_>>()) else { return Vec::new() };
    let known: Vec<&str> =
        set.rules.iter().map(|rule| rule.id.as_str()).chain(built_in::ALL.iter().map(|it| it.id)).collect();
    let warning = |id: &String| {
        let hint = rules::did_you_mean(id, known.iter().copied());
        format!("# no rule {id:?} is in force, and its alerts are waited for all the same{hint}")
    };
    watched.iter().filter(|id| !known.contains(&id.as_str())).map(warning).collect()
}

/// Why a stream ended.
enum Ended {
    Silent,
    Closed,
    Status(tonic::Status),
}

struct Follower {
    args: Args,
    look: Look,
    /// All events up to here have been shown or didn't pass the filter.
    cursor: Option<Cursor>,
    /// What the last heartbeat gave cause for.
    concern: Option<&'static str>,
    backoff: Duration,
}

impl Follower {
    fn filter(&self) -> AlertFilter {
        self.args.which.filter()
    }

    /// Shows events until the stream ends.
    async fn follow(&mut self, channel: Channel, terminal: &mut Terminal) -> anyhow::Result<Ended> {
        let cursor = self.cursor.map(|c| v1::Cursor { epoch: c.epoch, seq: c.seq });
        let request = WatchAlertsRequest { cursor, filter: Some(self.filter()), kinds: Vec::new() };
        let call =
            tokio::time::timeout(DEAD_AFTER, async { AlertServiceClient::new(channel).watch_alerts(request).await });
        let mut stream = match call.await {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => return Ok(Ended::Status(status)),
            Err(_) => return Ok(Ended::Silent),
        };
        let mut previous = self.cursor.map(|c| c.seq);
        loop {
            let message = match tokio::time::timeout(DEAD_AFTER, stream.message()).await {
                Ok(Ok(Some(response))) => response.message,
                Ok(Ok(None)) => return Ok(Ended::Closed),
                Ok(Err(status)) => return Ok(Ended::Status(status)),
                Err(_) => return Ok(Ended::Silent),
            };
            self.backoff = BACKOFF_SHORTEST;
            match message {
                Some(Message::Event(event)) => {
                    if previous.is_some_and(|previous| previous != event.previous_seq) {
                        anyhow::bail!(
                            "event {}:{} does not follow on what was shown: something is missing",
                            event.epoch,
                            event.seq
                        );
                    }
                    previous = Some(event.seq);
                    self.cursor = Some(Cursor { epoch: event.epoch, seq: event.seq });
                    let line = if self.args.json { event_json(&event).to_string() } else { self.look.event(&event) };
                    terminal.line(&line)?;
                }
                Some(Message::Heartbeat(heartbeat)) => {
                    if let Some(scanned) = heartbeat.scanned {
                        self.cursor = Some(Cursor { epoch: scanned.epoch, seq: scanned.seq });
                        previous = previous.or(Some(scanned.seq));
                    }
                    self.concern(&heartbeat, terminal)?;
                }
                None => {}
            }
        }
    }

    /// Says when silence stops meaning calm, and when it does again.
    fn concern(&mut self, heartbeat: &Heartbeat, terminal: &mut Terminal) -> anyhow::Result<()> {
        let judged = heartbeat.judged.as_ref().and_then(|judged| from_proto(judged.at.as_ref()));
        let behind_ms = judged.map_or(0, |at| Clock::default().wall().ms() - at.as_millisecond());
        let concern = match LinkState::try_from(heartbeat.link) {
            _ if behind_ms > STALLED_MS => Some("the service is not judging what it is told"),
            Ok(LinkState::Down) => Some("the broker can't be reached: devices are not heard"),
            Ok(LinkState::Draining) => Some("the broker is back: what it kept is being worked off"),
            _ => None,
        };
        if concern != std::mem::replace(&mut self.concern, concern) {
            terminal.notice(&match concern {
                Some(concern) => format!("# no alert does not mean no trouble: {concern}"),
                None => "# devices are heard again".to_owned(),
            })?;
        }
        Ok(())
    }

    /// Gets ready to follow again, or gives up.
    async fn recover(&mut self, channel: Channel, ended: &Ended, terminal: &mut Terminal) -> anyhow::Result<()> {
        let why = match ended {
            Ended::Silent => format!("nothing was heard for {} s", DEAD_AFTER.as_secs()),
            Ended::Closed => "the service closed the stream".to_owned(),
            // What was asked for with --from is for the user to mend.
            Ended::Status(status) if status.code() == Code::OutOfRange && self.cursor != self.args.from => {
                return self.start_over(channel, status, terminal).await;
            }
            Ended::Status(status) if may_pass(status.code()) => status.message().to_owned(),
            Ended::Status(status) => return Err(refused(status)),
        };
        let from = self.cursor.map(|c| format!(" from {c}")).unwrap_or_default();
        terminal.notice(&format!("# {why}; going on{from} in {}", span(self.backoff.as_millis() as i64)))?;
        tokio::time::sleep(self.backoff).await;
        self.backoff = (self.backoff * 2).min(BACKOFF_LONGEST);
        Ok(())
    }

    /// The service no longer knows our cursor: shows what is open now, and goes on from there.
    async fn start_over(
        &mut self,
        channel: Channel,
        status: &tonic::Status,
        terminal: &mut Terminal,
    ) -> anyhow::Result<()> {
        terminal.notice(&format!("# events may be missing here: {}", status.message()))?;
        let mut client = AlertServiceClient::new(channel);
        let mut request = ListAlertsRequest { filter: Some(self.filter()), ..Default::default() };
        loop {
            let page = match client.list_alerts(request.clone()).await {
                Ok(page) => page.into_inner(),
                // The old cursor leads here again when the service is back.
                Err(status) if may_pass(status.code()) => return Ok(()),
                Err(status) => return Err(refused(&status)),
            };
            for alert in &page.alerts {
                let open = || serde_json::json!({ "open": alert_json(alert) }).to_string();
                let line = if self.args.json { open() } else { self.look.open(alert) };
                terminal.line(&line)?;
            }
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                self.cursor = page.cursor.map(|c| Cursor { epoch: c.epoch, seq: c.seq });
                return Ok(());
            }
        }
    }
}

/// Whether trying again may help.
fn may_pass(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::Aborted
            | Code::Cancelled
            | Code::Unknown
            | Code::Internal
            | Code::ResourceExhausted
            | Code::DeadlineExceeded
    )
}
