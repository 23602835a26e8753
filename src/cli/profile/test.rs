//! `vigil profile test`: what a profile makes of samples.

use std::path::PathBuf;
use std::process::ExitCode;

use bytes::Bytes;
use serde_json::json;

use super::super::show::clean;
use super::super::{Terminal, count};
use super::check;
use super::frame::as_json;
use crate::app::text_file;
use crate::core::decode::profile::{Feed, Profile, Profiles};
use crate::limits;

/// Show what a source profile makes of samples: the frames, or the pointer that failed
///
/// A sample is a file of messages as `mosquitto_sub -v` prints them, one a line with its topic before it; or of one message
/// that begins with { or [, whose topic is --topic. The exit code is 1 when anything is set aside, or a value of a frame can't
/// be read.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// The profile
    #[arg(value_name = "PROFILE")]
    profile: PathBuf,
    /// Files of samples
    #[arg(value_name = "SAMPLE", required = true)]
    samples: Vec<PathBuf>,
    /// The topic of samples that are one message; by default the profile's, where that has no + and #
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// One JSON object a line: a frame, or what was set aside
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args, terminal: &mut Terminal) -> anyhow::Result<ExitCode> {
    let (dir, files) = check::read(&args.profile)?;
    let profiles = match Profiles::parse(None, &files) {
        Ok(profiles) => profiles,
        Err(faults) => {
            for fault in &faults {
                terminal.notice(&check::placed(&dir, fault))?;
            }
            return Ok(ExitCode::FAILURE);
        }
    };
    let [profile] = profiles.all() else { anyhow::bail!("PROFILE is one file: {} is none", args.profile.display()) };
    let mut score = Score::default();
    for sample in &args.samples {
        let text = text_file::read(sample, limits::SCENARIO_FILE_BYTES)?;
        for (nth, (topic, payload)) in messages(&text, profile, args.topic.as_deref())?.into_iter().enumerate() {
            let place = format!("{}:{}", text_file::shown(sample), nth + 1);
            if profiles.find("", &topic).is_none() {
                anyhow::bail!("{place}: the profile doesn't take topic {topic:?}: it takes {}", profile.topic);
            }
            score.show(&profile.decode(&topic, &Bytes::from(payload)), &place, args.json, terminal)?;
        }
    }
    if !args.json {
        let (frames, aside) = (count(score.frames, "frame"), score.aside);
        let unread = if score.unread > 0 {
            format!(", {} of them with values that can't be read", score.unread)
        } else {
            String::new()
        };
        terminal.notice(&format!("{frames}{unread}; {} set aside", count(aside, "record")))?;
    }
    Ok(if score.aside + score.unread == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The messages of a sample, with their topics.
fn messages(text: &str, profile: &Profile, topic: Option<&str>) -> anyhow::Result<Vec<(String, String)>> {
    if text.trim_start().starts_with(['{', '[']) {
        let own = Some(&*profile.topic).filter(|topic| !topic.contains(['+', '#']));
        let topic = topic.or(own).ok_or_else(|| {
            anyhow::anyhow!("the sample doesn't say its topic: give it with --topic, one that {} takes", profile.topic)
        })?;
        return Ok(vec![(topic.to_owned(), text.trim().to_owned())]);
    }
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| match line.split_once(' ') {
            Some((topic, payload)) => Ok((topic.to_owned(), payload.to_owned())),
            None => anyhow::bail!("{:?} is no message: a line is a topic, a space and a payload", clean(line)),
        })
        .collect()
}

#[derive(Default)]
struct Score {
    frames: u64,
    /// Of these, how many have values that could not be read.
    unread: u64,
    aside: u64,
}

impl Score {
    fn show(&mut self, feed: &Feed, place: &str, is_json: bool, terminal: &mut Terminal) -> anyhow::Result<()> {
        for (device, mapped) in &feed.frames {
            self.frames += 1;
            self.unread += u64::from(!mapped.frame.invalid.is_empty());
            let frame = as_json(mapped);
            terminal.line(&match is_json {
                true => json!({ "sample": place, "device": device.as_str(), "frame": frame }).to_string(),
                false => clean(&format!("{device} {frame}")),
            })?;
        }
        for rejected in &feed.rejects {
            self.aside += 1;
            let (pointer, reason, detail) = (&rejected.pointer, rejected.reason.name(), &rejected.detail);
            terminal.line(&match is_json {
                true => json!({ "sample": place, "pointer": pointer, "reason": reason, "detail": detail }).to_string(),
                false => clean(&format!("set aside at {pointer:?}: {reason}: {detail}")),
            })?;
        }
        Ok(())
    }
}
