package store

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Bounds of records.
const (
	MaxRecord  = 64 << 10 // octets of a body
	MaxRecords = 1000     // listed at once
	maxRef     = 200      // octets of a reference
)

var (
	// ErrTaken means that another record has the reference.
	ErrTaken = errors.New("the reference is another's")
	// ErrRecord means that a record is too large or lacks its kind.
	ErrRecord = errors.New("not a record")
)

// A Record is one document of a kind: what merchants, stalls, gateways and
// receivers of events have. It stands in the journal whole, each time it is
// saved, and is proven and restored like all else; but for a loose one, such as
// the attempt to deliver something, which is gone after a restore.
type Record struct {
	Kind   string
	ID     int64 // over all kinds; given when it is first saved
	Owner  int64 // whose it is, such as a merchant
	Parent int64 // what it belongs to, such as an authorization
	State  string
	Ref    string    // unique for its kind and owner, unless ""
	Who    []byte    // whom it concerns, see Whose; nil: nobody
	Due    time.Time // when something must happen with it; zero: never by itself
	Loose  bool
	Body   []byte // JSON; nothing personal unless sealed

	Created, Changed time.Time // set when it is saved
}

const recordColumns = `kind, id, owner, parent, state, ref, who, due_at, loose, created_at, changed_at, body`

func scanRecord(scan scan) (r Record, err error) {
	err = scan(&r.Kind, &r.ID, &r.Owner, &r.Parent, &r.State, &r.Ref, &r.Who, moment{&r.Due}, &r.Loose, moment{&r.Created}, moment{&r.Changed}, &r.Body)
	return r, found(err)
}

// SaveRecord writes a record whole, as a new one if it has no ID yet. It returns
// ErrTaken if its reference is another's.
func (tx *Tx) SaveRecord(ctx context.Context, r *Record) error {
	if r.Kind == "" || len(r.Body) > MaxRecord || len(r.Ref) > maxRef {
		return fmt.Errorf("%q of %d octets: %w", r.Kind, len(r.Body), ErrRecord)
	}
	if r.Ref != "" {
		switch other, err := tx.RecordByRef(ctx, r.Kind, r.Owner, r.Ref); {
		case err == nil && other.ID != r.ID:
			return ErrTaken
		case err != nil && !errors.Is(err, ErrNotFound):
			return err
		}
	}
	if r.ID == 0 {
		id, err := tx.nextID(ctx, "record")
		if err != nil {
			return err
		}
		r.ID, r.Created = id, tx.now
	}
	r.Changed = tx.now
	e := recordEvent{
		ID: r.ID, Kind: r.Kind, Owner: r.Owner, Parent: r.Parent, State: r.State, Ref: r.Ref, Who: r.Who, Due: micros(r.Due),
		Created: micros(r.Created), Changed: micros(r.Changed), Body: string(r.Body),
	}
	if !r.Loose {
		tx.record(event{Record: &e})
	}
	i := e.image()
	i.columns[recordLoose].value = bit(r.Loose)
	if !r.Due.IsZero() {
		tx.touch(Due)
	}
	return tx.putImage(ctx, i)
}

// EndRecord deletes a record. One that is not there is no error.
func (tx *Tx) EndRecord(ctx context.Context, kind string, id int64) error {
	r, err := tx.Record(ctx, kind, id)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	e := recordEvent{ID: id, Kind: kind, Ended: true}
	if !r.Loose {
		tx.record(event{Record: &e})
	}
	return tx.putImage(ctx, e.image())
}

// Record returns a record, or ErrNotFound.
func (tx *Tx) Record(ctx context.Context, kind string, id int64) (Record, error) {
	return scanRecord(tx.row(ctx, `SELECT `+recordColumns+` FROM record WHERE id = $1 AND kind = $2`, id, kind).Scan)
}

// RecordByRef returns the record with a reference, or ErrNotFound.
func (tx *Tx) RecordByRef(ctx context.Context, kind string, owner int64, ref string) (Record, error) {
	return scanRecord(tx.row(ctx, `SELECT `+recordColumns+` FROM record WHERE kind = $1 AND owner = $2 AND ref = $3 AND ref <> ''`,
		kind, owner, ref).Scan)
}

// RecordsWhere says which records are wanted; what is zero does not matter, but
// for Kind.
type RecordsWhere struct {
	Kind          string
	Owner, Parent int64
	States        []string
	Who           []byte
	DueBy         time.Time // due at this time or before it
	Since         time.Time // created then or later
	After, Before int64     // IDs
	Newest        bool      // the newest first; else the oldest, or by DueBy the first due
}

// Records returns at most limit records.
func (tx *Tx) Records(ctx context.Context, w RecordsWhere, limit int) (all []Record, err error) {
	text := []string{`SELECT ` + recordColumns + ` FROM record WHERE kind = $1`}
	args := []any{w.Kind}
	add := func(condition string, value any) {
		args = append(args, value)
		text = append(text, fmt.Sprintf(condition, len(args)))
	}
	if w.Owner != 0 {
		add(`AND owner = $%d`, w.Owner)
	}
	if w.Parent != 0 {
		add(`AND parent = $%d AND parent <> 0`, w.Parent)
	}
	if w.Who != nil {
		add(`AND who = $%d`, w.Who)
	}
	if w.After != 0 {
		add(`AND id > $%d`, w.After)
	}
	if w.Before != 0 {
		add(`AND id < $%d`, w.Before)
	}
	if !w.Since.IsZero() {
		add(`AND created_at >= $%d`, micros(w.Since))
	}
	if len(w.States) > 0 {
		var marks []string
		for _, s := range w.States {
			args = append(args, s)
			marks = append(marks, fmt.Sprintf("$%d", len(args)))
		}
		text = append(text, `AND state IN (`+strings.Join(marks, ", ")+`)`)
	}
	by := `id`
	if !w.DueBy.IsZero() {
		add(`AND due_at <> 0 AND due_at <= $%d`, micros(w.DueBy))
		by = `due_at, id`
	}
	if w.Newest {
		by = `id DESC`
	}
	args = append(args, min(limit, MaxRecords))
	text = append(text, fmt.Sprintf(`ORDER BY %s LIMIT $%d + 0`, by, len(args)))
	err = tx.each(ctx, func(scan scan) error {
		r, err := scanRecord(scan)
		all = append(all, r)
		return err
	}, strings.Join(text, " "), args...)
	return all, err
}

// CountRecords returns how many records of an owner, 0 for all, are in each state.
func (tx *Tx) CountRecords(ctx context.Context, kind string, owner int64) (map[string]int64, error) {
	all := map[string]int64{}
	err := tx.each(ctx, func(scan scan) error {
		var state string
		var n int64
		err := scan(&state, &n)
		all[state] = n
		return err
	}, `SELECT state, count(*) FROM record WHERE kind = $1 AND (owner = $2 OR $3 = 0) GROUP BY state`, kind, owner, owner)
	return all, err
}

// DropRecords deletes at most limit loose records that were changed before a
// time, and returns how many.
func (tx *Tx) DropRecords(ctx context.Context, kind string, before time.Time, limit int) (int64, error) {
	return tx.exec(ctx, `DELETE FROM record WHERE id IN (
		SELECT id FROM record WHERE kind = $1 AND loose = 1 AND changed_at < $2 AND id < (SELECT max(id) FROM record) ORDER BY id LIMIT $3 + 0)`,
		kind, micros(before), limit) // the last stays, so that no number is given twice
}

// NextRecordDue returns when something must happen next with a record of one of
// the kinds; zero: nothing must.
func (tx *Tx) NextRecordDue(ctx context.Context, kinds ...string) (next time.Time, err error) {
	for _, k := range kinds {
		var at time.Time
		err := tx.row(ctx, `SELECT coalesce(min(due_at), 0) FROM record WHERE kind = $1 AND due_at <> 0`, k).Scan(moment{&at})
		if err != nil {
			return next, err
		}
		if next.IsZero() || !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	return next, nil
}

// Whose returns a keyed hash of a number or an address, by which records that
// concern somebody are found.
func (tx *Tx) Whose(address string) []byte { return tx.nickHash("whose", address) }

// SealFor encrypts what is personal to somebody who is no member, under a key of
// its own that is destroyed when it dies: nobody can read it from then on.
func (tx *Tx) SealFor(ctx context.Context, dies time.Time, text []byte) ([]byte, error) {
	id, key, err := tx.newKey(ctx, dies)
	if err != nil {
		return nil, err
	}
	tx.touch(Due)
	return append(binary.BigEndian.AppendUint64(nil, uint64(id)), key.seal("record", string(text))...), nil //nolint:gosec // a row number
}

// UnsealFor decrypts what SealFor returned, or says ErrErased.
func (tx *Tx) UnsealFor(ctx context.Context, sealed []byte) ([]byte, error) {
	if len(sealed) < 8 {
		return nil, ErrErased
	}
	key, err := tx.key(ctx, int64(binary.BigEndian.Uint64(sealed))) //nolint:gosec // a row number
	if err != nil {
		return nil, err
	}
	text, err := key.open("record", sealed[8:])
	return []byte(text), err
}

// EraseSealed destroys the key of what SealFor returned, before its time.
func (tx *Tx) EraseSealed(ctx context.Context, sealed []byte) error {
	if len(sealed) < 8 {
		return nil
	}
	return tx.eraseKey(ctx, int64(binary.BigEndian.Uint64(sealed))) //nolint:gosec // a row number
}

// Mac returns a keyed hash, in hexadecimal digits, of what a person shows to
// prove something, such as a code: so that a copy of the books tells none.
func (tx *Tx) Mac(what, text string) string {
	return hex.EncodeToString(keyedHash(tx.db.keys.nick, what+":"+text))
}

// recordEvent: a record was saved or deleted.
type recordEvent struct {
	ID      int64  `json:"id"`
	Kind    string `json:"kind"`
	Owner   int64  `json:"owner,omitempty"`
	Parent  int64  `json:"parent,omitempty"`
	State   string `json:"state,omitempty"`
	Ref     string `json:"ref,omitempty"`
	Who     []byte `json:"who,omitempty"`
	Due     int64  `json:"due,omitempty"`
	Created int64  `json:"created,omitempty"`
	Changed int64  `json:"changed,omitempty"`
	Body    string `json:"body,omitempty"`
	Ended   bool   `json:"ended,omitempty"`
}

// recordLoose is where an image says whether a record is loose.
const recordLoose = 8

func (e *recordEvent) image() image {
	return image{table: "record", keys: 1, ended: e.Ended, columns: []column{
		{name: "id", value: e.ID},
		{name: "kind", value: e.Kind},
		{name: "owner", value: e.Owner},
		{name: "parent", value: e.Parent},
		{name: "state", value: e.State},
		{name: "ref", value: e.Ref},
		{name: "who", value: e.Who},
		{name: "due_at", value: e.Due},
		recordLoose: {name: "loose", value: int64(0)},
		{name: "created_at", value: e.Created},
		{name: "changed_at", value: e.Changed},
		{name: "body", value: []byte(e.Body)},
	}}
}
