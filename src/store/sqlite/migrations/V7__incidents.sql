-- Rescue incidents: what happened, and how each stands.

CREATE TABLE incident_event (
    epoch           INTEGER NOT NULL,
    seq             INTEGER NOT NULL, -- gapless within the epoch
    incident_epoch  INTEGER NOT NULL,
    incident_number INTEGER NOT NULL,
    what            TEXT    NOT NULL,
    source          TEXT    NOT NULL,
    at              INTEGER NOT NULL,
    since_ms        INTEGER NOT NULL, -- since the incident was received, by a clock that nobody sets
    tier            TEXT,
    party           TEXT,
    actor           TEXT,
    note            TEXT,
    body            BLOB    NOT NULL, -- the entry, and the incident after it: vigil.internal.v1.IncidentEvent
    PRIMARY KEY (epoch, seq)
) WITHOUT ROWID;
CREATE INDEX incident_event_incident ON incident_event (incident_epoch, incident_number, epoch, seq);

-- Each rescue incident as its last event left it.
CREATE TABLE incident (
    epoch       INTEGER NOT NULL,
    number      INTEGER NOT NULL,
    device      TEXT,
    district    TEXT,
    firm        TEXT,
    rule        TEXT,             -- what opened it; NULL: a person
    state       TEXT    NOT NULL,
    received_at INTEGER NOT NULL,
    changed_at  INTEGER NOT NULL,
    body        BLOB    NOT NULL, -- vigil.internal.v1.Incident
    PRIMARY KEY (epoch, number)
) WITHOUT ROWID;
CREATE INDEX incident_received ON incident (received_at, epoch, number);
CREATE INDEX incident_device ON incident (device, received_at);
