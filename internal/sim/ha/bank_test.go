//go:build linux

package ha_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/store"
)

const (
	accounts   = 20
	firstOwner = 1_000_000         // of their accounts; nobody else is near
	funds      = 1_000_000_000_000 // what each begins with; nobody pays as much
	prefix     = "ha:"             // of the keys of transfers
	writers    = 8                 // beside each server
	thinking   = 50 * time.Millisecond
	tryAgain   = 50 * time.Millisecond
	atOnce     = 1000 // transactions in one look at the books
	maxFaults  = 20   // that are told
)

var maillon = money.Currency{Code: "MAILLON"}

// A transfer is what one member asks for, however often.
type transfer struct {
	from, to int
	amount   int64
}

// A bank is what its customers know: what they asked for and what they were
// told is done. It is in the memory of the test, which survives every fault.
type bank struct {
	accounts []ledger.AccountID

	hurry  atomic.Bool // nobody thinks
	mu     sync.Mutex
	asked  map[string]transfer
	acked  []string // keys, in order
	known  map[string]bool
	faults []string
	last   time.Time     // when somebody was last told that something is done
	gap    time.Duration // the longest time since, in this round
	again  int           // transfers of which nobody knew, and that were there
}

func newBank() *bank {
	return &bank{asked: map[string]transfer{}, known: map[string]bool{}}
}

// open opens the accounts.
func (b *bank) open(ctx context.Context, db *store.DB) error {
	return db.Update(ctx, func(tx *store.Tx) error {
		emission, err := tx.SystemAccount(ctx, store.Emission, maillon)
		if err != nil {
			return err
		}
		for m := range accounts {
			a, err := tx.AccountOf(ctx, member.ID(firstOwner+m), maillon)
			if err != nil {
				return err
			}
			b.accounts = append(b.accounts, a.ID)
			if err := post(ctx, tx, fmt.Sprintf("open:%d", m), emission.ID, a.ID, funds); err != nil {
				return err
			}
		}
		return nil
	})
}

func post(ctx context.Context, tx *store.Tx, key string, from, to ledger.AccountID, amount int64) error {
	postings, err := ledger.Transfer(from, to, money.New(amount, maillon))
	if err != nil {
		return err
	}
	return ledger.Post(ctx, tx, &ledger.Transaction{Key: key, Kind: ledger.Payment, At: tx.Now(), Postings: postings})
}

// insist asks for one thing until it is done: each attempt is the same, made
// wherever there is somebody. Beyond settleLimit after ctx ends it stays open.
func (b *bank) insist(ctx context.Context, key string, t transfer, attempt func(try int) error) {
	b.mu.Lock()
	b.asked[key] = t
	b.mu.Unlock()
	var end time.Time
	for try := 0; ; try++ {
		err := attempt(try)
		switch {
		case err == nil:
			b.ack(key, false)
			return
		case errors.Is(err, ledger.ErrDuplicate) && try > 0:
			// To say so, the server had to commit that it holds the turn, which
			// waits for the second machine like all that was committed before.
			b.ack(key, true)
			return
		case !store.IsOutage(err):
			b.fault("%s: %v", key, err)
			return
		case ctx.Err() != nil && end.IsZero():
			end = time.Now().Add(settleLimit)
		case ctx.Err() != nil && time.Now().After(end):
			return
		}
		time.Sleep(tryAgain)
	}
}

// pay does one transfer, where way says.
func (b *bank) pay(ctx context.Context, key string, t transfer, way func() *store.DB) {
	always := context.WithoutCancel(ctx)
	b.insist(ctx, key, t, func(int) error {
		return way().Update(always, func(tx *store.Tx) error {
			return post(always, tx, key, b.accounts[t.from], b.accounts[t.to], t.amount)
		})
	})
}

func (b *bank) ack(key string, again bool) {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.acked, b.known[key] = append(b.acked, key), true
	if !b.last.IsZero() {
		b.gap = max(b.gap, now.Sub(b.last))
	}
	b.last = now
	if again {
		b.again++
	}
}

func (b *bank) fault(text string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.faults) < maxFaults {
		b.faults = append(b.faults, fmt.Sprintf(text, args...))
	}
}

// customer pays one transfer after the other until ctx ends.
func (b *bank) customer(ctx context.Context, name string, way func() *store.DB) {
	for n := 0; ctx.Err() == nil; n++ {
		t := transfer{from: (n*7 + len(name)) % accounts, amount: int64(n%99 + 1)}
		t.to = (t.from + 1 + n%(accounts-1)) % accounts
		b.pay(ctx, fmt.Sprintf("%s%s:%d", prefix, name, n), t, way)
		if !b.hurry.Load() {
			time.Sleep(thinking)
		}
	}
}

// told returns how many were told that something of theirs is done, of those
// whose name begins like this.
func (b *bank) told(name string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, key := range b.acked {
		if strings.HasPrefix(key, prefix+name) {
			n++
		}
	}
	return n
}

// begin begins to measure how long nothing is done.
func (b *bank) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gap = 0
	if b.last.IsZero() {
		b.last = time.Now()
	}
}

// pause returns the longest time since begin in which nothing was done.
func (b *bank) pause() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(b.gap, time.Since(b.last))
}

// A finding is what the books say of the bank.
type finding struct {
	acked, lost, doubled, unasked, wrong, open int
	faults                                     []string
}

func (f *finding) add(n *int, text string, args ...any) {
	*n++
	if len(f.faults) < maxFaults {
		f.faults = append(f.faults, fmt.Sprintf(text, args...))
	}
}

// books is something that can be read: what each key did, and the sum of all
// balances.
type books func(ctx context.Context, do func(key string, p []ledger.Posting)) (sum int64, err error)

// proof compares books with what the customers know: all that was acknowledged
// before is there, once and as it was asked for, and nothing is that nobody
// asked for.
func (b *bank) proof(ctx context.Context, read books) (f finding, err error) {
	b.mu.Lock()
	acked := b.acked[:len(b.acked):len(b.acked)]
	for _, text := range b.faults {
		f.add(&f.wrong, "%s", text)
	}
	b.mu.Unlock()
	f.acked = len(acked)
	seen := map[string]int{}
	sum, err := read(ctx, func(key string, p []ledger.Posting) {
		if key = b.named(key, p); key != "" {
			seen[key]++
			b.compare(key, p, seen[key], &f)
		}
	})
	if err != nil {
		return f, fmt.Errorf("reading the books: %w", err)
	}
	if sum != 0 {
		f.add(&f.wrong, "all balances sum to %d", sum)
	}
	for _, key := range acked {
		if seen[key] == 0 {
			f.add(&f.lost, "%s was acknowledged and is lost", key)
		}
		delete(seen, key)
	}
	f.open = len(seen)
	return f, nil
}

// named returns what customers call a transaction: those that SMS brought have
// keys of the server's own, and no two the same amount. What came from emission
// nobody asked for.
func (b *bank) named(key string, p []ledger.Posting) string {
	if strings.HasPrefix(key, prefix) {
		return key
	}
	amount := int64(0)
	for _, p := range p {
		if !slices.Contains(b.accounts, p.Account) {
			return ""
		}
		amount = max(amount, p.Amount.Minor())
	}
	return smsKey(amount)
}

func (b *bank) compare(key string, p []ledger.Posting, times int, f *finding) {
	b.mu.Lock()
	want, is := b.asked[key]
	b.mu.Unlock()
	switch {
	case times > 1:
		f.add(&f.doubled, "%s was done twice", key)
	case !is:
		f.add(&f.unasked, "nobody asked for %s", key)
	case !b.same(p, want):
		f.add(&f.wrong, "%s is not what was asked for", key)
	}
}

func (b *bank) same(p []ledger.Posting, want transfer) bool {
	if len(p) != 2 {
		return false
	}
	paid := map[ledger.AccountID]int64{}
	for _, p := range p {
		paid[p.Account] += p.Amount.Minor()
	}
	return paid[b.accounts[want.from]] == -want.amount && paid[b.accounts[want.to]] == want.amount
}

// ofStore reads the books as maillon does.
func ofStore(db *store.DB) books {
	return func(ctx context.Context, do func(string, []ledger.Posting)) (sum int64, err error) {
		err = db.View(ctx, func(tx *store.Tx) error {
			for last, more := ledger.TransactionID(0), true; more; {
				txns, err := tx.Transactions(ctx, last, atOnce)
				if err != nil {
					return err
				}
				for _, t := range txns {
					last = t.ID
					do(t.Key, t.Postings)
				}
				more = len(txns) == atOnce
			}
			return tx.AllAccounts(ctx, func(a store.AccountRow) error { sum += a.Balance.Minor(); return nil })
		})
		return sum, err
	}
}
