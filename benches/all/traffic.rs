//! A thread that publishes what lifts report, as fast as the broker takes it or at a steady rate.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use vigil::clock::Clock;
use vigil::model::time::Wall;

use crate::load::Lifts;
use crate::support::publisher::Publisher;

/// Of a steady rate: so often what is due is sent.
const BEAT: Duration = Duration::from_millis(1);

pub fn wall() -> Wall {
    Clock::default().wall()
}

/// Publishes so many reports.
pub fn flood(broker: SocketAddr, lifts: &mut Lifts, reports: u64, frames: u64) {
    let mut publisher = Publisher::connect(broker, "lifts").expect("the broker is there");
    for _ in 0..reports {
        let (topic, payload) = lifts.report(frames, wall());
        publisher.publish(topic, &payload).expect("the broker takes it");
    }
    publisher.finish().expect("the broker acknowledges");
}

/// Publishes single frames at a rate for a while; how many.
pub fn steady(broker: SocketAddr, lifts: &mut Lifts, per_s: f64, lasting: Duration) -> u64 {
    let mut publisher = Publisher::connect(broker, "lifts").expect("the broker is there");
    let began = Instant::now();
    let mut sent = 0;
    while began.elapsed() < lasting {
        let due = (began.elapsed().as_secs_f64() * per_s) as u64;
        while sent < due {
            let (topic, payload) = lifts.report(1, wall());
            publisher.publish(topic, &payload).expect("the broker takes it");
            sent += 1;
        }
        publisher.finish().expect("the broker acknowledges");
        std::thread::sleep(BEAT);
    }
    sent
}
