package bank_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"maillon/internal/store"
)

// How many histories a run has of each database.
const (
	historiesVariable = "MAILLON_BANK"
	historiesByItself = 14 // in go test ./...
	historiesPerBooks = 12 // on one database
)

// What the store says of clients that err and databases that fail is no news
// here.
func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

func histories(t *testing.T) int {
	t.Helper()
	text := os.Getenv(historiesVariable)
	if text == "" {
		return historiesByItself
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q, want a number", historiesVariable, text)
	}
	return n
}

// Whatever happens to a file, its clients and its stores, each answer is as if
// one thing had been done after the other.
func TestAFileIsOneBank(t *testing.T) {
	count := &tally{nothing: map[string]int{}}
	var stores []*door
	for n := range histories(t) {
		if n%historiesPerBooks == 0 {
			path := filepath.Join(t.TempDir(), strconv.Itoa(n)+".db")
			stores = []*door{openDoor(t, path), openDoor(t, path)}
		}
		fileHistory(t, n, stores, count)
	}
	t.Log(count)
	if count.calls == 0 || count.refused == 0 {
		t.Error("there was nothing to check")
	}
}

func fileHistory(t *testing.T, n int, stores []*door, count *tally) {
	t.Helper()
	s := newScene(n, stores)
	switch n % 4 {
	case 1:
		s.fault = restarts(stores)
	case 2:
		s.keepers = s.keepers[:1]
		s.fault = flood(stores[0])
	case 3:
		s.keepers = s.keepers[:1]
	}
	s.finish(t, count)
}

// newScene draws what is not said.
func newScene(n int, stores []*door) scene {
	seed := rand.Uint64()
	s := scene{number: n, seed: seed, stores: stores, hurried: seed%2 == 0, clumsy: seed/2%2 == 0, herded: seed/4%3 == 0}
	for _, d := range stores {
		s.keepers = append(s.keepers, d)
	}
	return s
}

// finish plays a scene on a sound keeper.
func (s scene) finish(t *testing.T, count *tally) {
	t.Helper()
	wrong, unheard := s.play(t, count)
	for _, w := range wrong {
		t.Error(w)
	}
	for _, err := range unheard {
		t.Error(err)
	}
	if err := sound(t.Context(), s.stores[0].now()); err != nil {
		t.Errorf("history %d, seed %d: %v", s.number, s.seed, err)
	}
	if t.Failed() {
		t.FailNow()
	}
}

// How many faults one history has, and how long is between two.
const (
	mostFaults            = 5
	leastPause, mostPause = time.Millisecond, 30 * time.Millisecond
)

// nowAndThen does harm while a history goes on.
func nowAndThen(do func(ctx context.Context, r *rand.Rand) error) func(context.Context, *rand.Rand) error {
	return func(ctx context.Context, r *rand.Rand) error {
		for range mostFaults {
			if !pause(ctx, r) {
				return nil
			}
			if err := do(ctx, r); err != nil {
				return err
			}
		}
		return nil
	}
}

// pause waits for a moment, and reports whether the history goes on.
func pause(ctx context.Context, r *rand.Rand) bool {
	select {
	case <-time.After(leastPause + time.Duration(r.Int64N(int64(mostPause-leastPause)))):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// restarts closes and opens stores.
func restarts(stores []*door) func(context.Context, *rand.Rand) error {
	return nowAndThen(func(ctx context.Context, r *rand.Rand) error {
		return stores[r.IntN(len(stores))].reopen(ctx)
	})
}

// The flood is more than the store lets wait.
const floodLen, floodTime = 4300, 20 * time.Millisecond

// flood fills the queue of a store while one Update takes too long.
func flood(d *door) func(context.Context, *rand.Rand) error {
	return nowAndThen(func(ctx context.Context, _ *rand.Rand) error {
		var all sync.WaitGroup
		all.Go(func() {
			_ = d.now().Update(ctx, func(*store.Tx) error {
				time.Sleep(floodTime)
				return nil
			})
		})
		for range floodLen {
			all.Go(func() { _ = d.now().Update(ctx, func(*store.Tx) error { return nil }) })
		}
		all.Wait()
		return nil
	})
}
