// Package ledgertest holds every keeper of books to what package ledger
// promises: the same suite runs on the books in memory and on a database.
package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"maillon/internal/ledger"
	"maillon/internal/money"
)

// The currencies of the suite.
var (
	maillon = money.Currency{Code: "MAILLON"}
	heure   = money.Currency{Code: "HEURE", Decimals: 2}
)

// A Keeper keeps books.
type Keeper interface {
	// Open opens an account of nothing, whose floor is zero unless it is unbounded.
	Open(ctx context.Context, c money.Currency, unbounded bool) (ledger.AccountID, error)
	// Do runs do in one transaction of the keeper: if it fails, nothing of it was done.
	Do(ctx context.Context, do func(ledger.HoldTx) error) error
	// Accounts returns every account, by ID.
	Accounts(ctx context.Context) ([]ledger.Account, error)
}

// Memory is the Keeper whose books are in memory.
type Memory struct {
	books *ledger.Books
	last  ledger.AccountID
}

// NewMemory returns a Memory without any account.
func NewMemory() *Memory { return &Memory{books: ledger.NewBooks()} }

// Open implements Keeper.
func (m *Memory) Open(_ context.Context, c money.Currency, unbounded bool) (ledger.AccountID, error) {
	m.last++
	zero := money.New(0, c)
	return m.last, m.books.Open(ledger.Account{ID: m.last, Balance: zero, Held: zero, Floor: zero, Unbounded: unbounded})
}

// Do implements Keeper. Books cannot undo: do must be one operation of the
// ledger, which does nothing when it fails.
func (m *Memory) Do(_ context.Context, do func(ledger.HoldTx) error) error { return do(m.books) }

// Accounts implements Keeper.
func (m *Memory) Accounts(context.Context) ([]ledger.Account, error) { return m.books.Accounts(), nil }

// Suite runs all that every keeper must do on keepers that open returns, each
// without any account.
func Suite(t *testing.T, open func(t *testing.T) Keeper) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(*testing.T, desk)
	}{
		{"a transfer moves money", testTransfer},
		{"a transaction has many postings", testManyPostings},
		{"each currency sums to zero by itself", testCurrencies},
		{"an account does not pass its floor", testFloor},
		{"a malformed transaction is refused", testShape},
		{"a sum that does not fit is refused", testOverflow},
		{"a key or a reference is used once", testDuplicate},
		{"a transaction is reversed once", testReverse},
		{"a hold takes money aside", testPlace},
		{"a hold is captured in part, then whole", testCapture},
		{"a hold is released once", testRelease},
		{"what is not held is not captured", testBadCapture},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, settle(t, open(t))) })
	}
}

// A desk is a keeper with four accounts: emission, 100 maillons each of yann
// and lena, and nothing of heures of tom.
type desk struct {
	t      *testing.T
	keeper Keeper

	emission, yann, lena, heures, tom ledger.AccountID
}

func settle(t *testing.T, k Keeper) desk {
	t.Helper()
	d := desk{t: t, keeper: k}
	d.emission, d.yann, d.lena = d.open(maillon, true), d.open(maillon, false), d.open(maillon, false)
	d.heures, d.tom = d.open(heure, true), d.open(heure, false)
	for _, to := range []ledger.AccountID{d.yann, d.lena} {
		d.do(nil, d.post(fmt.Sprint("open", to), d.emission, to, 100))
	}
	return d
}

func (d desk) open(c money.Currency, unbounded bool) ledger.AccountID {
	d.t.Helper()
	id, err := d.keeper.Open(d.t.Context(), c, unbounded)
	if err != nil {
		d.t.Fatal(err)
	}
	return id
}

// do runs an operation and checks how it ends; one that fails must have done nothing.
func (d desk) do(want error, operation func(ledger.HoldTx) error) {
	d.t.Helper()
	before := d.accounts()
	if err := d.keeper.Do(d.t.Context(), operation); !errors.Is(err, want) {
		d.t.Errorf("error is %v, want %v", err, want)
	}
	if after := d.accounts(); want != nil && !slices.Equal(before, after) {
		d.t.Errorf("a refused operation changed %v to %v", before, after)
	}
	if err := Sound(d.accounts()); err != nil {
		d.t.Error(err)
	}
}

func (d desk) accounts() []ledger.Account {
	d.t.Helper()
	all, err := d.keeper.Accounts(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	return all
}

// has checks what belongs to an account and what is held of it.
func (d desk) has(id ledger.AccountID, balance, held int64) {
	d.t.Helper()
	for _, a := range d.accounts() {
		if a.ID != id {
			continue
		}
		if a.Balance.Minor() != balance || a.Held.Minor() != held {
			d.t.Errorf("account %d has %v, held %v; want %d, %d", id, a.Balance, a.Held, balance, held)
		}
		return
	}
	d.t.Errorf("account %d is missing", id)
}

func (d desk) transfer(key string, from, to ledger.AccountID, amount int64) *ledger.Transaction {
	return &ledger.Transaction{Key: key, Kind: ledger.Payment, Postings: []ledger.Posting{
		{Account: from, Amount: money.New(-amount, maillon)}, {Account: to, Amount: money.New(amount, maillon)},
	}}
}

func (d desk) post(key string, from, to ledger.AccountID, amount int64) func(ledger.HoldTx) error {
	return d.postAll(d.transfer(key, from, to, amount))
}

func (d desk) postAll(t *ledger.Transaction) func(ledger.HoldTx) error {
	return func(tx ledger.HoldTx) error { return ledger.Post(d.t.Context(), tx, t) }
}

// Sound reports what is wrong with accounts: a currency whose balances do not
// sum to zero, an account below its floor, a negative hold.
func Sound(accounts []ledger.Account) error {
	sums := map[money.Currency]money.Amount{}
	for _, a := range accounts {
		c := a.Balance.Currency()
		if a.Held.Sign() < 0 {
			return fmt.Errorf("account %d: %v is held", a.ID, a.Held)
		}
		if !a.Unbounded && a.Balance.Minor()-a.Held.Minor() < a.Floor.Minor() {
			return fmt.Errorf("account %d: %v, of which %v is held, is below its floor %v", a.ID, a.Balance, a.Held, a.Floor)
		}
		sum, ok := sums[c]
		if !ok {
			sum = money.New(0, c)
		}
		var err error
		if sums[c], err = sum.Add(a.Balance); err != nil {
			return err
		}
	}
	for c, sum := range sums {
		if !sum.IsZero() {
			return fmt.Errorf("the balances of %s sum to %v", c.Code, sum)
		}
	}
	return nil
}

func testTransfer(t *testing.T, d desk) {
	first, second := d.transfer("a", d.yann, d.lena, 30), d.transfer("b", d.lena, d.yann, 130)
	d.do(nil, d.postAll(first))
	d.has(d.yann, 70, 0)
	d.has(d.lena, 130, 0)
	d.do(nil, d.postAll(second))
	d.has(d.yann, 200, 0)
	d.has(d.lena, 0, 0)
	if first.ID == 0 || second.ID <= first.ID {
		t.Errorf("transactions are %d and %d; want growing numbers", first.ID, second.ID)
	}
}

func testManyPostings(_ *testing.T, d desk) {
	d.do(nil, d.postAll(&ledger.Transaction{Key: "a", Postings: []ledger.Posting{
		{Account: d.yann, Amount: money.New(-40, maillon)},
		{Account: d.lena, Amount: money.New(30, maillon)},
		{Account: d.yann, Amount: money.New(15, maillon)},
		{Account: d.lena, Amount: money.New(-5, maillon)},
	}}))
	d.has(d.yann, 75, 0)
	d.has(d.lena, 125, 0)
}

func testCurrencies(_ *testing.T, d desk) {
	d.do(nil, d.postAll(&ledger.Transaction{Key: "a", Postings: []ledger.Posting{
		{Account: d.yann, Amount: money.New(-40, maillon)},
		{Account: d.lena, Amount: money.New(40, maillon)},
		{Account: d.heures, Amount: money.New(-150, heure)},
		{Account: d.tom, Amount: money.New(150, heure)},
	}}))
	d.has(d.yann, 60, 0)
	d.has(d.tom, 150, 0)
	d.do(ledger.ErrUnbalanced, d.postAll(&ledger.Transaction{Key: "b", Postings: []ledger.Posting{
		{Account: d.yann, Amount: money.New(-40, maillon)}, {Account: d.tom, Amount: money.New(40, heure)},
	}}))
	d.do(money.ErrCurrency, d.postAll(&ledger.Transaction{Key: "c", Postings: []ledger.Posting{
		{Account: d.yann, Amount: money.New(-40, heure)}, {Account: d.tom, Amount: money.New(40, heure)},
	}}))
	d.do(money.ErrCurrency, func(tx ledger.HoldTx) error {
		return ledger.Place(d.t.Context(), tx, &ledger.Hold{Account: d.yann, Placed: money.New(5, heure)})
	})
}

func testFloor(_ *testing.T, d desk) {
	d.do(ledger.ErrInsufficient, d.post("a", d.yann, d.lena, 101))
	d.do(nil, d.post("b", d.yann, d.lena, 100))
	d.do(ledger.ErrInsufficient, d.post("c", d.yann, d.lena, 1))
	d.do(nil, d.post("d", d.emission, d.yann, 1_000_000))
	d.has(d.emission, -1_000_200, 0)
}

func testShape(_ *testing.T, d desk) {
	at := func(id ledger.AccountID, n int64) ledger.Posting {
		return ledger.Posting{Account: id, Amount: money.New(n, maillon)}
	}
	many := make([]ledger.Posting, ledger.MaxPostings+2)
	for n := range many {
		many[n] = at(d.emission, int64(1-n%2*2))
	}
	for _, c := range []struct {
		want     error
		postings []ledger.Posting
	}{
		{ledger.ErrShape, nil},
		{ledger.ErrShape, []ledger.Posting{at(d.yann, 1)}},
		{ledger.ErrShape, []ledger.Posting{at(d.yann, 0), at(d.lena, 0)}},
		{ledger.ErrShape, []ledger.Posting{at(d.yann, -1), at(d.lena, 1), at(d.lena, 0)}},
		{ledger.ErrShape, many},
		{ledger.ErrUnbalanced, []ledger.Posting{at(d.yann, -1), at(d.lena, 2)}},
		{ledger.ErrNoAccount, []ledger.Posting{at(d.yann, -1), at(9999, 1)}},
	} {
		d.do(c.want, d.postAll(&ledger.Transaction{Key: "a", Postings: c.postings}))
	}
	d.do(ledger.ErrShape, d.post("", d.yann, d.lena, 1))
	d.do(nil, d.postAll(&ledger.Transaction{Key: "a", Postings: many[:ledger.MaxPostings]}))
}

func testOverflow(_ *testing.T, d desk) {
	d.do(money.ErrOverflow, d.post("a", d.emission, d.yann, math.MaxInt64))
	d.do(money.ErrOverflow, d.postAll(&ledger.Transaction{Key: "b", Postings: []ledger.Posting{
		{Account: d.emission, Amount: money.New(math.MinInt64, maillon)}, {Account: d.emission, Amount: money.New(math.MinInt64, maillon)},
	}}))
	d.do(nil, d.post("c", d.emission, d.yann, math.MaxInt64-300))
	d.do(money.ErrOverflow, d.post("d", d.emission, d.yann, 1000))
	d.do(ledger.ErrInsufficient, func(tx ledger.HoldTx) error {
		return ledger.Place(d.t.Context(), tx, &ledger.Hold{Account: d.lena, Placed: money.New(math.MaxInt64, maillon)})
	})
}

func testDuplicate(_ *testing.T, d desk) {
	t := d.transfer("a", d.yann, d.lena, 1)
	t.Ref = "K7F2"
	d.do(nil, d.postAll(t))
	d.do(ledger.ErrDuplicate, d.post("a", d.yann, d.lena, 2))
	again := d.transfer("b", d.yann, d.lena, 1)
	again.Ref = "K7F2"
	d.do(ledger.ErrDuplicate, d.postAll(again))
	d.do(nil, d.post("b", d.yann, d.lena, 1))
	d.do(nil, d.post("c", d.yann, d.lena, 1))
	d.has(d.yann, 97, 0)
}

func testReverse(_ *testing.T, d desk) {
	paid := d.transfer("a", d.yann, d.lena, 30)
	d.do(nil, d.postAll(paid))
	back := func(tx ledger.HoldTx) error {
		t := ledger.Transaction{Kind: ledger.Correction}
		err := ledger.Reverse(d.t.Context(), tx, *paid, &t)
		if t.Reverses != paid.ID {
			d.t.Errorf("the reversal names %d, want %d", t.Reverses, paid.ID)
		}
		return err
	}
	d.do(nil, d.post("b", d.lena, d.yann, 120))
	d.do(ledger.ErrInsufficient, back)
	d.do(nil, d.post("c", d.yann, d.lena, 120))
	d.do(nil, back)
	d.has(d.yann, 100, 0)
	d.do(ledger.ErrDuplicate, back)
}

func (d desk) place(h *ledger.Hold) func(ledger.HoldTx) error {
	return func(tx ledger.HoldTx) error { return ledger.Place(d.t.Context(), tx, h) }
}

func (d desk) release(h *ledger.Hold) func(ledger.HoldTx) error {
	return func(tx ledger.HoldTx) error { return ledger.Release(d.t.Context(), tx, h.ID) }
}

func (d desk) capture(h *ledger.Hold, key string, amount int64) func(ledger.HoldTx) error {
	return func(tx ledger.HoldTx) error {
		return ledger.Capture(d.t.Context(), tx, h.ID, money.New(amount, maillon), d.transfer(key, h.Account, d.lena, amount))
	}
}

func (d desk) hold(amount int64) *ledger.Hold {
	return &ledger.Hold{Account: d.yann, Placed: money.New(amount, maillon)}
}

func testPlace(t *testing.T, d desk) {
	h, next := d.hold(60), d.hold(40)
	d.do(nil, d.place(h))
	d.has(d.yann, 100, 60)
	d.do(ledger.ErrInsufficient, d.post("a", d.yann, d.lena, 41))
	d.do(ledger.ErrInsufficient, d.place(d.hold(41)))
	d.do(nil, d.place(next))
	d.has(d.yann, 100, 100)
	if h.ID == 0 || next.ID <= h.ID {
		t.Errorf("holds are %d and %d; want growing numbers", h.ID, next.ID)
	}
	d.do(nil, d.post("b", d.lena, d.yann, 10))
	d.has(d.yann, 110, 100)
	d.do(ledger.ErrShape, d.place(d.hold(0)))
	d.do(ledger.ErrShape, d.place(d.hold(-5)))
	d.do(ledger.ErrNoAccount, d.place(&ledger.Hold{Account: 9999, Placed: money.New(5, maillon)}))
}

func testCapture(_ *testing.T, d desk) {
	h := d.hold(60)
	d.do(nil, d.place(h))
	d.do(nil, d.capture(h, "a", 20))
	d.has(d.yann, 80, 40)
	d.has(d.lena, 120, 0)
	d.do(ledger.ErrHold, d.capture(h, "b", 41))
	d.do(ledger.ErrDuplicate, d.capture(h, "a", 20))
	d.do(nil, d.capture(h, "c", 40))
	d.has(d.yann, 40, 0)
	d.do(ledger.ErrHold, d.capture(h, "d", 1))
	d.do(nil, d.release(h))
	d.has(d.yann, 40, 0)
}

func testRelease(_ *testing.T, d desk) {
	h, part := d.hold(60), d.hold(30)
	d.do(nil, d.place(h))
	d.do(nil, d.place(part))
	d.do(nil, d.release(h))
	d.has(d.yann, 100, 30)
	d.do(nil, d.release(h))
	d.has(d.yann, 100, 30)
	d.do(nil, d.capture(part, "a", 10))
	d.do(nil, d.release(part))
	d.has(d.yann, 90, 0)
	d.do(ledger.ErrHold, d.capture(h, "b", 1))
}

func testBadCapture(_ *testing.T, d desk) {
	h := d.hold(60)
	d.do(nil, d.place(h))
	captured := func(amount money.Amount, t *ledger.Transaction) func(ledger.HoldTx) error {
		return func(tx ledger.HoldTx) error { return ledger.Capture(d.t.Context(), tx, h.ID, amount, t) }
	}
	d.do(ledger.ErrShape, captured(money.New(20, maillon), d.transfer("a", d.yann, d.lena, 30)))
	d.do(ledger.ErrShape, captured(money.New(20, maillon), d.transfer("a", d.lena, d.yann, 20)))
	d.do(ledger.ErrHold, captured(money.New(0, maillon), d.transfer("a", d.yann, d.lena, 0)))
	d.do(ledger.ErrHold, captured(money.New(-5, maillon), d.transfer("a", d.yann, d.lena, -5)))
	d.do(money.ErrCurrency, captured(money.New(5, heure), d.transfer("a", d.yann, d.lena, 5)))
	d.do(ledger.ErrHold, d.capture(&ledger.Hold{ID: 9999, Account: d.yann}, "a", 5))
	d.do(ledger.ErrHold, d.release(&ledger.Hold{ID: 9999}))
}
