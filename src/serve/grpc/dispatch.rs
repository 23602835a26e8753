//! `DispatchService`.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::watch_incidents::WatchIncidents;
use super::{Violations, convert, fitting, page_size};
use crate::core::dispatch::kpi;
use crate::limits;
use crate::model::actor::{Actor, Role, Scope};
use crate::model::alert::Cursor;
use crate::model::ids::District;
use crate::model::incident::{Incident, IncidentEvent, IncidentId};
use crate::model::record::{Action, Command};
use crate::model::time::Wall;
use crate::pages::{IncidentFilter, IncidentPlace};
use crate::proto::v1;
use crate::proto::v1::dispatch_service_server::DispatchService;
use crate::serve::auth::{actor, require};
use crate::serve::command::{Done, Patience, not_found};
use crate::serve::history::StoreError;
use crate::serve::stream::Pulled;
use crate::serve::token::Question;
use crate::serve::{Shared, overload};
use crate::store::{IncidentQuery, ReportingQuery};

pub(super) struct Dispatch(pub(super) Shared);

/// Who may see and advance rescues. What of it, the core says.
const ROLES: &[Role] = &[Role::Dispatcher, Role::Firm, Role::Station, Role::Admin];

#[tonic::async_trait]
impl DispatchService for Dispatch {
    type WatchIncidentsStream = Pulled<WatchIncidents>;

    async fn open_incident(
        &self,
        request: Request<v1::OpenIncidentRequest>,
    ) -> Result<Response<v1::OpenIncidentResponse>, Status> {
        let actor = actor(&request)?;
        require(&actor, &[Role::Dispatcher, Role::Admin])?;
        let asked = request.into_inner();
        let mut violations = Violations::default();
        let request = violations.text("request_id", &asked.request_id, limits::REQUEST_ID_CHARS);
        let call = convert::call(&asked, &mut violations);
        violations.check()?;
        let (done, incident) = self.act(actor, request, Action::OpenIncident(call)).await?;
        Ok(Response::new(v1::OpenIncidentResponse { position: done.position, incident, joined: done.joined }))
    }

    async fn get_incident(
        &self,
        request: Request<v1::GetIncidentRequest>,
    ) -> Result<Response<v1::GetIncidentResponse>, Status> {
        let actor = actor(&request)?;
        let asked = request.into_inner();
        let mut violations = Violations::default();
        let id = violations.take("incident_id", IncidentId::parse(&asked.incident_id));
        violations.check()?;
        let id = id.expect("what is missing was noted, and ended the call");
        self.catch_up(asked.at_least).await?;
        let timeline = match self.0.backend.incidents.timeline(&id) {
            Some(timeline) => timeline,
            None => self.stored_timeline(id).await?,
        };
        let last = timeline.last().filter(|last| last.incident.is_seen_by(&actor));
        let last = last.ok_or_else(|| not_found(&format!("incident {id}")))?;
        let incident = Some(convert::incident(&last.incident));
        let lean =
            |event: &Arc<IncidentEvent>| v1::IncidentEvent { incident: None, ..convert::incident_event(event, 0) };
        Ok(Response::new(v1::GetIncidentResponse { incident, timeline: timeline.iter().map(lean).collect() }))
    }

    async fn list_incidents(
        &self,
        request: Request<v1::ListIncidentsRequest>,
    ) -> Result<Response<v1::ListIncidentsResponse>, Status> {
        let actor = actor(&request)?;
        let asked = request.into_inner();
        let mut violations = Violations::default();
        let filter = convert::incident_filter(asked.filter.unwrap_or_default(), actor, &mut violations);
        let size = page_size(asked.page_size, &mut violations);
        let question = Question::of(&(&filter, asked.with_over));
        let begin = begin(question, &asked.page_token, &mut violations);
        violations.check()?;
        self.catch_up(asked.at_least).await?;

        let after = begin.as_ref().map(|(_, after)| after);
        let page = self.0.backend.incidents.list(&filter, asked.with_over, after, size);
        let cursor = begin.map_or(page.cursor, |(first, _)| first);
        if cursor.epoch != page.cursor.epoch {
            return Err(Status::aborted(
                "the epoch has changed since the first page: begin again without a page token",
            ));
        }
        let mut incidents: Vec<_> = page.incidents.iter().map(|last| convert::incident(&last.incident)).collect();
        let more = page.more || fitting(&incidents) < incidents.len();
        incidents.truncate(fitting(&incidents));
        let next = |last: &Incident| {
            let [epoch, seq] = [cursor.epoch.to_string(), cursor.seq.to_string()];
            question.token(&[&epoch, &seq, &IncidentPlace::of(last).rank.to_string(), &last.id.to_string()])
        };
        let last = incidents.len().checked_sub(1).and_then(|last| page.incidents.get(last));
        let next_page_token = last.filter(|_| more).map(|last| next(&last.incident)).unwrap_or_default();
        let cursor = Some(v1::Cursor { epoch: cursor.epoch, seq: cursor.seq });
        Ok(Response::new(v1::ListIncidentsResponse { incidents, cursor, next_page_token }))
    }

    async fn query_incidents(
        &self,
        request: Request<v1::QueryIncidentsRequest>,
    ) -> Result<Response<v1::QueryIncidentsResponse>, Status> {
        let actor = actor(&request)?;
        let asked = request.into_inner();
        let mut violations = Violations::default();
        let range = convert::range(asked.from.as_ref(), asked.to.as_ref(), &mut violations);
        let filter = convert::incident_filter(asked.filter.unwrap_or_default(), actor, &mut violations);
        let size = page_size(asked.page_size, &mut violations);
        let question = Question::of(&(range, &filter));
        let mut after = begin_after(question, &asked.page_token, &mut violations);
        violations.check()?;
        let (from, to) = range.expect("what is missing was noted, and ended the call");
        let _slot = self.0.queries.try_acquire().map_err(|_| overload("queries"))?;

        let mut found: Vec<Incident> = Vec::new();
        let mut more = true;
        // Where few pass, a page that is looked for longer than this ends with a token instead.
        for _ in 0..limits::INCIDENT_PAGES {
            let query = IncidentQuery { from, to, after, limit: limits::PAGE_ROWS };
            let page = self.0.backend.store.incidents(query).await.map_err(away)?;
            more = page.len() == limits::PAGE_ROWS;
            for it in page {
                if found.len() == size {
                    more = true;
                    break;
                }
                after = Some((it.received_at, it.id));
                if filter.passes(&it) {
                    found.push(it);
                }
            }
            if !more || found.len() == size {
                break;
            }
        }
        let mut incidents: Vec<v1::Incident> = found.iter().map(convert::incident).collect();
        let fitting = fitting(&incidents);
        if fitting < incidents.len() {
            incidents.truncate(fitting);
            more = true;
            after = found[..fitting].last().map(|last| (last.received_at, last.id));
        }
        let token = |(at, id): (Wall, IncidentId)| question.token(&[&at.ms().to_string(), &id.to_string()]);
        let next_page_token = after.filter(|_| more).map(token).unwrap_or_default();
        Ok(Response::new(v1::QueryIncidentsResponse { incidents, next_page_token }))
    }

    async fn watch_incidents(
        &self,
        request: Request<v1::WatchIncidentsRequest>,
    ) -> Result<Response<Self::WatchIncidentsStream>, Status> {
        let actor = actor(&request)?;
        let asked = request.into_inner();
        let mut violations = Violations::default();
        let filter = convert::incident_filter(asked.filter.unwrap_or_default(), actor, &mut violations);
        violations.check()?;
        let slot = Arc::clone(&self.0.watchers).try_acquire_owned().map_err(|_| overload("watchers"))?;
        let cursor = asked.cursor.map(|c| Cursor { epoch: c.epoch, seq: c.seq });
        let feed = Arc::clone(&self.0.backend.incident_feed);
        let watch = WatchIncidents::begin(feed, cursor, filter, self.0.settings.heartbeat).await?;
        Ok(Response::new(Pulled::new(watch, slot, self.0.settings.stall, self.0.stop.clone())))
    }

    async fn advance_incident(
        &self,
        request: Request<v1::AdvanceIncidentRequest>,
    ) -> Result<Response<v1::AdvanceIncidentResponse>, Status> {
        let actor = actor(&request)?;
        require(&actor, ROLES)?;
        let asked = request.into_inner();
        let mut violations = Violations::default();
        let request = violations.text("request_id", &asked.request_id, limits::REQUEST_ID_CHARS);
        let incident = violations.take("incident_id", IncidentId::parse(&asked.incident_id));
        let note = violations.optional_text("note", &asked.note, limits::NOTE_CHARS);
        let step = convert::step(&asked, &mut violations);
        violations.check()?;
        let (incident, step) = incident.zip(step).expect("what is missing was noted, and ended the call");
        let action = Action::AdvanceIncident { incident, step, note };
        let (done, incident) = self.act(actor, request, action).await?;
        Ok(Response::new(v1::AdvanceIncidentResponse { position: done.position, incident }))
    }

    async fn get_kpis(&self, request: Request<v1::GetKpisRequest>) -> Result<Response<v1::GetKpisResponse>, Status> {
        const DAY_MS: i64 = 24 * 3_600_000;
        let actor = actor(&request)?;
        let asked = request.into_inner();
        let mut violations = Violations::default();
        let range = convert::range(asked.from.as_ref(), asked.to.as_ref(), &mut violations);
        let districts = convert::districts(&asked.districts, &mut violations);
        if range.is_some_and(|(from, to)| to - from > limits::KPI_DAYS * DAY_MS) {
            violations.add("to", format!("is more than {} days after `from`", limits::KPI_DAYS));
        }
        violations.check()?;
        let (from, to) = range.expect("what is missing was noted, and ended the call");
        let _slot = self.0.queries.try_acquire().map_err(|_| overload("queries"))?;
        let coverage = self.coverage(&actor, &districts, from, to).await?;
        let filter = IncidentFilter { districts, ..IncidentFilter::all(actor) };
        let incidents = self.received(&filter, from, to).await?;
        Ok(Response::new(convert::kpis(&kpi::reckon(&incidents), coverage)))
    }
}

/// What the page before left: the cursor of the first page, and the last incident.
fn begin(question: Question, token: &str, violations: &mut Violations) -> Option<(Cursor, IncidentPlace)> {
    if token.is_empty() {
        return None;
    }
    let [epoch, seq, rank, id] = violations.take("page_token", question.parts(token))?;
    let begin = (|| {
        let cursor = Cursor { epoch: epoch.parse().ok()?, seq: seq.parse().ok()? };
        Some((cursor, IncidentPlace { rank: rank.parse().ok()?, id: IncidentId::parse(&id).ok()? }))
    })();
    violations.take("page_token", begin.ok_or("is not a token of this call"))
}

/// The last one of the page before: when it was received, and which it was.
fn begin_after(question: Question, token: &str, violations: &mut Violations) -> Option<(Wall, IncidentId)> {
    if token.is_empty() {
        return None;
    }
    let [at, id] = violations.take("page_token", question.parts(token))?;
    let begin = at.parse().ok().map(Wall).zip(IncidentId::parse(&id).ok());
    violations.take("page_token", begin.ok_or("is not a token of this call"))
}

impl Dispatch {
    /// Does something to an incident, and returns what came of it and the incident after it.
    async fn act(
        &self,
        actor: Actor,
        request: Option<Box<str>>,
        action: Action,
    ) -> Result<(Done, Option<v1::Incident>), Status> {
        let request = request.expect("what is missing was noted, and ended the call");
        let command = Command { request, actor: actor.clone(), action };
        let done = self.0.command(command, Patience::None).await?;
        // It is done, whether or not the page catches up in time: what is shown then is what there is.
        let _ = self.catch_up(done.position).await;
        let timeline = done.incident.and_then(|id| self.0.backend.incidents.timeline(&id)).unwrap_or_default();
        let last = timeline.last().filter(|last| last.incident.is_seen_by(&actor));
        let incident = last.map(|last| convert::incident(&last.incident));
        Ok((done, incident))
    }

    async fn catch_up(&self, position: u64) -> Result<(), Status> {
        if position == 0 {
            return Ok(());
        }
        let reached = self.0.backend.incident_feed.reached(position);
        tokio::time::timeout(self.0.settings.catch_up_wait, reached).await.map_err(|_| {
            Status::unavailable(format!("position {position} is not judged yet: try again, or ask without `at_least`"))
        })
    }

    /// The timeline of an incident that has been over for long.
    async fn stored_timeline(&self, id: IncidentId) -> Result<Vec<Arc<IncidentEvent>>, Status> {
        let _slot = self.0.queries.try_acquire().map_err(|_| overload("queries"))?;
        let mut timeline: Vec<Arc<IncidentEvent>> = Vec::new();
        loop {
            let after = timeline.last().map(|last| last.cursor()).unwrap_or_default();
            let page = self.0.backend.store.incident_timeline(id, after, limits::PAGE_ROWS).await.map_err(away)?;
            let is_last = page.len() < limits::PAGE_ROWS;
            timeline.extend(page.into_iter().map(Arc::new));
            if is_last {
                return Ok(timeline);
            }
        }
    }

    /// Every incident received in the range that passes.
    async fn received(&self, filter: &IncidentFilter, from: Wall, to: Wall) -> Result<Vec<Incident>, Status> {
        let mut incidents: Vec<Incident> = Vec::new();
        let mut after = None;
        loop {
            let query = IncidentQuery { from, to, after, limit: limits::PAGE_ROWS };
            let page = self.0.backend.store.incidents(query).await.map_err(away)?;
            after = page.last().map(|last| (last.received_at, last.id));
            let is_last = page.len() < limits::PAGE_ROWS;
            incidents.extend(page.into_iter().filter(|it| filter.passes(it)));
            if is_last {
                return Ok(incidents);
            }
            if incidents.len() >= limits::KPI_INCIDENTS {
                let most = limits::KPI_INCIDENTS;
                let message = format!("there are more than {most} incidents in the range: ask for a shorter one");
                return Err(Status::out_of_range(message));
            }
        }
    }

    /// How many lifts there are where the figures are from, and how many of them reported.
    async fn coverage(
        &self,
        actor: &Actor,
        districts: &[District],
        from: Wall,
        to: Wall,
    ) -> Result<(u64, u64), Status> {
        let firm = match actor.scope {
            Scope::Firm(own) => Some(own),
            Scope::Site(_) => return Ok((0, 0)),
            Scope::All | Scope::Districts(_) => None,
        };
        let mut counts = (0, 0);
        for district in parts(actor, districts) {
            let query = ReportingQuery { from, to, district, firm };
            let (lifts, reported) = self.0.backend.store.reporting(query).await.map_err(away)?;
            counts = (counts.0 + lifts, counts.1 + reported);
        }
        Ok(counts)
    }
}

/// The districts of which none lies within another one, that are asked for and in scope; `None`: all.
fn parts(actor: &Actor, asked: &[District]) -> Vec<Option<District>> {
    let own: &[District] = if let Scope::Districts(own) = &actor.scope { own } else { &[] };
    let limited = matches!(actor.scope, Scope::Districts(_));
    let mut wanted: Vec<District> = match (asked.is_empty(), limited) {
        (true, false) => return vec![None],
        (true, true) => own.to_vec(),
        (false, false) => asked.to_vec(),
        (false, true) => {
            let narrower = |a: &District, b: &District| {
                if a.is_within(b) { Some(*a) } else { Some(*b).filter(|b| b.is_within(a)) }
            };
            asked.iter().flat_map(|a| own.iter().filter_map(move |b| narrower(a, b))).collect()
        }
    };
    // A wider one comes before those within it.
    wanted.sort_unstable();
    wanted.dedup_by(|later, kept| later.is_within(kept));
    wanted.into_iter().map(Some).collect()
}

fn away(error: StoreError) -> Status {
    match error {
        StoreError::Away(_) => {
            Status::unavailable("the database is away: what is going on can still be listed and watched")
        }
        // What it said may name tables and columns: that is for the log.
        StoreError::Refused(why) => {
            tracing::error!(%why, "a query of incidents was refused");
            Status::internal("the query failed; the service's log says why")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifts_are_counted_once_however_districts_overlap() {
        let codes = |codes: &[&str]| codes.iter().map(|code| District::parse(code).unwrap()).collect::<Vec<_>>();
        let check = |own: Option<&[&str]>, asked: &[&str], want: &[&str]| {
            let scope = own.map_or(Scope::All, |own| Scope::Districts(codes(own)));
            let actor = Actor { scope, ..Actor::local_admin() };
            let parts = parts(&actor, &codes(asked));
            let parts: Vec<String> = parts.iter().map(|part| part.map_or("all".into(), |it| it.to_string())).collect();
            assert_eq!(parts, want, "{own:?} {asked:?}");
        };
        check(None, &[], &["all"]);
        check(None, &["640104", "6401", "6402"], &["6401", "6402"]);
        check(Some(&["6401"]), &[], &["6401"]);
        check(Some(&["6401"]), &["64"], &["6401"]);
        check(Some(&["6401"]), &["640104", "6402"], &["640104"]);
        check(Some(&["6401", "640104"]), &["64", "640104"], &["6401"]);
        check(Some(&["6402"]), &["6401"], &[]);
    }
}
