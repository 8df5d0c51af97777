package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/store"
)

// What members ask of Books: of a hundred transfers so many are more than there
// is, and so many were made before.
const (
	askTooMuch = 2
	askAgain   = 1
)

// What filled books are like: of a hundred payments so many go to merchants.
const (
	fillMerchants = 100
	fillToShops   = 10
	fillMaxPaid   = 100
)

// ErrBooks means that books did what they must not.
var ErrBooks = errors.New("the books are wrong")

// BooksCurrency is what is paid with in Books.
func BooksCurrency() money.Currency { return money.Currency{Code: "MAILLON", Decimals: 2} }

// Books are accounts between which money is moved, without members or SMS: by
// one server or by several beside each other.
type Books struct {
	servers []*store.DB
	members int64
	run     string // keys begin with it, so that no run meets another
	keys    atomic.Int64
}

// NewBooks opens accounts with money in a database that must be empty, for it
// is no place for people's books any more.
func NewBooks(ctx context.Context, servers []*store.DB, accounts int) (*Books, error) {
	b := &Books{servers: servers, members: int64(accounts), run: fmt.Sprintf("load:%d:", time.Now().UnixMicro())}
	for opened := 0; opened < accounts; {
		err := servers[0].Update(ctx, func(tx *store.Tx) error { return b.open(ctx, tx, opened, min(loadAtOnce, accounts-opened)) })
		if err != nil {
			return nil, fmt.Errorf("open accounts: %w", err)
		}
		opened += loadAtOnce
	}
	return b, nil
}

func (b *Books) open(ctx context.Context, tx *store.Tx, opened, n int) error {
	emission, err := tx.SystemAccount(ctx, store.Emission, BooksCurrency())
	if err != nil {
		return err
	}
	for i := opened; i < opened+n; i++ {
		a, err := tx.AccountOf(ctx, member.ID(i+1), BooksCurrency())
		if err != nil {
			return err
		}
		if emission.ID != store.FillEmission || a.ID != store.FillFirst+ledger.AccountID(i) || !a.Balance.IsZero() {
			return errors.New("the database is not empty")
		}
		postings, err := ledger.Transfer(emission.ID, a.ID, money.New(loadFunds, BooksCurrency()))
		if err != nil {
			return err
		}
		t := ledger.Transaction{Key: fmt.Sprintf("%sopen:%d", b.run, i), Kind: ledger.Credit, At: tx.Now(), Postings: postings}
		if err := ledger.Post(ctx, tx, &t); err != nil {
			return err
		}
	}
	return nil
}

// FillBooks leaves so many accounts and transfers in a file, see store.Fill.
// Some members are merchants, whom many pay.
func FillBooks(ctx context.Context, path string, secret store.Secret, accounts, transfers int64, progress func(done, total int64)) error {
	return store.Fill(ctx, path, secret, filling(accounts, transfers, progress))
}

// filling says who pays whom in filled books.
func filling(accounts, transfers int64, progress func(done, total int64)) store.Filling {
	r := rand.New(rand.NewPCG(uint64(accounts), uint64(transfers))) //nolint:gosec // it decides who pays whom
	return store.Filling{
		Currency: BooksCurrency(), Accounts: accounts, Transfers: transfers, Credit: loadFunds, Progress: progress,
		Pay: func(members int64) (from, to, amount int64) {
			from, to, amount = r.Int64N(members), r.Int64N(members), 1+r.Int64N(fillMaxPaid)
			if r.IntN(100) < fillToShops {
				to = r.Int64N(min(fillMerchants, members))
			}
			return from, to, amount
		},
	}
}

// FilledBooks are books that FillBooks has left.
func FilledBooks(db *store.DB, accounts int64) *Books {
	return &Books{servers: []*store.DB{db}, members: accounts, run: fmt.Sprintf("load:%d:", time.Now().UnixMicro())}
}

// A Crowd says who pays whom in Books.
type Crowd struct {
	Clients int
	Hot     bool  // all pay one merchant
	Active  int64 // only so many members, spread among all, pay and are paid; 0: all
	Strewn  int64 // keys do not sort by time but fall among those of so many filled transfers; 0: they do
}

// Run lets clients move money one transfer after the other, each as fast as it
// is answered, for a time. What is refused, as it must be, counts as answered.
func (b *Books) Run(ctx context.Context, crowd Crowd, d time.Duration) (Measure, error) {
	last := make([]asked, crowd.Clients)
	return measure(ctx, crowd.Clients, d, func(r *rand.Rand, client int) error {
		return b.ask(ctx, r, crowd, client, &last[client])
	})
}

// An asked is what a client asked before.
type asked struct {
	key      string
	from, to ledger.AccountID
}

func (b *Books) ask(ctx context.Context, r *rand.Rand, crowd Crowd, client int, last *asked) error {
	amount, want := int64(1), error(nil)
	a := asked{b.key(r, crowd), b.member(r, crowd), b.member(r, crowd)}
	if crowd.Hot {
		a.to = store.FillFirst
	}
	for a.to == a.from {
		a.from = b.member(r, crowd)
	}
	switch chance := r.IntN(100); {
	case chance < askTooMuch:
		amount, want = 1<<40, ledger.ErrInsufficient
	case chance < askTooMuch+askAgain && last.key != "":
		a, want = *last, ledger.ErrDuplicate
	default:
		*last = a
	}
	postings, err := ledger.Transfer(a.from, a.to, money.New(amount, BooksCurrency()))
	if err != nil {
		return err
	}
	hint := store.Hint{Keys: []string{a.key}, Accounts: []ledger.AccountID{a.from, a.to}}
	err = b.servers[client%len(b.servers)].UpdateHinted(ctx, hint, func(tx *store.Tx) error {
		return ledger.Post(ctx, tx, &ledger.Transaction{Key: a.key, Kind: ledger.Payment, At: tx.Now(), Postings: postings})
	})
	if want != nil && err == nil {
		return fmt.Errorf("a transfer was made that ends with %w: %w", want, ErrBooks)
	}
	if want != nil && errors.Is(err, want) {
		return nil
	}
	return err
}

func (b *Books) key(r *rand.Rand, crowd Crowd) string {
	n := b.keys.Add(1)
	if crowd.Strewn > 0 {
		return fmt.Sprintf("%s:%s%d", store.FillKey(1+r.Int64N(crowd.Strewn)), b.run, n)
	}
	return fmt.Sprintf("%s%012d", b.run, n)
}

func (b *Books) member(r *rand.Rand, crowd Crowd) ledger.AccountID {
	if crowd.Active > 0 && crowd.Active < b.members {
		return store.FillFirst + ledger.AccountID(r.Int64N(crowd.Active)*(b.members/crowd.Active))
	}
	return store.FillFirst + ledger.AccountID(r.Int64N(b.members))
}

// Check reads every account: the sum is zero, and nobody is below zero.
func (b *Books) Check(ctx context.Context) error {
	return b.servers[0].View(ctx, func(tx *store.Tx) error {
		sum := money.New(0, BooksCurrency())
		err := tx.AllAccounts(ctx, func(a store.AccountRow) (err error) {
			if a.Balance.Sign() < 0 && !a.Unbounded {
				return fmt.Errorf("account %d is below zero: %w", a.ID, ErrBooks)
			}
			sum, err = sum.Add(a.Balance)
			return err
		})
		if err == nil && !sum.IsZero() {
			err = fmt.Errorf("the sum of all accounts is %d: %w", sum.Minor(), ErrBooks)
		}
		return err
	})
}

// Looks measures how long it takes to read balances, and the last movements of
// accounts: of any member, or of one merchant.
func (b *Books) Looks(ctx context.Context, d time.Duration) (balance, statement, merchant Measure, err error) {
	const movements = 10
	look := func(do func(tx *store.Tx, r *rand.Rand) error) (Measure, error) {
		return measure(ctx, 1, d, func(r *rand.Rand, _ int) error {
			return b.servers[0].View(ctx, func(tx *store.Tx) error { return do(tx, r) })
		})
	}
	balance, e1 := look(func(tx *store.Tx, r *rand.Rand) error {
		_, err := tx.Account(ctx, b.member(r, Crowd{}))
		return err
	})
	statement, e2 := look(func(tx *store.Tx, r *rand.Rand) error {
		_, err := tx.Movements(ctx, b.member(r, Crowd{}), 0, movements)
		return err
	})
	merchant, e3 := look(func(tx *store.Tx, _ *rand.Rand) error {
		_, err := tx.Movements(ctx, store.FillFirst, 0, movements)
		return err
	})
	return balance, statement, merchant, errors.Join(e1, e2, e3)
}

// Syncs measures how often a second one record after the other gets onto the
// disk of a folder.
func Syncs(dir string, d time.Duration) (perSecond float64, err error) {
	file, err := os.Create(filepath.Join(dir, "syncs"))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	start, n := time.Now(), 0
	for ; time.Since(start) < d; n++ {
		if _, err := file.Write(make([]byte, logRecord)); err != nil {
			return 0, err
		}
		if err := datasync(file); err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(start).Seconds(), nil
}
