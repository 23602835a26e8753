//! `vigil import records`: records of maintenance from a CSV file, each uploaded by itself.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use csv::ByteRecord;
use indicatif::ProgressBar;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::columns::{Columns, Kind};
use super::lines::Lines;
use super::rows::{Fault, Faults, NOT_UTF8, texts};
use super::{Args, progress, report};
use crate::cli::{Terminal, count, refused, time};
use crate::limits;
use crate::model::visit::{ItemResult, Problem, VisitKind};
use crate::proto::v1::maintenance_service_client::MaintenanceServiceClient;
use crate::proto::v1::{
    MaintenanceRecord, RecordItem, RecordOutcome, RecordPerson, UploadRecordsRequest, UploadRecordsResponse,
};
use crate::serve::check_record;

/// What became of the rows.
#[derive(Default)]
struct Done {
    rows: u64,
    taken: u64,
    known: u64,
    faults: Faults,
}

pub(super) async fn run(
    args: &Args,
    name: &str,
    (file, again, bytes): (File, File, u64),
    terminal: &mut Terminal,
) -> anyhow::Result<ExitCode> {
    let reader = Reader::new(file, again).with_context(|| name.to_owned())?;
    let columns = reader.columns.clone();
    let bar = progress(terminal, bytes);
    let (sender, receiver) = mpsc::channel(limits::IMPORT_AHEAD);
    let reading = tokio::task::spawn_blocking({
        let bar = bar.clone();
        move || reader.send_all(&sender, &bar)
    });
    let answered = if args.dry_run { check_all(receiver).await } else { upload(args, receiver, &columns).await };
    let read = reading.await.context("reading the file failed")?;
    bar.finish_and_clear();
    let mut done = answered?;
    let (rows, faults) = read.with_context(|| name.to_owned())?;
    done.rows = rows;
    done.faults.rows += faults.rows;
    done.faults.more += faults.more;
    faults.first.into_iter().for_each(|fault| done.faults.add(fault));
    done.faults.first.sort();
    report(name, &done.faults, terminal)?;
    let what = if args.dry_run { " (dry run: only their form was checked, nothing was written)" } else { "" };
    terminal.line(&format!(
        "{}: {} recorded, {} known before, {} failed{what}",
        count(done.rows, "row"),
        done.taken,
        done.known,
        done.faults.rows
    ))?;
    Ok(if done.faults.rows == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Every good row is sent; what is wrong with the others was found before.
async fn check_all(mut receiver: mpsc::Receiver<UploadRecordsRequest>) -> anyhow::Result<Done> {
    while receiver.recv().await.is_some() {}
    Ok(Done::default())
}

async fn upload(
    args: &Args,
    receiver: mpsc::Receiver<UploadRecordsRequest>,
    columns: &Columns,
) -> anyhow::Result<Done> {
    let again = "what was taken until then stays; import the file again";
    let mut client = MaintenanceServiceClient::new(args.server.connect().await?);
    let answers = client.upload_records(ReceiverStream::new(receiver)).await;
    let mut answers = answers.map_err(|status| refused(&status).context(again))?.into_inner();
    let mut done = Done::default();
    while let Some(answer) = answers.message().await.map_err(|status| refused(&status).context(again))? {
        match RecordOutcome::try_from(answer.outcome) {
            Ok(RecordOutcome::Taken) => done.taken += 1,
            Ok(RecordOutcome::Known) => done.known += 1,
            _ => done.faults.add_row(faults_of(&answer, columns)),
        }
    }
    Ok(done)
}

fn faults_of(answer: &UploadRecordsResponse, columns: &Columns) -> Vec<Fault> {
    if answer.faults.is_empty() {
        return vec![Fault { line: answer.line, column: None, why: answer.message.clone() }];
    }
    let fault = |it: &crate::proto::v1::RecordFault| fault(answer.line, columns, &it.field, &it.message);
    answer.faults.iter().map(fault).collect()
}

fn fault(line: u64, columns: &Columns, field: &str, why: &str) -> Fault {
    let name = if field.starts_with("people[0].name") { "responsible" } else { field };
    let column = columns.number(name);
    let why = column.map_or_else(|| format!("{field}: {why}"), |at| format!("{}: {why}", columns.name(at - 1)));
    Fault { line, column, why }
}

struct Reader {
    csv: csv::Reader<File>,
    columns: Columns,
    lines: Lines<BufReader<File>>,
}

impl Reader {
    fn new(file: File, again: File) -> anyhow::Result<Self> {
        let mut csv =
            csv::ReaderBuilder::new().flexible(true).has_headers(false).trim(csv::Trim::All).from_reader(file);
        let mut record = ByteRecord::new();
        if !csv.read_byte_record(&mut record).context("can't be read")? {
            bail!("is empty: its first line must name the columns");
        }
        let names = texts(&record).map_err(|at| anyhow::anyhow!("line 1, column {}: {NOT_UTF8}", at + 1))?;
        let columns = Columns::read(Kind::Records, &names).map_err(|why| anyhow::anyhow!("line 1: {why}"))?;
        Ok(Self { csv, columns, lines: Lines::new(BufReader::new(again)) })
    }

    /// Sends every row that has the form of a record. Returns how many there are, and what is wrong with the others.
    fn send_all(
        mut self,
        sender: &mpsc::Sender<UploadRecordsRequest>,
        bar: &ProgressBar,
    ) -> anyhow::Result<(u64, Faults)> {
        let (mut rows, mut faults, mut record) = (0, Faults::default(), ByteRecord::new());
        while self.csv.read_byte_record(&mut record).context("can't be read")? {
            if record.iter().all(<[u8]>::is_empty) {
                continue;
            }
            rows += 1;
            bar.set_position(self.csv.position().byte());
            let line = self.lines.of(record.position().map_or(0, csv::Position::byte)).context("can't be read")?;
            match self.request(line, &record) {
                Ok(request) => {
                    if sender.blocking_send(request).is_err() {
                        break;
                    }
                }
                Err(of_row) => faults.add_row(of_row),
            }
        }
        Ok((rows, faults))
    }

    fn request(&self, line: u64, record: &ByteRecord) -> Result<UploadRecordsRequest, Vec<Fault>> {
        let whole = |why: String| vec![Fault { line, column: None, why }];
        if record.len() != self.columns.len() {
            return Err(whole(format!("fields: {}, where the first line names {}", record.len(), self.columns.len())));
        }
        let of_field =
            |at: usize| Fault { line, column: Some(at + 1), why: format!("{}: {NOT_UTF8}", self.columns.name(at)) };
        let fields = texts(record).map_err(|at| vec![of_field(at)])?;
        let told = |faults: Vec<(String, String)>| -> Vec<Fault> {
            faults.iter().map(|(field, why)| fault(line, &self.columns, field, why)).collect()
        };
        let record = read_record(&self.columns, &fields).map_err(told)?;
        check_record(&record).map_err(told)?;
        Ok(UploadRecordsRequest { line, record: Some(record) })
    }
}

/// The record of a row, or what in it can't be understood.
fn read_record(columns: &Columns, fields: &[&str]) -> Result<MaintenanceRecord, Vec<(String, String)>> {
    let word = |name: &str| columns.text(fields, name);
    let words = |name: &str| word(name).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let mut faults = Vec::new();
    let mut at = |name: &str| match word(name).parse::<jiff::Timestamp>() {
        Ok(at) => Some(time::to_proto(at)),
        Err(_) => {
            faults.push((name.to_owned(), "is no time: write 2026-11-22T09:00:00+08:00".to_owned()));
            None
        }
    };
    let (started_at, ended_at) = (at("started_at"), at("ended_at"));
    let kind = VisitKind::from_name(word("kind")).unwrap_or_else(|| {
        let names: Vec<_> = VisitKind::ALL.iter().map(|kind| kind.name()).collect();
        faults.push(("kind".into(), format!("is one of {}", names.join(", "))));
        VisitKind::Repair
    });
    let problem = if word("problem").is_empty() { Some(Problem::None) } else { Problem::from_name(word("problem")) };
    let problem = problem.unwrap_or_else(|| {
        faults.push(("problem".into(), "is S0, S1, … or S7".into()));
        Problem::None
    });
    let items = items(word("items")).unwrap_or_else(|why| {
        faults.push(("items".into(), why));
        Vec::new()
    });
    if !faults.is_empty() {
        return Err(faults);
    }
    let (name, phone) = (word("responsible"), word("responsible_phone"));
    let person = RecordPerson { duty: "responsible".into(), name: name.into(), phone: phone.into() };
    Ok(MaintenanceRecord {
        firm: word("firm").into(),
        record: word("record").into(),
        device: word("device").into(),
        kind: kind.number(),
        workers: words("workers"),
        recorder: word("recorder").into(),
        started_at,
        ended_at,
        items,
        problem: problem.number(),
        note: word("note").into(),
        photos: Vec::new(),
        next_on: word("next_on").into(),
        supersedes: word("supersedes").into(),
        rectifies: words("rectifies"),
        people: if name.is_empty() && phone.is_empty() { Vec::new() } else { vec![person] },
    })
}

/// `t01..t31 t05=adjusted`: ids and ranges of them; what is said later of an item counts.
fn items(text: &str) -> Result<Vec<RecordItem>, String> {
    let mut all: BTreeMap<String, ItemResult> = BTreeMap::new();
    for word in text.split_whitespace() {
        let (ids, result) = word.split_once('=').unwrap_or((word, ItemResult::Good.name()));
        let result = ItemResult::from_name(result).ok_or_else(|| {
            let names: Vec<_> = ItemResult::ALL.iter().map(|it| it.name()).collect();
            format!("{word:?}: what became of an item is one of {}", names.join(", "))
        })?;
        match ids.split_once("..") {
            None => _ = all.insert(ids.to_owned(), result),
            Some((first, last)) => all.extend(range(first, last)?.into_iter().map(|id| (id, result))),
        }
        if all.len() > limits::VISIT_ITEMS {
            return Err(format!("names more than {} items", limits::VISIT_ITEMS));
        }
    }
    let item = |(item, result): (String, ItemResult)| RecordItem { item, result: result.number(), note: String::new() };
    Ok(all.into_iter().map(item).collect())
}

/// `t01` to `t31`: the same letters before numbers of the same length.
fn range(first: &str, last: &str) -> Result<Vec<String>, String> {
    let wrong = || format!("\"{first}..{last}\" is no range of items: write it as t01..t31");
    let split = |id: &str| {
        let digits = id.bytes().rev().take_while(u8::is_ascii_digit).count();
        let (name, number) = id.split_at(id.len() - digits);
        Some((name.to_owned(), number.parse::<usize>().ok()?, digits))
    };
    let ((name, from, digits), (other, to, other_digits)) = split(first).zip(split(last)).ok_or_else(wrong)?;
    if name != other || digits != other_digits || from > to || to - from >= limits::VISIT_ITEMS {
        return Err(wrong());
    }
    Ok((from..=to).map(|number| format!("{name}{number:0digits$}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_as_ids_and_ranges_with_what_became_of_them() {
        let check = |text: &str, want: Result<&[(&str, i32)], &str>| {
            let got = items(text);
            match (&got, want) {
                (Ok(got), Ok(want)) => {
                    let got: Vec<_> = got.iter().map(|it| (it.item.as_str(), it.result)).collect();
                    assert_eq!(got, want, "{text}");
                }
                (Err(got), Err(want)) => assert!(got.contains(want), "{text}: {got}"),
                _ => panic!("{text}: {got:?}"),
            }
        };
        check("", Ok(&[]));
        check("t02 t01=failed", Ok(&[("t01", 3), ("t02", 1)]));
        check("t08..t11 t09=adjusted t11=not-applicable", Ok(&[("t08", 1), ("t09", 2), ("t10", 1), ("t11", 4)]));
        check("t01=fine", Err("what became of an item is one of good, adjusted"));
        for bad in ["t01..e31", "t01..t100", "t05..t01", "a..b", "t01.."] {
            check(bad, Err("no range of items"));
        }
        check("t000..t127 x001..x010", Err("more than 128 items"));
    }
}
