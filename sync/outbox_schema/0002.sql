-- What the last records of a log were, so that its end can be read alone.

ALTER TABLE memory ADD COLUMN tail_digest TEXT NOT NULL DEFAULT '';
