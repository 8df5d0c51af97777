package cli_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"maillon/internal/browsertest"
	"maillon/internal/cli"
	"maillon/internal/stall"
	"maillon/internal/store"
)

// A day on the market, with the program itself: lena's telephone becomes a stall,
// yann pays her by SMS, and then her table has no network, for the server is
// killed. The page opens all the same; yann's code is PAID once, and not for
// another price, also after another reload. With the server back it is known
// what she sold; her device is revoked, and the page is no stall any more.
func TestAStallOnTheMarket(t *testing.T) {
	if os.Getenv("MAILLON_REAL") != "1" {
		t.Skip("set MAILLON_REAL=1 to test in Chromium")
	}
	dir := t.TempDir()
	server := serve(t, dir)
	var token string
	var device *stall.Device
	beside(t, dir, func(ctx context.Context, tx *store.Tx, s *stall.Service) error {
		lena, err := tx.MemberByNick(ctx, "lena")
		if err != nil {
			return err
		}
		if _, err := s.AddTemplate(ctx, tx, "operator", stall.Of(lena.ID), stall.NewTemplate{Description: "Pot de miel", Amount: 5}); err != nil {
			return err
		}
		device, token, err = s.AddDevice(ctx, tx, "operator", stall.Of(lena.ID), stall.NewDevice{Description: "table"})
		return err
	})
	b := browsertest.Open(t, server.url, 2*time.Minute)
	see := func(view, text string) {
		t.Helper()
		b.Until(`document.body.dataset.view === "` + view + "\" && document.body.innerText.replaceAll('\\u00a0', ' ').includes(`" + text + "`)")
	}
	tap := func(css string) { t.Helper(); b.Do(chromedp.Click(chromedp.CSS(css))) }
	sell := func(code string) {
		t.Helper()
		tap("#favourites button")
		b.Do(chromedp.SendKeys(chromedp.CSS("#entry"), code))
	}
	b.Do(browsertest.Screen(390, 844, "light"), chromedp.Navigate(b.URL+"/stall/#"+token))
	see("join", "")
	b.Do(chromedp.SendKeys(chromedp.CSS("#pin"), "2468"), chromedp.SendKeys(chromedp.CSS("#pin2"), "2468"+kb.Enter))
	see("sell", "lena")
	b.Until(`navigator.serviceWorker.controller`)
	b.Clean()

	pay := func(amount string) (code string) {
		t.Helper()
		server.text("yann", "vir "+amount+" @lena")
		server.text("yann", server.reads("yann", `Payer `+amount+` m à lena.*répondre (\d{3} \d{3})`))
		return server.reads("yann", `Payé: `+amount+` m à lena.*(\d\d \d{6})`)
	}
	good, cheap := pay("5"), pay("4")
	server.end(syscall.SIGKILL)

	b.Do(chromedp.Reload())
	see("sell", "lena")
	sell(cheap)
	see("verdict", "REFUS")
	tap("#next")
	sell(good)
	see("verdict", "PA")
	tap("#next")
	sell(good)
	see("verdict", "REFUS")
	b.Do(chromedp.Reload())
	see("sell", "lena")
	sell(good)
	see("verdict", "REFUS")
	tap("#next")
	b.Faults() // that the server does not answer

	server = serve(t, dir, "--listen", strings.TrimPrefix(server.url, "http://"))
	tap("#to-day")
	tap("#sync")
	b.Until(`/all is sent|tout est envoyé/.test(document.querySelector("#net").textContent)`)
	beside(t, dir, func(ctx context.Context, tx *store.Tx, s *stall.Service) error {
		day, err := s.Day(ctx, tx, device.Stall, time.Now(), device.Currency)
		if err != nil {
			return err
		}
		var let []int64
		for _, sale := range day.Sales {
			if len(sale.Let) > 0 {
				let = append(let, sale.Price().Minor())
			}
		}
		if len(day.Sales) != 2 || len(let) != 1 || let[0] != 5 || day.Unknown != 0 {
			t.Errorf("of %d sales the device let %v through, and %d unknown codes", len(day.Sales), let, day.Unknown)
		}
		_, err = s.Revoke(ctx, tx, "operator", device.Stall, device.ID)
		return err
	})
	tap("#sync")
	see("gone", "")
	if status, _ := server.ask(http.MethodGet, "/stall/", nil); status != http.StatusOK {
		t.Errorf("the page is gone for others: %d", status)
	}
	b.Clean()
}

// beside changes the books beside a server.
func beside(t *testing.T, dir string, change func(context.Context, *store.Tx, *stall.Service) error) {
	t.Helper()
	s, err := openBooks(t.Context(), cli.Folder{Dir: filepath.Join(dir, "maillon-data")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.DB.Update(t.Context(), func(tx *store.Tx) error { return change(t.Context(), tx, s.Stalls) }); err != nil {
		t.Fatal(err)
	}
}

// Stall holders open their page from anywhere, and a guess is no device.
func TestThePageOfStallsIsPublic(t *testing.T) {
	p := serve(t, t.TempDir(), "--listen", "0.0.0.0:0", "--public")
	p.url = strings.Replace(strings.Replace(p.url, "[::]", "127.0.0.1", 1), "0.0.0.0", "127.0.0.1", 1)
	if status, text := p.ask(http.MethodGet, "/stall/", nil); status != http.StatusOK || !strings.Contains(text, "stall.js") {
		t.Errorf("the page: %d %s", status, text)
	}
	if status, _ := p.ask(http.MethodGet, "/stall", nil); status != http.StatusMovedPermanently && status != http.StatusTemporaryRedirect {
		t.Errorf("without its slash: %d", status)
	}
	for path, want := range map[string]int{"/stall/enrol": http.StatusGone, "/stall/sync": http.StatusUnauthorized} {
		answer, err := p.client.Post(p.url+path, "application/json", strings.NewReader(`{"token": "guess"}`))
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%s by a guess: %d, want %d", path, answer.StatusCode, want)
		}
	}
}
