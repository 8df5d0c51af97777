package webhook_test

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"

	"maillon/internal/duty"
	"maillon/internal/store"
	"maillon/internal/webhook"
)

// counter answers at once, and counts.
type counter struct {
	heard atomic.Int64
	want  int64
	all   chan struct{}
}

// RoundTrip implements http.RoundTripper.
func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.heard.Add(1) == c.want {
		close(c.all)
	}
	return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody, Header: http.Header{}, Request: r}, nil
}

// BenchmarkCarry carries events of some merchants, each with one endpoint, from
// books on disk to receivers that answer at once.
func BenchmarkCarry(b *testing.B) {
	const batch = 100
	for _, merchants := range []int{1, 32} {
		b.Run(fmt.Sprintf("%d merchants", merchants), func(b *testing.B) {
			secret, err := store.NewSecret()
			if err != nil {
				b.Fatal(err)
			}
			db, err := store.Open(b.Context(), filepath.Join(b.TempDir(), "books.db"), secret)
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			c := &counter{want: int64(b.N), all: make(chan struct{})}
			o := webhook.Options{Client: &http.Client{Transport: c}}
			err = db.Update(b.Context(), func(tx *store.Tx) error {
				for n := range merchants {
					p := webhook.Endpoint{Merchant: int64(n + 1), URL: shopURL, Types: []string{webhook.Any}}
					if _, err := o.Add(b.Context(), tx, "operator", &p); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			for n := 0; n < b.N; n += batch {
				err := db.Update(b.Context(), func(tx *store.Tx) error {
					for e := n; e < min(n+batch, b.N); e++ {
						if err := webhook.Emit(b.Context(), tx, int64(e%merchants+1), "claim.opened", map[string]string{"id": "clm_1"}); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan struct{})
			b.ResetTimer()
			go func() {
				defer close(ended)
				webhook.NewSender(db, duty.New(db, false).Duty("webhooks", nil), o).Run(ctx)
			}()
			<-c.all
			b.StopTimer()
			cancel()
			<-ended
		})
	}
}
