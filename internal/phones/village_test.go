package phones_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/phones"
	"maillon/internal/sms"
)

var maillon = money.Currency{Code: "MAILLON"}

func m(n int64) money.Amount { return money.New(n, maillon) }

func symbol(money.Currency) string { return "m" }

// stranger is the phone of the village that has no account.
const stranger = "+33639980090"

// A village is a small one: it answers SOLDE, asks for a code to pay 5 m or
// 10 m, and books when it comes back.
type village struct {
	page *phones.Page

	mu     sync.Mutex
	order  []sms.Number
	known  map[sms.Number]*phones.Phone
	books  phones.Books
	fault  error
	texted int
}

func number(t testing.TB, e164 string) sms.Number {
	t.Helper()
	n, err := sms.FromE164(e164)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func newVillage(t testing.TB, o phones.Options) *village {
	t.Helper()
	v := &village{known: map[sms.Number]*phones.Phone{}}
	issued := int64(0)
	for _, p := range []struct {
		e164, name string
		balance    int64
	}{{"+33639980012", "yann", 120}, {"+33639980034", "lena", 45}, {"+33639980056", "soazig", 70}, {"+33639980078", "atelier", 1200}} {
		n := number(t, p.e164)
		v.order = append(v.order, n)
		v.known[n] = &phones.Phone{Name: p.name, State: member.Active, Balance: m(p.balance)}
		v.books.Accounts = append(v.books.Accounts, phones.Account{Name: p.name, Balance: m(p.balance)})
		issued += p.balance
	}
	v.order = append(v.order, number(t, stranger))
	v.books.Accounts = append(v.books.Accounts, phones.Account{Name: "emission", Balance: m(-issued)})
	o.Symbol, o.Association, o.Service = symbol, "Penn Rustin'", number(t, "+33639980000")
	v.page = phones.New(v, o)
	return v
}

func (v *village) Phones(context.Context) ([]sms.Number, error) { return v.order, nil }

func (v *village) Phone(_ context.Context, n sms.Number) (phones.Phone, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if p, ok := v.known[n]; ok {
		return *p, nil
	}
	return phones.Phone{}, nil
}

func (v *village) Books(context.Context) (phones.Books, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return phones.Books{
		Transfers: append([]phones.Transfer(nil), v.books.Transfers...),
		Accounts:  append([]phones.Account(nil), v.books.Accounts...),
	}, v.fault
}

func (v *village) fail(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.fault = err
}

func (v *village) texts() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.texted
}

func (v *village) Text(_ context.Context, from sms.Number, text string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.fault != nil {
		return v.fault
	}
	v.texted++
	v.put(from, phones.Bubble{Mine: true, Text: text, At: time.Now()})
	p := v.known[from]
	switch {
	case text == "solde" || text == "balance":
		v.say(from, fmt.Sprintf("Solde: %d m. Dernier: +20 atelier 25/03. AIDE = commandes.", p.Balance.Minor()))
	case strings.HasPrefix(text, "vir"):
		v.say(from, "Payer 5 m à lena (06**34) ? Pour OUI répondre 482 913. Sinon NON. Valable 10 min. Ne donnez ce code à personne. Réf K7F2")
	case text == "482 913":
		v.pay(from)
	}
	return nil
}

// pay moves 5 m to lena. It must be called with mu held.
func (v *village) pay(from sms.Number) {
	payer, payee := v.known[from], v.known[v.order[1]]
	payer.Balance, payee.Balance = m(payer.Balance.Minor()-5), m(payee.Balance.Minor()+5)
	v.books.Transfers = append([]phones.Transfer{{
		ID: ledger.TransactionID(len(v.books.Transfers) + 1), At: time.Now(), Ref: "K7F2", Kind: ledger.Payment, From: payer.Name, To: payee.Name, Amount: m(5), Note: "œufs",
	}}, v.books.Transfers...)
	for i, a := range v.books.Accounts {
		for _, p := range []*phones.Phone{payer, payee} {
			if a.Name == p.Name {
				v.books.Accounts[i].Balance = p.Balance
			}
		}
	}
	v.say(from, fmt.Sprintf("Payé: 5 m à lena (06**34). Nouveau solde %d m. Réf K7F2. Erreur ? ANNULE K7F2", payer.Balance.Minor()))
	v.say(v.order[1], fmt.Sprintf("%s (06**12) vous a payé 5 m. Nouveau solde %d m. Réf K7F2", payer.Name, payee.Balance.Minor()))
}

// say must be called with mu held.
func (v *village) say(to sms.Number, text string) {
	v.put(to, phones.Bubble{Text: text, At: time.Now()})
	v.page.Ring(to)
}

// put must be called with mu held.
func (v *village) put(n sms.Number, b phones.Bubble) {
	p, ok := v.known[n]
	if !ok {
		p = &phones.Phone{}
		v.known[n] = p
	}
	p.Thread = append(p.Thread, b)
}
