//! From texts to a [`Config`]: the meaning of each key, its bounds, and how the values must fit each other.

use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::fault::{Fault, Place, Wrong};
use super::keys;
use super::raw::{Given, Raw};
use super::units::{size_bytes, span_ms};
use super::{
    Cap, Config, Credentials, Grpc, Http, Journal, Log, LogFormat, Mqtt, Profiles, Rules, Secret, Service, Store,
    StoreAt,
};
use crate::limits;

/// Checks everything, whatever has failed before. `None` only where `faults` has got one.
pub(super) fn check(raw: &Raw, base: &Path, faults: &mut Vec<Fault>) -> Option<Config> {
    let mut check = Checker { raw, base, faults };
    let service = check.service();
    let (mqtt, store) = (check.mqtt(), check.store());
    let grpc = check.value("grpc", "listen", listen).map(|listen| Grpc { listen });
    let http = check.value("http", "listen", listen).map(|listen| Http { listen });
    let journal = check.journal();
    let rules = check.rules();
    let profiles = check.profiles();
    let cap = check.cap();
    let notify = super::notify::check(raw, base, check.faults);
    let log = check.log();

    if let (Some(grpc), Some(http)) = (&grpc, &http)
        && grpc.listen == http.listen
        && http.listen.port() != 0
    {
        let what = Wrong::new(format!("is {}, as grpc.listen is", http.listen), "give one of them another port");
        check.relation(["http.listen", "grpc.listen"], what);
    }
    if let (Some(mqtt), Some(journal)) = (&mqtt, &journal) {
        check.in_flight(mqtt, journal);
    }
    // What SQLite is given is a place in the data folder; only here both are known.
    let mut store = store?;
    let service = service?;
    if let StoreAt::Sqlite(path) = &mut store.at {
        *path = service.data_dir.join(&path);
    }
    Some(Config {
        service,
        mqtt: mqtt?,
        store,
        grpc: grpc?,
        http: http?,
        journal: journal?,
        rules: rules?,
        profiles: profiles?,
        cap: cap?,
        notify: notify?,
        log: log?,
    })
}

struct Checker<'a> {
    raw: &'a Raw,
    base: &'a Path,
    faults: &'a mut Vec<Fault>,
}

impl Checker<'_> {
    fn service(&mut self) -> Option<Service> {
        let instance = self.value("service", "instance", instance);
        let base = self.base;
        let data_dir = self.value("service", "data_dir", |text| Ok(base.join(text)));
        let zone = self.value("service", "zone", zone);
        Some(Service { instance: instance?, data_dir: data_dir?, zone: zone? })
    }

    fn mqtt(&mut self) -> Option<Mqtt> {
        let broker = self.value("mqtt", "url", broker);
        let client_id = self.maybe("mqtt", "client_id", client_id);
        let credentials = self.credentials();
        let topic_prefix = self.value("mqtt", "topic_prefix", topic_prefix);
        let keep_alive_ms = self.value("mqtt", "keep_alive", keep_alive_ms);
        let in_flight = self.value("mqtt", "in_flight_max", |text| size_bytes(text, "1MiB", "1GiB"));
        let named_after = self.raw.get(keys::find("service", "instance")?)?;
        let (host, port) = broker?;
        Some(Mqtt {
            host,
            port,
            client_id: client_id?.unwrap_or_else(|| format!("vigil-{}", named_after.text)),
            credentials: credentials?,
            topic_prefix: topic_prefix?,
            keep_alive_ms: keep_alive_ms?,
            in_flight_max_bytes: in_flight?,
        })
    }

    fn credentials(&mut self) -> Option<Option<Credentials>> {
        let username = self.maybe("mqtt", "username", |text| Ok(text.to_owned()));
        let password = self.secret("mqtt");
        let (username, password) = (username?, password?);
        if username.is_none() && password.is_some() {
            let what = Wrong::new("is given without mqtt.username", "give mqtt.username as well, or neither");
            self.relation(["mqtt.password_file"; 2], what);
            return None;
        }
        Some(username.map(|username| Credentials { username, password }))
    }

    fn store(&mut self) -> Option<Store> {
        let at = self.value("store", "url", store_at);
        let password = self.secret("store");
        // Late frames are filed up to 7 days back: a shorter retention would drop them on arrival.
        let retention = self.value("store", "frame_retention", |text| span_ms(text, "8d", "3650d"));
        // Records of maintenance are to be kept for 4 years (TSG T5002-2017), and so is what they may be held against.
        let evidence = self.value("store", "evidence_retention", |text| span_ms(text, "1461d", "36500d"));
        let alert = self.value("store", "alert_retention", |text| span_ms(text, "1461d", "36500d"));
        let scan = self.value("store", "scan_retention", |text| span_ms(text, "1461d", "36500d"));
        if let (Some(retention), Some(evidence), Some(alert)) = (retention, evidence, alert) {
            self.outlives(("evidence", evidence), ("frame", retention));
            self.outlives(("alert", alert), ("evidence", evidence));
        }
        let (mut at, password) = (at?, password?);
        match (&mut at, password) {
            (StoreAt::Postgres(config), Some(password)) if config.get_password().is_none() => {
                config.password(password.reveal());
            }
            (_, None) => {}
            (store, Some(_)) => {
                let what = match store {
                    StoreAt::Sqlite(_) => Wrong::new("is given for SQLite, which has no password", "remove it"),
                    StoreAt::Postgres(_) => {
                        Wrong::new("is given, and store.url has a password too", "take it out of store.url")
                    }
                };
                self.relation(["store.password_file"; 2], what);
                return None;
            }
        }
        Some(Store {
            at,
            frame_retention_ms: retention?,
            evidence_retention_ms: evidence?,
            alert_retention_ms: alert?,
            scan_retention_ms: scan?,
        })
    }

    fn outlives(&mut self, (longer, longer_ms): (&str, i64), (shorter, shorter_ms): (&str, i64)) {
        if longer_ms < shorter_ms {
            let [longer, shorter] = [longer, shorter].map(|class| format!("store.{class}_retention"));
            let what = Wrong::new(format!("is shorter than {shorter}"), "raise it, or shorten the other");
            self.relation([&longer, &shorter], what);
        }
    }

    fn journal(&mut self) -> Option<Journal> {
        let inbox_max = self.value("journal", "inbox_max", |text| size_bytes(text, "256MiB", "16TiB"));
        let outbox_max = self.value("journal", "outbox_max", |text| size_bytes(text, "256MiB", "16TiB"));
        let inbox_retention = self.value("journal", "inbox_retention", |text| span_ms(text, "1m", "90d"));
        let event_retention = self.value("journal", "event_retention", |text| span_ms(text, "1m", "90d"));
        let snapshot_every = self.value("journal", "snapshot_every", |text| span_ms(text, "10s", "6h"));
        let journal = Journal {
            inbox_max_bytes: inbox_max?,
            outbox_max_bytes: outbox_max?,
            inbox_retention_ms: inbox_retention?,
            event_retention_ms: event_retention?,
            snapshot_every_ms: snapshot_every?,
        };
        self.room("inbox", "inbox_retention", journal.inbox_max_bytes, journal.inbox_retention_ms);
        self.room("outbox", "event_retention", journal.outbox_max_bytes, journal.event_retention_ms);
        if journal.snapshot_every_ms > journal.inbox_retention_ms {
            let what = Wrong::new(
                "is longer than journal.inbox_retention, so that no segment would ever be trimmed in its time",
                "take snapshots more often than that",
            );
            self.relation(["journal.snapshot_every", "journal.inbox_retention"], what);
        }
        Some(journal)
    }

    /// A retention that its journal can't hold even in a small town is a slip of a unit.
    fn room(&mut self, journal: &str, retention: &str, max_bytes: u64, retention_ms: i64) {
        let needed = limits::JOURNAL_RATE_BYTES_PER_S_MIN.saturating_mul(retention_ms.unsigned_abs() / 1_000);
        if max_bytes < needed {
            let (size, span) = (format!("journal.{journal}_max"), format!("journal.{retention}"));
            let per_s = limits::JOURNAL_RATE_BYTES_PER_S_MIN;
            let what = Wrong::new(
                format!(
                    "cannot hold the time that {span} asks for: at {per_s} bytes/s alone that takes {needed} bytes"
                ),
                "raise the size or shorten the time",
            );
            self.relation([&size, &span], what);
        }
    }

    /// What has been taken when the inbox reaches its limit must still fit into it.
    fn in_flight(&mut self, mqtt: &Mqtt, journal: &Journal) {
        let reserve = journal.inbox_max_bytes / 100 * limits::JOURNAL_RESERVE_PERCENT;
        if mqtt.in_flight_max_bytes > reserve {
            let what = Wrong::new(
                format!("is more than {} % of journal.inbox_max", limits::JOURNAL_RESERVE_PERCENT),
                format!("give at most {}MiB, or raise journal.inbox_max", reserve >> 20),
            );
            self.relation(["mqtt.in_flight_max", "journal.inbox_max"], what);
        }
    }

    fn log(&mut self) -> Option<Log> {
        let filter = self.value("log", "level", log_filter);
        let format = self.value("log", "format", |text| match text {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err(Wrong::new(format!("{text:?} is not a format"), "write \"text\" or \"json\"")),
        });
        Some(Log { filter: filter?, format: format? })
    }

    fn rules(&mut self) -> Option<Rules> {
        let base = self.base;
        let dir = self.value("rules", "dir", |text| Ok(base.join(text)));
        let watch = self.value("rules", "watch", |text| match text {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err(Wrong::new(format!("{text:?} is neither on nor off"), "write \"on\" or \"off\"")),
        });
        Some(Rules { dir: dir?, watch: watch? })
    }

    fn profiles(&mut self) -> Option<Profiles> {
        let base = self.base;
        self.value("profiles", "dir", |text| Ok(base.join(text))).map(|dir| Profiles { dir })
    }

    fn cap(&mut self) -> Option<Cap> {
        let sender = self.maybe("cap", "sender", cap_sender);
        let status = self.value("cap", "status", cap_status);
        let mut text = |name| self.maybe("cap", name, cap_text);
        let (restriction, web, contact) = (text("restriction"), text("web"), text("contact"));
        let (zh, en) = (text("sender_name_zh"), text("sender_name_en"));
        let expires = self.maybe("cap", "expires", |text| span_ms(text, "1m", "365d"));
        // As long as nobody says who they are, they are what their broker calls them.
        let named_after = self.raw.get(keys::find("service", "instance")?)?;
        Some(Cap {
            sender: sender?.unwrap_or(named_after.text),
            status: status?,
            restriction: restriction??,
            sender_name_zh: zh?,
            sender_name_en: en?,
            web: web?,
            contact: contact?,
            expires_ms: expires?,
        })
    }

    fn value<T>(&mut self, section: &str, name: &str, parse: impl FnOnce(&str) -> Result<T, Wrong>) -> Option<T> {
        self.maybe(section, name, parse)?
    }

    /// The inner option: whether a value was given. The outer one: whether it, or its absence, is right.
    fn maybe<T>(
        &mut self,
        section: &str,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<Option<T>> {
        let key = keys::find(section, name).expect("only known keys are asked for");
        let Some(given) = self.raw.get(key) else { return Some(None) };
        match fit(&given.text).and_then(|()| parse(&given.text)) {
            Ok(value) => Some(Some(value)),
            Err(what) => {
                self.faults.push(Fault::new(given.place, key.path(), what));
                None
            }
        }
    }

    fn secret(&mut self, section: &str) -> Option<Option<Secret>> {
        let base = self.base;
        self.maybe(section, "password_file", |text| read_secret(&base.join(text)))
    }

    /// Puts a fault where one of the two values that don't fit was given, the first one if both were.
    fn relation(&mut self, paths: [&str; 2], what: Wrong) {
        let of = |path: &str| path.split_once('.').and_then(|(section, name)| keys::find(section, name));
        let given = |path: &str| of(path).and_then(|key| self.raw.get(key)).map(|Given { place, .. }| place);
        let places = paths.map(|path| given(path).unwrap_or(Place::Default));
        let place = places.iter().find(|place| **place != Place::Default).unwrap_or(&places[0]).clone();
        self.faults.push(Fault::new(place, paths[0], what));
    }
}

fn cap_sender(text: &str) -> Result<String, Wrong> {
    let fits = text.chars().count() <= limits::CAP_NAME_CHARS && !text.contains([' ', ',', '<', '&']);
    if fits {
        return Ok(text.to_owned());
    }
    let remedy = "name this service as no other is named, for example \"vigil@96333.example\"";
    Err(Wrong::new(format!("{text:?} is too long, or holds a space, a comma, < or &"), remedy))
}

fn cap_status(text: &str) -> Result<crate::cap::Status, Wrong> {
    let known = crate::cap::Status::ALL.iter().find(|status| status.name().eq_ignore_ascii_case(text));
    known.copied().ok_or_else(|| {
        let remedy = "write \"actual\", \"exercise\", \"system\", \"test\" or \"draft\"";
        Wrong::new(format!("{text:?} is not a status"), remedy)
    })
}

fn cap_text(text: &str) -> Result<String, Wrong> {
    if text.chars().count() <= limits::CAP_LINE_CHARS {
        return Ok(text.to_owned());
    }
    let most = limits::CAP_LINE_CHARS;
    Err(Wrong::new("is too long", format!("give at most {most} characters")))
}

/// What holds for every value.
pub(super) fn fit(text: &str) -> Result<(), Wrong> {
    if text.trim().is_empty() {
        return Err(Wrong::new("is empty", "give a value, or leave it out for the default"));
    }
    if text.len() > limits::CONFIG_VALUE_BYTES {
        let most = limits::CONFIG_VALUE_BYTES;
        return Err(Wrong::new(format!("is {} bytes long", text.len()), format!("give at most {most}")));
    }
    if text.chars().any(char::is_control) {
        return Err(Wrong::new("holds a control character", "write it on one line, without tabs and NUL"));
    }
    Ok(())
}

fn instance(text: &str) -> Result<String, Wrong> {
    let fits = text.len() <= 32 && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if fits {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(format!("{text:?} is not an instance name"), "use 1 to 32 characters of a-z 0-9 -"))
}

fn zone(text: &str) -> Result<String, Wrong> {
    if let Ok(zone) = jiff::tz::TimeZone::get(text)
        && let Some(name) = zone.iana_name()
    {
        return Ok(name.to_owned());
    }
    let known: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    let remedy = match keys::closest(text, known.iter().map(String::as_str)) {
        Some(name) => format!("did you mean {name:?}?"),
        None => "name one such as \"Asia/Shanghai\" or \"UTC\"".into(),
    };
    Err(Wrong::new(format!("{text:?} is not in the tz database"), remedy))
}

pub(super) fn broker(text: &str) -> Result<(String, u16), Wrong> {
    const FORM: &str = "write it as mqtt://HOST:PORT";
    // The text isn't shown: it may hold a password.
    let url = url::Url::parse(text).map_err(|error| Wrong::new(format!("is not a URL: {error}"), FORM))?;
    match url.scheme() {
        "mqtt" => {}
        "mqtts" => {
            let remedy = "use mqtt:// to a broker on this machine or in a network you trust until then";
            return Err(Wrong::new("asks for TLS, which comes with a later version", remedy));
        }
        other => return Err(Wrong::new(format!("has the scheme {other}"), FORM)),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Wrong::new("holds credentials", "move them to mqtt.username and mqtt.password_file"));
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(Wrong::new("goes on after the port", FORM));
    }
    let host = match url.host() {
        Some(url::Host::Ipv6(address)) => address.to_string(),
        Some(host) => host.to_string(),
        None => return Err(Wrong::new("names no host", FORM)),
    };
    match url.port() {
        Some(0) => Err(Wrong::new("has the port 0", "give the broker's port, usually 1883")),
        port => Ok((host, port.unwrap_or(1883))),
    }
}

fn client_id(text: &str) -> Result<String, Wrong> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':');
    if text.len() <= limits::CLIENT_ID_BYTES && text.bytes().all(fits) {
        return Ok(text.to_owned());
    }
    let remedy = format!("use 1 to {} characters of A-Z a-z 0-9 _ - . :", limits::CLIENT_ID_BYTES);
    Err(Wrong::new(format!("{text:?} is not a client id that every broker takes"), remedy))
}

fn topic_prefix(text: &str) -> Result<String, Wrong> {
    let wrong = |what: &str, remedy: &str| Err(Wrong::new(format!("{text:?} {what}"), remedy));
    if text.len() > limits::TOPIC_PREFIX_BYTES {
        return wrong("is too long", &format!("give at most {} bytes", limits::TOPIC_PREFIX_BYTES));
    }
    if text.contains(['+', '#']) {
        return wrong("holds a wildcard", "name the levels themselves, for example \"vigil/v1\"");
    }
    if text.starts_with('/') || text.ends_with('/') {
        return wrong("begins or ends with a slash", "leave that slash out: it would be an empty level");
    }
    if text.contains("//") {
        return wrong("has an empty level", "leave out one of the slashes");
    }
    if text.starts_with('$') {
        return wrong("begins with $, which is the broker's own", "begin it with a letter");
    }
    Ok(text.to_owned())
}

fn keep_alive_ms(text: &str) -> Result<i64, Wrong> {
    let ms = span_ms(text, "5s", "1h")?;
    if ms % 1_000 != 0 {
        return Err(Wrong::new(
            format!("{text:?} is not whole seconds"),
            "MQTT counts seconds: write for example \"30s\"",
        ));
    }
    Ok(ms)
}

fn store_at(text: &str) -> Result<StoreAt, Wrong> {
    const FORMS: &str = "write sqlite:FILE or postgres://USER@HOST/DATABASE";
    let Some((scheme, rest)) = text.split_once(':') else {
        return Err(Wrong::new(format!("{text:?} is not a URL"), FORMS));
    };
    match scheme {
        "sqlite" if rest.trim().is_empty() => Err(Wrong::new("names no file", FORMS)),
        "sqlite" if rest.starts_with([':', '?']) => {
            Err(Wrong::new("keeps nothing when the service ends", "name a file, for example sqlite:vigil.db"))
        }
        "sqlite" if rest.starts_with("//") => {
            let remedy = "write sqlite:FILE for one in service.data_dir, or sqlite:/FOLDER/FILE";
            Err(Wrong::new("has slashes before the path", remedy))
        }
        "sqlite" => Ok(StoreAt::Sqlite(PathBuf::from(rest))),
        "postgres" | "postgresql" => postgres(text),
        // The scheme only: what follows may hold a password.
        _ => Err(Wrong::new(format!("has the scheme {scheme}, which no store has"), FORMS)),
    }
}

fn postgres(text: &str) -> Result<StoreAt, Wrong> {
    const FORM: &str = "write it as postgres://USER@HOST:PORT/DATABASE";
    let config: tokio_postgres::Config = text.parse().map_err(|error: tokio_postgres::Error| {
        let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        Wrong::new(format!("is not a PostgreSQL URL: {cause}"), FORM)
    })?;
    if config.get_hosts().is_empty() {
        return Err(Wrong::new("names no host", FORM));
    }
    if config.get_ssl_mode() == tokio_postgres::config::SslMode::Require {
        let remedy = "leave sslmode out until then, and use a network you trust";
        return Err(Wrong::new("asks for TLS, which comes with a later version", remedy));
    }
    Ok(StoreAt::Postgres(Box::new(config)))
}

fn listen(text: &str) -> Result<SocketAddr, Wrong> {
    let Ok(address) = text.parse::<SocketAddr>() else {
        let remedy = "write a numeric one such as 127.0.0.1:50051 or [::1]:50051";
        return Err(Wrong::new(format!("{text:?} is not an address and port"), remedy));
    };
    if !address.ip().is_loopback() {
        return Err(Wrong::new(
            format!(
                "{text:?} can be reached from other machines, and calls are neither encrypted nor authenticated yet"
            ),
            "listen on 127.0.0.1 or [::1] until a later version brings both",
        ));
    }
    Ok(address)
}

fn log_filter(text: &str) -> Result<String, Wrong> {
    const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];
    // The filter's own reader takes a misspelt level for the name of a module, and then logs nothing of it.
    for word in text.split(',').map(str::trim).filter(|word| !word.contains(['=', '['])) {
        if !LEVELS.contains(&word.to_lowercase().as_str()) {
            let remedy = match keys::closest(word, LEVELS.iter().copied()) {
                Some(level) => format!("did you mean {level:?}?"),
                None => format!("write one of {}, or MODULE=LEVEL for a module", LEVELS.join(", ")),
            };
            return Err(Wrong::new(format!("{word:?} is not a level"), remedy));
        }
    }
    tracing_subscriber::EnvFilter::builder().parse(text).map_err(|error| {
        Wrong::new(format!("{text:?} is not a filter: {error}"), "write for example \"info,vigil::ingest=debug\"")
    })?;
    Ok(text.to_owned())
}

pub(super) fn read_secret(file: &Path) -> Result<Secret, Wrong> {
    const REMEDY: &str = "name a file that holds the password and nothing else";
    let wrong = |what: String| Wrong::new(format!("{}: {what}", file.display()), REMEDY);
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|opened| opened.take(limits::SECRET_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| wrong(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > limits::SECRET_FILE_BYTES {
        return Err(wrong(format!("is larger than {} bytes", limits::SECRET_FILE_BYTES)));
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8 text".into()))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(wrong("is empty".into()));
    }
    Ok(Secret(secret.to_owned()))
}
