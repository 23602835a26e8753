//! One city: lift A of firm F1 in an urban district, lift B of nobody elsewhere, a station, public rescue.

use vigil::core::Core;
use vigil::model::actor::{Actor, Role, Scope};
use vigil::model::alert::Place;
use vigil::model::archive::{Entry, Firm, Lift};
use vigil::model::ids::{DeviceCode, District, FirmId};
use vigil::model::incident::{Call, Cause, Ending, Incident, IncidentEvent, IncidentId, State, Step, Tier, What, Whom};
use vigil::model::record::{Action, Outcome};

use crate::timeline::{Timeline, lift_code, shipped};

pub(crate) const MINUTE_MS: i64 = 60_000;
pub(crate) const ACCEPT_MS: i64 = 3 * MINUTE_MS;
pub(crate) const URBAN_MS: i64 = 30 * MINUTE_MS;

const STATIONS: &str = "\n[[station]]\nid = \"6401-GRID\"\nname = \"grid\"\nphone = \"2\"\ndistricts = [\"6401\"]\n";

pub(crate) struct World {
    pub(crate) timeline: Timeline,
    requests: u32,
    seq: u64,
}

impl World {
    /// Tiers are proposed, as shipped, or commanded.
    pub(crate) fn new(automatic: bool) -> Self {
        Self::with(|table| if automatic { table.replace("\"propose\"", "\"command\"") } else { table })
    }

    /// With the shipped table, changed.
    pub(crate) fn with(change: impl FnOnce(String) -> String) -> Self {
        let mut policy = shipped();
        let table = policy.rules.iter_mut().find(|(name, _)| &**name == "tables/dispatch.toml").unwrap();
        table.1 = change(format!("{}{STATIONS}", table.1)).into();
        let mut world = Self { timeline: Timeline::new(&policy), requests: 0, seq: 0 };
        let firm = Firm { phone: Some("1".into()), ..Firm::new(FirmId::parse("F1").unwrap(), "first firm") };
        let a = Lift {
            district: District::parse("640104").ok(),
            address: Some("1 Renmin Road".into()),
            rescue_code: Some("640001".into()),
            firm: FirmId::parse("F1").ok(),
            terminal: Some("T-100 4711".into()),
            ..Lift::new(device("A"))
        };
        let b = Lift { district: District::parse("640422").ok(), ..Lift::new(device("B")) };
        world.act(Action::Upsert(vec![Entry::Firm(firm), Entry::Lift(a), Entry::Lift(b)]));
        world
    }

    pub(crate) fn act(&mut self, action: Action) -> Outcome {
        self.act_as(Actor::local_admin(), action)
    }

    pub(crate) fn act_as(&mut self, actor: Actor, action: Action) -> Outcome {
        self.requests += 1;
        self.timeline.command_of(actor, &format!("r{}", self.requests), action)
    }

    /// A passenger stands in a lift that stopped between floors, or gets out.
    pub(crate) fn frame(&mut self, lift: &str, trapped: bool) {
        self.seq += 1;
        let (passenger, zone, door) = if trapped { (true, false, "closed") } else { (false, true, "open") };
        let at = self.timeline.wall().ms();
        let frame = format!(
            r#"{{"seq":{},"observed_at_ms":{at},"mode":"normal","car":"stopped","passenger":{passenger},"door_zone":{zone},"door":"{door}","faults":[],"alarms":[]}}"#,
            self.seq
        );
        let topic = format!("vigil/v1/elevator/{}/report", lift_code(lift));
        self.timeline.report(&topic, frame);
    }

    /// Somebody calls about a lift.
    pub(crate) fn call(&mut self, lift: &str) -> IncidentId {
        opened(&self.act(Action::OpenIncident(Call { device: Some(device(lift)), ..Call::default() })))
    }

    /// The archive learns that F1 maintains a lift, or that nobody is known to.
    pub(crate) fn contract(&mut self, lift: &str, holds: bool) {
        let firm = holds.then(|| FirmId::parse("F1").unwrap());
        let lift = Lift { district: District::parse("640422").ok(), firm, ..Lift::new(device(lift)) };
        self.act(Action::Upsert(vec![Entry::Lift(lift)]));
    }

    pub(crate) fn step(&mut self, incident: IncidentId, step: Step) -> Outcome {
        self.act(Action::AdvanceIncident { incident, step, note: None })
    }

    pub(crate) fn advance(&mut self, ms: i64) {
        self.timeline.advance_to(self.timeline.now_ms + ms);
    }

    /// The service is killed and begins again from its last snapshot, which is this old at most: a tick.
    pub(crate) fn restart(&mut self) {
        let bytes = self.timeline.core.freeze().encode();
        self.timeline.core = Core::restore(bytes.clone().into()).unwrap();
        assert!(self.timeline.core.freeze().encode() == bytes, "a restored core freezes to other bytes");
        self.timeline.restart();
        self.timeline.link_up();
        self.timeline.drained();
    }

    pub(crate) fn incident(&self, id: IncidentId) -> Incident {
        self.timeline.core.dispatch().get(&id).unwrap().incident.clone()
    }

    pub(crate) fn state(&self, id: IncidentId) -> State {
        self.incident(id).state
    }

    pub(crate) fn told(&self, id: IncidentId) -> Vec<&IncidentEvent> {
        self.timeline.incidents.iter().filter(|event| event.incident.id == id).collect()
    }

    /// What happened, and how long after the incident was received.
    pub(crate) fn entries(&self, id: IncidentId) -> Vec<(What, i64)> {
        self.told(id).iter().map(|event| (event.entry.what, event.entry.since_ms)).collect()
    }

    /// The alerts that are open, by rule.
    pub(crate) fn open(&self) -> Vec<String> {
        self.timeline.core.open_alerts().iter().map(|alert| alert.id.to_string()).collect()
    }
}

pub(crate) fn device(lift: &str) -> DeviceCode {
    DeviceCode::parse(&lift_code(lift)).unwrap()
}

pub(crate) fn opened(outcome: &Outcome) -> IncidentId {
    match outcome {
        Outcome::Incident { incident, .. } => *incident,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn command(tier: Tier) -> Step {
    Step::Command(Whom { tier, id: None })
}

pub(crate) fn close(persons_freed: u32) -> Step {
    Step::Close(Ending { persons_freed, cause: Cause::Door, action: "door freed by hand".into() })
}

pub(crate) fn firm(id: &str) -> Actor {
    let scope = Scope::Firm(FirmId::parse(id).unwrap());
    Actor { id: id.into(), roles: vec![Role::Firm], scope }
}

pub(crate) fn within(district: &str) -> Actor {
    let scope = Scope::Districts(vec![District::parse(district).unwrap()]);
    Actor { id: "centre".into(), roles: vec![Role::Dispatcher], scope }
}

pub(crate) fn place(district: &str, address: &str) -> Place {
    Place { district: District::parse(district).ok(), address: Some(address.into()) }
}
