package merchant

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"maillon/internal/store"
	"maillon/internal/trade"
)

// timed are the kinds of which something happens by itself.
var timed = []string{KindAuthorization, KindClaim, KindDispute, KindCharge}

const (
	fallMost  = 200             // that fall due in one transaction
	retryIn   = 5 * time.Second // after a failure
	lookLeast = time.Hour       // that somebody looks, whatever is said to be due
)

// Run lets time pass until ctx ends: what is not confirmed is free again, what is
// not disputed is forfeited, silence ends a dispute.
func (s *Service) Run(ctx context.Context) {
	due, unsubscribe := s.DB.Subscribe(store.Due)
	defer unsubscribe()
	for ctx.Err() == nil {
		next, err := s.tick(ctx)
		switch {
		case errors.Is(err, store.ErrClosed) || ctx.Err() != nil:
			return
		case err != nil:
			slog.ErrorContext(ctx, "merchants' timers failed", "error", err)
			next = time.Now().Add(retryIn)
		case next.IsZero() || time.Until(next) > lookLeast:
			next = time.Now().Add(lookLeast)
		}
		select {
		case <-due:
		case <-time.After(time.Until(next)):
		case <-ctx.Done():
		}
	}
}

// tick does all that is due, and returns when the next is. What is of tests falls
// due by its own clock, see SetClock.
func (s *Service) tick(ctx context.Context) (next time.Time, err error) {
	for more := true; more && ctx.Err() == nil; {
		err := s.DB.Update(ctx, func(tx *store.Tx) (err error) {
			more, err = s.fall(ctx, tx, nil, tx.Now())
			return err
		})
		if err != nil {
			return next, err
		}
	}
	err = s.DB.View(ctx, func(tx *store.Tx) (err error) {
		next, err = tx.NextRecordDue(ctx, timed...)
		return err
	})
	return next, err
}

// fall does what was due by a time, of one merchant or of all, and reports whether
// there may be more.
func (s *Service) fall(ctx context.Context, tx *store.Tx, m *trade.Merchant, by time.Time) (more bool, err error) {
	for _, kind := range timed {
		w := store.RecordsWhere{Kind: kind, DueBy: by}
		if m != nil {
			w.Owner = m.ID
		}
		all, err := tx.Records(ctx, w, fallMost)
		if err != nil {
			return false, err
		}
		for _, r := range all {
			owner, err := s.Merchant(ctx, tx, r.Owner)
			if err != nil {
				return false, err
			}
			if err := s.due1(ctx, tx, owner, r); err != nil {
				return false, err
			}
		}
		more = more || len(all) == fallMost
	}
	return more, nil
}

func (s *Service) due1(ctx context.Context, tx *store.Tx, m *trade.Merchant, r store.Record) error {
	switch r.Kind {
	case KindAuthorization:
		a, err := read(r, fillAuthorization)
		if err != nil {
			return err
		}
		passed, err := s.pass(ctx, tx, a, later(s.Now(tx, m), r.Due))
		if err != nil || passed {
			return err
		}
		a.Warned = true
		if err := s.saveAuthorization(ctx, tx, a); err != nil {
			return err
		}
		return s.emit(ctx, tx, m.ID, "authorization.expiring", a)
	case KindClaim:
		if trade.State(r.State) == trade.NotHonoured {
			_, err := s.forfeit(ctx, tx, m, r.ID)
			return err
		}
		reason := "not_confirmed"
		if trade.State(r.State) == trade.Requested {
			reason = "client_did_not_answer"
		}
		_, err := s.letGo(ctx, tx, m, r.ID, reason)
		return err
	case KindDispute: // the merchant was silent
		d, err := read(r, fillDispute)
		if err != nil {
			return err
		}
		return s.judge(ctx, tx, "timer", m, d, true, "no_answer")
	}
	return s.mature(ctx, tx, m, r)
}

// mature lets what a settled charge brought be paid out.
func (s *Service) mature(ctx context.Context, tx *store.Tx, m *trade.Merchant, r store.Record) error {
	c, err := read(r, fillCharge)
	if err != nil {
		return err
	}
	a, err := s.Authorization(ctx, tx, nil, c.Authorization)
	if err != nil {
		return err
	}
	if err := s.change(ctx, tx, m, a, func() { a.Unsettled -= c.Credited }); err != nil {
		return err
	}
	if err := s.saveAuthorization(ctx, tx, a); err != nil {
		return err
	}
	c.Settled = tx.Now()
	return s.saveCharge(ctx, tx, c)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
