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

/// Changes that no coverage guides: shallow, but here on every run. `FUZZ_RUNS` sets how many a target gets.
#[test]
fn every_target_stands_changed_inputs() {
    let runs: u64 = std::env::var("FUZZ_RUNS").map_or(100, |runs| runs.parse().expect("FUZZ_RUNS is a number"));
    let only = std::env::var("FUZZ_TARGET").ok();
    for (name, target) in targets::TARGETS {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        let inputs: Vec<Vec<u8>> = inputs(name).into_iter().map(|(_, input)| input).collect();
        for seed in 1..=runs {
            let input = changed(&inputs, &mut Dice(seed));
            let passes = std::panic::catch_unwind(|| target(&input)).is_ok();
            assert!(passes, "{name} fails with seed {seed}: {:?}", String::from_utf8_lossy(&input));
        }
    }
}

/// Splitmix64: a seed gives the same numbers on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end.max(1) as u64) as usize
    }
}

fn changed(inputs: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    const TELLING: &[u8] = b"\0\x01\x7f\x80\xff\"\\{}[](),:0-1e9.\n\r\t /'=";
    let mut input = inputs[dice.below(inputs.len())].clone();
    for _ in 0..=dice.below(4) {
        let at = dice.below(input.len() + 1);
        let end = (at + dice.below(16)).min(input.len());
        match dice.below(7) {
            0 => input.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << dice.below(8)),
            1 => input.get_mut(at).into_iter().for_each(|byte| *byte = TELLING[dice.below(TELLING.len())]),
            2 => input.insert(at, TELLING[dice.below(TELLING.len())]),
            3 => drop(input.drain(at..end)),
            4 => drop(input.splice(at..at, input[at..end].to_vec())),
            5 => input.truncate(at),
            _ => {
                let other = &inputs[dice.below(inputs.len())];
                let from = dice.below(other.len() + 1);
                let to = (from + dice.below(64)).min(other.len());
                drop(input.splice(at..end, other[from..to].iter().copied()));
            }
        }
    }
    input
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
