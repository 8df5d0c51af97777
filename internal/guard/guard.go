// Package guard keeps thieves, accidents and robots at bay: one-time codes,
// limits, rates and anomaly rules. All of it is pure functions of facts.
package guard

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"slices"
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

// A Payment is the facts by which limits and rules judge one payment. Sums are
// in smallest units of its currency.
type Payment struct {
	Amount  int64
	Balance int64 // spendable before
	Today   int64 // paid out since local midnight, without this one
	Hour    int   // local, 0 to 23

	PayeeRecent  bool  // no account, or opened less than 30 days ago
	PayeeUnknown bool  // no account
	PaidBefore   bool  // this payer paid this payee before
	FirstToday   bool  // and the first time was today
	PaidFirstDay int64 // paid to this payee today, if so

	OutIn10Min   int   // payments out in the last 10 minutes
	NearLimit24h int   // payments of 90 to 100 % of a limit in 24 hours
	PayersIn1h   int   // different payers into the payer's account in the last hour
	InLast1h     int64 // what they brought
	OutLast1h    int64 // what left since
}

// Limits are the bounds of payments, in smallest units.
type Limits struct{ Max, Day, FirstMax, FirstWarn int64 }

// Refusal returns the key of the reply if a limit forbids p, "" if none does.
// Rules VEL2 and NEW2.
func (l Limits) Refusal(p Payment) string {
	firstDay := p.PayeeRecent && (!p.PaidBefore || p.FirstToday || p.PaidFirstDay > 0)
	switch {
	case p.Amount > l.Max || p.Amount > l.Day-p.Today:
		return "max"
	case firstDay && p.Amount > l.FirstMax-p.PaidFirstDay:
		return "premier.max"
	}
	return ""
}

// Bounds of the rules.
const (
	grosFloor  = 50 // whole units: smaller balances are nobody's fortune
	grosShare  = 80 // percent of the balance
	nightFrom  = 23 // NGT1, local hour
	nightTo    = 6  // NGT1
	nightSum   = 50 // NGT1, whole units
	velocity   = 5  // VEL1: payments in 10 minutes before the next is held
	nearLimit  = 3  // STR1: payments just below a limit in 24 hours
	nearShare  = 90 // STR1: percent of the limit
	mulePayers = 5  // MUL1: payers into one account in an hour
	muleShare  = 80 // MUL1: percent of it that leaves again
)

// First reports rule NEW1: a first payment of at least FirstWarn to a recent account.
func (l Limits) First(p Payment) bool {
	return p.PayeeRecent && !p.PayeeUnknown && !p.PaidBefore && p.Amount >= l.FirstWarn
}

// Nearly reports rule DRA1: nearly the whole of a balance that matters. unit
// is one whole unit in smallest ones.
func Nearly(p Payment, unit int64) bool {
	return p.Balance > grosFloor*unit && p.Amount >= share(p.Balance, grosShare)
}

// Night reports rule NGT1: a large payment at night.
func Night(p Payment, unit int64) bool {
	return (p.Hour >= nightFrom || p.Hour < nightTo) && p.Amount > nightSum*unit
}

// Velocity reports rule VEL1: the payment comes after too many in 10 minutes.
func Velocity(p Payment) bool { return p.OutIn10Min >= velocity }

// NearLimit reports whether an amount is just below a limit, for rule STR1.
func (l Limits) NearLimit(amount int64) bool {
	near := func(limit int64) bool { return limit > 0 && amount <= limit && amount >= share(limit, nearShare) }
	return near(l.Max) || near(l.Day) || near(l.FirstMax)
}

// NearRanges returns the ranges of amounts just below a limit, apart from each other.
func (l Limits) NearRanges() [][2]int64 {
	var all [][2]int64
	limits := []int64{l.FirstMax, l.Max, l.Day}
	slices.Sort(limits)
	for _, limit := range limits {
		if limit <= 0 {
			continue
		}
		low := share(limit, nearShare)
		if n := len(all); n > 0 && low <= all[n-1][1] {
			low = all[n-1][1] + 1
		}
		if low <= limit {
			all = append(all, [2]int64{low, limit})
		}
	}
	return all
}

// Structuring reports rule STR1: this payment is one of several just below a limit.
func (l Limits) Structuring(p Payment) bool {
	return l.NearLimit(p.Amount) && p.NearLimit24h+1 >= nearLimit
}

// Mule reports rule MUL1: many payers in, nearly all out again within the hour.
func Mule(p Payment) bool {
	return p.PayersIn1h >= mulePayers && p.OutLast1h+p.Amount >= share(p.InLast1h, muleShare)
}

// share returns percent of n, rounded up, without overflow for sums of money.
func share(n, percent int64) int64 { return n/100*percent + (n%100*percent+99)/100 }
