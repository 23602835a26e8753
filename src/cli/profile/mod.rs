//! `vigil profile`: source profiles looked at and tried out without a service.

mod check;
mod frame;
mod test;

use std::process::ExitCode;

use super::Terminal;

/// Check source profiles, and see what they make of samples
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Command {
    Check(check::Args),
    Test(test::Args),
}

pub(super) async fn run(args: Args, terminal: &mut Terminal) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Check(args) => check::run(args, terminal),
        Command::Test(args) => test::run(args, terminal),
    }
}
