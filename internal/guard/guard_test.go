package guard_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
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

func ExampleShowCode() {
	fmt.Println(guard.ShowCode("482913"))
	// Output: 482 913
}
