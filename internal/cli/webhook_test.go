package cli_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"maillon/internal/auth"
	"maillon/internal/cli"
	"maillon/internal/merchant"
	"maillon/internal/server"
	"maillon/internal/store"
	"maillon/internal/treasury"
	"maillon/internal/webhook"
)

// Whoever tries maillon on their own machine registers an address of it in test
// mode, and sees the events come; what is not signed is not shown. For real,
// nobody calls this machine.
func TestAMerchantSeesEventsComeToTheirOwnMachine(t *testing.T) {
	dir := t.TempDir()
	var keys [2]auth.Token
	var event int64
	beforehand(t, dir, func(ctx context.Context, tx *store.Tx, s *server.Server) error {
		live, test, err := s.Merchants.Add(ctx, tx, treasury.Operator, merchant.NewMerchant{Name: "Souk"})
		if err != nil {
			return err
		}
		for n, m := range []auth.MerchantKey{{Merchant: live.ID, Name: "shop"}, {Merchant: test.ID, Test: true, Name: "shop"}} {
			if _, keys[n], err = auth.IssueMerchant(ctx, tx, treasury.Operator, m); err != nil {
				return err
			}
		}
		if err := webhook.Emit(ctx, tx, test.ID, "claim.opened", map[string]string{"object": "claim", "id": "clm_1"}); err != nil {
			return err
		}
		all, err := webhook.LastEvents(ctx, tx, test.ID, 0, 1)
		event = all[0].ID
		return err
	})
	p := serve(t, dir)
	post := func(key auth.Token, path, name, body string) (int, string) {
		r, err := http.NewRequest(http.MethodPost, p.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Authorization": {"Bearer " + string(key)}, "Idempotency-Key": {name}, "Content-Type": {"application/json"}}
		answer, err := p.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(text)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if status, body := post(keys[0], "/v1/webhook_endpoints", "a", `{"url": "http://`+at+`/", "events": ["*"]}`); status != http.StatusUnprocessableEntity {
		t.Errorf("for real: %d %s", status, body)
	}
	status, body := post(keys[1], "/v1/webhook_endpoints", "b", `{"url": "http://`+at+`/", "events": ["*"]}`)
	var made struct{ ID, Secret string }
	if err := json.Unmarshal([]byte(body), &made); err != nil || status != http.StatusCreated {
		t.Fatalf("in test mode: %d %s", status, body)
	}
	listening := maillon(t, dir, "webhook", "listen", "--listen", at)
	listening.Env = append(listening.Environ(), "MAILLON_WEBHOOK_SECRET="+made.Secret)
	out, err := listening.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	said, err := listening.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := listening.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listening.Process.Kill(); _ = listening.Wait() }()
	if line, err := bufio.NewReader(said).ReadString('\n'); err != nil || !strings.Contains(line, at) {
		t.Fatalf("it says %q, %v", line, err)
	}
	if answer, err := http.Post("http://"+at+"/", "application/json", strings.NewReader(`{"type":"forged"}`)); err != nil || answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("what is not signed is answered %v, %v", answer, err)
	}
	path := "/v1/events/evt_" + strconv.FormatInt(event, 10) + "/resend"
	if status, body := post(keys[1], path, "c", `{}`); status != http.StatusOK || !strings.Contains(body, made.ID) {
		t.Fatalf("sent: %d %s", status, body)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if want := "evt_" + strconv.FormatInt(event, 10) + ` claim.opened {"id":"clm_1","object":"claim"}` + "\n"; err != nil || line != want {
		t.Errorf("it prints %q, %v, want %q", line, err, want)
	}
}

// Webhooks leave for private addresses only if the configuration says so.
func TestWebhooksAreInsecureIfTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "maillon.toml")
	for text, want := range map[string]struct {
		anywhere bool
		fault    string
	}{
		"":                               {false, ""},
		"[webhooks]\ninsecure = true":    {true, ""},
		"[webhooks]\ninsecure = \"yes\"": {false, "2: webhooks.insecure: true or false"},
		"[webhooks]\n\nprivate = true":   {false, "3: webhooks.private: unknown key; there is insecure"},
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := cli.LoadConfig(path)
		if c.HooksAnywhere != want.anywhere || (err == nil) != (want.fault == "") || err != nil && !strings.Contains(err.Error(), want.fault) {
			t.Errorf("%q: %v, %v", text, c.HooksAnywhere, err)
		}
	}
}

// beforehand changes the books of a folder before a server opens it.
func beforehand(t *testing.T, dir string, do func(ctx context.Context, tx *store.Tx, s *server.Server) error) {
	t.Helper()
	folder := cli.Folder{Dir: filepath.Join(dir, "maillon-data")}
	secret, err := folder.Secret(true)
	if err != nil {
		t.Fatal(err)
	}
	config, err := cli.LoadConfig("")
	if err != nil {
		t.Fatal(err)
	}
	book, err := config.Book()
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.Open(t.Context(), server.Config{Path: folder.Books(), Secret: secret, Settings: config.Settings, Book: book})
	if err != nil {
		t.Fatal(err)
	}
	err = s.DB.Update(t.Context(), func(tx *store.Tx) error { return do(t.Context(), tx, s) })
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
}
