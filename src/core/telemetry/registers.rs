//! What a lift last reported, field by field, each with the frame that wrote it: a late frame still writes what is older.

use thin_vec::ThinVec;

use super::fields::Fields;
pub use super::fields::slot;
use super::items::Set;
pub use super::items::{Item, brings_event, carries, waited_for};
use super::windows::Kept;
use crate::core::rules::{CodeList, CodeTerm, Field, Fold, Moments, Reads, Tri, Window};
use crate::limits;
use crate::model::frame::{Door, Ended, Frame, FrameKey, Listed, Reported};
use crate::model::time::Elapsed;

/// Which frame wrote something; ordered from older to newer. Flat, so that it takes no padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Stamp {
    pub generation: u32,
    pub boot: u32,
    pub seq: u64,
}

impl Stamp {
    pub fn new(generation: u32, key: FrameKey) -> Self {
        Self { generation, boot: key.boot, seq: key.seq }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Held {
    #[default]
    Never,
    Unknown,
    /// Enums by their number on the wire, booleans as 0 or 1.
    Known(i64),
}

/// One field as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Register {
    pub(crate) stamp: Stamp,
    /// The judged time at which it was reported.
    pub(crate) at: Elapsed,
    pub(crate) held: Held,
}

/// The fields that are kept, in the order of their registers.
pub const FIELDS: [Field; 11] = [
    Field::Mode,
    Field::Car,
    Field::Direction,
    Field::DoorZone,
    Field::Door,
    Field::Passenger,
    Field::Floor,
    Field::LoadKg,
    Field::SpeedMmS,
    Field::Runs,
    Field::RunHours,
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Active {
    pub(crate) item: Item,
    pub(crate) stamp: Stamp,
    pub(crate) at: Elapsed,
    /// `false`: the source said that it ended, outside of a full set.
    pub(crate) on: bool,
}

/// Something that left the active set by a frame that didn't follow directly upon the last one that listed it: late
/// frames from in between may still list it, and it hasn't occurred anew in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    pub(crate) item: Item,
    /// The newest frame that is known to list it.
    pub(crate) stamp: Stamp,
    /// When it left, in judged time.
    pub(crate) at: Elapsed,
}

/// Where in the order of frames one came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    InOrder,
    /// Behind a newer one, young enough for its codes to count.
    Late,
    /// Behind a newer one, too old for that.
    Stale,
}

/// A code that counts as active until then, because its source says it as a moment: in `events`, or a pressed button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lingering {
    pub(crate) list: CodeList,
    pub(crate) code: u32,
    pub(crate) at: Elapsed,
    pub(crate) until: Elapsed,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Registers {
    /// With the newest frames that carried the whole of faults, alarms and conditions.
    pub(crate) fields: Fields,
    /// While the door is opening or closing without having been known to be anything else.
    pub(crate) door_moves: Option<DoorMoves>,
    /// Ascending by item, at most `limits::ACTIVE_ITEMS`.
    pub(crate) active: ThinVec<Active>,
    /// At most `limits::LINGERING_CODES`.
    pub(crate) lingering: ThinVec<Lingering>,
    /// Only while there is any of it.
    pub(crate) rare: Option<Box<Rare>>,
}

/// A door on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DoorMoves {
    pub(crate) since: Elapsed,
    /// It was open before, so whoever was inside could leave.
    pub(crate) from_open: bool,
}

/// What most lifts have nothing of.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rare {
    /// At most `limits::LEFT_ITEMS`, in the order in which they left.
    pub(crate) left: ThinVec<Left>,
    /// Only those that some rule reads, by name, ascending.
    pub(crate) extras: ThinVec<(Box<str>, Stamp, Elapsed, f64)>,
    /// At most `limits::WINDOWS`.
    pub(crate) windows: ThinVec<Kept>,
}

/// What rules read of a frame's extras.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    pub extras: &'a [Box<str>],
    pub windows: &'a [Window],
}

impl Rare {
    fn is_empty(&self) -> bool {
        self.left.is_empty() && self.extras.is_empty() && self.windows.is_empty()
    }

    pub(crate) fn boxed(self) -> Option<Box<Self>> {
        (!self.is_empty()).then(|| Box::new(self))
    }
}

/// What taking a frame did.
#[derive(Debug, Default)]
pub struct Taken {
    pub changed: Reads,
    /// Listed in a late frame, but a newer frame says that they are over.
    pub over: Vec<Item>,
    /// What appeared in an active set, or stood among the events, each list for itself.
    pub occurred: Vec<CodeTerm>,
}

impl Registers {
    /// `judged` is the frame's judged time.
    pub fn take(
        &mut self,
        frame: &Frame,
        stamp: Stamp,
        judged: Elapsed,
        came: Came,
        moments: &Moments,
        wanted: Wanted<'_>,
    ) -> Taken {
        let mut taken = Taken::default();
        self.take_fields(frame, stamp, judged, &mut taken.changed);
        if let Some(rare) = &mut self.rare {
            rare.left.retain(|left| judged - left.at < moments.late_codes_ms);
        }
        self.take_codes(frame, stamp, judged, came, &mut taken);
        self.forget_moments(judged, moments);
        // A frame that no longer carries what a moment brought may clear what the frame before could not.
        if self.lingering.iter().any(|lingering| lingering.until > judged) {
            taken.changed |= Reads::CODES;
        }
        if came != Came::Stale {
            self.take_moments(frame, judged, moments, &mut taken.changed);
            taken.occurred.extend(frame.events.items.iter().map(|code| CodeTerm::Code(CodeList::Event, *code)));
        }
        if !frame.extras.is_empty() && !wanted.extras.is_empty() {
            self.take_extras(frame, stamp, judged, wanted, &mut taken.changed);
        }
        if self.rare.as_ref().is_some_and(|rare| rare.is_empty()) {
            self.rare = None;
        }
        taken
    }

    fn take_extras(&mut self, frame: &Frame, stamp: Stamp, judged: Elapsed, wanted: Wanted<'_>, changed: &mut Reads) {
        for name in wanted.extras {
            let Ok(at) = frame.extras.binary_search_by(|(n, _)| n.cmp(name)) else { continue };
            let value = frame.extras[at].1;
            let Rare { extras, windows, .. } = &mut **self.rare.get_or_insert_default();
            match extras.binary_search_by(|(n, ..)| n.cmp(name)) {
                Ok(held) if extras[held].1 >= stamp => continue,
                Ok(held) => extras[held] = (name.clone(), stamp, judged, value),
                Err(place) => extras.insert(place, (name.clone(), stamp, judged, value)),
            }
            *changed |= Reads::EXTRAS;
            windows.retain(|kept| wanted.windows.iter().any(|it| it.extra == kept.extra && it.span_ms == kept.span_ms));
            for Window { extra, span_ms } in wanted.windows.iter().filter(|window| window.extra == *name) {
                let known = windows.iter().position(|kept| kept.extra == *extra && kept.span_ms == *span_ms);
                let at = known.unwrap_or_else(|| {
                    windows.push(Kept::new(extra, *span_ms));
                    windows.len() - 1
                });
                windows[at].put(value, judged);
            }
        }
    }

    fn take_fields(&mut self, frame: &Frame, stamp: Stamp, judged: Elapsed, changed: &mut Reads) {
        fn held<T: Copy>(reported: Reported<T>, of: impl Fn(T) -> i64) -> Option<Held> {
            match reported {
                Reported::Absent => None,
                Reported::Unknown => Some(Held::Unknown),
                Reported::Known(value) => Some(Held::Known(of(value))),
            }
        }
        let reported = [
            held(frame.mode, |v| v.number().into()),
            held(frame.car, |v| v.number().into()),
            held(frame.direction, |v| v.number().into()),
            held(if self.runs_unsaid(frame, stamp) { Reported::Absent } else { frame.door_zone }, i64::from),
            held(frame.door, |v| v.number().into()),
            held(frame.passenger, i64::from),
            held(frame.floor, i64::from),
            held(frame.load_kg, i64::from),
            held(frame.speed_mm_s, i64::from),
            held(frame.runs, |v| i64::try_from(v).unwrap_or(i64::MAX)),
            held(frame.run_hours, i64::from),
        ];
        let was_open = self.door() == Some(Door::Open);
        let slots = self.fields.take(&reported, stamp, judged);
        for (slot, field) in FIELDS.into_iter().enumerate() {
            if slots >> slot & 1 == 1 {
                *changed |= Reads::field(field);
            }
        }
        self.leave_zone_unknown_while_running(frame, stamp, changed);
        if changed.touches(Reads::field(Field::Door)) {
            *changed |= Reads::field(Field::DoorShut);
            match self.door() {
                Some(Door::Opening | Door::Closing) => {
                    self.door_moves.get_or_insert(DoorMoves { since: judged, from_open: was_open });
                }
                Some(_) => self.door_moves = None,
                // A sensor that fails now and then doesn't make a jammed door move.
                None => {}
            }
        }
        if changed.touches(Reads::field(Field::Car)) || changed.touches(Reads::field(Field::Mode)) || frame.has_status {
            *changed |= Reads::field(Field::NormalRun);
        }
    }

    /// Whether the car was running when this frame was sent, although the frame doesn't say so.
    fn runs_unsaid(&self, frame: &Frame, stamp: Stamp) -> bool {
        if frame.car != Reported::Absent {
            return false;
        }
        let car = self.fields.get(slot(Field::Car).expect("it is kept"));
        car.held == Held::Known(crate::model::frame::Car::Running.number().into()) && car.stamp < stamp
    }

    /// The door zone is valid only when the car stands: a run makes it unknown, until it is reported after the stop.
    fn leave_zone_unknown_while_running(&mut self, frame: &Frame, stamp: Stamp, changed: &mut Reads) {
        if frame.car != Reported::Known(crate::model::frame::Car::Running) {
            return;
        }
        if self.fields.make_unknown(slot(Field::DoorZone).expect("it is kept"), stamp) {
            *changed |= Reads::field(Field::DoorZone);
        }
    }

    fn take_codes(&mut self, frame: &Frame, stamp: Stamp, judged: Elapsed, came: Came, taken: &mut Taken) {
        for ended in &frame.cleared {
            let items = match ended {
                Ended::Code(code) => [Item::Fault(*code), Item::Alarm(*code)].to_vec(),
                Ended::Condition(name) => vec![Item::Condition(name.clone())],
            };
            for item in items {
                self.put(item, stamp, judged, false, taken);
            }
        }
        let whole = self.take_set(Set::Faults, &frame.faults, |c| Item::Fault(*c), frame, stamp, judged, came, taken)
            | self.take_set(Set::Alarms, &frame.alarms, |c| Item::Alarm(*c), frame, stamp, judged, came, taken)
            | self.take_set(
                Set::Conditions,
                &frame.conditions,
                |c| Item::Condition(c.clone()),
                frame,
                stamp,
                judged,
                came,
                taken,
            );
        self.fields.set_wholes(whole, stamp);
    }

    /// Gives the bit of the set if this is the newest frame that carries the whole of it.
    #[expect(clippy::too_many_arguments, reason = "one call site, three lists of two types")]
    fn take_set<T>(
        &mut self,
        set: Set,
        listed: &Listed<T>,
        item: impl Fn(&T) -> Item,
        frame: &Frame,
        stamp: Stamp,
        judged: Elapsed,
        came: Came,
        taken: &mut Taken,
    ) -> u16 {
        let whole = self.fields.whole(set as usize);
        let is_over = whole.is_some_and(|whole| whole > stamp);
        for listed in &listed.items {
            let item = item(listed);
            let is_new = came != Came::Stale && !self.is_active(&item);
            if is_new && (came == Came::InOrder || !self.stood_before(&item, stamp, judged)) {
                taken.occurred.push(item.term());
            }
            if !is_over {
                self.put(item, stamp, judged, true, taken);
            } else if is_new {
                taken.over.push(item);
            }
        }
        let is_whole = frame.has_status && !listed.partial && !is_over;
        if is_whole {
            let before = self.active.len();
            for at in (0..before).rev() {
                let active = &self.active[at];
                if active.item.set() == set && active.stamp < stamp {
                    let active = self.active.remove(at);
                    self.leave(active, stamp, judged);
                }
            }
            if before != self.active.len() {
                // Every lift has a code now and then, and few have one at a time.
                self.active.shrink_to_fit();
            }
            if before != self.active.len() || whole.is_none() {
                taken.changed |= bits(set);
            }
        }
        if came != Came::InOrder && frame.has_status && !listed.partial {
            // Whatever stood before this frame and isn't in it has ended in between.
            let left = self.rare.iter_mut().map(|rare| &mut rare.left);
            left.for_each(|left| left.retain(|left| left.item.set() != set || left.stamp >= stamp));
        }
        u16::from(is_whole) << set as u16
    }

    fn leave(&mut self, active: Active, by: Stamp, judged: Elapsed) {
        let Active { item, stamp, on, .. } = active;
        let follows = (by.generation, by.boot, by.seq) == (stamp.generation, stamp.boot, stamp.seq.saturating_add(1));
        if !on || follows {
            return;
        }
        let left = &mut self.rare.get_or_insert_default().left;
        left.retain(|left| left.item != item);
        if left.len() >= limits::LEFT_ITEMS {
            left.remove(0);
        }
        left.reserve_exact(1);
        left.push(Left { item, stamp, at: judged });
    }

    /// Whether something that a late frame lists, and that isn't active, stood in a frame before that one already. From
    /// then on it did.
    fn stood_before(&mut self, item: &Item, stamp: Stamp, judged: Elapsed) -> bool {
        let mut left = self.rare.iter_mut().flat_map(|rare| &mut rare.left);
        if let Some(left) = left.find(|left| left.item == *item) {
            left.stamp = left.stamp.max(stamp);
            return true;
        }
        self.leave(Active { item: item.clone(), stamp, at: judged, on: true }, Stamp::default(), judged);
        false
    }

    fn put(&mut self, item: Item, stamp: Stamp, judged: Elapsed, on: bool, taken: &mut Taken) {
        // A frame that carries a code keeps its rules from clearing, so it counts as a change even if nothing else does.
        taken.changed |= bits(item.set());
        match self.active.binary_search_by(|active| active.item.cmp(&item)) {
            Ok(at) => {
                let held = &mut self.active[at];
                // Within one frame what is listed comes after what is cleared.
                if held.stamp <= stamp {
                    let before = std::mem::replace(held, Active { item, stamp, at: judged, on });
                    if !on {
                        self.leave(before, stamp, judged);
                    }
                }
            }
            Err(_) => {
                let new = Active { item, stamp, at: judged, on };
                if self.active.len() >= limits::ACTIVE_ITEMS && !self.make_room(&new) {
                    return;
                }
                let at = self.active.partition_point(|active| active.item < new.item);
                self.active.reserve_exact(1);
                self.active.insert(at, new);
            }
        }
    }

    /// Lets go of the oldest item, first of those that are over. What is over makes room for nothing but its like.
    fn make_room(&mut self, new: &Active) -> bool {
        let oldest = (0..self.active.len()).min_by_key(|at| (self.active[*at].on, self.active[*at].stamp));
        let Some(oldest) = oldest.filter(|at| new.on || !self.active[*at].on) else { return false };
        self.active.remove(oldest);
        true
    }

    fn take_moments(&mut self, frame: &Frame, judged: Elapsed, moments: &Moments, changed: &mut Reads) {
        for code in &frame.events.items {
            self.linger(CodeList::Event, *code, judged, moments.event_linger_ms);
            *changed |= Reads::CODES;
        }
        for (code, linger_ms) in &moments.alarm_linger {
            // Whether a button is an alarm or a fault, sources don't agree.
            for (list, codes) in [(CodeList::Alarm, &frame.alarms), (CodeList::Fault, &frame.faults)] {
                if codes.items.binary_search(code).is_ok() {
                    self.linger(list, *code, judged, *linger_ms);
                    *changed |= Reads::CODES;
                }
            }
        }
    }

    /// Long after a moment nothing asks for it any more: in time nearly every lift has had one.
    fn forget_moments(&mut self, judged: Elapsed, moments: &Moments) {
        let before = self.lingering.len();
        self.lingering.retain(|lingering| judged - lingering.until < moments.late_codes_ms);
        if before != self.lingering.len() {
            self.lingering.shrink_to_fit();
        }
    }

    fn linger(&mut self, list: CodeList, code: u32, at: Elapsed, linger_ms: i64) {
        self.lingering.retain(|lingering| lingering.until > at && (lingering.list, lingering.code) != (list, code));
        if self.lingering.len() >= limits::LINGERING_CODES {
            // An alarm is not crowded out by events.
            let event = self.lingering.iter().position(|lingering| lingering.list == CodeList::Event);
            self.lingering.remove(event.unwrap_or(0));
        }
        self.lingering.reserve_exact(1);
        self.lingering.push(Lingering { list, code, at, until: at + linger_ms });
    }

    fn is_active(&self, item: &Item) -> bool {
        self.active.binary_search_by(|active| active.item.cmp(item)).is_ok_and(|at| self.active[at].on)
    }

    /// Whether something that a rule waits for is in the active sets; what only lingers is not.
    pub fn lists(&self, raising: &[CodeTerm]) -> bool {
        self.active.iter().any(|active| active.on && raising.iter().any(|term| active.item.is_waited_for_by(term)))
    }

    pub fn has_lingering(&self) -> bool {
        !self.lingering.is_empty()
    }

    pub fn door(&self) -> Option<Door> {
        match self.held(Field::Door)? {
            Held::Known(number) => Door::from_number(number),
            Held::Never | Held::Unknown => None,
        }
    }

    pub fn register(&self, field: Field) -> Option<Register> {
        slot(field).map(|slot| self.fields.get(slot))
    }

    /// What a field last reported, without the frame that did.
    pub fn held(&self, field: Field) -> Option<Held> {
        slot(field).map(|slot| self.fields.held(slot))
    }

    /// Whether a code or condition counts as active at `at`, of events those that came at `events_from` or later.
    pub fn code(&self, list: CodeList, code: u32, at: Elapsed, events_from: Elapsed) -> Tri {
        let lingers = |list| {
            let mut all = self.lingering.iter().filter(|l| l.list == list && l.code == code);
            all.any(|l| l.at <= at && at < l.until && (list != CodeList::Event || l.at >= events_from))
        };
        let fault = || if lingers(CodeList::Fault) { Tri::True } else { self.item(&Item::Fault(code)) };
        let alarm = || if lingers(CodeList::Alarm) { Tri::True } else { self.item(&Item::Alarm(code)) };
        let event = || Tri::from(lingers(CodeList::Event));
        match list {
            CodeList::Fault => fault(),
            CodeList::Alarm => alarm(),
            CodeList::Event => event(),
            CodeList::Any => match (fault(), alarm(), event()) {
                (Tri::True, ..) | (_, Tri::True, _) | (_, _, Tri::True) => Tri::True,
                (Tri::Unknown, ..) | (_, Tri::Unknown, _) => Tri::Unknown,
                _ => Tri::False,
            },
        }
    }

    pub fn condition(&self, name: &str) -> Tri {
        let found = self.active.iter().find(|active| matches!(&active.item, Item::Condition(n) if **n == *name));
        match found {
            Some(active) => Tri::from(active.on),
            None => self.absent(Set::Conditions),
        }
    }

    fn item(&self, item: &Item) -> Tri {
        match self.active.binary_search_by(|active| active.item.cmp(item)) {
            Ok(at) => Tri::from(self.active[at].on),
            Err(_) => self.absent(item.set()),
        }
    }

    /// What isn't listed is not active only if a whole set was ever reported.
    fn absent(&self, set: Set) -> Tri {
        if self.fields.whole(set as usize).is_some() { Tri::False } else { Tri::Unknown }
    }

    /// When a code or condition was last reported.
    pub fn reported_at(&self, list: CodeList, code: u32) -> Option<Elapsed> {
        let active = self.active.iter().filter(|a| a.item.is_waited_for_by(&CodeTerm::Code(list, code))).map(|a| a.at);
        let lingering =
            self.lingering.iter().filter(|l| l.code == code && (list == CodeList::Any || l.list == list)).map(|l| l.at);
        active.chain(lingering).max()
    }

    pub fn extra(&self, name: &str) -> Option<(f64, Elapsed)> {
        let extras = &self.rare.as_ref()?.extras;
        let at = extras.binary_search_by(|(n, ..)| (**n).cmp(name)).ok()?;
        Some((extras[at].3, extras[at].2))
    }

    /// The highest or the average of an extra over a span; `None` while no value lies in it.
    pub fn window(&self, window: &Window, fold: Fold, at: Elapsed) -> Option<f64> {
        let windows = &self.rare.as_ref()?.windows;
        windows.iter().find(|kept| kept.extra == window.extra && kept.span_ms == window.span_ms)?.fold(fold, at)
    }

    /// The next moment after `at` at which time alone changes what counts: a code has lingered, a door has jammed, a
    /// value has left its window.
    pub fn next_change(&self, at: Elapsed, moments: &Moments) -> Option<Elapsed> {
        let door = self.door_moves.map(|moves| moves.since + moments.door_shut_after_ms);
        let windows = self.rare.iter().flat_map(|rare| &rare.windows).filter_map(|kept| kept.next_change(at));
        self.lingering.iter().map(|l| l.until).chain(door).filter(|change| *change > at).chain(windows).min()
    }
}

fn bits(set: Set) -> Reads {
    match set {
        Set::Faults | Set::Alarms => Reads::CODES,
        Set::Conditions => Reads::CONDITIONS,
    }
}

#[cfg(test)]
mod tests;
