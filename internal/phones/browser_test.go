package phones_test

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"maillon/internal/phones"
)

// patience is how long the browser may take for all of one test.
const patience = 90 * time.Second

// A browser is Chromium on the page of a village of its own.
type browser struct {
	t   *testing.T
	ctx context.Context
	url string

	mu     sync.Mutex
	faults []string // errors on the console, requests to elsewhere
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	if os.Getenv("MAILLON_REAL") != "1" {
		t.Skip("set MAILLON_REAL=1 to test in Chromium")
	}
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("install chromium")
	}
	server := httptest.NewServer(newVillage(t, phones.Options{}).page)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections) // first, for streams do not end by themselves
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.UserDataDir(t.TempDir()),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx, url: server.URL}
	if err := chromedp.Listen(ctx, b.watch); err != nil {
		t.Fatal(err)
	}
	b.do(enable(log.Enable), enable(runtime.Enable), call(network.Enable, network.EnableParams{}))
	return b
}

func enable(command cdp.Command[cdp.Empty, cdp.Empty]) chromedp.Action[chromedp.Void] {
	return call(command, cdp.Empty{})
}

func call[P any](command cdp.Command[P, cdp.Empty], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, params)
		return err
	})
}

func (b *browser) watch(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.fault("exception: " + e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError {
			b.fault("console error")
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			b.fault("log: " + e.Entry.Text + " " + e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, b.url+"/") {
			b.fault("request to " + e.Request.URL)
		}
	}
}

func (b *browser) fault(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, what)
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// until waits for a condition, an expression of JavaScript.
func (b *browser) until(condition string) {
	b.t.Helper()
	for range 200 {
		if holds, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("!!("+condition+")")); err == nil && holds {
			return
		}
		b.do(chromedp.Sleep(50 * time.Millisecond))
	}
	b.t.Fatalf("waited in vain until %s", condition)
}

// clean fails the test if the console has an error or a request went elsewhere.
func (b *browser) clean() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, fault := range b.faults {
		b.t.Error(fault)
	}
}

func screen(width, height int64, scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Steps(
		call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}}),
		chromedp.EmulateViewport(width, height),
	)
}

// said is whether a handset, counted from 0, shows a message with this text.
func said(handset, text string) string {
	return `document.querySelectorAll(".handset")[` + handset + `].querySelector(".thread").textContent.includes(` + "`" + text + "`" + `)`
}

// Somebody types a text with nothing but a keyboard, taps the code that came,
// and sees the payment on both phones and in the ledger, without a reload.
func TestSomebodyPaysByKeyboard(t *testing.T) {
	b := newBrowser(t)
	b.do(screen(1280, 800, "light"), chromedp.Navigate(b.url+"/?lang=fr"), chromedp.WaitVisible(chromedp.CSS(".status.on")),
		chromedp.Evaluate[chromedp.Void](`window.stays = true`),
		chromedp.Focus(chromedp.CSS(".handset [name=text]")), chromedp.KeyEvent("solde"+kb.Enter))
	b.until(said("0", "Solde: 120 m"))
	b.until(`document.activeElement.name === "text" && document.activeElement.value === ""`)
	b.do(chromedp.KeyEvent("vir 5 @lena" + kb.Enter))
	b.until(said("0", "482 913"))
	// After the text box: the button Send, then the answers.
	b.do(chromedp.KeyEvent(kb.Tab + kb.Tab))
	b.until(`document.activeElement.matches(".answer") && document.activeElement.textContent === "Répondre 482 913"`)
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until(said("0", "Payé: 5 m à lena"))
	b.until(said("1", "yann (06**12) vous a payé 5 m"))
	b.until(`document.querySelector(".transfers").textContent.includes("yann → lena")`)
	b.until(`document.querySelector(".balances").textContent.includes("115\u00a0m") && document.querySelector("tfoot td").textContent === "0\u00a0m"`)
	b.until(`document.activeElement === document.querySelector(".handset [name=text]")`) // the code's button is gone
	b.until(`window.stays && [...document.querySelectorAll("h2")].length === 7`)
	b.clean()
}

// Another phone is put on the table, and is where the keyboard writes.
func TestSomebodyTakesAnotherPhone(t *testing.T) {
	b := newBrowser(t)
	b.do(chromedp.Navigate(b.url+"/?lang=fr"), chromedp.WaitVisible(chromedp.CSS(".status.on")),
		chromedp.SendKeys(chromedp.CSS("#another-number"), "0639980077"+kb.Enter))
	b.until(`document.activeElement.closest(".handset")?.querySelector("h2").textContent === "06\u00a039\u00a098\u00a000\u00a077"`)
	b.do(chromedp.KeyEvent("solde" + kb.Enter))
	b.until(said("5", "Solde: 0 m"))
	b.until(`document.querySelectorAll(".tab").length === 7 && !location.href.includes("0077")`)
	b.do(chromedp.SendKeys(chromedp.CSS("#another-number"), "0298000001"+kb.Enter))
	b.until(`document.querySelector("#another .problem").textContent.includes("numéro de mobile")`)
}

// On the screen of a phone nothing is wider than the screen, and each handset
// is a tab away.
func TestThePageFitsAPhone(t *testing.T) {
	b := newBrowser(t)
	b.do(screen(390, 844, "light"), chromedp.Navigate(b.url+"/?lang=fr"), chromedp.WaitVisible(chromedp.CSS(".status.on")))
	b.until(`document.documentElement.scrollWidth <= 390`)
	b.until(`document.querySelector(".tab").hasAttribute("aria-current")`)
	b.do(chromedp.Click(chromedp.CSS(".tab:nth-of-type(2)")))
	b.until(`(r => r.left >= 0 && r.right <= 390)(document.querySelectorAll(".handset")[1].getBoundingClientRect())`)
	b.until(`document.querySelectorAll("[aria-current]").length === 1 && document.querySelector(".tab:nth-of-type(2)").hasAttribute("aria-current")`)
	b.clean()
}

// Without JavaScript the forms do the same, by a reload. Answered by keyboard,
// for a page that still scrolls to its phone moves away from under a mouse.
func TestThePageWorksWithoutJavaScript(t *testing.T) {
	b := newBrowser(t)
	b.do(call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}), chromedp.Navigate(b.url+"/?lang=fr"),
		chromedp.SendKeys(chromedp.CSS(".handset [name=text]"), "vir 5 @lena"+kb.Enter), chromedp.WaitVisible(chromedp.CSS(".answer")),
		chromedp.Focus(chromedp.CSS(".answer")), chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(chromedp.CSS(".transfers li:not(.empty)")))
	html, err := chromedp.Run(b.ctx, chromedp.OuterHTML(chromedp.CSS("html")))
	if err != nil || !strings.Contains(html, "Payé: 5 m à lena") {
		t.Errorf("the payment does not show: %v", err)
	}
	b.clean()
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
		b.url = strings.TrimSuffix(url, "/")
	}
	b.do(screen(1280, 800, "light"), chromedp.Navigate(b.url+"/?lang=fr"), chromedp.WaitVisible(chromedp.CSS(".status.on")))
	b.shoot(folder, "first")
	tap := func(handset, chip string) {
		b.do(chromedp.Click(chromedp.CSS(".handset:nth-of-type(" + handset + ") .chips button:nth-of-type(" + chip + ")")))
	}
	asks := func(handset string) {
		b.until(`document.querySelector(".handset:nth-of-type(` + handset + `) .answer")`)
	}
	tap("1", "1")
	b.until(`document.querySelector(".handset:nth-of-type(1) .theirs")`)
	b.do(chromedp.Focus(chromedp.CSS(".handset [name=text]")), chromedp.KeyEvent("vir=50 num=0639980090"+kb.Enter))
	asks("1")
	tap("1", "1")
	b.until(`document.querySelector(".handset:nth-of-type(2) .theirs")`)
	tap("3", "2")
	asks("3")
	for name, screen := range map[string]chromedp.Action[chromedp.Void]{
		"desktop-light": screen(1280, 800, "light"), "desktop-dark": screen(1280, 800, "dark"),
		"phone-light": screen(390, 844, "light"), "phone-dark": screen(390, 844, "dark"),
	} {
		b.do(screen, chromedp.Sleep(time.Second))
		b.shoot(folder, name)
	}
	b.do(screen(1280, 950, "light"), chromedp.Evaluate[chromedp.Void](`scrollTo(0, 0)`), chromedp.Sleep(time.Second))
	b.save(folder, "readme", chromedp.CaptureScreenshot())
}

// shoot takes the whole page, also what has to be scrolled to.
func (b *browser) shoot(folder, name string) {
	b.t.Helper()
	b.save(folder, name, chromedp.FullScreenshot(100))
}

func (b *browser) save(folder, name string, picture chromedp.Action[[]byte]) {
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, picture)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}
