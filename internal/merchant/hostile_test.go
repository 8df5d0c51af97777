package merchant_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"maillon/internal/member"
	"maillon/internal/merchant"
	"maillon/internal/money"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/trade"
	"maillon/internal/treasury"
)

// merchantNow is the merchant as the books have it.
func (k *souk) merchantNow(tx *store.Tx) *trade.Merchant {
	k.Helper()
	m, err := k.Merchants.Merchant(k.Context(), tx, k.m.ID)
	if err != nil {
		k.Fatal(err)
	}
	return m
}

// standing is the one authorization of a number.
func (k *souk) standing(number string) (a *trade.Authorization) {
	k.Helper()
	k.do(func(tx *store.Tx) error {
		all, err := k.Merchants.Authorizations(k.Context(), tx, k.m, merchant.Page{}, number)
		if err == nil {
			a = all[len(all)-1]
		}
		return err
	})
	return a
}

// A merchant gives back itself only what it has: what operators pay the association,
// or clients at its desk, makes nobody rich who says so.
func TestAMerchantGivesBackOnlyWhatItHolds(t *testing.T) {
	available := func(k *souk) (n int64) {
		k.do(func(tx *store.Tx) error {
			due, err := k.Merchants.Payable(t.Context(), tx, k.merchantNow(tx))
			n = due[0].Available
			return err
		})
		return n
	}
	for name, pay := range map[string]func(k *souk, p *trade.Policy){
		"the policy said otherwise then": func(k *souk, p *trade.Policy) {
			k.paid(p, fatima)
			k.do(func(tx *store.Tx) error {
				p.Holder = trade.AMerchant
				return k.Merchants.ChangePolicy(t.Context(), tx, "key", k.m, p)
			})
		},
		"it was paid at the desk": func(k *souk, p *trade.Policy) {
			k.do(func(tx *store.Tx) error {
				p.Holder = trade.AMerchant
				return k.Merchants.ChangePolicy(t.Context(), tx, "key", k.m, p)
			})
			k.receive(charged("1", fatima, "SOUK"))
			a := k.standing(fatima)
			k.do(func(tx *store.Tx) error {
				_, err := k.Merchants.TakeCash(t.Context(), tx, "member:1", k.m, a.ID, "1")
				return err
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := onDisk(t)
			pay(k, k.policy(nil))
			a := k.standing(fatima)
			k.do(func(tx *store.Tx) error {
				_, err := k.Merchants.Revoke(t.Context(), tx, "key", k.m, a.ID, "asked for it")
				return err
			})
			err := k.DB.Update(t.Context(), func(tx *store.Tx) error {
				_, err := k.Merchants.Refund(t.Context(), tx, "key", k.m, a.ID, merchant.ByShop, 0)
				return err
			})
			if !errors.Is(err, merchant.ErrDestination) {
				t.Errorf("given back: %v", err)
			}
			if got := available(k); got > 0 {
				t.Errorf("it would be paid %d", got)
			}
			k.books()
		})
	}
}

// Who says of many orders at once that they were not honoured gets no more of them
// than who says it of one after the other: the brake holds what has not happened yet,
// until an administrator has looked.
func TestTheBrakeHoldsWhatWasSaidBefore(t *testing.T) {
	k := onDisk(t)
	p := k.policy(func(p *trade.Policy) { p.Messages, p.Kind, p.PerOrder = 1, trade.Deposit, 0 })
	const orders, most = 12, 5
	for n := range orders {
		from := fmt.Sprintf("+2126123456%02d", n)
		c, err := k.claim(k.paid(p, from), fmt.Sprint("A-", n))
		if err != nil {
			t.Fatal(err)
		}
		for _, what := range []string{"confirm", "not honoured"} {
			if err := k.outcome(what, c.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	forfeited := func() (n int64) {
		k.do(func(tx *store.Tx) error {
			all, err := tx.CountRecords(t.Context(), merchant.KindClaim, k.m.ID)
			n = all[string(trade.Forfeit)]
			return err
		})
		return n
	}
	k.later(73 * time.Hour)
	if got := forfeited(); got != most {
		t.Errorf("%d of %d are forfeited", got, orders)
	}
	k.do(func(tx *store.Tx) error {
		return k.Merchants.Unbrake(t.Context(), tx, "member:1", k.m.ID, "they were all strangers")
	})
	k.later(100 * time.Hour)
	if got := forfeited(); got != orders {
		t.Errorf("after an administrator has looked: %d of %d", got, orders)
	}
	k.books()
}

// What of a deposit is left after a dispute that the client lost goes back to her.
func TestTheRestOfADisputedDepositIsFree(t *testing.T) {
	k := onDisk(t)
	code := k.paid(k.policy(func(p *trade.Policy) { p.Forfeit = 400 }), fatima)
	second, err := k.claim(code, "A-2")
	if err != nil {
		t.Fatal(err)
	}
	if err := k.outcome("confirm", second.ID); err != nil {
		t.Fatal(err)
	}
	first := k.missed(code)
	k.later(73 * time.Hour)
	k.do(func(tx *store.Tx) error {
		d, err := k.Merchants.Contest(t.Context(), tx, "member:1", k.m, first.ID)
		if err != nil {
			return err
		}
		_, err = k.Merchants.Judge(t.Context(), tx, "member:1", d.ID, false, "heard both")
		return err
	})
	if err := k.outcome("honour", second.ID); err != nil {
		t.Fatal(err)
	}
	if a := k.standing(fatima); a.Deposited != trade.Releasable || a.Refundable() != 600 {
		t.Errorf("%s, of which %d may go back", a.Deposited, a.Refundable())
	}
	k.books()
}

// An authorization that the merchant revoked opens nothing again, though the client
// is right about an order of before.
func TestARevokedAuthorizationStaysSo(t *testing.T) {
	k := onDisk(t)
	code := k.paid(k.policy(nil), fatima)
	c := k.missed(code)
	a := k.standing(fatima)
	k.do(func(tx *store.Tx) error {
		_, err := k.Merchants.Revoke(t.Context(), tx, "key", k.m, a.ID, "the number changed hands")
		return err
	})
	k.later(73 * time.Hour)
	k.do(func(tx *store.Tx) error {
		d, err := k.Merchants.Contest(t.Context(), tx, "member:1", k.m, c.ID)
		if err != nil {
			return err
		}
		_, err = k.Merchants.Judge(t.Context(), tx, "member:1", d.ID, true, "heard both")
		return err
	})
	if _, err := k.claim(code, "A-2"); reason(err) != trade.IsRevoked {
		t.Errorf("the next order: %v", err)
	}
	if a := k.standing(fatima); a.Refundable() != 2000 {
		t.Errorf("%d may go back to her, want all", a.Refundable())
	}
	k.books()
}

// What an operator takes back is taken from what a member has set aside too, if that
// is what is left.
func TestAClawbackReachesWhatIsSetAside(t *testing.T) {
	k := onDisk(t)
	unit := k.Settings.Currency()
	m, write := k.lena()
	paid := charged("premium 1", m.Number.E164(), "SOUK")
	paid.Charge.Currency, paid.Charge.Gross, paid.Charge.Net = unit.Code, 5, 2
	k.receive(paid)
	code := k.code(m.Number.E164())
	order := func(ref string) trade.Order { return trade.Order{Ref: ref, Total: 10, Currency: unit.Code} }
	claim := func(ref string) {
		k.do(func(tx *store.Tx) error {
			_, _, err := k.Merchants.Claim(t.Context(), tx, k.m, merchant.Ask{Code: code, Order: order(ref)}, false)
			return err
		})
	}
	claim("A-1") // spends the advance of the SMS
	write(asked.FindString(write("SOUK")))
	if a := k.standing(m.Number.E164()); a.Hold == 0 {
		t.Fatal("nothing is set aside")
	}
	if err := k.Merchants.Bill(t.Context(), sms.Bill{Gateway: "premium", Key: "premium 1", State: sms.ChargeClawedBack}); err != nil {
		t.Fatal(err)
	}
	k.books()
	k.later(time.Hour)
	k.books()
}

// A number that is to prove itself has three tries, whoever guesses and whatever was
// paid before.
func TestAChallengeIsNotGuessed(t *testing.T) {
	k := onDisk(t)
	k.policy(func(p *trade.Policy) { p.Flow, p.Messages = trade.ByPhone, 1 })
	forged := charged("0", fatima, "SOUK")
	forged.Proof = sms.Forgeable
	k.receive(forged)
	said := k.said(fatima)
	right := asked.FindString(said[len(said)-1])
	if right == "" {
		t.Fatalf("%q", said)
	}
	tries := 0
	write := func(text string) {
		tries++
		k.receive(sms.Incoming{Gateway: "phone", Key: fmt.Sprint("try ", tries), From: fatima, Text: text, SentAt: time.Now()})
	}
	for n := 0; tries < 3; n++ {
		if guess := fmt.Sprintf("SOUK %04d", n); guess != right {
			write(guess)
		}
	}
	write(right)
	if a := k.standing(fatima); a.State != trade.Pending {
		t.Errorf("after three wrong answers it is %s", a.State)
	}
	k.books()
}

// What is right at once needs only one try, and a wrong answer costs only one.
func TestAWrongAnswerToAChallengeCostsOneTry(t *testing.T) {
	k := onDisk(t)
	k.policy(func(p *trade.Policy) { p.Flow, p.Messages = trade.ByPhone, 1 })
	forged := charged("0", fatima, "SOUK")
	forged.Proof = sms.Forgeable
	k.receive(forged)
	said := k.said(fatima)
	right := asked.FindString(said[len(said)-1])
	for n, text := range []string{"SOUK 000", "SOUK 111", right} {
		k.receive(sms.Incoming{Gateway: "phone", Key: fmt.Sprint("try ", n), From: fatima, Text: text, SentAt: time.Now()})
	}
	if a := k.standing(fatima); a.State != trade.Active {
		t.Errorf("after two wrong answers and the right one it is %s", a.State)
	}
	k.books()
}

// The claim of an order is its client's: another code, or a wrong one, does not speak
// for it, and is a try.
func TestAClaimIsItsClients(t *testing.T) {
	k := onDisk(t)
	p := k.policy(nil)
	code := k.paid(p, fatima)
	other := k.paid(p, "+212612345679")
	if _, err := k.claim(code, "A-1"); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{other, "BBBB-BBBB"} {
		if _, err := k.claim(wrong, "A-1"); reason(err) != trade.NotFound {
			t.Errorf("with another code: %v", err)
		}
		k.do(func(tx *store.Tx) error {
			d, err := k.Merchants.Check(t.Context(), tx, k.m, merchant.Ask{Code: wrong, Client: "x", Order: order("A-1")})
			if d.Allowed || d.Claim != nil || d.Authorization != nil {
				t.Errorf("checked with another code: %+v", d)
			}
			return err
		})
	}
	if _, err := k.claim(code, "A-1"); err != nil {
		t.Errorf("with hers: %v", err)
	}
	k.do(func(tx *store.Tx) error {
		d, err := k.Merchants.Check(t.Context(), tx, k.m, merchant.Ask{Phone: fatima, Order: order("A-1")})
		if !d.Allowed {
			t.Errorf("the shop asks by her number: %+v", d)
		}
		return err
	})
}

// Who has no number cannot be asked by SMS: a wrong code is told as one, whatever
// mode the shop asks in.
func TestAWrongCodeIsToldAsOneInEachMode(t *testing.T) {
	k := onDisk(t)
	k.policy(nil)
	err := k.DB.Update(t.Context(), func(tx *store.Tx) error {
		_, _, err := k.Merchants.Claim(t.Context(), tx, k.m, merchant.Ask{Code: "BBBB-BBBB", Client: "x", Order: order("A-1")}, true)
		return err
	})
	if reason(err) != trade.NotFound {
		t.Errorf("a wrong code: %v", err)
	}
}

// A shop that asks for an order, takes it back and asks again writes no more SMS to a
// number than one that keeps its orders.
func TestAskingAgainFloodsNobody(t *testing.T) {
	k := onDisk(t)
	p := k.policy(func(p *trade.Policy) { p.Flow = trade.ByPhone })
	for n := range 30 {
		err := k.DB.Update(t.Context(), func(tx *store.Tx) error {
			ask := merchant.Ask{Phone: fatima, Policy: p.ID, Order: order(fmt.Sprint("A-", n))}
			c, _, err := k.Merchants.Claim(t.Context(), tx, k.m, ask, true)
			if err != nil {
				return err
			}
			_, err = k.Merchants.Release(t.Context(), tx, "key", k.m, c.ID)
			return err
		})
		if n >= 10 && reason(err) != trade.TooManyOpen {
			t.Errorf("order %d: %v", n, err)
		}
	}
	if got := k.said(fatima); len(got) != 10 {
		t.Errorf("%d SMS", len(got))
	}
}

// What an operator says of a charge before its SMS comes holds in whatever order it
// says it.
func TestBillsBeforeTheirSMSComeInAnyOrder(t *testing.T) {
	for _, c := range []struct {
		bills  []sms.ChargeState
		active bool
	}{
		{[]sms.ChargeState{sms.ChargeConfirmed, sms.ChargePending}, true},
		{[]sms.ChargeState{sms.ChargePending, sms.ChargeConfirmed}, true},
		{[]sms.ChargeState{sms.ChargeFailed, sms.ChargeConfirmed}, true},
		{[]sms.ChargeState{sms.ChargeClawedBack, sms.ChargeConfirmed}, false},
		{[]sms.ChargeState{sms.ChargeConfirmed, sms.ChargeClawedBack}, false},
		{[]sms.ChargeState{sms.ChargeConfirmed, sms.ChargeFailed}, false},
	} {
		t.Run(fmt.Sprint(c.bills), func(t *testing.T) {
			k := onDisk(t)
			k.policy(func(p *trade.Policy) { p.Messages = 1 })
			for _, s := range c.bills {
				if err := k.Merchants.Bill(t.Context(), sms.Bill{Gateway: "premium", Key: "1", State: s}); err != nil {
					t.Fatal(err)
				}
			}
			m := charged("1", fatima, "SOUK")
			m.Charge.State = sms.ChargePending
			k.receive(m)
			if a := k.standing(fatima); a.State == trade.Active != c.active {
				t.Errorf("it is %s", a.State)
			}
			k.books()
		})
	}
}

// A charge that is taken back takes its message back, whatever the policy asks for by
// now.
func TestAClawbackAfterThePriceRose(t *testing.T) {
	k := onDisk(t)
	p := k.policy(nil)
	code := k.paid(p, fatima)
	k.do(func(tx *store.Tx) error {
		p.Price = 1500
		return k.Merchants.ChangePolicy(t.Context(), tx, "key", k.m, p)
	})
	if err := k.Merchants.Bill(t.Context(), sms.Bill{Gateway: "premium", Key: fatima + "0", State: sms.ChargeClawedBack}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.claim(code, "A-1"); reason(err) != trade.IsRevoked {
		t.Errorf("an order with one message of two: %v", err)
	}
	k.books()
}

// What a client has read holds for her, whatever the merchant offers by now: neither
// more is lost nor sooner, and her messages count as they did.
func TestAPolicyChangesForWhoComes(t *testing.T) {
	each(t, func(k *souk) {
		p := k.policy(func(p *trade.Policy) { p.Forfeit, p.MaxOrders = 100, 5 })
		change := func(do func(p *trade.Policy)) {
			do(p)
			k.do(func(tx *store.Tx) error { return k.Merchants.ChangePolicy(k.Context(), tx, "key", k.m, p) })
		}
		code := k.paid(p, fatima)
		k.receive(charged("half", "+212622222222", "SOUK"))
		change(func(p *trade.Policy) { p.Forfeit, p.Window = 1000, 24*time.Hour })
		change(func(p *trade.Policy) { p.PerOrder, p.Price, p.Deposit, p.MaxOrders = 900, 1200, 1100, 1 })
		later := k.paidAs(p, "+212633333333", 1200)

		k.receive(charged("other half", "+212622222222", "SOUK"))
		if _, err := k.claim(k.code("+212622222222"), "B-1"); err != nil {
			k.Errorf("who was half-way pays as she began: %v", err)
		}
		c := k.missed(code)
		k.later(25 * time.Hour)
		if got := k.balance(fmt.Sprintf("payable:%d", k.m.ID), mad); got != 0 {
			k.Errorf("lost after a day: %d", got)
		}
		k.later(73 * time.Hour)
		if got := k.balance(fmt.Sprintf("payable:%d", k.m.ID), mad); got != 500+100 {
			k.Errorf("lost: %d, want the advance and 1.00 of the deposit", got)
		}
		if c.Advance != 500 {
			k.Errorf("the order took %d", c.Advance)
		}
		d, err := k.claim(later, "C-1")
		if err != nil || d.Advance != 900 {
			k.Errorf("who came later: %+v, %v", d, err)
		}
		if _, err := k.claim(later, "C-2"); reason(err) != trade.IsExhausted {
			k.Errorf("her second order: %v", err)
		}
		k.books()
	})
}

// paidAs is paid with messages of another price.
func (k *souk) paidAs(p *trade.Policy, from string, price int64) string {
	k.Helper()
	for n := range p.Messages {
		m := charged(fmt.Sprint(from, n), from, p.Keyword)
		m.Charge.Gross = price
		k.receive(m)
	}
	return k.code(from)
}

// A client's SMS says nothing to test mode, whose clients are made up.
func TestAnSMSReachesNoTest(t *testing.T) {
	k := onDisk(t)
	ctx := t.Context()
	p := &trade.Policy{Keyword: "SOUK", Kind: trade.Deposit, Price: 1000, Currency: mad, Deposit: 1000, MaxOrders: 2}
	var c *trade.Claim
	k.do(func(tx *store.Tx) error {
		if err := k.Merchants.AddPolicy(ctx, tx, "key", k.test, p); err != nil {
			return err
		}
		answer, err := k.Merchants.Inject(ctx, tx, k.test, merchant.Message{From: fatima, Text: "souk", Key: "1", Charge: charged("1", fatima, "").Charge})
		if err != nil {
			return err
		}
		if c, _, err = k.Merchants.Claim(ctx, tx, k.test, merchant.Ask{Code: codeIn.FindString(answer), Order: order("A-1")}, true); err != nil {
			return err
		}
		_, err = k.Merchants.NotHonoured(ctx, tx, "key", k.test, c.ID, "no_show", []string{"x"})
		return err
	})
	k.receive(sms.Incoming{Gateway: "premium", Key: "1", From: fatima, Text: fmt.Sprint("LITIGE ", c.ID), SentAt: time.Now()})
	for _, text := range k.said(fatima) {
		if strings.Contains(text, "Litige") {
			t.Errorf("she is told %q", text)
		}
	}
	k.do(func(tx *store.Tx) error {
		now, err := k.Merchants.ClaimByID(ctx, tx, k.test, c.ID)
		if now.Dispute != 0 {
			t.Error("a test was disputed for real")
		}
		return err
	})
}

// Nobody orders at a merchant who was stopped, neither who had been asked before.
func TestAStoppedMerchantTakesNoOrder(t *testing.T) {
	k := onDisk(t)
	p := k.policy(func(p *trade.Policy) { p.Flow, p.Messages, p.Deposit = trade.ByPhone, 1, 500 })
	k.do(func(tx *store.Tx) error {
		ask := merchant.Ask{Phone: fatima, Policy: p.ID, Order: order("A-1")}
		if _, _, err := k.Merchants.Claim(t.Context(), tx, k.m, ask, true); err != nil {
			return err
		}
		return k.Merchants.Suspend(t.Context(), tx, "member:1", k.m.ID, true, "under inquiry")
	})
	k.receive(charged("1", fatima, "SOUK"))
	k.do(func(tx *store.Tx) error {
		c, err := k.Merchants.ClaimByRef(t.Context(), tx, k.m, "A-1")
		if c.State != trade.Requested {
			t.Errorf("the order is %s", c.State)
		}
		return err
	})
	k.books()
}

// What is set aside on a member's account goes back to her by itself: nobody hands it
// out while orders are under way.
func TestWhatIsSetAsideIsNotHandedOut(t *testing.T) {
	k := onDisk(t)
	unit := k.Settings.Currency()
	_, write := k.lena()
	code := codeIn.FindString(write(asked.FindString(write("SOUK"))))
	k.do(func(tx *store.Tx) error {
		a, err := k.Merchants.Authorizations(t.Context(), tx, k.m, merchant.Page{}, "")
		if err != nil {
			return err
		}
		// An advance is left beside the order: the price of one more message.
		if _, err := k.Merchants.TakeCash(t.Context(), tx, "member:1", k.m, a[0].ID, "1"); err != nil {
			return err
		}
		o := trade.Order{Ref: "A-1", Total: 10, Currency: unit.Code}
		if _, _, err := k.Merchants.Claim(t.Context(), tx, k.m, merchant.Ask{Code: code, Order: o}, false); err != nil {
			return err
		}
		if _, err := k.Merchants.Revoke(t.Context(), tx, "key", k.m, a[0].ID, "asked for it"); err != nil {
			return err
		}
		_, err = k.Merchants.Refund(t.Context(), tx, "key", k.m, a[0].ID, "cash", 0)
		if !errors.Is(err, merchant.ErrNotRefundable) {
			t.Errorf("handed out: %v", err)
		}
		return nil
	})
	k.books()
}

// Who was a client before she became a member is forgotten as a whole when she leaves.
func TestAClientWhoJoinedLaterIsForgotten(t *testing.T) {
	k := onDisk(t)
	p := k.policy(func(p *trade.Policy) { p.Flow = trade.ByPhone })
	const lena = "+33639980010"
	k.receive(charged("1", lena, "SOUK"))
	var c *trade.Claim
	var m *member.Member
	k.do(func(tx *store.Tx) (err error) {
		ask := merchant.Ask{Phone: lena, Policy: p.ID, Order: order("A-1")}
		if c, _, err = k.Merchants.Claim(t.Context(), tx, k.m, ask, true); err != nil {
			return err
		}
		n, err := sms.FromE164(lena)
		if err != nil {
			return err
		}
		if m, err = k.Treasury.Add(t.Context(), tx, treasury.Operator, treasury.NewMember{Number: n, Nick: "lena"}); err != nil {
			return err
		}
		_, err = k.Treasury.Grant(t.Context(), tx, treasury.Operator, nil, m, sms.Number{}, money.New(7, k.Settings.Currency()), "atelier")
		return err
	})
	a := k.standing(lena)
	k.do(func(tx *store.Tx) error {
		m, err := tx.Member(t.Context(), m.ID)
		if err != nil {
			return err
		}
		return k.Desk.Leave(t.Context(), tx, m)
	})
	k.do(func(tx *store.Tx) error {
		number, err := merchant.NumberOf(t.Context(), k.Merchants, tx, a)
		if err != nil || number != "" {
			t.Errorf("her number is still there, %v", err)
		}
		number, err = merchant.NumberOf(t.Context(), k.Merchants, tx, &trade.Authorization{Contact: c.Contact})
		if err != nil || number != "" {
			t.Errorf("her number is still in her order, %v", err)
		}
		return nil
	})
	k.books()
}
