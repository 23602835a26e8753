//! What really happened, as a file of one JSON object a line, to hold a service against it later.
//!
//! The first line tells of the run, each further one of an incident, or of a near miss, whose `rule` is null. Their
//! times count from the run's beginning, so that the same seed gives the same lines.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

use super::{Incident, IncidentKind, NearMiss};
use crate::limits;
use crate::model::ids::Subject;
use crate::model::time::Wall;

const VERSION: u32 = 1;

/// The first line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The version of this form.
    pub truth: u32,
    pub seed: u64,
    /// When the fleet began, ms since 1970.
    pub began_at_ms: i64,
    /// How far the run went. What had to be raised by then is demanded; the rest only explains alerts.
    pub ran_ms: i64,
    pub lifts: u32,
    pub cylinders: u32,
    pub stations: u32,
    pub frames_per_s: f64,
    pub faults: Vec<String>,
}

impl Run {
    pub fn new(seed: u64, began_at: Wall) -> Self {
        Self {
            truth: VERSION,
            seed,
            began_at_ms: began_at.ms(),
            ran_ms: 0,
            lifts: 0,
            cylinders: 0,
            stations: 0,
            frames_per_s: 0.0,
            faults: Vec::new(),
        }
    }

    pub fn began_at(&self) -> Wall {
        Wall(self.began_at_ms)
    }

    pub fn ended_at(&self) -> Wall {
        self.at(self.ran_ms)
    }

    fn at(&self, ms: i64) -> Wall {
        Wall(self.began_at_ms.saturating_add(ms))
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    subject: String,
    rule: Option<String>,
    kind: String,
    started_ms: i64,
    /// The first moment at which the rule can find it; null for a near miss.
    due_ms: Option<i64>,
    raise_by_ms: Option<i64>,
    ended_ms: Option<i64>,
    /// How late its terminal may deliver and be judged; in `raise_by_ms` already.
    late_ms: i64,
}

/// Writes both lists, each ordered by its beginnings, merged by them.
pub fn write(out: &mut impl Write, run: &Run, incidents: &[Incident], near_misses: &[NearMiss]) -> io::Result<()> {
    line(out, run)?;
    let since = |at: Wall| at - Wall(run.began_at_ms);
    let mut near_misses = near_misses.iter().peekable();
    let mut miss = |until: Wall, out: &mut _| {
        while let Some(miss) = near_misses.next_if(|miss| miss.began_at < until) {
            let told = Line {
                subject: miss.subject.to_string(),
                rule: None,
                kind: miss.kind.name().into(),
                started_ms: since(miss.began_at),
                due_ms: None,
                raise_by_ms: None,
                ended_ms: miss.ended_at.map(since),
                late_ms: 0,
            };
            line(out, &told)?;
        }
        io::Result::Ok(())
    };
    for incident in incidents {
        miss(incident.began_at, out)?;
        let told = Line {
            subject: incident.subject.to_string(),
            rule: incident.kind.accept().first().map(|rule| (*rule).to_owned()),
            kind: incident.kind.name().into(),
            started_ms: since(incident.began_at),
            due_ms: Some(since(incident.due_at())),
            raise_by_ms: Some(since(incident.must_alert_by)),
            ended_ms: incident.ended_at.map(since),
            late_ms: incident.lateness_ms,
        };
        line(out, &told)?;
    }
    miss(Wall::MAX, out)
}

fn line(out: &mut impl Write, told: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, told)?;
    out.write_all(b"\n")
}

#[derive(Debug, thiserror::Error)]
pub enum TruthError {
    #[error("it can't be read: {0}")]
    Io(#[from] io::Error),
    #[error("line {line}: {why}; it is not as vigil simulate --truth writes it")]
    Line { line: usize, why: String },
    #[error("it is empty: vigil simulate --truth writes it at the end of a run")]
    Empty,
    #[error("it is of version {0}, and this vigil reads version {VERSION}: use the one that wrote it")]
    Version(u32),
}

/// Reads what [`write()`] wrote, but for the near misses.
pub fn read(input: impl BufRead) -> Result<(Run, Vec<Incident>), TruthError> {
    let mut lines = Lines { input, number: 0 };
    let Some(text) = lines.next()? else { return Err(TruthError::Empty) };
    let run: Run = lines.parse(&text)?;
    if run.truth != VERSION {
        return Err(TruthError::Version(run.truth));
    }
    let mut incidents = Vec::new();
    while let Some(text) = lines.next()? {
        let told: Line = lines.parse(&text)?;
        if told.rule.is_some() {
            incidents.push(incident(&run, &told).map_err(|why| lines.wrong(why))?);
        }
    }
    Ok((run, incidents))
}

fn incident(run: &Run, told: &Line) -> Result<Incident, String> {
    let subject = Subject::parse(&told.subject).map_err(|error| error.to_string())?;
    let kind = IncidentKind::ALL.into_iter().find(|kind| kind.name() == told.kind);
    let kind = kind.ok_or_else(|| format!("{:?} is no kind of incident", told.kind))?;
    let must_alert_by = told.raise_by_ms.ok_or("raise_by_ms is missing")?;
    Ok(Incident {
        subject,
        kind,
        began_at: run.at(told.started_ms),
        must_alert_by: run.at(must_alert_by),
        ended_at: told.ended_ms.map(|ms| run.at(ms)),
        lateness_ms: told.late_ms,
        // Not told: such a fleet is played without a file.
        unseen: false,
    })
}

struct Lines<R> {
    input: R,
    number: usize,
}

impl<R: BufRead> Lines<R> {
    fn next(&mut self) -> Result<Option<String>, TruthError> {
        let mut text = String::new();
        self.number += 1;
        let most = limits::TRUTH_LINE_BYTES as u64;
        if io::Read::take(&mut self.input, most).read_line(&mut text)? == 0 {
            return Ok(None);
        }
        if !text.ends_with('\n') {
            return Err(self.wrong(format!("it is cut short, or longer than {most} bytes")));
        }
        Ok(Some(text))
    }

    fn parse<'a, T: Deserialize<'a>>(&self, text: &'a str) -> Result<T, TruthError> {
        serde_json::from_str(text).map_err(|error| self.wrong(error.to_string()))
    }

    fn wrong(&self, why: String) -> TruthError {
        TruthError::Line { line: self.number, why }
    }
}
