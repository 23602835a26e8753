//! Reads the command line and runs one command.

use std::process::ExitCode;

/// `docs/adr/0007-allocator.md` says why.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    vigil::cli::main()
}
