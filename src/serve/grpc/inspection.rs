//! `InspectionService`.

use tonic::{Code, Request, Response, Status};

use super::convert::{self, Asked};
use super::dues::{self, Page};
use super::history::store_status;
use super::violations::Violation;
use super::{Violations, fitting, page_size};
use crate::core::chain;
use crate::core::inspection::again;
use crate::limits;
use crate::model::actor::{Actor, Role};
use crate::model::ids::{DeviceCode, Subject};
use crate::model::record::{Action, Command, ItemFault, ItemOutcome, Outcome};
use crate::model::report::{Report, ReportUpload};
use crate::model::time::CivilDay;
use crate::proto::v1;
use crate::proto::v1::inspection_service_server::InspectionService;
use crate::serve::auth::{actor, require};
use crate::serve::command::{Patience, done};
use crate::serve::history::StoreError;
use crate::serve::token::Question;
use crate::serve::{Shared, overload};
use crate::store::{ReportQuery, StandingQuery};

/// Reports of work so long ago are looked for in the store; a little more of them than the core asks for.
const LOOK_UP_DAYS: i64 = limits::RECORD_MEMORY_DAYS as i64 - 2;

pub(super) struct Inspection(pub(super) Shared);

/// What is known of a report before the core is asked.
enum Read {
    /// It goes to the core.
    Upload(ReportUpload),
    Decided(ItemOutcome),
    /// It can't be decided now.
    Away(&'static str),
}

#[tonic::async_trait]
impl InspectionService for Inspection {
    async fn upload_reports(
        &self,
        request: Request<v1::UploadReportsRequest>,
    ) -> Result<Response<v1::UploadReportsResponse>, Status> {
        let actor = actor(&request)?;
        require(&actor, &[Role::Inspector, Role::Firm, Role::Admin])?;
        let _slot = self.0.uploads.try_acquire().map_err(|_| overload("uploads"))?;
        let asked = request.into_inner().reports;
        if asked.len() > limits::REPORTS_ASKED {
            let mut violations = Violations::default();
            let most = limits::REPORTS_ASKED;
            violations.add("reports", format!("has {} elements: at most {most} are taken at a time", asked.len()));
            violations.check()?;
        }
        let today = self.0.today();
        let (mut read, mut uploads) = (Vec::new(), Vec::new());
        for report in &asked {
            read.push(match self.read(report, today).await {
                Read::Upload(upload) => {
                    uploads.push(upload);
                    None
                }
                other => Some(other),
            });
        }
        let (position, outcomes) = self.ask_all(&actor, uploads).await?;
        let mut outcomes = outcomes.into_iter();
        let mut results = Vec::new();
        for (report, read) in asked.into_iter().zip(read) {
            let id = report.report;
            results.push(match read {
                Some(Read::Decided(outcome)) => convert::report_result(id, &outcome),
                Some(Read::Away(why)) => v1::ReportResult {
                    report: id,
                    outcome: v1::RecordOutcome::Refused.into(),
                    code: Code::Unavailable.into(),
                    message: why.to_owned(),
                    faults: Vec::new(),
                },
                Some(Read::Upload(_)) | None => {
                    let outcome =
                        outcomes.next().ok_or_else(|| Status::internal("the core answered too few reports"))?;
                    convert::report_result(id, &outcome)
                }
            });
        }
        for result in &results {
            convert::count_upload("report", result.outcome(), result.code);
        }
        Ok(Response::new(v1::UploadReportsResponse { results, position }))
    }

    async fn list_reports(
        &self,
        request: Request<v1::ListReportsRequest>,
    ) -> Result<Response<v1::ListReportsResponse>, Status> {
        let actor = actor(&request)?;
        let asked = request.into_inner();
        let mut violations = Violations::default();
        let device = violations.take("device", DeviceCode::parse(&asked.device));
        let limit = page_size(asked.page_size, &mut violations);
        let question = Question::of(&asked.device);
        let after = (!asked.page_token.is_empty())
            .then(|| violations.take("page_token", question.parts(&asked.page_token)))
            .flatten()
            .and_then(|[n]: [String; 1]| {
                violations.take("page_token", n.parse().map_err(|_| "is not a token of this call"))
            });
        violations.check()?;
        let device = device.expect("what is missing was noted, and ended the call");
        self.0.check_scope(&actor, &Subject::Device(device)).await?;
        let found = self.0.backend.store.reports(ReportQuery { device, after, limit }).await.map_err(store_status)?;
        let mut reports: Vec<_> = found.iter().map(|report| convert::stored_report(&report.row)).collect();
        let shown = fitting(&reports);
        let more = found.len() >= limit || shown < reports.len();
        reports.truncate(shown);
        let last = found[..shown].last().filter(|_| more);
        let next_page_token = last.map(|last| question.token(&[&last.n.to_string()])).unwrap_or_default();
        Ok(Response::new(v1::ListReportsResponse { reports, next_page_token }))
    }

    async fn list_overdue(
        &self,
        request: Request<v1::ListOverdueRequest>,
    ) -> Result<Response<v1::ListOverdueResponse>, Status> {
        let actor = actor(&request)?;
        let asked = request.into_inner();
        let mut violations = Violations::default();
        let as_of = violations.optional("as_of", &asked.as_of, convert::day).unwrap_or_else(|| self.0.today());
        let v1::ListOverdueRequest { districts, kinds, firm, site, page_size: size, page_token, .. } = &asked;
        let query = convert::standing_from(Asked { districts, kinds, firm, site }, as_of, &mut violations);
        let question = Question::of(&("overdue", &query));
        let after = dues::cursor(question, page_token, &mut violations);
        let limit = page_size(*size, &mut violations);
        violations.check()?;
        let query = StandingQuery { due_before: as_of, after, limit, ..query };
        let Page { items, next_page_token } = self.0.standing(&actor, query, question).await?;
        Ok(Response::new(v1::ListOverdueResponse { items, as_of: as_of.to_string(), next_page_token }))
    }
}

impl Inspection {
    async fn read(&self, report: &v1::InspectionReport, today: CivilDay) -> Read {
        let mut violations = Violations::default();
        let Some(report) = convert::report_from(report, &mut violations) else {
            let fault = |Violation { field, why }| ItemFault { field: field.into(), why: why.into() };
            return Read::Decided(ItemOutcome::Invalid(violations.0.into_iter().map(fault).collect()));
        };
        if today.days_since(report.done_on) <= LOOK_UP_DAYS {
            return Read::Upload(ReportUpload { report, looked_up: false });
        }
        self.look_up(report).await
    }

    /// A report that is older than what is remembered may have come before.
    async fn look_up(&self, report: Report) -> Read {
        match self.0.backend.store.report(report.party, report.id).await {
            Ok(None) => Read::Upload(ReportUpload { report, looked_up: true }),
            Ok(Some(row)) => {
                let is_same = chain::content_of_report(&row.report) == chain::content_of_report(&report);
                Read::Decided(again(&report, is_same))
            }
            Err(StoreError::Away(_)) => {
                Read::Away("so old a report is looked for in the database first, which is away: send it again later")
            }
            Err(StoreError::Refused(why)) => {
                tracing::error!(why, "the database refused a query");
                Read::Away("the database refused the query; the service's log says why")
            }
        }
    }

    /// In as many commands as it takes, the position of the last one. Each report is known again by itself, so that an
    /// error on the way costs the asker another try and nothing else.
    async fn ask_all(&self, actor: &Actor, uploads: Vec<ReportUpload>) -> Result<(u64, Vec<ItemOutcome>), Status> {
        let (mut last, mut outcomes) = (0, Vec::with_capacity(uploads.len()));
        for uploads in uploads.chunks(limits::COMMAND_ITEMS) {
            let (position, items) = self.ask(actor.clone(), uploads.to_vec()).await?;
            last = position;
            outcomes.extend(items);
        }
        Ok((last, outcomes))
    }

    async fn ask(&self, actor: Actor, uploads: Vec<ReportUpload>) -> Result<(u64, Vec<ItemOutcome>), Status> {
        let command = Command { request: "upload".into(), actor, action: Action::UploadReports(uploads) };
        match self.0.outcome(command, Patience::Wait).await? {
            Outcome::Items { position, items } => Ok((position, items)),
            other => Err(done(other).err().unwrap_or_else(|| {
                Status::internal("the core answered something else than what became of the reports")
            })),
        }
    }
}
