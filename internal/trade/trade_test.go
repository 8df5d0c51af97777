package trade_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"maillon/internal/money"
	"maillon/internal/trade"
)

var mad = money.Currency{Code: "MAD", Decimals: 2}

func both() trade.Policy {
	return trade.Policy{
		Keyword: "SOUK", Kind: trade.Both, Messages: 2, Price: 1000, Currency: mad, PerOrder: 500, Deposit: 1500, MaxOrders: 2, ReturnsSlot: true,
	}
}

func TestAPolicySaysWhatIsWrongWithIt(t *testing.T) {
	for _, c := range []struct {
		field  string
		change func(p *trade.Policy)
	}{
		{"", func(*trade.Policy) {}},
		{"keyword", func(p *trade.Policy) { p.Keyword = "souk" }},
		{"messages_required", func(p *trade.Policy) { p.Messages = 21 }},
		{"max_open_orders", func(p *trade.Policy) { p.MaxOrders = 0 }},
		{"deposit", func(p *trade.Policy) { p.Deposit = 2001 }},
		{"deposit", func(p *trade.Policy) { p.Kind = trade.Advance }},
		{"advance_per_order", func(p *trade.Policy) { p.Kind = trade.Deposit }},
		{"price", func(p *trade.Policy) { p.Price = 0 }},
		{"forfeit_amount", func(p *trade.Policy) { p.Forfeit = 1501 }},
		{"dispute_hours", func(p *trade.Policy) { p.Window = time.Hour }},
		{"rails", func(p *trade.Policy) { p.Rails = []trade.Rail{"barter"} }},
	} {
		p := both()
		c.change(&p)
		err := p.Check()
		wrong, _ := errors.AsType[*trade.PolicyError](err)
		if c.field == "" && err != nil || c.field != "" && (wrong == nil || wrong.Field != c.field) {
			t.Errorf("%s: %v", c.field, err)
		}
	}
}

// The deposit is filled first; what is over goes to the advance and is not lost.
func TestMessagesFillTheDepositThenTheAdvance(t *testing.T) {
	p := both()
	a := trade.Authorization{State: trade.Pending}
	for n, want := range [][2]int64{{1000, 0}, {500, 500}, {0, 1000}} {
		deposit, advance := a.Fund(&p, 1000)
		if deposit != want[0] || advance != want[1] {
			t.Errorf("message %d: %d to the deposit and %d to the advance, want %v", n+1, deposit, advance, want)
		}
	}
	if a.Deposit != 1500 || a.Advance != 1500 || a.Deposited != trade.Held {
		t.Errorf("after three messages: %+v", a)
	}
}

func TestWhyAnOrderIsNotLetThrough(t *testing.T) {
	now := time.Now()
	order := trade.Order{Ref: "A", Total: 20000, Currency: "MAD", Delivery: trade.Home}
	for _, c := range []struct {
		want   trade.Reason
		change func(a *trade.Authorization, p *trade.Policy, o *trade.Order)
	}{
		{"", func(*trade.Authorization, *trade.Policy, *trade.Order) {}},
		{trade.IsPending, func(a *trade.Authorization, _ *trade.Policy, _ *trade.Order) { a.State = trade.Pending }},
		{trade.IsExhausted, func(a *trade.Authorization, _ *trade.Policy, _ *trade.Order) { a.State = trade.Exhausted }},
		{trade.IsClosed, func(a *trade.Authorization, _ *trade.Policy, _ *trade.Order) { a.State = trade.Over }},
		{trade.IsRevoked, func(a *trade.Authorization, _ *trade.Policy, _ *trade.Order) { a.State = trade.Revoked }},
		{trade.IsForfeited, func(a *trade.Authorization, _ *trade.Policy, _ *trade.Order) { a.State = trade.Forfeited }},
		{trade.IsExpired, func(a *trade.Authorization, _ *trade.Policy, _ *trade.Order) { a.Expires = now }},
		{trade.OrderLimit, func(a *trade.Authorization, _ *trade.Policy, _ *trade.Order) { a.Used = 2 }},
		{trade.TooManyOpen, func(a *trade.Authorization, p *trade.Policy, _ *trade.Order) { p.MaxOpen, a.Open = 1, 1 }},
		{trade.TotalTooHigh, func(_ *trade.Authorization, p *trade.Policy, _ *trade.Order) { p.MaxTotal = 19999 }},
		{trade.AdvanceRequired, func(a *trade.Authorization, _ *trade.Policy, _ *trade.Order) { a.Advance = 499 }},
		{trade.WrongCurrency, func(_ *trade.Authorization, _ *trade.Policy, o *trade.Order) { o.Currency = "EUR" }},
		{trade.NotDelivered, func(_ *trade.Authorization, p *trade.Policy, _ *trade.Order) { p.Delivery = trade.Pickup }},
		{trade.NotDelivered, func(_ *trade.Authorization, p *trade.Policy, o *trade.Order) {
			p.Pickups, o.Delivery, o.Point = []string{"Fes"}, trade.Pickup, "Rabat"
		}},
	} {
		p, o := both(), order
		a := trade.Authorization{State: trade.Active, Advance: 500, Deposit: 1500, Deposited: trade.Held}
		if err := p.Check(); err != nil {
			t.Fatal(err)
		}
		c.change(&a, &p, &o)
		advance, err := a.Allows(&p, o, now)
		refusal, _ := errors.AsType[*trade.Refusal](err)
		switch {
		case c.want == "" && (err != nil || advance != 500):
			t.Errorf("a good order: %d, %v", advance, err)
		case c.want != "" && (refusal == nil || refusal.Reason != c.want):
			t.Errorf("%s: %v", c.want, err)
		}
	}
}

// A claim has one outcome, whatever is asked in whatever order; only a client who
// was right in a dispute changes it.
func TestAClaimHasOneOutcome(t *testing.T) {
	now := time.Now()
	asked := []trade.State{trade.Reserved, trade.Opened, trade.Honoured, trade.Released, trade.Withdrawn, trade.NotHonoured, trade.Forfeit, trade.Reinstated}
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		c := trade.Claim{State: trade.Reserved}
		var ended trade.State
		for range 12 {
			next := asked[r.IntN(len(asked))]
			was := c.State
			moved, err := c.To(next, now)
			switch {
			case err != nil && (moved || c.State != was):
				t.Fatalf("seed %d: refused and moved to %s", seed, c.State)
			case was == next && (moved || err != nil):
				t.Fatalf("seed %d: a repeat of %s: %v, %v", seed, next, moved, err)
			case ended != "" && c.State != ended && (ended != trade.Forfeit || c.State != trade.Reinstated):
				t.Fatalf("seed %d: %s after %s", seed, c.State, ended)
			}
			if c.Ended() {
				ended = c.State
			}
		}
	}
}

// Whatever happens in whatever order, what the client has is what she paid without
// what orders took, and no counter is below zero.
func TestAnAuthorizationNeitherLosesNorMakesMoney(t *testing.T) {
	now := time.Now()
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 2))
		p := both()
		p.MaxOrders = 1 + r.IntN(3)
		if err := p.Check(); err != nil {
			t.Fatal(err)
		}
		a := trade.Authorization{State: trade.Pending}
		var in, out int64
		var open []int64
		for range 30 {
			switch r.IntN(5) {
			case 0:
				if a.Live() {
					a.Fund(&p, 1000)
					in += 1000
					a.Activate(&p, now)
				}
			case 1:
				if advance, err := a.Allows(&p, trade.Order{Total: 700, Currency: "MAD"}, now); err == nil {
					a.Take(&p, advance)
					open = append(open, advance)
				}
			case 2:
				if len(open) > 0 { // honoured
					out += open[0]
					a.End(0, false)
					open = open[1:]
				}
			case 3:
				if len(open) > 0 { // released
					a.End(open[0], true)
					open = open[1:]
				}
			case 4:
				if sum := a.Refundable(); sum > 0 {
					deposit, advance := a.Refund(sum)
					out += deposit + advance
				}
			}
			var held int64
			for _, advance := range open {
				held += advance
			}
			if in != out+held+a.Deposit+a.Advance || a.Used < 0 || a.Open != len(open) || a.Advance < 0 || a.Deposit < 0 {
				t.Fatalf("seed %d: in %d, out %d, in orders %d, %+v", seed, in, out, held, a)
			}
		}
	}
}
