package cli_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"maillon/internal/auth"
)

// A program gets a key beside the running server, and loses it again.
func TestAKeyOpensTheAPI(t *testing.T) {
	dir := t.TempDir()
	p := serve(t, dir)
	if status, body := p.ask(http.MethodGet, "/v1/accounts", nil); status != http.StatusUnauthorized || !strings.Contains(body, `"code":"unauthorized"`) {
		t.Errorf("without a key: %d %s", status, body)
	}
	token, err := maillon(t, dir, "key", "add", "till", "--scope", "read").Output()
	if err != nil {
		t.Fatal(err)
	}
	key := strings.TrimSpace(string(token))
	status, body := p.ask(http.MethodGet, "/v1/accounts?limit=1", nil, "Authorization", "Bearer "+key)
	if status != http.StatusOK || !strings.Contains(body, `"id":"acc_`) {
		t.Errorf("with a key: %d %s", status, body)
	}
	if out, err := maillon(t, dir, "key", "revoke", regexp.MustCompile(`[0-9a-f]{16}`).FindString(key)).CombinedOutput(); err != nil {
		t.Fatalf("revoke: %v\n%s", err, out)
	}
	time.Sleep(auth.RevokedWithin)
	if status, body := p.ask(http.MethodGet, "/v1/accounts", nil, "Authorization", "Bearer "+key); status != http.StatusUnauthorized {
		t.Errorf("with a revoked key: %d %s", status, body)
	}
}
