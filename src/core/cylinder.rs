//! One gas cylinder: its archive entry, what scans say of it, and the rules on both.

pub mod custody;
mod dues;
mod facts;
pub mod fills;
pub mod stored;
pub mod verdict;

use self::custody::Custody;
use self::facts::CylinderFacts;
pub use self::facts::Scanned;
use crate::core::books::{ByHand, Who};
use crate::core::judge::run::{Footing, Transition};
use crate::core::judge::runs::Runs;
use crate::core::judge::{self, Context};
use crate::core::kept::KeptCylinder;
use crate::core::obligation::cylinder::Inspected;
use crate::core::obligation::upkeep::Told;
use crate::core::policy::Policy;
use crate::core::rules::Tri;
use crate::model::alert::{Place, Reason};
use crate::model::archive;
use crate::model::ids::{CylinderCode, SiteCode, Subject};
use crate::model::time::CivilDay;

#[derive(Debug, Clone, PartialEq)]
pub struct Cylinder {
    pub code: CylinderCode,
    pub entry: Option<KeptCylinder>,
    /// The last passed inspection that a registered body scanned.
    pub(crate) report: Option<Inspected>,
    /// Somebody who may say so has said that it is scrapped: its code is void for ever.
    pub(crate) scrapped: bool,
    /// Its code was registered again with other fixed data: one of two cylinders bears it wrongly, until somebody
    /// puts the archive right.
    pub(crate) duplicate: bool,
    pub(crate) custody: Custody,
    /// What was told to be due.
    pub(crate) told: [Told; 2],
    pub(crate) runs: Runs,
    /// The version of the policy that its runs follow.
    pub(crate) policy: u32,
}

impl Cylinder {
    pub fn new(code: CylinderCode, policy: u32) -> Self {
        Self {
            code,
            entry: None,
            report: None,
            scrapped: false,
            duplicate: false,
            custody: Custody::default(),
            told: Default::default(),
            runs: Runs::new(),
            policy,
        }
    }

    /// Takes over what is known of it under a code that it bore before.
    pub(crate) fn inherit(&mut self, before: &Self) {
        self.scrapped |= before.scrapped || before.entry.as_ref().is_some_and(|entry| entry.scrapped);
        self.custody.inherit(&before.custody);
        if let Some(report) = before.report {
            self.note_inspection(report.on, report.valid_until);
        }
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

    /// Whether the site may fill it on that day. Whose it is must be known.
    pub fn is_own_site(&self, site: SiteCode, on: CivilDay) -> Option<bool> {
        let entry = self.entry.as_ref()?;
        entry.filling_unit()?;
        Some(entry.may_be_filled_by(&site, on))
    }

    /// Judges its rules: at a scan, or because something else about it changed.
    pub fn judge(
        &mut self,
        cx: &mut Context<'_>,
        scan: Option<&Scanned<'_>>,
        filled_at: Option<SiteCode>,
        today: CivilDay,
    ) {
        let policy = cx.policy;
        let dues = self.dues(policy);
        self.tell_dues(cx, &dues, today);
        let at = cx.books.now.elapsed;
        let site = scan.and_then(|scanned| scanned.place);
        for ix in policy.cylinder_rules() {
            let rule = policy.set.rule(*ix);
            let number = policy.number(*ix);
            let facts = CylinderFacts { cylinder: self, policy, scanned: scan, filled_at, dues: &dues, today };
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

    /// Follows a new policy, or a new day. `filled_at`: where it was filled last.
    pub fn follow(&mut self, cx: &mut Context<'_>, filled_at: Option<SiteCode>, today: CivilDay) {
        self.take_policy(cx);
        self.judge(cx, None, filled_at, today);
    }

    /// What the rules that deny fillings say of a request.
    pub fn denied_by<'a>(
        &'a self,
        policy: &'a Policy,
        request: &'a Scanned<'a>,
        today: CivilDay,
    ) -> impl Iterator<Item = (&'a str, Tri)> {
        let dues = self.dues(policy);
        policy.denying_rules().map(move |rule| {
            let scanned = Some(request);
            let facts = CylinderFacts { cylinder: self, policy, scanned, filled_at: None, dues: &dues, today };
            let says = rule.deny.as_ref().map_or(Tri::False, |deny| deny.eval(&facts));
            (rule.id.as_str(), says)
        })
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
