package report

import "time"

const (
	dayTime   = 24 * time.Hour
	firstYear = 2000 // reports are of this year at the earliest
	lastYear  = 9999
)

// A Day is a day of the calendar where the association is: the number of days
// since 1970-01-01.
type Day int64

// DayOf returns the day on which a moment is, in a zone.
func DayOf(t time.Time, zone *time.Location) Day {
	y, m, d := t.In(zone).Date()
	return DayOn(y, m, d)
}

// DayOn returns a day by its date; what is beyond the month runs on.
func DayOn(y int, m time.Month, d int) Day {
	return Day(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / int64(dayTime/time.Second))
}

// Date returns the date of a day, as a time in UTC.
func (d Day) Date() time.Time { return time.Unix(int64(d)*int64(dayTime/time.Second), 0).UTC() }

// Begin returns when a day begins in a zone.
func (d Day) Begin(zone *time.Location) time.Time {
	y, m, n := d.Date().Date()
	return time.Date(y, m, n, 0, 0, 0, 0, zone)
}

// Monday returns the first day of the week of d.
func (d Day) Monday() Day { return d - Day((int(d.Date().Weekday())+6)%7) }

// month numbers months, so that one follows the other.
func (d Day) month() int64 {
	y, m, _ := d.Date().Date()
	return int64(y)*12 + int64(m) - 1
}

// A Period is days from one to another, both included.
type Period struct{ From, To Day }

// Days counts them.
func (p Period) Days() int64 { return int64(p.To-p.From) + 1 }

// Holds reports whether a day is within.
func (p Period) Holds(d Day) bool { return d >= p.From && d <= p.To }

// Month returns the period of a month.
func Month(y int, m time.Month) Period { return Period{DayOn(y, m, 1), DayOn(y, m+1, 0)} }

// ParseMonth reads a month: "2026-10".
func ParseMonth(text string) (Period, bool) {
	t, err := time.Parse("2006-01", text)
	if err != nil || t.Year() < firstYear || t.Year() > lastYear {
		return Period{}, false
	}
	return Month(t.Year(), t.Month()), true
}

// Last returns the period of so many days that ends with a day.
func Last(n int64, to Day) Period { return Period{to - Day(n) + 1, to} }
