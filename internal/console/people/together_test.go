package people_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"maillon/internal/console/frame/frametest"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/order"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

var seenField = regexp.MustCompile(`name="seen" value="(\d+)"`)

// seen is what the page of changes knows of who acted last.
func seen(t *testing.T, c *frametest.Console, name string) string {
	t.Helper()
	found := seenField.FindStringSubmatch(c.Get("abe", sheet(c, name)+"/change").Body)
	if found == nil {
		t.Fatal("the page of changes does not say what it knows")
	}
	return found[1]
}

// Every page with a name on it is closed to a reader, and open to who may see
// names.
func TestPagesAndRoles(t *testing.T) {
	c := open(t)
	ref := pays(c, "yann", "lena", 10, "<b>saddle</b>")
	lena := sheet(c, "lena")
	for _, x := range []struct {
		path    string
		allowed string
	}{
		{"/members", "fay cam tess abe aud"},
		{"/members/new", "fay cam tess abe"},
		{lena, "fay cam tess abe aud"},
		{lena + "/change", "fay cam tess abe"},
		{lena + "/data", "tess abe aud"},
		{lena + "/data.json", "tess abe aud"},
		{"/payments", "fay cam tess abe aud"},
		{"/payments/" + ref, "fay cam tess abe aud"},
		{"/disputes", "fay cam tess abe aud"},
		{"/privacy", "fay cam tess abe aud"},
		{"/privacy/notice", "fay cam tess abe aud"},
		{"/privacy/register", "fay cam tess abe aud"},
	} {
		for _, who := range []string{"ann", "fay", "cam", "tess", "abe", "aud"} {
			want := http.StatusForbidden
			if strings.Contains(x.allowed, who) {
				want = http.StatusOK
			}
			got := c.Get(who, x.path)
			if got.Status != want {
				t.Errorf("%s as %s = %d, want %d", x.path, who, got.Status, want)
			}
			if want == http.StatusForbidden && strings.Contains(got.Body, "lena") {
				t.Errorf("%s names lena to %s", x.path, who)
			}
			if strings.Contains(got.Body, ">member.") || strings.Contains(got.Body, ">act.") || strings.Contains(got.Body, ">kept.") {
				t.Errorf("%s shows a key", x.path)
			}
		}
	}
}

// A search leads to a page by its number: what was typed is in no address and
// in no log.
func TestASearchPutsNothingIntoAnAddress(t *testing.T) {
	c := open(t)
	ref := pays(c, "yann", "lena", 10, "<b>saddle</b>")
	lena := sheet(c, "lena")
	var asked string
	c.Update(func(ctx context.Context, tx *store.Tx) error {
		m, err := tx.MemberByNick(ctx, "lena")
		if err != nil {
			return err
		}
		o := &order.Order{Kind: order.Request, State: order.Refused, Owner: int64(m.ID), Amount: money.New(1, c.Settings.Currency())}
		err = tx.InsertOrder(ctx, o, m)
		asked = o.Ref
		return err
	})
	for typed, want := range map[string]string{
		"lena": lena, "@Lena": lena, "06 39 98 01 01": lena, "+33639980101": lena, "0033639980101": lena, ref: "/payments/" + ref, asked: lena, strings.ToLower(ref): "/payments/" + ref,
	} {
		if got := c.Post("fay", "/members/find", "what", typed); got.Status != http.StatusSeeOther || got.Location != want {
			t.Errorf("%q leads to %d %q, want %s", typed, got.Status, got.Location, want)
		}
	}
	if got := c.Post("fay", "/members/find", "what", "lenna"); !got.Says("lena") || got.Location != "" {
		t.Errorf("a misspelt pseudo is answered %s", got.Text)
	}
	if got := c.Post("fay", "/members/find", "what", "0639980199"); got.Status != http.StatusUnprocessableEntity || got.Location != "" {
		t.Errorf("a number without account is answered %d", got.Status)
	}
	if strings.Contains(c.Log.String(), "63998") {
		t.Errorf("the log says %s", c.Log)
	}
}

// Of two who act on one member in the same second, one is heard and the other
// is told.
func TestTwoActOnOneMember(t *testing.T) {
	c := open(t)
	path, known := sheet(c, "lena")+"/change", seen(t, c, "lena")
	var all sync.WaitGroup
	got := make([]frametest.Answer, 2)
	for n, who := range []string{"abe", "ada"} {
		all.Go(func() { got[n] = c.Post(who, path, "what", "freeze", "reason", "her phone was stolen", "seen", known) })
	}
	all.Wait()
	if got[0].Status != http.StatusSeeOther {
		got[0], got[1] = got[1], got[0]
	}
	if got[0].Status != http.StatusSeeOther || got[1].Status != http.StatusUnprocessableEntity || !got[1].Says("Somebody else has just acted on this sheet. Nothing was done.") {
		t.Errorf("one gets %d, the other %d %s", got[0].Status, got[1].Status, got[1].Text)
	}
	if m := c.Member("lena"); !m.Frozen() {
		t.Error("she is not frozen")
	}
	card := sheet(c, "lena") + "/card"
	known = seen(t, c, "lena")
	first, second := c.Post("fay", card, "seen", known), c.Post("fay", card, "seen", known)
	if first.Status != http.StatusOK || !strings.Contains(first.Body, "<svg") || second.Status != http.StatusUnprocessableEntity {
		t.Errorf("a card is drawn twice: %d, %d", first.Status, second.Status)
	}
}

// A payment that two undo comes back once.
func TestTwoUndoWhatWasShown(t *testing.T) {
	c := open(t)
	ref := pays(c, "yann", "lena", 10, "<b>saddle</b>")
	page := c.Get("tess", "/payments/"+ref)
	if !page.Says("10 m of 10 m would come back") || !page.Says("Correction -10 m") || c.Balance("lena") != 55 {
		t.Fatalf("before it is done the page says %s", page.Text)
	}
	var all sync.WaitGroup
	got := make([]frametest.Answer, 2)
	for n, who := range []string{"abe", "tess"} {
		all.Go(func() { got[n] = c.Post(who, "/payments/"+ref+"/reverse", "why", "mistake", "reason", "typed twice") })
	}
	all.Wait()
	if got[0].Status != http.StatusSeeOther {
		got[0], got[1] = got[1], got[0]
	}
	if got[0].Status != http.StatusSeeOther || got[1].Status != http.StatusConflict || !got[1].Says("Nothing was done twice") {
		t.Errorf("one gets %d, the other %d %s", got[0].Status, got[1].Status, got[1].Text)
	}
	if c.Balance("lena") != 45 || c.Balance("yann") != 120 {
		t.Errorf("lena has %d, yann %d", c.Balance("lena"), c.Balance("yann"))
	}
	if got := c.Post("abe", "/payments/"+ref+"/reverse", "why", "mistake"); got.Status != http.StatusUnprocessableEntity {
		t.Errorf("without a reason: %d", got.Status)
	}
}

// What a member would read is shown, and nothing of it is done.
func TestTheTelephoneBesideTheSheet(t *testing.T) {
	c := open(t)
	path := sheet(c, "lena")
	head := func() (s string) {
		c.Update(func(ctx context.Context, tx *store.Tx) error {
			at, err := tx.LastEntry(ctx)
			if err != nil {
				return err
			}
			last, err := tx.LastOut(ctx)
			s = fmt.Sprint(at.UnixMicro(), last)
			return err
		})
		return s
	}
	before := head()
	got := c.Post("fay", path+"/try", "text", "pay 5 @yann <b>saddle</b>")
	if !got.Says("Pay 5 m to yann") || regexp.MustCompile(`\d{3} \d{3}\b`).MatchString(regexp.MustCompile(`(?s)<ul class="thread">.*?</ul>`).FindString(got.Body)) {
		t.Errorf("it shows %s", got.Text)
	}
	if strings.Contains(got.Body, "<b>saddle") {
		t.Error("what was typed is not escaped")
	}
	if got := c.Post("fay", path+"/try", "text", "482913"); got.Status != http.StatusUnprocessableEntity {
		t.Errorf("a code is tried: %d", got.Status)
	}
	if after := head(); after != before {
		t.Errorf("something was written: %s, then %s", before, after)
	}
}

// What she wrote is text, whatever it looks like.
func TestAMemoIsNoPage(t *testing.T) {
	c := open(t)
	n := c.Member("lena").Number
	err := c.Teller.Receive(t.Context(), sms.Incoming{Gateway: "virtual", Key: "1", From: n.E164(), Text: `<script>alert(1)</script>`})
	if err != nil {
		t.Fatal(err)
	}
	got := c.Get("fay", sheet(c, "lena"))
	if strings.Contains(got.Body, "<script>alert") || !got.Says("<script>alert(1)</script>") {
		t.Error("an SMS is part of the page")
	}
}

// Opening a sheet is written down, and shown to those who read the audit and to
// her.
func TestWhoLookedIsKnown(t *testing.T) {
	c := open(t)
	path := sheet(c, "lena")
	c.Get("fay", path)
	if got := c.Get("aud", path); !got.Says("opened the sheet") {
		t.Error("an auditor does not see who looked")
	}
	if got := c.Get("fay", path); got.Says("opened the sheet") {
		t.Error("the front desk sees who looked")
	}
	got := c.Get("tess", path+"/data.json")
	var d struct {
		Member struct{ Pseudo, Number string }
		Looks  []struct{ By string }
	}
	if err := json.Unmarshal([]byte(got.Body), &d); err != nil {
		t.Fatal(err)
	}
	if d.Member.Pseudo != "lena" || d.Member.Number != "+33639980101" || len(d.Looks) != 3 || strings.Contains(got.Body, `"fay"`) {
		t.Errorf("her data say %+v", d)
	}
	if name := got.Header.Get("Content-Disposition"); name != `attachment; filename="maillon-M0009.json"` {
		t.Errorf("the file is called %s", name)
	}
}

// To forget a member takes two persons; what is left goes to the pot, and her
// name is nowhere any more.
func TestToForgetTakesTwo(t *testing.T) {
	c := open(t)
	lena := c.Member("lena")
	path := sheet(c, "lena")
	if got := c.Post("tess", path+"/change", "what", "erase", "reason", "she asked", "seen", seen(t, c, "lena")); got.Status != http.StatusForbidden {
		t.Errorf("a treasurer proposes it: %d", got.Status)
	}
	for n, want := range []int{http.StatusSeeOther, http.StatusUnprocessableEntity} {
		if got := c.Post("abe", path+"/change", "what", "erase", "reason", "she asked", "seen", seen(t, c, "lena")); got.Status != want {
			t.Fatalf("proposal %d: %d %s", n+1, got.Status, got.Text)
		}
	}
	ada := treasury.By(c.Member("ada"))
	c.Update(func(ctx context.Context, tx *store.Tx) error {
		id, err := c.Treasury.ErasureOf(ctx, tx, lena.ID)
		if err != nil {
			return err
		}
		return c.Treasury.Approve(ctx, tx, ada, id)
	})
	got := c.Get("abe", path)
	if got.Status != http.StatusOK || got.Says("lena") || got.Says("39 98 01 01") {
		t.Errorf("her sheet says %s", got.Text)
	}
	c.Update(func(ctx context.Context, tx *store.Tx) error {
		m, err := tx.Member(ctx, lena.ID)
		if err == nil && (m.State != member.Closed || m.Nick != "" || !m.Number.IsZero()) {
			t.Errorf("she is %v", m.State)
		}
		return err
	})
	if faults, err := c.DB.Verify(t.Context(), nil); err != nil || len(faults) > 0 {
		t.Errorf("Verify = %v, %v", faults, err)
	}
}

// A gift that nobody has accepted is in the queue, with its number masked.
func TestAGiftWaits(t *testing.T) {
	c := open(t)
	n, err := sms.FromE164("+33639980155")
	if err != nil {
		t.Fatal(err)
	}
	c.Update(func(ctx context.Context, tx *store.Tx) error {
		_, err := c.Treasury.Grant(ctx, tx, treasury.Operator, nil, nil, n, money.New(3, c.Settings.Currency()), "workshop")
		return err
	})
	got := c.Get("fay", "/disputes")
	if !got.Says("Gifts that wait for a yes") || !got.Says("3 m") || got.Says("39 98 01 55") || got.Says("639980155") {
		t.Errorf("the queue says %s", got.Text)
	}
}
