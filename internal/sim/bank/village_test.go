package bank_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/store"
)

// books is what an act asks of a transaction: a *store.Tx, or one that is broken
// on purpose.
type books interface {
	ledger.HoldTx
	Now() time.Time
	TransactionByKey(ctx context.Context, key string) (ledger.Transaction, error)
	HoldsFor(ctx context.Context, id ledger.TransactionID) ([]ledger.HoldID, error)
	Movements(ctx context.Context, id ledger.AccountID, skip, limit int) ([]store.Movement, error)
	BalanceAt(ctx context.Context, id ledger.AccountID, at time.Time) (money.Amount, error)
}

// A keeper keeps the books: a store, or one that is broken on purpose.
type keeper interface {
	Update(ctx context.Context, do func(books) error) error
	View(ctx context.Context, do func(books) error) error
}

// A village has a currency and accounts of its own, so that what happens in it
// is checked by itself.
type village struct {
	name     string
	currency money.Currency
	id       [accounts]ledger.AccountID
	opened   time.Time
	end      journal

	mu      sync.Mutex
	numbers int
	herd    []act
	posted  []act // transfers that were asked for
	held    []act // places that were answered
	holdID  [maxNumbers]ledger.HoldID
}

// settle opens the accounts of a village, and gives each what it begins with.
func settle(ctx context.Context, db *store.DB, n int) (*village, error) {
	v := &village{name: fmt.Sprintf("V%d", n), currency: money.Currency{Code: fmt.Sprintf("V%d", n)}}
	err := db.Update(ctx, func(tx *store.Tx) error {
		a, err := tx.SystemAccount(ctx, store.Emission, v.currency)
		v.id[0] = a.ID
		for m := 1; m < accounts && err == nil; m++ {
			if a, err = tx.AccountOf(ctx, member.ID(n*accounts+m), v.currency); err != nil {
				break
			}
			v.id[m] = a.ID
			var p []ledger.Posting
			if p, err = ledger.Transfer(v.id[0], v.id[m], money.New(opening, v.currency)); err == nil {
				err = ledger.Post(ctx, tx, &ledger.Transaction{Key: fmt.Sprintf("%s:open:%d", v.name, m), Kind: ledger.Opening, Postings: p})
			}
		}
		return err
	})
	v.opened = time.Now()
	return v, err
}

func (v *village) key(number int) string { return v.name + ":" + strconv.Itoa(number) }

// number reads what key wrote.
func (v *village) number(ref string) int {
	name, number, _ := strings.Cut(ref, ":")
	n, err := strconv.Atoi(number)
	if name != v.name || err != nil {
		return unheard
	}
	return n
}

// mark stands in a hold for the key that holds do not have.
func (v *village) mark(number int) ledger.TransactionID {
	return ledger.TransactionID(int64(v.id[0])*1_000_000 + int64(number) + 1)
}

// follow returns the n-th act of a herd, whose members all do the same at once.
func (v *village) follow(r *rand.Rand, n int) act {
	v.mu.Lock()
	defer v.mu.Unlock()
	if n == len(v.herd) {
		v.herd = append(v.herd, v.invent(r))
	}
	return v.herd[n]
}

// draw invents the next act of a client.
func (v *village) draw(r *rand.Rand) act {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.invent(r)
}

func (v *village) invent(r *rand.Rand) act {
	a := act{from: r.IntN(accounts), amount: 1 + r.Int64N(opening*2/3), limit: 1 + r.IntN(8)}
	a.to = (a.from + 1 + r.IntN(accounts-1)) % accounts
	switch dice := r.IntN(100); {
	case dice < 35:
		a.kind = transfer
	case dice < 45 && len(v.posted) > 0: // somebody's act once more, by whoever, often while it is under way
		return v.posted[max(0, len(v.posted)-1-r.IntN(1+r.IntN(maxNumbers)))]
	case dice < 53 && len(v.posted) > 0:
		t := v.posted[r.IntN(len(v.posted))]
		return act{kind: reverse, target: t.number, from: t.to, to: t.from, amount: t.amount}
	case dice < 62:
		a.kind, a.from = place, 1+r.IntN(accounts-1)
	case dice < 75 && len(v.held) > 0:
		h := v.held[r.IntN(len(v.held))]
		a.hold, a.from = h.number, h.from
		switch r.IntN(4) {
		case 0:
			a.kind = release
			return a
		case 1:
			a.kind = holding
			return a
		case 2:
			a.kind, a.amount = capture, h.amount
		default:
			a.kind, a.amount = capture, 1+r.Int64N(h.amount)
		}
		a.to = (a.from + 1 + r.IntN(accounts-1)) % accounts
	case dice < 85:
		a.kind = balances
		return a
	case dice < 94:
		a.kind = statement
		return a
	default:
		a.kind, a.at = past, v.moment(r)
		return a
	}
	if v.numbers == maxNumbers {
		return act{kind: balances}
	}
	a.number = v.numbers
	v.numbers++
	if a.kind == transfer {
		v.posted = append(v.posted, a)
	}
	return a
}

// moment draws one since the village was opened.
func (v *village) moment(r *rand.Rand) int64 {
	now := time.Now()
	if r.IntN(2) == 0 {
		return now.UnixMicro()
	}
	return now.UnixMicro() - r.Int64N(1+now.Sub(v.opened).Microseconds())
}

// learn lets others use a hold of which somebody was told.
func (v *village) learn(a act, id ledger.HoldID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.holdID[a.number] = id
	if !slices.ContainsFunc(v.held, func(h act) bool { return h.number == a.number }) {
		v.held = append(v.held, a)
	}
}

func (v *village) holdOf(number int) ledger.HoldID {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.holdID[number]
}

func (v *village) postings(a act) ([]ledger.Posting, error) {
	return ledger.Transfer(v.id[a.from], v.id[a.to], money.New(a.amount, v.currency))
}

// A result is what an act did inside its transaction.
type result struct {
	answer
	hold ledger.HoldID
}

// do does an act by the rules of the ledger. A refusal is an error, so that
// what was begun is undone.
func (v *village) do(ctx context.Context, tx books, a act) (r result, err error) {
	switch a.kind {
	case transfer:
		p, err := v.postings(a)
		if err != nil {
			return r, err
		}
		return r, ledger.Post(ctx, tx, &ledger.Transaction{Key: v.key(a.number), Ref: v.key(a.number), Kind: ledger.Payment, Postings: p})
	case place:
		return v.place(ctx, tx, a)
	case capture:
		return r, v.capture(ctx, tx, a)
	case release:
		return r, ledger.Release(ctx, tx, v.holdOf(a.hold))
	case reverse:
		t, err := tx.TransactionByKey(ctx, v.key(a.target))
		if err != nil {
			return r, err
		}
		return r, ledger.Reverse(ctx, tx, t, &ledger.Transaction{Ref: v.key(reversal(a.target)), Kind: ledger.Correction})
	}
	return v.read(ctx, tx, a)
}

// place places a hold once: one that is known may be over, and one that is not
// known cannot be.
func (v *village) place(ctx context.Context, tx books, a act) (r result, err error) {
	if r.hold = v.holdOf(a.number); r.hold != 0 {
		r.outcome = already
		return r, nil
	}
	before, err := tx.HoldsFor(ctx, v.mark(a.number))
	if err != nil {
		return r, err
	}
	if len(before) > 0 {
		r.outcome, r.hold = already, before[0]
		return r, nil
	}
	h := ledger.Hold{Account: v.id[a.from], Placed: money.New(a.amount, v.currency), For: v.mark(a.number)}
	err = ledger.Place(ctx, tx, &h)
	r.hold = h.ID
	return r, err
}

func (v *village) capture(ctx context.Context, tx books, a act) error {
	_, err := tx.TransactionByKey(ctx, v.key(a.number))
	if err == nil {
		return ledger.ErrDuplicate
	}
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	p, err := v.postings(a)
	if err != nil {
		return err
	}
	return ledger.Capture(ctx, tx, v.holdOf(a.hold), money.New(a.amount, v.currency),
		&ledger.Transaction{Key: v.key(a.number), Ref: v.key(a.number), Kind: ledger.Payment, Postings: p})
}

func (v *village) read(ctx context.Context, tx books, a act) (r result, err error) {
	switch a.kind {
	case balances:
		for n := range accounts {
			if err := v.look(ctx, tx, n, &r); err != nil {
				return r, err
			}
			time.Sleep(a.dawdle)
		}
	case statement:
		if err := v.look(ctx, tx, a.from, &r); err != nil {
			return r, err
		}
		moves, err := tx.Movements(ctx, v.id[a.from], 0, a.limit)
		if err != nil {
			return r, err
		}
		for _, m := range slices.Backward(moves) {
			r.moves += move(v.number(m.Ref), m.Amount.Minor(), m.Balance.Minor())
		}
	case past:
		b, err := tx.BalanceAt(ctx, v.id[a.from], time.UnixMicro(a.at))
		r.balance[a.from] = b.Minor()
		return r, err
	case holding:
		h, err := tx.Hold(ctx, v.holdOf(a.hold))
		r.left = h.Left.Minor()
		return r, err
	}
	return r, nil
}

func (v *village) look(ctx context.Context, tx books, n int, r *result) error {
	a, err := tx.Account(ctx, v.id[n])
	r.balance[n], r.held[n] = a.Balance.Minor(), a.Held.Minor()
	return err
}
