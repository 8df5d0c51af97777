package merchants

import (
	"context"
	"fmt"
	"time"

	"maillon/internal/console/frame"
	"maillon/internal/merchant"
	"maillon/internal/money"
	"maillon/internal/store"
	"maillon/internal/trade"
)

func (r room) listDisputes(v *frame.Visit) error {
	var page struct {
		All  []*trade.Dispute
		Next int64
	}
	err := v.View(func(ctx context.Context, tx *store.Tx) (err error) {
		page.All, err = r.Disputes(ctx, tx, nil, merchant.Page{Limit: pageSize + 1, Newest: true, Before: before(v)})
		page.All, page.Next = paged(page.All, func(d *trade.Dispute) int64 { return d.ID })
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("disputes", page)
}

func (r room) showDispute(v *frame.Visit) error {
	var page struct {
		*trade.Dispute
		C    *trade.Claim
		Of   *trade.Merchant
		Sum  money.Amount
		Lost money.Amount
		Open bool
	}
	id, err := v.PathID("id")
	if err != nil {
		return err
	}
	err = v.View(func(ctx context.Context, tx *store.Tx) (err error) {
		if page.Dispute, err = r.Service.Dispute(ctx, tx, nil, id); err != nil {
			return err
		}
		if page.Of, err = r.Merchant(ctx, tx, page.Merchant); err != nil {
			return err
		}
		if page.C, err = r.ClaimByID(ctx, tx, page.Of, page.Claim); err != nil {
			return err
		}
		p, err := r.Policy(ctx, tx, page.Of, page.C.Policy)
		if err != nil {
			return err
		}
		page.Sum, page.Lost = money.New(page.C.Total, p.Currency), money.New(page.C.AtRisk+page.C.Advance, p.Currency)
		page.Open = page.State == trade.DisputeOpen || page.State == trade.DisputeAnswer
		return nil
	})
	if err != nil {
		return err
	}
	return v.Show("dispute", page)
}

// judge decides a dispute.
func (r room) judge(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	id, err := v.PathID("id")
	if err != nil {
		return err
	}
	side := v.Value("for")
	if side != "client" && side != "merchant" {
		return frame.ErrForm
	}
	err = v.Update(func(ctx context.Context, tx *store.Tx) error {
		_, err := r.Judge(ctx, tx, v.By(), id, side == "client", v.Value("reason"))
		return err
	})
	if err != nil {
		return sorry(v, err)
	}
	return v.Done(fmt.Sprintf("/contested/%d", id), "merchants.done")
}

// A paid is a payout in a list.
type paid struct {
	*trade.Payout
	Sum money.Amount
}

func (r room) listPayouts(v *frame.Visit) error {
	var page struct {
		*trade.Merchant
		Due   []due
		All   []paid
		Next  int64
		Key   string
		Payee string
	}
	page.Key = draw()
	err := v.View(func(ctx context.Context, tx *store.Tx) (err error) {
		if page.Merchant, err = r.its(ctx, tx, v); err != nil {
			return err
		}
		owed, err := r.Payable(ctx, tx, page.Merchant)
		if err != nil {
			return err
		}
		page.Due = dues(owed)
		if page.Payee, err = r.payee(ctx, tx, v, page.Merchant); err != nil {
			return err
		}
		all, err := r.Payouts(ctx, tx, page.Merchant, merchant.Page{Limit: pageSize + 1, Newest: true, Before: before(v)})
		all, page.Next = paged(all, func(p *trade.Payout) int64 { return p.ID })
		for _, p := range all {
			page.All = append(page.All, paid{p, money.New(p.Amount, money.Currency{Code: p.Currency, Decimals: p.Decimals})})
		}
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("payouts", page)
}

// pay pays a merchant out.
func (r room) pay(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	c, ok := r.server.Settings.CurrencyOf(v.Value("currency"))
	if !ok {
		return frame.Sorry("merchants.wrong.currency")
	}
	amount, err := sum(v, "amount", c)
	if err != nil {
		return err
	}
	var m *trade.Merchant
	var p *trade.Payout
	err = v.Update(func(ctx context.Context, tx *store.Tx) (err error) {
		if m, err = r.its(ctx, tx, v); err != nil {
			return err
		}
		p, err = r.Pay(ctx, tx, v.By(), m, c.Code, amount, "form:"+v.Value("key"))
		return err
	})
	if err != nil {
		return sorry(v, err)
	}
	return v.Done(sheet(m.ID)+"/payouts", "merchants.paid", money.New(p.Amount, c))
}

// A bill is a statement in a list.
type bill struct {
	*trade.Statement
	Expected, Received money.Amount
}

func (r room) listStatements(v *frame.Visit) error {
	var page struct {
		All  []bill
		Next int64
		Key  string
	}
	page.Key = draw()
	err := v.View(func(ctx context.Context, tx *store.Tx) error {
		all, err := r.Statements(ctx, tx, merchant.Page{Limit: pageSize + 1, Newest: true, Before: before(v)})
		all, page.Next = paged(all, func(s *trade.Statement) int64 { return s.ID })
		for _, s := range all {
			c, ok := r.server.Settings.CurrencyOf(s.Currency)
			if !ok {
				c = money.Currency{Code: s.Currency}
			}
			page.All = append(page.All, bill{s, money.New(s.Expected, c), money.New(s.Received, c)})
		}
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("statements", page)
}

// settle notes what an operator has paid.
func (r room) settle(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	c, ok := r.server.Settings.CurrencyOf(v.Value("currency"))
	if !ok {
		return frame.Sorry("merchants.wrong.currency")
	}
	received, err := sum(v, "received", c)
	if err != nil {
		return err
	}
	until, err := time.ParseInLocation(time.DateOnly, v.Value("until"), r.server.Settings.Zone)
	if err != nil {
		return frame.Sorry("merchants.wrong.day")
	}
	err = v.Update(func(ctx context.Context, tx *store.Tx) error {
		_, err := r.Settle(ctx, tx, v.By(), v.Value("gateway"), c.Code, until.AddDate(0, 0, 1), received, "form:"+v.Value("key"))
		return err
	})
	if err != nil {
		return sorry(v, err)
	}
	return v.Done("/statements", "merchants.done")
}
