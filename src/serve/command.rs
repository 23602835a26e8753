//! Writes: into the inbox, and what became of them back to the caller.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::Shared;
use crate::model::incident::IncidentId;
use crate::model::record::{Command, ItemOutcome, Outcome};
use crate::spine::input::{Input, NotTaken, SHUT};

/// How often a bulk command knocks on a full queue.
const KNOCK: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) position: u64,
    pub(super) changed: u32,
    /// The one that it was about.
    pub(super) incident: Option<IncidentId>,
    /// A call joined it; else the call opened it.
    pub(super) joined: bool,
}

/// Whether a full queue refuses a command at once, or it waits for its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    None,
    Wait,
}

/// A command that stands in its turn, and whose outcome isn't known yet.
pub(super) struct Begun {
    answer: oneshot::Receiver<Outcome>,
    deadline: Instant,
}

impl Begun {
    pub(super) async fn done(self) -> Result<Done, Status> {
        done(self.outcome().await?)
    }

    async fn outcome(self) -> Result<Outcome, Status> {
        match tokio::time::timeout_at(self.deadline, self.answer).await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(_)) => Err(ended()),
            Err(_) => Err(Status::deadline_exceeded(
                "the outcome is not known yet: repeat the call with the same request id to learn it",
            )),
        }
    }
}

impl Shared {
    /// Hands a command to the spine and waits for its outcome.
    pub(super) async fn command(&self, command: Command, patience: Patience) -> Result<Done, Status> {
        done(self.outcome(command, patience).await?)
    }

    /// The same, whatever the outcome is.
    pub(super) async fn outcome(&self, command: Command, patience: Patience) -> Result<Outcome, Status> {
        self.begin(command, patience).await?.outcome().await
    }

    /// Hands a command to the spine. Commands are taken in the order in which they were handed over.
    pub(super) async fn begin(&self, command: Command, patience: Patience) -> Result<Begun, Status> {
        let deadline = Instant::now() + self.settings.command_wait;
        let answer = self.offer(command, patience, deadline).await?;
        Ok(Begun { answer, deadline })
    }

    async fn offer(
        &self,
        command: Command,
        patience: Patience,
        deadline: Instant,
    ) -> Result<oneshot::Receiver<Outcome>, Status> {
        let (reply, answer) = oneshot::channel();
        let mut input = Input::Command { command, reply };
        loop {
            input = match self.backend.inputs.offer(input) {
                Ok(()) => return Ok(answer),
                Err(NotTaken::Ended(_)) => return Err(ended()),
                Err(NotTaken::Shut(_)) => return Err(shut()),
                Err(NotTaken::Full(input)) => input,
            };
            if patience == Patience::None || Instant::now() + KNOCK > deadline {
                return Err(overloaded());
            }
            tokio::time::sleep(KNOCK).await;
        }
    }
}

pub(super) fn overloaded() -> Status {
    let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(1)));
    let message = "the service has more to do than it can take: try again with the same request id";
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

pub(super) fn ended() -> Status {
    let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(5)));
    let message = "the service is shutting down: try again with the same request id";
    Status::with_error_details(Code::Unavailable, message, details)
}

fn shut() -> Status {
    let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(5)));
    Status::with_error_details(Code::Unavailable, SHUT, details)
}

pub(super) fn done(outcome: Outcome) -> Result<Done, Status> {
    match outcome {
        Outcome::Done { position, changed } => Ok(Done { position, changed, incident: None, joined: false }),
        Outcome::Incident { position, incident, joined } => {
            Ok(Done { position, changed: 1, incident: Some(incident), joined })
        }
        Outcome::Fill { .. } | Outcome::Findings { .. } => {
            Err(Status::internal("the core answered another question than was asked"))
        }
        Outcome::NotFound { what } => Err(not_found(&what)),
        Outcome::Precondition { why } => {
            let details = ErrorDetails::with_precondition_failure_violation("STATE", "", &*why);
            Err(Status::with_error_details(Code::FailedPrecondition, why.into_string(), details))
        }
        Outcome::Denied { why } => Err(Status::permission_denied(why.into_string())),
        // Whoever asks for items reads their outcomes.
        Outcome::Items { position, items } => {
            Ok(Done { position, changed: taken(&items), incident: None, joined: false })
        }
        Outcome::RequestReused => {
            let details = ErrorDetails::with_error_info("REQUEST_ID_REUSED", super::grpc::DOMAIN, []);
            let message = "this request id came with another command before: choose a new one for each command";
            Err(Status::with_error_details(Code::AlreadyExists, message, details))
        }
    }
}

fn taken(items: &[ItemOutcome]) -> u32 {
    let taken = items.iter().filter(|it| matches!(it, ItemOutcome::Taken { .. }));
    u32::try_from(taken.count()).unwrap_or(u32::MAX)
}

pub(super) fn not_found(what: &str) -> Status {
    let details = ErrorDetails::with_resource_info("", what, "", "not found, or not within your scope");
    Status::with_error_details(Code::NotFound, format!("{what} is not found, or not within your scope"), details)
}
