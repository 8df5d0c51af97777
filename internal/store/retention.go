package store

import (
	"context"
	"time"
)

// A Kept is how much of something is there.
type Kept struct {
	N      int64
	Oldest time.Time // zero if it is not known, or nothing is there
}

// Retention is what is kept now, by what it is, and what should not be there
// any more.
type Retention struct {
	Texts      Kept // SMS of members and strangers, in and out, whose text can be read
	Deliveries Kept // SMS of which it is known that they were
	Strangers  Kept // keys of what strangers wrote, and numbers that wrote
	Refused    Kept // fingerprints of numbers that want no SMS
	Nicks      Kept // pseudos given up and still reserved
	Lookups    Kept // who was shown whose name
	Tallies    Kept
	Members    Kept // not erased
	Erased     Kept
	Acts       Kept
	Entries    Kept // transactions
	Journal    Kept

	Overdue int64 // what Forget should have destroyed at least a day ago
}

// What is kept how long.
const (
	KeepTexts     = keepTexts
	KeepKeys      = keepKeys
	KeepStrangers = strangerKeyLife
	KeepLookups   = 3 * 24 * time.Hour
)

// Retention counts what is kept.
func (tx *Tx) Retention(ctx context.Context) (Retention, error) {
	var r Retention
	since, late, later := micros(tx.now.Add(-keepTexts)), micros(tx.now.Add(-keepTexts-24*time.Hour)), micros(tx.now.Add(-keepTexts-48*time.Hour))
	for _, q := range []struct {
		to   *Kept
		text string
		args []any
	}{
		{&r.Texts, `SELECT CAST(sum(n) AS BIGINT), coalesce(min(CASE WHEN o > 0 THEN o END), 0) FROM (
			SELECT count(*) AS n, coalesce(min(at), 0) AS o FROM inbox WHERE at >= $1
			UNION ALL SELECT count(*), coalesce(min(at), 0) FROM outbox WHERE at >= $1) AS k`, []any{since}},
		{&r.Deliveries, `SELECT CAST(sum(n) AS BIGINT), coalesce(min(CASE WHEN o > 0 THEN o END), 0) FROM (
			SELECT count(*) AS n, coalesce(min(at), 0) AS o FROM inbox
			UNION ALL SELECT count(*), coalesce(min(at), 0) FROM outbox) AS k`, nil},
		{
			&r.Strangers, `SELECT count(*), coalesce(min(dies_at) - CAST($1 AS BIGINT), 0) FROM key WHERE dies_at > 0 AND dies_at <= $2`,
			[]any{strangerKeyLife.Microseconds(), micros(tx.now.Add(strangerKeyLife))},
		},
		{&r.Refused, `SELECT count(*), coalesce(min(at), 0) FROM refused`, nil},
		{&r.Nicks, `SELECT count(*), 0 FROM nick WHERE free_at > 0`, nil},
		{&r.Lookups, `SELECT count(*), coalesce(min(day), 0) FROM lookup`, nil},
		{&r.Tallies, `SELECT count(*), coalesce(min(period), 0) FROM tally`, nil},
		{&r.Members, `SELECT count(*), 0 FROM member WHERE state <> 'closed'`, nil},
		{&r.Erased, `SELECT count(*), 0 FROM member WHERE state = 'closed'`, nil},
		{&r.Acts, `SELECT coalesce(max(id), 0), coalesce((SELECT at FROM audit ORDER BY id LIMIT 1), 0) FROM audit`, nil},
		{&r.Entries, `SELECT coalesce(max(id), 0), coalesce((SELECT at FROM txn ORDER BY id LIMIT 1), 0) FROM txn`, nil},
		{&r.Journal, `SELECT coalesce(max(seq), 0), coalesce((SELECT at FROM journal ORDER BY seq LIMIT 1), 0) FROM journal`, nil},
	} {
		if err := tx.row(ctx, q.text, q.args...).Scan(&q.to.N, moment{&q.to.Oldest}); err != nil {
			return r, err
		}
	}
	for _, q := range []struct {
		text string
		args []any
	}{
		// One day that is over stands for all: whatever Forget misses, it misses there.
		{`SELECT count(*) FROM inbox WHERE at >= $1 AND at < $2 AND sealed IS NOT NULL`, []any{later, late}},
		{`SELECT count(*) FROM outbox WHERE at >= $1 AND at < $2 AND sealed IS NOT NULL`, []any{later, late}},
		{`SELECT count(*) FROM key WHERE dies_at > 0 AND dies_at < $1`, []any{micros(tx.now.Add(-24 * time.Hour))}},
		{`SELECT count(*) FROM stranger WHERE seen_at < $1`, []any{micros(tx.now.Add(-48 * time.Hour))}},
	} {
		var n int64
		if err := tx.row(ctx, q.text, q.args...).Scan(&n); err != nil {
			return r, err
		}
		r.Overdue += n
	}
	return r, nil
}
