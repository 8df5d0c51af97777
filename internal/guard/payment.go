package guard

import (
	"slices"
	"time"
)

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

	OutLately    int   // payments out in the minutes of rule VEL1
	NearLimit24h int   // payments of 90 to 100 % of a limit in 24 hours
	PayersIn1h   int   // different payers into the payer's account in the last hour
	InLast1h     int64 // what they brought
	OutLast1h    int64 // what left since
}

// Limits are the bounds of payments, in smallest units.
type Limits struct{ Max, Day, FirstMax, FirstWarn int64 }

// TooMuch reports whether an amount is more than one payment may be.
func (l Limits) TooMuch(p Payment) bool { return p.Amount > l.Max }

// DayFull reports rule VEL2: more than may be paid in a day.
func (l Limits) DayFull(p Payment) bool { return p.Amount > l.Day-p.Today }

// FirstFull reports rule NEW2: more than a recent account may be paid on the
// first day.
func (l Limits) FirstFull(p Payment) bool {
	firstDay := p.PayeeRecent && (!p.PaidBefore || p.FirstToday || p.PaidFirstDay > 0)
	return firstDay && p.Amount > l.FirstMax-p.PaidFirstDay
}

// First reports rule NEW1: a first payment of at least FirstWarn to a recent account.
func (l Limits) First(p Payment) bool {
	return p.PayeeRecent && !p.PayeeUnknown && !p.PaidBefore && p.Amount >= l.FirstWarn
}

// Nearly reports rule DRA1: nearly the whole of a balance that matters. unit
// is one whole unit in smallest ones.
func (r Ruling) Nearly(p Payment, unit int64) bool {
	return p.Balance > whole(r.At[1], unit) && p.Amount >= share(p.Balance, r.At[0])
}

// Night reports rule NGT1: a large payment at night.
func (r Ruling) Night(p Payment, unit int64) bool {
	return r.within(p.Hour) && p.Amount > whole(r.At[2], unit)
}

// NightCredit reports rule ADM2: a credit at a local hour of the night.
func (r Ruling) NightCredit(hour int) bool { return r.within(hour) }

// within reports whether an hour is at night: from one hour to before another,
// over midnight if the first is later. The same twice is always.
func (r Ruling) within(hour int) bool {
	h, from, to := int64(hour), r.At[0], r.At[1]
	if from < to {
		return h >= from && h < to
	}
	return h >= from || h < to
}

// Velocity reports rule VEL1: the payment comes after too many.
func (r Ruling) Velocity(p Payment) bool { return int64(p.OutLately) >= r.At[0] }

// Window is the time in which rule VEL1 counts.
func (r Ruling) Window() time.Duration { return time.Duration(r.At[1]) * time.Minute }

// NearLimit reports whether an amount is just below a limit, for rule STR1.
func (r Ruling) NearLimit(l Limits, amount int64) bool {
	return slices.ContainsFunc(r.NearRanges(l), func(n [2]int64) bool { return amount >= n[0] && amount <= n[1] })
}

// NearRanges returns the ranges of amounts just below a limit, apart from each other.
func (r Ruling) NearRanges(l Limits) [][2]int64 {
	var all [][2]int64
	limits := []int64{l.FirstMax, l.Max, l.Day}
	slices.Sort(limits)
	for _, limit := range limits {
		if limit <= 0 {
			continue
		}
		low := share(limit, r.At[1])
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
func (r Ruling) Structuring(l Limits, p Payment) bool {
	return int64(p.NearLimit24h)+1 >= r.At[0] && r.NearLimit(l, p.Amount)
}

// Mule reports rule MUL1: many payers in, nearly all out again within the hour.
func (r Ruling) Mule(p Payment) bool {
	return int64(p.PayersIn1h) >= r.At[0] && p.OutLast1h+p.Amount >= share(p.InLast1h, r.At[1])
}

// whole returns n whole units in smallest ones; the most there is if that is more.
func whole(n, unit int64) int64 {
	const most = 1<<63 - 1
	if unit > 0 && n > most/unit {
		return most
	}
	return n * unit
}

// share returns percent of n, rounded up, without overflow for sums of money.
func share(n, percent int64) int64 { return n/100*percent + (n%100*percent+99)/100 }
