-- What filling guns were told.

ALTER TABLE scan
    ADD COLUMN verdict_expires_at timestamptz,
    ADD COLUMN verdict_reasons    text[];
COMMENT ON COLUMN scan.verdict_expires_at IS 'Until when the answer to a fill request was good; NULL: there was none.';
COMMENT ON COLUMN scan.verdict_reasons IS 'Why the fill was denied; NULL beside an answer: it was allowed.';
