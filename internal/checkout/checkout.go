// Package checkout is the page of a shop that has no program: its client shows the
// code that she got by SMS, and her order is let through, or she reads what to
// send. The shop gives its clients the address, /order/WORD, with the reference
// and the total of the order in it if it likes, and reads the orders in the
// console or from the API.
//
// The page needs no script. What is personal, the code, is posted and stands in no
// address.
package checkout

import (
	"bytes"
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
	"strings"

	"github.com/BurntSushi/toml"

	"golang.org/x/text/language"

	"maillon/internal/auth"
	"maillon/internal/merchant"
	"maillon/internal/money"
	"maillon/internal/setting"
	"maillon/internal/store"
	"maillon/internal/trade"
)

// Root is where the page is.
const Root = "/order/"

// maxForm bounds what is posted, in octets.
const maxForm = 4 << 10

//go:embed page.html page.css fr.toml en.toml
var files embed.FS

// languages are those that there are, the first for everybody else.
var languages = []string{"fr", "en"}

// Options are what the page shows and acts by.
type Options struct {
	DB        *store.DB
	Settings  *setting.Settings
	Merchants *merchant.Service
}

// A Page serves it.
type Page struct {
	Options
	sheet  *template.Template
	policy string
	words  map[string]map[string]string
	match  language.Matcher
}

// New returns the page, or an error if a language lacks a text that another has.
func New(o Options) (*Page, error) {
	p := &Page{Options: o, words: map[string]map[string]string{}}
	var tags []language.Tag
	for _, tag := range languages {
		words := map[string]string{}
		if _, err := toml.DecodeFS(files, tag+".toml", &words); err != nil {
			return nil, fmt.Errorf("%s.toml: %w", tag, err)
		}
		p.words[tag] = words
		tags = append(tags, language.Make(tag))
		for key := range p.words[languages[0]] {
			if words[key] == "" {
				return nil, fmt.Errorf("%s.toml: %q is missing", tag, key)
			}
		}
	}
	p.match = language.NewMatcher(tags)
	css, err := files.ReadFile("page.css")
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(css)
	p.policy = "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	p.sheet, err = template.New("page.html").Funcs(template.FuncMap{
		"css": func() template.CSS { return template.CSS(css) }, //nolint:gosec // our own file
	}).ParseFS(files, "page.html")
	return p, err
}

// A view is what the page shows.
type view struct {
	Language         string
	Shop             string
	Keyword          string
	Line             string
	SMS              template.URL // that a telephone opens
	Price            string       // of one SMS; "": the usual rate
	Messages         int
	ByCode           bool
	Ref, Total, Code string
	Problem          string
	Done             bool
	Rest             string // to pay on delivery
	words            map[string]string
}

// Say returns a text of the visitor's language, with what stands in it.
func (v view) Say(key string, args ...any) string {
	text := v.words[key]
	for n, a := range args {
		text = strings.ReplaceAll(text, fmt.Sprintf("{%d}", n+1), fmt.Sprint(a))
	}
	return text
}

// ServeHTTP implements http.Handler.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", p.policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodPost {
		h.Set("Allow", "GET, POST")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the form is too large or broken", http.StatusBadRequest)
		return
	}
	v, status, err := p.visit(r)
	if errors.Is(err, store.ErrNotFound) {
		http.NotFound(w, r)
		return
	}
	if err != nil {
		slog.ErrorContext(r.Context(), "page of an order failed", "error", err)
		http.Error(w, "something went wrong here: try again", http.StatusInternalServerError)
		return
	}
	var html bytes.Buffer
	if err := p.sheet.Execute(&html, v); err != nil {
		slog.ErrorContext(r.Context(), "page of an order failed", "error", err)
		http.Error(w, "something went wrong here: try again", http.StatusInternalServerError)
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", v.Language)
	w.WriteHeader(status)
	_, _ = w.Write(html.Bytes())
}

// visit shows the page, or does what is posted.
func (p *Page) visit(r *http.Request) (v view, status int, err error) {
	ctx := r.Context()
	word := strings.ToUpper(strings.TrimPrefix(r.URL.Path, Root))
	_, index := language.MatchStrings(p.match, r.Header.Get("Accept-Language"))
	v.Language = languages[index]
	v.words = p.words[v.Language]
	v.Ref, v.Total = cut(r.FormValue("ref")), cut(r.FormValue("total"))
	var m *trade.Merchant
	var policy *trade.Policy
	err = p.DB.View(ctx, func(tx *store.Tx) (err error) {
		m, policy, err = p.Merchants.Offer(ctx, tx, word)
		return err
	})
	if err != nil {
		return v, 0, err
	}
	v.Shop, v.Keyword, v.Line, v.Messages, v.ByCode = m.Name, policy.Keyword, p.Merchants.LineOf(policy), policy.Messages, policy.Flow == trade.ByCode
	v.SMS = template.URL("sms:" + url.PathEscape(v.Line) + "?body=" + url.QueryEscape(policy.Keyword)) //nolint:gosec // both are checked when a policy is made
	if policy.Price > 0 {
		v.Price = p.sum(v, policy.Price, policy.Currency)
	}
	if r.Method != http.MethodPost || !v.ByCode {
		return v, http.StatusOK, nil
	}
	if err := p.take(ctx, &v, m, policy, r); err != nil {
		if v.Problem = p.sorry(v, err); v.Problem == "" {
			return v, 0, err
		}
		return v, http.StatusUnprocessableEntity, nil
	}
	v.Done = true
	return v, http.StatusOK, nil
}

// maxField bounds what a field shows again, in octets.
const maxField = 64

func cut(text string) string {
	if text = strings.TrimSpace(text); len(text) > maxField {
		return ""
	}
	return text
}

var errTotal = errors.New("not a sum")

// take lets the order through: it exists, so that it is confirmed at once.
func (p *Page) take(ctx context.Context, v *view, m *trade.Merchant, policy *trade.Policy, r *http.Request) error {
	d, err := money.ParseDecimal(strings.Replace(v.Total, ",", ".", 1))
	if err != nil {
		return errTotal
	}
	total, err := d.In(policy.Currency)
	if err != nil {
		return errTotal
	}
	ask := merchant.Ask{
		Code: cut(r.PostFormValue("code")), Policy: policy.ID, Client: auth.Address(r.RemoteAddr, r.Header.Get("X-Forwarded-For")),
		Order: trade.Order{Ref: v.Ref, Total: total.Minor(), Currency: policy.Currency.Code},
	}
	// A wrong code is counted, also where the order is refused for it.
	var refused error
	err = p.DB.Update(ctx, func(tx *store.Tx) error {
		m, err := p.Merchants.Merchant(ctx, tx, m.ID)
		if err != nil {
			return err
		}
		decision, err := p.Merchants.Check(ctx, tx, m, ask)
		if err != nil || !decision.Allowed {
			refused = err
			if err == nil {
				refused = &trade.Refusal{Reason: decision.Reason}
			}
			return nil
		}
		c, _, err := p.Merchants.Claim(ctx, tx, m, ask, false)
		if err != nil {
			return err
		}
		if c.State == trade.Reserved {
			if c, err = p.Merchants.Confirm(ctx, tx, "client", m, c.ID); err != nil {
				return err
			}
		}
		v.Rest = p.sum(*v, max(c.Total-c.Advance, 0), policy.Currency)
		return nil
	})
	return errors.Join(err, refused)
}

// sorry says why an order is not let through; "" if it is our own trouble.
func (p *Page) sorry(v view, err error) string {
	if refusal, ok := errors.AsType[*trade.Refusal](err); ok {
		if text := v.words["reason."+string(refusal.Reason)]; text != "" {
			return text
		}
		return v.Say("reason.other")
	}
	for _, c := range []struct {
		is  error
		key string
	}{
		{errTotal, "wrong.total"},
		{merchant.ErrAmount, "wrong.total"},
		{merchant.ErrReference, "wrong.ref"},
		{merchant.ErrAsk, "wrong.code"},
		{merchant.ErrTooManyTries, "wrong.tries"},
		{merchant.ErrSuspended, "wrong.closed"},
	} {
		if errors.Is(err, c.is) {
			return v.Say(c.key)
		}
	}
	return ""
}

// sum writes an amount as the visitor's language does.
func (p *Page) sum(v view, minor int64, c money.Currency) string {
	text := money.New(minor, c).Plain()
	if v.Language == "fr" {
		text = strings.Replace(text, ".", ",", 1)
	}
	return text + "\u00a0" + p.Settings.Symbol(c)
}
