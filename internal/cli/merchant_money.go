package cli

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"maillon/internal/merchant"
	"maillon/internal/money"
	"maillon/internal/store"
	"maillon/internal/trade"
	"maillon/internal/trade/object"
	"maillon/internal/treasury"
)

type merchantPayouts struct{ shop }

// Run lists payouts.
func (c merchantPayouts) Run(ctx context.Context, io *Streams) error {
	return c.look(ctx, func(b *books, tx *store.Tx, m *trade.Merchant) error {
		all, err := b.Merchants.Payouts(ctx, tx, m, merchant.Page{Limit: maxOfShop, Newest: true})
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "payout\tamount\tto\tmade")
		for _, p := range all {
			sum := money.New(p.Amount, money.Currency{Code: p.Currency, Decimals: p.Decimals})
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", object.PayoutID.Of(p.ID), sum, p.To, b.showTime(p.Created))
		}
		return w.Flush()
	})
}

type merchantPay struct {
	shop
	Currency string `arg:"" help:"A unit of the association, or a code such as MAD."`
	Amount   string `arg:"" optional:"" help:"Such as 120,50; all that can be paid out without it."`
	Key      string `required:"" help:"A name for this one payout: a second one with the same name does nothing."`
}

// Run pays a merchant.
func (c merchantPay) Run(ctx context.Context, io *Streams) error {
	return c.act(ctx, func(b *books, tx *store.Tx, m *trade.Merchant) error {
		currency, ok := b.Settings.CurrencyOf(c.Currency)
		if !ok {
			return exitf(ExitUsage, "%s: a unit of the association, or a code of ISO 4217 such as MAD, is expected", c.Currency)
		}
		amount := int64(0)
		if c.Amount != "" {
			sum, err := parseSum(c.Amount, currency)
			if err != nil || sum.Sign() <= 0 {
				return exitf(ExitUsage, "%s: %w", c.Amount, errSum)
			}
			amount = sum.Minor()
		}
		p, err := b.Merchants.Pay(ctx, tx, treasury.Operator, m, currency.Code, amount, c.Key)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(io.Out, "%s: %s to the %s of %s\n", object.PayoutID.Of(p.ID), money.New(p.Amount, currency), p.To, m.Name)
		return err
	})
}

type merchantSettle struct {
	place
	Gateway  string `arg:"" help:"The gateway, as the configuration names it."`
	Currency string `arg:"" help:"A code such as MAD."`
	Received string `arg:"" help:"What the operator has paid, such as 4170,00."`
	Until    string `required:"" help:"The last day that the statement covers: 2026-03-28." placeholder:"DAY"`
	Key      string `required:"" help:"The statement's own number: the same one is noted once."`
}

// Run notes a statement.
func (c merchantSettle) Run(ctx context.Context, io *Streams) error {
	b, err := c.open(ctx, false)
	if err != nil {
		return err
	}
	defer b.Close() //nolint:errcheck // every Update is on disk already
	currency, ok := b.Settings.CurrencyOf(c.Currency)
	if !ok {
		return exitf(ExitUsage, "%s: a code of ISO 4217 such as MAD is expected", c.Currency)
	}
	sum, err := parseSum(c.Received, currency)
	if err != nil {
		return exitf(ExitUsage, "%s: %w", c.Received, err)
	}
	until, err := b.day("--until", c.Until, 1)
	if err != nil {
		return err
	}
	var s *trade.Statement
	err = b.update(ctx, func(tx *store.Tx) (err error) {
		s, err = b.Merchants.Settle(ctx, tx, treasury.Operator, c.Gateway, currency.Code, until, sum.Minor(), c.Key)
		if errors.Is(err, merchant.ErrAmount) {
			return exitf(ExitNo, "there is no charge of %s in %s until %s that the operator had not paid; nothing was done", c.Gateway, currency.Code, c.Until)
		}
		return trader(err)
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(io.Out, "%d charges: %s expected, %s received\n", s.Charges, money.New(s.Expected, currency), money.New(s.Received, currency))
	return err
}

type merchantCash struct {
	shop
	Authorization string `arg:"" help:"The authorization: auth_7."`
	Key           string `required:"" help:"The number of the receipt: the same one is noted once."`
}

// Run notes cash.
func (c merchantCash) Run(ctx context.Context, io *Streams) error {
	return c.act(ctx, func(b *books, tx *store.Tx, m *trade.Merchant) error {
		id, err := number(object.AuthorizationID, c.Authorization)
		if err != nil {
			return err
		}
		a, err := b.Merchants.TakeCash(ctx, tx, treasury.Operator, m, id, c.Key)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(io.Out, "%s has %d paid, and is %s\n", c.Authorization, a.Paid, a.State)
		return err
	})
}

type merchantRefund struct {
	shop
	Authorization string `arg:"" help:"The authorization: auth_7."`
	To            string `required:"" help:"wallet (the client's own), wallet:mem_4 (that member's), or cash (handed out at the desk)." placeholder:"WHERE"`
	Amount        string `help:"Such as 12,50; all that can go back without it." placeholder:"AMOUNT"`
}

// Run gives money back. The amount is of the policy's currency.
func (c merchantRefund) Run(ctx context.Context, io *Streams) error {
	return c.act(ctx, func(b *books, tx *store.Tx, m *trade.Merchant) error {
		id, err := number(object.AuthorizationID, c.Authorization)
		if err != nil {
			return err
		}
		a, err := b.Merchants.Authorization(ctx, tx, m, id)
		if err != nil {
			return err
		}
		p, err := b.Merchants.Policy(ctx, tx, m, a.Policy)
		if err != nil {
			return err
		}
		amount := int64(0)
		if c.Amount != "" {
			sum, err := parseSum(c.Amount, p.Currency)
			if err != nil || sum.Sign() <= 0 {
				return exitf(ExitUsage, "--amount %s: %w", c.Amount, errSum)
			}
			amount = sum.Minor()
		}
		r, err := b.Merchants.Refund(ctx, tx, treasury.Operator, m, id, c.To, amount)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(io.Out, "%s: %s goes back, to %s\n", object.RefundID.Of(r.ID), money.New(r.Amount, p.Currency), r.To)
		return err
	})
}
