//! `vigil recover`: for when journals and store no longer belong together.

use std::path::PathBuf;
use std::process::ExitCode;

use super::Terminal;
use crate::app::recover::{Way, recover};
use crate::config::{Config, process_variables};

/// Go on when journals and store no longer belong together
///
/// After a restore from a backup, or when a disk was lost, `vigil serve` refuses to start and says why. Stop the
/// service, keep copies of what there is, and choose one way. Watchers of alerts are told to begin anew, and no cylinder is
/// filled until its own unit has scanned it `returned`, or an inspection body has passed it (`unconfirmed`).
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "config/vigil.toml")]
    config: PathBuf,
    #[command(flatten)]
    way: Ways,
}

#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
struct Ways {
    /// The store is new and empty: give it the archive, due dates as they stand, and all that the outbox still holds; older
    /// history, records and reports are not told again
    #[arg(long)]
    reproject: bool,
    /// Keep the store as it is and go on; what is missing in between stays missing
    #[arg(long)]
    gap: bool,
    /// The journals are lost: begin new ones with the store's archive, records, reports, rescues that go on and what scans say
    /// against filling cylinders
    #[arg(long)]
    from_store: bool,
    /// The database is away, and these journals are new or restored: take reports into them without having asked it
    #[arg(long)]
    without_store: bool,
}

pub(super) async fn run(args: Args, terminal: &mut Terminal) -> anyhow::Result<ExitCode> {
    let config = match Config::load(&args.config, &process_variables()) {
        Ok(config) => config,
        Err(faults) => {
            terminal.notice(&faults.to_string())?;
            return Ok(ExitCode::FAILURE);
        }
    };
    let way = match args.way {
        Ways { reproject: true, .. } => Way::Reproject,
        Ways { gap: true, .. } => Way::Gap,
        Ways { from_store: true, .. } => Way::FromStore,
        Ways { .. } => Way::WithoutStore,
    };
    let done = recover(&config, way).await?;
    if way == Way::WithoutStore {
        terminal.line(
            "reports will be taken without the store; once it answers, it must turn out to be of these journals",
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    terminal.line(&format!(
        "epoch {} begins; the store goes on at position {} of the outbox; {} entries of the archive were read from it",
        done.epoch, done.position, done.entries
    ))?;
    Ok(ExitCode::SUCCESS)
}
