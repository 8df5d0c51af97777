package trade

import (
	"slices"
	"time"
)

// Ended reports whether a claim has an outcome that stays.
func (c *Claim) Ended() bool {
	return slices.Contains([]State{Honoured, Released, Withdrawn, Forfeit, Reinstated}, c.State)
}

// Same reports whether a claim is of that order: its sum and its currency.
func (c *Claim) Same(o Order) bool { return c.Total == o.Total && c.Currency == o.Currency }

// To moves a claim on, and reports false if it was there already: nothing is done
// twice. It returns a *StateError if another outcome came first.
func (c *Claim) To(next State, now time.Time) (bool, error) {
	if c.State == next {
		return false, nil
	}
	from := map[State][]State{
		Reserved:    {Requested},
		Opened:      {Requested, Reserved},
		Honoured:    {Reserved, Opened},
		Released:    {Requested, Reserved, Opened},
		Withdrawn:   {Reserved, Opened},
		NotHonoured: {Opened},
		Forfeit:     {NotHonoured},
		Reinstated:  {NotHonoured, Forfeit},
	}[next]
	if !slices.Contains(from, c.State) {
		return false, &StateError{c.State}
	}
	c.State, c.Due = next, time.Time{}
	if next != Opened && next != Reserved {
		c.Done = now
	}
	return true, nil
}
