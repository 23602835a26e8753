//! What a backtest came to, as a table for people and as JSON for programs.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::super::super::time::{civil, rfc3339, to_proto};
use super::super::super::{Terminal, count};
use super::Args;
use super::fetch::{InForce, Service};
use super::replay::{Done, Plan};
use super::rescues::{self, RescueReport};
use crate::backtest::{Alert, Change, Difference, In, Rules, Span, Tallies, Tally};
use crate::model::ids::DeviceCode;
use crate::model::time::Wall;
use crate::scenario::show_ms;

/// In the order in which they are listed: what would have been missed comes first.
const CHANGES: [Change; 3] = [Change::Lost, Change::Gained, Change::Moved];
/// Lifts that are asked for their first frame when none of them has any in the span.
const ASKED_FOR_FIRST: usize = 20;
/// Frames that begin so long after the replay does are worth a word.
const BEGINS_LATE_MS: i64 = 3_600_000;

pub(super) struct Report {
    zone: TimeZone,
    json: bool,
    /// Most differences of each kind that are listed.
    list: usize,
    span: Span,
    rules: Rules,
    version: u32,
    /// What the rules of the comparison are called.
    old: String,
    remarks: Vec<String>,
    tallies: Tallies,
    /// `None`: how they ended is not known.
    rescues: Option<RescueReport>,
    /// By what changed, in the order of `CHANGES`: the first ones, and how many there are.
    listed: [(Vec<(DeviceCode, Difference)>, u64); 3],
    lifts: u64,
    /// Lifts without any frame: the first of them, and how many there are.
    silent: (Vec<DeviceCode>, u64),
    frames: u64,
    first_frame: Option<Wall>,
    hurried: u64,
}

impl Report {
    pub(super) fn begin(
        args: &Args,
        plan: &Plan,
        in_force: &InForce,
        blind_is_known: bool,
        rescues_are_known: bool,
    ) -> Self {
        let old = match &args.current {
            None => format!("the rules in force (policy {})", in_force.version),
            Some(dir) => format!("the rules of {}", dir.display()),
        };
        let mut report = Self {
            zone: args.zone.zone.clone(),
            json: args.json,
            list: args.list,
            span: plan.span,
            rules: plan.rules.clone(),
            version: in_force.version,
            old,
            remarks: Vec::new(),
            tallies: Tallies::of(&plan.rules),
            rescues: rescues_are_known.then(|| RescueReport::new(args.list)),
            listed: Default::default(),
            lifts: 0,
            silent: Default::default(),
            frames: 0,
            first_frame: None,
            hurried: 0,
        };
        report.remark_span(plan, blind_is_known);
        report
    }

    fn remark_span(&mut self, plan: &Plan, blind_is_known: bool) {
        let begin = self.civil(plan.span.begin);
        let end = self.civil(plan.span.end);
        self.remarks
            .push(format!("replayed from {begin} to {end}: what was last reported before counts as never reported"));
        if plan.span.is_cut {
            self.remarks.push("some rule looks back further than that: its first alerts may be missing".into());
        }
        self.remarks.push(match (blind_is_known, plan.blind.len()) {
            (false, _) => "when the service could not hear its devices is not yours to see, and is left out".into(),
            (true, 0) => "the service heard its devices all along, as far as it told".into(),
            (true, times) => {
                format!("{} at which the service could not hear its devices are replayed", count(times as u64, "time"))
            }
        });
        self.remarks.push(
            "the archive is as it is now; how the service was restarted, and other rules in between, are left out"
                .into(),
        );
    }

    pub(super) fn lifts(&self) -> u64 {
        self.lifts
    }

    pub(super) fn add(&mut self, done: Done, terminal: &mut Terminal) -> std::io::Result<()> {
        let Done { device, compared, rescues, frames, first_frame, hurried } = done;
        self.lifts += 1;
        self.frames += frames;
        self.hurried += hurried;
        self.first_frame = self.first_frame.into_iter().chain(first_frame).min();
        if frames == 0 {
            self.silent.1 += 1;
            if self.silent.0.len() < ASKED_FOR_FIRST {
                self.silent.0.push(device);
            }
        }
        self.tallies.add(&compared);
        for told in rescues {
            if self.json {
                terminal.line(&rescues::told_json(&device, &told).to_string())?;
            }
            self.rescues.iter_mut().for_each(|report| report.add(device, told.clone()));
        }
        for difference in compared.into_values().flat_map(|compared| compared.differences) {
            if self.json {
                terminal.line(&difference_json(&device, &difference).to_string())?;
            } else if !difference.unsure {
                self.keep(device, difference);
            }
        }
        Ok(())
    }

    fn keep(&mut self, device: DeviceCode, difference: Difference) {
        let at = CHANGES.iter().position(|change| *change == difference.change).unwrap_or_default();
        let (kept, all) = &mut self.listed[at];
        *all += 1;
        if kept.len() < self.list {
            kept.push((device, difference));
        }
    }

    pub(super) async fn end(mut self, service: &Service, terminal: &mut Terminal) -> anyhow::Result<()> {
        if self.frames == 0 {
            anyhow::bail!(self.no_frames(service).await?);
        }
        if let Some(first) = self.first_frame.filter(|first| *first - self.span.begin > BEGINS_LATE_MS) {
            let since = self.civil(first);
            self.remarks.push(format!("the first frame is of {since}: what was raised before can't be replayed"));
        }
        if self.hurried > 0 {
            let frames = count(self.hurried, "frame");
            self.remarks.push(format!("{frames} came so late, and so many, that they were replayed in another order"));
        }
        if self.silent.1 > 0 {
            let lifts = count(self.silent.1, "lift");
            self.remarks.push(format!("{lifts} sent no frames in that time"));
        }
        if self.json {
            self.as_json(terminal)?
        } else {
            self.as_table(terminal)?
        }
        Ok(())
    }

    /// Why there is nothing to replay, and what there is.
    async fn no_frames(&self, service: &Service) -> anyhow::Result<String> {
        let (from, to) = (self.civil(self.span.begin), self.civil(self.span.end));
        let mut first: Option<Wall> = None;
        for device in &self.silent.0 {
            first = first.into_iter().chain(service.first_frame(device).await?).min();
        }
        let lifts = count(self.lifts, "lift");
        let why =
            format!("no frame of {lifts} is stored that was received from {from} to {to}: there is nothing to replay");
        Ok(match first {
            Some(first) => {
                let first = self.civil(first);
                format!(
                    "{why}. The first one that is kept is of {first}: store.frame_retention says for how long they are"
                )
            }
            None => format!("{why}. None is stored of any other time either: check the codes"),
        })
    }

    fn civil(&self, at: Wall) -> String {
        civil_at(at, &self.zone)
    }

    fn as_json(&self, terminal: &mut Terminal) -> std::io::Result<()> {
        for (rule, tally) in &self.tallies.by_rule {
            let place = self.rules.place(rule).name();
            let mut value = tally_json("rule", tally);
            value["rule"] = rule.as_str().into();
            value["in"] = place.into();
            terminal.line(&value.to_string())?;
        }
        if let Some(rescues) = &self.rescues {
            terminal.line(&rescues.json().to_string())?;
        }
        let mut value = tally_json("summary", &self.tallies.all);
        value["from"] = time(self.span.from);
        value["to"] = time(self.span.to);
        value["replayed_from"] = time(self.span.begin);
        value["replayed_to"] = time(self.span.end);
        value["policy_version"] = self.version.into();
        value["compared_with"] = self.old.as_str().into();
        value["lifts"] = self.lifts.into();
        value["lifts_without_frames"] = self.silent.1.into();
        value["frames"] = self.frames.into();
        value["remarks"] = json!(self.remarks);
        terminal.line(&value.to_string())
    }

    fn as_table(&self, terminal: &mut Terminal) -> std::io::Result<()> {
        let (from, to) = (self.civil(self.span.from), self.civil(self.span.to));
        let (lifts, frames) = (count(self.lifts, "lift"), count(self.frames, "frame"));
        terminal.line(&format!("{from} to {to}: {lifts}, {frames}"))?;
        terminal.line("")?;
        terminal.line(HEADER)?;
        let mut quiet = 0;
        for (rule, tally) in &self.tallies.by_rule {
            let place = self.rules.place(rule);
            if tally.is_quiet() && place == In::Both {
                quiet += 1;
            } else {
                terminal.line(&row(rule.as_str(), tally, words(place)))?;
            }
        }
        terminal.line(&row("all", &self.tallies.all, ""))?;
        terminal.line("")?;
        match &self.rescues {
            Some(rescues) => rescues.lines(&self.zone).iter().try_for_each(|line| terminal.line(line))?,
            None => terminal.line("# how rescues ended is not yours to see, or the service doesn't tell it")?,
        }
        if quiet > 0 {
            let rules = count(quiet, "rule");
            terminal.line(&format!("# {rules} more raised nothing, and would have raised nothing"))?;
        }
        terminal.line(&format!("# {}", self.fidelity()))?;
        if self.tallies.all.unsure > 0 {
            let differ = count(self.tallies.all.unsure, "difference");
            let why = "those rules differ likewise, so it is by the replay; or the end came before it was decided";
            terminal.line(&format!("# {differ} unsure: {why}"))?;
        }
        for remark in &self.remarks {
            terminal.line(&format!("# {remark}"))?;
        }
        self.differences(terminal)
    }

    /// How far the replay can be trusted.
    fn fidelity(&self) -> String {
        let Tally { raised, reproduced, .. } = &self.tallies.all;
        format!("fidelity: raised again at their time, and alike, by {}: {reproduced} of {raised}", self.old)
    }

    fn differences(&self, terminal: &mut Terminal) -> std::io::Result<()> {
        for (change, (kept, all)) in CHANGES.iter().zip(&self.listed).filter(|(_, (kept, _))| !kept.is_empty()) {
            terminal.line("")?;
            let first = if (kept.len() as u64) < *all { format!(", the first {}", kept.len()) } else { String::new() };
            terminal.line(&format!("{} ({all}{first}):", change.name()))?;
            for (device, difference) in kept {
                terminal.line(&self.difference(device, difference))?;
            }
        }
        Ok(())
    }

    fn difference(&self, device: &DeviceCode, difference: &Difference) -> String {
        let Difference { raised, replayed, .. } = difference;
        let rule = difference.rule();
        let Some(alert) = raised.as_ref().or(replayed.as_ref()) else { return String::new() };
        let mut line = format!("  {}  {device}  {rule}  {}", self.civil(alert.opened_at), level(alert));
        match (raised, replayed) {
            (Some(raised), Some(replayed)) => {
                let shift = difference.shift_ms().map(signed).unwrap_or_default();
                line += &format!("  {shift}");
                if raised.level.zip(replayed.level).is_some_and(|(was, would)| was != would) {
                    line += &format!("  would be {}", level(replayed));
                }
            }
            _ => match alert.cleared_at {
                Some(cleared) => line += &format!("  open for {}", show_ms(cleared - alert.opened_at)),
                None => line += "  open to the end",
            },
        }
        line
    }
}

const HEADER: &str = "rule                     raised  replayed  gained   lost  moved      median     largest  unsure";

fn row(rule: &str, tally: &Tally, remark: &str) -> String {
    let (median, largest) = match tally.shift_ms() {
        Some((median, largest)) => (signed(median), signed(largest)),
        None => ("-".into(), "-".into()),
    };
    let Tally { raised, replayed, gained, lost, moved, unsure, .. } = tally;
    let row = format!(
        "{rule:<24} {raised:>6} {replayed:>9} {gained:>7} {lost:>6} {moved:>6} {median:>11} {largest:>11} {unsure:>7}"
    );
    if remark.is_empty() { row } else { format!("{row}  {remark}") }
}

fn words(place: In) -> &'static str {
    match place {
        In::Both => "",
        In::New => "only among the rules tried",
        In::Old => "not among the rules tried",
        In::Neither => "in neither rule set now",
    }
}

fn level(alert: &Alert) -> String {
    match alert.level {
        Some((severity, certainty)) => format!("{}, {}", severity.name(), certainty.name()),
        None => "severity not known".into(),
    }
}

pub(super) fn signed(ms: i64) -> String {
    if ms > 0 { format!("+{}", show_ms(ms)) } else { show_ms(ms) }
}

pub(super) fn civil_at(at: Wall, zone: &TimeZone) -> String {
    civil(proto(at).as_ref(), zone)
}

fn proto(at: Wall) -> Option<prost_types::Timestamp> {
    Timestamp::from_millisecond(at.0).ok().map(to_proto)
}

pub(super) fn time(at: Wall) -> Value {
    rfc3339(proto(at).as_ref()).into()
}

fn tally_json(what: &str, tally: &Tally) -> Value {
    let Tally { raised, replayed, reproduced, gained, lost, moved, unsure, .. } = tally;
    let shift = tally.shift_ms();
    json!({
        "what": what,
        "raised": raised,
        "replayed": replayed,
        "reproduced": reproduced,
        "gained": gained,
        "lost": lost,
        "moved": moved,
        "unsure": unsure,
        "median_shift_ms": shift.map(|(median, _)| median),
        "largest_shift_ms": shift.map(|(_, largest)| largest),
    })
}

fn difference_json(device: &DeviceCode, difference: &Difference) -> Value {
    let alert = |alert: &Alert| {
        json!({
            "opened_at": time(alert.opened_at),
            "cleared_at": alert.cleared_at.map(time),
            "severity": alert.level.map(|(severity, _)| severity.name()),
            "certainty": alert.level.map(|(_, certainty)| certainty.name()),
        })
    };
    json!({
        "what": "difference",
        "change": difference.change.name(),
        "device": device.as_str(),
        "rule": difference.rule().as_str(),
        "raised": difference.raised.as_ref().map(alert),
        "replayed": difference.replayed.as_ref().map(alert),
        "shift_ms": difference.shift_ms(),
        "unsure": difference.unsure,
    })
}
