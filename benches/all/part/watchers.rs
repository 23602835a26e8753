//! A thousand dispatch centres that watch all alerts: what an event costs the service for each of them.
//!
//! The floor is a thread that writes messages of the same size to as many bare sockets.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use prost::Message as _;
use tokio::task::JoinSet;
use vigil::proto::v1;
use vigil::proto::v1::alert_service_client::AlertServiceClient;
use vigil::proto::v1::watch_alerts_response::Message;

use crate::Bench;
use crate::load::device;
use crate::measure::{cpu_of, us};
use crate::service::Service;
use crate::support::process::{Process, command};
use crate::support::publisher::Publisher;
use crate::support::wait::is_soon;
use crate::table::Table;
use crate::traffic::wall;

pub const WATCHERS: &str = "be-watchers";
const FIRST_DEVICE: u32 = 9_100_000;
const ARRIVES_WITHIN: Duration = Duration::from_secs(60);

pub fn measure(bench: &Bench, table: &mut Table) {
    let watchers: u32 = bench.quicker(1_000, 200);
    let events: u32 = bench.quicker(400, 100);
    let broker = bench.broker(false);
    let service = Service::start(broker.addr(), None);
    let mut devices = Devices { publisher: Publisher::connect(broker.addr(), "devices").expect("a broker"), next: 0 };
    // Twice without watchers: the first time warms the way up.
    devices.raise(&service, events);
    let alone = devices.raise(&service, events);

    let before = service.resident_bytes();
    let own = command(std::env::current_exe().expect("this program has a file"));
    let mut watching = Watching::start(own, service.grpc(), watchers);
    let with_watchers = service.resident_bytes();
    let mut cpu = service.cpu();
    let begun = cpu.look();
    devices.raise(&service, events);
    let message_bytes = watching.wait_for(u64::from(events) * u64::from(watchers));
    let watched = cpu.look() - begun;
    let after = service.resident_bytes();

    let deliveries = f64::from(events) * f64::from(watchers);
    let floor_us = bare_us(watchers as usize, events as usize, message_bytes);
    let cpu_us = us(watched.saturating_sub(alone)) / deliveries;
    table
        .row(format!("{watchers} watchers: CPU of an event and watcher ({message_bytes} B)"), "µs", cpu_us)
        .floor(floor_us);
    let each = |bytes: u64| bytes.saturating_sub(before) as f64 / f64::from(watchers) / 1_024.0;
    table.row("memory of a watcher, connection included", "KiB", each(with_watchers));
    table.row(format!("the same after {events} events"), "KiB", each(after));
    table.note(format!(
        "an event without watchers, its report included: {:.0} µs of CPU",
        us(alone) / f64::from(events)
    ));
}

/// Lifts in which somebody is trapped, one a report.
struct Devices {
    publisher: Publisher,
    next: u32,
}

impl Devices {
    /// One event after the other, each an alert of another lift; the processor's time that the service took.
    fn raise(&mut self, service: &Service, events: u32) -> Duration {
        let mut cpu = service.cpu();
        let before = cpu.look();
        for _ in 0..events {
            let mut frame = v1::ElevatorFrame { boot: 1, seq: 1, observed_at_ms: wall().ms(), ..Default::default() };
            frame.conditions.push("trapped".into());
            let payload = v1::ElevatorReport { frames: vec![frame], device: String::new() }.encode_to_vec();
            let topic = format!("vigil/v1/elevator/{}/report", device(FIRST_DEVICE + self.next));
            self.next += 1;
            self.publisher.publish(&topic, &payload).expect("the broker takes it");
            self.publisher.finish().expect("the broker acknowledges");
            let frames = u64::from(self.next);
            assert!(is_soon(ARRIVES_WITHIN, || service.frames() >= frames), "a report was not judged");
        }
        cpu.look() - before
    }
}

/// The watchers, in a process of their own.
struct Watching {
    _process: Process,
    said: BufReader<std::process::ChildStdout>,
}

impl Watching {
    /// Returns when all of them watch.
    fn start(mut own: std::process::Command, grpc: SocketAddr, watchers: u32) -> Self {
        own.args([WATCHERS, &grpc.to_string(), &watchers.to_string()]).stdin(Stdio::null()).stdout(Stdio::piped());
        let (process, pipes) = Process::start(own);
        let mut watching = Self { _process: process, said: BufReader::new(pipes.out.expect("it was piped")) };
        assert_eq!(watching.line(), "watching", "the watchers have failed");
        watching
    }

    /// Waits for so many events, of all watchers together; the size of the last one.
    fn wait_for(&mut self, events: u64) -> usize {
        loop {
            let line = self.line();
            let (count, bytes) = line.split_once(' ').expect("it says two numbers");
            if count.parse::<u64>().expect("a number") >= events {
                return bytes.parse().expect("a number");
            }
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("it speaks UTF-8");
        line.trim().to_owned()
    }
}

/// What that process does: watches, each on a connection of its own, and says how many events came.
pub fn watch_all(grpc: &str, watchers: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (ready, mut are_ready) = tokio::sync::mpsc::channel(watchers as usize);
        let (came, mut coming) = tokio::sync::mpsc::channel(65_536);
        let mut tasks = JoinSet::new();
        for _ in 0..watchers {
            let (server, ready, came) = (format!("http://{grpc}"), ready.clone(), came.clone());
            tasks.spawn(async move {
                let mut client = AlertServiceClient::connect(server).await.expect("the service runs");
                let request = v1::WatchAlertsRequest::default();
                let mut stream = client.watch_alerts(request).await.expect("it may watch").into_inner();
                while let Ok(Some(message)) = stream.message().await {
                    let bytes = message.encoded_len();
                    match message.message {
                        Some(Message::Event(_)) => came.send(bytes).await.expect("it counts"),
                        _ => _ = ready.try_send(()),
                    }
                }
            });
        }
        for _ in 0..watchers {
            are_ready.recv().await.expect("each hears a heartbeat");
        }
        println!("watching");
        let mut count = 0_u64;
        while let Some(bytes) = coming.recv().await {
            count += 1;
            if coming.is_empty() {
                println!("{count} {bytes}");
            }
        }
    });
}

/// What a message costs whoever writes it to a socket, with nothing around it.
fn bare_us(sockets: usize, events: usize, message_bytes: usize) -> f64 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let addr = listener.local_addr().expect("it has one");
    let mut pairs: Vec<(TcpStream, TcpStream)> = (0..sockets)
        .map(|_| {
            let to = TcpStream::connect(addr).expect("we listen");
            to.set_nodelay(true).expect("a socket");
            (to, listener.accept().expect("we connect").0)
        })
        .collect();
    let message = vec![7; message_bytes];
    let mut heard = vec![0; message_bytes];
    let mut spent = Duration::ZERO;
    for _ in 0..events {
        spent += cpu_of(|| pairs.iter_mut().for_each(|(to, _)| to.write_all(&message).expect("it is taken")));
        pairs.iter_mut().for_each(|(_, from)| from.read_exact(&mut heard).expect("it arrives"));
    }
    us(spent) / (sockets * events) as f64
}
