//! Notifications: webhooks to receivers as bad as they come.
#![allow(clippy::unwrap_used, reason = "a helper that panics fails its test, as it should")]

#[path = "../support/mod.rs"]
mod support;

mod cap;
mod config;
mod deliveries;
mod faults;
mod service;
mod tls;
mod world;
