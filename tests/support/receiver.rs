//! Somebody who is told of what happens: a little HTTP server that can be as bad as the test wants.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::wait;

/// What a delivery meets.
#[derive(Debug, Clone)]
pub enum Mood {
    /// 200.
    Take,
    /// An answer with that status and those further header lines, each with its line end.
    Answer(u16, String),
    /// 200, after so long.
    Slow(Duration),
    /// It is read and never answered.
    Hang,
    /// The connection ends in the middle of the answer's head.
    CloseHalfWay,
    /// 200, and then a body without end.
    Endless,
}

#[derive(Debug, Clone)]
pub struct Received {
    pub at: Instant,
    /// By their names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    /// Whether it was answered with 200.
    pub taken: bool,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("bodies are text")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

/// Ends with its value.
pub struct Receiver {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    received: Mutex<Vec<Received>>,
    changed: Condvar,
    /// For the next deliveries, one each; then the last one that was set.
    moods: Mutex<(VecDeque<Mood>, Option<Mood>)>,
    stopped: AtomicBool,
    /// Bytes of endless bodies that went out.
    poured: AtomicU64,
    tls: Option<Arc<rustls::ServerConfig>>,
}

impl Receiver {
    pub fn start() -> Self {
        Self::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), None)
    }

    /// Where nobody was before.
    pub fn at(addr: SocketAddr) -> Self {
        Self::listen(addr, None)
    }

    pub fn with_tls(tls: rustls::ServerConfig) -> Self {
        Self::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), Some(Arc::new(tls)))
    }

    fn listen(addr: SocketAddr, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind(addr).expect("nobody else listens there");
        let addr = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared { tls, ..Shared::default() });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                if serving.stopped.load(Ordering::Relaxed) {
                    return;
                }
                let serving = Arc::clone(&serving);
                thread::spawn(move || serving.connection(socket));
            }
        });
        Self { addr, shared }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook?token=t0ken", self.addr)
    }

    /// The next deliveries meet these, one each; those after them the last mood that was set with [`Receiver::be`].
    pub fn then(&self, moods: impl IntoIterator<Item = Mood>) {
        self.shared.moods.lock().expect("nobody panics while holding it").0.extend(moods);
    }

    pub fn be(&self, mood: Mood) {
        self.shared.moods.lock().expect("nobody panics while holding it").1 = Some(mood);
    }

    /// All there were so far.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().expect("nobody panics while holding it").clone()
    }

    /// Those that were answered with 200.
    pub fn taken(&self) -> Vec<Received> {
        self.received().into_iter().filter(|it| it.taken).collect()
    }

    pub fn poured(&self) -> u64 {
        self.shared.poured.load(Ordering::Relaxed)
    }

    /// Waits until there are as many as that which `wanted` lets through, and returns them.
    pub fn wait_for(&self, count: usize, limit: Duration, wanted: impl Fn(&Received) -> bool) -> Vec<Received> {
        let deadline = Instant::now() + limit;
        let mut received = self.shared.received.lock().expect("nobody panics while holding it");
        loop {
            let found: Vec<Received> = received.iter().filter(|it| wanted(it)).cloned().collect();
            if found.len() >= count {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} of {count} deliveries in {limit:?}", found.len());
            received = self.shared.changed.wait_timeout(received, left).expect("nobody panics while holding it").0;
        }
    }

    pub fn wait_taken(&self, count: usize, limit: Duration) -> Vec<Received> {
        self.wait_for(count, limit, |it| it.taken)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        // It waits for a connection: this is one.
        let _ = TcpStream::connect(self.addr);
    }
}

trait Stream: std::io::Read + Write {}
impl<T: std::io::Read + Write> Stream for T {}

impl Shared {
    fn connection(&self, socket: TcpStream) {
        // Those that hang end with the receiver, at the latest after this.
        let _ = socket.set_read_timeout(Some(Duration::from_millis(200)));
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(socket),
            Some(tls) => {
                let Ok(session) = rustls::ServerConnection::new(Arc::clone(tls)) else { return };
                Box::new(rustls::StreamOwned::new(session, socket))
            }
        };
        let mut stream = BufReader::new(stream);
        while let Some((headers, body)) = self.request(&mut stream) {
            let mood = {
                let mut moods = self.moods.lock().expect("nobody panics while holding it");
                let last = moods.1.clone();
                moods.0.pop_front().or(last).unwrap_or(Mood::Take)
            };
            if let Mood::Slow(time) = &mood {
                wait::until(Instant::now() + *time);
            }
            let taken = matches!(mood, Mood::Take | Mood::Slow(_) | Mood::Endless);
            self.received.lock().expect("nobody panics while holding it").push(Received {
                at: Instant::now(),
                headers,
                body,
                taken,
            });
            self.changed.notify_all();
            if !self.answer(&mut **stream.get_mut(), &mood) {
                return;
            }
        }
    }

    /// Whether the connection goes on.
    fn answer(&self, stream: &mut dyn Stream, mood: &Mood) -> bool {
        let mut say = |text: &str| stream.write_all(text.as_bytes()).and_then(|()| stream.flush()).is_ok();
        match mood {
            Mood::Take | Mood::Slow(_) => say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
            Mood::Answer(code, headers) => {
                say(&format!("HTTP/1.1 {code} So\r\n{headers}content-length: 9\r\n\r\nno\tthanks"))
            }
            Mood::Hang => {
                while !self.stopped.load(Ordering::Relaxed) {
                    wait::until(Instant::now() + Duration::from_millis(20));
                }
                false
            }
            Mood::CloseHalfWay => {
                say("HTTP/1.1 200 OK\r\ncontent-le");
                false
            }
            Mood::Endless => {
                let piece = [b'x'; 16 * 1024];
                let mut goes_on = say("HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n");
                while goes_on && !self.stopped.load(Ordering::Relaxed) {
                    goes_on = stream.write_all(&piece).is_ok();
                    self.poured.fetch_add(piece.len() as u64, Ordering::Relaxed);
                }
                false
            }
        }
    }

    /// The next one of a connection; `None`: it has ended, or the receiver has.
    fn request(&self, stream: &mut BufReader<Box<dyn Stream>>) -> Option<(BTreeMap<String, String>, Vec<u8>)> {
        let mut lines = Vec::new();
        loop {
            let line = self.line(stream)?;
            if line.is_empty() {
                break;
            }
            lines.push(line);
        }
        let headers: BTreeMap<String, String> = lines
            .iter()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .chain([("".to_owned(), lines.first()?.clone())])
            .collect();
        let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        let mut got = 0;
        while got < length {
            match stream.read(&mut body[got..]) {
                Ok(0) => return None,
                Ok(n) => got += n,
                Err(error) => self.may_wait(&error)?,
            }
        }
        Some((headers, body))
    }

    fn line(&self, stream: &mut BufReader<Box<dyn Stream>>) -> Option<String> {
        let mut line = Vec::new();
        loop {
            match stream.read_until(b'\n', &mut line) {
                Ok(0) => return None,
                Ok(_) if line.ends_with(b"\n") => break,
                Ok(_) => return None,
                Err(error) => self.may_wait(&error)?,
            }
        }
        Some(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    fn may_wait(&self, error: &std::io::Error) -> Option<()> {
        let waits = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted);
        (waits && !self.stopped.load(Ordering::Relaxed)).then_some(())
    }
}
