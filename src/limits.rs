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
/// Most inputs that one fsync makes durable.
pub const GROUP_RECORDS: usize = 4_096;
pub const GROUP_BYTES: usize = 8 * 1024 * 1024;
/// Inputs that wait for the inbox. A full queue makes the MQTT side reconnect and callers wait.
pub const INPUT_QUEUE: usize = 16_384;

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
/// Queries at work in the store at a time; others wait.
pub const STORE_READERS: usize = 8;
/// How long the store's own statements wait for a lock of another process, and for a connection.
pub const STORE_BUSY_MS: u64 = 5_000;
/// How long a query, and a batch, may take before its connection is given up.
pub const STORE_QUERY_MS: u64 = 30_000;
pub const STORE_COMMIT_MS: u64 = 60_000;
/// How long maintenance waits for a lock before it leaves the rest to its next round.
pub const STORE_LOCK_MS: u64 = 500;
/// Days around the present for which frames get a partition of their own.
pub const PARTITION_DAYS_BACK: i64 = 8;
pub const PARTITION_DAYS_AHEAD: i64 = 2;
/// Rows that one step of retention deletes, and its steps a table in one round.
pub const DELETE_ROWS: usize = 5_000;
pub const DELETE_STEPS: usize = 40;

const _: () = assert!(PAYLOAD_BYTES + TOPIC_BYTES < JOURNAL_RECORD_BYTES);
const _: () = assert!(PAYLOAD_BYTES < GROUP_BYTES);
const _: () = assert!((JOURNAL_RECORD_BYTES as u64) < SEGMENT_BYTES);
const _: () = assert!(JOURNAL_RECORD_BYTES < BATCH_BYTES);
const _: () = assert!(REPORT_ITEMS < BATCH_ROWS);
