-- What is due when, and the reports that say it was done. Days are civil days of the service's zone.

-- When something was known to be due: each row stands from recorded_on until a later one takes its place.
CREATE TABLE due (
    id          INTEGER PRIMARY KEY,
    subject     TEXT    NOT NULL,
    kind        INTEGER NOT NULL, -- 1 inspection, 2 testing, 3 half-month, 4 quarter, 5 half-year, 6 year, 7 self-check,
                                  -- 8 drill, 9 cylinder-inspection, 10 cylinder-life
    due_on      TEXT,             -- the last day on which it can be done in time; NULL: nothing of this kind is due any more
    basis_on    TEXT,             -- the day that it is counted from
    clause      TEXT    NOT NULL,
    district    TEXT,
    party       TEXT,             -- who has to see to it: firm:ID or site:CODE
    recorded_on TEXT    NOT NULL, -- the day on which this came to be known
    recorded_at INTEGER NOT NULL,
    until_on    TEXT              -- from this day on a later row stands instead; NULL: it still stands
) STRICT;
CREATE INDEX due_subject ON due (subject, kind, id);
CREATE UNIQUE INDEX due_standing ON due (subject, kind) WHERE until_on IS NULL;
CREATE INDEX due_party ON due (party, subject, kind) WHERE until_on IS NULL;
CREATE INDEX due_until ON due (until_on) WHERE until_on IS NOT NULL;

-- Reports of inspections, tests, checks and drills. Never changed: a correction names what it supersedes.
CREATE TABLE report (
    id          INTEGER PRIMARY KEY,
    party       TEXT    NOT NULL,
    report      TEXT    NOT NULL, -- the reporter's own id
    device      TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    done_on     TEXT    NOT NULL,
    passed      INTEGER NOT NULL,
    findings    TEXT,
    supersedes  TEXT,
    recorded_by TEXT    NOT NULL,
    recorded_at INTEGER NOT NULL
) STRICT;
CREATE INDEX report_device ON report (device, id);
CREATE INDEX report_own ON report (party, report, id);
