//! What the journals cost: `cargo bench --bench journal`. Disks differ, so ours stands beside a bare file of the same
//! run: the same bytes, one write and one fdatasync a group.

use std::fs::File;
use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use vigil::journal::codec::{decode_effects, decode_record, encode_effects, encode_record};
use vigil::journal::local::{LocalJournal, Options};
use vigil::journal::{Identity, Journal};
use vigil::model::frame::{Car, Direction, Door, Frame, FrameKey, Listed, Mode, Reported};
use vigil::model::record::{Kind, Record};
use vigil::model::row::{Effects, FrameRow, Order, Row, TimeSource};
use vigil::model::time::{Elapsed, Wall};

const SYNCS: usize = 1_000;

fn main() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("cargo makes this directory for benchmarks");
    let record = single_frame_report();
    let mut bytes = Vec::new();
    encode_record(&record, &mut bytes);
    println!("a record of {} bytes", bytes.len());
    for group in [1, 20, 100] {
        durable(dir.path(), &bytes, group);
    }
    not_durable(dir.path(), &bytes);
    codec(&record, &effects_of_a_frame());
}

/// Groups of records, each synced before the next begins.
fn durable(dir: &Path, record: &[u8], group: usize) {
    let mut journal = open(&dir.join(format!("journal-{group}")));
    let mut bare = File::create(dir.join(format!("bare-{group}"))).expect("a file can be made");
    let bytes = record.repeat(group);
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    // Taking turns lets both meet the same moods of the disk.
    for _ in 0..SYNCS {
        ours.push(timed(|| {
            for _ in 0..group {
                journal.append(record).expect("the disk works");
            }
            journal.sync().expect("the disk works");
        }));
        floor.push(timed(|| {
            bare.write_all(&bytes).expect("the disk works");
            bare.sync_data().expect("the disk works");
        }));
    }
    let (total, median, p99) = summary(&mut ours);
    let (floor_total, floor_median, floor_p99) = summary(&mut floor);
    println!(
        "synced in groups of {group:>3}: {:>9.0} records/s, {:.2} of a bare file's; a sync {median:?}, p99 {p99:?} (bare {floor_median:?}, {floor_p99:?})",
        (SYNCS * group) as f64 / total.as_secs_f64(),
        floor_total.as_secs_f64() / total.as_secs_f64(),
    );
}

/// What is left of the cost without the disk: appending, releasing in groups of 100, and reading back.
fn not_durable(dir: &Path, record: &[u8]) {
    const RECORDS: u64 = 400_000;
    let mut journal = open(&dir.join("released"));
    let appended = cpu_timed(|| {
        for n in 1..=RECORDS {
            journal.append(record).expect("the disk works");
            if n % 100 == 0 {
                journal.release().expect("the disk works");
            }
        }
    });
    let mut reader = journal.reader();
    let mut some = Vec::new();
    let mut next = 0;
    let read = cpu_timed(|| {
        while next < RECORDS {
            reader.read(next, 1_000, usize::MAX, &mut some).expect("the disk works");
            next += some.len() as u64;
        }
    });
    println!("append and release {:.0} ns a record; read {:.0} ns", per(appended, RECORDS), per(read, RECORDS));
}

fn codec(record: &Record, effects: &Effects) {
    const TIMES: u64 = 1_000_000;
    let mut out = Vec::new();
    let encode = |out: &mut Vec<u8>, write: &dyn Fn(&mut Vec<u8>)| {
        let took = cpu_timed(|| {
            for _ in 0..TIMES {
                out.clear();
                write(black_box(out));
            }
        });
        per(took, TIMES)
    };
    let decode = |bytes: &Bytes, read: &dyn Fn(Bytes)| {
        let took = cpu_timed(|| (0..TIMES).for_each(|_| read(black_box(bytes.clone()))));
        per(took, TIMES)
    };
    let write_ns = encode(&mut out, &|out| encode_record(black_box(record), out));
    let bytes = Bytes::copy_from_slice(&out);
    let read_ns = decode(&bytes, &|bytes| drop(black_box(decode_record(0, bytes).expect("it was just written"))));
    println!("record: encode {write_ns:.0} ns, decode {read_ns:.0} ns, {} bytes", bytes.len());
    let write_ns = encode(&mut out, &|out| encode_effects(1, black_box(effects), out));
    let bytes = Bytes::copy_from_slice(&out);
    let read_ns = decode(&bytes, &|bytes| drop(black_box(decode_effects(bytes).expect("it was just written"))));
    println!("effects: encode {write_ns:.0} ns, decode {read_ns:.0} ns, {} bytes", bytes.len());
}

fn open(dir: &Path) -> LocalJournal {
    let options = Options::new(Identity { id: 1, epoch: 1 });
    LocalJournal::open(dir, &options).expect("the directory is new").journal
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// The processor's time instead of the clock's: what else runs on the machine doesn't count.
fn cpu_timed(work: impl FnOnce()) -> Duration {
    let now = || rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let start = now();
    work();
    let end = now();
    Duration::from_secs((end.tv_sec - start.tv_sec) as u64) + Duration::from_nanos(end.tv_nsec as u64)
        - Duration::from_nanos(start.tv_nsec as u64)
}

fn per(took: Duration, times: u64) -> f64 {
    took.as_nanos() as f64 / times as f64
}

/// Total, median, 99th percentile.
fn summary(times: &mut [Duration]) -> (Duration, Duration, Duration) {
    times.sort_unstable();
    (times.iter().sum(), times[times.len() / 2], times[times.len() * 99 / 100])
}

fn single_frame_report() -> Record {
    let topic = "vigil/v1/elevator/31305001122014017242/report".into();
    let kind = Kind::Report { topic, payload: Bytes::from_static(&[0x0a; 51]) };
    Record { pos: 7, elapsed: Elapsed(123_456_789), wall: Wall(1_795_305_600_000), kind }
}

fn effects_of_a_frame() -> Effects {
    let at = Wall(1_795_305_600_000);
    let frame = Frame {
        key: FrameKey { boot: 3, seq: 123_456 },
        claimed_at: Some(at),
        mode: Reported::Known(Mode::Normal),
        car: Reported::Known(Car::Stopped),
        direction: Reported::Known(Direction::None),
        door_zone: Reported::Known(true),
        door: Reported::Known(Door::Closed),
        passenger: Reported::Known(true),
        floor: Reported::Known(12),
        floor_label: Reported::Known("12".into()),
        load_kg: Reported::Known(150),
        speed_mm_s: Reported::Known(0),
        runs: Reported::Known(1_234_567),
        run_hours: Reported::Known(12_345),
        faults: Listed { items: vec![4], partial: false },
        extras: vec![("vibration_mg".into(), 12.5)],
        has_status: true,
        ..Frame::default()
    };
    let row = FrameRow {
        device: "31305001122014017242".parse().expect("it has the right form"),
        generation: 0,
        frame,
        received_at: at + 120,
        effective_at: at,
        time_source: TimeSource::Claimed,
        order: Order::Newer,
    };
    Effects { rows: vec![Row::Frame(row)], ..Effects::default() }
}
