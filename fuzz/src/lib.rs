//! The bodies of the fuzz targets, so that `cargo fuzz` and `tests/fuzz_corpus.rs` run the same ones.
//!
//! A target takes any bytes. It must not panic on them, and each has more to say than that: what was read can be
//! written and read again, both encodings agree, a bad item costs no neighbour, and what comes out is no larger than
//! what went in allows.

pub mod clients;
pub mod codec;
pub mod decode;
pub mod import;
pub mod judge;
pub mod profile;
pub mod script;
pub mod segments;
pub mod settings;
pub mod snapshots;
pub mod store;

/// Frames and scans as devices send them: written once, for the decoder's own tests.
#[path = "../../src/core/decode/tests/encode.rs"]
mod encode;

#[allow(unused_imports, reason = "what that file says `crate::` of, where this file is the root")]
use vigil::{model, proto};

pub type Target = fn(&[u8]);

/// Every target by its name, which is also that of its corpus and of its program.
pub const TARGETS: &[(&str, Target)] = &[
    ("condition", settings::condition),
    ("config", settings::config),
    ("effects", codec::effects),
    ("elevator_json", decode::elevator_json),
    ("elevator_protobuf", decode::elevator_protobuf),
    ("import", import::import),
    ("judge", judge::judge),
    ("page_token", clients::page_token),
    ("profile", profile::profile),
    ("record", codec::record),
    ("request", clients::request),
    ("rules", settings::rules),
    ("scan_json", decode::scan_json),
    ("scan_protobuf", decode::scan_protobuf),
    ("segments", segments::segments),
    ("snapshot_content", snapshots::content),
    ("snapshot_file", snapshots::file),
    ("status", decode::status),
    ("store", store::store),
    ("topic", decode::topic),
];
