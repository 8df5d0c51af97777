package audit_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"maillon/internal/console/audit"
	"maillon/internal/console/frame"
	"maillon/internal/console/frame/frametest"
	"maillon/internal/server"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

func open(t *testing.T) *frametest.Console {
	t.Helper()
	return frametest.Open(t, func(s *server.Server) []frame.Room { return []frame.Room{audit.New(s)} })
}

// Every act is shown, the newest first, page after page, each once.
func TestActsArePaged(t *testing.T) {
	c := open(t)
	for n := range 250 {
		c.Update(func(_ context.Context, tx *store.Tx) error {
			tx.Audit(store.Act{By: "operator", What: "setting", Subject: "setting:max", Was: "1", Became: fmt.Sprintf("became%03d", n)})
			return nil
		})
	}
	path, seen := "/audit?what=setting", ""
	for range 3 {
		a := c.Get("aud", path)
		seen += a.Text
		_, next, more := strings.Cut(a.Body, `href="/console/audit?before=`)
		if !more {
			break
		}
		query, _, _ := strings.Cut(next, `"`)
		path = "/audit?before=" + strings.ReplaceAll(query, "&amp;", "&")
	}
	for n := range 250 {
		if got := strings.Count(seen, fmt.Sprintf("became%03d", n)); got != 1 {
			t.Fatalf("act %d is shown %d times", n, got)
		}
	}
	if strings.Index(seen, "became249") > strings.Index(seen, "became000") {
		t.Error("the oldest comes first")
	}
}

// The acts of one person are found by pseudo, which does not come to stand in an
// address, those of one day by the day.
func TestActsAreFound(t *testing.T) {
	c := open(t)
	abe, lena := treasury.By(c.Member("abe")), treasury.By(c.Member("lena"))
	c.Update(func(_ context.Context, tx *store.Tx) error {
		tx.Act(abe, "freeze", lena, "lost telephone")
		return nil
	})
	a := c.Post("aud", "/audit", "who", "@abe")
	if a.Status != http.StatusSeeOther || strings.Contains(a.Location, "abe") {
		t.Fatalf("it leads to %d %s", a.Status, a.Location)
	}
	if a := c.Get("aud", a.Location); !a.Says("lost telephone") || !a.Says("lena") || a.Says("workshop") {
		t.Errorf("abe's acts: %s", a.Text)
	}
	if a := c.Post("aud", "/audit", "who", "nobody"); a.Status != http.StatusUnprocessableEntity || !a.Says("Nobody has") {
		t.Errorf("somebody unknown: %d", a.Status)
	}
	for _, query := range []string{"from=2020-01-01&to=2020-01-02", "what=pause", "by=member:99"} {
		if a := c.Get("aud", "/audit?"+query); !a.Says("Nothing was done that matches") {
			t.Errorf("%s finds something", query)
		}
	}
	for _, query := range []string{"from=yesterday", "before=x"} {
		if a := c.Get("aud", "/audit?"+query); a.Status != http.StatusUnprocessableEntity {
			t.Errorf("%s is %d", query, a.Status)
		}
	}
	if a := c.Get("aud", "/audit?what=%3Cb%3E&by=%3Cb%3E"); a.Status != http.StatusOK || strings.Contains(a.Body, "<b>") {
		t.Errorf("nonsense is %d, or stands in the page", a.Status)
	}
}

// The badge says up to which row the chain was proven, and when.
func TestTheChainIsVerified(t *testing.T) {
	c := open(t)
	if a := c.Get("aud", "/audit"); !a.Says("never verified") {
		t.Errorf("it was never verified: %s", a.Text)
	}
	c.Update(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.SetMoment(ctx, store.VerifiedAt, tx.Now()); err != nil {
			return err
		}
		return tx.SetState(ctx, store.VerifiedTo, "17")
	})
	if a := c.Get("aud", "/audit"); !a.Says("checked up to row 17") {
		t.Errorf("it was verified: %s", a.Text)
	}
}
