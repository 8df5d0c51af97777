package bank_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"maillon/internal/ledger"
)

// historiesAtMost is until when what is broken must have been found.
const historiesAtMost = 40

// A test that cannot fail proves nothing: each way of being broken is found by
// the checker, though the books themselves are in order.
func TestABrokenBankIsFound(t *testing.T) {
	for name, broken := range map[string]func(*testing.T, *door) keeper{
		"acknowledges and loses":     func(_ *testing.T, d *door) keeper { return &forgetful{door: d} },
		"acknowledges before commit": func(_ *testing.T, d *door) keeper { return early{d} },
		"reads what was":             func(t *testing.T, d *door) keeper { return newStale(t, d) },
		"reads several states":       func(_ *testing.T, d *door) keeper { return torn{d} },
		"loses an update": func(_ *testing.T, d *door) keeper {
			return &overwriting{door: d, seen: map[ledger.AccountID]ledger.Account{}}
		},
		"does it twice":         func(_ *testing.T, d *door) keeper { return &twice{door: d} },
		"does half":             func(_ *testing.T, d *door) keeper { return &half{door: d} },
		"shows what was undone": func(_ *testing.T, d *door) keeper { return &undone{door: d} },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "books.db")
			stores := []*door{openDoor(t, path), openDoor(t, path)}
			keepers := []keeper{broken(t, stores[0]), broken(t, stores[1])}
			count := &tally{nothing: map[string]int{}}
			for n := range historiesAtMost {
				s := newScene(n, stores)
				s.keepers = keepers
				if wrong, _ := s.play(t, count); len(wrong) > 0 {
					if !strings.Contains(wrong[0], "Illegal") {
						t.Error(wrong[0])
					}
					t.Logf("found in history %d", n+1)
					return
				}
			}
			t.Errorf("not found: %v", count)
		})
	}
}

// every is how often a keeper that is broken now and then shows it.
const every = 7

// forgetful undoes now and then what it said was done.
type forgetful struct {
	*door
	n atomic.Int64
}

var errForgotten = errors.New("forgotten")

func (k *forgetful) Update(ctx context.Context, do func(books) error) error {
	err := k.door.Update(ctx, func(tx books) error {
		if err := do(tx); err != nil {
			return err
		}
		if k.n.Add(1)%every == 0 {
			return errForgotten
		}
		return nil
	})
	if errors.Is(err, errForgotten) {
		return nil
	}
	return err
}

// early says that it is done when it is not on disk yet.
type early struct{ *door }

func (k early) Update(ctx context.Context, do func(books) error) error {
	said := make(chan error, 2)
	go func() {
		var err error
		final := k.door.Update(ctx, func(tx books) error {
			err = do(tx)
			said <- err
			time.Sleep(time.Millisecond) // as a disk would take
			return err
		})
		said <- final
	}()
	return <-said
}

// staleFor is how old the state is at most that stale shows.
const staleFor = 5 * time.Millisecond

// stale answers from a state that it looked at a while ago, as a replica would.
type stale struct {
	*door
	ask chan func(books)
}

func newStale(t *testing.T, d *door) *stale {
	k := &stale{d, make(chan func(books))}
	ctx := t.Context()
	var working sync.WaitGroup
	t.Cleanup(working.Wait)
	working.Go(func() {
		for ctx.Err() == nil {
			_ = d.View(ctx, func(tx books) error {
				_, _ = tx.Account(ctx, 1) // now the state is fixed
				for end := time.After(staleFor); ; {
					select {
					case do := <-k.ask:
						do(tx)
					case <-end:
						return nil
					case <-ctx.Done():
						return nil
					}
				}
			})
		}
	})
	return k
}

func (k *stale) View(ctx context.Context, do func(books) error) error {
	answer := make(chan error)
	select {
	case k.ask <- func(tx books) { answer <- do(tx) }:
		return <-answer
	case <-ctx.Done():
		return ctx.Err()
	}
}

// torn reads each account in a View of its own.
type torn struct{ *door }

func (k torn) View(ctx context.Context, do func(books) error) error {
	return k.door.View(ctx, func(tx books) error { return do(tornBooks{tx, k.door}) })
}

type tornBooks struct {
	books
	door *door
}

func (b tornBooks) Account(ctx context.Context, id ledger.AccountID) (a ledger.Account, err error) {
	time.Sleep(time.Millisecond)
	err = b.door.Update(ctx, func(tx books) error { // the connections for reading may all be taken
		a, err = tx.Account(ctx, id)
		return err
	})
	return a, err
}

// overwriting remembers accounts, and does not notice that others wrote.
type overwriting struct {
	*door
	seen map[ledger.AccountID]ledger.Account // the writer is alone
}

func (k *overwriting) Update(ctx context.Context, do func(books) error) error {
	return k.door.Update(ctx, func(tx books) error { return do(rememberingBooks{tx, k.seen}) })
}

type rememberingBooks struct {
	books
	seen map[ledger.AccountID]ledger.Account
}

func (b rememberingBooks) Account(ctx context.Context, id ledger.AccountID) (ledger.Account, error) {
	if a, ok := b.seen[id]; ok {
		return a, nil
	}
	a, err := b.books.Account(ctx, id)
	b.seen[id] = a
	return a, err
}

func (b rememberingBooks) Append(ctx context.Context, t *ledger.Transaction, after []ledger.Account) error {
	err := b.books.Append(ctx, t, after)
	for _, a := range after {
		b.seen[a.ID] = a
	}
	return err
}

func (b rememberingBooks) SaveHold(ctx context.Context, h *ledger.Hold, after ledger.Account) error {
	b.seen[after.ID] = after
	return b.books.SaveHold(ctx, h, after)
}

// twice does now and then a second time what it was asked once, under another
// key.
type twice struct {
	*door
	n atomic.Int64
}

func (k *twice) Update(ctx context.Context, do func(books) error) error {
	err := k.door.Update(ctx, do)
	if err == nil && k.n.Add(1)%every == 0 {
		_ = k.door.Update(ctx, func(tx books) error { return do(otherKeys{tx}) })
	}
	return err
}

type otherKeys struct{ books }

func (b otherKeys) Append(ctx context.Context, t *ledger.Transaction, after []ledger.Account) error {
	t.Key, t.Ref = t.Key+":again", ""
	return b.books.Append(ctx, t, after)
}

// half keeps now and then what a client did before its mistake.
type half struct {
	*door
	n atomic.Int64
}

func (k *half) Update(ctx context.Context, do func(books) error) (err error) {
	kept := k.door.Update(ctx, func(tx books) error {
		if err = do(tx); errors.Is(err, errMistake) || k.n.Add(1)%every == 0 {
			return nil
		}
		return err
	})
	if err == nil {
		err = kept
	}
	return err
}

// undone answers to a refusal from a state that never was: what came before in
// the same commit, and was lost with it.
type undone struct {
	*door
	n atomic.Int64
}

func (k *undone) Update(ctx context.Context, do func(books) error) (err error) {
	if k.n.Add(1)%every != 0 {
		return k.door.Update(ctx, do)
	}
	lost := k.door.Update(ctx, func(tx books) error {
		_ = do(tx)
		err = do(tx)
		return errForgotten
	})
	switch {
	case !errors.Is(lost, errForgotten):
		return lost
	case err == nil:
		return k.door.Update(ctx, do)
	}
	return err
}
