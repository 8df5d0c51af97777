package cli

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"maillon/internal/merchant"
	"maillon/internal/money"
	"maillon/internal/store"
	"maillon/internal/trade"
	"maillon/internal/trade/object"
	"maillon/internal/treasury"
)

type merchantPolicy struct {
	shop
	Keyword   string   `required:"" help:"The first word of the SMS: 2 to 12 letters and digits, such as SOUK."`
	Currency  string   `required:"" help:"A unit of the association, or a code such as MAD." placeholder:"CODE"`
	Kind      string   `required:"" enum:"advance,deposit,both" help:"What the money is: advance (spent with each order), deposit (at stake), both."`
	Flow      string   `default:"code" enum:"code,username,phone" help:"How the shop knows the client: ${enum}."`
	Number    string   `help:"The short number that clients text; that of the association without it." placeholder:"NUMBER"`
	Messages  int      `default:"1" help:"How many SMS are needed."`
	Price     string   `default:"0" help:"What each costs the client, such as 10,00; 0: the usual rate."`
	Advance   string   `default:"0" help:"What one order takes."`
	Deposit   string   `default:"0" help:"What is at stake."`
	Forfeit   string   `default:"0" help:"At most this of the deposit is lost; 0: all of it."`
	Orders    int      `help:"How many orders; 0: as many as the client likes."`
	Open      int      `name:"open" help:"How many may be on their way at once; needed if orders are not limited."`
	MaxTotal  string   `default:"0" help:"The greatest order; 0: any."`
	Days      int      `help:"How many days it lasts; 0: for ever."`
	Delivery  string   `default:"both" enum:"home,pickup,both" help:"How orders are delivered: ${enum}."`
	Pickup    []string `help:"The pickup points that there are, with commas between; none: any." placeholder:"POINT"`
	Window    int      `default:"72" help:"Hours in which a client can dispute."`
	OnOutage  string   `default:"closed" enum:"closed,open" help:"What the shop does while maillon cannot be reached: ${enum}."`
	Rail      []string `help:"How money may come: premium_sms, balance, cash; all without it." placeholder:"RAIL"`
	Basis     string   `default:"face" enum:"face,net" help:"What counts of a premium SMS: what the client paid, or what the operator passes on."`
	Holder    string   `default:"platform" enum:"platform,merchant" help:"Whose the money is until it has an outcome."`
	Returns   bool     `help:"An order that the merchant cancels does not count."`
	Withdraws bool     `help:"The advance of an order that was withdrawn goes back to the client."`
}

// aDay is what --days counts in.
const aDay = 24 * time.Hour

// Run adds an offer.
func (c merchantPolicy) Run(ctx context.Context, io *Streams) error {
	return c.act(ctx, func(b *books, tx *store.Tx, m *trade.Merchant) error {
		p, err := c.policy(b)
		if err != nil {
			return err
		}
		if err := b.Merchants.AddPolicy(ctx, tx, treasury.Operator, m, p); err != nil {
			return err
		}
		_, err = fmt.Fprintf(io.Out, "%s: clients write %s\n", object.PolicyID.Of(p.ID), p.Keyword)
		return err
	})
}

func (c merchantPolicy) policy(b *books) (*trade.Policy, error) {
	currency, ok := b.Settings.CurrencyOf(c.Currency)
	if !ok {
		return nil, exitf(ExitUsage, "--currency %s: a unit of the association, or a code of ISO 4217 such as MAD, is expected", c.Currency)
	}
	p := &trade.Policy{
		Keyword: strings.ToUpper(c.Keyword), ShortCode: c.Number, Flow: trade.Flow(c.Flow), Kind: trade.Kind(c.Kind), Messages: c.Messages, Currency: currency,
		MaxOrders: c.Orders, MaxOpen: c.Open, Validity: time.Duration(c.Days) * aDay, Delivery: trade.Delivery(c.Delivery), Pickups: c.Pickup,
		Window: time.Duration(c.Window) * time.Hour, ReturnsSlot: c.Returns, RefundWithdraw: c.Withdraws, OnOutage: trade.Outage(c.OnOutage),
		Basis: trade.Basis(c.Basis), Holder: trade.Holder(c.Holder),
	}
	for _, r := range c.Rail {
		p.Rails = append(p.Rails, trade.Rail(r))
	}
	for _, s := range []struct {
		flag, text string
		to         *int64
	}{
		{"--price", c.Price, &p.Price},
		{"--advance", c.Advance, &p.PerOrder},
		{"--deposit", c.Deposit, &p.Deposit},
		{"--forfeit", c.Forfeit, &p.Forfeit},
		{"--max-total", c.MaxTotal, &p.MaxTotal},
	} {
		sum, err := parseSum(s.text, currency)
		if err != nil {
			return nil, exitf(ExitUsage, "%s %s: %w", s.flag, s.text, err)
		}
		*s.to = sum.Minor()
	}
	return p, nil
}

type merchantPolicies struct{ shop }

// Run lists the offers.
func (c merchantPolicies) Run(ctx context.Context, io *Streams) error {
	return c.look(ctx, func(b *books, tx *store.Tx, m *trade.Merchant) error {
		all, err := b.Merchants.Policies(ctx, tx, m, merchant.Page{Limit: maxOfShop})
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "policy\tkeyword\tflow\tkind\tmessages\tprice\tadvance\tdeposit\torders\tstate")
		for _, p := range all {
			in := func(sum int64) money.Amount { return money.New(sum, p.Currency) }
			state := "open"
			if p.Ended {
				state = "ended"
			}
			orders := "any"
			if p.MaxOrders > 0 {
				orders = fmt.Sprint(p.MaxOrders)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", object.PolicyID.Of(p.ID), p.Keyword, p.Flow, p.Kind, p.Messages,
				in(p.Price), in(p.PerOrder), in(p.Deposit), orders, state)
		}
		return w.Flush()
	})
}

type merchantEnd struct {
	shop
	Policy string `arg:"" help:"The policy: pol_5."`
}

// Run ends an offer.
func (c merchantEnd) Run(ctx context.Context, io *Streams) error {
	return c.act(ctx, func(b *books, tx *store.Tx, m *trade.Merchant) error {
		id, err := number(object.PolicyID, c.Policy)
		if err != nil {
			return err
		}
		p, err := b.Merchants.Policy(ctx, tx, m, id)
		if err != nil {
			return err
		}
		p.Ended = true
		if err := b.Merchants.ChangePolicy(ctx, tx, treasury.Operator, m, p); err != nil {
			return err
		}
		_, err = fmt.Fprintf(io.Out, "%s takes nobody new; who has paid under it keeps what she has\n", c.Policy)
		return err
	})
}

// number reads an ID.
func number(prefix object.Prefix, text string) (int64, error) {
	n, ok := prefix.Number(text)
	if !ok {
		return 0, exitf(ExitUsage, "%s: an ID such as %s is expected", text, prefix.Of(5))
	}
	return n, nil
}
