//! The other side: the real core, fed with records as the service around it feeds them.

use std::path::Path;

use serde_json::{Value, json};
use vigil::core::Core;
use vigil::model::actor::Actor;
use vigil::model::alert::AlertEvent;
use vigil::model::archive::{Entry, Equipment, Lift};
use vigil::model::ids::{AlertId, DeviceCode, RuleId, Subject};
use vigil::model::record::{Action, Command, Kind, Link, Outcome, PolicyText, Record};
use vigil::model::time::{Elapsed, Wall};

use crate::model::rules::{OWN, RULES};
use crate::timeline::{Frame, LiftSpec, Timeline, What};
use crate::told::Told;

/// As timelines of `vigil rules test` do.
pub(crate) const BEGINS: Wall = Wall(1_795_312_800_000);
const BEGAN: Elapsed = Elapsed(86_400_000);
const MARKER_MS: i64 = 5_000;
const TICKS_MAX: usize = 2_000;

/// A core that has read the shipped rules: reading them again for every timeline would take most of the time.
pub(crate) fn started() -> Core {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rules");
    let mut rules = vigil::app::policy::read_folder(&folder).unwrap();
    rules.push(("own.toml".into(), OWN.into()));
    let policy =
        PolicyText { rules, zone: "Asia/Shanghai".into(), tzdb: "test".into(), topic_prefix: "vigil/v1".into() };
    let mut engine = Engine::new(Core::new(1));
    engine.apply(Kind::Start { version: "test".into() });
    engine.apply(Kind::Policy(policy));
    engine.core
}

/// What the core tells of a timeline by the rules on lifts.
pub(crate) fn judge(started: &Core, timeline: &Timeline) -> Vec<Told> {
    let mut engine = Engine::new(started.clone());
    let registered = timeline.lifts.iter().enumerate().filter(|(_, lift)| lift.is_registered);
    let entries: Vec<Entry> = registered.map(|(nth, lift)| entry(nth, *lift)).collect();
    if !entries.is_empty() {
        engine.command(Action::Upsert(entries));
    }
    engine.link_up();
    engine.drained();
    for step in &timeline.steps {
        engine.pass_to(step.at_ms);
        engine.step(&step.what);
    }
    engine.pass_to(timeline.until_ms);
    engine.told
}

fn entry(nth: usize, lift: LiftSpec) -> Entry {
    Entry::Lift(Lift {
        equipment: if lift.is_escalator { Equipment::Escalator } else { Equipment::Lift },
        keep_alive_s: Some(lift.keep_alive_s),
        ..Lift::new(DeviceCode::parse(&code(nth)).unwrap())
    })
}

fn code(nth: usize) -> String {
    format!("3130500112201401724{nth}")
}

struct Engine {
    core: Core,
    now_ms: i64,
    wall_step_ms: i64,
    next_marker_ms: Option<i64>,
    /// The service is away until then.
    starts_at_ms: Option<i64>,
    is_up: bool,
    kept: Vec<Kind>,
    requests: u32,
    told: Vec<Told>,
}

impl Engine {
    fn new(core: Core) -> Self {
        Self {
            core,
            now_ms: 0,
            wall_step_ms: 0,
            next_marker_ms: None,
            starts_at_ms: None,
            is_up: false,
            kept: Vec::new(),
            requests: 0,
            told: Vec::new(),
        }
    }

    /// Ticks come when the core asks for them, markers every 5 s, a service that has ended begins again.
    fn pass_to(&mut self, to_ms: i64) {
        loop {
            if let Some(starts_at_ms) = self.starts_at_ms {
                if starts_at_ms > to_ms {
                    break;
                }
                self.now_ms = starts_at_ms;
                self.start_again();
                continue;
            }
            let deadline = self.core.next_deadline().map(|at| (at - BEGAN).max(self.now_ms));
            let is_tick = deadline.is_some_and(|at| self.next_marker_ms.is_none_or(|marker| at <= marker));
            let next = if is_tick { deadline } else { self.next_marker_ms };
            let Some(next_ms) = next.filter(|at| *at <= to_ms) else { break };
            self.now_ms = next_ms;
            if is_tick {
                self.apply(Kind::Tick);
            } else {
                self.drained();
            }
        }
        self.now_ms = self.now_ms.max(to_ms);
    }

    fn step(&mut self, what: &What) {
        match what {
            What::Report { lift, frames } => {
                let frames: Vec<Value> = frames.iter().map(|frame| self.sent(frame)).collect();
                let topic = format!("vigil/v1/elevator/{}/report", code(*lift)).into();
                let report = Kind::Report { topic, payload: json!({ "frames": frames }).to_string().into() };
                if self.is_up {
                    self.apply(report);
                } else {
                    self.kept.push(report);
                }
            }
            What::LinkDown => {
                (self.is_up, self.next_marker_ms) = (false, None);
                self.apply(Kind::Link(Link::Down));
            }
            What::LinkUp => self.link_up(),
            What::Drained => self.drained(),
            What::Restart { down_ms } => {
                (self.is_up, self.next_marker_ms) = (false, None);
                self.core = Core::restore(self.core.freeze().encode().into()).unwrap();
                self.starts_at_ms = Some(self.now_ms + down_ms);
            }
            What::Wall { by_ms } => {
                self.wall_step_ms += by_ms;
                self.apply(Kind::Tick);
            }
            What::Clear { lift, rule } => {
                if let Some(alert) = self.open(*lift, rule) {
                    self.command(Action::Clear { alert, note: None });
                }
            }
            What::Acknowledge { lift, rule } => {
                if let Some(alert) = self.open(*lift, rule) {
                    self.command(Action::Acknowledge { alert, note: None });
                }
            }
        }
    }

    fn sent(&self, frame: &Frame) -> Value {
        let mut fields = frame.fields();
        fields.insert("boot".into(), frame.boot.into());
        fields.insert("seq".into(), frame.seq.into());
        if let Some(claimed_ms) = frame.claimed_ms {
            fields.insert("observed_at_ms".into(), (BEGINS + claimed_ms).ms().into());
        }
        Value::Object(fields)
    }

    fn open(&self, lift: usize, rule: &str) -> Option<AlertId> {
        let subject = Subject::Device(DeviceCode::parse(&code(lift)).unwrap());
        let rule = RuleId::parse(rule).unwrap();
        let open = self.core.open_alerts().into_iter().map(|alert| alert.id);
        open.into_iter().find(|id| id.subject == subject && id.rule == rule)
    }

    fn link_up(&mut self) {
        self.is_up = true;
        self.apply(Kind::Link(Link::Up));
        for report in std::mem::take(&mut self.kept) {
            self.apply(report);
        }
    }

    fn drained(&mut self) {
        self.next_marker_ms = Some(self.now_ms + MARKER_MS);
        self.apply(Kind::Link(Link::Heard { sent: BEGAN + self.now_ms }));
    }

    fn start_again(&mut self) {
        self.starts_at_ms = None;
        self.apply(Kind::Start { version: "test".into() });
        self.link_up();
        self.drained();
    }

    /// Refused where somebody has acknowledged it before.
    fn command(&mut self, action: Action) {
        self.requests += 1;
        let request = format!("request-{}", self.requests).into();
        let outcome = self.apply(Kind::Command(Command { request, actor: Actor::local_admin(), action }));
        let is_answered = matches!(outcome, Some(Outcome::Done { .. } | Outcome::Precondition { .. }));
        assert!(is_answered, "{outcome:?}");
    }

    /// Appends a record, and the ticks that the core wants at once.
    fn apply(&mut self, kind: Kind) -> Option<Outcome> {
        let reply = self.append(kind);
        for _ in 0..TICKS_MAX {
            if self.core.is_settled() {
                return reply;
            }
            self.append(Kind::Tick);
        }
        panic!("the core wants ticks for ever");
    }

    fn append(&mut self, kind: Kind) -> Option<Outcome> {
        let wall = BEGINS + self.now_ms + self.wall_step_ms;
        let record = Record { pos: self.core.next(), elapsed: BEGAN + self.now_ms, wall, kind };
        let effects = self.core.apply(&record);
        for event in &effects.events {
            let told = self.told(event);
            self.told.extend(told);
        }
        effects.reply
    }

    /// Nothing, for what is told of a terminal or the service itself.
    fn told(&self, event: &AlertEvent) -> Option<Told> {
        let alert = &event.alert;
        let rule = RULES.iter().find(|rule| rule.id == alert.id.rule.as_str())?;
        let Subject::Device(device) = alert.id.subject else { return None };
        let lift = device.as_str().as_bytes()[19] - b'0';
        Some(Told {
            told_ms: event.published_at - BEGINS - self.wall_step_ms,
            lift: lift.into(),
            rule: rule.id,
            kind: event.kind,
            opening: alert.id.opening,
            severity: alert.severity,
            certainty: alert.certainty,
            reason: event.reason,
            true_ms: event.at - BEGINS - self.wall_step_ms,
            delayed: event.delayed,
            dispatch: alert.dispatch.is_some(),
            unregistered: alert.unregistered,
        })
    }
}
