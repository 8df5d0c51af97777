package sms

import "fmt"

// The bounds of E.164: no country has numbers of fewer than seven digits that
// can be called from abroad, and none has more than fifteen.
const (
	minDigits = 7
	maxDigits = 15
)

// FromE164 returns the number that s writes in E.164 form: "+", a first digit
// other than 0, and 7 to 15 ASCII digits in all. Anything else is ErrNotNumber;
// the error does not repeat s.
func FromE164(s string) (Number, error) {
	if len(s) < 1+minDigits || len(s) > 1+maxDigits || s[0] != '+' || s[1] == '0' {
		return Number{}, fmt.Errorf("E.164: %w", ErrNotNumber)
	}
	for i := 1; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return Number{}, fmt.Errorf("E.164: %w", ErrNotNumber)
		}
	}
	return Number{e164: s}, nil
}
