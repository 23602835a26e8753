//! What vigil costs beside the bare parts that it is built on, as one table in Markdown.
//!
//! `cargo bench --bench all` runs everything, which takes half an hour; `cargo bench --bench all -- decode rules`
//! only these parts, `--quick` less of each, and `--rows 100000000` has the history hold that many rows. Floor and ours
//! come from the same run. It starts and ends the brokers and databases that it needs: mosquitto, PostgreSQL and setpriv
//! must be installed. `docs/benchmarks.md` says what the figures mean and what limits them.

#![allow(unreachable_pub, reason = "a program, whose modules only it reads")]
#![allow(clippy::print_stderr, reason = "the table goes to stdout, and what it is busy with beside it")]

mod bare;
#[path = "../../tests/station/day.rs"]
mod day;
mod load;
mod machine;
mod measure;
mod part {
    pub mod commands;
    pub mod decode;
    pub mod end_to_end;
    pub mod history;
    pub mod import;
    pub mod ingest;
    pub mod journal;
    pub mod latency;
    pub mod memory;
    pub mod obligations;
    pub mod restart;
    pub mod rules;
    pub mod station;
    pub mod store;
    pub mod watchers;
    pub mod year;
}
mod service;
#[path = "../../tests/support/mod.rs"]
mod support;
mod table;
mod traffic;
#[path = "../../tests/year/mod.rs"]
mod year;

use std::cell::OnceCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use support::mosquitto::{Mosquitto, Settings};
use support::postgres::Postgres;
use table::Table;

/// A city: Yinchuan.
pub const LIFTS: u32 = 25_000;
pub const CYLINDERS: u32 = 162_000;

type Measure = fn(&Bench, &mut Table);

const PARTS: [(&str, Measure); 16] = [
    ("decode", part::decode::measure),
    ("rules", part::rules::measure),
    ("commands", part::commands::measure),
    ("journal", part::journal::measure),
    ("store", part::store::measure),
    ("ingest", part::ingest::measure),
    ("end-to-end", part::end_to_end::measure),
    ("latency", part::latency::measure),
    ("watchers", part::watchers::measure),
    ("restart", part::restart::measure),
    ("memory", part::memory::measure),
    ("import", part::import::measure),
    ("obligations", part::obligations::measure),
    ("station", part::station::measure),
    ("year", part::year::measure),
    ("history", part::history::measure),
];

/// What the parts share.
pub struct Bench {
    quick: bool,
    /// Frames in the history that is asked.
    rows: u64,
    postgres: OnceCell<Postgres>,
    /// Reports that the service takes in a second at most, with PostgreSQL.
    highest_per_s: OnceCell<f64>,
}

impl Bench {
    /// Less of something where there is no time.
    pub fn quicker<T>(&self, usually: T, quick: T) -> T {
        if self.quick { quick } else { usually }
    }

    /// One server for all parts, each of which makes databases of its own.
    pub(crate) fn postgres(&self) -> &Postgres {
        self.postgres.get_or_init(|| Postgres::start(true))
    }

    /// A broker with the bounds of `deploy/mosquitto.conf`.
    pub fn broker(&self, on_disk: bool) -> Mosquitto {
        let extra = if on_disk { "autosave_interval 5" } else { "" }.to_owned();
        Mosquitto::start(Settings { persistence: on_disk, max_inflight: 4_000, extra, ..Settings::default() })
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if part_of_another(&args) {
        return ExitCode::SUCCESS;
    }
    let (bench, wanted) = match arguments(args) {
        Ok(asked) => asked,
        Err(fault) => {
            eprintln!("{fault}\nparts: {}\noptions: --quick, --rows NUMBER", PARTS.map(|(name, _)| name).join(" "));
            return ExitCode::from(2);
        }
    };
    let mut table = Table::default();
    let mut failed = false;
    for (name, measure) in PARTS.into_iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|w| w == name)) {
        let before = measure::load_average();
        eprintln!("{name} (load average {before})");
        table.begin(name);
        // What one part lacks, such as a database, costs the others nothing.
        if catch_unwind(AssertUnwindSafe(|| measure(&bench, &mut table))).is_err() {
            failed = true;
            table.note("**failed**, see above");
        }
        table.note(format!("load average {before} before, {} after", measure::load_average()));
    }
    println!("{}\n\n{table}", machine::described());
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// This program is also what some parts measure or hold against ours, in a process of its own.
fn part_of_another(args: &[String]) -> bool {
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [bare::SUBSCRIBER, broker, messages] => bare::subscribe(broker, messages.parse().expect("a number")),
        [part::year::YEAR, lifts, cylinders] => {
            part::year::live_it(lifts.parse().expect("a number"), cylinders.parse().expect("a number"));
        }
        [part::year::STATE, file] => part::year::restore(file),
        [part::memory::CORE, lifts] => part::memory::core(lifts.parse().expect("a number")),
        [part::watchers::WATCHERS, grpc, watchers] => {
            part::watchers::watch_all(grpc, watchers.parse().expect("a number"));
        }
        _ => return false,
    }
    true
}

fn arguments(args: Vec<String>) -> Result<(Bench, Vec<String>), String> {
    let mut bench = Bench { quick: false, rows: 10_000_000, postgres: OnceCell::new(), highest_per_s: OnceCell::new() };
    let mut parts = Vec::new();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            // Cargo says so to every benchmark.
            "--bench" => {}
            "--quick" => bench = Bench { quick: true, rows: bench.rows.min(1_000_000), ..bench },
            "--rows" => {
                let rows = args.next().and_then(|rows| rows.parse().ok());
                bench.rows = rows.filter(|rows| *rows >= 1_000_000).ok_or("--rows wants a number from 1000000 on")?;
            }
            part if PARTS.iter().any(|(name, _)| *name == part) => parts.push(arg),
            _ => return Err(format!("`{arg}` is neither a part nor an option")),
        }
    }
    Ok((bench, parts))
}
