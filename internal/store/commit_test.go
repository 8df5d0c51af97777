package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/order"
	"maillon/internal/sms"
	"maillon/internal/store"
)

func TestWhatManyCallersDidTogetherIsOnDisk(t *testing.T) {
	const callers, each = 64, 20
	path := filepath.Join(t.TempDir(), "books.db")
	db := openFile(t, path)
	v := settle(t, db)
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			for n := range each {
				if err := db.Update(t.Context(), func(tx *store.Tx) error {
					return post(t.Context(), tx, fmt.Sprint("many:", c, ":", n), v.emission, v.tomAccount(t, tx), 1)
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	// What is durable is what another process can read from the files.
	copied := filepath.Join(t.TempDir(), "copy.db")
	for _, suffix := range []string{"", "-wal"} {
		if err := os.WriteFile(copied+suffix, read(t, path+suffix), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again := openFile(t, copied)
	update(t, again, func(tx *store.Tx) error {
		a, err := tx.AccountOf(t.Context(), v.tom.ID, maillon)
		if err != nil || a.Balance.Minor() != callers*each {
			t.Errorf("the balance is %v, %v; want %d", a.Balance, err, callers*each)
		}
		return nil
	})
	if faults := verify(t, again); len(faults) > 0 {
		t.Errorf("faults are %q", faults)
	}
}

// tomAccount returns tom's account, which the first to ask opens.
func (v *village) tomAccount(t testing.TB, tx *store.Tx) ledger.AccountID {
	t.Helper()
	a, err := tx.AccountOf(t.Context(), v.tom.ID, maillon)
	if err != nil {
		t.Error(err)
	}
	return a.ID
}

// batch runs callers in one commit: they gather behind one that waits.
func batch(t testing.TB, db *store.DB, callers ...func(*store.Tx) error) []error {
	t.Helper()
	started, release := make(chan struct{}), make(chan struct{})
	errs := make([]error, len(callers)+1)
	var all sync.WaitGroup
	all.Go(func() {
		errs[len(callers)] = db.Update(t.Context(), func(*store.Tx) error {
			close(started)
			<-release
			return nil
		})
	})
	<-started
	for n, do := range callers {
		all.Go(func() { errs[n] = db.Update(t.Context(), do) })
	}
	time.Sleep(10 * time.Millisecond) // most of them wait by now; all that follows holds without it
	close(release)
	all.Wait()
	return errs[:len(callers)]
}

func TestOneCallersMistakeIsItsOwn(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		db := p.open(t)
		v := settle(t, db)
		mistake := errors.New("mistake")
		give := func(key string, then error) func(*store.Tx) error {
			return func(tx *store.Tx) error {
				if err := post(t.Context(), tx, key, v.emission, v.lenaAccount, 1); err != nil {
					return err
				}
				return then
			}
		}
		errs := batch(t, db,
			give("a", nil), give("b", mistake), give("c", nil),
			func(tx *store.Tx) error {
				_ = give("d", nil)(tx)
				panic("a mistake of the program")
			},
			func(tx *store.Tx) error {
				time.Sleep(50 * time.Millisecond)
				return give("e", nil)(tx)
			},
			give("f", nil),
		)
		for n, want := range []bool{true, false, true, false, true, true} {
			if (errs[n] == nil) != want {
				t.Errorf("caller %d: error is %v, want success: %v", n, errs[n], want)
			}
		}
		if !errors.Is(errs[1], mistake) {
			t.Errorf("caller 1: error is %v, want its own", errs[1])
		}
		update(t, db, func(tx *store.Tx) error {
			a, err := tx.Account(t.Context(), v.lenaAccount)
			if a.Balance.Minor() != 245+4 {
				t.Errorf("the balance is %v, want %d: four gave 1", a.Balance, 245+4)
			}
			return err
		})
		if faults := verify(t, db); len(faults) > 0 {
			t.Errorf("faults are %q", faults)
		}
	})
}

func TestAFullQueueIsBusy(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		db := p.open(t)
		started, release := make(chan struct{}), make(chan struct{})
		first := make(chan error, 1)
		go func() {
			first <- db.Update(t.Context(), func(*store.Tx) error {
				close(started)
				<-release
				return nil
			})
		}()
		<-started
		const more = 5000 // than may wait
		var busy, done atomic.Int64
		var all sync.WaitGroup
		for range more {
			all.Go(func() {
				switch err := db.Update(t.Context(), func(*store.Tx) error { return nil }); {
				case err == nil:
					done.Add(1)
				case errors.Is(err, store.ErrBusy):
					busy.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		for deadline := time.Now().Add(10 * time.Second); busy.Load() == 0 && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		close(release)
		all.Wait()
		if busy.Load() == 0 || done.Load() == 0 || busy.Load()+done.Load() != more {
			t.Errorf("%d were busy and %d done of %d", busy.Load(), done.Load(), more)
		}
		if n := db.Stats().Busy; n != uint64(busy.Load()) {
			t.Errorf("%d were busy, %d are counted", busy.Load(), n)
		}
		if err := <-first; err != nil {
			t.Error(err)
		}
	})
}

func TestCloseEndsWhatHasBegunAndRefusesTheRest(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		db := p.open(t)
		v := settle(t, db)
		var posted atomic.Int64
		var all sync.WaitGroup
		for c := range 16 {
			all.Go(func() {
				for n := 0; ; n++ {
					err := db.Update(t.Context(), func(tx *store.Tx) error {
						return post(t.Context(), tx, fmt.Sprint("close:", c, ":", n), v.emission, v.lenaAccount, 1)
					})
					if errors.Is(err, store.ErrClosed) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					posted.Add(1)
				}
			})
		}
		time.Sleep(50 * time.Millisecond)
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		all.Wait()
		if err := db.View(t.Context(), func(*store.Tx) error { return nil }); !errors.Is(err, store.ErrClosed) {
			t.Errorf("View after Close: %v, want %v", err, store.ErrClosed)
		}
		again := p.open(t)
		update(t, again, func(tx *store.Tx) error {
			a, err := tx.Account(t.Context(), v.lenaAccount)
			if a.Balance.Minor() != 245+posted.Load() {
				t.Errorf("the balance is %v; want that of %d posted", a.Balance, posted.Load())
			}
			return err
		})
	})
}

func TestACallerWhoHasLeftIsNotServed(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		db := p.open(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := db.Update(ctx, func(*store.Tx) error { t.Error("served"); return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("Update = %v, want %v", err, context.Canceled)
		}
	})
}

func TestAViewCannotWrite(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		db := p.open(t)
		v := settle(t, db)
		before := last(t, db)
		err := db.View(t.Context(), func(tx *store.Tx) error { return post(t.Context(), tx, "view", v.emission, v.lenaAccount, 1) })
		if !errors.Is(err, store.ErrReadOnly) {
			t.Errorf("writing in a View: %v, want %v", err, store.ErrReadOnly)
		}
		if after := last(t, db); after.Seq != before.Seq {
			t.Errorf("the journal has %d rows, had %d", after.Seq, before.Seq)
		}
	})
}

func TestTwoProcessesShareOneDatabase(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		dbs := []*store.DB{p.open(t), p.open(t)}
		v := settle(t, dbs[0])
		const each = 100
		var all sync.WaitGroup
		for p, db := range dbs {
			all.Go(func() {
				for n := range each {
					if err := db.Update(t.Context(), func(tx *store.Tx) error {
						return post(t.Context(), tx, fmt.Sprint("process:", p, ":", n), v.emission, v.lenaAccount, 1)
					}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		for _, db := range dbs {
			if faults := verify(t, db); len(faults) > 0 {
				t.Errorf("faults are %q", faults)
			}
			view(t, db, func(tx *store.Tx) error {
				a, err := tx.Account(t.Context(), v.lenaAccount)
				if a.Balance.Minor() != 245+2*each {
					t.Errorf("the balance is %v, want %d", a.Balance, 245+2*each)
				}
				return err
			})
		}
	})
}

func TestAWrongSecretIsRefused(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		db := p.open(t)
		settle(t, db)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if db, err := store.Open(t.Context(), p.where, store.Secret{9}); err == nil {
			t.Error("a wrong secret was taken")
			_ = db.Close()
		}
		p.open(t)
	})
}

func TestSecretsAreReadAndHidden(t *testing.T) {
	s, err := store.NewSecret()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := store.ParseSecret(s.Encode() + "\n"); err != nil || got != s {
		t.Errorf("ParseSecret(Encode) = %v, %v", got, err)
	}
	for _, text := range []string{"", "00", s.Encode() + "00", "zz" + s.Encode()[2:]} {
		if _, err := store.ParseSecret(text); err == nil {
			t.Errorf("a secret of %d characters was read", len(text))
		}
	}
	if text := fmt.Sprint(s, s.LogValue()); bytes.Contains([]byte(text), []byte(s.Encode())) {
		t.Error("a printed secret shows itself")
	}
}

func TestWhoIsErasedCannotBeReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "books.db")
	db := openFile(t, path)
	v := settle(t, db)
	wrapped := keys(t, path)[v.yann.Key]
	update(t, db, func(tx *store.Tx) error { return tx.Erase(t.Context(), v.yann, tx.Now().Add(time.Hour)) })
	view(t, db, func(tx *store.Tx) error {
		if _, err := tx.MemberByNumber(t.Context(), number(t, yannNumber)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the number finds %v", err)
		}
		if _, err := tx.MemberByNick(t.Context(), "yann"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the pseudo finds %v", err)
		}
		m, err := tx.Member(t.Context(), v.yann.ID)
		if err != nil || m.State != member.Closed || m.Number != (sms.Number{}) || m.Nick != "" || m.Word != "" {
			t.Errorf("the member is %+v, %v", m, err)
		}
		if letters, err := tx.Thread(t.Context(), m, 10); err != nil || len(letters) > 0 {
			t.Errorf("the texts are %v, %v", letters, err)
		}
		if o, err := tx.OrderByRef(t.Context(), v.gift.Ref); err != nil || o.Secret != (order.Secret{}) || o.Amount != v.gift.Amount {
			t.Errorf("the order is %+v, %v", o, err)
		}
		return nil
	})
	for _, suffix := range []string{"", "-wal"} {
		if bytes.Contains(read(t, path+suffix), wrapped) {
			t.Errorf("the destroyed key still stands in books.db%s", suffix)
		}
	}
	if faults := verify(t, db); len(faults) > 0 {
		t.Errorf("faults are %q", faults)
	}
	update(t, db, func(tx *store.Tx) error { // the number is free for a new life
		m := &member.Member{State: member.Active, Number: number(t, yannNumber), Language: "fr"}
		if err := tx.CreateMember(t.Context(), m); err != nil {
			return err
		}
		if m.Key <= v.tom.Key {
			t.Errorf("key %d is given a second time", m.Key)
		}
		return nil
	})
}

func TestStrangersAreForgotten(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		synctest.Test(t, func(t *testing.T) {
			db := p.open(t)
			settle(t, db)
			time.Sleep(25 * time.Hour)
			update(t, db, func(tx *store.Tx) error { return tx.Forget(t.Context()) })
			if faults := verify(t, db); len(faults) > 0 {
				t.Errorf("after a day: %q", faults)
			}
			time.Sleep(31 * 24 * time.Hour)
			update(t, db, func(tx *store.Tx) error { return tx.Forget(t.Context()) })
			view(t, db, func(tx *store.Tx) error {
				m, err := tx.MemberByNumber(t.Context(), number(t, yannNumber))
				if err != nil {
					return err
				}
				letters, err := tx.Thread(t.Context(), m, 10)
				for _, l := range letters {
					if l.Text != "" {
						t.Errorf("after a month a text of %v is still there", l.At)
					}
				}
				return err
			})
			time.Sleep(60 * 24 * time.Hour)
			update(t, db, func(tx *store.Tx) error { return tx.Forget(t.Context()) })
			if faults := verify(t, db); len(faults) > 0 {
				t.Errorf("after three months: %q", faults)
			}
		})
	})
}

func TestOneSMSIsTakenOnce(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		db := p.open(t)
		m := sms.Incoming{Gateway: "virtual", Key: "k1", From: yannNumber, Text: "solde"}
		other := m
		other.Gateway = "kannel"
		for n, c := range []struct {
			m    sms.Incoming
			want bool
		}{{m, true}, {m, false}, {other, true}, {m, false}} {
			update(t, db, func(tx *store.Tx) error {
				first, err := tx.Receive(t.Context(), c.m, nil)
				if first != c.want {
					t.Errorf("delivery %d: first is %v, want %v", n, first, c.want)
				}
				return err
			})
		}
	})
}

func TestReferencesAreUniqueAndGrow(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		db := p.open(t)
		seen := map[string]bool{}
		for range 20 {
			update(t, db, func(tx *store.Tx) error {
				for range 500 {
					o := &order.Order{Kind: order.Freeze, State: order.Open}
					if err := tx.InsertOrder(t.Context(), o, nil); err != nil {
						return err
					}
					if seen[o.Ref] || !order.IsRef(o.Ref) || len(o.Ref) != order.RefLen(int64(len(seen))) {
						t.Errorf("reference %d is %q; before: %v", len(seen), o.Ref, seen[o.Ref])
					}
					seen[o.Ref] = true
				}
				return nil
			})
		}
	})
}

func TestSubscribersAreTold(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		db := p.open(t)
		v := settle(t, db)
		told, cancel := db.Subscribe(store.Books)
		update(t, db, func(tx *store.Tx) error { return tx.SetState(t.Context(), "dry", "yes") })
		select {
		case <-told:
			t.Error("told of what moved no money")
		default:
		}
		failed := errors.New("failed")
		if err := db.Update(t.Context(), func(tx *store.Tx) error {
			return errors.Join(post(t.Context(), tx, "a", v.emission, v.lenaAccount, 1), failed)
		}); !errors.Is(err, failed) {
			t.Error(err)
		}
		select {
		case <-told:
			t.Error("told of what was undone")
		default:
		}
		update(t, db, func(tx *store.Tx) error { return post(t.Context(), tx, "a", v.emission, v.lenaAccount, 1) })
		select {
		case <-told:
		case <-time.After(5 * time.Second):
			t.Error("not told that money moved")
		}
		cancel()
		db.Wake()
		select {
		case <-told:
			t.Error("told after the end of the subscription")
		default:
		}
	})
}
