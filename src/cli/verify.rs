//! `vigil verify`: whether the records of maintenance are what was recorded.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{Terminal, count};
use crate::app::verify::{self, Known};
use crate::config::{Config, process_variables};
use crate::model::ids::DeviceCode;

/// Find out whether the records of maintenance are still what was recorded
///
/// Each record holds a digest of itself and of the one before it. This follows them, device by device, in the database,
/// and names the first one of each device that was changed, deleted, put in or moved. The end of each chain is held against
/// the newest snapshot of the service, which may be running meanwhile. docs/records.md says how others can check it.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Only this lift's
    device: Option<String>,
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "config/vigil.toml")]
    config: PathBuf,
}

pub(super) async fn run(args: Args, terminal: &mut Terminal) -> anyhow::Result<ExitCode> {
    let device = args.device.as_deref().map(DeviceCode::parse).transpose()?;
    let config = match Config::load(&args.config, &process_variables()) {
        Ok(config) => config,
        Err(faults) => {
            terminal.notice(&faults.to_string())?;
            return Ok(ExitCode::FAILURE);
        }
    };
    let (store, known) = verify::open(&config).await?;
    if let Known::Nothing(why) = &known {
        terminal.notice(&format!("the ends of the chains can't be checked: {why}"))?;
    }
    let devices = match device {
        Some(device) => [device].into(),
        None => verify::devices(&*store, &known).await?,
    };
    let (mut links, mut broken) = (0, 0_u64);
    for device in &devices {
        let verdict = verify::verify(&*store, &known, *device).await?;
        links += verdict.links;
        if let Some(what) = verdict.broken {
            broken += 1;
            terminal.line(&format!("{device}: {what}"))?;
        }
    }
    let all = format!("{}, {}", count(devices.len() as u64, "device"), count(links, "whole record"));
    if broken == 0 {
        terminal.line(&format!("{all}: every chain is whole"))?;
        return Ok(ExitCode::SUCCESS);
    }
    terminal.line(&format!("{all}: {} broken", count(broken, "chain")))?;
    Ok(ExitCode::FAILURE)
}
