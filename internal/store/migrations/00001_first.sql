-- +goose Up

-- Times are microseconds since 1970 in UTC; 0 is never. Sealed columns are
-- AES-256-GCM under the key they name; erasing a key erases what it seals.

CREATE TABLE key (
    id      INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice: what an erased key sealed stays erased
    sealed  BLOB    NOT NULL,           -- wrapped by the server's secret
    dies_at INTEGER NOT NULL DEFAULT 0  -- keys of strangers die within a day
);

CREATE TABLE member (
    id          INTEGER PRIMARY KEY,
    key         INTEGER NOT NULL,
    state       TEXT    NOT NULL,
    secret      BLOB,                   -- number, pseudo and word; NULL once erased
    number_hash BLOB    UNIQUE,
    language    TEXT    NOT NULL,
    chosen      INTEGER NOT NULL DEFAULT 0,
    muted       INTEGER NOT NULL DEFAULT 0,
    role        TEXT    NOT NULL DEFAULT '',
    ceiling     INTEGER NOT NULL DEFAULT 0,
    line        TEXT    NOT NULL DEFAULT '',
    opened_at   INTEGER NOT NULL DEFAULT 0,
    seen_at     INTEGER NOT NULL DEFAULT 0,
    frozen_at   INTEGER NOT NULL DEFAULT 0,
    frozen_by   TEXT    NOT NULL DEFAULT '', -- self or desk
    lost_at     INTEGER NOT NULL DEFAULT 0,
    locked_till INTEGER NOT NULL DEFAULT 0,
    look_till   INTEGER NOT NULL DEFAULT 0,
    ask_till    INTEGER NOT NULL DEFAULT 0,
    doubt_till  INTEGER NOT NULL DEFAULT 0,
    proved_at   INTEGER NOT NULL DEFAULT 0,
    waiting     INTEGER NOT NULL DEFAULT 0,
    flood_till  INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX member_role ON member (role) WHERE role <> '';
CREATE INDEX member_waiting ON member (id) WHERE waiting <> 0;

-- A pseudo by keyed hashes: itself, what it can be confused with, and what
-- is left of it with one letter less, to find a neighbour.
CREATE TABLE nick (
    hash     BLOB    PRIMARY KEY,
    lookalike BLOB   NOT NULL,
    member   INTEGER NOT NULL,
    free_at  INTEGER NOT NULL DEFAULT 0 -- given up: reserved until then
);
CREATE INDEX nick_lookalike ON nick (lookalike);
CREATE INDEX nick_member ON nick (member);
CREATE TABLE nick_near (
    hash   BLOB    NOT NULL,
    member INTEGER NOT NULL,
    PRIMARY KEY (hash, member)
) WITHOUT ROWID;
CREATE INDEX nick_near_member ON nick_near (member);

CREATE TABLE account (
    id        INTEGER PRIMARY KEY,
    member    INTEGER NOT NULL DEFAULT 0, -- 0: of the association
    name      TEXT    NOT NULL DEFAULT '',
    currency  TEXT    NOT NULL,
    decimals  INTEGER NOT NULL,
    floor     INTEGER NOT NULL DEFAULT 0,
    unbounded INTEGER NOT NULL DEFAULT 0,
    balance   INTEGER NOT NULL DEFAULT 0,
    held      INTEGER NOT NULL DEFAULT 0 CHECK (held >= 0),
    UNIQUE (member, name, currency),
    CHECK (unbounded = 1 OR balance >= 0 OR floor < 0)
);

CREATE TABLE txn (
    id       INTEGER PRIMARY KEY,
    ref      TEXT    NOT NULL,
    key      TEXT    NOT NULL UNIQUE,
    kind     TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    reverses INTEGER NOT NULL DEFAULT 0,
    via      INTEGER NOT NULL DEFAULT 0,
    note     TEXT    NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX txn_ref ON txn (ref) WHERE ref <> '';
CREATE INDEX txn_reverses ON txn (reverses) WHERE reverses <> 0;

CREATE TABLE posting (
    txn     INTEGER NOT NULL,
    n       INTEGER NOT NULL,
    account INTEGER NOT NULL,
    amount  INTEGER NOT NULL,
    balance INTEGER NOT NULL, -- of the account, after it
    PRIMARY KEY (txn, n)
) WITHOUT ROWID;
CREATE INDEX posting_account ON posting (account, txn);

CREATE TABLE hold (
    id         INTEGER PRIMARY KEY,
    account    INTEGER NOT NULL,
    placed     INTEGER NOT NULL,
    remaining  INTEGER NOT NULL,
    txn        INTEGER NOT NULL DEFAULT 0,
    expires_at INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX hold_account ON hold (account) WHERE remaining > 0;

CREATE TABLE orders (
    id         INTEGER PRIMARY KEY,
    ref        TEXT    NOT NULL UNIQUE,
    kind       TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    owner      INTEGER NOT NULL,
    asked      INTEGER NOT NULL,
    payer      INTEGER NOT NULL,
    payee      INTEGER NOT NULL,
    currency   TEXT    NOT NULL,
    decimals   INTEGER NOT NULL,
    amount     INTEGER NOT NULL,
    key        INTEGER NOT NULL,
    secret     BLOB,
    question   TEXT    NOT NULL,
    late       INTEGER NOT NULL,
    nonce      BLOB,
    code_len   INTEGER NOT NULL, -- digits
    tries      INTEGER NOT NULL,
    warned     INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    code_end   INTEGER NOT NULL,
    due_at     INTEGER NOT NULL,
    paid_at    INTEGER NOT NULL,
    ended_at   INTEGER NOT NULL,
    txn        INTEGER NOT NULL,
    target     INTEGER NOT NULL,
    target_ref TEXT    NOT NULL,
    hold       INTEGER NOT NULL,
    line       TEXT    NOT NULL
);
CREATE INDEX orders_asked ON orders (asked, code_end);
CREATE INDEX orders_owner ON orders (owner, kind, id);
CREATE INDEX orders_open ON orders (code_end) WHERE state = 'open';
CREATE INDEX orders_due ON orders (due_at) WHERE due_at > 0;
CREATE INDEX orders_payer ON orders (payer, paid_at) WHERE paid_at > 0;
CREATE INDEX orders_payee ON orders (payee, paid_at) WHERE paid_at > 0;
CREATE INDEX orders_pair ON orders (payer, payee, paid_at) WHERE paid_at > 0;
CREATE INDEX orders_target ON orders (target) WHERE target > 0;
CREATE INDEX orders_txn ON orders (txn) WHERE txn > 0;
CREATE INDEX orders_queue ON orders (state) WHERE state IN ('held', 'disputed', 'waiting');

CREATE TABLE inbox (
    id      INTEGER PRIMARY KEY,
    gateway TEXT    NOT NULL,
    dedup   BLOB    NOT NULL, -- keyed hash of what the gateway knows the message by
    at      INTEGER NOT NULL,
    sent_at INTEGER NOT NULL,
    member  INTEGER NOT NULL,
    key     INTEGER NOT NULL,
    sealed  BLOB,             -- sender and text; NULL when their time is over
    state   TEXT    NOT NULL,
    repeats INTEGER NOT NULL DEFAULT 0,
    UNIQUE (gateway, dedup)
);
CREATE INDEX inbox_at ON inbox (at);
CREATE INDEX inbox_member ON inbox (member, at) WHERE member > 0;

CREATE TABLE outbox (
    id          INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL,
    member      INTEGER NOT NULL,
    key         INTEGER NOT NULL,
    sealed      BLOB,
    gateway     TEXT    NOT NULL, -- the line to leave by; empty: the default one
    priority    INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    next_at     INTEGER NOT NULL, -- not before, for retries
    state       TEXT    NOT NULL,
    tries       INTEGER NOT NULL DEFAULT 0,
    segments    INTEGER NOT NULL,
    doubts      INTEGER NOT NULL DEFAULT 0, -- times it may have left and nobody knew
    handed_at   INTEGER NOT NULL DEFAULT 0, -- when it left, or may have; 0: it surely did not
    lease_till  INTEGER NOT NULL DEFAULT 0,
    provider_id TEXT    NOT NULL DEFAULT '',
    detail      TEXT    NOT NULL DEFAULT '',
    ended_at    INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX outbox_queue ON outbox (gateway, priority, id, next_at) WHERE state = 'queued';
CREATE INDEX outbox_expiry ON outbox (expires_at) WHERE state = 'queued';
CREATE INDEX outbox_handed ON outbox (gateway, handed_at) WHERE handed_at > 0;
CREATE INDEX outbox_handing ON outbox (lease_till) WHERE state = 'handing';
CREATE INDEX outbox_provider ON outbox (provider_id) WHERE provider_id <> '';
CREATE INDEX outbox_member ON outbox (member, id) WHERE member > 0;
CREATE INDEX outbox_at ON outbox (at);

CREATE TABLE card (
    member      INTEGER PRIMARY KEY,
    key         INTEGER NOT NULL,
    sealed      BLOB    NOT NULL, -- cells, which were used, which one is asked
    tries       INTEGER NOT NULL DEFAULT 0,
    locked_till INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE block (
    member INTEGER NOT NULL, -- who wants no requests
    other  INTEGER NOT NULL, -- from whom
    PRIMARY KEY (member, other)
) WITHOUT ROWID;

CREATE TABLE lookup (
    member INTEGER NOT NULL,
    other  INTEGER NOT NULL,
    day    INTEGER NOT NULL, -- local midnight
    PRIMARY KEY (member, day, other)
) WITHOUT ROWID;

CREATE TABLE refused (
    hash BLOB    PRIMARY KEY, -- keyed fingerprint of a number that wants no SMS
    at   INTEGER NOT NULL
);

CREATE TABLE stranger (
    hash       BLOB    PRIMARY KEY,
    seen_at    INTEGER NOT NULL,
    flood_tat  INTEGER NOT NULL DEFAULT 0,
    flood_till INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX stranger_seen ON stranger (seen_at);

CREATE TABLE tally (
    name   TEXT    NOT NULL,
    period INTEGER NOT NULL,
    n      INTEGER NOT NULL,
    PRIMARY KEY (name, period)
) WITHOUT ROWID;

CREATE TABLE alert (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    rule    TEXT    NOT NULL,
    member  INTEGER NOT NULL,
    ended_at INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE state (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE journal (
    seq  INTEGER PRIMARY KEY,
    at   INTEGER NOT NULL,
    body TEXT    NOT NULL,
    hash BLOB    NOT NULL
);

-- postgres: CREATE TABLE turn (id INTEGER PRIMARY KEY);
-- postgres: INSERT INTO turn (id) VALUES (1);
