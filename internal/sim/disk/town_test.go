package disk_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/money"
	"maillon/internal/phrase"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

const (
	people  = 12
	funds   = 50_000_000 // what each begins with; no payment is as large
	writers = 6          // who text at once
	patient = 20         // how often a letter is sent until it is given up
	atOnce  = 10_000     // rows read of a table; there are less
)

// A town is a server whose books are in one folder. The secret is no secret here.
type town struct {
	*server.Server
	path string
}

// shipped is read once for all.
var shipped = sync.OnceValues(phrase.Shipped)

func openTown(ctx context.Context, folder string) (*town, error) {
	book, err := shipped()
	if err != nil {
		return nil, err
	}
	set := setting.Default()
	set.Confirm, set.Rules = setting.Off, setting.Log // limits and rules would only keep the load away
	set.Max, set.FirstMax, set.FirstWarn, set.Day = 999_999, 999_999, 999_999, 1_000_000_000_000
	set.Flood.N, set.Lookups = 1_000_000, 1_000_000
	path := filepath.Join(folder, "books.db")
	s, err := server.Open(ctx, server.Config{Path: path, Secret: secret, Settings: set, Book: book})
	if err != nil {
		return nil, err
	}
	return &town{s, path}, nil
}

var secret = store.Secret{1}

func number(n int) string { return fmt.Sprintf("+3370000%04d", n) }

func nick(n int) string { return fmt.Sprintf("m%d", 100+n) }

// populate lets everybody move in, a year ago, or nobody.
func (w *town) populate(ctx context.Context) error {
	return w.DB.Update(ctx, func(tx *store.Tx) error {
		for n := range people {
			if err := w.register(ctx, tx, n); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *town) register(ctx context.Context, tx *store.Tx, n int) error {
	number, err := sms.FromE164(number(n))
	if err != nil {
		return err
	}
	m, err := w.Treasury.Add(ctx, tx, treasury.Operator, treasury.NewMember{Number: number, Nick: nick(n)})
	if err != nil {
		return err
	}
	m.OpenedAt, m.Line = tx.Now().AddDate(-1, 0, 0), "direct"
	if err := tx.SaveMember(ctx, m); err != nil {
		return err
	}
	_, err = w.Treasury.Grant(ctx, tx, treasury.Operator, nil, m, sms.Number{}, money.New(funds, w.Settings.Currency()), "to begin with")
	return err
}

// leave lets somebody join and be forgotten again, whose key must then not be
// found in any file: the log is emptied.
func (w *town) leave(ctx context.Context, n int) error {
	number, err := sms.FromE164(number(1000 + n))
	if err != nil {
		return err
	}
	return w.DB.Update(ctx, func(tx *store.Tx) error {
		m, err := w.Treasury.Add(ctx, tx, treasury.Operator, treasury.NewMember{Number: number, Nick: fmt.Sprintf("gone%d", n)})
		if err != nil {
			return err
		}
		return tx.Erase(ctx, m, tx.Now())
	})
}

// A letter is one SMS, made of its number alone: the amount tells it from all
// others.
func letter(n int) sms.Incoming {
	payer := n % people
	payee := (payer + 1 + n/people%(people-1)) % people
	return sms.Incoming{
		Gateway: "direct", Key: fmt.Sprintf("k%d", n), From: number(payer), SentAt: time.Now(),
		Text: fmt.Sprintf("vir %d @%s", n+1, nick(payee)),
	}
}

// talk sends letters, several at once, each again and again until it is
// answered for.
func (w *town) talk(ctx context.Context, d *Disk, first, n int) error {
	queue := make(chan int)
	var all sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for range writers {
		all.Go(func() {
			for n := range queue {
				if err := w.send(ctx, d, n); err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
			}
		})
	}
	for i := range n {
		queue <- first + i
	}
	close(queue)
	all.Wait()
	return errors.Join(errs...)
}

func (w *town) send(ctx context.Context, d *Disk, n int) (err error) {
	for range patient {
		d.note(asked, n)
		if err = w.Teller.Receive(ctx, letter(n)); err == nil {
			d.note(acknowledged, n)
			return nil
		}
		if !store.IsOutage(err) {
			return fmt.Errorf("letter %d: no outage: %w", n, err)
		}
	}
	return fmt.Errorf("letter %d: %w", n, err)
}

// tidy moves the log into the database, as SQLite does by itself every 8000
// pages, from a connection of its own, as another command of the program would.
func tidy(ctx context.Context, path, how string) error {
	pool, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	_, err = pool.ExecContext(ctx, "PRAGMA wal_checkpoint("+how+")")
	return errors.Join(err, pool.Close())
}

// live opens a town on a disk, talks, and does to the database between two talks
// all that is ever done to it.
func live(ctx context.Context, t testing.TB, d *Disk, letters int) {
	t.Helper()
	w, err := openTown(ctx, d.folder)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.populate(ctx); err != nil {
		t.Fatal(err)
	}
	d.note(populated, 0)
	between := []func() error{
		func() error { return tidy(ctx, w.path, "PASSIVE") },
		func() error { return w.leave(ctx, 1) },
		func() error {
			if err := w.Close(); err != nil {
				return err
			}
			w, err = openTown(ctx, d.folder)
			return err
		},
		func() error { return tidy(ctx, w.path, "RESTART") },
		func() error { return tidy(ctx, w.path, "TRUNCATE") },
		func() error { return nil },
	}
	each := max(1, letters/len(between))
	for n, do := range between {
		if err := w.talk(ctx, d, n*each, each); err != nil {
			t.Fatal(err)
		}
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// A claim is what is known of the books from outside.
type claim struct {
	populated bool
	asked     map[int]bool
	acked     map[int]bool
}

func newClaim() *claim { return &claim{asked: map[int]bool{}, acked: map[int]bool{}} }

func (c *claim) apply(e event) {
	switch e.is {
	case populated:
		c.populated = true
	case asked:
		c.asked[int(e.n)] = true
	case acknowledged:
		c.acked[int(e.n)] = true
	}
}

// A proof is what was found in the books that is not as it was claimed.
type proof struct {
	refused error         // the database was not opened, or could not be read
	faults  []store.Fault // what Verify named
	lost    []string      // acknowledged, and not there
	wrong   []string      // in the books twice, or never asked for
	untold  []string      // in the books, and its messages are not there, or twice
	posted  map[int]bool
}

// accepted reports whether nothing speaks against the books but what is known
// outside of them.
func (p *proof) accepted() bool { return p.refused == nil && len(p.faults) == 0 }

func (p *proof) whole() bool { return p.accepted() && len(p.lost)+len(p.wrong)+len(p.untold) == 0 }

func (p *proof) String() string {
	return fmt.Sprintf("refused: %v, faults: %v, lost: %v, wrong: %v, untold: %v", p.refused, p.faults, p.lost, p.wrong, p.untold)
}

// prove opens what is in a folder and compares it with what is claimed; then the
// network delivers again what it has ever delivered, as it would.
func prove(ctx context.Context, folder string, c *claim, again bool) *proof {
	p := &proof{}
	w, err := openTown(ctx, folder)
	if err != nil {
		p.refused = err
		return p
	}
	p.refused = p.look(ctx, w, c)
	if again && p.accepted() && len(p.posted) > 0 {
		p.refused = p.deliverAgain(ctx, w, c)
	}
	p.refused = errors.Join(p.refused, w.Close())
	return p
}

func (p *proof) look(ctx context.Context, w *town, c *claim) (err error) {
	if p.faults, err = w.DB.Verify(ctx, nil); err != nil {
		return err
	}
	var txns []ledger.Transaction
	var outs []store.Out
	err = w.DB.View(ctx, func(tx *store.Tx) (err error) {
		if txns, err = tx.Transactions(ctx, 0, atOnce); err != nil {
			return err
		}
		outs, err = tx.Outbox(ctx, 0, atOnce)
		return err
	})
	if err != nil {
		return err
	}
	p.compare(txns, outs, c)
	return nil
}

// What a member is told, in the words of the shipped French.
var (
	debit  = regexp.MustCompile(`^Payé: (\d+) m à \S+ \(\S+\)\. Nouveau solde \d+ m\. Réf \w+\.`)
	credit = regexp.MustCompile(`^\S+ \(\S+\) vous a payé (\d+) m\. Nouveau solde \d+ m\. Réf \w+`)
)

func (p *proof) compare(txns []ledger.Transaction, outs []store.Out, c *claim) {
	posted, debits, credits, begun, told := map[int]int{}, map[int]int{}, map[int]int{}, 0, 0
	for _, t := range txns {
		switch {
		case len(t.Postings) != 2:
			p.wrong = append(p.wrong, fmt.Sprintf("transaction %d of %d postings", t.ID, len(t.Postings)))
		case t.Kind == ledger.Payment:
			posted[int(t.Postings[1].Amount.Minor())-1]++
		case t.Kind == ledger.Credit:
			begun++
		default:
			p.wrong = append(p.wrong, fmt.Sprintf("a %s", t.Kind))
		}
	}
	for _, o := range outs {
		if m := debit.FindStringSubmatch(o.Text); m != nil {
			debits[amountOf(m)]++
		} else if m := credit.FindStringSubmatch(o.Text); m != nil {
			credits[amountOf(m)]++
		} else {
			told++
		}
	}
	switch {
	case c.populated && begun == 0:
		p.lost = append(p.lost, "the members")
	case begun != 0 && begun != people:
		p.wrong = append(p.wrong, fmt.Sprintf("%d credits", begun))
	case begun != told:
		p.untold = append(p.untold, fmt.Sprintf("%d credits, %d told", begun, told))
	}
	p.posted = map[int]bool{}
	for n := range posted {
		p.posted[n] = true
	}
	for n := range union(c.asked, posted, debits, credits) {
		switch {
		case posted[n] > 1 || posted[n] == 1 && !c.asked[n]:
			p.wrong = append(p.wrong, fmt.Sprintf("payment %d (asked: %v): posted %d times", n, c.asked[n], posted[n]))
		case debits[n] != posted[n] || credits[n] != posted[n]:
			p.untold = append(p.untold, fmt.Sprintf("payment %d: posted %d times, debit told %d, credit %d", n, posted[n], debits[n], credits[n]))
		case posted[n] == 0 && c.acked[n]:
			p.lost = append(p.lost, fmt.Sprintf("payment %d", n))
		}
	}
}

func amountOf(m []string) int {
	n, _ := strconv.Atoi(m[1])
	return n - 1
}

func union(asked map[int]bool, others ...map[int]int) map[int]bool {
	all := map[int]bool{}
	for n := range asked {
		all[n] = true
	}
	for _, o := range others {
		for n := range o {
			all[n] = true
		}
	}
	return all
}

// deliverAgain delivers all letters: what was done is not done again, what was
// not done is done now.
func (p *proof) deliverAgain(ctx context.Context, w *town, c *claim) error {
	all := newClaim()
	all.populated = true
	for n := range c.asked {
		if err := w.Teller.Receive(ctx, letter(n)); err != nil {
			return err
		}
		all.asked[n], all.acked[n] = true, true
	}
	var after proof
	err := after.look(ctx, w, all)
	p.faults = after.faults
	for _, what := range append(after.lost, after.wrong...) {
		p.wrong = append(p.wrong, "delivered again: "+what)
	}
	p.untold = after.untold
	return err
}
