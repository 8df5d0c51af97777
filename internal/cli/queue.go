package cli

import (
	"context"
	"fmt"
	"text/tabwriter"

	"maillon/internal/member"
	"maillon/internal/order"
	"maillon/internal/store"
)

// maxQueue bounds how many decisions are listed.
const maxQueue = 1000

// queueCommand lists what waits for a person.
type queueCommand struct {
	place
}

// Run prints one line for each payment, credit or dispute that waits.
func (c queueCommand) Run(ctx context.Context, io *Streams) error {
	b, err := c.open(ctx, false)
	if err != nil {
		return err
	}
	defer b.Close() //nolint:errcheck // only read
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "REFERENCE\tSINCE\tWHAT\tFROM\tTO\tAMOUNT\tDECIDE WITH")
	err = b.view(ctx, func(tx *store.Tx) error {
		waiting, err := tx.Queue(ctx, maxQueue)
		if err != nil {
			return err
		}
		for _, o := range waiting {
			ref, decide := o.Ref, "release or reject"
			if o.State == order.Disputed {
				ref, decide = o.TargetRef, "dispute"
			}
			from, err := party(ctx, tx, o.Payer)
			if err != nil {
				return err
			}
			to, err := party(ctx, tx, o.Payee)
			if err != nil {
				return err
			}
			if o.Payee == 0 {
				to = o.PayeeNumber().Masked()
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", ref, b.showTime(o.Created), o.Kind, from, to, o.Amount, decide)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return w.Flush()
}

// party names one side of an order; 0 is the association.
func party(ctx context.Context, tx *store.Tx, id int64) (string, error) {
	if id == 0 {
		return "-", nil
	}
	m, err := tx.Member(ctx, member.ID(id))
	if err != nil {
		return "", err
	}
	return called(m), nil
}
