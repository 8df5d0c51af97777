package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/order"
	"maillon/internal/sms"
	"maillon/internal/store"
)

var (
	maillon = money.Currency{Code: "MAILLON"}
	heure   = money.Currency{Code: "HEURE", Decimals: 2}
	secret  = store.Secret{1, 2, 3}
)

func openFile(t testing.TB, path string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), path, secret)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return db
}

func open(t testing.TB) *store.DB {
	t.Helper()
	return openFile(t, filepath.Join(t.TempDir(), "books.db"))
}

func number(t testing.TB, e164 string) sms.Number {
	t.Helper()
	n, err := sms.FromE164(e164)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func update(t testing.TB, db *store.DB, do func(*store.Tx) error) {
	t.Helper()
	if err := db.Update(t.Context(), do); err != nil {
		t.Fatal(err)
	}
}

func view(t testing.TB, db *store.DB, do func(*store.Tx) error) {
	t.Helper()
	if err := db.View(t.Context(), do); err != nil {
		t.Fatal(err)
	}
}

// edit changes a database as somebody with a knife would.
func edit(t testing.TB, path string, texts ...string) {
	t.Helper()
	raw, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := raw.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, text := range texts {
		if _, err := raw.Exec(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

// A village is a database with some of everything in it.
type village struct {
	yann, lena, tom                            *member.Member
	yannAccount, lenaAccount, emission, pertes ledger.AccountID
	gift                                       *order.Order
	hold                                       ledger.Hold
}

const (
	yannNumber = "+33639980001"
	lenaNumber = "+33639980002"
	tomNumber  = "+33639980003"
)

// settle fills a database: three members with pseudos, credits, payments in
// two currencies, holds placed, captured and released, orders in several
// states, a code card, a block, a refusal, SMS in and out.
func settle(t testing.TB, db *store.DB) *village {
	t.Helper()
	var v village
	for _, m := range []struct {
		to           **member.Member
		number, nick string
	}{{&v.yann, yannNumber, "yann"}, {&v.lena, lenaNumber, "lena"}, {&v.tom, tomNumber, "tom"}} {
		*m.to = enrol(t, db, m.number, m.nick)
	}
	v.fund(t, db)
	v.pay(t, db)
	v.promise(t, db)
	v.talk(t, db)
	return &v
}

func enrol(t testing.TB, db *store.DB, e164, nick string) *member.Member {
	t.Helper()
	m := &member.Member{State: member.Active, Number: number(t, e164), Language: "fr"}
	update(t, db, func(tx *store.Tx) error {
		m.OpenedAt, m.SeenAt = tx.Now(), tx.Now()
		if err := tx.CreateMember(t.Context(), m); err != nil {
			return err
		}
		return tx.TakeNick(t.Context(), m, nick, time.Time{})
	})
	return m
}

func (v *village) fund(t testing.TB, db *store.DB) {
	t.Helper()
	for _, c := range []money.Currency{maillon, heure} {
		update(t, db, func(tx *store.Tx) error {
			emission, err := tx.SystemAccount(t.Context(), store.Emission, c)
			if err != nil {
				return err
			}
			for _, m := range []*member.Member{v.yann, v.lena} {
				a, err := tx.AccountOf(t.Context(), m.ID, c)
				if err != nil {
					return err
				}
				postings, err := ledger.Transfer(emission.ID, a.ID, money.New(200, c))
				if err != nil {
					return err
				}
				key := fmt.Sprintf("credit:%d", a.ID)
				if err := ledger.Post(t.Context(), tx, &ledger.Transaction{Key: key, Kind: ledger.Credit, Postings: postings}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	view(t, db, func(tx *store.Tx) (err error) {
		v.emission, v.pertes = v.system(t, tx, store.Emission), 0
		v.yannAccount, v.lenaAccount = v.account(t, tx, v.yann), v.account(t, tx, v.lena)
		return nil
	})
	update(t, db, func(tx *store.Tx) error {
		a, err := tx.SystemAccount(t.Context(), store.Pertes, maillon)
		v.pertes = a.ID
		return err
	})
}

func (v *village) system(t testing.TB, tx *store.Tx, name string) ledger.AccountID {
	t.Helper()
	var id ledger.AccountID
	if err := tx.AllAccounts(t.Context(), func(r store.AccountRow) error {
		if r.Name == name && r.Balance.Currency() == maillon {
			id = r.ID
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return id
}

func (v *village) account(t testing.TB, tx *store.Tx, m *member.Member) ledger.AccountID {
	t.Helper()
	all, err := tx.AccountsOf(t.Context(), m.ID)
	if err != nil || len(all) == 0 {
		t.Fatalf("accounts of member %d: %v, %v", m.ID, all, err)
	}
	return all[0].ID
}

// pay makes three payments, each with its order.
func (v *village) pay(t testing.TB, db *store.DB) {
	t.Helper()
	for _, amount := range []int64{50, 7, 3} {
		update(t, db, func(tx *store.Tx) error {
			o := &order.Order{
				Kind: order.Pay, State: order.Open, Owner: int64(v.yann.ID), Asked: int64(v.yann.ID), Payer: int64(v.yann.ID), Payee: int64(v.lena.ID),
				Amount: money.New(amount, maillon), Secret: order.Secret{Memo: "vélo"}, CodeEnd: tx.Now().Add(time.Hour),
			}
			if err := tx.InsertOrder(t.Context(), o, v.yann); err != nil {
				return err
			}
			postings, err := ledger.Transfer(v.yannAccount, v.lenaAccount, o.Amount)
			if err != nil {
				return err
			}
			txn := ledger.Transaction{Ref: o.Ref, Key: fmt.Sprintf("order:%d", o.ID), Kind: ledger.Payment, Postings: postings}
			if err := ledger.Post(t.Context(), tx, &txn); err != nil {
				return err
			}
			o.State, o.Transaction, o.Paid, o.Ended = order.Done, txn.ID, tx.Now(), tx.Now()
			v.gift = o
			return tx.SaveOrder(t.Context(), o)
		})
	}
}

// promise places three holds: one is kept, one captured in part, one released.
func (v *village) promise(t testing.TB, db *store.DB) {
	t.Helper()
	holds := make([]ledger.Hold, 3)
	for n := range holds {
		update(t, db, func(tx *store.Tx) error {
			holds[n] = ledger.Hold{Account: v.lenaAccount, Placed: money.New(20, maillon)}
			return ledger.Place(t.Context(), tx, &holds[n])
		})
	}
	v.hold = holds[0]
	update(t, db, func(tx *store.Tx) error {
		postings, err := ledger.Transfer(v.lenaAccount, v.yannAccount, money.New(15, maillon))
		if err != nil {
			return err
		}
		return ledger.Capture(t.Context(), tx, holds[1].ID, money.New(15, maillon), &ledger.Transaction{Key: "capture", Kind: ledger.Return, Postings: postings})
	})
	update(t, db, func(tx *store.Tx) error { return ledger.Release(t.Context(), tx, holds[2].ID) })
}

// talk leaves orders that wait, a card, a block, a refusal and some SMS.
func (v *village) talk(t testing.TB, db *store.DB) {
	t.Helper()
	update(t, db, func(tx *store.Tx) error {
		for _, o := range []*order.Order{
			{Kind: order.Pay, State: order.Open, Owner: int64(v.yann.ID), Payer: int64(v.yann.ID), Payee: int64(v.tom.ID), Amount: money.New(4, maillon), CodeEnd: tx.Now().Add(time.Hour)},
			{Kind: order.Request, State: order.Open, Owner: int64(v.lena.ID), Payer: int64(v.yann.ID), Payee: int64(v.lena.ID), Amount: money.New(9, maillon), Due: tx.Now().Add(time.Hour)},
		} {
			if err := tx.InsertOrder(t.Context(), o, v.yann); err != nil {
				return err
			}
		}
		return errors.Join(
			tx.SaveCard(t.Context(), v.lena, &store.Card{Cells: map[string]string{"B3": "4821"}}),
			tx.Block(t.Context(), v.lena.ID, v.tom.ID, true),
			tx.Refuse(t.Context(), number(t, "+33639980099")),
			tx.SetState(t.Context(), "dry", "no"),
			tx.Enqueue(t.Context(), store.Out{To: v.lena.Number, Text: "recu 50", Expires: tx.Now().Add(time.Hour)}, v.lena),
		)
	})
	for n, from := range []*member.Member{v.yann, v.lena, nil} {
		update(t, db, func(tx *store.Tx) error {
			_, err := tx.Receive(t.Context(), sms.Incoming{Gateway: "virtual", Key: fmt.Sprint("sms", n), From: yannNumber, Text: "solde"}, from)
			return err
		})
	}
}

// keys returns the wrapped keys that a database holds.
func keys(t testing.TB, path string) map[int64][]byte {
	t.Helper()
	raw, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := raw.Close(); err != nil {
			t.Error(err)
		}
	}()
	rows, err := raw.Query(`SELECT id, sealed FROM key`)
	if err != nil {
		t.Fatal(err)
	}
	all := map[int64][]byte{}
	for rows.Next() {
		var id int64
		var sealed []byte
		if err := rows.Scan(&id, &sealed); err != nil {
			t.Fatal(err)
		}
		all[id] = sealed
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestTheBooksAreTheirOwnersAlone(t *testing.T) {
	dir := t.TempDir()
	db := openFile(t, filepath.Join(dir, "books.db"))
	settle(t, db)
	files, err := os.ReadDir(dir)
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the rights %v, %v", f.Name(), info.Mode(), err)
		}
	}
}
