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
	"maillon/internal/store"
	"maillon/internal/table"
)

// beancount writes a file for beancount 2 and 3. What a member has is a debt
// of the association, hence a liability: the signs are turned round.
func (e *writer) beancount(ctx context.Context, w io.Writer) error {
	first, last, err := e.span(ctx)
	if err != nil {
		return err
	}
	names, units := e.beanNames()
	fmt.Fprintf(w, "option \"title\" %s\n\n", beanString(e.Association))
	for _, code := range slices.Sorted(maps.Values(units)) {
		fmt.Fprintf(w, "%s commodity %s\n", first, code)
	}
	opened := map[string][]string{}
	for _, a := range e.sorted() {
		opened[names[a.ID]] = append(opened[names[a.ID]], units[a.Balance.Currency().Code])
	}
	for _, name := range slices.Sorted(maps.Keys(opened)) {
		fmt.Fprintf(w, "%s open %s %s\n", first, name, strings.Join(opened[name], ","))
	}
	err = e.each(ctx, func(t ledger.Transaction, memo string) error {
		e.beanHead(w, t, memo)
		for _, p := range t.Postings {
			amount, err := p.Amount.Neg()
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "  %-38s %12s %s\n", names[p.Account], amount.Plain(), units[p.Amount.Currency().Code])
		}
		return nil
	})
	if err != nil {
		return err
	}
	// What beancount then adds up must be what the ledger has.
	fmt.Fprintln(w)
	for _, a := range e.sorted() {
		balance, err := a.Balance.Neg()
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s balance %-38s %12s %s\n", last, names[a.ID], balance.Plain(), units[balance.Currency().Code])
	}
	return nil
}

// beanHead writes the first line of a transaction.
func (e *writer) beanHead(w io.Writer, t ledger.Transaction, memo string) {
	fmt.Fprintf(w, "\n%s * %s %s #%s", e.local(t.At).Format(time.DateOnly), beanString(e.what(t)), beanString(memo), t.Kind)
	if t.Ref != "" {
		fmt.Fprintf(w, " ^%s", t.Ref)
	}
	fmt.Fprintln(w)
}

// beanNames returns the names of accounts and units in beancount's alphabet.
func (e *writer) beanNames() (names map[ledger.AccountID]string, units map[string]string) {
	names, units = map[ledger.AccountID]string{}, map[string]string{}
	taken := map[string]string{}
	for _, a := range e.sorted() {
		names[a.ID] = beanAccount(a)
		code := a.Balance.Currency().Code
		if units[code] != "" {
			continue
		}
		unit := beanUnit(code)
		for n := 2; taken[unit] != ""; n++ {
			unit = fmt.Sprintf("%s-X%d", beanUnit(code), n)
		}
		units[code], taken[unit] = unit, code
	}
	return names, units
}

func beanAccount(a *account) string {
	switch {
	case a.Member != 0:
		return "Liabilities:Membres:" + a.label
	case a.label == store.Emission:
		return "Equity:Emission"
	case a.label == store.Pertes:
		return "Expenses:Pertes"
	}
	if kind, of, ok := tradeName(a.label); ok {
		return kind + ":" + alphabet(of, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
	}
	name := alphabet(a.label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
	if name == a.label {
		return "Liabilities:Pots:" + strings.ToUpper(name[:1]) + name[1:]
	}
	return fmt.Sprintf("Liabilities:Pots:%d-%s", a.ID, name)
}

// tradeKinds are where accountants look for the accounts of merchants, by the first
// word of their names: what the association owes, what it is owed, what it costs.
var tradeKinds = map[string]string{
	"deposit": "Liabilities:Clients:Depots", "advance": "Liabilities:Clients:Avances", "prepayment": "Liabilities:Clients:Commandes",
	"payable": "Liabilities:Commercants", "receivable_from": "Assets:Creances:Commercants", "receivable": "Assets:Creances:Operateurs",
	"bank": "Assets:Banque", "cash": "Assets:Caisse", "carrier_share": "Expenses:Operateurs", "carrier_variance": "Expenses:Ecarts",
}

// tradeName returns the kind of an account of merchants and whose it is: a number,
// a gateway, or T for one that the whole association has. What is of tests is so.
func tradeName(label string) (kind, of string, ok bool) {
	name, test := strings.CutPrefix(label, "test/")
	if test {
		_, name, _ = strings.Cut(name, "/")
	}
	word, whose, some := strings.Cut(name, ":")
	of = "T"
	if some {
		of = "N-" + whose
	}
	if test {
		of += "-test"
	}
	kind, ok = tradeKinds[word]
	return kind, of, ok
}

// beanUnit returns a currency's code as beancount takes it: 2 to 24 capitals,
// digits and dashes, a capital first and no dash last.
func beanUnit(code string) string {
	unit := alphabet(strings.ToUpper(code), "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
	if unit == "" || unit[0] < 'A' || len(unit) < 2 {
		unit = "U-" + unit
	}
	unit = strings.TrimRight(unit[:min(len(unit), 18)], "-")
	if len(unit) < 2 {
		return "UNIT"
	}
	return unit
}

// alphabet puts a dash for what is not in an alphabet.
func alphabet(text, letters string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(letters, r) {
			return r
		}
		return '-'
	}, text)
}

func beanString(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(table.Line(text)) + `"`
}
