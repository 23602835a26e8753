//! Steps: what happens, and what is expected.

use toml::de::{DeTable, DeValue};

use super::Reader;
use crate::core::judge::built_in;
use crate::core::rules::did_you_mean;
use crate::core::rules::section::{Section, Text, article, table};
use crate::limits;
use crate::model::alert::{Certainty, EventKind, Reason, Severity};
use crate::model::ids::{CylinderCode, DeviceCode, RecordId, RuleId, SiteCode, Subject};
use crate::model::incident::{self, Cause, Ending, StepKind, Tier, Whom};
use crate::model::scan::ScanEvent;
use crate::model::visit::{Problem, VisitKind};
use crate::scenario::spec::{Answer, LinkStep, RescueStep, VisitStep};
use crate::scenario::{Action, Command, Expected, Step, Want};

/// When and on what; any step may have them.
const COMMON: &[&str] = &["at", "every", "until", "lift"];

/// Each step has one of these, with what else it may have.
const VERBS: &[(&str, &[&str])] = &[
    ("frame", &["invalid"]),
    ("frames", &["invalid"]),
    ("repeat", &[]),
    ("status", &[]),
    ("scan", &["invalid", "verdict"]),
    ("link", &[]),
    ("markers", &[]),
    ("restart", &[]),
    ("terminal", &[]),
    ("clock", &[]),
    ("wall", &[]),
    ("acknowledge", &["note", "refused", "cylinder"]),
    ("clear_by_hand", &["note", "refused", "cylinder"]),
    ("archive", &[]),
    ("archive_cylinder", &[]),
    ("report", &["refused"]),
    ("visit", &["kind", "began", "problem", "supersedes", "rectifies", "refused"]),
    ("sign", &[]),
    ("call", &[]),
    ("rescue", &["tier", "party", "persons", "refused"]),
    ("reload", &[]),
    ("open", &["cylinder"]),
    ("not_open", &["cylinder"]),
    ("opened", EXPECTATION),
    ("reopened", EXPECTATION),
    ("raised", EXPECTATION),
    ("acknowledged", EXPECTATION),
    ("cleared", EXPECTATION),
    ("grouped", EXPECTATION),
];

/// What a visit takes unless the step says otherwise.
const VISIT_MS: i64 = 3_600_000;

const EXPECTATION: &[&str] = &[
    "cylinder",
    "within",
    "severity",
    "certainty",
    "reason",
    "came_true",
    "delayed",
    "dispatch",
    "opening",
    "unregistered",
    "by",
    "evidence",
    "occupied",
    "group",
    "lifts",
    "flapping",
];

/// The alerts that the service raises about itself.
const OF_SERVICE: &[&built_in::BuiltIn] = &[
    &built_in::INGEST_BLIND,
    &built_in::STORE_BEHIND,
    &built_in::JOURNAL_FILLING,
    &built_in::RECORD_SKIPPED,
    &built_in::BROKER_DROPS,
];

fn is_of_service(rule: &str) -> bool {
    OF_SERVICE.iter().any(|it| it.id == rule)
}

impl<'a> Reader<'a> {
    pub(super) fn steps(&mut self, top: &Section<'a>) -> (Vec<Step>, Vec<Expected>) {
        let (mut steps, mut expected) = (Vec::new(), Vec::new());
        for (start, table) in self.tables(top, "step", limits::SCENARIO_STEPS) {
            let Some((verb, section)) = self.verb(start, table) else { continue };
            let times = self.times(&section);
            let kind = EventKind::from_name(verb);
            let want = kind.and_then(|kind| self.expectation(&section, verb, kind));
            let action = if kind.is_none() { self.action(&section, verb) } else { None };
            if steps.len() + expected.len() + times.len() > limits::SCENARIO_STEPS {
                let most = limits::SCENARIO_STEPS;
                self.faults.add::<()>(start, format!("more than {most} steps, each repetition counted"));
                break;
            }
            for at_ms in times {
                steps.extend(action.clone().map(|action| Step { at_ms, place: start, action }));
                expected.extend(want.clone().map(|it| Expected { from_ms: at_ms, to_ms: at_ms + it.to_ms, ..it }));
            }
        }
        steps.sort_by_key(|step| step.at_ms);
        (steps, expected)
    }

    /// What kind of step it is.
    fn verb(&mut self, start: usize, table: &'a DeTable<'a>) -> Option<(&'static str, Section<'a>)> {
        let verbs = || VERBS.iter().map(|(verb, _)| *verb);
        let mut found = VERBS.iter().filter(|(verb, _)| table.contains_key(*verb));
        let Some((verb, others)) = found.next() else {
            let key = table.keys().find(|key| !COMMON.contains(&key.get_ref().as_ref()));
            let hint = key.map(|key| did_you_mean(key.get_ref(), verbs())).unwrap_or_default();
            let hint = if hint.is_empty() {
                format!("; it has one of {}", verbs().collect::<Vec<_>>().join(", "))
            } else {
                hint
            };
            let at = key.map_or(start, |key| key.span().start);
            return self.faults.add(at, format!("a step that says neither what happens nor what is expected{hint}"));
        };
        if let Some((second, _)) = found.next() {
            return self.faults.add(start, format!("a step with both `{verb}` and `{second}`: write two steps"));
        }
        let keys = [COMMON, others, &[verb]].concat();
        Some((verb, Section::new(table, start, "this step", &keys, &mut self.faults)))
    }

    /// When it happens: once, or every so often.
    fn times(&mut self, section: &Section<'_>) -> Vec<i64> {
        section.need("at", &mut self.faults);
        let at_ms = self.span(section, "at", 0);
        let (every_ms, until_ms) = (self.span(section, "every", 1), self.span(section, "until", 0));
        let Some(at_ms) = at_ms else { return Vec::new() };
        match (every_ms, until_ms) {
            (Some(every_ms), Some(until_ms)) => {
                let times = (until_ms - at_ms) / every_ms.max(1);
                if until_ms < at_ms || times >= limits::SCENARIO_STEPS as i64 {
                    let message = "from `at` to `until` it happens never, or too often";
                    self.faults.add::<()>(section.start, message);
                    return Vec::new();
                }
                (0..=times).map(|n| at_ms + n * every_ms).collect()
            }
            (None, None) => vec![at_ms],
            _ => {
                if section.has("every") != section.has("until") {
                    self.faults.add::<()>(section.start, "`every` and `until` go together");
                }
                Vec::new()
            }
        }
    }

    fn action(&mut self, section: &Section<'a>, verb: &str) -> Option<Action> {
        let (_, value) = section.key(verb)?;
        Some(match verb {
            "frame" => {
                let frames = vec![self.frame("frame", value)?];
                Action::Report { lift: self.lift(section)?, frames, invalid: self.invalid(section) }
            }
            "frames" => {
                let DeValue::Array(items) = value.get_ref() else {
                    return self.faults.add(value.span().start, "`frames` is a list of frames: those of one report");
                };
                let frames = items.iter().filter_map(|item| self.frame("frames", item)).collect();
                Action::Report { lift: self.lift(section)?, frames, invalid: self.invalid(section) }
            }
            "repeat" => Action::Repeat { lift: self.lift(section)?, of_ms: self.span(section, verb, 0)? },
            "status" => {
                let online = self.one_of(section, verb, &["online", "offline"])? == 0;
                Action::Status { lift: self.lift(section)?, online }
            }
            "scan" => {
                let (start, scan) = table(verb, value, &mut self.faults)?;
                let place = Section::of(scan, start, "a scan");
                place.need("site", &mut self.faults)?;
                let site = self.code(&place, "site", SiteCode::parse)?;
                let (fields, invalid) = (self.scan_fields(scan, start), self.invalid(section));
                let verdict = self.verdict(section);
                if let Some((at, _)) = section.key("verdict")
                    && fields.get("event").and_then(|event| event.as_str()) != Some(ScanEvent::FillRequested.name())
                {
                    self.faults.add::<()>(at, "only a `fill_requested` gets a verdict");
                }
                Action::Scan { site, fields, invalid, verdict }
            }
            "link" => Action::Link(
                [LinkStep::Up, LinkStep::Down, LinkStep::Drained]
                    [self.one_of(section, verb, &["up", "down", "drained"])?],
            ),
            "markers" => Action::Markers(self.one_of(section, verb, &["back", "lost"])? == 0),
            "restart" => Action::Restart { down_ms: self.span(section, verb, 0)? },
            "terminal" => {
                let replaced = self.one_of(section, verb, &["restarted", "replaced"])? == 1;
                Action::Terminal { lift: self.lift(section)?, replaced }
            }
            "clock" => Action::Clock { lift: self.lift(section)?, off_ms: self.span(section, verb, i64::MIN)? },
            "wall" => Action::Wall { by_ms: self.span(section, verb, i64::MIN)? },
            "acknowledge" | "clear_by_hand" => Action::Command(self.command(section, verb)?),
            "archive" => {
                let (start, entry) = table(verb, value, &mut self.faults)?;
                let lift = self.lift(section)?;
                Action::Archive(Box::new(self.changed_lift(start, entry, lift)))
            }
            "archive_cylinder" => {
                let (start, entry) = table(verb, value, &mut self.faults)?;
                Action::Archive(Box::new(self.cylinder(start, entry)?))
            }
            "report" => {
                let (start, report) = table(verb, value, &mut self.faults)?;
                let lift = self.lift(section)?;
                let report = Box::new(self.report(start, report, lift)?);
                Action::Inspected { report, refused: self.flag(section, "refused").unwrap_or(false) }
            }
            "visit" => Action::Visit(Box::new(self.visit(section, verb)?)),
            "sign" => Action::Sign { lift: self.lift(section)?, record: self.code(section, verb, RecordId::parse)? },
            "call" => {
                let note = self.text_of(verb, value)?.value.into();
                Action::Call { lift: self.lift(section)?, note }
            }
            "rescue" => Action::Rescue(self.rescue(section, verb)?),
            "reload" => {
                let text = self.text_of(verb, value)?;
                Action::Reload(self.extra(&text))
            }
            "open" | "not_open" => {
                let rules = self.looked_for(section, verb)?;
                // Without any it is about a lift or a cylinder.
                let subject = self.subject(section, rules.first().map_or("", |(rule, _)| rule.as_str()))?;
                Action::Look { subject, rules, exactly: verb == "open" }
            }
            _ => return None,
        })
    }

    /// `"allow"`, `"none"`, or the reasons of a denial.
    fn verdict(&mut self, section: &Section<'a>) -> Option<Answer> {
        let (at, value) = section.key("verdict")?;
        if value.get_ref().as_str().is_some() {
            return Some(match self.one_of(section, "verdict", &["allow", "none"])? {
                0 => Answer::Allow,
                _ => Answer::None,
            });
        }
        let mut reasons: Vec<Box<str>> =
            section.texts("verdict", &mut self.faults).into_iter().map(|text| text.value.into()).collect();
        reasons.sort_unstable();
        if reasons.is_empty() {
            return self.faults.add(at, "a denial has reasons; that the fill is allowed is `verdict = \"allow\"`");
        }
        Some(Answer::Deny(reasons))
    }

    /// A dispatcher's step, with what comes with it.
    fn rescue(&mut self, section: &Section<'_>, verb: &str) -> Option<RescueStep> {
        let kind = self.word(section, verb, StepKind::ALL, StepKind::name)?;
        let tier = self.word(section, "tier", Tier::ALL, Tier::name);
        let party = section.text("party", &mut self.faults).map(|text| text.value.into());
        let persons = section.count("persons", limits::PERSONS_FREED, &mut self.faults);
        let whom = || Some(Whom { tier: tier?, id: party });
        let ending = || Ending { persons_freed: persons.unwrap_or(1), cause: Cause::Other, action: "freed".into() };
        let step = match kind {
            StepKind::Command => whom().map(incident::Step::Command),
            StepKind::HandOver => whom().map(incident::Step::HandOver),
            StepKind::Close => Some(incident::Step::Close(ending())),
            StepKind::Accept => Some(incident::Step::Accept),
            StepKind::Decline => Some(incident::Step::Decline),
            StepKind::TurnOut => Some(incident::Step::TurnOut),
            StepKind::Arrive => Some(incident::Step::Arrive),
            StepKind::Free => Some(incident::Step::Free),
            StepKind::FalseAlarm => Some(incident::Step::FalseAlarm),
            StepKind::Note => Some(incident::Step::Note),
        };
        let Some(step) = step else {
            return self.faults.add(section.start, format!("`{verb} = {:?}` needs `tier`", kind.name()));
        };
        let refused = self.flag(section, "refused").unwrap_or(false);
        Some(RescueStep { lift: self.lift(section)?, step, refused })
    }

    fn visit(&mut self, section: &Section<'_>, verb: &str) -> Option<VisitStep> {
        let rectifies = section.texts("rectifies", &mut self.faults);
        let rectifies = rectifies.iter().filter_map(|text| match RecordId::parse(text.value) {
            Ok(id) => Some(id),
            Err(error) => self.faults.add(text.span.start, error.to_string()),
        });
        let rectifies = rectifies.collect();
        Some(VisitStep {
            lift: self.lift(section)?,
            record: self.code(section, verb, RecordId::parse)?,
            kind: self.word(section, "kind", VisitKind::ALL, VisitKind::name).unwrap_or(VisitKind::HalfMonth),
            began_ms: self.span(section, "began", 1).unwrap_or(VISIT_MS),
            problem: self.word(section, "problem", Problem::ALL, Problem::name).unwrap_or(Problem::None),
            supersedes: self.code(section, "supersedes", RecordId::parse),
            rectifies,
            refused: self.flag(section, "refused").unwrap_or(false),
        })
    }

    /// The rules of a look: all of them of what it looks at.
    fn looked_for(&mut self, section: &Section<'_>, verb: &str) -> Option<Vec<(RuleId, usize)>> {
        let (at, value) = section.key(verb)?;
        let rules = self.rules(section, verb);
        if verb == "not_open" && value.get_ref().as_array().is_some_and(|rules| rules.is_empty()) {
            let message = "`not_open` names no rule, so it asks for nothing; that none is open at all is `open = []`";
            return self.faults.add(at, message);
        }
        let of_service = |(rule, _): &&(RuleId, usize)| is_of_service(rule.as_str());
        match (rules.iter().find(of_service), rules.iter().find(|rule| !of_service(rule))) {
            (Some((service, place)), Some((other, _))) => {
                let message = format!("`{service}` is of the service, `{other}` is not: write two steps");
                self.faults.add(*place, message)
            }
            _ => Some(rules),
        }
    }

    fn command(&mut self, section: &Section<'_>, verb: &str) -> Option<Command> {
        let rule = section.text(verb, &mut self.faults)?;
        let subject = self.subject(section, rule.value)?;
        Some(Command {
            subject,
            rule: self.rule(&rule)?,
            clears: verb == "clear_by_hand",
            note: section.text("note", &mut self.faults).map(|text| text.value.into()),
            refused: self.flag(section, "refused").unwrap_or(false),
        })
    }

    /// With `to_ms` as the span within which it must come.
    fn expectation(&mut self, section: &Section<'a>, verb: &str, kind: EventKind) -> Option<Expected> {
        let rule = section.text(verb, &mut self.faults)?;
        let want = Want {
            severity: self.word(section, "severity", Severity::ALL, Severity::name),
            certainty: self.word(section, "certainty", Certainty::ALL, Certainty::name),
            reason: self.word(section, "reason", Reason::ALL, Reason::name),
            came_true_ms: self.span(section, "came_true", i64::MIN),
            delayed: self.flag(section, "delayed"),
            dispatch: section.text("dispatch", &mut self.faults).map(|text| text.value.into()),
            opening: section.count("opening", u32::MAX, &mut self.faults),
            unregistered: self.flag(section, "unregistered"),
            by: section.text("by", &mut self.faults).map(|text| text.value.into()),
            evidence: self.evidence(section),
            occupied: section.text("occupied", &mut self.faults).map(|text| text.value.into()),
            group: section.text("group", &mut self.faults).map(|text| text.value.into()),
            lifts: section.count("lifts", u32::MAX, &mut self.faults),
            flapping: self.flag(section, "flapping"),
        };
        let within_ms = self.span(section, "within", 0).unwrap_or(0);
        let subject = self.subject(section, rule.value)?;
        let rule = self.rule(&rule)?;
        Some(Expected { place: section.start, from_ms: 0, to_ms: within_ms, kind, subject, rule, want })
    }

    /// Values as conditions write them.
    fn evidence(&mut self, section: &Section<'a>) -> Vec<(Box<str>, Box<str>)> {
        let Some((_, value)) = section.key("evidence") else { return Vec::new() };
        let Some((_, values)) = table("evidence", value, &mut self.faults) else { return Vec::new() };
        let mut evidence = Vec::new();
        for (name, value) in values {
            let text = match value.get_ref() {
                DeValue::String(text) => text.to_string(),
                DeValue::Boolean(flag) => flag.to_string(),
                DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => number.to_string(),
                    Err(_) => {
                        self.faults.add::<()>(value.span().start, "this number is too large");
                        continue;
                    }
                },
                DeValue::Float(number) => number.as_str().to_owned(),
                other => {
                    let got = article(other);
                    self.faults.add::<()>(value.span().start, format!("evidence is one value, not {got}"));
                    continue;
                }
            };
            evidence.push((name.get_ref().as_ref().into(), text.into()));
        }
        evidence
    }

    /// The lift that the step names, or the only one.
    fn lift(&mut self, section: &Section<'_>) -> Option<DeviceCode> {
        let Some(name) = section.text("lift", &mut self.faults) else {
            if section.has("lift") {
                return None;
            }
            return match &*self.lifts {
                [only] => Some(only.code),
                _ => self.faults.add(section.start, "there are several lifts: say which one with `lift`"),
            };
        };
        if let Some(lift) = self.lifts.iter().find(|lift| *lift.name == *name.value) {
            return Some(lift.code);
        }
        let names: Vec<&str> = self.lifts.iter().map(|lift| &*lift.name).collect();
        self.faults.add(name.span.start, format!("there is no lift {:?}; there are {}", name.value, names.join(", ")))
    }

    /// What an alert of that rule is about.
    fn subject(&mut self, section: &Section<'_>, rule: &str) -> Option<Subject> {
        let (lift, cylinder) = (section.key("lift"), section.key("cylinder"));
        if is_of_service(rule) {
            return match lift.or(cylinder) {
                Some((at, _)) => self.faults.add(at, format!("`{rule}` is of the service itself, not of this")),
                None => Some(Subject::Service),
            };
        }
        if let (Some((at, _)), Some(_)) = (lift, cylinder) {
            return self.faults.add(at, "a step is about a lift or a cylinder, not both");
        }
        if cylinder.is_some() {
            return self.code(section, "cylinder", CylinderCode::parse).map(Subject::Cylinder);
        }
        self.lift(section).map(Subject::Device)
    }

    fn invalid(&mut self, section: &Section<'a>) -> Vec<Box<str>> {
        section.texts("invalid", &mut self.faults).into_iter().map(|text| text.value.into()).collect()
    }

    fn one_of(&mut self, section: &Section<'_>, key: &str, words: &[&str]) -> Option<usize> {
        let text = section.text(key, &mut self.faults)?;
        self.index(key, &text, words)
    }

    /// One word of a closed set, if the key is there.
    pub(super) fn word<T: Copy>(
        &mut self,
        section: &Section<'_>,
        key: &str,
        all: &[T],
        name: impl Fn(T) -> &'static str,
    ) -> Option<T> {
        let text = section.text(key, &mut self.faults)?;
        let names: Vec<&str> = all.iter().map(|word| name(*word)).collect();
        self.index(key, &text, &names).map(|at| all[at])
    }

    fn index(&mut self, key: &str, text: &Text<'_>, words: &[&str]) -> Option<usize> {
        if let Some(at) = words.iter().position(|word| *word == text.value) {
            return Some(at);
        }
        let hint = did_you_mean(text.value, words.iter().copied());
        let hint = if hint.is_empty() { format!("; it is one of {}", words.join(", ")) } else { hint };
        self.faults.add(text.span.start, format!("`{key}` can't be {:?}{hint}", text.value))
    }
}
