package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"maillon/internal/store"
)

// verifyCommand proves the books by their journal.
type verifyCommand struct {
	place
}

// Run prints every fault on a line of its own. Its status is ExitNo if there
// is one, and ExitUsage if the books cannot be read.
func (c verifyCommand) Run(ctx context.Context, io *Streams) error {
	db, err := c.openStore(ctx)
	if err != nil {
		return unreadable(err)
	}
	defer db.Close() //nolint:errcheck // what matters is on disk
	progress := io.bar("verify")
	began, rows := time.Now(), int64(0)
	faults, err := db.Verify(ctx, func(done, total int64) {
		rows = total / 2 // it goes over the journal forwards and backwards
		progress.tell(done, total)
	})
	progress.end()
	if err != nil {
		return unreadable(fmt.Errorf("verify: %w", err))
	}
	for _, f := range faults {
		fmt.Fprintln(io.Out, f)
	}
	if len(faults) > 0 {
		return exitf(ExitNo, "%d faults: the books are not what their journal says; maillon restore makes books of the journal", len(faults))
	}
	note(ctx, io, db, func(tx *store.Tx) error {
		return errors.Join(tx.SetMoment(ctx, store.VerifiedAt, began), tx.SetState(ctx, store.VerifiedTo, strconv.FormatInt(rows, 10)))
	})
	_, err = fmt.Fprintf(io.Out, "proven: %d rows of the journal, chain, sums, balances and every row of record\n", rows)
	return err
}

func unreadable(err error) error {
	if e, ok := errors.AsType[*ExitError](err); ok {
		err = e.Err
	}
	return &ExitError{ExitUsage, err}
}
