//! A filling gun, as far as MQTT goes: it scans, and hears what its site is told.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rumqttc::{Client, Event, MqttOptions, Packet, QoS};
use serde_json::Value;

pub struct Gun {
    pub site: String,
    client: Client,
    heard: Receiver<(Instant, Value)>,
}

impl Gun {
    /// Returns once it is subscribed.
    pub fn connect(broker: SocketAddr, site: &str, name: &str) -> Self {
        let mut options = MqttOptions::new(format!("{site}-{name}"), broker.ip().to_string(), broker.port());
        options.set_keep_alive(Duration::from_secs(30));
        let (client, mut connection) = Client::new(options, 4_096);
        client.subscribe(format!("vigil/v1/cylinder/{site}/verdict"), QoS::AtLeastOnce).expect("the queue has room");
        let (tell, heard) = channel();
        let (subscribed, is_subscribed) = channel();
        std::thread::spawn(move || {
            for event in connection.iter() {
                match event {
                    Ok(Event::Incoming(Packet::SubAck(_))) => _ = subscribed.send(()),
                    Ok(Event::Incoming(Packet::Publish(publish))) => {
                        let verdict = serde_json::from_slice(&publish.payload).expect("a verdict is JSON");
                        if tell.send((Instant::now(), verdict)).is_err() {
                            return;
                        }
                    }
                    Ok(_) => {}
                    Err(_) => return,
                }
            }
        });
        is_subscribed.recv_timeout(Duration::from_secs(10)).expect("the broker takes the subscription");
        Self { site: site.to_owned(), client, heard }
    }

    pub fn scan(&self, scan: &Value) {
        let topic = format!("vigil/v1/cylinder/{}/scan", self.site);
        self.client.publish(topic, QoS::AtLeastOnce, false, scan.to_string()).expect("the queue has room");
    }

    /// The next verdict of its site, if one comes in time.
    pub fn verdict(&self, within: Duration) -> Option<Value> {
        self.timed_verdict(within).map(|(_, verdict)| verdict)
    }

    /// The same, and when it came.
    pub fn timed_verdict(&self, within: Duration) -> Option<(Instant, Value)> {
        match self.heard.recv_timeout(within) {
            Ok(verdict) => Some(verdict),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the gun lost its broker"),
        }
    }
}

impl Drop for Gun {
    fn drop(&mut self) {
        let _gone = self.client.disconnect();
    }
}
