package charter

import "time"

// Messages to many leave by day.
const (
	dayBegins = 8
	dayEnds   = 20
)

// A Spread gives each of many messages its moment, one after the other.
type Spread struct {
	next time.Time
	step time.Duration
	zone *time.Location
}

// Spread begins at a moment, or in the morning after it.
func (c *Charter) Spread(from time.Time, zone *time.Location) *Spread {
	return &Spread{from, time.Hour / time.Duration(c.PerHour()), zone}
}

// After returns when the last of n messages may leave.
func (s *Spread) After(n int) (last time.Time) {
	last = s.next
	perDay := int(time.Duration(dayEnds-dayBegins) * time.Hour / s.step)
	if perDay > 0 && n > perDay { // whole days first, so that a million costs no more than a thousand
		days := n/perDay - 1
		s.next = s.next.AddDate(0, 0, days)
		n -= days * perDay
	}
	for range n {
		last = s.Next()
	}
	return last
}

// Next returns when the next message may leave.
func (s *Spread) Next() time.Time {
	t := s.next.In(s.zone)
	switch h := t.Hour(); {
	case h < dayBegins:
		s.next = time.Date(t.Year(), t.Month(), t.Day(), dayBegins, 0, 0, 0, s.zone)
	case h >= dayEnds:
		s.next = time.Date(t.Year(), t.Month(), t.Day()+1, dayBegins, 0, 0, 0, s.zone)
	}
	now := s.next
	s.next = s.next.Add(s.step)
	return now
}
