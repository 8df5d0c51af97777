package console_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"maillon/internal/auth"
	"maillon/internal/browsertest"
	"maillon/internal/console"
	"maillon/internal/console/frame"
	"maillon/internal/console/frame/frametest"
	"maillon/internal/console/tour"
	"maillon/internal/store"
)

// patience is how long the browser may take for all of one test.
const patience = 12 * time.Minute

// axe judges a page; npm brings it, see the Makefile.
const axe = "testdata/axe/node_modules/axe-core/axe.min.js"

// judge names each violation of WCAG 2.2 AA and of axe's own good practice, with
// the elements that show it.
const judge = `axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.map(
	v => v.id + ": " + v.help + " " + v.nodes.slice(0, 3).map(n => n.html.slice(0, 160) + " " + (n.any[0]?.message ?? "")).join(" | ")).join("\n"))`

// A shot is a page at the size of a screen.
type shot struct {
	name          string
	width, height int64
	scheme        string
}

var shots = []shot{{"desktop", 1280, 900, "light"}, {"phone", 390, 844, "dark"}}

// as serves the console to a browser in which somebody is signed in.
func as(c *frametest.Console, name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name != "" {
			r.AddCookie(&http.Cookie{Name: "maillon", Value: name})
		}
		c.Frame.ServeHTTP(w, r)
	})
}

// No page has a violation that axe-core finds, an error on its console, anything
// from elsewhere, or anything wider than the screen, on a desk or on a phone,
// in the light or in the dark. With MAILLON_SHOTS the pictures are written to
// that folder.
func TestEveryPageIsForEverybody(t *testing.T) {
	c := world(t)
	c.Fresh("abe", auth.Visitor{Session: "abe", Proved: time.Now()})
	server := httptest.NewServer(as(c, "abe"))
	t.Cleanup(server.Close)
	b := browsertest.Open(t, server.URL, patience)
	script, err := os.ReadFile(axe)
	if err != nil {
		t.Fatalf("%v: make components brings it", err)
	}
	folder := os.Getenv("MAILLON_SHOTS")
	guide := &tour.Guide{Frame: c.Frame, Token: "abe"}
	stops, err := guide.Walk(t.Context(), append([]string{"/"}, behind...)...)
	if err != nil || len(stops) == 0 {
		t.Fatalf("walked over %d pages: %v", len(stops), err)
	}
	for _, s := range stops {
		switch {
		case s.Status >= http.StatusBadRequest:
			t.Errorf("the link on %s to %s leads to %d", s.From, s.Path, s.Status)
		case s.Status == http.StatusOK && strings.HasPrefix(s.Kind, "text/html"):
			look(t, b, string(script), folder, s.Path)
		}
	}
	for _, route := range guide.Missed() {
		if !slices.Contains(unlinked, route) {
			t.Errorf("no link leads to %s", route)
		}
	}
}

// behind are pages that a form leads to.
var behind = []string{"/restore/preview?since=2026-01-01T00:00&scope=all", "/settings/max/change?value=250"}

// unlinked are pages to which no link of another leads, for a reason.
var unlinked = []string{
	// The way in: TestTheDoorIsForEverybody looks at it.
	"GET /signin", "GET /signin/code", "GET /invited", "GET /welcome", "GET /confirm",
	// A message waits for a second person only where there are many members.
	"GET /message/{id}",
	// A form leads to it: the room's own test prints one.
	"GET /stalls/{id}/poster.pdf",
}

func look(t *testing.T, b *browsertest.Browser, script, folder, path string) {
	t.Helper()
	for _, s := range shots {
		b.Do(browsertest.Screen(s.width, s.height, s.scheme), chromedp.Navigate(b.URL+frame.Root+path), chromedp.WaitReady(chromedp.CSS("main")))
		b.Do(chromedp.Evaluate[chromedp.Void](script + "; undefined"))
		if found := browsertest.Run(b, chromedp.Evaluate[string](judge, chromedp.EvalAwaitPromise)); found != "" {
			t.Errorf("%s on a %s:\n%s", path, s.name, found)
		}
		if wide := browsertest.Run(b, chromedp.Evaluate[int64](`document.documentElement.scrollWidth - innerWidth`)); wide > 0 {
			t.Errorf("%s is %d pixels wider than a %s", path, wide, s.name)
		}
		for _, fault := range b.Faults() {
			t.Errorf("%s: %s", path, fault)
		}
		if folder != "" {
			b.Shoot(folder, s.name+notName.ReplaceAllString(path, "-"))
		}
	}
}

var notName = regexp.MustCompile(`[^a-z0-9]+`)

// The same for the way in, before anybody is signed in.
func TestTheDoorIsForEverybody(t *testing.T) {
	c := frametest.Open(t, console.Rooms)
	script, err := os.ReadFile(axe)
	if err != nil {
		t.Skip(err) // TestEveryPageIsForEverybody fails
	}
	var invitation auth.Token
	c.Update(func(ctx context.Context, tx *store.Tx) (err error) {
		invitation, err = c.Gate.InviteFirst(ctx, tx, "operator")
		return err
	})
	who := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.AddCookie(&http.Cookie{Name: "maillon-door", Value: string(invitation)}) //nolint:gosec // G124: of a request
		as(c, who).ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	b := browsertest.Open(t, strings.Replace(server.URL, "127.0.0.1", "localhost", 1), patience)
	folder := os.Getenv("MAILLON_SHOTS")
	for _, path := range []string{"/signin", "/signin?why=expired", "/signin/code", "/welcome"} {
		look(t, b, string(script), folder, path)
	}
	who = "abe"
	look(t, b, string(script), folder, "/confirm")
}
