package ledger_test

import (
	"testing"

	"pgregory.net/rapid"

	"maillon/internal/ledger"
	"maillon/internal/ledger/ledgertest"
	"maillon/internal/money"
)

func TestBooksInMemory(t *testing.T) {
	ledgertest.Suite(t, func(*testing.T) ledgertest.Keeper { return ledgertest.NewMemory() })
}

// Money is neither made nor lost, whatever is tried.
func TestBooksStaySound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { ledgertest.Agree(t, ledgertest.NewMemory(), ledgertest.NewMemory()) })
}

func TestTransactionNumbersGrow(t *testing.T) {
	books := ledger.NewBooks()
	c := money.Currency{Code: "MAILLON"}
	zero := money.New(0, c)
	for id := range ledger.AccountID(2) {
		if err := books.Open(ledger.Account{ID: id, Balance: zero, Held: zero, Floor: zero, Unbounded: true}); err != nil {
			t.Fatal(err)
		}
	}
	if err := books.Open(ledger.Account{ID: 1, Balance: zero, Held: zero, Floor: zero}); err == nil {
		t.Error("an account was opened twice")
	}
	if err := books.Open(ledger.Account{ID: 5, Balance: money.New(3, c), Held: zero, Floor: zero}); err == nil {
		t.Error("an account was opened with money")
	}
	postings, err := ledger.Transfer(0, 1, money.New(1, c))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		id ledger.TransactionID
		ok bool
	}{{5, true}, {5, false}, {4, false}, {9, true}} {
		err := ledger.Post(t.Context(), books, &ledger.Transaction{ID: step.id, Key: string(rune('a' + step.id)), Postings: postings})
		if (err == nil) != step.ok {
			t.Errorf("transaction %d: %v", step.id, err)
		}
	}
}
