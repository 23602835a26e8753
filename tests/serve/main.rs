//! The services as clients see them: a server on a free port, in front of a spine that only pretends to judge.

#![allow(clippy::unwrap_used, reason = "a helper that panics fails its test, as it should")]

mod alerts;
mod backtest;
mod cap;
#[path = "../support/cap.rs"]
mod cap_rules;
mod cli;
mod commands;
mod dues;
mod explain;
mod history;
mod import;
mod operate;
mod registry;
#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "../support/timeline.rs"]
mod timeline;
#[allow(dead_code, unreachable_pub, reason = "other tests use the rest of it")]
#[path = "../support/wait.rs"]
mod wait;
mod world;
