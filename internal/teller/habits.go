package teller

import (
	"context"
	"time"

	"maillon/internal/guard"
	"maillon/internal/member"
	"maillon/internal/payment"
)

const (
	dayLong  = 24 * time.Hour
	maxHours = 200 // payments of the past by whose hours a habit is known
)

// habits asks rule SIM1 about somebody who writes after a long silence: another
// person may have the number by now.
func (k *talk) habits(ctx context.Context, before member.Member) error {
	now := k.tx.Now()
	silent := now.Sub(before.SeenAt)
	r, err := k.desk.Rule(ctx, k.tx, "SIM1")
	if err != nil || !r.Asked() || before.State != member.Active || silent < time.Duration(r.At[0])*dayLong {
		return err
	}
	h := guard.Habit{Silent: silent, Language: before.Language, Wrote: k.language(), Hour: now.In(k.set.Zone).Hour()}
	paid, err := k.tx.PaidAt(ctx, before.ID, maxHours)
	if err != nil {
		return err
	}
	for _, at := range paid {
		h.Hours[at.In(k.set.Zone).Hour()]++
	}
	if !r.Changed(h) {
		return nil
	}
	return k.desk.Fire(ctx, k.tx, r, payment.RuleText(r.ID), k.from,
		payment.CountFact("days", int64(silent/dayLong)), payment.CountFact("hour", int64(h.Hour)))
}
