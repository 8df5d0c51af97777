package store_test

import (
	"errors"
	"path/filepath"
	"testing"

	"maillon/internal/ledger"
	"maillon/internal/order"
	"maillon/internal/store"
)

// Filled books are books: their journal proves them, members pay on, and they
// are filled further.
func TestFilledBooksAreProven(t *testing.T) {
	path := filepath.Join(t.TempDir(), "books.db")
	var n int64
	filling := store.Filling{Currency: maillon, Accounts: 150, Transfers: 1_234, Credit: 100, Pay: func(members int64) (from, to, amount int64) {
		n++
		return n * 7 % members, n * 13 % members, 1 + n%90
	}}
	if err := store.Fill(t.Context(), path, secret, filling); err != nil {
		t.Fatal(err)
	}
	prove(t, path, 1_234)
	filling.Accounts, filling.Transfers = 320, 3_001
	if err := store.Fill(t.Context(), path, secret, filling); err != nil {
		t.Fatal(err)
	}
	prove(t, path, 3_001)
}

// Books may be filled with an order for each transfer, which is found by its
// reference.
func TestFilledBooksHaveOrders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "books.db")
	var n int64
	filling := store.Filling{Currency: maillon, Accounts: 150, Transfers: 1_234, Credit: 100, Orders: true, Pay: func(members int64) (from, to, amount int64) {
		n++
		return n * 7 % members, n * 13 % members, 1 + n%90
	}}
	if err := store.Fill(t.Context(), path, secret, filling); err != nil {
		t.Fatal(err)
	}
	prove(t, path, 1_234)
	db := openFile(t, path)
	defer db.Close()
	view(t, db, func(tx *store.Tx) error {
		last, err := tx.LastTransactions(t.Context(), 1)
		if err != nil {
			return err
		}
		o, err := tx.OrderByRef(t.Context(), last[0].Ref)
		if err == nil && (o.Transaction != last[0].ID || o.State != order.Done) {
			t.Errorf("the order of the last transfer is %+v", o)
		}
		return err
	})
}

// prove proves filled books, and lets somebody pay and somebody else fail.
func prove(t *testing.T, path string, transfers ledger.TransactionID) {
	t.Helper()
	db, err := store.Open(t.Context(), path, secret)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	proven := func() {
		t.Helper()
		faults, err := db.Verify(t.Context(), nil)
		if err != nil || len(faults) > 0 {
			t.Fatalf("Verify: %v, %v", faults, err)
		}
	}
	proven()
	var from ledger.Account
	err = db.Update(t.Context(), func(tx *store.Tx) error {
		last, err := tx.LastTransactions(t.Context(), 1)
		if err != nil {
			return err
		}
		if len(last) != 1 || last[0].ID != transfers || last[0].Key != store.FillKey(int64(transfers)) {
			t.Errorf("the last transfer is %+v, want number %d", last, transfers)
		}
		if from, err = tx.Account(t.Context(), last[0].Postings[1].Account); err != nil {
			return err
		}
		return post(t.Context(), tx, store.FillKey(1), from.ID, store.FillFirst, 1)
	})
	if !errors.Is(err, ledger.ErrDuplicate) {
		t.Errorf("a filled key used again: %v, want %v", err, ledger.ErrDuplicate)
	}
	to := store.FillFirst
	if from.ID == to {
		to++
	}
	pay := func(amount int64) error {
		return db.Update(t.Context(), func(tx *store.Tx) error { return post(t.Context(), tx, "too much", from.ID, to, amount) })
	}
	if err := pay(from.Balance.Minor() + 1); !errors.Is(err, ledger.ErrInsufficient) {
		t.Errorf("pay more than there is: %v, want %v", err, ledger.ErrInsufficient)
	}
	proven()
}

// Whoever has books of their own does not lose them to a measure.
func TestOtherBooksAreNotFilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "books.db")
	db, err := store.Open(t.Context(), path, secret)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.SystemAccount(t.Context(), store.Pot, maillon)
		return err
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	err = store.Fill(t.Context(), path, secret, store.Filling{Currency: maillon, Accounts: 10, Transfers: 10, Credit: 1})
	if !errors.Is(err, store.ErrFilling) {
		t.Errorf("Fill: %v, want %v", err, store.ErrFilling)
	}
}
