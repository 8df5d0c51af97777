package export

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"strings"

	"maillon/internal/ledger"
	"maillon/internal/table"
)

// A csvStyle is how a table is written for one kind of reader.
type csvStyle struct {
	mark    string // what the file begins with
	comma   rune
	decimal string
	date    string
	header  []string
	kinds   map[ledger.Kind]string // how kinds are called; else as in the ledger
}

var frenchCSV = csvStyle{
	mark: "\ufeff", comma: ';', decimal: ",", date: "02/01/2006",
	header: []string{"date", "heure", "operation", "reference", "genre", "compte", "nom", "contrepartie", "montant", "unite", "motif"},
	kinds: map[ledger.Kind]string{
		ledger.Opening: "ouverture", ledger.Payment: "paiement", ledger.Credit: "crédit", ledger.Return: "retour",
		ledger.Correction: "correction", ledger.Closing: "fermeture", ledger.Demurrage: "fonte", ledger.Share: "pot", ledger.Trade: "commerce",
	},
}

var plainCSV = csvStyle{
	comma: ',', decimal: ".", date: "2006-01-02",
	header: []string{"date", "time", "transaction", "reference", "kind", "account", "name", "other_account", "amount", "unit", "memo"},
}

// csv writes one line for each posting.
func (e *writer) csv(ctx context.Context, to io.Writer, style csvStyle) error {
	if _, err := io.WriteString(to, style.mark); err != nil {
		return err
	}
	w := csv.NewWriter(to)
	w.Comma, w.UseCRLF = style.comma, style.mark != ""
	if err := w.Write(style.header); err != nil {
		return err
	}
	err := e.each(ctx, func(t ledger.Transaction, memo string) error {
		at := e.local(t.At)
		kind, ok := style.kinds[t.Kind]
		if !ok {
			kind = string(t.Kind)
		}
		for n, p := range t.Postings {
			a, other := e.accounts[p.Account], ""
			if len(t.Postings) == 2 {
				other = e.accounts[t.Postings[1-n].Account].label
			}
			err := w.Write([]string{
				at.Format(style.date), at.Format("15:04:05"), fmt.Sprint(t.ID), table.Cell(t.Ref), kind, table.Cell(a.label), table.Cell(a.name), table.Cell(other),
				strings.Replace(p.Amount.Plain(), ".", style.decimal, 1), table.Cell(p.Amount.Currency().Code), table.Cell(memo),
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	w.Flush()
	if err != nil {
		return err
	}
	return w.Error()
}
