//! What the integration tests share. Each test file uses a part of it.
#![allow(clippy::unwrap_used, reason = "a helper that panics fails its test, as it should")]
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it, and is a crate of its own")]

pub mod cap;
pub mod fleet;
pub mod gun;
pub mod misbehaving;
pub mod mosquitto;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod publisher;
pub mod python;
pub mod receiver;
pub mod rows;
pub mod service;
pub mod small_disk;
pub mod spine;
pub mod tap;
pub mod vigil;
pub mod wait;
pub mod watcher;
