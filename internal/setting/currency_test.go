package setting_test

import (
	"testing"

	"maillon/internal/money"
	"maillon/internal/setting"
)

func TestACurrencyIsOursOrTheWorlds(t *testing.T) {
	s := setting.Default()
	own := s.Currency()
	for code, want := range map[string]money.Currency{
		own.Code: own, "MAD": {Code: "MAD", Decimals: 2}, "mad": {Code: "MAD", Decimals: 2}, "JPY": {Code: "JPY"}, "TND": {Code: "TND", Decimals: 3},
		"": {}, "ZZZ": {}, "MADX": {},
	} {
		if got, ok := s.CurrencyOf(code); got != want || ok != (want.Code != "") {
			t.Errorf("CurrencyOf(%q) = %v, %v, want %v", code, got, ok, want)
		}
	}
}
