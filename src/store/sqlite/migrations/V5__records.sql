-- Records of maintenance visits, and the signatures below them. Nothing is ever changed in them: `vigil verify` finds
-- what was changed all the same. docs/records.md says how the links are made.

CREATE TABLE maintenance (
    id            INTEGER PRIMARY KEY,
    device        TEXT    NOT NULL,
    number        INTEGER NOT NULL, -- the place in the device's chain, from 1
    what          TEXT    NOT NULL, -- visit or signature; columns that only the other one has are NULL
    recorded_at   INTEGER NOT NULL,
    link          TEXT    NOT NULL, -- SHA-256 of all of this and of the link before it
    firm          TEXT    NOT NULL,
    record        TEXT    NOT NULL, -- the firm's own id of the record, or of the one that is signed
    kind          TEXT,
    workers       TEXT,
    recorder      TEXT,
    started_at    INTEGER,
    ended_at      INTEGER,
    items         TEXT,             -- [{"item": …, "result": …}, …]
    problem       TEXT,             -- S0 to S7
    note          TEXT,
    photos        TEXT,             -- [{"digest": …, "media": …, "bytes": …}, …]
    next_on       TEXT,
    supersedes    TEXT,
    rectifies     TEXT,
    flags         TEXT,             -- what is odd about it
    people_digest TEXT,             -- SHA-256 of the people, salted; NULL: nobody was named
    visit_number  INTEGER,          -- the place of the record that is signed
    signatory     TEXT
) STRICT;
CREATE INDEX maintenance_device ON maintenance (device, number);
CREATE INDEX maintenance_record ON maintenance (firm, record);

-- Names and phones. A row may be deleted: the chain has only its digest.
CREATE TABLE maintenance_people (
    id          INTEGER PRIMARY KEY,
    device      TEXT    NOT NULL,
    number      INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    salt        TEXT    NOT NULL,
    people      TEXT    NOT NULL    -- [{"duty": …, "name": …, "phone": …}, …]
) STRICT;
CREATE INDEX maintenance_people_device ON maintenance_people (device, number);
