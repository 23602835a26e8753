//! The recorded lift sensors (Zenodo 3653909), which lie beside the repository and not in it: `tests/run` looks for them.

use std::process::{Command, Stdio};

/// The recording with its header line, unpacked.
fn recording() -> String {
    let folder = std::env::var_os("SHARED_DATA").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        std::path::PathBuf::from,
    );
    let unpacked = Command::new("gzip")
        .arg("-dc")
        .arg(folder.join("lift-sensors-zenodo-3653909.csv.gz"))
        .stdin(Stdio::null())
        .output()
        .expect("gzip runs");
    assert!(unpacked.status.success(), "{}", String::from_utf8_lossy(&unpacked.stderr));
    String::from_utf8(unpacked.stdout).expect("the recording is text")
}

/// `None` where a spreadsheet has turned the number into a date (`18. Jan`, `Nov-76`). The number can't be told
/// from it (18.01 and 18.1 look the same), so such a cell counts as not reported.
fn cell(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

#[test]
fn the_recording_is_whole() {
    let text = recording();
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    assert_eq!(rows.headers().unwrap(), vec!["ball-bearing", "humidity", "vibration"]);
    let (mut count, mut dates) = (0, [0; 3]);
    for row in rows.records() {
        let row = row.unwrap();
        count += 1;
        for (column, text) in row.iter().enumerate() {
            dates[column] += usize::from(cell(text).is_none());
        }
    }
    assert_eq!((count, dates), (112_001, [535, 0, 5_242]));
}
