package store_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"maillon/internal/ledger"
	"maillon/internal/ledger/ledgertest"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/store"
	"maillon/internal/store/pgtest"
)

// A keeper makes a database a ledgertest.Keeper.
type keeper struct {
	db     *store.DB
	opened int
}

func (k *keeper) Open(ctx context.Context, c money.Currency, unbounded bool) (id ledger.AccountID, err error) {
	k.opened++
	return id, k.db.Update(ctx, func(tx *store.Tx) error {
		var a ledger.Account
		if unbounded {
			a, err = tx.SystemAccount(ctx, store.Emission, c)
		} else {
			a, err = tx.AccountOf(ctx, member.ID(k.opened), c)
		}
		id = a.ID
		return err
	})
}

func (k *keeper) Do(ctx context.Context, do func(ledger.HoldTx) error) error {
	return k.db.Update(ctx, func(tx *store.Tx) error { return do(tx) })
}

func (k *keeper) Accounts(ctx context.Context) (all []ledger.Account, err error) {
	return all, k.db.View(ctx, func(tx *store.Tx) error {
		return tx.AllAccounts(ctx, func(r store.AccountRow) error {
			all = append(all, r.Account)
			return nil
		})
	})
}

func TestBooksInADatabase(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		ledgertest.Suite(t, func(t *testing.T) ledgertest.Keeper { return &keeper{db: open(t)} })
	})
	t.Run("postgres", func(t *testing.T) {
		ledgertest.Suite(t, func(t *testing.T) ledgertest.Keeper { return &keeper{db: openFile(t, pgtest.New(t))} })
	})
}

// Whatever is tried, the database does what the books in memory do, and its
// journal proves it.
func TestDatabaseAndMemoryAgree(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		agree(t, func() string { return store.Memory })
	})
	t.Run("postgres", func(t *testing.T) {
		p := place{pgtest.New(t)}
		agree(t, func() string { p.empty(t); return p.where })
	})
}

func agree(t *testing.T, where func() string) {
	t.Helper()
	rapid.Check(t, func(t *rapid.T) {
		db, err := store.Open(t.Context(), where(), secret)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		}()
		ledgertest.Agree(t, ledgertest.NewMemory(), &keeper{db: db})
		if faults, err := db.Verify(t.Context(), nil); err != nil || len(faults) > 0 {
			t.Fatalf("Verify = %v, %v", faults, err)
		}
	})
}

func TestABalanceAtAnyPastMoment(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		synctest.Test(t, func(t *testing.T) {
			db := p.open(t)
			v := settle(t, db)
			start := time.Now()
			for n := range 5 {
				time.Sleep(time.Hour)
				update(t, db, func(tx *store.Tx) error {
					return post(t.Context(), tx, fmt.Sprint("hour", n), v.emission, v.yannAccount, 10)
				})
			}
			view(t, db, func(tx *store.Tx) error {
				for n := range 6 {
					at := start.Add(time.Duration(n)*time.Hour + time.Minute)
					got, err := tx.BalanceAt(t.Context(), v.yannAccount, at)
					if want := money.New(155+10*int64(n), maillon); err != nil || got != want {
						t.Errorf("after %d hours the balance was %v, %v; want %v", n, got, err, want)
					}
				}
				got, err := tx.BalanceAt(t.Context(), v.yannAccount, start.Add(-24*time.Hour))
				if err != nil || !got.IsZero() {
					t.Errorf("before the account was opened the balance was %v, %v", got, err)
				}
				return nil
			})
		})
	})
}
