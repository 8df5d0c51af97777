package sentry_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"maillon/internal/guard"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/phrase"
	"maillon/internal/sentry"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

const boss = "+33639980200"

// A house is a server with members, and a sentry that looks when told.
type house struct {
	*server.Server
	*sentry.Sentry
	t    *testing.T
	n    int
	nick map[string]*member.Member
}

func numberOf(n int) string { return fmt.Sprintf("+3363998%04d", n) }

// in runs a test in the house, where rules act from the first day.
func in(t *testing.T, where string, test func(t *testing.T, h *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		book, err := phrase.Shipped()
		if err != nil {
			t.Fatal(err)
		}
		set := setting.Default()
		set.Rules, set.Confirm, set.AlertPhones, set.Zone = setting.Act, setting.Off, []string{boss}, time.UTC
		set.Flood.N = 1000
		s, err := server.Open(t.Context(), server.Config{Path: where, Secret: store.Secret{1}, Settings: set, Book: book, Alone: true})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}()
		h := &house{Server: s, Sentry: sentry.New(s.DB, s.Desk), t: t, nick: map[string]*member.Member{}}
		h.update(func(ctx context.Context, tx *store.Tx) error {
			for n, name := range []string{"ana", "ben", "cat", "dan", "eve", "fay"} {
				to, err := sms.FromE164(numberOf(n))
				if err != nil {
					return err
				}
				m, err := s.Treasury.Add(ctx, tx, treasury.Operator, treasury.NewMember{Number: to, Nick: name})
				if err != nil {
					return err
				}
				m.OpenedAt = tx.Now().AddDate(-1, 0, 0)
				if err := tx.SaveMember(ctx, m); err != nil {
					return err
				}
				h.nick[name] = m
				if _, err := s.Treasury.Grant(ctx, tx, treasury.Operator, nil, m, sms.Number{}, money.New(300, set.Currency()), "work"); err != nil {
					return err
				}
			}
			return nil
		})
		h.round() // what was there before is not told
		test(t, h)
	})
}

func (h *house) update(do func(ctx context.Context, tx *store.Tx) error) {
	h.t.Helper()
	if err := h.DB.Update(h.t.Context(), func(tx *store.Tx) error { return do(h.t.Context(), tx) }); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) round() {
	h.t.Helper()
	if err := h.Round(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

// text lets a member write; sent says when the service centre took it.
func (h *house) text(name, text string, sent time.Time) {
	h.t.Helper()
	h.n++
	h.again(name, text, sent, h.n)
}

// again lets the gateway deliver an SMS, with the key that it has.
func (h *house) again(name, text string, sent time.Time, key int) {
	h.t.Helper()
	err := h.Teller.Receive(h.t.Context(), sms.Incoming{
		Gateway: "modem", Key: fmt.Sprint(key), From: h.nick[name].Number.E164(), To: boss, Text: text, SentAt: sent,
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// alerts returns the alerts of a rule, with their facts, the newest first.
func (h *house) alerts(rule string) (all []store.Alert) {
	h.t.Helper()
	err := h.DB.View(h.t.Context(), func(tx *store.Tx) (err error) {
		all, err = tx.Alerts(h.t.Context(), store.AlertsWhere{Rule: rule}, 100)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return all
}

// fired checks how often a rule has fired, and what it did.
func (h *house) fired(rule string, want int, act guard.Act) {
	h.t.Helper()
	h.round()
	all := h.alerts(rule)
	if len(all) != want {
		h.t.Errorf("%s fired %d times, want %d: %+v", rule, len(all), want, all)
	}
	for _, a := range all {
		if a.Act != act {
			h.t.Errorf("%s did %v, want %v", rule, a.Act, act)
		}
	}
}

// DUP1: of 20 SMS one that comes twice is 5 %, which just does not fire; a second
// one does, once an hour.
func TestRepeatedDeliveries(t *testing.T) {
	in(t, store.Memory, func(_ *testing.T, h *house) {
		for range 20 {
			h.text("ana", "solde", time.Now())
		}
		h.again("ana", "solde", time.Now(), 1)
		h.fired("DUP1", 0, guard.Warn)
		h.again("ana", "solde", time.Now(), 2)
		h.fired("DUP1", 1, guard.Warn)
		h.fired("DUP1", 1, guard.Warn)
	})
}

// CLK1: the median of ten times is 5 minutes away, or more.
func TestTheClockOfAServiceCentre(t *testing.T) {
	for apart, want := range map[time.Duration]int{5 * time.Minute: 0, 5*time.Minute + time.Second: 1, -6 * time.Minute: 1} {
		in(t, store.Memory, func(_ *testing.T, h *house) {
			for n := range 10 {
				sent := time.Now().Add(-apart)
				if n > 5 {
					sent = time.Now()
				}
				h.text("ana", "solde", sent)
			}
			h.fired("CLK1", want, guard.Warn)
		})
	}
}

// SMS1: after two weeks of one SMS in this hour of the day, 51 are too many, and
// then only codes leave for an hour; 50 just are not.
func TestAFloodOfMessages(t *testing.T) {
	for n, want := range map[int]int{50: 0, 51: 1} {
		in(t, store.Memory, func(t *testing.T, h *house) {
			time.Sleep(30 * time.Minute)
			for range 15 {
				h.text("ana", "solde", time.Now())
				time.Sleep(24 * time.Hour)
			}
			for range n {
				h.text("ben", "solde", time.Now())
				time.Sleep(time.Second)
			}
			h.fired("SMS1", want, guard.Hold)
			h.update(func(ctx context.Context, tx *store.Tx) error {
				r, err := tx.Regime(ctx)
				if scarce := r.Plenty.After(tx.Now()); scarce != (want > 0) {
					t.Errorf("after %d messages only codes leave: %v", n, scarce)
				}
				return err
			})
		})
	}
}

// CIR1: 101 that come back in three steps are reported, once; 100 are not.
func TestMoneyThatGoesRound(t *testing.T) {
	for sum, want := range map[int]int{100: 0, 101: 1} {
		in(t, store.Memory, func(t *testing.T, h *house) {
			for _, step := range [][2]string{{"ana", "ben"}, {"ben", "cat"}, {"cat", "ana"}, {"dan", "eve"}} {
				h.text(step[0], fmt.Sprintf("vir %d @%s", sum, step[1]), time.Now())
				time.Sleep(time.Minute)
			}
			h.fired("CIR1", want, guard.Log)
			h.fired("CIR1", want, guard.Log)
			for _, a := range h.alerts("CIR1") {
				if a.About != h.nick["ana"].ID || len(strings.Fields(a.Facts[0].Value)) != 3 {
					t.Errorf("the loop is told as %+v", a)
				}
			}
		})
	}
}

// INT1: one unit more by hand, and all payments stop; sound books go on. While
// its alert is open, it is told once.
func TestBooksThatDoNotHold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "books.db")
	in(t, path, func(t *testing.T, h *house) {
		h.fired("INT1", 0, guard.Pause)
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		if _, err := db.ExecContext(t.Context(), `UPDATE account SET balance = balance + 1 WHERE member > 0 AND id = (SELECT max(id) FROM account)`); err != nil {
			t.Fatal(err)
		}
		h.fired("INT1", 1, guard.Pause)
		h.fired("INT1", 1, guard.Pause)
		h.update(func(ctx context.Context, tx *store.Tx) error {
			since, err := tx.Paused(ctx)
			if since.IsZero() {
				t.Error("payments go on")
			}
			return err
		})
	})
}

// What is said of the past is what the rules wrote down while it was the present.
func TestThePastIsWhatWasLogged(t *testing.T) {
	in(t, store.Memory, func(t *testing.T, h *house) {
		h.Settings.Rules = setting.Log
		defer h.Past.Close()
		pays := func(from, to string, sum int) { h.text(from, fmt.Sprintf("vir %d %s", sum, to), time.Now()) }
		names := []string{"@ana", "@ben", "@cat", "@dan", "@eve"}
		for n := range 100 { // every day life, by night too
			pays(strings.TrimPrefix(names[n%5], "@"), names[(n+1+n/5%4)%5], 1+n*37%60)
			time.Sleep(time.Duration(n*7919%5400) * time.Second)
		}
		for n := range 8 { // in a hurry
			pays("ana", "@ben", 1+n)
			time.Sleep(70 * time.Second)
		}
		for range 5 { // just below the limit of a first payment
			pays("ben", "@cat", 46)
			time.Sleep(time.Hour)
		}
		for _, to := range []string{"ben", "cat", "dan", "eve", "fay"} { // into one account, and out of it
			pays(to, "@ana", 10)
			time.Sleep(time.Minute)
		}
		pays("ana", "@eve", 39)
		pays("ana", "@eve", 2)
		time.Sleep(24 * time.Hour)
		pays("fay", "@dan", 190)
		time.Sleep(24 * time.Hour)
		pays("fay", "@dan", 80) // nearly all
		time.Sleep(12 * time.Hour)
		time.Sleep(time.Until(time.Now().Truncate(time.Hour).Add(time.Hour)))
		for n := range 12 { // many new accounts
			pays([]string{"ana", "cat", "dan", "eve"}[n/3], fmt.Sprintf("06399%05d", 81000+n), 5)
			time.Sleep(time.Minute)
		}
		for _, id := range []string{"VEL1", "NGT1", "STR1", "MUL1", "DRA1", "BUR2"} {
			rule, _ := guard.RuleOf(id)
			for !h.Past.Ask(id, rule.Default().At).Ready {
				time.Sleep(time.Second)
			}
			got, want := h.Past.Ask(id, rule.Default().At), 0
			for _, a := range h.alerts(id) {
				if a.Act == guard.Log {
					want++
				}
			}
			if got.N != want || got.Cut || want == 0 {
				t.Errorf("%s would have caught %d, it wrote down %d", id, got.N, want)
			}
		}
	})
}

// SIM1: another language after 30 days of silence is written down; the same one,
// or after 29 days, is not.
func TestOtherHabits(t *testing.T) {
	for _, c := range []struct {
		days, want int
		text       string
	}{{30, 1, "balance"}, {30, 0, "solde"}, {29, 0, "balance"}} {
		in(t, store.Memory, func(_ *testing.T, h *house) {
			h.text("ana", "solde", time.Now())
			time.Sleep(time.Duration(c.days) * 24 * time.Hour)
			h.text("ana", c.text, time.Now())
			h.fired("SIM1", c.want, guard.Log)
		})
	}
}
