package export_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"maillon/internal/export"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/order"
	"maillon/internal/sms"
	"maillon/internal/store"
)

var units = []money.Currency{{Code: "MAILLON"}, {Code: "HEURE", Decimals: 2}, {Code: "7É", Decimals: 3}}

// town has members with money in several units, who write what they want.
func town(t testing.TB, memos ...string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Memory, store.Secret{1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	err = db.Update(t.Context(), func(tx *store.Tx) error {
		for n, nick := range []string{"yann", "lena"} {
			number, err := sms.FromE164(fmt.Sprintf("+3363998000%d", n))
			if err != nil {
				return err
			}
			m := &member.Member{State: member.Active, Number: number, Language: "fr"}
			if err := tx.CreateMember(t.Context(), m); err != nil {
				return err
			}
			if err := tx.TakeNick(t.Context(), m, nick, time.Time{}); err != nil {
				return err
			}
			for _, c := range units {
				from, err := tx.SystemAccount(t.Context(), store.Emission, c)
				if err != nil {
					return err
				}
				to, err := tx.AccountOf(t.Context(), m.ID, c)
				if err != nil {
					return err
				}
				if err := move(t, tx, fmt.Sprintf("K%d%s", n, c.Code[:1]), ledger.Credit, from.ID, to.ID, money.New(123_456, c), "bienvenue"); err != nil {
					return err
				}
			}
		}
		a, err := tx.AccountOf(t.Context(), 1, units[0])
		if err != nil {
			return err
		}
		b, err := tx.AccountOf(t.Context(), 2, units[0])
		if err != nil {
			return err
		}
		if err := trade(t, tx, a.ID); err != nil {
			return err
		}
		for n, memo := range memos {
			if err := move(t, tx, fmt.Sprintf("P%d", n), ledger.Payment, a.ID, b.ID, money.New(int64(n+1), units[0]), memo); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// move makes a transaction and the order that it was.
// trade has what merchants have in the books: more than two sides, and accounts of
// other kinds.
func trade(t testing.TB, tx *store.Tx, wallet ledger.AccountID) error {
	t.Helper()
	c := units[0]
	x := ledger.Transaction{Key: "trade:charge:1", Kind: ledger.Trade}
	for name, n := range map[string]int64{"receivable:premium": -5, "carrier_share:2": -2, "deposit:3": 4, "advance:3": 2, "cash": -7, "payable:2": 5} {
		a, err := tx.NamedAccount(t.Context(), name, c, n < 0)
		if err != nil {
			return err
		}
		x.Postings = append(x.Postings, ledger.Posting{Account: a.ID, Amount: money.New(n, c)})
	}
	x.Postings = append(x.Postings, ledger.Posting{Account: wallet, Amount: money.New(3, c)})
	return ledger.Post(t.Context(), tx, &x)
}

func move(t testing.TB, tx *store.Tx, ref string, kind ledger.Kind, from, to ledger.AccountID, a money.Amount, memo string) error {
	t.Helper()
	x := ledger.Transaction{Ref: ref, Key: ref, Kind: kind, Postings: []ledger.Posting{{Account: from, Amount: money.New(-a.Minor(), a.Currency())}, {Account: to, Amount: a}}}
	if err := ledger.Post(t.Context(), tx, &x); err != nil {
		return err
	}
	m, err := tx.Member(t.Context(), 1)
	if err != nil {
		return err
	}
	o := &order.Order{Kind: order.Pay, State: order.Done, Owner: 1, Payer: 1, Payee: 2, Amount: a, Transaction: x.ID, Secret: order.Secret{Memo: memo}}
	return tx.InsertOrder(t.Context(), o, m)
}

func write(t testing.TB, db *store.DB, f export.Format, n export.Naming) string {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	err = db.View(t.Context(), func(tx *store.Tx) error {
		return export.Write(t.Context(), tx, &b, export.Options{Format: f, Names: n, Association: `Penn "Rustin" ; 29`, Zone: zone})
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// strange is what members may write into a payment.
var strange = []string{
	"velo", `=HYPERLINK("http://x")`, "+1", "-1", "@SUM(A1)", `"guillemets" \ et \\`, "; commentaire", "a  ; b", "a | b", "[2026-13-45]", "x:: y", ":tag:", "key: value",
	"#tag ^lien", "(code)", "* !", "tab\tulé", "l1\nl2", "é €  ", "{1.00}", "= 5 MAILLON", "date:2020-99-99", "@@ 3 EUR",
}

// What is exported is read by the programs that it is for, and adds up there.
func TestAccountantsReadWhatIsExported(t *testing.T) {
	if os.Getenv("MAILLON_REAL") == "" {
		t.Skip("MAILLON_REAL=1 tests with beancount, ledger and hledger")
	}
	db := town(t, strange...)
	for _, names := range export.Namings() {
		for format, command := range map[export.Format][]string{
			export.Beancount: {"bean-check"},
			export.Ledger:    {"ledger", "--pedantic", "--strict", "balance", "-f"},
			export.Hledger:   {"hledger", "check", "--strict", "-f"},
		} {
			path := filepath.Join(t.TempDir(), "books."+string(format))
			if err := os.WriteFile(path, []byte(write(t, db, format, names)), 0o600); err != nil {
				t.Fatal(err)
			}
			c := exec.CommandContext(t.Context(), command[0], append(command[1:], path)...) //nolint:gosec // G204: of the table above
			c.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%s with names %s: %v\n%s", command[0], names, err, out)
			}
		}
	}
}

// Without pseudos there is nothing that somebody wrote or is called; anonymous,
// nothing that says which member it is.
func TestNamesAreThereOnlyIfAsked(t *testing.T) {
	db := town(t, "velo")
	for _, f := range export.Formats() {
		if text := write(t, db, f, export.Pseudo); !strings.Contains(text, "yann") || !strings.Contains(text, "velo") {
			t.Errorf("%s: no pseudo or no memo in\n%s", f, text)
		}
		if text := write(t, db, f, export.Number); strings.Contains(text, "yann") || strings.Contains(text, "velo") || !strings.Contains(text, "M0001") {
			t.Errorf("%s by numbers is\n%s", f, text)
		}
		if text := write(t, db, f, export.Anonymous); strings.Contains(text, "yann") || strings.Contains(text, "velo") || strings.Contains(text, "M0001") {
			t.Errorf("%s without names is\n%s", f, text)
		}
	}
}

// No cell of a table is a formula, whatever somebody wrote.
func TestCellsAreNeverFormulas(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		memo := rapid.OneOf(rapid.SampledFrom(strange), rapid.StringMatching(`[=+\-@\t ]{1,3}[A-Z1(]{1,4}`)).Draw(r, "memo")
		db := town(t, memo)
		for f, comma := range map[export.Format]rune{export.French: ';', export.Plain: ','} {
			c := csv.NewReader(strings.NewReader(strings.TrimPrefix(write(t, db, f, export.Pseudo), "\ufeff")))
			c.Comma = comma
			rows, err := c.ReadAll()
			if err != nil {
				r.Fatal(err)
			}
			for _, row := range rows {
				for n, cell := range row {
					if n != 8 && cell != "" && strings.ContainsRune("=+-@\t", rune(cell[0])) { // 8 is the amount
						r.Fatalf("%s has the cell %q", f, cell)
					}
				}
			}
		}
	})
}

// The postings of JSON add up to the balances that it gives, and to nothing.
func TestJSONAddsUp(t *testing.T) {
	var books struct {
		Association  string
		Accounts     []struct{ Account, Unit, Balance string }
		Transactions []struct {
			Memo     string
			Postings []struct{ Account, Unit, Amount string }
		}
	}
	if err := json.Unmarshal([]byte(write(t, town(t, strange...), export.JSON, export.Pseudo)), &books); err != nil {
		t.Fatal(err)
	}
	sums := map[[2]string]*big.Rat{}
	for _, x := range books.Transactions {
		for _, p := range x.Postings {
			a, ok := new(big.Rat).SetString(p.Amount)
			if !ok {
				t.Fatalf("%q is no amount", p.Amount)
			}
			k := [2]string{p.Account, p.Unit}
			if sums[k] == nil {
				sums[k] = new(big.Rat)
			}
			sums[k].Add(sums[k], a)
		}
	}
	for _, a := range books.Accounts {
		want, _ := new(big.Rat).SetString(a.Balance)
		if got := sums[[2]string{a.Account, a.Unit}]; got == nil || got.Cmp(want) != 0 {
			t.Errorf("%s has %v %s by its postings, and %s", a.Account, got, a.Unit, a.Balance)
		}
	}
	if n := len(books.Transactions); n != 7+len(strange) || books.Association == "" {
		t.Errorf("%d transactions of %q", n, books.Association)
	}
}

func TestEmptyBooksAreExported(t *testing.T) {
	db, err := store.Open(t.Context(), store.Memory, store.Secret{1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, f := range export.Formats() {
		if text := write(t, db, f, export.Number); text == "" {
			t.Errorf("%s is empty", f)
		}
	}
}

func TestUnknownExportsAreRefused(t *testing.T) {
	for _, o := range []export.Options{{Format: "xml", Names: export.Number}, {Format: export.JSON, Names: "all"}, {}} {
		if err := export.Write(t.Context(), nil, nil, o); !errors.Is(err, export.ErrUnknown) {
			t.Errorf("%v: %v, want ErrUnknown", o, err)
		}
	}
	if !slices.Contains(export.Namings(), export.Anonymous) {
		t.Error("nobody can be left out")
	}
}
