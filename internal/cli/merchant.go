package cli

import (
	"context"
	"errors"
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

// merchantCommand is about those who sell, and their clients' orders on delivery.
type merchantCommand struct {
	Add      merchantAdd      `cmd:"" help:"Register a merchant, with a twin for tests."`
	List     merchantList     `cmd:"" help:"List the merchants."`
	Show     merchantShow     `cmd:"" help:"Show one merchant: what is earned, waits and can be paid out."`
	Payee    merchantPayee    `cmd:"" help:"Say which member is paid out."`
	Key      merchantKey      `cmd:"" help:"Make a key of the API for a merchant, and print it this once."`
	Keys     merchantKeys     `cmd:"" help:"List the keys of a merchant; maillon key revoke ends one."`
	Policy   merchantPolicy   `cmd:"" help:"Add an offer: what clients send to be allowed to pay on delivery."`
	Policies merchantPolicies `cmd:"" help:"List the offers of a merchant."`
	End      merchantEnd      `cmd:"" help:"End an offer for new clients."`
	Claims   merchantClaims   `cmd:"" help:"List the orders that were let through, the newest first."`
	Disputes merchantDisputes `cmd:"" help:"List the disputes of one merchant, or of all."`
	Judge    merchantJudge    `cmd:"" help:"Decide a dispute between a client and a merchant."`
	Payouts  merchantPayouts  `cmd:"" help:"List what was paid to a merchant."`
	Pay      merchantPay      `cmd:"" help:"Pay a merchant what can be paid out."`
	Settle   merchantSettle   `cmd:"" help:"Note what an operator has paid for the messages of a gateway."`
	Clients  merchantClients  `cmd:"" help:"List who may order, or what one number has."`
	Cash     merchantCash     `cmd:"" help:"Note that a client has paid one message at the desk."`
	Refund   merchantRefund   `cmd:"" help:"Give a client back what is not spent and no longer at stake."`
	Suspend  merchantSuspend  `cmd:"" help:"Stop a merchant: nobody orders, nothing is paid out."`
	Resume   merchantResume   `cmd:"" help:"Let a suspended or braked merchant go on."`
}

// maxOfShop bounds what a list of merchants' things shows.
const maxOfShop = 100

// A shop names a merchant.
type shop struct {
	place
	Merchant string `arg:"" help:"The merchant: mer_3, or its name."`
	Test     bool   `help:"Its twin for tests."`
}

// act does something in one transaction with the merchant.
func (s shop) act(ctx context.Context, do func(b *books, tx *store.Tx, m *trade.Merchant) error) error {
	b, err := s.open(ctx, false)
	if err != nil {
		return err
	}
	defer b.Close() //nolint:errcheck // every Update is on disk already
	return b.update(ctx, func(tx *store.Tx) error {
		m, err := b.shop(ctx, tx, s.Merchant, s.Test)
		if err != nil {
			return err
		}
		return trader(do(b, tx, m))
	})
}

// look reads something of the merchant.
func (s shop) look(ctx context.Context, do func(b *books, tx *store.Tx, m *trade.Merchant) error) error {
	b, err := s.open(ctx, false)
	if err != nil {
		return err
	}
	defer b.Close() //nolint:errcheck // only read
	return b.view(ctx, func(tx *store.Tx) error {
		m, err := b.shop(ctx, tx, s.Merchant, s.Test)
		if err != nil {
			return err
		}
		return trader(do(b, tx, m))
	})
}

// shop finds a merchant by its ID or its name, or its twin for tests.
func (b *books) shop(ctx context.Context, tx *store.Tx, who string, test bool) (*trade.Merchant, error) {
	var m *trade.Merchant
	if id, ok := object.MerchantID.Number(who); ok {
		found, err := b.Merchants.Merchant(ctx, tx, id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		m = found
	} else {
		all, err := b.Merchants.Merchants(ctx, tx, 0, store.MaxRecords)
		if err != nil {
			return nil, err
		}
		for _, one := range all {
			if !strings.EqualFold(one.Name, who) {
				continue
			}
			if m != nil {
				return nil, exitf(ExitNo, "%s: several merchants have this name; name one by its ID: maillon merchant list", who)
			}
			m = one
		}
	}
	if m == nil {
		return nil, exitf(ExitNo, "%s: there is no such merchant; maillon merchant list shows all", who)
	}
	if test && !m.Test {
		return b.Merchants.Merchant(ctx, tx, m.Twin)
	}
	return m, nil
}

// trader tells what the merchants' room refuses, and what to do about it.
func trader(err error) error {
	if e, ok := errors.AsType[*trade.PolicyError](err); ok {
		return exitf(ExitUsage, "%w", e)
	}
	if e, ok := errors.AsType[*trade.StateError](err); ok {
		return exitf(ExitNo, "%w already: nothing was done", e)
	}
	for _, known := range []struct {
		is   error
		code int
	}{
		{merchant.ErrName, ExitUsage},
		{merchant.ErrReasonNeeded, ExitUsage},
		{merchant.ErrKeyword, ExitNo},
		{merchant.ErrAmount, ExitNo},
		{merchant.ErrDestination, ExitNo},
		{merchant.ErrNotRefundable, ExitNo},
		{merchant.ErrPhone, ExitUsage},
		{merchant.ErrBraked, ExitNo},
		{merchant.ErrSuspended, ExitNo},
	} {
		if errors.Is(err, known.is) {
			return exitf(known.code, "%w; nothing was done", err)
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		return exitf(ExitNo, "there is no such thing of this merchant; nothing was done")
	}
	return err
}

type merchantAdd struct {
	place
	Name  string `arg:"" help:"As clients read it in SMS: 2 to 20 letters."`
	Payee string `placeholder:"WHO" help:"The member who is paid out."`
}

// Run registers a merchant.
func (c merchantAdd) Run(ctx context.Context, io *Streams) error {
	b, err := c.open(ctx, true)
	if err != nil {
		return err
	}
	defer b.Close() //nolint:errcheck // every Update is on disk already
	var live, test *trade.Merchant
	err = b.update(ctx, func(tx *store.Tx) error {
		n := merchant.NewMerchant{Name: c.Name}
		if c.Payee != "" {
			m, err := b.find(ctx, tx, c.Payee)
			if err != nil {
				return err
			}
			n.Member = m.ID
		}
		live, test, err = b.Merchants.Add(ctx, tx, treasury.Operator, n)
		return trader(err)
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(io.Out, "%s is %s, and %s for tests\n", live.Name, object.MerchantID.Of(live.ID), object.MerchantID.Of(test.ID))
	return err
}

type merchantList struct{ place }

// Run lists the merchants.
func (c merchantList) Run(ctx context.Context, io *Streams) error {
	b, err := c.open(ctx, false)
	if err != nil {
		return err
	}
	defer b.Close() //nolint:errcheck // only read
	var all []*trade.Merchant
	err = b.view(ctx, func(tx *store.Tx) (err error) {
		all, err = b.Merchants.Merchants(ctx, tx, 0, store.MaxRecords)
		return err
	})
	if err != nil {
		return err
	}
	if len(all) == 0 {
		fmt.Fprintln(io.Err, "there is no merchant; maillon merchant add NAME makes one")
		return nil
	}
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "merchant\tname\tfor tests\tpayee\tstate\tsince")
	for _, m := range all {
		payee := "-"
		if m.Member != 0 {
			payee = fmt.Sprintf("member:%d", m.Member)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n",
			object.MerchantID.Of(m.ID), m.Name, object.MerchantID.Of(m.Twin), payee, shopState(m), b.showTime(m.Created))
	}
	return w.Flush()
}

// shopState says whether a merchant may go on.
func shopState(m *trade.Merchant) string {
	switch {
	case m.Suspended:
		return "suspended"
	case m.Braked:
		return "braked"
	}
	return "good"
}

type merchantShow struct{ shop }

// Run shows a merchant.
func (c merchantShow) Run(ctx context.Context, io *Streams) error {
	return c.look(ctx, func(b *books, tx *store.Tx, m *trade.Merchant) error {
		due, err := b.Merchants.Payable(ctx, tx, m)
		if err != nil {
			return err
		}
		o, err := b.Merchants.Outcomes(ctx, tx, m, b.Merchants.Now(tx, m).AddDate(0, -3, 0))
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "merchant\t%s\n", object.MerchantID.Of(m.ID))
		fmt.Fprintf(w, "name\t%s\n", m.Name)
		fmt.Fprintf(w, "state\t%s\n", shopState(m))
		for _, d := range due {
			in := func(sum int64) money.Amount { return money.New(sum, d.Currency) }
			fmt.Fprintf(w, "earned\t%s, of which %s waits, and %s can be paid out\n", in(d.Earned), in(d.Withheld), in(d.Available))
		}
		fmt.Fprintf(w, "orders of 3 months\t%d honoured, %d forfeited, %d withdrawn, %d released, %d open\n",
			o.Honoured, o.Forfeited, o.Withdrawn, o.Released, o.Open)
		return w.Flush()
	})
}

type merchantPayee struct {
	shop
	Who string `arg:"" help:"The member: pseudo, number, or member:ID."`
}

// Run says who is paid out.
func (c merchantPayee) Run(ctx context.Context, io *Streams) error {
	return c.act(ctx, func(b *books, tx *store.Tx, m *trade.Merchant) error {
		payee, err := b.find(ctx, tx, c.Who)
		if err != nil {
			return err
		}
		if err := b.Merchants.SetPayee(ctx, tx, treasury.Operator, m.ID, payee.ID); err != nil {
			return err
		}
		_, err = fmt.Fprintf(io.Out, "%s is paid out to %s\n", m.Name, called(payee))
		return err
	})
}

type merchantSuspend struct {
	shop
	Reason string `required:"" help:"Why. It stays in the journal for ever, so name nobody in it."`
}

// Run stops a merchant.
func (c merchantSuspend) Run(ctx context.Context, io *Streams) error {
	return c.act(ctx, func(b *books, tx *store.Tx, m *trade.Merchant) error {
		if err := b.Merchants.Suspend(ctx, tx, treasury.Operator, m.ID, true, c.Reason); err != nil {
			return err
		}
		_, err := fmt.Fprintf(io.Out, "%s is suspended; orders under way keep their course\n", m.Name)
		return err
	})
}

type merchantResume struct {
	shop
	Reason string `required:"" help:"Why. It stays in the journal for ever, so name nobody in it."`
}

// Run lets a merchant go on.
func (c merchantResume) Run(ctx context.Context, io *Streams) error {
	return c.act(ctx, func(b *books, tx *store.Tx, m *trade.Merchant) error {
		if err := b.Merchants.Suspend(ctx, tx, treasury.Operator, m.ID, false, c.Reason); err != nil {
			return err
		}
		if err := b.Merchants.Unbrake(ctx, tx, treasury.Operator, m.ID, c.Reason); err != nil {
			return err
		}
		_, err := fmt.Fprintf(io.Out, "%s goes on\n", m.Name)
		return err
	})
}
