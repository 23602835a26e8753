//! `vigil demo`: everything in one process, with a fleet whose truth is known.
//!
//! Fleet and service share only MQTT; what is shown comes from a gRPC client, as any dispatcher's.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use super::show::{Language, Look};
use super::time::from_proto;
use super::{Terminal, refused};
use crate::app;
use crate::clock::Clock;
use crate::config::{Config, Log, LogFormat, StoreAt};
use crate::ingest::embedded::EmbeddedBroker;
use crate::model::alert::EventKind;
use crate::model::archive::Entry;
use crate::model::ids::AlertId;
use crate::model::time::Wall;
use crate::observe::{Metrics, install_log};
use crate::proto::v1::alert_service_client::AlertServiceClient;
use crate::proto::v1::registry_service_client::RegistryServiceClient;
use crate::proto::v1::watch_alerts_response::Message;
use crate::proto::v1::{AlertEvent, UpsertDevicesRequest, WatchAlertsRequest};
use crate::serve::upsert_entry;
use crate::simulate::publisher::{PublishOptions, Published};
use crate::simulate::{Fleet, FleetOptions, Pace, Score, publish};

const FIGURES_EVERY: Duration = Duration::from_secs(10);
/// The embedded broker's window is 100.
const WINDOW: u16 = 80;
const LOCALHOST: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Try it: a broker, a store and a simulated fleet in one process
///
/// Starts an embedded MQTT broker, SQLite and journals in a folder of its own, and a fleet of lifts and cylinders whose
/// entrapments are known. Prints alerts as they open and clear, and every 10 s how many were missed or false. Ctrl-C ends it.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Lifts in the fleet
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    lifts: u32,
    /// Cylinders in the fleet
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(0..=20_000))]
    cylinders: u32,
    /// The same seed gives the same fleet
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The folder of the rule files
    #[arg(long, value_name = "DIR", default_value = "config/rules")]
    rules: PathBuf,
    /// Where to keep data; without it in a temporary folder that is removed at the end
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// End by itself after so many seconds
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Language of titles
    #[arg(long, value_enum, default_value = "en")]
    lang: Language,
}

pub(super) async fn run(args: Args, terminal: &mut Terminal, stop: CancellationToken) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        args.rules.is_dir(),
        "there is no folder {}: run this in the folder of the repository, or name the folder of the rule files with --rules",
        args.rules.display()
    );
    let folder = Folder::make(args.dir.clone())?;
    install_log(&Log { filter: "warn,rumqttd=off".into(), format: LogFormat::Text })?;
    let broker = EmbeddedBroker::start(LOCALHOST).context("the embedded broker did not start")?;
    let (config, metrics) = (config(&args, &folder, broker.addr()), Metrics::install()?);
    let (ready, begun) = oneshot::channel();
    // The service ends after the fleet and the client, and the broker after the service, so that nobody talks into a
    // void: each has a shutdown of its own.
    let end_service = CancellationToken::new();
    let _end_service = end_service.clone().drop_guard();
    let mut service =
        tokio::spawn(app::run(config, metrics, end_service.clone(), |addresses| _ = ready.send(addresses)));
    let addresses = tokio::select! {
        Ok(addresses) = begun => addresses,
        ended = &mut service => return Err(ended_early(ended)),
    };
    terminal.line(&format!(
        "MQTT {} | gRPC {} | http://{}/metrics | data in {}",
        broker.addr(),
        addresses.grpc,
        addresses.http,
        folder.path.display()
    ))?;
    let shown = tokio::select! {
        shown = show(&args, broker.addr(), addresses.grpc, terminal, stop) => shown,
        ended = &mut service => return Err(ended_early(ended)),
    };
    end_service.cancel();
    let served = service.await?;
    shown?;
    served?;
    drop(broker);
    terminal.line("ended cleanly")?;
    Ok(ExitCode::SUCCESS)
}

/// Nobody has asked the service to end.
fn ended_early(ended: Result<Result<(), app::AppError>, tokio::task::JoinError>) -> anyhow::Error {
    match ended {
        Ok(Ok(())) => anyhow::anyhow!("the service ended before its time"),
        Ok(Err(error)) => error.into(),
        Err(error) => error.into(),
    }
}

fn config(args: &Args, folder: &Folder, broker: SocketAddr) -> Config {
    let mut config = Config::default();
    config.service.data_dir = folder.path.clone();
    config.service.instance = "demo".into();
    config.mqtt.host = broker.ip().to_string();
    config.mqtt.port = broker.port();
    config.mqtt.client_id = "vigil-demo".into();
    config.store.at = StoreAt::Sqlite(folder.path.join("vigil.db"));
    config.grpc.listen = LOCALHOST;
    config.http.listen = LOCALHOST;
    config.rules.dir = args.rules.clone();
    config
}

/// The folder of the demo's own.
struct Folder {
    path: PathBuf,
    is_temporary: bool,
}

impl Folder {
    fn make(asked: Option<PathBuf>) -> anyhow::Result<Self> {
        let is_temporary = asked.is_none();
        let path = asked.unwrap_or_else(|| std::env::temp_dir().join(format!("vigil-demo-{}", std::process::id())));
        std::fs::create_dir_all(&path).with_context(|| format!("{} can't be made", path.display()))?;
        Ok(Self { path, is_temporary })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.is_temporary {
            let _left_behind = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Everything on this side of the wire: the fleet that publishes, and the client that watches.
async fn show(
    args: &Args,
    broker: SocketAddr,
    grpc: SocketAddr,
    terminal: &mut Terminal,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{grpc}"))?.connect().await?;
    let options = FleetOptions {
        seed: args.seed,
        lifts: args.lifts,
        cylinders: args.cylinders,
        stations: 5,
        began: Clock::default().wall(),
        pace: Pace::DEMO,
    };
    import(channel.clone(), Fleet::new(&options).archive()).await?;
    let mut stream = AlertServiceClient::new(channel)
        .watch_alerts(WatchAlertsRequest::default())
        .await
        .map_err(|status| refused(&status))?
        .into_inner();
    // Its clocks start now, not when the archive was sent.
    let fleet = Arc::new(Mutex::new(Fleet::new(&FleetOptions { began: Clock::default().wall(), ..options })));
    terminal.line(&format!("{} lifts and {} cylinders, seed {}", args.lifts, args.cylinders, args.seed))?;
    let (counts, published) = watch::channel(Published::default());
    let end_fleet = CancellationToken::new();
    let _end_fleet = end_fleet.clone().drop_guard();
    let publishing = tokio::spawn({
        let (fleet, stop) = (Arc::clone(&fleet), end_fleet.clone());
        let options = PublishOptions {
            host: broker.ip().to_string(),
            port: broker.port(),
            client_id: "vigil-demo-fleet".into(),
            credentials: None,
            connections: 1,
            window: WINDOW,
            speed: 1.0,
            until: None,
        };
        async move { publish(fleet, options, Clock::default(), &counts, stop).await }
    });
    let look = Look { zone: jiff::tz::TimeZone::system(), language: args.lang, colour: terminal.colour };
    let mut board =
        Scoreboard { fleet, published, score: Score::default(), open: 0, lag_ms: 0, before: (Instant::now(), 0) };
    let mut figures = tokio::time::interval_at(tokio::time::Instant::now() + FIGURES_EVERY, FIGURES_EVERY);
    let end = async {
        match args.seconds {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(end);
    loop {
        tokio::select! {
            message = stream.message() => match message {
                Ok(Some(response)) => board.hear(response.message, &look, terminal)?,
                Ok(None) => break,
                Err(status) => return Err(refused(&status)),
            },
            _ = figures.tick() => terminal.line(&board.figures())?,
            () = stop.cancelled() => break,
            () = &mut end => break,
        }
    }
    terminal.line(&board.figures())?;
    end_fleet.cancel();
    publishing.await??;
    Ok(())
}

async fn import(channel: Channel, entries: Vec<Entry>) -> anyhow::Result<()> {
    let requests: Vec<UpsertDevicesRequest> = entries
        .iter()
        .enumerate()
        .map(|(n, entry)| UpsertDevicesRequest {
            request_id: if n == 0 { "demo".into() } else { String::new() },
            entry: Some(upsert_entry(entry)),
            ..UpsertDevicesRequest::default()
        })
        .collect();
    let answer = RegistryServiceClient::new(channel).upsert_devices(tokio_stream::iter(requests)).await;
    let answer = answer.map_err(|status| refused(&status))?.into_inner();
    anyhow::ensure!(answer.failed == 0, "{} entries of the fleet's archive were refused", answer.failed);
    Ok(())
}

/// What the client has seen, beside what really happened.
struct Scoreboard {
    fleet: Arc<Mutex<Fleet>>,
    published: watch::Receiver<Published>,
    score: Score,
    open: usize,
    /// The longest time from judging an event to seeing it, since the last figures.
    lag_ms: i64,
    /// When the last figures were shown, and how many reports had been published.
    before: (Instant, u64),
}

impl Scoreboard {
    fn hear(&mut self, message: Option<Message>, look: &Look, terminal: &mut Terminal) -> anyhow::Result<()> {
        let now = Clock::default().wall();
        match message {
            Some(Message::Event(event)) => {
                self.lag_ms = self.lag_ms.max(age_ms(event.published_at.as_ref(), now));
                self.count(&event);
                terminal.line(&look.event(&event))?;
            }
            Some(Message::Heartbeat(heartbeat)) => {
                let judged = heartbeat.judged.and_then(|judged| judged.at);
                self.lag_ms = self.lag_ms.max(age_ms(judged.as_ref(), now));
            }
            None => {}
        }
        Ok(())
    }

    fn count(&mut self, event: &AlertEvent) {
        let Some(alert) = &event.alert else { return };
        let (Ok(id), Some(at)) = (AlertId::parse(&alert.id), wall(event.published_at.as_ref())) else { return };
        match EventKind::from_number(event.kind) {
            Some(EventKind::Opened | EventKind::Reopened) => {
                self.open += 1;
                self.score.opened(id.subject, id.rule.as_str(), at);
            }
            Some(EventKind::Cleared) => {
                self.open = self.open.saturating_sub(1);
                self.score.cleared(id.subject, id.rule.as_str(), at);
            }
            _ => {}
        }
    }

    fn figures(&mut self) -> String {
        let now = Clock::default().wall();
        let fleet = self.fleet.lock().unwrap_or_else(PoisonError::into_inner);
        self.score.advance(fleet.truth(), now);
        let tally = self.score.tally();
        let published = self.published.borrow().acknowledged;
        let (since, before) = std::mem::replace(&mut self.before, (Instant::now(), published));
        let rate = (published - before) as f64 / since.elapsed().as_secs_f64().max(0.001);
        let lag_ms = std::mem::take(&mut self.lag_ms);
        format!(
            "-- {rate:.0} reports/s | lag {lag_ms} ms | {} open alerts | {} incidents: {} in time, {} late, {} missed, \
             {} pending | {} false",
            self.open, tally.incidents, tally.in_time, tally.late, tally.missed, tally.waiting, tally.false_alerts
        )
    }
}

fn wall(at: Option<&prost_types::Timestamp>) -> Option<Wall> {
    from_proto(at).map(|at| Wall(at.as_millisecond()))
}

fn age_ms(at: Option<&prost_types::Timestamp>, now: Wall) -> i64 {
    wall(at).map_or(0, |at| (now - at).max(0))
}
