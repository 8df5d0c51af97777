package money_test

import (
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"maillon/internal/money"
)

var (
	maillon = money.Currency{Code: "MAILLON"}
	heure   = money.Currency{Code: "HEURE", Decimals: 2}
)

// minor draws amounts of which many are near the bounds of 64 bits.
func minor() *rapid.Generator[int64] {
	return rapid.OneOf(rapid.Int64(), rapid.Int64Range(-100, 100),
		rapid.Int64Range(math.MaxInt64-3, math.MaxInt64), rapid.Int64Range(math.MinInt64, math.MinInt64+3))
}

// Sums are right or refused: never wrong.
func TestSumsAreThoseOfBigNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := minor().Draw(t, "a"), minor().Draw(t, "b")
		x, y := money.New(a, maillon), money.New(b, maillon)
		for _, c := range []struct {
			name string
			got  func() (money.Amount, error)
			want *big.Int
		}{
			{"a + b", func() (money.Amount, error) { return x.Add(y) }, new(big.Int).Add(big.NewInt(a), big.NewInt(b))},
			{"a - b", func() (money.Amount, error) { return x.Sub(y) }, new(big.Int).Sub(big.NewInt(a), big.NewInt(b))},
			{"-a", x.Neg, new(big.Int).Neg(big.NewInt(a))},
		} {
			got, err := c.got()
			switch {
			case !c.want.IsInt64() && !errors.Is(err, money.ErrOverflow):
				t.Errorf("%s = %v, %v; want %v", c.name, got, err, money.ErrOverflow)
			case c.want.IsInt64() && (err != nil || got != money.New(c.want.Int64(), maillon)):
				t.Errorf("%s = %v, %v; want %v", c.name, got, err, c.want)
			}
		}
		if got, want := x.Cmp(y), big.NewInt(a).Cmp(big.NewInt(b)); got != want {
			t.Errorf("Cmp = %d, want %d", got, want)
		}
		if got, want := x.Sign(), big.NewInt(a).Sign(); got != want || x.IsZero() != (want == 0) {
			t.Errorf("Sign = %d, IsZero = %v", got, x.IsZero())
		}
	})
}

func TestCurrenciesDoNotMix(t *testing.T) {
	a, b := money.New(1, maillon), money.New(1, heure)
	if _, err := a.Add(b); !errors.Is(err, money.ErrCurrency) {
		t.Errorf("Add: %v", err)
	}
	if _, err := a.Sub(b); !errors.Is(err, money.ErrCurrency) {
		t.Errorf("Sub: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("two currencies have an order")
		}
	}()
	a.Cmp(b)
}

func TestAmountsAreWritten(t *testing.T) {
	for _, c := range []struct {
		minor    int64
		decimals uint8
		want     string
	}{
		{0, 0, "0"},
		{50, 0, "50"},
		{-50, 0, "-50"},
		{0, 2, "0.00"},
		{5, 2, "0.05"},
		{-5, 2, "-0.05"},
		{1250, 2, "12.50"},
		{-1250, 2, "-12.50"},
		{1, 6, "0.000001"},
		{math.MinInt64, 0, "-9223372036854775808"},
		{math.MinInt64, 6, "-9223372036854.775808"},
	} {
		a := money.New(c.minor, money.Currency{Code: "X", Decimals: c.decimals})
		if a.Plain() != c.want || a.String() != c.want+" X" {
			t.Errorf("%d with %d decimals is %q, %q; want %q", c.minor, c.decimals, a.Plain(), a, c.want)
		}
	}
}

// What is written is read as the same amount.
func TestAmountsAreReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := money.Currency{Code: "X", Decimals: uint8(rapid.IntRange(0, money.MaxDecimals).Draw(t, "decimals"))}
		want := money.New(rapid.Int64Range(0, 1e15-1).Draw(t, "minor"), c)
		d, err := money.ParseDecimal(want.Plain())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := d.In(c); err != nil || got != want {
			t.Errorf("%q is read as %v, %v", want.Plain(), got, err)
		}
	})
}

func TestDecimalsAreRead(t *testing.T) {
	for _, c := range []struct {
		text, want   string
		below, above int64
	}{
		{"50", "50", 50, 50},
		{"0", "0", 0, 0},
		{"007", "7", 7, 7},
		{"12.5", "12.5", 12, 13},
		{"12.50", "12.5", 12, 13},
		{"12.00", "12", 12, 12},
		{"0.5", "0.5", 0, 1},
		{"2.05", "2.05", 2, 3},
		{"999999999999999", "999999999999999", 999999999999999, 999999999999999},
	} {
		d, err := money.ParseDecimal(c.text)
		if err != nil || d.String() != c.want {
			t.Errorf("ParseDecimal(%q) = %v, %v; want %s", c.text, d, err, c.want)
			continue
		}
		if below, above := d.Neighbours(); below != c.below || above != c.above {
			t.Errorf("%q lies between %d and %d; want %d and %d", c.text, below, above, c.below, c.above)
		}
	}
	for text, want := range map[string]error{
		"": money.ErrSyntax, ".5": money.ErrSyntax, "5.": money.ErrSyntax, "-5": money.ErrSyntax, "+5": money.ErrSyntax, "5,5": money.ErrSyntax,
		"1e3": money.ErrSyntax, "1.2.3": money.ErrSyntax, " 5": money.ErrSyntax, "٥": money.ErrSyntax,
		"1000000000000000": money.ErrOverflow, "1.0000000000000001": money.ErrOverflow, strings.Repeat("9", 1000): money.ErrOverflow,
	} {
		if d, err := money.ParseDecimal(text); !errors.Is(err, want) {
			t.Errorf("ParseDecimal(%.20q) = %v, %v; want %v", text, d, err, want)
		}
	}
}

func TestADecimalMustFitItsCurrency(t *testing.T) {
	for _, c := range []struct {
		text     string
		currency money.Currency
		want     error
	}{
		{"12.5", maillon, money.ErrDecimals},
		{"12.50", heure, nil},
		{"12.505", heure, money.ErrDecimals},
		{"12.0", maillon, nil},
		{"999999999999999", money.Currency{Code: "X", Decimals: money.MaxDecimals}, money.ErrOverflow},
	} {
		d, err := money.ParseDecimal(c.text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := d.In(c.currency); !errors.Is(err, c.want) {
			t.Errorf("%q in %s = %v, %v; want %v", c.text, c.currency.Code, got, err, c.want)
		}
	}
}

func FuzzParseDecimal(f *testing.F) {
	for _, s := range []string{"50", "12.50", "0.5", "", ".", "1e9", "999999999999999", "0000000000000000000000001"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := money.ParseDecimal(s)
		if err != nil {
			return
		}
		again, err := money.ParseDecimal(d.String())
		if err != nil || again != d {
			t.Errorf("%q is %v, which is %v, %v", s, d, again, err)
		}
	})
}
