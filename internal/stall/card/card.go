// Package card is the page that the QR code of a poster opens, at /t/ and the
// short id: it says in the visitor's language how to pay this by SMS, and opens
// the SMS with the line written. It is small, needs no script, and knows nothing
// of who looks at it.
package card

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"golang.org/x/text/language"

	"maillon/internal/grammar"
	"maillon/internal/poster"
	"maillon/internal/stall"
	"maillon/internal/stall/counter"
	"maillon/internal/store"
)

//go:embed page.html page.css words/*.toml
var files embed.FS

// workTime bounds how long a page is worked at.
const workTime = 5 * time.Second

// amounts are what a visitor may write: the SMS is read by the server again.
var amounts = regexp.MustCompile(`^[0-9]{1,7}([.,][0-9]{1,2})?$`)

// Words are what the page says in one language.
type Words struct {
	Tag, Dir string   `toml:"-"`
	Name     string   `toml:"name"`
	Title    string   `toml:"title"`
	Price    string   `toml:"price"`
	Amount   string   `toml:"amount"`
	Put      string   `toml:"put"`
	Write    string   `toml:"write"`
	Steps    []string `toml:"steps"`
	To       string   `toml:"to"`
	Gone     string   `toml:"gone"`
	GoneHint string   `toml:"gonehint"`
	Form     string   `toml:"form"`
}

// steps is how many a payment has.
const steps = 3

// pages serves the page of every template.
type pages struct {
	db      *store.DB
	counter *counter.Counter
	page    *template.Template
	style   template.CSS
	policy  string
	words   []Words
	matcher language.Matcher
}

// New returns the pages, beneath counter.Root.
func New(db *store.DB, c *counter.Counter) (http.Handler, error) {
	p := &pages{db: db, counter: c}
	var err error
	if p.page, err = template.ParseFS(files, "page.html"); err != nil {
		return nil, err
	}
	style, err := files.ReadFile("page.css")
	if err != nil {
		return nil, err
	}
	p.style = template.CSS(style) //nolint:gosec // G203: it is ours
	sum := sha256.Sum256(style)
	p.policy = "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
	var tags []language.Tag
	for _, l := range poster.Languages() {
		w, err := readWords(string(l))
		if err != nil {
			return nil, err
		}
		p.words = append(p.words, w)
		tags = append(tags, language.Make(string(l)))
	}
	p.matcher = language.NewMatcher(tags)
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+counter.Root+"{short}", p.serve)
	return mux, nil
}

func readWords(tag string) (Words, error) {
	w := Words{Tag: tag, Dir: "ltr"}
	if tag == string(poster.Arabic) {
		w.Dir = "rtl"
	}
	said, err := toml.DecodeFS(files, "words/"+tag+".toml", &w)
	if err != nil {
		return w, fmt.Errorf("words of %s: %w", tag, err)
	}
	if len(said.Undecoded()) > 0 || len(w.Steps) != steps {
		return w, fmt.Errorf("words of %s: not those of the page", tag)
	}
	return w, nil
}

// view is what the page shows.
type view struct {
	Words              *Words
	Others             []Words
	Style              template.CSS
	Stall, Description string
	Price, Unit        string
	Open, Wrong        bool // the buyer writes the price; she wrote what is none
	Amount             string
	Text, Number       string
	Link               template.URL
}

func (p *pages) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", p.policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache")
	h.Set("Vary", "Accept-Language")
	ctx, cancel := context.WithTimeout(r.Context(), workTime)
	defer cancel()
	v := p.speak(r)
	status := http.StatusOK
	switch err := p.fill(ctx, &v, r); {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, stall.ErrNoStall):
		status = http.StatusNotFound
	case err != nil:
		slog.ErrorContext(ctx, "page of a template", "error", err)
		http.Error(w, "try again in a moment", http.StatusServiceUnavailable)
		return
	}
	var b strings.Builder
	if err := p.page.Execute(&b, v); err != nil {
		slog.ErrorContext(ctx, "page of a template", "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", v.Words.Tag)
	w.WriteHeader(status)
	_, _ = w.Write([]byte(b.String())) // whoever has gone can ask again
}

// speak chooses the language: the one asked for, or else the first that the
// browser wants and we have.
func (p *pages) speak(r *http.Request) view {
	_, n := language.MatchStrings(p.matcher, r.URL.Query().Get("lang"), r.Header.Get("Accept-Language"))
	v := view{Words: &p.words[n], Style: p.style}
	for i, w := range p.words {
		if i != n {
			v.Others = append(v.Others, w)
		}
	}
	return v
}

// fill finds what is sold, and how it is paid.
func (p *pages) fill(ctx context.Context, v *view, r *http.Request) error {
	short := strings.ToUpper(r.PathValue("short"))
	if !grammar.IsItem(short) {
		return store.ErrNotFound
	}
	return p.db.View(ctx, func(tx *store.Tx) error {
		t, err := p.counter.Stalls.Sold(ctx, tx, short)
		if err != nil {
			return err
		}
		name, err := p.counter.Stalls.Name(ctx, tx, t.Stall)
		if err != nil {
			return err
		}
		v.Stall, v.Description = name, t.Description
		v.Price, v.Unit = p.counter.Price(t, v.Words.Tag), p.counter.Set.Symbol(t.Currency)
		v.Open = v.Price == ""
		v.Amount = strings.TrimSpace(r.URL.Query().Get("amount"))
		text := p.counter.Line(t, v.Words.Tag)
		if v.Open {
			good := amounts.MatchString(v.Amount)
			v.Wrong = v.Amount != "" && !good
			if !good {
				v.Amount = ""
				return nil
			}
			text += " " + v.Amount
		}
		v.Text = text
		if p.counter.Number.IsZero() {
			return nil
		}
		v.Number = counter.Spaced(p.counter.Number)
		v.Link = template.URL("sms:" + p.counter.Number.E164() + "?body=" + url.PathEscape(text)) //nolint:gosec // G203: a number and what was escaped
		return nil
	})
}
