//! What the integration tests share. Each test file uses a part of it.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it, and is a crate of its own")]

pub mod misbehaving;
pub mod mosquitto;
pub mod postgres;
pub mod process;
pub mod publisher;
pub mod python;
pub mod rows;
pub mod spine;
pub mod vigil;
