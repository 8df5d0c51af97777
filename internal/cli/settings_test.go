package cli_test

import (
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"maillon/internal/phrase"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/store"
)

// choose changes a setting as the page of settings does, from beside the server.
func choose(t *testing.T, dir, key, value string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "maillon-data", "secret"))
	if err != nil {
		t.Fatal(err)
	}
	var secret store.Secret
	if _, err := hex.Decode(secret[:], []byte(strings.TrimSpace(string(text)))); err != nil {
		t.Fatal(err)
	}
	book, err := phrase.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.Open(t.Context(), server.Config{
		Path: filepath.Join(dir, "maillon-data", "books.db"), Secret: secret, Settings: setting.Default(), Book: book,
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.DB.Update(t.Context(), func(tx *store.Tx) error {
		return s.Choose(t.Context(), tx, "operator", key, value, "test")
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// A setting that is changed while a server is at work takes effect without a
// restart: whoever calls meanwhile waits a moment, and no connection is refused.
func TestASettingTakesEffectWhileServing(t *testing.T) {
	dir := t.TempDir()
	p := serve(t, dir)
	stop, turned := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(turned)
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
			r, err := http.Get(p.url + "/livez") //nolint:noctx // ended by stop
			switch {
			case errors.Is(err, syscall.ECONNREFUSED):
				turned <- err
				return
			case err == nil:
				_ = r.Body.Close()
			} // one that was under way may be cut: gateways ask again
		}
	}()
	choose(t, dir, "max", "111")
	if out, err := maillon(t, dir, "credit", "yann", "1", "workshop").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, yann := p.handset("yann")
	for n := 0; !strings.Contains(p.page(), "Maximum 111"); n++ {
		if n > 20 {
			t.Fatalf("the setting takes no effect: %s", &p.stderr)
		}
		p.ask(http.MethodPost, "/text?lang=fr", url.Values{"phone": {yann}, "text": {"vir=150 num=0639980090"}})
		time.Sleep(500 * time.Millisecond)
	}
	close(stop)
	if err := <-turned; err != nil {
		t.Errorf("somebody was turned away: %v", err)
	}
	if status := p.end(syscall.SIGTERM); status != 0 {
		t.Errorf("it ends with %d: %s", status, &p.stderr)
	}
}
