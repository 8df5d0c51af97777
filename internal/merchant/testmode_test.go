package merchant_test

import (
	"strings"
	"testing"

	"maillon/internal/merchant"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/trade"
)

// Two merchants try the same lines of a page at once: each has the keyword SOUK,
// a message m1 and a bill of it, and none meets the other's.
func TestTestsOfTwoMerchantsAreApart(t *testing.T) {
	k := onDisk(t)
	ctx := t.Context()
	k.do(func(tx *store.Tx) error {
		_, other, err := k.Merchants.Add(ctx, tx, "operator", merchant.NewMerchant{Name: "Bazar"})
		if err != nil {
			return err
		}
		for _, m := range []*trade.Merchant{k.test, other} {
			p := &trade.Policy{Keyword: "SOUK", ShortCode: shortNo, Kind: trade.Deposit, Messages: 1, Price: 1000, Currency: mad, Deposit: 1000, MaxOrders: 1}
			if err := k.Merchants.AddPolicy(ctx, tx, "key", m, p); err != nil {
				return err
			}
		}
		for n, m := range []*trade.Merchant{k.test, other} {
			charge := *charged("m1", fatima, "").Charge
			charge.State = sms.ChargePending
			got, err := k.Merchants.Inject(ctx, tx, m, merchant.Message{From: fatima, Text: "souk", Key: "m1", Charge: &charge})
			if err != nil || !strings.HasPrefix(got, m.Name) {
				t.Errorf("%s is answered %q, %v", m.Name, got, err)
			}
			if err := k.Merchants.InjectBill(ctx, tx, m, "m1", sms.ChargeConfirmed); err != nil {
				return err
			}
			for after, one := range []*trade.Merchant{k.test, other} {
				all, err := k.Merchants.Authorizations(ctx, tx, one, merchant.Page{States: []trade.State{trade.Active}}, fatima)
				if err != nil || len(all) != 1 && after <= n || len(all) != 0 && after > n {
					t.Errorf("after the bill of %s, %s has %d active, %v", m.Name, one.Name, len(all), err)
				}
			}
			if got, err := k.Merchants.Inject(ctx, tx, m, merchant.Message{From: fatima, Text: "nobody", Key: "m2", Charge: &charge}); err != nil || got != "" {
				t.Errorf("a word that is nobody's is answered %q, %v", got, err)
			}
		}
		return nil
	})
}
