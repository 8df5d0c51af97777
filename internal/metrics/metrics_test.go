package metrics_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"maillon/internal/courier"
	"maillon/internal/metrics"
	"maillon/internal/money"
	"maillon/internal/phrase"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/sms/smstest"
	"maillon/internal/sms/virtual"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

var yann, lena = number("+33639980012"), number("+33639980013")

func number(text string) sms.Number {
	n, err := sms.FromE164(text)
	if err != nil {
		panic(err)
	}
	return n
}

// An association is a server at work with one gateway, and two members, of whom
// yann has asked something.
type association struct {
	t      *testing.T
	server *server.Server
	phones *virtual.Gateway
	scrape http.Handler
}

func open(t *testing.T) *association {
	t.Helper()
	book, err := phrase.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	a := &association{t: t, phones: virtual.New("phones")}
	a.server, err = server.Open(t.Context(), server.Config{
		Path: filepath.Join(t.TempDir(), "books.db"), Secret: store.Secret{1}, Settings: setting.Default(), Book: book,
		Lines: []courier.Line{{Name: "phones", Gateway: a.phones, Number: "0639980100", Default: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	a.scrape = metrics.Handler(a.server)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.server.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, a.server.Close()); err != nil {
			t.Error(err)
		}
	})
	a.enrol(yann, "yann")
	a.enrol(lena, "lena")
	smstest.Eventually(t, "the network takes an SMS", func() bool {
		return a.phones.Text(t.Context(), yann, "solde", time.Now()) == nil
	})
	smstest.Eventually(t, "the server has the timers", func() bool { return a.server.Duties()["timers"] })
	smstest.Eventually(t, "yann is answered", func() bool { return len(a.phones.Thread(yann)) > 1 })
	return a
}

func (a *association) enrol(n sms.Number, nick string) {
	a.t.Helper()
	err := a.server.DB.Update(a.t.Context(), func(tx *store.Tx) error {
		m, err := a.server.Treasury.Add(a.t.Context(), tx, treasury.Operator, treasury.NewMember{Number: n, Nick: nick})
		if err != nil {
			return err
		}
		_, err = a.server.Treasury.Grant(a.t.Context(), tx, treasury.Operator, nil, m, sms.Number{}, money.New(50, a.server.Settings.Currency()), "dotation")
		return err
	})
	if err != nil {
		a.t.Fatal(err)
	}
}

// metrics returns what Prometheus is told.
func (a *association) metrics() string {
	a.t.Helper()
	answer := httptest.NewRecorder()
	a.scrape.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if answer.Code != http.StatusOK {
		a.t.Fatalf("/metrics: %d %s", answer.Code, answer.Body)
	}
	return answer.Body.String()
}

// tells fails unless a line is told.
func (a *association) tells(text, line string) {
	a.t.Helper()
	if !slices.Contains(strings.Split(text, "\n"), line) {
		a.t.Errorf("not told: %s\n%s", line, text)
	}
}

func TestPrometheusIsToldHowAServerDoes(t *testing.T) {
	a := open(t)
	at := time.Now()
	err := a.server.DB.Update(t.Context(), func(tx *store.Tx) error {
		return errors.Join(tx.SetMoment(t.Context(), store.BackedUpAt, time.Unix(1_800_000_000, 0)), tx.SetPaused(t.Context(), at))
	})
	if err != nil {
		t.Fatal(err)
	}
	text := a.metrics()
	for _, line := range []string{
		"maillon_database_up 1", `maillon_gateway_up{gateway="phones"} 1`, `maillon_gateway_held{gateway="phones"} 1`,
		`maillon_outbox_waiting{gateway="phones",priority="code"} 0`, `maillon_outbox_oldest_seconds{gateway="phones",priority="receipt"} 0`,
		`maillon_inbox_messages_total{fate="received",gateway="phones"} 1`, `maillon_inbox_messages_total{fate="deferred",gateway="phones"} 0`,
		"maillon_store_updates_refused_total 0", "maillon_store_commits_failed_total 0", "maillon_ledger_unbalanced_transactions 0", `maillon_ledger_sum{currency="MAILLON"} 0`,
		"maillon_payments_paused 1", "maillon_backup_timestamp_seconds 1.8e+09", "maillon_verified_timestamp_seconds 0",
		`maillon_duty_held{duty="timers"} 1`,
	} {
		a.tells(text, line)
	}
	for _, some := range []string{
		"maillon_store_commits_total", "maillon_store_commit_seconds_count", `maillon_store_commit_seconds_bucket{le="0.05"}`,
		"maillon_store_batch_updates_sum", "maillon_journal_rows", "maillon_ledger_checked_timestamp_seconds",
	} {
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(some) + ` [1-9]`).MatchString(text) {
			t.Errorf("%s is none:\n%s", some, text)
		}
	}
}

// Whoever reads metrics learns of no member.
func TestMetricsTellNothingOfMembers(t *testing.T) {
	a := open(t)
	text := a.metrics()
	for _, theirs := range []string{yann.E164()[1:], lena.E164()[1:], yann.National(), "639980012", "yann", "lena", "0639980100"} {
		if strings.Contains(text, theirs) {
			t.Errorf("the metrics tell %q", theirs)
		}
	}
	may := []string{"gateway", "priority", "fate", "duty", "currency", "le"}
	for _, line := range regexp.MustCompile(`(?m)^maillon_\w+\{(.*)\}`).FindAllStringSubmatch(text, -1) {
		for _, label := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(line[1], -1) {
			if !slices.Contains(may, label[1]) {
				t.Errorf("a metric has the label %q", label[1])
			}
		}
	}
}

// What cannot be read is told as such, and nobody is kept waiting.
func TestMetricsAreToldWithoutTheDatabase(t *testing.T) {
	book, err := phrase.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.Open(t.Context(), server.Config{Path: store.Memory, Secret: store.Secret{1}, Settings: setting.Default(), Book: book})
	if err != nil {
		t.Fatal(err)
	}
	a := &association{t: t, server: s, scrape: metrics.Handler(s)}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	text := a.metrics()
	a.tells(text, "maillon_database_up 0")
	if strings.Contains(text, "maillon_journal_rows ") || strings.Contains(text, "maillon_ledger_sum{") {
		t.Errorf("told of a database that is away:\n%s", text)
	}
}

var (
	named = regexp.MustCompile(`\b(?:maillon|go|process)_[a-z_]+`)
	typed = regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`)
	parts = regexp.MustCompile(`_(bucket|sum|count)$`)
)

// exported returns the metrics that are told; those of a histogram by its name.
func (a *association) exported() (kinds map[string]string) {
	kinds = map[string]string{}
	for _, found := range typed.FindAllStringSubmatch(a.metrics(), -1) {
		kinds[found[1]] = found[2]
	}
	return kinds
}

// What the dashboard draws and the rules watch is there, and what is told is drawn.
func TestTheDashboardAndTheRulesKnowTheMetrics(t *testing.T) {
	a := open(t)
	kinds := a.exported()
	drawn := map[string]bool{}
	for _, path := range []string{"grafana/maillon.json", "prometheus/maillon.rules.yml"} {
		text, err := os.ReadFile(filepath.Join("../../packaging", path))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range named.FindAllString(string(text), -1) {
			whole := name
			if kinds[name] == "" {
				whole = parts.ReplaceAllString(name, "")
			}
			if kinds[whole] == "" || whole != name && kinds[whole] != "histogram" {
				t.Errorf("%s names %s, which is not told", path, name)
			}
			drawn[whole] = drawn[whole] || strings.HasSuffix(path, ".json")
		}
	}
	for name := range kinds {
		if strings.HasPrefix(name, "maillon_") && !drawn[name] {
			t.Errorf("the dashboard does not draw %s", name)
		}
	}
}
