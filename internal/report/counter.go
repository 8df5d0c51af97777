// Package report says how a currency does: what circulates, how much is paid and
// how fast, who takes part, what was lost. It names nobody.
//
// Days that are over are counted once, from the ledger, and kept as rows; what
// has happened since is counted when it is asked for. A report is therefore as
// quick with two million payments as with two. The rows are nothing of record:
// they can be dropped, and are counted again to the same figures.
package report

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"maillon/internal/store"
)

// The times of counting.
const (
	stepPause  = 20 * time.Millisecond // for payments, between two steps
	retryAfter = time.Minute
	afterDay   = time.Minute // a day is counted when it has been over for so long
)

// A Counter keeps the days of one server counted.
type Counter struct {
	DB   *store.DB
	Zone *time.Location
}

// Run counts what is not counted yet, and then each day when it is over, until
// ctx ends.
func (c *Counter) Run(ctx context.Context) {
	for {
		err := c.CatchUp(ctx)
		if errors.Is(err, store.ErrClosed) || ctx.Err() != nil {
			return
		}
		wait := retryAfter
		if err == nil {
			now := time.Now()
			wait = (DayOf(now, c.Zone) + 1).Begin(c.Zone).Add(afterDay).Sub(now)
		} else {
			slog.ErrorContext(ctx, "days not counted", "error", err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// CatchUp counts all days that are over, step by step.
func (c *Counter) CatchUp(ctx context.Context) error {
	for done := false; !done; {
		err := c.DB.Update(ctx, func(tx *store.Tx) (err error) {
			done, err = Step(ctx, tx, c.Zone)
			return err
		})
		if err != nil {
			return err
		}
		if done {
			return nil
		}
		select {
		case <-time.After(stepPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
