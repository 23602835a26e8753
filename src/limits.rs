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
/// Alerts cleared last that can still be looked at without the database.
pub const BOARD_CLEARED: usize = 4_096;
/// A watcher hears something at least this often.
pub const HEARTBEAT_MS: u64 = 5_000;
/// A stream of which the client takes nothing for this long is ended, as is one of which it sends nothing.
pub const STREAM_STALL_MS: u64 = 60_000;

/// The service isn't ready when the core has judged nothing for this long.
pub const CORE_STALL_MS: i64 = 10_000;

/// Largest message of a client.
pub const REQUEST_BYTES: usize = 256 * 1024;
/// Connections of clients at a time, and calls at a time on each.
pub const CONNECTIONS: usize = 4_096;
pub const CALLS_PER_CONNECTION: u32 = 512;
/// Streams of history at a time, and uploads of archive entries.
pub const QUERIES: usize = 64;
pub const UPLOADS: usize = 16;
/// Longest wait for the outcome of a command, and for a read to catch up with one.
pub const COMMAND_WAIT_MS: u64 = 10_000;
pub const CATCH_UP_WAIT_MS: u64 = 5_000;
/// Time that calls and streams have to end once the service shuts down.
pub const SHUTDOWN_MS: u64 = 5_000;
/// Longest request id, in characters; that of a stream of commands leaves room for a number.
pub const REQUEST_ID_CHARS: usize = 64;
pub const STREAM_REQUEST_ID_CHARS: usize = 48;
/// Longest note on an alert, in characters.
pub const NOTE_CHARS: usize = 500;
/// Longest free text of the archive, in characters.
pub const ARCHIVE_TEXT_CHARS: usize = 200;
/// Most districts or rules, and most subjects, of one filter.
pub const FILTER_ITEMS: usize = 64;
pub const FILTER_SUBJECTS: usize = 256;
/// Page size where the client names none.
pub const PAGE_ROWS_DEFAULT: usize = 200;
/// An answer, or one message of a stream, is ended at this size: gRPC clients take 4 MiB unless told otherwise.
pub const ANSWER_BYTES: usize = 1024 * 1024;
/// Longest page token, in characters.
pub const PAGE_TOKEN_CHARS: usize = 512;
/// Bad entries named in the answer to one upload; the rest is counted.
pub const ENTRY_ERRORS: usize = 200;
/// Rows that `vigil import` has read and the service has not taken yet.
pub const IMPORT_AHEAD: usize = 64;
/// Largest file that `vigil import` takes.
pub const IMPORT_BYTES: u64 = 256 * 1024 * 1024;

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
const _: () = assert!(PAGE_ROWS_DEFAULT <= PAGE_ROWS);
const _: () = assert!(STREAM_REQUEST_ID_CHARS + 16 <= REQUEST_ID_CHARS);
// An archive entry has up to three free texts of up to four bytes a character, and some codes.
const _: () = assert!(COMMAND_ITEMS * (3 * 4 * ARCHIVE_TEXT_CHARS + 512) < JOURNAL_RECORD_BYTES);
const _: () = assert!(HEARTBEAT_MS * 3 < STREAM_STALL_MS);
