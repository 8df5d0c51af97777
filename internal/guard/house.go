package guard

import (
	"slices"
	"time"
)

// MaxSteps bounds how many payments a loop of rule CIR1 has.
const MaxSteps = 6

// maxLooked bounds how many payments are followed to close one loop.
const maxLooked = 2000

// A Move is a payment between two accounts, for rule CIR1.
type Move struct {
	ID       int64
	From, To int64
	Amount   int64
	At       time.Time
}

// Loop reports rule CIR1: the money of last came from where it now goes, in a
// few payments of 24 hours before it, each later than the one before and each
// of more than the sum. into returns what an account was paid in that day. It
// returns the loop, the oldest payment first; nil if there is none, or if too
// many payments would have to be followed.
func (r Ruling) Loop(last Move, unit int64, into func(account int64) ([]Move, error)) ([]Move, error) {
	least := whole(r.At[1], unit)
	if last.Amount <= least || last.From == last.To {
		return nil, nil
	}
	since, looked := last.At.Add(-24*time.Hour), 0
	type path []Move // the newest first
	paths := []path{{last}}
	for range r.At[0] - 1 {
		var longer []path
		for _, p := range paths {
			oldest := p[len(p)-1]
			all, err := into(oldest.From)
			if err != nil {
				return nil, err
			}
			for _, m := range all {
				if looked++; looked > maxLooked {
					return nil, nil
				}
				if m.Amount <= least || m.ID >= oldest.ID || m.At.Before(since) || m.To != oldest.From || m.From == m.To {
					continue
				}
				next := append(slices.Clone(p), m)
				if m.From == last.To {
					slices.Reverse(next)
					return next, nil
				}
				if !slices.ContainsFunc(p, func(q Move) bool { return q.To == m.From || q.From == m.From }) {
					longer = append(longer, next)
				}
			}
		}
		paths = longer
	}
	return nil, nil
}

// A Habit is how a member writes, for rule SIM1. What was written is kept for 30
// days only: how commands were spelt before a long silence is not known.
type Habit struct {
	Silent   time.Duration // before this SMS
	Language string        // of the member so far
	Wrote    string        // the language of this SMS, "" if it cannot be told
	Hours    [24]int       // payments of the past by local hour
	Hour     int           // of this SMS
}

// habitLeast is how many payments of the past make a habit of hours.
const habitLeast = 5

// Changed reports rule SIM1: after a long silence somebody writes in another
// language, or at an hour that is at least three hours from all earlier ones.
func (r Ruling) Changed(h Habit) bool {
	if h.Silent < time.Duration(r.At[0])*24*time.Hour {
		return false
	}
	if h.Wrote != "" && h.Language != "" && h.Wrote != h.Language {
		return true
	}
	n := 0
	for hour, k := range h.Hours {
		n += k
		away := (hour - h.Hour + 24) % 24
		if k > 0 && min(away, 24-away) < 3 {
			return false
		}
	}
	return n >= habitLeast
}

// historyNeeded is how long messages must have been sent before there is a
// usual hour.
const historyNeeded = 14

// A Post is what leaves, for rule SMS1.
type Post struct {
	LastHour int
	Days     []int // how many left in the same hour of the days before, today's not among them; as many as there is history
}

// Flood reports rule SMS1: much more leaves than usual in this hour.
func (r Ruling) Flood(p Post) bool {
	if len(p.Days) < historyNeeded || int64(p.LastHour) <= r.At[1] {
		return false
	}
	total := 0
	for _, n := range p.Days {
		total += n
	}
	return int64(p.LastHour)*int64(len(p.Days)) > r.At[0]*int64(total)
}

// HistoryNeeded is for how many days there must be a Post.Days.
func HistoryNeeded() int { return historyNeeded }

// Repeats reports rule DUP1: of so many SMS of an hour that came by a gateway,
// too many came again.
func (r Ruling) Repeats(came, again int) bool {
	return int64(came) >= r.At[1] && int64(again)*100 > r.At[0]*int64(came)
}

// Astray reports rule CLK1, and the median of how far the service centre's
// times are from ours, for the newest SMS of a gateway.
func (r Ruling) Astray(apart []time.Duration) (time.Duration, bool) {
	if int64(len(apart)) < r.At[1] {
		return 0, false
	}
	all := slices.Clone(apart[:r.At[1]])
	slices.Sort(all)
	n := len(all)
	median := all[n/2]
	if n%2 == 0 {
		median = (all[n/2-1] + all[n/2]) / 2
	}
	return median, median.Abs() > time.Duration(r.At[0])*time.Minute
}
