package cli

import (
	"context"
	"fmt"
	"strings"

	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/sheet"
	"maillon/internal/store"
)

// decision is what commands share that decide about one reference.
type decision struct {
	place
	Ref string `arg:"" help:"The reference that the members know, such as K7F2."`
	As  string `placeholder:"NAME" help:"The administrator who decides (default: the operator of this machine)."`
}

// decide does something about the reference in one transaction.
func (c decision) decide(ctx context.Context, may func(member.Role) bool, do func(b *books, tx *store.Tx, by string, admin *member.Member, ref string) error) error {
	b, err := c.open(ctx, false)
	if err != nil {
		return err
	}
	defer b.Close() //nolint:errcheck // every Update is on disk already
	return b.update(ctx, func(tx *store.Tx) error {
		admin, by, err := b.administrator(ctx, tx, c.As, may)
		if err != nil {
			return err
		}
		return do(b, tx, by, admin, strings.ToUpper(strings.TrimPrefix(c.Ref, "^")))
	})
}

// reverseCommand takes one transfer back.
type reverseCommand struct {
	decision
	Reason string `required:"" help:"Why. It stays in the journal for ever, so name nobody in it."`
	Fraud  bool   `help:"It was a fraud, not a mistake: the members read that."`
}

// Run reverses, as far as the money is still there.
func (c reverseCommand) Run(ctx context.Context, io *Streams) error {
	if strings.TrimSpace(c.Reason) == "" || len([]rune(c.Reason)) > sheet.MaxReason {
		return exitf(ExitUsage, "--reason: a reason of 1 to %d characters is needed", sheet.MaxReason)
	}
	var back, whole money.Amount
	err := c.decide(ctx, member.Role.MayReverse, func(b *books, tx *store.Tx, by string, admin *member.Member, ref string) (err error) {
		if back, err = b.Treasury.Reverse(ctx, tx, by, admin, ref, c.Fraud, c.Reason); err != nil {
			return err
		}
		txn, err := tx.TransactionByRef(ctx, ref)
		if err == nil && len(txn.Postings) > 1 {
			whole = txn.Postings[1].Amount
		}
		return err
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(io.Out, "%s of %s taken back; both sides are told\n", back, whole)
	return err
}

// disputeCommand ends a dispute.
type disputeCommand struct {
	decision
	Decision string `arg:"" enum:"return,keep" help:"return: the money goes back; keep: it stays."`
}

// Run decides a dispute about a payment.
func (c disputeCommand) Run(ctx context.Context, _ *Streams) error {
	return c.decide(ctx, member.Role.MayReverse, func(b *books, tx *store.Tx, by string, _ *member.Member, ref string) error {
		return b.Treasury.Decide(ctx, tx, by, ref, c.Decision == "return", "")
	})
}

// releaseCommand executes what a rule held.
type releaseCommand struct{ decision }

// Run lets a held payment or credit go.
func (c releaseCommand) Run(ctx context.Context, _ *Streams) error { return c.review(ctx, true) }

// rejectCommand ends what a rule held.
type rejectCommand struct{ decision }

// Run refuses a held payment or credit.
func (c rejectCommand) Run(ctx context.Context, _ *Streams) error { return c.review(ctx, false) }

func (c decision) review(ctx context.Context, release bool) error {
	return c.decide(ctx, member.Role.MayReverse, func(b *books, tx *store.Tx, by string, admin *member.Member, ref string) error {
		return b.Treasury.Review(ctx, tx, by, admin, ref, release, "")
	})
}

// pauseCommand stops all payments.
type pauseCommand struct {
	place
	As string `placeholder:"NAME" help:"The administrator who pauses (default: the operator of this machine)."`
}

// Run stops all payments at once.
func (c pauseCommand) Run(ctx context.Context, io *Streams) error {
	b, err := c.open(ctx, false)
	if err != nil {
		return err
	}
	defer b.Close() //nolint:errcheck // every Update is on disk already
	var since string
	err = b.update(ctx, func(tx *store.Tx) error {
		_, by, err := b.administrator(ctx, tx, c.As, member.Role.MayPause)
		if err != nil {
			return err
		}
		if err := b.Treasury.Pause(ctx, tx, by); err != nil {
			return err
		}
		at, err := tx.Paused(ctx)
		since = b.showTime(at)
		return err
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(io.Out, "paused since %s: no payment is made, balances can be read\n", since)
	return err
}

// resumeCommand lets payments go on.
type resumeCommand struct {
	place
	As string `placeholder:"NAME" help:"The administrator who says so: pseudo or number. Two different ones must, within an hour."`
}

// Run lets payments go on once two administrators said so.
func (c resumeCommand) Run(ctx context.Context, io *Streams) error {
	if c.As == "" {
		return exitf(ExitUsage, "two persons must say so: maillon resume --as NAME, each with the name of a registered administrator "+
			"(maillon member role NAME admin makes one)")
	}
	b, err := c.open(ctx, false)
	if err != nil {
		return err
	}
	defer b.Close() //nolint:errcheck // every Update is on disk already
	resumed := false
	err = b.update(ctx, func(tx *store.Tx) error {
		_, by, err := b.administrator(ctx, tx, c.As, member.Role.MayPause)
		if err != nil {
			return err
		}
		resumed, err = b.Treasury.Resume(ctx, tx, by)
		return err
	})
	if err != nil {
		return err
	}
	if !resumed {
		_, err = fmt.Fprintf(io.Out, "%s says so; payments stay paused until another administrator does too, within an hour: "+
			"maillon resume --as NAME\n", strings.TrimPrefix(c.As, "@"))
		return err
	}
	_, err = fmt.Fprintln(io.Out, "payments go on; those whose order the pause met are told")
	return err
}
