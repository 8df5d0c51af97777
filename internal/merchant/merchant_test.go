package merchant_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"maillon/internal/correction"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/merchant"
	"maillon/internal/money"
	"maillon/internal/payment"
	"maillon/internal/phrase"
	"maillon/internal/privacy"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/store/pgtest"
	"maillon/internal/trade"
	"maillon/internal/treasury"
)

const (
	fatima  = "+212612345678"
	shortNo = "7474"
)

var mad = money.Currency{Code: "MAD", Decimals: 2}

// A souk is a server with one merchant.
type souk struct {
	*testing.T
	*server.Server
	m      *trade.Merchant
	test   *trade.Merchant
	mu     sync.Mutex
	events []string
}

func open(t *testing.T, path string) *souk {
	t.Helper()
	book, err := phrase.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	secret, err := store.NewSecret()
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.Open(t.Context(), server.Config{Path: path, Secret: secret, Settings: setting.Default(), Book: book})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	k := &souk{T: t, Server: s}
	s.Merchants.Emit = func(_ context.Context, _ *store.Tx, _ int64, typ string, _ any) error {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.events = append(k.events, typ)
		return nil
	}
	k.do(func(tx *store.Tx) (err error) {
		k.m, k.test, err = s.Merchants.Add(t.Context(), tx, "operator", merchant.NewMerchant{Name: "Souk"})
		return err
	})
	return k
}

func onDisk(t *testing.T) *souk { return open(t, filepath.Join(t.TempDir(), "books.db")) }

// each runs a test on both keepers.
func each(t *testing.T, test func(k *souk)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(onDisk(t)) })
	t.Run("postgres", func(t *testing.T) { test(open(t, pgtest.New(t))) })
}

func (k *souk) do(do func(tx *store.Tx) error) {
	k.Helper()
	if err := k.DB.Update(k.Context(), do); err != nil {
		k.Fatal(err)
	}
}

// policy adds one that is good, changed as a test wants it.
func (k *souk) policy(change func(p *trade.Policy)) *trade.Policy {
	k.Helper()
	p := &trade.Policy{
		Keyword: "SOUK", ShortCode: shortNo, Kind: trade.Both, Messages: 2, Price: 1000, Currency: mad, PerOrder: 500, Deposit: 1000, MaxOrders: 2, ReturnsSlot: true,
	}
	if change != nil {
		change(p)
	}
	k.do(func(tx *store.Tx) error { return k.Merchants.AddPolicy(k.Context(), tx, "operator", k.m, p) })
	return p
}

// charged is an SMS that an operator bills.
func charged(key, from, text string) sms.Incoming {
	return sms.Incoming{
		Gateway: "premium", Key: key, From: from, To: shortNo, Text: text, SentAt: time.Now(), Proof: sms.Network,
		Charge: &sms.Charge{Currency: "MAD", Gross: 1000, Net: 417, Model: "MO", State: sms.ChargeConfirmed},
	}
}

func (k *souk) receive(m sms.Incoming) {
	k.Helper()
	if err := k.Teller.Receive(k.Context(), m); err != nil {
		k.Fatal(err)
	}
}

// said returns the SMS that went to a number, the oldest first.
func (k *souk) said(to string) (all []string) {
	k.Helper()
	k.do(func(tx *store.Tx) error {
		out, err := tx.Outbox(k.Context(), 0, 1000)
		for _, o := range out {
			if o.To.E164() == to {
				all = append(all, o.Text)
			}
		}
		return err
	})
	return all
}

var codeIn = regexp.MustCompile(`[B-DF-HJ-NP-TV-XZ2-9]{4}-[B-DF-HJ-NP-TV-XZ2-9]{4}`)

// code is the one in the last SMS to a number.
func (k *souk) code(to string) string {
	k.Helper()
	all := k.said(to)
	if len(all) == 0 {
		k.Fatal("nothing was said")
	}
	code := codeIn.FindString(all[len(all)-1])
	if code == "" {
		k.Fatalf("no code in %q", all)
	}
	return code
}

// paid makes a client pay all messages, and returns her code.
func (k *souk) paid(p *trade.Policy, from string) string {
	k.Helper()
	for n := range p.Messages {
		k.receive(charged(fmt.Sprint(from, n), from, p.Keyword))
	}
	return k.code(from)
}

func order(ref string) trade.Order { return trade.Order{Ref: ref, Total: 20000, Currency: "MAD"} }

func (k *souk) claim(code, ref string) (c *trade.Claim, err error) {
	k.Helper()
	err = k.DB.Update(k.Context(), func(tx *store.Tx) (err error) {
		m, err := k.Merchants.Merchant(k.Context(), tx, k.m.ID)
		if err != nil {
			return err
		}
		c, _, err = k.Merchants.Claim(k.Context(), tx, m, merchant.Ask{Code: code, Order: order(ref)}, false)
		return err
	})
	return c, err
}

// outcome does one of the acts on a claim.
func (k *souk) outcome(what string, claim int64) error {
	k.Helper()
	return k.DB.Update(k.Context(), func(tx *store.Tx) error {
		ctx, s := k.Context(), k.Merchants
		m, err := s.Merchant(ctx, tx, k.m.ID)
		if err != nil {
			return err
		}
		switch what {
		case "confirm":
			_, err = s.Confirm(ctx, tx, "key", m, claim)
		case "honour":
			_, err = s.Honour(ctx, tx, "key", m, claim)
		case "release":
			_, err = s.Release(ctx, tx, "key", m, claim)
		case "withdraw":
			_, err = s.Withdraw(ctx, tx, "key", m, claim)
		case "not honoured":
			_, err = s.NotHonoured(ctx, tx, "key", m, claim, "no_show", []string{"courier: nobody at home, twice"})
		default:
			k.Fatal(what)
		}
		return err
	})
}

// missed lets an order through that is not honoured then.
func (k *souk) missed(code string) *trade.Claim {
	k.Helper()
	c, err := k.claim(code, "A-1")
	if err != nil {
		k.Fatal(err)
	}
	for _, what := range []string{"confirm", "not honoured"} {
		if err := k.outcome(what, c.ID); err != nil {
			k.Fatal(err)
		}
	}
	return c
}

// balance is what stands on an account of the books.
func (k *souk) balance(name string, c money.Currency) (n int64) {
	k.Helper()
	k.do(func(tx *store.Tx) error {
		a, err := tx.NamedAccount(k.Context(), name, c, false)
		n = a.Balance.Minor()
		return err
	})
	return n
}

// books fails unless they sum to zero, hold for each authorization what it says,
// and are what the journal says.
func (k *souk) books() {
	k.Helper()
	k.do(func(tx *store.Tx) error {
		sums, err := tx.Sums(k.Context())
		for c, sum := range sums {
			if sum != 0 {
				k.Errorf("the books of %s sum to %d", c, sum)
			}
		}
		return err
	})
	k.do(func(tx *store.Tx) error {
		for _, m := range []*trade.Merchant{k.m, k.test} {
			all, err := k.Merchants.Authorizations(k.Context(), tx, m, merchant.Page{Limit: 100}, "")
			if err != nil {
				return err
			}
			for _, a := range all {
				k.compare(tx, m, a)
			}
		}
		return nil
	})
	faults, err := k.DB.Verify(k.Context(), nil)
	if err != nil || len(faults) > 0 {
		k.Errorf("verify: %v, %v", faults, err)
	}
}

func (k *souk) compare(tx *store.Tx, m *trade.Merchant, a *trade.Authorization) {
	k.Helper()
	p, err := k.Merchants.Policy(k.Context(), tx, m, a.Policy)
	if err != nil {
		k.Fatal(err)
	}
	prefix, c := "", p.Currency
	if m.Test {
		prefix, c = fmt.Sprintf("test/%d/", c.Decimals), money.Currency{Code: "XTS", Decimals: c.Decimals}
	}
	var there int64
	for _, name := range []string{"deposit", "advance"} {
		account, err := tx.NamedAccount(k.Context(), fmt.Sprintf("%s%s:%d", prefix, name, a.ID), c, false)
		if err != nil {
			k.Fatal(err)
		}
		there += account.Balance.Minor()
	}
	if a.Hold != 0 {
		h, err := tx.Hold(k.Context(), ledger.HoldID(a.Hold))
		if err != nil {
			k.Fatal(err)
		}
		there += h.Left.Minor()
	}
	if there != a.Deposit+a.Advance {
		k.Errorf("authorization %d: the books hold %d, it says %d and %d", a.ID, there, a.Deposit, a.Advance)
	}
}

// Two messages are asked for: the first is confirmed, the second brings the code,
// which lets two orders through. Spec, 3.3.
func TestAClientPaysBySMSAndOrders(t *testing.T) {
	each(t, func(k *souk) {
		p := k.policy(nil)
		k.receive(charged("1", fatima, "souk"))
		if got := k.said(fatima); len(got) != 1 || !strings.Contains(got[0], "1 SMS sur 2") {
			k.Errorf("after the first: %q", got)
		}
		k.receive(charged("1", fatima, "souk"))
		if got := k.said(fatima); len(got) != 1 {
			k.Errorf("a repeated delivery is answered: %q", got)
		}
		k.receive(charged("2", fatima, "Souk "))
		code := k.code(fatima)
		if _, err := k.claim("BBBB-BBBB", "A-1"); reason(err) != trade.NotFound {
			k.Errorf("a wrong code: %v", err)
		}
		c, err := k.claim(strings.ToLower(code), "A-1")
		if err != nil || c.Advance != 500 || c.State != trade.Reserved {
			k.Fatalf("the first order: %+v, %v", c, err)
		}
		again, err := k.claim(code, "A-1")
		if err != nil || again.ID != c.ID {
			k.Errorf("the same order again: %+v, %v", again, err)
		}
		for _, what := range []string{"confirm", "honour", "honour"} {
			if err := k.outcome(what, c.ID); err != nil {
				k.Errorf("%s: %v", what, err)
			}
		}
		if _, err := k.claim(code, "A-2"); err != nil {
			k.Errorf("the second order: %v", err)
		}
		if _, err := k.claim(code, "A-3"); reason(err) != trade.IsExhausted {
			k.Errorf("a third order: %v", err)
		}
		for name, want := range map[string]int64{
			"receivable:premium":                    -834,
			fmt.Sprintf("carrier_share:%d", k.m.ID): -1166,
			fmt.Sprintf("payable:%d", k.m.ID):       500,
		} {
			if got := k.balance(name, mad); got != want {
				k.Errorf("%s has %d, want %d", name, got, want)
			}
		}
		k.books()
		_ = p
	})
}

func reason(err error) trade.Reason {
	if r, ok := errors.AsType[*trade.Refusal](err); ok {
		return r.Reason
	}
	return ""
}

// Sixty orders for two slots: two get one.
func TestSixtyOrdersForTwoSlots(t *testing.T) {
	each(t, func(k *souk) {
		code := k.paid(k.policy(nil), fatima)
		var let, refused, other int
		var mu sync.Mutex
		var all sync.WaitGroup
		for n := range 60 {
			all.Go(func() {
				_, err := k.claim(code, fmt.Sprintf("A-%d", n))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					let++
				case reason(err) == trade.IsExhausted:
					refused++
				default:
					other++
					k.Error(err)
				}
			})
		}
		all.Wait()
		if let != 2 || refused != 58 || other != 0 {
			k.Errorf("%d let through, %d refused, %d failed", let, refused, other)
		}
		k.books()
	})
}

// One order asked for fifty times at once has one claim and costs one advance.
func TestOneOrderAskedForFiftyTimes(t *testing.T) {
	k := onDisk(t)
	code := k.paid(k.policy(nil), fatima)
	claims := map[int64]bool{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			c, err := k.claim(code, "A-1")
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				k.Error(err)
				return
			}
			claims[c.ID] = true
		})
	}
	all.Wait()
	if len(claims) != 1 {
		k.Errorf("%d claims", len(claims))
	}
	k.books()
}

// A hundred deliveries of two messages are two credits and one code.
func TestAHundredDeliveriesOfTwoMessages(t *testing.T) {
	each(t, func(k *souk) {
		k.policy(nil)
		var all sync.WaitGroup
		for n := range 100 {
			all.Go(func() {
				if err := k.Teller.Receive(k.Context(), charged(fmt.Sprint(n%2), fatima, "SOUK")); err != nil {
					k.Error(err)
				}
			})
		}
		all.Wait()
		if got := k.said(fatima); len(got) != 2 {
			k.Errorf("said: %q", got)
		}
		if got := k.balance("receivable:premium", mad); got != -834 {
			k.Errorf("receivable %d, want two charges", got)
		}
		k.code(fatima)
		k.books()
	})
}

// Honour, release and not honoured, ten times each and all at once: one outcome,
// and who asked for that is answered alike each time.
func TestOneOutcome(t *testing.T) {
	for round := range 5 {
		k := onDisk(t)
		code := k.paid(k.policy(nil), fatima)
		c, err := k.claim(code, "A-1")
		if err != nil {
			t.Fatal(err)
		}
		if err := k.outcome("confirm", c.ID); err != nil {
			t.Fatal(err)
		}
		done, refused := map[string]int{}, 0
		var mu sync.Mutex
		var all sync.WaitGroup
		for n := range 30 {
			what := []string{"honour", "release", "not honoured"}[(n+round)%3]
			all.Go(func() {
				err := k.outcome(what, c.ID)
				mu.Lock()
				defer mu.Unlock()
				if state, ok := errors.AsType[*trade.StateError](err); ok {
					refused++
					_ = state
				} else if err != nil {
					k.Error(err)
				} else {
					done[what]++
				}
			})
		}
		all.Wait()
		if len(done) != 1 || refused != 20 {
			t.Errorf("outcomes %v, %d refused", done, refused)
		}
		k.books()
	}
}

// now makes the time of the merchants' timers pass: what is due by then falls due.
func (k *souk) later(d time.Duration) {
	k.Helper()
	k.do(func(tx *store.Tx) error { return merchant.FallDue(k.Context(), k.Merchants, tx, tx.Now().Add(d)) })
}

// An order that is not honoured costs the deposit and the advance, after the time
// in which the client may say otherwise; her code is dead from then on.
func TestAnOrderThatIsNotHonoured(t *testing.T) {
	k := onDisk(t)
	code := k.paid(k.policy(nil), fatima)
	c := k.missed(code)
	if got := k.said(fatima); !strings.Contains(got[len(got)-1], fmt.Sprintf("LITIGE %d", c.ID)) {
		t.Errorf("she is told %q", got[len(got)-1])
	}
	k.later(71 * time.Hour)
	if got := k.balance(fmt.Sprintf("payable:%d", k.m.ID), mad); got != 0 {
		t.Errorf("forfeited before the time: %d", got)
	}
	k.later(73 * time.Hour)
	if got := k.balance(fmt.Sprintf("payable:%d", k.m.ID), mad); got != 1500 {
		t.Errorf("the merchant has %d, want deposit and advance", got)
	}
	if _, err := k.claim(code, "A-2"); reason(err) != trade.IsForfeited {
		t.Errorf("after it: %v", err)
	}
	k.books()
}

// A client who disputes in time loses nothing while it is open, and nothing at all
// if the merchant keeps silent.
func TestADisputeAndASilentMerchant(t *testing.T) {
	k := onDisk(t)
	code := k.paid(k.policy(nil), fatima)
	c := k.missed(code)
	other := sms.Incoming{Gateway: "premium", Key: "x", From: "+212611111111", Text: fmt.Sprintf("LITIGE %d", c.ID), SentAt: time.Now()}
	k.receive(other)
	mine := other
	mine.Key, mine.From = "y", fatima
	k.receive(mine)
	if got := k.said(fatima); !strings.HasPrefix(got[len(got)-1], "Litige noté") {
		t.Errorf("she is told %q", got)
	}
	k.later(74 * time.Hour)
	if got := k.balance(fmt.Sprintf("payable:%d", k.m.ID), mad); got != 0 {
		t.Errorf("forfeited while it is disputed: %d", got)
	}
	k.later(trade.AnswerIn + time.Hour)
	if _, err := k.claim(code, "A-2"); err != nil {
		t.Errorf("she was right, and orders again: %v", err)
	}
	k.books()
}

// What an administrator decides: for the shop it is lost, for the client it is
// hers, also after it had been forfeited and paid out.
func TestADisputeIsDecided(t *testing.T) {
	for _, client := range []bool{true, false} {
		for _, late := range []bool{true, false} {
			t.Run(fmt.Sprintf("client %v late %v", client, late), func(t *testing.T) {
				k := onDisk(t)
				code := k.paid(k.policy(nil), fatima)
				c := k.missed(code)
				if late {
					k.later(80 * time.Hour)
				}
				k.do(func(tx *store.Tx) error {
					d, err := k.Merchants.Contest(t.Context(), tx, "member:1", k.m, c.ID)
					if err != nil {
						return err
					}
					if _, err := k.Merchants.Answer(t.Context(), tx, "key", k.m, d.ID, false, "nobody at home", []string{"courier 17"}); err != nil {
						return err
					}
					_, err = k.Merchants.Judge(t.Context(), tx, "member:1", d.ID, client, "heard both")
					return err
				})
				want := int64(1500)
				if client {
					want = 0
				}
				if got := k.balance(fmt.Sprintf("payable:%d", k.m.ID), mad); got != want {
					t.Errorf("the merchant has %d, want %d", got, want)
				}
				_, err := k.claim(code, "A-2")
				if client != (err == nil) {
					t.Errorf("the next order: %v", err)
				}
				k.books()
			})
		}
	}
}

// Billing reports come in any order and often; what is taken back after it was
// used, the merchant owes.
func TestWhatOperatorsSayOfCharges(t *testing.T) {
	k := onDisk(t)
	k.policy(func(p *trade.Policy) { p.Messages, p.Deposit = 1, 500 })
	bill := func(key string, state sms.ChargeState) {
		t.Helper()
		if err := k.Merchants.Bill(t.Context(), sms.Bill{Gateway: "premium", Key: key, State: state}); err != nil {
			t.Fatal(err)
		}
	}
	pending := charged("1", fatima, "SOUK")
	pending.Charge.State = sms.ChargePending
	bill("1", sms.ChargeConfirmed) // before the SMS
	k.receive(pending)
	code := k.code(fatima)
	bill("1", sms.ChargeConfirmed)

	second := charged("2", "+212622222222", "SOUK")
	second.Charge.State = sms.ChargePending
	k.receive(second)
	if got := k.said("+212622222222"); len(got) != 1 || !strings.Contains(got[0], "doit encore confirmer") {
		t.Errorf("pending: %q", got)
	}
	bill("2", sms.ChargeFailed)
	bill("2", sms.ChargeFailed)
	if got := k.said("+212622222222"); len(got) != 2 {
		t.Errorf("failed: %q", got)
	}

	c, err := k.claim(code, "A-1")
	if err != nil {
		t.Fatal(err)
	}
	if err := k.outcome("honour", c.ID); err != nil {
		t.Fatal(err)
	}
	bill("1", sms.ChargeClawedBack)
	bill("1", sms.ChargeClawedBack)
	bill("1", sms.ChargeConfirmed)
	if got := k.balance(fmt.Sprintf("receivable_from:%d", k.m.ID), mad); got != -500 {
		t.Errorf("the merchant owes %d, want what was used", got)
	}
	if _, err := k.claim(code, "A-2"); reason(err) != trade.IsRevoked {
		t.Errorf("the next order: %v", err)
	}
	k.do(func(tx *store.Tx) error {
		due, err := k.Merchants.Payable(t.Context(), tx, k.m)
		if err != nil || len(due) != 1 || due[0].Available != 0 {
			t.Errorf("payable %+v, %v", due, err)
		}
		return err
	})
	k.books()
}

// A merchant is paid out only what operators have paid and its days of waiting
// are over for.
func TestAMerchantIsPaidOut(t *testing.T) {
	k := onDisk(t)
	code := k.paid(k.policy(nil), fatima)
	c, err := k.claim(code, "A-1")
	if err != nil {
		t.Fatal(err)
	}
	if err := k.outcome("honour", c.ID); err != nil {
		t.Fatal(err)
	}
	available := func() (n int64) {
		k.do(func(tx *store.Tx) error {
			m, err := k.Merchants.Merchant(t.Context(), tx, k.m.ID)
			if err != nil {
				return err
			}
			due, err := k.Merchants.Payable(t.Context(), tx, m)
			n = due[0].Available
			return err
		})
		return n
	}
	if got := available(); got != 0 {
		t.Errorf("before the operator has paid: %d", got)
	}
	for range 2 {
		k.do(func(tx *store.Tx) error {
			s, err := k.Merchants.Settle(t.Context(), tx, "operator", "premium", "MAD", tx.Now(), 800, "2026-11")
			if err == nil && (s.Charges != 2 || s.Expected != 834) {
				t.Errorf("the statement is %+v", s)
			}
			return err
		})
	}
	if got := available(); got != 0 {
		t.Errorf("while it waits: %d", got)
	}
	k.later(15 * 24 * time.Hour)
	if got := available(); got != 500 {
		t.Errorf("after that: %d", got)
	}
	for range 2 {
		k.do(func(tx *store.Tx) error {
			m, err := k.Merchants.Merchant(t.Context(), tx, k.m.ID)
			if err != nil {
				return err
			}
			p, err := k.Merchants.Pay(t.Context(), tx, "operator", m, "MAD", 0, "first")
			if err == nil && p.Amount != 500 {
				t.Errorf("paid %+v", p)
			}
			return err
		})
	}
	if got := k.balance("bank", mad); got != -800+500 {
		t.Errorf("bank %d", got)
	}
	k.books()
}

// A member has the sum set aside on her account, after a code, and has it back
// when the authorization ends; an order takes its advance from it.
func TestAMembersBalanceIsSetAside(t *testing.T) {
	each(t, func(k *souk) {
		unit := k.Settings.Currency()
		p := k.policy(func(p *trade.Policy) {
			p.Currency, p.Price, p.PerOrder, p.Deposit, p.Messages = unit, 5, 2, 3, 1
			p.Validity = time.Hour
		})
		const lena = "+33639980010"
		var id member.ID
		k.do(func(tx *store.Tx) error {
			n, err := sms.FromE164(lena)
			if err != nil {
				return err
			}
			m, err := k.Treasury.Add(k.Context(), tx, treasury.Operator, treasury.NewMember{Number: n, Nick: "lena"})
			if err != nil {
				return err
			}
			id = m.ID
			_, err = k.Treasury.Grant(k.Context(), tx, treasury.Operator, nil, m, sms.Number{}, money.New(20, unit), "atelier")
			return err
		})
		write := func(key, text string) string {
			k.receive(sms.Incoming{Gateway: "line", Key: key, From: lena, Text: text, SentAt: time.Now()})
			all := k.said(lena)
			return all[len(all)-1]
		}
		asked := write("1", "SOUK")
		digits := regexp.MustCompile(`SOUK (\d{4})`).FindStringSubmatch(asked)
		if digits == nil {
			k.Fatalf("asked: %q", asked)
		}
		if got := write("2", "SOUK 0000"); !strings.Contains(got, "Pour OUI") && digits[1] != "0000" {
			k.Errorf("a wrong code: %q", got)
		}
		write("3", "SOUK "+digits[1])
		code := k.code(lena)
		account := func() (a ledger.Account) {
			k.do(func(tx *store.Tx) (err error) {
				a, err = tx.AccountOf(k.Context(), id, unit)
				return err
			})
			return a
		}
		if a := account(); a.Balance.Minor() != 20 || a.Held.Minor() != 5 {
			k.Errorf("set aside: %+v", a)
		}
		var c *trade.Claim
		k.do(func(tx *store.Tx) (err error) {
			o := trade.Order{Ref: "A-1", Total: 10, Currency: unit.Code}
			c, _, err = k.Merchants.Claim(k.Context(), tx, k.m, merchant.Ask{Code: code, Order: o}, false)
			return err
		})
		if a := account(); a.Balance.Minor() != 18 || a.Held.Minor() != 3 {
			k.Errorf("with an order: %+v", a)
		}
		k.books()
		if err := k.outcome("release", c.ID); err != nil {
			k.Fatal(err)
		}
		k.books()
		k.later(2 * time.Hour)
		if a := account(); a.Balance.Minor() != 20 || a.Held.Minor() != 0 {
			k.Errorf("at the end: %+v", a)
		}
		k.books()
		_ = p
	})
}

// A gateway whose senders may be forged opens nothing by itself: who writes must
// send back what was sent to the number.
func TestAForgedSenderOpensNothing(t *testing.T) {
	k := onDisk(t)
	p := k.policy(func(p *trade.Policy) { p.Flow, p.Price, p.Deposit, p.PerOrder, p.Messages = trade.ByPhone, 0, 0, 0, 1 })
	ask := func() error {
		return k.DB.Update(t.Context(), func(tx *store.Tx) error {
			d, err := k.Merchants.Check(t.Context(), tx, k.m, merchant.Ask{Phone: fatima, Order: order("A-1")})
			if err == nil && !d.Allowed {
				return &trade.Refusal{Reason: d.Reason}
			}
			return err
		})
	}
	k.receive(sms.Incoming{Gateway: "phone", Key: "1", From: fatima, Text: "SOUK", SentAt: time.Now()})
	if err := ask(); reason(err) != trade.IsPending {
		t.Errorf("after a forged SMS: %v", err)
	}
	digits := regexp.MustCompile(`SOUK (\d{4})`).FindStringSubmatch(k.said(fatima)[0])
	k.receive(sms.Incoming{Gateway: "phone", Key: "2", From: fatima, Text: "SOUK " + digits[1], SentAt: time.Now()})
	if err := ask(); err != nil {
		t.Errorf("after the proof: %v", err)
	}
	k.receive(sms.Incoming{Gateway: "premium", Key: "3", From: "+212633333333", Text: "SOUK", SentAt: time.Now(), Proof: sms.Network})
	if got := k.said("+212633333333"); len(got) != 1 || !strings.Contains(got[0], "C'est fait") && !strings.Contains(got[0], "c'est fait") {
		t.Errorf("whose number the network proves: %q", got)
	}
	_ = p
	k.books()
}

// Not only shops: an appointment at the town hall, without money. Who does not
// come loses the next one.
func TestAnAppointmentAtTheTownHall(t *testing.T) {
	k := onDisk(t)
	p := k.policy(func(p *trade.Policy) {
		p.Keyword, p.Kind, p.Flow, p.Price, p.Deposit, p.PerOrder, p.Messages = "MAIRIE", trade.Deposit, trade.ByUsername, 0, 0, 0, 1
		p.MaxOrders, p.MaxOpen, p.Validity = 0, 1, 30*24*time.Hour
	})
	appointment := func(ref string) (*trade.Claim, error) {
		var c *trade.Claim
		err := k.DB.Update(t.Context(), func(tx *store.Tx) (err error) {
			o := trade.Order{Ref: ref, Currency: "MAD", Delivery: trade.Pickup, Point: "guichet 3"}
			c, _, err = k.Merchants.Claim(t.Context(), tx, k.m, merchant.Ask{Username: "fatima.b", Order: o}, false)
			return err
		})
		return c, err
	}
	var text string
	k.do(func(tx *store.Tx) error {
		_, how, err := k.Merchants.Register(t.Context(), tx, k.m, merchant.Registration{Policy: p.ID, Username: "Fatima.B"})
		if err == nil {
			text = how.Text
		}
		return err
	})
	if _, err := appointment("10:30"); reason(err) != trade.IsPending {
		t.Errorf("before the SMS: %v", err)
	}
	k.receive(sms.Incoming{Gateway: "premium", Key: "0", From: fatima, Text: "MAIRIE fatima.b 0000", SentAt: time.Now(), Proof: sms.Network})
	if got := k.said(fatima); !strings.Contains(got[len(got)-1], "exactement le texte") && text != "MAIRIE fatima.b 0000" {
		t.Errorf("without what the account shows: %q", got)
	}
	k.receive(sms.Incoming{Gateway: "premium", Key: "1", From: fatima, Text: text, SentAt: time.Now(), Proof: sms.Network})
	c, err := appointment("10:30")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := appointment("11:00"); reason(err) != trade.TooManyOpen {
		t.Errorf("a second one beside it: %v", err)
	}
	for _, what := range []string{"confirm", "not honoured"} {
		if err := k.outcome(what, c.ID); err != nil {
			t.Fatal(err)
		}
	}
	k.later(73 * time.Hour)
	if _, err := appointment("12:00"); reason(err) != trade.IsForfeited {
		t.Errorf("after the one that was missed: %v", err)
	}
	k.books()
}

// The order exists first, and the client is asked by SMS.
func TestAClientIsAskedForAnOrderThatExists(t *testing.T) {
	k := onDisk(t)
	p := k.policy(func(p *trade.Policy) { p.Flow, p.Messages, p.Deposit = trade.ByPhone, 1, 500 })
	var c *trade.Claim
	k.do(func(tx *store.Tx) (err error) {
		c, _, err = k.Merchants.Claim(t.Context(), tx, k.m, merchant.Ask{Phone: fatima, Policy: p.ID, Order: order("A-1")}, true)
		return err
	})
	if got := k.said(fatima); c.State != trade.Requested || len(got) != 1 || !strings.Contains(got[0], "commande A-1, 200,00 MAD") {
		t.Fatalf("%s, %q", c.State, got)
	}
	k.receive(charged("1", fatima, "SOUK"))
	k.do(func(tx *store.Tx) (err error) {
		c, err = k.Merchants.ClaimByRef(t.Context(), tx, k.m, "A-1")
		return err
	})
	if c.State != trade.Opened || c.Advance != 500 {
		t.Errorf("it is %s with %d", c.State, c.Advance)
	}
	k.books()
}

// Codes cannot be guessed, and say nothing of other merchants'.
func TestCodesAreNotGuessed(t *testing.T) {
	k := onDisk(t)
	code := k.paid(k.policy(nil), fatima)
	check := func(client, code string) error {
		return k.DB.Update(t.Context(), func(tx *store.Tx) error {
			_, err := k.Merchants.Check(t.Context(), tx, k.m, merchant.Ask{Code: code, Client: client, Order: order("A-1")})
			return err
		})
	}
	for n := range 5 {
		if err := check("session 1", fmt.Sprintf("BBBB-BBB%d", n+2)); err != nil {
			t.Errorf("try %d: %v", n+1, err)
		}
	}
	if err := check("session 1", code); !errors.Is(err, merchant.ErrTooManyTries) {
		t.Errorf("after five: %v", err)
	}
	if err := check("session 2", code); err != nil {
		t.Errorf("somebody else: %v", err)
	}
}

// Test mode moves no real money, sends no SMS, and has a clock of its own.
func TestTestModeIsApart(t *testing.T) {
	k := onDisk(t)
	p := &trade.Policy{
		Keyword: "SOUK", ShortCode: shortNo, Kind: trade.Both, Messages: 1, Price: 1000, Currency: mad, PerOrder: 500, Deposit: 500, MaxOrders: 2,
	}
	ctx := t.Context()
	k.policy(nil) // the same keyword, for real
	var answer string
	k.do(func(tx *store.Tx) (err error) {
		if err := k.Merchants.AddPolicy(ctx, tx, "key", k.test, p); err != nil {
			return err
		}
		msg := merchant.Message{From: fatima, Text: "souk", Key: "1", Charge: charged("1", fatima, "").Charge}
		if answer, err = k.Merchants.Inject(ctx, tx, k.test, msg); err != nil {
			return err
		}
		again, err := k.Merchants.Inject(ctx, tx, k.test, msg)
		if again != answer {
			t.Errorf("again: %q", again)
		}
		return err
	})
	code := codeIn.FindString(answer)
	if code == "" || len(k.said(fatima)) != 0 {
		t.Fatalf("answer %q, sent %q", answer, k.said(fatima))
	}
	if _, err := k.claim(code, "A-1"); reason(err) != trade.NotFound {
		t.Errorf("a code of tests for real: %v", err)
	}
	k.do(func(tx *store.Tx) error {
		c, _, err := k.Merchants.Claim(ctx, tx, k.test, merchant.Ask{Code: code, Order: order("A-1")}, false)
		if err != nil {
			return err
		}
		if _, err := k.Merchants.Confirm(ctx, tx, "key", k.test, c.ID); err != nil {
			return err
		}
		if _, err := k.Merchants.NotHonoured(ctx, tx, "key", k.test, c.ID, "no_show", []string{"x"}); err != nil {
			return err
		}
		if err := k.Merchants.SetClock(ctx, tx, k.test, k.Merchants.Now(tx, k.test).Add(100*time.Hour)); err != nil {
			return err
		}
		c, err = k.Merchants.ClaimByID(ctx, tx, k.test, c.ID)
		if err == nil && c.State != trade.Forfeit {
			t.Errorf("after the window: %s", c.State)
		}
		if err := k.Merchants.SetClock(ctx, tx, k.m, tx.Now()); !errors.Is(err, merchant.ErrTestOnly) {
			t.Errorf("the clock of real time: %v", err)
		}
		return err
	})
	if got := k.balance("test/2/payable:"+fmt.Sprint(k.test.ID), money.Currency{Code: "XTS", Decimals: 2}); got != 1000 {
		t.Errorf("payable in tests: %d", got)
	}
	k.books()
}

// What was not spent goes back to the client's wallet, once.
func TestRefunds(t *testing.T) {
	k := onDisk(t)
	code := k.paid(k.policy(nil), fatima)
	var a *trade.Authorization
	k.do(func(tx *store.Tx) error {
		all, err := k.Merchants.Authorizations(t.Context(), tx, k.m, merchant.Page{}, fatima)
		if err == nil {
			a = all[0]
		}
		return err
	})
	refund := func(to string, amount int64) error {
		return k.DB.Update(t.Context(), func(tx *store.Tx) error {
			_, err := k.Merchants.Refund(t.Context(), tx, "key", k.m, a.ID, to, amount)
			return err
		})
	}
	if err := refund("cash", 0); !errors.Is(err, merchant.ErrNotRefundable) {
		t.Errorf("while it is active: %v", err)
	}
	k.do(func(tx *store.Tx) error {
		_, err := k.Merchants.Revoke(t.Context(), tx, "key", k.m, a.ID, "asked for it")
		return err
	})
	for _, c := range []struct {
		to     string
		amount int64
		want   error
	}{
		{"wallet", 0, merchant.ErrDestination}, // dirhams are no maillons
		{"moon", 0, merchant.ErrDestination},
		{"cash", 2001, merchant.ErrAmount},
		{"cash", 700, nil},
		{"mobile_money", 0, nil},
		{"cash", 0, merchant.ErrNotRefundable},
	} {
		if err := refund(c.to, c.amount); !errors.Is(err, c.want) {
			t.Errorf("%s %d: %v", c.to, c.amount, err)
		}
	}
	if _, err := k.claim(code, "A-1"); reason(err) != trade.IsRevoked {
		t.Errorf("after it: %v", err)
	}
	k.books()
}

// Putting balances back leaves trade as it is, and so does undoing one payment.
func TestPuttingBalancesBackLeavesTradeAlone(t *testing.T) {
	k := onDisk(t)
	k.paid(k.policy(nil), fatima)
	k.do(func(tx *store.Tx) error {
		_, err := k.Treasury.Preview(t.Context(), tx, treasury.Correction{Scope: correction.Scope{All: true}})
		if !errors.Is(err, correction.ErrNothing) {
			t.Errorf("with nothing but trade: %v", err)
		}
		all, err := tx.LastTransactions(t.Context(), 1)
		if err != nil {
			return err
		}
		if _, err := k.Desk.Undo(t.Context(), tx, all[0], false, 1); !errors.Is(err, payment.ErrNotUndone) {
			t.Errorf("undone: %v", err)
		}
		return nil
	})
}

// Where the operators pay the merchant, it owes what clients have, and nothing is
// paid out that it has already; what it gives back itself it owes no more.
func TestAMerchantThatHoldsTheMoney(t *testing.T) {
	k := onDisk(t)
	code := k.paid(k.policy(func(p *trade.Policy) { p.Holder = trade.AMerchant }), fatima)
	owed := func() int64 { return -k.balance(fmt.Sprintf("receivable_from:%d", k.m.ID), mad) }
	if got := owed(); got != 834 {
		t.Errorf("it owes %d, want what the operator pays it", got)
	}
	c, err := k.claim(code, "A-1")
	if err != nil {
		t.Fatal(err)
	}
	if err := k.outcome("honour", c.ID); err != nil {
		t.Fatal(err)
	}
	k.do(func(tx *store.Tx) error {
		m, err := k.Merchants.Merchant(t.Context(), tx, k.m.ID)
		if err != nil {
			return err
		}
		due, err := k.Merchants.Payable(t.Context(), tx, m)
		if err == nil && (due[0].Earned != 500 || due[0].Available != 0 || due[0].Withheld != 0) {
			t.Errorf("payable: %+v", due)
		}
		all, err := k.Merchants.Authorizations(t.Context(), tx, m, merchant.Page{}, fatima)
		if err != nil {
			return err
		}
		if _, err := k.Merchants.Revoke(t.Context(), tx, "key", m, all[0].ID, "asked for it"); err != nil {
			return err
		}
		_, err = k.Merchants.Refund(t.Context(), tx, "key", m, all[0].ID, merchant.ByShop, 400)
		return err
	})
	if got := owed(); got != 434 {
		t.Errorf("after it gave 400 back it owes %d", got)
	}
	if err := k.Merchants.Bill(t.Context(), sms.Bill{Gateway: "premium", Key: fatima + "0", State: sms.ChargeClawedBack}); err != nil {
		t.Fatal(err)
	}
	k.books()
}

// Who has an authorization that ends hears of it before, by its shop.
func TestAShopHearsThatAnAuthorizationEnds(t *testing.T) {
	k := onDisk(t)
	k.paid(k.policy(func(p *trade.Policy) { p.Validity = 30 * 24 * time.Hour }), fatima)
	count := func(typ string) (n int) {
		for _, e := range k.events {
			if e == typ {
				n++
			}
		}
		return n
	}
	for _, c := range []struct {
		after             time.Duration
		expiring, expired int
	}{{26 * 24 * time.Hour, 0, 0}, {28 * 24 * time.Hour, 1, 0}, {29 * 24 * time.Hour, 1, 0}, {31 * 24 * time.Hour, 1, 1}} {
		k.later(c.after)
		if a, b := count("authorization.expiring"), count("authorization.expired"); a != c.expiring || b != c.expired {
			t.Errorf("after %s: told %d times that it ends, %d that it has ended", c.after, a, b)
		}
	}
	k.books()
}

// An order that has a claim may be paid on delivery by it, whoever asks again, as
// long as the claim stands.
func TestAnOrderIsCheckedByItsClaim(t *testing.T) {
	k := onDisk(t)
	code := k.paid(k.policy(nil), fatima)
	c, err := k.claim(code, "A-1")
	if err != nil {
		t.Fatal(err)
	}
	check := func() (d merchant.Decision) {
		k.do(func(tx *store.Tx) (err error) {
			d, err = k.Merchants.Check(t.Context(), tx, k.m, merchant.Ask{Code: code, Order: order("A-1")})
			return err
		})
		return d
	}
	if d := check(); !d.Allowed || d.Advance != 500 {
		t.Errorf("reserved: %+v", d)
	}
	for _, what := range []string{"confirm", "not honoured"} {
		if err := k.outcome(what, c.ID); err != nil {
			t.Fatal(err)
		}
	}
	if d := check(); d.Allowed || d.Reason != trade.IsForfeited {
		t.Errorf("not honoured: %v %s", d.Allowed, d.Reason)
	}
	p := k.policy(func(p *trade.Policy) { p.Keyword, p.Flow = "BAZAR", trade.ByPhone })
	k.do(func(tx *store.Tx) error {
		ask := merchant.Ask{Phone: fatima, Policy: p.ID, Order: order("A-2")}
		if _, _, err := k.Merchants.Claim(t.Context(), tx, k.m, ask, true); err != nil {
			return err
		}
		d, err := k.Merchants.Check(t.Context(), tx, k.m, ask)
		if d.Allowed || d.Reason != trade.IsPending {
			t.Errorf("only asked for: %v %s", d.Allowed, d.Reason)
		}
		return err
	})
}

// lena joins with 7 units, and can have 5 of them set aside for SOUK.
func (k *souk) lena() (m *member.Member, write func(text string) string) {
	k.Helper()
	const number = "+33639980010"
	unit := k.Settings.Currency()
	k.policy(func(p *trade.Policy) {
		p.Currency, p.Price, p.PerOrder, p.Deposit, p.Messages, p.MaxOrders = unit, 5, 2, 3, 1, 5
	})
	k.do(func(tx *store.Tx) error {
		n, err := sms.FromE164(number)
		if err != nil {
			return err
		}
		if m, err = k.Treasury.Add(k.Context(), tx, treasury.Operator, treasury.NewMember{Number: n, Nick: "lena"}); err != nil {
			return err
		}
		_, err = k.Treasury.Grant(k.Context(), tx, treasury.Operator, nil, m, sms.Number{}, money.New(7, unit), "atelier")
		return err
	})
	sent := 0
	return m, func(text string) string {
		sent++
		k.receive(sms.Incoming{Gateway: "line", Key: fmt.Sprint(sent), From: number, Text: text, SentAt: time.Now()})
		all := k.said(number)
		return all[len(all)-1]
	}
}

var asked = regexp.MustCompile(`SOUK \d{4}`)

// Who has enough is told her code again and asked for nothing; who has too little
// on her account loses nothing of what was set aside.
func TestWhatIsSetAsideIsNotLetGo(t *testing.T) {
	k := onDisk(t)
	_, write := k.lena()
	first := write(asked.FindString(write("SOUK")))
	code := codeIn.FindString(first)
	if again := write("souk"); code == "" || codeIn.FindString(again) != code {
		t.Errorf("first %q, again %q", first, again)
	}
	k.do(func(tx *store.Tx) error {
		o := trade.Order{Ref: "A-1", Total: 10, Currency: k.Settings.Currency().Code}
		_, _, err := k.Merchants.Claim(t.Context(), tx, k.m, merchant.Ask{Code: code, Order: o}, false)
		return err
	})
	short := write(asked.FindString(write("SOUK"))) // another 5, and 2 are left
	if !strings.Contains(short, "il n'y a pas 5") {
		t.Errorf("with too little: %q", short)
	}
	k.books()
}

// A client who is a member and leaves cannot be written to any more, whatever is
// kept of her orders; what was kept of her is in her file before.
func TestAClientWhoLeavesIsForgotten(t *testing.T) {
	k := onDisk(t)
	m, write := k.lena()
	write(asked.FindString(write("SOUK")))
	var id int64
	k.do(func(tx *store.Tx) error {
		all, err := k.Merchants.Of(t.Context(), tx, m.Number)
		if err != nil || len(all) != 1 {
			t.Fatalf("%d authorizations, %v", len(all), err)
		}
		id = all[0].ID
		if number, err := merchant.NumberOf(t.Context(), k.Merchants, tx, all[0]); err != nil || number != m.Number.E164() {
			t.Errorf("she is not written to: %v", err)
		}
		d, err := privacy.Registrar{Set: k.Settings, Teller: k.Teller}.Dossier(t.Context(), tx, m)
		if err != nil || len(d.Buys) != 1 || d.Buys[0].Merchant != "Souk" || d.Buys[0].Deposit != "3" {
			t.Errorf("her file says %+v, %v", d.Buys, err)
		}
		_, err = k.Merchants.Revoke(t.Context(), tx, "key", k.m, id, "asked for it") // what was set aside is hers again
		return err
	})
	k.do(func(tx *store.Tx) error {
		m, err := tx.Member(t.Context(), m.ID)
		if err != nil {
			return err
		}
		return tx.Erase(t.Context(), m, tx.Now())
	})
	k.do(func(tx *store.Tx) error {
		a, err := k.Merchants.Authorization(t.Context(), tx, k.m, id)
		if err != nil {
			return err
		}
		number, err := merchant.NumberOf(t.Context(), k.Merchants, tx, a)
		if number != "" {
			t.Errorf("her number is still there")
		}
		return err
	})
}

// A shop floods nobody: ten orders of one number wait at once, and a number that
// wants no SMS gets none.
func TestNobodyIsFlooded(t *testing.T) {
	k := onDisk(t)
	p := k.policy(func(p *trade.Policy) { p.Flow = trade.ByPhone })
	request := func(n int) error {
		return k.DB.Update(t.Context(), func(tx *store.Tx) error {
			ask := merchant.Ask{Phone: fatima, Policy: p.ID, Order: order(fmt.Sprint("A-", n))}
			_, _, err := k.Merchants.Claim(t.Context(), tx, k.m, ask, true)
			return err
		})
	}
	for n := range 10 {
		if err := request(n); err != nil {
			t.Fatalf("order %d: %v", n, err)
		}
	}
	if err := request(10); reason(err) != trade.TooManyOpen {
		t.Errorf("the eleventh: %v", err)
	}
	if err := request(3); err != nil {
		t.Errorf("one of them again: %v", err)
	}
	if got := k.said(fatima); len(got) != 10 {
		t.Errorf("%d SMS", len(got))
	}
	const quiet = "+33639980077"
	k.do(func(tx *store.Tx) error {
		n, err := sms.FromE164(quiet)
		if err != nil {
			return err
		}
		if err := tx.Refuse(t.Context(), n); err != nil {
			return err
		}
		ask := merchant.Ask{Phone: quiet, Policy: p.ID, Order: order("B-1")}
		_, _, err = k.Merchants.Claim(t.Context(), tx, k.m, ask, true)
		return err
	})
	if got := k.said(quiet); len(got) != 0 {
		t.Errorf("who wants no SMS gets %q", got)
	}
}

// No more is set aside at once than may be paid at once.
func TestNoMoreIsSetAsideThanMayBePaid(t *testing.T) {
	k := onDisk(t)
	k.Settings.Max = 4
	_, write := k.lena()
	if got := write(asked.FindString(write("SOUK"))); !strings.Contains(got, "ne peut pas payer") {
		t.Errorf("5 of at most 4: %q", got)
	}
	k.books()
}

// What is due is done though the program fails on something else that is due.
func TestOneFailureKeepsNobodyWaiting(t *testing.T) {
	each(t, func(k *souk) {
		c := k.missed(k.paid(k.policy(nil), fatima))
		broken := store.Record{Kind: merchant.KindClaim, Owner: k.m.ID, State: "open", Body: []byte(`{`)}
		k.do(func(tx *store.Tx) error {
			r, err := tx.Record(k.Context(), merchant.KindClaim, c.ID)
			if err != nil {
				return err
			}
			r.Due, broken.Due = tx.Now().Add(-time.Minute), tx.Now().Add(-time.Hour)
			return errors.Join(tx.SaveRecord(k.Context(), &broken), tx.SaveRecord(k.Context(), &r))
		})
		next, err := merchant.Tick(k.Context(), k.Merchants)
		if err != nil || next.IsZero() || time.Until(next) <= 0 {
			k.Errorf("next %v, %v", next, err)
		}
		k.do(func(tx *store.Tx) error {
			r, err := tx.Record(k.Context(), merchant.KindClaim, c.ID)
			if r.State != string(trade.Forfeit) {
				k.Errorf("the order is %s", r.State)
			}
			return err
		})
	})
}
