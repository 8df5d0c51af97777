// Package tour walks through the console as somebody who follows every link:
// what tests look at, and what is measured, is what people can reach.
package tour

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"maillon/internal/console/frame"
)

// Bounds of a walk.
const (
	maxStops    = 1000
	maxOfARoute = 3 // paths that are looked at of one route
)

// A Stop is a page that was looked at.
type Stop struct {
	Route  string // "GET /members/{id}"
	Path   string // beneath frame.Root, with its query
	From   string // the page with the link to it
	Status int
	Kind   string // of its content
	Took   time.Duration
}

// A Guide walks.
type Guide struct {
	Frame *frame.Frame
	Token string // of whose session it walks in

	seen map[string]int // paths, by route
	next []Stop
}

// Walk follows every link from some pages, and from the pages behind them, as far
// as they are beneath frame.Root. Of one route it looks at a few paths.
func (g *Guide) Walk(ctx context.Context, from ...string) ([]Stop, error) {
	g.seen = map[string]int{}
	known := map[string]bool{}
	var all []Stop
	for _, path := range from {
		g.next = append(g.next, Stop{Path: path})
	}
	for len(g.next) > 0 {
		s := g.next[0]
		g.next = g.next[1:]
		route := g.Frame.Route(s.Path)
		if known[s.Path] || g.seen[route] >= maxOfARoute {
			continue
		}
		known[s.Path] = true
		g.seen[route]++
		if len(all) >= maxStops {
			return all, fmt.Errorf("more than %d pages", maxStops)
		}
		body := g.look(ctx, &s)
		all = append(all, s)
		g.follow(s, body)
	}
	return all, nil
}

// Look asks for a page once.
func (g *Guide) Look(ctx context.Context, path string) Stop {
	s := Stop{Path: path}
	g.look(ctx, &s)
	return s
}

func (g *Guide) look(ctx context.Context, s *Stop) (body string) {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, frame.Root+s.Path, nil)
	r.AddCookie(&http.Cookie{Name: frame.SessionCookie, Value: g.Token}) //nolint:gosec // G124: of a request
	w := httptest.NewRecorder()
	began := time.Now()
	g.Frame.ServeHTTP(w, r)
	s.Took, s.Route, s.Status, s.Kind = time.Since(began), g.Frame.Route(s.Path), w.Code, w.Header().Get("Content-Type")
	if to := w.Header().Get("Location"); to != "" {
		return fmt.Sprintf(`<a href="%s">`, html.EscapeString(to))
	}
	return w.Body.String()
}

var link = regexp.MustCompile(`<a\b[^>]*\bhref="([^"]*)"`)

// follow notes where the links of a page lead.
func (g *Guide) follow(s Stop, body string) {
	base := &url.URL{Path: frame.Root + s.Path}
	if path, query, ok := strings.Cut(s.Path, "?"); ok {
		base = &url.URL{Path: frame.Root + path, RawQuery: query}
	}
	for _, found := range link.FindAllStringSubmatch(body, -1) {
		to, err := base.Parse(html.UnescapeString(found[1]))
		if err != nil || to.Host != "" {
			continue
		}
		to.Fragment = ""
		path, beneath := strings.CutPrefix(to.RequestURI(), frame.Root)
		if beneath && strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "/static/") && to.Query().Get("lang") == "" {
			g.next = append(g.next, Stop{Path: path, From: s.Path})
		}
	}
}

// Missed returns the routes of pages that no link leads to.
func (g *Guide) Missed() []string {
	var all []string
	for _, p := range g.Frame.Pages() {
		if strings.HasPrefix(p.Route, http.MethodGet+" ") && g.seen[p.Route] == 0 {
			all = append(all, p.Route)
		}
	}
	slices.Sort(all)
	return all
}
