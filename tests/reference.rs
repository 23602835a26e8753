//! The rules on lifts as the engine judges them, held against a naive model of what they are to say.
//!
//! The model (`reference/model/`) was written from the specification and knows nothing of `core/`. Timelines are drawn from
//! seeds; of each, both sides must tell the same events, to the ms.
//!
//! Left out of what is drawn or compared, since an honest simple model isn't possible or nobody promises it:
//! - to which moment of the device's own time a confirmation belongs; to the ms, when it has been quiet for long enough
//!   (`told`), and for how long where we were cut off meanwhile (`walk`);
//! - whether a fault that newer frames have both shown and ended occurs anew in a late one (`walk`);
//! - frames without status, and events of the codes of rules that need no hold or that clear by state: what these events
//!   keep open or open again hangs on when something else has the engine look (`EVENTS` in `draw`);
//! - a clock that is set back by less than the time since its last frame: it counts as lateness for ten minutes;
//! - replaced terminals, markers that stay away while the link is up, and what is told of terminals and the service itself.
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

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use vigil::core::Core;
use vigil::scenario::{Options, Scenario};

use self::counts::Counts;

const TIMELINES: u64 = 10_000;
/// So many are also played as `vigil rules test` plays them, which reads the rules anew for each.
const PLAYED: u64 = 30;
/// A run ends when it has found so many.
const FAILURES: usize = 4;

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

fn plan_of(seed: u64) -> (TestRunner, impl ValueTree<Value = draw::Plan>) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config { failure_persistence: None, max_shrink_iters: 4_000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let tree = draw::plan().new_tree(&mut runner).unwrap();
    (runner, tree)
}

/// One timeline. What is wrong, after it was made as short as it can be.
fn check(started: &Core, seed: u64, counts: &mut Counts) -> Result<(), String> {
    let (mut runner, tree) = plan_of(seed);
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

/// What a failure prints is a timeline that people can play, and that says the same.
#[test]
fn printed_timelines_play() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rules");
    let rules = vigil::app::policy::read_folder(&folder).unwrap();
    for seed in 1..=PLAYED {
        let timeline = walk::walk(&plan_of(seed).1.current());
        let text = show::file(&timeline, &model::foretell(&timeline, &mut Counts::default()));
        let scenario = Scenario::read("printed.toml", &text).unwrap_or_else(|faults| panic!("{faults:?}\n{text}"));
        let run = scenario.run(&rules, Options::default()).unwrap();
        assert!(run.failures.is_empty(), "seed {seed}:\n{}\n{text}", run.explained("printed.toml"));
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
