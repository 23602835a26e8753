//! A cylinder as its rules' conditions read it.

use super::Cylinder;
use super::custody::{Custody, Flag};
use crate::core::judge::{self, Reading};
use crate::core::obligation::Due;
use crate::core::policy::Policy;
use crate::core::rules::{Facts, Field, RuleIx, Value};
use crate::model::archive;
use crate::model::ids::SiteCode;
use crate::model::obligation::DueKind;
use crate::model::scan::Scan;
use crate::model::time::CivilDay;

/// A scan as rules see it.
#[derive(Debug, Clone, Copy)]
pub struct Scanned<'a> {
    pub scan: &'a Scan,
    pub site: SiteCode,
    /// What the archive has of the site.
    pub place: Option<&'a archive::Site>,
    /// How things stood before it.
    pub before: Custody,
}

/// A cylinder, at a scan or between scans, as its rules' conditions read it.
pub(super) struct CylinderFacts<'a> {
    pub(super) cylinder: &'a Cylinder,
    pub(super) policy: &'a Policy,
    pub(super) scanned: Option<&'a Scanned<'a>>,
    pub(super) filled_at: Option<SiteCode>,
    pub(super) dues: &'a [Due],
    pub(super) today: CivilDay,
}

impl CylinderFacts<'_> {
    fn scan(&self) -> Option<&Scan> {
        self.scanned.map(|scanned| scanned.scan)
    }

    /// Whether the scan names another medium than the archive. Where one of them names none, there is no other.
    fn other_medium(&self) -> Option<bool> {
        let stated = self.scan()?.medium.as_deref();
        let own = self.cylinder.entry.as_ref().and_then(|entry| entry.medium());
        Some(matches!((stated, own), (Some(stated), Some(own)) if stated != own))
    }
}

impl CylinderFacts<'_> {
    /// Civil days since the last one on which it was in time.
    fn days_since(&self, kind: DueKind) -> Option<i64> {
        let due = self.dues.iter().find(|due| due.kind == kind)?;
        Some(self.today.days_since(due.due_on))
    }

    fn past_life(&self) -> Option<bool> {
        let is_past = self.days_since(DueKind::CylinderLife).map(|days| days > 0);
        let made_on = self.cylinder.entry.as_ref().and_then(|entry| entry.made_on());
        is_past.or(made_on.map(|_| false))
    }

    /// How much more was weighed than may be in it. The net weight is what the scan says, else gross less tare.
    fn over_fill_g(&self) -> Option<i64> {
        let (scan, entry) = (self.scan()?, self.cylinder.entry.as_ref()?);
        let weighed = || {
            let tare_g = scan.tare_g.or_else(|| entry.tare_g())?;
            Some(i64::from(scan.gross_g?) - i64::from(tare_g))
        };
        let net_g = scan.net_g.map(i64::from).or_else(weighed)?;
        Some(net_g - i64::from(entry.max_fill_g()?))
    }
}

impl Facts for CylinderFacts<'_> {
    fn field(&self, field: Field) -> Value {
        let custody = &self.cylinder.custody;
        match field {
            Field::ScanEvent => self.scan().map(|scan| i64::from(scan.event.number())).into(),
            Field::Passed => self.scan().and_then(|scan| scan.passed).into(),
            // A cylinder is only judged as unregistered when somebody scans it.
            Field::CylinderRegistered if self.cylinder.is_registered() => Value::Bool(true),
            Field::CylinderRegistered => self.scanned.map(|_| false).into(),
            Field::CylinderDaysOverdue => self.days_since(DueKind::CylinderInspection).into(),
            Field::DaysPastLife => self.days_since(DueKind::CylinderLife).into(),
            Field::OwnSite => self.scanned.and_then(|it| self.cylinder.is_own_site(it.site, self.today)).into(),
            Field::OwnFilling => self.filled_at.and_then(|site| self.cylinder.is_own_site(site, self.today)).into(),
            Field::PastLife => self.past_life().into(),
            Field::OverFillG => self.over_fill_g().into(),
            Field::OtherMedium => self.other_medium().into(),
            Field::CheckedBefore => Value::Bool(custody.has(Flag::Checked) || !custody.has(Flag::FilledUnchecked)),
            Field::CheckedAfter => Value::Bool(!custody.has(Flag::Unverified)),
            Field::FilledSinceDispatch => self.scanned.map(|it| it.before.has(Flag::Filled)).into(),
            _ => Value::Unknown,
        }
    }

    fn is_open(&self, rule: RuleIx) -> bool {
        judge::is_open(self.policy, &self.cylinder.runs, rule)
    }
}

impl Reading for CylinderFacts<'_> {}
