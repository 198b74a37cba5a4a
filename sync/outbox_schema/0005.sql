-- From when on a log was read without a gap, its last record, and how far a whole read came that broke off.

ALTER TABLE memory ADD COLUMN last_record TEXT NOT NULL DEFAULT '';
ALTER TABLE memory ADD COLUMN covered_since TEXT;
ALTER TABLE memory ADD COLUMN begun INTEGER NOT NULL DEFAULT 0;
ALTER TABLE memory ADD COLUMN begun_digest TEXT NOT NULL DEFAULT '';
