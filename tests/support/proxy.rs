//! A way between the service and its broker that can be cut, or fall silent in either direction.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::tap::{Counts, Heard, Tap};

/// How soon a pump that waits for bytes sees that it is to stop or to hold.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Which bytes are held back. They are not dropped: whoever sends them sees its connection fill up, as it would in front
/// of a peer that reads nothing, or of a network that is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Holds {
    /// From the service to the broker.
    pub up: bool,
    /// From the broker to the service.
    pub down: bool,
}

impl Holds {
    pub const BOTH: Self = Self { up: true, down: true };
    pub const UP: Self = Self { up: true, down: false };
    pub const DOWN: Self = Self { up: false, down: true };
}

#[derive(Default)]
struct State {
    /// Connections up to this number are held like this: what comes after is not touched.
    old: (u32, Holds),
    /// All connections are.
    all: Holds,
    /// Connections up to this number are cut.
    cut: u32,
    connections: u32,
    stop: bool,
}

struct Shared {
    to: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
    heard: Mutex<Heard>,
    counts: Counts,
}

pub struct Proxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Proxy {
    pub fn start(to: SocketAddr, counts: Counts) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, super::ports::free())).expect("it is free");
        listener.set_nonblocking(true).expect("a listener can be");
        let addr = listener.local_addr().expect("it is bound");
        let (state, heard) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { to, state, changed: Condvar::new(), heard, counts });
        let accepting = {
            let shared = Arc::clone(&shared);
            Some(thread::spawn(move || accept(&listener, &shared)))
        };
        Self { addr, shared, accepting }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ends the connections that there are, in the midst of whatever they carry.
    pub fn cut(&self) {
        let mut state = self.shared.state();
        state.cut = state.connections;
        self.shared.changed.notify_all();
    }

    /// Holds back what the present connections carry, until they end. New ones work.
    pub fn hold_present(&self, holds: Holds) {
        let mut state = self.shared.state();
        state.old = (state.connections, holds);
    }

    /// Holds back what all connections carry, also new ones, until this is called with nothing to hold.
    pub fn hold_all(&self, holds: Holds) {
        self.shared.state().all = holds;
        self.shared.changed.notify_all();
    }

    /// How many connections there have been.
    pub fn connections(&self) -> u32 {
        self.shared.state().connections
    }

    pub fn heard(&self) -> MutexGuard<'_, Heard> {
        self.shared.heard.lock().expect("no pump panics")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.state().stop = true;
        self.shared.changed.notify_all();
        if let Some(accepting) = self.accepting.take() {
            let _panicked = accepting.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding it")
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut pumps = Vec::new();
    loop {
        if shared.state().stop {
            break;
        }
        match listener.accept() {
            Ok((client, _)) => pumps.extend(connect(client, shared)),
            Err(_) => thread::park_timeout(LOOK_EVERY),
        }
    }
    for pump in pumps {
        let _panicked: thread::Result<()> = pump.join();
    }
}

/// A broker that is away is a connection that ends at once.
fn connect(client: TcpStream, shared: &Arc<Shared>) -> Vec<JoinHandle<()>> {
    let Ok(broker) = TcpStream::connect(shared.to) else { return Vec::new() };
    let n = {
        let mut state = shared.state();
        state.connections += 1;
        state.connections
    };
    shared.heard.lock().expect("no pump panics").connections = n;
    let tap = Arc::new(Mutex::new(Tap::new(n, shared.counts)));
    let ended = Arc::new(AtomicBool::new(false));
    let pump = |is_up: bool| {
        let (from, to) = if is_up { (&client, &broker) } else { (&broker, &client) };
        let pump = Pump {
            n,
            is_up,
            from: from.try_clone().expect("a second handle"),
            to: to.try_clone().expect("a second handle"),
            tap: Arc::clone(&tap),
            ended: Arc::clone(&ended),
            shared: Arc::clone(shared),
        };
        thread::spawn(move || pump.run())
    };
    for socket in [&client, &broker] {
        socket.set_nonblocking(false).expect("a socket can be");
        socket.set_nodelay(true).expect("a socket can be");
        socket.set_read_timeout(Some(LOOK_EVERY)).expect("a socket can be");
        socket.set_write_timeout(Some(LOOK_EVERY)).expect("a socket can be");
    }
    vec![pump(true), pump(false)]
}

/// One direction of one connection.
struct Pump {
    n: u32,
    is_up: bool,
    from: TcpStream,
    to: TcpStream,
    tap: Arc<Mutex<Tap>>,
    ended: Arc<AtomicBool>,
    shared: Arc<Shared>,
}

impl Pump {
    fn run(mut self) {
        let mut bytes = vec![0; 64 * 1024];
        while self.goes_on() {
            match self.from.read(&mut bytes) {
                Ok(0) => break,
                Ok(n) if self.pass_on(&bytes[..n]).is_some() => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                _ => break,
            }
        }
        self.ended.store(true, Ordering::Relaxed);
        for socket in [&self.from, &self.to] {
            let _gone = socket.shutdown(Shutdown::Both);
        }
    }

    /// Waits while bytes are held back. Whether the connection still stands.
    fn goes_on(&self) -> bool {
        let mut state = self.shared.state();
        loop {
            if state.stop || state.cut >= self.n || self.ended.load(Ordering::Relaxed) {
                return false;
            }
            let (up_to, old) = state.old;
            let of = |holds: Holds| if self.is_up { holds.up } else { holds.down };
            if !(of(state.all) || self.n <= up_to && of(old)) {
                return true;
            }
            // Looked at now and then: the other direction may have ended.
            state = self.shared.changed.wait_timeout(state, LOOK_EVERY).expect("nobody panics while holding it").0;
        }
    }

    fn pass_on(&mut self, bytes: &[u8]) -> Option<()> {
        {
            let mut tap = self.tap.lock().expect("no pump panics");
            let mut heard = self.shared.heard.lock().expect("no pump panics");
            if self.is_up { tap.up(bytes, &mut heard) } else { tap.down(bytes, &mut heard) }
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.to.write(rest) {
                Ok(n) => rest = &rest[n..],
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if !self.goes_on() {
                        return None;
                    }
                }
                Err(_) => return None,
            }
        }
        Some(())
    }
}
