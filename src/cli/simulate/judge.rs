//! Holds a service's alerts against the truth, during a run and afterwards.

use std::time::Duration;

use tonic::transport::Channel;

use super::alerts::{self, Heard};
use super::report::{Judged, Named, Percentiles};
use crate::limits;
use crate::model::ids::Subject;
use crate::model::time::Wall;
use crate::proto::v1::Cursor;
use crate::simulate::score::Verdict;
use crate::simulate::truth_file::Run;
use crate::simulate::{Incident, Score, is_of_fleet};

/// How long the end waits for the service to say that it has judged everything.
pub(super) const CATCH_UP: Duration = Duration::from_secs(60);

/// Whose alerts are judged: a service may know other lifts as well.
#[derive(Debug, Clone, Copy)]
pub(super) struct Members {
    pub(super) lifts: u32,
    pub(super) cylinders: u32,
    pub(super) stations: u32,
}

impl Members {
    fn has(self, subject: Subject) -> bool {
        is_of_fleet(subject, self.lifts, self.cylinders, self.stations)
    }
}

#[derive(Debug)]
pub(super) struct Judge {
    pub(super) score: Score,
    members: Members,
    /// From its publication to its arrival here, of each alert; bounded.
    deliveries_ms: Vec<i64>,
    /// Up to here the service has judged, while it heard its devices, and all that it said of it is known.
    pub(super) judged_to: Option<Wall>,
}

impl Judge {
    pub(super) fn new(members: Members) -> Self {
        Self { score: Score::default(), members, deliveries_ms: Vec::new(), judged_to: None }
    }

    pub(super) fn hear(&mut self, heard: &Heard) {
        match heard {
            Heard::Alert { id, opened, at, received_at } if self.members.has(id.subject) => {
                if *opened {
                    self.score.opened(id.subject, id.rule.as_str(), *at);
                    if self.deliveries_ms.len() < limits::JUDGE_DELIVERIES {
                        self.deliveries_ms.push(*received_at - *at);
                    }
                } else {
                    self.score.cleared(id.subject, id.rule.as_str(), *at);
                }
            }
            Heard::Scanned { judged_at: Some(at), is_up: true, .. } => self.judged_to = self.judged_to.max(Some(*at)),
            _ => {}
        }
    }

    /// The judgement, when the truth is complete up to `now`, and so is what was heard.
    pub(super) fn judged(mut self, truth: &[Incident], now: Wall, began_at: Wall, near_misses: Option<u64>) -> Judged {
        self.score.advance(truth, now);
        let (mut prompt, mut faulty) = (Vec::new(), Vec::new());
        for (n, at) in self.score.found() {
            let incident = &truth[n];
            let kind = if incident.lateness_ms == 0 { &mut prompt } else { &mut faulty };
            kind.push(at - incident.due_at());
        }
        let named = |verdict: Verdict| {
            let incidents = self.score.of(verdict).map(|n| &truth[n]);
            let named = incidents.map(|it| Named {
                subject: it.subject.to_string(),
                rule: it.kind.accept().first().copied().unwrap_or_default().to_owned(),
                at_ms: it.began_at - began_at,
            });
            named.take(limits::SCORE_FALSE_NAMED).collect()
        };
        let (missed, late) = (named(Verdict::Missed), named(Verdict::Late));
        let false_alerts = self.score.false_alerts().iter().map(|it| Named {
            subject: it.subject.to_string(),
            rule: it.rule.to_string(),
            at_ms: it.opened_at - began_at,
        });
        Judged {
            tally: self.score.tally(),
            near_misses,
            latency_ms: Percentiles::of(prompt),
            latency_faulty_ms: Percentiles::of(faulty),
            delivery_ms: Percentiles::of(self.deliveries_ms),
            missed,
            late,
            false_alerts: false_alerts.collect(),
            unheard: None,
        }
    }
}

/// Reads all alert events that the service has kept, and holds those of the run against its truth.
pub(super) async fn afterwards(channel: Channel, run: &Run, truth: Vec<Incident>) -> anyhow::Result<Judged> {
    let (_, now) = alerts::open(channel.clone()).await?;
    let members = Members { lifts: run.lifts, cylinders: run.cylinders, stations: run.stations };
    let mut judge = Judge::new(members);
    let mut heard = alerts::follow(channel, Cursor { epoch: now.epoch, seq: 0 });
    let began_at = run.began_at();
    let mut ended = false;
    while !ended {
        match heard.recv().await {
            // What was opened before the run began, by another one of the same fleet, may still stand.
            Some(Heard::Alert { id, opened, at, .. }) if at < began_at => {
                if opened {
                    judge.score.stands(id.subject, id.rule.as_str());
                } else {
                    judge.score.falls(id.subject, id.rule.as_str());
                }
            }
            Some(Heard::Scanned { cursor, .. }) => ended = cursor.seq >= now.seq,
            Some(Heard::Lost(error)) => {
                return Err(error.context("what the service said during that run is not all kept any more"));
            }
            Some(Heard::Away(_)) => {}
            Some(alert) => judge.hear(&alert),
            None => anyhow::bail!("the stream of alerts has ended"),
        }
    }
    judge.forget_deliveries();
    Ok(judge.judged(&truth, run.ended_at(), began_at, None))
}

impl Judge {
    /// What is read afterwards was not delivered when it happened.
    fn forget_deliveries(&mut self) {
        self.deliveries_ms.clear();
    }
}
