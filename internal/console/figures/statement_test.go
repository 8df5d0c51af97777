package figures_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"maillon/internal/console/frame/frametest"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// acts counts how often somebody's papers were opened.
func acts(t *testing.T, c *frametest.Console) (n int) {
	t.Helper()
	c.Update(func(ctx context.Context, tx *store.Tx) error {
		all, err := tx.Acts(ctx, store.ActsWhere{What: treasury.Looked}, store.MaxActs)
		n = len(all)
		return err
	})
	return n
}

func TestAStatementIsAMonthOfAnAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t)
		pay(t, c, "yann", "lena", 7)
		time.Sleep(time.Hour)
		pay(t, c, "yann", "lena", 4)
		lena := c.Member("lena").ID
		path := fmt.Sprintf("/members/%d/statement", lena)
		begin := c.Balance("lena") - 11
		time.Sleep(40 * 24 * time.Hour)
		pay(t, c, "lena", "yann", 2)
		a := c.Get("tess", path)
		for _, want := range []string{
			"February 2000", "yann",
			fmt.Sprintf("Balance before %d m", begin+11), "Received in all 0 m", "Given in all −2 m", fmt.Sprintf("Balance after %d m", begin+9),
		} {
			if !a.Says(want) {
				t.Errorf("%d: this month does not say %q:\n%s", a.Status, want, a.Text)
			}
		}
		if a := c.Get("tess", path+"?month=2000-01"); !a.Says(fmt.Sprintf("Balance after %d m", begin+11)) {
			t.Errorf("%d: the month before: %s", a.Status, a.Text)
		}
		if n := acts(t, c); n != 2 {
			t.Errorf("%d of 2 looks are written down", n)
		}
		for _, wrong := range []string{path + "?month=2000-03", path + "?month=x", "/members/9999/statement", "/members/0/statement"} {
			if a := c.Get("tess", wrong); a.Status != http.StatusNotFound {
				t.Errorf("%s is %d", wrong, a.Status)
			}
		}
		if a := c.Get("ann", path); a.Status != http.StatusForbidden || a.Says("lena") {
			t.Errorf("for a reader of statistics: %d %s", a.Status, a.Text)
		}
		if n := acts(t, c); n != 2 {
			t.Errorf("what was refused is written down as looked at: %d", n)
		}
	})
}
