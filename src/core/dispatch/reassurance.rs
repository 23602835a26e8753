//! Words for whoever is trapped: the lift's terminal is asked for them, and says whether it spoke them.

use super::{Says, Source};
use crate::core::{Core, Effects};
use crate::model::alert::Certainty;
use crate::model::downlink::{Downlink, Reassure};
use crate::model::ids::DeviceCode;
use crate::model::incident::{IncidentId, Reassurance, What};

impl Core {
    /// Asks the terminal, where the table wants it, as soon as it is sure that somebody is trapped: once for each incident,
    /// whoever else calls or whatever else is raised. A replay's question is thrown away as all that goes to devices is.
    pub(super) fn reassure(&mut self, out: &mut Effects, id: IncidentId) {
        let Some(kept) = self.dispatch.get(&id) else { return };
        let (it, now) = (&kept.incident, self.books.now);
        let is_confirmed = it.certainty == Certainty::Observed && it.state.is_pending();
        let Some(device) = it.scene.device.filter(|_| is_confirmed && it.reassurance.is_none()) else { return };
        let district = it.scene.place.district.as_ref();
        let Some(good_ms) = self.policy.tables.dispatch.reassure_ms(district) else { return };
        let reassure_by_ms = Some(now.elapsed - kept.received + good_ms);
        let (expires_at, good_until) = (now.wall + good_ms, now.elapsed + good_ms);
        self.write(out, id, What::ReassuranceAsked, Source::Deadline, Says { reassure_by_ms, ..Says::default() });
        let reassure = Reassure { device, incident: id, issued_at: now.wall, expires_at, good_until };
        out.downlinks.push(Downlink::Reassure(reassure));
    }

    /// What a terminal says of a command. The first answer counts, also one that comes late; what nobody asked that lift
    /// for is passed over.
    pub(in crate::core) fn take_result(&mut self, out: &mut Effects, device: DeviceCode, id: &str, ok: bool) {
        let asked = Reassure::incident_of(id).filter(|id| {
            self.incident(*id).is_some_and(|it| {
                let waits = matches!(it.reassurance, Some(Reassurance::Asked | Reassurance::Unanswered));
                waits && it.scene.device == Some(device)
            })
        });
        match asked {
            Some(incident) => {
                let what = if ok { What::Reassured } else { What::ReassuranceFailed };
                self.write(out, incident, what, Source::Terminal, Says::default());
            }
            None => out.tally.ignored += 1,
        }
    }
}
