// Package browsertest looks at pages in a real Chromium: what is on them, what
// their console says, and that they ask nobody else for anything.
package browsertest

import (
	"context"
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
)

// How long Until looks, and how often.
const (
	looks = 400
	pace  = 50 * time.Millisecond
)

// A Browser is Chromium, for the pages of one server.
type Browser struct {
	URL string // of the server, without a final slash

	t   testing.TB
	ctx context.Context

	mu     sync.Mutex
	faults []string // errors on the console, requests to elsewhere
}

// Open starts Chromium, for at most a time. Without MAILLON_REAL it skips the
// test; without Chromium the test then fails.
func Open(t testing.TB, url string, patience time.Duration) *Browser {
	t.Helper()
	if os.Getenv("MAILLON_REAL") != "1" {
		t.Skip("set MAILLON_REAL=1 to test in Chromium")
	}
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("install chromium")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.UserDataDir(t.TempDir()),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &Browser{URL: url, t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, b.watch); err != nil {
		t.Fatal(err)
	}
	b.Do(enable(log.Enable), enable(runtime.Enable), Call(network.Enable, network.EnableParams{}))
	return b
}

func enable(command cdp.Command[cdp.Empty, cdp.Empty]) chromedp.Action[chromedp.Void] {
	return Call(command, cdp.Empty{})
}

// Call is a command of the DevTools protocol as an action.
func Call[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, params)
		return err
	})
}

func (b *Browser) watch(event any) {
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
		if !strings.HasPrefix(e.Request.URL, b.URL+"/") && !strings.HasPrefix(e.Request.URL, "data:") { // what Chromium draws itself
			b.fault("request to " + e.Request.URL)
		}
	}
}

func (b *Browser) fault(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, what)
}

// Faults returns and forgets the errors on the console and the requests to
// elsewhere.
func (b *Browser) Faults() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.faults
	b.faults = nil
	return all
}

// Clean fails the test for each fault.
func (b *Browser) Clean() {
	b.t.Helper()
	for _, fault := range b.Faults() {
		b.t.Error(fault)
	}
}

// Do does what a reader does, or fails the test.
func (b *Browser) Do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	for n, a := range actions {
		if err := chromedp.Do(b.ctx, a); err != nil {
			b.t.Fatalf("action %d: %v", n, err)
		}
	}
}

// Run returns what an action gives, or fails the test.
func Run[T any](b *Browser, action chromedp.Action[T]) T {
	b.t.Helper()
	got, err := chromedp.Run(b.ctx, action)
	if err != nil {
		b.t.Fatal(err)
	}
	return got
}

// Until waits for a condition, an expression of JavaScript.
func (b *Browser) Until(condition string) {
	b.t.Helper()
	for range looks {
		if holds, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("!!("+condition+")")); err == nil && holds {
			return
		}
		b.Do(chromedp.Sleep(pace))
	}
	b.t.Fatalf("waited in vain until %s", condition)
}

// Screen is a screen of a size, in a colour scheme, light or dark.
func Screen(width, height int64, scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Steps(
		Call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}}),
		chromedp.EmulateViewport(width, height),
	)
}

// WithoutScripts switches JavaScript off.
func (b *Browser) WithoutScripts() {
	b.t.Helper()
	b.Do(Call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}))
}

// Shoot saves a picture of the whole page, also what has to be scrolled to.
func (b *Browser) Shoot(folder, name string) {
	b.t.Helper()
	b.Save(folder, name, chromedp.FullScreenshot(100))
}

// Save saves a picture.
func (b *Browser) Save(folder, name string, picture chromedp.Action[[]byte]) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(folder, name+".png"), Run(b, picture), 0o600); err != nil {
		b.t.Fatal(err)
	}
}
