package payment

import (
	"context"
	"time"

	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/notice"
	"maillon/internal/order"
	"maillon/internal/setting"
	"maillon/internal/store"
)

// Leave closes an account and forgets its member without the code that FERMER
// asks for: administrators decide it. What is left goes to the pot; gifts that
// were not accepted go back.
func (d *Desk) Leave(ctx context.Context, tx *store.Tx, m *member.Member) error {
	paused, err := tx.Paused(ctx)
	if err != nil {
		return err
	}
	if !paused.IsZero() {
		return notice.Refuse("pause", nil)
	}
	if err := d.MayClose(ctx, tx, m); err != nil {
		return err
	}
	if m.State == member.New {
		return d.sendAway(ctx, tx, m)
	}
	balance, err := d.Balance(ctx, tx, m, d.Set.Currency())
	if err != nil {
		return err
	}
	o := &order.Order{Kind: order.Close, State: order.Open, Owner: int64(m.ID), Payer: int64(m.ID), Amount: balance}
	if err := tx.InsertOrder(ctx, o, nil); err != nil {
		return err
	}
	if err := d.endMoves(ctx, tx, m); err != nil {
		return err
	}
	return d.leave(ctx, tx, o, m)
}

// sendAway gives back what a number has not accepted, and forgets it.
func (d *Desk) sendAway(ctx context.Context, tx *store.Tx, m *member.Member) error {
	err := d.eachGift(ctx, tx, m, func(g *order.Order) error { return d.returnGift(ctx, tx, g, m, order.Cancelled) })
	if err != nil {
		return err
	}
	bye := notice.Former(m)
	if err := d.forget(ctx, tx, m); err != nil {
		return err
	}
	return d.Voice.Stranger(ctx, tx, bye, "ferme", nil)
}

// endMoves ends the changes of number that wait.
func (d *Desk) endMoves(ctx context.Context, tx *store.Tx, m *member.Member) error {
	moves, err := tx.OpenOf(ctx, m.ID, order.Renumber, maxQuestions)
	if err != nil {
		return err
	}
	for _, o := range moves {
		o.State, o.Ended, o.Due = order.Cancelled, tx.Now(), time.Time{}
		if err := tx.SaveOrder(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// An Allowance is what a member may still pay, in one currency.
type Allowance struct {
	Spendable money.Amount // what she has, and nothing holds
	Once      money.Amount // the most of one payment now
	Today     money.Amount // what is left of today
	Paid      money.Amount // what today has taken already
	First     money.Amount // the most to somebody new
}

// Allowance returns what a member may still pay today.
func (d *Desk) Allowance(ctx context.Context, tx *store.Tx, m *member.Member, c money.Currency) (Allowance, error) {
	a, err := d.account(ctx, tx, m, c)
	if err != nil {
		return Allowance{}, err
	}
	out, err := tx.PaidOut(ctx, m.ID, c, d.Set.Midnight(tx.Now()), 0)
	if err != nil {
		return Allowance{}, err
	}
	left := max(setting.Whole(d.Set.Day, c).Minor()-out.Today, 0)
	once := min(setting.Whole(d.Set.Max, c).Minor(), left, a.Spendable().Minor())
	sum := func(n int64) money.Amount { return money.New(n, c) }
	return Allowance{
		Spendable: a.Spendable(), Once: sum(once), Today: sum(left), Paid: sum(out.Today),
		First: sum(min(once, setting.Whole(d.Set.FirstMax, c).Minor())),
	}, nil
}
