package currency_test

import (
	"net/http"
	"regexp"
	"testing"

	"maillon/internal/console/currency"
	"maillon/internal/console/frame"
	"maillon/internal/console/frame/frametest"
	"maillon/internal/server"
)

func open(t *testing.T) *frametest.Console {
	t.Helper()
	return frametest.Open(t, func(s *server.Server) []frame.Room { return []frame.Room{currency.New(s)} })
}

// Everything is off until somebody decides, and every page can be looked at.
func TestAllIsOffAtFirst(t *testing.T) {
	c := open(t)
	for _, path := range []string{"/pots", "/groups", "/reasons", "/demurrage", "/limits", "/message"} {
		if a := c.Get("abe", path); a.Status != http.StatusOK {
			t.Errorf("%s is %d: %s", path, a.Status, a.Text)
		}
	}
	for path, form := range map[string][]string{
		"/demurrage/run": {"month", "2026-03"}, "/limits/member": {"who", "yann", "limit", "20", "reason", "board"},
	} {
		if a := c.Post("abe", path, form...); a.Status != http.StatusUnprocessableEntity {
			t.Errorf("%s is %d: %s", path, a.Status, a.Text)
		}
	}
}

// A pot is opened, filled once however often the form comes, and pays out.
func TestAPot(t *testing.T) {
	c := open(t)
	if a := c.Post("abe", "/pots/open", "title", "Vélo cargo", "goal", "400", "why", "assembly"); a.Status != http.StatusSeeOther {
		t.Fatalf("open: %d %s", a.Status, a.Text)
	}
	fill := []string{"pot", "velocargo", "sum", "100", "reason", "fair", "key", "k1"}
	c.Post("tess", "/pots/move", fill...)
	if a := c.Post("tess", "/pots/move", fill...); a.Status != http.StatusUnprocessableEntity {
		t.Errorf("the form twice: %d", a.Status)
	}
	c.Post("tess", "/pots/move", "pot", "velocargo", "sum", "30", "who", "lena", "reason", "wheels", "key", "k2")
	if a := c.Get("ann", "/pots"); !a.Says("Vélo cargo") || !a.Says("70") || !a.Says("17 %") || c.Balance("lena") != 75 {
		t.Errorf("pots: %s; lena has %d, want 75", a.Text, c.Balance("lena"))
	}
}

// What is decided needs a reason, and what cannot be changes nothing.
func TestDecisionsAreChecked(t *testing.T) {
	c := open(t)
	for name, a := range map[string]frametest.Answer{
		"no reason":       c.Post("abe", "/groups", "name", "x", "start", "10", "text", "hi"),
		"no text":         c.Post("abe", "/groups", "name", "x", "start", "10", "why", "assembly"),
		"a rate of 11 %":  c.Post("abe", "/demurrage", "on", "on", "rate", "11", "since", "2026-03", "why", "assembly"),
		"no such month":   c.Post("abe", "/demurrage", "on", "on", "rate", "1", "since", "March", "why", "assembly"),
		"soft above hard": c.Post("abe", "/limits", "on", "on", "soft", "60", "hard", "50", "why", "assembly"),
	} {
		if a.Status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s", name, a.Status, a.Text)
		}
	}
	if a := c.Post("tess", "/groups", "name", "x", "why", "me"); a.Status != http.StatusForbidden {
		t.Errorf("a treasurer decides: %d", a.Status)
	}
	c.Post("abe", "/groups", "name", "shops", "start", "10", "text", "welcome", "exempt", "on", "why", "assembly")
	c.Post("tess", "/groups/member", "who", "yann", "group", "shops")
	if c.Member("yann").Group != "shops" {
		t.Errorf("yann is in %q, want shops", c.Member("yann").Group)
	}
	c.Post("abe", "/demurrage", "on", "on", "rate", "1,5", "free", "20", "since", "2020-01", "why", "assembly")
	if a := c.Get("tess", "/demurrage"); !a.Says("1.5 % a month") {
		t.Errorf("demurrage: %s", a.Text)
	}
}

var key = regexp.MustCompile(`name="key" value="([A-Z0-9]+)"`)

// A message is shown with what it costs before it leaves, and leaves once.
func TestAMessage(t *testing.T) {
	c := open(t)
	if a := c.Post("abe", "/message", "text-fr", "chaîne", "reason", "fair"); a.Status != http.StatusUnprocessableEntity {
		t.Errorf("a text that is no GSM-7: %d", a.Status)
	}
	form := []string{"text-fr", "Bal samedi", "text-en", "Dance on Saturday", "reason", "fair"}
	a := c.Post("abe", "/message", form...)
	found := key.FindStringSubmatch(a.Body)
	if a.Status != http.StatusOK || found == nil || !a.Says("Send 3 SMS") {
		t.Fatalf("effect: %d %s", a.Status, a.Text)
	}
	form = append(form, "key", found[1])
	if a := c.Post("abe", "/message", form...); a.Status != http.StatusSeeOther {
		t.Errorf("send: %d %s", a.Status, a.Text)
	}
	if a := c.Post("abe", "/message", form...); a.Status != http.StatusUnprocessableEntity {
		t.Errorf("send twice: %d %s", a.Status, a.Text)
	}
}

// From where on a second person is asked can be decided.
func TestASecondPersonForMessages(t *testing.T) {
	c := open(t)
	if a := c.Post("abe", "/message/rules", "sum", "100", "readers", "2", "hour", "60", "price", "45", "why", "assembly"); a.Status != http.StatusSeeOther {
		t.Fatalf("decide: %d %s", a.Status, a.Text)
	}
	if a := c.Get("abe", "/message"); !a.Says("Second person, speed") {
		t.Errorf("message: %s", a.Text)
	}
	if a := c.Post("abe", "/message", "text-fr", "Bal samedi", "reason", "fair"); !a.Says("a second person must agree") || !a.Says("0,13 €") {
		t.Errorf("effect: %s", a.Text)
	}
}

// Reasons of credits are counted by month.
func TestReasons(t *testing.T) {
	c := open(t)
	c.Post("abe", "/reasons", "name", "Workshops", "words", "workshop", "measure", "hours", "why", "assembly")
	if a := c.Get("tess", "/reasons"); !a.Says("Workshops") || !a.Says("235") {
		t.Errorf("reasons: %s", a.Text)
	}
}
