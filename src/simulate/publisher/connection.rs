//! One connection to the broker: speaks MQTT 3.1.1 on a bare socket, so that many messages go in one write and many
//! acknowledgements come with one read. The client library would wake two tasks for each of them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use rumqttc::{Connect, ConnectReturnCode, Disconnect, Packet, PingReq, Publish, QoS, mqttbytes};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::window::Window;
use super::{Progress, PublishError, PublishOptions};
use crate::limits;
use crate::simulate::Message;

/// What the broker says is a few bytes at a time; whoever says more is no broker.
const ANSWER_BYTES: usize = 4 * 1024;
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// A broker that leaves pings and publications unanswered for this long is taken for dead.
const DEAD_AFTER: Duration = Duration::from_secs(60);
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

pub(super) struct Connection {
    options: PublishOptions,
    dealt: mpsc::Receiver<Vec<Message>>,
    /// No more will be dealt.
    is_last: bool,
    window: Window,
    progress: Arc<Progress>,
}

enum Lost {
    Refused(ConnectReturnCode),
    Broken(io::Error),
}

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl From<mqttbytes::Error> for Lost {
    fn from(error: mqttbytes::Error) -> Self {
        Self::Broken(io::Error::other(format!("the broker doesn't keep to MQTT: {error:?}")))
    }
}

impl Connection {
    pub(super) fn new(options: PublishOptions, dealt: mpsc::Receiver<Vec<Message>>, progress: Arc<Progress>) -> Self {
        let window = Window::new(options.window.clamp(1, limits::PUBLISH_WINDOW));
        Self { options, dealt, is_last: false, window, progress }
    }

    /// Until everything that was dealt is acknowledged.
    pub(super) async fn run(mut self) -> Result<(), PublishError> {
        let mut backoff = BACKOFF.0;
        loop {
            let before = self.progress.connections.load(Ordering::Acquire);
            let lost = match self.connection().await {
                Ok(()) => return Ok(()),
                Err(lost) => lost,
            };
            let PublishOptions { host, port, client_id, .. } = &self.options;
            match lost {
                Lost::Refused(code) if code != ConnectReturnCode::ServiceUnavailable => {
                    let (host, client_id) = (host.clone(), client_id.clone());
                    return Err(PublishError::Refused { host, port: *port, client_id, code });
                }
                Lost::Refused(code) => {
                    tracing::warn!("the broker at {host}:{port} is not ready ({code:?}); trying again");
                }
                Lost::Broken(error) => {
                    tracing::warn!(%error, "no connection to the broker at {host}:{port}; trying again");
                }
            }
            self.window.connection_lost();
            let connected = self.progress.connections.load(Ordering::Acquire) > before;
            backoff = if connected { BACKOFF.0 } else { (backoff * 2).min(BACKOFF.1) };
            tokio::time::sleep(backoff).await;
        }
    }

    async fn connection(&mut self) -> Result<(), Lost> {
        let mut socket = timeout(CONNECT_WITHIN, self.connect()).await.map_err(io::Error::from)??;
        self.progress.connections.fetch_add(1, Ordering::AcqRel);
        let (mut reader, mut writer) = socket.split();
        let (mut read, mut unwritten) = (BytesMut::new(), BytesMut::new());
        let (mut heard, mut said) = (Instant::now(), Instant::now());
        let mut beat = tokio::time::interval(Duration::from_secs(1));
        loop {
            self.fill(&mut unwritten)?;
            let oldest_ms = self.window.oldest().map_or(i64::MAX, |message| message.at.ms());
            self.progress.oldest_ms.store(oldest_ms, Ordering::Release);
            if self.is_last && self.window.is_empty() {
                // Takes leave, so that the broker publishes no last will and logs no error.
                Disconnect.write(&mut unwritten)?;
                writer.write_all(&unwritten).await?;
                writer.shutdown().await?;
                return Ok(());
            }
            tokio::select! {
                wrote = writer.write_buf(&mut unwritten), if !unwritten.is_empty() => {
                    wrote?;
                    said = Instant::now();
                }
                count = reader.read_buf(&mut read) => {
                    if count? == 0 {
                        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                    }
                    heard = Instant::now();
                    self.hear(&mut read)?;
                }
                batch = self.dealt.recv(), if !self.is_last && self.window.wants_more() => match batch {
                    Some(batch) => self.window.add(batch),
                    None => self.is_last = true,
                },
                _ = beat.tick() => {
                    if heard.elapsed() > DEAD_AFTER {
                        return Err(io::Error::from(io::ErrorKind::TimedOut).into());
                    }
                    if said.elapsed() > KEEP_ALIVE / 2 && unwritten.is_empty() {
                        PingReq.write(&mut unwritten)?;
                    }
                }
            }
        }
    }

    async fn connect(&self) -> Result<TcpStream, Lost> {
        let PublishOptions { host, port, client_id, credentials, .. } = &self.options;
        let mut socket = TcpStream::connect((host.as_str(), *port)).await?;
        socket.set_nodelay(true)?;
        let mut connect = Connect::new(client_id);
        connect.keep_alive = KEEP_ALIVE.as_secs() as u16;
        if let Some((user, password)) = credentials {
            connect.set_login(user, password);
        }
        let mut packet = BytesMut::new();
        connect.write(&mut packet)?;
        socket.write_all(&packet).await?;
        let mut read = BytesMut::new();
        loop {
            match Packet::read(&mut read, ANSWER_BYTES) {
                Ok(Packet::ConnAck(answer)) if answer.code == ConnectReturnCode::Success => return Ok(socket),
                Ok(Packet::ConnAck(answer)) => return Err(Lost::Refused(answer.code)),
                Ok(other) => {
                    let what = format!("the broker answered CONNECT with {other:?}");
                    return Err(io::Error::other(what).into());
                }
                Err(mqttbytes::Error::InsufficientBytes(_)) => {}
                Err(error) => return Err(error.into()),
            }
            if socket.read_buf(&mut read).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }

    fn hear(&mut self, read: &mut BytesMut) -> Result<(), Lost> {
        loop {
            match Packet::read(read, ANSWER_BYTES) {
                Ok(Packet::PubAck(ack)) => {
                    let news = self.window.acknowledged(ack.pkid);
                    self.progress.acknowledged.fetch_add(u64::from(news), Ordering::AcqRel);
                }
                Ok(_) => {}
                Err(mqttbytes::Error::InsufficientBytes(_)) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Writes what the window lets out, as long as the buffer has room.
    fn fill(&mut self, unwritten: &mut BytesMut) -> Result<(), Lost> {
        while unwritten.len() < limits::PUBLISH_BUFFER_BYTES
            && let Some((packet, message)) = self.window.next()
        {
            let mut publish = Publish::from_bytes(&*message.topic, QoS::AtLeastOnce, message.payload.clone());
            publish.pkid = packet;
            publish.retain = message.retain;
            unwritten.reserve(publish.size());
            publish.write(unwritten)?;
            self.progress.sent.fetch_add(1, Ordering::AcqRel);
        }
        Ok(())
    }
}
