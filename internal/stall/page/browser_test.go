package page_test

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	devtools "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"maillon/internal/browsertest"
	"maillon/internal/otp"
	"maillon/internal/stall/page"
)

// patience is how long the browser may take for all of one test.
const patience = 2 * time.Minute

// axe judges a page; npm brings it, see the Makefile.
const axe = "../../console/testdata/axe/node_modules/axe-core/axe.min.js"

// judge names each violation of WCAG 2.2 AA and of axe's own good practice, with
// the elements that show it.
const judge = `axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.map(
	v => v.id + ": " + v.help + " " + v.nodes.slice(0, 3).map(n => n.html.slice(0, 160) + " " + (n.any[0]?.message ?? "")).join(" | ")).join("\n"))`

// A server is one that can be away for a time.
type server struct {
	t       *testing.T
	handler http.Handler
	at      string
	web     *http.Server
}

func serve(t *testing.T, h http.Handler) *server {
	s := &server{t: t, handler: h, at: "localhost:0"}
	s.start()
	t.Cleanup(func() { s.stop() })
	return s
}

func (s *server) start() {
	s.t.Helper()
	l, err := (&net.ListenConfig{}).Listen(s.t.Context(), "tcp", s.at)
	if err != nil {
		s.t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.at = "localhost:" + port
	s.web = &http.Server{Handler: s.handler, ReadHeaderTimeout: time.Second}
	go s.web.Serve(l)
}

func (s *server) stop() { _ = s.web.Close() }

// A seller holds the telephone of a stall.
type seller struct {
	*browsertest.Browser
	t *testing.T
}

func open(t *testing.T, url string) *seller {
	b := &seller{browsertest.Open(t, url, patience), t}
	b.Do(browsertest.Screen(390, 844, "light"))
	b.before(`Object.defineProperty(navigator, "languages", {value: ["fr-FR", "en"]})`)
	return b
}

// before runs a script before those of the page.
func (s *seller) before(script string) {
	s.t.Helper()
	s.Do(browsertest.Call(devtools.AddScriptToEvaluateOnNewDocument, devtools.AddScriptToEvaluateOnNewDocumentParams{Source: script}))
}

func (s *seller) tap(css string) { s.t.Helper(); s.Do(chromedp.Click(chromedp.CSS(css))) }

// see waits for a screen of the page.
func (s *seller) see(view string) {
	s.t.Helper()
	s.Until(`document.body.dataset.view === "` + view + `"`)
}

// shows waits for a text on the screen.
func (s *seller) shows(text string) {
	s.t.Helper()
	s.Until("document.body.innerText.replaceAll('\\u00a0', ' ').replaceAll('\\u202f', ' ').includes(`" + text + "`)")
}

// press enters digits on the keypad.
func (s *seller) press(digits string) {
	s.t.Helper()
	for _, d := range digits {
		key := "#key-" + string(d)
		if d == ',' {
			key = "#point"
		}
		s.tap(key)
	}
}

// join installs the page by its link.
func (s *seller) join() {
	s.t.Helper()
	s.Do(chromedp.Navigate(s.URL + page.Root + "#" + token))
	s.see("join")
	s.Until(`location.hash === ""`)
	s.Do(chromedp.SendKeys(chromedp.CSS("#pin"), "2468"), chromedp.SendKeys(chromedp.CSS("#pin2"), "2468"+kb.Enter))
	s.see("sell")
	s.Until(`navigator.serviceWorker.controller`)
}

// said waits for a verdict, and goes on.
func (s *seller) said(verdict, why string) {
	s.t.Helper()
	s.see("verdict")
	s.shows(verdict)
	s.shows(why)
	s.Until(`document.activeElement.id === "said"`)
	s.tap("#next")
	s.see("sell")
}

func count(s *market, want, back int64) func() bool {
	return func() bool {
		sold, given := s.sold()
		return sold == want && given == back
	}
}

func (s *seller) eventually(what string, holds func() bool) {
	s.t.Helper()
	for range 200 {
		if holds() {
			return
		}
		s.Do(chromedp.Sleep(50 * time.Millisecond))
	}
	s.t.Fatalf("waited in vain: %s", what)
}

// A seller on a market: the telephone is enrolled once, then the server is gone,
// and the page is opened again. A good code is PAID, once; another price is not;
// and so it stays after another reload. When the server is back it learns of it
// all, and takes the stall away.
func TestAStallSellsWithoutNetwork(t *testing.T) {
	s := newMarket()
	web := serve(t, handler(t, s))
	b := open(t, "http://"+web.at)
	b.join()
	b.Clean()

	web.stop()
	b.Do(chromedp.Reload())
	b.see("sell")
	b.Do(chromedp.Evaluate[chromedp.Void](`document.title = "opened without network"`))

	b.tap("#favourites button:nth-of-type(1)")
	b.shows("Pot de miel · 5,00 m")
	good := code(t, 47, 500)
	b.press(good)
	b.said("PAYÉ", "Vente 47 ")

	b.tap("#favourites button:nth-of-type(1)")
	b.press(good)
	b.said("REFUSÉ", "Ce code a déjà servi")

	b.tap("#favourites button:nth-of-type(2)")
	b.press("7,5")
	b.tap("#ok")
	b.shows("Légumes, au poids · 7,50 m")
	b.press(code(t, 48, 500))
	b.said("REFUSÉ", "pas bon pour 7,50 m")

	b.Do(chromedp.Reload())
	b.see("sell")
	b.tap("#favourites button:nth-of-type(1)")
	b.press(good)
	b.said("REFUSÉ", "Ce code a déjà servi")
	b.press("12")
	b.tap("#ok")
	b.press(code(t, 49, 1200))
	b.said("PAYÉ", "Vente 49 ")
	if sold, _ := s.sold(); sold != 0 {
		t.Errorf("the server was away and knows of %d", sold)
	}
	b.Faults() // that the server does not answer

	web.start()
	b.tap("#to-day")
	b.see("sales")
	b.shows("Total : 17,00 m")
	b.tap("#sync")
	b.eventually("both sales are known", count(s, 1700, 0))
	b.shows("tout est envoyé")
	b.shows("Écart d’horloge")
	b.Do(chromedp.SendKeys(chromedp.CSS("#find"), good[:4]))
	b.Until(`document.querySelectorAll("#rows tr").length === 1`)
	b.Do(chromedp.Evaluate[chromedp.Void](`document.querySelector("#rows button").click()`)) // wherever it is by then
	b.tap("#ask-yes")
	b.shows("Total : 12,00 m")
	b.shows("Ventes : 1, rendues : 1")
	b.eventually("what was given back is known", count(s, 1700, 500))
	b.Clean()

	s.revoke()
	b.tap("#sync")
	b.see("gone")
	b.Do(chromedp.Reload())
	b.see("gone")
	keeps := `new Promise(yes => { indexedDB.open("stall").onsuccess = e => {
		const tx = e.target.result.transaction(["till", "sales"]);
		const [a, b] = [tx.objectStore("till").get("till"), tx.objectStore("sales").count()];
		tx.oncomplete = () => yes(a.result !== undefined || b.result > 0);
	}})`
	if browsertest.Run(b.Browser, chromedp.Evaluate[bool](keeps, chromedp.EvalAwaitPromise)) {
		t.Error("a stall that was taken away keeps its key or its sales")
	}
	b.Clean()
}

// ahead lets a test set the clock of the telephone; it stays set.
const ahead = `(now => { Date.now = () => now() + Number(sessionStorage.ahead || 0) })(Date.now)`

func (s *seller) clock(ahead time.Duration) {
	s.t.Helper()
	s.Do(chromedp.Evaluate[chromedp.Void](`sessionStorage.ahead = ` + strconv.FormatInt(ahead.Milliseconds(), 10)))
}

// No script reads the key, not even this page's.
func TestTheKeyCannotBeRead(t *testing.T) {
	b := open(t, "http://"+serve(t, handler(t, newMarket())).at)
	b.join()
	read := `new Promise(yes => { indexedDB.open("stall").onsuccess = e => {
		e.target.result.transaction("till").objectStore("till").get("till").onsuccess = async e => {
			const {mac} = e.target.result.key;
			yes(mac.extractable + " " + await crypto.subtle.exportKey("raw", mac).catch(e => e.name));
		};
	}})`
	if got := browsertest.Run(b.Browser, chromedp.Evaluate[string](read, chromedp.EvalAwaitPromise)); got != "false InvalidAccessError" {
		t.Errorf("the key: %s", got)
	}
	b.Clean()
}

// The page is locked by its PIN, and whoever guesses has to wait.
func TestAStallIsLocked(t *testing.T) {
	b := open(t, "http://"+serve(t, handler(t, newMarket())).at)
	b.before(ahead)
	b.join()
	b.Do(chromedp.Reload())
	b.see("sell")
	b.clock(16 * time.Minute) // without use
	b.Do(chromedp.Reload())
	b.see("locked")
	b.clock(0)
	b.tap("#unlock-form .main")
	b.shows("Ce n’est pas le bon code.")
	b.Do(chromedp.SendKeys(chromedp.CSS("#unlock"), "2468"+kb.Enter))
	b.see("sell")
	b.tap("#to-lock")
	b.see("locked")
	b.Do(chromedp.Reload())
	b.see("locked")
	b.Do(chromedp.SendKeys(chromedp.CSS("#unlock"), "1111"+kb.Enter))
	b.shows("Ce n’est pas le bon code.")
	b.Do(chromedp.SendKeys(chromedp.CSS("#unlock"), "2468"+kb.Enter))
	b.see("sell")
	b.tap("#to-lock")
	for range 5 {
		b.Until(`document.querySelector("#unlock").value === ""`)
		b.Do(chromedp.Evaluate[chromedp.Void](`document.querySelector("#unlock-problem").textContent = ""`),
			chromedp.SendKeys(chromedp.CSS("#unlock"), "1111"+kb.Enter))
		b.shows("Ce n’est pas le bon code.")
	}
	b.Do(chromedp.SendKeys(chromedp.CSS("#unlock"), "2468"+kb.Enter))
	b.shows("Trop d’essais.")
	b.see("locked")
	b.Clean()
}

// A telephone whose clock is wrong checks nothing, and says what to do.
func TestAWrongClockIsRefused(t *testing.T) {
	s := newMarket()
	b := open(t, "http://"+serve(t, handler(t, s)).at)
	b.join()
	s.mu.Lock()
	s.skew = -5 * time.Minute
	s.mu.Unlock()
	b.tap("#to-day")
	b.tap("#sync")
	b.shows("avance de 5 min")
	b.tap("#to-sell")
	b.shows("Aucun code ne peut être vérifié")
	b.press("5")
	b.tap("#ok")
	b.press(code(t, 47, 500))
	b.said("REFUSÉ", "avance de 5 min")
	b.Clean()
}

// Nor does one whose clock is set back, though the server is away: a code that
// was forgotten could come again.
func TestAClockThatWentBackIsRefused(t *testing.T) {
	web := serve(t, handler(t, newMarket()))
	b := open(t, "http://"+web.at)
	b.before(ahead)
	b.join()
	b.Clean()
	web.stop()
	b.clock(-10 * time.Minute)
	b.press("5")
	b.tap("#ok")
	b.shows("est revenue en arrière de 10 min")
	b.press(code(t, 47, 500))
	b.said("REFUSÉ", "est revenue en arrière de 10 min")
}

// A newer page is taken as a whole when there is network, and nothing that was
// kept is lost.
func TestANewerPageIsTaken(t *testing.T) {
	h := handler(t, newMarket())
	newer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := httptest.NewRecorder()
		h.ServeHTTP(got, r)
		for name, values := range got.Header() {
			if name != "Content-Length" {
				w.Header()[name] = values
			}
		}
		w.WriteHeader(got.Code)
		w.Write([]byte(strings.NewReplacer(`VERSION = "stall-`, `VERSION = "stall-newer-`, "Journée", "Aujourd’hui").Replace(got.Body.String())))
	})
	web := serve(t, h)
	b := open(t, "http://"+web.at)
	b.join()
	web.stop()
	web.handler = newer
	web.start()
	b.Do(chromedp.Reload())
	b.see("sell")
	b.Until(`caches.keys().then(all => { window.kept = all.join() }) && /^stall-newer-\w+$/.test(window.kept)`)
	web.stop()
	b.Do(chromedp.Reload())
	b.see("sell")
	b.shows("Aujourd’hui")
	b.shows("Pot de miel")
}

// vectors are those by which any program tries its codes.
const vectors = "../../otp/testdata/vectors.json"

// What the page lets through is what the server makes, and GNU Taler's
// reference, bit for bit: as far as the window goes on either side, and no
// further.
func TestCodesAreThoseOfTheVectors(t *testing.T) {
	text, err := os.ReadFile(vectors)
	if err != nil {
		t.Fatal(err)
	}
	var all struct{ Vectors []json.RawMessage }
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	b := open(t, "http://"+serve(t, handler(t, newMarket())).at)
	b.Do(chromedp.Navigate(b.URL + page.Root))
	b.see("join")
	tried := map[string]int{}
	for _, raw := range all.Vectors {
		var v struct {
			Algorithm string
			Window    []string
		}
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatal(err)
		}
		try := `(async v => {
			const {hold, match} = await import("/stall/codes.js");
			const key = await hold(v.algorithm, Uint8Array.from(atob(v.key), c => c.charCodeAt(0)));
			const found = (code, off) => match(v.algorithm, key, code, v, (v.unix + 30 * off) * 1000);
			const [first, last] = [v.window[0], v.window[v.window.length - 1]];
			const far = [found(first, 1), found(last, -1), found(v.code.slice(0, 7), 0)];
			return [await found(v.code, 0) - v.step, ...(await Promise.all(v.window.map(c => found(c, 0)))).map(at => at - v.step), ...await Promise.all(far)].map(String).join(" ");
		})(` + string(raw) + `)`
		want := "0"
		for n := range v.Window {
			want += " " + strconv.Itoa(n-len(v.Window)/2)
		}
		if got := browsertest.Run(b.Browser, chromedp.Evaluate[string](try, chromedp.EvalAwaitPromise)); got != want+" null null null" {
			t.Errorf("%s\nis found at %s, want %s null null null", raw, got, want)
		}
		tried[v.Algorithm]++
	}
	for _, a := range otp.Algorithms {
		if tried[string(a)] == 0 {
			t.Errorf("no vector is %s", a)
		}
	}
	b.Clean()
}

// A stall with GNU Taler's codes asks for the price too, and for the code as an
// authenticator shows it.
func TestAStallWithTalersCodes(t *testing.T) {
	s := newMarket()
	octets, err := otp.ParseKey("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
	if err != nil {
		t.Fatal(err)
	}
	e := s.links[token]
	e.Algorithm, e.Key, e.Currency = "totp_price", octets, "KUDOS"
	s.links[token] = e
	s.skew = time.Until(time.Unix(1700000000, 0))
	b := open(t, "http://"+serve(t, handler(t, s)).at)
	b.before(`Date.now = () => 1700000000000`)
	b.join()
	sell := func(amount string) {
		b.press(amount)
		b.tap("#ok")
		b.press("15234769")
	}
	sell("2,5")
	b.said("PAYÉ", "Vente 1523 4769")
	b.Do(chromedp.Reload())
	b.see("sell")
	sell("2,6")
	b.said("REFUSÉ", "pas bon pour 2,60 m")
	sell("2,50")
	b.said("REFUSÉ", "Deux acheteurs dans la même demi-minute")
	b.Clean()
}

// A seller with a keyboard alone sells, and the day is a file that spreadsheets
// read, none of whose cells calculates.
func TestTheDayIsAFile(t *testing.T) {
	s := newMarket()
	e := s.links[token]
	e.Templates[1].Description = `=HYPERLINK("x")`
	s.links[token] = e
	b := open(t, "http://"+serve(t, handler(t, s)).at)
	b.before(`URL.createObjectURL = file => { file.text().then(text => window.file = text); return "data:text/csv," }`)
	b.join()
	b.Do(chromedp.Focus(chromedp.CSS("#favourites button:nth-of-type(2)")), chromedp.KeyEvent(kb.Enter),
		chromedp.Focus(chromedp.CSS("#entry")), chromedp.KeyEvent("07.5"+kb.Enter))
	b.shows("7,50 m")
	made := code(t, 5, 750)
	b.Do(chromedp.Focus(chromedp.CSS("#entry")), chromedp.KeyEvent(made))
	b.said("PAYÉ", "Vente 05 ")
	b.tap("#to-day")
	b.see("sales")
	b.tap("#csv")
	b.Until(`window.file`)
	rows := strings.Split(browsertest.Run(b.Browser, chromedp.Evaluate[string](`window.file`)), "\r\n")
	if len(rows) != 3 || !strings.HasSuffix(rows[0], `"date","time","template","description","code","amount","currency","given_back"`) {
		t.Fatalf("the file is %q", rows)
	}
	if want := `"3FHX","'=HYPERLINK(""x"")","05 ` + made[2:] + `","7.50","MAIL",""`; !strings.HasSuffix(rows[1], want) {
		t.Errorf("a sale is %s, want %s", rows[1], want)
	}
	b.Faults() // what Chromium says of the file
}

// Two windows of one telephone let a code through once.
func TestTwoWindowsLetACodeThroughOnce(t *testing.T) {
	b := open(t, "http://"+serve(t, handler(t, newMarket())).at)
	b.join()
	race := `(async () => {
		const {sell} = await import("/stall/books.js");
		const all = await Promise.all(Array.from({length: 20}, () => sell({mark: "1:47", at: 1, amount: 500, step: 1, number: "47", code: "47000000", template: "", description: ""})));
		return all.filter(earlier => !earlier).length;
	})()`
	if got := browsertest.Run(b.Browser, chromedp.Evaluate[int](race, chromedp.EvalAwaitPromise)); got != 1 {
		t.Errorf("let through %d times", got)
	}
	b.Clean()
}

// Every screen is for everybody: what axe-core looks for, nothing wider than the
// telephone, in three languages, in the light and in the dark. With
// MAILLON_SHOTS the pictures are written to that folder.
func TestEveryScreenIsForEverybody(t *testing.T) {
	s := newMarket()
	b := open(t, "http://"+serve(t, handler(t, s)).at)
	script, err := os.ReadFile(axe)
	if err != nil {
		t.Fatalf("%v: make components brings it", err)
	}
	folder := os.Getenv("MAILLON_SHOTS")
	look := func(name string) {
		t.Helper()
		for _, scheme := range []string{"light", "dark"} {
			b.Do(browsertest.Screen(390, 844, scheme), chromedp.Evaluate[chromedp.Void](string(script)+"; undefined"))
			if found := browsertest.Run(b.Browser, chromedp.Evaluate[string](judge, chromedp.EvalAwaitPromise)); found != "" {
				t.Errorf("%s, %s:\n%s", name, scheme, found)
			}
			outside := `[...document.querySelectorAll("body *")].filter(e => (r => r.width && (r.left < 0 || r.right > innerWidth))(e.getBoundingClientRect())).map(e => e.outerHTML.slice(0, 80)).join(" | ")`
			if found := browsertest.Run(b.Browser, chromedp.Evaluate[string](outside)); found != "" {
				t.Errorf("%s is wider than a telephone: %s", name, found)
			}
			if folder != "" {
				b.Save(folder, name+"-"+scheme, chromedp.CaptureScreenshot())
			}
		}
	}
	b.Do(chromedp.Navigate(b.URL + page.Root))
	b.see("join")
	look("join")
	b.Do(chromedp.SendKeys(chromedp.CSS("#link"), "nothing"+kb.Enter))
	b.shows("Ce n’est pas un lien de stand")
	b.Do(chromedp.Evaluate[chromedp.Void](`document.querySelector("#link").value = ""`),
		chromedp.SendKeys(chromedp.CSS("#link"), b.URL+page.Root+"#"+token), chromedp.SendKeys(chromedp.CSS("#pin"), "2468"), chromedp.SendKeys(chromedp.CSS("#pin2"), "2469"+kb.Enter))
	b.shows("Les deux codes ne sont pas les mêmes")
	b.Do(chromedp.Evaluate[chromedp.Void](`document.querySelector("#pin2").value = ""`), chromedp.SendKeys(chromedp.CSS("#pin2"), "2468"+kb.Enter))
	b.see("sell")
	look("sell")
	b.tap("#favourites button:nth-of-type(1)")
	b.press("4712")
	look("code")
	b.press(code(t, 47, 500)[:4]) // wrong, all in all
	b.see("verdict")
	look("refused")
	b.tap("#again")
	b.press(code(t, 47, 500))
	b.see("verdict")
	look("paid")
	b.tap("#next")
	b.tap("#to-day")
	b.see("sales")
	look("day")
	for _, language := range []string{"en", "ar"} {
		b.Do(chromedp.Evaluate[chromedp.Void](`(l => { l.value = "` + language + `"; l.dispatchEvent(new Event("change")) })(document.querySelector("#language"))`))
		b.Until(`document.documentElement.lang === "` + language + `"`)
		look("day-" + language)
		b.tap("#to-sell")
		look("sell-" + language)
		b.tap("#favourites button:nth-of-type(1)")
		b.press(code(t, 47, 500))
		b.see("verdict")
		look("refused-" + language)
		b.tap("#next")
		b.tap("#to-day")
	}
	b.tap("section:not([hidden]) .remove")
	look("remove")
	b.tap("#ask-no")
	b.Until(`!document.querySelector("dialog").open`)
	b.tap("#to-lock")
	b.see("locked")
	look("locked")
	b.Clean()
}

// An address without HTTPS is told so, instead of losing what is sold.
func TestAnAddressWithoutHTTPSIsRefused(t *testing.T) {
	b := open(t, "http://"+serve(t, handler(t, newMarket())).at)
	b.before(`Object.defineProperty(window, "isSecureContext", {value: false})`)
	b.Do(chromedp.Navigate(b.URL + page.Root + "#" + token))
	b.see("no")
	b.shows("https://")
	b.Clean()
}
