package teller

import (
	"context"
	"errors"
	"time"

	"maillon/internal/member"
	"maillon/internal/notice"
	"maillon/internal/order"
	"maillon/internal/payment"
	"maillon/internal/store"
)

// repeatable is how long the code of what is done, or of an own order that
// expired, is still recognised.
const repeatable = 24 * time.Hour

// openQuestions returns the questions whose code may still come on this line,
// the newest first.
func (k *talk) openQuestions(ctx context.Context) ([]*order.Order, error) {
	all, err := k.desk.Questions(ctx, k.tx, k.from)
	if err != nil {
		return nil, err
	}
	open := all[:0]
	for _, q := range all {
		if q.OpenAt(k.tx.Now()) && k.askedHere(q) {
			open = append(open, q)
		}
	}
	return open, nil
}

// askedHere reports whether a code counts on the line on which this SMS came:
// the one that asked, or its backup, which asks when it is down. Who never
// wrote was asked by the default line, whatever its name.
func (k *talk) askedHere(q *order.Order) bool {
	return q.Line == "" || q.Line == k.Gateway || k.options.Backup[q.Line] == k.Gateway
}

// yes answers a code.
func (k *talk) yes(ctx context.Context) error {
	open, err := k.openQuestions(ctx)
	if err != nil {
		return err
	}
	for _, q := range open {
		if sameCode(k.command.Code, k.desk.Code(q)) {
			return k.confirmed(ctx, q)
		}
	}
	past, err := k.past(ctx)
	if err != nil {
		return err
	}
	switch {
	case past != nil && past.State != order.Expired && past.State != order.Open:
		return k.already(ctx, past)
	case past != nil:
		return notice.Refuse("code.perime", nil)
	case len(open) > 0:
		return k.desk.WrongCode(ctx, k.tx, open[0], k.from)
	}
	return k.answerBalance(ctx, "code.rien", nil)
}

// confirmed does what was asked. An own order that is refused now is over: the
// next one shall not meet it.
func (k *talk) confirmed(ctx context.Context, q *order.Order) error {
	err := k.execute(ctx, q)
	var refusal *notice.Refusal
	if !errors.As(err, &refusal) || !q.Own() || q.State != order.Open {
		return err
	}
	q.State, q.Ended = order.Cancelled, k.tx.Now()
	if failed := k.tx.SaveOrder(ctx, q); failed != nil {
		return failed
	}
	return err
}

func (k *talk) execute(ctx context.Context, q *order.Order) error {
	if !k.stillMay(q.Kind) { // the role ended since it was asked
		q.State, q.Ended = order.Cancelled, k.tx.Now()
		if err := k.tx.SaveOrder(ctx, q); err != nil {
			return err
		}
		return notice.Refuse("incompris", nil)
	}
	if q.Kind == order.Unfreeze {
		if err := k.desk.MayAct(ctx, k.tx, k.from); err != nil {
			return err
		}
	}
	switch q.Kind {
	case order.Freeze, order.Unfreeze, order.Pause:
		return k.administer(ctx, q)
	}
	return k.desk.Confirm(ctx, k.tx, q, k.from)
}

// past returns the question that a code answered, or came too late for, less
// than a day ago; nil if there is none.
func (k *talk) past(ctx context.Context) (*order.Order, error) {
	all, err := k.desk.Questions(ctx, k.tx, k.from)
	if err != nil {
		return nil, err
	}
	now := k.tx.Now()
	for _, q := range all {
		if len(q.Nonce) == 0 || !k.askedHere(q) || !sameCode(k.command.Code, k.desk.Code(q)) {
			continue
		}
		switch {
		case !q.Paid.IsZero() && now.Sub(q.Paid) < repeatable, q.State == order.Held:
			return q, nil
		case q.State == order.Done && !q.Ended.IsZero() && now.Sub(q.Ended) < repeatable:
			return q, nil
		case (q.State == order.Open || q.State == order.Expired) && q.Kind != order.Request && q.Kind != order.Return && now.Sub(q.CodeEnd) < repeatable:
			return q, nil
		}
	}
	return nil, nil
}

// already says that a code has done its work, once.
func (k *talk) already(ctx context.Context, q *order.Order) error {
	f, err := k.desk.Fields(ctx, k.tx, q)
	if err != nil {
		return err
	}
	switch {
	case q.State == order.Held:
		key := "verification"
		if q.Kind == order.Credit {
			key = "admin.plafond"
			if f["bal"], err = k.desk.CeilingLeft(ctx, k.tx, k.from, q.Amount.Currency()); err != nil {
				return err
			}
		}
		return k.answer(ctx, key, f)
	case q.Kind == order.Credit:
		if f["bal"], err = k.desk.CeilingLeft(ctx, k.tx, k.from, q.Amount.Currency()); err != nil {
			return err
		}
		return k.answer(ctx, "admin.fait", f)
	case q.Paid.IsZero():
		return k.administered(ctx, q)
	}
	f["t"], f["ref"] = notice.Clock(q.Paid), q.Ref
	if f["bal"], err = k.desk.Balance(ctx, k.tx, k.from, q.Amount.Currency()); err != nil {
		return err
	}
	proof, err := k.desk.ProofOf(ctx, k.tx, q)
	if err != nil {
		return err
	}
	if proof != "" {
		f["proof"] = proof
		return k.answer(ctx, "etal.deja", f)
	}
	return k.answer(ctx, "deja", f)
}

// no refuses the question that is named; without a name a change of number
// first, else the newest question.
func (k *talk) no(ctx context.Context) error {
	moves, err := k.tx.OpenOf(ctx, k.from.ID, order.Renumber, 1)
	if err != nil {
		return err
	}
	if len(moves) > 0 && (k.command.Ref == "" || k.command.Ref == moves[0].Ref) {
		return k.refuseMove(ctx, moves[0])
	}
	open, err := k.openQuestions(ctx)
	if err != nil {
		return err
	}
	for _, q := range open {
		if k.command.Ref != "" && q.Ref != k.command.Ref && (q.Kind != order.Return || q.TargetRef != k.command.Ref) {
			continue
		}
		if err := k.desk.Decline(ctx, k.tx, q); err != nil {
			return err
		}
		if q.Warned {
			return k.answerBalance(ctx, "non.alerte", nil)
		}
		return k.answerBalance(ctx, "non", nil)
	}
	return k.answerBalance(ctx, "code.rien", nil)
}

func (k *talk) refuseMove(ctx context.Context, o *order.Order) error {
	o.State, o.Ended, o.Due = order.Refused, k.tx.Now(), time.Time{}
	if err := k.tx.SaveOrder(ctx, o); err != nil {
		return err
	}
	if err := k.answerBalance(ctx, "changenum.non", nil); err != nil {
		return err
	}
	return k.voice.Alert(ctx, k.tx, "NUM1", notice.Phrase{Key: "alerte.changenum"}, k.from)
}

// cancel takes back: the open own order, a request, or a payment with its
// payee's agreement.
func (k *talk) cancel(ctx context.Context) error {
	open, err := k.openQuestions(ctx)
	if err != nil {
		return err
	}
	ref := k.command.Ref
	for _, q := range open {
		if q.Kind != order.Request && q.Kind != order.Return && (ref == "" || q.Ref == ref) {
			return k.withdraw(ctx, q)
		}
	}
	if ref == "" {
		return k.answerBalance(ctx, "code.rien", nil)
	}
	o, err := k.tx.OrderByRef(ctx, ref)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	me := int64(k.from.ID)
	switch {
	case err != nil:
	case o.Kind == order.Request && o.Owner == me && o.OpenAt(k.tx.Now()), o.State == order.Held && o.Payer == me:
		return k.withdraw(ctx, o)
	case (o.Kind == order.Pay || o.Kind == order.Request) && o.Payer == me && (o.State == order.Done || o.State == order.Waiting) && !o.Paid.IsZero():
		return k.desk.TakeBack(ctx, k.tx, k.from, o)
	}
	return k.answerBalance(ctx, "code.rien", nil)
}

func (k *talk) withdraw(ctx context.Context, o *order.Order) error {
	o.State, o.Ended, o.Due = order.Cancelled, k.tx.Now(), time.Time{}
	if err := k.tx.SaveOrder(ctx, o); err != nil {
		return err
	}
	return k.answerBalance(ctx, "non", nil)
}

// refund asks for the code that gives a received payment back.
func (k *talk) refund(ctx context.Context) error {
	if err := k.desk.MayPay(ctx, k.tx, k.from); err != nil {
		return err
	}
	o, err := k.tx.OrderByRef(ctx, k.command.Ref)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err != nil || o.Payee != int64(k.from.ID) || o.State != order.Done || o.Kind != order.Pay && o.Kind != order.Request {
		return k.answerBalance(ctx, "code.rien", nil)
	}
	return k.desk.RefundOrder(ctx, k.tx, k.from, o)
}

// fraud protects a member whom somebody forged.
func (k *talk) fraud(ctx context.Context) error { return k.desk.Protect(ctx, k.tx, k.from) }

// lost reports a phone lost, this one or a member's own.
func (k *talk) lost(ctx context.Context) error {
	m := k.from
	if who := k.command.Who; who != "" && !k.parser.Oneself(who) && who != m.Nick {
		var err error
		if m, err = k.tx.MemberByNick(ctx, who); errors.Is(err, store.ErrNotFound) {
			return notice.Refuse("pseudo.inconnu", notice.Fields{"who": cut(who)})
		}
		if err != nil {
			return err
		}
	}
	key, f, err := k.reportLost(ctx, k.tx, m, k.command.Cell)
	if err != nil {
		return err
	}
	return k.answer(ctx, key, f)
}

// card proves the person by a cell of the code card.
func (k *talk) card(ctx context.Context) error {
	if k.command.Cell == "" {
		return notice.Refuse("incompris", nil)
	}
	right, err := k.desk.Prove(ctx, k.tx, k.from, k.command.Cell)
	if err != nil || !right {
		return err
	}
	k.from.SeenAt = k.tx.Now()
	if err := k.tx.SaveMember(ctx, k.from); err != nil {
		return err
	}
	if err := k.tx.SeeMember(ctx, k.from); err != nil {
		return err
	}
	return k.answerBalance(ctx, "carte.ok", nil)
}

// block ends what a member asks of this one, and all that she will ask.
func (k *talk) block(ctx context.Context) error {
	other, err := k.byNick(ctx, k.command.Who)
	if err != nil {
		return err
	}
	if other.ID == k.from.ID {
		return notice.Refuse("soi", nil)
	}
	if err := k.tx.Block(ctx, k.from.ID, other.ID, true); err != nil {
		return err
	}
	open, err := k.desk.Questions(ctx, k.tx, k.from)
	if err != nil {
		return err
	}
	for _, q := range open {
		if q.Kind != order.Request || q.State != order.Open || member.ID(q.Owner) != other.ID {
			continue
		}
		if err := k.desk.Decline(ctx, k.tx, q); err != nil {
			return err
		}
	}
	return k.answer(ctx, "bloque.qui", notice.Fields{"who": payment.Called(other, "")})
}

func (k *talk) unblock(ctx context.Context) error {
	other, err := k.byNick(ctx, k.command.Who)
	if err != nil {
		return err
	}
	if err := k.tx.Block(ctx, k.from.ID, other.ID, false); err != nil {
		return err
	}
	return k.answer(ctx, "debloque.qui", notice.Fields{"who": payment.Called(other, "")})
}
