package treasury_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"maillon/internal/charter"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

func (w *town) decide(change func(*charter.Charter)) {
	w.t.Helper()
	w.update(func(ctx context.Context, tx *store.Tx) error {
		return w.Treasury.SetCharter(ctx, tx, "operator", "assembly", func(c *charter.Charter) error { change(c); return nil })
	})
}

func (w *town) credit(m *member.Member, n int64) {
	w.t.Helper()
	w.update(func(ctx context.Context, tx *store.Tx) error {
		_, err := w.Treasury.Grant(ctx, tx, "operator", nil, m, sms.Number{}, w.maillons(n), "atelier")
		return err
	})
}

func (w *town) pot(name string) (n int64) {
	w.t.Helper()
	w.update(func(ctx context.Context, tx *store.Tx) error {
		all, err := w.Treasury.Pots(ctx, tx)
		for _, p := range all {
			if p.Name == name {
				n = p.Balance.Minor()
			}
		}
		return err
	})
	return n
}

// Demurrage takes its rate of what slept at the end of the month, above the free
// base, from whoever is in no exempt group; once, however often it is run.
func TestDemurrageMeltsOnceAMonth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := openTown(t, store.Memory)
		lena, gwen, shop := w.add("lena", "0639980013", ""), w.add("gwen", "0639980014", ""), w.add("velos", "0639980015", "")
		w.decide(func(c *charter.Charter) {
			c.Groups = []charter.Group{{Name: "marchands", Exempt: true}}
			c.Pots = []charter.Pot{{Name: "cargo", Title: "vélo cargo", Goal: 400}}
			c.Demurrage = charter.Demurrage{On: true, Rate: 200, Free: 20, Pot: "cargo", Since: charter.PeriodOf(time.Now(), time.UTC)}
		})
		w.update(func(ctx context.Context, tx *store.Tx) error {
			return w.Treasury.SetGroup(ctx, tx, "operator", shop, "marchands")
		})
		for m, n := range map[*member.Member]int64{lena: 145, gwen: 120, shop: 1000} {
			w.credit(m, n)
		}
		month := charter.PeriodOf(time.Now(), time.UTC)
		if _, err := w.Treasury.MeltAll(t.Context(), w.DB, "operator", month); !errors.Is(err, treasury.ErrNotYet) {
			t.Errorf("in the middle of the month: %v, want ErrNotYet", err)
		}
		time.Sleep(time.Until(month.Add(1).Start(time.UTC)) + time.Hour)
		w.credit(gwen, 500) // after the month: it did not sleep
		var foreseen treasury.Melt
		w.update(func(ctx context.Context, tx *store.Tx) (err error) {
			foreseen, err = w.Treasury.ForeseeDemurrage(ctx, tx, month)
			return err
		})
		for round := range 2 {
			got, err := w.Treasury.MeltAll(t.Context(), w.DB, "operator", month)
			if err != nil {
				t.Fatal(err)
			}
			if round == 0 && got != foreseen {
				t.Errorf("took %+v, foresaw %+v", got, foreseen)
			}
			// Of lena 2 % of 125 is 2.5, to the even 2; of gwen 2 % of 100.
			if w.balance(lena) != 143 || w.balance(gwen) != 618 || w.balance(shop) != 1000 || w.pot("cargo") != 4 {
				t.Errorf("round %d: lena %d, gwen %d, shop %d, pot %d", round, w.balance(lena), w.balance(gwen), w.balance(shop), w.pot("cargo"))
			}
		}
		if _, err := w.Treasury.MeltAll(t.Context(), w.DB, "operator", month.Add(-1)); !errors.Is(err, treasury.ErrNotYet) {
			t.Errorf("a month before the first: %v, want ErrNotYet", err)
		}
		if texts := w.outbox(lena); !strings.Contains(texts[len(texts)-1], "-2 m (2% de ce qui dort). Nouveau solde 143 m") {
			t.Errorf("lena reads %q", texts)
		}
		w.update(func(ctx context.Context, tx *store.Tx) error { return w.Treasury.Pause(ctx, tx, "operator") })
		if _, err := w.Treasury.MeltAll(t.Context(), w.DB, "operator", month); err == nil {
			t.Error("it ran while payments are paused")
		}
		w.proven()
	})
}

// Whatever people have and whatever the rate: the sum stays zero, nobody falls
// below the free base by it, and the pot gets what the others lost.
func TestDemurrageCreatesAndLosesNothing(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			w := openTown(t, store.Memory)
			free := rapid.Int64Range(0, 50).Draw(r, "free")
			w.decide(func(c *charter.Charter) {
				c.Demurrage = charter.Demurrage{
					On: true, Rate: rapid.IntRange(1, charter.MaxRate).Draw(r, "rate"), Free: free, Since: charter.PeriodOf(time.Now(), time.UTC),
				}
			})
			var all []*member.Member
			for n := range rapid.IntRange(1, 5).Draw(r, "members") {
				m := w.add(fmt.Sprintf("nick%d", n), fmt.Sprintf("06399801%02d", n), "")
				if sum := rapid.Int64Range(0, 300).Draw(r, "sum"); sum > 0 {
					w.credit(m, sum)
				}
				all = append(all, m)
			}
			for range rapid.IntRange(1, 4).Draw(r, "months") {
				month := charter.PeriodOf(time.Now(), time.UTC)
				time.Sleep(time.Until(month.Add(1).Start(time.UTC)))
				before, pot, lost := map[member.ID]int64{}, w.pot(""), int64(0)
				for _, m := range all {
					before[m.ID] = w.balance(m)
				}
				got, err := w.Treasury.MeltAll(t.Context(), w.DB, "operator", month)
				if err != nil {
					r.Fatal(err)
				}
				for _, m := range all {
					after := w.balance(m)
					lost += before[m.ID] - after
					if after > before[m.ID] || after < min(before[m.ID], free) {
						r.Fatalf("%d became %d, free %d", before[m.ID], after, free)
					}
				}
				if lost != got.Total.Minor() || w.pot("")-pot != lost {
					r.Fatalf("lost %d, told %s, the pot got %d", lost, got.Total, w.pot("")-pot)
				}
			}
			w.proven()
		})
	})
}

// A new member gets the starting credit of the group once, and nobody gets one
// as long as none is decided.
func TestStartingCreditIsGivenOnce(t *testing.T) {
	w := openTown(t, store.Memory)
	if n := w.balance(w.add("early", "0639980010", "")); n != 0 {
		t.Errorf("before anything is decided: %d", n)
	}
	w.decide(func(c *charter.Charter) { c.Groups = []charter.Group{{Start: 10, Why: "bienvenue"}} })
	lena := w.add("lena", "0639980013", "")
	if n := w.balance(lena); n != 10 {
		t.Errorf("lena begins with %d, want 10", n)
	}
	var gift *member.Member
	w.update(func(ctx context.Context, tx *store.Tx) (err error) {
		if err := w.Desk.Start(ctx, tx, lena); err != nil {
			return err
		}
		if _, err := w.Treasury.Grant(ctx, tx, "operator", nil, nil, number(t, "0639980044"), w.maillons(3), "cadeau"); err != nil {
			return err
		}
		gift, err = tx.MemberByNumber(ctx, number(t, "0639980044"))
		return err
	})
	if w.balance(lena) != 10 || w.balance(gift) != 3 {
		t.Errorf("lena %d, who has not said yes %d; want 10 and 3", w.balance(lena), w.balance(gift))
	}
	w.update(func(ctx context.Context, tx *store.Tx) error { return w.Desk.Accept(ctx, tx, gift) })
	if w.balance(gift) != 13 {
		t.Errorf("after yes: %d, want 13", w.balance(gift))
	}
	w.proven()
}

// A pot is filled and pays out, never more than is in it, and a form that comes
// twice does it once.
func TestAPotTakesAndGives(t *testing.T) {
	w := openTown(t, store.Memory)
	lena := w.add("lena", "0639980013", "")
	w.decide(func(c *charter.Charter) { c.Pots = []charter.Pot{{Name: "cargo", Title: "vélo cargo", Goal: 400}} })
	fill := func(n int64, name string) error {
		return w.try(func(ctx context.Context, tx *store.Tx) error {
			_, err := w.Treasury.FillPot(ctx, tx, w.annaig, treasury.PotMove{Pot: "cargo", From: store.Emission, Amount: w.maillons(n), Reason: "fête", Name: name})
			return err
		})
	}
	give := func(n int64, name string) error {
		return w.try(func(ctx context.Context, tx *store.Tx) error {
			_, err := w.Treasury.PayFromPot(ctx, tx, w.annaig, lena, treasury.PotMove{Pot: "cargo", Amount: w.maillons(n), Reason: "roues", Name: name})
			return err
		})
	}
	for name, c := range map[string]struct {
		got  error
		want error
	}{
		"fill":              {fill(120, "a"), nil},
		"fill twice":        {fill(120, "a"), ledger.ErrDuplicate},
		"above the ceiling": {fill(100, "b"), treasury.ErrBeyond},
		"give too much":     {give(121, "c"), ledger.ErrInsufficient},
		"give":              {give(20, "d"), nil},
		"a pot of nobody": {w.try(func(ctx context.Context, tx *store.Tx) error {
			_, err := w.Treasury.PayFromPot(ctx, tx, w.annaig, lena, treasury.PotMove{Pot: "x", Amount: w.maillons(1), Reason: "r"})
			return err
		}), charter.ErrNoPot},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: %v, want %v", name, c.got, c.want)
		}
	}
	if w.pot("cargo") != 100 || w.balance(lena) != 20 {
		t.Errorf("pot %d, lena %d; want 100 and 20", w.pot("cargo"), w.balance(lena))
	}
	w.proven()
}

// An account may go below zero only as far as was decided.
func TestALimitIsDecided(t *testing.T) {
	w := openTown(t, store.Memory)
	lena := w.add("lena", "0639980013", "")
	limit := func(n int64) error {
		return w.try(func(ctx context.Context, tx *store.Tx) error {
			return w.Treasury.SetLimit(ctx, tx, "operator", lena, w.maillons(n), "board")
		})
	}
	if err := limit(30); !errors.Is(err, treasury.ErrOff) {
		t.Errorf("while it is off: %v, want ErrOff", err)
	}
	w.decide(func(c *charter.Charter) { c.Mutual = charter.Mutual{On: true, Soft: 20, Hard: 50} })
	if err := limit(51); !errors.Is(err, treasury.ErrBeyond) {
		t.Errorf("beyond the hard limit: %v, want ErrBeyond", err)
	}
	if err := limit(50); err != nil {
		t.Fatal(err)
	}
	w.update(func(ctx context.Context, tx *store.Tx) error {
		a, err := tx.AccountOf(ctx, lena.ID, w.Settings.Currency())
		if a.Spendable() != w.maillons(50) {
			t.Errorf("lena may spend %s, want 50", a.Spendable())
		}
		return err
	})
	w.proven()
}

// A message goes to all who want notices, each at a moment of its own, in one
// SMS, once; to many only after a second person said so.
func TestAMessageToAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := openTown(t, store.Memory)
		w.decide(func(c *charter.Charter) {
			five := 5
			c.Second.Readers, c.Messages = &five, charter.Messages{PerHour: 60, Cost: 45}
		})
		lena, muted := w.add("lena", "0639980013", ""), w.add("gwen", "0639980014", "")
		w.update(func(ctx context.Context, tx *store.Tx) error {
			lena.Word, muted.Muted = "tulipe", true
			return errors.Join(tx.SaveMember(ctx, lena), tx.SaveMember(ctx, muted))
		})
		time.Sleep(9 * time.Hour) // synctest begins at midnight
		announce := func(text, name string) (n int, proposed bool, err error) {
			err = w.try(func(ctx context.Context, tx *store.Tx) error {
				n, proposed, err = w.Treasury.Announce(ctx, tx, "member:1", treasury.Announcement{Texts: map[string]string{"fr": text}, Name: name}, "assembly")
				return err
			})
			return n, proposed, err
		}
		for _, text := range []string{"", "chaîne", strings.Repeat("x", 153), "two\nlines"} {
			if _, _, err := announce(text, "bad"); !errors.Is(err, treasury.ErrText) {
				t.Errorf("%.10q: %v, want ErrText", text, err)
			}
		}
		if n, proposed, err := announce(strings.Repeat("x", 152), "one"); n != 3 || proposed || err != nil {
			t.Errorf("to three: %d, %v, %v", n, proposed, err)
		}
		if _, _, err := announce(strings.Repeat("x", 152), "one"); !errors.Is(err, ledger.ErrDuplicate) {
			t.Errorf("the form twice: %v, want ErrDuplicate", err)
		}
		if got := w.outbox(lena); len(got) != 1 || got[0] != "tulipe: "+strings.Repeat("x", 152) || len(w.outbox(muted)) != 0 {
			t.Errorf("lena reads %q, the muted %q", got, w.outbox(muted))
		}
		w.update(func(ctx context.Context, tx *store.Tx) error {
			all, err := tx.Outbox(ctx, 0, 10)
			for n, o := range all {
				if want := time.Duration(n) * time.Minute; o.Next.Sub(all[0].Next) != want || o.Priority != sms.Notice {
					t.Errorf("message %d leaves after %v, want %v", n, o.Next.Sub(all[0].Next), want)
				}
			}
			return err
		})
		for n := range 5 {
			w.add(fmt.Sprintf("nick%d", n), fmt.Sprintf("06399801%02d", n), "")
		}
		n, proposed, err := announce("Bal samedi", "two")
		if n != 8 || !proposed || err != nil {
			t.Fatalf("to eight: %d, %v, %v; want a proposal", n, proposed, err)
		}
		w.update(func(ctx context.Context, tx *store.Tx) error {
			all, err := tx.Proposals(ctx)
			if err != nil || len(all) != 1 {
				return fmt.Errorf("%d proposals, %w", len(all), err)
			}
			return w.Treasury.Approve(ctx, tx, "member:2", all[0].ID)
		})
		if got := w.outbox(lena); len(got) != 2 {
			t.Errorf("lena reads %q", got)
		}
		w.update(func(ctx context.Context, tx *store.Tx) error {
			r, err := w.Treasury.Reach(ctx, tx, treasury.Announcement{Texts: map[string]string{"fr": "Bal"}})
			if r.Total != 8 || r.Cost != 8*45 || !r.Second || r.Till.Sub(tx.Now()).Round(time.Minute) != 7*time.Minute {
				t.Errorf("reach: %+v", r)
			}
			return err
		})
	})
}

// What the charter counts in whole units is that of the currency.
func TestTheCharterCountsWholeUnits(t *testing.T) {
	c := money.Currency{Code: "HEURE", Decimals: 2}
	if got := setting.Whole(20, c).Minor(); got != 2000 {
		t.Errorf("20 whole units are %d", got)
	}
}
