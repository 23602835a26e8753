//! Programs in Python, with the libraries of `tests/python/requirements.txt`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::process;

/// The environment that `tests/run` makes beside what cargo builds.
pub fn interpreter() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a folder of cargo's");
    let (venv, wanted) = (target.join("python"), root().join("tests/python/requirements.txt"));
    let read = |file: &Path| std::fs::read(file).ok();
    assert!(
        read(&wanted).is_some() && read(&wanted) == read(&venv.join("requirements.txt")),
        "the clients in Python need an environment of their own, which isn't in {} or is out of date: run ./tests/run \
         once, it makes it and runs every test; `cargo test` finds it there from then on",
        venv.display()
    );
    venv.join("bin/python")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A command for a program of `tests/python`.
pub fn command(program: &str) -> Command {
    let mut command = process::command(interpreter());
    // Its modules are not compiled into our source tree.
    command.arg("-B").arg(root().join("tests/python").join(program));
    command
}

/// Generates the modules of the messages and services in `proto/vigil/v1` into `folder`, as any client would.
pub fn generate(folder: &Path) {
    let proto = root().join("proto");
    let mut files: Vec<_> = std::fs::read_dir(proto.join("vigil/v1"))
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .expect("proto/vigil/v1 can be listed");
    files.sort();
    let option = |name: &str, folder: &Path| format!("{name}={}", folder.display());
    let mut protoc = Command::new(interpreter());
    protoc.args(["-m", "grpc_tools.protoc"]).arg(option("--proto_path", &proto));
    protoc.arg(option("--python_out", folder)).arg(option("--grpc_python_out", folder)).args(files);
    let output = protoc.stdin(Stdio::null()).output().expect("python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
