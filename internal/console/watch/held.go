package watch

import (
	"context"
	"errors"

	"maillon/internal/auth"
	"maillon/internal/console/frame"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/order"
	"maillon/internal/payment"
	"maillon/internal/store"
)

// maxHeld bounds the queue that is shown, the oldest first.
const maxHeld = 200

// A heldLine is a payment or a credit that waits for a decision.
type heldLine struct {
	*order.Order
	Credit           bool
	From, To         string
	FromPath, ToPath string
	Rules            []alertLine // why it is held
	Mine             bool        // the visitor asked for it: another must decide
	May              bool
	Balance, After   money.Amount // of the payer; of the payee for a credit
	Reason, Wrong    string
	CreditWhy        string // the reason of a credit
	Paused           bool
}

func (r room) listHeld(v *frame.Visit) error {
	var page struct {
		All  []heldLine
		Full bool
	}
	err := v.View(func(ctx context.Context, tx *store.Tx) error {
		queue, err := tx.HeldOrders(ctx, maxHeld)
		if err != nil {
			return err
		}
		page.Full = len(queue) == maxHeld
		page.All, err = r.heldLines(ctx, tx, v, queue)
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("held", page)
}

func (r room) heldLines(ctx context.Context, tx *store.Tx, v *frame.Visit, queue []*order.Order) ([]heldLine, error) {
	var ids []member.ID
	for _, o := range queue {
		ids = append(ids, member.ID(o.Payer), member.ID(o.Payee), member.ID(o.Owner))
	}
	names, err := v.Names(ctx, tx, ids...)
	if err != nil {
		return nil, err
	}
	all := make([]heldLine, len(queue))
	for n, o := range queue {
		from := member.ID(o.Payer)
		l := heldLine{Order: o, Credit: o.Kind == order.Credit}
		if l.Credit {
			from, l.Mine, l.CreditWhy = member.ID(o.Owner), o.Owner == int64(v.Who.Member.ID), o.Secret.Memo
		}
		l.From, l.FromPath = names.Of(from), memberPath(v, from)
		if to := member.ID(o.Payee); to != 0 {
			l.To, l.ToPath = names.Of(to), memberPath(v, to)
		} else {
			l.To = o.PayeeNumber().Masked()
		}
		l.May = v.May(auth.Decide)
		all[n] = l
	}
	return all, nil
}

func (r room) showHeld(v *frame.Visit) error {
	page, err := r.held(v)
	if err != nil {
		return err
	}
	return v.Show("holding", page)
}

// held reads one that waits, with the facts.
func (r room) held(v *frame.Visit) (page heldLine, err error) {
	err = v.View(func(ctx context.Context, tx *store.Tx) error {
		o, err := tx.OrderByRef(ctx, v.Request.PathValue("ref"))
		if err != nil {
			return err
		}
		if o.State != order.Held {
			return payment.ErrNotWaiting
		}
		lines, err := r.heldLines(ctx, tx, v, []*order.Order{o})
		if err != nil {
			return err
		}
		page = lines[0]
		if err := r.effectOf(ctx, tx, &page); err != nil {
			return err
		}
		since, err := tx.Paused(ctx)
		if err != nil {
			return err
		}
		page.Paused = !since.IsZero()
		about, err := tx.Alerts(ctx, store.AlertsWhere{About: member.ID(o.Payer)}, sameSeen)
		if err != nil || o.Payer == 0 {
			return err
		}
		names, err := namesIn(ctx, tx, v, about...)
		for _, a := range alertLines(v, names, about) {
			if orderIn(a.Alert) == o.Ref {
				page.Rules = append(page.Rules, a)
			}
		}
		return err
	})
	return page, err
}

// effectOf says what a release would leave.
func (r room) effectOf(ctx context.Context, tx *store.Tx, l *heldLine) error {
	whose := member.ID(l.Payer)
	if l.Credit {
		whose = member.ID(l.Payee)
	}
	zero := money.New(0, l.Amount.Currency())
	l.Balance, l.After = zero, zero
	if whose != 0 {
		m, err := tx.Member(ctx, whose)
		if err != nil {
			return err
		}
		if l.Balance, err = r.server.Desk.Balance(ctx, tx, m, l.Amount.Currency()); err != nil {
			return err
		}
	}
	var err error
	if l.Credit {
		l.After, err = l.Balance.Add(l.Amount)
		return err
	}
	less, err := l.Amount.Neg()
	if err != nil {
		return err
	}
	l.After, err = l.Balance.Add(less)
	return err
}

func (r room) decide(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	verdict, reason := v.Value("verdict"), v.Value("reason")
	if verdict != "release" && verdict != "reject" {
		return frame.ErrForm
	}
	if reason == "" || len(reason) > maxWhy {
		page, err := r.held(v)
		if err != nil {
			return err
		}
		page.Reason, page.Wrong = reason, v.Say("watch.reason.wrong", maxWhy)
		return v.Refuse("holding", page)
	}
	ref := v.Request.PathValue("ref")
	err := v.Update(func(ctx context.Context, tx *store.Tx) error {
		return r.server.Treasury.Review(ctx, tx, v.By(), v.Who.Member, ref, verdict == "release", reason)
	})
	if err != nil {
		return err
	}
	return v.Done("/held", "held.done."+verdict, ref)
}

// orderIn returns the order of which an alert tells, "" if of none.
func orderIn(a store.Alert) string {
	for _, f := range a.Facts {
		if f.Name == "order" {
			return f.Value
		}
	}
	return ""
}

// became returns the order of which an alert tells: as held if it waits still, as
// paid if its money moved.
func became(ctx context.Context, tx *store.Tx, a store.Alert) (held, paid string, err error) {
	ref := orderIn(a)
	if ref == "" {
		return "", "", nil
	}
	o, err := tx.OrderByRef(ctx, ref)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return "", "", nil
	case err != nil:
		return "", "", err
	case o.State == order.Held:
		return ref, "", nil
	case o.Transaction != 0:
		return "", ref, nil
	}
	return "", "", nil
}
