package teller

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"maillon/internal/grammar"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/notice"
	"maillon/internal/order"
	"maillon/internal/payment"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// adminVerb returns what an administrator's verb does. To a phone whose owner
// may not do it, it is not understood.
func (k *talk) adminVerb() (func(context.Context) error, bool) {
	role := k.from.Role
	switch k.command.Verb {
	case grammar.Credit:
		return k.credit, role.MayCredit()
	case grammar.Freeze:
		return func(ctx context.Context) error { return k.freeze(ctx, order.Freeze, "admin.gele.code") }, role.MayFreeze()
	case grammar.Unfreeze:
		return func(ctx context.Context) error { return k.freeze(ctx, order.Unfreeze, "admin.degele.code") }, role.MayFreeze()
	case grammar.Pause:
		return k.pause, role.MayPause()
	case grammar.State:
		return k.state, role.MayCredit() || role == member.Auditor
	}
	return nil, false
}

// stillMay reports whether the role allows what a code confirms.
func (k *talk) stillMay(kind order.Kind) bool {
	role := k.from.Role
	switch kind {
	case order.Credit:
		return role.MayCredit()
	case order.Freeze, order.Unfreeze:
		return role.MayFreeze()
	case order.Pause:
		return role.MayPause()
	}
	return true
}

// credit asks for the code that credits a member.
func (k *talk) credit(ctx context.Context) error {
	if err := k.desk.MayPay(ctx, k.tx, k.from); err != nil {
		return err
	}
	o, payee, err := k.order(ctx)
	if err != nil {
		return err
	}
	if payee != nil && payee.ID == k.from.ID { // nobody credits himself
		return notice.Refuse("soi", nil)
	}
	if payee != nil && !payee.Payable() {
		return notice.Refuse("gele.dest", notice.Fields{"who": payment.Called(payee, o.Secret.Typed)})
	}
	return k.desk.Credit(ctx, k.tx, k.from, payee, o)
}

// freeze asks for the code that blocks or unblocks the payments of a member.
func (k *talk) freeze(ctx context.Context, kind order.Kind, question string) error {
	if kind == order.Unfreeze { // who is blocked does not unblock himself
		if err := k.desk.MayAct(ctx, k.tx, k.from); err != nil {
			return err
		}
	}
	m, err := k.byNick(ctx, k.command.Who)
	if err != nil {
		return err
	}
	return k.desk.Question(ctx, k.tx, k.from, &order.Order{
		Kind: kind, Payee: int64(m.ID), Question: question, Secret: order.Secret{Typed: k.command.Who},
	})
}

// pause asks for the code that stops all payments.
func (k *talk) pause(ctx context.Context) error {
	since, err := k.tx.Paused(ctx)
	if err != nil {
		return err
	}
	if !since.IsZero() {
		return k.answer(ctx, "admin.pause", notice.Fields{"t": notice.Clock(since)})
	}
	return k.desk.Question(ctx, k.tx, k.from, &order.Order{
		Kind: order.Pause, Question: "admin.pause.code", Secret: order.Secret{Typed: k.set.Association},
	})
}

// administer does what an administrator's code confirms.
func (k *talk) administer(ctx context.Context, q *order.Order) error {
	by := treasury.By(k.from)
	q.State, q.Ended = order.Done, k.tx.Now()
	if err := k.tx.SaveOrder(ctx, q); err != nil {
		return err
	}
	if q.Kind == order.Pause {
		if err := k.treasury.Pause(ctx, k.tx, by); err != nil {
			return err
		}
		return k.administered(ctx, q)
	}
	m, err := k.tx.Member(ctx, member.ID(q.Payee))
	if err != nil {
		return err
	}
	act := k.treasury.Freeze
	if q.Kind == order.Unfreeze {
		act = k.treasury.Unfreeze
	}
	if err := act(ctx, k.tx, by, m, ""); err != nil {
		return err
	}
	return k.administered(ctx, q)
}

// administered tells an administrator that it is done.
func (k *talk) administered(ctx context.Context, q *order.Order) error {
	switch q.Kind {
	case order.Pause:
		return k.answer(ctx, "admin.pause", notice.Fields{"t": notice.Clock(q.Ended)})
	case order.Freeze, order.Unfreeze:
		m, err := k.tx.Member(ctx, member.ID(q.Payee))
		if err != nil {
			return err
		}
		key := "admin.gele"
		if q.Kind == order.Unfreeze {
			key = "admin.degele"
		}
		return k.answer(ctx, key, notice.Fields{"who": payment.Called(m, q.Secret.Typed)})
	}
	return fmt.Errorf("order %d: %s is no act of an administrator", q.ID, q.Kind)
}

// state answers how the whole service does.
func (k *talk) state(ctx context.Context) error {
	members, err := k.tx.CountMembers(ctx)
	if err != nil {
		return err
	}
	total, err := k.circulation(ctx)
	if err != nil {
		return err
	}
	alerts, err := k.tx.OpenAlerts(ctx)
	if err != nil {
		return err
	}
	backlog, err := k.tx.Backlog(ctx)
	if err != nil {
		return err
	}
	modem := "modem.ok"
	if k.options.ModemDown() {
		modem = "modem.muet"
	}
	saved, err := k.savedOn(ctx)
	if err != nil {
		return err
	}
	return k.answer(ctx, "admin.etat", notice.Fields{
		"t": notice.Clock(k.tx.Now()), "n": members, "bal": total, "n2": alerts,
		"state": notice.Phrase{Key: modem}, "n3": backlog.N, "d": saved,
	})
}

func (k *talk) circulation(ctx context.Context) (money.Amount, error) {
	return k.tx.Circulation(ctx, k.set.Currency())
}

// savedOn returns the day of the last backup that was proven.
func (k *talk) savedOn(ctx context.Context) (any, error) {
	text, err := k.tx.State(ctx, store.BackedUpAt)
	if err != nil {
		return nil, err
	}
	if text == "" {
		return "-", nil // none yet
	}
	micros, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", store.BackedUpAt, err)
	}
	return notice.Day(time.UnixMicro(micros)), nil
}
