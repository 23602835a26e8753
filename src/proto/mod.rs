//! Types generated from `proto/`. They stay at the edges: each edge converts them by hand to and from `model`.

pub(crate) mod incident;
pub(crate) mod read;
pub(crate) mod write;
pub(crate) mod writer;

/// What devices and clients see.
pub mod v1 {
    #![allow(clippy::all, unreachable_pub, reason = "generated")]
    tonic::include_proto!("vigil.v1");
}

/// What journals and snapshots hold.
pub mod internal {
    #![allow(clippy::all, unreachable_pub, reason = "generated")]
    tonic::include_proto!("vigil.internal.v1");
}

/// All of `proto/`, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
