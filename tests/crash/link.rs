//! The way to the broker, cut and silent.

use std::time::{Duration, Instant};

use vigil::proto::v1::AlertEventKind;

use crate::books::{Books, as_acknowledged_by_the_service, number_of};
use crate::support::fleet::{Fleet, Plan};
use crate::support::mosquitto::{Mosquitto, Settings};
use crate::support::postgres::Postgres;
use crate::support::proxy::{Holds, Proxy};
use crate::support::service::Service;
use crate::support::wait;
use crate::support::watcher::{Seen, Watcher};

const PLAN: Plan = Plan { lifts: 400, boot: 1, reports_per_s: 400, last: Duration::from_secs(75) };
const CUTS: u32 = 4;
/// Three markers, and what it takes to come back.
const NOTICED_WITHIN: Duration = Duration::from_secs(20);
const BACK_WITHIN: Duration = Duration::from_secs(45);
const STORED_WITHIN: Duration = Duration::from_secs(60);
const DRAINS_WITHIN: Duration = Duration::from_secs(10);
const MEMORY_MIB_MAX: u64 = 250;

struct Link {
    proxy: Proxy,
    service: Service,
}

impl Link {
    /// Does something to the link, and returns how long it takes until the service connects anew.
    fn trouble(&self, what: &str, trouble: impl FnOnce(&Proxy)) -> Duration {
        let (before, began) = (self.proxy.connections(), Instant::now());
        trouble(&self.proxy);
        let again = wait::is_soon(NOTICED_WITHIN, || self.proxy.connections() > before);
        assert!(again, "{what}: the service doesn't notice:\n{}", self.service.log());
        let took = began.elapsed();
        self.await_heard(what);
        println!("{what}: connected anew after {} ms", took.as_millis());
        took
    }

    /// Until a marker sent on the newest connection has come back, and whoever was told that we are blind was told
    /// that it is over.
    fn await_heard(&self, what: &str) {
        let blind = |kind: &str| {
            let of = format!("vigil_alert_transitions_total{{rule=\"ingest-blind\",kind=\"{kind}\"");
            self.service.metric(&of)
        };
        let heard = || {
            let marker_on = self.proxy.heard().marker_on;
            marker_on == self.proxy.connections() && blind("opened") == blind("cleared")
        };
        assert!(wait::is_soon(BACK_WITHIN, heard), "{what}: nothing is heard again:\n{}", self.service.log());
    }
}

/// Flow: a fleet reports 400 frames a second. The service's connection to its broker is cut four times, then carries
/// nothing more to the service, then nothing more from it, each until the service gives it up; then the network is
/// away for longer than people may be left in the dark.
/// Asserts: the service notices by itself each time, within 20 s, also with a keep-alive of 30 s; `ingest-blind` opens
/// while nothing is heard, and clears when it is; every report is stored once, as it was sent, and every trouble has
/// led to exactly one alert; acknowledgements came in order, each on the connection of its report.
pub(crate) fn a_link_that_breaks_or_falls_silent_is_noticed_left_and_found_again() {
    let broker = Mosquitto::start(Settings { max_inflight: 500, ..Settings::default() });
    let postgres = Postgres::start(false);
    let url = postgres.database();
    let proxy = Proxy::start(broker.addr(), number_of);
    let mut service = Service::prepare(proxy.addr(), &url);
    service.start_and_wait();
    let watcher = Watcher::start(service.grpc());
    let fleet = Fleet::start(broker.addr(), PLAN);
    let mut link = Link { proxy, service };
    link.await_heard("at first");

    for _ in 0..CUTS {
        wait::until(Instant::now() + Duration::from_millis(700));
        link.trouble("cut", Proxy::cut);
    }
    link.trouble("silent towards the service", |proxy| proxy.hold_present(Holds::DOWN));
    link.trouble("silent towards the broker", |proxy| proxy.hold_present(Holds::UP));

    let away = Instant::now();
    link.proxy.hold_all(Holds::BOTH);
    wait::until(away + Duration::from_secs(20));
    link.proxy.hold_all(Holds::default());
    let back = Instant::now();
    link.await_heard("after the network was away");
    let books = Books::open(&url);
    wait::until(fleet.began() + PLAN.last);
    books.await_settled(&PLAN, STORED_WITHIN);
    let mut published = fleet.stop();
    assert_eq!(published.broken, 0, "the broker ran all the time");
    let all = published.acknowledged().count();
    books.await_stored(&published, STORED_WITHIN);
    let memory = link.service.memory();
    let (status, _) = link.service.terminate(DRAINS_WITHIN);
    assert!(status.success(), "{status}:\n{}", link.service.log());
    let watched = watcher.stop();

    let blind = |kind: AlertEventKind, after: Instant| {
        let is_blindness = |seen: &&Seen| seen.event.alert.as_ref().is_some_and(|alert| alert.rule == "ingest-blind");
        let mut of_it = watched.seen.iter().filter(is_blindness);
        of_it.find(|seen| seen.event.kind() == kind && seen.at >= after).map(|seen| seen.at)
    };
    let opened = blind(AlertEventKind::Opened, away).expect("blindness is told");
    let cleared = blind(AlertEventKind::Cleared, opened).expect("and its end");
    println!(
        "network away: ingest-blind after {} ms, over {} ms after it was back; {all} reports, {} given to the service on \
         {} connections, {} stored; {} MiB at most",
        (opened - away).as_millis(),
        cleared.saturating_duration_since(back).as_millis(),
        link.proxy.heard().delivered,
        link.proxy.connections(),
        books.stored(),
        memory.peak_mib,
    );
    as_acknowledged_by_the_service(&mut published, &link.proxy.heard());
    assert_eq!(published.acknowledged().count(), all, "the service acknowledged all that the broker had");
    books.load(&published);
    books.check_frames();
    books.check_alerts(&PLAN, &watched);
    assert!(opened < back && opened - away <= NOTICED_WITHIN);
    assert!(cleared > back);
    assert!(memory.peak_mib <= MEMORY_MIB_MAX, "{memory:?}");
}
