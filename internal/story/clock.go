package story

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Layouts of what a file writes about time.
const (
	dayLayout    = "2006-01-02"
	monthLayout  = "2006-01"
	minuteLayout = "2006-01-02 15:04"
	secondLayout = "2006-01-02 15:04:05"
	timeLayout   = "15:04:05"
)

// The years in which a story may play: a service-centre time has two digits
// for the year, and the clock of a bubble starts in 2000.
const (
	firstYear = 2001
	lastYear  = 2099
)

// errNoSuchTime means that the clocks of the zone never show a time.
var errNoSuchTime = errors.New("the clocks skip this time")

// zone is where all stories play.
func zone() (*time.Location, error) { return time.LoadLocation("Europe/Paris") }

// Moment reads a local time of a story, as in @clock or t0: "2026-03-28 14:00",
// with seconds or without. Of a time that clocks show twice it is the first.
func Moment(text string) (time.Time, error) {
	all, err := moments(text)
	if err != nil {
		return time.Time{}, err
	}
	return all[0], nil
}

// moments returns when the clocks show a local time: once, or twice on the
// night when they go back.
func moments(text string) ([]time.Time, error) {
	shown, err := read(secondLayout, text)
	if err != nil {
		shown, err = read(minuteLayout, text)
	}
	if err != nil {
		return nil, fmt.Errorf("%q is not YYYY-MM-DD HH:MM[:SS]", text)
	}
	if y := shown.Year(); y < firstYear || y > lastYear {
		return nil, fmt.Errorf("a year from %d to %d is expected", firstYear, lastYear)
	}
	paris, err := zone()
	if err != nil {
		return nil, err
	}
	guess := time.Date(shown.Year(), shown.Month(), shown.Day(), shown.Hour(), shown.Minute(), shown.Second(), 0, paris)
	var all []time.Time
	for _, t := range []time.Time{guess.Add(-time.Hour), guess, guess.Add(time.Hour)} {
		if t.Format(secondLayout) == shown.Format(secondLayout) {
			all = append(all, t)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: %w", text, errNoSuchTime)
	}
	return all, nil
}

// read parses text if it is exactly in the layout: time.Parse alone would take
// "4:05" and fractions of seconds.
func read(layout, text string) (time.Time, error) {
	t, err := time.Parse(layout, text)
	if err != nil || t.Format(layout) != text {
		return time.Time{}, fmt.Errorf("%q is not in the form %s", text, layout)
	}
	return t, nil
}

// clock returns the first moment of a local time that is not before now.
func clock(text string, now time.Time) (time.Time, error) {
	all, err := moments(text)
	if err != nil {
		return time.Time{}, err
	}
	i := slices.IndexFunc(all, func(t time.Time) bool { return !t.Before(now) })
	if i < 0 {
		return time.Time{}, fmt.Errorf("the clock goes back: it is %s already", now.Format(secondLayout))
	}
	return all[i], nil
}

// sentAt returns the last moment of the event's day with a given time that is
// not after the event.
func sentAt(text string, event time.Time) (time.Time, error) {
	if _, err := read(timeLayout, text); err != nil {
		return time.Time{}, fmt.Errorf("sent=%q is not HH:MM:SS", text)
	}
	all, err := moments(event.Format(dayLayout) + " " + text)
	if err != nil {
		return time.Time{}, err
	}
	for _, t := range slices.Backward(all) {
		if !t.After(event) {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("sent after the event, which is at %s", event.Format(timeLayout))
}

// before returns a moment of a day that is before the story's start: noon, or
// the day's first moment if noon is not.
func before(text string, start time.Time) (time.Time, error) {
	if _, err := read(dayLayout, text); err != nil {
		return time.Time{}, fmt.Errorf("%q is not YYYY-MM-DD", text)
	}
	for _, hour := range []string{" 12:00", " 00:00"} {
		t, err := Moment(text + hour)
		if err != nil {
			return time.Time{}, err
		}
		if t.Before(start) {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s is not before the story", text)
}
