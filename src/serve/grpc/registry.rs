//! `RegistryService`.

use tonic::{Request, Response, Status, Streaming};

use super::convert::{self, ArchiveEntry};
use super::history::store_status;
use super::violations::Violation;
use super::{Violations, page_size};
use crate::limits;
use crate::model::actor::{Actor, Role};
use crate::model::archive::{self, Entry, EntryKind};
use crate::model::ids::{CylinderCode, DeviceCode, FirmId, SiteCode, WorkerId};
use crate::model::record::{Action, Command};
use crate::proto::v1;
use crate::proto::v1::registry_service_server::RegistryService;
use crate::serve::auth::{actor, require, sees_entry};
use crate::serve::command::{Patience, not_found};
use crate::serve::token::Question;
use crate::serve::{Shared, overload};

pub(super) struct Registry(pub(super) Shared);

#[tonic::async_trait]
impl RegistryService for Registry {
    async fn upsert_devices(
        &self,
        request: Request<Streaming<v1::UpsertDevicesRequest>>,
    ) -> Result<Response<v1::UpsertDevicesResponse>, Status> {
        let actor = actor(&request)?;
        require(&actor, &[Role::Admin])?;
        let _slot = self.0.uploads.try_acquire().map_err(|_| overload("uploads"))?;
        let mut stream = request.into_inner();
        let Some(first) = self.receive(&mut stream).await? else {
            return Err(missing_request_id());
        };
        let mut upload = Upload::begin(&self.0, actor, &first)?;
        let mut next = Some(first);
        while let Some(message) = next {
            upload.take(message).await?;
            next = self.receive(&mut stream).await?;
        }
        Ok(Response::new(upload.end().await?))
    }

    async fn get_device(
        &self,
        request: Request<v1::GetDeviceRequest>,
    ) -> Result<Response<v1::GetDeviceResponse>, Status> {
        let actor = actor(&request)?;
        let asked = request.into_inner();
        let mut violations = Violations::default();
        let kind = violations.take("kind", convert::entry_kind(asked.kind));
        if let Some(kind) = kind {
            let form = match kind {
                EntryKind::Lift => DeviceCode::parse(&asked.code).map(drop),
                EntryKind::Cylinder => CylinderCode::parse(&asked.code).map(drop),
                EntryKind::Firm => FirmId::parse(&asked.code).map(drop),
                EntryKind::Site => SiteCode::parse(&asked.code).map(drop),
                EntryKind::Worker => WorkerId::parse(&asked.code).map(drop),
            };
            violations.take("code", form);
        }
        violations.check()?;
        let kind = kind.expect("what is missing was noted, and ended the call");
        let found = self.0.backend.store.entry(kind, asked.code.as_str().into()).await.map_err(store_status)?;
        match found {
            Some(entry) if sees_entry(&actor, &entry) => {
                Ok(Response::new(v1::GetDeviceResponse { entry: Some(convert::entry_to(&entry)) }))
            }
            _ => Err(not_found(&format!("{} {}", kind.name(), asked.code))),
        }
    }

    async fn list_lifts(
        &self,
        request: Request<v1::ListLiftsRequest>,
    ) -> Result<Response<v1::ListLiftsResponse>, Status> {
        let actor = actor(&request)?;
        let asked = request.into_inner();
        let mut violations = Violations::default();
        let districts = convert::districts(&asked.districts, &mut violations);
        let size = page_size(asked.page_size, &mut violations);
        let question = Question::of(&districts);
        let after = (!asked.page_token.is_empty())
            .then(|| violations.take("page_token", question.parts(&asked.page_token)))
            .flatten();
        violations.check()?;
        let after = after.map(|[code]: [String; 1]| code.into());
        let found = self.0.backend.store.entries(EntryKind::Lift, after, size).await.map_err(store_status)?;
        let last = found.last().filter(|_| found.len() >= size).map(|last| last.code().to_owned());
        let is_within = |lift: &archive::Lift| {
            districts.is_empty() || lift.district.is_some_and(|own| districts.iter().any(|d| own.is_within(d)))
        };
        let seen = found.iter().filter(|entry| sees_entry(&actor, entry));
        let lifts = seen.filter_map(|entry| match entry {
            Entry::Lift(lift) if is_within(lift) => Some(convert::lift_to(lift)),
            _ => None,
        });
        let next_page_token = last.map(|last| question.token(&[&last])).unwrap_or_default();
        Ok(Response::new(v1::ListLiftsResponse { lifts: lifts.collect(), next_page_token }))
    }
}

impl Registry {
    async fn receive(
        &self,
        stream: &mut Streaming<v1::UpsertDevicesRequest>,
    ) -> Result<Option<v1::UpsertDevicesRequest>, Status> {
        match tokio::time::timeout(self.0.settings.stall, stream.message()).await {
            Ok(message) => message,
            Err(_) => Err(Status::aborted("nothing was sent for too long: send everything again")),
        }
    }
}

fn missing_request_id() -> Status {
    let mut violations = Violations::default();
    violations.add("request_id", "is missing on the first message");
    violations.check().expect_err("a violation was added")
}

/// One stream of entries: gathered into groups, each a command of its own.
struct Upload<'a> {
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
    fn begin(shared: &'a Shared, actor: Actor, first: &v1::UpsertDevicesRequest) -> Result<Self, Status> {
        let mut violations = Violations::default();
        let request = violations.text("request_id", &first.request_id, limits::STREAM_REQUEST_ID_CHARS);
        violations.check()?;
        let request = request.expect("what is missing was noted, and ended the call");
        let dry_run = first.dry_run;
        let answer = v1::UpsertDevicesResponse::default();
        Ok(Self { shared, actor, request, dry_run, count: 0, group: Vec::new(), groups: 0, answer })
    }

    async fn take(&mut self, message: v1::UpsertDevicesRequest) -> Result<(), Status> {
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

    async fn end(mut self) -> Result<v1::UpsertDevicesResponse, Status> {
        self.flush().await?;
        Ok(self.answer)
    }
}
