// Package otp makes and checks the codes by which a stall without network knows
// that it was paid: GNU Taler's, bit for bit, and our own, which begins with a
// number that no other payment of the moment has.
//
// A code belongs to the time of the payment, never to the time at which it is
// asked for. All is in docs/protocol/stall.md, with vectors for other programs
// in testdata/vectors.json. Nothing here reads a clock or keeps anything.
package otp

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // RFC 6238 and GNU Taler have it, and all devices do
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"strings"
	"time"

	"maillon/internal/money"
)

// An Algorithm says what codes are made of.
type Algorithm string

// The algorithms.
const (
	Numbered Algorithm = "numbered"   // time, number and price; a code is good once
	Plain    Algorithm = "totp"       // time alone: RFC 6238, for any authenticator of eight digits
	Priced   Algorithm = "totp_price" // time and price, GNU Taler's
)

// Algorithms are those there are, the default first.
var Algorithms = []Algorithm{Numbered, Plain, Priced}

// Shape of codes.
const (
	Step    = 30 * time.Second // for which a code is made
	Digits  = 8                // of a code; of a numbered one the first two are its number
	Numbers = 100              // that payments of one stall may have at a time

	numberDigits = 2
	macDigits    = Digits - numberDigits
)

// Bounds of keys, in octets.
const (
	NewKeyLen = 32
	MinKeyLen = 10
	MaxKeyLen = 64

	maxPadding = 2 // signs "=" after a key
	derivedLen = 64
)

// Bounds of a price as GNU Taler writes it.
const (
	maxCurrency  = 11 // letters; one octet of twelve ends it
	maxDecimals  = 8
	amountOctets = 8 + 4 + maxCurrency + 1
)

var (
	// ErrKey means that a text is no key in base32.
	ErrKey = errors.New("not a key: letters A to Z and digits 2 to 7, 16 to 103 of them")
	// ErrCurrency means that GNU Taler cannot write a currency.
	ErrCurrency = errors.New("codes with a price have no room for this currency: at most 11 letters and 8 decimals")
	// ErrPrice means that a price is negative, where codes are made of it.
	ErrPrice = errors.New("a price is not negative")
)

// A Key is what a stall's device and the server share. It shows itself in no log.
type Key []byte

// LogValue implements slog.LogValuer.
func (Key) LogValue() slog.Value { return slog.StringValue("[key]") }

// String shows nothing.
func (Key) String() string { return "[key]" }

// NewKey draws a key.
func NewKey() Key {
	k := make(Key, NewKeyLen)
	rand.Read(k) //nolint:errcheck,gosec // it never fails, or ends the program
	return k
}

// ParseKey reads a key in base32, RFC 3548, as GNU Taler does: in small letters
// as well, with up to two signs "=" at the end, and bits that fill no octet left
// out.
func ParseKey(s string) (Key, error) {
	for range maxPadding {
		s = strings.TrimSuffix(s, "=")
	}
	var (
		k    Key
		bits uint
		have uint
	)
	for _, r := range s {
		var five uint
		switch {
		case r >= 'A' && r <= 'Z':
			five = uint(r - 'A')
		case r >= 'a' && r <= 'z':
			five = uint(r - 'a')
		case r >= '2' && r <= '7':
			five = uint(r-'2') + 26
		default:
			return nil, ErrKey
		}
		bits, have = bits<<5|five, have+5
		if have >= 8 {
			have -= 8
			k = append(k, byte(bits>>have)) //nolint:gosec // the octet that is full
		}
		if len(k) > MaxKeyLen {
			return nil, ErrKey
		}
	}
	if len(k) < MinKeyLen {
		return nil, ErrKey
	}
	return k, nil
}

// Base32 writes the key as ParseKey and authenticators read it.
func (k Key) Base32() string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(k)
}

// Known reports whether a is an algorithm.
func (a Algorithm) Known() bool { return a == Numbered || a == Plain || a == Priced }

// Window returns how many steps a code may be from a device's clock, either way.
func (a Algorithm) Window() int64 {
	if a == Numbered {
		return 4
	}
	return 2
}

// Fits says ErrCurrency if codes of a cannot have prices in a currency.
func (a Algorithm) Fits(c money.Currency) error {
	if a == Priced && (len(c.Code) > maxCurrency || c.Decimals > maxDecimals) {
		return ErrCurrency
	}
	return nil
}

// StepOf returns the step that a moment is in.
func StepOf(at time.Time) int64 {
	s := at.Unix()
	if s < 0 {
		return 0 // before all codes
	}
	return s / int64(Step/time.Second)
}

// Price writes a price as numbered codes have it: "MAD:5.00", with all the
// decimals of its currency.
func Price(a money.Amount) string { return a.Currency().Code + ":" + a.Plain() }

// Code returns the eight digits of a payment: made in a step, of a price, with
// the number that it was given; number matters to numbered codes alone.
func (a Algorithm) Code(k Key, step int64, number int, price money.Amount) (string, error) {
	switch a {
	case Numbered:
		if price.Sign() < 0 {
			return "", ErrPrice
		}
		nn := fmt.Sprintf("%0*d", numberDigits, number%Numbers)
		return nn + truncate(mac(sha256.New, k, step, nn+Price(price)), macDigits), nil
	case Priced:
		derived, err := k.priced(price)
		if err != nil {
			return "", err
		}
		return truncate(mac(sha1.New, derived, step, ""), Digits), nil
	}
	return truncate(mac(sha1.New, k, step, ""), Digits), nil
}

// Codes returns what GNU Taler tells of a payment, the codes of all steps of the
// window, the oldest first.
func (a Algorithm) Codes(k Key, at time.Time, number int, price money.Amount) (all []string, err error) {
	for off := -a.Window(); off <= a.Window(); off++ {
		code, err := a.Code(k, StepOf(at)+off, number, price)
		if err != nil {
			return nil, err
		}
		all = append(all, code)
	}
	return all, nil
}

// A Mark is what a code that was good is remembered by.
type Mark struct {
	Step int64
	Code string // its eight digits
}

// Number returns the two digits that a numbered code begins with.
func (m Mark) Number() string { return m.Code[:numberDigits] }

// Verify looks for a step in the window around a moment by a device's clock, the
// nearest first, for which a code is the right one. Blanks in the code do not
// matter.
func (a Algorithm) Verify(k Key, code string, at time.Time, price money.Amount) (Mark, bool) {
	code = strings.Join(strings.Fields(code), "")
	if len(code) != Digits || strings.Trim(code, "0123456789") != "" {
		return Mark{}, false
	}
	number := int(code[0]-'0')*10 + int(code[1]-'0')
	for off := range a.Window() + 1 {
		for _, step := range []int64{StepOf(at) - off, StepOf(at) + off} {
			if want, err := a.Code(k, step, number, price); err == nil && hmac.Equal([]byte(want), []byte(code)) {
				return Mark{Step: step, Code: code}, true
			}
		}
	}
	return Mark{}, false
}

// Spaced writes a code for people: "47 120394", or two groups of four.
func (a Algorithm) Spaced(code string) string {
	at := numberDigits
	if a != Numbered {
		at = Digits / 2
	}
	if len(code) <= at {
		return code
	}
	return code[:at] + " " + code[at:]
}

// priced derives the key of a price: HKDF as GNU Taler has it, which extracts
// with SHA-512 and expands with SHA-256.
func (k Key) priced(price money.Amount) (Key, error) {
	salt, err := nbo(price)
	if err != nil {
		return nil, err
	}
	drawn, err := hkdf.Extract(sha512.New, k, salt)
	if err != nil {
		return nil, err
	}
	return hkdf.Expand(sha256.New, drawn, "", derivedLen)
}

// nbo writes a price as GNU Taler's TALER_AmountNBO: whole units,
// hundred-millionths, the currency.
func nbo(a money.Amount) ([]byte, error) {
	c := a.Currency()
	if err := Priced.Fits(c); err != nil {
		return nil, err
	}
	if a.Sign() < 0 {
		return nil, ErrPrice
	}
	unit, hundredMillionths := int64(1), int64(1)
	for range c.Decimals {
		unit *= 10
	}
	for range maxDecimals - c.Decimals {
		hundredMillionths *= 10
	}
	octets := make([]byte, amountOctets)
	binary.BigEndian.PutUint64(octets, uint64(a.Minor()/unit))                       //nolint:gosec // not negative
	binary.BigEndian.PutUint32(octets[8:], uint32(a.Minor()%unit*hundredMillionths)) //nolint:gosec // below 10^8
	copy(octets[12:], c.Code)
	return octets, nil
}

// mac authenticates a step and what belongs to it.
func mac(kind func() hash.Hash, k Key, step int64, rest string) []byte {
	h := hmac.New(kind, k)
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(step))) //nolint:gosec // a step is not negative
	h.Write([]byte(rest))
	return h.Sum(nil)
}

// truncate takes decimal digits out of a code of authentication, RFC 4226: the
// low half of its last octet says where four octets are, without their sign.
func truncate(mac []byte, digits int) string {
	at := mac[len(mac)-1] & 15
	n := binary.BigEndian.Uint32(mac[at:at+4]) & 0x7fffffff
	mod := uint32(1)
	for range digits {
		mod *= 10
	}
	return fmt.Sprintf("%0*d", digits, n%mod)
}
