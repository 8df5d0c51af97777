-- +goose Up

-- Of a key only the hash is kept. The ID is drawn, not counted, so that no key
-- ever answers for what another one did, not even in books that were restored.
CREATE TABLE api_key (
    id         TEXT    PRIMARY KEY,
    hash       BLOB    NOT NULL,
    name       TEXT    NOT NULL, -- for the operator; it names no member
    scopes     TEXT    NOT NULL, -- words
    created_at INTEGER NOT NULL,
    revoked_at INTEGER NOT NULL DEFAULT 0
);
