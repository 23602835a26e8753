-- The archive of lifts and cylinders whole, and workers.

ALTER TABLE lift
    ADD COLUMN catalogue        text,
    ADD COLUMN registration     text COLLATE "C",
    ADD COLUMN use_registration text,
    ADD COLUMN latitude_e7      integer,
    ADD COLUMN longitude_e7     integer,
    ADD COLUMN contract_from    date,
    ADD COLUMN contract_to      date,
    ADD COLUMN on_demand_days   bigint,
    ADD COLUMN officer          text,
    ADD COLUMN officer_phone    text,
    ADD COLUMN terminal         text,
    ADD COLUMN base_on          date,
    ADD COLUMN inspected_on     date,
    ADD COLUMN out_of_use_since date;
COMMENT ON COLUMN lift.latitude_e7 IS '1e-7 degrees, WGS 84.';
COMMENT ON COLUMN lift.contract_from IS 'Of the contract with firm; NULL: nothing is known of it.';
COMMENT ON COLUMN lift.contract_to IS 'The last day; NULL: until further notice.';
COMMENT ON COLUMN lift.on_demand_days IS 'Most days between two visits; NULL: visits by the calendar.';
COMMENT ON COLUMN lift.base_on IS 'The supervisory inspection that the years of inspection count from.';
COMMENT ON COLUMN lift.inspected_on IS 'The last periodic inspection that it passed.';
CREATE INDEX lift_rescue_code ON lift (rescue_code);
CREATE INDEX lift_registration ON lift (registration);

ALTER TABLE cylinder
    ADD COLUMN aliases            text[],
    ADD COLUMN stamped_number     text,
    ADD COLUMN kind               text,
    ADD COLUMN standard           text,
    ADD COLUMN volume_ml          bigint,
    ADD COLUMN tare_g             bigint,
    ADD COLUMN max_fill_g         bigint,
    ADD COLUMN filling_unit_since date,
    ADD COLUMN entrusted          jsonb,
    ADD COLUMN inspected_on       date,
    ADD COLUMN extended_until     date;
COMMENT ON COLUMN cylinder.entrusted IS 'Who else may fill it: [{"site", "from", "to"}, ...].';

ALTER TABLE firm
    ADD COLUMN address  text,
    ADD COLUMN district text COLLATE "C";

CREATE TABLE worker (
    code            text COLLATE "C" PRIMARY KEY,
    name            text NOT NULL,
    firm            text COLLATE "C",
    phone           text,
    certificate     text,
    certified_until date
);

CREATE TABLE archive_change (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    changed_at timestamptz NOT NULL,
    kind       text COLLATE "C" NOT NULL,
    code       text COLLATE "C" NOT NULL,
    what       text NOT NULL,
    actor      text NOT NULL,
    fields     jsonb
);
COMMENT ON TABLE archive_change IS
    'Every change of the archive. What an entry was before follows from what it is and from what was changed since.';
COMMENT ON COLUMN archive_change.kind IS 'Of the entry: lift, cylinder, firm, site, worker.';
COMMENT ON COLUMN archive_change.what IS 'created, changed, terminal_replaced, transferred.';
COMMENT ON COLUMN archive_change.fields IS '[{"field", "before", "after"}, ...]; NULL: none.';
CREATE INDEX archive_change_entry ON archive_change (kind, code, id);
