package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"maillon/internal/store"
	"maillon/internal/store/pgtest"
)

// Whatever the kinds, all of a database moves to another, beside a server that
// writes until the very end; from then on only the other one is written to.
func TestADatabaseMovesBesideAServerAtWork(t *testing.T) {
	file := func(t *testing.T) place { return place{filepath.Join(t.TempDir(), "books.db")} }
	server := func(t *testing.T) place { return place{pgtest.New(t)} }
	for _, c := range []struct {
		name     string
		from, to func(*testing.T) place
	}{
		{"sqlite to sqlite", file, file},
		{"sqlite to postgres", file, server},
		{"postgres to sqlite", server, file},
		{"postgres to postgres", server, server},
	} {
		t.Run(c.name, func(t *testing.T) {
			source, target := c.from(t), c.to(t)
			from, to := source.open(t), target.open(t)
			v := settle(t, from)
			work := source.open(t) // the server at work
			var mu sync.Mutex
			var done []string
			var ended sync.WaitGroup
			ended.Go(func() {
				for n := 0; ; n++ {
					key := fmt.Sprint("work:", n)
					err := work.Update(t.Context(), func(tx *store.Tx) error { return post(t.Context(), tx, key, v.emission, v.lenaAccount, 1) })
					if errors.Is(err, store.ErrMoved) {
						if !store.IsOutage(err) {
							t.Error("who writes to a database that moved is not told to come again")
						}
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					done = append(done, key)
					mu.Unlock()
				}
			})
			time.Sleep(50 * time.Millisecond)
			report, err := store.Migration{From: from, To: to}.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			ended.Wait()
			for range 3 {
				if err := from.Update(t.Context(), func(*store.Tx) error { return nil }); !errors.Is(err, store.ErrMoved) {
					t.Errorf("an Update of what moved is %v, want %v", err, store.ErrMoved)
				}
			}
			if faults := verify(t, to); len(faults) > 0 {
				t.Errorf("faults are %q", faults)
			}
			if faults := verify(t, from); len(faults) > 0 {
				t.Errorf("faults of what is left are %q", faults)
			}
			view(t, to, func(tx *store.Tx) error {
				for _, key := range done {
					if _, err := tx.TransactionByKey(t.Context(), key); err != nil {
						t.Errorf("%s was done and is not there: %v", key, err)
					}
				}
				return nil
			})
			if report.Rows["member"] == 0 || report.Head.Seq != last(t, to).Seq || !bytes.Equal(report.Head.Hash, last(t, to).Hash) {
				t.Errorf("the report is %+v", report)
			}
			// Life goes on: no number and no key is given twice.
			yann := enrol(t, to, "+33639980077", "nolwenn")
			if yann.Key <= v.tom.Key {
				t.Errorf("key %d is given a second time", yann.Key)
			}
			update(t, to, func(tx *store.Tx) error { return post(t.Context(), tx, "after", v.emission, v.lenaAccount, 1) })
			if faults := verify(t, to); len(faults) > 0 {
				t.Errorf("faults after more are %q", faults)
			}
		})
	}
}

func TestADatabaseMovesOnlyIntoAnEmptyOne(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		from, to := open(t), p.open(t)
		settle(t, from)
		settle(t, to)
		if _, err := (store.Migration{From: from, To: to}).Run(t.Context()); !errors.Is(err, store.ErrNotEmpty) {
			t.Errorf("Run = %v, want %v", err, store.ErrNotEmpty)
		}
		update(t, from, func(*store.Tx) error { return nil })
	})
}

func TestAServersBackupIsRestored(t *testing.T) {
	p, dir := place{pgtest.New(t)}, t.TempDir()
	db := p.open(t)
	v := settle(t, db)
	m, err := db.Backup(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if head := last(t, db); m.Seq != head.Seq || m.Hash != fmt.Sprintf("%x", head.Hash) {
		t.Errorf("the backup is of %d %s, the journal ends at %d %x", m.Seq, m.Hash, head.Seq, head.Hash)
	}
	to := filepath.Join(t.TempDir(), "restored.db")
	if _, err := store.Restore(t.Context(), store.Restoration{From: dir, To: to, Secret: secret}); err != nil {
		t.Fatal(err)
	}
	again := openFile(t, to)
	view(t, again, func(tx *store.Tx) error {
		a, err := tx.Account(t.Context(), v.lenaAccount)
		if a.Balance.Minor() != 245 {
			t.Errorf("the balance is %v, want 245", a.Balance)
		}
		return err
	})
}
