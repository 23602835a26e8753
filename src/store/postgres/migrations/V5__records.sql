-- Records of maintenance visits, and the signatures below them. docs/records.md says how the links are made.

CREATE TABLE maintenance (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number        bigint NOT NULL,
    visit_number  bigint,
    recorded_at   timestamptz NOT NULL,
    started_at    timestamptz,
    ended_at      timestamptz,
    next_on       date,
    device        text COLLATE "C" NOT NULL,
    what          text   NOT NULL,
    link          text   NOT NULL,
    firm          text COLLATE "C" NOT NULL,
    record        text COLLATE "C" NOT NULL,
    kind          text,
    workers       text[],
    recorder      text,
    items         jsonb,
    problem       text,
    note          text,
    photos        jsonb,
    supersedes    text,
    rectifies     text[],
    flags         text[],
    people_digest text,
    signatory     text
);
COMMENT ON TABLE maintenance IS 'Visits and signatures. Never changed: vigil verify finds what was changed all the same.';
COMMENT ON COLUMN maintenance.number IS 'The place in the device''s chain, from 1.';
COMMENT ON COLUMN maintenance.what IS 'visit or signature; columns that only the other one has are NULL.';
COMMENT ON COLUMN maintenance.link IS 'SHA-256 of all of this and of the link before it.';
COMMENT ON COLUMN maintenance.record IS 'The firm''s own id of the record, or of the one that is signed.';
COMMENT ON COLUMN maintenance.problem IS 'S0 to S7.';
COMMENT ON COLUMN maintenance.flags IS 'What is odd about it.';
COMMENT ON COLUMN maintenance.people_digest IS 'SHA-256 of the people, salted; NULL: nobody was named.';
COMMENT ON COLUMN maintenance.visit_number IS 'The place of the record that is signed.';
CREATE INDEX maintenance_device ON maintenance (device, number);
CREATE INDEX maintenance_record ON maintenance (firm, record);

CREATE TABLE maintenance_people (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number      bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    device      text COLLATE "C" NOT NULL,
    salt        text   NOT NULL,
    people      jsonb  NOT NULL
);
COMMENT ON TABLE maintenance_people IS 'Names and phones. A row may be deleted: the chain has only its digest.';
CREATE INDEX maintenance_people_device ON maintenance_people (device, number);
