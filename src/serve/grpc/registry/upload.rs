//! `UpsertDevices`: one stream of entries, gathered into groups, each a command of its own.

use std::collections::VecDeque;

use tonic::Status;

use crate::limits;
use crate::model::actor::Actor;
use crate::model::archive::Entry;
use crate::model::record::{Action, Command};
use crate::proto::v1;
use crate::serve::Shared;
use crate::serve::command::{Begun, Patience};
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
    /// Groups on their way, in their order, each with its size: the next need not wait until they are on disk.
    begun: VecDeque<(u64, Begun)>,
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
        Ok(Self {
            shared,
            actor,
            request,
            dry_run,
            count: 0,
            group: Vec::new(),
            groups: 0,
            begun: VecDeque::new(),
            answer,
        })
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
        if self.group.len() == limits::UPLOAD_GROUP { self.flush().await } else { Ok(()) }
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
        self.groups += 1;
        if self.dry_run {
            let changed = self.compare(&group).await?;
            self.note_written(group.len() as u64, changed);
            return Ok(());
        }
        self.write(group).await
    }

    fn note_written(&mut self, size: u64, changed: u64) {
        self.answer.changed += changed;
        self.answer.unchanged += size.saturating_sub(changed);
    }

    async fn write(&mut self, group: Vec<Entry>) -> Result<(), Status> {
        if self.begun.len() >= limits::GROUPS_IN_FLIGHT {
            self.settle_one().await?;
        }
        let size = group.len() as u64;
        let request = format!("{}#{}", self.request, self.groups).into();
        let command = Command { request, actor: self.actor.clone(), action: Action::Upsert(group) };
        self.begun.push_back((size, self.shared.begin(command, Patience::Wait).await?));
        Ok(())
    }

    /// Waits for the oldest of the groups that are on their way.
    async fn settle_one(&mut self) -> Result<(), Status> {
        let Some((size, begun)) = self.begun.pop_front() else { return Ok(()) };
        let done = begun.done().await?;
        self.answer.position = done.position;
        self.note_written(size, u64::from(done.changed));
        Ok(())
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
        while !self.begun.is_empty() {
            self.settle_one().await?;
        }
        Ok(self.answer)
    }
}
