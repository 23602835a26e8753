//! The rules on lifts as the engine judges them, held against a naive model of what they are to say.
//!
//! The model (`reference/model/`) was written from the specification and knows nothing of `core/`. Timelines are drawn from
//! seeds; of each, both sides must tell the same events, to the ms.
//!
//! ```sh
//! cargo test --test reference -- --nocapture
//! VIGIL_REFERENCE_TIMELINES=100000 VIGIL_REFERENCE_SEED=7 cargo test --test reference -- --nocapture
//! ```

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise, in its helpers too")]
#![allow(clippy::print_stderr, reason = "seeds and counts are to be seen")]

#[path = "reference/counts.rs"]
mod counts;
#[path = "reference/draw.rs"]
mod draw;
#[path = "reference/engine.rs"]
mod engine;
#[path = "reference/model/mod.rs"]
mod model;
#[path = "reference/show.rs"]
mod show;
#[path = "reference/timeline.rs"]
mod timeline;
#[path = "reference/told.rs"]
mod told;
#[path = "reference/walk.rs"]
mod walk;

use std::cell::RefCell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use vigil::core::Core;

use self::counts::Counts;

const TIMELINES: u64 = 10_000;
/// A run ends when it has found so many.
const FAILURES: usize = 4;

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

/// One timeline. What is wrong, after it was made as short as it can be.
fn check(started: &Core, seed: u64, counts: &mut Counts) -> Result<(), String> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config { failure_persistence: None, max_shrink_iters: 4_000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let tree = draw::plan().new_tree(&mut runner).unwrap();
    let counts = RefCell::new(counts);
    let result = runner.run_one(tree, |plan| {
        let timeline = walk::walk(&plan);
        let foretold = model::foretell(&timeline, *counts.borrow_mut());
        let told = engine::judge(started, &timeline);
        told::difference(&foretold, &told).map_or(Ok(()), |text| Err(TestCaseError::fail(text)))
    });
    match result {
        Ok(_) => Ok(()),
        Err(TestError::Fail(why, plan)) => {
            let timeline = walk::walk(&plan);
            let foretold = model::foretell(&timeline, &mut Counts::default());
            Err(format!("seed {seed}:\n{}\n{why}", show::file(&timeline, &foretold)))
        }
        Err(TestError::Abort(why)) => Err(format!("seed {seed}: {why}")),
    }
}

#[test]
fn the_engine_tells_what_the_model_foretells() {
    let timelines = number("VIGIL_REFERENCE_TIMELINES", TIMELINES);
    let first = number("VIGIL_REFERENCE_SEED", 1);
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get().min(8));
    let started = engine::started();
    let (next, failures) = (AtomicU64::new(first), Mutex::new(Vec::new()));
    let work = || {
        let mut counts = Counts::default();
        while failures.lock().unwrap().len() < FAILURES {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + timelines {
                break;
            }
            if let Err(why) = check(&started, seed, &mut counts) {
                failures.lock().unwrap().push(why);
            }
        }
        counts
    };
    let mut counts = Counts::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            counts.add(&worker.join().unwrap());
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    eprintln!("seeds {first} to {}\n{counts}", first + timelines - 1);
    if timelines >= TIMELINES {
        assert_eq!(counts.wanting(), Vec::<&str>::new(), "too little was seen of these rules\n{counts}");
    }
}
