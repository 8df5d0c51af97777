package store_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"maillon/internal/ledger"
	"maillon/internal/store"
	"maillon/internal/store/pgtest"
)

// Two callers bring the same payment, and it is one commit: the second is told
// that it was posted already. If the commit is then lost, so is the payment,
// and the second must not believe that it was made.
func TestARefusalIsNotAboutWhatWasLost(t *testing.T) {
	where := pgtest.New(t)
	db := openFile(t, where)
	v := settle(t, db)
	operator, err := pgx.Connect(t.Context(), where)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := operator.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	pay := func(tx *store.Tx) error { return post(t.Context(), tx, "same", v.emission, v.lenaAccount, 1) }

	var callers sync.WaitGroup
	var first, second error
	held, gathered := make(chan struct{}), make(chan struct{})
	callers.Go(func() {
		_ = db.Update(t.Context(), func(*store.Tx) error {
			close(held)
			<-gathered
			return nil
		})
	})
	<-held
	callers.Go(func() { first = db.Update(t.Context(), pay) })
	time.Sleep(50 * time.Millisecond)
	callers.Go(func() { second = db.Update(t.Context(), pay) })
	time.Sleep(50 * time.Millisecond)
	callers.Go(func() {
		_ = db.Update(t.Context(), func(*store.Tx) error {
			_, err := operator.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
				WHERE datname = current_database() AND application_name = 'maillon'`)
			return err
		})
	})
	time.Sleep(50 * time.Millisecond)
	close(gathered)
	callers.Wait()

	made := true
	view(t, db, func(tx *store.Tx) error {
		_, err := tx.TransactionByKey(t.Context(), "same")
		if errors.Is(err, store.ErrNotFound) {
			made, err = false, nil
		}
		return err
	})
	if made || !store.IsOutage(first) {
		t.Fatalf("the commit was not lost: %v", first)
	}
	if errors.Is(second, ledger.ErrDuplicate) || !store.IsOutage(second) {
		t.Errorf("the second caller was told %q about a payment that was not made", second)
	}
}
