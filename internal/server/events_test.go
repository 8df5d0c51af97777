package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"maillon/internal/merchant"
	"maillon/internal/money"
	"maillon/internal/phrase"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/trade"
	"maillon/internal/webhook"
)

// A listener is what a shop's program hears.
type listener struct {
	mu    sync.Mutex
	heard []webhook.Shown
	said  bytes.Buffer
}

// RoundTrip implements http.RoundTripper.
func (l *listener) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var e webhook.Shown
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = append(l.heard, e)
	l.said.Write(body)
	return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody, Header: http.Header{}, Request: r}, nil
}

// A client's SMS and what comes of her order are told to the shop's program, in
// their order and in the form of the API, without her number or her code.
func TestAShopHearsWhatItsClientsDo(t *testing.T) {
	book, err := phrase.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	const fatima = "+212612345678"
	synctest.Test(t, func(t *testing.T) {
		secret, err := store.NewSecret()
		if err != nil {
			t.Fatal(err)
		}
		shop := &listener{}
		s, err := server.Open(t.Context(), server.Config{
			Path: store.Memory, Secret: secret, Settings: setting.Default(), Book: book,
			Webhooks: webhook.Options{Client: &http.Client{Transport: shop}},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		defer func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			_ = s.Close()
		}()
		update := func(do func(tx *store.Tx) error) {
			t.Helper()
			if err := s.DB.Update(ctx, do); err != nil {
				t.Fatal(err)
			}
		}
		var m *trade.Merchant
		p := &trade.Policy{
			Keyword: "SOUK", ShortCode: "7474", Kind: trade.Deposit, Messages: 2, Price: 1000, Deposit: 2000, MaxOrders: 2,
			Currency: money.Currency{Code: "MAD", Decimals: 2},
		}
		update(func(tx *store.Tx) (err error) {
			if m, _, err = s.Merchants.Add(ctx, tx, "operator", merchant.NewMerchant{Name: "Souk"}); err != nil {
				return err
			}
			if err := s.Merchants.AddPolicy(ctx, tx, "operator", m, p); err != nil {
				return err
			}
			_, err = s.Webhooks.Add(ctx, tx, "operator", &webhook.Endpoint{Merchant: m.ID, URL: "https://souk.example.org/", Types: []string{webhook.Any}})
			return err
		})
		for n := range p.Messages {
			err := s.Teller.Receive(ctx, sms.Incoming{
				Gateway: "premium", Key: fmt.Sprint(n), From: fatima, To: "7474", Text: "souk", SentAt: time.Now(), Proof: sms.Network,
				Charge: &sms.Charge{Currency: "MAD", Gross: 1000, Net: 417, Model: "MO", State: sms.ChargeConfirmed},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		update(func(tx *store.Tx) error {
			all, err := s.Merchants.Authorizations(ctx, tx, m, merchant.Page{}, "")
			if err != nil || len(all) != 1 {
				return fmt.Errorf("%d authorizations: %w", len(all), err)
			}
			c, _, err := s.Merchants.Claim(ctx, tx, m, merchant.Ask{Authorization: all[0].ID, Order: trade.Order{Ref: "1042", Total: 18900, Currency: "MAD"}}, false)
			if err != nil {
				return err
			}
			if _, err := s.Merchants.Confirm(ctx, tx, "key:1", m, c.ID); err != nil {
				return err
			}
			_, err = s.Merchants.Honour(ctx, tx, "key:1", m, c.ID)
			return err
		})
		synctest.Wait()
		var types []string
		for _, e := range shop.heard {
			types = append(types, e.Type)
			var object struct{ Object, ID string }
			if err := json.Unmarshal(e.Data.Object, &object); err != nil || !strings.HasPrefix(e.Type, object.Object+".") || !strings.Contains(object.ID, "_") {
				t.Errorf("%s is about %s", e.Type, e.Data.Object)
			}
		}
		want := "authorization.created charge.confirmed authorization.topped_up charge.confirmed authorization.activated " +
			"claim.reserved claim.opened claim.honoured"
		if got := strings.Join(types, " "); got != want {
			t.Errorf("the shop heard\n%s\nwant\n%s", got, want)
		}
		if said := shop.said.String(); strings.Contains(said, "612345678") || strings.Contains(said, `"code"`) {
			t.Errorf("it says of her %s", said)
		}
	})
}
