package ledger

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"maillon/internal/money"
)

// Books keep accounts in memory by the same rules as a database: a journal is
// replayed into them to prove the database, and tests compare the two. They
// are for one goroutine.
type Books struct {
	accounts map[AccountID]Account
	holds    map[HoldID]Hold
	keys     map[string]TransactionID
	refs     map[string]TransactionID
	last     TransactionID
	lastHold HoldID
}

// NewBooks returns books without any account.
func NewBooks() *Books {
	return &Books{
		accounts: map[AccountID]Account{},
		holds:    map[HoldID]Hold{},
		keys:     map[string]TransactionID{},
		refs:     map[string]TransactionID{},
	}
}

// Open adds an account. Its balance must be zero: money comes by postings.
func (b *Books) Open(a Account) error {
	if _, ok := b.accounts[a.ID]; ok || !a.Balance.IsZero() || !a.Held.IsZero() {
		return fmt.Errorf("account %d: %w", a.ID, ErrShape)
	}
	b.accounts[a.ID] = a
	return nil
}

// SetFloor writes an account whose floor has changed.
func (b *Books) SetFloor(a Account) error {
	if _, ok := b.accounts[a.ID]; !ok {
		return ErrNoAccount
	}
	b.accounts[a.ID] = a
	return nil
}

// Account implements Tx.
func (b *Books) Account(_ context.Context, id AccountID) (Account, error) {
	a, ok := b.accounts[id]
	if !ok {
		return Account{}, ErrNoAccount
	}
	return a, nil
}

// Append implements Tx. A transaction that brings an ID keeps it, if it is
// higher than every one before.
func (b *Books) Append(_ context.Context, t *Transaction, after []Account) error {
	if _, ok := b.keys[t.Key]; ok {
		return ErrDuplicate
	}
	if _, ok := b.refs[t.Ref]; ok && t.Ref != "" {
		return ErrDuplicate
	}
	if t.ID == 0 {
		t.ID = b.last + 1
	}
	if t.ID <= b.last {
		return fmt.Errorf("transaction %d after %d: %w", t.ID, b.last, ErrShape)
	}
	b.last = t.ID
	b.keys[t.Key] = t.ID
	if t.Ref != "" {
		b.refs[t.Ref] = t.ID
	}
	for _, a := range after {
		b.accounts[a.ID] = a
	}
	return nil
}

// Hold implements HoldTx.
func (b *Books) Hold(_ context.Context, id HoldID) (Hold, error) {
	h, ok := b.holds[id]
	if !ok {
		return Hold{}, fmt.Errorf("hold %d: %w", id, ErrHold)
	}
	return h, nil
}

// SaveHold implements HoldTx.
func (b *Books) SaveHold(_ context.Context, h *Hold, after Account) error {
	if h.ID == 0 {
		h.ID = b.lastHold + 1
	}
	b.lastHold = max(b.lastHold, h.ID)
	b.holds[h.ID] = *h
	b.accounts[after.ID] = after
	return nil
}

// Accounts returns every account, by ID.
func (b *Books) Accounts() []Account {
	all := make([]Account, 0, len(b.accounts))
	for _, id := range slices.Sorted(maps.Keys(b.accounts)) {
		all = append(all, b.accounts[id])
	}
	return all
}

// Sums returns the sum of all balances of each currency. Every one is zero,
// or the program is wrong.
func (b *Books) Sums() (map[money.Currency]money.Amount, error) {
	sums := map[money.Currency]money.Amount{}
	for _, a := range b.accounts {
		c := a.Balance.Currency()
		sum, ok := sums[c]
		if !ok {
			sum = money.New(0, c)
		}
		var err error
		if sums[c], err = sum.Add(a.Balance); err != nil {
			return nil, err
		}
	}
	return sums, nil
}
