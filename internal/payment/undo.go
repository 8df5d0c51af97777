package payment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"maillon/internal/guard"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/notice"
	"maillon/internal/order"
	"maillon/internal/store"
)

const (
	refusalsLock = 30 * dayLong // rule REQ1: no more requests
	guessesADay  = 10           // wrong codes a day of one account, however many questions they answer
	wrongCodes   = "wrong"
)

// Request asks a member for money. blocked members answer no at once, without
// being told.
func (d *Desk) Request(ctx context.Context, tx *store.Tx, asker, asked *member.Member, o *order.Order) error {
	o.Kind, o.State, o.Owner = order.Request, order.Open, int64(asker.ID)
	o.Asked, o.Payer, o.Payee = int64(asked.ID), int64(asked.ID), int64(asker.ID)
	if asker.AskTill.After(tx.Now()) {
		return notice.Refuse("demande.bloquee", nil)
	}
	mine, err := tx.OpenOf(ctx, asker.ID, order.Request, d.Set.OpenRequests)
	if err != nil {
		return err
	}
	said := notice.Fields{"amt": o.Amount, "who": Called(asked, o.Secret.Typed)}
	for _, q := range mine {
		if q.Same(o) { // typed again: it was sent already
			said["ref"] = q.Ref
			return d.Voice.Answer(ctx, tx, asker, "demande.envoi", said)
		}
	}
	if len(mine) >= d.Set.OpenRequests {
		return notice.Refuse("demande.max", notice.Fields{"n": d.Set.OpenRequests})
	}
	pair, err := tx.Paid(ctx, asker.ID, asked.ID, o.Amount.Currency(), tx.Now())
	if err != nil {
		return err
	}
	if err := d.looked(ctx, tx, asker, asked, !pair.First.IsZero()); err != nil {
		return err
	}
	blocked, err := tx.Blocked(ctx, asked.ID, asker.ID)
	if err != nil {
		return err
	}
	if blocked {
		o.State, o.Ended = order.Refused, tx.Now()
		if err := tx.InsertOrder(ctx, o, asker); err != nil {
			return err
		}
		return d.requestRefused(ctx, tx, o, asker)
	}
	others, err := d.Questions(ctx, tx, asked)
	if err != nil {
		return err
	}
	o.Question, o.Due = "demande.recu", tx.Now().Add(d.Set.RequestTTL)
	if err := d.writeFor(ctx, tx, o, asker, asked, d.Set.RequestTTL, others); err != nil {
		return err
	}
	said["ref"] = o.Ref
	if err := d.Voice.Answer(ctx, tx, asker, "demande.envoi", said); err != nil {
		return err
	}
	return d.ask(ctx, tx, o, asked)
}

// writeFor is write for a question to another than the owner.
func (d *Desk) writeFor(ctx context.Context, tx *store.Tx, o *order.Order, owner, asked *member.Member, life time.Duration, others []*order.Order) error {
	if err := d.write(ctx, tx, o, owner, life, others); err != nil {
		return err
	}
	o.Line = asked.Line
	return tx.SaveOrder(ctx, o)
}

// TakeBack asks the payee of a payment to give it back; while a gift waits for
// its yes it comes back at once.
func (d *Desk) TakeBack(ctx context.Context, tx *store.Tx, payer *member.Member, paid *order.Order) error {
	payee, err := tx.Member(ctx, member.ID(paid.Payee))
	if err != nil {
		return err
	}
	if paid.State == order.Waiting {
		return d.takeGiftBack(ctx, tx, payer, payee, paid)
	}
	said := notice.Fields{"who": Called(payee, paid.Secret.Typed), "ref": paid.Ref, "amt": paid.Amount}
	about, err := tx.OrdersAbout(ctx, paid.Transaction, maxQuestions)
	if err != nil {
		return err
	}
	for _, q := range about {
		switch {
		case q.Kind == order.Return && q.State == order.Open:
			return d.Voice.Answer(ctx, tx, payer, "retour.envoi", said)
		case q.Kind == order.Return && (q.State == order.Disputed || q.State == order.Refused):
			return d.Voice.Answer(ctx, tx, payer, "retour.non", said)
		case q.State == order.Done:
			return notice.Refuse("code.rien", nil)
		}
	}
	if payee.State == member.Closed {
		return notice.Refuse("code.rien", nil)
	}
	others, err := d.Questions(ctx, tx, payee)
	if err != nil {
		return err
	}
	o := &order.Order{
		Kind: order.Return, Owner: int64(payer.ID), Asked: int64(payee.ID), Payer: int64(payee.ID), Payee: int64(payer.ID),
		Amount: paid.Amount, Question: "retour.recu", Target: paid.Transaction, TargetRef: paid.Ref, Due: tx.Now().Add(d.Set.Dispute),
	}
	if err := d.writeFor(ctx, tx, o, payer, payee, d.Set.Dispute, others); err != nil {
		return err
	}
	if err := d.Voice.Answer(ctx, tx, payer, "retour.envoi", said); err != nil {
		return err
	}
	return d.ask(ctx, tx, o, payee)
}

func (d *Desk) takeGiftBack(ctx context.Context, tx *store.Tx, payer, payee *member.Member, gift *order.Order) error {
	if err := d.MayPay(ctx, tx, payer); err != nil {
		return err
	}
	if err := d.returnGift(ctx, tx, gift, payee, order.Cancelled); err != nil {
		return err
	}
	rest, err := tx.GiftsFor(ctx, payee.ID, 1)
	if err != nil {
		return err
	}
	f := notice.Fields{"who": Called(payer, ""), "amt": gift.Amount}
	if len(rest) > 0 {
		return d.Voice.Answer(ctx, tx, payee, "repris", f)
	}
	former := notice.Former(payee)
	if err := d.forget(ctx, tx, payee); err != nil {
		return err
	}
	return d.Voice.Stranger(ctx, tx, former, "repris", f)
}

// returnGift gives an unaccepted gift back to whoever gave it, or to the pot
// if nobody is there any more.
func (d *Desk) returnGift(ctx context.Context, tx *store.Tx, gift *order.Order, payee *member.Member, end order.State) error {
	from, err := tx.AccountOf(ctx, payee.ID, gift.Amount.Currency())
	if err != nil {
		return err
	}
	payer, to, err := d.giver(ctx, tx, gift)
	if err != nil {
		return err
	}
	back := &order.Order{
		Kind: order.Expiry, State: order.Done, Owner: gift.Owner, Payer: int64(payee.ID), Payee: gift.Payer,
		Amount: gift.Amount, Target: gift.Transaction, TargetRef: gift.Ref, Ended: tx.Now(),
	}
	if err := tx.InsertOrder(ctx, back, nil); err != nil {
		return err
	}
	if err := d.postReturn(ctx, tx, back, from.ID, to, ledger.Return); err != nil {
		return err
	}
	if err := d.endAbout(ctx, tx, back); err != nil {
		return err
	}
	gift.State, gift.Ended, gift.Due = end, tx.Now(), time.Time{}
	if err := tx.SaveOrder(ctx, gift); err != nil || payer == nil {
		return err
	}
	balance, err := d.Balance(ctx, tx, payer, gift.Amount.Currency())
	if err != nil {
		return err
	}
	return d.Voice.Receipt(ctx, tx, payer, "rendu.auto", notice.Fields{
		"phf": full(payee), "amt": gift.Amount, "bal": balance, "ref": back.Ref,
	})
}

// giver returns who gets a gift back: the payer, nil if the association gave
// it or the payer has left, and the account.
func (d *Desk) giver(ctx context.Context, tx *store.Tx, gift *order.Order) (*member.Member, ledger.AccountID, error) {
	name := store.Emission
	if gift.Payer != 0 {
		payer, err := tx.Member(ctx, member.ID(gift.Payer))
		if err != nil {
			return nil, 0, err
		}
		if payer.State != member.Closed {
			a, err := tx.AccountOf(ctx, payer.ID, gift.Amount.Currency())
			return payer, a.ID, err
		}
		name = store.Pot
	}
	a, err := tx.SystemAccount(ctx, name, gift.Amount.Currency())
	return nil, a.ID, err
}

// postReturn posts the amount of o back, once for each transaction, out of
// what a dispute may have held.
func (d *Desk) postReturn(ctx context.Context, tx *store.Tx, o *order.Order, from, to ledger.AccountID, kind ledger.Kind) error {
	holds, err := tx.HoldsFor(ctx, o.Target)
	if err != nil {
		return err
	}
	for _, h := range holds {
		if err := ledger.Release(ctx, tx, h); err != nil {
			return err
		}
	}
	postings, err := ledger.Transfer(from, to, o.Amount)
	if err != nil {
		return err
	}
	t := ledger.Transaction{Ref: o.Ref, Key: ledger.ReverseKey(o.Target), Kind: kind, At: tx.Now(), Postings: postings, Reverses: o.Target}
	if err := ledger.Post(ctx, tx, &t); err != nil {
		return err
	}
	o.Transaction, o.Ended = t.ID, tx.Now()
	return tx.SaveOrder(ctx, o)
}

// RefundOrder asks a payee who wants to give a payment back for the code.
func (d *Desk) RefundOrder(ctx context.Context, tx *store.Tx, payee *member.Member, paid *order.Order) error {
	payer, err := tx.Member(ctx, member.ID(paid.Payer))
	if err != nil {
		return err
	}
	_, err = tx.ReversalOf(ctx, paid.Transaction)
	if err == nil || payer.State == member.Closed {
		return notice.Refuse("code.rien", nil)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err := d.enough(ctx, tx, payee, paid); err != nil {
		return err
	}
	o := &order.Order{
		Kind: order.Refund, Owner: int64(payee.ID), Asked: int64(payee.ID), Payer: int64(payee.ID), Payee: paid.Payer,
		Amount: paid.Amount, Question: "rends", Target: paid.Transaction, TargetRef: paid.Ref,
	}
	open, err := d.Questions(ctx, tx, payee)
	if err != nil {
		return err
	}
	if again, err := d.met(ctx, tx, payee, open, o); again || err != nil {
		return err
	}
	return d.open(ctx, tx, o, payee, d.Set.CodeTTL, open)
}

// enough refuses to give back what is not there, what a dispute holds for it
// included.
func (d *Desk) enough(ctx context.Context, tx *store.Tx, payee *member.Member, paid *order.Order) error {
	a, err := d.account(ctx, tx, payee, paid.Amount.Currency())
	if err != nil {
		return err
	}
	target := paid.Transaction
	if paid.Target != 0 {
		target = paid.Target
	}
	holds, err := tx.HoldsFor(ctx, target)
	if err != nil {
		return err
	}
	has := a.Spendable().Minor()
	for _, id := range holds {
		h, err := tx.Hold(ctx, id)
		if err != nil {
			return err
		}
		has += h.Left.Minor()
	}
	if missing := paid.Amount.Minor() - has; missing > 0 {
		return notice.Refuse("insuffisant", notice.Fields{"bal": a.Spendable(), "amt": money.New(missing, paid.Amount.Currency())})
	}
	return nil
}

// confirmReturn gives a payment back: at its payee's wish, or with her agreement.
func (d *Desk) confirmReturn(ctx context.Context, tx *store.Tx, o *order.Order, payee *member.Member) error {
	if err := d.MayPay(ctx, tx, payee); err != nil {
		return err
	}
	if err := d.enough(ctx, tx, payee, o); err != nil {
		return err
	}
	payer, err := tx.Member(ctx, member.ID(o.Payee))
	if err != nil {
		return err
	}
	if payer.State == member.Closed {
		return notice.Refuse("code.rien", nil)
	}
	if _, err := tx.ReversalOf(ctx, o.Target); !errors.Is(err, store.ErrNotFound) {
		return errors.Join(err, notice.Refuse("code.rien", nil))
	}
	from, err := tx.AccountOf(ctx, payee.ID, o.Amount.Currency())
	if err != nil {
		return err
	}
	to, err := tx.AccountOf(ctx, payer.ID, o.Amount.Currency())
	if err != nil {
		return err
	}
	o.State, o.Paid, o.Due = order.Done, tx.Now(), time.Time{}
	if err := d.postReturn(ctx, tx, o, from.ID, to.ID, ledger.Return); err != nil {
		return err
	}
	if err := d.endAbout(ctx, tx, o); err != nil {
		return err
	}
	for _, t := range []struct {
		to, other *member.Member
		key       string
	}{{payee, payer, "retour.ok"}, {payer, payee, "retour.credit"}} {
		balance, err := d.Balance(ctx, tx, t.to, o.Amount.Currency())
		if err != nil {
			return err
		}
		err = d.Voice.Receipt(ctx, tx, t.to, t.key, notice.Fields{"amt": o.Amount, "who": Called(t.other, ""), "bal": balance, "ref": o.Ref})
		if err != nil {
			return err
		}
	}
	return nil
}

// endAbout ends every other question about a transaction that was given back.
func (d *Desk) endAbout(ctx context.Context, tx *store.Tx, done *order.Order) error {
	about, err := tx.OrdersAbout(ctx, done.Target, maxQuestions)
	if err != nil {
		return err
	}
	for _, q := range about {
		if q.ID == done.ID || q.State != order.Open && q.State != order.Disputed {
			continue
		}
		q.State, q.Ended, q.Due = order.Cancelled, tx.Now(), time.Time{}
		if err := tx.SaveOrder(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// Decline ends an open question by the NON of who was asked, and tells the
// other side where there is one.
func (d *Desk) Decline(ctx context.Context, tx *store.Tx, o *order.Order) error {
	o.State, o.Ended, o.Due = order.Refused, tx.Now(), time.Time{}
	if o.Own() || o.Kind == order.Freeze || o.Kind == order.Unfreeze || o.Kind == order.Pause {
		o.State = order.Cancelled
	}
	if o.Kind == order.Return {
		o.State = order.Disputed
	}
	if err := tx.SaveOrder(ctx, o); err != nil {
		return err
	}
	if o.Kind != order.Request && o.Kind != order.Return {
		return nil
	}
	owner, err := tx.Member(ctx, member.ID(o.Owner))
	if err != nil || owner.State == member.Closed {
		return err
	}
	if o.Kind == order.Request {
		return d.requestRefused(ctx, tx, o, owner)
	}
	asked, err := tx.Member(ctx, member.ID(o.Asked))
	if err != nil {
		return err
	}
	return d.Voice.Answer(ctx, tx, owner, "retour.non", notice.Fields{"who": Called(asked, ""), "amt": o.Amount, "ref": o.TargetRef})
}

// requestRefused tells an asker the no, and closes requests to who hears it
// too often: rule REQ1.
func (d *Desk) requestRefused(ctx context.Context, tx *store.Tx, o *order.Order, asker *member.Member) error {
	asked, err := tx.Member(ctx, member.ID(o.Asked))
	if err != nil {
		return err
	}
	err = d.Voice.Answer(ctx, tx, asker, "demande.refus", notice.Fields{"who": Called(asked, o.Secret.Typed), "amt": o.Amount, "ref": o.Ref})
	if err != nil {
		return err
	}
	r, err := d.Rule(ctx, tx, "REQ1")
	if err != nil || !r.Asked() {
		return err
	}
	n, err := tx.CountEnded(ctx, asker.ID, order.Request, order.Refused, tx.Now().Add(-time.Duration(r.At[1])*dayLong))
	if err != nil || int64(n) < r.At[0] || asker.AskTill.After(tx.Now()) {
		return err
	}
	if r.Act == guard.Refuse {
		asker.AskTill = tx.Now().Add(refusalsLock)
		if err := tx.SaveMember(ctx, asker); err != nil {
			return err
		}
	}
	return d.Fire(ctx, tx, r, RuleText(r.ID), asker, CountFact("refused", int64(n)))
}

// WrongCode counts a wrong code against an order; after too many the order is
// closed and the member's paying out is locked: rules COD1 and COD2.
func (d *Desk) WrongCode(ctx context.Context, tx *store.Tx, o *order.Order, m *member.Member) error {
	o.Tries++
	n, err := tx.Count(ctx, wrongCodes, tx.Now().Truncate(time.Hour))
	if err != nil {
		return err
	}
	rules, err := d.Rules(ctx, tx)
	if err != nil {
		return err
	}
	if r := rules.Ruling("COD2"); int64(n) == r.At[0]+1 {
		if err := d.Fire(ctx, tx, r, RuleText(r.ID), nil, CountFact("wrong", int64(n))); err != nil {
			return err
		}
	}
	today, err := tx.Count(ctx, fmt.Sprintf("wrong:%d", m.ID), d.Set.Midnight(tx.Now()))
	if err != nil {
		return err
	}
	if left := d.Set.Tries - o.Tries; left > 0 && today < max(guessesADay, d.Set.Tries) {
		if err := tx.SaveOrder(ctx, o); err != nil {
			return err
		}
		f, err := d.Fields(ctx, tx, o)
		if err != nil {
			return err
		}
		f["n"] = left
		return d.Voice.Answer(ctx, tx, m, "code.faux", f)
	}
	if err := d.lockQuestion(ctx, tx, o); err != nil {
		return err
	}
	m.LockedTill = tx.Now().Add(d.Set.Lock)
	if err := tx.SaveMember(ctx, m); err != nil {
		return err
	}
	balance, err := d.Balance(ctx, tx, m, o.Amount.Currency())
	if err != nil {
		return err
	}
	if err := d.Voice.Answer(ctx, tx, m, "code.bloque", notice.Fields{"bal": balance}); err != nil {
		return err
	}
	return d.Fire(ctx, tx, rules.Ruling("COD1"), notice.Phrase{Key: "alerte.codes"}, m,
		store.Fact{Name: "order", Value: o.Ref}, CountFact("wrong", int64(o.Tries)))
}

// lockQuestion closes a question after too many wrong codes. Who else waits
// for its answer gets the one that silence would have given.
func (d *Desk) lockQuestion(ctx context.Context, tx *store.Tx, o *order.Order) error {
	switch o.Kind {
	case order.Request, order.Return:
		return d.unanswered(ctx, tx, o)
	}
	o.State, o.Ended, o.Due = order.Locked, tx.Now(), time.Time{}
	return tx.SaveOrder(ctx, o)
}
