package store_test

import (
	"sync"
	"testing"
	"time"

	"maillon/internal/store"
	"maillon/internal/store/pgtest"
)

// refuse makes a database server say that somebody else came first, to so many
// of those who write to the journal.
func (p place) refuse(t testing.TB, times string) {
	t.Helper()
	p.edit(t,
		`CREATE SEQUENCE tries`, // which no rollback sets back
		`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF nextval('tries') <= `+times+` THEN RAISE EXCEPTION 'somebody came first' USING ERRCODE = '40001'; END IF;
			RETURN NEW;
		END $$`,
		`CREATE TRIGGER refuse BEFORE INSERT ON journal FOR EACH STATEMENT EXECUTE FUNCTION refuse()`)
}

// Whom a database server tells to try again tries again, and does nothing
// twice.
func TestWhoeverCameSecondTriesAgain(t *testing.T) {
	p := place{pgtest.New(t)}
	db := p.open(t)
	v := settle(t, db)
	p.refuse(t, "3")
	update(t, db, func(tx *store.Tx) error { return post(t.Context(), tx, "second", v.emission, v.lenaAccount, 1) })
	view(t, db, func(tx *store.Tx) error {
		a, err := tx.Account(t.Context(), v.lenaAccount)
		if a.Balance.Minor() != 245+1 {
			t.Errorf("the balance is %v, want %d", a.Balance, 245+1)
		}
		return err
	})
	if faults := verify(t, db); len(faults) > 0 {
		t.Errorf("faults are %q", faults)
	}
}

// But not for ever: whoever asked may ask again.
func TestWhoeverAlwaysComesSecondIsTold(t *testing.T) {
	p := place{pgtest.New(t)}
	db := p.open(t)
	v := settle(t, db)
	p.refuse(t, "1000000")
	err := db.Update(t.Context(), func(tx *store.Tx) error { return post(t.Context(), tx, "second", v.emission, v.lenaAccount, 1) })
	if !store.IsOutage(err) {
		t.Errorf("Update = %v, want an outage", err)
	}
	p.edit(t, `DROP TRIGGER refuse ON journal`)
	update(t, db, func(tx *store.Tx) error { return post(t.Context(), tx, "second", v.emission, v.lenaAccount, 1) })
	if faults := verify(t, db); len(faults) > 0 {
		t.Errorf("faults are %q", faults)
	}
}

// A server that ends a failed transaction says so without an error. Nobody is
// told then that anything was done.
func TestAFailedTransactionIsNotTakenForDone(t *testing.T) {
	p := place{pgtest.New(t)}
	db := p.open(t)
	v := settle(t, db)
	p.edit(t, `ALTER TABLE card RENAME TO card_away`)
	seen := time.Now().Add(time.Hour).Truncate(time.Microsecond)
	var errs [2]error
	var all sync.WaitGroup
	held, gathered := make(chan struct{}), make(chan struct{})
	all.Go(func() { _ = db.Update(t.Context(), func(*store.Tx) error { close(held); <-gathered; return nil }) })
	<-held
	for n, do := range []func(*store.Tx) error{
		func(tx *store.Tx) error {
			yann, err := tx.MemberByNumber(t.Context(), number(t, yannNumber))
			if err != nil {
				return err
			}
			yann.SeenAt = seen
			return tx.SeeMember(t.Context(), yann)
		},
		func(tx *store.Tx) error { // reads, and fails
			_, err := tx.Card(t.Context(), v.tom)
			return err
		},
	} {
		all.Go(func() { errs[n] = db.Update(t.Context(), do) })
		time.Sleep(50 * time.Millisecond) // so that it is the next to wait
	}
	close(gathered)
	all.Wait()
	if errs[1] == nil {
		t.Error("a read of what is not there succeeded")
	}
	view(t, db, func(tx *store.Tx) error {
		yann, err := tx.MemberByNumber(t.Context(), number(t, yannNumber))
		if err == nil && (errs[0] == nil) != yann.SeenAt.Equal(seen) {
			t.Errorf("the caller was told %v, and is it done: %v", errs[0], yann.SeenAt.Equal(seen))
		}
		return err
	})
}
