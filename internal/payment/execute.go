package payment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"maillon/internal/guard"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/notice"
	"maillon/internal/order"
	"maillon/internal/store"
)

// Confirm does what an order asks, once its code came.
func (d *Desk) Confirm(ctx context.Context, tx *store.Tx, o *order.Order, by *member.Member) error {
	switch o.Kind {
	case order.Pay, order.Request:
		return d.confirmPayment(ctx, tx, o, by)
	case order.Return, order.Refund:
		return d.confirmReturn(ctx, tx, o, by)
	case order.Close:
		return d.confirmClose(ctx, tx, o, by)
	case order.Credit:
		return d.confirmCredit(ctx, tx, o, by)
	}
	return fmt.Errorf("order %d: %s is not for this desk", o.ID, o.Kind)
}

func (d *Desk) confirmPayment(ctx context.Context, tx *store.Tx, o *order.Order, payer *member.Member) error {
	if err := d.MayPay(ctx, tx, payer); err != nil {
		return err
	}
	payee, err := d.payee(ctx, tx, o)
	if err != nil {
		return err
	}
	facts, err := d.judge(ctx, tx, o, payer, payee)
	if err != nil {
		return err
	}
	if err := d.lately(ctx, tx, o, payer, &facts); err != nil {
		return err
	}
	return d.transfer(ctx, tx, o, payer, payee, facts)
}

// payee returns who is paid now: the number may have got an account since the
// order was made. It is nil for a number without account.
func (d *Desk) payee(ctx context.Context, tx *store.Tx, o *order.Order) (*member.Member, error) {
	if o.Payee != 0 {
		m, err := tx.Member(ctx, member.ID(o.Payee))
		if err == nil && m.State == member.Closed {
			return nil, notice.Refuse("gele.dest", notice.Fields{"who": o.Secret.Typed})
		}
		return m, err
	}
	m, err := tx.MemberByNumber(ctx, o.PayeeNumber())
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return m, err
}

// transfer moves the money of a payment that nothing forbids, unless a rule
// holds it, and tells both.
func (d *Desk) transfer(ctx context.Context, tx *store.Tx, o *order.Order, payer, payee *member.Member, facts guard.Payment) error {
	act, err := d.suspicious(ctx, tx, o, payer, facts)
	if err != nil {
		return err
	}
	switch act {
	case guard.Refuse:
		return d.notValidated(ctx, tx, o)
	case guard.Hold:
		o.State = order.Held
		if err := tx.SaveOrder(ctx, o); err != nil {
			return err
		}
		return d.verifying(ctx, tx, payer, payee, o)
	}
	return d.move(ctx, tx, o, payer, payee)
}

// verifying tells a payer that somebody looks at the payment first.
func (d *Desk) verifying(ctx context.Context, tx *store.Tx, payer, payee *member.Member, o *order.Order) error {
	return d.Voice.Answer(ctx, tx, payer, "verification", notice.Fields{"amt": o.Amount, "who": d.called(payee, o), "ref": o.Ref})
}

// move is transfer once no rule is left to ask.
func (d *Desk) move(ctx context.Context, tx *store.Tx, o *order.Order, payer, payee *member.Member) error {
	payee, err := d.receiver(ctx, tx, o, payer, payee)
	if err != nil {
		return err
	}
	from, err := tx.AccountOf(ctx, payer.ID, o.Amount.Currency())
	if err != nil {
		return err
	}
	to, err := tx.AccountOf(ctx, payee.ID, o.Amount.Currency())
	if err != nil {
		return err
	}
	if err := d.post(ctx, tx, o, from.ID, to.ID, ledger.Payment); err != nil {
		return err
	}
	o.State = order.Done
	if payee.State == member.New {
		o.State, o.Due = order.Waiting, tx.Now().Add(d.Set.UnacceptedReminder)
	}
	if err := tx.SaveOrder(ctx, o); err != nil {
		return err
	}
	return d.tellPaid(ctx, tx, o, payer, payee)
}

// receiver opens the account of a payee who has none.
func (d *Desk) receiver(ctx context.Context, tx *store.Tx, o *order.Order, payer, payee *member.Member) (*member.Member, error) {
	if payee != nil && payee.HasAccount() {
		o.Payee = int64(payee.ID)
		return payee, nil
	}
	if payer != nil {
		if err := d.countNew(ctx, tx, payer); err != nil {
			return nil, err
		}
	}
	all, err := tx.Count(ctx, newInAll, tx.Now().Truncate(time.Hour))
	if err != nil {
		return nil, err
	}
	if r, err := d.Rule(ctx, tx, "BUR2"); err != nil {
		return nil, err
	} else if int64(all) == r.At[0] {
		if err := d.Fire(ctx, tx, r, RuleText(r.ID), nil, CountFact("accounts", int64(all))); err != nil {
			return nil, err
		}
	}
	if payee != nil { // an administrator who had no account
		payee.State, payee.OpenedAt = member.New, tx.Now()
		o.Payee = int64(payee.ID)
		return payee, tx.SaveMember(ctx, payee)
	}
	payee = &member.Member{
		State: member.New, Number: o.PayeeNumber(), Language: d.Set.Language, Line: o.Line,
		OpenedAt: tx.Now(), SeenAt: tx.Now(),
	}
	if err := tx.CreateMember(ctx, payee); err != nil {
		return nil, err
	}
	o.Payee = int64(payee.ID)
	return payee, nil
}

// countNew counts an account that a payer opens. More than rule BUR1 wants come
// so far only where it does not refuse them.
func (d *Desk) countNew(ctx context.Context, tx *store.Tx, payer *member.Member) error {
	n, err := tx.Count(ctx, newBy(payer), d.Set.Midnight(tx.Now()))
	if err != nil || n != d.Set.NewAccounts+1 {
		return err
	}
	r, err := d.Rule(ctx, tx, "BUR1")
	if err != nil {
		return err
	}
	return d.Fire(ctx, tx, r, RuleText(r.ID), payer, CountFact("accounts", int64(n)))
}

const newInAll = "new"

func newBy(m *member.Member) string { return fmt.Sprintf("new:%d", m.ID) }

// post moves the amount of an order and notes it in the order.
func (d *Desk) post(ctx context.Context, tx *store.Tx, o *order.Order, from, to ledger.AccountID, kind ledger.Kind) error {
	return d.postOnce(ctx, tx, o, from, to, kind, orderKey(o))
}

// orderKey is the idempotency key of what an order becomes.
func orderKey(o *order.Order) string { return fmt.Sprintf("order:%d", o.ID) }

func (d *Desk) postOnce(ctx context.Context, tx *store.Tx, o *order.Order, from, to ledger.AccountID, kind ledger.Kind, key string) error {
	postings, err := ledger.Transfer(from, to, o.Amount)
	if err != nil {
		return err
	}
	t := ledger.Transaction{Ref: o.Ref, Key: key, Kind: kind, At: tx.Now(), Postings: postings}
	if err := ledger.Post(ctx, tx, &t); err != nil {
		return fmt.Errorf("post order %d: %w", o.ID, err)
	}
	o.Transaction, o.Paid, o.Ended = t.ID, tx.Now(), tx.Now()
	return nil
}

func (d *Desk) tellPaid(ctx context.Context, tx *store.Tx, o *order.Order, payer, payee *member.Member) error {
	left, err := d.Balance(ctx, tx, payer, o.Amount.Currency())
	if err != nil {
		return err
	}
	f := notice.Fields{"amt": o.Amount, "bal": left, "ref": o.Ref, "who": Called(payee, o.Secret.Typed), "ph": payee.Number.Masked()}
	key := "debit"
	if payee.State == member.New {
		key, f["phf"] = "debit.nouveau", full(payee)
	} else if proof, err := d.ProofOf(ctx, tx, o); err != nil {
		return err
	} else if proof != "" {
		key, f["proof"] = "etal.debit", proof
	}
	if err := d.Voice.Receipt(ctx, tx, payer, key, f); err != nil {
		return err
	}
	if payee.State == member.New {
		return d.Voice.Receipt(ctx, tx, payee, "bienvenue", notice.Fields{"who": Called(payer, ""), "amt": o.Amount})
	}
	has, err := d.Balance(ctx, tx, payee, o.Amount.Currency())
	if err != nil {
		return err
	}
	return d.Voice.Inform(ctx, tx, payee, "credit", notice.Fields{
		"who": Called(payer, ""), "ph": payer.Number.Masked(), "amt": o.Amount, "bal": has, "ref": o.Ref, "memo": o.Secret.Memo,
	})
}

// ProofOf returns the codes by which a stall knows of a payment that was made to
// it, whenever they are asked for; "" if there are none.
func (d *Desk) ProofOf(ctx context.Context, tx *store.Tx, o *order.Order) (string, error) {
	if d.Proof == nil {
		return "", nil
	}
	return d.Proof(ctx, tx, o)
}

// Release executes a payment or a credit that was held, as its code would have.
func (d *Desk) Release(ctx context.Context, tx *store.Tx, o *order.Order) error {
	if o.State != order.Held {
		return fmt.Errorf("order %s: %w", o.Ref, ErrNotWaiting)
	}
	payee, err := d.payee(ctx, tx, o)
	if err != nil {
		return err
	}
	if err := d.stillMay(ctx, tx, o, payee); err != nil {
		return err
	}
	if o.Kind == order.Credit {
		return d.credit(ctx, tx, o, nil, orderKey(o))
	}
	payer, err := tx.Member(ctx, member.ID(o.Payer))
	if err != nil {
		return err
	}
	if payer.Frozen() {
		return notice.Refuse("gele", notice.Fields{"d": notice.Day(payer.BlockedSince())})
	}
	return d.move(ctx, tx, o, payer, payee)
}

// stillMay refuses what came to forbid a payment while it was held.
func (d *Desk) stillMay(ctx context.Context, tx *store.Tx, o *order.Order, payee *member.Member) error {
	paused, err := tx.Paused(ctx)
	if err != nil {
		return err
	}
	if !paused.IsZero() {
		return notice.Refuse("pause", nil)
	}
	if payee != nil && !payee.Payable() {
		return notice.Refuse("gele.dest", notice.Fields{"who": Called(payee, o.Secret.Typed)})
	}
	if payee != nil || o.PayeeNumber().IsZero() {
		return nil
	}
	refused, err := tx.HasRefused(ctx, o.PayeeNumber())
	if err == nil && refused {
		err = notice.Refuse("num.refuse", nil)
	}
	return err
}

// Reject ends a payment or a credit that was held: nothing is debited.
func (d *Desk) Reject(ctx context.Context, tx *store.Tx, o *order.Order) error {
	if o.State != order.Held {
		return fmt.Errorf("order %s: %w", o.Ref, ErrNotWaiting)
	}
	return d.notValidated(ctx, tx, o)
}

// notValidated ends a payment or a credit that nobody may execute, and tells who
// asked.
func (d *Desk) notValidated(ctx context.Context, tx *store.Tx, o *order.Order) error {
	o.State, o.Ended = order.Refused, tx.Now()
	if err := tx.SaveOrder(ctx, o); err != nil || o.Payer == 0 {
		return err
	}
	payer, err := tx.Member(ctx, member.ID(o.Payer))
	if err != nil {
		return err
	}
	f, err := d.Fields(ctx, tx, o)
	if err != nil {
		return err
	}
	if f["bal"], err = d.Balance(ctx, tx, payer, o.Amount.Currency()); err != nil {
		return err
	}
	return d.Voice.Receipt(ctx, tx, payer, "verification.non", f)
}

// ErrNotWaiting means that an order does not wait for the decision that came.
var ErrNotWaiting = errors.New("nothing waits under this reference")

// confirmClose gives what is left to the pot and forgets the member.
func (d *Desk) confirmClose(ctx context.Context, tx *store.Tx, o *order.Order, m *member.Member) error {
	if err := d.MayPay(ctx, tx, m); err != nil {
		return err
	}
	if err := d.MayClose(ctx, tx, m); err != nil {
		return err
	}
	return d.leave(ctx, tx, o, m)
}

// leave is the end of an account, whoever asked for it.
func (d *Desk) leave(ctx context.Context, tx *store.Tx, o *order.Order, m *member.Member) error {
	accounts, err := tx.AccountsOf(ctx, m.ID)
	if err != nil {
		return err
	}
	for _, a := range accounts {
		if a.Balance.Sign() <= 0 {
			continue
		}
		pot, err := tx.SystemAccount(ctx, store.Pot, a.Balance.Currency())
		if err != nil {
			return err
		}
		postings, err := ledger.Transfer(a.ID, pot.ID, a.Balance)
		if err != nil {
			return err
		}
		t := ledger.Transaction{Key: fmt.Sprintf("close:%d:%d", o.ID, a.ID), Kind: ledger.Closing, At: tx.Now(), Postings: postings}
		if a.Balance.Currency() == o.Amount.Currency() {
			t.Ref = o.Ref
		}
		if err := ledger.Post(ctx, tx, &t); err != nil {
			return err
		}
		o.Transaction = t.ID
	}
	o.State, o.Ended = order.Done, tx.Now()
	if err := tx.SaveOrder(ctx, o); err != nil {
		return err
	}
	if err := d.endOpen(ctx, tx, m); err != nil {
		return err
	}
	if err := d.cancelHeld(ctx, tx, m); err != nil {
		return err
	}
	bye := notice.Former(m)
	if err := d.erase(ctx, tx, m, tx.Now().Add(d.Set.NickReserved)); err != nil {
		return err
	}
	return d.Voice.Stranger(ctx, tx, bye, "ferme", nil)
}

// MayClose refuses to close an account over which there is a dispute.
func (d *Desk) MayClose(ctx context.Context, tx *store.Tx, m *member.Member) error {
	accounts, err := tx.AccountsOf(ctx, m.ID)
	if err != nil {
		return err
	}
	queue, err := tx.DisputesOf(ctx, m.ID, 1)
	if err != nil {
		return err
	}
	for _, q := range queue {
		return notice.Refuse("litige", notice.Fields{"ref": q.TargetRef, "amt": q.Amount})
	}
	for _, a := range accounts {
		if a.Held.Sign() > 0 {
			return notice.Refuse("litige", notice.Fields{"ref": "?", "amt": a.Held})
		}
	}
	return nil
}

// endOpen cancels what a member who leaves had asked of others, and ends what
// others had asked of that member.
func (d *Desk) endOpen(ctx context.Context, tx *store.Tx, m *member.Member) error {
	asked, err := d.Questions(ctx, tx, m)
	if err != nil {
		return err
	}
	for _, q := range asked {
		if q.State != order.Open {
			continue
		}
		if err := d.Decline(ctx, tx, q); err != nil {
			return err
		}
	}
	for _, kind := range []order.Kind{order.Request, order.Return} {
		open, err := tx.OpenOf(ctx, m.ID, kind, maxQuestions)
		if err != nil {
			return err
		}
		for _, q := range open {
			q.State, q.Ended, q.Due = order.Cancelled, tx.Now(), time.Time{}
			if err := tx.SaveOrder(ctx, q); err != nil {
				return err
			}
		}
	}
	return nil
}
