package store_test

import (
	"fmt"
	"strings"
	"testing"

	"maillon/internal/store"
)

// goOver goes over the books to their end, and returns what does not hold.
func goOver(t *testing.T, db *store.DB, p *store.Proof) (all []string) {
	t.Helper()
	for done := false; !done; {
		view(t, db, func(tx *store.Tx) error {
			faults, end, err := p.Slice(t.Context(), tx)
			for _, f := range faults {
				all = append(all, f.String())
			}
			done = end
			return err
		})
	}
	return all
}

// The proof in slices finds what rule INT1 promises: a chain that breaks, money
// that stands elsewhere than the journal says. It goes on where it was.
func TestTheProofInSlices(t *testing.T) {
	for what, sql := range map[string]string{
		"nothing":                "",
		"a balance":              `UPDATE account SET balance = balance + 1 WHERE id = {yann}`,
		"an amount":              `UPDATE posting SET amount = amount + 1 WHERE txn = {txn} AND n = 1`,
		"a running balance":      `UPDATE posting SET balance = balance + 1 WHERE txn = {txn} AND n = 0`,
		"a posting":              `DELETE FROM posting WHERE txn = {txn} AND n = 0`,
		"a transaction":          `DELETE FROM txn WHERE id = {txn}`,
		"a transaction's key":    `UPDATE txn SET key = 'other' WHERE id = {txn}`,
		"a transaction more":     `INSERT INTO txn (id, ref, key, kind, at) VALUES (9999, 'Z9Z9', 'x', 'payment', 1)`,
		"a journal row's hash":   `UPDATE journal SET hash = x'00' WHERE seq = 5`,
		"a journal row's body":   `UPDATE journal SET body = 'x' WHERE seq = 5`,
		"a journal row is away":  `DELETE FROM journal WHERE seq = 5`,
		"the last rows are away": `DELETE FROM journal WHERE seq > 8`,
	} {
		t.Run(strings.ReplaceAll(what, " ", "_"), func(t *testing.T) {
			both(t, func(t *testing.T, p place) {
				db := p.open(t)
				v := settle(t, db)
				var early store.Proof
				if faults := goOver(t, db, &early); len(faults) > 0 {
					t.Fatalf("of sound books %q", faults)
				}
				for n := range 250 {
					update(t, db, func(tx *store.Tx) error {
						return post(t.Context(), tx, fmt.Sprint("more", n), v.emission, v.lenaAccount, 1)
					})
				}
				if sql != "" {
					p.edit(t, strings.NewReplacer("{yann}", fmt.Sprint(v.yannAccount), "{txn}", fmt.Sprint(v.gift.Transaction)).Replace(sql))
				}
				var late store.Proof
				if faults := goOver(t, db, &late); (len(faults) > 0) != (sql != "") {
					t.Errorf("from the first row: %q", faults)
				}
				if sql == "" {
					if faults := goOver(t, db, &early); len(faults) > 0 || early.Seq() != late.Seq() {
						t.Errorf("from where it was, to row %d of %d: %q", early.Seq(), late.Seq(), faults)
					}
				}
			})
		})
	}
}
