-- Times are milliseconds since 1970 (UTC). Lists and maps are JSON; an empty one is NULL. `frame_history` shows all of
-- it in words.

CREATE TABLE checkpoint (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    journal  TEXT    NOT NULL,
    epoch    INTEGER NOT NULL,
    position INTEGER NOT NULL,
    hash     INTEGER NOT NULL
) STRICT;

-- What tells this store from others. The service notes it beside its journals.
CREATE TABLE identity (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    store TEXT NOT NULL
) STRICT;
INSERT INTO identity VALUES (1, lower(hex(randomblob(16))));

CREATE TABLE frame (
    id             INTEGER PRIMARY KEY,
    device         TEXT    NOT NULL,
    generation     INTEGER NOT NULL, -- counts the terminals of the device
    boot           INTEGER NOT NULL, -- counts the terminal's restarts
    seq            INTEGER NOT NULL, -- counts frames since that restart
    claimed_at     INTEGER,          -- the device's own time; NULL: it gave none
    received_at    INTEGER NOT NULL,
    effective_at   INTEGER NOT NULL, -- the time in history
    time_source    INTEGER NOT NULL, -- 1 claimed, 2 the device gave no time, 3 its clock is wrong
    arrival_order  INTEGER NOT NULL, -- 1 newer, 2 late, 3 very late
    mode           INTEGER,
    car            INTEGER,
    direction      INTEGER,
    door_zone      INTEGER,
    door           INTEGER,
    passenger      INTEGER,
    floor          INTEGER,
    floor_label    TEXT,
    load_kg        INTEGER,
    speed_mm_s     INTEGER,
    runs           INTEGER,
    run_hours      INTEGER,
    faults         TEXT,
    events         TEXT,
    alarms         TEXT,
    conditions     TEXT,
    cleared        TEXT,
    extras         TEXT,
    has_status     INTEGER NOT NULL,
    unknown_fields TEXT,             -- NULL above, because the device says that it doesn't know, or not readably
    partial_lists  TEXT,             -- lists of which a part could not be read
    invalid_fields TEXT              -- JSON pointers of what could not be read
) STRICT;
CREATE INDEX frame_device ON frame (device, effective_at);

-- Frames so old that whether they were seen before is no longer known otherwise.
CREATE TABLE late_frame (
    id             INTEGER PRIMARY KEY,
    device         TEXT    NOT NULL,
    generation     INTEGER NOT NULL,
    boot           INTEGER NOT NULL,
    seq            INTEGER NOT NULL,
    claimed_at     INTEGER,
    received_at    INTEGER NOT NULL,
    effective_at   INTEGER NOT NULL,
    time_source    INTEGER NOT NULL,
    arrival_order  INTEGER NOT NULL,
    mode           INTEGER,
    car            INTEGER,
    direction      INTEGER,
    door_zone      INTEGER,
    door           INTEGER,
    passenger      INTEGER,
    floor          INTEGER,
    floor_label    TEXT,
    load_kg        INTEGER,
    speed_mm_s     INTEGER,
    runs           INTEGER,
    run_hours      INTEGER,
    faults         TEXT,
    events         TEXT,
    alarms         TEXT,
    conditions     TEXT,
    cleared        TEXT,
    extras         TEXT,
    has_status     INTEGER NOT NULL,
    unknown_fields TEXT,
    partial_lists  TEXT,
    invalid_fields TEXT
) STRICT;
CREATE INDEX late_frame_device ON late_frame (device, effective_at);
CREATE UNIQUE INDEX late_frame_key ON late_frame (device, boot, seq, coalesce(claimed_at, -9223372036854775808));

-- Frames from around alerts, which outlive the others.
CREATE TABLE evidence_frame (
    id             INTEGER PRIMARY KEY,
    device         TEXT    NOT NULL,
    generation     INTEGER NOT NULL,
    boot           INTEGER NOT NULL,
    seq            INTEGER NOT NULL,
    claimed_at     INTEGER,
    received_at    INTEGER NOT NULL,
    effective_at   INTEGER NOT NULL,
    time_source    INTEGER NOT NULL,
    arrival_order  INTEGER NOT NULL,
    mode           INTEGER,
    car            INTEGER,
    direction      INTEGER,
    door_zone      INTEGER,
    door           INTEGER,
    passenger      INTEGER,
    floor          INTEGER,
    floor_label    TEXT,
    load_kg        INTEGER,
    speed_mm_s     INTEGER,
    runs           INTEGER,
    run_hours      INTEGER,
    faults         TEXT,
    events         TEXT,
    alarms         TEXT,
    conditions     TEXT,
    cleared        TEXT,
    extras         TEXT,
    has_status     INTEGER NOT NULL,
    unknown_fields TEXT,
    partial_lists  TEXT,
    invalid_fields TEXT
) STRICT;
CREATE INDEX evidence_frame_device ON evidence_frame (device, effective_at);
CREATE UNIQUE INDEX evidence_frame_late_key
    ON evidence_frame (device, boot, seq, coalesce(claimed_at, -9223372036854775808)) WHERE arrival_order = 3;

CREATE VIEW frame_history AS
SELECT device, generation, boot, seq,
       strftime('%Y-%m-%dT%H:%M:%fZ', claimed_at / 1000.0, 'unixepoch')   AS claimed_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', received_at / 1000.0, 'unixepoch')  AS received_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', effective_at / 1000.0, 'unixepoch') AS effective_at,
       CASE time_source WHEN 1 THEN 'claimed' WHEN 2 THEN 'absent' WHEN 3 THEN 'wrong' END AS time_source,
       CASE arrival_order WHEN 1 THEN 'newer' WHEN 2 THEN 'late' WHEN 3 THEN 'very_late' END AS arrival_order,
       CASE mode WHEN 1 THEN 'stopped_service' WHEN 2 THEN 'normal' WHEN 3 THEN 'inspection' WHEN 4 THEN 'fire_return'
                 WHEN 5 THEN 'firefighter' WHEN 6 THEN 'emergency_power' WHEN 7 THEN 'earthquake' END AS mode,
       CASE car WHEN 1 THEN 'stopped' WHEN 2 THEN 'running' END AS car,
       CASE direction WHEN 1 THEN 'none' WHEN 2 THEN 'up' WHEN 3 THEN 'down' END AS direction,
       door_zone,
       CASE door WHEN 2 THEN 'closing' WHEN 3 THEN 'closed' WHEN 4 THEN 'opening' WHEN 5 THEN 'open'
                 WHEN 6 THEN 'locked' WHEN 7 THEN 'not_fully_closed' END AS door,
       passenger, floor, floor_label, load_kg, speed_mm_s, runs, run_hours, faults, events, alarms, conditions,
       cleared, extras, has_status, unknown_fields, partial_lists, invalid_fields
FROM (SELECT * FROM frame UNION ALL SELECT * FROM late_frame UNION ALL SELECT * FROM evidence_frame);

CREATE TABLE scan (
    id             INTEGER PRIMARY KEY,
    site           TEXT    NOT NULL,
    scanner        TEXT    NOT NULL,
    generation     INTEGER NOT NULL,
    boot           INTEGER NOT NULL,
    seq            INTEGER NOT NULL,
    claimed_at     INTEGER,
    received_at    INTEGER NOT NULL,
    effective_at   INTEGER NOT NULL,
    time_source    INTEGER NOT NULL,
    arrival_order  INTEGER NOT NULL,
    cylinder       TEXT    NOT NULL,
    event          TEXT    NOT NULL,
    operator       TEXT,
    counterparty   TEXT,
    medium         TEXT,
    tare_g         INTEGER,
    gross_g        INTEGER,
    net_g          INTEGER,
    pressure_kpa   INTEGER,
    passed         INTEGER,
    findings       TEXT,
    latitude_e7    INTEGER,
    longitude_e7   INTEGER,
    request        TEXT,
    valid_until    INTEGER,
    invalid_fields TEXT,
    flags          TEXT
) STRICT;
CREATE INDEX scan_cylinder ON scan (cylinder, effective_at);
CREATE UNIQUE INDEX scan_late_key ON scan (site, scanner, boot, seq, coalesce(claimed_at, -9223372036854775808))
    WHERE arrival_order = 3;

CREATE TABLE reject (
    id          INTEGER PRIMARY KEY,
    topic       TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    pointer     TEXT    NOT NULL,
    detail      TEXT    NOT NULL,
    payload     BLOB    NOT NULL,
    received_at INTEGER NOT NULL
) STRICT;

CREATE TABLE status (
    id          INTEGER PRIMARY KEY,
    device      TEXT    NOT NULL,
    online      INTEGER NOT NULL,
    received_at INTEGER NOT NULL
) STRICT;
CREATE INDEX status_device ON status (device, id);

CREATE TABLE set_aside (
    id           INTEGER PRIMARY KEY,
    what         TEXT    NOT NULL,
    sqlstate     TEXT    NOT NULL,
    detail       TEXT    NOT NULL,
    content      TEXT    NOT NULL,
    set_aside_at INTEGER NOT NULL
) STRICT;

CREATE TABLE alert_event (
    epoch           INTEGER NOT NULL,
    seq             INTEGER NOT NULL, -- gapless within the epoch
    kind            TEXT    NOT NULL,
    reason          TEXT    NOT NULL,
    at              INTEGER NOT NULL,
    published_at    INTEGER NOT NULL,
    delayed         INTEGER NOT NULL,
    actor           TEXT,
    note            TEXT,
    subject         TEXT    NOT NULL,
    rule            TEXT    NOT NULL,
    opening         INTEGER NOT NULL,
    state           TEXT    NOT NULL,
    severity        TEXT    NOT NULL,
    certainty       TEXT    NOT NULL,
    opened_at       INTEGER NOT NULL,
    cleared_at      INTEGER,
    acknowledged_by TEXT,
    acknowledged_at INTEGER,
    evidence        TEXT    NOT NULL,
    unregistered    INTEGER NOT NULL,
    district        TEXT,
    address         TEXT,
    title_en        TEXT    NOT NULL,
    title_zh        TEXT    NOT NULL,
    dispatch        TEXT,
    PRIMARY KEY (epoch, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_event_subject ON alert_event (subject, at);

-- Each alert as its last event left it.
CREATE TABLE alert (
    subject         TEXT    NOT NULL,
    rule            TEXT    NOT NULL,
    opening         INTEGER NOT NULL,
    state           TEXT    NOT NULL,
    severity        TEXT    NOT NULL,
    certainty       TEXT    NOT NULL,
    opened_at       INTEGER NOT NULL,
    cleared_at      INTEGER,
    acknowledged_by TEXT,
    acknowledged_at INTEGER,
    evidence        TEXT    NOT NULL,
    unregistered    INTEGER NOT NULL,
    district        TEXT,
    address         TEXT,
    title_en        TEXT    NOT NULL,
    title_zh        TEXT    NOT NULL,
    dispatch        TEXT,
    epoch           INTEGER NOT NULL, -- of the last event
    seq             INTEGER NOT NULL,
    PRIMARY KEY (subject, rule, opening)
) STRICT, WITHOUT ROWID;

CREATE INDEX alert_cleared ON alert (cleared_at);

CREATE TABLE lift (
    code           TEXT PRIMARY KEY,
    equipment      TEXT NOT NULL,
    address        TEXT,
    district       TEXT,
    rescue_code    TEXT,
    firm           TEXT,
    use_unit       TEXT,
    keep_alive_s   INTEGER,
    inspection_due TEXT
) STRICT;

CREATE TABLE cylinder (
    code           TEXT PRIMARY KEY,
    filling_unit   TEXT,
    medium         TEXT,
    made_on        TEXT,
    inspection_due TEXT,
    scrapped       INTEGER NOT NULL,
    district       TEXT
) STRICT;

CREATE TABLE firm (
    code  TEXT PRIMARY KEY,
    name  TEXT NOT NULL,
    phone TEXT
) STRICT;

CREATE TABLE site (
    code     TEXT PRIMARY KEY,
    kind     TEXT NOT NULL,
    name     TEXT NOT NULL,
    address  TEXT,
    district TEXT
) STRICT;
