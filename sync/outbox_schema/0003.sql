-- Two further kinds of entry: what happened to a terminal, and how its clock stood.

CREATE TABLE entry_anew (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    kind   TEXT NOT NULL CHECK (kind IN ('punch', 'bad', 'coverage', 'event', 'clock')),
    facts  INTEGER NOT NULL REFERENCES facts (id),
    digest BLOB UNIQUE, -- of what makes the entry itself; NULL for coverage, which may repeat
    body   TEXT NOT NULL -- its JSON, as it travels
) STRICT;

INSERT INTO entry_anew (id, kind, facts, digest, body) SELECT id, kind, facts, digest, body FROM entry;
DROP TABLE entry;
ALTER TABLE entry_anew RENAME TO entry;

-- The history of a terminal's clock is looked up at every start.
CREATE INDEX entry_clock ON entry (facts) WHERE kind = 'clock';

-- What the edge noted of a terminal, under names of its own.
CREATE TABLE memo (
    terminal TEXT NOT NULL,
    name     TEXT NOT NULL,
    value    TEXT NOT NULL,
    PRIMARY KEY (terminal, name)
) STRICT, WITHOUT ROWID;
