-- +goose Up

-- How a person who works here signs in. Nothing of it is in the journal: what
-- opens a door is no fact of the books, and old secrets have no place there.
CREATE TABLE credential (
    member     INTEGER PRIMARY KEY,
    password   TEXT    NOT NULL, -- its hash, argon2id; '' if there is none
    key        INTEGER NOT NULL, -- of the member, which seals the next
    totp       BLOB,             -- the shared secret of the second factor
    totp_step  INTEGER NOT NULL DEFAULT 0, -- of the last code that was used
    recovery   BLOB,             -- hashes of the recovery codes that are left, one after the other
    renew_at   INTEGER NOT NULL DEFAULT 0, -- since when all of it must be renewed at the desk
    changed_at INTEGER NOT NULL
);

CREATE TABLE passkey (
    id         BLOB    PRIMARY KEY, -- as the authenticator names it
    member     INTEGER NOT NULL,
    public     BLOB    NOT NULL, -- its public key and what is known of it
    browser    TEXT    NOT NULL, -- family of the one that made it
    created_at INTEGER NOT NULL,
    used_at    INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX passkey_member ON passkey (member);

-- Of what a browser carries only the hash is kept, here and below.
CREATE TABLE session (
    hash       BLOB    PRIMARY KEY,
    member     INTEGER NOT NULL,
    role       TEXT    NOT NULL, -- with which it began: with another one it is over
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    proved_at  INTEGER NOT NULL, -- when the second factor was shown last
    till       INTEGER NOT NULL,
    browser    TEXT    NOT NULL, -- family
    ended_at   INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX session_member ON session (member, ended_at);

-- What lets somebody choose a password and a second factor, once.
CREATE TABLE invitation (
    hash       BLOB    PRIMARY KEY,
    member     INTEGER NOT NULL, -- 0: whoever comes first, to be the first administrator
    actor      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    till       INTEGER NOT NULL,
    used_at    INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX invitation_member ON invitation (member);

-- What somebody who is not in yet has shown so far, for some minutes.
CREATE TABLE doorstep (
    hash       BLOB    PRIMARY KEY,
    kind       TEXT    NOT NULL,
    member     INTEGER NOT NULL, -- 0: nobody knows yet
    data       BLOB,
    tries      INTEGER NOT NULL DEFAULT 0,
    till       INTEGER NOT NULL
);
CREATE INDEX doorstep_till ON doorstep (till);

-- How often somebody has tried, by a keyed hash of the account or the address.
CREATE TABLE attempt (
    who        BLOB    PRIMARY KEY,
    fails      INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    till       INTEGER NOT NULL -- no answer before
);
CREATE INDEX attempt_at ON attempt (at);
