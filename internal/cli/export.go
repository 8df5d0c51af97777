package cli

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/big"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// exportAtOnce is how many transactions are read at once.
const exportAtOnce = 500

// exportCommand writes the whole ledger for other programs.
type exportCommand struct {
	place
	Format string `arg:"" enum:"csv,beancount" help:"csv (for spreadsheets) or beancount."`
	Names  string `enum:"pseudo,number,anonymous" default:"number" help:"How members are named: pseudo, number (of the member, not of the telephone) or anonymous."`
	Plain  bool   `help:"CSV with commas, decimal points and English words, instead of what French spreadsheets read."`
	Output string `short:"o" placeholder:"FILE" help:"Write to a file, which must not exist."`
}

// Run writes every posting of one moment, opening balances included, so that
// the sum of each currency is zero.
func (c exportCommand) Run(ctx context.Context, out *Streams) error {
	b, err := c.open(ctx, false)
	if err != nil {
		return err
	}
	defer b.Close() //nolint:errcheck // every Update is on disk already
	if err := b.update(ctx, func(tx *store.Tx) error { tx.Act(treasury.Operator, "export", c.Format+":"+c.Names, ""); return nil }); err != nil {
		return err
	}
	if c.Output == "" {
		return b.view(ctx, func(tx *store.Tx) error { return c.write(ctx, b, tx, out.Out) })
	}
	page, err := newPage(c.Output)
	if err != nil {
		return err
	}
	defer page.discard()
	if err := b.view(ctx, func(tx *store.Tx) error { return c.write(ctx, b, tx, page.draft) }); err != nil {
		return err
	}
	if err := errors.Join(page.draft.Sync(), page.keep()); err != nil {
		return exitf(ExitTrouble, "write %s: %w", c.Output, err)
	}
	return nil
}

func (c exportCommand) write(ctx context.Context, b *books, tx *store.Tx, to io.Writer) error {
	e := exporter{books: b, tx: tx, names: c.Names, accounts: map[ledger.AccountID]*exportAccount{}}
	if err := e.nameAccounts(ctx); err != nil {
		return err
	}
	w := bufio.NewWriter(to)
	var err error
	switch {
	case c.Format == "beancount":
		err = e.beancount(ctx, w)
	case c.Plain:
		err = e.csv(ctx, w, plainCSV)
	default:
		err = e.csv(ctx, w, frenchCSV)
	}
	if err != nil {
		return err
	}
	return w.Flush()
}

// An exporter writes the ledger as of one moment.
type exporter struct {
	*books
	tx       *store.Tx
	names    string
	accounts map[ledger.AccountID]*exportAccount
}

// An exportAccount is an account and the names that may be shown of it.
type exportAccount struct {
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
func (e *exporter) nameAccounts(ctx context.Context) error {
	var order []member.ID
	err := e.tx.AllAccounts(ctx, func(r store.AccountRow) error {
		e.accounts[r.ID] = &exportAccount{AccountRow: r, label: r.Name, name: r.Name}
		if r.Member != 0 {
			order = append(order, r.Member)
		}
		return nil
	})
	if err != nil {
		return err
	}
	number := map[member.ID]int{}
	if err := shuffle(order); err != nil {
		return err
	}
	for _, id := range order {
		if _, ok := number[id]; !ok {
			number[id] = len(number) + 1
		}
	}
	for _, a := range e.accounts {
		if a.Member == 0 {
			continue
		}
		a.label = fmt.Sprintf("M%04d", a.Member)
		if e.names == "anonymous" {
			a.label = fmt.Sprintf("A%04d", number[a.Member])
		}
		if a.name = a.label; e.names != "pseudo" {
			continue
		}
		m, err := e.tx.Member(ctx, a.Member)
		if err != nil {
			return err
		}
		if m.Nick != "" {
			a.name = m.Nick
		}
	}
	return nil
}

// each calls do for every transaction, the oldest first, with its memo.
func (e *exporter) each(ctx context.Context, do func(t ledger.Transaction, memo string) error) error {
	for after := ledger.TransactionID(0); ; {
		some, err := e.tx.Transactions(ctx, after, exportAtOnce)
		if err != nil {
			return err
		}
		for _, t := range some {
			after = t.ID
			memo, err := e.memo(ctx, t)
			if err != nil {
				return err
			}
			if e.names == "anonymous" {
				t.Ref = "" // whoever paid knows it
			}
			if err := do(t, memo); err != nil {
				return err
			}
		}
		if len(some) < exportAtOnce {
			return nil
		}
	}
}

// memo returns what a transaction is for. Members name each other in it, so it
// goes only where pseudos do.
func (e *exporter) memo(ctx context.Context, t ledger.Transaction) (string, error) {
	if e.names != "pseudo" {
		return "", nil
	}
	return memoOf(ctx, e.tx, t.ID)
}

// sides returns who gave and who received, if a transaction has two postings.
func (e *exporter) sides(t ledger.Transaction) (from, to *exportAccount) {
	if len(t.Postings) != 2 {
		return nil, nil
	}
	from, to = e.accounts[t.Postings[0].Account], e.accounts[t.Postings[1].Account]
	if t.Postings[0].Amount.Sign() > 0 {
		from, to = to, from
	}
	return from, to
}

func (e *exporter) local(t time.Time) time.Time { return t.In(e.Settings.Zone) }
