//! What ours is held against: a subscriber that only acknowledges, and a COPY of the same rows.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use bytes::Bytes;
use futures_util::{SinkExt as _, TryStreamExt as _};
use rumqttc::{AsyncClient, Packet, QoS};
use tokio_postgres::{Client, NoTls};

use crate::measure::ProcessCpu;

pub const SUBSCRIBER: &str = "be-subscriber";

/// This program again, as a subscriber in a process of its own.
pub struct Subscriber {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Subscriber {
    pub fn start(broker: SocketAddr, messages: u64) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program has a file"));
        command.args([SUBSCRIBER, &broker.to_string(), &messages.to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs already");
        let said = BufReader::new(child.stdout.take().expect("it was piped"));
        let mut subscriber = Self { child, said };
        subscriber.hear("subscribed");
        subscriber
    }

    pub fn cpu(&self) -> ProcessCpu {
        ProcessCpu::of(self.child.id())
    }

    pub fn wait_until_taken(&mut self) {
        self.hear("taken");
    }

    fn hear(&mut self, word: &str) {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("it speaks UTF-8");
        assert_eq!(line.trim(), word, "the bare subscriber has failed");
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// What the process of a bare subscriber does: takes so many messages, then waits to be ended.
pub fn subscribe(broker: &str, messages: u64) {
    let broker: SocketAddr = broker.parse().expect("an address");
    let mut options = rumqttc::MqttOptions::new("bare", broker.ip().to_string(), broker.port());
    options.set_clean_session(false);
    let (client, mut events) = AsyncClient::new(options, 65_536);
    events.network_options.set_tcp_nodelay(true);
    client.try_subscribe("vigil/v1/elevator/+/report", QoS::AtLeastOnce).expect("there is room");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut taken = 0;
        while taken < messages {
            match events.poll().await.expect("the broker stays") {
                rumqttc::Event::Incoming(Packet::Publish(_)) => taken += 1,
                rumqttc::Event::Incoming(Packet::SubAck(_)) => say("subscribed"),
                _ => {}
            }
        }
    });
    say("taken");
    let _until_closed = std::io::stdin().read_line(&mut String::new());
}

fn say(word: &str) {
    println!("{word}");
    std::io::stdout().flush().expect("somebody listens");
}

pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("the server runs");
    tokio::spawn(connection);
    client
}

/// What a query finds, in the form of a binary COPY.
pub async fn copy_out(client: &Client, sql: &str) -> Vec<u8> {
    let out = client.copy_out(&format!("COPY ({sql}) TO STDOUT (FORMAT binary)")).await.expect("it can be read");
    let parts: Vec<Bytes> = out.try_collect().await.expect("it can be read");
    parts.concat()
}

/// Copies what stands in `frame`, in the order in which it came, into a bare table of the same columns with the same
/// index: ready-made bytes, in transactions of so many rows. Rows a second.
pub async fn copy(client: &Client, batch: usize) -> f64 {
    let setup = "DROP TABLE IF EXISTS bare; CREATE TABLE bare (LIKE frame); \
                 CREATE INDEX ON bare (device, effective_at); CHECKPOINT";
    client.batch_execute(setup).await.expect("a table can be made");
    let (chunks, rows) = split(&copy_out(client, "SELECT * FROM frame").await, batch);
    let began = Instant::now();
    for chunk in chunks {
        let sink = client.copy_in("COPY bare FROM STDIN (FORMAT binary)").await.expect("it takes rows");
        let mut sink = std::pin::pin!(sink);
        sink.send(chunk).await.expect("it takes rows");
        sink.finish().await.expect("it takes rows");
    }
    rows as f64 / began.elapsed().as_secs_f64()
}

/// Cuts a binary COPY into several of so many rows each: a header, rows of a count of fields and, for each, its length
/// and its bytes, and -1 at the end. Returns also how many rows there are.
pub fn split(copied: &[u8], batch: usize) -> (Vec<Bytes>, usize) {
    let (header, mut rest) = copied.split_at(19);
    let (mut chunks, mut chunk, mut rows) = (Vec::new(), header.to_vec(), 0);
    loop {
        let (row, after) = rest.split_at(row_bytes(rest));
        if row.is_empty() || (rows > 0 && rows % batch == 0) {
            chunk.extend((-1_i16).to_be_bytes());
            chunks.push(std::mem::replace(&mut chunk, header.to_vec()).into());
        }
        if row.is_empty() {
            return (chunks, rows);
        }
        chunk.extend_from_slice(row);
        rows += 1;
        rest = after;
    }
}

/// 0 at the end.
fn row_bytes(rest: &[u8]) -> usize {
    let fields = rest.first_chunk().map_or(-1, |count| i16::from_be_bytes(*count));
    let mut at = 2;
    for _ in 0..fields {
        let length = rest[at..].first_chunk().map_or(-1, |length| i32::from_be_bytes(*length));
        at += 4 + usize::try_from(length).unwrap_or(0);
    }
    if fields < 0 { 0 } else { at }
}
