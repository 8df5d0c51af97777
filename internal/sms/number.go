package sms

import (
	"errors"
	"log/slog"
)

// ErrNotNumber means that a sender or a text is not a telephone number that an
// SMS can be written to: letters, a short code, too few digits.
var ErrNotNumber = errors.New("not a telephone number")

// A Number is an MSISDN in E.164 form (ITU-T E.164: "+" and at most 15
// digits). The zero Number is no number. Printed or logged, it masks itself;
// only E164 and National give it whole.
type Number struct{ e164 string }

// E164 returns the whole number: "+33639980012".
func (n Number) E164() string { return n.e164 }

// IsZero reports whether n is no number.
func (n Number) IsZero() bool { return n.e164 == "" }

// String returns the masked number, so that none is printed by accident.
func (n Number) String() string { return n.Masked() }

// LogValue returns the masked number, so that none is logged by accident.
func (n Number) LogValue() slog.Value { return slog.StringValue(n.Masked()) }

// Masked returns what another person may see of n: "06**12" for a French
// number, the first two and last two digits of any other.
func (n Number) Masked() string { panic("to be written") }
