// Package guard keeps thieves, accidents and robots at bay: one-time codes,
// limits, rates and anomaly rules. All of it is pure functions of facts.
package guard

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"time"
)

// Code returns the one-time code of n digits, 4 to 9, for facts: the HMAC-SHA-256
// (RFC 2104) under key of nonce and facts, reduced to the digits. It need not
// be stored: who has the key can derive it again, and nobody else.
func Code(key, nonce []byte, facts string, n int) string {
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write(nonce)
	_, _ = mac.Write([]byte(facts))
	modulus := uint64(1)
	for range n {
		modulus *= 10
	}
	return fmt.Sprintf("%0*d", n, binary.BigEndian.Uint64(mac.Sum(nil))%modulus)
}

// SameCode compares two codes without telling by its time where they differ.
func SameCode(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// ShowCode returns a code as people read it: "482 913".
func ShowCode(code string) string {
	if len(code) < 6 {
		return code
	}
	half := (len(code) + 1) / 2
	return code[:half] + " " + code[half:]
}

// Rate is the generic cell rate algorithm (ITU-T I.371): n things in a time,
// at once or spread. tat is what the last call returned, zero at first. It
// returns the new tat and whether this one conforms; one that does not leaves
// tat as it was.
func Rate(tat, now time.Time, n int, in time.Duration) (time.Time, bool) {
	step := in / time.Duration(n)
	if tat.Before(now) {
		tat = now
	}
	if tat.Sub(now) > in-step {
		return tat, false
	}
	return tat.Add(step), true
}
