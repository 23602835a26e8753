//! vigil watches over smart lifts and gas cylinders.
//!
//! It takes MQTT reports, judges them with rules that are data, streams alerts to dispatch centres and keeps
//! everything as time series. `docs/ARCHITECTURE.md` has the picture; the modules below stand in reading order.

pub mod config;
pub mod limits;
pub mod model;

pub mod journal;

pub mod core;
pub mod ingest;
pub mod spine;

pub mod simulate;
pub mod pages;

pub mod feed;

pub mod serve;

pub mod cli;

pub mod clock;
pub mod observe;
pub mod proto;
