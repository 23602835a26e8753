//! From what the command line says to a fleet.

use std::ops::RangeInclusive;

use clap::builder::RangedI64ValueParser;

use super::Args;
use crate::cli::Server;
use crate::clock::Clock;
use crate::config;
use crate::simulate::truth_file::Run;
use crate::simulate::{Equip, Fault, Faults, Fleet, FleetOptions, Pace, Writing};

pub(super) const HELP: &str = "\
Faults, each of one lift in fifty (clock: of two), and how the judge treats them:
  lost       a frame never arrives, at most one each two keep-alives: the alert may come a keep-alive and 24 s later
  repeated   one report in ten comes again up to 20 s later: must change nothing
  late       half a minute's frames come at once: the alert may come 47 s later
  reordered  one frame in seven is overtaken by the next: the alert may come 3 s later
  corrupt    a report arrives unreadable: as lost
  reboot     the terminal restarts and counts from 1 again: must change nothing
  clock      5 h ahead or 3 h behind: until the service knows, the alert may come 17 s later
  silent     four to six keep-alives without a frame, and its last will: raises offline, which isn't judged

Alerts must open within 10 s of the hold of their rule, as config/rules has it, and these. Judged are the rules that say
somebody is trapped, and of cylinders cylinder-overdue and cylinder-unregistered. docs/sizing.md has examples, and what
the lines of --truth hold.";

const CYLINDERS_PER_STATION: u32 = 5_000;
const DAY_MS: i64 = 86_400_000;
/// A station begins to fill another cylinder at most so often.
const FILL_EVERY_MS: i64 = 10_000;
const ENTRAPMENTS_PER_HOUR: f64 = 360.0;
/// One lasts some minutes, and the lift carries people in between.
const ENTRAPMENTS_PER_LIFT_HOUR: f64 = 6.0;

/// Reads a number within this range.
pub(super) fn number<T>(range: RangeInclusive<i64>) -> RangedI64ValueParser<T>
where
    T: TryFrom<i64> + Clone + Send + Sync,
{
    RangedI64ValueParser::new().range(range)
}

pub(super) fn duration(text: &str) -> Result<i64, String> {
    config::span_ms(text, "1s", "31d")
}

pub(super) fn faults(text: &str) -> Result<Faults, String> {
    match text {
        "none" => return Ok(Faults::NONE),
        "all" => return Ok(Faults::ALL),
        _ => {}
    }
    text.split(',').try_fold(Faults::NONE, |faults, name| {
        let fault = Fault::from_name(name.trim()).ok_or_else(|| {
            let names: Vec<_> = Fault::ALL.into_iter().map(Fault::name).collect();
            format!("{name:?} is no fault: write all, none, or some of {}", names.join(","))
        })?;
        Ok(faults.with(fault))
    })
}

/// Takes `grpc://` as well, since that is what people write.
pub(super) fn service(url: &str) -> anyhow::Result<Server> {
    let server = match url.strip_prefix("grpc://") {
        Some(rest) => format!("http://{rest}"),
        None => url.to_owned(),
    };
    Ok(Server { server })
}

pub(super) struct Plan {
    pub(super) options: FleetOptions,
    pub(super) equip: Equip,
    pub(super) frames_per_s: f64,
}

impl Plan {
    pub(super) fn make(args: &Args) -> anyhow::Result<Self> {
        let lifts = f64::from(args.lifts);
        let frames_per_s = args.rate.unwrap_or(lifts / 30.0);
        anyhow::ensure!(
            frames_per_s >= 0.0 && frames_per_s <= lifts * f64::from(args.frames_per_report),
            "--rate {frames_per_s} is too much for --lifts {}: a lift reports once a second at most",
            args.lifts
        );
        anyhow::ensure!(
            args.lifts == 0 || frames_per_s >= lifts / 3_600.0,
            "--rate {frames_per_s} is too little for --lifts {}: a lift reports once an hour at least",
            args.lifts
        );
        let most = lifts * ENTRAPMENTS_PER_LIFT_HOUR;
        let entrapments = args.entrapments.unwrap_or(ENTRAPMENTS_PER_HOUR.min(most));
        anyhow::ensure!(
            (0.0..=most).contains(&entrapments),
            "--entrapments {entrapments} is out of range: 0 to {most} an hour for --lifts {}",
            args.lifts
        );
        let every_ms = if entrapments > 0.0 { lifts / entrapments * 3_600_000.0 } else { f64::MAX };
        let per_lift_s = frames_per_s / f64::from(args.frames_per_report) / lifts.max(1.0);
        let stations = args.cylinders.div_ceil(CYLINDERS_PER_STATION);
        let pace = Pace {
            // Each cylinder goes round once a day, or more often where there are few.
            fill_every_ms: (DAY_MS * i64::from(stations) / i64::from(args.cylinders.max(1))).min(FILL_EVERY_MS),
            ..Pace::of_rate(per_lift_s, every_ms as i64)
        };
        let began = Clock::default().wall();
        let options =
            FleetOptions { seed: args.seed, lifts: args.lifts, cylinders: args.cylinders, stations, began, pace };
        let equip = Equip {
            faults: args.faults,
            writing: if args.json_devices { Writing::Mixed } else { Writing::Protobuf },
            frames_per_report: args.frames_per_report,
            // Seconds since 1970, so that a later run counts from higher.
            first_boot: u32::try_from(began.ms() / 1_000).unwrap_or(u32::MAX / 2),
            lifelike: false,
        };
        Ok(Self { options, equip, frames_per_s })
    }

    pub(super) fn run(&self, fleet: &Fleet) -> Run {
        Run {
            ran_ms: fleet.now() - fleet.options().began,
            lifts: self.options.lifts,
            cylinders: self.options.cylinders,
            stations: self.options.stations,
            frames_per_s: self.frames_per_s,
            faults: self.equip.faults.iter().map(|fault| fault.name().to_owned()).collect(),
            ..Run::new(self.options.seed, fleet.options().began)
        }
    }
}
