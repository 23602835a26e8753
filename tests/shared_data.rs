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

#[test]
fn the_recording_is_whole() {
    let text = recording();
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    assert_eq!(rows.headers().unwrap(), vec!["ball-bearing", "humidity", "vibration"]);
    let rows: Vec<[f64; 3]> = rows.deserialize().collect::<Result<_, _>>().unwrap();
    assert_eq!(rows.len(), 112_001);
    assert_eq!(rows[0], [93.744, 73.999, 18.0]);
    assert!(rows.iter().flatten().all(|value| value.is_finite()));
}
