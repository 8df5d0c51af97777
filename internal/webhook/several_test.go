package webhook_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"maillon/internal/duty"
	"maillon/internal/store"
	"maillon/internal/store/pgtest"
	"maillon/internal/webhook"
)

// Of several servers one calls; when it is gone another goes on. Nothing is lost,
// and what nobody was cut off from is heard once.
func TestOneOfSeveralServersCalls(t *testing.T) {
	where := pgtest.New(t)
	secret, err := store.NewSecret()
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{}
	var servers [2]*house
	var leave [2]func()
	for n := range servers {
		db, err := store.Open(t.Context(), where, secret)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		servers[n] = &house{t, db, webhook.Options{Client: &http.Client{Transport: s}}}
		ctx, cancel := context.WithCancel(t.Context())
		roster := duty.New(db, true)
		sender := webhook.NewSender(db, roster.Duty("webhooks", nil), servers[n].opts)
		var all sync.WaitGroup
		all.Go(func() { db.Watch(ctx) })
		keeping, stop := context.WithCancel(t.Context())
		all.Go(func() { roster.Run(keeping) })
		all.Go(func() {
			sender.Run(ctx)
			stop()
		})
		leave[n] = sync.OnceFunc(func() {
			cancel()
			all.Wait()
		})
		t.Cleanup(leave[n])
	}
	p, _ := servers[0].endpoint(souk, shopURL)
	const events = 20
	heard := func(want int) {
		t.Helper()
		for range 3000 {
			if len(s.all("")) >= want {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		ids := map[string]int{}
		for _, c := range s.all("") {
			ids[c.header.Get("webhook-id")]++
		}
		if len(ids) != want || len(s.all("")) != want {
			t.Fatalf("%d events were heard in %d calls, want %d", len(ids), len(s.all("")), want)
		}
	}
	for n := range events {
		servers[n%2].emit(souk, "claim.opened", fmt.Sprint("clm_", n+1))
	}
	heard(events)
	leave[0]() // whichever calls: in order, so that the other takes over at once
	for n := range events {
		servers[1].emit(souk, "claim.honoured", fmt.Sprint("clm_", n+1))
	}
	heard(2 * events)
	if _, l, _ := servers[1].look(p); l.Waiting != 0 {
		t.Errorf("%d still wait", l.Waiting)
	}
}
