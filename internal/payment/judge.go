package payment

import (
	"context"
	"time"

	"maillon/internal/guard"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/notice"
	"maillon/internal/order"
	"maillon/internal/setting"
	"maillon/internal/store"
)

func (d *Desk) limits(c money.Currency) guard.Limits {
	minor := func(n int64) int64 { return setting.Whole(n, c).Minor() }
	return guard.Limits{Max: minor(d.Set.Max), Day: minor(d.Set.Day), FirstMax: minor(d.Set.FirstMax), FirstWarn: minor(d.Set.FirstWarn)}
}

// judge refuses a payment that its payee, a limit or the balance forbids, in
// this order, and returns the facts for what comes after.
func (d *Desk) judge(ctx context.Context, tx *store.Tx, o *order.Order, payer, payee *member.Member) (guard.Payment, error) {
	p := guard.Payment{Amount: o.Amount.Minor(), Hour: tx.Now().In(d.Set.Zone).Hour()}
	if payee != nil && payee.ID == payer.ID {
		return p, notice.Refuse("soi", nil)
	}
	if payee != nil && !payee.Payable() {
		return p, notice.Refuse("gele.dest", notice.Fields{"who": Called(payee, o.Secret.Typed)})
	}
	account, err := d.account(ctx, tx, payer, o.Amount.Currency())
	if err != nil {
		return p, err
	}
	p.Balance = account.Spendable().Minor()
	rules, err := d.Rules(ctx, tx)
	if err != nil {
		return p, err
	}
	if err := d.recall(ctx, tx, rules, &p, o, payer, payee); err != nil {
		return p, err
	}
	if err := d.opening(ctx, tx, payer, o.PayeeNumber().E164() != "" && payee == nil, o); err != nil {
		return p, err
	}
	if key := overLimit(rules, d.limits(o.Amount.Currency()), p); key != "" {
		f := notice.Unit(d.Set.UnitOf(o.Amount.Currency()))
		f["who"] = d.called(payee, o)
		return p, notice.Refuse(key, f)
	}
	if err := d.looked(ctx, tx, payer, payee, p.PaidBefore); err != nil {
		return p, err
	}
	if err := d.doubted(ctx, tx, payer, p, o.Amount.Currency()); err != nil {
		return p, err
	}
	if p.Amount > p.Balance {
		return p, notice.Refuse("insuffisant", notice.Fields{
			"bal": account.Spendable(), "amt": money.New(p.Amount-p.Balance, o.Amount.Currency()),
		})
	}
	return p, nil
}

func (d *Desk) called(payee *member.Member, o *order.Order) any {
	if payee == nil {
		return o.Secret.Typed
	}
	return Called(payee, o.Secret.Typed)
}

// overLimit returns the key of the reply if a limit forbids p, "" if none does.
func overLimit(rules guard.Circumstances, l guard.Limits, p guard.Payment) string {
	refuses := func(id string) bool { return rules.Ruling(id).Act == guard.Refuse }
	switch {
	case l.TooMuch(p), l.DayFull(p) && refuses("VEL2"):
		return "max"
	case l.FirstFull(p) && refuses("NEW2"):
		return "premier.max"
	}
	return ""
}

// recall fills in what the past says of a payment.
func (d *Desk) recall(ctx context.Context, tx *store.Tx, rules guard.Circumstances, p *guard.Payment, o *order.Order, payer, payee *member.Member) error {
	midnight := d.Set.Midnight(tx.Now())
	out, err := tx.PaidOut(ctx, payer.ID, o.Amount.Currency(), midnight, rules.Ruling("VEL1").Window())
	if err != nil {
		return err
	}
	p.Today, p.OutLately = out.Today, out.Lately
	p.PayeeUnknown = payee == nil || !payee.HasAccount()
	p.PayeeRecent = p.PayeeUnknown || payee.Recent(tx.Now())
	if payee == nil {
		return nil
	}
	pair, err := tx.Paid(ctx, payer.ID, payee.ID, o.Amount.Currency(), midnight)
	if err != nil {
		return err
	}
	p.PaidBefore = !pair.First.IsZero()
	if p.PaidBefore && !pair.First.Before(midnight) {
		p.FirstToday, p.PaidFirstDay = true, pair.Today
	}
	return nil
}

// opening refuses a new account where the number wants none, or where too many
// were opened: rules BUR1 and BUR2.
func (d *Desk) opening(ctx context.Context, tx *store.Tx, payer *member.Member, unknown bool, o *order.Order) error {
	if !unknown {
		return nil
	}
	refused, err := tx.HasRefused(ctx, o.PayeeNumber())
	if err != nil {
		return err
	}
	if refused {
		return notice.Refuse("num.refuse", nil)
	}
	rules, err := d.Rules(ctx, tx)
	if err != nil {
		return err
	}
	var mine, all int
	one, any := rules.Ruling("BUR1"), rules.Ruling("BUR2")
	if one.Act == guard.Refuse {
		if mine, err = tx.Counted(ctx, newBy(payer), d.Set.Midnight(tx.Now())); err != nil {
			return err
		}
	}
	if any.Act == guard.Refuse {
		if all, err = tx.Counted(ctx, newInAll, tx.Now().Truncate(time.Hour)); err != nil {
			return err
		}
	}
	if one.Act == guard.Refuse && mine >= d.Set.NewAccounts || any.Act == guard.Refuse && int64(all) >= any.At[0] {
		return notice.Refuse("nouveau.max", notice.Fields{"n": d.Set.NewAccounts})
	}
	return nil
}

// looked closes the book of names to who reads in it without paying: rule LOO1.
func (d *Desk) looked(ctx context.Context, tx *store.Tx, payer, payee *member.Member, paidBefore bool) error {
	if payee == nil || paidBefore {
		return nil
	}
	return d.Look(ctx, tx, payer, payee.ID)
}

// Look counts that a member is shown somebody's name, and refuses it beyond
// the limit of the day, or while look-ups are closed.
func (d *Desk) Look(ctx context.Context, tx *store.Tx, m *member.Member, other member.ID) error {
	refusal := notice.Refuse("recherche.max", nil)
	if m.LookTill.After(tx.Now()) {
		return refusal
	}
	n, err := tx.Looked(ctx, m.ID, other, d.Set.Midnight(tx.Now()))
	if err != nil || n <= d.Set.Lookups {
		return err
	}
	r, err := d.Rule(ctx, tx, "LOO1")
	if err != nil {
		return err
	}
	if r.Act != guard.Refuse {
		if n > d.Set.Lookups+1 { // it is written down already
			return nil
		}
		return d.Fire(ctx, tx, r, RuleText(r.ID), m, CountFact("names", int64(n)))
	}
	m.LookTill = tx.Now().Add(d.Set.LookupsLock)
	if err := tx.SaveMember(ctx, m); err != nil {
		return err
	}
	a := store.Alert{Rule: r.ID, About: m.ID, Act: r.Act, Facts: []store.Fact{CountFact("names", int64(n))}}
	if err := tx.RaiseAlert(ctx, a); err != nil {
		return err
	}
	return refusal
}

// doubted asks for a card cell before a large payment for 30 days after a
// change of number.
func (d *Desk) doubted(ctx context.Context, tx *store.Tx, payer *member.Member, p guard.Payment, c money.Currency) error {
	if !payer.DoubtTill.After(tx.Now()) || p.Amount < setting.Whole(d.Set.FirstMax, c).Minor() || tx.Now().Sub(payer.ProvedAt) < d.Set.CodeTTL {
		return nil
	}
	cell, err := d.Cell(ctx, tx, payer)
	if err != nil {
		return err
	}
	return notice.Refuse("dormant", notice.Fields{"cell": cell})
}
