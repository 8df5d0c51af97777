package sms

import (
	"errors"
	"fmt"
	"log/slog"
	"net/mail"
	"strings"

	"golang.org/x/net/idna"
)

// ErrNotAddress means that a text is not an e-mail address that can be written
// to.
var ErrNotAddress = errors.New("not an e-mail address")

// maxAddress bounds an e-mail address, in octets (RFC 5321, 4.5.3.1.3).
const maxAddress = 254

// An Address is an e-mail address as it is compared: in small letters, its
// domain in ASCII. The zero Address is none. Printed or logged, it masks itself;
// only Text gives it whole.
type Address struct{ local, domain string }

// ParseAddress reads an e-mail address as people write it, without a name
// around. Anything else is ErrNotAddress, as are addresses in quotes, on bare
// hosts and on numbers of hosts; the error does not repeat text.
func ParseAddress(text string) (Address, error) {
	wrong := fmt.Errorf("parse address: %w", ErrNotAddress)
	local, domain, ok := strings.Cut(strings.TrimSpace(text), "@")
	if !ok || len(text) > maxAddress {
		return Address{}, wrong
	}
	domain, err := idna.Lookup.ToASCII(strings.ToLower(domain))
	if err != nil || !strings.Contains(strings.Trim(domain, "."), ".") || len(local)+1+len(domain) > maxAddress {
		return Address{}, wrong
	}
	a := Address{strings.ToLower(local), domain}
	if strings.ContainsFunc(local, func(r rune) bool { return r > '~' || r <= ' ' }) {
		return Address{}, wrong
	}
	if read, err := mail.ParseAddress(a.Text()); err != nil || read.Address != a.Text() {
		return Address{}, wrong
	}
	return a, nil
}

// Text returns the whole address: "lena@example.org".
func (a Address) Text() string {
	if a.IsZero() {
		return ""
	}
	return a.local + "@" + a.domain
}

// Domain returns what stands after the "@".
func (a Address) Domain() string { return a.domain }

// Masked returns what another person may see of a: "l**@example.org".
func (a Address) Masked() string {
	if a.IsZero() {
		return ""
	}
	return a.local[:1] + "**@" + a.domain
}

// IsZero reports whether a is no address.
func (a Address) IsZero() bool { return a == Address{} }

// String returns the masked address, so that none is printed by accident.
func (a Address) String() string { return a.Masked() }

// Format prints the masked address whatever the verb.
func (a Address) Format(f fmt.State, _ rune) { fmt.Fprint(f, a.Masked()) }

// LogValue returns the masked address, so that none is logged by accident.
func (a Address) LogValue() slog.Value { return slog.StringValue(a.Masked()) }
