//! The run itself: the fleet publishes, and the judge listens.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use super::alerts::{self, Heard};
use super::judge::{CATCH_UP, Judge, Members};
use super::report::{Judged, Progress, RunResult, Traffic};
use super::{Args, Plan, archive, flags};
use crate::cli::Terminal;
use crate::clock::Clock;
use crate::config::{self, Log, LogFormat};
use crate::model::time::Wall;
use crate::observe::install_log;
use crate::simulate::publisher::{PublishOptions, Published};
use crate::simulate::truth_file::Run;
use crate::simulate::{Fleet, FleetOptions, publish};

const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// What a run leaves behind.
pub(super) struct Played {
    pub(super) run: Run,
    pub(super) fleet: Fleet,
    pub(super) traffic: Traffic,
    pub(super) judged: Option<Judged>,
}

impl Played {
    pub(super) fn result(&self) -> RunResult {
        RunResult {
            wanted_per_s: self.run.frames_per_s,
            counts: self.fleet.counts(),
            traffic: self.traffic.clone(),
            judged: self.judged.clone(),
        }
    }
}

pub(super) async fn run(
    args: &Args,
    plan: &Plan,
    broker: (String, u16),
    terminal: &mut Terminal,
    stop: CancellationToken,
) -> anyhow::Result<Played> {
    install_log(&Log { filter: "warn".into(), format: LogFormat::Text })?;
    let mut say = Say { terminal, to_err: args.json };
    let mut ear = match &args.judge {
        Some(service) => Some(Ear::open(service, args, plan, &mut say).await?),
        None => None,
    };
    let mut publish_options = publish_options(args, broker)?;
    // Its clocks start now, not when the archive was sent.
    let began = Clock::default().wall();
    publish_options.until = args.span_ms.map(|span_ms| began + span_ms);
    let options = FleetOptions { began, ..plan.options.clone() };
    let equip = plan.equip;
    let fleet = tokio::task::spawn_blocking(move || Fleet::equipped(&options, equip)).await?;
    let fleet = Arc::new(Mutex::new(fleet));
    say.line(&format!(
        "{} lifts and {} cylinders, seed {}, {:.0} frames/s wanted, keep-alive {} s",
        plan.options.lifts, plan.options.cylinders, args.seed, plan.frames_per_s, plan.options.pace.keep_alive_s
    ))?;

    let (counts, published) = watch::channel(Published::default());
    let end = CancellationToken::new();
    let _end = end.clone().drop_guard();
    let mut publishing = tokio::spawn({
        let (fleet, end) = (Arc::clone(&fleet), end.clone());
        async move { publish(fleet, publish_options, Clock::default(), &counts, end).await }
    });
    let mut board = Board { progress: Progress::new(began), published, lag_max_ms: 0 };
    let mut every = tokio::time::interval_at(Instant::now() + PROGRESS_EVERY, PROGRESS_EVERY);
    let mut look = tokio::time::interval(Duration::from_millis(250));
    let published = loop {
        tokio::select! {
            ended = &mut publishing => break ended??,
            heard = hear(&mut ear) => if let Some(ear) = &mut ear { ear.take(heard, &mut say)? },
            _ = look.tick() => board.look(),
            _ = every.tick() => {
                let line = board.line(&lock(&fleet), ear.as_mut());
                say.line(&line)?;
            }
            () = stop.cancelled(), if !end.is_cancelled() => end.cancel(),
        }
    };
    let ran_to = lock(&fleet).now();
    let judged = match ear {
        Some(ear) => Some(ear.judged(&fleet, ran_to, &mut say).await?),
        None => None,
    };
    let fleet = Arc::into_inner(fleet).context("the publisher has ended")?;
    let fleet = fleet.into_inner().unwrap_or_else(PoisonError::into_inner);
    let seconds = (ran_to - began) as f64 / 1_000.0;
    let lag_max_ms = board.lag_max_ms;
    let traffic = Traffic { seconds, reports: published.taken, published: Some(published), lag_max_ms };
    Ok(Played { run: plan.run(&fleet), fleet, traffic, judged })
}

fn publish_options(args: &Args, (host, port): (String, u16)) -> anyhow::Result<PublishOptions> {
    let credentials = match (&args.username, &args.password_file) {
        (Some(user), Some(file)) => {
            let secret = config::secret(file).map_err(anyhow::Error::msg).context("--password-file")?;
            Some((user.clone(), secret.reveal().to_owned()))
        }
        _ => None,
    };
    Ok(PublishOptions {
        host,
        port,
        client_id: args.client_id.clone(),
        credentials,
        connections: args.connections,
        window: args.window,
        speed: 1.0,
        until: None,
    })
}

fn lock(fleet: &Mutex<Fleet>) -> MutexGuard<'_, Fleet> {
    fleet.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lines about how it goes.
struct Say<'a> {
    terminal: &'a mut Terminal,
    to_err: bool,
}

impl Say<'_> {
    fn line(&mut self, line: &str) -> std::io::Result<()> {
        if self.to_err { self.terminal.notice(line) } else { self.terminal.line(line) }
    }
}

struct Board {
    progress: Progress,
    published: watch::Receiver<Published>,
    lag_max_ms: i64,
}

impl Board {
    fn look(&mut self) {
        self.lag_max_ms = self.lag_max_ms.max(self.published.borrow().lag_ms);
    }

    fn line(&mut self, fleet: &Fleet, ear: Option<&mut Ear>) -> String {
        let now = Clock::default().wall();
        let tally = ear.map(|ear| {
            ear.judge.score.advance(fleet.truth(), fleet.now().min(now));
            ear.judge.score.tally()
        });
        let published = *self.published.borrow();
        self.progress.line(now, &published, tally, fleet)
    }
}

/// Listens to the service.
struct Ear {
    judge: Judge,
    heard: mpsc::Receiver<Heard>,
    is_away: bool,
}

async fn hear(ear: &mut Option<Ear>) -> Option<Heard> {
    match ear {
        Some(ear) => ear.heard.recv().await,
        None => std::future::pending().await,
    }
}

impl Ear {
    async fn open(service: &str, args: &Args, plan: &Plan, say: &mut Say<'_>) -> anyhow::Result<Self> {
        let channel: Channel = flags::service(service)?.connect().await?;
        if !args.registered {
            say.line("writing the fleet into the service's archive")?;
            let answer = archive::register(channel.clone(), &plan.options).await?;
            say.line(&format!("archive: {} entries changed, {} unchanged", answer.changed, answer.unchanged))?;
        }
        let FleetOptions { lifts, cylinders, stations, .. } = plan.options;
        let mut judge = Judge::new(Members { lifts, cylinders, stations });
        let (open, cursor) = alerts::open(channel.clone()).await?;
        for id in open {
            judge.score.stands(id.subject, id.rule.as_str());
        }
        Ok(Self { judge, heard: alerts::follow(channel, cursor), is_away: false })
    }

    fn take(&mut self, heard: Option<Heard>, say: &mut Say<'_>) -> anyhow::Result<()> {
        match heard {
            None => anyhow::bail!("the stream of alerts has ended"),
            Some(Heard::Lost(error)) => return Err(error.context("the service's alerts can't be followed any longer")),
            Some(Heard::Away(why)) => {
                if !std::mem::replace(&mut self.is_away, true) {
                    say.line(&format!("# the service is away ({why}); going on from where it ended"))?;
                }
            }
            Some(heard) => {
                if std::mem::take(&mut self.is_away) {
                    say.line("# the service is back")?;
                }
                self.judge.hear(&heard);
            }
        }
        Ok(())
    }

    /// Waits until the service has judged all that was sent, and tells what that came to.
    async fn judged(mut self, fleet: &Mutex<Fleet>, ran_to: Wall, say: &mut Say<'_>) -> anyhow::Result<Judged> {
        let late = tokio::time::sleep(CATCH_UP);
        tokio::pin!(late);
        let mut unheard = None;
        while self.judge.judged_to < Some(ran_to) && unheard.is_none() {
            tokio::select! {
                heard = self.heard.recv() => {
                    if let Err(error) = self.take(heard, say) {
                        unheard = Some(format!("{error:#}"));
                    }
                }
                () = &mut late => unheard = Some(format!(
                    "{} s after the end, the service hasn't judged all that was sent", CATCH_UP.as_secs()
                )),
            }
        }
        let fleet = lock(fleet);
        let near_misses = fleet.near_misses().len() as u64;
        let judged = self.judge.judged(fleet.truth(), ran_to, fleet.options().began, Some(near_misses));
        Ok(Judged { unheard, ..judged })
    }
}
