//! Who can be sent: tier by tier, from the archive and the table of who is on duty.

use crate::core::Core;
use crate::core::tables::dispatch::LatLon;
use crate::model::ids::FirmId;
use crate::model::incident::{Incident, Party, Tier, Whom};

impl Core {
    /// Who is meant; `None`: nobody is known of that tier, or by that id.
    pub(super) fn party(&self, incident: &Incident, whom: &Whom) -> Option<Party> {
        let (table, district) = (&self.policy.tables.dispatch, incident.scene.place.district.as_ref());
        let id = whom.id.as_deref();
        match whom.tier {
            // A contracted firm is sent although the archive may not have it yet; one that somebody names must be known.
            Tier::Firm => Some(self.firm_on_duty(match id {
                Some(id) => FirmId::parse(id).ok().filter(|id| self.firms.contains_key(id))?,
                None => self.contracted(incident)?,
            })),
            Tier::Station => match id {
                Some(id) => table.station(id).cloned(),
                None => table.nearest_station(district, self.position(incident), self.minute_of_day()).cloned(),
            },
            Tier::Public => table.public(district, id).cloned(),
        }
    }

    /// The first of the tiers from `tier` on of which anybody is known.
    pub(super) fn party_from(&self, incident: &Incident, tier: Option<Tier>) -> Option<Party> {
        let mut next = tier;
        while let Some(tier) = next {
            if let Some(party) = self.party(incident, &Whom { tier, id: None }) {
                return Some(party);
            }
            next = tier.next();
        }
        None
    }

    /// The firm that maintains the lift today. Of a contract that has ended nobody is sent.
    fn contracted(&self, incident: &Incident) -> Option<FirmId> {
        let entry = self.archived(&incident.scene.device?)?;
        let holds = entry.contract.is_none_or(|contract| contract.covers(self.day()));
        entry.firm.filter(|_| holds)
    }

    fn position(&self, incident: &Incident) -> Option<LatLon> {
        let position = self.archived(&incident.scene.device?)?.position?;
        Some((position.latitude_e7, position.longitude_e7))
    }

    fn firm_on_duty(&self, id: FirmId) -> Party {
        let known = self.firms.get(&id);
        let on_duty = self.policy.tables.dispatch.on_duty(&id, self.minute_of_day());
        let name = known.map_or(id.as_str(), |firm| &*firm.name);
        let (name, phone) = match on_duty {
            Some((person, phone)) => (format!("{name} · {person}").into(), Some(phone.into())),
            None => (name.into(), known.and_then(|firm| firm.phone.clone())),
        };
        Party { tier: Tier::Firm, id: id.as_str().into(), name, phone }
    }

    /// By the wall clock of the policy's zone.
    fn minute_of_day(&self) -> u16 {
        let minutes = self.today.map_or(0, |today| (self.books.now.wall - today.begins) / 60_000);
        u16::try_from(minutes.clamp(0, 1_439)).unwrap_or(0)
    }
}
