//! What the store has, told to journals that have lost it (`vigil recover`).

use std::collections::BTreeMap;

use super::AppError;
use super::recover::RecoverError;
use crate::core::cylinder::stored::Told;
use crate::limits;
use crate::model::actor::Actor;
use crate::model::alert::Cursor;
use crate::model::archive::{Entry, EntryKind};
use crate::model::fill::Stored;
use crate::model::ids::{CylinderCode, DeviceCode, SiteCode};
use crate::model::incident::{self, IncidentEvent, IncidentId};
use crate::model::record::{Action, Command, ItemOutcome, Kind, Outcome};
use crate::model::time::Wall;
use crate::observe::{NotAdopted, emit};
use crate::spine::Spine;
use crate::store::{ChangeQuery, IncidentQuery, LinkCursor, LinkQuery, ReportQuery, ScanCursor, Store};

/// The chains of records go on where the store's end.
pub(super) async fn records(store: &dyn Store, spine: &mut Spine) -> Result<(), RecoverError> {
    let mut device = None;
    loop {
        let devices = store.chained(device, limits::PAGE_ROWS).await?;
        let Some(last) = devices.last() else { return Ok(()) };
        device = Some(*last);
        for device in devices {
            let mut after = None;
            loop {
                let (from, to) = (Wall(i64::MIN), Wall::MAX);
                let page = store.links(LinkQuery { device, from, to, after, limit: limits::VISITS }).await?;
                let Some(last) = page.last() else { break };
                after = Some(LinkCursor::of(last));
                tell(spine, "records", Action::AdoptRecords(page.into_iter().map(|link| link.row).collect()))?;
            }
        }
    }
}

/// Of rescues that go on by these journals, which may be older than the store, what the store knows beyond them: also that they
/// have ended. Before they are told anew.
pub(super) async fn progress(store: &dyn Store, spine: &mut Spine) -> Result<(), RecoverError> {
    let going = spine.core().dispatch().iter().map(|kept| &kept.incident).filter(|it| !it.state.is_over());
    let going: Vec<IncidentId> = going.map(|it| it.id).collect();
    for incident in going {
        let timeline = whole_timeline(store, incident).await?;
        let last = timeline.last().map(incident::Entry::cursor);
        let ours =
            spine.core().dispatch().get(&incident).and_then(|kept| kept.timeline.last()).map(incident::Entry::cursor);
        if last > ours {
            tell(spine, "incident", Action::AdoptIncident { incident, timeline })?;
        }
    }
    Ok(())
}

async fn whole_timeline(store: &dyn Store, id: IncidentId) -> Result<Vec<incident::Entry>, RecoverError> {
    let (mut timeline, mut after) = (Vec::new(), Cursor::default());
    loop {
        let page = store.incident_timeline(id, after, limits::PAGE_ROWS).await?;
        let is_last = page.len() < limits::PAGE_ROWS;
        after = page.last().map_or(after, IncidentEvent::cursor);
        timeline.extend(page.into_iter().map(|event| event.entry));
        if is_last {
            return Ok(timeline);
        }
    }
}

/// Somebody may be trapped: rescues that the store has as going on go on.
pub(super) async fn incidents(store: &dyn Store, spine: &mut Spine) -> Result<(), RecoverError> {
    let mut after = None;
    loop {
        let (from, to) = (Wall(i64::MIN), Wall::MAX);
        let page = store.incidents(IncidentQuery { from, to, after, limit: limits::PAGE_ROWS }).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some((last.received_at, last.id));
        for it in page.iter().filter(|it| !it.state.is_over()) {
            let timeline = whole_timeline(store, it.id).await?;
            tell(spine, "incident", Action::AdoptIncident { incident: it.id, timeline })?;
        }
    }
}

/// Due dates follow from reports of inspections, tests, checks and drills.
pub(super) async fn reports(store: &dyn Store, spine: &mut Spine) -> Result<(), RecoverError> {
    let devices: Vec<DeviceCode> = spine.core().lifts().iter().map(|lift| lift.code).collect();
    let mut waiting = Vec::new();
    for device in devices {
        let mut after = None;
        loop {
            let page = store.reports(ReportQuery { device, after, limit: limits::COMMAND_ITEMS }).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.n);
            for row in page {
                waiting.push(row.row);
                if waiting.len() >= limits::COMMAND_ITEMS {
                    tell(spine, "reports", Action::AdoptReports(std::mem::take(&mut waiting)))?;
                }
            }
        }
    }
    if waiting.is_empty() { Ok(()) } else { tell(spine, "reports", Action::AdoptReports(waiting)) }
}

/// Which cylinders must not be filled by what was scanned, and which were inspected.
pub(super) async fn custody(store: &dyn Store, spine: &mut Spine) -> Result<(), RecoverError> {
    let (bearers, relabelled) = bearers(store).await?;
    let mut told: BTreeMap<CylinderCode, Told> = BTreeMap::new();
    let mut after = None;
    loop {
        let page = store.telling_scans(after, limits::PAGE_ROWS).await?;
        let Some(last) = page.last() else { break };
        after = Some((last.scan.cylinder, ScanCursor::of(last)));
        for row in &page {
            // What the archive doesn't know isn't filled.
            let Some(bearer) = bearers.get(&row.scan.cylinder) else { continue };
            told.entry(bearer.code).or_default().note(row, bearer.unit);
        }
    }
    // Some were relabelled more than once.
    let mut is_settled = false;
    for _ in 0..limits::CYLINDER_CODES {
        if std::mem::replace(&mut is_settled, true) {
            break;
        }
        for (before, code) in &relabelled {
            if let Some(before) = told.get(before).copied() {
                is_settled &= !told.entry(*code).or_default().merge(&before);
            }
        }
    }
    let mut waiting: Vec<Stored> = Vec::new();
    for (code, mut told) in told {
        if let Some(at) = told.duplicate_at()
            && is_changed_after(store, code, at).await?
        {
            told.forget_duplicate();
        }
        waiting.extend(told.stored(code));
        if waiting.len() >= limits::COMMAND_ITEMS {
            tell(spine, "custody", Action::AdoptCustody(std::mem::take(&mut waiting)))?;
        }
    }
    if waiting.is_empty() { Ok(()) } else { tell(spine, "custody", Action::AdoptCustody(waiting)) }
}

/// The archive's cylinder behind a code, and whose it is.
struct Bearer {
    code: CylinderCode,
    unit: Option<SiteCode>,
}

type Bearers = BTreeMap<CylinderCode, Bearer>;

/// By their own codes, and by those that they bore before and that nobody else bears.
/// And which codes with an entry of their own others say that they bore: (before, now).
async fn bearers(store: &dyn Store) -> Result<(Bearers, Vec<(CylinderCode, CylinderCode)>), RecoverError> {
    let (mut bearers, mut relabelled) = (Bearers::new(), Vec::new());
    let mut after = None;
    loop {
        let page = store.entries(EntryKind::Cylinder, after, limits::PAGE_ROWS).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.code().to_owned());
        for entry in page {
            let Entry::Cylinder(it) = entry else { continue };
            let (code, unit) = (it.code, it.filling_unit);
            relabelled.extend(it.aliases.into_iter().map(|alias| (alias, Bearer { code, unit })));
            bearers.insert(code, Bearer { code, unit });
        }
    }
    let renamed = relabelled.iter().map(|(alias, bearer): &(_, Bearer)| (*alias, bearer.code));
    let renamed = renamed.filter(|(alias, _)| bearers.contains_key(alias)).collect();
    for (alias, bearer) in relabelled {
        bearers.entry(alias).or_insert(bearer);
    }
    Ok((bearers, renamed))
}

/// Whether somebody has looked at the cylinder's entry since.
async fn is_changed_after(store: &dyn Store, code: CylinderCode, at: Wall) -> Result<bool, RecoverError> {
    let mut after = None;
    loop {
        let code = code.as_str().to_owned();
        let page = store
            .changes(ChangeQuery {
                kind: EntryKind::Cylinder,
                code,
                from: Wall(i64::MIN),
                to: Wall::MAX,
                after,
                limit: limits::PAGE_ROWS,
            })
            .await?;
        let Some(last) = page.last() else { return Ok(false) };
        after = Some(last.n);
        if page.iter().any(|change| change.row.changed_at > at) {
            return Ok(true);
        }
    }
}

/// At the time of the record before, so that a machine's own time of day plays no part. What is refused is told, and the rest
/// goes on.
fn tell(spine: &mut Spine, what: &'static str, action: Action) -> Result<(), RecoverError> {
    let (now, next) = (spine.core().now(), spine.core().next());
    let request = format!("recover-{what}-{next}").into();
    let command = Command { request, actor: Actor::local_admin(), action };
    let released = spine.enter(Kind::Command(command), now.elapsed, now.wall).map_err(AppError::Spine)?;
    if let Some(why) = released.outcome.and_then(refused) {
        emit(NotAdopted { what, why: &why });
    }
    Ok(())
}

/// Why nothing, or not all, was taken.
fn refused(outcome: Outcome) -> Option<String> {
    match outcome {
        Outcome::Done { .. } | Outcome::Incident { .. } | Outcome::Fill { .. } | Outcome::Findings { .. } => None,
        Outcome::Precondition { why } | Outcome::Denied { why } => Some(why.into()),
        Outcome::NotFound { what } => Some(format!("{what} isn't known")),
        Outcome::RequestReused => Some("the same was told before, and otherwise".to_owned()),
        Outcome::Items { items, .. } => {
            let refused =
                items.iter().filter(|it| !matches!(it, ItemOutcome::Taken { .. } | ItemOutcome::Known)).count();
            (refused > 0).then(|| format!("{refused} of {} were not taken", items.len()))
        }
    }
}
