//! What the subscriber needs to know.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::sync::watch;

use super::mqtt;
use crate::limits;

/// How we log in to the broker. Its `Debug` keeps the password to itself.
#[derive(Clone)]
pub struct Login {
    pub name: String,
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("name", &self.name).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
pub struct MqttOptions {
    pub host: String,
    pub port: u16,
    /// Stable across restarts: the broker keeps our session under it. Two processes with one id throw each other out.
    pub client_id: String,
    pub login: Option<Login>,
    /// The first levels of every topic of ours, without a slash at the end.
    pub topic_prefix: String,
    /// What is subscribed to, besides our own marker topic.
    pub filters: Vec<String>,
    /// What is subscribed to for devices of other vendors. A broker that refuses these keeps no others from us.
    pub feeds: watch::Receiver<Vec<String>>,
    /// Names this process among those that use the same broker; a level of the marker topic.
    pub instance: String,
    /// In whole seconds, 1 to 65,535.
    pub keep_alive: Duration,
    /// How long connecting, and waiting for the answer to a subscription, may take.
    pub connect_within: Duration,
    /// Reading pauses while this much has been taken and isn't safe yet.
    pub in_flight_bytes: usize,
    pub backoff_min: Duration,
    pub backoff_max: Duration,
    pub marker_every: Duration,
    /// A broker from which nothing comes for this long is left. It answers every marker, so that several must have
    /// stayed without an answer; a keep-alive may be far longer.
    pub silent_max: Duration,
    /// A broker that doesn't take our acknowledgements for this long is left; a spine that makes nothing durable for
    /// this long is warned about.
    pub stuck_acks_after: Duration,
    /// What the kernel keeps of what we send; `None`: as much as it likes. Acknowledgements are so small that a broker
    /// which reads nothing is found by its silence long before they fill it.
    pub send_buffer_bytes: Option<u32>,
    /// Counts the QoS 0 messages that found no room, since the start.
    pub dropped: Arc<AtomicU64>,
}

impl MqttOptions {
    /// The defaults for a broker, with the topics of `docs/devices.md`.
    pub fn new(host: &str, port: u16, topic_prefix: &str, instance: &str) -> Self {
        let ours = ["elevator/+/report", "elevator/+/status", "elevator/+/result", "cylinder/+/scan"];
        Self {
            host: host.to_owned(),
            port,
            client_id: format!("vigil-{instance}"),
            login: None,
            topic_prefix: topic_prefix.to_owned(),
            filters: ours.map(|topic| format!("{topic_prefix}/{topic}")).to_vec(),
            feeds: watch::Sender::default().subscribe(),
            instance: instance.to_owned(),
            keep_alive: Duration::from_secs(10),
            connect_within: Duration::from_secs(10),
            in_flight_bytes: limits::IN_FLIGHT_BYTES,
            backoff_min: Duration::from_millis(200),
            backoff_max: Duration::from_secs(30),
            marker_every: Duration::from_secs(5),
            silent_max: Duration::from_secs(15),
            stuck_acks_after: Duration::from_secs(15),
            send_buffer_bytes: None,
            dropped: Arc::default(),
        }
    }

    pub fn marker_topic(&self) -> String {
        format!("{}/service/{}/marker", self.topic_prefix, self.instance)
    }

    /// All that is subscribed to, but for feeds.
    pub(super) fn all_filters(&self) -> Vec<String> {
        self.filters.iter().cloned().chain([self.marker_topic()]).collect()
    }

    /// Every fault at once, each as a sentence.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.client_id.is_empty() {
            faults.push("the client id is empty: the broker keeps a session only for a client with an id".to_owned());
        }
        let seconds = self.keep_alive.as_secs();
        if !(1..=65_535).contains(&seconds) {
            faults.push(format!("the keep-alive is {seconds} s: choose 1 s to 65535 s"));
        }
        if self.marker_every.is_zero() {
            faults.push("markers every 0 s: choose some seconds".to_owned());
        }
        if self.silent_max <= self.marker_every {
            faults.push("a broker would be left before it could answer a marker".to_owned());
        }
        if self.filters.len() + limits::PROFILES >= limits::FILTERS {
            let most = limits::FILTERS - limits::PROFILES - 1;
            faults.push(format!("{} topic filters: at most {most} are taken", self.filters.len()));
        }
        for filter in self.all_filters() {
            if !mqtt::is_filter(&filter) || filter.len() > limits::TOPIC_BYTES {
                faults.push(format!("{filter:?} is no MQTT topic filter of at most {} bytes", limits::TOPIC_BYTES));
            }
        }
        if self.marker_topic().contains(['+', '#']) {
            faults.push(format!("the marker topic {:?} holds a wildcard", self.marker_topic()));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_named_at_once() {
        let good = MqttOptions::new("localhost", 1883, "vigil/v1", "a");
        assert_eq!(good.faults(), Vec::<String>::new());
        let bad = MqttOptions {
            client_id: String::new(),
            keep_alive: Duration::from_millis(300),
            marker_every: Duration::ZERO,
            silent_max: Duration::ZERO,
            filters: vec!["a/#/b".to_owned(), String::new()],
            instance: "+".to_owned(),
            ..good
        };
        assert_eq!(bad.faults().len(), 7, "{:#?}", bad.faults());
    }
}
