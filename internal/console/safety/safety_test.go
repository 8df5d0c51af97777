package safety_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"maillon/internal/auth"
	"maillon/internal/console/frame"
	"maillon/internal/console/frame/frametest"
	"maillon/internal/console/safety"
	"maillon/internal/correction"
	"maillon/internal/ledger"
	"maillon/internal/money"
	"maillon/internal/order"
	"maillon/internal/server"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

func open(t *testing.T) *frametest.Console {
	t.Helper()
	c := frametest.Open(t, func(s *server.Server) []frame.Room { return []frame.Room{safety.New(s)} })
	for _, name := range []string{"abe", "ada"} {
		c.Fresh(name, auth.Visitor{Session: name, Proved: time.Now()})
	}
	return c
}

// moves lets money pass from one account to another, "" is emission.
func moves(t *testing.T, c *frametest.Console, from, to string, sum int64) ledger.TransactionID {
	t.Helper()
	return movesOften(t, c, from, to, sum, 1)
}

// movesOften does so several times, at once, and returns the last.
func movesOften(t *testing.T, c *frametest.Console, from, to string, sum int64, times int) (id ledger.TransactionID) {
	t.Helper()
	account := func(ctx context.Context, tx *store.Tx, name string) (ledger.Account, int64, error) {
		if name == "" {
			a, err := tx.SystemAccount(ctx, store.Emission, c.Settings.Currency())
			return a, 0, err
		}
		m, err := tx.MemberByNick(ctx, name)
		if err != nil {
			return ledger.Account{}, 0, err
		}
		a, err := tx.AccountOf(ctx, m.ID, c.Settings.Currency())
		return a, int64(m.ID), err
	}
	c.Update(func(ctx context.Context, tx *store.Tx) error {
		payer, from, err := account(ctx, tx, from)
		if err != nil {
			return err
		}
		payee, to, err := account(ctx, tx, to)
		if err != nil {
			return err
		}
		kind := ledger.Payment
		if from == 0 {
			kind = ledger.Credit
		}
		for range times {
			o := &order.Order{Kind: order.Pay, Owner: from, Payer: from, Payee: to, Amount: money.New(sum, c.Settings.Currency())}
			if err := c.Treasury.Post(ctx, tx, treasury.Operator, payer.ID, payee.ID, kind, o); err != nil {
				return err
			}
			id = o.Transaction
		}
		return nil
	})
	return id
}

func accountOf(t *testing.T, c *frametest.Console, name string) (id ledger.AccountID) {
	t.Helper()
	m := c.Member(name)
	c.Update(func(ctx context.Context, tx *store.Tx) error {
		a, err := tx.AccountOf(ctx, m.ID, c.Settings.Currency())
		id = a.ID
		return err
	})
	return id
}

func texts(t *testing.T, c *frametest.Console, to string) (all []string) {
	t.Helper()
	n := c.Member(to).Number
	c.Update(func(ctx context.Context, tx *store.Tx) error {
		out, err := tx.Outbox(ctx, 0, store.MaxActs)
		for _, o := range out {
			if o.To == n {
				all = append(all, o.Text)
			}
		}
		return err
	})
	return all
}

var hidden = regexp.MustCompile(`name="(since|scope|chosen|shown|root|keep|account)" value="([^"]*)"`)

// proposal returns the fields by which a preview is proposed.
func proposal(page string) (pairs []string) {
	_, form, _ := strings.Cut(page, `action="/console/restore" class="form"`)
	for _, f := range hidden.FindAllStringSubmatch(form, -1) {
		pairs = append(pairs, f[1], f[2])
	}
	return append(pairs, "reason", "stolen session")
}

// A theft is undone: everything stops, one person proposes what the preview
// shows, another approves, and each account has what it should; then two persons
// let payments go on. Each step says what it needs.
func TestATheftIsUndone(t *testing.T) {
	c := open(t)
	c.Add("mallory", "+33639980301", "", 0)
	stolen := moves(t, c, "", "mallory", 200)
	moves(t, c, "mallory", "lena", 110)
	moves(t, c, "mallory", "soazig", 80)
	moves(t, c, "yann", "soazig", 10)

	keep := accountOf(t, c, "soazig")
	query := url.Values{
		"since": {time.Now().Add(-time.Hour).In(c.Settings.Zone).Format("2006-01-02T15:04")}, "scope": {"tainted"}, "chosen": {"1"},
		"root": {fmt.Sprint(stolen)}, "keep": {fmt.Sprint(keep)},
	}
	page := c.Get("abe", "/restore/preview?"+query.Encode())
	for _, want := range []string{"theft", "stolen money", "PAUSE the payments first", "received in good faith"} {
		if !page.Says(want) {
			t.Errorf("the preview does not say %q: %s", want, page.Text)
		}
	}
	if got := c.Post("abe", "/restore", append([]string{"shown", "x"}, "since", query.Get("since"), "scope", "tainted", "chosen", "1", "root", fmt.Sprint(stolen), "reason", "why")...); !got.Says("PAUSE the payments first") {
		t.Errorf("proposed while payments go on: %d %s", got.Status, got.Text)
	}
	if got := c.Post("abe", "/pause"); got.Status != http.StatusSeeOther {
		t.Fatalf("pause: %d %s", got.Status, got.Text)
	}
	page = c.Get("abe", "/restore/preview?"+query.Encode())
	fields := proposal(page.Body)
	if got := c.Post("abe", "/restore", "shown", "another preview", "since", query.Get("since"), "scope", "tainted", "chosen", "1", "root", fmt.Sprint(stolen), "reason", "why"); !got.Says("Money has moved since this preview") {
		t.Errorf("another preview is proposed: %d %s", got.Status, got.Text)
	}
	proposed := c.Post("abe", "/restore", fields...)
	if proposed.Status != http.StatusSeeOther || !strings.HasPrefix(proposed.Location, "/restore/") {
		t.Fatalf("propose: %d %s", proposed.Status, proposed.Text)
	}
	id := strings.TrimPrefix(proposed.Location, "/restore/")
	if got := c.Get("ada", "/approvals"); !got.Says("Put balances back") || !got.Says("abe") || !got.Says("stolen session") {
		t.Errorf("the second person reads %s", got.Text)
	}
	if got := c.Get("ada", "/restore/"+id); !got.Says("Approve: it is done at once") {
		t.Errorf("the proposal says %s", got.Text)
	}
	if got := c.Get("ada", "/pause"); !got.Says("Corrections that nobody has approved yet: 1") || !got.Says("told when payments go on: 0") {
		t.Errorf("the page of the pause says %s", got.Text)
	}
	if got := c.Post("abe", "/approvals/"+id, "verdict", "approve"); !got.Says("A second person is needed") {
		t.Errorf("approved by who proposed: %d %s", got.Status, got.Text)
	}
	if got := c.Post("tess", "/approvals/"+id, "verdict", "approve"); got.Status == http.StatusOK {
		t.Errorf("approved by a treasurer: %d %s", got.Status, got.Text)
	}
	for name, want := range map[string]int64{"mallory": 10, "lena": 155, "soazig": 160, "yann": 110} {
		if got := c.Balance(name); got != want {
			t.Errorf("before the approval %s has %d, want %d", name, got, want)
		}
	}
	if got := c.Post("ada", "/approvals/"+id, "verdict", "approve"); got.Status != http.StatusSeeOther {
		t.Fatalf("approve: %d %s", got.Status, got.Text)
	}
	for name, want := range map[string]int64{"mallory": 0, "lena": 45, "soazig": 160, "yann": 110} {
		if got := c.Balance(name); got != want {
			t.Errorf("%s has %d, want %d", name, got, want)
		}
	}
	if got := c.Post("ada", "/approvals/"+id, "verdict", "approve"); !got.Says("Somebody has decided already") {
		t.Errorf("approved twice: %d %s", got.Status, got.Text)
	}
	if got := texts(t, c, "mallory"); len(got) != 1 || !strings.Contains(got[0], "Correction -10 m") {
		t.Errorf("mallory reads %q", got)
	}
	if got := texts(t, c, "soazig"); len(got) != 1 {
		t.Errorf("soazig, whom it does not concern, reads %q", got)
	}
	if got := c.Get("ada", "/restore/"+id); !got.Says("Done: 3 entries") || !got.Says("Undo this correction the same way") {
		t.Errorf("what was done says %s", got.Text)
	}
	if got := c.Post("abe", "/resume"); got.Location != "/pause" {
		t.Errorf("resume by one leads to %s %s", got.Location, got.Text)
	}
	if got := c.Get("ada", "/pause"); !got.Says("abe asked for it") {
		t.Errorf("the page of the pause says %s", got.Text)
	}
	if got := c.Post("ada", "/resume"); got.Location != "/" {
		t.Errorf("resume by two leads to %s %s", got.Location, got.Text)
	}
	if faults, err := c.DB.Verify(t.Context(), nil); err != nil || len(faults) > 0 {
		t.Errorf("Verify = %v, %v", faults, err)
	}
}

// many is more than one page shows, and more than anybody names one by one.
const many = 1100

// A long correction is shown page by page, what was chosen on another page stays
// chosen, and it is undone whole.
func TestALongCorrection(t *testing.T) {
	c := open(t)
	c.Add("mallory", "+33639980301", "", 0)
	moved := time.Now()
	stolen := moves(t, c, "", "mallory", many)
	movesOften(t, c, "mallory", "lena", 1, many)
	before := c.Balance("lena")
	query := fmt.Sprintf("/restore/preview?since=%s&scope=tainted&chosen=1&root=%d", moved.In(c.Settings.Zone).Format("2006-01-02T15:04"), stolen)
	if got := c.Get("abe", query+"&page=1"); !got.Says("Page 1 of 6") || !strings.Contains(got.Body, fmt.Sprintf(`value="%d" id="root-%d"`, stolen, stolen)) {
		t.Errorf("the first page: %d %s", got.Status, got.Text)
	}
	hidden := fmt.Sprintf(`<input type="hidden" name="root" value="%d">`, stolen)
	if got := c.Get("abe", query+"&page=6"); !got.Says("Page 6 of 6") || strings.Count(got.Body, hidden) != 1 {
		t.Errorf("the last page: %d %s", got.Status, got.Text)
	}
	put := func(want treasury.Correction) (id int64) {
		c.Update(func(ctx context.Context, tx *store.Tx) error {
			p, err := c.Treasury.Preview(ctx, tx, want)
			if err != nil {
				return err
			}
			id, err = c.Treasury.ProposeCorrection(ctx, tx, "member:5", p.Correction, "attack")
			return err
		})
		if got := c.Post("ada", fmt.Sprintf("/approvals/%d", id), "verdict", "approve"); got.Status != http.StatusSeeOther {
			t.Fatalf("approve: %d %s", got.Status, got.Text)
		}
		return id
	}
	c.Update(func(ctx context.Context, tx *store.Tx) error { return c.Treasury.Pause(ctx, tx, "member:5") })
	id := put(treasury.Correction{Since: moved, Scope: correction.Scope{Roots: []ledger.TransactionID{stolen}}})
	if got := c.Balance("lena"); got != before-many {
		t.Errorf("lena has %d, want %d", got, before-many)
	}
	if got := c.Get("ada", fmt.Sprintf("/restore/%d?page=6", id)); !got.Says("Page 6 of 6") {
		t.Errorf("what was done: %d %s", got.Status, got.Text)
	}
	var back treasury.Correction
	c.Update(func(ctx context.Context, tx *store.Tx) (err error) {
		back, err = c.Treasury.Backwards(ctx, tx, id)
		return err
	})
	put(back)
	if got := c.Balance("lena"); got != before {
		t.Errorf("undone, lena has %d, had %d", got, before)
	}
}

// Everything since a moment: balances are those of then, honest payments are
// listed and entered again, once; and the correction itself can be undone.
func TestEverythingIsPutBack(t *testing.T) {
	c := open(t)
	before := map[string]int64{"yann": 120, "lena": 45, "soazig": 70}
	moved := time.Now()
	moves(t, c, "", "lena", 500)
	moves(t, c, "lena", "soazig", 300)
	honest := moves(t, c, "yann", "soazig", 20)
	var id int64
	c.Update(func(ctx context.Context, tx *store.Tx) error {
		if err := c.Treasury.Pause(ctx, tx, "member:5"); err != nil {
			return err
		}
		p, err := c.Treasury.Preview(ctx, tx, treasury.Correction{Since: moved, Scope: correction.Scope{All: true}})
		if err != nil {
			return err
		}
		id, err = c.Treasury.ProposeCorrection(ctx, tx, "member:5", p.Correction, "attack")
		return err
	})
	if got := c.Post("ada", fmt.Sprintf("/approvals/%d", id), "verdict", "approve"); got.Status != http.StatusSeeOther {
		t.Fatalf("approve: %d %s", got.Status, got.Text)
	}
	for name, want := range before {
		if got := c.Balance(name); got != want {
			t.Errorf("%s has %d, had %d", name, got, want)
		}
	}
	page := c.Get("ada", fmt.Sprintf("/restore/%d", id))
	if !page.Says("Make this payment again") || !strings.Contains(page.Body, fmt.Sprintf(`name="transaction" value="%d"`, honest)) {
		t.Errorf("the honest payment cannot be made again: %s", page.Text)
	}
	for n, want := range []int{http.StatusSeeOther, http.StatusConflict} {
		if got := c.Post("ada", "/restore/again", "transaction", fmt.Sprint(honest), "back", fmt.Sprintf("/restore/%d", id)); got.Status != want {
			t.Errorf("again, time %d: %d %s", n+1, got.Status, got.Text)
		}
	}
	if got := c.Balance("soazig"); got != 90 {
		t.Errorf("soazig has %d, want 90", got)
	}
	if got := c.Get("ada", fmt.Sprintf("/restore/preview?since=2026-01-01T00:00&backwards=%d", id)); got.Status != http.StatusOK || !got.Says("New entries") {
		t.Errorf("undoing it: %d %s", got.Status, got.Text)
	}
	if faults, err := c.DB.Verify(t.Context(), nil); err != nil || len(faults) > 0 {
		t.Errorf("Verify = %v, %v", faults, err)
	}
}

// Two persons decide on one proposal in the same second: it is decided once.
func TestTwoDecideAtOnce(t *testing.T) {
	c := open(t)
	since := time.Now().Add(-time.Minute)
	moves(t, c, "", "lena", 5)
	var id int64
	c.Update(func(ctx context.Context, tx *store.Tx) error {
		if err := c.Treasury.Pause(ctx, tx, "operator"); err != nil {
			return err
		}
		p, err := c.Treasury.Preview(ctx, tx, treasury.Correction{Since: since, Scope: correction.Scope{All: true}})
		if err != nil {
			return err
		}
		id, err = c.Treasury.ProposeCorrection(ctx, tx, "operator", p.Correction, "attack")
		return err
	})
	answers := make(chan frametest.Answer, 2)
	for _, x := range []struct{ who, verdict string }{{"abe", "approve"}, {"ada", "decline"}} {
		go func() {
			answers <- c.Post(x.who, fmt.Sprintf("/approvals/%d", id), "verdict", x.verdict, "reason", "no")
		}()
	}
	done, decided := 0, 0
	for range 2 {
		switch a := <-answers; {
		case a.Status == http.StatusSeeOther:
			done++
		case a.Says("Somebody has decided already"):
			decided++
		}
	}
	if done != 1 || decided != 1 {
		t.Errorf("%d decided, %d were told that somebody had", done, decided)
	}
}

// Nonsense is refused in a sentence, and changes nothing.
func TestNonsenseIsRefused(t *testing.T) {
	c := open(t)
	for path, want := range map[string]string{
		"/restore/preview?since=yesterday":                                           "no day with a time",
		"/restore/preview?since=2026-01-01T00:00&scope=accounts&members=nobody":      "Nobody has this pseudo",
		"/restore/preview?since=2026-01-01T00:00&scope=accounts":                     "No account is named",
		"/restore/preview?since=2026-01-01T00:00&scope=tainted&chosen=1&root=999999": "There is nothing to put back",
		"/restore/99":   "does not exist",
		"/approvals/99": "does not exist",
		"/approvals/x":  "does not exist",
	} {
		if got := c.Get("abe", path); !got.Says(want) {
			t.Errorf("%s: %d %s, want %q", path, got.Status, got.Text, want)
		}
	}
}
