//! vigil watches over smart lifts and gas cylinders.
//!
//! It takes MQTT reports, judges them with rules that are data, streams alerts to dispatch centres and keeps
//! everything as time series. `docs/ARCHITECTURE.md` has the picture; the modules below stand in reading order.

pub mod limits;
pub mod model;
pub mod spine;

pub mod store;

pub mod clock;
pub mod proto;
