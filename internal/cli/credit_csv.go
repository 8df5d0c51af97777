package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"maillon/internal/sheet"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// maxShown bounds the lines of each kind that a dry run names.
const maxShown = 50

// many credits all lines of a file, or shows what that would do. It is one
// transaction, for which a server at work waits: some seconds for the longest
// file.
func (c creditCommand) many(ctx context.Context, out *Streams, b *books, batch *treasury.Batch) error {
	if c.DryRun {
		if err := b.view(ctx, func(tx *store.Tx) error { return batch.Survey(ctx, tx) }); err != nil {
			return err
		}
		reportBatch(out, batch, "would be credited")
		return c.refused(batch)
	}
	err := b.update(ctx, func(tx *store.Tx) error {
		_, err := b.Treasury.GrantMany(ctx, tx, treasury.Operator, nil, batch, "")
		if errors.Is(err, treasury.ErrFaults) {
			return c.refused(batch)
		}
		return err
	})
	if err == nil {
		reportBatch(out, batch, "credited")
	}
	return err
}

// refused returns what is wrong with the lines as one error.
func (c creditCommand) refused(b *treasury.Batch) error {
	if b.Faulty == 0 {
		return nil
	}
	var all []string
	for _, f := range b.Faults[:min(len(b.Faults), maxShown)] {
		all = append(all, fmt.Sprintf("%s:%s", c.CSV, f.Error()))
	}
	return exitf(ExitNo, "nothing is credited, for these lines cannot be:\n%s", strings.Join(all, "\n"))
}

// reportBatch says what a batch did, or would do.
func reportBatch(out *Streams, b *treasury.Batch, done string) {
	fmt.Fprintf(out.Out, "%d lines, %d new: %s %s\n", b.Lines(), b.New, b.Total, done)
	fmt.Fprintf(out.Out, "%d accounts opened for numbers that have none\n", b.Opened)
	fmt.Fprintf(out.Out, "%d done before, not again%s\n", b.Again, lineNumbers(b))
	if b.Faulty > 0 {
		fmt.Fprintf(out.Out, "%d lines cannot be credited\n", b.Faulty)
	}
}

func lineNumbers(b *treasury.Batch) string {
	if b.Again == 0 {
		return ""
	}
	var numbers []string
	for _, l := range b.Repeated[:min(len(b.Repeated), maxShown)] {
		numbers = append(numbers, fmt.Sprint(l))
	}
	if b.Again > len(numbers) {
		numbers = append(numbers, "…")
	}
	return ": lines " + strings.Join(numbers, ", ")
}

// readCredits reads a file as spreadsheets write it.
func readCredits(path string) ([]sheet.Credit, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, &ExitError{ExitUsage, err}
	}
	if info.Size() > sheet.MaxOctets {
		return nil, exitf(ExitUsage, "%s: %s", path, sheet.Fault{What: sheet.Large}.Text())
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, &ExitError{ExitUsage, err}
	}
	lines, err := sheet.Read(raw)
	if err != nil {
		return nil, exitf(ExitUsage, "%s:%w", path, err)
	}
	return lines, nil
}
