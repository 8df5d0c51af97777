package phones

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Bounds of the streams.
const (
	maxStreams = 32
	streamLife = time.Hour             // then the browser opens another
	heartbeat  = 15 * time.Second      // silence that routers and browsers bear
	pace       = 40 * time.Millisecond // between two looks at the village
	writeTime  = 10 * time.Second      // for a reader who does not read
)

// live is a stream of server-sent events: what is on the page now, then what
// changes. A phone and the ledger come whole, as HTML, only when they changed.
func (p *Page) live(w http.ResponseWriter, r *http.Request) {
	words := p.language.of(r)
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		http.Error(w, "only for the page of phones", http.StatusForbidden)
		return
	}
	select {
	case p.streams <- struct{}{}:
		defer func() { <-p.streams }()
	default:
		http.Error(w, words.TooManyStreams, http.StatusServiceUnavailable)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), streamLife)
	defer cancel()
	w.Header().Set("Content-Type", "text/event-stream")
	s := stream{page: p, words: words, w: w, sent: make(map[string]string)}
	if err := s.run(ctx); ctx.Err() == nil && !errors.Is(err, errLeft) {
		p.options.Log.ErrorContext(ctx, "stream of phones ended", "error", err)
	}
}

// errLeft means that the reader is gone.
var errLeft = errors.New("reader left")

// A stream is one reader of what happens.
type stream struct {
	page  *Page
	words words
	w     http.ResponseWriter
	sent  map[string]string // by phone, and the ledger: what the reader has
}

func (s *stream) run(ctx context.Context) error {
	if err := s.event("boot", s.page.name("boot")); err != nil {
		return err
	}
	for {
		next := s.page.nextChange()
		if err := s.update(ctx); err != nil {
			return err
		}
		if err := s.wait(ctx, next); err != nil {
			return err
		}
	}
}

// wait returns after the next change, and not sooner than pace allows.
func (s *stream) wait(ctx context.Context, next <-chan struct{}) error {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-next:
			return sleep(ctx, pace)
		case <-beat.C:
			if err := s.write(": \n\n"); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// update sends what the reader does not have yet.
func (s *stream) update(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	v, err := s.page.view(ctx, s.words, draft{})
	if err != nil {
		return err
	}
	for _, h := range v.Handsets {
		if err := s.fragment("phone", h.ID, "handset", h); err != nil {
			return err
		}
	}
	return s.fragment("ledger", "ledger", "ledger", v.Books)
}

func (s *stream) fragment(event, id, name string, data any) error {
	var html bytes.Buffer
	if err := pages.ExecuteTemplate(&html, name, data); err != nil {
		return err
	}
	if s.sent[id] == html.String() {
		return nil
	}
	if len(s.sent) > maxRung+MaxVillage {
		clear(s.sent)
	}
	s.sent[id] = html.String()
	return s.event(event, html.String())
}

// event sends data as JSON, for it may have lines of its own.
func (s *stream) event(name, data string) error {
	line, err := json.Marshal(data)
	if err != nil {
		return err
	}
	return s.write(fmt.Sprintf("event: %s\ndata: %s\n\n", name, line))
}

func (s *stream) write(text string) error {
	c := http.NewResponseController(s.w)
	if err := c.SetWriteDeadline(time.Now().Add(writeTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return errLeft
	}
	if _, err := io.WriteString(s.w, text); err != nil {
		return errLeft
	}
	if err := c.Flush(); err != nil {
		return errLeft
	}
	return nil
}
