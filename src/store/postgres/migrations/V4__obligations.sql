-- What is due when, and the reports that say it was done. Days are civil days of the service's zone.

CREATE TABLE due (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recorded_at timestamptz NOT NULL,
    recorded_on date     NOT NULL,
    until_on    date,
    due_on      date,
    basis_on    date,
    kind        smallint NOT NULL,
    subject     text COLLATE "C" NOT NULL,
    clause      text     NOT NULL,
    district    text COLLATE "C",
    party       text COLLATE "C"
);
COMMENT ON TABLE due IS 'When something was known to be due: each row stands from recorded_on until a later one takes its place.';
COMMENT ON COLUMN due.recorded_on IS 'The day on which this came to be known.';
COMMENT ON COLUMN due.until_on IS 'From this day on a later row stands instead; NULL: it still stands.';
COMMENT ON COLUMN due.due_on IS 'The last day on which it can be done in time; NULL: nothing of this kind is due any more.';
COMMENT ON COLUMN due.basis_on IS 'The day that it is counted from.';
COMMENT ON COLUMN due.kind IS '1 inspection, 2 testing, 3 half-month, 4 quarter, 5 half-year, 6 year, 7 self-check, 8 drill, 9 cylinder-inspection, 10 cylinder-life.';
COMMENT ON COLUMN due.party IS 'Who has to see to it: firm:ID or site:CODE.';
CREATE INDEX due_subject ON due (subject, kind, id);
CREATE UNIQUE INDEX due_standing ON due (subject, kind) WHERE until_on IS NULL;
CREATE INDEX due_party ON due (party, subject, kind) WHERE until_on IS NULL;
CREATE INDEX due_until ON due (until_on) WHERE until_on IS NOT NULL;

CREATE TABLE report (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recorded_at timestamptz NOT NULL,
    done_on     date    NOT NULL,
    passed      boolean NOT NULL,
    party       text COLLATE "C" NOT NULL,
    report      text COLLATE "C" NOT NULL,
    device      text COLLATE "C" NOT NULL,
    kind        text    NOT NULL,
    findings    text[],
    supersedes  text,
    recorded_by text    NOT NULL
);
COMMENT ON TABLE report IS 'Reports of inspections, tests, checks and drills. Never changed: a correction names what it supersedes.';
COMMENT ON COLUMN report.report IS 'The reporter''s own id.';
CREATE INDEX report_device ON report (device, id);
CREATE INDEX report_own ON report (party, report, id);
