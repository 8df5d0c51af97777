package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"maillon/internal/ledger"
	"maillon/internal/money"
)

// Agree runs random operations on two keepers without accounts at the same
// time, and fails unless both always give the same results and stay sound.
func Agree(t *rapid.T, a, b Keeper) {
	m := machine{keepers: [2]Keeper{a, b}}
	m.open(t)
	t.Repeat(map[string]func(*rapid.T){
		"":        m.check,
		"post":    m.post,
		"place":   m.place,
		"capture": m.capture,
		"release": m.release,
		"reverse": m.reverse,
		"repeat":  m.repeat,
	})
}

// A machine draws operations. Amounts are small, so that floors are met often.
type machine struct {
	keepers  [2]Keeper
	accounts []account
	posted   []ledger.Transaction
	holds    []ledger.Hold
	keys     int
}

type account struct {
	id       ledger.AccountID
	currency money.Currency
}

func (m *machine) open(t *rapid.T) {
	for n, c := range []money.Currency{maillon, maillon, maillon, maillon, heure, heure, heure} {
		unbounded := n == 0 || n == 4
		first, err := m.keepers[0].Open(t.Context(), c, unbounded)
		second, err2 := m.keepers[1].Open(t.Context(), c, unbounded)
		if err != nil || err2 != nil || first != second {
			t.Fatalf("Open = %d, %v and %d, %v", first, err, second, err2)
		}
		m.accounts = append(m.accounts, account{first, c})
	}
}

// both runs an operation on both keepers, which must end alike.
func (m *machine) both(t *rapid.T, operation func(ctx context.Context, tx ledger.HoldTx, n int) error) error {
	var errs [2]error
	for n, k := range m.keepers {
		errs[n] = k.Do(t.Context(), func(tx ledger.HoldTx) error { return operation(t.Context(), tx, n) })
	}
	if kind(errs[0]) != kind(errs[1]) {
		t.Fatalf("the keepers disagree: %v and %v", errs[0], errs[1])
	}
	if kind(errs[0]) == "other" {
		t.Fatal(errs[0])
	}
	return errs[0]
}

// kind names the promise that an error keeps.
func kind(err error) string {
	if err == nil {
		return ""
	}
	for _, known := range []error{
		ledger.ErrUnbalanced, ledger.ErrShape, ledger.ErrInsufficient, ledger.ErrNoAccount, ledger.ErrDuplicate, ledger.ErrHold,
		money.ErrCurrency, money.ErrOverflow,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "other"
}

func (m *machine) key() string {
	m.keys++
	return fmt.Sprint("key", m.keys)
}

func (m *machine) draw(t *rapid.T, name string) account {
	return rapid.SampledFrom(m.accounts).Draw(t, name)
}

func (m *machine) post(t *rapid.T) {
	txn := ledger.Transaction{Key: m.key(), Ref: rapid.SampledFrom([]string{"", "A1B2", "C3D4"}).Draw(t, "ref"), Kind: ledger.Payment}
	for range rapid.IntRange(1, 3).Draw(t, "legs") {
		from, to := m.draw(t, "from"), m.draw(t, "to")
		amount := rapid.Int64Range(-5, 40).Draw(t, "amount")
		txn.Postings = append(txn.Postings,
			ledger.Posting{Account: from.id, Amount: money.New(-amount, from.currency)}, ledger.Posting{Account: to.id, Amount: money.New(amount, to.currency)})
	}
	m.append(t, txn)
}

func (m *machine) append(t *rapid.T, txn ledger.Transaction) {
	var done [2]ledger.Transaction
	err := m.both(t, func(ctx context.Context, tx ledger.HoldTx, n int) error {
		done[n] = txn
		return ledger.Post(ctx, tx, &done[n])
	})
	m.keep(t, done, err)
}

func (m *machine) keep(t *rapid.T, done [2]ledger.Transaction, err error) {
	if err != nil {
		return
	}
	if done[0].ID != done[1].ID {
		t.Fatalf("transactions are %d and %d", done[0].ID, done[1].ID)
	}
	m.posted = append(m.posted, done[0])
}

// repeat posts again what was posted before, whose key is used.
func (m *machine) repeat(t *rapid.T) {
	if len(m.posted) == 0 {
		t.Skip("nothing is posted")
	}
	txn := rapid.SampledFrom(m.posted).Draw(t, "transaction")
	txn.ID = 0
	m.append(t, txn)
}

func (m *machine) reverse(t *rapid.T) {
	if len(m.posted) == 0 {
		t.Skip("nothing is posted")
	}
	original := rapid.SampledFrom(m.posted).Draw(t, "transaction")
	var done [2]ledger.Transaction
	err := m.both(t, func(ctx context.Context, tx ledger.HoldTx, n int) error {
		done[n] = ledger.Transaction{Kind: ledger.Correction}
		return ledger.Reverse(ctx, tx, original, &done[n])
	})
	m.keep(t, done, err)
}

func (m *machine) place(t *rapid.T) {
	on := m.draw(t, "account")
	h := ledger.Hold{Account: on.id, Placed: money.New(rapid.Int64Range(-1, 30).Draw(t, "amount"), on.currency)}
	var placed [2]ledger.Hold
	err := m.both(t, func(ctx context.Context, tx ledger.HoldTx, n int) error {
		placed[n] = h
		return ledger.Place(ctx, tx, &placed[n])
	})
	if err != nil {
		return
	}
	if placed[0] != placed[1] {
		t.Fatalf("holds are %+v and %+v", placed[0], placed[1])
	}
	m.holds = append(m.holds, placed[0])
}

func (m *machine) capture(t *rapid.T) {
	if len(m.holds) == 0 {
		t.Skip("nothing is held")
	}
	h, to := rapid.SampledFrom(m.holds).Draw(t, "hold"), m.draw(t, "to")
	amount := money.New(rapid.Int64Range(0, 30).Draw(t, "amount"), h.Placed.Currency())
	txn := ledger.Transaction{Key: m.key(), Kind: ledger.Payment, Postings: []ledger.Posting{
		{Account: h.Account, Amount: money.New(-amount.Minor(), amount.Currency())}, {Account: to.id, Amount: money.New(amount.Minor(), to.currency)},
	}}
	var done [2]ledger.Transaction
	err := m.both(t, func(ctx context.Context, tx ledger.HoldTx, n int) error {
		done[n] = txn
		return ledger.Capture(ctx, tx, h.ID, amount, &done[n])
	})
	m.keep(t, done, err)
}

func (m *machine) release(t *rapid.T) {
	if len(m.holds) == 0 {
		t.Skip("nothing is held")
	}
	h := rapid.SampledFrom(m.holds).Draw(t, "hold")
	_ = m.both(t, func(ctx context.Context, tx ledger.HoldTx, _ int) error { return ledger.Release(ctx, tx, h.ID) })
}

func (m *machine) check(t *rapid.T) {
	var accounts [2][]ledger.Account
	for n, k := range m.keepers {
		var err error
		if accounts[n], err = k.Accounts(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := Sound(accounts[n]); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(accounts[0], accounts[1]) {
		t.Fatalf("accounts are %v and %v", accounts[0], accounts[1])
	}
}
