package treasury

import (
	"context"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/order"
	"maillon/internal/sms"
	"maillon/internal/store"
)

// formLife is how long a form may come a second time, at least.
const formLife = 24 * time.Hour

// A CreditAsked is one credit that an administrator asks for.
type CreditAsked struct {
	Payee  *member.Member // nil: the number has no account
	Number sms.Number
	Amount money.Amount
	Reason string
	Name   string // with the same name it is ledger.ErrDuplicate; "" is none
}

// Credit grants a credit within what the administrator may grant today, and
// leaves one above to a second person: the state of its order says which.
func (t *Treasury) Credit(ctx context.Context, tx *store.Tx, admin *member.Member, c CreditAsked) (*order.Order, error) {
	if err := t.Desk.StillOpen(ctx, tx); err != nil {
		return nil, err
	}
	if err := t.Desk.MayCredit(ctx, tx, c.Payee, c.Number); err != nil {
		return nil, err
	}
	if c.Name != "" {
		if err := t.once(ctx, tx, t.grantKey(c.Name)); err != nil {
			return nil, err
		}
	}
	left, err := t.Desk.CeilingLeft(ctx, tx, admin, c.Amount.Currency())
	if err != nil {
		return nil, err
	}
	if c.Amount.Cmp(left) <= 0 {
		return t.GrantOnce(ctx, tx, By(admin), admin, c.Payee, c.Number, c.Amount, c.Reason, c.Name)
	}
	if err := checkGrant(c.Amount, c.Reason); err != nil {
		return nil, err
	}
	o := &order.Order{Amount: c.Amount, Secret: order.Secret{Memo: c.Reason}}
	if c.Payee == nil {
		o.Secret.Number, o.Secret.Typed = c.Number.E164(), c.Number.National()
	}
	if err := t.Desk.HoldCredit(ctx, tx, admin, c.Payee, o); err != nil {
		return nil, err
	}
	tx.Act(By(admin), "credit.propose", "order:"+o.Ref, "")
	return o, nil
}

// once refuses what was done under a name on this day or the one before: a form
// that comes twice.
func (t *Treasury) once(ctx context.Context, tx *store.Tx, name string) error {
	day := tx.Now().UTC().Truncate(formLife)
	before, err := tx.Counted(ctx, name, day.Add(-formLife))
	if err != nil {
		return err
	}
	n, err := tx.Count(ctx, name, day)
	if err == nil && before+n > 1 {
		err = ledger.ErrDuplicate
	}
	return err
}
