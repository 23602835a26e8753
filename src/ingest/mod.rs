//! Takes messages from the MQTT broker and acknowledges each when, and only when, it is safe in the inbox.
//!
//! `subscriber` decides, `ledger`, `marker` and `backoff` are the pure parts it decides with, and `mqtt` is the only
//! module that knows the client library. `embedded` is a broker for demonstrations.
//!
//! **Invariants:** the broker gets its acknowledgements in the order in which it sent the messages, and only on the
//! connection on which it sent them. Nothing of a connection outlives it. Nothing here waits for the spine without
//! sending on the acknowledgements that have become due.

pub(crate) mod backoff;
pub mod downlink;
#[cfg(feature = "demo")]
pub mod embedded;
pub mod ledger;
pub mod marker;
mod mqtt;
mod options;
mod subscriber;

pub use options::{Login, MqttOptions};
pub use subscriber::{IngestError, run};
