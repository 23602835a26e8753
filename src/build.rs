//! Compiles the protobuf files in pure Rust: nobody needs protoc to build this.

use std::path::{Path, PathBuf};

use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut files = Vec::new();
    for folder in ["../proto/vigil/v1", "../proto/vigil/internal/v1"] {
        println!("cargo:rerun-if-changed={folder}");
        files.extend(proto_files(Path::new(folder))?);
    }
    let set = protox::compile(&files, ["../proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), set.encode_to_vec())?;
    // Payloads are cut out of the buffer they were read into; maps keep an order, because what is
    // written must not depend on a hash.
    prost_build::Config::new().bytes(["."]).btree_map(["."]).compile_fds(set)?;
    Ok(())
}

fn proto_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "proto") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
