package store

import (
	"context"
	"errors"
	"strings"

	driver "modernc.org/sqlite"
)

// A wholeConn keeps a transaction of SQLite whole. When the disk fails under a
// statement, even one that only reads, SQLite may undo the transaction there and
// then, and each statement after it would be on disk by itself, alone. So from
// an outage until the end of the transaction every statement is refused with the
// same error, whatever became of the error meanwhile, and nothing is committed.
type wholeConn struct {
	conn
	within bool  // a transaction
	lost   error // why no more of it is done
}

// mind takes note of an error, and returns it.
func (c *wholeConn) mind(err error) error {
	if _, ok := errors.AsType[*driver.Error](err); ok && c.within && c.lost == nil && IsOutage(err) {
		c.lost = err
	}
	return err
}

func (c *wholeConn) exec(ctx context.Context, text string, args ...any) (int64, error) {
	switch {
	case text == "ROLLBACK":
		c.within, c.lost = false, nil
		return c.conn.exec(ctx, text)
	case c.lost != nil:
		return 0, c.lost
	}
	n, err := c.conn.exec(ctx, text, args...)
	if err == nil && (text == "COMMIT" || strings.HasPrefix(text, "BEGIN")) {
		c.within = text != "COMMIT"
	}
	return n, c.mind(err)
}

func (c *wholeConn) later(ctx context.Context, text string, args ...any) error {
	_, err := c.exec(ctx, text, args...)
	return err
}

func (c *wholeConn) row(ctx context.Context, text string, args ...any) row {
	if c.lost != nil {
		return badRow{c.lost}
	}
	return wholeRow{c.conn.row(ctx, text, args...), c}
}

func (c *wholeConn) open(ctx context.Context, text string, args ...any) (rows, error) {
	if c.lost != nil {
		return nil, c.lost
	}
	r, err := c.conn.open(ctx, text, args...)
	if err != nil {
		return nil, c.mind(err)
	}
	return wholeRows{r, c}, nil
}

func (c *wholeConn) each(ctx context.Context, do func(scan) error, text string, args ...any) error {
	return walk(ctx, c, do, text, args...)
}

type wholeRow struct {
	row
	c *wholeConn
}

// Scan implements row.
func (r wholeRow) Scan(to ...any) error { return r.c.mind(r.row.Scan(to...)) }

type wholeRows struct {
	rows
	c *wholeConn
}

// Err implements rows.
func (r wholeRows) Err() error { return r.c.mind(r.rows.Err()) }
