package order_test

import (
	"strings"
	"testing"
	"time"

	"maillon/internal/money"
	"maillon/internal/order"
)

func TestReferencesHaveTheirShape(t *testing.T) {
	for n := order.MinRefLen; n <= order.MaxRefLen; n++ {
		for range 200 {
			ref := order.DrawRef(n)
			if len(ref) != n || !order.IsRef(ref) || strings.ContainsAny(ref, "IO0") {
				t.Fatalf("DrawRef(%d) = %q", n, ref)
			}
		}
	}
	for _, s := range []string{"", "K7F", "k7f2", "7K2F", "K0F2", "O7F2", "I7F2", "K7F2K7F2K", "K7FÉ", "K7 F2"} {
		if order.IsRef(s) {
			t.Errorf("IsRef(%q)", s)
		}
	}
}

// A character is added when half of the shorter references are used.
func TestReferencesGrow(t *testing.T) {
	const four = 24 * 9 * 24 * 9
	for _, c := range []struct {
		used int64
		want int
	}{
		{0, 4}, {four/2 - 1, 4}, {four / 2, 5}, {four*24/2 - 1, 5}, {four * 24 / 2, 6}, {four * 24 * 9 / 2, 7}, {four * 24 * 9 * 24 / 2, 8}, {1 << 62, 8},
	} {
		if got := order.RefLen(c.used); got != c.want {
			t.Errorf("RefLen(%d) = %d, want %d", c.used, got, c.want)
		}
	}
}

func TestTheSameOrderIsTheSameInAllThatMatters(t *testing.T) {
	a := order.Order{Kind: order.Pay, Payer: 1, Payee: 2, Amount: money.New(5, money.Currency{Code: "MAILLON"}), Secret: order.Secret{Memo: "vélo"}}
	same := a
	same.ID, same.Ref, same.State, same.Created, same.Secret.Typed = 9, "K7F2", order.Done, time.Now(), "lena"
	if !a.Same(&same) {
		t.Error("an order that differs only in what became of it is another")
	}
	for what, change := range map[string]func(*order.Order){
		"kind": func(o *order.Order) { o.Kind = order.Request }, "payer": func(o *order.Order) { o.Payer = 3 }, "payee": func(o *order.Order) { o.Payee = 3 },
		"amount": func(o *order.Order) { o.Amount = money.New(6, o.Amount.Currency()) }, "unit": func(o *order.Order) { o.Amount = money.New(5, money.Currency{Code: "HEURE"}) },
		"memo": func(o *order.Order) { o.Secret.Memo = "velo" }, "number": func(o *order.Order) { o.Secret.Number = "+33639980001" }, "target": func(o *order.Order) { o.Target = 7 },
	} {
		b := a
		change(&b)
		if a.Same(&b) {
			t.Errorf("an order with another %s is the same", what)
		}
	}
}

func TestACodeMayComeUntilItsEnd(t *testing.T) {
	end := time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)
	o := order.Order{State: order.Open, CodeEnd: end}
	if !o.OpenAt(end.Add(-time.Second)) || o.OpenAt(end) {
		t.Error("an order is not open exactly until its end")
	}
	o.State = order.Done
	if o.OpenAt(end.Add(-time.Second)) {
		t.Error("an order that is done is open")
	}
}

func TestWhoIsPaidWithoutAccount(t *testing.T) {
	o := order.Order{Secret: order.Secret{Number: "+33639980001"}}
	if got := o.PayeeNumber().E164(); got != "+33639980001" {
		t.Errorf("PayeeNumber = %q", got)
	}
	for _, s := range []string{"", "lena", "0639980001"} {
		o.Secret.Number = s
		if got := o.PayeeNumber().E164(); got != "" {
			t.Errorf("PayeeNumber of %q = %q", s, got)
		}
	}
}
