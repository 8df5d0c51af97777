package payment

import (
	"context"
	"errors"
	"time"

	"maillon/internal/guard"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/notice"
	"maillon/internal/order"
	"maillon/internal/store"
)

// Accept makes a member of a number that was given money: all gifts are hers.
func (d *Desk) Accept(ctx context.Context, tx *store.Tx, m *member.Member) error {
	err := d.eachGift(ctx, tx, m, func(g *order.Order) error {
		if g.Kind == order.Credit {
			r, night, err := d.atNight(ctx, tx, g, g.Paid)
			if err != nil {
				return err
			}
			if till := g.Paid.Add(nightHold(r)); night && r.Act == guard.Hold && tx.Now().Before(till) {
				return d.holdNight(ctx, tx, g, m, till)
			}
		}
		g.State, g.Ended, g.Due = order.Done, tx.Now(), time.Time{}
		return tx.SaveOrder(ctx, g)
	})
	if err != nil {
		return err
	}
	m.State = member.Active
	if err := tx.SaveMember(ctx, m); err != nil {
		return err
	}
	return d.Start(ctx, tx, m)
}

// eachGift does something with every gift that waits for a number's yes. It
// must end that waiting, so that some are left less each time.
func (d *Desk) eachGift(ctx context.Context, tx *store.Tx, m *member.Member, do func(*order.Order) error) error {
	for {
		gifts, err := tx.GiftsFor(ctx, m.ID, maxGifts)
		if err != nil || len(gifts) == 0 {
			return err
		}
		for _, g := range gifts {
			if err := do(g); err != nil {
				return err
			}
		}
	}
}

// giftPatience is how long a gift that must go back waits before it is tried
// again while payments are paused.
const giftPatience = 10 * time.Minute

// RefuseGifts gives every gift back at once, forgets the number, and keeps a
// fingerprint so as never to write to it again. While payments are paused the
// refusal is noted, and the gifts go back once they go on.
func (d *Desk) RefuseGifts(ctx context.Context, tx *store.Tx, m *member.Member) error {
	if paused, err := tx.Paused(ctx); err != nil || !paused.IsZero() {
		return errors.Join(err, d.refuseLater(ctx, tx, m))
	}
	var who any
	err := d.eachGift(ctx, tx, m, func(g *order.Order) (err error) {
		if who == nil {
			if who, err = d.giverName(ctx, tx, g); err != nil {
				return err
			}
		}
		return d.returnGift(ctx, tx, g, m, order.Refused)
	})
	if err != nil {
		return err
	}
	if who == nil {
		who = d.Set.Association
	}
	if err := tx.Refuse(ctx, m.Number); err != nil {
		return err
	}
	former := notice.Former(m)
	if err := d.forget(ctx, tx, m); err != nil {
		return err
	}
	return d.Voice.Stranger(ctx, tx, former, "refus.nouveau", notice.Fields{"who": who})
}

// refuseLater notes that a number refuses its gifts while no money may move.
func (d *Desk) refuseLater(ctx context.Context, tx *store.Tx, m *member.Member) error {
	if err := tx.Refuse(ctx, m.Number); err != nil {
		return err
	}
	gifts, err := tx.GiftsFor(ctx, m.ID, maxGifts)
	if err != nil {
		return err
	}
	for _, g := range gifts {
		g.Due = tx.Now().Add(giftPatience)
		if err := tx.SaveOrder(ctx, g); err != nil {
			return err
		}
	}
	return d.Voice.Answer(ctx, tx, m, "pause", nil)
}

// giverName names who gave a gift.
func (d *Desk) giverName(ctx context.Context, tx *store.Tx, g *order.Order) (any, error) {
	if g.Payer == 0 {
		return d.Set.Association, nil
	}
	payer, err := tx.Member(ctx, member.ID(g.Payer))
	if err != nil {
		return nil, err
	}
	return Called(payer, ""), nil
}

// forget erases a number that did not become a member; an administrator's
// number stays known as such.
func (d *Desk) forget(ctx context.Context, tx *store.Tx, m *member.Member) error {
	if m.Role != "" {
		m.State = member.Staff
		return tx.SaveMember(ctx, m)
	}
	if err := d.endOpen(ctx, tx, m); err != nil {
		return err
	}
	return d.erase(ctx, tx, m, tx.Now())
}

// erase erases a member, and what else is kept of her.
func (d *Desk) erase(ctx context.Context, tx *store.Tx, m *member.Member, nickFree time.Time) error {
	if d.Forget != nil {
		if err := d.Forget(ctx, tx, m); err != nil {
			return err
		}
	}
	return tx.Erase(ctx, m, nickFree)
}

// Remind tells a number what still waits for its yes: the gift that goes back
// first.
func (d *Desk) Remind(ctx context.Context, tx *store.Tx, m *member.Member) error {
	gifts, err := tx.GiftsFor(ctx, m.ID, 1)
	if err != nil || len(gifts) == 0 {
		return err
	}
	return d.remindOf(ctx, tx, gifts[0], m)
}

func (d *Desk) remindOf(ctx context.Context, tx *store.Tx, g *order.Order, m *member.Member) error {
	who, err := d.giverName(ctx, tx, g)
	if err != nil {
		return err
	}
	left := g.Paid.Add(d.Set.Unaccepted).Sub(tx.Now())
	days := int((left + dayLong - 1) / dayLong)
	return d.Voice.Answer(ctx, tx, m, "bienvenue.rappel", notice.Fields{"amt": g.Amount, "who": who, "n": days})
}

// Fall does what time itself asks of an order whose moment has come.
func (d *Desk) Fall(ctx context.Context, tx *store.Tx, o *order.Order) error {
	switch {
	case o.State == order.Open && (o.Kind == order.Request || o.Kind == order.Return):
		return d.unanswered(ctx, tx, o)
	case o.State == order.Waiting && o.Hold != 0:
		return d.holdEnds(ctx, tx, o)
	case o.State == order.Waiting && (o.Kind == order.Pay || o.Kind == order.Credit):
		return d.giftWaits(ctx, tx, o)
	case o.State == order.Waiting && o.Kind == order.Renumber:
		return d.renumber(ctx, tx, o)
	}
	o.Due = time.Time{} // nothing is left to do
	return tx.SaveOrder(ctx, o)
}

// unanswered ends a question that nobody answered: a request expires, a return
// goes to the administrators.
func (d *Desk) unanswered(ctx context.Context, tx *store.Tx, o *order.Order) error {
	o.State, o.Ended, o.Due = order.Expired, tx.Now(), time.Time{}
	if o.Kind == order.Return {
		o.State = order.Disputed
		return tx.SaveOrder(ctx, o)
	}
	if err := tx.SaveOrder(ctx, o); err != nil {
		return err
	}
	owner, err := tx.Member(ctx, member.ID(o.Owner))
	if err != nil {
		return err
	}
	asked, err := tx.Member(ctx, member.ID(o.Asked))
	if err != nil {
		return err
	}
	return d.Voice.Answer(ctx, tx, owner, "demande.expire", notice.Fields{"amt": o.Amount, "who": Called(asked, o.Secret.Typed), "ref": o.Ref})
}

// holdEnds lets a credit be spent, and announces it.
func (d *Desk) holdEnds(ctx context.Context, tx *store.Tx, o *order.Order) error {
	if err := ledger.Release(ctx, tx, o.Hold); err != nil {
		return err
	}
	o.State, o.Due, o.Hold = order.Done, time.Time{}, 0
	if err := tx.SaveOrder(ctx, o); err != nil {
		return err
	}
	payee, err := tx.Member(ctx, member.ID(o.Payee))
	if err != nil {
		return err
	}
	return d.announceCredit(ctx, tx, o, payee)
}

// giftWaits reminds of a gift, and later gives it back.
func (d *Desk) giftWaits(ctx context.Context, tx *store.Tx, o *order.Order) error {
	m, err := tx.Member(ctx, member.ID(o.Payee))
	if err != nil {
		return err
	}
	if m.State != member.New { // what was accepted is never taken back by time
		o.State, o.Due = order.Done, time.Time{}
		return tx.SaveOrder(ctx, o)
	}
	refused, err := tx.HasRefused(ctx, m.Number)
	if err != nil {
		return err
	}
	if end := o.Paid.Add(d.Set.Unaccepted); tx.Now().Before(end) && !refused {
		o.Due = end
		if err := tx.SaveOrder(ctx, o); err != nil || m.Muted {
			return err
		}
		return d.remindOf(ctx, tx, o, m)
	}
	paused, err := tx.Paused(ctx)
	switch {
	case err != nil:
		return err
	case !paused.IsZero():
		o.Due = tx.Now().Add(giftPatience)
		return tx.SaveOrder(ctx, o)
	case refused:
		return d.RefuseGifts(ctx, tx, m)
	}
	if err := d.returnGift(ctx, tx, o, m, order.Expired); err != nil {
		return err
	}
	rest, err := tx.GiftsFor(ctx, m.ID, 1)
	if err != nil || len(rest) > 0 {
		return err
	}
	return d.forget(ctx, tx, m)
}

// Renumber starts to move a member's account to another number, which must
// have none. The old number is warned, and may stop it by NON.
func (d *Desk) Renumber(ctx context.Context, tx *store.Tx, m *member.Member, o *order.Order) error {
	o.Kind, o.State, o.Owner, o.Asked = order.Renumber, order.Waiting, int64(m.ID), int64(m.ID)
	o.Amount, o.Due = setZero(d), tx.Now().Add(d.Set.NumberWait)
	before, err := tx.OpenOf(ctx, m.ID, order.Renumber, maxQuestions)
	if err != nil {
		return err
	}
	for _, q := range before { // one at a time, so that one NON stops it
		q.State, q.Ended, q.Due = order.Cancelled, tx.Now(), time.Time{}
		if err := tx.SaveOrder(ctx, q); err != nil {
			return err
		}
	}
	if err := tx.InsertOrder(ctx, o, m); err != nil {
		return err
	}
	phone := *m
	if d.Voice.Letters[m.Line] {
		phone.Line = ""
	}
	return d.Voice.Answer(ctx, tx, &phone, "changenum", notice.Fields{"who": Called(m, ""), "ph": o.PayeeNumber().Masked()})
}

// renumber moves the account once the wait is over: old codes die, the block
// ends, and for 30 days large payments ask for a card cell.
func (d *Desk) renumber(ctx context.Context, tx *store.Tx, o *order.Order) error {
	m, err := tx.Member(ctx, member.ID(o.Owner))
	if err != nil {
		return err
	}
	number := o.PayeeNumber()
	o.State, o.Ended, o.Due = order.Done, tx.Now(), time.Time{}
	taken, err := d.numberTaken(ctx, tx, number)
	if err != nil {
		return err
	}
	if taken || m.State == member.Closed {
		o.State = order.Cancelled
		return tx.SaveOrder(ctx, o)
	}
	if err := d.endOpen(ctx, tx, m); err != nil {
		return err
	}
	if err := tx.SaveOrder(ctx, o); err != nil {
		return err
	}
	if _, err := d.Unbind(ctx, tx, m); err != nil { // whoever had the telephone reads mail on it
		return err
	}
	m.Number, m.Line, m.SeenAt = number, "", tx.Now()
	m.FrozenAt, m.FrozenBy, m.LostAt, m.LockedTill = time.Time{}, "", time.Time{}, time.Time{}
	m.DoubtTill = tx.Now().Add(Doubt)
	if err := tx.SaveMember(ctx, m); err != nil {
		return err
	}
	balance, err := d.Balance(ctx, tx, m, d.Set.Currency())
	if err != nil {
		return err
	}
	return d.Voice.Answer(ctx, tx, m, "changenum.ok", notice.Fields{"who": Called(m, ""), "bal": balance})
}
