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
	putOff    = 10 * time.Minute
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

// tick does all that is due, and returns when the next is. Each is done in a
// transaction of its own, so that one on which the program fails keeps nobody
// waiting. What is of tests falls due by its own clock, see SetClock.
func (s *Service) tick(ctx context.Context) (next time.Time, err error) {
	for more := true; more && ctx.Err() == nil; {
		var due []store.Record
		err := s.DB.View(ctx, func(tx *store.Tx) error {
			for _, kind := range timed {
				all, err := tx.Records(ctx, store.RecordsWhere{Kind: kind, DueBy: tx.Now()}, fallMost)
				if err != nil {
					return err
				}
				due = append(due, all...)
			}
			return nil
		})
		if err != nil {
			return next, err
		}
		for _, r := range due {
			if err := s.fallOne(ctx, r); err != nil {
				return next, err
			}
		}
		more = len(due) > 0
	}
	err = s.DB.View(ctx, func(tx *store.Tx) (err error) {
		next, err = tx.NextRecordDue(ctx, timed...)
		return err
	})
	return next, err
}

// fallOne does what is due with one record, unless somebody was quicker. One on
// which the program fails is put off.
func (s *Service) fallOne(ctx context.Context, r store.Record) error {
	var failed error
	err := s.DB.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.Record(ctx, r.Kind, r.ID)
		if errors.Is(err, store.ErrNotFound) || err == nil && (now.Due.IsZero() || now.Due.After(tx.Now())) {
			return nil
		}
		if err != nil {
			return err
		}
		m, err := s.Merchant(ctx, tx, now.Owner)
		if err == nil {
			err = s.due1(ctx, tx, m, now)
		}
		failed = err
		return err
	})
	if err == nil || failed == nil || store.IsOutage(failed) || ctx.Err() != nil {
		return err
	}
	slog.ErrorContext(ctx, "what was due has failed, and is put off", "kind", r.Kind, "id", r.ID, "error", failed)
	return s.DB.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.Record(ctx, r.Kind, r.ID)
		if err != nil {
			return err
		}
		now.Due = tx.Now().Add(putOff)
		return tx.SaveRecord(ctx, &now)
	})
}

// fall does what was due by a time, of one merchant or of all, in the caller's
// transaction, and reports whether there may be more.
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
			if m.Braked {
				return s.hold(ctx, tx, m, r)
			}
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

// hold keeps an order from being forfeited for now: too many were, and nobody has
// looked yet.
func (s *Service) hold(ctx context.Context, tx *store.Tx, m *trade.Merchant, r store.Record) error {
	c, err := read(r, fillClaim)
	if err != nil {
		return err
	}
	c.Due = later(s.Now(tx, m), c.Due).Add(brakeHolds)
	return s.saveClaim(ctx, tx, c)
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
