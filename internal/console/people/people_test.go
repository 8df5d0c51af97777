package people_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"maillon/internal/auth"
	"maillon/internal/console/frame"
	"maillon/internal/console/frame/frametest"
	"maillon/internal/console/people"
	"maillon/internal/ledger"
	"maillon/internal/money"
	"maillon/internal/order"
	"maillon/internal/server"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

func open(t *testing.T) *frametest.Console {
	t.Helper()
	c := frametest.Open(t, func(s *server.Server) []frame.Room { return []frame.Room{people.New(s)} })
	for _, name := range []string{"abe", "ada", "tess"} {
		c.Fresh(name, auth.Visitor{Session: name, Proved: time.Now()})
	}
	return c
}

// pays books a payment, and returns its reference.
func pays(c *frametest.Console, from, to string, sum int64, memo string) (ref string) {
	payer, payee := c.Member(from), c.Member(to)
	c.Update(func(ctx context.Context, tx *store.Tx) error {
		debit, err := tx.AccountOf(ctx, payer.ID, c.Settings.Currency())
		if err != nil {
			return err
		}
		credit, err := tx.AccountOf(ctx, payee.ID, c.Settings.Currency())
		if err != nil {
			return err
		}
		o := &order.Order{
			Kind: order.Pay, Owner: int64(payer.ID), Payer: int64(payer.ID), Payee: int64(payee.ID),
			Amount: money.New(sum, c.Settings.Currency()), Secret: order.Secret{Memo: memo},
		}
		err = c.Treasury.Post(ctx, tx, treasury.Operator, debit.ID, credit.ID, ledger.Payment, o)
		ref = o.Ref
		return err
	})
	return ref
}

func sheet(c *frametest.Console, name string) string {
	return fmt.Sprintf("/members/%d", c.Member(name).ID)
}

// One box finds a member by pseudo and by number, and a payment by reference;
// what was typed is in no address, and a near miss is proposed.
func TestOneBoxFindsThemAll(t *testing.T) {
	c := open(t)
	ref := pays(c, "yann", "lena", 5, "")
	for typed, want := range map[string]string{
		"lena": sheet(c, "lena"), "@Lena": sheet(c, "lena"), "06 39 98 01 00": sheet(c, "yann"), strings.ToLower(ref): "/payments/" + ref,
	} {
		if got := c.Post("fay", "/members/find", "what", typed); got.Location != want {
			t.Errorf("%q leads to %d %s, want %s", typed, got.Status, got.Location, want)
		}
	}
	if got := c.Post("fay", "/members/find", "what", "soazic"); got.Status != http.StatusUnprocessableEntity || !got.Says("Nobody has exactly this pseudo") || !got.Says("soazig") {
		t.Errorf("a near miss: %d %s", got.Status, got.Text)
	}
	if got := c.Post("fay", "/members/find", "what", "0699999999"); !got.Says("Nothing goes by this name") || strings.Contains(c.Log.String(), "0699999999") {
		t.Errorf("nobody: %d %s", got.Status, got.Text)
	}
}

// The sheet says who somebody is and what happened; that it was opened is
// written down, and only who reads the audit sees by whom.
func TestASheetIsWrittenDown(t *testing.T) {
	c := open(t)
	pays(c, "yann", "lena", 5, "<script>alert(1)</script>")
	got := c.Get("fay", sheet(c, "lena"))
	for _, want := range []string{"lena", "50 m", "0639980101", "SMS exchanged", "credits you 45 m"} {
		if !got.Says(want) {
			t.Errorf("the sheet does not say %q: %s", want, got.Text)
		}
	}
	if got := c.Get("tess", sheet(c, "lena")); !got.Says("fay opened the sheet") {
		t.Errorf("who looked is not on the sheet: %s", got.Text)
	}
	if got := c.Get("fay", sheet(c, "lena")); got.Says("opened the sheet") {
		t.Error("the front desk sees who looked")
	}
	if got := c.Get("ann", sheet(c, "lena")); got.Status != http.StatusForbidden || got.Says("lena") {
		t.Errorf("a reader sees %d %s", got.Status, got.Text)
	}
}

// A text is tried for a member and nothing of it is done.
func TestATextIsTried(t *testing.T) {
	c := open(t)
	got := c.Post("fay", sheet(c, "yann")+"/try", "text", "pay 5 @lena")
	if got.Status != http.StatusOK || !got.Says("Pay 5 m to lena") {
		t.Errorf("tried: %d %s", got.Status, got.Text)
	}
	if got := c.Post("fay", sheet(c, "yann")+"/try", "text", "482913"); got.Status != http.StatusUnprocessableEntity || !got.Says("is not tried here") {
		t.Errorf("a code is tried: %d %s", got.Status, got.Text)
	}
	if got := c.Get("fay", sheet(c, "yann")); got.Says("Pay 5 m to lena") {
		t.Error("the question was sent")
	}
}

// The desk does what its rights allow, each with a reason; what is wrong changes
// nothing.
func TestTheDesk(t *testing.T) {
	c := open(t)
	change := func(as, name string, pairs ...string) frametest.Answer {
		return c.Post(as, sheet(c, name)+"/change", append(pairs, "seen", seen(t, c, name))...)
	}
	if got := c.Post("fay", "/members/new", "number", "06 39 98 00 34", "nick", "malo", "language", "fr"); got.Location != sheet(c, "malo") {
		t.Fatalf("register: %d %s", got.Status, got.Text)
	}
	for want, pairs := range map[string][]string{
		"This is no mobile number":       {"number", "0298000001", "nick", "nora"},
		"is no word of the service":      {"number", "0639980035", "nick", "solde"},
		"This number or pseudo is taken": {"number", "0639980034", "nick", "nora"},
	} {
		if got := c.Post("fay", "/members/new", pairs...); got.Status != http.StatusUnprocessableEntity || !got.Says(want) {
			t.Errorf("%v: %d %s", pairs, got.Status, got.Text)
		}
	}
	if got := change("fay", "lena", "what", "freeze"); !got.Says("A reason is needed") {
		t.Errorf("without a reason: %s", got.Text)
	}
	if got := change("fay", "lena", "what", "freeze", "reason", "lost her phone"); got.Status != http.StatusSeeOther || !c.Member("lena").Frozen() {
		t.Errorf("freeze: %d %s", got.Status, got.Text)
	}
	if got := change("fay", "lena", "what", "unfreeze", "reason", "found"); got.Status != http.StatusSeeOther || c.Member("lena").Frozen() {
		t.Errorf("unfreeze: %d %s", got.Status, got.Text)
	}
	if got := change("fay", "lena", "what", "nick", "value", "Lenaig", "reason", "misspelt"); got.Status != http.StatusSeeOther || c.Member("lenaig") == nil {
		t.Errorf("nick: %d %s", got.Status, got.Text)
	}
	if got := change("fay", "yann", "what", "erase", "reason", "asked"); got.Status != http.StatusForbidden {
		t.Errorf("the front desk erases: %d", got.Status)
	}
	if got := change("abe", "yann", "what", "erase", "reason", "asked"); got.Status != http.StatusSeeOther {
		t.Errorf("erase: %d %s", got.Status, got.Text)
	}
	if got := change("abe", "yann", "what", "erase", "reason", "asked"); !got.Says("proposed already") {
		t.Errorf("erase twice: %d %s", got.Status, got.Text)
	}
	card := c.Post("fay", sheet(c, "soazig")+"/card", "seen", seen(t, c, "soazig"))
	if card.Status != http.StatusOK || !strings.Contains(card.Body, "<svg") {
		t.Errorf("card: %d", card.Status)
	}
}

// A payment is found, shown with its effect before it is undone, and undone once.
func TestAPaymentIsUndone(t *testing.T) {
	c := open(t)
	ref := pays(c, "yann", "lena", 30, "bike")
	pays(c, "lena", "soazig", 60, "")
	if got := c.Get("tess", "/payments?kind=payment&sum=30"); !got.Says(ref) {
		t.Errorf("it is not found: %s", got.Text)
	}
	if got := c.Get("tess", "/payments?since=tomorrow"); !got.Says("This is no day") {
		t.Errorf("nonsense: %s", got.Text)
	}
	if got := c.Get("tess", "/payments/"+ref); !got.Says("15 m of 30 m would come back") {
		t.Errorf("the effect: %s", got.Text)
	}
	if got := c.Get("fay", "/payments/"+ref); got.Says("Undo this entry") {
		t.Error("the front desk may undo")
	}
	for n, want := range []int{http.StatusSeeOther, http.StatusConflict} {
		if got := c.Post("tess", "/payments/"+ref+"/reverse", "why", "mistake", "reason", "agreed"); got.Status != want {
			t.Errorf("time %d: %d %s", n+1, got.Status, got.Text)
		}
	}
	if got := c.Balance("yann"); got != 105 {
		t.Errorf("yann has %d, want 105", got)
	}
}

// What is known of somebody is given whole, for her and for a program, and that
// it was is written down.
func TestAllThatIsKnown(t *testing.T) {
	c := open(t)
	pays(c, "yann", "lena", 5, "bike")
	if got := c.Get("tess", sheet(c, "lena")+"/data"); !got.Says("+33639980101") {
		t.Errorf("the page says %s", got.Text)
	}
	got := c.Get("tess", sheet(c, "lena")+"/data.json")
	if !strings.HasPrefix(got.Header.Get("Content-Type"), "application/json") || !strings.Contains(got.Body, `"pseudo": "lena"`) || !strings.Contains(got.Body, "member.export") {
		t.Errorf("the file says %s", got.Body)
	}
	if got := c.Get("cam", sheet(c, "lena")+"/data.json"); got.Status != http.StatusForbidden {
		t.Errorf("a cashier gets %d", got.Status)
	}
}

// An address by which a member writes is shown, is in her data, and is unbound.
func TestAnAddressIsShownAndUnbound(t *testing.T) {
	c := open(t)
	if got := c.Get("fay", sheet(c, "lena")+"/change"); got.Says("No more e-mail") {
		t.Error("without an address, one is unbound")
	}
	lena := c.Member("lena")
	c.Update(func(ctx context.Context, tx *store.Tx) error {
		a, err := sms.ParseAddress("lena@example.org")
		if err != nil {
			return err
		}
		return tx.SaveMailbox(ctx, lena, &store.Mailbox{Address: a, Bound: true})
	})
	if got := c.Get("fay", sheet(c, "lena")); !got.Says("lena@example.org") {
		t.Errorf("the sheet says %s", got.Text)
	}
	if got := c.Get("tess", sheet(c, "lena")+"/data"); !got.Says("lena@example.org") {
		t.Errorf("the page says %s", got.Text)
	}
	if got := c.Get("tess", sheet(c, "lena")+"/data.json"); !strings.Contains(got.Body, `"address": "lena@example.org"`) {
		t.Errorf("the file says %s", got.Body)
	}
	if got := c.Get("fay", sheet(c, "lena")+"/change"); !got.Says("No more e-mail") {
		t.Errorf("what can be changed is %s", got.Text)
	}
	got := c.Post("fay", sheet(c, "lena")+"/change", "what", "endmail", "reason", "her provider was broken into", "seen", seen(t, c, "lena"))
	if got.Status != http.StatusSeeOther || c.Get("fay", sheet(c, "lena")).Says("lena@example.org") {
		t.Errorf("unbound: %d %s", got.Status, got.Text)
	}
}

// Two undo one payment in the same second: one does, the other is told.
func TestTwoUndoAtOnce(t *testing.T) {
	c := open(t)
	ref := pays(c, "yann", "lena", 10, "")
	answers := make(chan frametest.Answer, 2)
	for _, who := range []string{"tess", "abe"} {
		go func() { answers <- c.Post(who, "/payments/"+ref+"/reverse", "why", "mistake", "reason", "agreed") }()
	}
	done, told := 0, 0
	for range 2 {
		switch a := <-answers; {
		case a.Status == http.StatusSeeOther:
			done++
		case a.Says("It was done already"):
			told++
		}
	}
	if done != 1 || told != 1 || c.Balance("yann") != 120 {
		t.Errorf("%d did it, %d were told; yann has %d", done, told, c.Balance("yann"))
	}
}
