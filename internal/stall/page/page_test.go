package page_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"maillon/internal/stall"
	"maillon/internal/stall/page"
)

func ask(h http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for n := 0; n < len(header); n += 2 {
		r.Header.Set(header[n], header[n+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// The page may load what this server has, and nothing else; it is asked for
// again whenever it changed.
func TestThePageIsClosed(t *testing.T) {
	h := handler(t, newMarket())
	for path, kind := range map[string]string{
		"": "text/html; charset=utf-8", "stall.js": "text/javascript; charset=utf-8", "worker.js": "text/javascript; charset=utf-8",
		"words.json": "application/json", "stall.webmanifest": "application/manifest+json", "icon.svg": "image/svg+xml",
	} {
		w := ask(h, http.MethodGet, page.Root+path, "")
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != kind {
			t.Errorf("%s: %d %s", path, w.Code, w.Header().Get("Content-Type"))
		}
		policy := w.Header().Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self';") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
			t.Errorf("%s: Content-Security-Policy: %s", path, policy)
		}
		if w.Header().Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: Cache-Control: %s", path, w.Header().Get("Cache-Control"))
		}
	}
	if w := ask(h, http.MethodGet, page.Root+"page.go", ""); w.Code != http.StatusNotFound {
		t.Errorf("another file: %d", w.Code)
	}
}

// What the worker takes along is everything that the page asks for.
func TestTheWorkerTakesEverythingAlong(t *testing.T) {
	h := handler(t, newMarket())
	worker := ask(h, http.MethodGet, page.Root+"worker.js", "").Body.String()
	head := regexp.MustCompile(`^const VERSION = "stall-[0-9a-f]{16}", FILES = (\[.*\]);\n`).FindStringSubmatch(worker)
	if head == nil {
		t.Fatal("the worker has no version")
	}
	var files []string
	if err := json.Unmarshal([]byte(head[1]), &files); err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if w := ask(h, http.MethodGet, page.Root+strings.TrimPrefix(name, "./"), ""); w.Code != http.StatusOK {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
	for _, from := range []string{"index.html", "stall.js", "books.js", "codes.js"} {
		text, err := os.ReadFile("static/" + from)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?:href|src|from|fetch\()[= ]?"(?:\./)?([\w.]+\.\w+)"`).FindAllStringSubmatch(string(text), -1) {
			if !slices.Contains(files, m[1]) {
				t.Errorf("%s needs %s, which the worker leaves", from, m[1])
			}
		}
	}
}

// Every language says everything, with the same things in it.
func TestEveryLanguageSaysEverything(t *testing.T) {
	text, err := os.ReadFile("static/words.json")
	if err != nil {
		t.Fatal(err)
	}
	var words map[string]map[string]string
	if err := json.Unmarshal(text, &words); err != nil {
		t.Fatal(err)
	}
	all := words["fr"]
	holes := regexp.MustCompile(`\{\w+\}`)
	for language, said := range words {
		for name, french := range all {
			want, got := holes.FindAllString(french, -1), holes.FindAllString(said[name], -1)
			slices.Sort(want)
			slices.Sort(got)
			if said[name] == "" || !slices.Equal(got, want) {
				t.Errorf("%s: %s has %v, want %v", language, name, got, want)
			}
		}
		if len(said) != len(all) {
			t.Errorf("%s has %d texts, French %d", language, len(said), len(all))
		}
	}
	var used []string
	for _, from := range []string{"index.html", "stall.js"} {
		text, err := os.ReadFile("static/" + from)
		if err != nil {
			t.Fatal(err)
		}
		used = append(used, string(text))
	}
	for name := range all {
		if !regexp.MustCompile(`"` + name + `"|\b` + name + `:`).MatchString(strings.Join(used, "")) {
			t.Errorf("%s is said nowhere", name)
		}
	}
}

// A link makes one device, which then tells what it sold, as often as it likes.
func TestALinkIsGoodOnce(t *testing.T) {
	s := newMarket()
	h := handler(t, s)
	w := ask(h, http.MethodPost, page.Root+"enrol", `{"token":"`+token+`"}`)
	var e stall.Enrolment
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || w.Code != http.StatusOK || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v", w.Code, err)
	}
	if string(e.Key) != string(key) || e.Bearer == "" || e.Templates[1].Amount != nil {
		t.Errorf("a device is %+v", e)
	}
	if w := ask(h, http.MethodPost, page.Root+"enrol", `{"token":"`+token+`"}`); w.Code != http.StatusGone {
		t.Errorf("the link a second time: %d", w.Code)
	}
	for range 2 {
		w := ask(h, http.MethodPost, page.Root+"sync", `{"sales":[{"at":1,"amount":500,"code_step":7,"nn":"47","template":"7KQ2","given_back":null}]}`, "Authorization", "Bearer "+e.Bearer)
		if w.Code != http.StatusOK {
			t.Errorf("a report: %d", w.Code)
		}
	}
	if sold, _ := s.sold(); sold != 500 {
		t.Errorf("sold %d, want 500", sold)
	}
}

// failing is a stall whose books are broken.
type failing struct{ *market }

func (failing) Enrol(context.Context, string) (*stall.Enrolment, error) {
	return nil, errors.New("broken")
}

// Whatever else is said is refused, and changes nothing.
func TestWhatElseIsSaidIsRefused(t *testing.T) {
	s := newMarket()
	h := handler(t, s)
	many := `{"sales":[` + strings.Repeat(`{},`, 500) + `{}]}`
	for _, c := range []struct {
		path, body, auth string
		want             int
	}{
		{"enrol", `{"token":"guess"}`, "", http.StatusGone},
		{"enrol", `no JSON`, "", http.StatusBadRequest},
		{"enrol", `{"token":"` + strings.Repeat("x", 2<<10) + `"}`, "", http.StatusRequestEntityTooLarge},
		{"sync", `{"sales":[]}`, "", http.StatusUnauthorized},
		{"sync", `{"sales":[]}`, "Bearer guess", http.StatusUnauthorized},
		{"sync", `{"sales":[]}`, "Basic guess", http.StatusUnauthorized},
		{"sync", many, "Bearer guess", http.StatusBadRequest},
		{"sync", strings.Repeat(" ", 257<<10), "Bearer guess", http.StatusRequestEntityTooLarge},
	} {
		w := ask(h, http.MethodPost, page.Root+c.path, c.body, "Authorization", c.auth)
		if w.Code != c.want || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %.20s: %d, want %d", c.path, c.body, w.Code, c.want)
		}
		if strings.Contains(w.Body.String(), "guess") {
			t.Errorf("%s repeats what it was told", c.path)
		}
	}
	if w := ask(h, http.MethodPost, page.Root+"enrol", `{"token":"`+token+`"}`, "Sec-Fetch-Site", "cross-site"); w.Code != http.StatusForbidden {
		t.Errorf("from another site: %d", w.Code)
	}
	if len(s.links) != 1 || len(s.sales) != 0 {
		t.Error("something was done")
	}
	if w := ask(handler(t, failing{s}), http.MethodPost, page.Root+"enrol", `{"token":"x"}`); w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "broken") {
		t.Errorf("a broken server: %d %s", w.Code, w.Body)
	}
}
