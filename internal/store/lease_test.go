package store_test

import (
	"context"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"maillon/internal/store"
)

const ttl = 5 * time.Second

func openShared(t *testing.T) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Memory, store.Secret{1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func lease(t *testing.T, db *store.DB, holder string) (held bool) {
	t.Helper()
	err := db.Update(t.Context(), func(tx *store.Tx) (err error) {
		held, err = tx.Lease(t.Context(), "gateway:sim", holder, ttl, "up")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return held
}

func TestALeaseHasOneHolderUntilItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openShared(t)
		if !lease(t, db, "a") || lease(t, db, "b") {
			t.Fatal("the first did not have the lease, or the second had it too")
		}
		time.Sleep(ttl - time.Second)
		if !lease(t, db, "a") {
			t.Fatal("the holder could not renew")
		}
		time.Sleep(ttl - time.Microsecond)
		if lease(t, db, "b") {
			t.Fatal("a lease was taken before it ended")
		}
		time.Sleep(time.Microsecond)
		if !lease(t, db, "b") || lease(t, db, "a") {
			t.Fatal("a lease that ended could not be taken, or was taken back")
		}
		if leased(t, db, "a") || !leased(t, db, "b") {
			t.Error("the lease is not its holder's")
		}
		time.Sleep(2 * ttl)
		if !leased(t, db, "b") {
			t.Error("a lease that nobody has taken is not its holder's any more")
		}
	})
}

func TestALeaseIsReleasedByItsHolderOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openShared(t)
		lease(t, db, "a")
		update(t, db, func(tx *store.Tx) error { return tx.Release(t.Context(), "gateway:sim", "b") })
		if lease(t, db, "b") {
			t.Fatal("somebody else released the lease")
		}
		update(t, db, func(tx *store.Tx) error { return tx.Release(t.Context(), "gateway:sim", "a") })
		if leased(t, db, "a") || !lease(t, db, "b") {
			t.Error("a released lease could not be taken at once")
		}
		view(t, db, func(tx *store.Tx) error {
			all, err := tx.Leases(t.Context())
			if want := (store.Lease{Name: "gateway:sim", Holder: "b", Till: time.Now().Add(ttl), Note: "up"}); len(all) != 1 ||
				!all[0].Till.Equal(want.Till) || all[0].Holder != want.Holder || all[0].Note != want.Note {
				t.Errorf("leases %+v, want %+v", all, want)
			}
			return err
		})
		time.Sleep(time.Minute)
		update(t, db, func(tx *store.Tx) error { return tx.ReleaseEnded(t.Context(), tx.Now()) })
		if leased(t, db, "b") {
			t.Error("a lease that ended was not forgotten")
		}
	})
}

func leased(t *testing.T, db *store.DB, holder string) (is bool) {
	t.Helper()
	view(t, db, func(tx *store.Tx) (err error) {
		is, err = tx.Leased(t.Context(), "gateway:sim", holder)
		return err
	})
	return is
}

// What one server writes wakes whoever waits at another, within moments.
func TestAnotherServersWritesAreNoticed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "books.db")
	here, there := openAt(t, path), openAt(t, path)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); here.Watch(ctx) }()
	defer func() { stop(); <-done }()
	woken, unsubscribe := here.Subscribe(store.Outgoing)
	defer unsubscribe()
	<-woken // it looks once at the start
	update(t, there, func(tx *store.Tx) error {
		return tx.Enqueue(t.Context(), store.Out{Text: "oui", Expires: time.Now().Add(time.Hour)}, nil)
	})
	select {
	case <-woken:
	case <-time.After(5 * time.Second):
		t.Error("a message that another server wrote was not noticed")
	}
	select {
	case <-woken:
		t.Error("woken although nobody wrote")
	case <-time.After(time.Second):
	}
}

func openAt(t *testing.T, path string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), path, store.Secret{1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}
