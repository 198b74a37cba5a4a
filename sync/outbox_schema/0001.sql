-- The outbox of one edge. A row of `entry` never changes; a batch is a run of entries.

CREATE TABLE self (
    edge   TEXT NOT NULL,
    stream TEXT NOT NULL
) STRICT;

-- What the settings said of a terminal when entries of it were put.
CREATE TABLE facts (
    id       INTEGER PRIMARY KEY,
    terminal TEXT NOT NULL,
    body     TEXT NOT NULL,
    UNIQUE (terminal, body)
) STRICT;

CREATE TABLE entry (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    kind   TEXT NOT NULL CHECK (kind IN ('punch', 'bad', 'coverage')),
    facts  INTEGER NOT NULL REFERENCES facts (id),
    digest BLOB UNIQUE, -- of what makes the entry itself; NULL for coverage, which may repeat
    body   TEXT NOT NULL -- its JSON, as it travels
) STRICT;

CREATE TABLE batch (
    number  INTEGER PRIMARY KEY,
    first   INTEGER NOT NULL, -- entry.id
    last    INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    settled INTEGER NOT NULL DEFAULT 0 CHECK (settled IN (0, 1))
) STRICT;

CREATE INDEX batch_unsettled ON batch (number) WHERE settled = 0;

CREATE TABLE memory (
    terminal          TEXT PRIMARY KEY,
    serial            TEXT NOT NULL,
    records           INTEGER NOT NULL,
    last_full_read_at TEXT,
    last_contact_at   TEXT
) STRICT, WITHOUT ROWID;
