package store

import (
	"context"
	"errors"
)

// A cursor goes through the rows of a query one by one, so that it can be
// walked beside another.
type cursor[T any] struct {
	rows rows
	scan func(func(...any) error) (T, error)
	row  T    // the row it stands on
	ok   bool // false after the last
}

// openCursor returns a cursor on the first row.
func openCursor[T any](ctx context.Context, tx *Tx, scan func(func(...any) error) (T, error), text string) (*cursor[T], error) {
	ctx = context.WithoutCancel(ctx)
	if err := tx.ready(ctx, false, text, nil); err != nil {
		return nil, err
	}
	rows, err := tx.c.open(ctx, text)
	if err != nil {
		return nil, err
	}
	c := &cursor[T]{rows: rows, scan: scan}
	if err := c.next(); err != nil {
		return nil, errors.Join(err, rows.Close())
	}
	return c, nil
}

func (c *cursor[T]) next() (err error) {
	if c.ok = c.rows.Next(); !c.ok {
		return c.rows.Err()
	}
	c.row, err = c.scan(c.rows.Scan)
	return err
}

func (c *cursor[T]) close() error { return c.rows.Close() }
