-- Lifts that raise a rule together: where they are, and what their alerts carry.

ALTER TABLE lift
    ADD COLUMN building text COLLATE "C",
    ADD COLUMN feeder   text COLLATE "C";

ALTER TABLE alert
    ADD COLUMN occupied       boolean,
    ADD COLUMN flapping       boolean NOT NULL DEFAULT false,
    ADD COLUMN group_scope    text,
    ADD COLUMN group_place    text COLLATE "C",
    ADD COLUMN group_epoch    bigint,
    ADD COLUMN group_seq      bigint,
    ADD COLUMN group_began_at timestamptz,
    ADD COLUMN group_lifts    bigint;
COMMENT ON COLUMN alert.occupied IS 'People in the car; NULL: not known.';
COMMENT ON COLUMN alert.flapping IS 'Its rule opens again and again for this lift.';
COMMENT ON COLUMN alert.group_scope IS 'building, feeder or district; NULL: it stands alone.';
COMMENT ON COLUMN alert.group_seq IS 'Of the event that began the group.';
COMMENT ON COLUMN alert.group_lifts IS 'As many as had joined the group by then.';

ALTER TABLE alert_event
    ADD COLUMN occupied       boolean,
    ADD COLUMN flapping       boolean NOT NULL DEFAULT false,
    ADD COLUMN group_scope    text,
    ADD COLUMN group_place    text COLLATE "C",
    ADD COLUMN group_epoch    bigint,
    ADD COLUMN group_seq      bigint,
    ADD COLUMN group_began_at timestamptz,
    ADD COLUMN group_lifts    bigint;
