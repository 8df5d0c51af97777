package payment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"maillon/internal/correction"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/order"
	"maillon/internal/store"
)

// Correct posts the entries of a correction, each once, and tells whom they
// concern. batch names it among all corrections. Either all of it happens or,
// by the error, the caller's transaction undoes it.
func (d *Desk) Correct(ctx context.Context, tx *store.Tx, batch int64, by int64, c money.Currency, lines []correction.Line) error {
	told := &affected{of: map[ledger.AccountID]*share{}, ended: map[ledger.TransactionID]ledger.Transaction{}}
	if err := tx.ExpectMany(ctx, nil, len(lines)); err != nil {
		return err
	}
	for n, l := range lines {
		if err := d.correctOne(ctx, tx, fmt.Sprintf("correction:%d:%s:%d", batch, c.Code, n), by, c, l, told); err != nil {
			return fmt.Errorf("entry %d of %d: %w", n+1, len(lines), err)
		}
	}
	for _, a := range told.order {
		if err := d.tellShare(ctx, tx, a, c, told.of[a]); err != nil {
			return err
		}
	}
	return nil
}

// affected are the accounts of a correction, in the order of its entries, and
// the transfers about which nothing is asked any more.
type affected struct {
	of    map[ledger.AccountID]*share
	order []ledger.AccountID
	ended map[ledger.TransactionID]ledger.Transaction
}

// A share is what a correction means to one account, and the entry that its
// member knows it by: the largest.
type share struct {
	sum, largest int64
	known        ledger.TransactionID
}

func (a *affected) add(id ledger.AccountID, sum, size int64, known ledger.TransactionID) {
	s, ok := a.of[id]
	if !ok {
		s = &share{}
		a.of[id], a.order = s, append(a.order, id)
	}
	s.sum += sum
	if size > s.largest {
		s.largest, s.known = size, known
	}
}

func (d *Desk) correctOne(ctx context.Context, tx *store.Tx, key string, by int64, c money.Currency, l correction.Line, told *affected) error {
	known := l.Via // what the account knows: by which its money came
	if known == 0 {
		known = l.Reverses
	}
	amount := money.New(l.Amount, c)
	if err := d.unhold(ctx, tx, l.From, amount, known, l.Reverses); err != nil {
		return err
	}
	to, err := d.heir(ctx, tx, l.To)
	if err != nil {
		return err
	}
	if to == l.From {
		return nil // who would get it has left, and it is in the pot already
	}
	root, err := d.end(ctx, tx, told, l.Reverses)
	if err != nil {
		return err
	}
	if _, err := d.end(ctx, tx, told, known); err != nil {
		return err
	}
	o := &order.Order{Kind: order.Reversal, State: order.Done, Owner: by, Amount: amount, Target: root.ID, TargetRef: root.Ref, Ended: tx.Now()}
	if err := tx.InsertOrder(ctx, o, nil); err != nil {
		return err
	}
	postings, err := ledger.Transfer(l.From, to, amount)
	if err != nil {
		return err
	}
	t := ledger.Transaction{
		Ref: o.Ref, Key: key, Kind: ledger.Correction, At: tx.Now(), Postings: postings, Reverses: l.Reverses, Via: l.Via, Note: l.Note,
	}
	if err := ledger.Post(ctx, tx, &t); err != nil {
		return err
	}
	o.Transaction = t.ID
	if err := tx.SaveOrder(ctx, o); err != nil {
		return err
	}
	told.add(l.From, -l.Amount, l.Amount, known)
	told.add(to, l.Amount, l.Amount, l.Reverses)
	return nil
}

// end ends what is asked about a transfer, and its waiting if it is a gift: once,
// for a theft may have as many entries as there are members.
func (d *Desk) end(ctx context.Context, tx *store.Tx, told *affected, id ledger.TransactionID) (ledger.Transaction, error) {
	if t, ok := told.ended[id]; ok {
		return t, nil
	}
	t, err := tx.Transaction(ctx, id)
	if err != nil {
		return t, err
	}
	told.ended[id] = t
	if err := d.endAbout(ctx, tx, &order.Order{Target: id}); err != nil {
		return t, err
	}
	return t, d.endGift(ctx, tx, id)
}

// unhold sets free what a sum needs of what is set aside on an account: first
// what is set aside because of the fraud, then the rest.
func (d *Desk) unhold(ctx context.Context, tx *store.Tx, id ledger.AccountID, sum money.Amount, because ...ledger.TransactionID) error {
	if a, err := tx.Account(ctx, id); err != nil || a.Unbounded || a.Spendable().Cmp(sum) >= 0 {
		return err
	}
	for _, t := range because {
		holds, err := tx.HoldsFor(ctx, t)
		if err != nil {
			return err
		}
		if err := d.release(ctx, tx, id, sum, holds); err != nil {
			return err
		}
	}
	holds, err := tx.HoldsOn(ctx, id, maxQuestions)
	if err != nil {
		return err
	}
	return d.release(ctx, tx, id, sum, holds)
}

func (d *Desk) release(ctx context.Context, tx *store.Tx, id ledger.AccountID, sum money.Amount, holds []ledger.HoldID) error {
	for _, h := range holds {
		a, err := tx.Account(ctx, id)
		if err != nil || a.Unbounded || a.Spendable().Cmp(sum) >= 0 {
			return err
		}
		if err := ledger.Release(ctx, tx, h); err != nil {
			return err
		}
	}
	return nil
}

// tellShare tells a member what a correction changed.
func (d *Desk) tellShare(ctx context.Context, tx *store.Tx, id ledger.AccountID, c money.Currency, s *share) error {
	if s.sum == 0 {
		return nil
	}
	t, err := tx.Transaction(ctx, s.known)
	if err != nil {
		return err
	}
	sign, sum := "+", s.sum
	if sum < 0 {
		sign, sum = "-", -sum
	}
	return d.tellCorrection(ctx, tx, id, sign, &order.Order{Amount: money.New(sum, c)}, t, true)
}

// PayAgain enters a payment again that a correction undid though it was honest,
// once, and tells both. It returns ledger.ErrInsufficient if the payer has no
// longer enough.
func (d *Desk) PayAgain(ctx context.Context, tx *store.Tx, by int64, t ledger.Transaction) error {
	if len(t.Postings) != 2 {
		return ErrNotUndone
	}
	from, to, amount := t.Postings[0].Account, t.Postings[1].Account, t.Postings[1].Amount
	o := &order.Order{Kind: order.Reversal, State: order.Done, Owner: by, Amount: amount, Target: t.ID, TargetRef: t.Ref, Ended: tx.Now()}
	for _, side := range []ledger.AccountID{from, to} {
		id, _, err := tx.Owner(ctx, side)
		if err != nil {
			return err
		}
		if id == 0 {
			continue
		}
		m, err := tx.Member(ctx, id)
		if err != nil {
			return err
		}
		if m.State == member.Closed {
			return ErrNotUndone
		}
	}
	if err := tx.InsertOrder(ctx, o, nil); err != nil {
		return err
	}
	postings, err := ledger.Transfer(from, to, amount)
	if err != nil {
		return err
	}
	again := ledger.Transaction{Ref: o.Ref, Key: againKey(t.ID), Kind: t.Kind, At: tx.Now(), Postings: postings}
	if err := ledger.Post(ctx, tx, &again); err != nil {
		return err
	}
	o.Transaction = again.ID
	if err := tx.SaveOrder(ctx, o); err != nil {
		return err
	}
	for _, side := range []struct {
		account ledger.AccountID
		sign    string
	}{{from, "-"}, {to, "+"}} {
		if err := d.tellCorrection(ctx, tx, side.account, side.sign, o, t, false); err != nil {
			return err
		}
	}
	return nil
}

func againKey(id ledger.TransactionID) string { return fmt.Sprintf("again:%d", id) }

// PaidAgain reports whether a payment was entered again.
func (d *Desk) PaidAgain(ctx context.Context, tx *store.Tx, id ledger.TransactionID) (bool, error) {
	_, err := tx.TransactionByKey(ctx, againKey(id))
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// EndQuestions cancels what is asked and not answered, or held, whoever asked:
// after a correction no old code moves money. Those whose own order it was are
// told when payments go on.
func (d *Desk) EndQuestions(ctx context.Context, tx *store.Tx) error {
	for after := int64(0); ; {
		open, err := tx.AllOpen(ctx, tx.Now(), after, maxQuestions)
		if err != nil {
			return err
		}
		for _, o := range open {
			after = o.ID
			if !o.Own() && o.Kind != order.Request {
				continue
			}
			o.State, o.Ended, o.Due = order.Cancelled, tx.Now(), time.Time{}
			if err := tx.SaveOrder(ctx, o); err != nil {
				return err
			}
			m, err := tx.Member(ctx, member.ID(o.Owner))
			if err != nil {
				return err
			}
			m.Waiting = true
			if err := tx.SeeMember(ctx, m); err != nil {
				return err
			}
		}
		if len(open) < maxQuestions {
			return nil
		}
	}
}
