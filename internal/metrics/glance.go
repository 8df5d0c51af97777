package metrics

import (
	"context"
	"errors"
	"sync"
	"time"

	"maillon/internal/store"
)

// How long what was read holds, and how long it is waited for.
const (
	factsFor  = 5 * time.Second
	weightFor = 10 * time.Minute
	patience  = 3 * time.Second
)

// errLate means that the database has not answered in time.
var errLate = errors.New("the database is late")

// A glance is something that is read from the database, not more often than it
// is worth, and by nobody else meanwhile.
type glance[T any] struct {
	holds time.Duration
	db    *store.DB
	read  func(ctx context.Context, tx *store.Tx) (T, error)

	mu      sync.Mutex // held to read or change what follows
	value   T
	at      time.Time // when it was read; zero: never
	tried   time.Time
	err     error         // of the last try
	reading chan struct{} // closed when a try ends; nil: none is under way
}

func newGlance[T any](holds time.Duration, db *store.DB, read func(context.Context, *store.Tx) (T, error)) *glance[T] {
	return &glance[T]{holds: holds, db: db, read: read}
}

// get returns what was read last, when, and why it could not be read since.
func (g *glance[T]) get() (value T, at time.Time, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.reading == nil && (g.tried.IsZero() || time.Since(g.tried) >= g.holds || g.err != nil && time.Since(g.tried) >= factsFor) {
		g.reading, g.tried = make(chan struct{}), time.Now()
		go g.look(g.reading)
	}
	if reading := g.reading; reading != nil {
		g.mu.Unlock()
		select {
		case <-reading:
		case <-time.After(patience):
		}
		g.mu.Lock()
		if g.reading == reading {
			return g.value, g.at, errLate
		}
	}
	return g.value, g.at, g.err
}

func (g *glance[T]) look(reading chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var value T
	err := g.db.View(ctx, func(tx *store.Tx) (err error) {
		value, err = g.read(ctx, tx)
		return err
	})
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err, g.reading = err, nil; err == nil {
		g.value, g.at = value, time.Now()
	}
	close(reading)
}

// facts are what the database knows, and little work to ask for.
type facts struct {
	queues           []store.Queue
	handing, height  int64
	paused           time.Time
	backup, verified time.Time
}

func readFacts(ctx context.Context, tx *store.Tx) (f facts, err error) {
	if f.queues, f.handing, err = tx.Waits(ctx); err != nil {
		return f, err
	}
	if f.height, err = tx.Height(ctx); err != nil {
		return f, err
	}
	if f.paused, err = tx.Paused(ctx); err != nil {
		return f, err
	}
	if f.backup, err = tx.Moment(ctx, store.BackedUpAt); err != nil {
		return f, err
	}
	f.verified, err = tx.Moment(ctx, store.VerifiedAt)
	return f, err
}

// A weight is what tells that money was neither created nor destroyed.
type weight struct {
	sums       map[string]int64 // nil of books too large to be summed so often
	unbalanced int64
}

func weigh(ctx context.Context, tx *store.Tx) (w weight, err error) {
	if w.sums, err = tx.Sums(ctx); err != nil && !errors.Is(err, store.ErrTooMany) {
		return w, err
	}
	w.unbalanced, err = tx.Unbalanced(ctx)
	return w, err
}
