-- +goose Up

-- Who does what only one of several servers may do, and until when unless it
-- says so again. Nothing of record: the journal knows nothing of it.
CREATE TABLE lease (
    name   TEXT    PRIMARY KEY,
    holder TEXT    NOT NULL,
    till   INTEGER NOT NULL,
    note   TEXT    NOT NULL DEFAULT '' -- what the holder lets the others know
);
