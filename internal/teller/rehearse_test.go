package teller_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"maillon/internal/member"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/teller"
)

// digits finds what may be a code.
var digits = regexp.MustCompile(`\d{3} \d{3}|\d{6}`)

func (c *counter) head() (at time.Time, out int64) {
	c.t.Helper()
	c.update(func(ctx context.Context, tx *store.Tx) (err error) {
		if at, err = tx.LastEntry(ctx); err != nil {
			return err
		}
		out, err = tx.LastOut(ctx)
		return err
	})
	return at, out
}

func (c *counter) id(nick string) (id member.ID) {
	c.t.Helper()
	c.update(func(ctx context.Context, tx *store.Tx) error {
		m, err := tx.MemberByNick(ctx, nick)
		if err == nil {
			id = m.ID
		}
		return err
	})
	return id
}

// What she would read is found out without doing anything, with no code in it:
// neither one that was drawn for it, nor one that still counts.
func TestARehearsalDoesNothingAndShowsNoCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounter(t)
		yann := c.id("yann")
		told := c.says("yann", "vir 5 m @lena selle")
		if !digits.MatchString(told) {
			t.Fatalf("yann was asked %q", told)
		}
		code := digits.FindString(told)
		at, out := c.head()
		for text, want := range map[string]string{
			"solde": "En attente", "vir 5 m @lena selle": "Payer 5", "vir 7 m @lena": "2 demandes", "aide": "SOLDE", "histo": "Solde", "bla bla": "Pas compris",
			"vir 5 m @lenna": "Vouliez-vous lena", "fermer": "2 demandes",
		} {
			r, err := c.Teller.Rehearse(t.Context(), yann, text)
			if err != nil {
				t.Errorf("%q: %v", text, err)
				continue
			}
			if len(r.Told) != 1 || !strings.Contains(r.Told[0].Text, want) || digits.MatchString(r.Told[0].Text) {
				t.Errorf("%q would be answered %v, want %q without a code", text, r.Told, want)
			}
		}
		for _, text := range []string{code, "oui " + code, strings.ReplaceAll(code, " ", ""), "000000", "carte 1234", "carte b3 1234", "perdu lena 1234", "mot tulipe"} {
			if r, err := c.Teller.Rehearse(t.Context(), yann, text); !errors.Is(err, teller.ErrSecret) || len(r.Told) > 0 {
				t.Errorf("a code is rehearsed: %v, %v", r.Told, err)
			}
		}
		if nowAt, nowOut := c.head(); !nowAt.Equal(at) || nowOut != out {
			t.Errorf("something was written at %v, and message %d", nowAt, nowOut)
		}
		if got := c.says("yann", code); !strings.Contains(got, "Payé") {
			t.Errorf("after it the code is answered %q", got)
		}
	})
}

// Whoever reads the SMS of a member reads no code, no cell and not her word.
func TestSecretsInAThreadAreMasked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounter(t)
		c.says("yann", "mot tulipe")
		told := c.says("yann", "vir 5 m @lena selle")
		code := digits.FindString(told)
		c.says("yann", code)
		told = c.says("yann", "vir 6 m @lena")
		live := digits.FindString(told)
		c.says("yann", "solde")
		c.says("yann", "carte 9876")
		c.says("yann", "je crois que c'est "+live+" non?")
		c.update(func(ctx context.Context, tx *store.Tx) error {
			m, err := tx.MemberByNick(ctx, "yann")
			if err != nil {
				return err
			}
			letters, err := tx.Thread(ctx, m, 100)
			if err != nil {
				return err
			}
			if err := c.Teller.Veil(ctx, tx, m, letters); err != nil {
				return err
			}
			if len(letters) < 12 {
				t.Errorf("%d SMS, want all", len(letters))
			}
			masked := 0
			for _, l := range letters {
				for _, secret := range []string{code, live, strings.ReplaceAll(live, " ", ""), "9876", "tulipe"} {
					if strings.Contains(l.Text, secret) {
						t.Errorf("%q shows %q", l.Text, secret)
					}
				}
				if strings.Contains(l.Text, teller.Mask) {
					masked++
				}
			}
			if masked < 6 {
				t.Errorf("only %d of %v are masked", masked, letters)
			}
			return nil
		})
	})
}

// Nothing else is masked.
func TestWhatIsNoSecretIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounter(t)
		letters := []store.Letter{
			{Text: "vir 50 0639980012 selle"},
			{Text: "pas 5 mais 50 au 06 39 98 00 12 !?"},
			{Out: true, Priority: sms.Receipt, Text: "Payé: 5 m à lena (06 .. 12). Nouveau solde 1234 m. Réf K7F2"},
			{Out: true, Priority: sms.Code, Text: "Payer 120 m à lena (06 .. 12) ?"},
		}
		want := make([]string, len(letters))
		for n, l := range letters {
			want[n] = l.Text
		}
		c.update(func(ctx context.Context, tx *store.Tx) error {
			m, err := tx.MemberByNick(ctx, "yann")
			if err != nil {
				return err
			}
			return c.Teller.Veil(ctx, tx, m, letters)
		})
		for n, l := range letters {
			if l.Text != want[n] {
				t.Errorf("%q is read as %q", want[n], l.Text)
			}
		}
	})
}
