package store_test

import (
	"errors"
	"fmt"
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

// What is asked for many members at once is what is asked for one, also where a
// list is longer than one statement takes.
func TestManyAreFoundAtOnce(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		db := p.open(t)
		defer func() { _ = db.Close() }()
		const n = 150
		var numbers []sms.Number
		var ids []member.ID
		var nicks []string
		update(t, db, func(tx *store.Tx) error {
			for i := range n {
				m := &member.Member{State: member.Active, Number: number(t, fmt.Sprintf("+3363998%04d", i)), Language: "fr"}
				if err := tx.CreateMember(t.Context(), m); err != nil {
					return err
				}
				nick := fmt.Sprintf("nick%d", i)
				if err := tx.TakeNick(t.Context(), m, nick, time.Time{}); err != nil {
					return err
				}
				numbers, ids, nicks = append(numbers, m.Number), append(ids, m.ID), append(nicks, nick)
			}
			return tx.Refuse(t.Context(), number(t, "+33639990000"))
		})
		stranger := number(t, "+33639990000")
		look := func(tx *store.Tx) error {
			byNumber, err := tx.MembersByNumbers(t.Context(), append(numbers, stranger))
			if err != nil || len(byNumber) != n || byNumber[numbers[7]].ID != ids[7] {
				t.Errorf("by number: %d found, %v, want %d", len(byNumber), err, n)
			}
			byNick, err := tx.MembersByNicks(t.Context(), append(nicks, "gwen"))
			if err != nil || len(byNick) != n || byNick["nick149"].ID != ids[149] {
				t.Errorf("by pseudo: %d found, %v, want %d", len(byNick), err, n)
			}
			byID, err := tx.MembersByIDs(t.Context(), append(ids, 999))
			if err != nil || len(byID) != n || byID[ids[3]].Nick != "nick3" {
				t.Errorf("by ID: %d found, %v, want %d", len(byID), err, n)
			}
			refused, err := tx.RefusedAmong(t.Context(), append(numbers, stranger))
			if err != nil || len(refused) != 1 || !refused[stranger] {
				t.Errorf("refused: %v, %v, want the stranger", refused, err)
			}
			return nil
		}
		view(t, db, look)
		update(t, db, look)

		var emission, account ledger.Account
		update(t, db, func(tx *store.Tx) (err error) {
			if emission, err = tx.SystemAccount(t.Context(), store.Emission, maillon); err != nil {
				return err
			}
			if account, err = tx.AccountOf(t.Context(), ids[5], maillon); err != nil {
				return err
			}
			return tx.ExpectMany(t.Context(), ids, n)
		})
		update(t, db, func(tx *store.Tx) error {
			if err := tx.ExpectMany(t.Context(), ids, n); err != nil {
				return err
			}
			refs := map[string]bool{}
			for i := range n + 20 { // more than were drawn
				o := order.Order{Kind: order.Credit, State: order.Done, Amount: money.New(1, maillon)}
				if err := tx.InsertOrder(t.Context(), &o, nil); err != nil {
					return err
				}
				refs[o.Ref] = true
				postings, err := ledger.Transfer(emission.ID, account.ID, o.Amount)
				if err != nil {
					return err
				}
				if err := ledger.Post(t.Context(), tx, &ledger.Transaction{Ref: o.Ref, Key: fmt.Sprintf("k%d", i), Kind: ledger.Credit, Postings: postings}); err != nil {
					return err
				}
			}
			if len(refs) != n+20 {
				t.Errorf("%d references for %d orders", len(refs), n+20)
			}
			used, err := tx.PostedUnder(t.Context(), []string{"k3", "k170"})
			if err != nil || len(used) != 1 || used["k3"] != (store.Posted{Member: ids[5], Amount: money.New(1, maillon)}) {
				t.Errorf("PostedUnder = %v, %v, want what k3 gave", used, err)
			}
			return err
		})
		proven(t, db)
	})
}

// How far an account may go below zero is of record: it is replayed, proven and
// restored, and does not change under who is further down.
func TestAFloorIsOfRecord(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		db := p.open(t)
		defer func() { _ = db.Close() }()
		var a, b ledger.Account
		pay := func(tx *store.Tx, key string, n int64) error {
			postings, err := ledger.Transfer(a.ID, b.ID, money.New(n, maillon))
			if err != nil {
				return err
			}
			return ledger.Post(t.Context(), tx, &ledger.Transaction{Key: key, Kind: ledger.Payment, Postings: postings})
		}
		update(t, db, func(tx *store.Tx) (err error) {
			if a, err = tx.AccountOf(t.Context(), 1, maillon); err != nil {
				return err
			}
			if b, err = tx.AccountOf(t.Context(), 2, maillon); err != nil {
				return err
			}
			if err := pay(tx, "early", 1); !errors.Is(err, ledger.ErrInsufficient) {
				t.Errorf("paying from nothing: %v, want ErrInsufficient", err)
			}
			return tx.SetFloor(t.Context(), a.ID, money.New(-50, maillon))
		})
		update(t, db, func(tx *store.Tx) error { return pay(tx, "one", 50) })
		for _, refused := range []func(tx *store.Tx) error{
			func(tx *store.Tx) error { return pay(tx, "two", 1) },
			func(tx *store.Tx) error { return tx.SetFloor(t.Context(), a.ID, money.New(-49, maillon)) },
		} {
			if err := db.Update(t.Context(), refused); !errors.Is(err, ledger.ErrInsufficient) {
				t.Errorf("beyond the floor: %v, want ErrInsufficient", err)
			}
		}
		view(t, db, func(tx *store.Tx) error {
			owing, err := tx.BelowZero(t.Context(), maillon, 10)
			if len(owing) != 1 || owing[0].ID != a.ID || owing[0].Balance.Minor() != -50 {
				t.Errorf("below zero: %v, want the one account", owing)
			}
			return err
		})
		proven(t, db)
		p.edit(t, `UPDATE account SET floor = -500 WHERE floor < 0`)
		if faults, err := db.Verify(t.Context(), nil); err != nil || len(faults) != 1 {
			t.Errorf("Verify finds %v, %v after a floor changed by hand", faults, err)
		}
	})
}

// The group of a member, and a floor, come back with a restore.
func TestGroupsAndFloorsAreRestored(t *testing.T) {
	dir := t.TempDir()
	db := openFile(t, filepath.Join(dir, "books.db"))
	update(t, db, func(tx *store.Tx) error {
		m := &member.Member{State: member.Active, Number: number(t, "+33639980001"), Language: "fr", Group: "marchands"}
		if err := tx.CreateMember(t.Context(), m); err != nil {
			return err
		}
		a, err := tx.AccountOf(t.Context(), m.ID, maillon)
		if err != nil {
			return err
		}
		return tx.SetFloor(t.Context(), a.ID, money.New(-50, maillon))
	})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, "again.db")
	if _, err := store.Restore(t.Context(), store.Restoration{From: filepath.Join(dir, "books.db"), To: to, Secret: secret}); err != nil {
		t.Fatal(err)
	}
	db = openFile(t, to)
	defer func() { _ = db.Close() }()
	view(t, db, func(tx *store.Tx) error {
		m, err := tx.Member(t.Context(), 1)
		if err != nil {
			return err
		}
		accounts, err := tx.AccountsOf(t.Context(), m.ID)
		if m.Group != "marchands" || len(accounts) != 1 || accounts[0].Floor.Minor() != -50 {
			t.Errorf("restored: group %q, accounts %v", m.Group, accounts)
		}
		return err
	})
}

func proven(t *testing.T, db *store.DB) {
	t.Helper()
	if faults, err := db.Verify(t.Context(), nil); err != nil || len(faults) > 0 {
		t.Errorf("Verify = %v, %v", faults, err)
	}
}
