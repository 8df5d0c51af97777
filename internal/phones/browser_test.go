package phones_test

import (
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"maillon/internal/browsertest"
	"maillon/internal/phones"
)

// patience is how long the browser may take for all of one test.
const patience = 90 * time.Second

// newBrowser opens Chromium for the page of a village of its own.
func newBrowser(t *testing.T) *browsertest.Browser {
	t.Helper()
	server := httptest.NewServer(newVillage(t, phones.Options{}).page)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections) // first, for streams do not end by themselves
	return browsertest.Open(t, server.URL, patience)
}

// said is whether a handset, counted from 0, shows a message with this text.
func said(handset, text string) string {
	return `document.querySelectorAll(".handset")[` + handset + `].querySelector(".thread").textContent.includes(` + "`" + text + "`" + `)`
}

// Somebody types a text with nothing but a keyboard, taps the code that came,
// and sees the payment on both phones and in the ledger, without a reload.
func TestSomebodyPaysByKeyboard(t *testing.T) {
	b := newBrowser(t)
	b.Do(browsertest.Screen(1280, 800, "light"), chromedp.Navigate(b.URL+"/?lang=fr"), chromedp.WaitVisible(chromedp.CSS(".status.on")),
		chromedp.Evaluate[chromedp.Void](`window.stays = true`),
		chromedp.Focus(chromedp.CSS(".handset [name=text]")), chromedp.KeyEvent("solde"+kb.Enter))
	b.Until(said("0", "Solde: 120 m"))
	b.Until(`document.activeElement.name === "text" && document.activeElement.value === ""`)
	b.Do(chromedp.KeyEvent("vir 5 @lena" + kb.Enter))
	b.Until(said("0", "482 913"))
	// After the text box: the button Send, then the answers.
	b.Do(chromedp.KeyEvent(kb.Tab + kb.Tab))
	b.Until(`document.activeElement.matches(".answer") && document.activeElement.textContent === "Répondre 482 913"`)
	b.Do(chromedp.KeyEvent(kb.Enter))
	b.Until(said("0", "Payé: 5 m à lena"))
	b.Until(said("1", "yann (06**12) vous a payé 5 m"))
	b.Until(`document.querySelector(".transfers").textContent.includes("yann → lena")`)
	b.Until(`document.querySelector(".balances").textContent.includes("115\u00a0m") && document.querySelector("tfoot td").textContent === "0\u00a0m"`)
	b.Until(`document.activeElement === document.querySelector(".handset [name=text]")`) // the code's button is gone
	b.Until(`window.stays && [...document.querySelectorAll("h2")].length === 7`)
	b.Clean()
}

// Another phone is put on the table, and is where the keyboard writes.
func TestSomebodyTakesAnotherPhone(t *testing.T) {
	b := newBrowser(t)
	b.Do(chromedp.Navigate(b.URL+"/?lang=fr"), chromedp.WaitVisible(chromedp.CSS(".status.on")),
		chromedp.SendKeys(chromedp.CSS("#another-number"), "0639980077"+kb.Enter))
	b.Until(`document.activeElement.closest(".handset")?.querySelector("h2").textContent === "06\u00a039\u00a098\u00a000\u00a077"`)
	b.Do(chromedp.KeyEvent("solde" + kb.Enter))
	b.Until(said("5", "Solde: 0 m"))
	b.Until(`document.querySelectorAll(".tab").length === 7 && !location.href.includes("0077")`)
	b.Do(chromedp.SendKeys(chromedp.CSS("#another-number"), "0298000001"+kb.Enter))
	b.Until(`document.querySelector("#another .problem").textContent.includes("numéro de mobile")`)
}

// On the screen of a phone nothing is wider than the screen, and each handset
// is a tab away.
func TestThePageFitsAPhone(t *testing.T) {
	b := newBrowser(t)
	b.Do(browsertest.Screen(390, 844, "light"), chromedp.Navigate(b.URL+"/?lang=fr"), chromedp.WaitVisible(chromedp.CSS(".status.on")))
	b.Until(`document.documentElement.scrollWidth <= 390`)
	b.Until(`document.querySelector(".tab").hasAttribute("aria-current")`)
	b.Do(chromedp.Click(chromedp.CSS(".tab:nth-of-type(2)")))
	b.Until(`(r => r.left >= 0 && r.right <= 390)(document.querySelectorAll(".handset")[1].getBoundingClientRect())`)
	b.Until(`document.querySelectorAll("[aria-current]").length === 1 && document.querySelector(".tab:nth-of-type(2)").hasAttribute("aria-current")`)
	b.Clean()
}

// Without JavaScript the forms do the same, by a reload. Answered by keyboard,
// for a page that still scrolls to its phone moves away from under a mouse.
func TestThePageWorksWithoutJavaScript(t *testing.T) {
	b := newBrowser(t)
	b.WithoutScripts()
	b.Do(chromedp.Navigate(b.URL+"/?lang=fr"),
		chromedp.SendKeys(chromedp.CSS(".handset [name=text]"), "vir 5 @lena"+kb.Enter), chromedp.WaitVisible(chromedp.CSS(".answer")),
		chromedp.Focus(chromedp.CSS(".answer")), chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(chromedp.CSS(".transfers li:not(.empty)")))
	if html := browsertest.Run(b, chromedp.OuterHTML(chromedp.CSS("html"))); !strings.Contains(html, "Payé: 5 m à lena") {
		t.Error("the payment does not show")
	}
	b.Clean()
}

// With MAILLON_SHOTS the pictures of a payment are written to that folder: of
// this village, or of the server at MAILLON_SHOTS_URL.
func TestShots(t *testing.T) {
	folder := os.Getenv("MAILLON_SHOTS")
	if folder == "" {
		t.Skip("set MAILLON_SHOTS to a folder to take pictures of the page")
	}
	b := newBrowser(t)
	if url := os.Getenv("MAILLON_SHOTS_URL"); url != "" {
		b.URL = strings.TrimSuffix(url, "/")
	}
	b.Do(browsertest.Screen(1280, 800, "light"), chromedp.Navigate(b.URL+"/?lang=fr"), chromedp.WaitVisible(chromedp.CSS(".status.on")))
	b.Shoot(folder, "first")
	tap := func(handset, chip string) {
		b.Do(chromedp.Click(chromedp.CSS(".handset:nth-of-type(" + handset + ") .chips button:nth-of-type(" + chip + ")")))
	}
	asks := func(handset string) {
		b.Until(`document.querySelector(".handset:nth-of-type(` + handset + `) .answer")`)
	}
	tap("1", "1")
	b.Until(`document.querySelector(".handset:nth-of-type(1) .theirs")`)
	b.Do(chromedp.Focus(chromedp.CSS(".handset [name=text]")), chromedp.KeyEvent("vir=50 num=0639980090"+kb.Enter))
	asks("1")
	tap("1", "1")
	b.Until(`document.querySelector(".handset:nth-of-type(2) .theirs")`)
	tap("3", "2")
	asks("3")
	for name, size := range map[string]chromedp.Action[chromedp.Void]{
		"desktop-light": browsertest.Screen(1280, 800, "light"), "desktop-dark": browsertest.Screen(1280, 800, "dark"),
		"phone-light": browsertest.Screen(390, 844, "light"), "phone-dark": browsertest.Screen(390, 844, "dark"),
	} {
		b.Do(size, chromedp.Sleep(time.Second))
		b.Shoot(folder, name)
	}
	b.Do(browsertest.Screen(1280, 950, "light"), chromedp.Evaluate[chromedp.Void](`scrollTo(0, 0)`), chromedp.Sleep(time.Second))
	b.Save(folder, "readme", chromedp.CaptureScreenshot())
}
