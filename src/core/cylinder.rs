//! One gas cylinder: its archive entry, what scans say of it, and the rules on both.

use crate::core::books::{ByHand, Who};
use crate::core::judge::run::{Footing, Transition};
use crate::core::judge::runs::Runs;
use crate::core::judge::{self, Context, Reading};
use crate::core::kept::KeptCylinder;
use crate::core::policy::Policy;
use crate::core::rules::{CodeList, Facts, Field, Fold, RuleIx, Term, Tri, Value};
use crate::model::alert::{Place, Reason};
use crate::model::archive;
use crate::model::ids::{CylinderCode, District, Subject};
use crate::model::scan::Scan;
use crate::model::time::CivilDay;

#[derive(Debug, Clone, PartialEq)]
pub struct Cylinder {
    pub code: CylinderCode,
    pub entry: Option<KeptCylinder>,
    /// A later date than the archive's, from an inspection body's passed inspection.
    pub(crate) inspected_until: Option<CivilDay>,
    /// Somebody who may say so has said that it is scrapped: its code is void for ever.
    pub(crate) scrapped: bool,
    /// Its code was registered again with other fixed data: one of two cylinders bears it wrongly, until somebody
    /// puts the archive right.
    pub(crate) duplicate: bool,
    pub(crate) runs: Runs,
    /// The version of the policy that its runs follow.
    pub(crate) policy: u32,
}

impl Cylinder {
    pub fn new(code: CylinderCode, policy: u32) -> Self {
        Self { code, entry: None, inspected_until: None, scrapped: false, duplicate: false, runs: Runs::new(), policy }
    }

    pub fn is_registered(&self) -> bool {
        !self.scrapped && !self.duplicate && self.entry.as_ref().is_some_and(|entry| !entry.scrapped)
    }

    pub fn who(&self, place: Option<&archive::Site>) -> Who {
        let own = || self.entry.as_ref().and_then(KeptCylinder::district);
        let place = Place {
            district: place.and_then(|site| site.district).or_else(own),
            address: place.and_then(|site| site.address.clone()),
        };
        Who { place, unregistered: self.entry.is_none(), ..Who::new(Subject::Cylinder(self.code)) }
    }

    /// Its archive entry, whole.
    pub fn archived(&self) -> Option<archive::Cylinder> {
        self.entry.as_ref().map(|entry| entry.entry(self.code))
    }

    /// The last day on which its inspection is good.
    pub fn inspection_due(&self) -> Option<CivilDay> {
        self.inspected_until.max(self.entry.as_ref().and_then(KeptCylinder::inspection_due))
    }

    /// Judges its rules: at a scan, or because something else about it changed.
    pub fn judge(&mut self, cx: &mut Context<'_>, scan: Option<&Scan>, site: Option<&archive::Site>, today: CivilDay) {
        let policy = cx.policy;
        let at = cx.books.now.elapsed;
        for ix in policy.cylinder_rules() {
            let rule = policy.set.rule(*ix);
            let number = policy.number(*ix);
            let facts = CylinderFacts { cylinder: self, policy, scan, today };
            let when = rule.when.eval(&facts);
            if !when.is_true() && judge::find(&self.runs, number).is_none() {
                continue;
            }
            let inputs = judge::inputs(rule, when, &facts, &facts, at, false, Footing::Sound);
            let evidence_of = |of_clear| judge::evidence(rule, &facts, of_clear);
            let evidence = (evidence_of(false), evidence_of(true));
            let who = self.who(site);
            let run = self.runs.entry(number);
            let Some(transition) = run.step(rule, &policy.set.moments, &inputs) else { continue };
            let (transition, evidence) = match transition {
                Transition::Clear { .. } => (transition, evidence.1),
                Transition::Open { reopens, severity, certainty, at, .. } if scan.is_some() => {
                    (Transition::Open { reopens, severity, certainty, reason: Reason::Scanned, at }, evidence.0)
                }
                other => (other, evidence.0),
            };
            cx.books.carry_out(
                cx.out,
                &who,
                run,
                &judge::label(&policy.set, rule),
                transition,
                evidence,
                &ByHand::default(),
            );
            run.note_crossed(&inputs);
        }
        self.runs.drop_blank();
    }

    /// Follows a new policy, or a new day.
    pub fn follow(&mut self, cx: &mut Context<'_>, today: CivilDay) {
        self.take_policy(cx);
        self.judge(cx, None, None, today);
    }

    /// Forgets what rules said that have changed since. Before anything is judged by the new ones: what a scan opens must
    /// not pass for something that the old ones said.
    pub fn take_policy(&mut self, cx: &mut Context<'_>) {
        if self.policy != cx.policy.version {
            let who = self.who(None);
            let now = cx.books.now.elapsed;
            judge::forget_changed(cx, &who, &mut self.runs, self.policy, now);
            self.policy = cx.policy.version;
        }
    }
}

/// A cylinder, at a scan or between scans, as its rules' conditions read it.
struct CylinderFacts<'a> {
    cylinder: &'a Cylinder,
    policy: &'a Policy,
    scan: Option<&'a Scan>,
    today: CivilDay,
}

impl Facts for CylinderFacts<'_> {
    fn field(&self, field: Field) -> Value {
        match field {
            Field::ScanEvent => self.scan.map(|scan| i64::from(scan.event.number())).into(),
            Field::Passed => self.scan.and_then(|scan| scan.passed).into(),
            // A cylinder is only judged as unregistered when somebody scans it.
            Field::CylinderRegistered if self.cylinder.is_registered() => Value::Bool(true),
            Field::CylinderRegistered => self.scan.map(|_| false).into(),
            Field::CylinderDaysOverdue => self.cylinder.inspection_due().map(|due| self.today.days_since(due)).into(),
            _ => Value::Unknown,
        }
    }

    fn code(&self, _: CodeList, _: u32) -> Tri {
        Tri::Unknown
    }

    fn condition(&self, _: &str) -> Tri {
        Tri::Unknown
    }

    fn in_district(&self, _: &District) -> Tri {
        Tri::Unknown
    }

    fn window(&self, _: u16, _: Fold) -> Option<f64> {
        None
    }

    fn extra(&self, _: u16) -> Option<f64> {
        None
    }

    fn is_open(&self, rule: RuleIx) -> bool {
        judge::is_open(self.policy, &self.cylinder.runs, rule)
    }
}

impl Reading for CylinderFacts<'_> {
    fn age_ms(&self, _: &Term) -> Option<i64> {
        None
    }

    fn is_silent(&self) -> bool {
        false
    }
}
