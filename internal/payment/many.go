package payment

import (
	"context"
	"fmt"

	"maillon/internal/charter"
	"maillon/internal/guard"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/notice"
	"maillon/internal/order"
	"maillon/internal/sms"
	"maillon/internal/store"
)

// A Grant is one credit among many.
type Grant struct {
	Payee  *member.Member // nil: the number has no account yet
	Number sms.Number
	Amount money.Amount
	Reason string
	Key    string // of the transaction
}

// GrantMany credits all of some grants or, with an error, none: a key that was
// used is ledger.ErrDuplicate. admin is nil for the operator. Members are told
// by and by, behind what others wait for. It returns the references.
func (d *Desk) GrantMany(ctx context.Context, tx *store.Tx, admin *member.Member, grants []Grant) ([]string, error) {
	c, err := d.Charter(ctx, tx)
	if err != nil {
		return nil, err
	}
	m := many{Desk: d, admin: admin, spread: c.Spread(tx.Now(), d.Set.Zone), opened: map[sms.Number]*member.Member{}}
	var ids []member.ID
	for _, g := range grants {
		if g.Payee != nil {
			ids = append(ids, g.Payee.ID)
		}
	}
	if err := tx.ExpectMany(ctx, ids, len(grants)); err != nil {
		return nil, err
	}
	refs := make([]string, 0, len(grants))
	for n, g := range grants {
		o, err := m.grant(ctx, tx, g)
		if err != nil {
			return nil, fmt.Errorf("grant %d: %w", n+1, err)
		}
		refs = append(refs, o.Ref)
	}
	return refs, m.alert(ctx, tx)
}

// many is a GrantMany at work.
type many struct {
	*Desk
	admin  *member.Member
	spread *charter.Spread
	opened map[sms.Number]*member.Member
	from   ledger.Account // emission, in the currency of the last grant
	night  money.Amount   // what is held until it was announced: rule ADM2
	adm2   guard.Ruling
}

func (m *many) grant(ctx context.Context, tx *store.Tx, g Grant) (*order.Order, error) {
	o := &order.Order{Kind: order.Credit, State: order.Open, Amount: g.Amount, Secret: order.Secret{Memo: g.Reason}}
	payee, err := m.receive(ctx, tx, o, g)
	if err != nil {
		return nil, err
	}
	owner := payee
	if m.admin != nil {
		owner, o.Owner = m.admin, int64(m.admin.ID)
	}
	if err := tx.InsertOrder(ctx, o, owner); err != nil {
		return nil, err
	}
	if m.from.ID == 0 || m.from.Balance.Currency() != g.Amount.Currency() {
		if m.from, err = tx.SystemAccount(ctx, store.Emission, g.Amount.Currency()); err != nil {
			return nil, err
		}
	}
	to, err := tx.AccountOf(ctx, payee.ID, g.Amount.Currency())
	if err != nil {
		return nil, err
	}
	if err := m.postOnce(ctx, tx, o, m.from.ID, to.ID, ledger.Credit, g.Key); err != nil {
		return nil, err
	}
	return o, m.settle(ctx, tx, o, payee)
}

// receive finds whom a grant is for, and opens the account of a new number.
func (m *many) receive(ctx context.Context, tx *store.Tx, o *order.Order, g Grant) (*member.Member, error) {
	if g.Payee == nil {
		o.Secret.Number, o.Secret.Typed = g.Number.E164(), g.Number.National()
		if known := m.opened[g.Number]; known != nil {
			o.Payee = int64(known.ID)
			return known, nil
		}
	}
	payee, err := m.receiver(ctx, tx, o, nil, g.Payee)
	if err == nil && g.Payee == nil {
		m.opened[g.Number] = payee
	}
	return payee, err
}

// settle is settleCredit for one of many: it is told later, and an alert is
// raised for all at once.
func (m *many) settle(ctx context.Context, tx *store.Tx, o *order.Order, payee *member.Member) (err error) {
	o.State = order.Done
	if payee.State == member.New {
		o.State, o.Due = order.Waiting, tx.Now().Add(m.Set.UnacceptedReminder)
		if err := tx.SaveOrder(ctx, o); err != nil {
			return err
		}
		return m.Voice.Later(ctx, tx, payee, "bienvenue", notice.Fields{"who": m.Set.Association, "amt": o.Amount}, m.spread.Next())
	}
	r, night, err := m.atNight(ctx, tx, o, tx.Now())
	if err != nil {
		return err
	}
	if night {
		m.adm2 = r
		if m.night.IsZero() {
			m.night = money.New(0, o.Amount.Currency())
		}
		if m.night, err = m.night.Add(o.Amount); err != nil {
			return err
		}
		if r.Act == guard.Hold {
			return m.holdNight(ctx, tx, o, payee, tx.Now().Add(nightHold(r)))
		}
	}
	if err := tx.SaveOrder(ctx, o); err != nil {
		return err
	}
	balance, err := m.Balance(ctx, tx, payee, o.Amount.Currency())
	if err != nil {
		return err
	}
	f := notice.Fields{"amt": o.Amount, "memo": o.Secret.Memo, "bal": balance, "ref": o.Ref}
	return m.Voice.Later(ctx, tx, payee, "credit.admin", f, m.spread.Next())
}

func (m *many) alert(ctx context.Context, tx *store.Tx) error {
	if m.night.IsZero() {
		return nil
	}
	what := notice.Phrase{Key: "alerte.credit", Fields: notice.Fields{"amt": m.night, "t": notice.Clock(tx.Now())}}
	return m.Fire(ctx, tx, m.adm2, what, nil, SumFact("amount", m.night))
}
