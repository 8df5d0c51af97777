package store

import (
	"context"
	"errors"
	"time"
)

// A Lease says which of several servers does what only one may do.
type Lease struct {
	Name   string
	Holder string
	Till   time.Time // then somebody else may take it
	Note   string    // what the holder lets the others know
}

// Lease takes a lease for a time, or renews it, and reports whether the holder
// has it: it does not if somebody else has one that has not ended. Leases are
// not of record.
func (tx *Tx) Lease(ctx context.Context, name, holder string, ttl time.Duration, note string) (held bool, err error) {
	n, err := tx.exec(ctx, `INSERT INTO lease (name, holder, till, note) VALUES ($1, $2, $3, $4)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, till = excluded.till, note = excluded.note
		WHERE lease.holder = excluded.holder OR lease.till <= $5`,
		name, holder, micros(tx.now.Add(ttl)), note, micros(tx.now))
	return n > 0, err
}

// Leased reports whether a holder has a lease. One that has ended and that
// nobody has taken since is still his: whoever takes it must write, and only
// one writes at a time. So what is done in the same Update is done by the one
// holder, however long he slept.
func (tx *Tx) Leased(ctx context.Context, name, holder string) (bool, error) {
	var has string
	err := tx.row(ctx, `SELECT holder FROM lease WHERE name = $1`, name).Scan(&has)
	if errors.Is(found(err), ErrNotFound) {
		return false, nil
	}
	return has == holder, err
}

// Release ends a lease, if the holder has it.
func (tx *Tx) Release(ctx context.Context, name, holder string) error {
	_, err := tx.exec(ctx, `DELETE FROM lease WHERE name = $1 AND holder = $2`, name, holder)
	return err
}

// ReleaseEnded forgets the leases that ended before a time.
func (tx *Tx) ReleaseEnded(ctx context.Context, before time.Time) error {
	_, err := tx.exec(ctx, `DELETE FROM lease WHERE till < $1`, micros(before))
	return err
}

// maxLeases bounds the leases that are looked at.
const maxLeases = 10_000

// Leases returns all leases, also those that have ended, by name.
func (tx *Tx) Leases(ctx context.Context) ([]Lease, error) {
	var all []Lease
	err := tx.each(ctx, func(scan func(...any) error) error {
		var l Lease
		err := scan(&l.Name, &l.Holder, moment{&l.Till}, &l.Note)
		all = append(all, l)
		return err
	}, `SELECT name, holder, till, note FROM lease ORDER BY name LIMIT $1 + 0`, maxLeases)
	return all, err
}
