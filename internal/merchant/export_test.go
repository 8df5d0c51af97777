package merchant

import (
	"context"
	"time"

	"maillon/internal/store"
	"maillon/internal/trade"
)

// FallDue does what is due by a time.
func FallDue(ctx context.Context, s *Service, tx *store.Tx, by time.Time) error {
	for more := true; more; {
		var err error
		if more, err = s.fall(ctx, tx, nil, by); err != nil {
			return err
		}
	}
	return nil
}

// NumberOf returns the number to which the client of an authorization is written; ""
// if nobody can tell.
func NumberOf(ctx context.Context, s *Service, tx *store.Tx, a *trade.Authorization) (string, error) {
	to, err := s.contact(ctx, tx, a)
	return to.Number, err
}

// Tick does what is due now.
func Tick(ctx context.Context, s *Service) (next time.Time, err error) { return s.tick(ctx) }
