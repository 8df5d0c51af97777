package figures_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"maillon/internal/charter"
	"maillon/internal/console/figures"
	"maillon/internal/console/frame"
	"maillon/internal/console/frame/frametest"
	"maillon/internal/ledger"
	"maillon/internal/money"
	"maillon/internal/server"
	"maillon/internal/store"
)

func open(t *testing.T) *frametest.Console {
	t.Helper()
	return frametest.Open(t, func(s *server.Server) []frame.Room { return []frame.Room{figures.New(s)} })
}

// pay moves money between two members.
func pay(t *testing.T, c *frametest.Console, from, to string, sum int64) {
	t.Helper()
	unit := c.Settings.Currency()
	payer, payee := c.Member(from), c.Member(to)
	c.Update(func(ctx context.Context, tx *store.Tx) error {
		a, err := tx.AccountOf(ctx, payer.ID, unit)
		if err != nil {
			return err
		}
		b, err := tx.AccountOf(ctx, payee.ID, unit)
		if err != nil {
			return err
		}
		return ledger.Post(ctx, tx, &ledger.Transaction{
			Key: from + to + time.Now().String(), Kind: ledger.Payment,
			Postings: []ledger.Posting{{Account: a.ID, Amount: money.New(-sum, unit)}, {Account: b.ID, Amount: money.New(sum, unit)}},
		})
	})
}

// month plays a month in which something happened, and counts it.
func month(t *testing.T, c *frametest.Console) {
	t.Helper()
	for range 5 {
		pay(t, c, "yann", "lena", 7)
		time.Sleep(6 * 24 * time.Hour)
	}
	if err := c.Counter.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestReportsSayHowTheCurrencyDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t)
		month(t, c)
		a := c.Get("tess", "/figures?days=90")
		for _, want := range []string{"In circulation", "235 m", "35 m", "2 in 7 days", "Who pays whom", "workshop"} {
			if !a.Says(want) {
				t.Errorf("%d: the report does not say %q:\n%s", a.Status, want, a.Text)
			}
		}
		if n := strings.Count(a.Body, "<svg"); n < 6 || strings.Contains(a.Body, "style=") {
			t.Errorf("%d pictures, want 6 without style", n)
		}
	})
}

// Who reads statistics learns no name, and no reason that may hold one.
func TestAReaderSeesNoNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t)
		month(t, c)
		for _, path := range []string{"/figures", "/figures/months/2000-01", "/wall"} {
			a := c.Get("ann", path)
			if a.Status != http.StatusOK || a.Says("yann") || a.Says("lena") || a.Says("workshop") {
				t.Errorf("%s is %d: %s", path, a.Status, a.Text)
			}
		}
	})
}

func TestTheMonthIsOnOnePage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t)
		month(t, c)
		a := c.Get("tess", "/figures/months/2000-01")
		for _, want := range []string{"January 2000", "Velocity", "By person", "Month before"} {
			if !a.Says(want) {
				t.Errorf("%d: the month does not say %q:\n%s", a.Status, want, a.Text)
			}
		}
		for _, wrong := range []string{"2000-13", "1999", "x", "2000-03", "0000-01"} {
			if a := c.Get("tess", "/figures/months/"+wrong); a.Status != http.StatusNotFound {
				t.Errorf("the month %s is %d", wrong, a.Status)
			}
		}
	})
}

func TestDaysThatAreNotCountedAreSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t)
		pay(t, c, "yann", "lena", 7)
		if a := c.Get("tess", "/figures"); a.Says("still being counted") || !a.Says("Since then: 1 (7 m)") {
			t.Errorf("on the first day: %s", a.Text)
		}
		time.Sleep(48 * time.Hour)
		if a := c.Get("tess", "/figures"); !a.Says("still being counted") {
			t.Errorf("two days later: %s", a.Text)
		}
	})
}

// The link opens the wall and nothing else, until it is closed or renewed.
func TestTheWallHasALink(t *testing.T) {
	c := open(t)
	if a := c.Get("", "/wall"); a.Location == "" || a.Status != http.StatusSeeOther {
		t.Errorf("without a link: %d %s", a.Status, a.Text)
	}
	path := func() string {
		a := c.Post("ada", "/wall/link")
		_, rest, ok := strings.Cut(a.Text, "/console/wall?key=")
		if !ok {
			t.Fatalf("%d: no link in %s", a.Status, a.Text)
		}
		return "/wall?key=" + strings.Fields(rest)[0]
	}
	first := path()
	a := c.Get("", first)
	if a.Status != http.StatusOK || !a.Says("In circulation") || !strings.Contains(a.Body, `http-equiv="refresh"`) {
		t.Errorf("with the link: %d %s", a.Status, a.Text)
	}
	second := path()
	if a := c.Get("", first); a.Status == http.StatusOK {
		t.Error("the old link still opens")
	}
	if a := c.Post("ada", "/wall/close"); a.Location != "/wall/link" {
		t.Errorf("closing leads to %q", a.Location)
	}
	for _, key := range []string{second, "/wall?key="} {
		if a := c.Get("", key); a.Status == http.StatusOK {
			t.Errorf("%s opens after it was closed", key)
		}
	}
	if strings.Contains(c.Log.String(), strings.TrimPrefix(second, "/wall?key=")) {
		t.Error("the log holds a link")
	}
}

// An export is a file, and the audit says who took what.
func TestExportsAreFilesAndAreNoted(t *testing.T) {
	c := open(t)
	if a := c.Get("tess", "/exports"); !a.Says("Anonymous") || !a.Says("hledger") {
		t.Errorf("%d: %s", a.Status, a.Text)
	}
	a := c.Post("tess", "/exports", "format", "csv", "names", "pseudo")
	if a.Status != http.StatusOK || !strings.HasPrefix(a.Body, "\ufeffdate;") || !strings.Contains(a.Body, ";yann;") ||
		!strings.Contains(a.Header.Get("Content-Disposition"), ".csv") {
		t.Errorf("the export is %d %v: %s", a.Status, a.Header, a.Body)
	}
	c.Update(func(ctx context.Context, tx *store.Tx) error {
		acts, err := tx.Acts(ctx, store.ActsWhere{What: "export"}, 2)
		if err != nil || len(acts) != 1 || acts[0].Subject != "csv:pseudo" || !strings.HasPrefix(acts[0].By, "member:") {
			t.Errorf("acts %v, %v", acts, err)
		}
		return nil
	})
	for _, wrong := range [][]string{{"format", "xml", "names", "number"}, {"format", "csv", "names", "all"}, {}} {
		if a := c.Post("tess", "/exports", wrong...); a.Status != http.StatusUnprocessableEntity || !a.Says("Choose a format") {
			t.Errorf("%v is %d", wrong, a.Status)
		}
	}
	if a := c.Post("fay", "/exports", "format", "csv", "names", "number"); a.Status != http.StatusForbidden {
		t.Errorf("the front desk exports: %d", a.Status)
	}
}

// What SMS cost is known once somebody has said what one costs.
func TestTheMonthSaysWhatSMSCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t)
		month(t, c)
		if a := c.Get("tess", "/figures/months/2000-01"); a.Says("€") {
			t.Errorf("a cost that nobody knows: %s", a.Text)
		}
		c.Update(func(ctx context.Context, tx *store.Tx) error {
			return c.Treasury.SetCharter(ctx, tx, "member:6", "contract", func(x *charter.Charter) error { x.Messages.Cost = 65; return nil })
		})
		if a := c.Get("tess", "/figures/months/2000-01"); !a.Says("0.00 €") {
			t.Errorf("%d: once it is known: %s", a.Status, a.Text)
		}
	})
}
