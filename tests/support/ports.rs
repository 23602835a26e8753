//! Free ports for servers that are stopped and started again on the same one.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{Ipv4Addr, TcpListener};

/// Below the ports that systems give to outgoing connections. A client that keeps trying a port from among those,
/// while its server is away, one day gets it as its own end, is connected to itself, and the server can't come back.
const FROM: u16 = 12_000;
const COUNT: u64 = 18_000;

/// One that nobody listens on just now.
pub fn free() -> u16 {
    let mut random = RandomState::new().hash_one(std::process::id());
    loop {
        let port = FROM + u16::try_from(random % COUNT).expect("below the count");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
        random = random.wrapping_add(1);
    }
}
