package treasury

import (
	"context"
	"errors"
	"fmt"

	"maillon/internal/charter"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/notice"
	"maillon/internal/order"
	"maillon/internal/setting"
	"maillon/internal/store"
)

var (
	// ErrNoGroup means that there is no such group.
	ErrNoGroup = errors.New("no such group")
	// ErrOff means that the charter does not have this.
	ErrOff = errors.New("the association has not decided on this")
	// ErrBeyond means that a limit of the charter would be passed.
	ErrBeyond = errors.New("more than the charter allows")
)

// MaxActReason bounds the reason of an act on a pot or a limit, in letters.
const MaxActReason = 100

// SetCharter writes what the association has decided from now on. change gets what is in force; a charter.Fault says what cannot be.
func (t *Treasury) SetCharter(ctx context.Context, tx *store.Tx, by, reason string, change func(*charter.Charter) error) error {
	if reason == "" {
		return ErrReason
	}
	c, err := t.Desk.Charter(ctx, tx)
	if err != nil {
		return err
	}
	was, err := c.Encode()
	if err != nil {
		return err
	}
	if err := change(&c); err != nil {
		return err
	}
	became, err := c.Encode()
	if err != nil || became == was {
		return err
	}
	tx.Audit(store.Act{By: by, What: "charter", Subject: "charter", Reason: reason, Was: was, Became: became})
	return t.Desk.SaveCharter(ctx, tx, c)
}

// SetGroup puts a member into a group of the charter; "" is everybody else.
func (t *Treasury) SetGroup(ctx context.Context, tx *store.Tx, by string, m *member.Member, group string) error {
	c, err := t.Desk.Charter(ctx, tx)
	switch {
	case err != nil:
		return err
	case !c.HasGroup(group):
		return ErrNoGroup
	case m.Group == group:
		return nil
	}
	tx.Audit(store.Act{By: by, What: "group", Subject: on(m), Was: m.Group, Became: group})
	m.Group = group
	return tx.SaveMember(ctx, m)
}

// SetLimit says how far below zero a member's account may go; zero ends it. It
// is ErrOff unless mutual credit is decided, ErrBeyond above its hard limit,
// and ledger.ErrInsufficient if the account owes more already.
func (t *Treasury) SetLimit(ctx context.Context, tx *store.Tx, by string, m *member.Member, limit money.Amount, reason string) error {
	c, err := t.Desk.Charter(ctx, tx)
	switch {
	case err != nil:
		return err
	case reason == "":
		return ErrReason
	case limit.Sign() < 0:
		return ErrBeyond
	case limit.Sign() > 0 && !c.Mutual.On:
		return ErrOff
	case limit.Sign() > 0 && limit.Cmp(setting.Whole(c.Mutual.Hard, limit.Currency())) > 0:
		return ErrBeyond
	case m.State != member.Active:
		return ErrUnknown
	}
	a, err := tx.AccountOf(ctx, m.ID, limit.Currency())
	if err != nil {
		return err
	}
	floor, err := limit.Neg()
	if err != nil || floor == a.Floor {
		return err
	}
	tx.Audit(store.Act{By: by, What: "limit", Subject: on(m), Reason: reason, Was: a.Floor.String(), Became: floor.String()})
	return tx.SetFloor(ctx, a.ID, floor)
}

// A PotNow is a pot with what is in it.
type PotNow struct {
	charter.Pot
	Balance money.Amount
	Goal    money.Amount // zero: none
	Percent int64        // of the goal, at most 100
}

// Pots returns the pots, the common one first.
func (t *Treasury) Pots(ctx context.Context, tx *store.Tx) ([]PotNow, error) {
	c, err := t.Desk.Charter(ctx, tx)
	if err != nil {
		return nil, err
	}
	unit := t.Desk.Set.Currency()
	all := make([]PotNow, 0, 1+len(c.Pots))
	for _, p := range append([]charter.Pot{{}}, c.Pots...) {
		balance, err := tx.SystemBalance(ctx, p.Account(), unit)
		if err != nil {
			return nil, err
		}
		now := PotNow{Pot: p, Balance: balance, Goal: setting.Whole(p.Goal, unit)}
		if goal := now.Goal.Minor(); goal > 0 && balance.Sign() > 0 {
			now.Percent = min(100, balance.Minor()/max(goal/100, 1))
			if balance.Minor() < goal {
				now.Percent = min(99, now.Percent)
			}
		}
		all = append(all, now)
	}
	return all, nil
}

// A PotMove is money that an administrator moves into a pot or out of it.
type PotMove struct {
	Pot    string // "" is the common one
	From   string // what fills it: another pot, or store.Emission
	Amount money.Amount
	Reason string
	Name   string // with the same name it is ledger.ErrDuplicate
}

// FillPot moves money into a pot, from emission or from another pot. What is
// created counts like any credit: above the administrator's ceiling it is
// ErrBeyond.
func (t *Treasury) FillPot(ctx context.Context, tx *store.Tx, admin *member.Member, p PotMove) (*order.Order, error) {
	from, err := t.source(ctx, tx, p.From, p.Amount.Currency())
	if err != nil {
		return nil, err
	}
	to, err := t.pot(ctx, tx, p.Pot, p.Amount.Currency())
	if err != nil {
		return nil, err
	}
	return t.share(ctx, tx, admin, p, from, to, nil)
}

// PayFromPot gives money of a pot to a member, who is told as of a credit.
func (t *Treasury) PayFromPot(ctx context.Context, tx *store.Tx, admin, payee *member.Member, p PotMove) (*order.Order, error) {
	if payee.State != member.Active {
		return nil, ErrUnknown
	}
	if err := t.Desk.MayCredit(ctx, tx, payee, payee.Number); err != nil {
		return nil, err
	}
	from, err := t.pot(ctx, tx, p.Pot, p.Amount.Currency())
	if err != nil {
		return nil, err
	}
	to, err := tx.AccountOf(ctx, payee.ID, p.Amount.Currency())
	if err != nil {
		return nil, err
	}
	o, err := t.share(ctx, tx, admin, p, from, to, payee)
	if err != nil {
		return nil, err
	}
	balance, err := t.Desk.Balance(ctx, tx, payee, p.Amount.Currency())
	if err != nil {
		return nil, err
	}
	return o, t.Desk.Voice.Inform(ctx, tx, payee, "credit.admin", notice.Fields{"amt": o.Amount, "memo": p.Reason, "bal": balance, "ref": o.Ref})
}

func (t *Treasury) source(ctx context.Context, tx *store.Tx, name string, c money.Currency) (ledger.Account, error) {
	if name == store.Emission {
		return tx.SystemAccount(ctx, store.Emission, c)
	}
	return t.pot(ctx, tx, name, c)
}

func (t *Treasury) pot(ctx context.Context, tx *store.Tx, name string, c money.Currency) (ledger.Account, error) {
	decided, err := t.Desk.Charter(ctx, tx)
	if err != nil {
		return ledger.Account{}, err
	}
	p, err := decided.Pot(name)
	if err != nil {
		return ledger.Account{}, err
	}
	return tx.SystemAccount(ctx, p.Account(), c)
}

// share moves money of the association, once for each name.
func (t *Treasury) share(ctx context.Context, tx *store.Tx, admin *member.Member, p PotMove, from, to ledger.Account, payee *member.Member) (*order.Order, error) {
	if err := t.Desk.StillOpen(ctx, tx); err != nil {
		return nil, err
	}
	if err := checkGrant(p.Amount, p.Reason); err != nil {
		return nil, err
	}
	if from.ID == to.ID {
		return nil, charter.ErrNoPot
	}
	if p.Name != "" {
		if err := t.once(ctx, tx, t.grantKey(p.Name)); err != nil {
			return nil, err
		}
	}
	kind := order.Share
	if p.From == store.Emission { // it is created: it counts for the ceiling
		left, err := t.Desk.CeilingLeft(ctx, tx, admin, p.Amount.Currency())
		if err != nil {
			return nil, err
		}
		if p.Amount.Cmp(left) > 0 {
			return nil, ErrBeyond
		}
		kind = order.Credit
	}
	o := &order.Order{Kind: kind, State: order.Open, Owner: int64(admin.ID), Amount: p.Amount, Secret: order.Secret{Memo: p.Reason}}
	if payee != nil {
		o.Payee = int64(payee.ID)
	}
	if err := tx.InsertOrder(ctx, o, admin); err != nil {
		return nil, err
	}
	postings, err := ledger.Transfer(from.ID, to.ID, p.Amount)
	if err != nil {
		return nil, err
	}
	txn := ledger.Transaction{Ref: o.Ref, Key: fmt.Sprintf("order:%d", o.ID), Kind: ledger.Share, At: tx.Now(), Postings: postings}
	if err := ledger.Post(ctx, tx, &txn); err != nil {
		return nil, err
	}
	tx.Act(By(admin), "pot", "order:"+o.Ref, "")
	o.State, o.Transaction, o.Paid, o.Ended = order.Done, txn.ID, tx.Now(), tx.Now()
	return o, tx.SaveOrder(ctx, o)
}
