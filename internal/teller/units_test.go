package teller_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/phrase"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// A counter is where yann and lena pay each other in maillons and in hours,
// which have two decimals, and annaig administers.
type counter struct {
	*server.Server
	t      *testing.T
	people map[string]sms.Number
	seen   int64
	key    int
}

func newCounter(t *testing.T) *counter {
	t.Helper()
	time.Sleep(time.Until(time.Date(2026, 3, 28, 14, 0, 0, 0, time.UTC)))
	secret, err := store.NewSecret()
	if err != nil {
		t.Fatal(err)
	}
	book, err := phrase.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	set := setting.Default()
	set.Units = append(set.Units, setting.Unit{Name: "heure", Plural: "heures", Symbol: "h", Decimals: 2})
	s, err := server.Open(t.Context(), server.Config{Path: store.Memory, Secret: secret, Settings: set, Book: book})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	c := &counter{Server: s, t: t, people: map[string]sms.Number{}}
	for i, nick := range []string{"yann", "lena", "annaig"} {
		n := treasury.NewMember{Nick: nick}
		if n.Number, err = sms.FromE164(fmt.Sprintf("+336399800%02d", i+1)); err != nil {
			t.Fatal(err)
		}
		if nick == "annaig" {
			n.Role, n.Ceiling = member.Admin, money.New(20, set.Currency())
		}
		c.people[nick] = n.Number
		c.update(func(ctx context.Context, tx *store.Tx) error {
			m, err := s.Treasury.Add(ctx, tx, treasury.Operator, n)
			if err != nil {
				return err
			}
			for _, u := range set.Units {
				if _, err := s.Treasury.Grant(ctx, tx, treasury.Operator, nil, m, sms.Number{}, setting.Whole(100, u.Currency()), "pour commencer"); err != nil {
					return err
				}
			}
			return nil
		})
	}
	c.heard("yann")
	return c
}

func (c *counter) update(do func(context.Context, *store.Tx) error) {
	c.t.Helper()
	ctx := context.Background()
	if err := c.DB.Update(ctx, func(tx *store.Tx) error { return do(ctx, tx) }); err != nil {
		c.t.Fatal(err)
	}
}

// says lets somebody write, and returns what he hears.
func (c *counter) says(who, text string) string {
	c.t.Helper()
	c.key++
	m := sms.Incoming{Gateway: "virtual", Key: fmt.Sprint(c.key), From: c.people[who].E164(), Text: text, SentAt: time.Now()}
	if err := c.Teller.Receive(context.Background(), m); err != nil {
		c.t.Fatalf("Receive(%q) = %v", text, err)
	}
	return c.heard(who)
}

// heard returns what was sent to somebody since the last time.
func (c *counter) heard(who string) string {
	c.t.Helper()
	var all []string
	ctx := context.Background()
	err := c.DB.View(ctx, func(tx *store.Tx) error {
		out, err := tx.Outbox(ctx, c.seen, 1000)
		for _, o := range out {
			c.seen = o.ID
			if o.To == c.people[who] {
				all = append(all, o.Text)
			}
		}
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.Join(all, "\n")
}

// code is what somebody would send back.
func code(t *testing.T, text string) string {
	t.Helper()
	found := regexp.MustCompile(`\d{3} \d{3}`).FindString(text)
	if found == "" {
		t.Fatalf("no code in %q", text)
	}
	return found
}

func wants(t *testing.T, got, part string) {
	t.Helper()
	if !strings.Contains(got, part) {
		t.Errorf("got %q, want %q in it", got, part)
	}
}

// The most that may be paid to a new member on the first day holds in each
// unit: having paid a little in one does not open the other.
func TestFirstDayHoldsInEveryUnit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounter(t)
		wants(t, c.says("yann", code(t, c.says("yann", "vir 1 m @lena"))), "Payé: 1 m")
		wants(t, c.says("yann", "vir 51 h @lena"), "50 h maximum aujourd'hui")
		wants(t, c.says("yann", code(t, c.says("yann", "vir 40 h @lena"))), "Payé: 40 h à lena")
		wants(t, c.says("yann", "vir 11 h @lena"), "50 h maximum aujourd'hui")
		wants(t, c.says("yann", "vir 50 m @lena"), "50 m maximum aujourd'hui")
		wants(t, c.says("yann", "vir 49 m @lena"), "49 m")
	})
}

// A text that names an amount names it in its own unit.
func TestUnitsOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounter(t)
		asked := c.says("yann", "vir 2,5 h @lena")
		wants(t, asked, "2,50 h à lena")
		wants(t, c.says("yann", "solde"), "Solde: 100 h. En attente: 2,50 h à lena")
		c.says("yann", "non")
		wants(t, c.says("yann", "vir 201 h @lena"), "Maximum 200 h par paiement et 300 h par jour")
		c.says("yann", code(t, c.says("yann", "vir 3 h 0639980099")))
		var err error
		if c.people["new"], err = sms.FromE164("+33639980099"); err != nil {
			t.Fatal(err)
		}
		c.seen = 0
		wants(t, c.heard("new"), "3 h (heures, monnaie de")
	})
}

// What an administrator may credit a day is as much in a unit with other decimals.
func TestCeilingInAnotherUnit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounter(t)
		wants(t, c.says("annaig", "credite 20 h @lena atelier"), "Reste 20 h")
		c.says("annaig", "non")
		wants(t, c.says("annaig", "credite 20,01 h @lena atelier"), "Plafond du jour dépassé")
	})
}

// A code confirms an administrator's act only while the role lasts.
func TestRoleEndsBeforeItsCode(t *testing.T) {
	for _, act := range []string{"credite 5 m @lena atelier", "gele @lena", "degele @lena", "pause"} {
		t.Run(act, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCounter(t)
				asked := c.says("annaig", act)
				c.update(func(ctx context.Context, tx *store.Tx) error {
					m, err := tx.MemberByNick(ctx, "annaig")
					if err != nil {
						return err
					}
					return c.Treasury.SetRole(ctx, tx, treasury.Operator, m, "", money.New(0, c.Settings.Currency()))
				})
				wants(t, c.says("annaig", code(t, asked)), "Pas compris, rien n'a été fait")
				wants(t, c.says("lena", "vir 1 m @yann"), "Payer 1 m à yann")
			})
		})
	}
}
