package payment

import (
	"context"
	"strconv"
	"time"

	"maillon/internal/guard"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/notice"
	"maillon/internal/order"
	"maillon/internal/setting"
	"maillon/internal/store"
)

// Rules returns what decides now what the rules do. A rule that asks for a code
// only logs where none is ever asked for.
func (d *Desk) Rules(ctx context.Context, tx *store.Tx) (guard.Circumstances, error) {
	regime, err := tx.Regime(ctx)
	c := guard.Circumstances{
		Decrees: regime.Decrees, Begun: regime.Begun, Now: tx.Now(), Unasked: d.Set.Confirm == setting.Off,
	}
	switch d.Set.Rules {
	case setting.Act:
		c.Mode = guard.Always
	case setting.Log:
		c.Mode = guard.Never
	case setting.Later:
		c.Mode = guard.InWeeks
	}
	return c, err
}

// Rule returns what one rule does now.
func (d *Desk) Rule(ctx context.Context, tx *store.Tx, id string) (guard.Ruling, error) {
	c, err := d.Rules(ctx, tx)
	if err != nil {
		return guard.Ruling{}, err
	}
	return c.Ruling(id), nil
}

// Fire does what every rule does that fires: a line for the administrators'
// page with the facts; from warn on an SMS to them; the pause, if that is its
// act. What else the act is, whoever asked the rule does.
func (d *Desk) Fire(ctx context.Context, tx *store.Tx, r guard.Ruling, what notice.Phrase, about *member.Member, facts ...store.Fact) error {
	a := store.Alert{Rule: r.ID, Act: r.Act, Facts: facts}
	switch r.Act {
	case guard.Off:
		return nil
	case guard.Log:
		if about != nil {
			a.About = about.ID
		}
		return tx.RaiseAlert(ctx, a)
	case guard.Pause:
		if err := d.stop(ctx, tx, r); err != nil {
			return err
		}
	}
	return d.Voice.Alarm(ctx, tx, a, what, about)
}

// stop pauses all payments on behalf of a rule.
func (d *Desk) stop(ctx context.Context, tx *store.Tx, r guard.Ruling) error {
	since, err := tx.Paused(ctx)
	if err != nil || !since.IsZero() {
		return err
	}
	tx.Act("rule:"+r.ID, "pause", "", "")
	return tx.SetPaused(ctx, tx.Now())
}

// RuleText names a rule in an alert.
func RuleText(id string) notice.Phrase {
	return notice.Phrase{Key: "alerte.regle", Fields: notice.Fields{"rule": id}}
}

// CountFact is a fact that is a number.
func CountFact(name string, n int64) store.Fact {
	return store.Fact{Name: name, Value: strconv.FormatInt(n, 10)}
}

// SumFact is a fact that is an amount.
func SumFact(name string, a money.Amount) store.Fact {
	return store.Fact{Name: name, Value: a.Plain() + " " + a.Currency().Code}
}

// A caught is a rule that fires for a payment, and by what.
type caught struct {
	guard.Ruling
	facts []store.Fact
}

// lately fills in what the last hours say of a payment that is about to happen,
// as far as a rule asks.
func (d *Desk) lately(ctx context.Context, tx *store.Tx, o *order.Order, payer *member.Member, p *guard.Payment) error {
	rules, err := d.Rules(ctx, tx)
	if err != nil {
		return err
	}
	c := o.Amount.Currency()
	if r, limits := rules.Ruling("STR1"), d.limits(c); r.Asked() && r.NearLimit(limits, p.Amount) {
		if p.NearLimit24h, err = tx.CountBetween(ctx, payer.ID, c, r.NearRanges(limits)); err != nil {
			return err
		}
	}
	if !rules.Ruling("MUL1").Asked() {
		return nil
	}
	in, err := tx.PaidIn(ctx, payer.ID, c, tx.Now().Add(-time.Hour))
	p.PayersIn1h, p.InLast1h, p.OutLast1h = in.Payers, in.Sum, in.Out
	return err
}

// caught returns the rules that fire for a payment about to happen. asked says
// that its code was asked for.
func (d *Desk) caught(ctx context.Context, tx *store.Tx, o *order.Order, p guard.Payment, asked bool) ([]caught, error) {
	rules, err := d.Rules(ctx, tx)
	if err != nil {
		return nil, err
	}
	rules.Unasked = rules.Unasked && !asked
	c := o.Amount.Currency()
	unit, limits := setting.Whole(1, c).Minor(), d.limits(c)
	sum := func(name string, minor int64) store.Fact { return SumFact(name, money.New(minor, c)) }
	var all []caught
	add := func(id string, fires func(guard.Ruling) bool, facts func() []store.Fact) {
		if r := rules.Ruling(id); r.Asked() && fires(r) {
			all = append(all, caught{r, facts()})
		}
	}
	add("VEL1", func(r guard.Ruling) bool { return r.Velocity(p) }, func() []store.Fact {
		return []store.Fact{CountFact("payments", int64(p.OutLately)+1)}
	})
	add("MUL1", func(r guard.Ruling) bool { return r.Mule(p) }, func() []store.Fact {
		return []store.Fact{CountFact("payers", int64(p.PayersIn1h)), sum("in", p.InLast1h), sum("out", p.OutLast1h)}
	})
	add("NGT1", func(r guard.Ruling) bool { return r.Night(p, unit) }, func() []store.Fact {
		return []store.Fact{CountFact("hour", int64(p.Hour))}
	})
	add("STR1", func(r guard.Ruling) bool { return r.Structuring(limits, p) }, func() []store.Fact {
		return []store.Fact{CountFact("payments", int64(p.NearLimit24h)+1)}
	})
	add("VEL2", func(r guard.Ruling) bool { return limits.DayFull(p) }, func() []store.Fact { return []store.Fact{sum("today", p.Today)} })
	add("NEW2", func(r guard.Ruling) bool { return limits.FirstFull(p) }, func() []store.Fact { return []store.Fact{sum("today", p.PaidFirstDay)} })
	add("NEW1", func(r guard.Ruling) bool { return r.Act != guard.Warn && limits.First(p) }, func() []store.Fact { return nil })
	add("DRA1", func(r guard.Ruling) bool { return r.Act != guard.Warn && r.Nearly(p, unit) }, func() []store.Fact {
		return []store.Fact{sum("balance", p.Balance)}
	})
	return all, nil
}

// asksFirst reports whether a rule wants the code of a payment that would be
// paid at once.
func (d *Desk) asksFirst(ctx context.Context, tx *store.Tx, o *order.Order, p guard.Payment) (bool, error) {
	all, err := d.caught(ctx, tx, o, p, false)
	for _, c := range all {
		if c.Act == guard.Ask {
			return true, err
		}
	}
	return false, err
}

// suspicious applies the rules that act when a payment is about to happen, and
// returns the most that one of them wants: guard.Hold that an administrator
// decides, guard.Refuse that it is not paid; less, and it goes on.
func (d *Desk) suspicious(ctx context.Context, tx *store.Tx, o *order.Order, payer *member.Member, p guard.Payment) (guard.Act, error) {
	all, err := d.caught(ctx, tx, o, p, o.Question != "")
	if err != nil {
		return 0, err
	}
	most := guard.Log
	for _, c := range all {
		facts := append(c.facts, store.Fact{Name: "order", Value: o.Ref}, SumFact("amount", o.Amount))
		if o.Payee != 0 {
			facts = append(facts, store.Fact{Name: "payee", Value: "member:" + strconv.FormatInt(o.Payee, 10)})
		}
		if err := d.Fire(ctx, tx, c.Ruling, RuleText(c.ID), payer, facts...); err != nil {
			return 0, err
		}
		wants := c.Act
		if wants == guard.Pause { // this one waits too
			wants = guard.Hold
		}
		most = max(most, wants)
	}
	return most, nil
}
