package link_test

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"maillon/internal/courier"
	"maillon/internal/link"
	"maillon/internal/merchant"
	"maillon/internal/money"
	"maillon/internal/phrase"
	"maillon/internal/pki"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/trade"
)

const fatima = "+212612345678"

// openSouk is a whole server with a merchant, whose clients write by one gateway.
func openSouk(t *testing.T, c link.Config) (*bench, *server.Server, *trade.Merchant) {
	t.Helper()
	b := &bench{t: t, folder: pki.Folder{Path: filepath.Join(t.TempDir(), "ca")}}
	if _, err := b.folder.Init("localhost", "", time.Now()); err != nil {
		t.Fatal(err)
	}
	book, err := phrase.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	g := link.NewGateway(c)
	s, err := server.Open(t.Context(), server.Config{
		Path: store.Memory, Secret: store.Secret{1}, Settings: setting.Default(), Book: book,
		Lines: []courier.Line{{Name: c.Name, Gateway: g, Number: "7474"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	b.db = s.DB
	if b.link, err = link.New(b.folder.Path, []string{"127.0.0.1"}, []*link.Gateway{g}); err != nil {
		t.Fatal(err)
	}
	b.link.Use(s.DB)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	b.url = b.serve(b.link.TLS(), b.link.Handler())
	b.eventually("the gateway runs", func() bool { return !g.Health().Since.IsZero() })
	var m *trade.Merchant
	err = s.DB.Update(t.Context(), func(tx *store.Tx) (err error) {
		if m, _, err = s.Merchants.Add(t.Context(), tx, "operator", merchant.NewMerchant{Name: "Souk"}); err != nil {
			return err
		}
		return s.Merchants.AddPolicy(t.Context(), tx, "operator", m, &trade.Policy{
			Keyword: "SOUK", ShortCode: "7474", Kind: trade.Advance, Messages: 2, Price: 1000, Currency: money.Currency{Code: "MAD", Decimals: 2}, PerOrder: 1000,
			MaxOrders: 2, ReturnsSlot: true,
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return b, s, m
}

// authorizations returns those of the client, with what they hold.
func authorizations(t *testing.T, s *server.Server, m *trade.Merchant) (all []*trade.Authorization) {
	t.Helper()
	err := s.DB.View(t.Context(), func(tx *store.Tx) (err error) {
		all, err = s.Merchants.Authorizations(t.Context(), tx, m, merchant.Page{Limit: 10}, fatima)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// code is how a merchant's code is written.
var code = regexp.MustCompile(`[A-Z0-9]{4}-[A-Z0-9]{4}`)

// Two premium SMS, each called a hundred times: two credits, one code, and the
// same answer for each call of one SMS.
func TestAHundredCallsForTwoPremiumSMSAreTwoCredits(t *testing.T) {
	b, s, m := openSouk(t, link.Config{
		Name: "premium", Region: "MA", Body: true, Network: true, Charge: &sms.Charge{Currency: "MAD", Gross: 1000, Net: 417, Model: "MO", State: sms.ChargeConfirmed},
	})
	c := b.client(b.issue("premium"))
	for n, want := range []func(string) bool{func(a string) bool { return strings.Contains(a, "1 SMS sur 2") }, code.MatchString} {
		var all sync.WaitGroup
		var mu sync.Mutex
		answers := map[string]bool{}
		for range 100 {
			all.Go(func() {
				a, err := call(c, http.MethodGet, fmt.Sprintf("%s/gw/v1/kannel?from=%%2B212612345678&to=7474&text=SOUK&id=%d", b.url, n), "")
				mu.Lock()
				defer mu.Unlock()
				if err != nil || a.status != http.StatusOK {
					t.Errorf("%d %s, %v", a.status, a.body, err)
				}
				answers[a.body] = true
			})
		}
		all.Wait()
		if len(answers) != 1 {
			t.Errorf("SMS %d is answered %v", n, answers)
		}
		for a := range answers {
			if !want(a) {
				t.Errorf("SMS %d is answered %q", n, a)
			}
		}
	}
	all := authorizations(t, s, m)
	if len(all) != 1 || all[0].State != trade.Active || all[0].Advance != 2000 {
		t.Errorf("the authorizations are %+v", all)
	}
}

// Where the answer is billed, nothing is credited until the operator says so,
// and it may say so before the SMS has come.
func TestAPremiumSMSCountsOnceItsBillHasCome(t *testing.T) {
	b, s, m := openSouk(t, link.Config{Name: "premium", Region: "MA", Pull: true, Network: true})
	c := b.client(b.issue("premium"))
	post := func(id string) {
		b.must(c, http.MethodPost, "/gw/v1/messages", fmt.Sprintf(
			`{"id":%q,"from":%q,"to":"7474","text":"SOUK","charge":{"currency":"MAD","gross":1000,"net":417,"model":"MT","status":"pending"}}`, id, fatima))
	}
	post("1")
	b.must(c, http.MethodPost, "/gw/v1/charges/2", `{"status":"confirmed"}`)
	post("2")
	if all := authorizations(t, s, m); len(all) != 1 || all[0].State != trade.Pending || all[0].Advance != 1000 {
		t.Errorf("before the first bill there is %+v", all)
	}
	for range 3 {
		b.must(c, http.MethodPost, "/gw/v1/charges/1", `{"status":"confirmed"}`)
	}
	if all := authorizations(t, s, m); len(all) != 1 || all[0].State != trade.Active || all[0].Advance != 2000 {
		t.Errorf("after it there is %+v", all)
	}
	b.outbox(c, "")
	b.eventually("the code lies there", func() bool {
		for _, o := range b.outbox(c, "?wait=2") {
			if code.MatchString(o.Text) && o.To == fatima {
				return true
			}
		}
		return false
	})
	b.must(c, http.MethodPost, "/gw/v1/charges/1", `{"status":"clawed_back"}`)
	if all := authorizations(t, s, m); len(all) != 1 || all[0].Advance != 1000 {
		t.Errorf("after a claw-back there is %+v", all)
	}
}
