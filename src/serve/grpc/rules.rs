//! `RulesService`.

use tokio::sync::{mpsc, oneshot};
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, PreconditionViolation, StatusExt as _};

use super::Violations;
use crate::core::rules::RuleFault;
use crate::limits;
use crate::model::actor::Role;
use crate::model::ids::RuleId;
use crate::proto::v1;
use crate::proto::v1::rules_service_server::RulesService;
use crate::serve::Shared;
use crate::serve::auth::{actor, require};
use crate::serve::command::{ended, overloaded};
use crate::serve::reloads::{Ask, InForce, Refused, Reloaded};

pub(super) struct Rules(pub(super) Shared);

#[tonic::async_trait]
impl RulesService for Rules {
    async fn reload_rules(
        &self,
        request: Request<v1::ReloadRulesRequest>,
    ) -> Result<Response<v1::ReloadRulesResponse>, Status> {
        let actor = actor(&request)?;
        require(&actor, &[Role::Admin])?;
        let mut violations = Violations::default();
        let request = violations.text("request_id", &request.into_inner().request_id, limits::REQUEST_ID_CHARS);
        violations.check()?;
        let request = request.expect("what is missing was noted, and ended the call");

        let (reply, answer) = oneshot::channel();
        self.0.backend.reloads.ask(Ask { actor, request, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => overloaded(),
            mpsc::error::TrySendError::Closed(_) => ended(),
        })?;
        match tokio::time::timeout(self.0.settings.command_wait, answer).await {
            Ok(Ok(Ok(reloaded))) => Ok(Response::new(response(&reloaded))),
            Ok(Ok(Err(why))) => Err(refused(&why)),
            Ok(Err(_)) => Err(ended()),
            Err(_) => Err(Status::deadline_exceeded(
                "the outcome is not known yet: repeat the call with the same request id to learn it",
            )),
        }
    }

    async fn get_rules(&self, request: Request<v1::GetRulesRequest>) -> Result<Response<v1::GetRulesResponse>, Status> {
        actor(&request)?;
        let InForce { version, text } = self.0.backend.reloads.in_force();
        let file = |(name, text)| v1::RuleFile { name: String::from(name), text: String::from(text) };
        let files = text.rules.into_iter().map(file).collect();
        Ok(Response::new(v1::GetRulesResponse { policy_version: version, files, zone: text.zone.into() }))
    }
}

fn response(reloaded: &Reloaded) -> v1::ReloadRulesResponse {
    let ids = |ids: &[RuleId]| ids.iter().map(ToString::to_string).collect();
    let difference = &reloaded.difference;
    v1::ReloadRulesResponse {
        policy_version: reloaded.version,
        position: reloaded.position,
        added: ids(&difference.added),
        changed: ids(&difference.changed),
        removed: ids(&difference.removed),
        unchanged: ids(&difference.unchanged),
        reworded: ids(&difference.reworded),
        settings_changed: difference.settings,
    }
}

fn refused(why: &Refused) -> Status {
    match why {
        Refused::Busy => overloaded(),
        Refused::Faults(faults) => faulty(faults),
        Refused::Unreadable(what) => precondition("RULE_FILES", what),
        Refused::NotTaken(what) | Refused::Unasked(what) => precondition("RULES_NOT_TAKEN", what),
    }
}

fn precondition(kind: &str, what: &str) -> Status {
    let details = ErrorDetails::with_precondition_failure_violation(kind, "", what);
    let message = format!("{what}; the rules in force stay");
    Status::with_error_details(Code::FailedPrecondition, message, details)
}

/// The status travels in headers, which clients bound: as many faults as fit.
fn faulty(faults: &[RuleFault]) -> Status {
    let mut bytes = 0;
    let mut told: Vec<PreconditionViolation> = Vec::new();
    for RuleFault { file, line, column, message } in faults {
        let subject = if file.is_empty() { String::new() } else { format!("{file}:{line}:{column}") };
        bytes += subject.len() + message.len();
        if told.len() == limits::FAULTS_TOLD || (bytes > limits::FAULTS_TOLD_BYTES && !told.is_empty()) {
            break;
        }
        let message: String = message.chars().take(limits::FAULTS_TOLD_BYTES / 4).collect();
        told.push(PreconditionViolation::new("RULE_FAULT", subject, message));
    }
    let more = faults.len() - told.len();
    if more > 0 {
        let said = format!("there are {more} more: `vigil rules check` names them all");
        told.push(PreconditionViolation::new("MORE_FAULTS", "", said));
    }
    let message = match faults.len() {
        1 => "the rules are wrong (1 fault); those in force stay".into(),
        n => format!("the rules are wrong ({n} faults); those in force stay"),
    };
    Status::with_error_details(Code::FailedPrecondition, message, ErrorDetails::with_precondition_failure(told))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_names_as_many_faults_as_its_headers_hold() {
        let check = |faults: usize, chars: usize, told: usize, more: bool| {
            let fault = |n: usize| RuleFault {
                file: "elevator.toml".into(),
                line: n as u32,
                column: 1,
                message: "门".repeat(chars).into(),
            };
            let faults: Vec<_> = (0..faults).map(fault).collect();
            let status = faulty(&faults);
            let violations = status.get_error_details().precondition_failure().expect("details").violations.clone();
            assert_eq!(violations.len(), told + usize::from(more));
            assert_eq!(violations.last().expect("one at least").r#type == "MORE_FAULTS", more);
            assert!(status.details().len() < 4 * 1024, "{}", status.details().len());
        };
        check(1, 10, 1, false);
        check(32, 10, 32, false);
        check(33, 10, 32, true);
        check(256, 200, 4, true);
        check(2, 100_000, 1, true);
    }
}
