package store

import (
	"context"
	"errors"
	"strconv"
	"time"
)

// VerifiedAt is the name under which the time is kept at which the books were
// last proven without a fault, in microseconds.
const VerifiedAt = "verified_at"

// Bounds of what is looked at again and again.
const (
	maxSummed  = 1_000_000 // accounts: more are left to Verify
	maxWeighed = 1_000     // transactions, the newest
	maxUnits   = 100
)

// ErrTooMany means that there are more accounts than are summed by the way.
var ErrTooMany = errors.New("too many accounts to be summed")

// Height returns how many rows the journal has.
func (tx *Tx) Height(ctx context.Context) (n int64, err error) {
	err = tx.row(ctx, `SELECT coalesce(max(seq), 0) FROM journal`).Scan(&n)
	return n, err
}

// Sums returns what the balances of all accounts sum to, by currency: 0, in
// smallest units, or the books are wrong. It returns ErrTooMany of books that
// are too large to be read so often.
func (tx *Tx) Sums(ctx context.Context) (map[string]int64, error) {
	var last int64
	if err := tx.row(ctx, `SELECT coalesce(max(id), 0) FROM account`).Scan(&last); err != nil {
		return nil, err
	}
	if last > maxSummed {
		return nil, ErrTooMany
	}
	sums := map[string]int64{}
	err := tx.each(ctx, func(scan scan) error {
		var unit string
		var sum int64
		err := scan(&unit, &sum)
		sums[unit] = sum
		return err
	}, `SELECT currency, CAST(sum(balance) AS BIGINT) FROM account GROUP BY currency ORDER BY currency LIMIT $1 + 0`, maxUnits)
	return sums, err
}

// Unbalanced counts those of the newest 1,000 transactions that created or
// destroyed money: whose postings in one currency do not sum to 0.
func (tx *Tx) Unbalanced(ctx context.Context) (n int64, err error) {
	err = tx.row(ctx, `SELECT count(*) FROM (SELECT p.txn FROM posting p JOIN account a ON a.id = p.account
		WHERE p.txn > (SELECT coalesce(max(id), 0) FROM txn) - $1 GROUP BY p.txn, a.currency HAVING sum(p.amount) <> 0) AS unbalanced`,
		maxWeighed).Scan(&n)
	return n, err
}

// Waits returns how much waits in the outbox, by gateway and priority, as Queues
// does, and how much is being handed over.
func (tx *Tx) Waits(ctx context.Context) (queues []Queue, handing int64, err error) {
	if queues, err = tx.Queues(ctx); err != nil {
		return nil, 0, err
	}
	err = tx.row(ctx, `SELECT count(*) FROM outbox WHERE state = 'handing'`).Scan(&handing)
	return queues, handing, err
}

// Moment returns a time that is kept under a name, in microseconds; zero if
// there is none.
func (tx *Tx) Moment(ctx context.Context, name string) (time.Time, error) {
	text, err := tx.State(ctx, name)
	if err != nil || text == "" {
		return time.Time{}, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return fromMicros(n), err
}

// SetMoment keeps a time under a name.
func (tx *Tx) SetMoment(ctx context.Context, name string, t time.Time) error {
	return tx.SetState(ctx, name, strconv.FormatInt(micros(t), 10))
}

// VerifiedTo is the name under which the last row of the journal is kept that
// was proven at VerifiedAt.
const VerifiedTo = "verified_to"

// maxMoments bounds how many times are kept under names that begin alike.
const maxMoments = 100

// Moments returns the times that are kept under names that begin with a word
// and ":", by what comes after it.
func (tx *Tx) Moments(ctx context.Context, word string) (map[string]time.Time, error) {
	all := map[string]time.Time{}
	states, err := tx.States(ctx, word, maxMoments)
	if err != nil {
		return nil, err
	}
	for name, text := range states {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			all[name] = fromMicros(n)
		}
	}
	return all, nil
}
