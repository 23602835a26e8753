-- What filling guns were told.

ALTER TABLE scan ADD COLUMN verdict_expires_at INTEGER; -- until when the answer was good; NULL: there was none
ALTER TABLE scan ADD COLUMN verdict_reasons TEXT;       -- why it was denied; NULL beside an answer: it was allowed
