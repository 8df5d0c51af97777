-- +goose Up

-- What days came to, counted once from the ledger when they are over. Nothing
-- of record: it may be emptied, and is counted again. A day is the number of
-- days since 1970-01-01 where the association is.
CREATE TABLE figure_mark (
    id  INTEGER PRIMARY KEY, -- 1
    txn INTEGER NOT NULL,    -- the last transaction that is counted
    day INTEGER NOT NULL     -- the day that is being counted
);
CREATE TABLE figure_day (
    day         INTEGER NOT NULL,
    currency    TEXT    NOT NULL,
    circulating INTEGER NOT NULL, -- at the end of the day, like all below but sums
    payments    INTEGER NOT NULL,
    volume      INTEGER NOT NULL, -- of payments
    credited    INTEGER NOT NULL,
    returned    INTEGER NOT NULL, -- payments given back or undone
    lost        INTEGER NOT NULL, -- that pertes paid
    accounts    INTEGER NOT NULL, -- of members
    active7     INTEGER NOT NULL,
    active30    INTEGER NOT NULL,
    active90    INTEGER NOT NULL,
    dormant     INTEGER NOT NULL, -- what those have who neither paid nor were paid for 90 days
    PRIMARY KEY (day, currency)
);
CREATE TABLE figure_flow (
    day      INTEGER NOT NULL,
    currency TEXT    NOT NULL,
    payer    TEXT    NOT NULL, -- a kind of member, or the association
    payee    TEXT    NOT NULL,
    payments INTEGER NOT NULL,
    volume   INTEGER NOT NULL,
    PRIMARY KEY (day, currency, payer, payee)
);
CREATE TABLE figure_sms (
    day      INTEGER PRIMARY KEY,
    messages INTEGER NOT NULL, -- that left
    segments INTEGER NOT NULL
);
CREATE TABLE figure_account (
    account INTEGER PRIMARY KEY,
    balance INTEGER NOT NULL, -- after the last transaction that is counted
    seen    INTEGER NOT NULL, -- day of the last payment, made or received
    month   INTEGER NOT NULL, -- of that day: years times twelve and months
    got     INTEGER NOT NULL, -- payments received in it
    before  INTEGER NOT NULL  -- and in the month before it
);

-- What is rare among orders is found by its time.
CREATE INDEX orders_credit ON orders (paid_at, currency, owner, amount) WHERE kind = 'credit' AND paid_at > 0;
CREATE INDEX orders_request ON orders (created_at) WHERE kind = 'request';
CREATE INDEX orders_dispute ON orders (created_at) WHERE kind IN ('dispute', 'return');
