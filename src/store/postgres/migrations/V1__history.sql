-- History. Empty lists and maps are NULL. `frame_history` shows all frames, with words instead of numbers.
-- Codes compare byte by byte (COLLATE "C"), whatever the database's locale.

CREATE TABLE checkpoint (
    id       smallint PRIMARY KEY CHECK (id = 1),
    journal  text   NOT NULL,
    epoch    bigint NOT NULL,
    position bigint NOT NULL,
    hash     bigint NOT NULL
);
COMMENT ON TABLE checkpoint IS 'How far the outbox has been stored. Never change it by hand: see vigil recover.';

CREATE TABLE identity (
    id    smallint PRIMARY KEY CHECK (id = 1),
    store text NOT NULL
);
COMMENT ON TABLE identity IS 'What tells this store from others. The service notes it beside its journals.';
INSERT INTO identity VALUES (1, replace(gen_random_uuid()::text, '-', ''));

-- Columns stand by size, so that rows have no gaps.
CREATE TABLE frame (
    effective_at   timestamptz NOT NULL,
    received_at    timestamptz NOT NULL,
    claimed_at     timestamptz,
    seq            bigint   NOT NULL,
    boot           bigint   NOT NULL,
    generation     bigint   NOT NULL,
    runs           bigint,
    load_kg        bigint,
    run_hours      bigint,
    floor          integer,
    speed_mm_s     integer,
    time_source    smallint NOT NULL,
    arrival_order  smallint NOT NULL,
    mode           smallint,
    car            smallint,
    direction      smallint,
    door           smallint,
    door_zone      boolean,
    passenger      boolean,
    has_status     boolean  NOT NULL,
    device         text COLLATE "C" NOT NULL,
    floor_label    text,
    faults         bigint[],
    events         bigint[],
    alarms         bigint[],
    conditions     text[],
    cleared        text[],
    extras         jsonb,
    unknown_fields text[],
    partial_lists  text[],
    invalid_fields text[]
) PARTITION BY RANGE (effective_at);
COMMENT ON TABLE frame IS 'What lifts reported, in one partition for each UTC day.';
COMMENT ON COLUMN frame.effective_at IS 'The time in history: the claimed one, unless the device''s clock is wrong.';
COMMENT ON COLUMN frame.claimed_at IS 'The device''s own time; NULL: it gave none.';
COMMENT ON COLUMN frame.seq IS 'Counts frames since the terminal''s restart.';
COMMENT ON COLUMN frame.boot IS 'Counts the terminal''s restarts.';
COMMENT ON COLUMN frame.generation IS 'Counts the terminals of the device.';
COMMENT ON COLUMN frame.time_source IS '1 claimed, 2 the device gave no time, 3 its clock is wrong.';
COMMENT ON COLUMN frame.arrival_order IS '1 newer, 2 late, 3 very late.';
COMMENT ON COLUMN frame.unknown_fields IS 'Fields that are NULL because the device said that it doesn''t know, or not readably.';
COMMENT ON COLUMN frame.partial_lists IS 'Lists of which a part could not be read.';
COMMENT ON COLUMN frame.invalid_fields IS 'JSON pointers of what could not be read.';
CREATE INDEX frame_device ON frame (device, effective_at);

CREATE TABLE frame_out_of_range (LIKE frame, id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
COMMENT ON TABLE frame_out_of_range IS 'Frames of days that have no partition.';
CREATE INDEX frame_out_of_range_device ON frame_out_of_range (device, effective_at);

CREATE TABLE late_frame (LIKE frame, id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
COMMENT ON TABLE late_frame IS 'Frames so old that whether they were seen before is no longer known otherwise.';
CREATE INDEX late_frame_device ON late_frame (device, effective_at);
CREATE UNIQUE INDEX late_frame_key ON late_frame (device, boot, seq, coalesce(claimed_at, '-infinity'));

CREATE TABLE evidence_frame (LIKE frame, id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
COMMENT ON TABLE evidence_frame IS 'Frames from around alerts, which outlive their day.';
CREATE INDEX evidence_frame_device ON evidence_frame (device, effective_at);
CREATE UNIQUE INDEX evidence_frame_late_key ON evidence_frame (device, boot, seq, coalesce(claimed_at, '-infinity'))
    WHERE arrival_order = 3;

CREATE VIEW frame_history AS
SELECT device, generation, boot, seq, claimed_at, received_at, effective_at,
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
FROM (
    SELECT device, generation, boot, seq, claimed_at, received_at, effective_at, time_source, arrival_order, mode, car,
           direction, door_zone, door, passenger, floor, floor_label, load_kg, speed_mm_s, runs, run_hours, faults,
           events, alarms, conditions, cleared, extras, has_status, unknown_fields, partial_lists, invalid_fields
    FROM frame
    UNION ALL
    SELECT device, generation, boot, seq, claimed_at, received_at, effective_at, time_source, arrival_order, mode, car,
           direction, door_zone, door, passenger, floor, floor_label, load_kg, speed_mm_s, runs, run_hours, faults,
           events, alarms, conditions, cleared, extras, has_status, unknown_fields, partial_lists, invalid_fields
    FROM frame_out_of_range
    UNION ALL
    SELECT device, generation, boot, seq, claimed_at, received_at, effective_at, time_source, arrival_order, mode, car,
           direction, door_zone, door, passenger, floor, floor_label, load_kg, speed_mm_s, runs, run_hours, faults,
           events, alarms, conditions, cleared, extras, has_status, unknown_fields, partial_lists, invalid_fields
    FROM late_frame
    UNION ALL
    SELECT device, generation, boot, seq, claimed_at, received_at, effective_at, time_source, arrival_order, mode, car,
           direction, door_zone, door, passenger, floor, floor_label, load_kg, speed_mm_s, runs, run_hours, faults,
           events, alarms, conditions, cleared, extras, has_status, unknown_fields, partial_lists, invalid_fields
    FROM evidence_frame
) AS every_frame;

CREATE TABLE scan (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    effective_at   timestamptz NOT NULL,
    received_at    timestamptz NOT NULL,
    claimed_at     timestamptz,
    valid_until    timestamptz,
    seq            bigint   NOT NULL,
    boot           bigint   NOT NULL,
    generation     bigint   NOT NULL,
    tare_g         bigint,
    gross_g        bigint,
    net_g          bigint,
    pressure_kpa   bigint,
    latitude_e7    integer,
    longitude_e7   integer,
    time_source    smallint NOT NULL,
    arrival_order  smallint NOT NULL,
    passed         boolean,
    site           text COLLATE "C" NOT NULL,
    scanner        text COLLATE "C" NOT NULL,
    cylinder       text COLLATE "C" NOT NULL,
    event          text     NOT NULL,
    operator       text,
    counterparty   text,
    medium         text,
    findings       text[],
    request        text,
    invalid_fields text[],
    flags          text[]
);
COMMENT ON TABLE scan IS 'What was scanned of gas cylinders.';
COMMENT ON COLUMN scan.flags IS 'What is wrong with it by the rules of who may say what.';
CREATE INDEX scan_cylinder ON scan (cylinder, effective_at);
CREATE UNIQUE INDEX scan_late_key ON scan (site, scanner, boot, seq, coalesce(claimed_at, '-infinity'))
    WHERE arrival_order = 3;

CREATE TABLE reject (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic       text        NOT NULL,
    reason      text        NOT NULL,
    pointer     text        NOT NULL,
    detail      text        NOT NULL,
    payload     bytea       NOT NULL,
    received_at timestamptz NOT NULL
);
COMMENT ON TABLE reject IS 'Messages, or items of them, that could not be taken, and why.';

CREATE TABLE status (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device      text COLLATE "C" NOT NULL,
    online      boolean     NOT NULL,
    received_at timestamptz NOT NULL
);
COMMENT ON TABLE status IS 'What devices say of their own connection.';
CREATE INDEX status_device ON status (device, id);

CREATE TABLE set_aside (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    what         text        NOT NULL,
    sqlstate     text        NOT NULL,
    detail       text        NOT NULL,
    content      text        NOT NULL,
    set_aside_at timestamptz NOT NULL
);
COMMENT ON TABLE set_aside IS 'Rows that their table would not take, and why.';

CREATE TABLE alert_event (
    epoch           bigint      NOT NULL,
    seq             bigint      NOT NULL,
    kind            text        NOT NULL,
    reason          text        NOT NULL,
    at              timestamptz NOT NULL,
    published_at    timestamptz NOT NULL,
    delayed         boolean     NOT NULL,
    actor           text,
    note            text,
    subject         text COLLATE "C" NOT NULL,
    rule            text COLLATE "C" NOT NULL,
    opening         bigint      NOT NULL,
    state           text        NOT NULL,
    severity        text        NOT NULL,
    certainty       text        NOT NULL,
    opened_at       timestamptz NOT NULL,
    cleared_at      timestamptz,
    acknowledged_by text,
    acknowledged_at timestamptz,
    evidence        jsonb       NOT NULL,
    unregistered    boolean     NOT NULL,
    district        text COLLATE "C",
    address         text,
    title_en        text        NOT NULL,
    title_zh        text        NOT NULL,
    dispatch        text,
    PRIMARY KEY (epoch, seq)
);
COMMENT ON TABLE alert_event IS 'Every transition of every alert, with the whole of the alert after it.';
COMMENT ON COLUMN alert_event.seq IS 'Gapless within its epoch.';
CREATE INDEX alert_event_subject ON alert_event (subject, at);
CREATE INDEX alert_event_at ON alert_event (at);

CREATE TABLE alert (
    subject         text COLLATE "C" NOT NULL,
    rule            text COLLATE "C" NOT NULL,
    opening         bigint      NOT NULL,
    state           text        NOT NULL,
    severity        text        NOT NULL,
    certainty       text        NOT NULL,
    opened_at       timestamptz NOT NULL,
    cleared_at      timestamptz,
    acknowledged_by text,
    acknowledged_at timestamptz,
    evidence        jsonb       NOT NULL,
    unregistered    boolean     NOT NULL,
    district        text COLLATE "C",
    address         text,
    title_en        text        NOT NULL,
    title_zh        text        NOT NULL,
    dispatch        text,
    epoch           bigint      NOT NULL,
    seq             bigint      NOT NULL,
    PRIMARY KEY (subject, rule, opening)
);
COMMENT ON TABLE alert IS 'Each alert as its last event, (epoch, seq), left it.';
CREATE INDEX alert_cleared ON alert (cleared_at);

CREATE TABLE lift (
    code           text COLLATE "C" PRIMARY KEY,
    equipment      text NOT NULL,
    address        text,
    district       text COLLATE "C",
    rescue_code    text,
    firm           text COLLATE "C",
    use_unit       text,
    keep_alive_s   bigint,
    inspection_due date
);

CREATE TABLE cylinder (
    code           text COLLATE "C" PRIMARY KEY,
    filling_unit   text COLLATE "C",
    medium         text,
    made_on        date,
    inspection_due date,
    scrapped       boolean NOT NULL,
    district       text COLLATE "C"
);

CREATE TABLE firm (
    code  text COLLATE "C" PRIMARY KEY,
    name  text NOT NULL,
    phone text
);

CREATE TABLE site (
    code     text COLLATE "C" PRIMARY KEY,
    kind     text NOT NULL,
    name     text NOT NULL,
    address  text,
    district text COLLATE "C"
);
