//! Compiles the gRPC services of `proto/`. Their messages are compiled by `src/build.rs`, for the crate of what is pure.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/vigil/v1");
    let mut files = Vec::new();
    for entry in Path::new("proto/vigil/v1").read_dir()? {
        files.push(entry?.path());
    }
    files.sort();
    let set = protox::compile(&files, ["proto"])?;
    tonic_prost_build::configure().extern_path(".vigil.v1", "::vigil_core::proto::v1").compile_fds(set)?;
    Ok(())
}
