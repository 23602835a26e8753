//! What is due, for whoever may see it: the part that `ListDue` and `ListOverdue` share.

use jiff::tz::TimeZone;
use tonic::Status;

use super::history::store_status;
use super::violations::Violations;
use super::{convert, fitting};
use crate::model::actor::{Actor, Scope};
use crate::model::ids::{District, Subject};
use crate::model::obligation::{DueKind, Party};
use crate::model::time::CivilDay;
use crate::proto::v1;
use crate::serve::Shared;
use crate::serve::token::Question;
use crate::store::{StandingCursor, StandingQuery};

/// A page of what was due.
pub(super) struct Page {
    pub(super) items: Vec<v1::DueItem>,
    pub(super) next_page_token: String,
}

impl Shared {
    /// The civil day in the zone of the policy in force.
    pub(super) fn today(&self) -> CivilDay {
        let zone = self.backend.reloads.in_force().text.zone;
        CivilDay::of(self.backend.clock.wall(), &TimeZone::get(&zone).unwrap_or(TimeZone::UTC))
    }

    /// Asks the store, within the actor's scope.
    pub(super) async fn standing(
        &self,
        actor: &Actor,
        query: StandingQuery,
        question: Question,
    ) -> Result<Page, Status> {
        let as_of = query.as_of;
        let Some(query) = within(actor, query)? else {
            return Ok(Page { items: Vec::new(), next_page_token: String::new() });
        };
        let limit = query.limit;
        let found = self.backend.store.due(query).await.map_err(store_status)?;
        let mut items: Vec<_> = found.iter().map(|row| convert::due_item(row, as_of)).collect();
        let shown = fitting(&items);
        let more = found.len() >= limit || shown < items.len();
        items.truncate(shown);
        let last = found[..shown].last().filter(|_| more).map(StandingCursor::of);
        let token =
            |last: StandingCursor| question.token(&[&last.subject.to_string(), &last.kind.number().to_string()]);
        Ok(Page { items, next_page_token: last.map(token).unwrap_or_default() })
    }
}

/// Where the page begins.
pub(super) fn cursor(question: Question, token: &str, violations: &mut Violations) -> Option<StandingCursor> {
    if token.is_empty() {
        return None;
    }
    let [subject, kind] = violations.take("page_token", question.parts(token))?;
    let kind = kind.parse().ok().and_then(DueKind::from_number);
    let cursor = Subject::parse(&subject).ok().zip(kind).map(|(subject, kind)| StandingCursor { subject, kind });
    violations.take("page_token", cursor.ok_or("is not a token of this call"))
}

/// The question cut down to what the actor may see; `None`: nothing of it.
fn within(actor: &Actor, query: StandingQuery) -> Result<Option<StandingQuery>, Status> {
    let own = |own: Party| match query.party {
        Some(asked) if asked != own => Err(Status::permission_denied(format!("{asked} is not within your scope"))),
        _ => Ok(Some(StandingQuery { party: Some(own), ..query.clone() })),
    };
    match &actor.scope {
        Scope::All => Ok(Some(query)),
        Scope::Firm(id) => own(Party::Firm(*id)),
        Scope::Site(code) => own(Party::Site(*code)),
        Scope::Districts(all) => {
            let districts = common(all, &query.districts);
            Ok((!districts.is_empty()).then_some(StandingQuery { districts, ..query }))
        }
    }
}

/// The districts in both: of two that lie within each other, the narrower. Without any asked for, all that may be seen.
fn common(seen: &[District], asked: &[District]) -> Vec<District> {
    if asked.is_empty() {
        return seen.to_vec();
    }
    let narrower =
        |a: &District, b: &District| [(a, b), (b, a)].into_iter().find(|(a, b)| a.is_within(b)).map(|(a, _)| *a);
    let mut both: Vec<District> = seen.iter().flat_map(|a| asked.iter().filter_map(|b| narrower(a, b))).collect();
    both.sort_unstable();
    both.dedup();
    both
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_cut_down_to_what_may_be_seen() {
        let codes = |text: &str| text.split_whitespace().map(|code| code.parse().unwrap()).collect::<Vec<District>>();
        for (seen, asked, both) in [
            ("6401", "", "6401"),
            ("6401", "64", "6401"),
            ("6401", "640104", "640104"),
            ("6401", "640104 6402", "640104"),
            ("6401 6402", "64", "6401 6402"),
            ("6401", "6402", ""),
        ] {
            assert_eq!(common(&codes(seen), &codes(asked)), codes(both), "{asked} of {seen}");
        }
    }
}
