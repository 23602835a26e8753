//! Every bound, in one place, with the relations between them asserted at compile time.

/// Largest MQTT payload taken.
pub const PAYLOAD_BYTES: usize = 256 * 1024;
/// Largest topic taken.
pub const TOPIC_BYTES: usize = 512;
/// Most frames or scans in one report.
pub const REPORT_ITEMS: usize = 1_000;
/// Deepest nesting of JSON read.
pub const JSON_DEPTH: usize = 16;
/// Most codes in one list of a frame.
pub const CODES: usize = 64;
pub const CONDITIONS: usize = 16;
/// Longest condition name, in characters.
pub const CONDITION_CHARS: usize = 64;
pub const EXTRAS: usize = 32;
pub const EXTRA_NAME_BYTES: usize = 64;
pub const FLOOR_LABEL_CHARS: usize = 8;
pub const FINDINGS: usize = 16;
/// Longest free text of a scan, in characters.
pub const SCAN_TEXT_CHARS: usize = 64;
/// Most invalid fields named for one frame; the rest is counted as one more.
pub const INVALID_FIELDS: usize = 64;

/// Largest record of a journal.
pub const JOURNAL_RECORD_BYTES: usize = 4 * 1024 * 1024;
/// A journal segment is closed when it has reached this.
pub const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// The part of a journal that reports may not fill: it is kept for ticks, links and commands.
pub const JOURNAL_RESERVE_PERCENT: u64 = 5;
/// A retention that a journal's size couldn't hold even at this rate is refused.
pub const JOURNAL_RATE_BYTES_PER_S_MIN: u64 = 1_024;
/// Most inputs that one fsync makes durable.
pub const GROUP_RECORDS: usize = 4_096;
pub const GROUP_BYTES: usize = 8 * 1024 * 1024;
/// Inputs that wait for the inbox. A full queue makes the MQTT side reconnect and callers wait.
pub const INPUT_QUEUE: usize = 16_384;

/// Largest configuration file, value in it, and file that holds a secret.
pub const CONFIG_FILE_BYTES: u64 = 64 * 1024;
pub const CONFIG_VALUE_BYTES: usize = 4 * 1024;
pub const SECRET_FILE_BYTES: u64 = 4 * 1024;
/// Faults of one configuration file that are told at once.
pub const CONFIG_FAULTS: usize = 200;
/// Longest prefix of our topics.
pub const TOPIC_PREFIX_BYTES: usize = 128;
pub const CLIENT_ID_BYTES: usize = 128;

/// Most entries or items in one command.
pub const COMMAND_ITEMS: usize = 500;
/// Most timers fired while one record is applied; the rest waits for the next record.
pub const FIRES_PER_RECORD: usize = 256;

/// Largest rule file.
pub const RULE_FILE_BYTES: usize = 256 * 1024;
pub const RULES: usize = 256;
/// Longest condition text, and its deepest nesting, both looked at before it is parsed.
pub const CONDITION_TEXT_BYTES: usize = 2_048;
pub const CONDITION_NESTING: usize = 32;

/// Alert events kept in memory for watchers; older ones are read from the outbox or the store.
pub const FEED_RING: usize = 16_384;
/// Watchers at a time.
pub const WATCHERS: usize = 2_000;
/// Events in one batch to a watcher.
pub const FEED_BATCH: usize = 256;

/// Rows in one store transaction, and their bytes in the outbox.
pub const BATCH_ROWS: usize = 10_000;
pub const BATCH_BYTES: usize = 16 * 1024 * 1024;
/// Rows in one page of a query.
pub const PAGE_ROWS: usize = 1_000;

const _: () = assert!(PAYLOAD_BYTES + TOPIC_BYTES < JOURNAL_RECORD_BYTES);
const _: () = assert!(PAYLOAD_BYTES < GROUP_BYTES);
const _: () = assert!((JOURNAL_RECORD_BYTES as u64) < SEGMENT_BYTES);
const _: () = assert!(JOURNAL_RECORD_BYTES < BATCH_BYTES);
const _: () = assert!(REPORT_ITEMS < BATCH_ROWS);
// What follows the prefix is at most a kind, a code of 32 characters and a verb.
const _: () = assert!(TOPIC_PREFIX_BYTES + 64 < TOPIC_BYTES);
