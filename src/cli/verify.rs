//! `vigil verify`: whether the records of maintenance are what was recorded.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{Terminal, count};
use crate::app::verify::{self, Known, Verdict};
use crate::config::{Config, process_variables};
use crate::model::ids::DeviceCode;

/// Find out whether the records of maintenance are still what was recorded
///
/// Each record holds a digest of itself and of the one before it. This follows them, device by device, in the database,
/// and names the first one of each device that was changed, deleted, put in or moved. The end of each chain is held against
/// the newest snapshot of the service, which may be running meanwhile: that nothing is missing behind records which came since, only
/// a later snapshot can tell. docs/records.md says how others can check it.
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
    let (mut proven, mut broken) = (Proven::default(), 0_u64);
    for device in &devices {
        let verdict = verify::verify(&*store, &known, *device).await?;
        if verdict.links == 0 && verdict.broken.is_none() {
            anyhow::ensure!(
                verify::is_archived(&*store, *device).await?,
                "lift {device} is not known: neither the archive nor any record names it"
            );
            terminal.line(&match &known {
                Known::Heads(_, at) => {
                    format!(
                        "{device}: no records, so that there is nothing to prove; the snapshot as of {at} knows of none"
                    )
                }
                Known::Nothing(_) => {
                    format!("{device}: no records in the database; whether there should be any can't be told")
                }
            })?;
            continue;
        }
        proven.add(&verdict);
        if let Some(what) = verdict.broken {
            broken += 1;
            terminal.line(&format!("{device}: {what}"))?;
        }
    }
    if proven.lifts == 0 && broken == 0 {
        if device.is_none() {
            terminal.line("there are no records, so that there is nothing to prove")?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    terminal.line(&proven.words(&known, broken))?;
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What was found to be so.
#[derive(Debug, Default)]
struct Proven {
    lifts: u64,
    links: u64,
    /// Links of chains that are whole and came after the snapshot, or that it knows nothing of.
    unconfirmed: u64,
    unconfirmed_lifts: u64,
}

impl Proven {
    fn add(&mut self, it: &Verdict) {
        self.lifts += 1;
        self.links += it.links;
        if it.broken.is_none() && it.links > it.confirmed {
            self.unconfirmed += it.links - it.confirmed;
            self.unconfirmed_lifts += 1;
        }
    }

    fn words(&self, known: &Known, broken: u64) -> String {
        let all = format!("{} of {}", count(self.links, "record"), count(self.lifts, "lift"));
        let links = if broken == 0 {
            format!("{all}: each follows on the one before, unchanged")
        } else {
            format!("{all} hold; {} broken", count(broken, "chain"))
        };
        let ends = match known {
            Known::Nothing(_) => "that none is missing at the end of a chain is not confirmed".to_owned(),
            Known::Heads(_, at) if self.unconfirmed == 0 => {
                format!("the end of each whole chain is confirmed by the snapshot as of {at}")
            }
            Known::Heads(_, at) => format!(
                "the ends of the whole chains are confirmed by the snapshot as of {at}, but for the last {} of {}, which came since: that \
                 none is missing behind them, only the next snapshot can tell",
                count(self.unconfirmed, "record"),
                count(self.unconfirmed_lifts, "lift")
            ),
        };
        format!("{links}; {ends}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Wall;

    #[test]
    fn what_is_said_is_what_was_proven() {
        let device = DeviceCode::parse("31105001122014017242").expect("a code");
        let heads = || Known::Heads(verify::Heads::new(), Wall(1_763_766_000_000));
        let check = |verdicts: &[(u64, u64)], known: &Known, want: &str| {
            let mut proven = Proven::default();
            for (links, confirmed) in verdicts {
                proven.add(&Verdict { device, links: *links, confirmed: *confirmed, broken: None });
            }
            assert_eq!(proven.words(known, 0), want);
        };
        check(
            &[(3, 3), (1, 1)],
            &heads(),
            "4 records of 2 lifts: each follows on the one before, unchanged; the end of each whole chain is confirmed by the \
             snapshot as of 2025-11-21T23:00:00.000Z",
        );
        check(
            &[(3, 2), (4, 4), (2, 0)],
            &heads(),
            "9 records of 3 lifts: each follows on the one before, unchanged; the ends of the whole chains are confirmed by the \
             snapshot as of 2025-11-21T23:00:00.000Z, but for the last 3 records of 2 lifts, which came since: that none is missing \
             behind them, only the next snapshot can tell",
        );
        check(
            &[(1, 0)],
            &Known::Nothing("no snapshot".into()),
            "1 record of 1 lift: each follows on the one before, unchanged; that none is missing at the end of a chain is not \
             confirmed",
        );
    }
}
