package guard_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"maillon/internal/guard"
)

func TestACodeIsTheHMACReduced(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key, nonce := []byte(rapid.String().Draw(t, "key")), []byte(rapid.String().Draw(t, "nonce"))
		facts, n := rapid.String().Draw(t, "facts"), rapid.IntRange(4, 9).Draw(t, "digits")
		mac := hmac.New(sha256.New, key)
		_, _ = mac.Write(append(append([]byte{}, nonce...), facts...))
		number := new(big.Int).SetBytes(mac.Sum(nil)[:8])
		number.Mod(number, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil))
		want := number.String()
		want = strings.Repeat("0", n-len(want)) + want
		if got := guard.Code(key, nonce, facts, n); got != want {
			t.Errorf("Code = %q, want %q", got, want)
		}
	})
}

func TestCodesAreComparedAndShown(t *testing.T) {
	if !guard.SameCode("482913", "482913") || guard.SameCode("482913", "482914") || guard.SameCode("482913", "48291") || guard.SameCode("", "4") {
		t.Error("SameCode is wrong")
	}
	for code, want := range map[string]string{"4821": "4821", "48213": "48213", "482913": "482 913", "4829137": "4829 137", "48291375": "4829 1375"} {
		if got := guard.ShowCode(code); got != want {
			t.Errorf("ShowCode(%q) = %q, want %q", code, got, want)
		}
	}
}

func TestARateLetsNThroughAtOnceAndThenOneByOne(t *testing.T) {
	now := time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)
	var tat time.Time
	var ok bool
	for n := range 10 {
		if tat, ok = guard.Rate(tat, now, 10, time.Minute); !ok {
			t.Fatalf("the %dth of 10 at once is refused", n+1)
		}
	}
	if _, ok = guard.Rate(tat, now, 10, time.Minute); ok {
		t.Error("an 11th at once conforms")
	}
	if _, ok = guard.Rate(tat, now.Add(6*time.Second-1), 10, time.Minute); ok {
		t.Error("an 11th conforms before a tenth of a minute has passed")
	}
	if _, ok = guard.Rate(tat, now.Add(6*time.Second), 10, time.Minute); !ok {
		t.Error("an 11th after a tenth of a minute is refused")
	}
}

// In any window of the time, at most twice as many as the rate pass: a burst
// and what flows in meanwhile; a refusal costs nothing.
func TestARateHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 20).Draw(t, "n")
		now := time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)
		var tat time.Time
		var passed []time.Time
		for range 100 {
			now = now.Add(time.Duration(rapid.IntRange(0, 10_000).Draw(t, "wait")) * time.Millisecond)
			next, ok := guard.Rate(tat, now, n, time.Minute)
			if again, ok2 := guard.Rate(tat, now, n, time.Minute); ok2 != ok || !again.Equal(next) {
				t.Fatal("the same question has two answers")
			}
			if tat = next; ok {
				passed = append(passed, now)
			}
		}
		for i := range passed {
			in := 0
			for _, p := range passed[i:] {
				if p.Sub(passed[i]) < time.Minute {
					in++
				}
			}
			if in > 2*n {
				t.Fatalf("%d passed within a minute; the rate is %d", in, n)
			}
		}
	})
}

func TestLimitsRefuse(t *testing.T) {
	l := guard.Limits{Max: 200, Day: 300, FirstMax: 50, FirstWarn: 20}
	for _, c := range []struct {
		what string
		p    guard.Payment
		want string
	}{
		{"the most", guard.Payment{Amount: 200}, ""},
		{"more than the most", guard.Payment{Amount: 201}, "max"},
		{"the rest of the day", guard.Payment{Amount: 100, Today: 200}, ""},
		{"more than the rest of the day", guard.Payment{Amount: 101, Today: 200}, "max"},
		{"anything after more than a day's worth", guard.Payment{Amount: 1, Today: 400}, "max"},
		{"a first payment to a recent account", guard.Payment{Amount: 50, PayeeRecent: true}, ""},
		{"too large a first payment", guard.Payment{Amount: 51, PayeeRecent: true}, "premier.max"},
		{"a second payment on the first day", guard.Payment{Amount: 21, PayeeRecent: true, PaidBefore: true, PaidFirstDay: 30}, "premier.max"},
		{"within it", guard.Payment{Amount: 20, PayeeRecent: true, PaidBefore: true, PaidFirstDay: 30}, ""},
		{"a payment on a later day", guard.Payment{Amount: 150, PayeeRecent: true, PaidBefore: true}, ""},
		{"an amount beyond all", guard.Payment{Amount: math.MaxInt64}, "max"},
	} {
		if got := l.Refusal(c.p); got != c.want {
			t.Errorf("%s: Refusal = %q, want %q", c.what, got, c.want)
		}
	}
}

func TestRulesSeeWhatTheyShould(t *testing.T) {
	l := guard.Limits{Max: 200, Day: 300, FirstMax: 50, FirstWarn: 20}
	for _, c := range []struct {
		rule      string
		got, want bool
	}{
		{"NEW1 from 20", l.First(guard.Payment{Amount: 20, PayeeRecent: true}), true},
		{"NEW1 below", l.First(guard.Payment{Amount: 19, PayeeRecent: true}), false},
		{"NEW1 to somebody paid before", l.First(guard.Payment{Amount: 20, PayeeRecent: true, PaidBefore: true}), false},
		{"NEW1 to an old account", l.First(guard.Payment{Amount: 20}), false},
		{"DRA1 80 % of 100", guard.Nearly(guard.Payment{Amount: 80, Balance: 100}, 1), true},
		{"DRA1 79 % of 100", guard.Nearly(guard.Payment{Amount: 79, Balance: 100}, 1), false},
		{"DRA1 all of 50", guard.Nearly(guard.Payment{Amount: 50, Balance: 50}, 1), false},
		{"DRA1 rounds up", guard.Nearly(guard.Payment{Amount: 40, Balance: 51}, 1), false},
		{"DRA1 with decimals", guard.Nearly(guard.Payment{Amount: 8000, Balance: 9000}, 100), true},
		{"NGT1 at 23:00", guard.Night(guard.Payment{Amount: 51, Hour: 23}, 1), true},
		{"NGT1 at 05:59", guard.Night(guard.Payment{Amount: 51, Hour: 5}, 1), true},
		{"NGT1 at 06:00", guard.Night(guard.Payment{Amount: 51, Hour: 6}, 1), false},
		{"NGT1 of 50", guard.Night(guard.Payment{Amount: 50, Hour: 23}, 1), false},
		{"VEL1 the 6th", guard.Velocity(guard.Payment{OutIn10Min: 5}), true},
		{"VEL1 the 5th", guard.Velocity(guard.Payment{OutIn10Min: 4}), false},
		{"STR1 the third near", l.Structuring(guard.Payment{Amount: 190, NearLimit24h: 2}), true},
		{"STR1 the second near", l.Structuring(guard.Payment{Amount: 190, NearLimit24h: 1}), false},
		{"STR1 not near", l.Structuring(guard.Payment{Amount: 179, NearLimit24h: 5}), false},
		{"STR1 near the first limit", l.Structuring(guard.Payment{Amount: 45, NearLimit24h: 2}), true},
		{"MUL1", guard.Mule(guard.Payment{Amount: 30, PayersIn1h: 5, InLast1h: 100, OutLast1h: 50}), true},
		{"MUL1 with 4 payers", guard.Mule(guard.Payment{Amount: 30, PayersIn1h: 4, InLast1h: 100, OutLast1h: 50}), false},
		{"MUL1 with less out", guard.Mule(guard.Payment{Amount: 29, PayersIn1h: 5, InLast1h: 100, OutLast1h: 50}), false},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.rule, c.got, c.want)
		}
	}
}

// The ranges hold exactly the amounts that are near a limit, each once.
func TestRangesNearLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sum := rapid.Int64Range(0, 400)
		l := guard.Limits{Max: sum.Draw(t, "max"), Day: sum.Draw(t, "day"), FirstMax: sum.Draw(t, "first")}
		ranges := l.NearRanges()
		for amount := range int64(401) {
			in := 0
			for _, r := range ranges {
				if r[0] <= amount && amount <= r[1] {
					in++
				}
			}
			want := 0
			if l.NearLimit(amount) && amount > 0 {
				want = 1
			}
			if amount > 0 && in != want {
				t.Fatalf("%d lies in %d of %v of %+v; want %d", amount, in, ranges, l, want)
			}
		}
	})
}

func ExampleShowCode() {
	fmt.Println(guard.ShowCode("482913"))
	// Output: 482 913
}
