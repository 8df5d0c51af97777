// Package frame is what every page of the console shares: its frame with the
// menu, its words in each language, who is asking and what they may, and the one
// table from an error to what its reader is told.
//
// A page is a route, the right that it needs, and a function that serves one
// visit. Pages that belong together are a room: a package beneath console, with
// its templates and its words beside its handlers. Nothing here knows what the
// pages are about.
//
// Pages work without JavaScript, load nothing from elsewhere, and change nothing
// but by POST from the console itself.
package frame

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"maillon/internal/auth"
	"maillon/internal/money"
	"maillon/internal/notice"
	"maillon/internal/setting"
	"maillon/internal/store"
)

// Root is the path beneath which all pages are.
const Root = "/console"

// Anybody is the right of a page that needs nobody to be signed in.
const Anybody auth.Right = ""

// Somebody is the right of a page for whoever is signed in.
const Somebody auth.Right = "somebody"

// A Page is one route.
type Page struct {
	Route string     // "GET /members/{id}", beneath Root
	Right auth.Right // that it needs
	Serve func(v *Visit) error
	Fresh bool // the second factor must have been shown lately
}

// An Entry is a line of the menu.
type Entry struct {
	Path  string
	Word  string // key of its text
	Right auth.Right
	Group string // "members", "money", "trade", "watch", "figures" or "house"; "" stands on top
	Order int    // within its group
}

// Groups are those of the menu, in order.
func Groups() []string { return []string{"", "members", "money", "trade", "watch", "figures", "house"} }

// A Room is pages that belong together.
type Room struct {
	Name   string
	Files  fs.FS // NAME.html for each page, _NAME.html for what several pages use, fr.toml and en.toml
	Pages  []Page
	Menu   []Entry
	Static []string // files to serve as /console/static/ROOM/FILE

	Approvals map[string]Approval // by the kind of proposal
}

// A Door knows who is signed in.
type Door interface {
	// Enter returns whose session a token is. It returns auth.ErrUnknown, or
	// auth.ErrExpired for one that has ended by itself.
	Enter(ctx context.Context, token string) (*auth.Visitor, error)
}

// Options are what the frame is told.
type Options struct {
	DB       *store.DB
	Settings *setting.Settings
	Voice    *notice.Voice // says why something is refused
	Door     Door
	Log      *slog.Logger // nil: the default
}

// A Frame serves pages.
type Frame struct {
	options Options
	rooms   []Room
	words   map[string]*words             // by language
	sheets  map[string]*template.Template // by language, room and page
	mux     *http.ServeMux
	handler http.Handler
}

//go:embed *.html *.toml static
var files embed.FS

// New returns a frame around rooms. It refuses templates that do not parse, and
// words that are missing in a language.
func New(o Options, rooms ...Room) (*Frame, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	f := &Frame{options: o, rooms: append([]Room{{Name: "frame", Files: files}}, rooms...)}
	var err error
	if f.words, err = readWords(f.rooms); err != nil {
		return nil, err
	}
	if f.sheets, err = f.readSheets(); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	f.serveStatic(mux)
	for _, r := range rooms {
		for _, p := range r.Pages {
			method, path, ok := strings.Cut(p.Route, " ")
			if !ok || !strings.HasPrefix(path, "/") {
				return nil, fmt.Errorf("console: %q is no route", p.Route)
			}
			mux.Handle(method+" "+Root+path, f.page(r.Name, p))
		}
	}
	mux.Handle(Root+"/", f.page("frame", Page{Right: Somebody, Serve: func(*Visit) error { return store.ErrNotFound }}))
	mux.Handle("GET "+Root, http.RedirectHandler(Root+"/", http.StatusSeeOther))
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(f.page("frame", Page{Right: Anybody, Serve: func(*Visit) error { return errForged }}))
	f.mux, f.handler = mux, guard.Handler(mux)
	return f, nil
}

// Pages returns every page there is, for whoever checks who may see them.
func (f *Frame) Pages() (all []Page) {
	for _, r := range f.rooms {
		all = append(all, r.Pages...)
	}
	return all
}

// Route returns the route of the page at a path beneath Root, "" if there is
// none.
func (f *Frame) Route(path string) string {
	r, err := http.NewRequest(http.MethodGet, Root+path, nil) //nolint:noctx // it goes nowhere
	if err != nil {
		return ""
	}
	_, pattern := f.mux.Handler(r)
	method, at, _ := strings.Cut(pattern, " ")
	at, ok := strings.CutPrefix(at, Root)
	if !ok {
		return ""
	}
	return method + " " + at
}

// policy lets a page load what this handler serves, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// ServeHTTP serves the console.
func (f *Frame) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cache-Control", "no-store")
	if Secure(r) {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	f.handler.ServeHTTP(w, r)
}

// Secure reports whether a request came by HTTPS, here or at the proxy before.
func Secure(r *http.Request) bool {
	return r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https"
}

// staticLife is how long a browser keeps what is not a page.
const staticLife = "max-age=3600"

func (f *Frame) serveStatic(mux *http.ServeMux) {
	serve := func(path string, from fs.FS, file string) {
		mux.HandleFunc("GET "+Root+"/static/"+path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", staticLife)
			http.ServeFileFS(w, r, from, file)
		})
	}
	for _, name := range []string{"console.css", "console.svg", "htmx.min.js"} {
		serve(name, files, "static/"+name)
	}
	for _, r := range f.rooms {
		for _, name := range r.Static {
			serve(r.Name+"/"+name, r.Files, name)
		}
	}
}

// visitTime bounds how long a page may take.
const visitTime = 25 * time.Second

// page lets in who may, and serves.
func (f *Frame) page(room string, p Page) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), visitTime)
		defer cancel()
		v := &Visit{Writer: w, Request: r.WithContext(ctx), frame: f, room: room}
		v.words = f.language(v)
		err := f.enter(v, p)
		if err == nil {
			err = p.Serve(v)
		}
		if err != nil {
			f.apologise(v, err)
		}
	})
}

// enter finds out who is asking, and whether they may.
func (f *Frame) enter(v *Visit, p Page) error {
	who, err := f.options.Door.Enter(v.Context(), Token(v.Request))
	switch {
	case err == nil:
		v.Who = who
		v.words = f.language(v)
	case !errors.Is(err, auth.ErrUnknown) && !errors.Is(err, auth.ErrExpired):
		return err
	case p.Right != Anybody:
		return err
	}
	switch {
	case p.Right == Anybody || p.Right == Somebody:
	case !who.May(p.Right):
		return ErrMayNot
	}
	if p.Fresh && !who.Fresh(time.Now()) {
		return errStale
	}
	return nil
}

// symbol is how people write a currency.
func (f *Frame) symbol(c money.Currency) string { return f.options.Settings.Symbol(c) }
