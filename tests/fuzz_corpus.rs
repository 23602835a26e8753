//! Every input of `fuzz/corpus/` through the target it belongs to: what fuzzing found once is never found again.
//! `fuzz/README.md` says how to look for more.

use std::fs;
use std::path::PathBuf;

#[allow(dead_code, unreachable_pub, reason = "the whole of it is for cargo fuzz")]
#[path = "../fuzz/src/lib.rs"]
mod targets;

// What the targets' encoder says `crate::` of.
use vigil::{model, proto};

/// The whole corpus, so that the repository stays small.
const CORPUS_BYTES: usize = 400 * 1024;

fn inputs(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("its entry can be read").path()).collect();
    paths.sort();
    let read = |path: PathBuf| fs::read(&path).map(|bytes| (path, bytes)).expect("an input can be read");
    paths.into_iter().map(read).collect()
}

#[test]
fn every_input_passes() {
    let mut bytes = 0;
    for (name, target) in targets::TARGETS {
        let inputs = inputs(name);
        assert!(inputs.len() >= 5, "{name} has hardly any inputs");
        for (path, input) in inputs {
            bytes += input.len();
            let passes = std::panic::catch_unwind(|| target(&input)).is_ok();
            assert!(passes, "{} fails: what is wrong stands above", path.display());
        }
    }
    assert!(bytes <= CORPUS_BYTES, "the corpora take {bytes} bytes: minimise them");
}

#[test]
fn every_target_has_a_program_and_a_corpus() {
    let manifest = include_str!("../fuzz/Cargo.toml");
    let programs: Vec<&str> = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")?.strip_suffix(".rs\""))
        .collect();
    let targets: Vec<&str> = targets::TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(programs, targets);
}
