-- +goose Up

-- Records are what merchants, stalls, gateways and receivers of events have: one
-- document each, found by whose it is, what it belongs to, its state, its
-- reference, whom it concerns, and when something must happen with it.
-- A loose one is not of record: it is not in the journal.
CREATE TABLE record (
    id         INTEGER PRIMARY KEY,
    kind       TEXT    NOT NULL,
    owner      INTEGER NOT NULL,
    parent     INTEGER NOT NULL,
    state      TEXT    NOT NULL,
    ref        TEXT    NOT NULL,
    who        BLOB,
    due_at     INTEGER NOT NULL,
    loose      INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    body       BLOB    NOT NULL -- JSON; nothing personal unless sealed
);
CREATE UNIQUE INDEX record_ref ON record (kind, owner, ref) WHERE ref <> '';
CREATE INDEX record_owner ON record (kind, owner, id);
CREATE INDEX record_parent ON record (kind, parent, id) WHERE parent <> 0;
CREATE INDEX record_who ON record (kind, who, id) WHERE who IS NOT NULL;
CREATE INDEX record_due ON record (kind, due_at) WHERE due_at <> 0;
