//! CSV files for the archive.

use vigil::cli::import::{Fault, Kind, Reader};
use vigil::proto::v1::upsert_devices_request::Entry;

/// The first byte chooses the kind. Lines only go up, none is beyond the end, and a good one has an entry of its kind.
pub fn import(input: &[u8]) {
    let Some((kind, text)) = input.split_first() else { return };
    let kind = [Kind::Lifts, Kind::Cylinders, Kind::Firms, Kind::Sites][usize::from(kind % 4)];
    let mut reader = match Reader::new(kind, text, text) {
        Ok(reader) => reader,
        Err(error) => return assert!(!format!("{error:#}").is_empty()),
    };
    let lines = 1 + text.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() as u64;
    let mut last = 0;
    let mut check_line = |line: u64| {
        assert!((last + 1..=lines).contains(&line), "line {line} after {last}, of {lines}");
        last = line;
    };
    while let Some(row) = reader.next_row().expect("bytes in memory can be read") {
        match row {
            Ok(request) => {
                check_line(request.line);
                let entry = request.entry.expect("a good line is an entry");
                let code = match (kind, &entry) {
                    (Kind::Lifts, Entry::Lift(lift)) => &lift.code,
                    (Kind::Cylinders, Entry::Cylinder(cylinder)) => &cylinder.code,
                    (Kind::Firms, Entry::Firm(firm)) => &firm.id,
                    (Kind::Sites, Entry::Site(site)) => &site.code,
                    _ => panic!("{entry:?} in a file of {kind:?}"),
                };
                // Other white space is for the service to refuse, as any other character that no code has.
                assert_eq!(code.trim_ascii(), code);
            }
            Err(faults) => {
                check_line(faults.first().expect("a bad line has a fault").line);
                for Fault { line, why, .. } in &faults {
                    assert!(*line == faults[0].line && !why.is_empty(), "{faults:?}");
                }
            }
        }
    }
}
