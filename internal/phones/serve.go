package phones

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"maillon/internal/sms"
)

// Bounds of a request.
const (
	maxForm     = 8 << 10 // octets
	maxSegments = 6       // of a text, as on the air
	maxNumber   = 64      // octets
	readTime    = 5 * time.Second
	textTime    = 10 * time.Second
)

//go:embed page.html phones.css phones.js phones.svg
var files embed.FS

// policy lets a page load what this handler serves, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// scripted is set by the page's script: it wants an answer, not a page.
const scripted = "Phones-Script"

// ServeHTTP serves the page and what it needs.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if !p.answersTo(r.Host) {
		http.Error(w, "not served under this name", http.StatusMisdirectedRequest)
		return
	}
	p.handler.ServeHTTP(w, r)
}

func (p *Page) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.show)
	mux.HandleFunc("GET /live", p.live)
	mux.HandleFunc("POST /text", p.text)
	mux.HandleFunc("POST /phone", p.open)
	for _, name := range []string{"phones.css", "phones.js", "phones.svg"} {
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) {
			http.ServeFileFS(w, r, files, name)
		})
	}
	return http.NewCrossOriginProtection().Handler(mux)
}

func localHosts(more []string) map[string]bool {
	hosts := map[string]bool{"localhost": true}
	for _, h := range more {
		hosts[strings.ToLower(h)] = true
	}
	return hosts
}

// answersTo reports whether the page is served under a name: one of another
// site that leads here (DNS rebinding) is not ours.
func (p *Page) answersTo(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if addr, err := netip.ParseAddr(host); err == nil && addr.IsLoopback() {
		return true
	}
	return p.local[strings.ToLower(host)]
}

// text sends an SMS from a phone of the page.
func (p *Page) text(w http.ResponseWriter, r *http.Request) {
	d := draft{}
	err := parse(w, r)
	if err == nil {
		d.Phone, d.Text = r.PostForm.Get("phone"), strings.ToValidUTF8(r.PostForm.Get("text"), "\uFFFD")
		err = p.send(r.Context(), d)
	}
	p.answer(w, r, d, err)
}

func (p *Page) send(ctx context.Context, d draft) error {
	if strings.TrimSpace(d.Text) == "" {
		return ErrEmpty
	}
	if _, segments := sms.Segments(d.Text); segments > maxSegments {
		return ErrTooLong
	}
	ctx, cancel := context.WithTimeout(ctx, textTime)
	defer cancel()
	number, err := p.byID(ctx, d.Phone)
	if err != nil {
		return err
	}
	if err := p.village.Text(ctx, number, d.Text); err != nil {
		return fmt.Errorf("text from the page of phones: %w", err)
	}
	p.Ring(number)
	return nil
}

// open puts another phone on the page.
func (p *Page) open(w http.ResponseWriter, r *http.Request) {
	d := draft{}
	err := parse(w, r)
	if err == nil {
		d.Number = r.PostForm.Get("number")
		d.Phone, err = p.put(d.Number)
	}
	p.answer(w, r, d, err)
}

func (p *Page) put(text string) (id string, err error) {
	if len(text) > maxNumber {
		return "", ErrNotMobile
	}
	number, err := sms.ParseNumber(text, p.options.Region)
	if err != nil || !number.Mobile() {
		return "", ErrNotMobile
	}
	p.pullUp(number)
	return p.id(number), nil
}

// parse reads a form. What is wrong with one is not repeated: it may be of its
// text.
func parse(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	err := r.ParseForm()
	if _, tooBig := errors.AsType[*http.MaxBytesError](err); err == nil || tooBig {
		return err
	}
	return ErrUnreadable
}

// answer tells the reader, or the script, what came of a form.
func (p *Page) answer(w http.ResponseWriter, r *http.Request, d draft, err error) {
	words := p.language.of(r)
	script := r.Header.Get(scripted) != ""
	switch {
	case err != nil:
		var status int
		status, d.Problem = p.apology(r.Context(), words, err)
		if script {
			http.Error(w, d.Problem, status)
			return
		}
		p.render(w, r, status, d)
	case script:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprint(w, d.Phone)
	default:
		http.Redirect(w, r, "/?lang="+words.Tag+"#"+d.Phone, http.StatusSeeOther)
	}
}

// apology is the table from an error to what its reader is told.
func (p *Page) apology(ctx context.Context, w words, err error) (status int, text string) {
	if _, tooBig := errors.AsType[*http.MaxBytesError](err); tooBig {
		return http.StatusRequestEntityTooLarge, w.TooBig
	}
	switch {
	case errors.Is(err, ErrUnreadable):
		return http.StatusBadRequest, w.Unreadable
	case errors.Is(err, ErrTooLong):
		return http.StatusUnprocessableEntity, w.TooLong
	case errors.Is(err, ErrEmpty):
		return http.StatusUnprocessableEntity, w.EmptyText
	case errors.Is(err, ErrNotMobile):
		return http.StatusUnprocessableEntity, w.NotMobile
	case errors.Is(err, ErrNoPhone):
		return http.StatusNotFound, w.NoPhone
	case errors.Is(err, sms.ErrLater), errors.Is(err, context.Canceled):
		return http.StatusServiceUnavailable, w.Later
	}
	reference := rand.Text()[:8]
	p.options.Log.ErrorContext(ctx, "page of phones failed", "reference", reference, "error", err)
	return http.StatusInternalServerError, named(w.Internal, reference)
}
