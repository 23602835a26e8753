//! Appending to a journal, beside the same bytes in a bare file: one write and one fdatasync a group.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use vigil::journal::codec::encode_record;
use vigil::journal::local::{LocalJournal, Options};
use vigil::journal::{Identity, Journal};
use vigil::model::record::{Kind, Record};
use vigil::model::time::Elapsed;

use crate::Bench;
use crate::load::BEGAN;
use crate::measure::{cpu_of, ms, percentile, thread_cpu};
use crate::table::Table;

pub fn measure(bench: &Bench, table: &mut Table) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("cargo makes this directory for benchmarks");
    let topic = "vigil/v1/elevator/31305001122014017242/report".into();
    let kind = Kind::Report { topic, payload: Bytes::from_static(&[0x0a; 51]) };
    let mut record = Vec::new();
    encode_record(&Record { pos: 7, elapsed: Elapsed(123_456_789), wall: BEGAN, kind }, &mut record);
    for group in [1, 20, 100, 1_000] {
        durable(table, dir.path(), &record, group, bench.quicker(1_000, 200));
    }
    not_durable(table, dir.path(), &record);
    closing(table, dir.path(), &record);
}

/// What one contestant's groups took.
#[derive(Default)]
struct Groups {
    spans: Vec<Duration>,
    cpu: Duration,
}

impl Groups {
    fn timed(&mut self, work: impl FnOnce()) {
        let (before, began) = (thread_cpu(), Instant::now());
        work();
        self.spans.push(began.elapsed());
        self.cpu += thread_cpu() - before;
    }

    fn median_ms(&mut self) -> f64 {
        self.spans.sort_unstable();
        ms(percentile(&self.spans, 50.0))
    }
}

/// Groups of records, each synced before the next begins. Taking turns lets both meet the same moods of the disk.
fn durable(table: &mut Table, dir: &Path, record: &[u8], group: usize, syncs: usize) {
    let mut journal = open(&dir.join(format!("journal-{group}")));
    let mut bare = File::create(dir.join(format!("bare-{group}"))).expect("a file can be made");
    let bytes = record.repeat(group);
    let (mut ours, mut floor) = (Groups::default(), Groups::default());
    for _ in 0..syncs {
        ours.timed(|| {
            for _ in 0..group {
                journal.append(record).expect("the disk works");
            }
            journal.sync().expect("the disk works");
        });
        floor.timed(|| {
            bare.write_all(&bytes).expect("the disk works");
            bare.sync_data().expect("the disk works");
        });
    }
    let name = format!("append and sync {group} of {} B, median", record.len());
    table.row(name, "ms", ours.median_ms()).floor(floor.median_ms());
    let cpu_us = |groups: &Groups| groups.cpu.as_secs_f64() * 1e6 / (syncs * group) as f64;
    table.row("the same, CPU a record", "µs", cpu_us(&ours)).floor(cpu_us(&floor));
    table.note(format!(
        "a sync of {group}: p99 {:.1} ms, bare {:.1} ms",
        ms(percentile(&ours.spans, 99.0)),
        ms(percentile(&floor.spans, 99.0))
    ));
}

/// What is left of the cost without the disk: appending, releasing in groups of 100, and reading back.
fn not_durable(table: &mut Table, dir: &Path, record: &[u8]) {
    const RECORDS: u32 = 400_000;
    const GROUP: u32 = 100;
    let mut journal = open(&dir.join("released"));
    let mut bare = File::create(dir.join("bare-released")).expect("a file can be made");
    let appended = cpu_of(|| {
        for n in 1..=RECORDS {
            journal.append(record).expect("the disk works");
            if n.is_multiple_of(GROUP) {
                journal.release().expect("the disk works");
            }
        }
    });
    let written = cpu_of(|| {
        let mut bytes = Vec::new();
        for _ in 0..RECORDS / GROUP {
            bytes.clear();
            (0..GROUP).for_each(|_| bytes.extend_from_slice(record));
            bare.write_all(&bytes).expect("the disk works");
        }
    });
    let mut reader = journal.reader();
    let mut some = Vec::new();
    let mut next = 0;
    let read = cpu_of(|| {
        while next < u64::from(RECORDS) {
            reader.read(next, 1_000, usize::MAX, &mut some).expect("the disk works");
            next += some.len() as u64;
        }
    });
    let ns = |took: Duration| took.as_secs_f64() * 1e9 / f64::from(RECORDS);
    table.row("append and release, not synced, CPU a record", "ns", ns(appended)).floor(ns(written));
    table.row("read back, CPU a record", "ns", ns(read));
}

/// The longest that an append takes in a journal that nobody syncs, such as the outbox, until it has closed a segment;
/// beside syncing as much at once.
fn closing(table: &mut Table, dir: &Path, record: &[u8]) {
    const GROUP: usize = 500;
    /// Some 10 MB/s, as at 60,000 reports/s.
    const EVERY: Duration = Duration::from_millis(5);
    let mut journal = open(&dir.join("closing"));
    let mut bare = File::create(dir.join("bare-closing")).expect("a file can be made");
    let bytes = record.repeat(GROUP);
    let mut longest = Duration::ZERO;
    while journal.segments().len() < 2 {
        let began = Instant::now();
        for _ in 0..GROUP {
            journal.append(record).expect("the disk works");
        }
        journal.release().expect("the disk works");
        longest = longest.max(began.elapsed());
        bare.write_all(&bytes).expect("the disk works");
        std::thread::sleep(EVERY);
    }
    let began = Instant::now();
    bare.sync_data().expect("the disk works");
    table
        .row("closing a segment of a journal that isn't synced, longest append", "ms", ms(longest))
        .floor(ms(began.elapsed()));
}

fn open(dir: &Path) -> LocalJournal {
    let options = Options::new(Identity { id: 1, epoch: 1 });
    LocalJournal::open(dir, &options).expect("the directory is new").journal
}
