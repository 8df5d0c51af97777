package console_test

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"testing"
	"time"

	"maillon/internal/console"
	"maillon/internal/console/frame/frametest"
	"maillon/internal/correction"
	"maillon/internal/guard"
	"maillon/internal/member"
	"maillon/internal/merchant"
	"maillon/internal/money"
	"maillon/internal/otp"
	"maillon/internal/sheet"
	"maillon/internal/sms"
	"maillon/internal/stall"
	"maillon/internal/store"
	"maillon/internal/trade"
	"maillon/internal/treasury"
	"maillon/internal/webhook"
)

// A town is a console, with telephones before it.
type town struct {
	*frametest.Console
	t     *testing.T
	texts int // that were sent to the service
}

// world is a console with something on each page: payments, a dispute, a credit
// and a payment that wait, a gift, a change of number, an alert.
func world(t *testing.T) *frametest.Console {
	t.Helper()
	w := &town{Console: frametest.Open(t, console.Rooms), t: t}
	w.pays("yann", 10, "lena")
	w.pays("lena", 5, "soazig")
	ref := w.pays("yann", 7, "soazig")
	w.sends("yann", "cancel "+ref)
	w.sends("soazig", "no "+ref)
	w.sends("lena", "pay 3 0639980155")
	w.confirms("lena")
	w.sends("cam", "credit 500 @yann workshop")
	w.Update(func(ctx context.Context, tx *store.Tx) error {
		lena, err := tx.MemberByNick(ctx, "lena")
		if err != nil {
			return err
		}
		to, err := sms.FromE164("+33639980177")
		if err != nil {
			return err
		}
		if err := w.Treasury.Renumber(ctx, tx, "member:2", lena, to, "new telephone"); err != nil {
			return err
		}
		change, err := json.Marshal(treasury.RoleChange{Member: lena.ID, Role: member.Reader})
		if err != nil {
			return err
		}
		if _, err := w.Treasury.Propose(ctx, tx, "member:6", treasury.ChangeRole, change, "helps at the workshop"); err != nil {
			return err
		}
		vel1, _ := guard.RuleOf("VEL1")
		err = w.Treasury.SetRule(ctx, tx, "member:5", "VEL1", vel1.Default(), guard.Decree{Act: guard.Warn, At: []int64{8, 10}}, "spring market")
		if err != nil {
			return err
		}
		return tx.RaiseAlert(ctx, store.Alert{Rule: "STR1", About: lena.ID, Act: guard.Warn, Facts: []store.Fact{
			{Name: "payments", Value: "3"}, {Name: "order", Value: ref}, {Name: "payee", Value: "member:8"},
		}})
	})
	w.proposes()
	w.trades()
	w.sells()
	return w.Console
}

// sells opens a stall, with a device at work and one that waits, and sells honey.
func (w *town) sells() {
	w.t.Helper()
	id := stall.Of(w.Member("soazig").ID)
	w.Update(func(ctx context.Context, tx *store.Tx) error {
		for _, n := range []stall.NewTemplate{{Description: "Pot de miel", Amount: 2, Short: "7KQ2"}, {Description: "Légumes, au poids", Short: "3FH4"}} {
			if _, err := w.Stalls.AddTemplate(ctx, tx, "member:6", id, n); err != nil {
				return err
			}
		}
		for _, n := range []stall.NewDevice{{Description: "Token", Algorithm: otp.Plain, Key: otp.NewKey()}, {Description: "The van"}} {
			if _, _, err := w.Stalls.AddDevice(ctx, tx, "member:6", id, n); err != nil {
				return err
			}
		}
		return nil
	})
	w.sends("yann", "pay 7KQ2")
	w.confirms("yann")
}

// trades lets a merchant sell: an order is under way, one was honoured, one was not
// and is disputed, one waits for its client; and an operator has paid.
func (w *town) trades() {
	w.t.Helper()
	const fatima = "+212612345678"
	lena := w.Member("lena").ID
	w.Update(func(ctx context.Context, tx *store.Tx) error {
		s := w.Merchants
		m, _, err := s.Add(ctx, tx, "member:6", merchant.NewMerchant{Name: "Souk", Member: lena})
		if err != nil {
			return err
		}
		hook := webhook.Endpoint{Merchant: m.ID, URL: "https://203.0.114.7/hook", Types: []string{webhook.Any}}
		if _, err := w.Webhooks.Add(ctx, tx, "member:6", &hook); err != nil {
			return err
		}
		mad := money.Currency{Code: "MAD", Decimals: 2}
		p := &trade.Policy{
			Keyword: "SOUK", ShortCode: "7474", Flow: trade.ByPhone, Kind: trade.Both, Messages: 1, Price: 3000, Currency: mad, PerOrder: 500, Deposit: 1000,
			MaxOrders: 3,
		}
		if err := s.AddPolicy(ctx, tx, "member:6", m, p); err != nil {
			return err
		}
		ask := func(phone, ref string) merchant.Ask {
			return merchant.Ask{Phone: phone, Policy: p.ID, Order: trade.Order{Ref: ref, Total: 20000, Currency: "MAD"}}
		}
		for _, phone := range []string{fatima, "+212687654321"} {
			if _, _, err := s.Claim(ctx, tx, m, ask(phone, "FIRST-"+phone[9:]), true); err != nil {
				return err
			}
		}
		n, err := sms.FromE164(fatima)
		if err != nil {
			return err
		}
		in := sms.Incoming{
			Gateway: "premium", Key: "1", From: fatima, To: "7474", Text: "SOUK", Proof: sms.Network, SentAt: tx.Now(),
			Charge: &sms.Charge{Currency: "MAD", Gross: 3000, Net: 1200, Model: "MO", State: sms.ChargeConfirmed},
		}
		if _, err := s.Hear(ctx, tx, in, n, nil); err != nil {
			return err
		}
		first, err := s.ClaimByRef(ctx, tx, m, "FIRST-"+fatima[9:])
		if err != nil {
			return err
		}
		if _, err := s.Honour(ctx, tx, "member:6", m, first.ID); err != nil {
			return err
		}
		if _, _, err := s.Claim(ctx, tx, m, ask(fatima, "SECOND"), false); err != nil {
			return err
		}
		third, _, err := s.Claim(ctx, tx, m, ask(fatima, "THIRD"), true)
		if err != nil {
			return err
		}
		if _, err := s.NotHonoured(ctx, tx, "member:6", m, third.ID, "absent", []string{"courier, twice"}); err != nil {
			return err
		}
		if _, err := s.Contest(ctx, tx, "member:6", m, third.ID); err != nil {
			return err
		}
		_, err = s.Settle(ctx, tx, "member:6", "premium", "MAD", tx.Now(), 1150, "november")
		return err
	})
}

// proposes leaves credits from a file, and putting balances back, to a second
// person.
func (w *town) proposes() {
	w.t.Helper()
	admin := w.Member("tess")
	w.Update(func(ctx context.Context, tx *store.Tx) error {
		b := w.Treasury.Prepare([]sheet.Credit{{Line: 2, Who: "lena", Sum: "900", Reason: "year", Key: "1"}}, w.Settings.Currency())
		if _, err := w.Treasury.ProposeMany(ctx, tx, admin, b, "year"); err != nil {
			return err
		}
		if err := tx.SetPaused(ctx, tx.Now()); err != nil {
			return err
		}
		p, err := w.Treasury.Preview(ctx, tx, treasury.Correction{Scope: correction.Scope{All: true}})
		if err != nil {
			return err
		}
		if _, err := w.Treasury.ProposeCorrection(ctx, tx, "member:6", p.Correction, "stolen session"); err != nil {
			return err
		}
		return tx.SetPaused(ctx, time.Time{})
	})
}

// sends lets somebody send one SMS.
func (w *town) sends(from, text string) {
	w.t.Helper()
	w.texts++
	n := w.Member(from).Number
	err := w.Teller.Receive(w.t.Context(), sms.Incoming{
		Gateway: "virtual", Key: fmt.Sprintf("%s %d", from, w.texts), From: n.E164(), To: "+33639980000", Text: text, SentAt: time.Now(),
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

var asked = regexp.MustCompile(`reply (\d{3} \d{3})`)

// answer returns the last text to somebody.
func (w *town) answer(to string) (text string) {
	w.t.Helper()
	n := w.Member(to).Number
	w.Update(func(ctx context.Context, tx *store.Tx) error {
		for after := int64(0); ; {
			all, err := tx.Outbox(ctx, after, store.MaxActs)
			if err != nil || len(all) == 0 {
				return err
			}
			for _, o := range all {
				after = o.ID
				if o.To == n {
					text = o.Text
				}
			}
		}
	})
	return text
}

// confirms sends back the code that somebody was asked for.
func (w *town) confirms(name string) {
	w.t.Helper()
	text := w.answer(name)
	code := asked.FindStringSubmatch(text)
	if code == nil {
		w.t.Fatalf("%s is asked for no code: %q", name, text)
	}
	w.sends(name, code[1])
}

var reference = regexp.MustCompile(`Ref ([A-Z0-9]+)`)

// pays lets one member pay another by SMS, and returns the reference.
func (w *town) pays(from string, sum int, to string) string {
	w.t.Helper()
	w.sends(from, fmt.Sprintf("pay %d @%s", sum, to))
	w.confirms(from)
	ref := reference.FindStringSubmatch(w.answer(from))
	if ref == nil {
		w.t.Fatalf("%s was told of no payment: %q", from, w.answer(from))
	}
	return ref[1]
}
