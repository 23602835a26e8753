//! The deterministic core: records in, effects out. Pure: no I/O, no clock, no random numbers.

pub mod rules;
