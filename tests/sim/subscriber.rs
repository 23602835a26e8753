//! The broker's client as a step by step machine: what `ingest::subscriber` does around the real ledger and markers.

use vigil::ingest::ledger::{Ledger, Reply};
use vigil::ingest::marker::Markers;
use vigil::model::record::Link;
use vigil::model::time::Elapsed;
use vigil::spine::input::{Durable, Input, Inputs, NotTaken};

use crate::broker::{Broker, Message};
use crate::dice::Dice;
use crate::faults::{Canary, Fault, Faults};
use crate::model::Model;

const MARKER_EVERY_MS: i64 = 5_000;
const MARKER_TOPIC: &str = "vigil/v1/service/sim/marker";
/// Bytes that may wait to become durable: few, so that it is reached.
const IN_FLIGHT_BYTES: usize = 4 * 1024;

pub(crate) struct Subscriber {
    connections: u32,
    nonce: u64,
    session: Option<Session>,
    /// Changes of the link that found no room yet: nothing overtakes them.
    tells: Vec<Link>,
    reconnect_at: i64,
}

struct Session {
    ledger: Ledger,
    markers: Markers,
    parked: Option<Arrival>,
    marker_at: i64,
}

struct Arrival {
    input: Option<Input>,
    bytes: usize,
    reply: Reply,
}

/// All that it has to do with.
pub(crate) struct Around<'a> {
    pub(crate) now: i64,
    pub(crate) elapsed: Elapsed,
    pub(crate) durable: Durable,
    pub(crate) inputs: &'a Inputs,
    pub(crate) broker: &'a mut Broker,
    pub(crate) model: &'a mut Model,
    pub(crate) faults: &'a mut Faults,
    pub(crate) dice: &'a mut Dice,
}

impl Subscriber {
    pub(crate) fn new(nonce: u64) -> Self {
        Self { connections: 0, nonce, session: None, tells: Vec::new(), reconnect_at: 0 }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.session.is_some()
    }

    /// When it next does something on its own.
    pub(crate) fn next_at(&self) -> i64 {
        self.session.as_ref().map_or(self.reconnect_at, |session| session.marker_at)
    }

    /// Connects, if it is time, and sends a marker, if it is time.
    pub(crate) fn look_after_connection(&mut self, around: &mut Around<'_>) {
        if self.session.is_none() && around.now >= self.reconnect_at && !around.durable.withheld {
            around.broker.connect();
            self.connections += 1;
            self.tells.push(Link::Up);
            self.session = Some(Session {
                ledger: Ledger::new(self.connections),
                markers: Markers::new(self.nonce, self.connections),
                parked: None,
                marker_at: around.now,
            });
            if around.durable.token.connection != self.connections && around.durable.token.n > 0 {
                around.faults.count(Fault::AckStale);
            }
        }
        let Some(session) = &mut self.session else { return };
        if around.now >= session.marker_at {
            session.marker_at = around.now + MARKER_EVERY_MS;
            let payload = session.markers.send(around.elapsed).into();
            if !around.faults.draw(around.dice, Fault::MarkerLost, 100) {
                around.broker.publish(Message { uid: None, topic: MARKER_TOPIC.into(), payload });
            }
        }
        if around.faults.has(Canary::MarkersMadeUp) {
            let _full = around.inputs.offer(Input::Link(Link::Heard { sent: around.elapsed }));
        }
    }

    /// Takes one message from the broker, or places what was parked. `false`: there was nothing to do, or no room.
    pub(crate) fn receive(&mut self, around: &mut Around<'_>) -> bool {
        while let Some(link) = self.tells.first() {
            if around.inputs.offer(Input::Link(*link)).is_err() {
                around.faults.count(Fault::QueueFull);
                return false;
            }
            self.tells.remove(0);
        }
        let Some(session) = &mut self.session else { return false };
        let arrival = match session.parked.take() {
            Some(arrival) => arrival,
            None => match around.broker.deliver() {
                Some((packet, message)) => {
                    let arrival = session.arrival(packet, message);
                    if let Some(Input::Link(Link::Heard { sent })) = arrival.input {
                        around.model.markers.insert(sent);
                    }
                    arrival
                }
                None => return false,
            },
        };
        session.place(arrival, around)
    }

    /// Sends on what has become durable, and leaves the broker where reports aren't taken.
    pub(crate) fn acknowledge(&mut self, around: &mut Around<'_>) -> Result<(), String> {
        let Some(session) = &mut self.session else { return Ok(()) };
        let mut token = around.durable.token;
        if around.faults.has(Canary::AckBeforeSync) {
            (token.connection, token.n) = (self.connections, u64::MAX);
        } else if around.faults.has(Canary::AckForOtherConnection) {
            token.connection = self.connections;
        }
        while let Some(reply) = session.ledger.next_due(token) {
            let Reply::PubAck(packet) = reply else { return Err(format!("P1: {reply:?} to a message of QoS 1")) };
            if let Some(uid) = around.broker.acknowledge(packet)? {
                around.model.acknowledge(uid)?;
            }
        }
        if around.durable.withheld || around.durable.refused == self.connections {
            let wait_ms = around.dice.between(200, 5_000);
            self.disconnect(around.broker, around.now + wait_ms);
        }
        Ok(())
    }

    pub(crate) fn disconnect(&mut self, broker: &mut Broker, reconnect_at: i64) {
        if self.session.take().is_some() {
            broker.disconnect();
            self.tells.push(Link::Down);
            self.reconnect_at = reconnect_at;
        }
    }
}

impl Session {
    fn arrival(&mut self, packet: u16, message: Message) -> Arrival {
        let Message { topic, payload, .. } = message;
        let bytes = topic.len() + payload.len();
        let input = if &*topic == MARKER_TOPIC {
            self.markers.hear(&payload).map(|sent| Input::Link(Link::Heard { sent }))
        } else {
            Some(Input::Report { token: self.ledger.next_token(), topic, payload })
        };
        Arrival { input, bytes, reply: Reply::PubAck(packet) }
    }

    fn place(&mut self, arrival: Arrival, around: &mut Around<'_>) -> bool {
        let Arrival { input, bytes, reply } = arrival;
        let Some(input) = input else {
            self.ledger.take_other(bytes, Some(reply));
            return true;
        };
        let is_report = matches!(input, Input::Report { .. });
        let offered = if self.ledger.has_room(bytes, IN_FLIGHT_BYTES) {
            around.inputs.offer(input)
        } else {
            Err(NotTaken::Full(input))
        };
        match offered {
            Ok(()) if is_report => self.ledger.take_report(bytes, Some(reply)),
            Ok(()) => self.ledger.take_other(bytes, Some(reply)),
            Err(NotTaken::Full(input) | NotTaken::Shut(input) | NotTaken::Ended(input)) => {
                around.faults.count(Fault::QueueFull);
                self.parked = Some(Arrival { input: Some(input), bytes, reply });
                return false;
            }
        }
        true
    }
}
