package cli

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"maillon/internal/store"
)

// migrateCommand moves the books between a data folder and a database server.
type migrateCommand struct {
	place
	To string `arg:"" placeholder:"FILE|DIR" help:"Where to: the configuration file whose [database] names the server, or a new data folder."`
}

// Help says what happens to whoever is at work.
func (migrateCommand) Help() string {
	return `The server may be at work meanwhile. At the end it is refused further writing, for
good, while the copy is brought up to date and proven: a moment, or minutes with
millions of payments. SMS that come then are not acknowledged, so that their
network brings them again. Start the server with the new configuration, and they
are answered there.

The secret stays the same. The books left behind can be verified, and nothing else:
nobody writes to them any more.`
}

// Run moves the books and proves that all are there.
func (c migrateCommand) Run(ctx context.Context, io *Streams) (err error) {
	config, err := c.config()
	if err != nil {
		return err
	}
	from, err := c.home(config, false)
	if err != nil {
		return err
	}
	to, err := c.target(from)
	if err != nil {
		return err
	}
	if to.where == from.where {
		return exitf(ExitUsage, "the books are in %s already", to.kept)
	}
	source, err := store.Open(ctx, from.where, from.secret)
	if err != nil {
		return exitf(ExitTrouble, "open %s: %w", from.name, err)
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := store.Open(ctx, to.where, to.secret)
	if err != nil {
		return exitf(ExitTrouble, "open %s: %w", to.name, err)
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	report, err := store.Migration{From: source, To: target, Progress: c.progress(io)}.Run(ctx)
	if errors.Is(err, store.ErrNotEmpty) {
		return exitf(ExitUsage, "%w: name an empty one", err)
	}
	if err != nil {
		return exitf(ExitTrouble, "%w; the books are where they were, and the new place is to be thrown away", err)
	}
	for _, table := range slices.Sorted(maps.Keys(report.Rows)) {
		fmt.Fprintf(io.Out, "%-10s %10d  %s\n", table, report.Rows[table], hex.EncodeToString(report.Hash[table]))
	}
	_, err = fmt.Fprintf(io.Out, "journal rows %d\nhash %s\nproven\n", report.Head.Seq, hex.EncodeToString(report.Head.Hash))
	return err
}

// target finds the new place. Its secret is that of the books.
func (c migrateCommand) target(from home) (home, error) {
	info, err := os.Stat(c.To)
	if err == nil && info.Mode().IsRegular() {
		config, err := LoadConfig(c.To)
		if err != nil {
			return home{}, err
		}
		if config.Database.URL == "" {
			return home{}, exitf(ExitUsage, "%s names no [database] to move to", c.To)
		}
		h, err := c.home(config, false)
		if err == nil && h.secret != from.secret {
			err = exitf(ExitUsage, "the secret that %s names is not the one of the books: copy %s there", c.To, c.secretPath())
		}
		return h, err
	}
	f := Folder{c.To}
	if _, err := os.Lstat(f.Books()); err == nil {
		return home{}, exitf(ExitUsage, "%s is there already: name a new data folder", f.Books())
	}
	if err := os.MkdirAll(f.dir(), 0o700); err != nil {
		return home{}, &ExitError{ExitTrouble, err}
	}
	secret, err := f.writeSecret(from.secret)
	if err == nil && secret != from.secret {
		err = exitf(ExitUsage, "%s has another secret: name a new data folder", f.dir())
	}
	return home{where: f.Books(), name: f.Books(), kept: f.dir(), secret: from.secret}, err
}

// progress says which table is being copied.
func (migrateCommand) progress(io *Streams) func(string, int64) {
	if !io.Terminal {
		return nil
	}
	return func(table string, rows int64) { fmt.Fprintf(io.Err, "\r\x1b[K%s %d", table, rows) }
}
