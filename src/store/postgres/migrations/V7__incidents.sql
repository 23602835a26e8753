-- Rescue incidents: what happened, and how each stands.

CREATE TABLE incident_event (
    epoch           bigint      NOT NULL,
    seq             bigint      NOT NULL,
    incident_epoch  bigint      NOT NULL,
    incident_number bigint      NOT NULL,
    what            text        NOT NULL,
    source          text        NOT NULL,
    at              timestamptz NOT NULL,
    since_ms        bigint      NOT NULL,
    tier            text,
    party           text,
    actor           text,
    note            text,
    body            bytea       NOT NULL,
    PRIMARY KEY (epoch, seq)
);
COMMENT ON TABLE incident_event IS 'Every entry of every incident''s timeline.';
COMMENT ON COLUMN incident_event.seq IS 'Gapless within its epoch.';
COMMENT ON COLUMN incident_event.since_ms IS 'Since the incident was received, by a clock that nobody sets.';
COMMENT ON COLUMN incident_event.body IS 'The entry, and the incident after it: vigil.internal.v1.IncidentEvent.';
CREATE INDEX incident_event_incident ON incident_event (incident_epoch, incident_number, epoch, seq);

CREATE TABLE incident (
    epoch       bigint      NOT NULL,
    number      bigint      NOT NULL,
    device      text COLLATE "C",
    district    text COLLATE "C",
    firm        text COLLATE "C",
    rule        text COLLATE "C",
    state       text        NOT NULL,
    received_at timestamptz NOT NULL,
    changed_at  timestamptz NOT NULL,
    body        bytea       NOT NULL,
    PRIMARY KEY (epoch, number)
);
COMMENT ON TABLE incident IS 'Each rescue incident as its last event left it.';
COMMENT ON COLUMN incident.rule IS 'What opened it; NULL: a person.';
COMMENT ON COLUMN incident.body IS 'The incident: vigil.internal.v1.Incident.';
CREATE INDEX incident_received ON incident (received_at, epoch, number);
CREATE INDEX incident_device ON incident (device, received_at);
