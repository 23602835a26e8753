//! Reads a CSV file line by line. A bad line costs only itself.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context as _, bail};
use csv::ByteRecord;
use indicatif::ProgressBar;
use tokio::sync::mpsc;

use super::columns::{Columns, Kind};
use super::lines::Lines;
use super::mentioned::Mentioned;
use crate::limits;
use crate::proto::v1::{UpsertDevicesRequest, UpsertDevicesResponse};

/// Something wrong in the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// From 1.
    pub line: u64,
    /// From 1; `None`: the whole line.
    pub column: Option<usize>,
    pub why: String,
}

/// The first faults, and how many there are.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) first: Vec<Fault>,
    /// Those that are not among the first.
    pub(super) more: u64,
    /// Lines that have any.
    pub(super) rows: u64,
}

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        if self.first.len() < limits::ENTRY_ERRORS {
            self.first.push(fault);
        } else {
            self.more += 1;
        }
    }

    pub(super) fn add_row(&mut self, faults: impl IntoIterator<Item = Fault>) {
        self.rows += 1;
        faults.into_iter().for_each(|fault| self.add(fault));
    }

    /// Adds what the service found, and puts all in the order of the file.
    pub(super) fn add_answer(&mut self, answer: &UpsertDevicesResponse, columns: &Columns) {
        let mut lines = 0;
        let mut last = None;
        for error in &answer.errors {
            let column = columns.number(&error.field);
            let why = match column {
                Some(number) => format!("{}: {}", columns.name(number - 1), error.message),
                None => error.message.clone(),
            };
            lines += u64::from(last.replace(error.line) != Some(error.line));
            self.add(Fault { line: error.line, column, why });
        }
        self.rows += answer.failed;
        self.more += answer.failed.saturating_sub(lines);
        self.first.sort();
    }
}

/// What became of a file.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) rows: u64,
    pub(super) faults: Faults,
    pub(super) mentioned: Mentioned,
}

pub struct Reader<R> {
    csv: csv::Reader<R>,
    columns: Columns,
    /// The same file, read a second time.
    lines: Lines<BufReader<R>>,
    record: ByteRecord,
    /// Where each code stood: the same one twice would change back and forth at every import.
    seen: BTreeMap<String, u64>,
    mentioned: Mentioned,
}

/// Opens a file, twice.
pub(super) fn open(path: &Path) -> anyhow::Result<(File, File, u64)> {
    let file = File::open(path).context("can't be opened")?;
    let metadata = file.metadata().context("can't be looked at")?;
    if !metadata.is_file() {
        bail!("is no plain file: save what it holds to one, and import that");
    }
    let bytes = metadata.len();
    if bytes > limits::IMPORT_BYTES {
        bail!("is larger than {} MiB: import it in parts", limits::IMPORT_BYTES / 1024 / 1024);
    }
    Ok((file, File::open(path).context("can't be opened")?, bytes))
}

pub(super) const NOT_UTF8: &str = "is not UTF-8: save the file as CSV UTF-8";

/// The fields as texts, or which one isn't UTF-8.
pub(super) fn texts(record: &ByteRecord) -> Result<Vec<&str>, usize> {
    record.iter().enumerate().map(|(at, field)| std::str::from_utf8(field).map_err(|_| at)).collect()
}

impl<R: Read> Reader<R> {
    /// Reads the header. Both read the same file; the second one finds out on which line things stand.
    pub fn new(kind: Kind, file: R, again: R) -> anyhow::Result<Self> {
        let mut csv =
            csv::ReaderBuilder::new().flexible(true).has_headers(false).trim(csv::Trim::All).from_reader(file);
        let mut record = ByteRecord::new();
        if !csv.read_byte_record(&mut record).context("can't be read")? {
            bail!("is empty: its first line must name the columns");
        }
        let names = texts(&record).map_err(|at| anyhow::anyhow!("line 1, column {}: {NOT_UTF8}", at + 1))?;
        let columns = Columns::read(kind, &names).map_err(|why| anyhow::anyhow!("line 1: {why}"))?;
        Ok(Self {
            csv,
            columns,
            lines: Lines::new(BufReader::new(again)),
            record,
            seen: BTreeMap::new(),
            mentioned: Mentioned::default(),
        })
    }

    pub(super) fn columns(&self) -> Columns {
        self.columns.clone()
    }

    /// What the next line asks for, or what is wrong with it; `None` at the end of the file.
    pub fn next_row(&mut self) -> anyhow::Result<Option<Result<UpsertDevicesRequest, Vec<Fault>>>> {
        let mut record = std::mem::take(&mut self.record);
        let mut row = None;
        while row.is_none() && self.csv.read_byte_record(&mut record).context("can't be read")? {
            // A line of commas only is what spreadsheets leave behind.
            if record.iter().all(<[u8]>::is_empty) {
                continue;
            }
            let line = self.lines.of(record.position().map_or(0, csv::Position::byte)).context("can't be read")?;
            row = Some(self.request(line, &record));
        }
        self.record = record;
        Ok(row)
    }

    /// Sends every good line, as fast as they are taken; returns early when nobody takes them.
    pub(super) fn send_all(
        mut self,
        sender: &mpsc::Sender<UpsertDevicesRequest>,
        bar: &ProgressBar,
        mentioned: Mentioned,
    ) -> anyhow::Result<Sent> {
        self.mentioned = mentioned;
        let mut sent = Sent { rows: 0, faults: Faults::default(), mentioned: Mentioned::default() };
        while let Some(row) = self.next_row()? {
            sent.rows += 1;
            bar.set_position(self.csv.position().byte());
            match row {
                Ok(request) => {
                    if sender.blocking_send(request).is_err() {
                        break;
                    }
                }
                Err(faults) => sent.faults.add_row(faults),
            }
        }
        sent.mentioned = self.mentioned;
        Ok(sent)
    }

    fn request(&mut self, line: u64, record: &ByteRecord) -> Result<UpsertDevicesRequest, Vec<Fault>> {
        let fault = |column, why| vec![Fault { line, column, why }];
        if record.as_slice().len() > limits::IMPORT_LINE_BYTES {
            let kib = limits::IMPORT_LINE_BYTES / 1024;
            return Err(fault(None, format!("is longer than {kib} KiB: is a quote opened that nothing closes?")));
        }
        if record.len() != self.columns.len() {
            let why = format!("fields: {}, where the first line names {}", record.len(), self.columns.len());
            return Err(fault(None, why));
        }
        let fields =
            texts(record).map_err(|at| fault(Some(at + 1), format!("{}: {NOT_UTF8}", self.columns.name(at))))?;
        let entry = self.columns.entry(&fields).map_err(|faults| {
            let of_field =
                |(field, why)| Fault { line, column: self.columns.number(field), why: format!("{field}: {why}") };
            faults.into_iter().map(of_field).collect::<Vec<_>>()
        })?;
        if let Some(fault) = self.mentioned.look(line, &self.columns, &fields) {
            return Err(vec![fault]);
        }
        let code = self.columns.code(&fields);
        if let Some(first) = self.seen.get(code) {
            return Err(fault(None, format!("{code} stands in line {first} already: keep one of them")));
        }
        self.seen.insert(code.to_owned(), line);
        Ok(UpsertDevicesRequest { line, entry: Some(entry), ..Default::default() })
    }
}
