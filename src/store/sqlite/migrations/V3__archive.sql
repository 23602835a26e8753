-- The archive of lifts and cylinders whole, and workers. Days are YYYY-MM-DD.

ALTER TABLE lift ADD COLUMN catalogue TEXT;
ALTER TABLE lift ADD COLUMN registration TEXT;
ALTER TABLE lift ADD COLUMN use_registration TEXT;
ALTER TABLE lift ADD COLUMN latitude_e7 INTEGER;    -- 1e-7 degrees, WGS 84
ALTER TABLE lift ADD COLUMN longitude_e7 INTEGER;
ALTER TABLE lift ADD COLUMN contract_from TEXT;     -- of the contract with `firm`; NULL: nothing is known of it
ALTER TABLE lift ADD COLUMN contract_to TEXT;       -- NULL: until further notice
ALTER TABLE lift ADD COLUMN on_demand_days INTEGER; -- most days between two visits; NULL: visits by the calendar
ALTER TABLE lift ADD COLUMN officer TEXT;
ALTER TABLE lift ADD COLUMN officer_phone TEXT;
ALTER TABLE lift ADD COLUMN terminal TEXT;
ALTER TABLE lift ADD COLUMN base_on TEXT;           -- the supervisory inspection that the years of inspection count from
ALTER TABLE lift ADD COLUMN inspected_on TEXT;      -- the last periodic inspection that it passed
ALTER TABLE lift ADD COLUMN out_of_use_since TEXT;
CREATE INDEX lift_rescue_code ON lift (rescue_code);
CREATE INDEX lift_registration ON lift (registration);

ALTER TABLE cylinder ADD COLUMN aliases TEXT;
ALTER TABLE cylinder ADD COLUMN stamped_number TEXT;
ALTER TABLE cylinder ADD COLUMN kind TEXT;
ALTER TABLE cylinder ADD COLUMN standard TEXT;
ALTER TABLE cylinder ADD COLUMN volume_ml INTEGER;
ALTER TABLE cylinder ADD COLUMN tare_g INTEGER;
ALTER TABLE cylinder ADD COLUMN max_fill_g INTEGER;
ALTER TABLE cylinder ADD COLUMN filling_unit_since TEXT;
ALTER TABLE cylinder ADD COLUMN entrusted TEXT;      -- [{"site", "from", "to"}, …]
ALTER TABLE cylinder ADD COLUMN inspected_on TEXT;
ALTER TABLE cylinder ADD COLUMN extended_until TEXT;

ALTER TABLE firm ADD COLUMN address TEXT;
ALTER TABLE firm ADD COLUMN district TEXT;

CREATE TABLE worker (
    code            TEXT PRIMARY KEY,
    name            TEXT NOT NULL,
    firm            TEXT,
    phone           TEXT,
    certificate     TEXT,
    certified_until TEXT
) STRICT;

-- Every change of the archive. What an entry was before follows from what it is and from what was changed since.
CREATE TABLE archive_change (
    id         INTEGER PRIMARY KEY,
    kind       TEXT    NOT NULL, -- of the entry: lift, cylinder, firm, site, worker
    code       TEXT    NOT NULL,
    what       TEXT    NOT NULL, -- created, changed, terminal_replaced, transferred
    changed_at INTEGER NOT NULL,
    actor      TEXT    NOT NULL,
    fields     TEXT              -- [{"field", "before", "after"}, …]; NULL: none
) STRICT;
CREATE INDEX archive_change_entry ON archive_change (kind, code, id);
