//! `AlertService`.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::watch::Watch;
use super::{Violations, convert, fitting, page_size};
use crate::limits;
use crate::model::actor::{Actor, Role};
use crate::model::alert::{Alert, Cursor, Urgency};
use crate::model::ids::AlertId;
use crate::model::record::{Action, Command};
use crate::pages::Place;
use crate::proto::v1;
use crate::proto::v1::alert_service_server::AlertService;
use crate::serve::auth::{actor, require};
use crate::serve::command::{Patience, not_found};
use crate::serve::stream::Pulled;
use crate::serve::token::Question;
use crate::serve::{Shared, overload};

pub(super) struct Alerts(pub(super) Shared);

#[tonic::async_trait]
impl AlertService for Alerts {
    type WatchAlertsStream = Pulled<Watch>;

    async fn watch_alerts(
        &self,
        request: Request<v1::WatchAlertsRequest>,
    ) -> Result<Response<Self::WatchAlertsStream>, Status> {
        let actor = actor(&request)?;
        let asked = request.into_inner();
        let mut violations = Violations::default();
        let filter = convert::filter(asked.filter.unwrap_or_default(), actor, &mut violations);
        let kinds = convert::kinds(&asked.kinds, &mut violations);
        violations.check()?;
        let slot = Arc::clone(&self.0.watchers).try_acquire_owned().map_err(|_| overload("watchers"))?;
        let cursor = asked.cursor.map(|c| Cursor { epoch: c.epoch, seq: c.seq });
        let feed = Arc::clone(&self.0.backend.feed);
        let watch = Watch::begin(feed, cursor, filter, kinds, self.0.settings.heartbeat).await?;
        Ok(Response::new(Pulled::new(watch, slot, self.0.settings.stall, self.0.stop.clone())))
    }

    async fn list_alerts(
        &self,
        request: Request<v1::ListAlertsRequest>,
    ) -> Result<Response<v1::ListAlertsResponse>, Status> {
        let actor = actor(&request)?;
        let asked = request.into_inner();
        let mut violations = Violations::default();
        let mut filter = convert::filter(asked.filter.unwrap_or_default(), actor, &mut violations);
        filter.unacknowledged_only = asked.unacknowledged_only;
        let size = page_size(asked.page_size, &mut violations);
        let question = Question::of(&filter);
        let begin = begin(question, &asked.page_token, &mut violations);
        violations.check()?;
        self.catch_up(asked.at_least).await?;

        let page = self.0.backend.board.list(&filter, begin.as_ref().map(|(_, after)| after), size);
        let cursor = begin.map_or(page.cursor, |(first, _)| first);
        if cursor.epoch != page.cursor.epoch {
            return Err(Status::aborted(
                "the epoch has changed since the first page: begin again without a page token",
            ));
        }
        let mut alerts: Vec<_> = page.alerts.iter().map(|alert| convert::alert(alert)).collect();
        let more = page.more || fitting(&alerts) < alerts.len();
        alerts.truncate(fitting(&alerts));
        let next = |last: &Alert| {
            let [epoch, seq] = [cursor.epoch.to_string(), cursor.seq.to_string()];
            question.token(&[&epoch, &seq, &last.urgency().number().to_string(), &last.id.to_string()])
        };
        let last = alerts.len().checked_sub(1).and_then(|last| page.alerts.get(last));
        let next_page_token = last.filter(|_| more).map(|last| next(last)).unwrap_or_default();
        let cursor = Some(v1::Cursor { epoch: cursor.epoch, seq: cursor.seq });
        Ok(Response::new(v1::ListAlertsResponse { alerts, cursor, next_page_token }))
    }

    async fn acknowledge_alert(
        &self,
        request: Request<v1::AcknowledgeAlertRequest>,
    ) -> Result<Response<v1::AcknowledgeAlertResponse>, Status> {
        let actor = actor(&request)?;
        let asked = request.into_inner();
        let wanted = Wanted::read(&asked.request_id, &asked.alert_id, &asked.note)?;
        let action = Action::Acknowledge { alert: wanted.alert.clone(), note: wanted.note.clone() };
        let (position, alert) = self.act(actor, wanted, action).await?;
        Ok(Response::new(v1::AcknowledgeAlertResponse { position, alert }))
    }

    async fn clear_alert(
        &self,
        request: Request<v1::ClearAlertRequest>,
    ) -> Result<Response<v1::ClearAlertResponse>, Status> {
        let actor = actor(&request)?;
        let asked = request.into_inner();
        let wanted = Wanted::read(&asked.request_id, &asked.alert_id, &asked.note)?;
        let action = Action::Clear { alert: wanted.alert.clone(), note: wanted.note.clone() };
        let (position, alert) = self.act(actor, wanted, action).await?;
        Ok(Response::new(v1::ClearAlertResponse { position, alert }))
    }
}

/// What the page before left: the cursor of the first page, and the last alert.
fn begin(question: Question, token: &str, violations: &mut Violations) -> Option<(Cursor, Place)> {
    if token.is_empty() {
        return None;
    }
    let [epoch, seq, urgency, id] = violations.take("page_token", question.parts(token))?;
    let begin = (|| {
        let cursor = Cursor { epoch: epoch.parse().ok()?, seq: seq.parse().ok()? };
        let urgency = Urgency::from_number(urgency.parse().ok()?)?;
        Some((cursor, Place { urgency, id: AlertId::parse(&id).ok()? }))
    })();
    violations.take("page_token", begin.ok_or("is not a token of this call"))
}

/// The fields of a command on one alert.
struct Wanted {
    request: Box<str>,
    alert: AlertId,
    note: Option<Box<str>>,
}

impl Wanted {
    fn read(request: &str, alert: &str, note: &str) -> Result<Self, Status> {
        let mut violations = Violations::default();
        let request = violations.text("request_id", request, limits::REQUEST_ID_CHARS);
        let alert = violations.take("alert_id", AlertId::parse(alert));
        let note = violations.optional_text("note", note, limits::NOTE_CHARS);
        violations.check()?;
        let (request, alert) = request.zip(alert).expect("what is missing was noted, and ended the call");
        Ok(Self { request, alert, note })
    }
}

impl Alerts {
    /// Does `action` to an alert, and returns the command's position and the alert after it.
    async fn act(&self, actor: Actor, wanted: Wanted, action: Action) -> Result<(u64, Option<v1::Alert>), Status> {
        require(&actor, &[Role::Dispatcher, Role::Admin])?;
        let board = &self.0.backend.board;
        // The core knows more alerts than the board, but only what is seen to be within the scope may be touched.
        let seen = |alert: &Alert| actor.sees(alert.place.district.as_ref());
        if !board.get(&wanted.alert).map_or(actor.sees(None), |alert| seen(&alert)) {
            return Err(not_found(&format!("alert {}", wanted.alert)));
        }
        let command = Command { request: wanted.request, actor: actor.clone(), action };
        let done = self.0.command(command, Patience::None).await?;
        // It is done, whether or not the board catches up in time: what is shown then is what there is.
        let _ = self.catch_up(done.position).await;
        Ok((done.position, board.get(&wanted.alert).filter(|alert| seen(alert)).map(|alert| convert::alert(&alert))))
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
