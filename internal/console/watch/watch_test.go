package watch_test

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"maillon/internal/auth"
	"maillon/internal/console/frame"
	"maillon/internal/console/frame/frametest"
	"maillon/internal/console/watch"
	"maillon/internal/guard"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// open opens the room where rules act from the first day and no code is asked.
func open(t *testing.T) *frametest.Console {
	t.Helper()
	set := setting.Default()
	set.Rules, set.Confirm, set.Help = setting.Act, setting.Off, "0639980200"
	set.AlertPhones = []string{"0639980204"}
	c := frametest.OpenWith(t, set, func(s *server.Server) []frame.Room { return []frame.Room{watch.New(s)} })
	for _, name := range []string{"abe", "ada"} {
		c.Fresh(name, auth.Visitor{Session: name, Proved: time.Now()})
	}
	return c
}

var texts int

// sends lets somebody send an SMS.
func sends(t *testing.T, c *frametest.Console, from, text string) {
	t.Helper()
	texts++
	err := c.Teller.Receive(t.Context(), sms.Incoming{
		Gateway: "virtual", Key: fmt.Sprint(texts), From: c.Member(from).Number.E164(), To: "+33639980000", Text: text, SentAt: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// hurry lets yann pay so often that rule VEL1 holds the last payment, and returns
// its reference.
func hurry(t *testing.T, c *frametest.Console) (ref string) {
	t.Helper()
	for n := range 6 {
		sends(t, c, "yann", fmt.Sprintf("pay %d @lena", n+1))
	}
	c.Update(func(ctx context.Context, tx *store.Tx) error {
		held, err := tx.HeldOrders(ctx, 10)
		if len(held) != 1 {
			t.Fatalf("%d payments are held, want 1", len(held))
		}
		ref = held[0].Ref
		return err
	})
	return ref
}

func has(t *testing.T, a frametest.Answer, status int, words ...string) {
	t.Helper()
	if a.Status != status {
		t.Errorf("status %d, want %d: %s", a.Status, status, a.Text)
	}
	for _, w := range words {
		if !strings.Contains(a.Text, w) {
			t.Errorf("%q is not in %s", w, a.Text)
		}
	}
}

// An alert is shown with who, what, when and the facts; it ends once, with a
// reason, which the audit has.
func TestAnAlertIsLookedAtAndEnds(t *testing.T) {
	c := open(t)
	ref := hurry(t, c)
	has(t, c.Get("fay", "/alerts"), http.StatusOK, "VEL1 · Many payments in a row", "yann", "open")
	has(t, c.Get("fay", "/alerts/1"), http.StatusOK, "yann", "payments 6", "reference "+ref, "amount 6", "lena", "Decide "+ref)
	if got := c.Get("fay", "/alerts/1"); strings.Contains(got.Text, "End the alert") {
		t.Error("the front desk is offered to end an alert")
	}
	has(t, c.Post("fay", "/alerts/1", "reason", "well"), http.StatusForbidden)
	has(t, c.Post("tess", "/alerts/1", "reason", ""), http.StatusUnprocessableEntity, "reason is needed")
	has(t, c.Post("tess", "/alerts/1", "reason", strings.Repeat("x", 301)), http.StatusUnprocessableEntity, "at most 300")
	if got := c.Post("tess", "/alerts/1", "reason", "rang: market <b>day</b>"); got.Location != "/alerts" {
		t.Errorf("ending leads to %d %s", got.Status, got.Location)
	}
	has(t, c.Post("abe", "/alerts/1", "reason", "too late"), http.StatusConflict)
	has(t, c.Get("aud", "/alerts/1"), http.StatusOK, "tess", "rang: market <b>day</b>")
	has(t, c.Get("aud", "/alerts"), http.StatusOK, "No alert is open")
	has(t, c.Get("tess", "/alerts/99"), http.StatusNotFound)
	has(t, c.Get("tess", "/alerts/x"), http.StatusNotFound)
	has(t, c.Get("tess", "/alerts?before=x"), http.StatusBadRequest)
	has(t, c.Get("ann", "/alerts"), http.StatusForbidden)
	acts(t, c, treasury.EndAlert, "alert:1", "rang: market <b>day</b>")
}

// acts checks that the audit has one act of a kind.
func acts(t *testing.T, c *frametest.Console, what, subject, reason string) {
	t.Helper()
	c.Update(func(ctx context.Context, tx *store.Tx) error {
		all, err := tx.Acts(ctx, store.ActsWhere{What: what}, 10)
		if len(all) != 1 || all[0].Subject != subject || all[0].Reason != reason {
			t.Errorf("acts %s: %+v", what, all)
		}
		return err
	})
}

// What a rule holds is shown with its effect, and released or rejected once, with
// a reason.
func TestAPaymentThatWaits(t *testing.T) {
	for verdict, left := range map[string]int64{"release": 120 - 21, "reject": 120 - 15} {
		c := open(t)
		ref := hurry(t, c)
		has(t, c.Get("fay", "/held"), http.StatusOK, ref, "yann", "lena", "Payment")
		has(t, c.Get("tess", "/held/"+ref), http.StatusOK, "105", "99", "VEL1")
		has(t, c.Post("tess", "/held/"+ref, "verdict", verdict, "reason", ""), http.StatusUnprocessableEntity, "reason is needed")
		has(t, c.Post("tess", "/held/"+ref, "verdict", "both", "reason", "x"), http.StatusBadRequest)
		has(t, c.Post("fay", "/held/"+ref, "verdict", verdict, "reason", "x"), http.StatusForbidden)
		if got := c.Post("tess", "/held/"+ref, "verdict", verdict, "reason", "she rang"); got.Location != "/held" {
			t.Errorf("%s leads to %d %s: %s", verdict, got.Status, got.Location, got.Text)
		}
		has(t, c.Post("abe", "/held/"+ref, "verdict", verdict, "reason", "again"), http.StatusConflict)
		has(t, c.Get("abe", "/held/"+ref), http.StatusConflict)
		if got := c.Balance("yann"); got != left {
			t.Errorf("after %s yann has %d, want %d", verdict, got, left)
		}
		acts(t, c, verdict, "order:"+ref, "she rang")
		if got, want := c.Get("tess", "/alerts/1").Says("See the payment "+ref), verdict == "release"; got != want {
			t.Errorf("after %s the alert leads to a payment: %v", verdict, got)
		}
		has(t, c.Get("tess", "/held"), http.StatusOK, "Nothing waits")
	}
}

// Who asked for a credit cannot release it, nor is offered to.
func TestACreditNeedsAnotherPerson(t *testing.T) {
	c := open(t)
	sends(t, c, "abe", "credit 500 @yann workshop")
	var ref string
	c.Update(func(ctx context.Context, tx *store.Tx) error {
		held, err := tx.HeldOrders(ctx, 10)
		if len(held) != 1 {
			t.Fatalf("%d credits are held", len(held))
		}
		ref = held[0].Ref
		return err
	})
	mine := c.Get("abe", "/held/"+ref)
	has(t, mine, http.StatusOK, "ADM1", "workshop", "another person must release it", "620")
	if strings.Contains(mine.Body, `value="release"`) {
		t.Error("who asked is offered to release")
	}
	has(t, c.Post("abe", "/held/"+ref, "verdict", "release", "reason", "mine"), http.StatusConflict)
	if got := c.Post("tess", "/held/"+ref, "verdict", "release", "reason", "the bikes are there"); got.Location != "/held" {
		t.Errorf("the second person is led to %d %s", got.Status, got.Text)
	}
	if got := c.Balance("yann"); got != 620 {
		t.Errorf("yann has %d, want 620", got)
	}
}

var was = regexp.MustCompile(`name="was" value="([^"]*)"`)

// A rule is changed after its effect was shown, with a reason, and what it does
// changes with the next payment; what was before stands in the audit, and
// somebody who saw an older state is told.
func TestARuleIsChanged(t *testing.T) {
	c := open(t)
	has(t, c.Get("tess", "/rules"), http.StatusOK, "VEL1", "number: 5", "minutes: 10", "hold", "INT1")
	page := c.Get("abe", "/rules/VEL1")
	has(t, page, http.StatusOK, "Many payments", "as shipped: 5", "after two weeks", "See what that would do")
	if got := c.Get("tess", "/rules/VEL1"); strings.Contains(got.Text, "See what that would do") {
		t.Error("a treasurer is offered to change a rule")
	}
	has(t, c.Get("tess", "/rules/VEL1/change?act=log&at0=5&at1=10"), http.StatusForbidden)
	effect := c.Get("abe", "/rules/VEL1/change?act=warn&at0=2&at1=30")
	has(t, effect, http.StatusOK, "Before and after", "hold", "warn", "30")
	form := []string{"act", "warn", "at0", "2", "at1", "30", "was", was.FindStringSubmatch(effect.Body)[1]}
	has(t, c.Post("abe", "/rules/VEL1", form...), http.StatusUnprocessableEntity, "reason is needed")
	form = append(form, "reason", "spring market")
	if got := c.Post("abe", "/rules/VEL1", form...); got.Location != "/rules/VEL1" {
		t.Fatalf("the change leads to %d %s", got.Status, got.Text)
	}
	has(t, c.Post("ada", "/rules/VEL1", form...), http.StatusConflict)
	for n := range 4 {
		sends(t, c, "yann", fmt.Sprintf("pay %d @lena", n+1))
	}
	if got := c.Balance("yann"); got != 110 {
		t.Errorf("yann has %d: a rule that warns held something", got)
	}
	has(t, c.Get("abe", "/alerts"), http.StatusOK, "VEL1", "warn")
	has(t, c.Get("aud", "/rules/changes"), http.StatusOK, "VEL1", "abe", "hold 5 10", "warn 2 30", "spring market")
	has(t, c.Get("abe", "/rules/VEL1"), http.StatusOK, "spring market")
}

// What no rule can be changes nothing.
func TestRulesRefuseNonsense(t *testing.T) {
	c := open(t)
	for _, query := range []string{
		"", "act=log", "act=log&at0=0&at1=10", "act=log&at0=5&at1=99999", "act=fly&at0=5&at1=10", "act=log&at0=many&at1=10",
		"act=log&at0=99999999999999999999&at1=10",
	} {
		has(t, c.Get("abe", "/rules/VEL1/change?"+query), http.StatusUnprocessableEntity, "Nothing was done")
	}
	has(t, c.Get("abe", "/rules/INT1/change?act=off"), http.StatusUnprocessableEntity, "Nothing was done")
	has(t, c.Get("abe", "/rules/NONE"), http.StatusNotFound)
	has(t, c.Get("abe", "/rules/NONE/change?act=log"), http.StatusNotFound)
	has(t, c.Post("abe", "/rules/VEL1", "act", "log", "at0", "5", "at1", "10", "was", "fly", "reason", "x"), http.StatusBadRequest)
	c.Update(func(ctx context.Context, tx *store.Tx) error {
		r, err := tx.Regime(ctx)
		if len(r.Decrees) > 0 {
			t.Errorf("decreed: %v", r.Decrees)
		}
		return err
	})
}

// The page of a rule says what it would have caught, once it is worked out, and
// names nobody to who may not see names.
func TestWhatARuleWouldHaveCaught(t *testing.T) {
	c := open(t)
	hurry(t, c)
	rule, _ := guard.RuleOf("VEL1")
	at := []int64{2, rule.At[1].Default}
	for end := time.Now().Add(time.Minute); !c.Past.Ask("VEL1", at).Ready; {
		if time.Now().After(end) {
			t.Fatal("the past is never worked out")
		}
		time.Sleep(time.Millisecond)
	}
	has(t, c.Get("abe", "/rules/VEL1/change?act=hold&at0=2&at1=10"), http.StatusOK, "3 payments would have been caught", "yann")
	has(t, c.Get("aud", "/rules/COD1"), http.StatusOK, "by what the rule wrote down itself")
}

// Every rule has its words, its page and its effect.
func TestEveryRuleHasItsPage(t *testing.T) {
	c := open(t)
	for _, r := range guard.Rules() {
		shipped := regexp.MustCompile(`href="/console(/rules/` + r.ID + `/change[^"]*)"`).FindStringSubmatch(c.Get("abe", "/rules/"+r.ID).Body)
		if shipped == nil {
			t.Errorf("no link leads to %s as shipped", r.ID)
			continue
		}
		for _, path := range []string{"/rules/" + r.ID, html.UnescapeString(shipped[1])} {
			a := c.Get("abe", path)
			has(t, a, http.StatusOK)
			for _, raw := range []string{"rule." + r.ID, "act.", "at."} {
				if strings.Contains(a.Text, " "+raw) {
					t.Errorf("%s shows the key %q: %s", path, raw, a.Text)
				}
			}
		}
	}
}
