// Package export writes the whole ledger of one moment for other programs:
// spreadsheets, beancount, ledger, hledger, and whatever reads JSON.
//
// Every posting is there, opening balances included, so that the sum of each
// currency is zero; files for accountants end with the balances that must come
// out. Members are called as was chosen: by pseudo, by their number in the books,
// or by labels drawn anew for each export. What they wrote is only where pseudos
// are, and never a formula.
package export

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"slices"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/store"
	"maillon/internal/table"
)

// atOnce is how many transactions are read at once.
const atOnce = 500

// A Format is a kind of file.
type Format string

// The formats.
const (
	French    Format = "csv"   // as French spreadsheets read it
	Plain     Format = "plain" // CSV with commas, decimal points and English words
	JSON      Format = "json"
	Beancount Format = "beancount"
	Ledger    Format = "ledger"
	Hledger   Format = "hledger"
)

// Formats returns all formats.
func Formats() []Format { return []Format{French, Plain, JSON, Beancount, Ledger, Hledger} }

// A Naming says how members are called.
type Naming string

// How members are called.
const (
	Pseudo    Naming = "pseudo"    // and what they wrote is there
	Number    Naming = "number"    // of the member in the books, not of the telephone
	Anonymous Naming = "anonymous" // references, which payers know, are not there either
)

// Namings returns all of them, the default first.
func Namings() []Naming { return []Naming{Number, Pseudo, Anonymous} }

// ErrUnknown means that there is no such format, or no such way to call members.
var ErrUnknown = errors.New("no such export")

// Options say what is written.
type Options struct {
	Format      Format
	Names       Naming
	Association string
	Zone        *time.Location
}

// Check returns ErrUnknown if it is not possible.
func (o Options) Check() error {
	if !slices.Contains(Formats(), o.Format) || !slices.Contains(Namings(), o.Names) {
		return fmt.Errorf("%s with names %s: %w", o.Format, o.Names, ErrUnknown)
	}
	return nil
}

// File returns a name for the file of a day, and its media type.
func (o Options) File(at time.Time) (name, kind string) {
	ending := map[Format]string{French: "csv", Plain: "csv", JSON: "json", Beancount: "beancount", Ledger: "ledger", Hledger: "journal"}[o.Format]
	kind = "text/plain; charset=utf-8"
	switch o.Format {
	case French, Plain:
		kind = "text/csv; charset=utf-8"
	case JSON:
		kind = "application/json"
	case Beancount, Ledger, Hledger:
	}
	return "maillon-" + at.In(o.Zone).Format(time.DateOnly) + "." + ending, kind
}

// Write writes the ledger as tx sees it.
func Write(ctx context.Context, tx *store.Tx, to io.Writer, o Options) error {
	if err := o.Check(); err != nil {
		return err
	}
	e := writer{Options: o, tx: tx, accounts: map[ledger.AccountID]*account{}}
	if err := e.nameAccounts(ctx); err != nil {
		return err
	}
	w := bufio.NewWriter(to)
	var err error
	switch o.Format {
	case French:
		err = e.csv(ctx, w, frenchCSV)
	case Plain:
		err = e.csv(ctx, w, plainCSV)
	case JSON:
		err = e.json(ctx, w)
	case Beancount:
		err = e.beancount(ctx, w)
	case Ledger, Hledger:
		err = e.journal(ctx, w)
	}
	if err != nil {
		return err
	}
	return w.Flush()
}

// A writer writes the ledger as of one moment.
type writer struct {
	Options
	tx       *store.Tx
	accounts map[ledger.AccountID]*account
}

// An account is one with the names that may be shown of it.
type account struct {
	store.AccountRow
	label string // "M0012", "A0007", "emission"
	name  string // for people: the label, or the pseudo where that is wanted
}

// shuffle puts members into an order that nobody can guess.
func shuffle(all []member.ID) error {
	for i := len(all) - 1; i > 0; i-- {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(i+1)))
		if err != nil {
			return err
		}
		j := n.Int64()
		all[i], all[j] = all[j], all[i]
	}
	return nil
}

// nameAccounts gives every account its names. Anonymous ones are numbered in an
// order that is drawn anew for each export, so that two cannot be put together.
func (e *writer) nameAccounts(ctx context.Context) error {
	var order []member.ID
	err := e.tx.AllAccounts(ctx, func(r store.AccountRow) error {
		e.accounts[r.ID] = &account{AccountRow: r, label: r.Name, name: r.Name}
		if r.Member != 0 {
			order = append(order, r.Member)
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.Sort(order)
	order = slices.Compact(order)
	nicks := map[member.ID]string{}
	if e.Names == Pseudo {
		members, err := e.tx.MembersByIDs(ctx, order)
		if err != nil {
			return err
		}
		for id, m := range members {
			nicks[id] = m.Nick
		}
	}
	if err := shuffle(order); err != nil {
		return err
	}
	number := map[member.ID]int{}
	for n, id := range order {
		number[id] = n + 1
	}
	for _, a := range e.accounts {
		if a.Member == 0 {
			continue
		}
		a.label = fmt.Sprintf("M%04d", a.Member)
		if e.Names == Anonymous {
			a.label = fmt.Sprintf("A%04d", number[a.Member])
		}
		if a.name = nicks[a.Member]; a.name == "" {
			a.name = a.label
		}
	}
	return nil
}

// each calls do for every transaction, the oldest first, with its memo.
func (e *writer) each(ctx context.Context, do func(t ledger.Transaction, memo string) error) error {
	for after := ledger.TransactionID(0); ; {
		some, err := e.tx.TransactionsAfter(ctx, 0, after, atOnce)
		if err != nil {
			return err
		}
		for _, t := range some {
			after = t.ID
			memo, err := e.memo(ctx, t)
			if err != nil {
				return err
			}
			if e.Names == Anonymous {
				t.Ref = "" // whoever paid knows it
			}
			if err := do(t, memo); err != nil {
				return err
			}
		}
		if len(some) < atOnce {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// memo returns what a transaction is for. Members name each other in it, so it
// goes only where pseudos do.
func (e *writer) memo(ctx context.Context, t ledger.Transaction) (string, error) {
	if e.Names != Pseudo {
		return "", nil
	}
	o, err := e.tx.OrderOf(ctx, t.ID)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return table.Line(o.Secret.Memo), nil
}

// sides returns who gave and who received, if a transaction has two postings.
func (e *writer) sides(t ledger.Transaction) (from, to *account) {
	if len(t.Postings) != 2 {
		return nil, nil
	}
	from, to = e.accounts[t.Postings[0].Account], e.accounts[t.Postings[1].Account]
	if t.Postings[0].Amount.Sign() > 0 {
		from, to = to, from
	}
	return from, to
}

// what says in a few words who paid whom.
func (e *writer) what(t ledger.Transaction) string {
	if from, to := e.sides(t); from != nil {
		return from.name + " vers " + to.name
	}
	return string(t.Kind)
}

func (e *writer) local(t time.Time) time.Time { return t.In(e.Zone) }

func (e *writer) sorted() []*account {
	return slices.SortedFunc(maps.Values(e.accounts), func(a, b *account) int { return int(a.ID - b.ID) })
}

// span returns the day of the first transaction, and the day after the last.
func (e *writer) span(ctx context.Context) (first, last string, err error) {
	begin, end, err := e.tx.TransactionSpan(ctx)
	if begin.IsZero() || e.tx.Now().Before(begin) {
		begin = e.tx.Now()
	}
	if end.Before(e.tx.Now()) {
		end = e.tx.Now()
	}
	return e.local(begin).Format(time.DateOnly), e.local(end).AddDate(0, 0, 1).Format(time.DateOnly), err
}
