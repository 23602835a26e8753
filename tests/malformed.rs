//! Every payload of `tests/malformed/` through the decoder: what is bad is named, and what stands beside it lives.

#[path = "support/malformed.rs"]
mod corpus;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use bytes::Bytes;
use corpus::{Case, Expect, NEIGHBOUR_BOOT, PREFIX};
use vigil::core::decode::{Decoded, Items, Rejected, decode};
use vigil::model::row::RejectReason;

/// A good item as far as the corpus looks at it.
struct Item {
    boot: u32,
    invalid: Vec<Box<str>>,
    shown: String,
}

struct Outcome {
    good: Vec<Item>,
    /// Of items.
    rejects: Vec<Rejected>,
    whole: Option<Rejected>,
}

#[test]
fn every_case_ends_as_its_file_says() {
    let failures: Vec<String> = corpus::cases().iter().filter_map(|case| check(case).err()).collect();
    assert!(failures.is_empty(), "{} cases:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn the_corpus_reaches_everything() {
    let cases = corpus::cases();
    assert!(cases.len() >= 120, "only {} cases", cases.len());
    let names: BTreeSet<_> = cases.iter().map(|case| &case.name).collect();
    assert_eq!(names.len(), cases.len(), "two cases of the same name");
    let payloads: BTreeSet<_> = cases.iter().map(|case| (&case.topic, &case.payload)).collect();
    assert_eq!(payloads.len(), cases.len(), "two cases of the same payload");

    let mut by_reason = BTreeMap::new();
    for case in &cases {
        if let Expect::Whole { reason, .. } | Expect::SetAside { reason, .. } = &case.expect {
            *by_reason.entry(*reason).or_insert(0) += 1;
        }
    }
    // These are given by the store, by the core, and to feeds that aren't ours (`core/decode/profile`).
    let elsewhere = [RejectReason::Unstorable, RejectReason::Skipped, RejectReason::ProfileMisfit];
    let reached = |reason: &&RejectReason| elsewhere.contains(reason) || by_reason.contains_key(reason);
    let missing: Vec<_> = RejectReason::ALL.iter().filter(|reason| !reached(reason)).collect();
    assert!(missing.is_empty(), "no case ends with {missing:?}; there are {by_reason:?}");
}

fn check(case: &Case) -> Result<(), String> {
    let Outcome { good, rejects, whole } = outcome(case);
    let (neighbours, own): (Vec<_>, Vec<_>) = good.into_iter().partition(|item| item.boot == NEIGHBOUR_BOOT);
    let expect = |holds: bool, what: &str| {
        let found = || own.iter().map(|item| format!("{:?} {}", item.invalid, item.shown)).collect::<Vec<_>>();
        let wrong = || format!("{}: {what}; kept {:?}, set aside {rejects:?}, whole {whole:?}", case.name, found());
        if holds { Ok(()) } else { Err(wrong()) }
    };
    let is = |rejected: &Rejected, reason: RejectReason, pointer: &str| {
        rejected.reason == reason && *rejected.pointer == *pointer && !rejected.detail.is_empty()
    };
    if let Expect::Whole { reason, pointer } = &case.expect {
        let same = whole.as_ref().is_some_and(|whole| is(whole, *reason, pointer));
        return expect(same, &format!("not set aside whole as {reason:?} at {pointer:?}"));
    }
    expect(neighbours.len() == case.neighbours, "a good neighbour is missing")?;
    expect(neighbours.iter().all(|item| item.invalid.is_empty()), "a good neighbour is blamed")?;
    match &case.expect {
        Expect::Whole { .. } => Ok(()),
        Expect::SetAside { reason, pointer } => {
            let one = own.is_empty() && rejects.len() == 1 && is(&rejects[0], *reason, pointer);
            expect(one, &format!("not set aside as {reason:?} at {pointer:?}"))?;
            let is_part = case.neighbours == 0 || rejects[0].payload.len() < case.payload.len();
            expect(is_part, "set aside with its neighbours' bytes")
        }
        Expect::Kept { invalid, shows } => {
            let item = own.first().filter(|_| own.len() == 1 && rejects.is_empty());
            expect(
                item.is_some_and(|item| item.invalid.iter().map(|p| &**p).eq(invalid)),
                &format!("not {invalid:?}"),
            )?;
            let missing: Vec<_> = shows.iter().filter(|part| !own[0].shown.contains(part.as_str())).collect();
            expect(missing.is_empty(), &format!("doesn't show {missing:?}"))
        }
        Expect::Empty => expect(own.is_empty() && rejects.is_empty() && whole.is_none(), "not empty"),
    }
}

fn outcome(case: &Case) -> Outcome {
    match decode(PREFIX, &case.topic, &Bytes::from(case.payload.clone())) {
        Decoded::Frames { items, .. } => of_items(items, |frame| (frame.key.boot, frame.invalid.clone())),
        Decoded::Scans { items, .. } => of_items(items, |scan| (scan.key.boot, scan.invalid.clone())),
        Decoded::Rejected(rejected) => Outcome { good: Vec::new(), rejects: Vec::new(), whole: Some(rejected) },
        other => panic!("{}: nothing bad was found: {other:?}", case.name),
    }
}

fn of_items<T: Debug>(items: Items<T>, look: impl Fn(&T) -> (u32, Vec<Box<str>>)) -> Outcome {
    let item = |item: &T| {
        let (boot, invalid) = look(item);
        Item { boot, invalid, shown: format!("{item:?}") }
    };
    Outcome { good: items.good.iter().map(item).collect(), rejects: items.rejects, whole: None }
}
