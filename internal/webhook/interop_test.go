package webhook_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"maillon/internal/store"
	"maillon/internal/webhook"
)

// The library that Standard Webhooks publishes for JavaScript takes what we sign,
// with the secret of before and with the new one while both are good, and nothing
// that was changed on the way.
func TestTheirLibraryTakesWhatWeSign(t *testing.T) {
	const folder = "testdata/standardwebhooks"
	_, missing := os.Stat(filepath.Join(folder, "node_modules", "standardwebhooks"))
	node, err := exec.LookPath("node")
	if missing != nil || err != nil {
		if os.Getenv("MAILLON_REAL") != "" {
			t.Fatalf("node and standardwebhooks are needed: %v, %v", err, missing)
		}
		t.Skip("needs node, and npm ci in " + folder)
	}
	s := &shop{}
	h := open(t, webhook.Options{})
	h.opts.Client = webhook.NewClient(webhook.Anywhere)
	h.opts.Client.Transport = s
	p, before := h.endpoint(souk, shopURL)
	var after webhook.Secret
	h.update(func(ctx context.Context, tx *store.Tx) (err error) {
		after, err = webhook.Rotate(ctx, tx, "operator", &p, time.Hour)
		return err
	})
	h.emit(souk, "claim.honoured", "clm_1, é")
	stop := h.run()
	h.attempt(p)
	stop()
	c := s.all("")[0]
	headers := map[string]string{}
	for name := range c.header {
		headers[strings.ToLower(name)] = c.header.Get(name)
	}
	change := func(name, value string) map[string]string {
		with := map[string]string{}
		for k, v := range headers {
			with[k] = v
		}
		with[name] = value
		return with
	}
	old := time.Now().Add(-10 * time.Minute)
	signedThen, err := after.Sign("evt_1", old, c.body)
	if err != nil {
		t.Fatal(err)
	}
	stale := map[string]string{"webhook-id": "evt_1", "webhook-timestamp": strconv.FormatInt(old.Unix(), 10), "webhook-signature": signedThen}
	var in strings.Builder
	var want []string
	for _, m := range []struct {
		secret  webhook.Secret
		headers map[string]string
		body    string
		want    string
	}{
		{before, headers, string(c.body), "taken"},
		{after, headers, string(c.body), "taken"},
		{webhook.NewSecret(), headers, string(c.body), "No matching signature found"},
		{after, headers, string(c.body) + " ", "No matching signature found"},
		{after, change("webhook-id", "evt_99"), string(c.body), "No matching signature found"},
		{after, change("webhook-timestamp", strconv.FormatInt(time.Now().Add(time.Minute).Unix(), 10)), string(c.body), "No matching signature found"},
		{after, stale, string(c.body), "Message timestamp too old"},
		{vectorSecret, map[string]string{"webhook-id": vectorID, "webhook-timestamp": "1614265330", "webhook-signature": vectorSignature}, vectorBody, "Message timestamp too old"},
	} {
		line, err := json.Marshal(map[string]any{"secret": string(m.secret), "headers": m.headers, "body": m.body})
		if err != nil {
			t.Fatal(err)
		}
		in.Write(append(line, '\n'))
		want = append(want, m.want)
	}
	judge := exec.CommandContext(t.Context(), node, "verify.mjs")
	judge.Dir, judge.Stdin, judge.Stderr = folder, strings.NewReader(in.String()), os.Stderr
	out, err := judge.Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(string(out)); got != strings.Join(want, "\n") {
		t.Errorf("their library says\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}
