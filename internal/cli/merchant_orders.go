package cli

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"maillon/internal/merchant"
	"maillon/internal/money"
	"maillon/internal/store"
	"maillon/internal/trade"
	"maillon/internal/trade/object"
	"maillon/internal/treasury"
)

type merchantClients struct {
	shop
	Number string   `help:"Only what this telephone number has." placeholder:"NUMBER"`
	State  []string `help:"Only those in these states, with commas between, such as active,expired." placeholder:"STATE"`
}

// Run lists authorizations: what clients have, and nobody's number.
func (c merchantClients) Run(ctx context.Context, io *Streams) error {
	return c.look(ctx, func(b *books, tx *store.Tx, m *trade.Merchant) error {
		page := merchant.Page{Limit: maxOfShop, Newest: true}
		for _, s := range c.State {
			page.States = append(page.States, trade.State(s))
		}
		all, err := b.Merchants.Authorizations(ctx, tx, m, page, c.Number)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "authorization\tpolicy\tstate\tpaid\tdeposit\tadvance\trefundable\torders\tmade")
		for _, a := range all {
			p, err := b.Merchants.Policy(ctx, tx, m, a.Policy)
			if err != nil {
				return err
			}
			in := func(sum int64) money.Amount { return money.New(sum, p.Currency) }
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%d\t%s\n", object.AuthorizationID.Of(a.ID), p.Keyword, a.State, a.Paid,
				in(a.Deposit), in(a.Advance), in(a.Refundable()), a.Used, b.showTime(a.Created))
		}
		return w.Flush()
	})
}

type merchantClaims struct {
	shop
	State []string `help:"Only those in these states, with commas between, such as open,not_honoured." placeholder:"STATE"`
}

// Run lists orders.
func (c merchantClaims) Run(ctx context.Context, io *Streams) error {
	return c.look(ctx, func(b *books, tx *store.Tx, m *trade.Merchant) error {
		page := merchant.Page{Limit: maxOfShop, Newest: true}
		for _, s := range c.State {
			page.States = append(page.States, trade.State(s))
		}
		all, err := b.Merchants.Claims(ctx, tx, m, page)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "claim\torder\ttotal\tadvance\tstate\tuntil\tmade")
		for _, v := range all {
			currency, _ := b.Settings.CurrencyOf(v.Currency)
			in := func(sum int64) money.Amount { return money.New(sum, currency) }
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
				object.ClaimID.Of(v.ID), v.OrderRef, in(v.Total), in(v.Advance), v.State, b.timeOr(v.Due), b.showTime(v.Created))
		}
		return w.Flush()
	})
}

type merchantDisputes struct {
	place
	Merchant string `arg:"" optional:"" help:"Only those of this merchant: mer_3, or its name."`
	Test     bool   `help:"Those of its twin for tests."`
	All      bool   `help:"Those that were decided, too."`
}

// Run lists disputes.
func (c merchantDisputes) Run(ctx context.Context, io *Streams) error {
	b, err := c.open(ctx, false)
	if err != nil {
		return err
	}
	defer b.Close() //nolint:errcheck // only read
	return b.view(ctx, func(tx *store.Tx) error {
		var m *trade.Merchant
		if c.Merchant != "" {
			if m, err = b.shop(ctx, tx, c.Merchant, c.Test); err != nil {
				return err
			}
		}
		page := merchant.Page{Limit: maxOfShop, Newest: true}
		if !c.All {
			page.States = []trade.State{trade.DisputeOpen, trade.DisputeAnswer}
		}
		all, err := b.Merchants.Disputes(ctx, tx, m, page)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "dispute\tmerchant\tclaim\tstate\tmerchant says\tevidence\topened")
		for _, d := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", object.DisputeID.Of(d.ID), object.MerchantID.Of(d.Merchant), object.ClaimID.Of(d.Claim),
				d.State, orDash(d.Answer), orDash(strings.Join(d.Evidence, "; ")), b.showTime(d.Created))
		}
		return w.Flush()
	})
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

type merchantJudge struct {
	place
	Dispute string `arg:"" help:"The dispute: dsp_9."`
	For     string `required:"" enum:"client,merchant" help:"Who is right: ${enum}."`
	Reason  string `required:"" help:"Why. It stays in the journal for ever, so name nobody in it."`
}

// Run decides a dispute.
func (c merchantJudge) Run(ctx context.Context, io *Streams) error {
	id, err := number(object.DisputeID, c.Dispute)
	if err != nil {
		return err
	}
	b, err := c.open(ctx, false)
	if err != nil {
		return err
	}
	defer b.Close() //nolint:errcheck // every Update is on disk already
	err = b.update(ctx, func(tx *store.Tx) error {
		_, err := b.Merchants.Judge(ctx, tx, treasury.Operator, id, c.For == "client", c.Reason)
		return trader(err)
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(io.Out, "%s is decided for the %s\n", c.Dispute, c.For)
	return err
}
