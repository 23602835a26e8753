//! Who a lift is: what the archive knows of it, as its alerts show it.

use super::Lift;
use crate::core::books::Who;
use crate::core::judge::Context;
use crate::core::kept::KeptLift;
use crate::core::rules::{Facts, Field, Value};
use crate::model::alert::Place;
use crate::model::archive;
use crate::model::ids::{DeviceCode, Subject};

impl Lift {
    pub fn who(&self) -> Who {
        who(self.code, self.entry.as_ref())
    }

    /// The same, with whether there are people in the car, as far as it is known now.
    pub(super) fn who_with_passengers(&self, cx: &Context<'_>) -> Who {
        let occupied = match self.facts(cx, None, None).field(Field::Passenger) {
            Value::Bool(is) => Some(is),
            _ => None,
        };
        Who { occupied, ..self.who() }
    }

    /// Its archive entry, whole.
    pub fn archived(&self) -> Option<archive::Lift> {
        self.entry.as_ref().map(|entry| entry.entry(self.code))
    }
}

pub(super) fn who(code: DeviceCode, entry: Option<&KeptLift>) -> Who {
    let place = entry.map(|entry| Place { district: entry.district(), address: entry.address() });
    let [building, feeder] = entry.map(KeptLift::places).unwrap_or_default();
    let (place, unregistered) = (place.unwrap_or_default(), entry.is_none());
    Who { place, building, feeder, unregistered, ..Who::new(Subject::Device(code)) }
}
