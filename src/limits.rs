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

/// Largest record of a journal. The effects of the largest report, every one of its frames bad in every field and each
/// with alerts, stay far below it.
pub const JOURNAL_RECORD_BYTES: usize = 16 * 1024 * 1024;
/// A journal segment is closed when it has reached this.
pub const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// The part of a journal that reports may not fill: it is kept for ticks, links and commands.
pub const JOURNAL_RESERVE_PERCENT: u64 = 5;
/// The part of a journal that may hold what is only kept for its retention. Below what counts as filling up: a journal
/// that is full of what nobody needs is in order.
pub const JOURNAL_RETAINED_PERCENT: u64 = 33;
/// A snapshot is due before its time when this part of the inbox was filled since the last one: what a restart needs
/// reaches back over two of them, and must not be what fills the journal.
pub const JOURNAL_SNAPSHOT_PERCENT: u64 = 16;
/// Journals this full are a warning, this full are critical, and below this they are fine again.
pub const JOURNAL_WARNING_PERCENT: u8 = 50;
pub const JOURNAL_CRITICAL_PERCENT: u8 = 80;
pub const JOURNAL_FINE_PERCENT: u8 = 40;
/// A retention that a journal's size couldn't hold even at this rate is refused.
pub const JOURNAL_RATE_BYTES_PER_S_MIN: u64 = 1_024;
/// A journal keeps at most this much of what was appended and not released in memory; what is beyond is written early.
pub const JOURNAL_BUFFER_BYTES: usize = 32 * 1024 * 1024;
/// What a journal has written and not synced is brought to the disk in the background whenever it is so much.
pub const JOURNAL_FLUSH_BYTES: u64 = 1024 * 1024;
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
/// The largest packet that MQTT knows. The client takes any: one that it refused would be sent again for ever.
pub const MQTT_PACKET_BYTES: usize = 268_435_455;
/// Bytes taken from the broker that are not safe in the inbox yet; beyond it reading pauses.
pub const IN_FLIGHT_BYTES: usize = 64 * 1024 * 1024;
/// Most topic filters, our own marker topic among them.
pub const FILTERS: usize = 256;
/// Own markers that the broker has not acknowledged; beyond it no more are sent.
pub const MARKERS_UNACKED: u16 = 8;

/// Most entries or items in one command: no record of the inbox may take long (part `commands` of the benchmarks).
pub const COMMAND_ITEMS: usize = 200;
/// Most entries of an upload that are taken together: lifts that all change take some 30 µs each.
pub const UPLOAD_GROUP: usize = 64;
/// Groups of one upload to the archive that may be on their way at once: each waits for the disk, and is a step of the core
/// that whatever comes behind it waits for.
pub const GROUPS_IN_FLIGHT: usize = 8;
/// Most reports in one request, which are divided over commands.
pub const REPORTS_ASKED: usize = 500;
/// Most cylinders that are transferred together, all of them or none, and that are looked at together.
pub const TRANSFERRED: usize = 200;
pub const BATCH_CYLINDERS: usize = 500;
/// Most records of maintenance in one command: each is checked item by item and hashed.
pub const VISITS: usize = 25;
/// Workers, items, photos, persons and rectified records of one visit.
pub const VISIT_WORKERS: usize = 8;
pub const VISIT_ITEMS: usize = 128;
pub const VISIT_PHOTOS: usize = 32;
pub const VISIT_PEOPLE: usize = 4;
pub const VISIT_RECTIFIES: usize = 16;
/// Longest id of an item or kind of medium of a photo, and longest note, in characters.
pub const VISIT_WORD_CHARS: usize = 32;
pub const VISIT_NOTE_CHARS: usize = 200;
/// Longest visit.
pub const VISIT_MS: i64 = 24 * 3_600_000;
/// Ids of records are known again for so long after they came. Of records of work that is older than the second the
/// service looks into the store first.
pub const RECORD_DAYS: i32 = 400;
pub const RECORD_MEMORY_DAYS: i32 = 390;
/// Ids of records that are remembered; beyond it no new ones are taken until old ones are forgotten.
pub const RECORD_IDS: usize = 20_000_000;
/// Pages of them that are looked through for old ones while one command is taken.
pub const RECORD_PAGES_PER_COMMAND: usize = 64;
/// Records of one lift that wait for a signature, and hazards that wait to be rectified; the oldest go first.
pub const UNSIGNED_RECORDS: usize = 64;
pub const OPEN_HAZARDS: usize = 16;
/// Hazards of one lift that were rectified, and what said so of each: a correction of that brings them back.
pub const RECTIFIED_HAZARDS: usize = 8;
pub const RECTIFIED_BY: usize = 4;
/// The hours for which rules on what is open are judged by the hour; from then on by the day.
pub const OPEN_HOURS: i64 = 14 * 24;

/// Most alerts in one correction, and numbers of alerts: it is judged as one record.
pub const CORRECTIONS: usize = 256;
/// Most timers fired while one record is applied; the rest waits for the next record.
pub const FIRES_PER_RECORD: usize = 256;

/// Lifts and cylinders, each; frames and scans of further unknown ones are set aside.
pub const SUBJECTS: usize = 2_000_000;
/// Firms, sites and workers of the archive.
pub const FIRMS: usize = 100_000;
pub const SITES: usize = 200_000;
pub const WORKERS: usize = 500_000;
/// Most codes that a cylinder bears beside its own, and sites that may fill it beside its own.
pub const ALIASES: usize = 8;
pub const ENTRUSTMENTS: usize = 8;
/// Scanners whose order is remembered.
pub const SCANNERS: usize = 200_000;
/// Codes and conditions of one lift that count as active.
pub const ACTIVE_ITEMS: usize = 2 * CODES + CONDITIONS;
/// Codes of one lift that count for a while because they came as a moment.
pub const LINGERING_CODES: usize = CODES;
/// Subjects looked at while one record is applied, when a reload or a new day makes all of them due.
pub const SWEEP_SUBJECTS: usize = 256;
pub const SWEEP_LIFTS: usize = 64;
/// Rescue incidents that are not over; beyond it only alerts tell of further ones. With those that are over for less than
/// this, whose timelines can be read without the database.
pub const INCIDENTS: usize = 20_000;
pub const INCIDENTS_OVER: usize = 4_096;
pub const INCIDENT_KEPT_MS: i64 = 48 * 3_600_000;
/// Incidents told anew while one record is applied, after another version of the core was there.
pub const INCIDENTS_RETOLD: usize = 2_000;
/// Longest range of figures, and most incidents that they are made of.
pub const KPI_DAYS: i64 = 400;
pub const KPI_INCIDENTS: usize = 200_000;
/// Pages of the store that are looked through for one page of an answer.
pub const INCIDENT_PAGES: usize = 8;
/// Incidents let go of while one record is applied.
pub const INCIDENTS_DROPPED: usize = 8;
/// Entries of one incident's timeline beyond which sensors are not told of, and people's notes and commands not taken any
/// more: to end it stays possible.
pub const INCIDENT_SENSOR_ENTRIES: usize = 256;
pub const INCIDENT_ENTRIES: usize = 512;
/// Alerts of one incident, and parties sent to it.
pub const INCIDENT_ALERTS: usize = 32;
pub const INCIDENT_LEGS: usize = 64;
/// Answers to commands that are remembered, and for how long.
pub const REQUESTS: usize = 100_000;
pub const REQUEST_MS: i64 = 24 * 3_600_000;
/// Answers forgotten while one command is taken.
pub const FORGOTTEN_PER_COMMAND: usize = 16;
/// Rejects kept for one topic in an hour; the rest is only counted.
pub const REJECTS_PER_TOPIC: u32 = 100;
/// Bytes of one that are shown to callers, and pages of the store that are looked through for one page of an answer.
pub const REJECT_SHOWN_BYTES: usize = 4 * 1024;
pub const REJECT_PAGES: usize = 8;
/// Topics whose rejects are counted apart in one hour; the rest shares one count.
pub const REJECT_TOPICS: usize = 4_096;

/// Largest rule file.
pub const RULE_FILE_BYTES: usize = 256 * 1024;
/// How often the rule folder is looked at. A change must stand still for so long before it is read.
pub const RULES_LOOK_MS: u64 = 2_000;
/// Asks to reload the rules that wait for their turn, and answers to earlier ones that are remembered.
pub const RELOADS_WAITING: usize = 16;
pub const RELOADS_REMEMBERED: usize = 64;
/// Faults of rules, and their bytes, in the status of a call: it travels in HTTP/2 headers, of which clients take 8 KiB.
pub const FAULTS_TOLD: usize = 32;
pub const FAULTS_TOLD_BYTES: usize = 3 * 1024;
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
/// Most occurrences that a rule may count to, since each is remembered, and most buckets of any other window.
pub const WINDOW_BUCKETS: u32 = 16;
/// Windows of extras that all rules together fold, and the shortest: a bucket lasts a second at least.
pub const WINDOWS: usize = 32;
pub const WINDOW_MS_MIN: i64 = 16_000;
/// Most codes and conditions that a counting rule counts.
pub const COUNTED_TERMS: usize = 32;
/// Codes and conditions of one lift of which it is remembered that they stood lately, for frames that come late.
pub const LEFT_ITEMS: usize = 16;
/// Most rules that stand otherwise for a lift or a district.
pub const OVERRIDES: usize = 4_096;
/// Longest interval that a table of intervals may name, in each unit.
pub const TABLE_YEARS: u32 = 100;
pub const TABLE_MONTHS: u32 = 12 * TABLE_YEARS;
pub const TABLE_DAYS: u32 = 366 * TABLE_YEARS;
/// Entries of one sort in a table of intervals, and classes of media, each of which is a bit.
pub const TABLE_ENTRIES: usize = 64;
pub const TABLE_CLASSES: usize = 32;
/// Longest name in a table of intervals, and longest text that says where an interval comes from.
pub const TABLE_NAME_BYTES: usize = 32;
pub const TABLE_TEXT_CHARS: usize = 120;
/// Rescue stations of a table, and entries of its roster.
pub const STATIONS: usize = 512;
pub const DUTIES: usize = 2_048;
/// Longest time for an answer or an arrival that a table may name.
pub const DEADLINE_MS: i64 = 24 * 3_600_000;
/// Longest span a rule may name.
pub const RULE_SPAN_MS: i64 = 31 * 24 * 3_600_000;
/// Most keep-alives an absence rule may wait for.
pub const RULE_KEEP_ALIVES: u32 = 1_000;
/// Most faults of rule files named at once; the rest is counted.
pub const RULE_FAULTS: usize = 256;
/// Faults of one rule file, or of one condition, that come with a rule that may have been meant: finding it takes a while.
pub const RULE_HINTS: usize = 64;
/// Longest title, hint, tag or name in a rule, in characters.
pub const RULE_TEXT_CHARS: usize = 200;
/// Most tags, escalations or excluded rules of one rule.
pub const RULE_LIST: usize = 16;

/// Source profiles, the largest file of one, and all of them together: they travel with the rules.
pub const PROFILES: usize = 32;
pub const PROFILE_FILE_BYTES: usize = 64 * 1024;
pub const PROFILES_BYTES: usize = 512 * 1024;
/// Longest name of a profile, and longest pointer, label or text in one.
pub const PROFILE_NAME_BYTES: usize = 32;
pub const PROFILE_TEXT_BYTES: usize = 256;
/// Entries of one map of a profile, and lists of codes that one reads.
pub const PROFILE_MAP: usize = 1_024;
pub const PROFILE_CODES: usize = 32;
/// Longest keep-alive that a profile may state.
pub const PROFILE_KEEP_ALIVE_MS: i64 = 12 * 3_600_000;
/// Frames of one device without counters that are known again.
pub const DERIVED_KEYS: usize = 32;

/// Cylinders that may say that they bore the same code before.
pub const RELABELLED: usize = 8;
/// Codes of one cylinder whose history is told together.
pub const CYLINDER_CODES: usize = 32;
/// Visits of each kind on one lift that are remembered one by one, so that their records can be superseded.
pub const VISITS_REMEMBERED: usize = 3;
/// Reports of one lift that are remembered one by one, so that they can be superseded.
pub const REPORTS_REMEMBERED: usize = 12;
/// The data link of a lift on demand counts as lost when nothing was heard of it for so long.
pub const LINK_LOST_MS: i64 = 24 * 3_600_000;

/// Most days before something is due at which a rule may tell of it again.
pub const RULE_CROSSING_DAYS: i64 = 3_660;

/// Most lifts that a rule file may ask for before alerts are grouped: so many are remembered by name for each place.
pub const STORM_LIFTS: usize = 100;
/// Longest span within which they must raise the rule.
pub const STORM_MS: i64 = 3_600_000;
/// Places in which some rule was raised lately; in further ones nothing is grouped until others are let go of.
pub const STORM_PLACES: usize = 65_536;
/// Of them looked at with each alert that opens or clears.
pub const STORM_LOOKS: usize = 8;
/// Lifts of narrower storms that a wider one takes over when it begins.
pub const STORM_ABSORBED: usize = 256;
/// Alerts told while one record is applied that they belong to a group; the rest waits for the next record.
pub const GROUPED_PER_RECORD: usize = 64;
/// Most openings that a rule file may ask for before a rule counts as flapping: each of them is remembered.
pub const FLAPPING_OPENINGS: u32 = 16;

/// Largest timeline file of `vigil rules test`.
pub const SCENARIO_FILE_BYTES: usize = 256 * 1024;
/// Most timeline files of one run, and folders that they lie in.
pub const SCENARIO_FILES: usize = 10_000;
/// Rule folders of timelines that are kept in memory at a time.
pub const SCENARIO_RULE_FOLDERS: usize = 16;
/// Most steps of one timeline, each repetition counted.
pub const SCENARIO_STEPS: usize = 10_000;
/// Longest time that a timeline goes through.
pub const SCENARIO_SPAN_MS: i64 = 31 * 24 * 3_600_000;
/// Lifts, cylinders and sites of one timeline.
pub const SCENARIO_SUBJECTS: usize = 1_000;
/// Most ticks that the core may ask for at one moment of a timeline.
pub const SCENARIO_TICKS: usize = 2_000;
/// Most faults named in one timeline file.
pub const SCENARIO_FAULTS: usize = 64;

/// A backtest begins at most so long before the span that it compares, for what stands by then, …
pub const BACKTEST_WARM_UP_MS: i64 = 7 * 24 * 3_600_000;
/// … and at least so long: most lifts report everything within it.
pub const BACKTEST_WARM_UP_MS_MIN: i64 = 3_600_000;
/// Frames of so long before that are read as well, for those of them that came late.
pub const BACKTEST_LATE_MS: i64 = 6 * 3_600_000;
/// How long after the span it is looked whether alerts that were open in it have cleared.
pub const BACKTEST_LOOK_ON_MS: i64 = 31 * 24 * 3_600_000;
/// Lifts replayed at a time: each reads from the service, which has more to do than that.
pub const BACKTEST_AT_ONCE: usize = 2;
/// Frames of one lift that wait for others which were received before them; beyond it they don't wait.
pub const BACKTEST_HELD_FRAMES: usize = 200_000;
/// Alert events of one subject that are read.
pub const BACKTEST_EVENTS: usize = 200_000;
/// Largest list of lifts that a person gives it.
pub const BACKTEST_LIST_BYTES: u64 = 64 * 1024 * 1024;
/// Shifts of one rule of which the median is taken; further ones only count for the largest.
pub const BACKTEST_SHIFTS: usize = 100_000;

/// Alert events kept in memory for watchers; older ones are read from the outbox or the store.
pub const FEED_RING: usize = 2_048;
/// Entries of the outbox of which it is remembered which events they have, for those who read on from before that.
pub const FEED_INDEX: usize = 131_072;
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
/// What a client may send ahead of us, on one stream and on all of a connection. Beside bytes, the HTTP/2 library counts
/// what small frames cost beyond their bytes, up to half of the latter, and ends a connection above it: the former must
/// hold a client back before that, since one that uploads entries message by message does nothing wrong.
pub const STREAM_AHEAD_BYTES: u32 = 64 * 1024;
pub const CONNECTION_AHEAD_BYTES: u32 = 2 * 1024 * 1024;
/// Connections of clients at a time, and calls at a time on each.
pub const CONNECTIONS: usize = 4_096;
pub const CALLS_PER_CONNECTION: u32 = 512;
/// How long a connection may take to begin.
pub const GREETING_MS: u64 = 10_000;
/// Connections that read metrics and health at a time, and how long one may send nothing.
pub const HTTP_CONNECTIONS: usize = 64;
pub const HTTP_SILENCE_MS: u64 = 30_000;
/// Clients that wait to be accepted: all of them come back at once after a restart, and beyond this they are turned away.
pub const LISTEN_BACKLOG: u32 = 4_096;
/// Streams of history at a time, and uploads of archive entries.
pub const QUERIES: usize = 64;
pub const UPLOADS: usize = 16;
/// Explanations made at a time, and how long one may take: it judges up to some hours of the inbox again.
pub const EXPLANATIONS: usize = 1;
/// Explanations that wait for those to be made, and for how long.
pub const EXPLANATIONS_WAITING: usize = 16;
pub const EXPLAIN_WAIT_MS: u64 = 10_000;
pub const EXPLAIN_MS: u64 = 60_000;
/// Beyond the inbox an explanation is made from the frames of so long before its moment, the last so many of them.
pub const EXPLAIN_BACK_MS: i64 = 6 * 3_600_000;
pub const EXPLAIN_FRAMES: usize = 50_000;
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
/// People freed from one lift, at most.
pub const PERSONS_FREED: u32 = 1_000;
/// Longest name of a caller or text of what a rescue did, and longest phone number or id of a party, in characters.
pub const CALL_TEXT_CHARS: usize = 200;
pub const PHONE_CHARS: usize = 32;
/// Most districts or rules, and most subjects, of one filter.
pub const FILTER_ITEMS: usize = 64;
pub const FILTER_SUBJECTS: usize = 256;
/// Page size where the client names none.
pub const PAGE_ROWS_DEFAULT: usize = 200;
/// An answer, or one message of a stream, is ended at this size: gRPC clients take 4 MiB unless told otherwise.
pub const ANSWER_BYTES: usize = 1024 * 1024;
/// Longest page token, in characters.
pub const PAGE_TOKEN_CHARS: usize = 512;
/// What may have happened to a subject in the ms at which a page of its timeline begins, and stood on pages before.
pub const TIMELINE_SKIP: usize = 10_000;
/// Answers to fill requests that are still good; beyond it nothing is allowed.
pub const VERDICTS: usize = 65_536;
/// Messages to devices that wait to be published, and those that the broker has not acknowledged.
pub const DOWNLINKS: usize = 4_096;
pub const DOWNLINKS_UNACKED: u16 = 64;
/// Bad entries named in the answer to one upload; the rest is counted.
pub const ENTRY_ERRORS: usize = 200;
/// Rows that `vigil import` has read and the service has not taken yet.
pub const IMPORT_AHEAD: usize = 64;
/// Largest file that `vigil import` takes.
pub const IMPORT_BYTES: u64 = 256 * 1024 * 1024;
/// Longest line of it. It must fit one message.
pub const IMPORT_LINE_BYTES: usize = 64 * 1024;

/// Longest identifier, name or word in a CAP message, line of text, headline (CAP recommends 160) and description, in
/// characters.
pub const CAP_NAME_CHARS: usize = 200;
pub const CAP_LINE_CHARS: usize = 300;
pub const CAP_HEADLINE_CHARS: usize = 160;
pub const CAP_DESCRIPTION_CHARS: usize = 2_000;
/// Earlier messages that one names: the first and the last ones.
pub const CAP_REFERENCES: usize = 32;
pub const CAP_REFERENCES_CHARS: usize = CAP_REFERENCES * 2 * CAP_NAME_CHARS;
/// Values named as evidence.
pub const CAP_EVIDENCE: usize = 16;
/// Around the coordinates of a lift: a building.
pub const CAP_RADIUS_KM: &str = "0.05";
/// Events from which one export is made.
pub const CAP_EXPORT_EVENTS: usize = 2_000;

/// Targets of notifications.
pub const NOTIFY_TARGETS: usize = 32;
/// Longest name of one, and longest reason and detail of a failure that is kept, in characters.
pub const NOTIFY_NAME_CHARS: usize = 32;
pub const NOTIFY_DETAIL_CHARS: usize = 200;
/// Largest body that is sent, most of an answer that is read, and most of its head.
pub const NOTIFY_BODY_BYTES: usize = 256 * 1024;
pub const NOTIFY_ANSWER_BYTES: usize = 8 * 1024;
pub const NOTIFY_HEAD_BYTES: usize = 16 * 1024;
/// Waits between attempts double from the one to the other; a receiver may ask for a longer one, up to the last.
pub const NOTIFY_RETRY_MS_MIN: u64 = 500;
pub const NOTIFY_RETRY_MS_MAX: u64 = 60_000;
pub const NOTIFY_RETRY_AFTER_MS: u64 = 300_000;
/// Events that a target has read and not yet been through.
pub const NOTIFY_BATCH: usize = 64;
/// A target's place is written down at least after so many events of which none was for it.
pub const NOTIFY_PASSED: usize = 4_096;
/// Deliveries of each target that are remembered, and those given up.
pub const NOTIFY_DELIVERIES: usize = 200;
pub const NOTIFY_GIVEN_UP: usize = 1_000;
/// Messages of each target that later ones can refer to, and for how long those of what is over are kept.
pub const NOTIFY_CHAINED: usize = 50_000;
pub const NOTIFY_CHAIN_MS: i64 = 8 * 24 * 3_600_000;
/// How long the archive may take to say where a device is before a message goes without.
pub const NOTIFY_PLACE_MS: u64 = 500;
/// Once it has not answered, all messages go without for so long.
pub const NOTIFY_PLACE_AGAIN_MS: u64 = 10_000;
/// An event upon which the worker of a target has failed so often is given up.
pub const NOTIFY_PANICS: u32 = 3;
/// Messages that later ones can refer to are tidied up once in so many of a target.
pub const NOTIFY_TIDY_EVERY: usize = 256;
/// Shortest and longest secret, and secrets in one file: the present one and the one before.
pub const NOTIFY_SECRET_BYTES_MIN: usize = 16;
pub const NOTIFY_SECRET_BYTES: usize = 256;
pub const NOTIFY_SECRETS: usize = 2;
/// Largest file of certificates.
pub const CERTIFICATES_BYTES: u64 = 1024 * 1024;

/// Rows in one store transaction, and their bytes in the outbox.
pub const BATCH_ROWS: usize = 10_000;
pub const BATCH_BYTES: usize = 32 * 1024 * 1024;
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
/// Frames of a lift from so long before and after each transition of its alerts are evidence, which outlives the others.
pub const EVIDENCE_MS: i64 = 600_000;
/// Rows that one step of retention deletes, and its steps a table in one round.
pub const DELETE_ROWS: usize = 5_000;
pub const DELETE_STEPS: usize = 40;
/// Largest simulated fleet; larger wishes are cut to it. Codes have room for no more.
pub const SIMULATED_LIFTS: u32 = 999_999;
pub const SIMULATED_CYLINDERS: u32 = 999_999;
pub const SIMULATED_STATIONS: u32 = 999;
/// Samples of a lift's state in one of its simulated reports.
pub const SIMULATED_SAMPLES: u16 = 100;
/// Longest simulation, and longest line of its truth file.
pub const SIMULATED_MS: i64 = 31 * 24 * 3_600_000;
pub const TRUTH_LINE_BYTES: usize = 4 * 1024;
/// Connections by which a simulated fleet publishes, and batches that wait for each of them.
pub const PUBLISH_CONNECTIONS: u16 = 64;
pub const PUBLISH_BATCHES: usize = 4;
/// Bytes that a connection has made and the broker has not taken.
pub const PUBLISH_BUFFER_BYTES: usize = 256 * 1024;
/// Alert events that were heard and not yet held against the truth.
pub const JUDGE_AHEAD: usize = 4_096;
/// Alerts of which it is remembered how long they took to arrive.
pub const JUDGE_DELIVERIES: usize = 1_000_000;
/// Messages of a simulated fleet that wait for their acknowledgement; further ones wait to be sent.
pub const PUBLISH_WINDOW: u16 = 4_096;
/// False alerts that a score names one by one; further ones are counted.
pub const SCORE_FALSE_NAMED: usize = 1_000;

const _: () = assert!(2 * JOURNAL_SNAPSHOT_PERCENT <= JOURNAL_RETAINED_PERCENT);
const _: () = assert!(JOURNAL_RETAINED_PERCENT < JOURNAL_FINE_PERCENT as u64);
const _: () = assert!(JOURNAL_FINE_PERCENT < JOURNAL_WARNING_PERCENT);
const _: () = assert!(JOURNAL_WARNING_PERCENT < JOURNAL_CRITICAL_PERCENT);
const _: () = assert!((JOURNAL_CRITICAL_PERCENT as u64) < 100 - JOURNAL_RESERVE_PERCENT);
const _: () = assert!(LISTEN_BACKLOG as usize >= WATCHERS);
// The longest list of an item: its elements are named by their index in 16 bits.
const _: () = assert!(CLEARED < u16::MAX as usize);
const _: () = assert!(PAYLOAD_BYTES + TOPIC_BYTES < JOURNAL_RECORD_BYTES);
const _: () = assert!(PAYLOAD_BYTES < GROUP_BYTES);
const _: () = assert!(JOURNAL_RECORD_BYTES < JOURNAL_BUFFER_BYTES);
const _: () = assert!(JOURNAL_FLUSH_BYTES < SEGMENT_BYTES / 8);
const _: () = assert!((JOURNAL_RECORD_BYTES as u64) < SEGMENT_BYTES);
const _: () = assert!(JOURNAL_RECORD_BYTES < BATCH_BYTES);
const _: () = assert!(REPORT_ITEMS < BATCH_ROWS);
const _: () = assert!(RULES + RULE_NAMES < u16::MAX as usize);
const _: () = assert!(WINDOW_MS_MIN >= WINDOW_BUCKETS as i64);
const _: () = assert!(RULE_SPAN_MS <= u32::MAX as i64);
// A lift remembers its district among them in 15 bits.
const _: () = assert!(OVERRIDES < 1 << 15);
const _: () = assert!(CONDITION_TEXT_BYTES < RULE_FILE_BYTES);
// All rule files travel in one record.
const _: () = assert!(RULE_FILES_BYTES + PROFILES_BYTES < JOURNAL_RECORD_BYTES / 2);
const _: () = assert!(PROFILE_KEEP_ALIVE_MS / 1_000 <= u16::MAX as i64);
const _: () = assert!(CONDITION_NESTING < 96, "the parser's own bound on nesting must not come first");
// What follows the prefix is at most a kind, a code of 32 characters and a verb.
const _: () = assert!(TOPIC_PREFIX_BYTES + 64 < TOPIC_BYTES);
const _: () = assert!((SIMULATED_SAMPLES as usize) <= REPORT_ITEMS);
// Packet ids count to 65,535 and begin anew.
const _: () = assert!(PUBLISH_WINDOW < u16::MAX / 2);
const _: () = assert!(PAGE_ROWS_DEFAULT <= PAGE_ROWS);
const _: () = assert!(PAGE_ROWS < TIMELINE_SKIP);
const _: () = assert!(STREAM_REQUEST_ID_CHARS + 16 <= REQUEST_ID_CHARS);
const _: () = assert!(2 * IMPORT_LINE_BYTES < REQUEST_BYTES);
// An archive entry has up to six free texts of up to four bytes a character, and some codes. What changed in it is told
// with what stood there before.
const _: () = assert!(COMMAND_ITEMS * 3 * (6 * 4 * ARCHIVE_TEXT_CHARS + 1_536) < JOURNAL_RECORD_BYTES);
// No archive entry fits into less than 25 bytes, and a frame counts as 256 bytes at least.
const _: () = assert!(STREAM_AHEAD_BYTES / 25 * 256 < CONNECTION_AHEAD_BYTES / 2);
// An alert that is corrected brings its evidence and its texts, some kilobytes at most.
const _: () = assert!(CORRECTIONS * 32 * 1024 < JOURNAL_RECORD_BYTES);
const _: () = assert!(GROUPED_PER_RECORD <= CORRECTIONS);
// As long as few have been sent for, an incident that is told has two kilobytes.
const _: () = assert!(INCIDENTS_RETOLD * 4 * 1024 < JOURNAL_RECORD_BYTES);
const _: () = assert!(INCIDENT_SENSOR_ENTRIES < INCIDENT_ENTRIES);
const _: () = assert!(UPLOAD_GROUP <= COMMAND_ITEMS);
const _: () = assert!(VISITS <= COMMAND_ITEMS);
// A visit's texts have up to four bytes a character; beside them stand codes and digests.
const _: () = assert!(
    VISITS
        * (VISIT_ITEMS * 4 * (VISIT_NOTE_CHARS + VISIT_WORD_CHARS)
            + VISIT_PHOTOS * (4 * 2 * VISIT_WORD_CHARS + 64)
            + VISIT_PEOPLE * 4 * 3 * VISIT_NOTE_CHARS
            + VISIT_RECTIFIES * 80
            + 4_096)
        < JOURNAL_RECORD_BYTES
);
// The texts of a message in two languages, up to four bytes a character and five when escaped; parameters are some twenty.
const _: () = assert!(
    5 * (CAP_REFERENCES_CHARS + 2 * (2 * CAP_DESCRIPTION_CHARS + 24 * (CAP_NAME_CHARS + CAP_LINE_CHARS)))
        < NOTIFY_BODY_BYTES
);
const _: () = assert!(NOTIFY_BATCH <= FEED_BATCH);
const _: () = assert!(NOTIFY_TIDY_EVERY < NOTIFY_CHAINED);
const _: () = assert!(RECORD_MEMORY_DAYS < RECORD_DAYS);
const _: () = assert!(EXPLAIN_WAIT_MS < EXPLAIN_MS);
const _: () = assert!(HEARTBEAT_MS * 3 < STREAM_STALL_MS);
const _: () = assert!(IN_FLIGHT_BYTES > 16 * (PAYLOAD_BYTES + TOPIC_BYTES));
