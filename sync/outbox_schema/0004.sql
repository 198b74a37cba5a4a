-- Clearings of which it is not known yet whether the terminal carried them out; written before they are sent.

CREATE TABLE clearing (
    terminal TEXT NOT NULL,
    serial   TEXT NOT NULL,
    records  INTEGER NOT NULL, -- in the log that was to be cleared, by the terminal's own count too
    at       TEXT NOT NULL,
    PRIMARY KEY (terminal, serial)
) STRICT, WITHOUT ROWID;
