//! Rescue incidents of the 96333 dispatch centre: who is called, who goes, who came, and how it ended.
//!
//! Handling follows DB32/T 4130-2021: call, command of the tiers, tracking, arrival, rescue, result. What happened stands
//! in entries, which are only ever added; an [`Incident`] is what its entries come to.

use std::fmt;

use super::actor::{Actor, Scope};
use super::alert::{Certainty, Cursor, Place, Severity, named};
use super::ids::{AlertId, CodeError, DeviceCode, FirmId, RuleId};
use super::time::Wall;

named!(
    /// How far the rescue has come.
    State {
        /// It is known of, and nobody is commanded.
        Received = 1 "received",
        /// Somebody is commanded and has not answered.
        Commanded = 2 "commanded",
        Accepted = 3 "accepted",
        TurnedOut = 4 "turned-out",
        Arrived = 5 "arrived",
        /// Nobody is trapped any more.
        Freed = 6 "freed",
        Closed = 7 "closed",
        FalseAlarm = 8 "false-alarm",
    }
);
named!(
    /// Who is sent, the nearest to the lift first.
    Tier {
        /// The maintenance firm under contract.
        Firm = 1 "firm",
        /// A grid rescue station.
        Station = 2 "station",
        /// Public rescue (119).
        Public = 3 "public",
    }
);
named!(
    /// What happened.
    What {
        Received = 1 "received",
        AlertJoined = 2 "alert-joined",
        /// An alert of it cleared: the sensors, or whoever cleared it by hand, say that it is over. Only people end an incident.
        AlertCleared = 3 "alert-cleared",
        CallJoined = 4 "call-joined",
        /// The next tier should be commanded, by a person.
        Proposed = 5 "proposed",
        Commanded = 6 "commanded",
        /// Whoever was commanded has not answered in time; or nobody was commanded in that time.
        Unanswered = 7 "unanswered",
        Accepted = 8 "accepted",
        Declined = 9 "declined",
        TurnedOut = 10 "turned-out",
        /// Nobody has arrived in time.
        ArrivalLate = 11 "arrival-late",
        Arrived = 12 "arrived",
        HandedOver = 13 "handed-over",
        Freed = 14 "freed",
        Closed = 15 "closed",
        FalseAlarm = 16 "false-alarm",
        Noted = 17 "noted",
        /// The service was recovered, or judges otherwise than the version before: this is how the incident stands.
        Retold = 18 "retold",
        /// The terminal was asked to reassure whoever is in the car.
        ReassuranceAsked = 19 "reassurance-asked",
        /// It did, or could not, or hasn't said so in time.
        Reassured = 20 "reassured",
        ReassuranceFailed = 21 "reassurance-failed",
        ReassuranceUnanswered = 22 "reassurance-unanswered",
        /// The archive has learned otherwise about the lift: where it is, or who maintains it.
        SceneChanged = 23 "scene-changed",
    }
);
named!(
    /// Where an entry comes from.
    Source {
        /// An alert, by a rule.
        Sensor = 1 "sensor",
        /// Somebody who called.
        Call = 2 "call",
        Dispatcher = 3 "dispatcher",
        /// The firm or station that is sent.
        Rescuer = 4 "rescuer",
        /// A deadline.
        Deadline = 5 "deadline",
        /// What the lift's terminal says of what it was asked to do.
        Terminal = 6 "terminal",
        /// A change of the archive.
        Archive = 7 "archive",
    }
);
named!(
    /// What became of the words for whoever is in the car.
    Reassurance { Asked = 1 "asked", Done = 2 "done", Failed = 3 "failed", Unanswered = 4 "unanswered" }
);
named!(
    /// What trapped people, as the firm finds out.
    Cause {
        /// Power, or objects that don't belong there.
        External = 1 "external",
        Human = 2 "human",
        Door = 3 "door",
        Control = 4 "control",
        Other = 5 "other",
    }
);

impl State {
    /// Somebody may still be trapped.
    pub fn is_pending(self) -> bool {
        self < Self::Freed
    }

    /// Nothing but notes can follow.
    pub fn is_over(self) -> bool {
        self >= Self::Closed
    }
}

impl Tier {
    pub fn next(self) -> Option<Self> {
        Self::from_number(self.number() + 1)
    }
}

/// Unique, also across epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncidentId {
    /// In which it was received.
    pub epoch: u32,
    /// Counts the incidents, from 1.
    pub number: u64,
}

impl IncidentId {
    /// Reads what `Display` writes: `1-42`.
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) && !part.starts_with('0');
        let read = || {
            let (epoch, number) = text.split_once('-').filter(|(epoch, number)| plain(epoch) && plain(number))?;
            // More than a database's number takes is no number that was ever given.
            let number = number.parse().ok().filter(|number: &u64| i64::try_from(*number).is_ok())?;
            Some(Self { epoch: epoch.parse().ok()?, number })
        };
        read().ok_or_else(|| CodeError {
            what: "incident id",
            got: text.chars().take(80).collect(),
            want: "EPOCH-NUMBER, for example 1-42",
        })
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.number)
    }
}

/// Somebody who can be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    pub tier: Tier,
    /// A firm's id in the archive, or a station's in the table of who is sent.
    pub id: Box<str>,
    pub name: Box<str>,
    pub phone: Option<Box<str>>,
}

impl Party {
    /// Whether an actor with that scope speaks for it.
    fn is(&self, scope: &Scope) -> bool {
        match (self.tier, scope) {
            (Tier::Firm, Scope::Firm(own)) => *self.id == *own.as_str(),
            (Tier::Station, Scope::Site(own)) => *self.id == *own.as_str(),
            _ => false,
        }
    }
}

/// Who called.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Caller {
    pub name: Option<Box<str>>,
    pub phone: Option<Box<str>>,
}

/// How a rescue ended, as the firm reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    pub persons_freed: u32,
    pub cause: Cause,
    /// What was done.
    pub action: Box<str>,
}

/// Where it is and by whom it is known: by the archive as it stood when it was received or last learned otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scene {
    /// `None`: the caller named no lift of the archive.
    pub device: Option<DeviceCode>,
    pub rescue_code: Option<Box<str>>,
    pub place: Place,
    /// The maintenance firm under contract.
    pub firm: Option<FirmId>,
    /// The monitoring terminal, as the archive has it.
    pub terminal: Option<Box<str>>,
    /// What opened it; `None`: a person.
    pub rule: Option<RuleId>,
}

/// One line of an incident's timeline. What doesn't belong to its kind is absent.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Gapless within `epoch` over all incidents.
    pub seq: u64,
    pub epoch: u32,
    pub at: Wall,
    /// Since the incident was received, by a clock that nobody sets: differences of these are the figures.
    pub since_ms: i64,
    pub what: What,
    pub source: Source,
    /// Who wrote it; `None`: nobody, it followed.
    pub actor: Option<Box<str>>,
    pub note: Option<Box<str>>,
    /// Of `Received` and `SceneChanged`.
    pub scene: Option<Box<Scene>>,
    /// Who is proposed, commanded, or took it over; of what the party itself does, that party.
    pub party: Option<Party>,
    pub alert: Option<AlertId>,
    pub severity: Option<Severity>,
    pub certainty: Option<Certainty>,
    pub occupied: Option<bool>,
    pub caller: Option<Caller>,
    /// Of `Commanded`, `Received` and `Declined`: by when somebody is to accept it, in `since_ms`.
    pub accept_by_ms: Option<i64>,
    /// Of `Commanded`: by when somebody is to be there.
    pub arrive_by_ms: Option<i64>,
    /// Of `Closed`.
    pub ending: Option<Ending>,
    /// Of `ReassuranceAsked`: by when the terminal is to have done it, in `since_ms`.
    pub reassure_by_ms: Option<i64>,
}

impl Entry {
    pub fn cursor(&self) -> Cursor {
        Cursor { epoch: self.epoch, seq: self.seq }
    }
}

/// An alert of the lift that has joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    pub alert: AlertId,
    pub is_open: bool,
    /// A person cleared it, or a change of the rules did: its sensors have not said that it is over.
    pub by_hand: bool,
}

/// Somebody who was sent, and how far they came. Times are as `since_ms`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    pub party: Party,
    pub commanded_ms: i64,
    /// It took over from somebody: it was never commanded by the centre, so that no answer is awaited.
    pub took_over: bool,
    pub accepted_ms: Option<i64>,
    pub turned_out_ms: Option<i64>,
    pub arrived_ms: Option<i64>,
    /// Declined, handed on, or somebody else was commanded.
    pub ended_ms: Option<i64>,
    pub declined: bool,
}

/// An incident as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    pub id: IncidentId,
    pub scene: Scene,
    pub state: State,
    pub severity: Severity,
    pub certainty: Certainty,
    /// Whether people are in the car, as far as sensors or callers said; `None`: not known.
    pub occupied: Option<bool>,
    pub received_at: Wall,
    /// When the last entry was made.
    pub changed_at: Wall,
    pub alerts: Vec<Joined>,
    pub calls: u32,
    /// The last one.
    pub caller: Option<Caller>,
    /// In the order in which they were commanded.
    pub legs: Vec<Leg>,
    pub proposed: Option<Party>,
    /// Deadlines that stand, as `since_ms`.
    pub accept_by_ms: Option<i64>,
    pub arrive_by_ms: Option<i64>,
    /// When an answer was due that has not come.
    pub unanswered_ms: Option<i64>,
    pub arrival_late: bool,
    pub freed_ms: Option<i64>,
    /// Closed, or found to be a false alarm.
    pub over_ms: Option<i64>,
    pub ending: Option<Ending>,
    /// Entries of its timeline.
    pub entries: u32,
    /// `None`: the terminal was asked nothing.
    pub reassurance: Option<Reassurance>,
    /// A deadline as those above.
    pub reassure_by_ms: Option<i64>,
}

impl Incident {
    /// Who is on it now.
    pub fn assignee(&self) -> Option<&Leg> {
        self.legs.last().filter(|leg| leg.ended_ms.is_none())
    }

    /// All alerts of it have cleared, and by their sensors: people should confirm.
    pub fn sensors_say_over(&self) -> bool {
        let says_over = |joined: &Joined| !joined.is_open && !joined.by_hand;
        !self.alerts.is_empty() && self.alerts.iter().all(says_over) && self.state.is_pending()
    }

    /// A firm sees what it is under contract for, and what it was sent to.
    pub fn is_seen_by(&self, actor: &Actor) -> bool {
        let is_contracted = matches!(actor.scope, Scope::Firm(own) if self.scene.firm == Some(own));
        actor.sees(self.scene.place.district.as_ref())
            || is_contracted
            || self.legs.iter().any(|leg| leg.party.is(&actor.scope))
    }

    /// Whether an actor speaks for whoever is on it now.
    pub fn is_assigned_to(&self, actor: &Actor) -> bool {
        self.assignee().is_some_and(|leg| leg.party.is(&actor.scope))
    }
}

/// One entry of one incident, with the whole of the incident as it stands after it.
#[derive(Debug, Clone, PartialEq)]
pub struct IncidentEvent {
    pub entry: Entry,
    pub incident: Incident,
}

impl IncidentEvent {
    pub fn cursor(&self) -> Cursor {
        self.entry.cursor()
    }
}

/// Who is meant, by whoever commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whom {
    pub tier: Tier,
    /// `None`: whoever is next of that tier.
    pub id: Option<Box<str>>,
}

/// A call that somebody took.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Call {
    pub device: Option<DeviceCode>,
    pub rescue_code: Option<Box<str>>,
    /// Where no lift is found by the two above; and with a rescue code, where to look for it.
    pub place: Place,
    pub caller: Caller,
    pub occupied: Option<bool>,
    pub note: Option<Box<str>>,
}

/// What somebody does to an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Command(Whom),
    Accept,
    Decline,
    TurnOut,
    Arrive,
    HandOver(Whom),
    Free,
    Close(Ending),
    FalseAlarm,
    Note,
}

impl Step {
    /// As people and calls write it.
    pub fn name(&self) -> &'static str {
        self.kind().name()
    }

    pub fn kind(&self) -> StepKind {
        match self {
            Self::Command(_) => StepKind::Command,
            Self::Accept => StepKind::Accept,
            Self::Decline => StepKind::Decline,
            Self::TurnOut => StepKind::TurnOut,
            Self::Arrive => StepKind::Arrive,
            Self::HandOver(_) => StepKind::HandOver,
            Self::Free => StepKind::Free,
            Self::Close(_) => StepKind::Close,
            Self::FalseAlarm => StepKind::FalseAlarm,
            Self::Note => StepKind::Note,
        }
    }
}

named!(
    /// A [`Step`] without what comes with it.
    StepKind {
        Command = 1 "command",
        Accept = 2 "accept",
        Decline = 3 "decline",
        TurnOut = 4 "turn-out",
        Arrive = 5 "arrive",
        HandOver = 6 "hand-over",
        Free = 7 "free",
        Close = 8 "close",
        FalseAlarm = 9 "false-alarm",
        Note = 10 "note",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_what_they_write() {
        for text in ["1-1", "3-42", "4294967295-9223372036854775807"] {
            assert_eq!(IncidentId::parse(text).unwrap().to_string(), text);
        }
        for bad in ["", "1", "1-", "-1", "0-1", "1-0", "01-1", "1-+1", "1-1-1", "4294967296-1", "1-9223372036854775808"]
        {
            assert!(IncidentId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
