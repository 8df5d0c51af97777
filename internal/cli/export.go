package cli

import (
	"context"
	"errors"
	"io"

	"maillon/internal/export"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// exportCommand writes the whole ledger for other programs.
type exportCommand struct {
	place
	Format string `arg:"" enum:"csv,json,beancount,ledger,hledger" help:"csv (for spreadsheets), json, beancount, ledger or hledger."`
	Names  string `enum:"pseudo,number,anonymous" default:"number" help:"How members are named: pseudo, number (of the member, not of the telephone) or anonymous."`
	Plain  bool   `help:"CSV with commas, decimal points and English words, instead of what French spreadsheets read."`
	Output string `short:"o" placeholder:"FILE" help:"Write to a file, which must not exist."`
}

// Run writes every posting of one moment, opening balances included, so that
// the sum of each currency is zero.
func (c exportCommand) Run(ctx context.Context, out *Streams) error {
	b, err := c.open(ctx, false)
	if err != nil {
		return err
	}
	defer b.Close() //nolint:errcheck // every Update is on disk already
	if err := b.update(ctx, func(tx *store.Tx) error { tx.Act(treasury.Operator, "export", c.Format+":"+c.Names, ""); return nil }); err != nil {
		return err
	}
	if c.Output == "" {
		return b.view(ctx, func(tx *store.Tx) error { return c.write(ctx, b, tx, out.Out) })
	}
	page, err := newPage(c.Output)
	if err != nil {
		return err
	}
	defer page.discard()
	if err := b.view(ctx, func(tx *store.Tx) error { return c.write(ctx, b, tx, page.draft) }); err != nil {
		return err
	}
	if err := errors.Join(page.draft.Sync(), page.keep()); err != nil {
		return exitf(ExitTrouble, "write %s: %w", c.Output, err)
	}
	return nil
}

func (c exportCommand) write(ctx context.Context, b *books, tx *store.Tx, to io.Writer) error {
	o := export.Options{
		Format: export.Format(c.Format), Names: export.Naming(c.Names), Association: b.Settings.Association, Zone: b.Settings.Zone,
	}
	if c.Plain && o.Format == export.French {
		o.Format = export.Plain
	}
	return export.Write(ctx, tx, to, o)
}
