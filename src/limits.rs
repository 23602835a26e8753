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
/// Most codes and conditions that one frame says have ended.
pub const CLEARED: usize = CODES + CONDITIONS;
pub const EXTRAS: usize = 32;
pub const EXTRA_NAME_BYTES: usize = 64;
pub const FLOOR_LABEL_CHARS: usize = 8;
pub const FINDINGS: usize = 16;
/// Longest id of a scanner or filling gun, in characters.
pub const SCANNER_CHARS: usize = 32;
/// Longest id of a command that a device answers, in characters.
pub const COMMAND_ID_CHARS: usize = 64;
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
/// A journal keeps at most this much of what was appended and not released in memory; what is beyond is written early.
pub const JOURNAL_BUFFER_BYTES: usize = 16 * 1024 * 1024;
/// What a journal's reader reads from a file at once, unless a record is larger.
pub const JOURNAL_READ_BYTES: usize = 1024 * 1024;
/// Largest content of a snapshot.
pub const SNAPSHOT_BYTES: u64 = 4 * 1024 * 1024 * 1024;
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

/// Lifts and cylinders, each; frames and scans of further unknown ones are set aside.
pub const SUBJECTS: usize = 2_000_000;
/// Firms and sites of the archive.
pub const FIRMS: usize = 100_000;
pub const SITES: usize = 200_000;
/// Scanners whose order is remembered.
pub const SCANNERS: usize = 200_000;
/// Codes and conditions of one lift that count as active.
pub const ACTIVE_ITEMS: usize = 2 * CODES + CONDITIONS;
/// Codes of one lift that count for a while because they came as a moment.
pub const LINGERING_CODES: usize = CODES;
/// Subjects looked at while one record is applied, when a reload or a new day makes all of them due.
pub const SWEEP_SUBJECTS: usize = 256;
/// Answers to commands that are remembered, and for how long.
pub const REQUESTS: usize = 100_000;
pub const REQUEST_MS: i64 = 24 * 3_600_000;
/// Rejects kept for one topic in an hour; the rest is only counted.
pub const REJECTS_PER_TOPIC: u32 = 100;
/// Topics whose rejects are counted apart in one hour; the rest shares one count.
pub const REJECT_TOPICS: usize = 4_096;

/// Largest rule file.
pub const RULE_FILE_BYTES: usize = 256 * 1024;
pub const RULES: usize = 256;
/// Rule ids that were ever in force, since their numbers are never given again.
pub const RULE_NAMES: usize = 16_384;
/// Longest condition text, and its deepest nesting, both looked at before it is parsed.
pub const CONDITION_TEXT_BYTES: usize = 2_048;
pub const CONDITION_NESTING: usize = 32;
/// Most rule files in one policy.
pub const RULE_FILES: usize = 64;
/// Largest size of all rule files together.
pub const RULE_FILES_BYTES: usize = 1024 * 1024;
/// Longest span a rule may name.
pub const RULE_SPAN_MS: i64 = 31 * 24 * 3_600_000;
/// Most keep-alives an absence rule may wait for.
pub const RULE_KEEP_ALIVES: u32 = 1_000;
/// Most faults of rule files named at once; the rest is counted.
pub const RULE_FAULTS: usize = 256;
/// Longest title, hint, tag or name in a rule, in characters.
pub const RULE_TEXT_CHARS: usize = 200;
/// Most tags, escalations or excluded rules of one rule.
pub const RULE_LIST: usize = 16;

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

// The items of a list are named by their index in 16 bits.
const _: () = assert!(CLEARED < u16::MAX as usize);
const _: () = assert!(PAYLOAD_BYTES + TOPIC_BYTES < JOURNAL_RECORD_BYTES);
const _: () = assert!(PAYLOAD_BYTES < GROUP_BYTES);
const _: () = assert!(JOURNAL_RECORD_BYTES < JOURNAL_BUFFER_BYTES);
const _: () = assert!((JOURNAL_RECORD_BYTES as u64) < SEGMENT_BYTES);
const _: () = assert!(JOURNAL_RECORD_BYTES < BATCH_BYTES);
const _: () = assert!(REPORT_ITEMS < BATCH_ROWS);
const _: () = assert!(RULES + RULE_NAMES < u16::MAX as usize);
const _: () = assert!(CONDITION_TEXT_BYTES < RULE_FILE_BYTES);
// All rule files travel in one record.
const _: () = assert!(RULE_FILES_BYTES < JOURNAL_RECORD_BYTES / 2);
const _: () = assert!(CONDITION_NESTING < 96, "the parser's own bound on nesting must not come first");
// What follows the prefix is at most a kind, a code of 32 characters and a verb.
const _: () = assert!(TOPIC_PREFIX_BYTES + 64 < TOPIC_BYTES);
