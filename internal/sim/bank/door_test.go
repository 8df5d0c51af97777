package bank_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"maillon/internal/ledger"
	"maillon/internal/money"
	"maillon/internal/store"
)

var secret = store.Secret{1}

// A door is one store on a database, as one process has it. It can be closed
// and opened again.
type door struct {
	where string
	db    atomic.Pointer[store.DB]
}

func openDoor(t testing.TB, where string) *door {
	t.Helper()
	d := &door{where: where}
	if err := d.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.now().Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d
}

func (d *door) open(ctx context.Context) error {
	db, err := store.Open(ctx, d.where, secret)
	if err == nil {
		d.db.Store(db)
	}
	return err
}

// reopen does what a restart does.
func (d *door) reopen(ctx context.Context) error {
	err := d.now().Close()
	return errors.Join(err, d.open(context.WithoutCancel(ctx)))
}

func (d *door) now() *store.DB { return d.db.Load() }

// Update implements keeper.
func (d *door) Update(ctx context.Context, do func(books) error) error {
	return d.now().Update(ctx, func(tx *store.Tx) error { return do(tx) })
}

// View implements keeper.
func (d *door) View(ctx context.Context, do func(books) error) error {
	return d.now().View(ctx, func(tx *store.Tx) error { return do(tx) })
}

// pageLen is how many transactions are read at once.
const pageLen = 1000

// sound proves what must hold after every history: each currency sums to zero,
// nobody is below their floor, no key was used twice, and the journal, whose
// chain holds, gives it all.
func sound(ctx context.Context, db *store.DB) error {
	var errs []error
	sums := map[money.Currency]int64{}
	keys, refs := map[string]bool{}, map[string]bool{}
	err := db.View(ctx, func(tx *store.Tx) error {
		err := tx.AllAccounts(ctx, func(r store.AccountRow) error {
			sums[r.Balance.Currency()] += r.Balance.Minor()
			if free := r.Balance.Minor() - r.Held.Minor() - r.Floor.Minor(); !r.Unbounded && free < 0 || r.Held.Minor() < 0 {
				errs = append(errs, fmt.Errorf("account %d has %v, held %v", r.ID, r.Balance, r.Held))
			}
			return nil
		})
		for after := ledger.TransactionID(0); err == nil; {
			var page []ledger.Transaction
			if page, err = tx.Transactions(ctx, after, pageLen); len(page) == 0 {
				break
			}
			for _, t := range page {
				if keys[t.Key] || t.Ref != "" && refs[t.Ref] {
					errs = append(errs, fmt.Errorf("transaction %d has the key or reference of another", t.ID))
				}
				keys[t.Key], refs[t.Ref], after = true, true, t.ID
			}
		}
		return err
	})
	for c, sum := range sums {
		if sum != 0 {
			errs = append(errs, fmt.Errorf("%s sums to %d", c.Code, sum))
		}
	}
	faults, verified := db.Verify(ctx, nil)
	for _, f := range faults {
		errs = append(errs, errors.New(f.String()))
	}
	return errors.Join(append(errs, err, verified)...)
}
