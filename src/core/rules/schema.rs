//! What conditions may name: the fields of each family, their types and the constants of their enums.

use crate::model::archive::Equipment;
use crate::model::frame::{Car, Direction, Door, Mode};
use crate::model::obligation::DueKind;
use crate::model::scan::ScanEvent;

/// What a rule is judged on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// The last-known state of a lift or escalator.
    Elevator,
    /// One scan of a cylinder, beside its archive entry.
    Cylinder,
    /// Something that is due on a civil day.
    Obligation,
    /// What is open of a lift's maintenance records.
    Record,
}

impl Family {
    pub const ALL: &'static [Self] = &[Self::Elevator, Self::Cylinder, Self::Obligation, Self::Record];

    /// Its name in `on`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Elevator => "elevator",
            Self::Cylinder => "cylinder",
            Self::Obligation => "obligation",
            Self::Record => "record",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|family| family.name() == name)
    }

    /// Holds and silence are timed only where a device reports all the time.
    pub fn is_timed(self) -> bool {
        self == Self::Elevator
    }

    /// Codes, conditions and extras come with a lift's frames only.
    pub fn has_codes(self) -> bool {
        self == Self::Elevator
    }
}

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Bool,
    Int,
    Enum(Words),
}

/// A closed set of names with numbers. In conditions they stand in upper case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    Mode,
    Car,
    Direction,
    Door,
    Equipment,
    ScanEvent,
    ObligationKind,
}

/// The number of `LIFT` or `ESCALATOR`, which no wire message has.
pub fn equipment_number(equipment: Equipment) -> i64 {
    match equipment {
        Equipment::Lift => 1,
        Equipment::Escalator => 2,
    }
}

fn number(kind: DueKind) -> i64 {
    kind.number().into()
}

impl Words {
    /// Every name in lower case with its number, below 64 each.
    pub fn pairs(self) -> Vec<(&'static str, i64)> {
        match self {
            Self::Mode => Mode::ALL.iter().map(|v| (v.name(), v.number().into())).collect(),
            Self::Car => Car::ALL.iter().map(|v| (v.name(), v.number().into())).collect(),
            Self::Direction => Direction::ALL.iter().map(|v| (v.name(), v.number().into())).collect(),
            Self::Door => Door::ALL.iter().map(|v| (v.name(), v.number().into())).collect(),
            Self::Equipment => {
                vec![("lift", equipment_number(Equipment::Lift)), ("escalator", equipment_number(Equipment::Escalator))]
            }
            Self::ScanEvent => ScanEvent::ALL.iter().map(|v| (v.name(), v.number().into())).collect(),
            // Constants have no hyphens.
            Self::ObligationKind => vec![
                ("inspection", number(DueKind::Inspection)),
                ("testing", number(DueKind::Testing)),
                ("half_month", number(DueKind::HalfMonth)),
                ("quarter", number(DueKind::Quarter)),
                ("half_year", number(DueKind::HalfYear)),
                ("year", number(DueKind::Year)),
                ("self_check", number(DueKind::SelfCheck)),
                ("drill", number(DueKind::Drill)),
            ],
        }
    }

    /// The number of a constant as conditions write it.
    pub fn number(self, constant: &str) -> Option<i64> {
        let lower = constant.to_ascii_lowercase();
        let known = self.pairs().into_iter().find(|(name, _)| *name == lower)?;
        (known.0.to_ascii_uppercase() == constant).then_some(known.1)
    }

    /// The constant of a number, as conditions write it.
    pub fn constant(self, number: i64) -> Option<String> {
        self.pairs().into_iter().find(|(_, n)| *n == number).map(|(name, _)| name.to_ascii_uppercase())
    }

    pub fn constants(self) -> Vec<String> {
        self.pairs().into_iter().map(|(name, _)| name.to_ascii_uppercase()).collect()
    }
}

macro_rules! fields {
    ($($(#[$doc:meta])* $variant:ident = $number:literal $text:literal $family:ident $type:expr),+ $(,)?) => {
        /// A value that conditions read by name. Enums are given as their number.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Field { $($(#[$doc])* $variant = $number),+ }

        impl Field {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name in conditions.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            pub fn family(self) -> Family {
                match self { $(Self::$variant => Family::$family),+ }
            }

            pub fn field_type(self) -> Type {
                match self { $(Self::$variant => $type),+ }
            }
        }
    };
}

fields! {
    Mode = 0 "mode" Elevator Type::Enum(Words::Mode),
    Car = 1 "car" Elevator Type::Enum(Words::Car),
    Direction = 2 "direction" Elevator Type::Enum(Words::Direction),
    DoorZone = 3 "door_zone" Elevator Type::Bool,
    Door = 4 "door" Elevator Type::Enum(Words::Door),
    /// Derived: every reported door state but `open`; `opening` and `closing` once they have lasted `door_shut_after`.
    DoorShut = 5 "door_shut" Elevator Type::Bool,
    Passenger = 6 "passenger" Elevator Type::Bool,
    Floor = 7 "floor" Elevator Type::Int,
    LoadKg = 8 "load_kg" Elevator Type::Int,
    SpeedMmS = 9 "speed_mm_s" Elevator Type::Int,
    Runs = 10 "runs" Elevator Type::Int,
    RunHours = 11 "run_hours" Elevator Type::Int,
    /// Derived: this frame shows the car running in normal mode, with none of the rule's raising codes.
    NormalRun = 12 "normal_run" Elevator Type::Bool,
    /// From the archive; unknown for a lift that it doesn't have.
    DeviceEquipment = 13 "device.equipment" Elevator Type::Enum(Words::Equipment),
    /// The archive has this lift.
    DeviceRegistered = 14 "device.registered" Elevator Type::Bool,
    /// It has been out of use for so long that it must be inspected before it runs again, and wasn't. Unknown for a lift
    /// that the archive doesn't have.
    DeviceNeedsInspection = 15 "device.needs_inspection" Elevator Type::Bool,
    /// Derived: whole seconds since a frame last came, as far as we are proven to have heard. Known however long the silence,
    /// once there was a frame.
    SilentS = 16 "silent_s" Elevator Type::Int,

    /// What the scan says happened.
    ScanEvent = 20 "event" Cylinder Type::Enum(Words::ScanEvent),
    /// The archive has this code, it is not scrapped, and no other cylinder was registered by it.
    CylinderRegistered = 21 "registered" Cylinder Type::Bool,
    /// Civil days since the last day on which the inspection was good: above 0 it is overdue. Unknown without a date.
    CylinderDaysOverdue = 22 "days_overdue" Cylinder Type::Int,
    /// The result of the check or inspection that the scan reports.
    Passed = 23 "passed" Cylinder Type::Bool,
    /// The site of the scan is the cylinder's own filling unit, or one that it is entrusted to.
    OwnSite = 24 "own_site" Cylinder Type::Bool,
    /// The site that filled it last is.
    OwnFilling = 25 "own_filling" Cylinder Type::Bool,
    /// The scan names another medium than the archive. False where one of them names none.
    OtherMedium = 26 "other_medium" Cylinder Type::Bool,
    /// The last filling was after a passed check that no other filling had used; or there has been one since.
    CheckedBefore = 27 "checked_before" Cylinder Type::Bool,
    /// A passed check has followed the last filling.
    CheckedAfter = 28 "checked_after" Cylinder Type::Bool,
    /// Before this scan: filled since it was last dispatched.
    FilledSinceDispatch = 29 "filled" Cylinder Type::Bool,
    /// Civil days since the last day of its design life, or of the extension: above 0 it must not be used. Unknown where
    /// the archive lacks the make date, or the tables a life for its type and medium.
    DaysPastLife = 34 "days_past_life" Cylinder Type::Int,
    /// Whether it is past its life: unknown without a make date, false where the tables name no life for its type and
    /// medium.
    PastLife = 36 "past_life" Cylinder Type::Bool,
    /// By how many grams the weight that the scan reports is above the maximum fill.
    OverFillG = 35 "over_fill_g" Cylinder Type::Int,

    ObligationKind = 30 "kind" Obligation Type::Enum(Words::ObligationKind),
    /// Civil days since the last day on which it could be done in time: above 0 it is overdue.
    ObligationDaysOverdue = 31 "days_overdue" Obligation Type::Int,

    /// Records that the use unit has not signed.
    RecordUnsigned = 44 "unsigned" Record Type::Int,
    /// Whole hours since the oldest of them came; 0 if there are none.
    RecordUnsignedHours = 45 "unsigned_hours" Record Type::Int,
    /// Problems that records told of, S1 to S7, and that none has said to be rectified.
    RecordProblems = 46 "problems" Record Type::Int,
    /// Whole hours since the oldest of them was told; 0 if there are none.
    RecordProblemHours = 47 "problem_hours" Record Type::Int,
}

impl Field {
    pub fn from_name(family: Family, name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|field| field.family() == family && field.name() == name)
    }
}

/// Conditions without a common code that source profiles map to (`wire.md`, field 19). A rule that names another one
/// would never open.
pub const CONDITIONS: &[&str] = &["trapped", "overtravel_top", "overtravel_bottom"];

/// Functions of the elevator family that take one code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CodeList {
    /// Any of the three: sources don't agree on which list a code belongs to.
    Any,
    Fault,
    Alarm,
    Event,
}

impl CodeList {
    pub const ALL: &'static [Self] = &[Self::Any, Self::Fault, Self::Alarm, Self::Event];

    /// The function that asks for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "code",
            Self::Fault => "fault",
            Self::Alarm => "alarm",
            Self::Event => "event",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|list| list.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_fits_the_bit_sets() {
        for field in Field::ALL {
            assert!((*field as u8) < 56, "{field:?}: the upper bits of Reads are taken");
            if let Type::Enum(words) = field.field_type() {
                for (name, number) in words.pairs() {
                    assert!((0..64).contains(&number), "{name}");
                }
            }
        }
    }

    #[test]
    fn constants_stand_in_upper_case() {
        assert_eq!(Words::Car.number("STOPPED"), Some(1));
        assert_eq!(Words::Car.number("Stopped"), None);
        assert_eq!(Words::Door.constant(7).as_deref(), Some("NOT_FULLY_CLOSED"));
    }
}
