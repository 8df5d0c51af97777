package payment

import (
	"context"
	"strconv"
	"time"

	"maillon/internal/guard"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/notice"
	"maillon/internal/order"
	"maillon/internal/setting"
	"maillon/internal/store"
)

// Credit is what an administrator asks: from emission to a member, or to a
// number that has no account yet. By SMS it asks for the code; above the
// ceiling of the day it waits for a second person.
func (d *Desk) Credit(ctx context.Context, tx *store.Tx, admin, payee *member.Member, o *order.Order) error {
	o.Kind, o.Owner, o.Asked = order.Credit, int64(admin.ID), int64(admin.ID)
	if payee != nil {
		o.Payee = int64(payee.ID)
	}
	left, err := d.CeilingLeft(ctx, tx, admin, o.Amount.Currency())
	if err != nil {
		return err
	}
	f := notice.Fields{"amt": o.Amount, "bal": left, "who": d.called(payee, o), "ph": d.masked(payee, o), "memo": o.Secret.Memo}
	if o.Amount.Cmp(left) > 0 {
		if err := d.HoldCredit(ctx, tx, admin, payee, o); err != nil {
			return err
		}
		f["ref"] = o.Ref
		return d.Voice.Answer(ctx, tx, admin, "admin.plafond", f)
	}
	open, err := d.Questions(ctx, tx, admin)
	if err != nil {
		return err
	}
	o.Question = "admin.credit"
	if again, err := d.met(ctx, tx, admin, open, o); again || err != nil {
		return err
	}
	return d.open(ctx, tx, o, admin, d.Set.CodeTTL, open)
}

func (d *Desk) masked(payee *member.Member, o *order.Order) string {
	if payee == nil {
		return o.PayeeNumber().Masked()
	}
	return payee.Number.Masked()
}

// CeilingLeft returns what an administrator may still credit today alone.
func (d *Desk) CeilingLeft(ctx context.Context, tx *store.Tx, admin *member.Member, c money.Currency) (money.Amount, error) {
	used, err := tx.CreditedBy(ctx, admin.ID, c, d.Set.Midnight(tx.Now()))
	if err != nil {
		return money.Amount{}, err
	}
	// The ceiling is kept in the smallest units of the first unit.
	whole := admin.Ceiling / setting.Whole(1, d.Set.Currency()).Minor()
	if c == d.Set.Currency() {
		return money.New(max(admin.Ceiling-used.Minor(), 0), c), nil
	}
	return money.New(max(setting.Whole(whole, c).Minor()-used.Minor(), 0), c), nil
}

func (d *Desk) confirmCredit(ctx context.Context, tx *store.Tx, o *order.Order, admin *member.Member) error {
	if err := d.MayPay(ctx, tx, admin); err != nil {
		return err
	}
	payee, err := d.payee(ctx, tx, o)
	if err != nil {
		return err
	}
	if payee != nil && !payee.Payable() {
		return notice.Refuse("gele.dest", notice.Fields{"who": Called(payee, o.Secret.Typed)})
	}
	left, err := d.CeilingLeft(ctx, tx, admin, o.Amount.Currency())
	if err != nil {
		return err
	}
	if o.Amount.Cmp(left) > 0 {
		o.State = order.Held
		if err := tx.SaveOrder(ctx, o); err != nil {
			return err
		}
		return d.Voice.Answer(ctx, tx, admin, "admin.plafond", notice.Fields{"amt": o.Amount, "bal": left, "who": d.called(payee, o), "ref": o.Ref})
	}
	return d.credit(ctx, tx, o, admin, orderKey(o))
}

// Grant credits at once, for an administrator who is no phone: the command
// line, the web page. The order must be new. key, if it is not "", is that of
// the transaction: a second credit with it is ledger.ErrDuplicate. It refuses
// while payments are paused, and whom MayCredit refuses.
func (d *Desk) Grant(ctx context.Context, tx *store.Tx, o *order.Order, payee *member.Member, key string) error {
	if err := d.MayCredit(ctx, tx, payee, o.PayeeNumber()); err != nil {
		return err
	}
	o.Kind, o.State = order.Credit, order.Open
	if payee != nil {
		o.Payee = int64(payee.ID)
	}
	owner := payee
	if o.Owner != 0 {
		admin, err := tx.Member(ctx, member.ID(o.Owner))
		if err != nil {
			return err
		}
		owner = admin
	}
	if owner == nil { // the number has no account: open it first, so that its key seals the order
		var err error
		if owner, err = d.receiver(ctx, tx, o, nil, nil); err != nil {
			return err
		}
	}
	if err := tx.InsertOrder(ctx, o, owner); err != nil {
		return err
	}
	if key == "" {
		key = orderKey(o)
	}
	return d.credit(ctx, tx, o, nil, key)
}

// credit posts a credit and tells: the administrator who asked by SMS, if any,
// and the member, at once or when the night's hold ends.
func (d *Desk) credit(ctx context.Context, tx *store.Tx, o *order.Order, admin *member.Member, key string) error {
	payee, err := d.payee(ctx, tx, o)
	if err != nil {
		return err
	}
	if payee, err = d.receiver(ctx, tx, o, nil, payee); err != nil {
		return err
	}
	from, err := tx.SystemAccount(ctx, store.Emission, o.Amount.Currency())
	if err != nil {
		return err
	}
	to, err := tx.AccountOf(ctx, payee.ID, o.Amount.Currency())
	if err != nil {
		return err
	}
	if err := d.postOnce(ctx, tx, o, from.ID, to.ID, ledger.Credit, key); err != nil {
		return err
	}
	if err := d.settleCredit(ctx, tx, o, payee); err != nil {
		return err
	}
	if admin == nil {
		return nil
	}
	left, err := d.CeilingLeft(ctx, tx, admin, o.Amount.Currency())
	if err != nil {
		return err
	}
	return d.Voice.Answer(ctx, tx, admin, "admin.fait", notice.Fields{
		"amt": o.Amount, "bal": left, "who": Called(payee, o.Secret.Typed), "ref": o.Ref,
	})
}

// settleCredit decides how a posted credit goes on: announced, held for the
// night, or waiting for a new number to say yes.
func (d *Desk) settleCredit(ctx context.Context, tx *store.Tx, o *order.Order, payee *member.Member) error {
	o.State = order.Done
	r, night, err := d.atNight(ctx, tx, o, tx.Now())
	if err != nil {
		return err
	}
	switch {
	case payee.State == member.New:
		o.State, o.Due = order.Waiting, tx.Now().Add(d.Set.UnacceptedReminder)
	case night && r.Act == guard.Hold:
		if err := d.holdNight(ctx, tx, o, payee, tx.Now().Add(nightHold(r))); err != nil {
			return err
		}
	}
	if err := tx.SaveOrder(ctx, o); err != nil {
		return err
	}
	if night {
		what := notice.Phrase{Key: "alerte.credit", Fields: notice.Fields{"amt": o.Amount, "t": notice.Clock(tx.Now())}}
		facts := []store.Fact{{Name: "order", Value: o.Ref}, SumFact("amount", o.Amount), {Name: "by", Value: "member:" + strconv.FormatInt(o.Owner, 10)}}
		if err := d.Fire(ctx, tx, r, what, payee, facts...); err != nil {
			return err
		}
	}
	switch {
	case payee.State == member.New:
		return d.Voice.Receipt(ctx, tx, payee, "bienvenue", notice.Fields{"who": d.Set.Association, "amt": o.Amount})
	case o.State == order.Waiting:
		return nil
	}
	return d.announceCredit(ctx, tx, o, payee)
}

// atNight returns rule ADM2, and whether an administrator's credit of a moment
// falls under it: it is announced, and spendable, only after a while.
func (d *Desk) atNight(ctx context.Context, tx *store.Tx, o *order.Order, at time.Time) (guard.Ruling, bool, error) {
	r, err := d.Rule(ctx, tx, "ADM2")
	return r, r.Asked() && o.Owner != 0 && err == nil && r.NightCredit(at.In(d.Set.Zone).Hour()), err
}

// nightHold is how long rule ADM2 holds a credit.
func nightHold(r guard.Ruling) time.Duration { return time.Duration(r.At[2]) * time.Minute }

// holdNight sets a posted credit aside until a time.
func (d *Desk) holdNight(ctx context.Context, tx *store.Tx, o *order.Order, payee *member.Member, till time.Time) error {
	to, err := tx.AccountOf(ctx, payee.ID, o.Amount.Currency())
	if err != nil {
		return err
	}
	h := ledger.Hold{Account: to.ID, Placed: o.Amount, For: o.Transaction, Expires: till}
	if err := ledger.Place(ctx, tx, &h); err != nil {
		return err
	}
	o.State, o.Due, o.Hold = order.Waiting, till, h.ID
	return tx.SaveOrder(ctx, o)
}

// AtNight reports whether an administrator's credit of a moment is one of the
// night, rule ADM2.
func (d *Desk) AtNight(ctx context.Context, tx *store.Tx, o *order.Order, at time.Time) (bool, error) {
	_, night, err := d.atNight(ctx, tx, o, at)
	return night, err
}

func (d *Desk) announceCredit(ctx context.Context, tx *store.Tx, o *order.Order, payee *member.Member) error {
	balance, err := d.Balance(ctx, tx, payee, o.Amount.Currency())
	if err != nil {
		return err
	}
	return d.Voice.Inform(ctx, tx, payee, "credit.admin", notice.Fields{"amt": o.Amount, "memo": o.Secret.Memo, "bal": balance, "ref": o.Ref})
}
