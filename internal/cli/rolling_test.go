package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"maillon/internal/store/pgtest"
)

// A balancer sends requests to servers whose /readyz was good a moment ago.
type balancer struct {
	key    string
	client http.Client

	mu      sync.Mutex // held to read or change what follows
	servers [2]string  // addresses
	ready   [2]bool
	next    int
}

// watch looks whether server n is ready, again and again.
func (b *balancer) watch(ctx context.Context, n int) {
	for ; ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		b.mu.Lock()
		url := b.servers[n]
		b.mu.Unlock()
		answer, err := b.client.Get(url + "/readyz")
		good := err == nil && answer.StatusCode == http.StatusOK
		if err == nil {
			_ = answer.Body.Close()
		}
		b.mu.Lock()
		b.ready[n] = good && b.servers[n] == url
		b.mu.Unlock()
	}
}

func (b *balancer) set(n int, url string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.servers[n], b.ready[n] = url, false
}

func (b *balancer) is(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ready[n]
}

// pick returns a server that is ready, "" if none is.
func (b *balancer) pick() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range b.servers {
		if b.next = 1 - b.next; b.ready[b.next] {
			return b.servers[b.next]
		}
	}
	return ""
}

// ask asks a server, and returns an error if it did not answer.
func (b *balancer) ask(method, url, body, name string) (status int, text string, err error) {
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	r.Header = http.Header{"Authorization": {"Bearer " + b.key}, "Content-Type": {"application/json"}, "Idempotency-Key": {name}}
	answer, err := b.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = answer.Body.Close() }()
	said, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(said), err
}

// Two servers are restarted one after the other while somebody pays through
// both: each says first that it stops, so that nobody meets a closed door, and
// every payment is in the books once.
func TestARollingRestartLosesAndDoublesNothing(t *testing.T) {
	dir := shared(t, pgtest.New(t))
	config := filepath.Join(dir, "maillon.toml")
	start := func() *process { return serve(t, dir, "--config", config, "--drain", "2s") }
	servers := [2]*process{start(), start()}
	b := &balancer{client: http.Client{Timeout: patience}}
	must := func(args ...string) string {
		t.Helper()
		status, said := run(t, append(args, "--config", config)...)
		if status != 0 {
			t.Fatalf("%v: %d %s", args, status, said)
		}
		return said
	}
	must("member", "add", "--number", yann.E164(), "--nick", "yann")
	must("member", "add", "--number", lena.E164(), "--nick", "lena")
	const begun = 100_000
	must("credit", "yann", fmt.Sprint(begun), "atelier")
	must("credit", "lena", "7", "atelier")
	for _, word := range strings.Fields(must("key", "add", "till", "--scope", "read,transfer")) {
		if strings.HasPrefix(word, "maillon_") {
			b.key = word
		}
	}
	accounts := func() map[string]int64 { // by ID
		t.Helper()
		status, text, err := b.ask(http.MethodGet, servers[0].url+"/v1/accounts", "", "")
		var all struct {
			Data []struct {
				ID      string `json:"id"`
				Balance int64  `json:"balance"`
			} `json:"data"`
		}
		if err != nil || status != http.StatusOK || json.Unmarshal([]byte(text), &all) != nil {
			t.Fatalf("accounts: %d %s %v", status, text, err)
		}
		found := map[string]int64{}
		for _, a := range all.Data {
			found[a.ID] = a.Balance
		}
		return found
	}
	var from, to string
	for id, balance := range accounts() {
		switch balance {
		case begun:
			from = id
		case 7:
			to = id
		}
	}

	ctx, stop := context.WithCancel(t.Context())
	var working sync.WaitGroup
	for n, p := range servers {
		b.set(n, p.url)
		working.Go(func() { b.watch(ctx, n) })
	}
	var paid [2]int
	for who := range paid {
		working.Go(func() {
			for n := 0; ctx.Err() == nil; {
				url := b.pick()
				if url == "" {
					time.Sleep(10 * time.Millisecond)
					continue
				}
				name, order := fmt.Sprintf("till-%d-%d", who, n), fmt.Sprintf(`{"from": %q, "to": %q, "amount": 1, "currency": "MAILLON"}`, from, to)
				status, text, err := b.ask(http.MethodPost, url+"/v1/transfers", order, name)
				switch {
				case err != nil:
					t.Errorf("a server that said it was ready did not answer: %v", err)
				case status == http.StatusCreated || status == http.StatusOK:
					n++
					paid[who] = n
				case status < 500: // else with the same name again
					t.Errorf("a transfer: %d %s", status, text)
					return
				}
			}
		})
	}
	for n, p := range servers {
		for deadline := time.Now().Add(patience); !b.is(0) || !b.is(1); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("two servers are not ready")
			}
		}
		time.Sleep(300 * time.Millisecond)
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		p.becomes("/readyz", http.StatusServiceUnavailable)
		if status := p.waits(); status != 0 {
			t.Errorf("a server ended with %d: %s", status, &p.stderr)
		}
		servers[n] = start()
		b.set(n, servers[n].url)
	}
	time.Sleep(300 * time.Millisecond)
	stop()
	working.Wait()

	all := accounts()
	sum := int64(paid[0] + paid[1])
	if sum == 0 || all[to] != 7+sum || all[from] != begun-sum {
		t.Errorf("%d payments were acknowledged; the accounts are %v", sum, all)
	}
	t.Logf("%d payments through two servers that were restarted", sum)
	must("verify")
}
