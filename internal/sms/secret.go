package sms

import (
	"fmt"
	"log/slog"
)

// redacted is what a secret shows of itself.
const redacted = "[redacted]"

// A Secret is a password or key of a gateway. Printed or logged, in whatever
// structure and whatever way, it does not show; only Reveal gives it.
type Secret struct{ value string }

// NewSecret keeps value.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return s.value }

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.value == "" }

// LogValue hides the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// Format hides the secret whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// MarshalText hides the secret from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
