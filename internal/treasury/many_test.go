package treasury_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/notice"
	"maillon/internal/order"
	"maillon/internal/phrase"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/sheet"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

var long = flag.Bool("long", false, "credit 100,000 members")

// A town is a server with two administrators.
type town struct {
	*server.Server
	t             testing.TB
	annaig, erwan *member.Member
}

func openTown(t testing.TB, path string) *town {
	t.Helper()
	book, err := phrase.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	set := setting.Default()
	set.Zone = time.UTC
	s, err := server.Open(t.Context(), server.Config{Path: path, Secret: store.Secret{1}, Settings: set, Book: book})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &town{Server: s, t: t}
	w.annaig = w.add("annaig", "0639980001", member.Admin)
	w.erwan = w.add("erwan", "0639980002", member.Treasurer)
	return w
}

func (w *town) update(do func(ctx context.Context, tx *store.Tx) error) {
	w.t.Helper()
	if err := w.try(do); err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) try(do func(ctx context.Context, tx *store.Tx) error) error {
	return w.DB.Update(w.t.Context(), func(tx *store.Tx) error { return do(w.t.Context(), tx) })
}

func number(t testing.TB, text string) sms.Number {
	t.Helper()
	n, err := sms.ParseNumber(text, "FR")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (w *town) add(nick, tel string, role member.Role) (m *member.Member) {
	w.t.Helper()
	w.update(func(ctx context.Context, tx *store.Tx) (err error) {
		m, err = w.Treasury.Add(ctx, tx, treasury.Operator, treasury.NewMember{
			Number: number(w.t, tel), Nick: nick, Role: role, Ceiling: w.maillons(200),
		})
		return err
	})
	return m
}

func (w *town) maillons(n int64) money.Amount { return money.New(n, w.Settings.Currency()) }

func (w *town) balance(m *member.Member) (n int64) {
	w.t.Helper()
	w.update(func(ctx context.Context, tx *store.Tx) error {
		a, err := w.Desk.Balance(ctx, tx, m, w.Settings.Currency())
		n = a.Minor()
		return err
	})
	return n
}

// proven checks that the books are what their journal says, and sum to zero.
func (w *town) proven() {
	w.t.Helper()
	if faults, err := w.DB.Verify(w.t.Context(), nil); err != nil || len(faults) > 0 {
		w.t.Errorf("Verify = %v, %v", faults, err)
	}
}

// outbox returns the texts that wait or went to somebody.
func (w *town) outbox(m *member.Member) (texts []string) {
	w.t.Helper()
	w.update(func(ctx context.Context, tx *store.Tx) error {
		all, err := tx.Outbox(ctx, 0, 10_000)
		for _, o := range all {
			if o.Member == m.ID {
				texts = append(texts, o.Text)
			}
		}
		return err
	})
	return texts
}

func (w *town) batch(text string) *treasury.Batch {
	w.t.Helper()
	lines, err := sheet.Read([]byte(text))
	if err != nil {
		w.t.Fatal(err)
	}
	return w.Treasury.Prepare(lines, w.Settings.Currency())
}

func (w *town) survey(text string) *treasury.Batch {
	w.t.Helper()
	b := w.batch(text)
	err := w.DB.View(w.t.Context(), func(tx *store.Tx) error { return b.Survey(w.t.Context(), tx) })
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// A dry run shows what would be done and what is wrong, line by line.
func TestASurveyTellsAll(t *testing.T) {
	w := openTown(t, store.Memory)
	lena, gwen, closed := w.add("lena", "0639980013", ""), w.add("gwen", "0639980014", ""), w.add("loic", "0639980015", "")
	w.update(func(ctx context.Context, tx *store.Tx) error {
		if err := w.Treasury.Freeze(ctx, tx, "operator", gwen, "theft"); err != nil {
			return err
		}
		if err := tx.Refuse(ctx, number(t, "0639980066")); err != nil {
			return err
		}
		if err := tx.Erase(ctx, closed, time.Time{}); err != nil {
			return err
		}
		_, err := w.Treasury.GrantOnce(ctx, tx, "operator", nil, lena, sms.Number{}, w.maillons(5), "atelier", "old")
		if err != nil {
			return err
		}
		_, err = w.Treasury.GrantOnce(ctx, tx, "operator", nil, lena, sms.Number{}, w.maillons(5), "atelier", "older")
		return err
	})
	b := w.survey(strings.Join([]string{
		"numero_ou_pseudo;montant;motif;cle",
		"Lena;20;atelier;a1",            // 2: good
		"06 39 98 00 50;7;bienvenue;a2", // 3: a new account
		"+33639980050;1;bienvenue;a3",   // 4: the same
		"lena;20;atelier;a1",            // 5: twice, harmless
		"lena;5;atelier;old",            // 6: done before
		"lena;21;atelier;a1",            // 7: another credit, same key
		"lena;6;atelier;older",          // 8: another credit, old key
		"nobody;1;x;b1", "0298000000;1;x;b2", "gwen;1;x;b3", "0639980066;1;x;b4", "member:" + fmt.Sprint(closed.ID) + ";1;x;b5",
		"lena;1.000;x;b6", "lena;1;=cmd|' /C calc'!A0;b7", "lena;1;x;",
	}, "\r\n"))
	if b.Lines() != 15 || b.New != 3 || b.Total != w.maillons(28) || b.Opened != 1 || b.Again != 2 || b.Faulty != 10 {
		t.Errorf("surveyed %d lines, %d new, %s, %d accounts, %d again, %d faulty", b.Lines(), b.New, b.Total, b.Opened, b.Again, b.Faulty)
	}
	var got []string
	for _, f := range b.Faults {
		got = append(got, fmt.Sprintf("%d %s", f.Line, f.What))
	}
	want := "7 twice,8 used,9 unknown,10 unknown,11 frozen,12 refused,13 closed,14 ambiguous,15 formula,16 key"
	if s := strings.Join(got, ","); s != want {
		t.Errorf("faults %s\nwant   %s", s, want)
	}
}

const pay = "numero_ou_pseudo;montant;motif;cle\nlena;20;atelier;m1\n0639980050;7;bienvenue;m2\n0639980050;3;encore;m3\n"

// All lines are credited or none, and a second upload does nothing.
func TestManyAreCreditedTogetherAndOnce(t *testing.T) {
	w := openTown(t, store.Memory)
	lena := w.add("lena", "0639980013", "")
	err := w.try(func(ctx context.Context, tx *store.Tx) error {
		_, err := w.Treasury.GrantMany(ctx, tx, "operator", nil, w.batch(pay+"nobody;1;x;m4\n"), "March")
		return err
	})
	if !errors.Is(err, treasury.ErrFaults) || w.balance(lena) != 0 {
		t.Errorf("with one line that cannot be: %v, lena has %d", err, w.balance(lena))
	}
	for round := range 2 {
		b := w.batch(pay)
		w.update(func(ctx context.Context, tx *store.Tx) error {
			refs, err := w.Treasury.GrantMany(ctx, tx, "operator", nil, b, "March")
			if want := []int{3, 0}[round]; len(refs) != want {
				t.Errorf("round %d: %d credits, want %d", round, len(refs), want)
			}
			return err
		})
	}
	if n := w.balance(lena); n != 20 {
		t.Errorf("lena has %d, want 20", n)
	}
	if texts := w.outbox(lena); len(texts) != 1 || !strings.Contains(texts[0], "20 m") {
		t.Errorf("lena reads %q, want one text of 20 m", texts)
	}
	w.proven()
}

// A file above the threshold waits for a second person. What waits holds no
// name, number or reason that anybody could read.
func TestAboveTheThresholdTwoPersonsCredit(t *testing.T) {
	w := openTown(t, store.Memory)
	lena := w.add("lena", "0639980013", "")
	b := w.survey(strings.ReplaceAll(pay, "lena;20", "lena;600"))
	var id int64
	w.update(func(ctx context.Context, tx *store.Tx) error {
		second, err := w.Treasury.NeedsSecond(ctx, tx, w.erwan, b)
		if err != nil || !second {
			t.Errorf("610 maillons need a second person: %v, %v", second, err)
		}
		if id, err = w.Treasury.ProposeMany(ctx, tx, w.erwan, b, "March"); err != nil {
			return err
		}
		p, err := tx.Proposal(ctx, id)
		for _, secret := range []string{"39980050", "atelier", "bienvenue"} {
			if strings.Contains(string(p.Payload), secret) {
				t.Errorf("%q stands in the proposal", secret)
			}
		}
		if n, opened, total, err := treasury.ProposedMany(p); n != 3 || opened != 1 || total != w.maillons(610) || err != nil {
			t.Errorf("it says %d lines, %d accounts, %s, %v", n, opened, total, err)
		}
		return err
	})
	approve := func(by *member.Member) error {
		return w.try(func(ctx context.Context, tx *store.Tx) error { return w.Treasury.Approve(ctx, tx, treasury.By(by), id) })
	}
	if err := approve(w.erwan); !errors.Is(err, treasury.ErrSecond) {
		t.Errorf("who proposed approves: %v, want ErrSecond", err)
	}
	w.update(func(ctx context.Context, tx *store.Tx) error { return w.Treasury.Pause(ctx, tx, "operator") })
	if err := approve(w.annaig); err == nil {
		t.Error("approved while payments are paused")
	}
	w.update(func(ctx context.Context, tx *store.Tx) error { return tx.SetPaused(ctx, time.Time{}) })
	if err := approve(w.annaig); err != nil {
		t.Fatal(err)
	}
	if err := approve(w.annaig); !errors.Is(err, treasury.ErrDecided) || w.balance(lena) != 600 {
		t.Errorf("approved twice: %v, lena has %d, want 600", err, w.balance(lena))
	}
	w.proven()
}

// One credit within the ceiling is made at once; one above is held for a second
// person, who is another one. A form that comes twice does it once.
func TestAboveTheCeilingACreditIsHeld(t *testing.T) {
	w := openTown(t, store.Memory)
	lena := w.add("lena", "0639980013", "")
	credit := func(n int64, name string) (o *order.Order, err error) {
		err = w.try(func(ctx context.Context, tx *store.Tx) error {
			o, err = w.Treasury.Credit(ctx, tx, w.erwan, treasury.CreditAsked{Payee: lena, Amount: w.maillons(n), Reason: "atelier", Name: name})
			return err
		})
		return o, err
	}
	if o, err := credit(150, "a"); err != nil || o.State == order.Held {
		t.Fatalf("150 of 200: %v, %v", o, err)
	}
	if _, err := credit(150, "a"); !errors.Is(err, ledger.ErrDuplicate) {
		t.Errorf("the form twice: %v, want ErrDuplicate", err)
	}
	o, err := credit(51, "b")
	if err != nil || o.State != order.Held || w.balance(lena) != 150 {
		t.Fatalf("51 more: %v, %v; lena has %d", o, err, w.balance(lena))
	}
	if _, err := credit(51, "b"); !errors.Is(err, ledger.ErrDuplicate) {
		t.Errorf("the form twice: %v, want ErrDuplicate", err)
	}
	review := func(admin *member.Member) error {
		return w.try(func(ctx context.Context, tx *store.Tx) error {
			return w.Treasury.Review(ctx, tx, treasury.By(admin), admin, o.Ref, true, "")
		})
	}
	if err := review(w.erwan); !errors.Is(err, treasury.ErrSecond) {
		t.Errorf("who asked releases: %v, want ErrSecond", err)
	}
	if err := review(w.annaig); err != nil || w.balance(lena) != 201 {
		t.Errorf("released: %v; lena has %d, want 201", err, w.balance(lena))
	}
	w.update(func(ctx context.Context, tx *store.Tx) error { return w.Treasury.Pause(ctx, tx, "operator") })
	if _, err := credit(1, "c"); !errors.Is(err, &notice.Refusal{}) {
		if r, ok := errors.AsType[*notice.Refusal](err); !ok || r.Key != "pause" {
			t.Errorf("while paused: %v, want the refusal", err)
		}
	}
	w.proven()
}

// TestALongFile credits 100,000 members; it says what that costs.
func TestALongFile(t *testing.T) {
	if testing.Short() || !*long {
		t.Skip("with -long")
	}
	w := openTown(t, filepath.Join(t.TempDir(), "books.db"))
	const n = sheet.MaxLines
	for from := 0; from < n; from += 1000 {
		w.update(func(ctx context.Context, tx *store.Tx) error {
			for i := from; i < from+1000; i++ {
				m := &member.Member{State: member.Active, Number: number(t, fmt.Sprintf("+3364%07d", i)), Language: "fr"}
				if err := tx.CreateMember(ctx, m); err != nil {
					return err
				}
			}
			return nil
		})
	}
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "064%07d;%d;atelier vélo du samedi;2026-03-%d\r\n", i, 1+i%50, i)
	}
	began := time.Now()
	lap := func(what string) {
		t.Logf("%-10s %v", what, time.Since(began).Round(time.Millisecond))
		began = time.Now()
	}
	b := w.batch(text.String())
	lap("read")
	if err := w.DB.View(t.Context(), func(tx *store.Tx) error { return b.Survey(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
	lap("dry run")
	w.update(func(ctx context.Context, tx *store.Tx) error {
		_, err := w.Treasury.GrantMany(ctx, tx, "operator", nil, b, "March")
		lap("in it")
		return err
	})
	lap("commit")
	b = w.survey(text.String())
	lap("again")
	if b.Again != n {
		t.Errorf("%d done before, want all", b.Again)
	}
	w.proven()
	lap("proven")
}
