//! What falls due when. The cases in `tests/obligations/` were worked by hand from the clauses; none of their dates was
//! produced by the code that they check.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::fs;
use std::path::Path;

use vigil::core::tables::{self, Tables};

fn read(folder: &str, prefix: &str) -> Vec<(Box<str>, Box<str>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<(Box<str>, Box<str>)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| {
            let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            (name.into(), fs::read_to_string(entry.path()).unwrap().into())
        })
        .collect();
    files.sort();
    files
}

fn shipped() -> Tables {
    tables::parse(&read("config/rules/tables", "tables/")).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

#[test]
fn the_shipped_tables_are_read() {
    assert!(shipped() != Tables::default());
}
