-- +goose Up

-- What administrators did, as the journal says it: this is where it is found.
-- No name, number or text of a member stands here, only IDs and references.
CREATE TABLE audit (
    id         INTEGER PRIMARY KEY,
    at         INTEGER NOT NULL,
    actor      TEXT    NOT NULL, -- member:7, or operator
    what       TEXT    NOT NULL,
    subject    TEXT    NOT NULL, -- member:7, order:K7F2, transaction:K7F2, a setting
    reason     TEXT    NOT NULL,
    was        TEXT    NOT NULL,
    became     TEXT    NOT NULL
);
CREATE INDEX audit_actor ON audit (actor, id);
CREATE INDEX audit_what ON audit (what, id);
CREATE INDEX audit_subject ON audit (subject, id) WHERE subject <> '';

-- What one person asked for and another must approve. What it came to stands in
-- the audit; this is only its waiting room.
CREATE TABLE proposal (
    id         INTEGER PRIMARY KEY,
    kind       TEXT    NOT NULL,
    actor      TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    till       INTEGER NOT NULL,
    state      TEXT    NOT NULL, -- open, approved, declined
    payload    BLOB    NOT NULL, -- of the kind; no personal data, unless sealed
    reason     TEXT    NOT NULL,
    decided_by TEXT    NOT NULL DEFAULT '',
    decided_at INTEGER NOT NULL DEFAULT 0,
    verdict    TEXT    NOT NULL DEFAULT '' -- why it was declined
);
CREATE INDEX proposal_open ON proposal (till) WHERE state = 'open';
