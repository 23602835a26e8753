//! Every key there is, with its default: the one list that file, environment and checks are read against.

#[derive(Debug)]
pub(super) struct Key {
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    /// As `config/vigil.toml` writes it; `None`: without a value unless one is given.
    pub(super) default: Option<&'static str>,
}

const fn key(section: &'static str, name: &'static str, default: &'static str) -> Key {
    Key { section, name, default: Some(default) }
}

const fn optional(section: &'static str, name: &'static str) -> Key {
    Key { section, name, default: None }
}

pub(super) const KEYS: &[Key] = &[
    key("service", "instance", "vigil-1"),
    key("service", "data_dir", "../data"),
    key("service", "zone", "Asia/Shanghai"),
    key("mqtt", "url", "mqtt://127.0.0.1:1883"),
    optional("mqtt", "client_id"),
    optional("mqtt", "username"),
    optional("mqtt", "password_file"),
    key("mqtt", "topic_prefix", "vigil/v1"),
    key("mqtt", "keep_alive", "30s"),
    key("mqtt", "in_flight_max", "8MiB"),
    key("store", "url", "sqlite:vigil.db"),
    optional("store", "password_file"),
    key("store", "frame_retention", "400d"),
    key("store", "evidence_retention", "1830d"),
    key("store", "alert_retention", "1830d"),
    key("store", "scan_retention", "4400d"),
    key("grpc", "listen", "127.0.0.1:50051"),
    key("http", "listen", "127.0.0.1:9464"),
    key("journal", "inbox_max", "8GiB"),
    key("journal", "outbox_max", "16GiB"),
    key("journal", "inbox_retention", "24h"),
    key("journal", "event_retention", "48h"),
    key("journal", "snapshot_every", "2m"),
    key("rules", "dir", "rules"),
    key("rules", "watch", "on"),
    key("profiles", "dir", "profiles"),
    optional("cap", "sender"),
    key("cap", "status", "actual"),
    key("cap", "restriction", "For rescue services and supervision authorities"),
    optional("cap", "sender_name_zh"),
    optional("cap", "sender_name_en"),
    optional("cap", "web"),
    optional("cap", "contact"),
    optional("cap", "expires"),
    key("log", "level", "info"),
    key("log", "format", "text"),
];

/// The section that may stand there more than once, as `[[notify]]`: one for each target.
pub(super) const NOTIFY: &str = "notify";

/// Its keys. Those of the second sort take several values.
pub(super) const NOTIFY_KEYS: &[Key] = &[
    optional(NOTIFY, "name"),
    optional(NOTIFY, "url"),
    optional(NOTIFY, "secret_file"),
    optional(NOTIFY, "ca_file"),
    key(NOTIFY, "insecure", "false"),
    key(NOTIFY, "events", "alerts"),
    key(NOTIFY, "format", "json"),
    optional(NOTIFY, "minimum_severity"),
    optional(NOTIFY, "rules"),
    optional(NOTIFY, "districts"),
    optional(NOTIFY, "kinds"),
    key(NOTIFY, "timeout", "10s"),
    key(NOTIFY, "max_age", "24h"),
];
pub(super) const NOTIFY_LISTS: &[&str] = &["rules", "districts", "kinds"];

impl Key {
    pub(super) fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }
}

pub(super) fn find(section: &str, name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.section == section && key.name == name)
}

/// Each section once, in the order of the file.
pub(super) fn sections() -> impl Iterator<Item = &'static str> {
    KEYS.chunk_by(|a, b| a.section == b.section).map(|keys| keys[0].section).chain([NOTIFY])
}

/// The one of `known` that `got` was most likely meant to be.
pub(super) fn closest<'a>(got: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // One slip in four characters: a wider guess misleads more often than it helps.
    let slips_max = (got.chars().count() / 4).max(1);
    let got = got.to_lowercase();
    let length = got.chars().count();
    known
        .map(|name| (name.to_lowercase(), name))
        // Each slip makes it longer or shorter by one at most. Comparing takes longer than all the rest of reading.
        .filter(|(lower, _)| lower.chars().count().abs_diff(length) <= slips_max)
        .map(|(lower, name)| (strsim::damerau_levenshtein(&got, &lower), name))
        .filter(|(slips, _)| *slips <= slips_max)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_is_at_most_one_slip_in_four_characters_away() {
        let check = |got, want| assert_eq!(closest(got, ["keep_alive", "zone"].into_iter()), want, "{got}");
        check("keep_alive", Some("keep_alive"));
        check("KEEP_ALIVE", Some("keep_alive"));
        check("kep_alve", Some("keep_alive"));
        check("keep__alivess", Some("keep_alive"));
        check("keep_alvie", Some("keep_alive"));
        check("kp_alve", None);
        check("kxxp_alixx", None);
        check("zon", Some("zone"));
        check("zo", None);
        check("", None);
    }
}
