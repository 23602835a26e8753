//! A lift, and what is due on it, as conditions of rules read them.

use crate::core::judge::run::Run;
use crate::core::judge::{self, Reading};
use crate::core::lift::Lift;
use crate::core::policy::Policy;
use crate::core::rules::schema;
use crate::core::rules::{CodeList, CodeTerm, Facts, Field, Fold, Rule, RuleIx, Term, Tri, Value};
use crate::core::telemetry::heard::Heard;
use crate::core::telemetry::registers::{self, DoorMoves, Held, Item};
use crate::model::frame::{Car, Door, Frame, Mode};
use crate::model::ids::District;
use crate::model::obligation::DueKind;
use crate::model::time::{CivilDay, Elapsed, Wall};

/// A lift as its rules' conditions read it.
pub(super) struct LiftFacts<'a> {
    pub(super) lift: &'a Lift,
    pub(super) policy: &'a Policy,
    /// Silent for so long that nothing it reported is known any more.
    pub(super) is_silent: bool,
    /// Up to which heard time silence counts.
    pub(super) heard_to: Heard,
    pub(super) now: Elapsed,
    pub(super) wall: Wall,
    pub(super) frame: Option<&'a Frame>,
    pub(super) rule: Option<&'a Rule>,
    /// Codes that count although a newer frame excludes them.
    pub(super) over: &'a [Item],
    /// Events from before are told already, or are no answer to what has been told since.
    pub(super) events_from: Elapsed,
}

impl LiftFacts<'_> {
    fn held(&self, field: Field) -> Option<i64> {
        match self.lift.registers.held(field)? {
            Held::Known(value) => Some(value),
            Held::Never | Held::Unknown => None,
        }
    }

    /// Shut is every reported state but open; a door that moves counts once it has moved for too long. Until then nobody
    /// knows what becomes of it, unless it was open: one that tries to open again and again frees nobody.
    fn door_shut(&self) -> Option<bool> {
        match self.lift.registers.door()? {
            Door::Open => Some(false),
            Door::Closed | Door::Locked | Door::NotFullyClosed => Some(true),
            Door::Opening | Door::Closing => match self.lift.registers.door_moves? {
                moves if self.has_moved_for_long(moves) => Some(true),
                DoorMoves { from_open, .. } => from_open.then_some(false),
            },
        }
    }

    fn has_moved_for_long(&self, door: DoorMoves) -> bool {
        self.lift.judged - door.since >= self.policy.set.moments.door_shut_after_ms
    }

    fn normal_run(&self) -> bool {
        let carried = self.rule.is_some_and(|rule| self.lift.carries(self.frame, rule));
        self.frame.is_some_and(|frame| frame.car.known() == Some(&Car::Running))
            && self.held(Field::Mode) == Some(Mode::Normal.number().into())
            && !carried
    }
}

impl Facts for LiftFacts<'_> {
    fn field(&self, field: Field) -> Value {
        match field {
            Field::DeviceEquipment => self.lift.entry.as_ref().map(|e| schema::equipment_number(e.equipment)).into(),
            Field::DeviceRegistered => Value::Bool(self.lift.entry.is_some()),
            Field::DeviceNeedsInspection => self.lift.needs_inspection(self.policy, self.wall).into(),
            Field::NormalRun => Value::Bool(self.normal_run()),
            Field::SilentS => self.lift.silent_ms(self.heard_to).map(|ms| ms / 1_000).into(),
            _ if self.is_silent => Value::Unknown,
            Field::DoorShut => self.door_shut().into(),
            Field::DoorZone | Field::Passenger => self.held(field).map(|v| v != 0).into(),
            _ => self.held(field).into(),
        }
    }

    fn code(&self, list: CodeList, code: u32) -> Tri {
        let wanted = [CodeTerm::Code(list, code)];
        if !self.over.is_empty() && registers::waited_for(self.over, &wanted) {
            return Tri::True;
        }
        if self.is_silent {
            return Tri::Unknown;
        }
        self.lift.registers.code(list, code, self.lift.judged, self.events_from)
    }

    fn condition(&self, name: &str) -> Tri {
        if self.over.iter().any(|item| matches!(item, Item::Condition(n) if **n == *name)) {
            return Tri::True;
        }
        if self.is_silent { Tri::Unknown } else { self.lift.registers.condition(name) }
    }

    fn in_district(&self, district: &District) -> Tri {
        let own = self.lift.entry.as_ref().and_then(|entry| entry.district());
        own.map(|own| own.is_within(district)).into()
    }

    fn extra(&self, extra: u16) -> Option<f64> {
        let name = self.policy.set.extras.get(usize::from(extra))?;
        if self.is_silent { None } else { self.lift.registers.extra(name).map(|(value, _)| value) }
    }

    fn window(&self, window: u16, fold: Fold) -> Option<f64> {
        let window = self.policy.set.windows.get(usize::from(window)).filter(|_| !self.is_silent)?;
        self.lift.registers.window(window, fold, self.lift.judged)
    }

    fn is_open(&self, rule: RuleIx) -> bool {
        judge::is_open(self.policy, &self.lift.runs, rule)
    }
}

impl Reading for LiftFacts<'_> {
    fn age_ms(&self, term: &Term) -> Option<i64> {
        let registers = &self.lift.registers;
        let at = match term {
            Term::Field(Field::DoorShut) => {
                registers.register(Field::Door).filter(|r| r.held != Held::Never).map(|r| r.at)
            }
            Term::Field(field) => registers.register(*field).filter(|r| r.held != Held::Never).map(|r| r.at),
            Term::Code(list, code) => registers.reported_at(*list, *code),
            Term::Extra(_, name) | Term::Window { extra: name, .. } => registers.extra(name).map(|(_, at)| at),
            Term::Condition(_) | Term::District(_) | Term::Open(..) => None,
        };
        at.map(|at| (self.now - at).max(0))
    }

    fn is_silent(&self) -> bool {
        self.is_silent
    }

    fn will_be_known(&self) -> bool {
        let moves = self.lift.registers.door().is_some_and(|door| matches!(door, Door::Opening | Door::Closing));
        !self.is_silent && moves && self.door_shut() != Some(true)
    }
}

/// Something that is due on a civil day, as its rules' conditions read it.
#[derive(Clone, Copy)]
pub(super) struct ObligationFacts<'a> {
    pub(super) policy: &'a Policy,
    pub(super) runs: &'a [Run],
    pub(super) kind: DueKind,
    pub(super) due: Option<CivilDay>,
    pub(super) today: CivilDay,
}

impl Facts for ObligationFacts<'_> {
    fn field(&self, field: Field) -> Value {
        match field {
            Field::ObligationKind => Value::Int(self.kind.number().into()),
            Field::ObligationDaysOverdue => self.due.map(|due| self.today.days_since(due)).into(),
            _ => Value::Unknown,
        }
    }

    fn is_open(&self, rule: RuleIx) -> bool {
        judge::is_open(self.policy, self.runs, rule)
    }
}

impl Reading for ObligationFacts<'_> {}
