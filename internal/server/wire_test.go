package server_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"sync"
	"testing"
	"time"
)

// A wire is what goes by HTTP between the server and a network, both ways.
type wire struct {
	mux *http.ServeMux
	url string // under which the network reaches the server

	mu        sync.Mutex // held for what follows
	urls      []string
	delivered map[string]bool
	refusing  bool
}

func newWire(t *testing.T) *wire {
	w := &wire{mux: http.NewServeMux(), delivered: map[string]bool{}}
	w.url = listen(t, w.mux)
	return w
}

// listen serves h until the test ends, and returns its URL.
func listen(t *testing.T, h http.Handler) string {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// toServer lets the network reach the handler of a gateway. The answer to an
// SMS is lost once the server has committed it: told 503, the network delivers
// it again.
func (w *wire) toServer(name string, h http.Handler) {
	w.mux.HandleFunc("/gateway/"+name+"/", func(rw http.ResponseWriter, r *http.Request) {
		w.note(r)
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if path.Base(r.URL.Path) != "in" || w.knows(r.URL.RawQuery+string(body)) {
			h.ServeHTTP(rw, r)
			return
		}
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, r)
		if answer.Code == http.StatusOK {
			w.know(r.URL.RawQuery + string(body))
		}
		rw.WriteHeader(http.StatusServiceUnavailable)
	})
}

// toNetwork is the network's end of the wire. It refuses one message when it is
// to, and tells which, as providers do.
func (w *wire) toNetwork(h http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.note(r)
		if r.Method == http.MethodPost && w.refuses() {
			rw.WriteHeader(http.StatusBadRequest)
			_, _ = io.Copy(rw, r.Body)
			return
		}
		h.ServeHTTP(rw, r)
	})
}

func (w *wire) note(r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.urls = append(w.urls, r.URL.String())
}

// seen returns the URLs that were called, none if there is no wire.
func (w *wire) seen() []string {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.urls)
}

func (w *wire) know(sms string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.delivered[sms] = true
}

func (w *wire) knows(sms string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.delivered[sms]
}

// refuse lets the network refuse the next message.
func (w *wire) refuse() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refusing = true
}

func (w *wire) refuses() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.refusing
	w.refusing = false
	return was
}

// How often and how soon a network tries again.
const (
	tries   = 500
	shortly = 10 * time.Millisecond
)

// insist makes a request until it is answered 200, and returns the body of that
// answer.
func insist(t *testing.T, request func() (*http.Request, error)) string {
	for range tries {
		r, err := request()
		if err != nil {
			t.Error(err)
			return ""
		}
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err == nil && resp.StatusCode == http.StatusOK {
				return string(body)
			}
		}
		time.Sleep(shortly)
	}
	t.Errorf("never taken")
	return ""
}
