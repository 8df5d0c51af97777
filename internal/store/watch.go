package store

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// watchEvery is how often a database that others write to is looked at, and
// watchRetry how long after it could not be.
const (
	watchEvery = 250 * time.Millisecond
	watchRetry = time.Second
)

// A mark is how far a database has grown.
type mark struct{ journal, outbox int64 }

// Watch wakes the subscribers of all topics when another server has written,
// within a quarter of a second, until ctx ends. It is for a database that is
// Shared: there is no other word from one server to another.
func (db *DB) Watch(ctx context.Context) {
	last := mark{journal: -1} // at first everybody looks
	pause := time.Duration(0)
	for failing := false; ; {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		pause = watchEvery
		now, err := db.mark(ctx)
		if errors.Is(err, ErrClosed) || ctx.Err() != nil {
			return
		}
		if err != nil {
			if !failing {
				slog.ErrorContext(ctx, "other servers out of sight", "error", err)
			}
			failing, pause = true, watchRetry
			continue
		}
		if now != last || failing {
			db.Wake()
		}
		last, failing = now, false
	}
}

func (db *DB) mark(ctx context.Context) (m mark, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		return tx.row(ctx, `SELECT (SELECT coalesce(max(seq), 0) FROM journal), (SELECT coalesce(max(id), 0) FROM outbox)`).
			Scan(&m.journal, &m.outbox)
	})
	return m, err
}
