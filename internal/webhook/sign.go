package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// The headers of Standard Webhooks.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

// secretPrefix begins a secret, and secretLen is how long those are that we draw.
const (
	secretPrefix  = "whsec_"
	secretLen     = 32
	secretLeast   = 24
	secretMost    = 64
	signatureKind = "v1"
)

// Tolerance is how far a message's time may be from the receiver's.
const Tolerance = 5 * time.Minute

var (
	// ErrSecret means that a text is no secret.
	ErrSecret = errors.New("a secret is whsec_ and the base64 of 24 to 64 octets")
	// ErrSignature means that a message was not signed with the secret.
	ErrSignature = errors.New("the signature is not that of the secret")
	// ErrTime means that a message is too old, or from the future.
	ErrTime = errors.New("the time of the message is too far from ours")
)

// A Secret is what an endpoint and we know, and nobody else. It shows itself in
// no log.
type Secret string

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue("secret") }

// NewSecret draws a secret.
func NewSecret() Secret {
	b := make([]byte, secretLen)
	_, _ = rand.Read(b) // it never fails
	return Secret(secretPrefix + base64.StdEncoding.EncodeToString(b))
}

func (s Secret) key() ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(string(s), secretPrefix))
	if err != nil || len(key) < secretLeast || len(key) > secretMost {
		return nil, ErrSecret
	}
	return key, nil
}

// Sign returns the signature of a message, as it stands in its header.
func (s Secret) Sign(id string, at time.Time, body []byte) (string, error) {
	key, err := s.key()
	if err != nil {
		return "", err
	}
	return signatureKind + "," + base64.StdEncoding.EncodeToString(signed(key, id, strconv.FormatInt(at.Unix(), 10), body)), nil
}

func signed(key []byte, id, timestamp string, body []byte) []byte {
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write([]byte(id + "." + timestamp + "."))
	_, _ = mac.Write(body)
	return mac.Sum(nil)
}

// Verify reports whether a message was signed with the secret, and lately: what
// a receiver does. The three texts are its headers.
func (s Secret) Verify(id, timestamp, signatures string, body []byte, now time.Time) error {
	key, err := s.key()
	if err != nil {
		return err
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || id == "" {
		return ErrSignature
	}
	want := signed(key, id, timestamp, body)
	found := false
	for _, one := range strings.Fields(signatures) {
		kind, text, _ := strings.Cut(one, ",")
		got, err := base64.StdEncoding.DecodeString(text)
		if kind == signatureKind && err == nil && hmac.Equal(got, want) {
			found = true
		}
	}
	if !found {
		return ErrSignature
	}
	if now.Sub(time.Unix(seconds, 0)).Abs() > Tolerance {
		return ErrTime
	}
	return nil
}
