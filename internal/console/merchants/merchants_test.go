package merchants_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"maillon/internal/console/frame"
	"maillon/internal/console/frame/frametest"
	"maillon/internal/console/merchants"
	"maillon/internal/server"
)

func open(t *testing.T) *frametest.Console {
	t.Helper()
	return frametest.Open(t, func(s *server.Server) []frame.Room { return []frame.Room{merchants.New(s)} })
}

// pathIn is where an answer leads to.
func pathIn(t *testing.T, a frametest.Answer) string {
	t.Helper()
	if a.Status != http.StatusSeeOther {
		t.Fatalf("it is %d: %s", a.Status, a.Text)
	}
	path := strings.TrimPrefix(a.Location, "/console")
	path, _, _ = strings.Cut(path, "?")
	return path
}

var policy = []string{
	"keyword", "souk", "kind", "deposit", "flow", "phone", "currency", "MAD", "short_code", "7474", "messages_required", "1", "price", "10",
	"deposit", "10", "max_orders", "2", "delivery", "both", "hours", "72", "rail_premium_sms", "on", "rail_cash", "on", "credit_basis", "face",
	"holder", "platform", "on_outage", "closed", "release_returns_slot", "on",
}

// A merchant, an offer, an order whose client pays at the desk, its outcome: by
// the console alone.
func TestAMerchantByTheConsoleAlone(t *testing.T) {
	c := open(t)
	shop := pathIn(t, c.Post("tess", "/merchants", "name", "Souk"))
	if a := c.Get("tess", shop); !a.Says("There is no offer yet") {
		t.Errorf("the sheet: %s", a.Text)
	}
	offer := pathIn(t, c.Post("tess", shop+"/policies", policy...))
	if a := c.Get("tess", offer); !a.Says("SOUK") || !a.Says("MAD") {
		t.Errorf("the offer: %s", a.Text)
	}
	id := offer[strings.LastIndex(offer, "/")+1:]
	order := pathIn(t, c.Post("tess", shop+"/orders", "policy", id, "ref", "A-1", "total", "200", "phone", "+212612345678"))
	if a := c.Get("tess", order); !a.Says("asked of the client") {
		t.Errorf("the order: %s", a.Text)
	}
	// Nobody has sent an SMS: the same order again is the same, with another total it is refused.
	if again := pathIn(t, c.Post("tess", shop+"/orders", "policy", id, "ref", "A-1", "total", "200", "phone", "+212612345678")); again != order {
		t.Errorf("the same order is %s and %s", order, again)
	}
	if a := c.Post("tess", shop+"/orders", "policy", id, "ref", "A-1", "total", "201", "phone", "+212612345678"); a.Status != http.StatusUnprocessableEntity || !a.Says("another total") {
		t.Errorf("with another total: %d %s", a.Status, a.Text)
	}
	if a := c.Get("ann", shop); a.Status != http.StatusForbidden {
		t.Errorf("a reader of figures sees %d", a.Status)
	}
}

// What is wrong with an offer is said beside its form, in which all that was
// written still stands.
func TestAnOfferThatCannotBe(t *testing.T) {
	c := open(t)
	shop := pathIn(t, c.Post("tess", "/merchants", "name", "Souk"))
	for name, change := range map[string][2]string{
		"Word":          {"keyword", "x"},
		"is taken":      {"keyword", "solde"},
		"Deposit":       {"deposit", "11"},
		"not known":     {"currency", "XXXX"},
		"Hours":         {"hours", "3"},
		"Tick at least": {"rail_premium_sms", ""},
	} {
		form := append([]string{}, policy...)
		for n := 0; n < len(form); n += 2 {
			if form[n] == change[0] || change[0] == "rail_premium_sms" && form[n] == "rail_cash" {
				form[n+1] = change[1]
			}
		}
		a := c.Post("tess", shop+"/policies", form...)
		if a.Status != http.StatusUnprocessableEntity || !a.Says(name) {
			t.Errorf("%s: %d %s", name, a.Status, a.Text)
		}
	}
}

// A file of orders is taken line by line: what is wrong with one changes nothing
// of the others.
func TestAFileOfOrders(t *testing.T) {
	c := open(t)
	shop := pathIn(t, c.Post("tess", "/merchants", "name", "Souk"))
	offer := pathIn(t, c.Post("tess", shop+"/policies", policy...))
	id := offer[strings.LastIndex(offer, "/")+1:]
	file := "ref;total;tel\nA-1;200,00;+212612345678\nA-2;x;+212612345678\nA-3;50;not a number\n"
	a := c.Upload("tess", shop+"/orders/file", "file", []byte(file), "policy", id)
	if a.Status != http.StatusOK || !a.Says("asked of the client") || !a.Says("not a telephone number") {
		t.Errorf("the file: %d %s", a.Status, a.Text)
	}
	if a := c.Get("tess", shop+"/orders"); !a.Says("A-1") || a.Says("A-2") || a.Says("A-3") {
		t.Errorf("the orders: %s", a.Text)
	}
}

// A key and the secret of an address are shown once; what was made can be ended.
func TestKeysAndAddresses(t *testing.T) {
	c := open(t)
	shop := pathIn(t, c.Post("tess", "/merchants", "name", "Souk"))
	a := c.Post("tess", shop+"/programs", "what", "key", "name", "shop")
	if a.Status != http.StatusOK || !a.Says("sk_live_") {
		t.Errorf("a key: %d %s", a.Status, a.Text)
	}
	if a := c.Get("tess", shop+"/programs"); a.Says("sk_live_") || !a.Says("shop") {
		t.Errorf("afterwards: %s", a.Text)
	}
	for _, url := range []string{"http://shop.example/hook", "https://127.0.0.1/hook", "https://[::1]/x", "https://10.0.0.1/"} {
		if a := c.Post("tess", shop+"/programs", "what", "endpoint", "url", url); a.Status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s", url, a.Status, a.Text)
		}
	}
	if a := c.Post("tess", shop+"/programs", "what", "endpoint", "url", "https://203.0.114.7/hook"); a.Status != http.StatusOK || !a.Says("whsec_") {
		t.Errorf("an address: %d %s", a.Status, a.Text)
	}
	hook := regexp.MustCompile(`/programs/\d+`).FindString(c.Get("tess", shop+"/programs").Body)
	for _, what := range []string{"rotate", "stolen"} {
		if a := c.Post("tess", shop+hook, "what", what); a.Status != http.StatusOK || !a.Says("whsec_") {
			t.Errorf("%s: %d %s", what, a.Status, a.Text)
		}
	}
	if a := c.Get("tess", shop+hook); a.Status != http.StatusOK || a.Says("whsec_") || a.Says("signs too") {
		t.Errorf("after a theft: %d %s", a.Status, a.Text)
	}
	if a := c.Get("fay", shop+"/programs"); a.Status != http.StatusForbidden {
		t.Errorf("the front desk sees keys: %d", a.Status)
	}
}
