//! `vigil rules`: rules looked at and tried out without a service, and given to one.

mod backtest;
mod check;
mod reload;
mod test;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use super::Terminal;
use crate::config::{Config, process_variables};

/// Check rules, test them with timelines or with history, and reload them in a running service
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Command {
    Check(check::Args),
    Test(test::Args),
    Backtest(Box<backtest::Args>),
    Reload(reload::Args),
}

pub(super) async fn run(args: Args, terminal: &mut Terminal, stop: CancellationToken) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Check(args) => or_broken_off(&stop, check::run(args, terminal)).await,
        Command::Test(args) => or_broken_off(&stop, test::run(args, terminal)).await,
        Command::Backtest(args) => backtest::run(*args, terminal, stop).await,
        Command::Reload(args) => super::or_stop(&stop, reload::run(args, terminal)).await,
    }
}

/// Who breaks off a check has not learnt that all is well.
async fn or_broken_off(
    stop: &CancellationToken,
    work: impl Future<Output = anyhow::Result<ExitCode>>,
) -> anyhow::Result<ExitCode> {
    tokio::select! {
        result = work => result,
        () = stop.cancelled() => Ok(ExitCode::from(130)),
    }
}

/// The folder that the configuration names. `None`: it is wrong, and that was told.
fn configured_folder(config: &Path, terminal: &mut Terminal) -> anyhow::Result<Option<PathBuf>> {
    match Config::load(config, &process_variables()) {
        Ok(config) => Ok(Some(config.rules.dir)),
        Err(faults) => {
            terminal.notice(&faults.to_string())?;
            Ok(None)
        }
    }
}
