//! Rescues in the core, from outside: what may be done when, deadlines across restarts, figures against a hand's reckoning.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise, in its helpers too")]

mod many;
mod moves;
mod random;
mod reassurance;
mod shift;
mod silence;
#[allow(dead_code, reason = "what the tests of rules need more of it")]
#[path = "../support/timeline.rs"]
mod timeline;
mod world;
