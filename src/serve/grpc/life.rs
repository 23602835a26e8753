//! The stream behind `TraceCylinder`: a cylinder's life under all its codes, in order of time.

use std::collections::VecDeque;
use std::sync::Arc;

use prost::Message as _;
use tonic::Status;

use super::convert;
use super::history::store_status;
use crate::limits;
use crate::model::archive::{self, Entry, EntryKind};
use crate::model::ids::{CylinderCode, Subject};
use crate::model::row::ScanRow;
use crate::model::scan::ScanEvent;
use crate::model::time::Wall;
use crate::proto::v1;
use crate::serve::history::{Happened, HistoryStore, StoreError, TimelinePage};
use crate::serve::stream::Source;

pub(super) struct Life {
    store: Arc<dyn HistoryStore>,
    /// What the first message says.
    head: Option<Option<v1::Cylinder>>,
    /// One for each code.
    lanes: Vec<Lane>,
    holder: String,
    fills: u32,
}

/// What happened under one code, as far as it was read.
struct Lane {
    subject: Subject,
    from: Wall,
    skip: usize,
    waiting: VecDeque<Happened>,
    ended: bool,
}

/// A cylinder under all codes that it has had.
pub(super) struct Relabelled {
    /// Under the code that it bears now.
    pub(super) entry: Option<archive::Cylinder>,
    pub(super) codes: Vec<CylinderCode>,
}

impl Relabelled {
    /// `code`: one of them. What the archive has under an old code stays there when the cylinder gets another one.
    pub(super) async fn find(store: &dyn HistoryStore, code: CylinderCode) -> Result<Self, StoreError> {
        let (mut newest, mut codes) = (code, vec![code]);
        while codes.len() < limits::CYLINDER_CODES {
            let bearers = store.relabelled(newest).await?;
            let next = bearers.iter().find_map(|entry| match entry {
                Entry::Cylinder(it) if !codes.contains(&it.code) => Some(it.code),
                _ => None,
            });
            let Some(next) = next else { break };
            newest = next;
            codes.push(next);
        }
        let (mut present, mut at) = (None, 0);
        while let Some(code) = codes.get(at).copied() {
            at += 1;
            let entry = store.entry(EntryKind::Cylinder, code.as_str().into()).await?;
            let Some(Entry::Cylinder(entry)) = entry else { continue };
            for alias in &entry.aliases {
                if codes.len() < limits::CYLINDER_CODES && !codes.contains(alias) {
                    codes.push(*alias);
                }
            }
            if code == newest {
                present = Some(entry);
            }
        }
        Ok(Self { entry: present, codes })
    }
}

impl Life {
    pub(super) fn new(store: Arc<dyn HistoryStore>, of: &Relabelled) -> Self {
        let lane = |code| Lane {
            subject: Subject::Cylinder(code),
            from: Wall(0),
            skip: 0,
            waiting: VecDeque::new(),
            ended: false,
        };
        let lanes = of.codes.iter().copied().map(lane).collect();
        let head = Some(of.entry.as_ref().map(convert::cylinder_to));
        Self { store, head, lanes, holder: String::new(), fills: 0 }
    }

    /// What happened next under any of the codes.
    async fn pop(&mut self) -> Result<Option<Happened>, Status> {
        for lane in &mut self.lanes {
            lane.fill(&*self.store).await?;
        }
        let waiting = self.lanes.iter_mut().filter(|lane| !lane.waiting.is_empty());
        let first = waiting.min_by_key(|lane| lane.waiting.front().map(Happened::at));
        Ok(first.and_then(|lane| lane.waiting.pop_front()))
    }

    fn step(&mut self, happened: &Happened) -> v1::CylinderStep {
        if let Happened::Scan(row) = happened {
            if let Some(holder) = holder(row) {
                self.holder = holder;
            }
            self.fills += u32::from(row.scan.event == ScanEvent::Filled);
        }
        let item = Some(convert::timeline_item(happened));
        v1::CylinderStep { item, holder: self.holder.clone(), fills: self.fills }
    }
}

/// Who has the cylinder after it, if that says so.
fn holder(row: &ScanRow) -> Option<String> {
    let other = || row.scan.counterparty.as_deref().unwrap_or_default().to_owned();
    match row.scan.event {
        ScanEvent::FillRequested => None,
        ScanEvent::Dispatched | ScanEvent::Delivered | ScanEvent::SentForInspection => Some(other()),
        ScanEvent::Lost => Some(String::new()),
        _ => Some(row.site.to_string()),
    }
}

impl Lane {
    async fn fill(&mut self, store: &dyn HistoryStore) -> Result<(), Status> {
        if self.ended || !self.waiting.is_empty() {
            return Ok(());
        }
        let limit = limits::PAGE_ROWS_DEFAULT;
        let (subject, from, skip) = (self.subject, self.from, self.skip);
        let page = TimelinePage { subject, from, to: Wall(Wall::LAST.0 + 1), skip, limit };
        let found = store.timeline(page).await.map_err(store_status)?;
        self.ended = found.len() < limit;
        if let Some(last) = found.last().map(Happened::at) {
            let same = found.iter().rev().take_while(|happened| happened.at() == last).count();
            self.skip = if last == from { skip + same } else { same };
            self.from = last;
        }
        self.waiting = found.into();
        Ok(())
    }
}

impl Source for Life {
    type Item = v1::TraceCylinderResponse;

    async fn next(&mut self) -> Option<Result<Self::Item, Status>> {
        let head = self.head.take();
        let is_first = head.is_some();
        let mut answer = v1::TraceCylinderResponse { cylinder: head.flatten(), steps: Vec::new() };
        let mut bytes = 0;
        while answer.steps.len() < limits::PAGE_ROWS_DEFAULT && bytes < limits::ANSWER_BYTES {
            match self.pop().await {
                Ok(Some(happened)) => {
                    let step = self.step(&happened);
                    bytes += step.encoded_len();
                    answer.steps.push(step);
                }
                Ok(None) => break,
                Err(status) => return Some(Err(status)),
            }
        }
        (is_first || !answer.steps.is_empty()).then_some(Ok(answer))
    }
}
