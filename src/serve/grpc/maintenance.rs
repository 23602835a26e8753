//! `MaintenanceService`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tonic::{Code, Request, Response, Status, Streaming};

use super::convert::{self, Asked};
use super::dues::{self, Page};
use super::history::store_status;
use super::violations::Violation;
use super::{Violations, fitting, page_size};
use crate::core::chain;
use crate::core::maintenance::again;
use crate::limits;
use crate::model::actor::{Actor, Role};
use crate::model::ids::{DeviceCode, Subject};
use crate::model::record::{Action, Command, ItemFault, ItemOutcome, Outcome};
use crate::model::time::CivilDay;
use crate::model::visit::{Salt, Upload, Visit};
use crate::proto::v1;
use crate::proto::v1::maintenance_service_server::MaintenanceService;
use crate::serve::auth::{actor, require};
use crate::serve::command::{Patience, done};
use crate::serve::history::{LinkMark, LinkPage, StoreError};
use crate::serve::stream::{Pulled, Source};
use crate::serve::token::Question;
use crate::serve::{Shared, overload};
use crate::store::StandingQuery;

/// Records that came together are taken together: so long after the first of them others are waited for.
const GATHER: Duration = Duration::from_millis(10);
/// Records of work so long ago are looked for in the store; a little more of them than the core asks for.
const LOOK_UP_MS: i64 = (limits::RECORD_MEMORY_DAYS as i64 - 2) * 86_400_000;

pub(super) struct Maintenance(pub(super) Shared);

#[tonic::async_trait]
impl MaintenanceService for Maintenance {
    type UploadRecordsStream = Pulled<Uploading>;

    async fn upload_records(
        &self,
        request: Request<Streaming<v1::UploadRecordsRequest>>,
    ) -> Result<Response<Self::UploadRecordsStream>, Status> {
        let actor = actor(&request)?;
        require(&actor, &[Role::Firm, Role::Admin])?;
        let slot = Arc::clone(&self.0.uploads).try_acquire_owned().map_err(|_| overload("uploads"))?;
        let uploading = Uploading {
            shared: self.0.clone(),
            actor,
            requests: request.into_inner(),
            count: 0,
            answers: VecDeque::new(),
            has_ended: false,
        };
        Ok(Response::new(Pulled::new(uploading, slot, self.0.settings.stall, self.0.stop.clone())))
    }

    async fn sign_record(
        &self,
        request: Request<v1::SignRecordRequest>,
    ) -> Result<Response<v1::SignRecordResponse>, Status> {
        let actor = actor(&request)?;
        require(&actor, &[Role::Admin])?;
        let asked = request.into_inner();
        let mut violations = Violations::default();
        let request = violations.text("request_id", &asked.request_id, limits::REQUEST_ID_CHARS);
        let sign = convert::sign_from(&asked, &mut violations);
        violations.check()?;
        let (request, sign) = request.zip(sign).expect("what is missing was noted, and ended the call");
        let command = Command { request, actor, action: Action::Sign(sign) };
        let done = self.0.command(command, Patience::None).await?;
        Ok(Response::new(v1::SignRecordResponse { position: done.position }))
    }

    async fn list_records(
        &self,
        request: Request<v1::ListRecordsRequest>,
    ) -> Result<Response<v1::ListRecordsResponse>, Status> {
        let actor = actor(&request)?;
        let asked = request.into_inner();
        let mut violations = Violations::default();
        let device = violations.take("device", DeviceCode::parse(&asked.device));
        let size = page_size(asked.page_size, &mut violations);
        let question = Question::of(&asked.device);
        let after = link_mark(question, &asked.page_token, &mut violations);
        violations.check()?;
        let device = device.expect("what is missing was noted, and ended the call");
        self.0.check_scope(&actor, &Subject::Device(device)).await?;
        let page = LinkPage { device, after, limit: size };
        let found = self.0.backend.store.links(page).await.map_err(store_status)?;
        let mut links: Vec<_> = found.iter().map(|(_, link)| convert::chain_link(link)).collect();
        let shown = fitting(&links);
        let more = found.len() >= size || shown < links.len();
        links.truncate(shown);
        let last = found[..shown].last().filter(|_| more);
        let token = last.map(|(mark, _)| question.token(&[&mark.number.to_string(), &mark.n.to_string()]));
        Ok(Response::new(v1::ListRecordsResponse { links, next_page_token: token.unwrap_or_default() }))
    }

    async fn list_due(&self, request: Request<v1::ListDueRequest>) -> Result<Response<v1::ListDueResponse>, Status> {
        let actor = actor(&request)?;
        let asked = request.into_inner();
        let mut violations = Violations::default();
        let device = violations.optional("device", &asked.device, DeviceCode::parse);
        let until = violations.optional("until", &asked.until, convert::day).unwrap_or(CivilDay::LAST);
        let v1::ListDueRequest { districts, kinds, firm, page_size: size, page_token, .. } = &asked;
        let as_of = self.0.today();
        let query = convert::standing_from(Asked { districts, kinds, firm, site: "" }, as_of, &mut violations);
        let due_before = CivilDay(until.max(as_of).0 + 1);
        let query = StandingQuery { due_before, subject: device.map(Subject::Device), ..query };
        let question = Question::of(&("due", &query));
        let after = dues::cursor(question, page_token, &mut violations);
        let limit = page_size(*size, &mut violations);
        violations.check()?;
        if let Some(device) = device {
            self.0.check_scope(&actor, &Subject::Device(device)).await?;
        }
        let query = StandingQuery { after, limit, ..query };
        let Page { items, next_page_token } = self.0.standing(&actor, query, question).await?;
        Ok(Response::new(v1::ListDueResponse { items, as_of: as_of.to_string(), next_page_token }))
    }
}

fn link_mark(question: Question, token: &str, violations: &mut Violations) -> Option<LinkMark> {
    if token.is_empty() {
        return None;
    }
    let [number, n] = violations.take("page_token", question.parts(token))?;
    let mark = number.parse().ok().zip(n.parse().ok()).map(|(number, n)| LinkMark { number, n });
    violations.take("page_token", mark.ok_or("is not a token of this call"))
}

/// The answers to a stream of records. It reads on when it is asked for more.
pub(super) struct Uploading {
    shared: Shared,
    actor: Actor,
    requests: Streaming<v1::UploadRecordsRequest>,
    /// Records that came, from 1: stands in for lines that aren't given.
    count: u64,
    answers: VecDeque<v1::UploadRecordsResponse>,
    has_ended: bool,
}

/// A record on its way.
struct Came {
    line: u64,
    /// Its id as it came.
    record: String,
    /// Decided before the core was asked.
    decided: Option<Decided>,
}

enum Decided {
    Outcome(ItemOutcome),
    /// It can't be decided now.
    Away(&'static str),
}

impl Source for Uploading {
    type Item = v1::UploadRecordsResponse;

    async fn next(&mut self) -> Option<Result<v1::UploadRecordsResponse, Status>> {
        loop {
            if let Some(answer) = self.answers.pop_front() {
                return Some(Ok(answer));
            }
            if self.has_ended {
                return None;
            }
            if let Err(status) = self.take_group().await {
                self.has_ended = true;
                return Some(Err(status));
            }
        }
    }
}

impl Uploading {
    /// Takes the next records that have come, and answers all of them.
    async fn take_group(&mut self) -> Result<(), Status> {
        let (mut all, mut uploads) = (Vec::new(), Vec::new());
        for message in self.gather().await? {
            self.count += 1;
            let (came, upload) = self.read(message).await;
            all.push(came);
            uploads.extend(upload);
        }
        let (position, outcomes) = self.ask(uploads).await?;
        let mut outcomes = outcomes.into_iter();
        for Came { line, record, decided } in all {
            let answer = match decided {
                Some(Decided::Outcome(outcome)) => convert::record_answer(line, record, 0, &outcome),
                Some(Decided::Away(why)) => convert::record_refused(line, record, Code::Unavailable, why),
                None => {
                    let outcome =
                        outcomes.next().ok_or_else(|| Status::internal("the core answered too few records"))?;
                    convert::record_answer(line, record, position, &outcome)
                }
            };
            convert::count_upload("record", answer.outcome(), answer.code);
            self.answers.push_back(answer);
        }
        Ok(())
    }

    /// What has come, at least one unless the stream is at its end.
    async fn gather(&mut self) -> Result<Vec<v1::UploadRecordsRequest>, Status> {
        let mut group = Vec::new();
        while group.len() < limits::VISITS {
            let next = if group.is_empty() {
                Ok(self.requests.message().await)
            } else {
                tokio::time::timeout(GATHER, self.requests.message()).await
            };
            match next {
                Ok(Ok(Some(message))) => group.push(message),
                Ok(Ok(None)) => {
                    self.has_ended = true;
                    break;
                }
                Ok(Err(status)) => return Err(status),
                Err(_) => break,
            }
        }
        Ok(group)
    }

    async fn read(&self, message: v1::UploadRecordsRequest) -> (Came, Option<Upload>) {
        let line = if message.line == 0 { self.count } else { message.line };
        let record = message.record.as_ref().map_or_else(String::new, |it| it.record.clone());
        let mut violations = Violations::default();
        let visit = message.record.and_then(|it| convert::visit_from(&it, &mut violations));
        let Some(visit) = visit else {
            if violations.0.is_empty() {
                violations.add("record", "is missing");
            }
            return (Came { line, record, decided: Some(Decided::Outcome(invalid(violations))) }, None);
        };
        let mut looked_up = false;
        let decided = match self.shared.backend.clock.wall() - visit.ended_at {
            age_ms if age_ms > LOOK_UP_MS => {
                looked_up = true;
                self.look_up(&visit).await
            }
            _ => None,
        };
        let decided = decided.map_or_else(salt, Err);
        let (decided, upload) = match decided {
            Ok(salt) => (None, Some(Upload { visit, salt, looked_up })),
            Err(decided) => (Some(decided), None),
        };
        (Came { line, record, decided }, upload)
    }

    /// What the store says of a record that is older than what is remembered; `None`: it has none.
    async fn look_up(&self, visit: &Visit) -> Option<Decided> {
        match self.shared.backend.store.visit(visit.firm, visit.record).await {
            Ok(None) => None,
            Ok(Some(row)) => {
                // The people may have been erased since.
                let content = |visit: &Visit| chain::content(&Visit { people: Vec::new(), ..visit.clone() });
                Some(Decided::Outcome(again(visit, content(&row.visit) == content(visit))))
            }
            Err(StoreError::Away(_)) => Some(Decided::Away(
                "so old a record is looked for in the database first, which is away: send it again later",
            )),
            Err(StoreError::Refused(why)) => {
                tracing::error!(why, "the database refused a query");
                Some(Decided::Away("the database refused the query; the service's log says why"))
            }
        }
    }

    async fn ask(&self, uploads: Vec<Upload>) -> Result<(u64, Vec<ItemOutcome>), Status> {
        if uploads.is_empty() {
            return Ok((0, Vec::new()));
        }
        let command =
            Command { request: "upload".into(), actor: self.actor.clone(), action: Action::UploadVisits(uploads) };
        match self.shared.outcome(command, Patience::Wait).await? {
            Outcome::Items { position, items } => Ok((position, items)),
            other => Err(done(other).err().unwrap_or_else(|| {
                Status::new(Code::Internal, "the core answered something else than what became of the records")
            })),
        }
    }
}

fn invalid(violations: Violations) -> ItemOutcome {
    let fault = |Violation { field, why }| ItemFault { field: field.into(), why: why.into() };
    ItemOutcome::Invalid(violations.0.into_iter().map(fault).collect())
}

/// Whoever has the digest must not find the people by trying: it comes from the system's random numbers.
fn salt() -> Result<Salt, Decided> {
    let mut salt = Salt::default();
    match getrandom::fill(&mut salt) {
        Ok(()) => Ok(salt),
        Err(error) => {
            tracing::error!(%error, "the system gives no random numbers");
            Err(Decided::Away("the system gives no random numbers; the service's log says why"))
        }
    }
}
