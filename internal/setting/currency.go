package setting

import (
	"strings"

	"golang.org/x/text/currency"

	"maillon/internal/money"
)

// CurrencyOf returns the currency with a code: one of the association's units, or
// one of the world, ISO 4217, with the decimals that are usual; false if there is
// none.
func (s *Settings) CurrencyOf(code string) (money.Currency, bool) {
	for _, u := range s.Units {
		if c := u.Currency(); strings.EqualFold(c.Code, code) {
			return c, true
		}
	}
	unit, err := currency.ParseISO(code)
	if err != nil {
		return money.Currency{}, false
	}
	decimals, _ := currency.Standard.Rounding(unit)
	if decimals < 0 || decimals > money.MaxDecimals {
		return money.Currency{}, false
	}
	return money.Currency{Code: unit.String(), Decimals: uint8(decimals)}, true //nolint:gosec // within MaxDecimals
}
