//! The nouns: what vigil talks about, without saying how it is carried or kept.
//!
//! **Invariant:** nothing here names serde, prost, a runtime, a database or a clock. Edges convert by hand.

pub mod actor;
pub mod alert;
pub mod archive;
pub mod downlink;
pub mod fill;
pub mod frame;
pub mod ids;
pub mod incident;
pub mod obligation;
pub mod record;
pub mod report;
pub mod row;
pub mod scan;
pub mod time;
pub mod visit;

#[cfg(any(test, feature = "arbitrary"))]
pub mod arbitrary;
