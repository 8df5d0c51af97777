package card_test

import (
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"maillon/internal/browsertest"
)

// patience is how long the browser may take for all of one test.
const patience = 2 * time.Minute

// axe judges a page; npm brings it, see the Makefile.
const axe = "../../console/testdata/axe/node_modules/axe-core/axe.min.js"

const judge = `axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.map(
	v => v.id + ": " + v.help + " " + v.nodes.slice(0, 3).map(n => n.html.slice(0, 160) + " " + (n.any[0]?.message ?? "")).join(" | ")).join("\n"))`

// The page is for everybody, in all languages, on a small telephone, in the
// light and in the dark: what axe-core looks for, nothing wider than the screen,
// nothing that the policy keeps out. With MAILLON_SHOTS the pictures are written
// to that folder.
func TestThePageIsForEverybody(t *testing.T) {
	k := open(t)
	web := httptest.NewServer(k)
	t.Cleanup(web.Close)
	b := browsertest.Open(t, web.URL, patience)
	script, err := os.ReadFile(axe)
	if err != nil {
		t.Fatalf("%v: make components brings it", err)
	}
	for _, look := range []struct{ name, path string }{
		{"fr", "/t/" + k.honey.Short + "?lang=fr"},
		{"ar", "/t/" + k.honey.Short + "?lang=ar"},
		{"zgh", "/t/" + k.honey.Short + "?lang=zgh"},
		{"amount", "/t/7KQ2?lang=en&amount=12.50"},
		{"wrong", "/t/7KQ2?lang=fr&amount=x"},
		{"gone", "/t/9ZZ9?lang=en"},
	} {
		name, path := look.name, look.path
		for _, scheme := range []string{"light", "dark"} {
			b.Do(browsertest.Screen(360, 640, scheme), chromedp.Navigate(web.URL+path), chromedp.WaitReady(chromedp.CSS("main")))
			b.Do(chromedp.Evaluate[chromedp.Void](string(script) + "; undefined"))
			if found := browsertest.Run(b, chromedp.Evaluate[string](judge, chromedp.EvalAwaitPromise)); found != "" {
				t.Errorf("%s, %s:\n%s", name, scheme, found)
			}
			outside := `[...document.querySelectorAll("body *")].filter(e => (r => r.width && (r.left < 0 || r.right > innerWidth))(e.getBoundingClientRect())).map(e => e.outerHTML.slice(0, 80)).join(" | ")`
			if found := browsertest.Run(b, chromedp.Evaluate[string](outside)); found != "" {
				t.Errorf("%s is wider than a telephone: %s", name, found)
			}
			for _, fault := range b.Faults() {
				if name != "gone" { // the browser notes that it was not found
					t.Errorf("%s: %s", name, fault)
				}
			}
			if folder := os.Getenv("MAILLON_SHOTS"); folder != "" {
				b.Save(folder, name+"-"+scheme, chromedp.CaptureScreenshot())
			}
		}
	}
}
