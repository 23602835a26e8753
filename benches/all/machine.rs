//! Where a run took place.

use std::fs;
use std::process::Command;

use vigil::model::time::Wall;

use crate::traffic::wall;

/// The heading of the table.
pub fn described() -> String {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = processors.lines().find(|line| line.starts_with(name))?;
        line.split_once(':').map(|(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory_kib: u64 = memory.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let Wall(now_ms) = wall();
    let day = jiff::Timestamp::from_millisecond(now_ms).map(|now| now.strftime("%F %H:%M UTC").to_string());
    format!(
        "{}: {cores} cores of {}, {:.0} GiB, Linux {}, {}; one machine for service, broker, database and devices.",
        day.unwrap_or_default(),
        field("model name").unwrap_or_else(|| "an unnamed processor".into()),
        memory_kib as f64 / 1_048_576.0,
        kernel.trim(),
        [version("mosquitto", "-h"), version("psql", "--version")].join(", "),
    )
}

/// The first line of what a program says about itself.
fn version(program: &str, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    said.lines().next().map_or_else(|| format!("{program} of unknown version"), str::to_owned)
}
