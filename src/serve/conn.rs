//! Connections: bounded in number and in how long they may be silent, and cut when the service has to end.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, Sleep};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::limits;

/// With these a connection over HTTP/2 begins; from there on it has a keep-alive of its own.
const PREFACE_BYTES: usize = 24;

/// Accepts until `stop`; what was accepted ends with an error at `cut`, or when it hasn't begun after `greeting`.
pub(super) fn incoming(
    listener: TcpListener,
    greeting: Duration,
    stop: CancellationToken,
    cut: CancellationToken,
) -> ReceiverStream<io::Result<Conn>> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = accept(&listener, greeting, &cut, &sender) => {}
        }
    });
    ReceiverStream::new(receiver)
}

async fn accept(
    listener: &TcpListener,
    greeting: Duration,
    cut: &CancellationToken,
    sender: &mpsc::Sender<io::Result<Conn>>,
) {
    let slots = Arc::new(Semaphore::new(limits::CONNECTIONS));
    loop {
        let (io, slot) = accept_one(listener, &slots).await;
        let silence = Silence::new(greeting, Some(PREFACE_BYTES));
        let conn = Conn { io, cut: Box::pin(cut.clone().cancelled_owned()), silence: Some(silence), _slot: slot };
        if sender.send(Ok(conn)).await.is_err() {
            return;
        }
    }
}

/// Beyond the slots, clients wait in the listener's backlog.
async fn accept_one(listener: &TcpListener, slots: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    let slot = Arc::clone(slots).acquire_owned().await.expect("nobody closes it");
    loop {
        match listener.accept().await {
            Ok((io, _)) => {
                // Without it, events would wait for the client's delayed acknowledgement.
                let _ = io.set_nodelay(true);
                return (io, slot);
            }
            Err(error) => {
                // Mostly no file descriptors left: others must end first.
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// The connections of HTTP/1: few, and each ended once nothing was heard of it for `silence`.
pub(super) struct Few {
    pub(super) listener: TcpListener,
    pub(super) slots: Arc<Semaphore>,
    pub(super) silence: Duration,
    pub(super) cut: CancellationToken,
}

impl axum::serve::Listener for Few {
    type Io = Conn;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Conn, SocketAddr) {
        loop {
            let (io, slot) = accept_one(&self.listener, &self.slots).await;
            // One that is gone already has no address any more.
            let Ok(peer) = io.peer_addr() else { continue };
            let cut = Box::pin(self.cut.clone().cancelled_owned());
            return (Conn { io, cut, silence: Some(Silence::new(self.silence, None)), _slot: slot }, peer);
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// How long the other side may say nothing.
struct Silence {
    ends: Pin<Box<Sleep>>,
    span: Duration,
    /// Bytes after which it may be silent for as long as it likes; `None`: it may never be.
    until: Option<usize>,
}

impl Silence {
    fn new(span: Duration, until: Option<usize>) -> Self {
        Self { ends: Box::pin(tokio::time::sleep(span)), span, until }
    }

    /// Whether to go on listening for it.
    fn heard(&mut self, bytes: usize) -> bool {
        match &mut self.until {
            Some(left) => {
                *left = left.saturating_sub(bytes);
                *left > 0
            }
            None => {
                self.ends.as_mut().reset(Instant::now() + self.span);
                true
            }
        }
    }
}

pub(super) struct Conn {
    io: TcpStream,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    silence: Option<Silence>,
    _slot: OwnedSemaphorePermit,
}

impl Conn {
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.cut.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the service has ended")),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Conn {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        let Some(silence) = &mut self.silence else { return read };
        if read.is_ready() {
            if !silence.heard(buf.filled().len() - before) {
                self.silence = None;
            }
            return read;
        }
        silence
            .ends
            .as_mut()
            .poll(cx)
            .map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "it was silent for too long")))
    }
}

impl AsyncWrite for Conn {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

impl Connected for Conn {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.io.connect_info()
    }
}
