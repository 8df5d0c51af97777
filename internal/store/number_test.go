package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"maillon/internal/sms"
	"maillon/internal/store"
)

// What is not of record, an outgoing SMS or an alert, leaves no row in the
// journal; the number that another process gave it is taken all the same.
func TestTwoProcessesNumberWhatIsNotOfRecord(t *testing.T) {
	kinds := map[string]func(context.Context, *store.Tx, sms.Number) error{
		"alert": func(ctx context.Context, tx *store.Tx, _ sms.Number) error { return tx.Raise(ctx, "rule", 0) },
		"outbox": func(ctx context.Context, tx *store.Tx, to sms.Number) error {
			return tx.Enqueue(ctx, store.Out{To: to, Text: "Bonjour", Gateway: "direct", Expires: tx.Now().Add(time.Hour)}, nil)
		},
	}
	number, err := sms.FromE164("+33600000001")
	if err != nil {
		t.Fatal(err)
	}
	both(t, func(t *testing.T, p place) {
		one, other := p.open(t), p.open(t)
		for kind, write := range kinds {
			for n := range 3 {
				for who, db := range []*store.DB{one, other} {
					err := db.Update(t.Context(), func(tx *store.Tx) error { return write(t.Context(), tx, number) })
					if err != nil {
						t.Error(fmt.Errorf("%s %d of process %d: %w", kind, n, who, err))
					}
				}
			}
		}
	})
}
