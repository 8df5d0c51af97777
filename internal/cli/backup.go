package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"maillon/internal/store"
)

// backupCommand copies the books beside a server at work.
type backupCommand struct {
	place
	Dir string `arg:"" help:"Folder of backups: each run adds one to it, and removes those older than 35 days."`
}

// Run makes one backup, reads it back, and then lets the books know.
func (c backupCommand) Run(ctx context.Context, io *Streams) error {
	db, err := c.openStore(ctx)
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // what matters is on disk
	stop := c.watch(io)
	m, err := db.Backup(ctx, c.Dir)
	if err == nil {
		err = m.ReadBack(ctx)
	}
	stop()
	if err != nil {
		return &ExitError{ExitTrouble, err}
	}
	note(ctx, io, db, func(tx *store.Tx) error { return tx.SetMoment(ctx, store.BackedUpAt, m.Time) })
	_, err = fmt.Fprintf(io.Out, "%s\njournal rows %d\nhash %s\n", m.Path, m.Seq, m.Hash)
	fmt.Fprintf(io.Err, "the secret is not in it: keep a copy of %s apart, for no backup can be read without it\n", c.secretPath())
	return err
}

// note keeps in the books when something was done that administrators are
// reminded of. Books that cannot be written are no reason that it failed.
func note(ctx context.Context, io *Streams, db *store.DB, do func(tx *store.Tx) error) {
	if err := db.Update(ctx, do); err != nil {
		fmt.Fprintf(io.Err, "the books do not know of it: %v\n", err)
	}
}

// watch draws how much of the database is copied until stop is called.
func (c backupCommand) watch(io *Streams) (stop func()) {
	if !io.Terminal {
		return func() {}
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		b := io.bar("backup")
		defer b.end()
		for {
			select {
			case <-done:
				return
			case <-time.After(barEvery):
				b.tell(c.copied(), fileSize(c.folder().Books()))
			}
		}
	}()
	return func() { close(done); <-ended }
}

func (c backupCommand) copied() int64 {
	drafts, err := filepath.Glob(filepath.Join(c.Dir, ".partial-*", booksFile))
	if err != nil || len(drafts) == 0 {
		return 0
	}
	return fileSize(drafts[len(drafts)-1])
}

func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
