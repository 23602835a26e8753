//! Reads: entries by code, by what people know of them, page by page, and what was changed in them.

use prost::Message;
use tonic::Status;

use crate::limits::{ANSWER_BYTES, ARCHIVE_TEXT_CHARS};
use crate::model::actor::Actor;
use crate::model::archive::{Entry, EntryKind};
use crate::model::ids::{CylinderCode, DeviceCode, FirmId, SiteCode, WorkerId};
use crate::model::time::Wall;
use crate::proto::v1;
use crate::serve::auth::sees_entry;
use crate::serve::command::not_found;
use crate::serve::grpc::convert::{self, lift_to};
use crate::serve::grpc::history::store_status;
use crate::serve::grpc::{Violations, page_size};
use crate::serve::history::HistoryStore;
use crate::serve::token::Question;
use crate::store::{ChangeQuery, LiftQuery};

pub(super) async fn device(
    store: &dyn HistoryStore,
    actor: &Actor,
    asked: &v1::GetDeviceRequest,
) -> Result<v1::GetDeviceResponse, Status> {
    let mut violations = Violations::default();
    let kind = kind_and_code(asked.kind, &asked.code, &mut violations);
    violations.check()?;
    let kind = kind.expect("what is missing was noted, and ended the call");
    let entry = seen(store, actor, kind, &asked.code).await?;
    Ok(v1::GetDeviceResponse { entry: Some(convert::entry_to(&entry)) })
}

async fn seen(store: &dyn HistoryStore, actor: &Actor, kind: EntryKind, code: &str) -> Result<Entry, Status> {
    let found = store.entry(kind, code.into()).await.map_err(store_status)?;
    found.filter(|entry| sees_entry(actor, entry)).ok_or_else(|| not_found(&format!("{} {code}", kind.name())))
}

/// The kind, if its code has the form that such codes have.
fn kind_and_code(kind: i32, code: &str, violations: &mut Violations) -> Option<EntryKind> {
    let kind = violations.take("kind", convert::entry_kind(kind))?;
    let form = match kind {
        EntryKind::Lift => DeviceCode::parse(code).map(drop),
        EntryKind::Cylinder => CylinderCode::parse(code).map(drop),
        EntryKind::Firm => FirmId::parse(code).map(drop),
        EntryKind::Site => SiteCode::parse(code).map(drop),
        EntryKind::Worker => WorkerId::parse(code).map(drop),
    };
    violations.take("code", form).map(|()| kind)
}

pub(super) async fn lifts(
    store: &dyn HistoryStore,
    actor: &Actor,
    asked: &v1::ListLiftsRequest,
) -> Result<v1::ListLiftsResponse, Status> {
    let mut violations = Violations::default();
    let districts = convert::districts(&asked.districts, &mut violations);
    let size = page_size(asked.page_size, &mut violations);
    let question = Question::of(&districts);
    let after = after(question, &asked.page_token, &mut violations);
    violations.check()?;
    let found = store.entries(EntryKind::Lift, after.map(Into::into), size).await.map_err(store_status)?;
    let is_within = |entry: &Entry| match entry {
        Entry::Lift(lift) if districts.is_empty() => Some(lift_to(lift)),
        Entry::Lift(lift) => {
            let own = lift.district?;
            districts.iter().any(|district| own.is_within(district)).then(|| lift_to(lift))
        }
        _ => None,
    };
    let (lifts, next_page_token) = page(question, actor, &found, size, is_within);
    Ok(v1::ListLiftsResponse { lifts, next_page_token })
}

pub(super) async fn entries(
    store: &dyn HistoryStore,
    actor: &Actor,
    asked: &v1::ListEntriesRequest,
) -> Result<v1::ListEntriesResponse, Status> {
    let mut violations = Violations::default();
    let kind = violations.take("kind", convert::entry_kind(asked.kind));
    let size = page_size(asked.page_size, &mut violations);
    let question = Question::of(&("entries", kind));
    let after = after(question, &asked.page_token, &mut violations);
    violations.check()?;
    let kind = kind.expect("what is missing was noted, and ended the call");
    let found = store.entries(kind, after.map(Into::into), size).await.map_err(store_status)?;
    let (entries, next_page_token) = page(question, actor, &found, size, |entry| Some(convert::archive_entry(entry)));
    Ok(v1::ListEntriesResponse { entries, next_page_token })
}

pub(super) async fn found(
    store: &dyn HistoryStore,
    actor: &Actor,
    asked: &v1::FindDevicesRequest,
) -> Result<v1::FindDevicesResponse, Status> {
    let mut violations = Violations::default();
    let rescue_code = violations.optional("rescue_code", &asked.rescue_code, convert::rescue_code).map(String::from);
    let registration = violations.optional("registration", &asked.registration, DeviceCode::parse);
    let address = violations.optional_text("address", &asked.address, ARCHIVE_TEXT_CHARS).map(String::from);
    if asked.rescue_code.is_empty() && asked.registration.is_empty() && asked.address.is_empty() {
        violations.add("rescue_code", "is missing, and so are registration and address: give at least one of them");
    }
    let size = page_size(asked.page_size, &mut violations);
    let registration = registration.map(|code| code.to_string());
    let question = Question::of(&("found", &rescue_code, &registration, &address));
    let after = after(question, &asked.page_token, &mut violations);
    violations.check()?;
    let query = LiftQuery { rescue_code, registration, address, after, limit: size };
    let found = store.lifts(query).await.map_err(store_status)?;
    let of_lift = |entry: &Entry| if let Entry::Lift(lift) = entry { Some(lift_to(lift)) } else { None };
    let (lifts, next_page_token) = page(question, actor, &found, size, of_lift);
    Ok(v1::FindDevicesResponse { lifts, next_page_token })
}

pub(super) async fn history(
    store: &dyn HistoryStore,
    actor: &Actor,
    asked: &v1::GetDeviceHistoryRequest,
) -> Result<v1::GetDeviceHistoryResponse, Status> {
    let mut violations = Violations::default();
    let kind = kind_and_code(asked.kind, &asked.code, &mut violations);
    let size = page_size(asked.page_size, &mut violations);
    let question = Question::of(&("history", kind, &asked.code));
    let after = after(question, &asked.page_token, &mut violations).and_then(|n| n.parse().ok());
    violations.check()?;
    let kind = kind.expect("what is missing was noted, and ended the call");
    // Of a lift that the archive doesn't know there may be a replaced terminal, for those who see all.
    if kind != EntryKind::Lift || !actor.sees(None) {
        seen(store, actor, kind, &asked.code).await?;
    }
    let (from, to) = (Wall(i64::MIN), Wall::MAX);
    let query = ChangeQuery { kind, code: asked.code.clone(), from, to, after, limit: size };
    let found = store.changes(query).await.map_err(store_status)?;
    let mut changes = Vec::new();
    let mut room = Room::default();
    for change in &found {
        let told = convert::device_change(&change.row);
        if !room.takes(&told) {
            break;
        }
        changes.push(told);
    }
    let taken = changes.len();
    let has_more = taken < found.len() || found.len() >= size;
    let last = taken.checked_sub(1).and_then(|last| found.get(last)).filter(|_| has_more);
    let next_page_token = last.map(|last| question.token(&[&last.n.to_string()])).unwrap_or_default();
    Ok(v1::GetDeviceHistoryResponse { changes, next_page_token })
}

/// What the page before ended with.
fn after(question: Question, token: &str, violations: &mut Violations) -> Option<String> {
    if token.is_empty() {
        return None;
    }
    violations.take("page_token", question.parts(token)).map(|[code]: [String; 1]| code)
}

/// Of the entries found those that the caller may see and that are wanted, as many as fit one answer, and the token of the
/// next page.
fn page<M: Message>(
    question: Question,
    actor: &Actor,
    found: &[Entry],
    size: usize,
    wanted: impl Fn(&Entry) -> Option<M>,
) -> (Vec<M>, String) {
    let (mut items, mut room, mut last) = (Vec::new(), Room::default(), None);
    for entry in found {
        if let Some(item) = Some(entry).filter(|entry| sees_entry(actor, entry)).and_then(&wanted) {
            if !room.takes(&item) {
                return (items, last.map(|last: &Entry| question.token(&[last.code()])).unwrap_or_default());
            }
            items.push(item);
        }
        last = Some(entry);
    }
    let last = last.filter(|_| found.len() >= size);
    (items, last.map(|last| question.token(&[last.code()])).unwrap_or_default())
}

/// What one answer has room for; one item at least.
#[derive(Default)]
struct Room {
    bytes: usize,
}

impl Room {
    fn takes(&mut self, item: &impl Message) -> bool {
        let is_first = self.bytes == 0;
        self.bytes += item.encoded_len() + 8;
        is_first || self.bytes <= ANSWER_BYTES
    }
}
