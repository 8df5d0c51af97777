package cli_test

import (
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"maillon/internal/store/pgtest"
)

// says fails unless a server answers so.
func (p *process) says(path string, status int, words string) {
	p.t.Helper()
	if got, body := p.ask(http.MethodGet, path, nil); got != status || !strings.Contains(body, words) {
		p.t.Errorf("%s: %d %q, want %d %q", path, got, body, status, words)
	}
}

// becomes waits until a server answers with a status.
func (p *process) becomes(path string, status int) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		got, body := p.ask(http.MethodGet, path, nil)
		if got == status {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s: %d %q, and never %d", path, got, body, status)
		}
	}
}

// metrics returns what Prometheus is told.
func (p *process) metrics() string {
	p.t.Helper()
	found := regexp.MustCompile(`Metrics are at (http://\S+)/metrics\.`).FindStringSubmatch(p.said)
	if found == nil {
		p.t.Fatalf("serve does not say where its metrics are: %s", p.said)
	}
	status, text := (&process{t: p.t, url: found[1], client: p.client}).ask(http.MethodGet, "/metrics", nil)
	if status != http.StatusOK {
		p.t.Fatalf("/metrics: %d %s", status, text)
	}
	return text
}

// Told to stop, a server says at once that nothing more should be sent to it,
// and still answers what is.
func TestAServerThatStopsSaysSoFirst(t *testing.T) {
	p := serve(t, t.TempDir(), "--drain", "2s")
	for _, path := range []string{"/livez", "/readyz", "/healthz"} {
		p.says(path, http.StatusOK, "ok")
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	p.becomes("/readyz", http.StatusServiceUnavailable)
	if took := time.Since(began); took > time.Second {
		t.Errorf("said %v after SIGTERM", took)
	}
	p.says("/readyz", http.StatusServiceUnavailable, "stopping")
	p.says("/healthz", http.StatusServiceUnavailable, "stopping")
	p.says("/livez", http.StatusOK, "ok")
	if text := p.page(); !strings.Contains(text, "yann") {
		t.Error("what is asked meanwhile is not answered")
	}
	if status := p.waits(); status != 0 || time.Since(began) < 2*time.Second {
		t.Errorf("ended after %v with status %d: %s", time.Since(began), status, &p.stderr)
	}
	refused(t, t.TempDir(), 2, "0s to 30s", "serve", "--drain", "1h")
}

// A gateway that is down keeps nobody from being heard by another, but is told.
func TestAGatewayThatIsDownLeavesAServerReady(t *testing.T) {
	dir := shared(t, "postgres://maillon@127.0.0.1:1/maillon")
	config := alone(t, dir)
	p := serve(t, dir, "--config", config)
	p.says("/readyz", http.StatusOK, "ok")
	p.says("/healthz", http.StatusServiceUnavailable, "gateway kannel is down")
}

// Without its database a server lives, and is not ready, until it is back.
func TestAServerIsReadyWhileItsDatabaseIs(t *testing.T) {
	db := pgtest.Start(t)
	dir := shared(t, db.New(t))
	p := serve(t, dir, "--config", filepath.Join(dir, "maillon.toml"), "--metrics", "127.0.0.1:0")
	p.says("/readyz", http.StatusOK, "ok")
	if text := p.metrics(); !strings.Contains(text, "\nmaillon_database_up 1\n") {
		t.Errorf("the metrics tell\n%s", text)
	}
	p.says("/metrics", http.StatusNotFound, "")

	for _, away := range []struct {
		how        string
		goes, back func(testing.TB)
	}{{"stopped", db.Stop, db.Start}, {"paused", db.Pause, db.Resume}} {
		away.goes(t)
		p.becomes("/readyz", http.StatusServiceUnavailable)
		p.says("/readyz", http.StatusServiceUnavailable, "books cannot be written")
		p.says("/livez", http.StatusOK, "ok")
		tells := func(line string) {
			t.Helper()
			for deadline := time.Now().Add(patience); !strings.Contains(p.metrics(), "\n"+line+"\n"); time.Sleep(100 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%s: not told: %s\n%s", away.how, line, p.metrics())
				}
			}
		}
		tells("maillon_database_up 0")
		away.back(t)
		p.becomes("/readyz", http.StatusOK)
		tells("maillon_database_up 1")
	}
	if status := p.end(syscall.SIGTERM); status != 0 {
		t.Errorf("ended with %d: %s", status, &p.stderr)
	}
}

// Prometheus is told when the books were copied and proven last: that nobody
// ever did either, too.
func TestPrometheusIsToldOfBackupsAndProofs(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	p := serve(t, dir, "--data", "data", "--metrics", "127.0.0.1:0")
	since := func(what string) float64 {
		t.Helper()
		found := regexp.MustCompile(`(?m)^maillon_` + what + `_timestamp_seconds (\S+)$`).FindStringSubmatch(p.metrics())
		if found == nil {
			t.Fatalf("nothing is told of %s:\n%s", what, p.metrics())
		}
		at, err := strconv.ParseFloat(found[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	if at, proof := since("backup"), since("verified"); at != 0 || proof != 0 {
		t.Errorf("told of a backup at %v and a proof at %v, and there was none", at, proof)
	}
	began := float64(time.Now().Add(-time.Second).Unix())
	for _, args := range [][]string{{"backup", filepath.Join(dir, "copies")}, {"verify"}} {
		if status, said := run(t, append(args, "--data", data)...); status != 0 || strings.Contains(said, "do not know") {
			t.Fatalf("%v: %d %s", args, status, said)
		}
	}
	for _, what := range []string{"backup", "verified"} {
		for deadline := time.Now().Add(patience); since(what) < began; time.Sleep(100 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("told of %s: %v, want after %v", what, since(what), began)
			}
		}
	}
	if status, said := run(t, "verify", "--data", data); status != 0 {
		t.Errorf("the books with those times are not proven: %d %s", status, said)
	}
}
