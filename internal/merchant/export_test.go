package merchant

import (
	"context"
	"time"

	"maillon/internal/store"
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
