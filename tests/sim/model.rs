//! What is known to have been written and said, told from outside: a plain list of everything. It knows what devices
//! sent, and nothing of how the core works.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use foldhash::fast::FixedState;
use vigil::journal::{Entry, JournalReader, codec};
use vigil::model::alert::{Alert, AlertEvent, AlertState, EventKind, Severity};
use vigil::model::frame::{FrameKey, Reported};
use vigil::model::ids::{AlertId, DeviceCode};
use vigil::model::incident::{IncidentId, State};
use vigil::model::record::{Command, Kind, Link, Outcome, Record};
use vigil::model::row::{Effects, Order, RejectReason, Row, ScanRow};
use vigil::model::time::{Elapsed, Wall};

use crate::lifts::Published;
use crate::poison::Poisoned;

/// More published bytes than this aren't remembered one by one.
const READ_RECORDS: usize = 4_096;
const READ_BYTES: usize = 1 << 24;
/// Events later than this after what they tell are delayed.
const DELAYED_MS: i64 = 5_000;
/// Rejects of one topic in an hour that are kept.
const REJECTS_KEPT: usize = 100;

fn is_of_skipped(alert: &Alert) -> bool {
    alert.id.rule.as_str() == "record-skipped"
}

/// One record of the inbox.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) hash: u32,
    /// When it was taken, in time that nobody sets.
    pub(crate) at: i64,
    pub(crate) wall: Wall,
    pub(crate) elapsed: Elapsed,
    pub(crate) what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Report(Option<u64>),
    Link(Link),
    Command(Box<str>),
    Start,
    Policy,
    Other,
}

/// One entry of the outbox.
pub(crate) struct Told {
    pub(crate) hash: u32,
    pub(crate) effects: Effects,
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ToldAs {
    Nothing,
    VeryLate,
    Judged,
}

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) published: Vec<Published>,
    /// By topic and payload; only looked up.
    uids: HashMap<(Box<str>, Vec<u8>), u64, FixedState>,
    /// Of every frame that was published.
    told: Vec<ToldAs>,
    /// Of every scan that was published: whether it was judged.
    scanned: Vec<bool>,
    /// The frames that were judged, by device and generation; but for those that are too old to be known.
    identities: BTreeSet<(DeviceCode, u32, FrameKey)>,
    /// When those markers were sent that came back through the broker.
    pub(crate) markers: BTreeSet<Elapsed>,
    pub(crate) inbox: Vec<Taken>,
    pub(crate) outbox: Vec<Told>,
    /// Where the effects of a record stand.
    by_cause: BTreeMap<u64, usize>,
    /// The event with seq n is at n − 1, with its cause.
    pub(crate) events: Vec<(u64, AlertEvent)>,
    pub(crate) open: BTreeMap<AlertId, Alert>,
    acknowledged: BTreeSet<u64>,
    /// Positions of commands that were answered.
    answered: BTreeMap<u64, Box<str>>,
    pub(crate) incidents: BTreeMap<IncidentId, State>,
    /// By position.
    pub(crate) commands: BTreeMap<u64, Command>,
    /// What people heard, and nobody has looked at yet.
    pub(crate) heard: Vec<(Command, Outcome)>,
    /// By topic: what was set aside of it.
    rejects: BTreeMap<Box<str>, usize>,
    outbox_read_to: u64,
}

impl Model {
    /// Whether all that a report held is too old to be known: it is kept, and tells nothing of the lift.
    pub(crate) fn is_very_late(&self, uid: u64) -> bool {
        let marks = &self.published[uid as usize].marks;
        !marks.is_empty() && marks.iter().all(|mark| self.told[*mark as usize] == ToldAs::VeryLate)
    }

    /// Whether a frame of this lift was told.
    pub(crate) fn spoke(&self, lift: usize) -> bool {
        let of_it = |published: &&Published| published.lift == Some(lift);
        let is_told = |mark: &u64| self.told[*mark as usize] > ToldAs::Nothing;
        self.published.iter().filter(of_it).any(|published| published.marks.iter().any(is_told))
    }

    pub(crate) fn frames(&self) -> u64 {
        self.told.len() as u64
    }

    pub(crate) fn scans(&self) -> u64 {
        self.scanned.len() as u64
    }

    pub(crate) fn effects_of(&self, pos: u64) -> Option<&Effects> {
        self.by_cause.get(&pos).map(|ix| &self.outbox[*ix].effects)
    }

    /// What was told to the store because of a record.
    pub(crate) fn rows_of(&self, pos: u64) -> &[Row] {
        self.by_cause.get(&pos).map_or(&[], |ix| &self.outbox[*ix].effects.rows)
    }

    /// Notes what is published, and gives it its uid. What is mangled beyond recognition shares one with its like.
    pub(crate) fn publish(&mut self, topic: &str, payload: &[u8], published: Published) -> u64 {
        let next = self.published.len() as u64;
        let uid = *self.uids.entry((topic.into(), payload.to_vec())).or_insert(next);
        if uid == next {
            self.told.resize(self.told.len() + published.marks.len(), ToldAs::Nothing);
            self.scanned.resize(self.scanned.len() + published.scans.len(), false);
            self.published.push(published);
        }
        uid
    }

    /// P1: what is acknowledged is in the inbox.
    pub(crate) fn acknowledge(&mut self, uid: u64) -> Result<(), String> {
        self.acknowledged.insert(uid);
        self.check_taken(uid)
    }

    fn check_taken(&self, uid: u64) -> Result<(), String> {
        let is_it = |taken: &Taken| taken.what == What::Report(Some(uid));
        if self.inbox.iter().rev().any(is_it) {
            return Ok(());
        }
        Err(format!("P1: report {uid} was acknowledged and isn't in the inbox"))
    }

    pub(crate) fn answer(&mut self, position: u64, request: &str) -> Result<(), String> {
        self.answered.insert(position, request.into());
        self.check_answered(position)
    }

    fn check_answered(&self, position: u64) -> Result<(), String> {
        let (request, at) = (&self.answered[&position], self.inbox.get(position as usize));
        if at.is_some_and(|taken| taken.what == What::Command(request.clone())) {
            return Ok(());
        }
        Err(format!("P1: request {request} was answered, and at its position {position} the inbox has {at:?}"))
    }

    /// After a crash: the journals end there, and with these hashes.
    pub(crate) fn survive(&mut self, inbox: (u64, u32), outbox_next: u64) -> Result<(), String> {
        let (next, hash) = inbox;
        // Records may be there that were written as the process died, which nobody saw: they are read now.
        if next <= self.inbox.len() as u64 {
            let before = next.checked_sub(1).map(|last| self.inbox[last as usize].hash);
            if before.is_some_and(|before| before != hash) {
                return Err(format!("P1: the inbox before position {next} is not what it was"));
            }
            let lost = self.inbox.split_off(next as usize);
            self.commands.split_off(&next);
            for taken in lost {
                match taken.what {
                    What::Report(Some(uid)) if self.acknowledged.contains(&uid) => self.check_taken(uid)?,
                    _ => {}
                }
            }
            if let Some((position, _)) = self.answered.range(next..).next() {
                return self.check_answered(*position);
            }
        }
        self.outbox_read_to = outbox_next.min(self.outbox.len() as u64);
        Ok(())
    }

    /// Reads what was written since, and checks what it has to do with what was sent.
    pub(crate) fn observe_inbox(&mut self, reader: &mut dyn JournalReader, at: i64) -> Result<(), String> {
        let mut entries = Vec::new();
        loop {
            reader.read(self.inbox.len() as u64, READ_RECORDS, READ_BYTES, &mut entries).map_err(|e| e.to_string())?;
            if entries.is_empty() {
                return Ok(());
            }
            for Entry { pos, hash_after, payload } in entries.drain(..) {
                let record = codec::decode_record(pos, payload).map_err(|e| e.to_string())?;
                let Record { elapsed, wall, kind, .. } = record;
                let what = match kind {
                    Kind::Report { topic, payload } => What::Report(self.uids.get(&(topic, payload.to_vec())).copied()),
                    Kind::Link(link) => What::Link(link),
                    Kind::Command(command) => {
                        let request = command.request.clone();
                        self.commands.insert(pos, command);
                        What::Command(request)
                    }
                    Kind::Start { .. } => What::Start,
                    Kind::Policy(_) => What::Policy,
                    _ => What::Other,
                };
                if let What::Link(Link::Heard { sent }) = &what
                    && !self.markers.contains(sent)
                {
                    return Err(format!("P5: the marker sent at {sent:?} counts as heard and never came back"));
                }
                if self.inbox.last().is_some_and(|last| last.elapsed > elapsed) {
                    return Err(format!("P7: elapsed time steps back at position {pos}"));
                }
                self.inbox.push(Taken { hash: hash_after, at, wall, elapsed, what });
            }
        }
    }

    pub(crate) fn observe_outbox(&mut self, reader: &mut dyn JournalReader) -> Result<(), String> {
        let mut entries = Vec::new();
        loop {
            reader.read(self.outbox_read_to, READ_RECORDS, READ_BYTES, &mut entries).map_err(|e| e.to_string())?;
            if entries.is_empty() {
                return Ok(());
            }
            for entry in entries.drain(..) {
                self.outbox_read_to = entry.pos + 1;
                self.tell(entry)?;
            }
        }
    }

    fn tell(&mut self, entry: Entry) -> Result<(), String> {
        let Entry { pos, hash_after, payload } = entry;
        if let Some(told) = self.outbox.get(pos as usize) {
            if told.hash == hash_after {
                return Ok(());
            }
            return Err(format!("P7: after the restart the outbox says something else at position {pos}"));
        }
        let (cause, effects) = codec::decode_effects(payload).map_err(|e| e.to_string())?;
        for row in &effects.rows {
            self.take_row(row, cause)?;
        }
        for event in &effects.events {
            self.take_event(event, cause)?;
        }
        for event in &effects.incidents {
            self.incidents.insert(event.incident.id, event.incident.state);
        }
        self.by_cause.insert(cause, self.outbox.len());
        self.outbox.push(Told { hash: hash_after, effects });
        Ok(())
    }

    /// P2: a frame is judged once, whoever sent it, unless it is too old to be known; those that weren't mangled, however
    /// old.
    fn take_row(&mut self, row: &Row, cause: u64) -> Result<(), String> {
        let row = match row {
            Row::Frame(row) => row,
            Row::Scan(row) => return self.take_scan(row, cause),
            Row::Reject(_)
            | Row::Status(_)
            | Row::Entry(_)
            | Row::Change(_)
            | Row::Due(_)
            | Row::Report(_)
            | Row::Visit(_)
            | Row::Signature(_) => return Ok(()),
        };
        let identity = (row.device, row.generation, row.frame.key);
        if row.order != Order::VeryLate && !self.identities.insert(identity) {
            return Err(format!("P2: {identity:?} was judged twice, now at {cause}"));
        }
        let Some(What::Report(Some(uid))) = self.inbox.get(cause as usize).map(|taken| &taken.what) else {
            return Err(format!("P2: the record at {cause} led to a frame and is no report"));
        };
        let published = &self.published[*uid as usize];
        if published.lift.is_none() {
            return Ok(());
        }
        let Reported::Known(mark) = row.frame.runs else { return Err(format!("P8: a good frame of {uid} was spoilt")) };
        if !published.marks.contains(&mark) {
            return Err(format!("P2: frame {mark} came out of report {uid}, which doesn't hold it"));
        }
        // One that is too old to be known is told and kept, and judged never: that may happen again.
        let told = &mut self.told[mark as usize];
        if row.order == Order::VeryLate {
            *told = (*told).max(ToldAs::VeryLate);
        } else if std::mem::replace(told, ToldAs::Judged) == ToldAs::Judged {
            let (device, key, order) = (row.device, row.frame.key, row.order);
            let frames = self.frames_of(published);
            return Err(format!(
                "P2: frame {mark} of {device} ({key:?}, {order:?}) was judged twice, at {cause}{frames}"
            ));
        }
        Ok(())
    }

    /// P2: a scan is judged once, as it was sent; none is ever too old to be known.
    fn take_scan(&mut self, row: &ScanRow, cause: u64) -> Result<(), String> {
        let sent = match self.inbox.get(cause as usize).map(|taken| &taken.what) {
            Some(What::Report(Some(uid))) => &self.published[*uid as usize].scans[..],
            _ => &[],
        };
        let mark = row.scan.tare_g.map(u64::from);
        let wrong = |what: &str| Err(format!("P2: scan {mark:?} of the report at {cause} {what}"));
        let Some(sent) = sent.iter().find(|sent| Some(sent.mark) == mark) else { return wrong("isn't in it") };
        let said = (row.site, row.scan.cylinder, row.scan.event, row.scan.passed, row.scan.valid_until);
        if said != (sent.site, sent.cylinder, sent.event, sent.passed, sent.valid_until) {
            return wrong(&format!("came out as {:?} of {sent:?}", row.scan));
        }
        if row.order == Order::VeryLate || std::mem::replace(&mut self.scanned[sent.mark as usize], true) {
            return wrong(&format!("was judged twice or not, as {:?}", row.order));
        }
        Ok(())
    }

    /// What was taken of its lift, for whoever looks for the cause.
    fn frames_of(&self, published: &Published) -> String {
        let mut text = String::new();
        for (pos, taken) in self.inbox.iter().enumerate() {
            let What::Report(Some(uid)) = taken.what else { continue };
            let other = &self.published[uid as usize];
            if other.lift == published.lift {
                let _infallible = write!(text, "\n  {pos} at {}: {:?} {:?}", taken.at, other.marks, other.keys);
            }
        }
        text
    }

    /// P3: events have numbers without a gap. P6: those that tell of the past say so.
    fn take_event(&mut self, event: &AlertEvent, cause: u64) -> Result<(), String> {
        let seq = self.events.len() as u64 + 1;
        if (event.epoch, event.seq) != (1, seq) {
            return Err(format!("P3: event {} follows on {}", event.cursor(), seq - 1));
        }
        if event.delayed != (event.published_at - event.at > DELAYED_MS) {
            return Err(format!(
                "P6: event {seq} of {} says {} and says delayed={}",
                event.published_at, event.at, event.delayed
            ));
        }
        let alert = &event.alert;
        match alert.state {
            AlertState::Open => _ = self.open.insert(alert.id.clone(), alert.clone()),
            AlertState::Cleared if self.open.remove(&alert.id).is_none() => {
                return Err(format!("P4: {} cleared and wasn't open", alert.id));
            }
            AlertState::Cleared => {}
        }
        self.events.push((cause, event.clone()));
        Ok(())
    }

    /// P2 and P8: every record from `from` on that was judged led to its good frames, and its bad ones were set aside.
    pub(crate) fn check_judged(&mut self, from: usize, to: u64, poisoned: &Poisoned) -> Result<(), String> {
        for pos in from..to as usize {
            if poisoned.contains(pos as u64) {
                self.check_passed_over(pos as u64)?;
                continue;
            }
            let What::Report(uid) = self.inbox[pos].what else { continue };
            let Some(uid) = uid else { return Err(format!("P1: nobody sent the report at {pos}")) };
            let published = &self.published[uid as usize];
            if let Some(missing) = published
                .marks
                .iter()
                .find(|mark| published.lift.is_some() && self.told[**mark as usize] == ToldAs::Nothing)
            {
                let frames = self.frames_of(published);
                return Err(format!("P2: frame {missing} of report {uid} at {pos} was not judged{frames}"));
            }
            if let Some(missing) = published.scans.iter().find(|scan| !self.scanned[scan.mark as usize]) {
                return Err(format!("P2: {missing:?} of report {uid} at {pos} was not judged"));
            }
            self.check_rejects(pos, uid)?;
        }
        Ok(())
    }

    /// P8: a record that made the core fail is kept, led to nothing else, and people know.
    fn check_passed_over(&self, pos: u64) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("P8: the record passed over at {pos} {what}"));
        let Some(ix) = self.by_cause.get(&pos) else { return wrong("led to nothing") };
        let mut skipped = Vec::new();
        for row in &self.outbox[*ix].effects.rows {
            match row {
                Row::Reject(reject) if reject.reason == RejectReason::Skipped => skipped.push(reject),
                Row::Entry(_) | Row::Change(_) | Row::Frame(_) | Row::Scan(_) | Row::Reject(_) | Row::Status(_) => {
                    return wrong("led to more than that it was kept");
                }
                _ => return wrong("led to more than that it was kept"),
            }
        }
        let [reject] = &skipped[..] else { return wrong(&format!("is kept {} times", skipped.len())) };
        let kept = self.uids.get(&(reject.topic.clone(), reject.payload.to_vec())).copied();
        if let What::Report(uid) = self.inbox[pos as usize].what
            && (uid.is_none() || kept != uid)
        {
            return wrong("is kept as another one");
        }
        let is_told = |event: &AlertEvent| is_of_skipped(&event.alert) && event.kind != EventKind::Acknowledged;
        let told: Vec<_> = self.events.iter().filter(|(_, event)| is_told(event)).collect();
        match &told[..] {
            [(_, opened)] if opened.kind == EventKind::Opened && opened.alert.severity == Severity::Critical => Ok(()),
            _ => wrong(&format!("was told of by {} events", told.len())),
        }
    }

    /// What of the alert that records were passed over stands against what was: somebody may have seen it meanwhile.
    pub(crate) fn check_skipped_told(&self, is_any: bool) -> Result<(), String> {
        let is_open = self.open.values().any(is_of_skipped);
        if is_open == is_any { Ok(()) } else { Err(format!("P8: passed over: {is_any}, and told of: {is_open}")) }
    }

    fn check_rejects(&mut self, pos: usize, uid: u64) -> Result<(), String> {
        let expected = self.published[uid as usize].rejects;
        let of_cause = self.by_cause.get(&(pos as u64)).map(|ix| &self.outbox[*ix].effects.rows);
        let mut topic = None;
        let found = of_cause.into_iter().flatten().filter(|row| match row {
            Row::Reject(reject) => {
                topic = Some(reject.topic.clone());
                true
            }
            _ => false,
        });
        let found = found.count();
        // What is beyond a topic's quota is only counted.
        let kept = topic.map_or(usize::MAX, |topic| {
            let kept = self.rejects.entry(topic).or_default();
            *kept += found;
            *kept
        });
        let is_expected = found == expected || (found < expected && kept >= REJECTS_KEPT);
        let Published { lift, scans, .. } = &self.published[uid as usize];
        let is_of_chaos = lift.is_none() && scans.is_empty() && expected == 0;
        if is_expected || is_of_chaos || (found == 0 && expected > 0 && self.is_quota_used()) {
            return Ok(());
        }
        Err(format!("P8: {found} items of report {uid} at {pos} were set aside, and {expected} are bad"))
    }

    fn is_quota_used(&self) -> bool {
        self.rejects.values().any(|kept| *kept >= REJECTS_KEPT)
    }
}
