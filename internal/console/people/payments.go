package people

import (
	"context"
	"errors"
	"time"

	"maillon/internal/auth"
	"maillon/internal/console/frame"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/notice"
	"maillon/internal/order"
	"maillon/internal/payment"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// An entry is a transaction with the names of its sides.
type entry struct {
	ledger.Transaction
	From, To     string
	FromID, ToID member.ID // 0: of the association
	Amount       money.Amount
}

// entries names the sides of transactions.
func (r room) entries(ctx context.Context, tx *store.Tx, v *frame.Visit, all ...ledger.Transaction) ([]entry, error) {
	sides := map[ledger.AccountID]store.AccountRow{}
	var owners []member.ID
	for _, t := range all {
		for _, p := range t.Postings {
			if _, ok := sides[p.Account]; ok {
				continue
			}
			row, err := tx.AccountRow(ctx, p.Account)
			if err != nil {
				return nil, err
			}
			sides[p.Account] = row
			owners = append(owners, row.Member)
		}
	}
	names, err := v.Names(ctx, tx, owners...)
	if err != nil {
		return nil, err
	}
	list := make([]entry, 0, len(all))
	for _, t := range all {
		e := entry{Transaction: t}
		for _, p := range t.Postings {
			row, name, id := sides[p.Account], &e.To, &e.ToID
			if p.Amount.Sign() < 0 {
				name, id = &e.From, &e.FromID
			} else {
				e.Amount = p.Amount
			}
			if *name, *id = row.Name, row.Member; row.Member != 0 {
				*name = names.Of(row.Member)
			}
		}
		list = append(list, e)
	}
	return list, nil
}

type paymentsView struct {
	Kind         ledger.Kind
	Kinds        []ledger.Kind
	Sum          string
	Since, Until string // days
	Wrong        string
	Rows         []entry
	Next         ledger.TransactionID
}

const dayForm = "2006-01-02"

func (r room) payments(v *frame.Visit) error {
	p := paymentsView{
		Kind: ledger.Kind(v.Value("kind")), Sum: v.Value("sum"), Since: v.Value("since"), Until: v.Value("until"),
		Kinds: []ledger.Kind{ledger.Payment, ledger.Credit, ledger.Return, ledger.Correction, ledger.Closing},
	}
	w := store.TransactionsWhere{Kind: p.Kind}
	if p.Sum != "" {
		sum, err := v.Sum("sum")
		if err != nil {
			p.Wrong = v.Say("frame.sum")
		}
		w.Amount = sum.Minor()
	}
	for text, to := range map[string]*time.Time{p.Since: &w.Since, p.Until: &w.Until} {
		if text == "" {
			continue
		}
		day, err := time.ParseInLocation(dayForm, text, r.server.Settings.Zone)
		if err != nil {
			p.Wrong = v.Say("payments.day.wrong")
		}
		*to = day
	}
	if !w.Until.IsZero() {
		w.Until = w.Until.AddDate(0, 0, 1)
	}
	if before, err := v.QueryID("before"); err == nil {
		w.Before = ledger.TransactionID(before)
	}
	if p.Wrong != "" {
		return v.Refuse("payments", p)
	}
	err := v.View(func(ctx context.Context, tx *store.Tx) error {
		found, next, err := tx.FindTransactions(ctx, w, perPage)
		if err != nil {
			return err
		}
		p.Next = next
		p.Rows, err = r.entries(ctx, tx, v, found...)
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("payments", p)
}

type paymentView struct {
	entry
	Order    *order.Order // nil: nobody asked for it by SMS or here
	About    []*order.Order
	Reversal *entry // that undid it
	Undone   *entry // that it undoes
	Back     money.Amount
	Told     []store.Letter // SMS that a reversal would send
	Open     bool           // a dispute waits
	May      bool           // be reversed
}

func (r room) payment(v *frame.Visit) error {
	var p paymentView
	err := v.View(func(ctx context.Context, tx *store.Tx) error {
		t, err := tx.TransactionByRef(ctx, v.Request.PathValue("ref"))
		if err != nil {
			return err
		}
		all, err := r.entries(ctx, tx, v, t)
		if err != nil {
			return err
		}
		p.entry = all[0]
		return r.life(ctx, tx, v, &p)
	})
	if err == nil && p.May && v.May(auth.Reverse) {
		err = r.rehearse(v, &p)
	}
	if err != nil {
		return err
	}
	return v.Show("payment", p)
}

// life is what led to a payment and what came of it.
func (r room) life(ctx context.Context, tx *store.Tx, v *frame.Visit, p *paymentView) (err error) {
	if p.Order, err = tx.OrderOf(ctx, p.ID); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if p.About, err = tx.OrdersAbout(ctx, p.ID, maxStory); err != nil {
		return err
	}
	for _, o := range p.About {
		p.Open = p.Open || o.State == order.Disputed
	}
	undo, err := tx.ReversalOf(ctx, p.ID)
	if err == nil {
		if p.Reversal, err = r.named(ctx, tx, v, undo); err != nil {
			return err
		}
	} else if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if p.Reverses != 0 {
		undone, err := tx.Transaction(ctx, p.Reverses)
		if err != nil {
			return err
		}
		if p.Undone, err = r.named(ctx, tx, v, undone); err != nil {
			return err
		}
	}
	p.May = p.Reversal == nil && p.Reverses == 0 && len(p.Postings) == 2 && p.Kind != ledger.Opening && p.Kind != ledger.Trade
	if !p.May {
		return nil
	}
	return nil
}

// rehearse finds out what a reversal would do, by doing it and undoing that.
func (r room) rehearse(v *frame.Visit, p *paymentView) error {
	p.Back = money.New(0, p.Amount.Currency())
	err := r.server.DB.Rehearse(v.Context(), func(tx *store.Tx) error {
		ctx := v.Context()
		last, err := tx.LastOut(ctx)
		if err != nil {
			return err
		}
		if p.Back, err = r.server.Treasury.Reverse(ctx, tx, v.By(), v.Who.Member, p.Ref, false, ""); err != nil {
			return err
		}
		p.Told, err = r.drafts(ctx, tx, last)
		return err
	})
	switch {
	case errors.Is(err, ledger.ErrInsufficient):
		return nil
	case errors.Is(err, ledger.ErrDuplicate), errors.Is(err, payment.ErrNotUndone): // meanwhile, or never
		p.May = false
		return nil
	}
	if _, refused := errors.AsType[*notice.Refusal](err); refused {
		p.May = false
		return nil
	}
	return err
}

// drafts are the SMS that a transaction has written after one, without secrets.
func (r room) drafts(ctx context.Context, tx *store.Tx, after int64) ([]store.Letter, error) {
	outs, err := tx.Outbox(ctx, after, maxStory)
	if err != nil {
		return nil, err
	}
	var all []store.Letter
	for _, o := range outs {
		one := []store.Letter{{At: o.At, Out: true, Text: o.Text, State: o.State, Priority: o.Priority}}
		if o.Member != 0 {
			m, err := tx.Member(ctx, o.Member)
			if err != nil {
				return nil, err
			}
			if err := r.server.Teller.Veil(ctx, tx, m, one); err != nil {
				return nil, err
			}
		}
		all = append(all, one...)
	}
	return all, nil
}

func (r room) named(ctx context.Context, tx *store.Tx, v *frame.Visit, t ledger.Transaction) (*entry, error) {
	all, err := r.entries(ctx, tx, v, t)
	if err != nil {
		return nil, err
	}
	return &all[0], nil
}

func (r room) reverse(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	ref, reason := v.Request.PathValue("ref"), v.Value("reason")
	if reason == "" || len([]rune(reason)) > maxReason {
		return treasury.ErrReason
	}
	var back money.Amount
	err := v.Update(func(ctx context.Context, tx *store.Tx) (err error) {
		back, err = r.server.Treasury.Reverse(ctx, tx, v.By(), v.Who.Member, ref, v.Value("why") == "fraud", reason)
		return err
	})
	if err != nil {
		return err
	}
	return v.Done("/payments/"+ref, "payment.reversed", back)
}

// A dispute waits for a decision.
type dispute struct {
	*order.Order
	Paid entry
}

type disputesView struct {
	Disputes []dispute
	Moves    []move
	Gifts    []gift
	After    int64 // from which gift on there are more; 0: there are none
}

// A gift waits for the yes of a number.
type gift struct {
	*order.Order
	From, To string
	Till     time.Time // then it goes back
}

// A move is a change of number that waits.
type move struct {
	*order.Order
	Name string
}

func (r room) disputes(v *frame.Visit) error {
	var d disputesView
	err := v.View(func(ctx context.Context, tx *store.Tx) error {
		all, err := tx.Disputes(ctx, 0, perPage)
		if err != nil {
			return err
		}
		for _, o := range all {
			t, err := tx.Transaction(ctx, o.Target)
			if err != nil {
				return err
			}
			paid, err := r.named(ctx, tx, v, t)
			if err != nil {
				return err
			}
			d.Disputes = append(d.Disputes, dispute{o, *paid})
		}
		moves, err := tx.WaitingOrders(ctx, 0, perPage, order.Renumber)
		if err != nil {
			return err
		}
		var owners []member.ID
		for _, o := range moves {
			owners = append(owners, member.ID(o.Owner))
		}
		names, err := v.Names(ctx, tx, owners...)
		for _, o := range moves {
			d.Moves = append(d.Moves, move{o, names.Of(member.ID(o.Owner))})
		}
		if err != nil {
			return err
		}
		return r.gifts(ctx, tx, v, &d)
	})
	if err != nil {
		return err
	}
	return v.Show("disputes", d)
}

// gifts are those that nobody has accepted yet.
func (r room) gifts(ctx context.Context, tx *store.Tx, v *frame.Visit, d *disputesView) error {
	after, _ := v.QueryID("after") // anything else is the first page
	all, err := tx.WaitingOrders(ctx, after, perPage+1, order.Pay, order.Credit)
	if err != nil {
		return err
	}
	if len(all) > perPage {
		all = all[:perPage]
		d.After = all[perPage-1].ID
	}
	var who []member.ID
	for _, o := range all {
		who = append(who, member.ID(o.Payer), member.ID(o.Payee))
	}
	names, err := v.Names(ctx, tx, who...)
	if err != nil {
		return err
	}
	for _, o := range all {
		g := gift{Order: o, From: r.server.Settings.Association, To: names.Of(member.ID(o.Payee)), Till: o.Paid.Add(r.server.Settings.Unaccepted)}
		if o.Payer != 0 {
			g.From = names.Of(member.ID(o.Payer))
		}
		d.Gifts = append(d.Gifts, g)
	}
	return nil
}

func (r room) decide(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	reason, back := v.Value("reason"), v.Value("verdict") == "back"
	if reason == "" || len([]rune(reason)) > maxReason {
		return treasury.ErrReason
	}
	err := v.Update(func(ctx context.Context, tx *store.Tx) error {
		return r.server.Treasury.Decide(ctx, tx, v.By(), v.Value("ref"), back, reason)
	})
	switch {
	case err != nil:
		return err
	case back:
		return v.Done("/disputes", "dispute.back")
	}
	return v.Done("/disputes", "dispute.kept")
}
