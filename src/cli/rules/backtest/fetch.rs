//! What is asked of the service: with patience, since a replay takes hours and a service may be restarted meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use prost_types::Timestamp;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use super::super::super::refused;
use crate::backtest::{Ending, Rescue, Span, Told};
use crate::core::judge::built_in;
use crate::limits;
use crate::model::alert::{AlertState, Certainty, EventKind, Reason, Severity};
use crate::model::archive;
use crate::model::ids::{AlertId, DeviceCode, District, RuleId, Subject};
use crate::model::incident::State;
use crate::model::row::FrameRow;
use crate::model::time::Wall;
use crate::proto::v1;
use crate::proto::v1::alert_service_client::AlertServiceClient;
use crate::proto::v1::dispatch_service_client::DispatchServiceClient;
use crate::proto::v1::history_service_client::HistoryServiceClient;
use crate::proto::v1::registry_service_client::RegistryServiceClient;
use crate::proto::v1::rules_service_client::RulesServiceClient;
use crate::proto::v1::timeline_item::Item;
use crate::serve;

/// What may pass is asked for so often, with pauses that double.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(250);
/// Rows a page of what isn't streamed.
const PAGE: u32 = 1_000;
/// The service tells that it is blind so long after it last heard.
const TOLD_AFTER_MS: i64 = crate::core::telemetry::heard::MARKER_OVERDUE_MS;

#[derive(Debug, Clone)]
pub(super) struct Service {
    channel: Channel,
    /// How often something is asked for.
    tries: u32,
}

/// The rules that judge now.
#[derive(Debug, Clone)]
pub(super) struct InForce {
    pub(super) version: u32,
    pub(super) files: Vec<(Box<str>, Box<str>)>,
    pub(super) zone: String,
}

/// Of a lift: what happened to its alerts, in the order in which it was told, and those of which nothing was told lately.
pub(super) struct Raised {
    pub(super) told: Vec<Told>,
    /// With when they opened.
    pub(super) open: Vec<(AlertId, Wall)>,
}

impl Service {
    pub(super) fn new(channel: Channel) -> Self {
        Self { channel, tries: 1 }
    }

    /// Asks again for what may pass: hours of work shall not be lost for it.
    pub(super) fn patient(&self) -> Self {
        Self { channel: self.channel.clone(), tries: TRIES }
    }

    pub(super) async fn rules(&self) -> anyhow::Result<InForce> {
        let ask = || {
            let mut client = RulesServiceClient::new(self.channel.clone());
            async move { client.get_rules(v1::GetRulesRequest {}).await }
        };
        let answer = patiently(self.tries, ask).await.map_err(|status| match status.code() {
            Code::Unimplemented => anyhow::anyhow!("the service is too old: it doesn't tell its rules"),
            _ => refused(&status),
        })?;
        let files = answer.files.into_iter().map(|file| (file.name.into(), file.text.into())).collect();
        Ok(InForce { version: answer.policy_version, files, zone: answer.zone })
    }

    /// All lifts of the archive within these districts, or wherever.
    pub(super) async fn lifts(&self, districts: &[District]) -> anyhow::Result<Vec<archive::Lift>> {
        let districts = districts.iter().map(ToString::to_string).collect();
        let mut request = v1::ListLiftsRequest { districts, page_size: PAGE, page_token: String::new() };
        let mut lifts = Vec::new();
        loop {
            let ask = || {
                let (mut client, request) = (RegistryServiceClient::new(self.channel.clone()), request.clone());
                async move { client.list_lifts(request).await }
            };
            let page = patiently(self.tries, ask).await.map_err(|status| refused(&status))?;
            for lift in &page.lifts {
                lifts.push(serve::lift(lift).map_err(anyhow::Error::msg).with_context(|| lift.code.clone())?);
            }
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return Ok(lifts);
            }
        }
    }

    /// A lift's entry in the archive; `None`: there is none, or not for this caller.
    pub(super) async fn lift(&self, device: &DeviceCode) -> anyhow::Result<Option<archive::Lift>> {
        let request = v1::GetDeviceRequest { kind: v1::EntryKind::Lift.into(), code: device.to_string() };
        let ask = || {
            let (mut client, request) = (RegistryServiceClient::new(self.channel.clone()), request.clone());
            async move { client.get_device(request).await }
        };
        match patiently(self.tries, ask).await {
            Ok(v1::GetDeviceResponse { entry: Some(v1::get_device_response::Entry::Lift(lift)) }) => {
                Ok(Some(serve::lift(&lift).map_err(anyhow::Error::msg).with_context(|| lift.code.clone())?))
            }
            Ok(_) => Ok(None),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(refused(&status)),
        }
    }

    pub(super) async fn raised(&self, device: &DeviceCode, span: &Span, now: Wall) -> anyhow::Result<Raised> {
        let subject = Subject::Device(*device);
        let told = self.told(&subject, span.begin, look_on_to(span, now)).await.map_err(|status| {
            let unseen = status.code() == Code::NotFound;
            let why = if unseen { anyhow::anyhow!("it is not known, or not yours to see") } else { refused(&status) };
            why.context(format!("lift {device}"))
        })?;
        let filter = v1::AlertFilter { subjects: vec![device.to_string()], ..Default::default() };
        let request = v1::ListAlertsRequest { filter: Some(filter), page_size: PAGE, ..Default::default() };
        let ask = || {
            let (mut client, request) = (AlertServiceClient::new(self.channel.clone()), request.clone());
            async move { client.list_alerts(request).await }
        };
        let page = patiently(self.tries, ask).await.map_err(|status| refused(&status))?;
        let known = |alert: &v1::Alert| Some((AlertId::parse(&alert.id).ok()?, wall(alert.opened_at.as_ref())?));
        Ok(Raised { told, open: page.alerts.iter().filter_map(known).collect() })
    }

    /// Rescues that were received in the span and are over, by lift, with how they ended; `None`: they are not for this caller
    /// to see, or the service is too old to tell of them.
    pub(super) async fn rescues(&self, span: &Span) -> anyhow::Result<Option<BTreeMap<DeviceCode, Vec<Rescue>>>> {
        let filter = v1::IncidentFilter {
            states: [State::Closed, State::FalseAlarm].map(State::number).to_vec(),
            ..Default::default()
        };
        let mut request = v1::QueryIncidentsRequest {
            from: Some(timestamp(span.from)),
            to: Some(timestamp(span.to)),
            filter: Some(filter),
            page_size: PAGE,
            page_token: String::new(),
        };
        let mut rescues: BTreeMap<DeviceCode, Vec<Rescue>> = BTreeMap::new();
        loop {
            let ask = || {
                let (mut client, request) = (DispatchServiceClient::new(self.channel.clone()), request.clone());
                async move { client.query_incidents(request).await }
            };
            let page = match patiently(self.tries, ask).await {
                Ok(page) => page,
                Err(status) if matches!(status.code(), Code::PermissionDenied | Code::Unimplemented) => {
                    return Ok(None);
                }
                Err(status) => return Err(refused(&status)),
            };
            for (device, rescue) in page.incidents.iter().filter_map(rescue_of) {
                rescues.entry(device).or_default().push(rescue);
            }
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return Ok(Some(rescues));
            }
        }
    }

    /// When the service could not hear its devices, from and to; `None`: that is not for this caller to see.
    pub(super) async fn blind_times(&self, span: &Span) -> anyhow::Result<Option<Vec<(Wall, Wall)>>> {
        let told = match self.told(&Subject::Service, span.begin, span.end).await {
            Ok(told) => told,
            Err(status) if matches!(status.code(), Code::NotFound | Code::PermissionDenied) => return Ok(None),
            Err(status) => return Err(refused(&status)),
        };
        let mut times: Vec<(Wall, Wall)> = Vec::new();
        for told in told.iter().filter(|told| told.rule.as_str() == built_in::INGEST_BLIND.id) {
            let begin = (told.opened_at - TOLD_AFTER_MS).max(span.begin);
            let end = told.cleared_at.unwrap_or(span.end).min(span.end);
            match times.last_mut() {
                // The same, or one that follows on it.
                Some(last) if begin <= last.1 => last.1 = end.max(last.0),
                _ if begin < end => times.push((begin, end)),
                _ => {}
            }
        }
        Ok(Some(times))
    }

    async fn told(&self, subject: &Subject, from: Wall, to: Wall) -> Result<Vec<Told>, Status> {
        let mut request = v1::GetTimelineRequest {
            subject: subject.to_string(),
            from: Some(timestamp(from)),
            to: Some(timestamp(to)),
            page_size: PAGE,
            page_token: String::new(),
        };
        let mut told: Vec<((u32, u64), Told)> = Vec::new();
        loop {
            let ask = || {
                let (mut client, request) = (HistoryServiceClient::new(self.channel.clone()), request.clone());
                async move { client.get_timeline(request).await }
            };
            let page = patiently(self.tries, ask).await?;
            let events = page.items.iter().filter_map(|item| match &item.item {
                Some(Item::AlertEvent(event)) => Some(((event.epoch, event.seq), told_of(event)?)),
                _ => None,
            });
            told.extend(events);
            if told.len() > limits::BACKTEST_EVENTS {
                let most = limits::BACKTEST_EVENTS;
                let why = format!("{subject} has more than {most} alert events in that time: choose a shorter one");
                return Err(Status::out_of_range(why));
            }
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                break;
            }
        }
        told.sort_by_key(|(cursor, _)| *cursor);
        Ok(told.into_iter().map(|(_, told)| told).collect())
    }

    /// The frames of a lift, page by page.
    pub(super) fn frames(&self, device: &DeviceCode, from: Wall, to: Wall) -> Frames {
        let request = v1::QueryFramesRequest {
            device: device.to_string(),
            from: Some(timestamp(from.max(Wall(0)))),
            to: Some(timestamp(to.min(Wall::LAST))),
            limit: 0,
            page_token: String::new(),
        };
        Frames { service: self.clone(), device: *device, request, stream: None, is_over: false }
    }

    /// When the first frame of a lift that is stored was received.
    pub(super) async fn first_frame(&self, device: &DeviceCode) -> anyhow::Result<Option<Wall>> {
        let mut frames = self.frames(device, Wall(0), Wall::LAST);
        frames.request.limit = 1;
        Ok(frames.next().await?.and_then(|page| page.first().map(|row| row.received_at)))
    }
}

/// The frames of one lift, in the order of history. A broken stream is taken up again where it was left.
pub(super) struct Frames {
    service: Service,
    device: DeviceCode,
    request: v1::QueryFramesRequest,
    stream: Option<Streaming<v1::QueryFramesResponse>>,
    is_over: bool,
}

impl Frames {
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<Vec<FrameRow>>> {
        let (mut tries, mut pause) = (self.service.tries, PAUSE);
        loop {
            match self.read().await {
                Ok(page) => return page.map(|page| self.rows(&page)).transpose(),
                Err(status) if tries > 1 && may_pass(status.code()) => {
                    self.stream = None;
                    tokio::time::sleep(pause).await;
                    (tries, pause) = (tries - 1, pause * 2);
                }
                Err(status) => return Err(refused(&status).context(format!("lift {}", self.device))),
            }
        }
    }

    async fn read(&mut self) -> Result<Option<v1::QueryFramesResponse>, Status> {
        if self.is_over {
            return Ok(None);
        }
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                let asked =
                    HistoryServiceClient::new(self.service.channel.clone()).query_frames(self.request.clone()).await?;
                self.stream.insert(asked.into_inner())
            }
        };
        let page = stream.message().await?;
        match &page {
            Some(page) => {
                self.is_over = page.next_page_token.is_empty();
                self.request.page_token.clone_from(&page.next_page_token);
            }
            None => self.is_over = true,
        }
        Ok(page)
    }

    fn rows(&self, page: &v1::QueryFramesResponse) -> anyhow::Result<Vec<FrameRow>> {
        let row = |stored| serve::frame_row(self.device, stored).map_err(anyhow::Error::msg);
        let rows = page.frames.iter().map(row).collect::<anyhow::Result<_>>();
        rows.with_context(|| format!("a frame of lift {} can't be read", self.device))
    }
}

/// How far it is looked whether what was open has cleared.
fn look_on_to(span: &Span, now: Wall) -> Wall {
    (span.end + limits::BACKTEST_LOOK_ON_MS).min(now + 1).max(span.end)
}

/// `None`: it is of a kind that this version doesn't know.
fn told_of(event: &v1::AlertEvent) -> Option<Told> {
    let alert = event.alert.as_ref()?;
    Some(Told {
        rule: RuleId::parse(&alert.rule).ok()?,
        opening: alert.opening,
        kind: EventKind::from_number(event.kind)?,
        reason: Reason::from_name(&event.reason),
        published_at: wall(event.published_at.as_ref())?,
        state: AlertState::from_number(alert.state)?,
        opened_at: wall(alert.opened_at.as_ref())?,
        cleared_at: wall(alert.cleared_at.as_ref()),
        severity: Severity::from_number(alert.severity)?,
        certainty: Certainty::from_number(alert.certainty)?,
    })
}

/// `None`: no lift is known of it, or it doesn't say whether anybody was trapped.
fn rescue_of(it: &v1::Incident) -> Option<(DeviceCode, Rescue)> {
    let ending = match State::from_number(it.state)? {
        State::FalseAlarm => Ending::FalseAlarm,
        State::Closed if it.ending.as_ref()?.persons_freed? > 0 => Ending::Real,
        _ => return None,
    };
    let received_at = wall(it.received_at.as_ref())?;
    let rescue = Rescue {
        incident: it.id.as_str().into(),
        received_at,
        ended_at: received_at + it.freed_ms.or(it.over_ms)?,
        by_rule: !it.rule.is_empty(),
        ending,
    };
    Some((DeviceCode::parse(&it.device).ok()?, rescue))
}

fn wall(at: Option<&Timestamp>) -> Option<Wall> {
    let at = at?;
    Some(Wall(at.seconds.checked_mul(1_000)?.checked_add(i64::from(at.nanos) / 1_000_000)?))
}

fn timestamp(at: Wall) -> Timestamp {
    Timestamp { seconds: at.0.div_euclid(1_000), nanos: (at.0.rem_euclid(1_000) * 1_000_000) as i32 }
}

async fn patiently<T, F>(tries: u32, mut ask: impl FnMut() -> F) -> Result<T, Status>
where
    F: Future<Output = Result<tonic::Response<T>, Status>>,
{
    let (mut tries, mut pause) = (tries, PAUSE);
    loop {
        match ask().await {
            Err(status) if tries > 1 && may_pass(status.code()) => {
                tokio::time::sleep(pause).await;
                (tries, pause) = (tries - 1, pause * 2);
            }
            answer => return answer.map(tonic::Response::into_inner),
        }
    }
}

/// Whether asking again may help.
fn may_pass(code: Code) -> bool {
    matches!(code, Code::Unavailable | Code::Aborted | Code::ResourceExhausted)
}
