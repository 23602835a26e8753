//! One version of the core after another, on the same journals (`docs/adr/0005-core-versions.md`).
//!
//! There is only one version yet. So another one is the same core that counts as of another version, and that reads
//! another policy where the older one read its own: in the inbox that it is given, the policy record is exchanged.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]
#![allow(unreachable_pub, reason = "a test file is a crate of its own")]

mod cases;
mod ends;
mod kills;
mod random;
mod world;
