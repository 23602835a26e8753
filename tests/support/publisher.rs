//! A device, or many, as far as MQTT goes: publishes with QoS 1 as fast as the broker takes it, on a bare socket, so
//! that a benchmark doesn't measure another client library.

use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Most messages that the broker has not acknowledged.
const WINDOW: usize = 500;
/// Most messages in one write.
const BATCH: usize = 100;

pub struct Publisher {
    socket: TcpStream,
    answers: BufReader<TcpStream>,
    batch: Vec<u8>,
    batched: usize,
    unacked: usize,
    packet_id: u16,
    /// Of the PUBACK that is due next: they come in the order of what they acknowledge.
    ack_id: u16,
    acknowledged: u64,
}

impl Publisher {
    pub fn connect(addr: SocketAddr, client_id: &str) -> io::Result<Self> {
        let socket = TcpStream::connect(addr)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        let answers = BufReader::new(socket.try_clone()?);
        let mut publisher = Self {
            socket,
            answers,
            batch: Vec::new(),
            batched: 0,
            unacked: 0,
            packet_id: 0,
            ack_id: 1,
            acknowledged: 0,
        };
        // MQTT 3.1.1, clean session, a keep-alive of 60 s (rumqttd takes no one without), which no test comes near.
        let mut connect = b"\x00\x04MQTT\x04\x02\x00\x3c".to_vec();
        connect.extend(text(client_id));
        publisher.socket.write_all(&packet(0x10, &[&connect]))?;
        let answer = publisher.answer()?;
        if answer.first() != Some(&0x20) || answer.get(3) != Some(&0) {
            return Err(io::Error::other(format!("the broker answered CONNECT with {answer:02x?}")));
        }
        Ok(publisher)
    }

    pub fn publish(&mut self, topic: &str, payload: &[u8]) -> io::Result<()> {
        self.publish_as(0x32, topic, payload)
    }

    /// The broker gives it to whoever subscribes later, too.
    pub fn publish_retained(&mut self, topic: &str, payload: &[u8]) -> io::Result<()> {
        self.publish_as(0x33, topic, payload)
    }

    fn publish_as(&mut self, kind: u8, topic: &str, payload: &[u8]) -> io::Result<()> {
        self.packet_id = after(self.packet_id);
        let packet = packet(kind, &[&text(topic), &self.packet_id.to_be_bytes(), payload]);
        self.batch.extend_from_slice(&packet);
        self.batched += 1;
        if self.batched >= BATCH { self.send() } else { Ok(()) }
    }

    pub fn publish_qos_0(&mut self, topic: &str, payload: &[u8]) -> io::Result<()> {
        self.socket.write_all(&packet(0x30, &[&text(topic), payload]))
    }

    /// Returns when the broker has acknowledged everything.
    pub fn finish(&mut self) -> io::Result<()> {
        self.send()?;
        self.wait_for_acks(0)
    }

    /// How many messages of this connection the broker has acknowledged, always the first ones.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    pub fn send(&mut self) -> io::Result<()> {
        self.socket.write_all(&self.batch)?;
        self.unacked += self.batched;
        self.batch.clear();
        self.batched = 0;
        self.wait_for_acks(WINDOW - BATCH)
    }

    fn wait_for_acks(&mut self, left: usize) -> io::Result<()> {
        while self.unacked > left {
            let answer = self.answer()?;
            let [due_high, due_low] = self.ack_id.to_be_bytes();
            if answer != [0x40, 2, due_high, due_low] {
                let due = self.ack_id;
                return Err(io::Error::other(format!(
                    "the broker sent {answer:02x?} where the PUBACK of {due} was due"
                )));
            }
            self.ack_id = after(self.ack_id);
            self.acknowledged += 1;
            self.unacked -= 1;
        }
        Ok(())
    }

    /// What a publisher is answered with has a length of less than 128.
    fn answer(&mut self) -> io::Result<Vec<u8>> {
        let mut answer = vec![0; 2];
        self.answers.read_exact(&mut answer)?;
        answer.resize(2 + usize::from(answer[1]), 0);
        self.answers.read_exact(&mut answer[2..])?;
        Ok(answer)
    }
}

fn after(packet_id: u16) -> u16 {
    if packet_id == u16::MAX { 1 } else { packet_id + 1 }
}

fn text(text: &str) -> Vec<u8> {
    let len = u16::try_from(text.len()).expect("a short text");
    [&len.to_be_bytes(), text.as_bytes()].concat()
}

fn packet(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut packet = vec![kind];
    let mut rest: usize = parts.iter().map(|part| part.len()).sum();
    loop {
        let low = u8::try_from(rest % 128).expect("less than 128");
        rest /= 128;
        packet.push(if rest > 0 { low | 0x80 } else { low });
        if rest == 0 {
            break;
        }
    }
    packet.extend(parts.concat());
    packet
}
