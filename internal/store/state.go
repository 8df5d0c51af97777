package store

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"maillon/internal/member"
)

// PausedAt is the name under which the time of a pause is kept.
const PausedAt = "paused_at"

// BackedUpAt is the name under which the time of the last proven backup is
// kept, in microseconds.
const BackedUpAt = "backed_up_at"

// State returns a named value of the whole server, "" if there is none.
func (tx *Tx) State(ctx context.Context, name string) (string, error) {
	var v string
	err := tx.row(ctx, `SELECT value FROM state WHERE name = $1`, name).Scan(&v)
	if errors.Is(found(err), ErrNotFound) {
		return "", nil
	}
	return v, err
}

// States returns at most limit values that are kept under names that begin with
// a word and ":", by what comes after it. What is "" is not among them.
func (tx *Tx) States(ctx context.Context, word string, limit int) (map[string]string, error) {
	all := map[string]string{}
	first, last := word+":", word+";" // the character after ":"
	err := tx.each(ctx, func(scan scan) error {
		var name, value string
		err := scan(&name, &value)
		all[strings.TrimPrefix(name, first)] = value
		return err
	}, `SELECT name, value FROM state WHERE name > $1 AND name < $2 AND value <> '' ORDER BY name LIMIT $3 + 0`, first, last, limit)
	return all, err
}

// SetState writes a named value of the whole server.
func (tx *Tx) SetState(ctx context.Context, name, value string) error {
	tx.record(event{State: &stateEvent{name, value}})
	tx.changeStanding()
	tx.touch(Setup)
	err := tx.later(ctx, `INSERT INTO state (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
	return err
}

// Paused returns since when all payments are stopped; zero if they are not.
func (tx *Tx) Paused(ctx context.Context) (time.Time, error) {
	v, err := tx.State(ctx, PausedAt)
	if err != nil || v == "" {
		return time.Time{}, err
	}
	return time.Parse(time.RFC3339Nano, v)
}

// SetPaused stops all payments since a time, or lets them go on with zero.
func (tx *Tx) SetPaused(ctx context.Context, since time.Time) error {
	v := ""
	if !since.IsZero() {
		v = since.UTC().Format(time.RFC3339Nano)
	}
	return tx.SetState(ctx, PausedAt, v)
}

// Head returns the last row of the journal; zero if there is none.
func (tx *Tx) Head(ctx context.Context) (h Head, err error) {
	err = tx.row(ctx, `SELECT seq, at, hash FROM journal ORDER BY seq DESC LIMIT 1`).Scan(&h.Seq, moment{&h.At}, &h.Hash)
	if errors.Is(found(err), ErrNotFound) {
		return Head{}, nil
	}
	return h, err
}

// LastEntry returns when something was written to the journal last.
func (tx *Tx) LastEntry(ctx context.Context) (at time.Time, err error) {
	err = tx.row(ctx, `SELECT coalesce(max(at), 0) FROM (SELECT at FROM journal ORDER BY seq DESC LIMIT 1) AS newest`).Scan(moment{&at})
	return at, err
}

// A Card is a member's code card: what proves the person, not the phone.
type Card struct {
	Cells      map[string]string `json:"cells"` // "B3": four digits
	Used       []string          `json:"used"`
	Asked      string            `json:"asked"` // the cell that is asked until it is right
	Tries      int               `json:"-"`
	LockedTill time.Time         `json:"-"`
}

// Card returns the code card of a member, or ErrNotFound.
func (tx *Tx) Card(ctx context.Context, m *member.Member) (*Card, error) {
	var keyID int64
	var sealed []byte
	var c Card
	err := tx.row(ctx, `SELECT key, sealed, tries, locked_till FROM card WHERE member = $1`, int64(m.ID)).
		Scan(&keyID, &sealed, &c.Tries, moment{&c.LockedTill})
	if err != nil {
		return nil, found(err)
	}
	key, err := tx.key(ctx, keyID)
	if err != nil {
		return nil, err
	}
	text, err := key.open("card", sealed)
	if err != nil {
		return nil, err
	}
	return &c, json.Unmarshal([]byte(text), &c)
}

// SaveCard writes the code card of a member.
func (tx *Tx) SaveCard(ctx context.Context, m *member.Member, c *Card) error {
	key, err := tx.key(ctx, m.Key)
	if err != nil {
		return err
	}
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	e := cardEvent{Member: int64(m.ID), Key: m.Key, Sealed: key.seal("card", string(text)), Tries: c.Tries, Locked: micros(c.LockedTill)}
	tx.record(event{Card: &e})
	return tx.later(ctx, `INSERT INTO card (member, key, sealed, tries, locked_till) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (member) DO UPDATE SET key = excluded.key, sealed = excluded.sealed, tries = excluded.tries, locked_till = excluded.locked_till`,
		e.Member, e.Key, e.Sealed, e.Tries, e.Locked)
}
