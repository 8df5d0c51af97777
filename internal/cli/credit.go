package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"maillon/internal/member"
	"maillon/internal/order"
	"maillon/internal/setting"
	"maillon/internal/sheet"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// creditCommand credits one account, or all those of a file.
type creditCommand struct {
	place
	Who    string   `arg:"" optional:"" help:"Pseudo, number, or member:ID. A number without account gets one, and is asked by SMS."`
	Amount string   `arg:"" optional:"" help:"Such as 20 or 12,50."`
	Reason []string `arg:"" optional:"" help:"Why; it is required, and the member reads it."`

	CSV    string `name:"csv" placeholder:"FILE" help:"Credit all lines of a file: numero_ou_pseudo;montant;motif;cle. All or nothing."`
	DryRun bool   `help:"With --csv: show what would be done, and do nothing."`
	Key    string `help:"A name for this one credit: a second one with the same name does nothing."`
	Unit   string `help:"Symbol of the unit (default: the first one)."`
	As     string `placeholder:"NAME" help:"As this administrator, within the ceiling of the day; above it, another one must release the credit (default: the operator, without ceiling)."`
}

// Run credits.
func (c creditCommand) Run(ctx context.Context, io *Streams) error {
	reason := strings.TrimSpace(strings.Join(c.Reason, " "))
	switch {
	case c.CSV != "" && (c.Who != "" || c.Key != "" || c.As != ""):
		return exitf(ExitUsage, "credit either one account or those of --csv")
	case c.CSV == "" && c.DryRun:
		return exitf(ExitUsage, "--dry-run goes with --csv")
	case c.CSV == "" && (c.Who == "" || c.Amount == "" || reason == ""):
		return exitf(ExitUsage, "a credit needs who, how much and why: maillon credit soazig 20 atelier vélo")
	}
	lines := []sheet.Credit{{Who: c.Who, Sum: c.Amount, Reason: reason, Key: c.Key}}
	var err error
	if c.CSV != "" {
		if lines, err = readCredits(c.CSV); err != nil {
			return err
		}
	}
	b, err := c.open(ctx, false)
	if err != nil {
		return err
	}
	defer b.Close() //nolint:errcheck // every Update is on disk already
	unit, ok := b.Settings.Unit(c.Unit)
	if !ok {
		return exitf(ExitUsage, "--unit %s: there is no such unit", c.Unit)
	}
	batch := b.Treasury.Prepare(lines, unit.Currency())
	switch {
	case c.CSV != "":
		return c.many(ctx, io, b, batch)
	case c.As != "":
		return c.asked(ctx, io, b, unit, reason)
	}
	return c.one(ctx, io, b, batch)
}

// one credits as the operator.
func (c creditCommand) one(ctx context.Context, io *Streams, b *books, batch *treasury.Batch) error {
	var refs []string
	err := b.update(ctx, func(tx *store.Tx) (err error) {
		refs, err = b.Treasury.GrantMany(ctx, tx, treasury.Operator, nil, batch, "")
		if errors.Is(err, treasury.ErrFaults) {
			return exitf(ExitNo, "%s: %s", c.Who, batch.Faults[0].Text())
		}
		return err
	})
	if err != nil {
		return err
	}
	if batch.Again > 0 {
		_, err = fmt.Fprintf(io.Out, "this credit was made before under the key %s: nothing done\n", c.Key)
		return err
	}
	_, err = fmt.Fprintf(io.Out, "%s credited, reference %s\n", batch.Total, refs[0])
	return err
}

// asked credits as an administrator, who has a ceiling.
func (c creditCommand) asked(ctx context.Context, io *Streams, b *books, unit setting.Unit, reason string) error {
	var o *order.Order
	err := b.update(ctx, func(tx *store.Tx) error {
		admin, _, err := b.administrator(ctx, tx, c.As, member.Role.MayCredit)
		if err != nil {
			return err
		}
		asked := treasury.CreditAsked{Reason: reason, Name: c.Key}
		if asked.Amount, err = parseSum(c.Amount, unit.Currency()); err != nil {
			return exitf(ExitNo, "%w", err)
		}
		asked.Payee, err = b.find(ctx, tx, c.Who)
		if e, ok := errors.AsType[*ExitError](err); ok && e.Code == ExitNo {
			asked.Number, err = b.mobile(c.Who)
		}
		if err != nil {
			return err
		}
		o, err = b.Treasury.Credit(ctx, tx, admin, asked)
		return err
	})
	if err != nil {
		return err
	}
	if o.State == order.Held {
		_, err = fmt.Fprintf(io.Out, "%s is above what %s may credit today: another administrator must say so, maillon release %s\n", o.Amount, c.As, o.Ref)
		return err
	}
	_, err = fmt.Fprintf(io.Out, "%s credited, reference %s\n", o.Amount, o.Ref)
	return err
}
