package settings_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"maillon/internal/auth"
	"maillon/internal/console/frame"
	"maillon/internal/console/frame/frametest"
	"maillon/internal/console/settings"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/store"
)

func open(t *testing.T) *frametest.Console {
	t.Helper()
	c := frametest.Open(t, func(s *server.Server) []frame.Room { return []frame.Room{settings.New(s)} })
	c.Fresh("abe", auth.Visitor{Session: "abe", Proved: time.Now()})
	return c
}

// chosen returns what a setting is chosen to be, and the last act on it.
func chosen(t *testing.T, c *frametest.Console, key string) (text string, last store.Act) {
	t.Helper()
	c.Update(func(ctx context.Context, tx *store.Tx) error {
		set, _, err := c.Chosen(ctx, tx)
		if err != nil {
			return err
		}
		text = set.Text(key)
		acts, err := tx.Acts(ctx, store.ActsWhere{Subject: "setting:" + key}, 1)
		if len(acts) > 0 {
			last = acts[0]
		}
		return err
	})
	return text, last
}

// A setting is changed after its effect was seen, with the SMS that it changes;
// the audit has what was before and after, and every server hears of it.
func TestASettingIsChanged(t *testing.T) {
	c := open(t)
	if a := c.Get("tess", "/settings"); !a.Says("first.max") || a.Status != http.StatusOK {
		t.Errorf("the list is %d", a.Status)
	}
	for _, key := range setting.Editable() {
		if a := c.Get("aud", "/settings/"+key); a.Status != http.StatusOK || a.Says("setting."+key) || strings.Contains(a.Body, `name="value"`) {
			t.Errorf("%s for the auditor is %d, has no words, or has a form", key, a.Status)
		}
	}
	a := c.Get("abe", "/settings/max/change?value=150")
	if a.Status != http.StatusOK || !a.Says("Maximum 200 m") && !a.Says("Limit: 200") && !a.Says("200") || !a.Says("150") {
		t.Errorf("the effect is %d: %s", a.Status, a.Text)
	}
	if text, _ := chosen(t, c, "max"); text != "200" {
		t.Errorf("looking changed it to %s", text)
	}
	if a := c.Post("abe", "/settings/max", "value", "150", "was", "200", "reason", ""); a.Status != http.StatusUnprocessableEntity {
		t.Errorf("without a reason it is %d", a.Status)
	}
	if a := c.Post("abe", "/settings/max", "value", "150", "was", "100", "reason", "why"); !a.Says("meanwhile") {
		t.Errorf("changed by somebody meanwhile: %s", a.Text)
	}
	heard := make(chan bool)
	go func() { heard <- c.Outdated(t.Context()) }()
	if a := c.Post("abe", "/settings/max", "value", "150", "was", "200", "reason", "first month"); a.Location != "/settings/max" {
		t.Errorf("the change is %d: %s", a.Status, a.Text)
	}
	if !<-heard {
		t.Error("the server does not hear of it")
	}
	text, act := chosen(t, c, "max")
	if text != "150" || act.Was != "200" || act.Became != "150" || act.Reason != "first month" || !strings.HasPrefix(act.By, "member:") {
		t.Errorf("it is %s, and the audit has %+v", text, act)
	}
	c.Post("abe", "/settings/max", "shipped", "yes", "was", "150", "reason", "back")
	if text, act := chosen(t, c, "max"); text != "200" || act.Became != "200" {
		t.Errorf("back at the default it is %s, %+v", text, act)
	}
}

// What cannot be read, what no SMS could say, and what is not to be edited here
// is refused, and changes nothing.
func TestWhatMakesNoSenseIsRefused(t *testing.T) {
	c := open(t)
	for key, value := range map[string]string{
		"max": "-1", "code.len": "9", "timezone": "Mars/Phobos", "confirm": "never", "lock": "<b>", "association": strings.Repeat("x", 201),
		"desk": strings.Repeat("€", 20),
	} {
		a := c.Post("abe", "/settings/"+key, "value", value, "was", "", "reason", "why")
		if a.Status != http.StatusUnprocessableEntity || !a.Says("Nothing was done") {
			t.Errorf("%s=%q is %d", key, value, a.Status)
		}
		if strings.Contains(a.Body, "<b>") {
			t.Errorf("%s=%q stands in the page as it is", key, value)
		}
		if _, act := chosen(t, c, key); act.ID != 0 {
			t.Errorf("%s=%q is in the audit", key, value)
		}
	}
	for _, key := range []string{"unit", "alert.phones", "colour"} {
		if a := c.Post("abe", "/settings/"+key, "value", "x", "was", "", "reason", "why"); a.Status != http.StatusNotFound {
			t.Errorf("%s is %d", key, a.Status)
		}
	}
}

// What is ticked off says who did it and when, and can be taken back.
func TestTheChecklist(t *testing.T) {
	c := open(t)
	if a := c.Get("tess", "/checklist"); a.Status != http.StatusOK || strings.Contains(a.Body, `value="yes"`) {
		t.Errorf("the treasurer's list is %d, or can be ticked", a.Status)
	}
	c.Post("abe", "/checklist", "item", "secret", "done", "yes")
	c.Post("abe", "/checklist", "item", "secret", "done", "yes") // twice is once
	if a := c.Get("abe", "/checklist"); !a.Says("by abe") {
		t.Errorf("nobody ticked it: %s", a.Text)
	}
	c.Post("abe", "/checklist", "item", "secret", "done", "no")
	var acts []store.Act
	c.Update(func(ctx context.Context, tx *store.Tx) (err error) {
		acts, err = tx.Acts(ctx, store.ActsWhere{Subject: "tick:secret"}, 10)
		return err
	})
	if len(acts) != 2 || acts[0].Became != "open" || acts[1].Became != "done" {
		t.Errorf("the audit has %+v", acts)
	}
	if a := c.Post("abe", "/checklist", "item", "tea", "done", "yes"); a.Status != http.StatusNotFound {
		t.Errorf("what is not on the list is %d", a.Status)
	}
}

// Without gateways the page says so; a test goes to whoever asks for it.
func TestGateways(t *testing.T) {
	c := open(t)
	if a := c.Get("aud", "/gateways"); !a.Says("No gateway") {
		t.Errorf("no gateway: %s", a.Text)
	}
	if a := c.Post("abe", "/gateways"); a.Location != "/gateways" {
		t.Errorf("the test is %d: %s", a.Status, a.Text)
	}
	abe := c.Member("abe")
	c.Update(func(ctx context.Context, tx *store.Tx) error {
		out, err := tx.Outbox(ctx, 0, store.MaxActs)
		if n := len(out); n == 0 || out[n-1].To != abe.Number {
			t.Errorf("nothing was sent to abe")
		}
		return err
	})
}
