package webhook_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"maillon/internal/webhook"
)

// The vector that implementations of Standard Webhooks share.
const (
	vectorSecret    = webhook.Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	vectorID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorTime      = 1614265330
	vectorBody      = `{"test": 2432232314}`
	vectorSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func TestSignaturesAreThoseOfStandardWebhooks(t *testing.T) {
	at := time.Unix(vectorTime, 0)
	got, err := vectorSecret.Sign(vectorID, at, []byte(vectorBody))
	if err != nil || got != vectorSignature {
		t.Errorf("signed %s, %v", got, err)
	}
	for name, c := range map[string]struct {
		id, at, signature, body string
		now                     time.Time
		want                    error
	}{
		"good":                  {vectorID, "1614265330", vectorSignature, vectorBody, at, nil},
		"good, beside others":   {vectorID, "1614265330", "v1a,AAAA v1,AAAA " + vectorSignature, vectorBody, at, nil},
		"five minutes late":     {vectorID, "1614265330", vectorSignature, vectorBody, at.Add(webhook.Tolerance), nil},
		"later":                 {vectorID, "1614265330", vectorSignature, vectorBody, at.Add(webhook.Tolerance + time.Second), webhook.ErrTime},
		"too early":             {vectorID, "1614265330", vectorSignature, vectorBody, at.Add(-webhook.Tolerance - time.Second), webhook.ErrTime},
		"another ID":            {vectorID + "x", "1614265330", vectorSignature, vectorBody, at, webhook.ErrSignature},
		"another time":          {vectorID, "1614265331", vectorSignature, vectorBody, at, webhook.ErrSignature},
		"another body":          {vectorID, "1614265330", vectorSignature, vectorBody + " ", at, webhook.ErrSignature},
		"no signature":          {vectorID, "1614265330", "", vectorBody, at, webhook.ErrSignature},
		"of another kind":       {vectorID, "1614265330", strings.Replace(vectorSignature, "v1", "v2", 1), vectorBody, at, webhook.ErrSignature},
		"no time":               {vectorID, "yesterday", vectorSignature, vectorBody, at, webhook.ErrSignature},
		"a signature cut short": {vectorID, "1614265330", vectorSignature[:20], vectorBody, at, webhook.ErrSignature},
	} {
		if err := vectorSecret.Verify(c.id, c.at, c.signature, []byte(c.body), c.now); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestASecretHasItsForm(t *testing.T) {
	seen := map[webhook.Secret]bool{}
	for range 100 {
		s := webhook.NewSecret()
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(string(s), "whsec_"))
		if err != nil || len(raw) != 32 || seen[s] {
			t.Fatalf("a secret of %d octets, seen before: %v, %v", len(raw), seen[s], err)
		}
		seen[s] = true
	}
	for _, text := range []string{"", "whsec_", "whsec_short", "whsec_" + strings.Repeat("A", 28), "whsec_" + strings.Repeat("A", 92), "whsec_!" + strings.Repeat("A", 39)} {
		if _, err := webhook.Secret(text).Sign("evt_1", time.Now(), nil); !errors.Is(err, webhook.ErrSecret) {
			t.Errorf("a secret of %d letters signs: %v", len(text), err)
		}
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("made", "secret", vectorSecret)
	if strings.Contains(log.String(), "MfKQ9r8") {
		t.Errorf("the log says %s", &log)
	}
}
