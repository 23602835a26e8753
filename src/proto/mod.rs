//! Types generated from `proto/`. They stay at the edges: each edge converts them by hand to and from `model`.

pub mod incident;
pub mod read;
pub mod write;
pub mod writer;

/// What devices and clients see.
pub mod v1 {
    #![allow(clippy::all, unreachable_pub, reason = "generated")]
    include!(concat!(env!("OUT_DIR"), "/vigil.v1.rs"));
}

/// What journals and snapshots hold.
pub mod internal {
    #![allow(clippy::all, unreachable_pub, reason = "generated")]
    include!(concat!(env!("OUT_DIR"), "/vigil.internal.v1.rs"));
}

/// All of `proto/`, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
