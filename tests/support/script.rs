//! Scenarios as text: one line a step, `TIME VERB WORDS`. Steps of several lines may overlap: they are sorted by time.
//!
//! ```text
//! 0s        frame A stuck              a report of one frame; `|` separates several; `proto` sends it as protobuf
//! 10s..60s/5s frame A stuck            the same every 5 s
//! 20s       late frame A stuck         no tick came since the step before
//! 20s       queue A door=open          made now, but the broker keeps it until `deliver`
//! 30s       expect opened A trapped-out-of-zone critical likely
//! ```
//!
//! Every event must be expected, in order, at the millisecond it was published. An `expect` names words of the event's
//! line (`describe`); with `!` before it, a word that must not be in it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use vigil::model::alert::AlertEvent;
use vigil::model::archive::{Cylinder, Entry, Equipment, Lift, Site, SiteKind};
use vigil::model::fill::Verdict;
use vigil::model::ids::{AlertId, CylinderCode, DeviceCode, District, SiteCode, Subject};
use vigil::model::record::{Action, Health, Kind, Outcome};
use vigil::model::time::CivilDay;
use vigil::proto::v1;

use crate::timeline::{BEGAN_WALL, Timeline, lift_code, shipped};

/// Runs a scenario under the shipped rules, from a connected and drained start.
pub(crate) fn check(script: &str) -> Script {
    run(Timeline::new(&shipped()), script)
}

pub(crate) fn run(timeline: Timeline, script: &str) -> Script {
    let mut run = begin(timeline);
    run.play(script);
    run
}

pub(crate) fn begin(timeline: Timeline) -> Script {
    Script { timeline, expected: 0, terminals: BTreeMap::new(), queue: Vec::new(), requests: 0 }
}

pub(crate) struct Script {
    pub(crate) timeline: Timeline,
    /// How many events were expected so far.
    expected: usize,
    terminals: BTreeMap<String, Terminal>,
    /// What the broker keeps: (topic, payload).
    queue: Vec<(String, Vec<u8>)>,
    requests: u32,
}

/// What sends a lift's frames, or a scanner.
struct Terminal {
    boot: u64,
    seq: u64,
    clock_ms: i64,
}

struct Step<'a> {
    at_ms: i64,
    line: &'a str,
    words: Vec<&'a str>,
}

impl Script {
    pub(crate) fn play(&mut self, script: &str) {
        for mut step in steps(script) {
            if step.words[0] == "late" {
                self.timeline.now_ms = step.at_ms;
                step.words.remove(0);
            } else {
                self.timeline.advance_to(step.at_ms);
            }
            self.step(&step);
        }
        self.pass_over_rescues();
        let left = &self.timeline.events[self.expected..];
        assert!(left.is_empty(), "nobody expected\n{}\nin {script}", list(left));
    }

    /// One step now, whatever happens.
    pub(crate) fn play_one(&mut self, line: &str) {
        let words = line.split_whitespace().collect();
        self.step(&Step { at_ms: self.timeline.now_ms, line, words });
    }

    fn step(&mut self, step: &Step<'_>) {
        let words = &step.words[1..];
        let timeline = &mut self.timeline;
        match (step.words[0], words) {
            ("frame", [lift, ..]) => self.frames(lift, step, false),
            ("proto", [lift, ..]) => self.frames(lift, step, true),
            ("queue", [lift, ..]) => {
                let report = self.report_of(lift, &words[1..], false);
                self.queue.push(report);
            }
            ("deliver", []) => {
                for (topic, payload) in std::mem::take(&mut self.queue) {
                    self.timeline.report(&topic, payload);
                }
            }
            ("boot", [lift]) => {
                let terminal = self.terminal(lift);
                (terminal.boot, terminal.seq) = (terminal.boot + 1, 0);
            }
            ("replaced", [lift]) => drop(self.terminals.remove(*lift)),
            ("clock", [lift, by]) => self.terminal(lift).clock_ms = span_ms(by),
            ("wall", [by]) => {
                timeline.wall_step_ms += span_ms(by);
                timeline.apply(Kind::Tick);
            }
            ("link", ["up"]) => timeline.link_up(),
            ("link", ["down"]) => timeline.link_down(),
            ("drained", []) => timeline.drained(),
            ("markers", [on]) => timeline.markers(*on == "on"),
            ("restart", []) => timeline.restart(),
            ("recovered", []) => {
                let epoch = timeline.core.epoch() + 1;
                timeline.apply(Kind::Recovered { epoch, retell: false });
            }
            ("tick", []) => drop(timeline.apply(Kind::Tick).clone()),
            ("health", _) => drop(timeline.apply(Kind::Health(health(words))).clone()),
            ("ack" | "clear", [alert, rest @ ..]) => self.on_alert(step, alert, rest),
            ("archive", _) => self.archive(step),
            ("scan", [site, ..]) => self.scan(site, &words[1..]),
            ("expect", _) => self.expect(step),
            ("end", []) => {}
            _ => panic!("no such step: {}", step.line),
        }
    }

    /// Scripts are about rules: that nobody comes to the rescue that follows is nobody's surprise.
    fn pass_over_rescues(&mut self) {
        let left = &self.timeline.events[self.expected..];
        let is_of_rescue = |event: &&AlertEvent| matches!(event.alert.id.subject, Subject::Incident(_));
        self.expected += left.iter().take_while(is_of_rescue).count();
    }

    fn expect(&mut self, step: &Step<'_>) {
        self.pass_over_rescues();
        let so_far = || list(&self.timeline.events);
        let Some(event) = self.timeline.events.get(self.expected) else {
            panic!("nothing happened for {:?}; so far\n{}", step.line, so_far());
        };
        self.expected += 1;
        let description = describe(event);
        let has = |word: &str| description.split(' ').any(|w| w == word);
        let published_ms = event.published_at - BEGAN_WALL - self.timeline.wall_step_ms;
        let wrong: Vec<&str> = step.words[1..]
            .iter()
            .copied()
            .filter(|word| word.strip_prefix('!').map_or(!has(word), has))
            .chain((published_ms != step.at_ms).then_some("the time"))
            .collect();
        assert!(wrong.is_empty(), "{wrong:?} of {:?} is wrong; so far\n{}", step.line, so_far());
    }

    fn terminal(&mut self, name: &str) -> &mut Terminal {
        self.terminals.entry(name.into()).or_insert(Terminal { boot: 1, seq: 0, clock_ms: 0 })
    }

    fn frames(&mut self, lift: &str, step: &Step<'_>, proto: bool) {
        let (topic, payload) = self.report_of(lift, &step.words[2..], proto);
        self.timeline.report(&topic, payload);
    }

    fn report_of(&mut self, lift: &str, words: &[&str], proto: bool) -> (String, Vec<u8>) {
        let frames: Vec<Map<String, Value>> = words.split(|word| *word == "|").map(|w| self.frame(lift, w)).collect();
        let payload = if proto {
            let report = v1::ElevatorReport { frames: frames.iter().map(proto_frame).collect(), ..Default::default() };
            prost::Message::encode_to_vec(&report)
        } else {
            serde_json::to_vec(&json!({ "frames": frames })).unwrap()
        };
        (format!("vigil/v1/elevator/{}/report", lift_code(lift)), payload)
    }

    fn frame(&mut self, lift: &str, words: &[&str]) -> Map<String, Value> {
        let wall = self.timeline.wall();
        let terminal = self.terminal(lift);
        terminal.seq += 1;
        let mut frame = Map::new();
        let (boot, seq, claimed) = (terminal.boot, terminal.seq, wall + terminal.clock_ms);
        frame.insert("boot".into(), boot.into());
        frame.insert("seq".into(), seq.into());
        frame.insert("observed_at_ms".into(), claimed.ms().into());
        for word in words.iter().flat_map(|word| spelled(word).split(' ')) {
            frame_word(&mut frame, word);
        }
        let terminal = self.terminal(lift);
        terminal.boot = terminal.boot.max(frame["boot"].as_u64().unwrap());
        // A frame with an explicit, lower key doesn't set the count back.
        if frame["boot"].as_u64() == Some(terminal.boot) {
            let explicit = frame["seq"].as_u64().unwrap();
            terminal.seq = if explicit < seq { seq - 1 } else { explicit };
        }
        frame
    }

    fn on_alert(&mut self, step: &Step<'_>, alert: &str, rest: &[&str]) {
        let alert = alert_of(alert);
        let (options, want) = rest.split_at(rest.iter().position(|w| *w == "->").unwrap_or(rest.len()));
        let option = |name: &str| options.iter().find_map(|w| w.strip_prefix(name));
        self.requests += 1;
        let request = option("req=").map_or_else(|| format!("request-{}", self.requests), str::to_owned);
        let note = option("note=").map(Into::into);
        let action = match step.words[0] {
            "ack" => Action::Acknowledge { alert, note },
            _ => Action::Clear { alert, note },
        };
        let outcome = self.timeline.command(&request, action);
        let want = want.get(1).copied().unwrap_or("done");
        assert_eq!(outcome_word(&outcome), want, "{}: {outcome:?}", step.line);
    }

    fn archive(&mut self, step: &Step<'_>) {
        let words = &step.words[1..];
        let (options, want) = words.split_at(words.iter().position(|w| *w == "->").unwrap_or(words.len()));
        let option = |name: &str| options.iter().find_map(|w| w.strip_prefix(name));
        let district = option("district=").map(|d| District::parse(d).unwrap());
        let due = option("due=").map(|day| CivilDay::parse(day).unwrap());
        let entry = match options[0] {
            "lift" => Entry::Lift(Lift {
                equipment: match option("equipment=") {
                    Some("escalator") => Equipment::Escalator,
                    None => Equipment::Lift,
                    Some(other) => panic!("{other:?} is no equipment"),
                },
                address: Some("1 Test Street".into()),
                district,
                keep_alive_s: option("keep_alive=").map(|s| s.parse().unwrap()),
                inspection_due: due,
                ..Lift::new(DeviceCode::parse(&lift_code(options[1])).unwrap())
            }),
            "cylinder" => Entry::Cylinder(Cylinder {
                filling_unit: option("unit=").map(|site| SiteCode::parse(site).unwrap()),
                medium: option("medium=").map(Into::into),
                made_on: option("made=").and_then(CivilDay::parse),
                aliases: option("alias=").map(|code| CylinderCode::parse(code).unwrap()).into_iter().collect(),
                inspection_due: due,
                scrapped: options.contains(&"scrapped"),
                district,
                ..Cylinder::new(CylinderCode::parse(options[1]).unwrap())
            }),
            "site" => Entry::Site(Site {
                code: SiteCode::parse(options[1]).unwrap(),
                kind: SiteKind::from_name(options[2]).unwrap(),
                name: "a site".into(),
                address: None,
                district,
            }),
            other => panic!("{other:?} is no kind of entry"),
        };
        self.requests += 1;
        let request = option("req=").map_or_else(|| format!("request-{}", self.requests), str::to_owned);
        let outcome = self.timeline.command(&request, Action::Upsert(vec![entry]));
        let want = want.get(1).copied().unwrap_or("changed=1");
        let got = match outcome {
            Outcome::Done { changed, .. } => format!("changed={changed}"),
            other => outcome_word(&other).to_owned(),
        };
        assert!(want == "*" || got == want, "{got}, not {want}: {}", step.line);
    }

    /// `scan SITE EVENT CYLINDER … => allow`, or `=> reason,reason`, or `=> nothing`: what the gun is told.
    fn scan(&mut self, site: &str, words: &[&str]) {
        let split = words.iter().position(|word| *word == "=>");
        let (words, told) = words.split_at(split.unwrap_or(words.len()));
        let claimed = self.timeline.wall();
        let terminal = self.terminal(site);
        terminal.seq += 1;
        let mut scan = json!({
            "scanner": "GUN-1", "boot": terminal.boot, "seq": terminal.seq, "observed_at_ms": claimed.ms(),
            "event": words[0], "cylinder": words[1],
        });
        for word in &words[2..] {
            match word.split_once('=') {
                Some(("at", at)) => scan["observed_at_ms"] = (BEGAN_WALL + span_ms(at)).ms().into(),
                Some(("seq", seq)) => scan["seq"] = seq.parse::<u64>().unwrap().into(),
                Some((name, value)) if name.ends_with("_g") => scan[name] = value.parse::<u32>().unwrap().into(),
                Some(("observed_at", "none")) => drop(scan.as_object_mut().unwrap().remove("observed_at_ms")),
                Some(("passed", value)) => scan["passed"] = (value == "true").into(),
                Some((name, value)) => scan[name] = value.into(),
                None => scan[*word] = true.into(),
            }
        }
        let topic = format!("vigil/v1/cylinder/{site}/scan");
        let effects = self.timeline.report(&topic, scan.to_string());
        let Some(expected) = told.get(1) else { return };
        let verdicts: Vec<String> =
            effects.downlinks.iter().filter_map(|it| it.fill()).map(|it| said(&it.verdict)).collect();
        let got = if verdicts.is_empty() { "nothing".to_owned() } else { verdicts.join(" and ") };
        assert_eq!(got, *expected, "{words:?} at {} ms", self.timeline.now_ms);
    }
}

/// A verdict as one word.
pub(crate) fn said(verdict: &Verdict) -> String {
    if verdict.allows() { "allow".to_owned() } else { verdict.reasons.join(",") }
}

/// An event as one line: `+30s opened A trapped-out-of-zone critical likely condition-held at=30s opening=1 …`.
pub(crate) fn describe(event: &AlertEvent) -> String {
    let alert = &event.alert;
    let subject = match alert.id.subject {
        Subject::Device(code) if code.as_str().starts_with(&lift_code("A")[..19]) => code.as_str()[19..].to_owned(),
        other => other.to_string(),
    };
    let mut line = format!(
        "+{} {} {subject} {} {} {} {} at={} opening={}",
        show_ms(event.published_at - BEGAN_WALL),
        event.kind.name(),
        alert.id.rule,
        alert.severity.name(),
        alert.certainty.name(),
        event.reason.name(),
        show_ms(event.at - BEGAN_WALL),
        alert.id.opening,
    );
    let mut add = |is: bool, word: String| {
        if is {
            line += &format!(" {word}");
        }
    };
    add(event.delayed, "delayed".into());
    add(alert.unregistered, "unregistered".into());
    add(alert.acknowledged.is_some(), "acknowledged".into());
    add(alert.dispatch.is_some(), format!("dispatch={}", alert.dispatch.as_deref().unwrap_or_default()));
    add(event.actor.is_some(), format!("by={}", event.actor.as_deref().unwrap_or_default()));
    for evidence in &alert.evidence {
        add(true, format!("{}={}", evidence.name, evidence.value));
    }
    line
}

fn list(events: &[AlertEvent]) -> String {
    events.iter().map(|event| format!("  {}\n", describe(event))).collect()
}

fn steps(script: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    for line in script.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let mut words = line.split_whitespace();
        let Some(time) = words.next() else { continue };
        let words: Vec<&str> = words.collect();
        let (from, rest) = time.split_once("..").unwrap_or((time, time));
        let (to, every) = rest.split_once('/').unwrap_or((rest, "1s"));
        let (mut at_ms, to, every) = (span_ms(from), span_ms(to), span_ms(every));
        while at_ms <= to {
            steps.push(Step { at_ms, line, words: words.clone() });
            at_ms += every;
        }
    }
    steps.sort_by_key(|step| step.at_ms);
    steps
}

/// `1d2h3m4.5s`, with a sign or none.
pub(crate) fn span_ms(text: &str) -> i64 {
    let (sign, mut rest) = text.strip_prefix('-').map_or((1.0, text.trim_start_matches('+')), |rest| (-1.0, rest));
    let mut ms = 0.0;
    while let Some(end) = rest.find(|c: char| c.is_ascii_alphabetic()) {
        let number: f64 = rest[..end].parse().unwrap_or_else(|_| panic!("{text:?} is no span"));
        let unit = match &rest[end..=end] {
            "d" => 86_400_000.0,
            "h" => 3_600_000.0,
            "m" => 60_000.0,
            "s" => 1_000.0,
            _ => panic!("{text:?} has an unknown unit"),
        };
        (ms, rest) = (ms + number * unit, &rest[end + 1..]);
    }
    assert!(rest.is_empty() && !text.is_empty(), "{text:?} is no span");
    (sign * ms).round() as i64
}

fn show_ms(ms: i64) -> String {
    format!("{}s", ms as f64 / 1_000.0)
}

/// States that are wanted often.
fn spelled(word: &str) -> &str {
    match word {
        "stuck" => "passenger stopped zone=no door=closed mode=normal",
        "waiting" => "passenger stopped zone=yes door=closed mode=normal",
        "idle" => "empty stopped zone=yes door=closed mode=normal",
        "runs" => "passenger running door=closed mode=normal",
        other => other,
    }
}

fn frame_word(frame: &mut Map<String, Value>, word: &str) {
    let mut set = |name: &str, value: Value| drop(frame.insert(name.into(), value));
    let (name, value) = word.split_once('=').unwrap_or((word, ""));
    let numbers = || value.split(',').map(|n| Value::from(n.parse::<u64>().unwrap())).collect::<Vec<_>>().into();
    let texts = || value.split(',').map(Value::from).collect::<Vec<_>>().into();
    match name {
        "" | "-" => {}
        "passenger" | "empty" => set("passenger", (name == "passenger").into()),
        "stopped" | "running" => set("car", name.into()),
        "zone" => set("door_zone", (value == "yes").into()),
        "door" | "mode" => set(name, value.into()),
        "floor" => set("floor", value.parse::<i64>().unwrap().into()),
        "boot" | "seq" => set(name, value.parse::<u64>().unwrap().into()),
        "fault" => set("faults", numbers()),
        "event" => set("events", numbers()),
        "alarm" => set("alarms", numbers()),
        "cond" => set("conditions", texts()),
        "cleared" => set("cleared", texts()),
        "bad" => set(value, json!({})),
        "extra" => {
            let (name, value) = value.split_once(':').unwrap();
            set("extras", json!({ name: value.parse::<f64>().unwrap() }));
        }
        "claimed" if value == "none" => drop(frame.remove("observed_at_ms")),
        "claimed" => set("observed_at_ms", (BEGAN_WALL + span_ms(value)).ms().into()),
        other => panic!("{other:?} is no word of a frame"),
    }
}

fn proto_frame(frame: &Map<String, Value>) -> v1::ElevatorFrame {
    use vigil::model::frame::{Car, Door, Mode};
    let number = |name: &str, of: fn(&str) -> Option<i32>| {
        frame.get(name).and_then(Value::as_str).and_then(of).unwrap_or_default()
    };
    let codes = |name: &str| -> Vec<u32> {
        let list = frame.get(name).and_then(Value::as_array);
        list.into_iter().flatten().map(|n| u32::try_from(n.as_u64().unwrap()).unwrap()).collect()
    };
    v1::ElevatorFrame {
        boot: u32::try_from(frame["boot"].as_u64().unwrap()).unwrap(),
        seq: frame["seq"].as_u64().unwrap(),
        observed_at_ms: frame.get("observed_at_ms").and_then(Value::as_i64).unwrap_or_default(),
        mode: number("mode", |n| Mode::from_name(n).map(|v| v as i32)),
        car: number("car", |n| Car::from_name(n).map(|v| v as i32)),
        door: number("door", |n| Door::from_name(n).map(|v| v as i32)),
        door_zone: frame.get("door_zone").and_then(Value::as_bool),
        passenger: frame.get("passenger").and_then(Value::as_bool),
        faults: codes("faults"),
        events: codes("events"),
        alarms: codes("alarms"),
        ..Default::default()
    }
}

fn health(words: &[&str]) -> Health {
    let mut health = Health::default();
    for word in words {
        match word.split_once('=') {
            Some(("fill", percent)) => health.journal_fill_percent = percent.parse().unwrap(),
            Some(("stalled", span)) => health.store_stalled_ms = span_ms(span),
            Some(("dropped", n)) => health.dropped = n.parse().unwrap(),
            _ => panic!("{word:?} is no word of health"),
        }
    }
    health
}

/// `A/trapped-alarm/1`, or any alert id.
pub(crate) fn alert_of(text: &str) -> AlertId {
    let (subject, rest) = text.split_once('/').unwrap();
    let full = if subject.len() == 1 { format!("{}/{rest}", lift_code(subject)) } else { text.into() };
    AlertId::parse(&full).unwrap()
}

fn outcome_word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done { .. } | Outcome::Incident { .. } => "done",
        Outcome::Fill { .. } => "fill",
        Outcome::Findings { .. } => "findings",
        Outcome::NotFound { .. } => "not-found",
        Outcome::Precondition { .. } => "precondition",
        Outcome::Denied { .. } => "denied",
        Outcome::RequestReused => "reused",
        Outcome::Items { .. } => "items",
    }
}
