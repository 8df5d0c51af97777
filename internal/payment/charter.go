package payment

import (
	"context"
	"fmt"

	"maillon/internal/charter"
	"maillon/internal/member"
	"maillon/internal/notice"
	"maillon/internal/order"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/store"
)

// charterName is the name under which the charter is kept.
const charterName = "charter"

// Charter returns what the association has decided about its currency.
func (d *Desk) Charter(ctx context.Context, tx *store.Tx) (charter.Charter, error) {
	text, err := tx.State(ctx, charterName)
	if err != nil {
		return charter.Charter{}, err
	}
	return charter.Parse(text)
}

// SaveCharter writes what the association has decided, or says what is wrong
// with it.
func (d *Desk) SaveCharter(ctx context.Context, tx *store.Tx, c charter.Charter) error {
	text, err := c.Encode()
	if err != nil {
		return err
	}
	return tx.SetState(ctx, charterName, text)
}

// StillOpen refuses what moves money while payments are paused.
func (d *Desk) StillOpen(ctx context.Context, tx *store.Tx) error {
	paused, err := tx.Paused(ctx)
	if err == nil && !paused.IsZero() {
		err = notice.Refuse("pause", nil)
	}
	return err
}

// HoldCredit writes a credit that a second person must release, for it is above
// what one may grant a day. The order must be new; nobody is told.
func (d *Desk) HoldCredit(ctx context.Context, tx *store.Tx, admin, payee *member.Member, o *order.Order) error {
	o.Kind, o.Owner, o.Asked, o.State = order.Credit, int64(admin.ID), int64(admin.ID), order.Held
	if payee != nil {
		o.Payee = int64(payee.ID)
	}
	return tx.InsertOrder(ctx, o, admin)
}

// MayCredit refuses what forbids to credit somebody, or a number without
// account.
func (d *Desk) MayCredit(ctx context.Context, tx *store.Tx, payee *member.Member, number sms.Number) error {
	if payee != nil && payee.State == member.Closed {
		return notice.Refuse("gele.dest", notice.Fields{"who": Called(payee, "")})
	}
	o := &order.Order{Secret: order.Secret{Number: number.E164(), Typed: number.National()}}
	return d.stillMay(ctx, tx, o, payee)
}

// Start gives a member who has just been accepted the starting credit of the
// group, once. While payments are paused nothing is given.
func (d *Desk) Start(ctx context.Context, tx *store.Tx, m *member.Member) error {
	paused, err := tx.Paused(ctx)
	if err != nil || !paused.IsZero() || m.State != member.Active {
		return err
	}
	c, err := d.Charter(ctx, tx)
	if err != nil {
		return err
	}
	_, err = d.StartLate(ctx, tx, c, m)
	return err
}

// StartLate is Start for somebody who may have been accepted earlier. It reports
// whether something was given.
func (d *Desk) StartLate(ctx context.Context, tx *store.Tx, c charter.Charter, m *member.Member) (bool, error) {
	g := c.Group(m.Group)
	if g.Start == 0 {
		return false, nil
	}
	key := StartKey(m.ID)
	used, err := tx.PostedUnder(ctx, []string{key})
	if err != nil || len(used) > 0 {
		return false, err
	}
	o := &order.Order{Amount: setting.Whole(g.Start, d.Set.Currency()), Secret: order.Secret{Memo: g.Why}}
	return true, d.Grant(ctx, tx, o, m, key)
}

// StartKey is the key of the starting credit of a member: there is one.
func StartKey(id member.ID) string { return fmt.Sprintf("start:%d", id) }
