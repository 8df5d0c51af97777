package cli

import (
	"context"
	"fmt"
)

// upgradeCommand makes books ready for this program without serving them.
type upgradeCommand struct {
	place
}

// Run opens the books, which brings them to what this program needs, and closes
// them. Books that are not there yet are begun.
func (c upgradeCommand) Run(ctx context.Context, io *Streams) error {
	b, err := c.open(ctx, true)
	if err != nil {
		return err
	}
	if err := b.Close(); err != nil {
		return exitf(ExitTrouble, "close the books: %w", err)
	}
	_, err = fmt.Fprintln(io.Out, "The books are ready for this program.")
	return err
}
