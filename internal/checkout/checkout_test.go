package checkout_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"maillon/internal/checkout"
	"maillon/internal/merchant"
	"maillon/internal/money"
	"maillon/internal/phrase"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/trade"
)

const fatima = "+212612345678"

// A desk is the page of a shop, with its server behind.
type desk struct {
	*testing.T
	*server.Server
	page *checkout.Page
}

func open(t *testing.T) *desk {
	t.Helper()
	book, err := phrase.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	secret, err := store.NewSecret()
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.Open(t.Context(), server.Config{Path: store.Memory, Secret: secret, Settings: setting.Default(), Book: book})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	page, err := checkout.New(checkout.Options{DB: s.DB, Settings: s.Settings, Merchants: s.Merchants})
	if err != nil {
		t.Fatal(err)
	}
	err = s.DB.Update(t.Context(), func(tx *store.Tx) error {
		m, _, err := s.Merchants.Add(t.Context(), tx, "operator", merchant.NewMerchant{Name: "Souk & Co"})
		if err != nil {
			return err
		}
		return s.Merchants.AddPolicy(t.Context(), tx, "operator", m, &trade.Policy{
			Keyword: "SOUK", ShortCode: "7474", Kind: trade.Both, Messages: 1, Price: 1500, Currency: money.Currency{Code: "MAD", Decimals: 2},
			Deposit: 1000, PerOrder: 500, MaxOrders: 1,
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return &desk{t, s, page}
}

// ask visits the page; with a form it is posted.
func (d *desk) ask(path, accept string, form url.Values) *httptest.ResponseRecorder {
	d.Helper()
	r := httptest.NewRequestWithContext(d.Context(), http.MethodGet, path, nil)
	if form != nil {
		r = httptest.NewRequestWithContext(d.Context(), http.MethodPost, path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("Accept-Language", accept)
	w := httptest.NewRecorder()
	d.page.ServeHTTP(w, r)
	return w
}

// pays sends the SMS and returns the code that comes back.
func (d *desk) pays() string {
	d.Helper()
	err := d.Teller.Receive(d.Context(), sms.Incoming{
		Gateway: "premium", Key: "1", From: fatima, To: "7474", Text: "SOUK", SentAt: time.Now(), Proof: sms.Network,
		Charge: &sms.Charge{Currency: "MAD", Gross: 1500, Model: "MO", State: sms.ChargeConfirmed},
	})
	if err != nil {
		d.Fatal(err)
	}
	code := ""
	err = d.DB.View(d.Context(), func(tx *store.Tx) error {
		out, err := tx.Outbox(d.Context(), 0, 10)
		for _, o := range out {
			code = regexp.MustCompile(`[A-Z0-9]{4}-[A-Z0-9]{4}`).FindString(o.Text)
		}
		return err
	})
	if err != nil || code == "" {
		d.Fatalf("no code: %v", err)
	}
	return code
}

// A client reads what to send, shows her code, and the order is noted once.
func TestAClientOfAShopWithoutProgram(t *testing.T) {
	d := open(t)
	for accept, want := range map[string]string{"fr": "Envoyez SOUK au 7474", "en-GB": "Send SOUK to 7474", "de": "Envoyez SOUK au 7474"} {
		w := d.ask("/order/souk?ref=A-1&total=200", accept, nil)
		body := w.Body.String()
		if w.Code != http.StatusOK || !strings.Contains(body, want) || !strings.Contains(body, `value="A-1"`) || !strings.Contains(body, "Souk &amp; Co") {
			t.Errorf("%s: %d %s", accept, w.Code, body)
		}
		if !strings.Contains(body, `href="sms:7474?body=SOUK"`) {
			t.Errorf("%s: no link that a telephone opens: %s", accept, body)
		}
	}
	form := url.Values{"ref": {"A-1"}, "total": {"200,00"}, "code": {"BBBB-BBBB"}}
	if w := d.ask("/order/SOUK", "en", form); w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "not right") {
		t.Errorf("a wrong code: %d %s", w.Code, w.Body)
	}
	form.Set("code", strings.ToLower(d.pays()))
	for range 2 { // a page that is sent again notes nothing twice
		w := d.ask("/order/SOUK", "en", form)
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "Noted: A-1") || !strings.Contains(w.Body.String(), "195.00") {
			t.Errorf("the order: %d %s", w.Code, w.Body)
		}
	}
	form.Set("ref", "A-2")
	if w := d.ask("/order/SOUK", "en", form); w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "was used") {
		t.Errorf("a second order: %d %s", w.Code, w.Body)
	}
}

func TestWhatIsNotThereAndWhatIsWrong(t *testing.T) {
	d := open(t)
	for path, want := range map[string]int{"/order/NOTHING": http.StatusNotFound, "/order/": http.StatusNotFound, "/order/souk": http.StatusOK} {
		if w := d.ask(path, "en", nil); w.Code != want {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	for name, form := range map[string]url.Values{
		"not a sum": {"ref": {"A-1"}, "total": {"much"}, "code": {"BBBB-BBBB"}},
		"reference": {"ref": {"A 1"}, "total": {"2"}, "code": {"BBBB-BBBB"}},
		"missing":   {"ref": {"A-1"}, "total": {"2"}},
	} {
		if w := d.ask("/order/SOUK", "en", form); w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), name) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if w := d.ask("/order/SOUK", "en", url.Values{"code": {strings.Repeat("x", 8<<10)}}); w.Code != http.StatusBadRequest {
		t.Errorf("too much: %d", w.Code)
	}
	// Guessing ends.
	var last int
	for n := range 7 {
		w := d.ask("/order/SOUK", "en", url.Values{"ref": {"A-1"}, "total": {"2"}, "code": {"BBBB-BBB" + string(rune('2'+n))}})
		if strings.Contains(w.Body.String(), "Too many") {
			last = n
			break
		}
	}
	if last != 5 {
		t.Errorf("after %d codes guessing ends, want 5", last)
	}
}
