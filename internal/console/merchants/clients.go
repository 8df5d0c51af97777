package merchants

import (
	"context"
	"fmt"

	"maillon/internal/console/frame"
	"maillon/internal/merchant"
	"maillon/internal/money"
	"maillon/internal/store"
	"maillon/internal/trade"
)

// A client is an authorization in a list.
type client struct {
	*trade.Authorization
	P                                  *trade.Policy
	DepositSum, AdvanceSum, Refundable money.Amount
}

func newClient(a *trade.Authorization, p *trade.Policy) client {
	return client{a, p, money.New(a.Deposit, p.Currency), money.New(a.Advance, p.Currency), money.New(a.Refundable(), p.Currency)}
}

func (r room) listClients(v *frame.Visit) error {
	var page struct {
		*trade.Merchant
		All  []client
		Next int64
	}
	err := v.View(func(ctx context.Context, tx *store.Tx) (err error) {
		if page.Merchant, err = r.its(ctx, tx, v); err != nil {
			return err
		}
		all, err := r.Authorizations(ctx, tx, page.Merchant, merchant.Page{Limit: pageSize + 1, Newest: true, Before: before(v)}, "")
		if err != nil {
			return err
		}
		all, page.Next = paged(all, func(a *trade.Authorization) int64 { return a.ID })
		policies := map[int64]*trade.Policy{}
		for _, a := range all {
			if policies[a.Policy] == nil {
				if policies[a.Policy], err = r.Policy(ctx, tx, page.Merchant, a.Policy); err != nil {
					return err
				}
			}
			page.All = append(page.All, newClient(a, policies[a.Policy]))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return v.Show("clients", page)
}

func (r room) client(ctx context.Context, tx *store.Tx, id int64) (*trade.Merchant, client, error) {
	a, err := r.Authorization(ctx, tx, nil, id)
	if err != nil {
		return nil, client{}, err
	}
	m, err := r.Merchant(ctx, tx, a.Merchant)
	if err != nil {
		return nil, client{}, err
	}
	p, err := r.Terms(ctx, tx, a)
	if err != nil {
		return nil, client{}, err
	}
	return m, newClient(a, p), nil
}

func (r room) showClient(v *frame.Visit) error {
	var page struct {
		client
		Of     *trade.Merchant
		Orders []orderRow
		Key    string
		Price  money.Amount
		Cash   bool
	}
	page.Key = draw()
	id, err := v.PathID("id")
	if err != nil {
		return err
	}
	err = v.View(func(ctx context.Context, tx *store.Tx) (err error) {
		if page.Of, page.client, err = r.client(ctx, tx, id); err != nil {
			return err
		}
		page.Price = money.New(page.P.Price, page.P.Currency)
		page.Cash = page.Live() && page.P.Takes(trade.Cash) && page.P.Price > 0
		all, err := r.Claims(ctx, tx, page.Of, merchant.Page{Parent: id, Limit: pageSize, Newest: true})
		for _, c := range all {
			page.Orders = append(page.Orders, orderRow{c, r.sumOf(c)})
		}
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("client", page)
}

// changeClient takes cash, gives back, or revokes.
func (r room) changeClient(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	id, err := v.PathID("id")
	if err != nil {
		return err
	}
	err = v.Update(func(ctx context.Context, tx *store.Tx) error {
		m, c, err := r.client(ctx, tx, id)
		if err != nil {
			return err
		}
		switch v.Value("what") {
		case "cash":
			_, err = r.TakeCash(ctx, tx, v.By(), m, id, "form:"+v.Value("key"))
		case "revoke":
			_, err = r.Revoke(ctx, tx, v.By(), m, id, v.Value("reason"))
		case "refund":
			amount, wrong := sum(v, "amount", c.P.Currency)
			if wrong != nil {
				return wrong
			}
			_, err = r.Refund(ctx, tx, v.By(), m, id, v.Value("to"), amount)
		default:
			err = frame.ErrForm
		}
		return err
	})
	if err != nil {
		return sorry(v, err)
	}
	return v.Done(fmt.Sprintf("/clients/%d", id), "merchants.done")
}
