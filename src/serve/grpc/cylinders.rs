//! `CylinderService`.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::history::store_status;
use super::{Violations, convert, life};
use crate::limits;
use crate::model::actor::{Actor, Role, Scope};
use crate::model::archive::{self, Entry};
use crate::model::fill::{self, FillRequest};
use crate::model::ids::{CylinderCode, SiteCode, Subject};
use crate::model::record::{Action, Command, Outcome};
use crate::proto::v1;
use crate::proto::v1::cylinder_service_server::CylinderService;
use crate::serve::auth::{actor, require, sees_entry};
use crate::serve::command::{Patience, done, not_found};
use crate::serve::stream::Pulled;
use crate::serve::{Shared, overload};

pub(super) struct Cylinders(pub(super) Shared);

#[tonic::async_trait]
impl CylinderService for Cylinders {
    type TraceCylinderStream = Pulled<life::Life>;

    async fn check_fill(
        &self,
        request: Request<v1::CheckFillRequest>,
    ) -> Result<Response<v1::CheckFillResponse>, Status> {
        let actor = actor(&request)?;
        let asked = request.into_inner();
        let mut violations = Violations::default();
        let name = violations.text("request_id", &asked.request_id, limits::REQUEST_ID_CHARS);
        let fill = self.fill_request(&asked, &mut violations);
        violations.check()?;
        let (name, fill) = name.zip(fill).expect("what is missing was noted, and ended the call");
        may_fill_at(&actor, fill.site)?;
        let command = Command { request: name, actor, action: Action::CheckFill(fill) };
        match self.0.outcome(command, Patience::None).await? {
            Outcome::Fill { position, verdict } => Ok(Response::new(v1::CheckFillResponse {
                allow: verdict.allows(),
                issued_at: Some(convert::timestamp(verdict.issued_at())),
                expires_at: Some(convert::timestamp(verdict.expires_at)),
                hint: fill::hint(&verdict.reasons),
                reasons: verdict.reasons.into_iter().map(String::from).collect(),
                position,
            })),
            other => Err(refusal(other)),
        }
    }

    async fn check_batch(
        &self,
        request: Request<v1::CheckBatchRequest>,
    ) -> Result<Response<v1::CheckBatchResponse>, Status> {
        let actor = actor(&request)?;
        let asked = request.into_inner();
        let mut violations = Violations::default();
        let name = violations.text("request_id", &asked.request_id, limits::REQUEST_ID_CHARS);
        let site = violations.take("site", SiteCode::parse(&asked.site));
        if asked.cylinders.len() > limits::BATCH_CYLINDERS {
            let (got, most) = (asked.cylinders.len(), limits::BATCH_CYLINDERS);
            violations.add("cylinders", format!("are {got}: ask about at most {most} at a time"));
        }
        let codes = asked.cylinders.iter().take(limits::BATCH_CYLINDERS).enumerate();
        let cylinders: Vec<CylinderCode> = codes
            .filter_map(|(n, code)| violations.take(&format!("cylinders[{n}]"), CylinderCode::parse(code)))
            .collect();
        violations.check()?;
        let (name, site) = name.zip(site).expect("what is missing was noted, and ended the call");
        may_fill_at(&actor, site)?;
        let command = Command { request: name, actor, action: Action::CheckBatch { site, cylinders } };
        match self.0.outcome(command, Patience::None).await? {
            Outcome::Findings { position, findings } => {
                let finding = |it: crate::model::fill::Finding| v1::CylinderFinding {
                    cylinder: it.cylinder.to_string(),
                    reasons: it.reasons.into_iter().map(String::from).collect(),
                };
                let findings = findings.into_iter().map(finding).collect();
                Ok(Response::new(v1::CheckBatchResponse { findings, position }))
            }
            other => Err(refusal(other)),
        }
    }

    async fn trace_cylinder(
        &self,
        request: Request<v1::TraceCylinderRequest>,
    ) -> Result<Response<Self::TraceCylinderStream>, Status> {
        let actor = actor(&request)?;
        let mut violations = Violations::default();
        let code = violations.take("cylinder", CylinderCode::parse(&request.get_ref().cylinder));
        violations.check()?;
        let code = code.expect("what is missing was noted, and ended the call");
        let slot = Arc::clone(&self.0.queries).try_acquire_owned().map_err(|_| overload("queries"))?;
        let store = Arc::clone(&self.0.backend.store);
        let cylinder = life::Relabelled::find(&*store, code).await.map_err(store_status)?;
        let is_seen = |entry: &archive::Cylinder| sees_entry(&actor, &Entry::Cylinder(entry.clone()));
        if !cylinder.entry.as_ref().map_or(actor.sees(None), is_seen) {
            return Err(not_found(&Subject::Cylinder(code).to_string()));
        }
        let life = life::Life::new(store, &cylinder);
        Ok(Response::new(Pulled::new(life, slot, self.0.settings.stall, self.0.stop.clone())))
    }
}

impl Cylinders {
    fn fill_request(&self, asked: &v1::CheckFillRequest, violations: &mut Violations) -> Option<FillRequest> {
        let site = violations.take("site", SiteCode::parse(&asked.site));
        let scanner = violations.text("scanner", &asked.scanner, limits::SCANNER_CHARS);
        let cylinder = violations.take("cylinder", CylinderCode::parse(&asked.cylinder));
        let medium = violations.optional_text("medium", &asked.medium, limits::SCAN_TEXT_CHARS);
        let operator = violations.optional_text("operator", &asked.operator, limits::SCAN_TEXT_CHARS);
        let asked_at = asked.asked_at.as_ref().and_then(|at| violations.take("asked_at", convert::moment(at)));
        let clock = &self.0.backend.clock;
        let age_ms = asked_at.map_or(0, |at| (clock.wall() - at).max(0));
        Some(FillRequest {
            site: site?,
            scanner: scanner?,
            cylinder: cylinder?,
            medium,
            operator,
            age_ms,
            asked: clock.elapsed(),
        })
    }
}

/// Whoever fills at one site asks about that one only.
fn may_fill_at(actor: &Actor, site: SiteCode) -> Result<(), Status> {
    require(actor, &[Role::Station, Role::Admin])?;
    match &actor.scope {
        Scope::All => Ok(()),
        Scope::Site(own) if *own == site => Ok(()),
        _ => Err(Status::permission_denied(format!("{site} is not your site: ask for your own"))),
    }
}

fn refusal(outcome: Outcome) -> Status {
    done(outcome).err().unwrap_or_else(|| Status::internal("the core answered another question than was asked"))
}
