package order

import (
	"crypto/rand"
	"math/big"
	"strings"
)

const (
	refLetters = "ABCDEFGHJKLMNPQRSTUVWXYZ" // no I, no O
	refDigits  = "123456789"                // no 0
)

// Bounds of a reference.
const (
	MinRefLen = 4
	MaxRefLen = 8
)

// RefLen returns how long a new reference must be when used of them exist: a
// character is added whenever half of the shorter ones are used, so that few
// draws meet one that is taken.
func RefLen(used int64) int {
	free := int64(1)
	for n := range MaxRefLen {
		free *= int64(len(RefSymbols(n)))
		if n+1 >= MinRefLen && used < free/2 {
			return n + 1
		}
	}
	return MaxRefLen
}

// DrawRef returns a random reference of n characters, letter digit letter digit.
func DrawRef(n int) string {
	var b strings.Builder
	for i := range n {
		set := RefSymbols(i)
		k, err := rand.Int(rand.Reader, big.NewInt(int64(len(set))))
		if err != nil {
			panic("order: " + err.Error()) // crypto/rand does not fail
		}
		b.WriteByte(set[k.Int64()])
	}
	return b.String()
}

// IsRef reports whether s, in upper case, has the shape of a reference.
func IsRef(s string) bool {
	if len(s) < MinRefLen || len(s) > MaxRefLen {
		return false
	}
	for i := range len(s) {
		if strings.IndexByte(RefSymbols(i), s[i]) < 0 {
			return false
		}
	}
	return true
}

// RefSymbols returns what may stand at a place of a reference, counted from 0.
func RefSymbols(i int) string {
	if i%2 == 0 {
		return refLetters
	}
	return refDigits
}
