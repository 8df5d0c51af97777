package console_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"maillon/internal/auth"
	"maillon/internal/console"
	"maillon/internal/console/frame"
	"maillon/internal/console/frame/frametest"
)

// open are the pages for whoever is not signed in: all that there may be.
var open = []string{
	"GET /signin", "POST /signin", "GET /signin/code", "POST /signin/code", "POST /passkey/ask", "POST /signin/passkey", "POST /signout",
	"GET /invited", "GET /welcome", "POST /welcome", "GET /wall",
}

var mark = regexp.MustCompile(`\{[^}]*\}`)

// Every page, and everything that is posted, asked by every role and by nobody:
// who may not is refused before anything is looked at.
func TestEveryPageIsForWhoMay(t *testing.T) {
	c := frametest.Open(t, console.Rooms)
	c.Broken = true // what is posted here makes no sense
	staff := []string{"ann", "fay", "cam", "tess", "abe", "aud"}
	for _, name := range staff { // so that what is dangerous is not done, but asks again
		c.Fresh(name, auth.Visitor{Session: name, Proved: time.Now().Add(-time.Hour)})
	}
	pages := c.Frame.Pages()
	if len(pages) == 0 {
		t.Fatal("there is no page")
	}
	for _, p := range pages {
		method, path, _ := strings.Cut(p.Route, " ")
		path = strings.ReplaceAll(path, "{$}", "")
		path = mark.ReplaceAllString(path, "1")
		if p.Right == frame.Anybody {
			if !slices.Contains(open, p.Route) {
				t.Errorf("%s is for anybody", p.Route)
			}
			continue
		}
		if a := c.Send("", httptest.NewRequest(method, frame.Root+path, nil)); a.Status != http.StatusSeeOther || !strings.HasPrefix(a.Location, "/signin") {
			t.Errorf("%s for nobody is %d %s", p.Route, a.Status, a.Location)
		}
		for _, name := range staff {
			role := c.Member(name).Role
			may := p.Right == frame.Somebody || auth.May(role, p.Right)
			if may && method != http.MethodGet {
				continue // what it does has its own tests
			}
			a := c.Send(name, httptest.NewRequest(method, frame.Root+path, nil))
			if refused := a.Status == http.StatusForbidden; refused == may {
				t.Errorf("%s for %s is %d", p.Route, role, a.Status)
			}
			if !may && a.Location != "" {
				t.Errorf("%s for %s leads to %s", p.Route, role, a.Location)
			}
		}
		if method != http.MethodGet {
			r := httptest.NewRequest(method, frame.Root+path, nil)
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			if a := c.Send("abe", r); a.Status != http.StatusForbidden {
				t.Errorf("%s from another site is %d", p.Route, a.Status)
			}
		}
	}
}

// Nothing is changed by looking: every page that is posted to has another method
// than those that are looked at.
func TestPagesAreGetOrPost(t *testing.T) {
	for _, p := range frametest.Open(t, console.Rooms).Frame.Pages() {
		if method, _, _ := strings.Cut(p.Route, " "); method != http.MethodGet && method != http.MethodPost {
			t.Errorf("%s is neither", p.Route)
		}
	}
}
