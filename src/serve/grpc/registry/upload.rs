//! `UpsertDevices`: one stream of entries, gathered into groups, each a command of its own.

use tonic::Status;

use crate::limits;
use crate::model::actor::Actor;
use crate::model::archive::Entry;
use crate::model::record::{Action, Command};
use crate::proto::v1;
use crate::serve::Shared;
use crate::serve::command::Patience;
use crate::serve::grpc::Violations;
use crate::serve::grpc::convert::{self, ArchiveEntry};
use crate::serve::grpc::history::store_status;
use crate::serve::grpc::violations::Violation;

pub(super) struct Upload<'a> {
    shared: &'a Shared,
    actor: Actor,
    request: Box<str>,
    dry_run: bool,
    /// Messages taken, from 1: stands in for lines that aren't given.
    count: u64,
    group: Vec<Entry>,
    groups: u64,
    answer: v1::UpsertDevicesResponse,
}

impl<'a> Upload<'a> {
    pub(super) fn begin(shared: &'a Shared, actor: Actor, first: &v1::UpsertDevicesRequest) -> Result<Self, Status> {
        let mut violations = Violations::default();
        let request = violations.text("request_id", &first.request_id, limits::STREAM_REQUEST_ID_CHARS);
        violations.check()?;
        let request = request.expect("what is missing was noted, and ended the call");
        let dry_run = first.dry_run;
        let answer = v1::UpsertDevicesResponse::default();
        Ok(Self { shared, actor, request, dry_run, count: 0, group: Vec::new(), groups: 0, answer })
    }

    pub(super) async fn take(&mut self, message: v1::UpsertDevicesRequest) -> Result<(), Status> {
        self.count += 1;
        let line = if message.line == 0 { self.count } else { message.line };
        let mut violations = Violations::default();
        if !message.request_id.is_empty() && message.request_id != *self.request {
            violations.add("request_id", "is another than that of the first message");
        }
        match message.entry.and_then(|entry: ArchiveEntry| convert::entry_from(entry, &mut violations)) {
            Some(entry) if violations.0.is_empty() => self.group.push(entry),
            _ => self.refuse(line, violations),
        }
        if self.group.len() == limits::COMMAND_ITEMS { self.flush().await } else { Ok(()) }
    }

    fn refuse(&mut self, line: u64, mut violations: Violations) {
        if violations.0.is_empty() {
            violations.add("", "holds no entry");
        }
        self.answer.failed += 1;
        let room = limits::ENTRY_ERRORS - self.answer.errors.len();
        let error = |Violation { field, why }| v1::EntryError { line, field, message: why };
        self.answer.errors.extend(violations.0.into_iter().take(room).map(error));
    }

    async fn flush(&mut self) -> Result<(), Status> {
        let group = std::mem::take(&mut self.group);
        if group.is_empty() {
            return Ok(());
        }
        let size = group.len() as u64;
        self.groups += 1;
        let changed = if self.dry_run { self.compare(&group).await? } else { self.write(group).await? };
        self.answer.changed += changed;
        self.answer.unchanged += size.saturating_sub(changed);
        Ok(())
    }

    async fn write(&mut self, group: Vec<Entry>) -> Result<u64, Status> {
        let request = format!("{}#{}", self.request, self.groups).into();
        let command = Command { request, actor: self.actor.clone(), action: Action::Upsert(group) };
        let done = self.shared.command(command, Patience::Wait).await?;
        self.answer.position = done.position;
        Ok(u64::from(done.changed))
    }

    /// How many entries differ from what the database has.
    async fn compare(&self, group: &[Entry]) -> Result<u64, Status> {
        let mut changed = 0;
        for entry in group {
            let store = &self.shared.backend.store;
            let there = store.entry(entry.kind(), entry.code().into()).await.map_err(store_status)?;
            changed += u64::from(there.as_ref() != Some(entry));
        }
        Ok(changed)
    }

    pub(super) async fn end(mut self) -> Result<v1::UpsertDevicesResponse, Status> {
        self.flush().await?;
        Ok(self.answer)
    }
}
