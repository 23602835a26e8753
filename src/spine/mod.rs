//! The loop that ties inbox, core and outbox together.

pub mod input;
