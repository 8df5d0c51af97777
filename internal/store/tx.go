package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
)

// A Tx is one Update or View at work. It is for the goroutine that runs it,
// and ends with it.
type Tx struct {
	db      *DB
	c       conn
	now     time.Time
	writes  bool
	events  []event
	touched map[Topic]bool
	erased  bool // a key was destroyed
	decreed bool // the rules were changed

	behind  *behind     // of the batch; nil in a View beside it
	marked  bool        // a savepoint stands before what it wrote
	written [sheets]int // of the sheets, at the savepoint

	accounts   map[ledger.AccountID]ledger.Account // as this Tx has read or left them
	known      map[ledger.AccountID]ledger.Account // as they were before it; nobody else can write meanwhile
	owned      map[member.ID][]ledger.AccountID    // whose accounts it has read
	knownOwned map[member.ID][]ledger.AccountID    // as of before it
	keys       map[int64]sealKey                   // that it has unwrapped
	drawn      []string                            // references that nothing has, see ExpectMany
	fresh      map[string]bool                     // those, and those of them that were used
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

// ready makes the database say what the batch has done so far, before a
// statement that looks at a table which is written behind; and before the first
// that writes, a savepoint to go back to. Statements run without the caller's
// cancellation: what has begun ends.
func (tx *Tx) ready(ctx context.Context, writes bool, text string, args []any) error {
	if tx.behind == nil {
		return nil
	}
	due := tx.behind.due(tx.db.looksAt(text), args)
	if (len(due) > 0 || writes) && !tx.marked {
		if err := tx.c.later(ctx, savepoint); err != nil {
			return err
		}
		tx.marked, tx.written = true, tx.behind.written
	}
	for _, s := range due {
		if err := tx.behind.write(ctx, tx.c, s); err != nil {
			return err
		}
	}
	return nil
}

// exec runs a statement that writes, and returns how many rows it changed.
func (tx *Tx) exec(ctx context.Context, text string, args ...any) (int64, error) {
	if !tx.writes {
		return 0, ErrReadOnly
	}
	ctx = context.WithoutCancel(ctx)
	if err := tx.ready(ctx, true, text, args); err != nil {
		return 0, err
	}
	return tx.c.exec(ctx, text, args...)
}

// later is exec for whoever need not know how many rows were changed.
func (tx *Tx) later(ctx context.Context, text string, args ...any) error {
	if !tx.writes {
		return ErrReadOnly
	}
	ctx = context.WithoutCancel(ctx)
	if err := tx.ready(ctx, true, text, args); err != nil {
		return err
	}
	return tx.c.later(ctx, text, args...)
}

// row asks for one row, of a statement that may write too.
func (tx *Tx) row(ctx context.Context, text string, args ...any) row {
	ctx = context.WithoutCancel(ctx)
	if err := tx.ready(ctx, !strings.HasPrefix(text, "SELECT"), text, args); err != nil {
		return badRow{err}
	}
	return tx.c.row(ctx, text, args...)
}

// peek asks for one row as the database has it, without what is written behind.
func (tx *Tx) peek(ctx context.Context, text string, args ...any) row {
	return tx.c.row(context.WithoutCancel(ctx), text, args...)
}

// each calls do for each row of a query. There must not be very many.
func (tx *Tx) each(ctx context.Context, do func(scan) error, text string, args ...any) error {
	ctx = context.WithoutCancel(ctx)
	if err := tx.ready(ctx, false, text, args); err != nil {
		return err
	}
	return tx.c.each(ctx, do, text, args...)
}

// stream is each for rows that may be too many to remember.
func (tx *Tx) stream(ctx context.Context, do func(scan) error, text string, args ...any) error {
	ctx = context.WithoutCancel(ctx)
	if err := tx.ready(ctx, false, text, args); err != nil {
		return err
	}
	return walk(ctx, tx.c, do, text, args...)
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
