package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"maillon/internal/store"
)

// How long an answer about the books holds, so that whoever asks more often
// does not make the disk work, and how long it is waited for.
const (
	healthFor  = time.Second
	healthTime = 3 * time.Second
)

// What a server says that takes nothing more.
const (
	sayStopping = "stopping"
	sayNoBooks  = "the books cannot be written"
)

// errLate means that a write has not ended in time.
var errLate = errors.New("no commit in time")

// A readiness says whether a server can commit an SMS now. It tries, one try at
// a time: a database that hangs is not asked by more and more.
type readiness struct {
	try      func(context.Context) error
	stopping atomic.Bool

	mu     sync.Mutex // held to read or change what follows
	tried  time.Time
	err    error         // of the last try
	trying chan struct{} // closed when a try ends; nil: none is under way
}

// tryWrite returns what writes to the books and leaves nothing behind that
// grows.
func (r *running) tryWrite(ctx context.Context) error {
	return r.server.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Count(ctx, "health", r.server.Settings.Midnight(tx.Now()))
		return err
	})
}

// trouble says why nothing can be taken now, "" if it can.
func (r *readiness) trouble() string {
	if r.stopping.Load() {
		return sayStopping
	}
	if r.check() != nil {
		return sayNoBooks
	}
	return ""
}

func (r *readiness) check() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.trying == nil && (r.tried.IsZero() || time.Since(r.tried) >= healthFor) {
		r.trying = make(chan struct{})
		go r.attempt(r.trying)
	}
	trying := r.trying
	if trying == nil {
		return r.err
	}
	r.mu.Unlock()
	select {
	case <-trying:
	case <-time.After(healthTime):
	}
	r.mu.Lock()
	if r.trying == trying {
		return errLate
	}
	return r.err
}

func (r *readiness) attempt(trying chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), healthTime)
	defer cancel()
	err := r.try(ctx)
	if err != nil {
		slog.Error("books out of reach", "error", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err, r.tried, r.trying = err, time.Now(), nil
	close(trying)
}

// alive answers as long as the process does: a restart would help nothing else.
func alive(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") }

// ready answers 200 while an SMS or a payment can be taken and committed. That
// a gateway is down is no reason to send nothing here: what comes in can be
// taken all the same, and at another server the gateway is down too.
func (r *running) ready(w http.ResponseWriter, _ *http.Request) {
	if trouble := r.readiness.trouble(); trouble != "" {
		say(w, http.StatusServiceUnavailable, trouble)
		return
	}
	say(w, http.StatusOK, "ok")
}

// health is for people and for who watches the whole service: 503 also while a
// gateway is down for which no other stands in.
func (r *running) health(w http.ResponseWriter, _ *http.Request) {
	trouble := r.readiness.trouble()
	status, text := http.StatusOK, "ok"
	for _, l := range r.gateways.lines {
		if trouble != "" || r.up(l.Name) {
			continue
		}
		if l.Backup != "" && r.up(l.Backup) {
			text = fmt.Sprintf("ok, but gateway %s is down, and %s takes codes and receipts over", l.Name, l.Backup)
			continue
		}
		trouble = "gateway " + l.Name + " is down"
	}
	if trouble != "" {
		status, text = http.StatusServiceUnavailable, trouble
	}
	say(w, status, text)
}

func (r *running) up(line string) bool {
	return r.server.Courier != nil && r.server.Courier.Gateway(line).Up
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
}
