//! What was set aside, for those who can mend it.

use tonic::Status;

use super::history::store_status;
use super::{Violations, convert, fitting, page_size};
use crate::core::decode::profile::Profiles;
use crate::limits;
use crate::model::actor::{Actor, Role};
use crate::model::ids::{DeviceCode, Subject};
use crate::model::row::{RejectReason, RejectRow};
use crate::proto::v1;
use crate::serve::Shared;
use crate::serve::auth::require;
use crate::serve::command::not_found;
use crate::serve::token::Question;
use crate::store::RejectQuery;

/// Of which topics.
enum Wanted {
    All,
    Level(DeviceCode),
    Of(Profiles, String),
}

impl Wanted {
    fn takes(&self, prefix: &str, topic: &str) -> bool {
        match self {
            Self::All => true,
            Self::Level(device) => topic.split('/').any(|level| level == device.as_str()),
            Self::Of(profiles, name) => profiles.find(prefix, topic).is_some_and(|profile| *profile.name == **name),
        }
    }
}

impl Shared {
    pub(super) async fn list_rejects(
        &self,
        actor: &Actor,
        asked: &v1::ListRejectsRequest,
    ) -> Result<v1::ListRejectsResponse, Status> {
        require(actor, &[Role::Vendor, Role::Regulator, Role::Admin, Role::Auditor])?;
        let mut violations = Violations::default();
        let range = convert::range(asked.from.as_ref(), asked.to.as_ref(), &mut violations);
        let device = violations.optional("device", &asked.device, DeviceCode::parse);
        let by_name = |name: &str| RejectReason::ALL.iter().copied().find(|it| it.name() == name).ok_or("is no reason");
        let reason = violations.optional("reason", &asked.reason, by_name);
        let limit = page_size(asked.page_size, &mut violations);
        let (topic, profile) = (Some(asked.topic.clone()), Some(asked.profile.clone()));
        let (topic, profile) = (topic.filter(|it| !it.is_empty()), profile.filter(|it| !it.is_empty()));
        if usize::from(device.is_some()) + usize::from(topic.is_some()) + usize::from(profile.is_some()) > 1 {
            violations.add("topic", "give one of device, topic and profile");
        }
        let question = Question::of(&(range, &asked.device, &asked.topic, &asked.profile, &asked.reason));
        let after = cursor(question, &asked.page_token, &mut violations);
        violations.check()?;
        let (from, to) = range.expect("what is missing was noted, and ended the call");
        match device {
            Some(device) => self.check_scope(actor, &Subject::Device(device)).await?,
            None if actor.sees(None) => {}
            None => return Err(Status::permission_denied("name a device within your scope")),
        }
        let text = self.backend.reloads.in_force().text;
        let wanted = match (device, profile) {
            (Some(device), _) => Wanted::Level(device),
            (None, Some(name)) => {
                let profiles = Profiles::parse(None, &text.rules).unwrap_or_default();
                if !profiles.all().iter().any(|profile| *profile.name == *name) {
                    return Err(not_found(&format!("profile {name:?}")));
                }
                Wanted::Of(profiles, name)
            }
            (None, None) => Wanted::All,
        };
        let query = RejectQuery { from, to, topic, reason, after, limit };
        self.rejects(query, |topic| wanted.takes(&text.topic_prefix, topic), question).await
    }

    /// Looks through some pages of the store for one of the answer: most rejects may be of others.
    async fn rejects(
        &self,
        mut query: RejectQuery,
        is_wanted: impl Fn(&str) -> bool,
        question: Question,
    ) -> Result<v1::ListRejectsResponse, Status> {
        let most = query.limit;
        let mut found = Vec::new();
        let mut more = true;
        query.limit = limits::PAGE_ROWS;
        for _ in 0..limits::REJECT_PAGES {
            let page = self.backend.store.rejects(query.clone()).await.map_err(store_status)?;
            more = page.len() >= query.limit;
            for row in page {
                if found.len() == most {
                    more = true;
                    break;
                }
                query.after = Some(row.n);
                if is_wanted(&row.row.topic) {
                    found.push((row.n, reject(&row.row)));
                }
            }
            if !more || found.len() == most {
                break;
            }
        }
        let (numbers, mut rejects): (Vec<u64>, Vec<_>) = found.into_iter().unzip();
        let shown = fitting(&rejects);
        if shown < rejects.len() {
            more = true;
            query.after = numbers[..shown].last().copied();
        }
        rejects.truncate(shown);
        let next = query.after.filter(|_| more).map(|after| question.token(&[&after.to_string()]));
        Ok(v1::ListRejectsResponse { rejects, next_page_token: next.unwrap_or_default() })
    }
}

fn cursor(question: Question, token: &str, violations: &mut Violations) -> Option<u64> {
    if token.is_empty() {
        return None;
    }
    let [after] = violations.take("page_token", question.parts(token))?;
    violations.take("page_token", after.parse().map_err(|_| "is not a token of this call"))
}

fn reject(row: &RejectRow) -> v1::Reject {
    let kept = row.payload.len().min(limits::REJECT_SHOWN_BYTES);
    v1::Reject {
        topic: row.topic.to_string(),
        reason: row.reason.name().into(),
        pointer: row.pointer.to_string(),
        detail: row.detail.to_string(),
        payload: row.payload.slice(..kept),
        payload_bytes: row.payload.len() as u64,
        received_at: Some(convert::timestamp(row.received_at)),
    }
}
