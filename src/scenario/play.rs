//! Plays a timeline: each step becomes what a broker, a dispatcher or the service itself would do.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::compose::Policies;
use super::drive::{Drive, Message};
use super::expect::{self, Heard};
use super::spec::{Answer, Command, LinkStep, RescueStep, VisitStep};
use super::tell::{self, Told};
use super::{Action, Claimed, Failure, FrameSpec, Options, Run, Scenario, Step};
use crate::core::lift::Lift;
use crate::core::rules::line_and_column;
use crate::core::tables;
use crate::limits;
use crate::model::actor::Actor;
use crate::model::alert::Alert;
use crate::model::archive::Entry;
use crate::model::fill::Verdict;
use crate::model::ids::{AlertId, DeviceCode, FirmId, RuleId, SiteCode, Subject, WorkerId};
use crate::model::incident::{Call, Incident};
use crate::model::record::{self, ItemOutcome, Kind, Outcome};
use crate::model::report::{Report, ReportUpload};
use crate::model::row::Row;
use crate::model::visit::{ItemDone, ItemResult, Salt, Sign, Upload, Visit};

pub(super) fn play(scenario: &Scenario, policies: &Policies, options: Options) -> Run {
    let mut play = Play::new(scenario);
    play.begin(policies);
    let mut reloads = policies.reloads.iter();
    let mut saved = BTreeSet::new();
    // Reloads were compiled in the order of the steps.
    for step in &scenario.steps {
        play.drive.advance_to(step.at_ms);
        play.take_events();
        play.tell_step(step);
        play.step(step, &mut reloads);
        play.take_events();
        // Once for all repetitions of a step: that takes longer than all the rest.
        if options.restarts && !play.drive.is_away() && saved.insert(step.place) {
            play.drive.round_trip();
        }
    }
    play.drive.advance_to(scenario.until_ms);
    play.take_events();
    play.finish()
}

struct Play<'s> {
    scenario: &'s Scenario,
    drive: Drive,
    terminals: BTreeMap<Box<str>, Terminal>,
    /// What was sent, by lift and time, for repeats.
    sent: BTreeMap<(DeviceCode, i64), Message>,
    /// What could not be read of the reports of a step, by its place.
    invalid: BTreeMap<usize, BTreeSet<Box<str>>>,
    heard: Vec<Heard>,
    /// What filling guns were told, in order, by the place of the step that asked.
    verdicts: BTreeMap<usize, VecDeque<Verdict>>,
    told: Vec<Told>,
    failures: Vec<Failure>,
    requests: u32,
}

/// What sends a lift's frames, or a scanner.
struct Terminal {
    boot: u64,
    seq: u64,
    /// How far its clock is off.
    off_ms: i64,
}

impl Terminal {
    const NEW: Self = Self { boot: 1, seq: 0, off_ms: 0 };
}

impl<'s> Play<'s> {
    fn new(scenario: &'s Scenario) -> Self {
        Self {
            scenario,
            drive: Drive::new(scenario.begins),
            terminals: BTreeMap::new(),
            sent: BTreeMap::new(),
            invalid: BTreeMap::new(),
            heard: Vec::new(),
            verdicts: BTreeMap::new(),
            told: Vec::new(),
            failures: Vec::new(),
            requests: 0,
        }
    }

    /// Started under the rules, the archive filled, connected and drained.
    fn begin(&mut self, policies: &Policies) {
        self.drive.start();
        self.reload(&policies.first, 0);
        for entries in self.scenario.archive.chunks(limits::COMMAND_ITEMS) {
            self.upsert(entries.to_vec(), 0);
        }
        self.drive.link_up();
        self.drive.marker();
        self.take_events();
    }

    fn step(&mut self, step: &Step, reloads: &mut std::slice::Iter<'_, Arc<record::PolicyText>>) {
        let place = step.place;
        if self.drive.is_away() && needs_service(&step.action) {
            return self.fail(place, "the service is away at this time, by the `restart` before");
        }
        match &step.action {
            Action::Report { lift, frames, .. } => {
                let frames: Vec<Value> = frames.iter().map(|frame| self.frame(*lift, frame)).collect();
                let payload = json!({ "frames": frames }).to_string();
                let topic = format!("vigil/v1/elevator/{lift}/report");
                let message = Message { topic: topic.into(), payload: payload.into(), place };
                self.sent.insert((*lift, self.drive.now_ms), message.clone());
                self.drive.publish(message);
            }
            Action::Repeat { lift, of_ms } => match self.sent.get(&(*lift, *of_ms)).cloned() {
                Some(message) => self.drive.publish(message),
                None => self.fail(place, "the lift sent no report at that time: `repeat` names the `at` of a frame"),
            },
            Action::Scan { site, fields, .. } => self.scan(*site, fields, place),
            Action::Status { lift, online } => {
                let payload = if *online { "online" } else { "offline" };
                let topic = format!("vigil/v1/elevator/{lift}/status");
                self.drive.publish(Message { topic: topic.into(), payload: payload.into(), place });
            }
            Action::Link(LinkStep::Up) => self.drive.link_up(),
            Action::Link(LinkStep::Down) => self.drive.link_down(),
            Action::Link(LinkStep::Drained) | Action::Markers(true) => self.drive.marker(),
            Action::Markers(false) => self.drive.lose_markers(),
            Action::Restart { down_ms } => self.drive.end(*down_ms),
            Action::Terminal { lift, replaced } => {
                let terminal = self.terminal(lift.as_str());
                let boot = if *replaced { 1 } else { terminal.boot + 1 };
                *terminal = Terminal { boot, seq: 0, ..*terminal };
            }
            Action::Clock { lift, off_ms } => self.terminal(lift.as_str()).off_ms = *off_ms,
            Action::Wall { by_ms } => {
                self.drive.wall_step_ms += by_ms;
                self.drive.apply(Kind::Tick, place);
            }
            Action::Command(command) => self.command(command, place),
            Action::Archive(entry) => self.upsert(vec![(**entry).clone()], place),
            Action::Inspected { report, refused } => self.inspected(report, *refused, place),
            Action::Visit(step) => self.visit(step, place),
            Action::Sign { lift, record } => {
                let (device, firm) = (*lift, self.firm_of(*lift));
                let sign = Sign { device, firm, record: *record, signatory: "officer".into(), note: None };
                let outcome = self.ask(record::Action::Sign(sign), place);
                if !matches!(outcome, Some(Outcome::Done { .. })) {
                    self.fail(place, format!("the signature was refused: {}", refusal(outcome.as_ref())));
                }
            }
            Action::Call { lift, note } => self.call(*lift, note, place),
            Action::Rescue(step) => self.rescue(step, place),
            Action::Reload(_) => {
                if let Some(policy) = reloads.next() {
                    self.reload(policy, place);
                }
            }
            Action::Look { subject, rules, exactly } => self.look(*subject, rules, *exactly, place),
        }
        self.check_rows();
    }

    fn terminal(&mut self, name: &str) -> &mut Terminal {
        self.terminals.entry(name.into()).or_insert(Terminal::NEW)
    }

    /// As it goes over the wire: with its key, counted unless it is given, and its time.
    fn frame(&mut self, lift: DeviceCode, spec: &FrameSpec) -> Value {
        let (begins, wall) = (self.scenario.begins, self.drive.wall());
        let terminal = self.terminal(lift.as_str());
        let mut fields = spec.fields.clone();
        let claimed = match spec.claimed {
            Claimed::Late(late_ms) => Some(wall - late_ms + terminal.off_ms),
            Claimed::At(at_ms) => Some(begins + at_ms + terminal.off_ms),
            Claimed::None => None,
        };
        if let Some(claimed) = claimed {
            fields.insert("observed_at_ms".into(), claimed.ms().into());
        }
        terminal.number(&mut fields);
        Value::Object(fields)
    }

    fn scan(&mut self, site: SiteCode, fields: &Map<String, Value>, place: usize) {
        let claimed = self.drive.wall();
        let mut fields = fields.clone();
        fields.entry("scanner").or_insert("GUN-1".into());
        fields.insert("observed_at_ms".into(), claimed.ms().into());
        let name = format!("{site}/{}", fields["scanner"]);
        self.terminal(&name).number(&mut fields);
        let topic = format!("vigil/v1/cylinder/{site}/scan");
        self.drive.publish(Message { topic: topic.into(), payload: Value::Object(fields).to_string().into(), place });
    }

    fn command(&mut self, command: &Command, place: usize) {
        let alert = self.alert_of(command.subject, &command.rule.0);
        let note = command.note.clone();
        let action = if command.clears {
            record::Action::Clear { alert, note }
        } else {
            record::Action::Acknowledge { alert, note }
        };
        let outcome = self.ask(action, place);
        let is_done = matches!(outcome, Some(Outcome::Done { .. }));
        if is_done == command.refused {
            let refusal = || format!("the service refused: {}", refusal(outcome.as_ref()));
            self.fail(place, if is_done { "the service did it; it was to refuse".into() } else { refusal() });
        }
    }

    /// The open alert of that rule, or the last one.
    fn alert_of(&self, subject: Subject, rule: &RuleId) -> AlertId {
        let is = |id: &AlertId| self.about(id.subject) == subject && id.rule == *rule;
        let open = self.drive.core.open_alerts().into_iter().map(|alert| alert.id).find(is);
        let last = || self.heard.iter().rev().map(|heard| heard.event.alert.id.clone()).find(is);
        open.or_else(last).unwrap_or_else(|| AlertId { subject, rule: rule.clone(), opening: 1 })
    }

    /// What an alert is about: of one on a rescue, the lift.
    fn about(&self, subject: Subject) -> Subject {
        let Subject::Incident(id) = subject else { return subject };
        let device = self.drive.core.dispatch().get(&id).and_then(|kept| kept.incident.scene.device);
        device.map_or(subject, Subject::Device)
    }

    fn call(&mut self, lift: DeviceCode, note: &str, place: usize) {
        let call = Call { device: Some(lift), note: Some(note.into()), ..Call::default() };
        let outcome = self.ask(record::Action::OpenIncident(call), place);
        if !matches!(outcome, Some(Outcome::Incident { .. })) {
            self.fail(place, format!("the service refused: {}", refusal(outcome.as_ref())));
        }
    }

    /// On the last rescue of that lift.
    fn rescue(&mut self, it: &RescueStep, place: usize) {
        let of_lift = |incident: &&Incident| incident.scene.device == Some(it.lift);
        let last = self.drive.core.dispatch().iter().map(|kept| &kept.incident).filter(of_lift).map(|it| it.id).last();
        let Some(incident) = last else { return self.fail(place, "there is no rescue of this lift") };
        let action = record::Action::AdvanceIncident { incident, step: it.step.clone(), note: None };
        let outcome = self.ask(action, place);
        let is_done = matches!(outcome, Some(Outcome::Incident { .. }));
        if is_done == it.refused {
            let refusal = || format!("the service refused: {}", refusal(outcome.as_ref()));
            self.fail(place, if is_done { "the service did it; it was to refuse".into() } else { refusal() });
        }
    }

    fn upsert(&mut self, entries: Vec<Entry>, place: usize) {
        let outcome = self.ask(record::Action::Upsert(entries), place);
        if !matches!(outcome, Some(Outcome::Done { .. })) {
            self.fail(place, format!("the archive refused: {}", refusal(outcome.as_ref())));
        }
    }

    fn inspected(&mut self, report: &Report, refused: bool, place: usize) {
        let upload = ReportUpload { report: report.clone(), looked_up: true };
        let outcome = self.ask(record::Action::UploadReports(vec![upload]), place);
        let item = match &outcome {
            Some(Outcome::Items { items, .. }) => items.first(),
            _ => None,
        };
        match item {
            Some(ItemOutcome::Taken { .. } | ItemOutcome::Known) if refused => {
                self.fail(place, "the service took it; it was to refuse");
            }
            Some(ItemOutcome::Taken { .. } | ItemOutcome::Known) => {}
            _ if refused => {}
            item => self.fail(place, format!("the service refused: {item:?}")),
        }
    }

    /// The firm under contract, or one that the archive doesn't have.
    fn firm_of(&self, lift: DeviceCode) -> FirmId {
        let archived = self.drive.core.lifts().iter().find(|it| it.code == lift).and_then(Lift::archived);
        let nobody = || FirmId::parse("NOBODY").expect("it has the form of one");
        archived.and_then(|it| it.firm).unwrap_or_else(nobody)
    }

    /// With all items that such a visit sees to, by workers whom the archive doesn't have.
    fn visit(&mut self, step: &VisitStep, place: usize) {
        let archived = self.drive.core.lifts().iter().find(|it| it.code == step.lift).and_then(Lift::archived);
        let tables = tables::parse(&self.drive.core.policy().rules).unwrap_or_default();
        let class = archived.and_then(|it| {
            tables.maintenance.class_for(it.equipment, it.catalogue.as_ref().map(|number| number.as_str()))
        });
        let good = |id: &str| ItemDone { item: id.into(), result: ItemResult::Good, note: None };
        let items = class.map(|class| class.required(step.kind).map(|item| good(&item.id)).collect());
        let worker = |id: &str| WorkerId::parse(id).expect("it has the form of one");
        let ended_at = self.drive.wall();
        let visit = Visit {
            firm: self.firm_of(step.lift),
            record: step.record,
            device: step.lift,
            kind: step.kind,
            workers: vec![worker("W-1"), worker("W-2")],
            recorder: worker("W-1"),
            started_at: ended_at - step.began_ms,
            ended_at,
            items: items.unwrap_or_default(),
            problem: step.problem,
            note: None,
            photos: Vec::new(),
            next_on: None,
            supersedes: step.supersedes,
            rectifies: step.rectifies.clone(),
            people: Vec::new(),
        };
        let upload = Upload { visit, salt: Salt::default(), looked_up: false };
        let outcome = self.ask(record::Action::UploadVisits(vec![upload]), place);
        let item = match outcome {
            Some(Outcome::Items { items, .. }) => items.into_iter().next(),
            _ => None,
        };
        let is_taken = matches!(item, Some(ItemOutcome::Taken { .. } | ItemOutcome::Known));
        if is_taken == step.refused {
            let text = if is_taken {
                "the service took it; it was to refuse".into()
            } else {
                format!("the service refused: {item:?}")
            };
            self.fail(place, text);
        }
    }

    fn ask(&mut self, action: record::Action, place: usize) -> Option<Outcome> {
        self.requests += 1;
        let request = format!("request-{}", self.requests).into();
        self.drive.apply(Kind::Command(record::Command { request, actor: Actor::local_admin(), action }), place)
    }

    fn reload(&mut self, policy: &record::PolicyText, place: usize) {
        let outcome = self.drive.apply(Kind::Policy(policy.clone()), place);
        if let Some(Outcome::Precondition { why }) = outcome {
            self.fail(place, format!("the rules were refused: {why}"));
        }
    }

    fn look(&mut self, subject: Subject, rules: &[(RuleId, usize)], exactly: bool, place: usize) {
        let open: Vec<Alert> = self.drive.core.open_alerts();
        let open: Vec<RuleId> =
            open.into_iter().map(|a| a.id).filter(|id| self.about(id.subject) == subject).map(|id| id.rule).collect();
        let is_named = |id: &RuleId| rules.iter().any(|(rule, _)| rule == id);
        let is_ignored = |id: &RuleId| self.scenario.ignores(id);
        let wrong: Vec<String> = if exactly {
            let missing =
                rules.iter().filter(|(rule, _)| !open.contains(rule)).map(|(rule, _)| format!("{rule} isn't open"));
            let more = open.iter().filter(|id| !is_named(id) && !is_ignored(id)).map(|id| format!("{id} is open"));
            missing.chain(more).collect()
        } else {
            open.iter().filter(|id| is_named(id)).map(|id| format!("{id} is open")).collect()
        };
        if !wrong.is_empty() {
            self.fail(place, wrong.join(", "));
        }
    }

    /// What a report was refused, or not understood in: only on purpose.
    fn check_rows(&mut self) {
        let rows = std::mem::take(&mut self.drive.rows);
        for (place, row) in rows {
            let (got, why): (Vec<Box<str>>, _) = match row {
                Row::Frame(row) => (row.frame.invalid, String::new()),
                Row::Scan(row) => (row.scan.invalid, String::new()),
                Row::Reject(row) => (vec![row.pointer], format!(": {} ({})", row.reason.name(), row.detail)),
                _ => continue,
            };
            let of_place = self.scenario.steps.iter().find(|step| step.place == place);
            let wanted = of_place.map(|step| on_purpose(&step.action)).unwrap_or_default();
            let unknown: Vec<&str> = got.iter().filter(|it| !wanted.contains(it)).map(|it| &**it).collect();
            if !unknown.is_empty() {
                let (unknown, all) = (format!("{unknown:?}"), format!("{got:?}"));
                let unknown = unknown.trim_start_matches('[').trim_end_matches(']');
                self.fail(place, format!("{unknown} can't be read{why}; if that is meant, say `invalid = {all}`"));
            }
            self.invalid.entry(place).or_default().extend(got);
        }
    }

    /// What was to be bad on purpose and isn't: a check of bad reports that checks nothing.
    fn check_invalid(&mut self) {
        let mut looked_at = BTreeSet::new();
        for step in self.scenario.steps.iter().filter(|step| looked_at.insert(step.place)) {
            let got = self.invalid.remove(&step.place).unwrap_or_default();
            let missing: Vec<_> = on_purpose(&step.action).iter().filter(|it| !got.contains(*it)).collect();
            if !missing.is_empty() {
                let missing = format!("{missing:?}");
                let missing = missing.trim_start_matches('[').trim_end_matches(']');
                let message = format!("`invalid` names {missing}, which could be read or was not there");
                self.fail_at(step.at_ms, step.place, message);
            }
        }
    }

    /// What guns were told, against what they were to be told.
    fn check_verdicts(&mut self) {
        for step in &self.scenario.steps {
            let Action::Scan { verdict: wanted, .. } = &step.action else { continue };
            let got = self.verdicts.get_mut(&step.place).and_then(VecDeque::pop_front);
            let got = got.map_or(Answer::None, answer_of);
            let Some(wanted) = wanted.as_ref().filter(|wanted| **wanted != got) else { continue };
            let message = format!("the gun was told {}, not {}", tell::answer(&got), tell::answer(wanted));
            self.fail_at(step.at_ms, step.place, message);
        }
    }

    fn fail(&mut self, place: usize, message: impl Into<String>) {
        self.fail_at(self.drive.now_ms, place, message);
    }

    fn fail_at(&mut self, at_ms: i64, place: usize, message: impl Into<String>) {
        let (line, column) = line_and_column(&self.scenario.text, place);
        self.failures.push(Failure { line, column, message: message.into(), at_ms });
    }

    fn tell_step(&mut self, step: &Step) {
        if !matches!(step.action, Action::Look { .. }) {
            let text = tell::step(self.scenario, &step.action);
            self.told.push(Told { at_ms: self.drive.now_ms, is_event: false, text });
        }
    }

    fn take_events(&mut self) {
        for (place, verdict) in std::mem::take(&mut self.drive.verdicts) {
            let text = format!("the gun is told {}", tell::answer(&answer_of(verdict.clone())));
            self.told.push(Told { at_ms: self.drive.now_ms, is_event: true, text });
            self.verdicts.entry(place).or_default().push_back(verdict);
        }
        for (at_ms, event) in std::mem::take(&mut self.drive.events) {
            let came_true_ms = self.drive.ms_of(event.at);
            let about = self.about(event.alert.id.subject);
            let heard = Heard { at_ms, came_true_ms, about, event };
            self.told.push(Told { at_ms, is_event: true, text: tell::event(self.scenario, &heard) });
            self.heard.push(heard);
        }
    }

    fn finish(mut self) -> Run {
        self.check_rows();
        self.check_invalid();
        self.check_verdicts();
        self.failures.extend(expect::compare(self.scenario, &self.heard));
        if let Some(broken) = self.drive.broken.take() {
            self.fail(0, format!("vigil itself is at fault: {broken}"));
        }
        self.failures.sort_by_key(|failure| (failure.at_ms, failure.line));
        Run { failures: self.failures, timeline: self.told }
    }
}

fn answer_of(verdict: Verdict) -> Answer {
    if verdict.allows() { Answer::Allow } else { Answer::Deny(verdict.reasons) }
}

fn refusal(outcome: Option<&Outcome>) -> String {
    match outcome {
        Some(Outcome::NotFound { what }) => format!("there is no {what}"),
        Some(Outcome::Precondition { why } | Outcome::Denied { why }) => why.to_string(),
        Some(Outcome::RequestReused) => "the request was made before".into(),
        Some(
            Outcome::Done { .. }
            | Outcome::Incident { .. }
            | Outcome::Items { .. }
            | Outcome::Fill { .. }
            | Outcome::Findings { .. },
        )
        | None => "without a reason".into(),
    }
}

/// Pointers of what is bad in it on purpose.
fn on_purpose(action: &Action) -> &[Box<str>] {
    match action {
        Action::Report { invalid, .. } | Action::Scan { invalid, .. } => invalid,
        _ => &[],
    }
}

/// What can't happen while the service is away.
fn needs_service(action: &Action) -> bool {
    !matches!(
        action,
        Action::Report { .. }
            | Action::Repeat { .. }
            | Action::Scan { .. }
            | Action::Status { .. }
            | Action::Terminal { .. }
            | Action::Clock { .. }
            | Action::Look { .. }
    )
}

impl Terminal {
    /// Gives a frame its key, unless it has one. One with a lower key than counted doesn't set the count back.
    fn number(&mut self, fields: &mut Map<String, Value>) {
        self.seq += 1;
        let boot = fields.entry("boot").or_insert(self.boot.into()).as_u64();
        let seq = fields.entry("seq").or_insert(self.seq.into()).as_u64();
        let (Some(boot), Some(seq)) = (boot, seq) else { return };
        if boot > self.boot {
            (self.boot, self.seq) = (boot, seq);
        } else if boot == self.boot && seq >= self.seq {
            self.seq = seq;
        } else {
            self.seq -= 1;
        }
    }
}
