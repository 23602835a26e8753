//! A small file system of a test's own, that can be filled. It needs root.
//!
//! A shell mounts it and reads from a pipe that we hold open: when the pipe closes, also because this process is gone, the
//! shell unmounts it.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const BLOCK_BYTES: usize = 64 * 1024;

pub struct SmallDisk {
    folder: PathBuf,
    keeper: Child,
}

impl SmallDisk {
    pub fn mount(size_mib: u32) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "this test mounts a small file system, which only root may: run ./tests/run as root, for example in a container \
             (docker run --privileged)"
        );
        let folder = tempfile::Builder::new().prefix("vigil-disk-").tempdir().expect("a temporary folder").keep();
        let mut shell = Command::new("sh");
        shell.args(["-c", MOUNT, "mount"]).arg(&folder).arg(format!("size={size_mib}m,mode=0777"));
        // What interrupts us must reach the shell as a closed pipe and not by itself.
        shell.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = shell.spawn().expect("there is a shell");
        let mut said = String::new();
        BufReader::new(keeper.stdout.take().expect("it was piped")).read_line(&mut said).expect("a pipe");
        assert_eq!(said.trim(), "mounted", "no tmpfs can be mounted here: is this a container without the right to?");
        Self { folder, keeper }
    }

    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Leaves only so much room.
    pub fn fill(&self, leave_bytes: u64) {
        let mut ballast = File::create(self.folder.join("ballast")).expect("a file");
        let stat = rustix::fs::statvfs(&self.folder).expect("it is mounted");
        let mut left = (stat.f_bavail * stat.f_frsize).saturating_sub(leave_bytes);
        while left > 0 {
            let bytes = BLOCK_BYTES.min(usize::try_from(left).unwrap_or(BLOCK_BYTES));
            match ballast.write_all(&[0; BLOCK_BYTES][..bytes]) {
                Ok(()) => left -= bytes as u64,
                Err(error) if error.kind() == ErrorKind::StorageFull => return,
                Err(error) => panic!("the disk can't be filled: {error}"),
            }
        }
    }

    pub fn make_room(&self) {
        fs::remove_file(self.folder.join("ballast")).expect("it was filled");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ended = self.keeper.wait();
    }
}

/// Lazily, since whoever uses it may end a moment later.
const MOUNT: &str = r#"
mount -t tmpfs -o "$2" vigil-test "$1" || exit 1
echo mounted
read -r _
umount -l "$1" && rmdir "$1"
"#;
