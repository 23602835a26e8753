//! `NotificationService`.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{Violations, convert, fitting};
use crate::cap::{self, Message, Site, Told};
use crate::feed::ReadError;
use crate::limits;
use crate::model::actor::{Actor, Role};
use crate::model::alert::{AlertEvent, Cursor};
use crate::model::archive::{Entry, EntryKind};
use crate::model::ids::{AlertId, DeviceCode, Subject};
use crate::model::incident::{IncidentEvent, IncidentId};
use crate::model::time::Wall;
use crate::notify::{Delivery, Outcome, ReplayError, Standing, State};
use crate::proto::v1;
use crate::proto::v1::notification_service_server::NotificationService;
use crate::serve::auth::{actor, require};
use crate::serve::command::not_found;
use crate::serve::history::{Happened, StoreError, TimelinePage};
use crate::serve::{Shared, overload};

pub(super) struct Notifications(pub(super) Shared);

#[tonic::async_trait]
impl NotificationService for Notifications {
    async fn export_cap(
        &self,
        request: Request<v1::ExportCapRequest>,
    ) -> Result<Response<v1::ExportCapResponse>, Status> {
        let actor = actor(&request)?;
        let asked = request.into_inner();
        let mut violations = Violations::default();
        let is_alert = !asked.alert_id.is_empty();
        if is_alert != asked.incident_id.is_empty() {
            violations.add("alert_id", "give either it or incident_id");
        }
        let read_alert = |violations: &mut Violations| violations.take("alert_id", AlertId::parse(&asked.alert_id));
        let alert = if is_alert { read_alert(&mut violations) } else { None };
        let read = |violations: &mut Violations| violations.take("incident_id", IncidentId::parse(&asked.incident_id));
        let incident = if is_alert { None } else { read(&mut violations) };
        violations.check()?;
        self.catch_up(asked.at_least).await?;
        let messages = match (alert, incident) {
            (Some(id), _) => self.of_alert(&actor, &id).await?,
            (None, Some(id)) => self.of_incident(&actor, id).await?,
            (None, None) => return Err(Status::internal("nothing was asked for")),
        };
        let mut messages: Vec<v1::CapMessage> = messages.into_iter().map(message).collect();
        // How it stands is what matters most.
        messages.reverse();
        messages.truncate(fitting(&messages));
        messages.reverse();
        Ok(Response::new(v1::ExportCapResponse { messages }))
    }

    async fn list_targets(
        &self,
        request: Request<v1::ListTargetsRequest>,
    ) -> Result<Response<v1::ListTargetsResponse>, Status> {
        require(&actor(&request)?, &[Role::Admin, Role::Auditor])?;
        let standings = self.0.backend.notifier.standings();
        let targets = standings.into_iter().map(|(target, standing)| v1::NotificationTarget {
            name: target.name.to_string(),
            url: target.url.shown(),
            format: target.format.name().into(),
            stream: if target.wants_incidents() { "incident" } else { "alert" }.into(),
            ..self::standing(standing)
        });
        Ok(Response::new(v1::ListTargetsResponse { targets: targets.collect() }))
    }

    async fn list_deliveries(
        &self,
        request: Request<v1::ListDeliveriesRequest>,
    ) -> Result<Response<v1::ListDeliveriesResponse>, Status> {
        require(&actor(&request)?, &[Role::Admin, Role::Auditor])?;
        let asked = request.into_inner();
        let notifier = &self.0.backend.notifier;
        if !notifier.knows(&asked.target) {
            return Err(not_found(&format!("target {:?}", asked.target)));
        }
        let read = notifier.deliveries(&asked.target, asked.given_up_only).await;
        let deliveries = read.map_err(|error| {
            tracing::error!(%error, "deliveries can't be read");
            Status::unavailable("the deliveries can't be read now; the service's log says why")
        })?;
        Ok(Response::new(v1::ListDeliveriesResponse { deliveries: deliveries.into_iter().map(delivery).collect() }))
    }

    async fn replay_deliveries(
        &self,
        request: Request<v1::ReplayDeliveriesRequest>,
    ) -> Result<Response<v1::ReplayDeliveriesResponse>, Status> {
        let actor = actor(&request)?;
        require(&actor, &[Role::Admin])?;
        let asked = request.into_inner();
        if asked.from_seq == 0 {
            let mut violations = Violations::default();
            violations.add("from_seq", "is missing: events count from 1");
            violations.check()?;
        }
        let epoch = Some(asked.from_epoch).filter(|epoch| *epoch != 0);
        let begun = self.0.backend.notifier.replay(&asked.target, epoch, asked.from_seq).await;
        let cursor = begun.map_err(|error| match error {
            ReplayError::NoTarget(name) => not_found(&format!("target {name:?}")),
            ReplayError::OutOfRange(why) => Status::out_of_range(why),
            ReplayError::Unavailable(why) => Status::unavailable(why),
        })?;
        tracing::info!(target: "vigil::notify", to = asked.target, from = asked.from_seq, by = %actor.id, "told again");
        Ok(Response::new(v1::ReplayDeliveriesResponse { cursor: Some(self::cursor(cursor)) }))
    }
}

impl Notifications {
    async fn of_alert(&self, actor: &Actor, id: &AlertId) -> Result<Vec<Message>, Status> {
        let unknown = || not_found(&format!("alert {id}"));
        // Whoever may not see it is not told that it is there.
        if let Some(alert) = self.0.backend.board.get(id)
            && !actor.sees(alert.place.district.as_ref())
        {
            return Err(unknown());
        }
        let events = self.alert_events(id).await?;
        let last = events.last().filter(|last| actor.sees(last.alert.place.district.as_ref())).ok_or_else(unknown)?;
        let device = match last.alert.id.subject {
            Subject::Device(device) => Some(device),
            Subject::Cylinder(_) | Subject::Service | Subject::Incident(_) => None,
        };
        let site = self.site(device).await;
        Ok(cap::messages(self.0.backend.notifier.profile(), events.iter().map(|event| Told::Alert(event)), &site))
    }

    /// What happened to an alert, in order: from memory if it opened lately, else with what the database has.
    async fn alert_events(&self, id: &AlertId) -> Result<Vec<Arc<AlertEvent>>, Status> {
        let recent = self.recent(id).await?;
        // Its first event stands there only if nothing of it is missing.
        if recent.first().is_some_and(|first| first.kind == crate::model::alert::EventKind::Opened) {
            return Ok(recent);
        }
        let _slot = self.0.queries.try_acquire().map_err(|_| overload("queries"))?;
        let opened = recent.first().map(|first| first.alert.opened_at);
        let opened = opened.or_else(|| self.0.backend.board.get(id).map(|alert| alert.opened_at));
        let mut events = self.stored(id, opened.unwrap_or(Wall(0))).await?;
        let known = events.last().map(|last| last.cursor()).unwrap_or_default();
        events.extend(recent.into_iter().filter(|event| event.cursor() > known));
        Ok(events)
    }

    async fn recent(&self, id: &AlertId) -> Result<Vec<Arc<AlertEvent>>, Status> {
        let feed = &self.0.backend.feed;
        let head = feed.head();
        let mut at = Cursor { seq: head.seq.saturating_sub(limits::FEED_RING as u64 - 64), ..head };
        let mut found = Vec::new();
        while at < head {
            let piece = match feed.read(at, limits::FEED_BATCH).await {
                Ok(piece) => piece,
                // What isn't there any more is in the database, or will be.
                Err(ReadError::OtherEpoch { .. } | ReadError::TooOld { .. } | ReadError::Ahead { .. }) => break,
                Err(error) => return Err(Status::unavailable(format!("{error}: try again"))),
            };
            let Some(last) = piece.last() else { break };
            at = last.cursor();
            found.extend(piece.into_iter().filter(|event| event.alert.id == *id));
        }
        Ok(found)
    }

    async fn stored(&self, id: &AlertId, opened: Wall) -> Result<Vec<Arc<AlertEvent>>, Status> {
        let (mut from, mut skip) = (opened, 0);
        let mut events = Vec::new();
        // A subject has other alerts, and a device statuses and records: a page may hold none of this one.
        for _ in 0..limits::CAP_EXPORT_EVENTS / 64 {
            let page = TimelinePage { subject: id.subject, from, to: Wall::LAST, skip, limit: limits::PAGE_ROWS };
            let happened = self.0.backend.store.timeline(page).await.map_err(away)?;
            let is_last = happened.len() < limits::PAGE_ROWS;
            let Some(last) = happened.last().map(Happened::at) else { break };
            skip = happened.iter().filter(|it| it.at() == last).count() + if last == from { skip } else { 0 };
            from = last;
            events.extend(happened.into_iter().filter_map(|it| match it {
                Happened::Alert(event) if event.alert.id == *id => Some(Arc::new(event)),
                _ => None,
            }));
            if is_last || events.len() >= limits::CAP_EXPORT_EVENTS {
                break;
            }
        }
        events.sort_by_key(|event: &Arc<AlertEvent>| event.cursor());
        Ok(events)
    }

    async fn of_incident(&self, actor: &Actor, id: IncidentId) -> Result<Vec<Message>, Status> {
        let timeline = match self.0.backend.incidents.timeline(&id) {
            Some(timeline) => timeline,
            None => self.stored_timeline(id).await?,
        };
        let last = timeline.last().filter(|last| last.incident.is_seen_by(actor));
        let last = last.ok_or_else(|| not_found(&format!("incident {id}")))?;
        let site = self.site(last.incident.scene.device).await;
        let events = timeline.iter().map(|event| Told::Incident(event));
        Ok(cap::messages(self.0.backend.notifier.profile(), events, &site))
    }

    async fn stored_timeline(&self, id: IncidentId) -> Result<Vec<Arc<IncidentEvent>>, Status> {
        let _slot = self.0.queries.try_acquire().map_err(|_| overload("queries"))?;
        let read = self.0.backend.store.incident_timeline(id, Cursor::default(), limits::PAGE_ROWS).await;
        Ok(read.map_err(away)?.into_iter().map(Arc::new).collect())
    }

    /// What the archive has; a database that doesn't answer at once costs the circle on the map, not the message.
    async fn site(&self, device: Option<DeviceCode>) -> Site {
        let Some(device) = device else { return Site::default() };
        let found = self.0.backend.store.entry(EntryKind::Lift, device.as_str().into());
        let limit = std::time::Duration::from_millis(limits::NOTIFY_PLACE_MS);
        match tokio::time::timeout(limit, found).await {
            Ok(Ok(Some(Entry::Lift(lift)))) => Site { position: lift.position, rescue_code: lift.rescue_code },
            _ => Site::default(),
        }
    }

    async fn catch_up(&self, position: u64) -> Result<(), Status> {
        if position == 0 {
            return Ok(());
        }
        let reached = self.0.backend.feed.reached(position);
        tokio::time::timeout(self.0.settings.catch_up_wait, reached).await.map_err(|_| {
            Status::unavailable(format!("position {position} is not judged yet: try again, or ask without `at_least`"))
        })
    }
}

fn message(it: Message) -> v1::CapMessage {
    let Message { identifier, kind, sent, xml } = it;
    v1::CapMessage { identifier, kind: kind.name().into(), sent: Some(convert::timestamp(sent)), xml }
}

fn cursor(it: Cursor) -> v1::Cursor {
    v1::Cursor { epoch: it.epoch, seq: it.seq }
}

fn standing(it: Standing) -> v1::NotificationTarget {
    let state = match it.state {
        State::Starting => v1::TargetState::Starting,
        State::Idle => v1::TargetState::Idle,
        State::Telling => v1::TargetState::Telling,
        State::Failing => v1::TargetState::Failing,
    };
    v1::NotificationTarget {
        state: state.into(),
        cursor: Some(cursor(it.cursor)),
        head: Some(cursor(it.head)),
        behind: it.behind,
        pending_since: it.pending_since.map(convert::timestamp),
        attempts: it.attempts,
        next_attempt_at: it.next_attempt_at.map(convert::timestamp),
        reason: it.reason.into(),
        detail: it.detail,
        delivered_at: it.delivered_at.map(convert::timestamp),
        delivered: it.delivered,
        given_up: it.given_up,
        ..v1::NotificationTarget::default()
    }
}

fn delivery(it: Delivery) -> v1::Delivery {
    v1::Delivery {
        event: Some(cursor(it.cursor)),
        delivered: it.outcome == Outcome::Delivered,
        reason: it.reason,
        detail: it.detail,
        attempts: it.attempts,
        happened_at: Some(convert::timestamp(it.happened_at)),
        done_at: Some(convert::timestamp(it.done_at)),
    }
}

fn away(error: StoreError) -> Status {
    match error {
        StoreError::Away(_) => {
            Status::unavailable("the database is away, and what this alert or incident began with is only there")
        }
        // What it said may name tables and columns: that is for the log.
        StoreError::Refused(why) => {
            tracing::error!(%why, "a query for an export was refused");
            Status::internal("the query failed; the service's log says why")
        }
    }
}
