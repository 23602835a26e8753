-- Lifts that raise a rule together: where they are, and what their alerts carry.

ALTER TABLE lift ADD COLUMN building TEXT;
ALTER TABLE lift ADD COLUMN feeder TEXT;

ALTER TABLE alert ADD COLUMN occupied INTEGER;                    -- people in the car; NULL: not known
ALTER TABLE alert ADD COLUMN flapping INTEGER NOT NULL DEFAULT 0; -- its rule opens again and again for this lift
ALTER TABLE alert ADD COLUMN group_scope TEXT;                    -- building, feeder, district; NULL: it stands alone
ALTER TABLE alert ADD COLUMN group_place TEXT;
ALTER TABLE alert ADD COLUMN group_epoch INTEGER;                 -- of the event that began the group
ALTER TABLE alert ADD COLUMN group_seq INTEGER;
ALTER TABLE alert ADD COLUMN group_began_at INTEGER;
ALTER TABLE alert ADD COLUMN group_lifts INTEGER;                 -- as many as had joined it by then

ALTER TABLE alert_event ADD COLUMN occupied INTEGER;
ALTER TABLE alert_event ADD COLUMN flapping INTEGER NOT NULL DEFAULT 0;
ALTER TABLE alert_event ADD COLUMN group_scope TEXT;
ALTER TABLE alert_event ADD COLUMN group_place TEXT;
ALTER TABLE alert_event ADD COLUMN group_epoch INTEGER;
ALTER TABLE alert_event ADD COLUMN group_seq INTEGER;
ALTER TABLE alert_event ADD COLUMN group_began_at INTEGER;
ALTER TABLE alert_event ADD COLUMN group_lifts INTEGER;
