package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"maillon/internal/member"
	"maillon/internal/sms"
)

// The retention of what people wrote.
const (
	keepTexts = 30 * 24 * time.Hour // sealed texts of members, in and out
	keepKeys  = 90 * 24 * time.Hour // what recognises a repeated delivery
	keepLogs  = 90 * 24 * time.Hour // what rules only wrote down
)

// Receive journals an SMS before anything is done about it. It reports whether
// this is the first time: a repeat is counted, and must do nothing else. What
// is personal is sealed for the sender, nil for a stranger.
func (tx *Tx) Receive(ctx context.Context, m sms.Incoming, from *member.Member) (first bool, err error) {
	var key sealKey
	var id int64
	if from != nil {
		id = int64(from.ID)
		key, err = tx.key(ctx, from.Key)
	} else {
		key, err = tx.strangerKey(ctx)
	}
	if err != nil {
		return false, err
	}
	dedup := keyedHash(tx.db.keys.dedup, m.Gateway+"\x00"+m.Key)
	sealed := key.seal("inbox", m.From+"\x00"+m.Text)
	if taken, err := tx.received(ctx, m.Gateway, dedup); err != nil || taken {
		return false, err
	}
	row, err := tx.nextID(ctx, "inbox")
	if err != nil {
		return false, err
	}
	tx.behind.add(inboxSheet, row, m.Gateway, dedup, micros(tx.now), micros(m.SentAt), id, key.id, sealed, "taken")
	hash := sha256.Sum256(sealed)
	tx.record(event{SMS: &smsEvent{ID: row, Member: id, Hash: hash[:]}})
	return true, nil
}

// received reports whether a delivery is known, and then counts the repeat.
func (tx *Tx) received(ctx context.Context, gateway string, dedup []byte) (bool, error) {
	if !tx.writes {
		return false, ErrReadOnly
	}
	known := slices.ContainsFunc(tx.behind.rows[inboxSheet], func(r []any) bool { return r[1] == gateway && bytes.Equal(r[2].([]byte), dedup) })
	if !known {
		var n int64
		if err := tx.peek(ctx, `SELECT count(*) FROM inbox WHERE gateway = $1 AND dedup = $2`, gateway, dedup).Scan(&n); err != nil || n == 0 {
			return false, err
		}
	}
	return true, tx.later(ctx, `UPDATE inbox SET repeats = repeats + 1 WHERE gateway = $1 AND dedup = $2`, gateway, dedup)
}

// HeardSince returns how many SMS came from a member after a time, repeated
// deliveries not counted.
func (tx *Tx) HeardSince(ctx context.Context, m member.ID, since time.Time) (n int, err error) {
	err = tx.peek(ctx, `SELECT count(*) FROM inbox WHERE member = $1 AND member > 0 AND at > $2`, int64(m), micros(since)).Scan(&n)
	if tx.behind == nil {
		return n, err
	}
	for _, r := range tx.behind.rows[inboxSheet][tx.behind.written[inboxSheet]:] {
		if r[5] == int64(m) && m > 0 && r[3].(int64) > micros(since) {
			n++
		}
	}
	return n, err
}

// Quarantine marks an SMS that could not be handled, so that somebody looks.
func (tx *Tx) Quarantine(ctx context.Context, m sms.Incoming) error {
	_, err := tx.exec(ctx, `UPDATE inbox SET state = 'quarantined' WHERE gateway = $1 AND dedup = $2`,
		m.Gateway, keyedHash(tx.db.keys.dedup, m.Gateway+"\x00"+m.Key))
	return err
}

// A Letter is one SMS of a thread, in or out.
type Letter struct {
	At       time.Time
	Out      bool
	Text     string       // "" once its time is over
	State    string       // what became of it, as in the outbox; of one that came: taken or quarantined
	Priority sms.Priority // of one that left
}

// Thread returns the last SMS exchanged with a member, the oldest first.
func (tx *Tx) Thread(ctx context.Context, m *member.Member, limit int) ([]Letter, error) {
	key, err := tx.key(ctx, m.Key)
	if errors.Is(err, ErrErased) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []Letter
	err = tx.each(ctx, func(scan func(...any) error) error {
		var l Letter
		var column string
		var sealed []byte
		if err := scan(moment{&l.At}, &l.Out, &sealed, &l.State, &l.Priority); err != nil {
			return err
		}
		if column = "inbox"; l.Out {
			column = "outbox"
		}
		if text, err := key.open(column, sealed); err == nil {
			_, l.Text = cutLetter(text)
		}
		all = append(all, l)
		return nil
	}, `SELECT at, out, sealed, state, priority FROM (
			SELECT * FROM (SELECT at, 0 AS out, sealed, id, state, 0 AS priority FROM inbox WHERE member = $1 AND key = $2 ORDER BY id DESC LIMIT $3 + 0) AS i
			UNION ALL
			SELECT * FROM (SELECT at, 1 AS out, sealed, id, state, priority FROM outbox WHERE member = $1 AND key = $2 ORDER BY id DESC LIMIT $3 + 0) AS o
		) AS letters ORDER BY at DESC, out DESC, id DESC LIMIT $3 + 0`, int64(m.ID), m.Key, limit)
	for i, j := 0, len(all)-1; i < j; i, j = i+1, j-1 {
		all[i], all[j] = all[j], all[i]
	}
	return all, err
}

func cutLetter(text string) (number, rest string) {
	for i := range len(text) {
		if text[i] == 0 {
			return text[:i], text[i+1:]
		}
	}
	return "", text
}

// A Visitor is a number without account that wrote to us.
type Visitor struct{ FloodTAT, FloodTill time.Time }

// Visitor returns what is known of a stranger's number.
func (tx *Tx) Visitor(ctx context.Context, number string) (Visitor, error) {
	var v Visitor
	err := tx.row(ctx, `SELECT flood_tat, flood_till FROM stranger WHERE hash = $1`, keyedHash(tx.db.keys.number, "stranger:"+number)).
		Scan(moment{&v.FloodTAT}, moment{&v.FloodTill})
	if errors.Is(found(err), ErrNotFound) {
		err = nil
	}
	return v, err
}

// SaveVisitor writes it. A day later nothing is left of it.
func (tx *Tx) SaveVisitor(ctx context.Context, number string, v Visitor) error {
	_, err := tx.exec(ctx, `INSERT INTO stranger (hash, seen_at, flood_tat, flood_till) VALUES ($1, $2, $3, $4)
		ON CONFLICT (hash) DO UPDATE SET seen_at = excluded.seen_at, flood_tat = excluded.flood_tat, flood_till = excluded.flood_till`,
		keyedHash(tx.db.keys.number, "stranger:"+number), micros(tx.now), micros(v.FloodTAT), micros(v.FloodTill))
	return err
}

// Count adds one to a tally of a period and returns what it is now. Names are
// of the program or keyed hashes, never personal.
func (tx *Tx) Count(ctx context.Context, name string, period time.Time) (n int, err error) {
	if !tx.writes {
		return 0, ErrReadOnly
	}
	err = tx.row(ctx, `INSERT INTO tally (name, period, n) VALUES ($1, $2, 1)
		ON CONFLICT (name, period) DO UPDATE SET n = tally.n + 1 RETURNING n`, name, micros(period)).Scan(&n)
	return n, err
}

// Counted returns a tally of a period.
func (tx *Tx) Counted(ctx context.Context, name string, period time.Time) (n int, err error) {
	err = tx.row(ctx, `SELECT coalesce(sum(n), 0) FROM tally WHERE name = $1 AND period = $2`, name, micros(period)).Scan(&n)
	return n, err
}

// StrangerTally returns the name of a tally about one stranger's number.
func (tx *Tx) StrangerTally(number string) string {
	const digits = "0123456789abcdef"
	hash := keyedHash(tx.db.keys.number, "stranger:"+number)
	name := []byte("stranger:")
	for _, b := range hash {
		name = append(name, digits[b>>4], digits[b&15])
	}
	return string(name)
}

// Forget destroys what has had its time: keys of strangers, texts after 30
// days, keys of deliveries and what rules only wrote down after 90, tallies and
// look-ups after 3.
func (tx *Tx) Forget(ctx context.Context) error {
	var dead []int64
	err := tx.each(ctx, func(scan func(...any) error) error {
		var id int64
		err := scan(&id)
		dead = append(dead, id)
		return err
	}, `SELECT id FROM key WHERE dies_at > 0 AND dies_at <= $1`, micros(tx.now))
	for _, id := range dead {
		if err == nil {
			err = tx.eraseKey(ctx, id)
		}
	}
	const day = 24 * time.Hour
	for _, old := range []struct {
		text string
		age  time.Duration
	}{
		{`UPDATE inbox SET sealed = NULL WHERE at < $1 AND sealed IS NOT NULL`, keepTexts},
		{`UPDATE outbox SET sealed = NULL WHERE at < $1 AND sealed IS NOT NULL`, keepTexts},
		{`DELETE FROM inbox WHERE at < $1`, keepKeys},
		{`DELETE FROM outbox WHERE at < $1`, keepKeys},
		{`DELETE FROM stranger WHERE seen_at < $1`, day},
		{`DELETE FROM tally WHERE period < $1`, 3 * day},
		{`DELETE FROM lookup WHERE day < $1`, 3 * day},
		{`DELETE FROM alert WHERE act = 'log' AND at < $1 AND id < (SELECT max(id) FROM alert)`, keepLogs}, // no number is given twice
		{`DELETE FROM nick WHERE free_at > 0 AND free_at < $1`, 0},
	} {
		if err == nil {
			_, err = tx.exec(ctx, old.text, micros(tx.now.Add(-old.age)))
		}
	}
	if err == nil {
		err = tx.forgetMail(ctx)
	}
	return err
}

// NextDue returns when something falls due next; zero: nothing does.
func (tx *Tx) NextDue(ctx context.Context) (time.Time, error) {
	var next time.Time
	err := tx.row(ctx, `SELECT coalesce(min(t), 0) FROM (
		SELECT min(due_at) AS t FROM orders WHERE due_at > 0 UNION ALL SELECT min(dies_at) FROM key WHERE dies_at > 0) AS due`).Scan(moment{&next})
	return next, err
}
