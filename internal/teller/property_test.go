package teller_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/phrase"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// A town is a few people who write whatever comes to their minds.
type town struct {
	*server.Server
	t      *rapid.T
	phones []sms.Number
	heard  map[string][]string // by number: the codes that came to it
	refs   []string
	seen   int64 // of the outbox
	key    int
}

func newTown(t *rapid.T, confirm string) *town {
	ctx := context.Background()
	secret, err := store.NewSecret()
	if err != nil {
		t.Fatal(err)
	}
	book, err := phrase.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	set := setting.Default()
	for key, value := range map[string]string{"confirm": confirm, "alert.phones": "0639980101", "help": "0639980101", "flood": "1000/min"} {
		if err := set.Set(key, value); err != nil {
			t.Fatal(err)
		}
	}
	s, err := server.Open(ctx, server.Config{Path: store.Memory, Secret: secret, Settings: set, Book: book})
	if err != nil {
		t.Fatal(err)
	}
	w := &town{Server: s, t: t, heard: map[string][]string{}, refs: []string{"K7F2"}}
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		for i, nick := range []string{"yann", "lena", "gwen", "annaig"} {
			number := w.phone(fmt.Sprintf("+336399800%02d", i+1))
			n := treasury.NewMember{Number: number, Nick: nick}
			if nick == "annaig" {
				n.Role, n.Ceiling = member.Admin, money.New(200, set.Currency())
			}
			m, err := s.Treasury.Add(ctx, tx, treasury.Operator, n)
			if err != nil {
				return err
			}
			if _, err := s.Treasury.Grant(ctx, tx, treasury.Operator, nil, m, sms.Number{}, money.New(100, set.Currency()), "pour commencer"); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.phone("+33639980090")
	w.phone("+33639980091")
	return w
}

func (w *town) phone(e164 string) sms.Number {
	n, err := sms.FromE164(e164)
	if err != nil {
		w.t.Fatal(err)
	}
	w.phones = append(w.phones, n)
	return n
}

// write lets somebody send a text.
func (w *town) write(from sms.Number, text string) {
	w.key++
	in := sms.Incoming{Gateway: "virtual", Key: fmt.Sprint(w.key), From: from.E164(), Text: text, SentAt: time.Now()}
	if err := w.Teller.Receive(context.Background(), in); err != nil {
		w.t.Fatalf("Receive(%q) = %v", text, err)
	}
}

// look reads what was sent, holds it to its form, and learns codes and
// references from it as people do.
func (w *town) look() {
	ctx := context.Background()
	err := w.DB.View(ctx, func(tx *store.Tx) error {
		out, err := tx.Outbox(ctx, w.seen, 1000)
		for _, o := range out {
			w.seen = o.ID
			if units, n := sms.Segments(o.Text); n != 1 || units > 160 || sms.AlphabetOf(o.Text) != sms.GSM7 {
				w.t.Errorf("sent %q: %d units in %d SMS", o.Text, units, n)
			}
			words := strings.Fields(strings.NewReplacer(".", " ", ":", " ", ",", " ").Replace(o.Text))
			for i, word := range words {
				if len(word) == 4 && strings.ToUpper(word) == word && word[0] >= 'A' {
					w.refs = append(w.refs, word)
				}
				if len(word) == 3 && i > 0 && len(words[i-1]) == 3 && isDigits(word) && isDigits(words[i-1]) {
					w.heard[o.To.E164()] = append(w.heard[o.To.E164()], words[i-1]+word)
				}
			}
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func isDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// books checks that no money came from nowhere, and that nobody owes any.
func (w *town) books() map[member.ID]int64 {
	ctx := context.Background()
	balances := map[member.ID]int64{}
	err := w.DB.View(ctx, func(tx *store.Tx) error {
		sum := int64(0)
		err := tx.AllAccounts(ctx, func(a store.AccountRow) error {
			sum += a.Balance.Minor()
			if !a.Unbounded && a.Balance.Minor()-a.Held.Minor() < 0 {
				w.t.Errorf("account %d has %v, %v of it held", a.ID, a.Balance, a.Held)
			}
			if a.Member != 0 {
				balances[a.Member] += a.Balance.Minor()
			}
			return nil
		})
		if sum != 0 {
			w.t.Errorf("the balances sum to %d", sum)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return balances
}

func (w *town) text(from sms.Number) string {
	r := w.t
	codes := append(w.heard[from.E164()], "123456")
	payee := rapid.SampledFrom([]string{"@yann", "@lena", "@gwen", "@annaig", "@nobody", "0639980090", "0639980091", "0639980001", "moi"}).Draw(r, "payee")
	amount := rapid.SampledFrom([]string{"1", "5", "20", "40", "60", "90", "250", "0", "1,5"}).Draw(r, "amount")
	ref := w.refs[rapid.IntRange(0, len(w.refs)-1).Draw(r, "ref")]
	return rapid.SampledFrom([]string{
		"vir " + amount + " " + payee + " pain", "vir=" + amount + " num=0639980090", amount + " " + payee,
		"demande " + amount + " " + payee, "credite " + amount + " " + payee + " atelier", "rends " + ref, "annule " + ref, "annule", "non", "non " + ref,
		codes[len(codes)-1], codes[max(0, len(codes)-2)], codes[rapid.IntRange(0, len(codes)-1).Draw(r, "code")], codes[max(0, len(codes)-2)], "oui",
		"solde", "histo", "caisse", "etat", "pseudo Zoe", "pseudo Malo", "Malo", "vol", "stop", "reprendre", "fermer", "bloque lena", "debloque lena",
		"gele lena", "degele lena", "degele yann", "mot tulipe", "langue en", "langue fr", "verif " + ref, "perdu @yann", "perdu @lena 1234", "carte 1234", "aide", "merci", "🙂",
	}).Draw(r, "text")
}

// Whatever people write, in whatever order: no money comes from nowhere, nobody
// owes any, every answer fits one SMS, and the books prove themselves.
func TestWhateverPeopleWriteTheBooksHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newTown(t, rapid.SampledFrom([]string{"always", "above:20", "off"}).Draw(t, "confirm"))
		defer func() {
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		}()
		for range rapid.IntRange(1, 40).Draw(t, "texts") {
			from := rapid.SampledFrom(w.phones).Draw(t, "from")
			w.look()
			w.write(from, w.text(from))
			w.books()
			w.look()
			if codes := w.heard[from.E164()]; len(codes) > 0 && rapid.Bool().Draw(t, "answers") {
				w.write(from, codes[len(codes)-1])
				w.books()
			}
		}
		w.look()
		faults, err := w.DB.Verify(context.Background(), nil)
		if err != nil || len(faults) > 0 {
			t.Errorf("Verify = %v, %v", faults, err)
		}
	})
}

// With confirm=always no text of a forger, who sees no answers, moves money.
func TestAForgerWhoSeesNoCodeMovesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newTown(t, "always")
		defer func() {
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		}()
		before := w.books()
		for range rapid.IntRange(1, 25).Draw(t, "texts") {
			from := rapid.SampledFrom(w.phones).Draw(t, "from")
			w.write(from, w.text(from)) // it never looked: the only code it knows is a guess
		}
		for id, balance := range w.books() {
			if balance != before[id] {
				t.Errorf("member %d had %d, and has %d", id, before[id], balance)
			}
		}
	})
}
