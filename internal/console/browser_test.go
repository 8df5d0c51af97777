package console_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"maillon/internal/browsertest"
	"maillon/internal/console"
	"maillon/internal/console/frame"
	"maillon/internal/console/frame/frametest"
)

// patience is how long the browser may take for all of one test.
const patience = 5 * time.Minute

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
	c, samples := world(t)
	server := httptest.NewServer(as(c, "abe"))
	t.Cleanup(server.Close)
	b := browsertest.Open(t, server.URL, patience)
	script, err := os.ReadFile(axe)
	if err != nil {
		t.Fatalf("%v: make components brings it", err)
	}
	folder := os.Getenv("MAILLON_SHOTS")
	seen := 0
	for _, p := range c.Frame.Pages() {
		route, is := strings.CutPrefix(p.Route, "GET ")
		if !is {
			continue
		}
		paths, ok := samples[route]
		if !ok && strings.ContainsAny(route, "{}") {
			t.Errorf("no sample of %s is looked at", route)
		}
		if !ok {
			paths = []string{route}
		}
		for _, path := range paths {
			seen++
			look(t, b, string(script), folder, path)
		}
	}
	if seen == 0 {
		t.Error("there are no pages")
	}
}

func look(t *testing.T, b *browsertest.Browser, script, folder, path string) {
	t.Helper()
	for _, s := range shots {
		b.Do(browsertest.Screen(s.width, s.height, s.scheme), chromedp.Navigate(b.URL+frame.Root+path), chromedp.WaitReady(chromedp.CSS("main")))
		if title := browsertest.Run(b, chromedp.Title()); strings.Contains(title, "Ce n'est pas possible") || strings.Contains(title, "cannot be done") {
			t.Errorf("%s: %s", path, browsertest.Run(b, chromedp.Text(chromedp.CSS("main"))))
		}
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

// world is a console with something on each page, and for each route that names
// something the paths at which it is looked at.
func world(t *testing.T) (*frametest.Console, map[string][]string) {
	t.Helper()
	c := frametest.Open(t, console.Rooms)
	return c, map[string][]string{"/{$}": {"/"}}
}
