package export

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"maillon/internal/ledger"
)

// journal writes a file for ledger or hledger, which differ in how they are told
// what a number looks like. The signs are those of beancount.
func (e *writer) journal(ctx context.Context, w io.Writer) error {
	_, last, err := e.span(ctx)
	if err != nil {
		return err
	}
	names, units := e.beanNames()
	fmt.Fprintf(w, "; %s\n", plainLine(e.Association))
	if e.Format == Hledger {
		fmt.Fprintln(w, "decimal-mark .")
	}
	for _, code := range slices.Sorted(maps.Keys(units)) {
		fmt.Fprintf(w, "commodity %s\n", e.unit(units[code], e.decimals(code)))
	}
	for _, name := range slices.Compact(slices.Sorted(maps.Values(names))) {
		fmt.Fprintf(w, "account %s\n", name)
	}
	err = e.each(ctx, func(t ledger.Transaction, memo string) error {
		e.journalHead(w, t, memo)
		for _, p := range t.Postings {
			amount, err := p.Amount.Neg()
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "    %-38s %12s \"%s\"\n", names[p.Account], amount.Plain(), units[p.Amount.Currency().Code])
		}
		return nil
	})
	if err != nil {
		return err
	}
	// What is then added up must be what the ledger has.
	for _, a := range e.sorted() {
		balance, err := a.Balance.Neg()
		if err != nil {
			return err
		}
		unit := units[balance.Currency().Code]
		_, err = fmt.Fprintf(w, "\n%s * solde\n    %-38s %12s \"%s\" = %s \"%s\"\n", last, names[a.ID], "0", unit, balance.Plain(), unit)
		if err != nil {
			return err
		}
	}
	return nil
}

// unit is how a commodity is declared.
func (e *writer) unit(name string, decimals uint8) string {
	if e.Format == Ledger {
		return `"` + name + `"`
	}
	return "1000." + strings.Repeat("0", int(decimals)) + ` "` + name + `"`
}

func (e *writer) decimals(code string) uint8 {
	for _, a := range e.accounts {
		if c := a.Balance.Currency(); c.Code == code {
			return c.Decimals
		}
	}
	return 0
}

// journalHead writes the first line of a transaction.
func (e *writer) journalHead(w io.Writer, t ledger.Transaction, memo string) {
	fmt.Fprintf(w, "\n%s * ", e.local(t.At).Format(time.DateOnly))
	if t.Ref != "" {
		fmt.Fprintf(w, "(%s) ", t.Ref)
	}
	what := plainLine(e.what(t))
	if memo = plainLine(memo); memo != "" {
		what += " | " + memo
	}
	fmt.Fprintln(w, what)
}

// plainLine is a text without what begins a comment, and without wide gaps, after
// which one may begin.
func plainLine(text string) string {
	return strings.Join(strings.Fields(strings.NewReplacer(";", ",", "|", "/").Replace(text)), " ")
}
