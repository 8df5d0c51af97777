package charter

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"time"
)

// whole is all of a sum, in hundredths of a percent.
const whole = 10_000

// Share returns what melts of a balance in smallest units of which free never
// do: the rate of the rest, rounded to the nearest whole unit, and to the even
// one of two that are as near. It is never below zero nor more than the rest.
func (d Demurrage) Share(balance, free int64) int64 {
	if balance <= free || d.Rate <= 0 || free < 0 {
		return 0
	}
	// At most 2⁶³ times a rate far below whole: the quotient fits.
	high, low := bits.Mul64(uint64(balance-free), uint64(min(d.Rate, whole))) //nolint:gosec // neither is below zero
	q, r := bits.Div64(high, low, whole)
	if r > whole/2 || r == whole/2 && q%2 == 1 {
		q++
	}
	return int64(q) //nolint:gosec // at most balance
}

// Percent returns the rate as people write it, with a point: "2" or "1.5".
func (d Demurrage) Percent() string {
	text := strconv.Itoa(d.Rate / 100)
	if part := d.Rate % 100; part > 0 {
		text += fmt.Sprintf(".%02d", part)
		if part%10 == 0 {
			text = text[:len(text)-1]
		}
	}
	return text
}

// A Period is a calendar month.
type Period struct {
	Year  int
	Month time.Month
}

// ErrPeriod means that a text is no month such as 2026-03.
var ErrPeriod = errors.New("a month such as 2026-03 is expected")

// ParsePeriod reads a month: "2026-03".
func ParsePeriod(text string) (Period, error) {
	t, err := time.Parse("2006-01", text)
	if err != nil {
		return Period{}, ErrPeriod
	}
	return Period{t.Year(), t.Month()}, nil
}

// PeriodOf returns the month of a moment, in a zone.
func PeriodOf(t time.Time, zone *time.Location) Period {
	t = t.In(zone)
	return Period{t.Year(), t.Month()}
}

// IsZero reports whether p is no month.
func (p Period) IsZero() bool { return p == Period{} }

// String writes a month: "2026-03"; "" is none.
func (p Period) String() string {
	if p.IsZero() {
		return ""
	}
	return fmt.Sprintf("%04d-%02d", p.Year, p.Month)
}

// Start returns when the month begins in a zone.
func (p Period) Start(zone *time.Location) time.Time {
	return time.Date(p.Year, p.Month, 1, 0, 0, 0, 0, zone)
}

// Add returns the month some months later.
func (p Period) Add(months int) Period {
	return PeriodOf(p.Start(time.UTC).AddDate(0, months, 0), time.UTC)
}

// Before reports whether p is before q.
func (p Period) Before(q Period) bool {
	return p.Year < q.Year || p.Year == q.Year && p.Month < q.Month
}

// MarshalJSON implements json.Marshaler.
func (p Period) MarshalJSON() ([]byte, error) { return json.Marshal(p.String()) }

// UnmarshalJSON implements json.Unmarshaler.
func (p *Period) UnmarshalJSON(raw []byte) (err error) {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil || text == "" {
		*p = Period{}
		return err
	}
	*p, err = ParsePeriod(text)
	return err
}
