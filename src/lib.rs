//! vigil watches over smart lifts and gas cylinders.
//!
//! It takes MQTT reports, judges them with rules that are data, streams alerts to dispatch centres and keeps
//! everything as time series. `docs/ARCHITECTURE.md` has the picture; the modules below stand in reading order.

pub mod cli;
pub mod config;
pub mod limits;
pub mod model;

// One report's journey, top to bottom.
pub mod ingest;
pub mod journal;

pub mod core;
pub mod spine;

pub mod store;

pub mod feed;
pub mod pages;

// What others are told.
pub mod cap;
pub mod notify;

// What users call.
pub mod backtest;
pub mod scenario;
pub mod serve;
pub mod simulate;

// Around.
pub mod app;
pub mod clock;
pub mod observe;
pub mod proto;
