package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
)

// A Tx is one Update or View at work. It is for the goroutine that runs it,
// and ends with it.
type Tx struct {
	db      *DB
	c       *conn
	now     time.Time
	writes  bool
	events  []event
	touched map[Topic]bool
	erased  bool // a key was destroyed

	accounts map[ledger.AccountID]ledger.Account // as this Tx has read or left them
	known    map[ledger.AccountID]ledger.Account // as they were before it; nobody else can write meanwhile
	owned    map[member.ID][]ledger.AccountID    // whose accounts it has read
	keys     map[int64]sealKey                   // that it has unwrapped
}

// ErrReadOnly means that a View tried to write.
var ErrReadOnly = errors.New("a view cannot write")

// Now returns the time of this transaction: the same for all it does, and
// never before the last row of the journal.
func (tx *Tx) Now() time.Time { return tx.now }

func (tx *Tx) touch(t Topic) {
	if tx.touched == nil {
		tx.touched = map[Topic]bool{}
	}
	tx.touched[t] = true
}

// statements run without the caller's cancellation: what has begun ends.
func (tx *Tx) put(ctx context.Context, text string, args ...any) (rows, id int64, err error) {
	if !tx.writes {
		return 0, 0, ErrReadOnly
	}
	return tx.c.exec(context.WithoutCancel(ctx), text, args...)
}

func (tx *Tx) exec(ctx context.Context, text string, args ...any) (int64, error) {
	rows, _, err := tx.put(ctx, text, args...)
	return rows, err
}

func (tx *Tx) insert(ctx context.Context, text string, args ...any) (id int64, err error) {
	_, id, err = tx.put(ctx, text, args...)
	return id, err
}

func (tx *Tx) row(ctx context.Context, text string, args ...any) row {
	return tx.c.row(context.WithoutCancel(ctx), text, args...)
}

// each calls do for each row of a query.
func (tx *Tx) each(ctx context.Context, do func(scan func(...any) error) error, text string, args ...any) (err error) {
	s, err := tx.c.stmt(context.WithoutCancel(ctx), text)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(context.WithoutCancel(ctx), args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := do(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// A row is one row asked for, or the error that came instead.
type row struct {
	r   *sql.Row
	err error
}

func (c *conn) row(ctx context.Context, text string, args ...any) row {
	s, err := c.stmt(ctx, text)
	if err != nil {
		return row{err: err}
	}
	return row{r: s.QueryRowContext(ctx, args...)}
}

// Scan reads the row. No row is sql.ErrNoRows.
func (r row) Scan(to ...any) error {
	if r.err != nil {
		return r.err
	}
	return r.r.Scan(to...)
}

// found turns the absence of a row into ErrNotFound.
func found(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n)
}

// moment scans a time of a column.
type moment struct{ t *time.Time }

// Scan implements sql.Scanner.
func (m moment) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return errors.New("a time is an integer")
	}
	*m.t = fromMicros(n)
	return nil
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
