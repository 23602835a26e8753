//! Who asks, and how far they may see.

use super::archive::Entry;
use super::ids::{District, FirmId, SiteCode};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    Dispatcher,
    Firm,
    Station,
    Inspector,
    Regulator,
    Vendor,
    Admin,
    Auditor,
}

impl Role {
    pub const ALL: &'static [Self] = &[
        Self::Dispatcher,
        Self::Firm,
        Self::Station,
        Self::Inspector,
        Self::Regulator,
        Self::Vendor,
        Self::Admin,
        Self::Auditor,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Dispatcher => "dispatcher",
            Self::Firm => "firm",
            Self::Station => "station",
            Self::Inspector => "inspector",
            Self::Regulator => "regulator",
            Self::Vendor => "vendor",
            Self::Admin => "admin",
            Self::Auditor => "auditor",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|role| role.name() == name)
    }
}

/// What an actor's calls may touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    All,
    Districts(Vec<District>),
    Firm(FirmId),
    Site(SiteCode),
}

/// Every call carries one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    pub id: Box<str>,
    /// Ascending, without repeats.
    pub roles: Vec<Role>,
    pub scope: Scope,
}

impl Actor {
    /// The one actor there is until calls are authenticated: accepted on loopback only.
    pub fn local_admin() -> Self {
        Self { id: "local".into(), roles: vec![Role::Admin], scope: Scope::All }
    }

    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Whether an entry of the archive is within its scope: also what is its own, wherever that is.
    pub fn sees_entry(&self, entry: &Entry) -> bool {
        let district = match entry {
            Entry::Lift(e) => e.district.as_ref(),
            Entry::Cylinder(e) => e.district.as_ref(),
            Entry::Site(e) => e.district.as_ref(),
            Entry::Firm(e) => e.district.as_ref(),
            Entry::Worker(_) => None,
        };
        self.sees(district)
            || match (&self.scope, entry) {
                (Scope::Firm(own), Entry::Lift(lift)) => lift.firm == Some(*own),
                (Scope::Firm(own), Entry::Firm(firm)) => firm.id == *own,
                (Scope::Firm(own), Entry::Worker(worker)) => worker.firm == Some(*own),
                (Scope::Site(own), Entry::Cylinder(cylinder)) => cylinder.filling_unit == Some(*own),
                (Scope::Site(own), Entry::Site(site)) => site.code == *own,
                _ => false,
            }
    }

    /// Whether something that lies in `district` may be seen. What has no district is only for those who may see all.
    pub fn sees(&self, district: Option<&District>) -> bool {
        match &self.scope {
            Scope::All => true,
            Scope::Districts(own) => district.is_some_and(|d| own.iter().any(|o| d.is_within(o))),
            Scope::Firm(_) | Scope::Site(_) => false,
        }
    }
}
