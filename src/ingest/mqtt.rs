//! One connection to the broker, by rumqttc. The only module that knows the library, and what it must be guarded from.
//!
//! An [`EventLoop`] lives as long as its connection and is thrown away with it. rumqttc would reconnect by itself and
//! carry over what it had read, what waited in its request channel and what the broker had not acknowledged; an
//! acknowledgement that reaches another connection than its message's acknowledges the wrong one.
//!
//! Nothing is sent through rumqttc's request channel: packets are written to its network, and flushed, between two
//! calls of `poll`. So nothing can be late or find the channel full, and all that has become durable at once leaves in
//! one write, where the channel costs one for every acknowledgement.

use std::time::Duration;

use bytes::Bytes;
use rumqttc::{
    ConnAck, ConnectReturnCode, ConnectionError, EventLoop, Packet, PubAck, PubRec, Publish, QoS, Request, StateError,
    Subscribe, SubscribeFilter, SubscribeReasonCode, Unsubscribe,
};
use tokio::time::timeout;

use super::ledger::Reply;
use super::options::MqttOptions;
use crate::limits;

#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("the broker refuses us: {}", refusal(*.0))]
    Refused(ConnectReturnCode),
    #[error("no connection: {0}")]
    NotConnected(Box<ConnectionError>),
    #[error("the connection is gone: {0}")]
    Lost(Box<ConnectionError>),
    #[error("nothing came from the broker for {} s, not even answers to our markers", .0.as_secs())]
    Silent(Duration),
    #[error("the broker answers, but passes on nothing for {} s, not even our own markers: subscribing anew", .0.as_secs())]
    Unheard(Duration),
    #[error("the broker took nothing that we sent for {} s", .0.as_secs())]
    NotTaken(Duration),
    #[error("the broker refuses {filter:?}, or grants less than QoS 1: look at its access rules")]
    FilterRefused { filter: String },
    #[error("the broker did not answer our subscription for {} s", .0.as_secs())]
    SubscriptionUnanswered(Duration),
}

impl LinkError {
    /// A word for metrics.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::NotConnected(_) => "not-connected",
            Self::Lost(_) => "lost",
            Self::Silent(_) => "silent",
            Self::Unheard(_) => "unheard",
            Self::NotTaken(_) => "not-taken",
            Self::FilterRefused { .. } => "filter-refused",
            Self::SubscriptionUnanswered(_) => "subscription-unanswered",
        }
    }

    /// Whether there was a session that has ended by it.
    pub(super) fn ends_session(&self) -> bool {
        !matches!(self, Self::Refused(_) | Self::NotConnected(_))
    }
}

fn refusal(code: ConnectReturnCode) -> &'static str {
    match code {
        ConnectReturnCode::Success => "no reason given",
        ConnectReturnCode::RefusedProtocolVersion => "it does not speak MQTT 3.1.1",
        ConnectReturnCode::BadClientId => "it does not like our client id",
        ConnectReturnCode::ServiceUnavailable => "it says that it is unavailable",
        ConnectReturnCode::BadUserNamePassword => "wrong name or password",
        ConnectReturnCode::NotAuthorized => "not authorised; look at its accounts and access rules",
    }
}

pub(super) struct Message {
    pub(super) topic: Box<str>,
    pub(super) payload: Bytes,
    /// `None` for QoS 0.
    pub(super) reply: Option<Reply>,
}

pub(super) enum Event {
    Message(Message),
    /// The answer to [`Connection::subscribe`]: one for each filter, whether it is granted with QoS 1.
    Subscribed(Vec<bool>),
    Other,
}

/// Whether the text is a topic filter.
pub(super) fn is_filter(text: &str) -> bool {
    rumqttc::valid_filter(text) && !text.contains('\0')
}

pub(super) struct Connection {
    events: EventLoop,
    write_within: Duration,
}

impl Connection {
    /// Connects, and says whether the broker still knew our session.
    pub(super) async fn open(options: &MqttOptions) -> Result<(Self, bool), LinkError> {
        Self::open_with(library_options(options), options).await
    }

    /// Connects to publish only: the broker is to keep nothing for us.
    pub(super) async fn open_clean(options: &MqttOptions) -> Result<Self, LinkError> {
        let mut library = library_options(options);
        library.set_clean_session(true);
        Ok(Self::open_with(library, options).await?.0)
    }

    async fn open_with(library: rumqttc::MqttOptions, options: &MqttOptions) -> Result<(Self, bool), LinkError> {
        let mut events = EventLoop::new(library, 1);
        // Acknowledgements are small and the broker's window waits for them.
        events.network_options.set_tcp_nodelay(true);
        events.network_options.set_connection_timeout(options.connect_within.as_secs().max(1));
        if let Some(bytes) = options.send_buffer_bytes {
            events.network_options.set_tcp_send_buffer_size(bytes);
        }
        match events.poll().await {
            Ok(rumqttc::Event::Incoming(Packet::ConnAck(ConnAck { session_present, .. }))) => {
                Ok((Self { events, write_within: options.stuck_acks_after }, session_present))
            }
            Ok(other) => Err(LinkError::NotConnected(Box::new(ConnectionError::NotConnAck(match other {
                rumqttc::Event::Incoming(packet) => packet,
                rumqttc::Event::Outgoing(_) => Packet::PingReq,
            })))),
            Err(ConnectionError::ConnectionRefused(code)) => Err(LinkError::Refused(code)),
            Err(error) => Err(LinkError::NotConnected(Box::new(error))),
        }
    }

    /// Waits for what comes next. After an error the connection is of no more use.
    ///
    /// May be dropped at any time, so it can stand in a `select!`. Where `poll` waits, dropping it loses nothing: while it
    /// waits for bytes, those that came stay in the codec's buffer, and all packets of one read are handled without
    /// waiting; the keep-alive's timer is kept in the event loop; while it flushes, the bytes stay in the write buffer,
    /// the events in `state.events`, and the next flush sends the rest. Only where it waits to *write* a packet would
    /// that packet be lost, and it waits there when 8 KiB lie unsent. But all that it writes by itself is a ping or,
    /// at most ten at a time, PUBCOMPs, which it flushes; the requests of its channel, of which there may be more,
    /// we never make.
    pub(super) async fn next(&mut self) -> Result<Event, LinkError> {
        loop {
            match self.events.poll().await {
                Ok(rumqttc::Event::Incoming(packet)) => return Ok(event(packet)),
                Ok(rumqttc::Event::Outgoing(_)) => {}
                Err(error) => return Err(LinkError::Lost(Box::new(error))),
            }
        }
    }

    /// What has been read already: the same as `next` would give without waiting, at a fraction of its cost.
    pub(super) fn buffered(&mut self) -> Option<Event> {
        loop {
            match self.events.state.events.pop_front()? {
                rumqttc::Event::Incoming(packet) => return Some(event(packet)),
                rumqttc::Event::Outgoing(_) => {}
            }
        }
    }

    /// Sends replies, in this order, all in one go. Returns how many.
    pub(super) async fn reply(&mut self, replies: impl Iterator<Item = Reply>) -> Result<u64, LinkError> {
        self.write(replies.map(|reply| match reply {
            Reply::PubAck(pkid) => Packet::PubAck(PubAck::new(pkid)),
            Reply::PubRec(pkid) => Packet::PubRec(PubRec::new(pkid)),
        }))
        .await
    }

    /// Asks for all filters with QoS 1; the answer comes as [`Event::Subscribed`].
    pub(super) async fn subscribe(&mut self, filters: &[String]) -> Result<(), LinkError> {
        let filters = filters.iter().map(|filter| SubscribeFilter::new(filter.clone(), QoS::AtLeastOnce));
        self.request(Request::Subscribe(Subscribe::new_many(filters))).await
    }

    /// Takes filters back. The broker's answer says nothing.
    pub(super) async fn unsubscribe(&mut self, filters: &[String]) -> Result<(), LinkError> {
        self.request(Request::Unsubscribe(Unsubscribe { pkid: 0, topics: filters.to_vec() })).await
    }

    /// Publishes with QoS 1. Does nothing while the broker owes us the acknowledgements of too many earlier ones.
    pub(super) async fn publish(&mut self, topic: &str, payload: String) -> Result<(), LinkError> {
        if self.events.state.inflight() >= limits::MARKERS_UNACKED {
            return Ok(());
        }
        self.request(Request::Publish(Publish::new(topic, QoS::AtLeastOnce, payload))).await
    }

    /// How many of what we published the broker has not acknowledged.
    pub(super) fn unacked(&self) -> u16 {
        self.events.state.inflight()
    }

    /// Publishes all of these with QoS 1, in one go. No more than `limits::DOWNLINKS_UNACKED` may be unacknowledged with
    /// them.
    pub(super) async fn publish_all(
        &mut self,
        messages: impl Iterator<Item = (String, String)>,
    ) -> Result<u64, LinkError> {
        let mut packets = Vec::new();
        for (topic, payload) in messages {
            let publish = Request::Publish(Publish::new(topic, QoS::AtLeastOnce, payload));
            match self.events.state.handle_outgoing_packet(publish).map_err(lost)? {
                Some(packet) => packets.push(packet),
                // The library would send it once an earlier one with the same packet id is acknowledged: whenever
                // that may be.
                None => return Err(lost(StateError::CollisionTimeout)),
            }
        }
        self.write(packets.into_iter()).await
    }

    /// Says goodbye, so that the broker doesn't take it for a fault. Its session stays.
    pub(super) async fn close(mut self) {
        let _: Result<u64, LinkError> = self.write(std::iter::once(Packet::Disconnect)).await;
    }

    /// Sends what rumqttc has to keep in mind, because the broker will answer it.
    async fn request(&mut self, request: Request) -> Result<(), LinkError> {
        let packet = self.events.state.handle_outgoing_packet(request).map_err(lost)?;
        self.write(packet.into_iter()).await.map(|_| ())
    }

    async fn write(&mut self, packets: impl Iterator<Item = Packet>) -> Result<u64, LinkError> {
        let Some(network) = self.events.network.as_mut() else {
            return Err(lost(StateError::ConnectionAborted));
        };
        let mut written = 0;
        let writing = async {
            for packet in packets {
                network.write(packet).await?;
                written += 1;
            }
            network.flush().await
        };
        match timeout(self.write_within, writing).await {
            Ok(done) => done.map(|()| written).map_err(lost),
            Err(_) => Err(LinkError::NotTaken(self.write_within)),
        }
    }
}

fn lost(error: StateError) -> LinkError {
    LinkError::Lost(Box::new(error.into()))
}

fn event(packet: Packet) -> Event {
    match packet {
        Packet::Publish(publish) => Event::Message(Message {
            reply: match publish.qos {
                QoS::AtMostOnce => None,
                QoS::AtLeastOnce => Some(Reply::PubAck(publish.pkid)),
                QoS::ExactlyOnce => Some(Reply::PubRec(publish.pkid)),
            },
            topic: publish.topic.into_boxed_str(),
            payload: cut(publish.payload),
        }),
        Packet::SubAck(answer) => {
            let granted = |code: &SubscribeReasonCode| {
                matches!(code, SubscribeReasonCode::Success(QoS::AtLeastOnce | QoS::ExactlyOnce))
            };
            Event::Subscribed(answer.return_codes.iter().map(granted).collect())
        }
        _ => Event::Other,
    }
}

/// A payload that is too large is cut one byte after the limit: enough for decoding to see that it is too large and to
/// set it aside, and it can be acknowledged. Copied, so that the rest of it is freed.
fn cut(payload: Bytes) -> Bytes {
    match payload.get(..=limits::PAYLOAD_BYTES) {
        Some(head) => Bytes::copy_from_slice(head),
        None => payload,
    }
}

fn library_options(options: &MqttOptions) -> rumqttc::MqttOptions {
    // An IPv6 address would run into the port.
    let host = match options.host.parse() {
        Ok(std::net::IpAddr::V6(address)) => format!("[{address}]"),
        _ => options.host.clone(),
    };
    let mut library = rumqttc::MqttOptions::new(&options.client_id, host, options.port);
    library
        .set_clean_session(false)
        .set_manual_acks(true)
        .set_keep_alive(options.keep_alive)
        // A packet above the limit would be a fault of the connection, the broker would send it again on the next
        // one, and so for ever. The broker has to limit what devices send; see docs/adr/0003.
        .set_max_packet_size(limits::MQTT_PACKET_BYTES, limits::MQTT_PACKET_BYTES);
    if let Some(login) = &options.login {
        library.set_credentials(&login.name, &login.password);
    }
    library
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_too_large_is_cut() {
        for (len, left) in [
            (0, 0),
            (limits::PAYLOAD_BYTES, limits::PAYLOAD_BYTES),
            (limits::PAYLOAD_BYTES + 1, limits::PAYLOAD_BYTES + 1),
            (3 * limits::PAYLOAD_BYTES, limits::PAYLOAD_BYTES + 1),
        ] {
            assert_eq!(cut(vec![7; len].into()).len(), left, "{len}");
        }
    }
}
