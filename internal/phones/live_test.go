package phones_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"maillon/internal/phones"
)

// An event is one of a stream.
type event struct{ name, data string }

// A reader reads a stream of the page.
type reader struct {
	t      *testing.T
	lines  *bufio.Scanner
	cancel context.CancelFunc
}

func follow(t *testing.T, server *httptest.Server) *reader {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	if kind := answer.Header.Get("Content-Type"); answer.StatusCode != http.StatusOK || kind != "text/event-stream" {
		t.Fatalf("%d %s", answer.StatusCode, kind)
	}
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	return &reader{t, lines, cancel}
}

func (r *reader) next() event {
	r.t.Helper()
	var e event
	for r.lines.Scan() {
		line := r.lines.Text()
		switch {
		case strings.HasPrefix(line, "event: "):
			e.name = line[len("event: "):]
		case strings.HasPrefix(line, "data: "):
			if err := json.Unmarshal([]byte(line[len("data: "):]), &e.data); err != nil {
				r.t.Fatal(err)
			}
		case line == "" && e.name != "":
			return e
		}
	}
	r.t.Fatalf("the stream ended: %v", r.lines.Err())
	return e
}

// until returns the first event that has text in it.
func (r *reader) until(text string) event {
	r.t.Helper()
	for {
		if e := r.next(); strings.Contains(e.data, text) {
			return e
		}
	}
}

// A stream begins with all that is on the page, and goes on with what changes.
func TestAStreamTellsWhatChanges(t *testing.T) {
	v := newVillage(t, phones.Options{})
	server := httptest.NewServer(v.page)
	t.Cleanup(server.Close)
	r := follow(t, server)
	var names []string
	for range 7 {
		names = append(names, r.next().name)
	}
	if got := strings.Join(names, " "); got != "boot phone phone phone phone phone ledger" {
		t.Fatalf("the stream began with %s", got)
	}
	yann := v.ids()[0]
	v.post("/text", url.Values{"phone": {yann}, "text": {"solde"}})
	if e := r.until("Solde: 120 m."); e.name != "phone" || !strings.Contains(e.data, `id="`+yann+`"`) {
		t.Errorf("an answer came as %v", e.name)
	}
	v.post("/text", url.Values{"phone": {yann}, "text": {"482 913"}})
	r.until("vous a payé 5 m")
	if e := r.until("K7F2"); e.name != "ledger" {
		t.Errorf("a payment came as %v", e.name)
	}
	v.mu.Lock()
	v.known[v.order[2]].Name = "soaz"
	v.mu.Unlock()
	v.page.Changed()
	if e := r.next(); e.name != "phone" || !strings.Contains(e.data, "soaz<") {
		t.Errorf("a new name came as %v", e)
	}
	v.page.Ring(number(t, "+33639980077"))
	if e := r.until("00\u00a077"); e.name != "phone" {
		t.Errorf("a new phone came as %v", e.name)
	}
}

// Nobody can open streams without end, and a reader that leaves makes room.
func TestStreamsAreBounded(t *testing.T) {
	v := newVillage(t, phones.Options{})
	server := httptest.NewServer(v.page)
	t.Cleanup(server.Close)
	var readers []*reader
	for range 32 {
		readers = append(readers, follow(t, server))
	}
	if w := v.get("/live"); w.Code != http.StatusServiceUnavailable {
		t.Fatalf("one more stream: %d", w.Code)
	}
	readers[0].cancel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		w := httptest.NewRecorder()
		v.page.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/live", nil))
		if w.Code == http.StatusOK {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("no room for another stream")
}

// A quiet stream shows that it lives, and ends after an hour.
func TestAQuietStreamBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVillage(t, phones.Options{})
		done := make(chan *httptest.ResponseRecorder)
		start := time.Now()
		go func() { done <- v.get("/live") }()
		w := <-done
		if lived := time.Since(start); lived != time.Hour {
			t.Errorf("the stream lived %v", lived)
		}
		if n := strings.Count(w.Body.String(), ": \n\n"); n < 200 || n > 240 {
			t.Errorf("%d beats in an hour", n)
		}
		if n := strings.Count(w.Body.String(), "event: "); n != 7 {
			t.Errorf("%d events though nothing happened", n)
		}
	})
}
