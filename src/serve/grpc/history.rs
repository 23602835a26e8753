//! `HistoryService`.

use std::sync::Arc;
use std::time::Duration;

use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{Violations, convert, fitting, page_size};
use crate::limits;
use crate::model::actor::Actor;
use crate::model::frame::FrameKey;
use crate::model::ids::{DeviceCode, Subject};
use crate::model::time::Wall;
use crate::proto::v1;
use crate::proto::v1::history_service_server::HistoryService;
use crate::serve::auth::{actor, sees_entry};
use crate::serve::command::not_found;
use crate::serve::history::{FrameMark, FramePage, HistoryStore, StoreError, TimelinePage, entry_of};
use crate::serve::stream::{Pulled, Source};
use crate::serve::token::Question;
use crate::serve::{Shared, overload};

pub(super) struct History(pub(super) Shared);

#[tonic::async_trait]
impl HistoryService for History {
    type QueryFramesStream = Pulled<Frames>;

    async fn query_frames(
        &self,
        request: Request<v1::QueryFramesRequest>,
    ) -> Result<Response<Self::QueryFramesStream>, Status> {
        let actor = actor(&request)?;
        let asked = request.into_inner();
        let mut violations = Violations::default();
        let device = violations.take("device", DeviceCode::parse(&asked.device));
        let range = convert::range(asked.from.as_ref(), asked.to.as_ref(), &mut violations);
        let question = Question::of(&(&asked.device, range));
        let after = frame_mark(question, &asked.page_token, &mut violations);
        violations.check()?;
        let (device, (from, to)) = device.zip(range).expect("what is missing was noted, and ended the call");
        let slot = Arc::clone(&self.0.queries).try_acquire_owned().map_err(|_| overload("queries"))?;
        self.0.check_scope(&actor, &Subject::Device(device)).await?;
        let left = if asked.limit == 0 { u64::MAX } else { asked.limit };
        let page = FramePage { device, from, to, after, limit: 0 };
        let frames =
            Frames { store: Arc::clone(&self.0.backend.store), page, question, left, ended: false, begun: false };
        Ok(Response::new(Pulled::new(frames, slot, self.0.settings.stall, self.0.stop.clone())))
    }

    async fn get_timeline(
        &self,
        request: Request<v1::GetTimelineRequest>,
    ) -> Result<Response<v1::GetTimelineResponse>, Status> {
        let actor = actor(&request)?;
        let asked = request.into_inner();
        let mut violations = Violations::default();
        let subject = violations.take("subject", Subject::parse(&asked.subject));
        let range = convert::range(asked.from.as_ref(), asked.to.as_ref(), &mut violations);
        let size = page_size(asked.page_size, &mut violations);
        let question = Question::of(&(&asked.subject, range));
        let begin = timeline_mark(question, &asked.page_token, &mut violations);
        violations.check()?;
        let (subject, (from, to)) = subject.zip(range).expect("what is missing was noted, and ended the call");
        self.0.check_scope(&actor, &subject).await?;

        let (from, skip) = begin.unwrap_or((from, 0));
        let page = TimelinePage { subject, from, to, skip, limit: size };
        let found = self.0.backend.store.timeline(page).await.map_err(store_status)?;
        let full = found.len() >= size;
        let mut items: Vec<_> = found.iter().map(convert::timeline_item).collect();
        let shown = fitting(&items);
        let more = full || shown < items.len();
        items.truncate(shown);
        let next = found[..shown].last().filter(|_| more).map(|last| {
            let same = found[..shown].iter().rev().take_while(|h| h.at() == last.at()).count();
            let before = if last.at() == from { skip } else { 0 };
            question.token(&[&last.at().0.to_string(), &(before + same).to_string()])
        });
        Ok(Response::new(v1::GetTimelineResponse { items, next_page_token: next.unwrap_or_default() }))
    }

    async fn explain(&self, request: Request<v1::ExplainRequest>) -> Result<Response<v1::ExplainResponse>, Status> {
        let actor = actor(&request)?;
        Ok(Response::new(self.0.explain(&actor, request.get_ref()).await?))
    }

    async fn list_rejects(
        &self,
        request: Request<v1::ListRejectsRequest>,
    ) -> Result<Response<v1::ListRejectsResponse>, Status> {
        let actor = actor(&request)?;
        Ok(Response::new(self.0.list_rejects(&actor, request.get_ref()).await?))
    }
}

impl Shared {
    /// Ends the call unless the actor may see all, or the archive says that the subject is in scope.
    pub(super) async fn check_scope(&self, actor: &Actor, subject: &Subject) -> Result<(), Status> {
        if actor.sees(None) {
            return Ok(());
        }
        let (kind, code) = entry_of(subject).ok_or_else(|| not_found(&subject.to_string()))?;
        let entry = self.backend.store.entry(kind, code).await.map_err(store_status)?;
        match entry {
            Some(entry) if sees_entry(actor, &entry) => Ok(()),
            _ => Err(not_found(&subject.to_string())),
        }
    }
}

pub(super) fn store_status(error: StoreError) -> Status {
    match error {
        StoreError::Away(_) => {
            let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(10)));
            Status::with_error_details(Code::Unavailable, format!("{error}: try again later"), details)
        }
        // What it said may name tables and columns: that is for the log.
        StoreError::Refused(why) => {
            tracing::error!(why, "the database refused a query");
            Status::internal("the database refused the query; the service's log says why")
        }
    }
}

fn frame_mark(question: Question, token: &str, violations: &mut Violations) -> Option<FrameMark> {
    if token.is_empty() {
        return None;
    }
    let [at, generation, boot, seq] = violations.take("page_token", question.parts(token))?;
    let mark = (|| {
        let key = FrameKey { boot: boot.parse().ok()?, seq: seq.parse().ok()? };
        Some(FrameMark { effective_at: Wall(at.parse().ok()?), generation: generation.parse().ok()?, key })
    })();
    violations.take("page_token", mark.ok_or("is not a token of this call"))
}

fn timeline_mark(question: Question, token: &str, violations: &mut Violations) -> Option<(Wall, usize)> {
    if token.is_empty() {
        return None;
    }
    let [at, skip] = violations.take("page_token", question.parts(token))?;
    // What is skipped is read all the same, and a token may be forged.
    let skip = skip.parse().ok().filter(|skip| *skip <= limits::TIMELINE_SKIP);
    let mark = at.parse().ok().map(Wall).zip(skip);
    violations.take("page_token", mark.ok_or("is not a token of this call"))
}

/// The stream behind `QueryFrames`: one page of the store at a time, read when the client asks for it.
pub(super) struct Frames {
    store: Arc<dyn HistoryStore>,
    page: FramePage,
    question: Question,
    /// Frames that may still be sent.
    left: u64,
    begun: bool,
    ended: bool,
}

impl Frames {
    async fn read(&mut self) -> Result<v1::QueryFramesResponse, Status> {
        let limit = usize::try_from(self.left).unwrap_or(usize::MAX).min(limits::PAGE_ROWS);
        let rows = self.store.frames(FramePage { limit, ..self.page.clone() }).await.map_err(store_status)?;
        let full = rows.len() >= limit;
        let mut frames: Vec<_> = rows.iter().map(convert::stored_frame).collect();
        let shown = fitting(&frames);
        let more = full || shown < frames.len();
        frames.truncate(shown);
        self.left -= shown as u64;
        self.page.after = rows[..shown].last().map(FrameMark::of).or(self.page.after);
        self.ended = !more || self.left == 0;
        let next_page_token = self.page.after.filter(|_| more).map(|mark| self.token(mark)).unwrap_or_default();
        Ok(v1::QueryFramesResponse { frames, next_page_token })
    }

    fn token(&self, mark: FrameMark) -> String {
        self.question.token(&[
            &mark.effective_at.0.to_string(),
            &mark.generation.to_string(),
            &mark.key.boot.to_string(),
            &mark.key.seq.to_string(),
        ])
    }
}

impl Source for Frames {
    type Item = v1::QueryFramesResponse;

    async fn next(&mut self) -> Option<Result<v1::QueryFramesResponse, Status>> {
        if self.ended {
            return None;
        }
        let begun = std::mem::replace(&mut self.begun, true);
        match self.read().await {
            // A full page may turn out to have been the last.
            Ok(response) if response.frames.is_empty() && begun => None,
            answer => Some(answer),
        }
    }
}
