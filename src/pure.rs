//! What vigil decides, and nothing of how it is reached, kept or carried: a crate of its own in the same folder, so that
//! its list of dependencies shows that it does no I/O, and tests run it optimised (`docs/adr/0025`).

pub mod core;
pub mod limits;
pub mod model;
pub mod proto;
