package console_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp/totp"

	"maillon/internal/auth"
	"maillon/internal/browsertest"
	"maillon/internal/console"
	"maillon/internal/console/door"
	"maillon/internal/console/frame"
	"maillon/internal/console/frame/frametest"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// A walker is somebody in front of a browser, at the console of a new currency.
type walker struct {
	*town
	b   *browsertest.Browser
	url string
}

// at opens a page.
func (w *walker) at(path string) {
	w.t.Helper()
	w.b.Do(chromedp.Navigate(w.url+frame.Root+path), chromedp.WaitReady(chromedp.CSS("main h1")))
}

// fills writes into fields of the page, by name, and sends the form with a button
// in words.
func (w *walker) fills(button string, pairs ...string) {
	w.t.Helper()
	for n := 0; n+1 < len(pairs); n += 2 {
		w.b.Do(chromedp.SetValue(chromedp.CSS("main form [name="+pairs[n]+"]:not([type=hidden])"), pairs[n+1]))
	}
	w.presses(button)
}

// presses a button of the page, and waits for the page after it.
func (w *walker) presses(button string) {
	w.t.Helper()
	w.b.Do(chromedp.Evaluate[chromedp.Void](`window.before = true`))
	w.b.Until(fmt.Sprintf(`(x => x && (x.click(), true))([...document.querySelectorAll("main button, header button")].find(x => x.textContent.trim() == %q))`, button))
	w.b.Until(`!window.before && document.readyState == "complete"`)
}

// reads fails the test unless the page says some words.
func (w *walker) reads(words ...string) {
	w.t.Helper()
	text := browsertest.Run(w.b, chromedp.Evaluate[string](`document.querySelector("main").innerText.replaceAll("\u00a0", " ")`))
	for _, one := range words {
		if !strings.Contains(text, one) {
			w.t.Errorf("the page %s does not say %q:\n%s", browsertest.Run(w.b, chromedp.Evaluate[string](`location.pathname`)), one, text)
		}
	}
}

// becomes lets somebody else sit down in front of the browser, signed in.
func (w *walker) becomes(m *member.Member) {
	w.t.Helper()
	var token auth.Token
	w.Update(func(ctx context.Context, tx *store.Tx) (err error) {
		token, err = w.Gate.Open(ctx, tx, m, "walk")
		return err
	})
	w.b.Do(browsertest.Call(network.SetCookie, network.SetCookieParams{Name: frame.SessionCookie, Value: string(token), URL: w.url}))
}

// A currency from its first hour to its worst: the first administrator comes in by
// the link, registers members, credits one, then many from a file that has a fault
// and then none; her session is stolen, a thief is credited and spends; everything
// is paused, the preview shows who has what, two persons approve, two let payments
// go on; each has what is theirs, and was told.
func TestFromTheFirstHourToTheWorst(t *testing.T) {
	c := frametest.Open(t, console.Rooms)
	pages, err := console.New(c.Server, c.Gate, nil)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(pages)
	t.Cleanup(server.Close)
	w := &walker{town: &town{Console: c, t: t}, b: browsertest.Open(t, server.URL, patience), url: server.URL}

	// The first administrator.
	var link auth.Token
	w.Update(func(ctx context.Context, tx *store.Tx) (err error) {
		link, err = w.Gate.InviteFirst(ctx, tx, treasury.Operator)
		return err
	})
	w.b.Do(chromedp.Navigate(door.Link(w.url, link)), chromedp.WaitVisible(chromedp.CSS("#secret")))
	code, err := totp.GenerateCode(browsertest.Run(w.b, chromedp.Evaluate[string](`document.querySelector("#secret").textContent.replaceAll(" ", "")`)), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w.b.Do(chromedp.Evaluate[chromedp.Void](`document.cookie = "maillon-language=en; path=/console"`))
	w.fills("Come in", "nick", "annaig", "number", "0639980211", "password", "velo rouge au soleil", "again", "velo rouge au soleil", "code", code)
	annaig := w.Member("annaig")

	// A member at the desk, one credit, then a file.
	w.at("/members/new?lang=en")
	w.fills("Register", "number", "06 39 98 00 34", "nick", "mallory")
	w.reads("The account is open", "mallory")
	w.at("/credit")
	w.fills("See the effect", "who", "yann", "sum", "10", "reason", "bike repaired")
	w.reads("130 m", "bike repaired")
	w.presses("Credit")
	w.reads("10 m credited")
	upload := func(text string) {
		path := filepath.Join(t.TempDir(), "credits.csv")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		w.at("/credit/many")
		w.b.Do(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{path}))
		w.presses("See the effect")
	}
	upload("numero_ou_pseudo;montant;motif;cle\nlena;20;atelier;a\nlna;30;atelier;b\n")
	w.reads("Nothing will be credited", "lna")
	w.b.Faults() // a form that is refused is one to the browser
	upload("numero_ou_pseudo;montant;motif;cle\nlena;20;atelier;a\nsoazig;30;atelier;b\n")
	w.reads("2: 50 m")
	w.fills("Credit all these lines", "reason", "november")
	w.reads("2 lines credited, 50 m in all")

	// The theft: her session credits mallory, who spends it.
	w.Update(func(ctx context.Context, tx *store.Tx) error {
		mallory, err := tx.MemberByNick(ctx, "mallory")
		if err != nil {
			return err
		}
		_, err = w.Treasury.Grant(ctx, tx, treasury.By(annaig), annaig, mallory, mallory.Number, money.New(100, w.Settings.Currency()), "workshop")
		return err
	})
	w.pays("mallory", 50, "soazig")
	w.pays("mallory", 40, "lena")
	w.pays("yann", 5, "lena")

	// Everything stops.
	w.becomes(w.Member("abe"))
	w.at("/pause")
	w.presses("Stop all payments")
	w.reads("All payments are stopped")
	w.sends("yann", "pay 1 @lena")
	if got := w.answer("yann"); !strings.Contains(got, "paused") {
		t.Errorf("yann, who pays while it is paused, reads %q", got)
	}

	// What would be put back.
	w.at("/restore")
	w.b.Do(chromedp.SetValue(chromedp.CSS("#since"), time.Now().Add(-time.Hour).In(w.Settings.Zone).Format("2006-01-02T15:04")))
	w.presses("Preview")
	w.reads("tick the entries of the theft")
	w.ticks("100 m")
	w.presses("Make the preview again with these choices")
	w.reads("theft", "stolen money")
	w.ticks("soazig")
	w.presses("Make the preview again with these choices")
	w.reads("Borne by the association", "50 m")
	w.fills("Propose to put this back", "reason", "stolen session")
	w.reads("Proposed. Another person must approve.")

	// Another person approves, and two let payments go on.
	w.becomes(w.Member("ada"))
	w.at("/approvals")
	w.b.Do(chromedp.Click(chromedp.CSS("main table a")), chromedp.WaitReady(chromedp.CSS("dl.facts")))
	w.reads("abe", "stolen session")
	w.presses("Approve: it is done at once")
	w.reads("Approved, it is done.")
	w.at("/pause")
	w.presses("Ask to go on")
	w.reads("A second person must do it too")
	w.becomes(w.Member("abe"))
	w.at("/pause")
	w.presses("Let payments go on")
	w.reads("Payments go on.")

	for name, want := range map[string]int64{"mallory": 0, "lena": 70, "soazig": 150, "yann": 125} {
		if got := w.Balance(name); got != want {
			t.Errorf("%s has %d, want %d", name, got, want)
		}
	}
	for name, want := range map[string]string{"mallory": "Correction -10 m", "lena": "Correction -40 m", "yann": "Service"} {
		if got := w.answer(name); !strings.Contains(got, want) {
			t.Errorf("%s reads %q, want %q", name, got, want)
		}
	}
	w.b.Clean()
	if faults, err := w.DB.Verify(t.Context(), nil); err != nil || len(faults) > 0 {
		t.Errorf("Verify = %v, %v", faults, err)
	}
}

// ticks the box of the row of a table that holds some words.
func (w *walker) ticks(words string) {
	w.t.Helper()
	w.b.Until(fmt.Sprintf(`(x => x && (x.checked = true))([...document.querySelectorAll("main tr")].filter(x => x.innerText.replaceAll("\u00a0", " ").includes(%q)).map(x => x.querySelector("input[type=checkbox]")).find(x => x))`, words))
}
