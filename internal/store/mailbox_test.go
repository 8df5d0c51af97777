package store_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"maillon/internal/sms"
	"maillon/internal/store"
)

func at(t *testing.T, text string) sms.Address {
	t.Helper()
	a, err := sms.ParseAddress(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A member is found by her address once it is bound, in the books and after a
// restore; and nobody reads it in them.
func TestAMemberIsFoundByHerAddress(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		db := p.open(t)
		v := settle(t, db)
		lena := at(t, "lena@example.org")
		b := store.Mailbox{Address: lena, Ends: time.Now().Add(time.Hour), Proof: "proof", Line: "phones"}
		update(t, db, func(tx *store.Tx) error { return tx.SaveMailbox(t.Context(), v.lena, &b) })
		view(t, db, func(tx *store.Tx) error {
			if _, err := tx.MemberByAddress(t.Context(), lena); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("asked for, it finds somebody: %v", err)
			}
			all, err := tx.MailboxesAt(t.Context(), lena)
			if err != nil || len(all) != 1 || all[0].Bound || all[0].Member != v.lena.ID || all[0].Proof != "proof" || all[0].Line != "phones" {
				t.Errorf("at the address: %+v, %v", all, err)
			}
			return nil
		})
		b.Bound, b.Ends, b.Proof = true, time.Time{}, ""
		update(t, db, func(tx *store.Tx) error {
			if err := tx.NoteHeading(t.Context(), lena, sms.Heading{ID: "<1@x>"}); err != nil {
				return err
			}
			return errors.Join(tx.SaveMailbox(t.Context(), v.lena, &b),
				tx.NoteHeading(t.Context(), lena, sms.Heading{ID: "<2@x>", References: []string{"<1@x>"}, Subject: "solde"}))
		})
		view(t, db, func(tx *store.Tx) error {
			m, err := tx.MemberByAddress(t.Context(), lena)
			if err != nil || m.ID != v.lena.ID {
				t.Errorf("bound, it finds %v, %v", m, err)
			}
			c, err := tx.Correspondent(t.Context(), number(t, lenaNumber), sms.Address{})
			want := sms.Correspondent{Address: lena, Last: sms.Heading{ID: "<2@x>", References: []string{"<1@x>"}, Subject: "solde"}}
			if err != nil || !reflect.DeepEqual(c, want) {
				t.Errorf("what goes to her is read by %v, %v", c, err)
			}
			if _, err := tx.Correspondent(t.Context(), number(t, yannNumber), sms.Address{}); !errors.Is(err, sms.ErrNoAddress) {
				t.Errorf("somebody without an address: %v", err)
			}
			if c, err := tx.Correspondent(t.Context(), sms.Number{}, at(t, "x@y.example")); err != nil || c.Address != at(t, "x@y.example") || c.Last.ID != "" {
				t.Errorf("an address: %v, %v", c, err)
			}
			return nil
		})
		if faults, err := db.Verify(t.Context(), nil); err != nil || len(faults) > 0 {
			t.Errorf("verify: %v, %v", faults, err)
		}
		update(t, db, func(tx *store.Tx) error { return tx.EndMailboxes(t.Context(), v.lena.ID) })
		view(t, db, func(tx *store.Tx) error {
			if _, err := tx.MemberByAddress(t.Context(), lena); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("ended, it finds somebody: %v", err)
			}
			return nil
		})
	})
}

func TestAnAddressIsNowhereInTheBooksAndGoesWithItsMember(t *testing.T) {
	path := filepath.Join(t.TempDir(), "books.db")
	db := openFile(t, path)
	v := settle(t, db)
	lena := at(t, "lena.in.no.books@example.org")
	update(t, db, func(tx *store.Tx) error {
		b := store.Mailbox{Address: lena, Bound: true}
		return errors.Join(tx.SaveMailbox(t.Context(), v.lena, &b), tx.NoteHeading(t.Context(), lena, sms.Heading{ID: "<in.no.books@x>"}),
			tx.Enqueue(t.Context(), store.Out{Address: lena, Text: "Bonjour", Expires: tx.Now().Add(time.Hour)}, v.lena))
	})
	view(t, db, func(tx *store.Tx) error {
		all, err := tx.Outbox(t.Context(), 0, 1000)
		if o := all[len(all)-1]; err != nil || o.Address != lena || !o.To.IsZero() || o.Text != "Bonjour" {
			t.Errorf("in the outbox: %+v, %v", o, err)
		}
		return nil
	})
	update(t, db, func(tx *store.Tx) error { return tx.Erase(t.Context(), v.lena, tx.Now()) })
	view(t, db, func(tx *store.Tx) error {
		if all, err := tx.MailboxesAt(t.Context(), lena); err != nil || len(all) > 0 {
			t.Errorf("after her: %v, %v", all, err)
		}
		all, err := tx.Outbox(t.Context(), 0, 1000)
		if o := all[len(all)-1]; err != nil || !o.Address.IsZero() || o.Text != "" {
			t.Errorf("in the outbox after her: %+v, %v", o, err)
		}
		return nil
	})
	for _, suffix := range []string{"", "-wal"} {
		if all, err := os.ReadFile(path + suffix); err == nil && bytes.Contains(all, []byte("in.no.books")) {
			t.Errorf("the address stands in books%s", suffix)
		}
	}
}

// What was asked for and not answered is forgotten.
func TestAMailboxAskedForInVainIsForgotten(t *testing.T) {
	db := openFile(t, filepath.Join(t.TempDir(), "books.db"))
	v := settle(t, db)
	lena := at(t, "lena@example.org")
	update(t, db, func(tx *store.Tx) error {
		b := store.Mailbox{Address: lena, Ends: tx.Now().Add(-time.Second), Proof: "x"}
		return tx.SaveMailbox(t.Context(), v.lena, &b)
	})
	update(t, db, func(tx *store.Tx) error {
		if all, err := tx.MailboxesAt(t.Context(), lena); err != nil || len(all) > 0 {
			t.Errorf("over, it counts: %v, %v", all, err)
		}
		if err := tx.Forget(t.Context()); err != nil {
			return err
		}
		all, err := tx.Records(t.Context(), store.RecordsWhere{Kind: "mailbox"}, 10)
		if len(all) > 0 {
			t.Error("forgotten, it is still there")
		}
		return err
	})
}
