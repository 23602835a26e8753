//! vigil watches over smart lifts and gas cylinders.
//!
//! It takes MQTT reports, judges them with rules that are data, streams alerts to dispatch centres and keeps
//! everything as time series. `docs/ARCHITECTURE.md` has the picture; the modules below stand in reading order.

pub mod cli;
pub mod config;

// What is pure stands in a crate of its own, in the same folder: `pure.rs`.
pub use vigil_core::{core, limits, model};

// One report's journey, top to bottom.
pub mod ingest;
pub mod journal;

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
pub mod proto {
    //! Types generated from `proto/`. They stay at the edges: each edge converts them by hand to and from `model`.

    pub use vigil_core::proto::*;

    /// What devices and clients see, and the gRPC services.
    pub mod v1 {
        #![allow(clippy::all, unreachable_pub, reason = "generated")]
        pub use vigil_core::proto::v1::*;
        tonic::include_proto!("vigil.v1");
    }
}
