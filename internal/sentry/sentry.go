// Package sentry asks the rules that no payment asks: of gateways and their
// clocks, of how much leaves, of money that goes round in a circle, and of the
// books themselves. It is a duty of one server. Nothing happens on the way of a
// payment: it looks at what is on disk, a slice at a time, and acts as
// payment.Desk.Fire does.
package sentry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"maillon/internal/guard"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/notice"
	"maillon/internal/payment"
	"maillon/internal/setting"
	"maillon/internal/store"
)

// How often is looked, and how much at once.
const (
	every      = 10 * time.Minute // at most, and only after something happened
	cycle      = 24 * time.Hour   // from the first row of the journal again
	restLeast  = 50 * time.Millisecond
	restTimes  = 4   // as long as a slice took it rests: a fifth of a processor at most
	maxMoves   = 500 // payments followed in one slice
	maxSlices  = 100 // of payments in one round
	hour       = time.Hour
	dayLong    = 24 * time.Hour
	scarceFrom = 2 * time.Minute // rule SMS1: after that, so that its alert still leaves
	maxWhat    = 160             // of a fault, in octets
)

// movesName is the name under which is kept up to which payment loops were
// looked for.
const movesName = "loops_until"

// A Sentry watches one association.
type Sentry struct {
	db   *store.DB
	desk *payment.Desk

	proof store.Proof
	began time.Time // of the proof's cycle
}

// New returns a sentry on the books of a desk.
func New(db *store.DB, desk *payment.Desk) *Sentry { return &Sentry{db: db, desk: desk} }

// Run looks until ctx ends: now, and some time after something happened.
func (s *Sentry) Run(ctx context.Context) {
	books, noBooks := s.db.Subscribe(store.Books)
	defer noBooks()
	out, noOut := s.db.Subscribe(store.Outgoing)
	defer noOut()
	for ctx.Err() == nil {
		looked := time.Now()
		err := s.Round(ctx)
		if errors.Is(err, store.ErrClosed) || ctx.Err() != nil {
			return
		}
		if err != nil {
			slog.ErrorContext(ctx, "rules out of reach", "error", err)
		}
		select {
		case <-books:
		case <-out:
		case <-ctx.Done():
			return
		}
		if !sleep(ctx, time.Until(looked.Add(every))) {
			return
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// Round asks every rule once, and proves the books up to their end.
func (s *Sentry) Round(ctx context.Context) error {
	err := errors.Join(s.sums(ctx), s.repeats(ctx), s.clocks(ctx), s.flood(ctx), s.loops(ctx))
	return errors.Join(err, s.prove(ctx))
}

// ruling returns what a rule does now.
func (s *Sentry) ruling(ctx context.Context, id string) (r guard.Ruling, err error) {
	err = s.db.View(ctx, func(tx *store.Tx) error {
		r, err = s.desk.Rule(ctx, tx, id)
		return err
	})
	return r, err
}

// fire lets a rule act once in a period for all that is named alike.
func (s *Sentry) fire(ctx context.Context, r guard.Ruling, name string, period time.Duration, facts []store.Fact, also func(*store.Tx) error) error {
	return s.db.Update(ctx, func(tx *store.Tx) error {
		n, err := tx.Count(ctx, "rule:"+r.ID+":"+name, tx.Now().Truncate(period))
		if err != nil || n > 1 {
			return err
		}
		if err := s.desk.Fire(ctx, tx, r, payment.RuleText(r.ID), nil, facts...); err != nil || also == nil {
			return err
		}
		return also(tx)
	})
}

// repeats asks rule DUP1 of each gateway.
func (s *Sentry) repeats(ctx context.Context) error {
	r, err := s.ruling(ctx, "DUP1")
	if err != nil || !r.Asked() {
		return err
	}
	var all []store.Arrivals
	err = s.db.View(ctx, func(tx *store.Tx) (err error) {
		all, err = tx.Arrivals(ctx, tx.Now().Add(-hour))
		return err
	})
	for _, a := range all {
		if err != nil || !r.Repeats(a.Came, a.Again) {
			continue
		}
		err = s.fire(ctx, r, a.Gateway, hour, []store.Fact{
			{Name: "line", Value: a.Gateway}, payment.CountFact("came", int64(a.Came)), payment.CountFact("again", int64(a.Again)),
		}, nil)
	}
	return err
}

// clocks asks rule CLK1 of each gateway.
func (s *Sentry) clocks(ctx context.Context) error {
	r, err := s.ruling(ctx, "CLK1")
	if err != nil || !r.Asked() {
		return err
	}
	var all map[string][]time.Duration
	err = s.db.View(ctx, func(tx *store.Tx) (err error) {
		all, err = tx.Delays(ctx, tx.Now().Add(-dayLong))
		return err
	})
	for gateway, apart := range all {
		median, astray := r.Astray(apart)
		if err != nil || !astray {
			continue
		}
		err = s.fire(ctx, r, gateway, dayLong, []store.Fact{
			{Name: "line", Value: gateway}, payment.CountFact("seconds", int64(median/time.Second)),
		}, nil)
	}
	return err
}

// flood asks rule SMS1 how much leaves.
func (s *Sentry) flood(ctx context.Context) error {
	r, err := s.ruling(ctx, "SMS1")
	if err != nil || !r.Asked() {
		return err
	}
	var p guard.Post
	var now time.Time
	err = s.db.View(ctx, func(tx *store.Tx) (err error) {
		now = tx.Now()
		p, err = post(ctx, tx, r)
		return err
	})
	if err != nil || !r.Flood(p) {
		return err
	}
	usual := 0
	for _, n := range p.Days {
		usual += n
	}
	return s.fire(ctx, r, "", hour, []store.Fact{
		payment.CountFact("sent", int64(p.LastHour)), payment.CountFact("usual", int64(usual/len(p.Days))),
	}, func(tx *store.Tx) error {
		if r.Act != guard.Hold {
			return nil
		}
		return tx.OnlyCodes(ctx, now.Add(scarceFrom), now.Add(hour))
	})
}

// post counts the messages of the last hour and, if they are many, those of the
// same hour of the days before.
func post(ctx context.Context, tx *store.Tx, r guard.Ruling) (p guard.Post, err error) {
	from := tx.Now().Add(-hour)
	if p.LastHour, err = tx.WrittenBetween(ctx, from, tx.Now()); err != nil || int64(p.LastHour) <= r.At[1] {
		return p, err
	}
	first, err := tx.FirstWritten(ctx)
	for day := 1; day <= guard.HistoryNeeded() && err == nil; day++ {
		then := from.Add(-time.Duration(day) * dayLong)
		if first.IsZero() || first.After(then) {
			break
		}
		var n int
		n, err = tx.WrittenBetween(ctx, then, then.Add(hour))
		p.Days = append(p.Days, n)
	}
	return p, err
}

// loops asks rule CIR1 about the payments since it was asked last.
func (s *Sentry) loops(ctx context.Context) error {
	r, err := s.ruling(ctx, "CIR1")
	if err != nil || !r.Asked() {
		return err
	}
	for range maxSlices {
		more, err := s.loopsSlice(ctx, r)
		if err != nil || !more {
			return err
		}
		if !sleep(ctx, restLeast) {
			return nil
		}
	}
	return nil
}

func (s *Sentry) loopsSlice(ctx context.Context, r guard.Ruling) (more bool, err error) {
	var from, to ledger.TransactionID
	found := map[int64][]guard.Move{}
	err = s.db.View(ctx, func(tx *store.Tx) error {
		text, err := tx.State(ctx, movesName)
		if err != nil {
			return err
		}
		if _, scanErr := fmt.Sscan(text, &from); scanErr != nil { // never asked: the past is not told
			to, err = tx.LastTransaction(ctx)
			from = -1
			return err
		}
		to, more, err = s.follow(ctx, tx, r, from, found)
		return err
	})
	if err != nil || from == to {
		return false, err
	}
	return more, s.db.Update(ctx, func(tx *store.Tx) error {
		for id, l := range found {
			if err := s.tellLoop(ctx, tx, r, ledger.TransactionID(id), l); err != nil {
				return err
			}
		}
		return tx.SetState(ctx, movesName, fmt.Sprint(int64(to)))
	})
}

// follow looks for the loops that some payments close.
func (s *Sentry) follow(ctx context.Context, tx *store.Tx, r guard.Ruling, from ledger.TransactionID, found map[int64][]guard.Move) (ledger.TransactionID, bool, error) {
	c := s.desk.Set.Currency()
	unit := setting.Whole(1, c).Minor()
	moves, err := tx.MovesSince(ctx, from, c, maxMoves)
	if err != nil {
		return from, false, err
	}
	to := from
	for _, m := range moves {
		to = ledger.TransactionID(m.ID)
		loop, err := r.Loop(m, unit, func(account int64) ([]guard.Move, error) {
			return tx.MovesInto(ctx, member.ID(account), c, m.At.Add(-dayLong))
		})
		if err != nil {
			return from, false, err
		}
		if loop != nil {
			found[m.ID] = loop
		}
	}
	return to, len(moves) == maxMoves, nil
}

func (s *Sentry) tellLoop(ctx context.Context, tx *store.Tx, r guard.Ruling, id ledger.TransactionID, loop []guard.Move) error {
	m, err := tx.Member(ctx, member.ID(loop[len(loop)-1].To))
	if err != nil {
		return err
	}
	var refs []string
	for _, step := range loop {
		t, err := tx.Transaction(ctx, ledger.TransactionID(step.ID))
		if err != nil {
			return err
		}
		refs = append(refs, t.Ref)
	}
	facts := []store.Fact{{Name: "orders", Value: strings.Join(refs, " ")}, payment.CountFact("steps", int64(len(loop)))}
	return s.desk.Fire(ctx, tx, r, payment.RuleText(r.ID), m, facts...)
}

// sums asks rule INT1 whether money was made or lost: all balances of a currency
// sum to zero, and so does each of the newest transactions.
func (s *Sentry) sums(ctx context.Context) error {
	var what []string
	err := s.db.View(ctx, func(tx *store.Tx) error {
		sums, err := tx.Sums(ctx)
		if err != nil && !errors.Is(err, store.ErrTooMany) { // the proof weighs those
			return err
		}
		for unit, n := range sums {
			if n != 0 {
				what = append(what, fmt.Sprintf("the balances of %s sum to %d", unit, n))
			}
		}
		n, err := tx.Unbalanced(ctx)
		if n > 0 {
			what = append(what, fmt.Sprintf("%d transactions do not sum to 0", n))
		}
		return err
	})
	if err != nil || len(what) == 0 {
		return err
	}
	return s.broken(ctx, len(what), what[0])
}

// prove goes on with the proof of the books up to their end.
func (s *Sentry) prove(ctx context.Context) error {
	if s.began.IsZero() || time.Since(s.began) >= cycle {
		s.proof, s.began = store.Proof{}, time.Now()
	}
	for ctx.Err() == nil {
		var faults []store.Fault
		var done bool
		began := time.Now()
		err := s.db.View(ctx, func(tx *store.Tx) (err error) {
			faults, done, err = s.proof.Slice(ctx, tx)
			return err
		})
		if err != nil {
			return err
		}
		if len(faults) > 0 {
			if err := s.broken(ctx, len(faults), faults[0].String()); err != nil {
				return err
			}
		}
		if done {
			return nil
		}
		if !sleep(ctx, max(restLeast, restTimes*time.Since(began))) {
			return nil
		}
	}
	return nil
}

// broken lets rule INT1 act. While its alert is open people know, and have
// decided what they wanted.
func (s *Sentry) broken(ctx context.Context, n int, what string) error {
	slog.ErrorContext(ctx, "the books are not sound", "faults", n, "first", what)
	if len(what) > maxWhat {
		what = what[:maxWhat]
	}
	return s.db.Update(ctx, func(tx *store.Tx) error {
		r, err := s.desk.Rule(ctx, tx, "INT1")
		if err != nil {
			return err
		}
		open, err := tx.Alerts(ctx, store.AlertsWhere{Open: true, Rule: r.ID}, 1)
		if err != nil || len(open) > 0 {
			return err
		}
		return s.desk.Fire(ctx, tx, r, notice.Phrase{Key: "alerte.regle", Fields: notice.Fields{"rule": r.ID}}, nil,
			payment.CountFact("faults", int64(n)), store.Fact{Name: "first", Value: what})
	})
}
