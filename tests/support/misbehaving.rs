//! A broker that says what the test wants, byte by byte, for what no real one can be brought to do.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

/// What one connection meets: each client packet of the wanted kind gets the next answer.
pub struct Script(pub Vec<(u8, Vec<u8>)>);

pub const CONNECT: u8 = 0x10;
pub const SUBSCRIBE: u8 = 0x82;
/// With QoS 1.
const PUBLISH: u8 = 0x32;

pub fn connack(session_present: bool, code: u8) -> Vec<u8> {
    vec![0x20, 2, session_present.into(), code]
}

/// To the first subscription of a connection, which has the packet id 1.
pub fn suback(codes: &[u8]) -> Vec<u8> {
    let len = u8::try_from(2 + codes.len()).expect("few filters");
    [&[0x90, len, 0, 1], codes].concat()
}

/// Serves one connection after the other, each by the next script, and tells the packet kinds that each got until its
/// client left.
pub fn serve(scripts: Vec<Script>) -> (SocketAddr, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    let (tell, told) = sync_channel(scripts.len());
    thread::spawn(move || {
        for script in scripts {
            let Ok((socket, _)) = listener.accept() else { return };
            let _ = tell.send(one_connection(socket, script));
        }
    });
    (addr, told)
}

/// Serves one connection after the other: knows the session from the second one on, grants five filters, acknowledges
/// what is published, and never passes any of it on. Tells the packet kinds that each got until its client left.
pub fn serve_forgetful(connections: usize) -> (SocketAddr, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    let (tell, told) = sync_channel(connections);
    thread::spawn(move || {
        for n in 0..connections {
            let Ok((mut socket, _)) = listener.accept() else { return };
            // The subscription has the packet id 1.
            let (mut kinds, mut id) = (Vec::new(), 1_u8);
            while let Some(kind) = read_packet(&mut socket) {
                kinds.push(kind);
                let answer = match kind {
                    CONNECT => connack(n > 0, 0),
                    SUBSCRIBE => suback(&[1; 5]),
                    PUBLISH => {
                        id += 1;
                        vec![0x40, 2, 0, id]
                    }
                    _ => continue,
                };
                if socket.write_all(&answer).is_err() {
                    break;
                }
            }
            let _ = tell.send(kinds);
        }
    });
    (addr, told)
}

/// Serves one connection: grants five filters, then sends messages without end and reads nothing any more.
pub fn serve_deaf() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        let Ok((mut socket, _)) = listener.accept() else { return };
        let granted = [connack(false, 0), suback(&[1; 5])];
        for answer in granted {
            if read_packet(&mut socket).is_none() || socket.write_all(&answer).is_err() {
                return;
            }
        }
        let ids = (1..=u16::MAX).cycle();
        for id in ids {
            let [high, low] = id.to_be_bytes();
            if socket.write_all(&[0x32, 6, 0, 1, b't', high, low, b'x']).is_err() {
                return;
            }
        }
    });
    addr
}

fn one_connection(mut socket: TcpStream, script: Script) -> Vec<u8> {
    let mut answers = script.0.into_iter().peekable();
    let mut kinds = Vec::new();
    // Longer than any test, so that a thread never stays.
    let _ = socket.set_read_timeout(Some(Duration::from_secs(60)));
    while let Some(kind) = read_packet(&mut socket) {
        kinds.push(kind);
        while let Some((_, answer)) = answers.next_if(|(to, _)| *to == kind) {
            if socket.write_all(&answer).is_err() {
                return kinds;
            }
        }
    }
    kinds
}

/// The first byte of the next packet, whose rest is read too.
fn read_packet(socket: &mut TcpStream) -> Option<u8> {
    let mut byte = || {
        let mut byte = [0];
        socket.read_exact(&mut byte).ok().map(|()| byte[0])
    };
    let kind = byte()?;
    let (mut len, mut shift) = (0, 0);
    loop {
        let part = byte()?;
        len |= usize::from(part & 0x7f) << shift;
        shift += 7;
        if part & 0x80 == 0 {
            break;
        }
    }
    socket.read_exact(&mut vec![0; len]).ok()?;
    Some(kind)
}
