//! What the integration tests share. Each test file uses a part of it.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it, and is a crate of its own")]

pub mod fleet;
pub mod misbehaving;
pub mod mosquitto;
pub mod patience;
pub mod postgres;
pub mod process;
pub mod publisher;
pub mod rows;
pub mod service;
pub mod spine;
pub mod wait;
pub mod watcher;
