// Package money counts in whole minor units of a named currency, and refuses
// to lose track: an Amount cannot be added with +, and every sum says when it
// would pass the bounds of 64 bits or mix two currencies.
package money

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// MaxDecimals bounds the decimals of a currency, so that one unit always fits
// an int64 with room for nine digits before it.
const MaxDecimals = 6

// MaxDigits bounds the digits of an amount as people write it.
const MaxDigits = 15

var (
	// ErrOverflow means that a sum would leave the 64 bits of an Amount.
	ErrOverflow = errors.New("amount out of range")
	// ErrCurrency means that two amounts of different currencies met.
	ErrCurrency = errors.New("amounts of different currencies")
	// ErrDecimals means that a written amount has more decimals than its currency.
	ErrDecimals = errors.New("more decimals than the currency has")
	// ErrSyntax means that a text is no plain decimal number.
	ErrSyntax = errors.New("not a plain decimal number")
)

// A Currency is a unit of account: its code in upper case ("MAILLON") and how
// many decimals its smallest unit has, from 0 to MaxDecimals.
type Currency struct {
	Code     string
	Decimals uint8
}

// An Amount is a whole number of the smallest unit of one currency; it may be
// negative. The zero Amount is zero of no currency and only equals itself.
type Amount struct {
	minor    int64
	currency Currency
}

// New returns minor smallest units of c.
func New(minor int64, c Currency) Amount { return Amount{minor, c} }

// Minor returns the amount in smallest units.
func (a Amount) Minor() int64 { return a.minor }

// Currency returns the currency of a.
func (a Amount) Currency() Currency { return a.currency }

// IsZero reports whether a is nothing, whatever its currency.
func (a Amount) IsZero() bool { return a.minor == 0 }

// Sign returns -1, 0 or 1.
func (a Amount) Sign() int {
	switch {
	case a.minor < 0:
		return -1
	case a.minor > 0:
		return 1
	}
	return 0
}

// Add returns a + b, or ErrCurrency or ErrOverflow.
func (a Amount) Add(b Amount) (Amount, error) {
	if a.currency != b.currency {
		return Amount{}, fmt.Errorf("%s and %s: %w", a.currency.Code, b.currency.Code, ErrCurrency)
	}
	sum := a.minor + b.minor
	if (sum > a.minor) != (b.minor > 0) && b.minor != 0 {
		return Amount{}, ErrOverflow
	}
	return Amount{sum, a.currency}, nil
}

// Sub returns a - b, or ErrCurrency or ErrOverflow.
func (a Amount) Sub(b Amount) (Amount, error) {
	if a.currency != b.currency {
		return Amount{}, fmt.Errorf("%s and %s: %w", a.currency.Code, b.currency.Code, ErrCurrency)
	}
	diff := a.minor - b.minor
	if (diff < a.minor) != (b.minor > 0) && b.minor != 0 {
		return Amount{}, ErrOverflow
	}
	return Amount{diff, a.currency}, nil
}

// Neg returns -a, or ErrOverflow for the one amount that has no opposite.
func (a Amount) Neg() (Amount, error) {
	if a.minor == math.MinInt64 {
		return Amount{}, ErrOverflow
	}
	return Amount{-a.minor, a.currency}, nil
}

// Cmp returns -1, 0 or 1 as a is less than, equal to or more than b. Amounts
// of different currencies have no order: the program that asks is wrong.
func (a Amount) Cmp(b Amount) int {
	if a.currency != b.currency {
		panic("money: comparison of " + a.currency.Code + " with " + b.currency.Code)
	}
	switch {
	case a.minor < b.minor:
		return -1
	case a.minor > b.minor:
		return 1
	}
	return 0
}

// String returns the amount as a plain decimal with its code: "12.50 HEURE".
func (a Amount) String() string { return a.Plain() + " " + a.currency.Code }

// Plain returns the amount as a plain decimal with all the decimals of its
// currency and a point: "12.50".
func (a Amount) Plain() string {
	digits := strconv.FormatInt(a.minor, 10)
	sign := ""
	if a.minor < 0 {
		sign, digits = "-", digits[1:]
	}
	d := int(a.currency.Decimals)
	if d == 0 {
		return sign + digits
	}
	if len(digits) <= d {
		digits = strings.Repeat("0", d-len(digits)+1) + digits
	}
	return sign + digits[:len(digits)-d] + "." + digits[len(digits)-d:]
}

// A Decimal is an amount as a person wrote it, before its currency is known:
// digits with a number of them after the point. It is never negative.
type Decimal struct {
	digits int64
	scale  uint8
}

// ParseDecimal reads a plain decimal, "50" or "12.5": digits, at most
// MaxDigits of them, with at most one point between two. Zeros at the end of
// the decimals are dropped, so that 12.50 and 12.5 are one Decimal.
func ParseDecimal(s string) (Decimal, error) {
	whole, part, point := strings.Cut(s, ".")
	if whole == "" || point && part == "" {
		return Decimal{}, ErrSyntax
	}
	part = strings.TrimRight(part, "0")
	all := whole + part
	for _, r := range all {
		if r < '0' || r > '9' {
			return Decimal{}, ErrSyntax
		}
	}
	if len(strings.TrimLeft(all, "0")) > MaxDigits || len(part) > MaxDigits {
		return Decimal{}, ErrOverflow
	}
	n, err := strconv.ParseInt(all, 10, 64)
	if err != nil {
		return Decimal{}, ErrOverflow
	}
	return Decimal{n, uint8(len(part))}, nil //nolint:gosec // at most MaxDigits
}

// IsZero reports whether d is nothing.
func (d Decimal) IsZero() bool { return d.digits == 0 }

// String returns d as a plain decimal: "12.5".
func (d Decimal) String() string {
	return Amount{d.digits, Currency{Decimals: d.scale}}.Plain()
}

// In returns d in the currency c, or ErrDecimals if c cannot express it, or
// ErrOverflow.
func (d Decimal) In(c Currency) (Amount, error) {
	if d.scale > c.Decimals {
		return Amount{}, ErrDecimals
	}
	n := d.digits
	for range c.Decimals - d.scale {
		if n > math.MaxInt64/10 {
			return Amount{}, ErrOverflow
		}
		n *= 10
	}
	return Amount{n, c}, nil
}

// Neighbours returns the whole numbers just below and just above d.
func (d Decimal) Neighbours() (below, above int64) {
	below = d.digits
	whole := true
	for range d.scale {
		whole = whole && below%10 == 0
		below /= 10
	}
	if whole {
		return below, below
	}
	return below, below + 1
}
