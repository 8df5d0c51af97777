package reference_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/getkin/kin-openapi/openapi3"

	"maillon/api"
	"maillon/internal/browsertest"
	"maillon/internal/reference"
)

func open(t *testing.T) http.Handler {
	t.Helper()
	h, err := reference.New()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func get(t *testing.T, path string) (string, http.Header) {
	t.Helper()
	w := httptest.NewRecorder()
	open(t).ServeHTTP(w, httptest.NewRequest(http.MethodGet, reference.Root+path, nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%s is answered %d", path, w.Code)
	}
	return w.Body.String(), w.Header()
}

var (
	anchor = regexp.MustCompile(` id="([^"]+)"`)
	link   = regexp.MustCompile(`href="#([^"]+)"`)
	tried  = regexp.MustCompile(`(?s)<pre aria-label="How to try it">(.*?)</pre>`)
)

// Whatever the contract has is on the page: each operation with a line that
// tries it, each schema, each code of a problem.
func TestThePageHasTheWholeContract(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData([]byte(api.Contract()))
	if err != nil {
		t.Fatal(err)
	}
	page, _ := get(t, "")
	operations := 0
	for path, item := range doc.Paths.Map() {
		for method, o := range item.Operations() {
			operations++
			if !strings.Contains(page, `id="`+o.OperationID+`"`) || !strings.Contains(page, `<code>`+path+`</code>`) {
				t.Errorf("%s %s is not on the page", method, path)
			}
		}
	}
	lines := tried.FindAllStringSubmatch(page, -1)
	if operations < 30 || len(lines) != operations {
		t.Errorf("there are %d operations, and %d lines that try one", operations, len(lines))
	}
	for _, l := range lines {
		path, _, _ := strings.Cut(l[1], "\n")
		if strings.ContainsAny(path, "{}") || strings.Contains(path, "//") || strings.Contains(path, `/"`) || !strings.Contains(l[1], "Bearer $KEY") {
			t.Errorf("the line cannot be tried: %s", l[1])
		}
	}
	for name := range doc.Components.Schemas {
		if !strings.Contains(page, `id="schema-`+name+`"`) {
			t.Errorf("the schema %s is not on the page", name)
		}
	}
	for _, code := range doc.Components.Schemas["Problem"].Value.Properties["code"].Value.Enum {
		if !strings.Contains(page, "<code>"+code.(string)+"</code>") {
			t.Errorf("the code %s is not on the page", code)
		}
	}
}

func TestEachLinkOfThePageLeadsSomewhere(t *testing.T) {
	page, _ := get(t, "")
	there := map[string]bool{}
	for _, a := range anchor.FindAllStringSubmatch(page, -1) {
		if there[a[1]] {
			t.Errorf("two places are called %s", a[1])
		}
		there[a[1]] = true
	}
	for _, l := range link.FindAllStringSubmatch(page, -1) {
		if !there[l[1]] {
			t.Errorf("a link leads to %s, which is nowhere", l[1])
		}
	}
}

func TestThePageDoesNothing(t *testing.T) {
	page, header := get(t, "")
	if strings.Contains(page, "<script") || strings.Contains(page, "style=") || strings.Contains(page, "https://www") {
		t.Error("the page has a script, a style of its own, or something from elsewhere")
	}
	if p := header.Get("Content-Security-Policy"); !strings.HasPrefix(p, "default-src 'none'; style-src 'self';") {
		t.Errorf("Content-Security-Policy: %s", p)
	}
	if text, _ := get(t, "/openapi.yaml"); text != api.Contract() {
		t.Error("the contract is not what is served")
	}
}

// axe judges a page; npm brings it, see the Makefile.
const axe = "../console/testdata/axe/node_modules/axe-core/axe.min.js"

const judge = `axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.map(
	v => v.id + ": " + v.help + " " + v.nodes.slice(0, 3).map(n => n.html.slice(0, 160)).join(" | ")).join("\n"))`

// On a desk and on a phone, in the light and in the dark, without a script. With
// MAILLON_SHOTS the pictures are written to that folder.
func TestThePageIsForEverybody(t *testing.T) {
	server := httptest.NewServer(open(t))
	t.Cleanup(server.Close)
	b := browsertest.Open(t, server.URL, 3*time.Minute)
	script, err := os.ReadFile(axe)
	if err != nil {
		t.Fatalf("%v: make components brings it", err)
	}
	for _, s := range []struct {
		name          string
		width, height int64
		scheme        string
	}{{"desktop", 1280, 900, "light"}, {"phone", 390, 844, "dark"}} {
		b.Do(browsertest.Screen(s.width, s.height, s.scheme), chromedp.Navigate(b.URL+reference.Root), chromedp.WaitReady(chromedp.CSS("main")))
		b.Do(chromedp.Evaluate[chromedp.Void](string(script) + "; undefined"))
		if found := browsertest.Run(b, chromedp.Evaluate[string](judge, chromedp.EvalAwaitPromise)); found != "" {
			t.Errorf("on a %s:\n%s", s.name, found)
		}
		if wide := browsertest.Run(b, chromedp.Evaluate[int64](`document.documentElement.scrollWidth - innerWidth`)); wide > 0 {
			t.Errorf("the page is %d pixels wider than a %s", wide, s.name)
		}
		b.Clean()
		if folder := os.Getenv("MAILLON_SHOTS"); folder != "" {
			b.Save(folder, "reference-"+s.name, chromedp.CaptureScreenshot())
		}
	}
}
