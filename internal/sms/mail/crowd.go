package mail

import (
	"sync"
	"time"

	"golang.org/x/net/publicsuffix"
)

// Bounds of what is believed in an hour: whoever has a domain can sign as many
// letters as he likes, and each of them is journalled.
const (
	crowdTime  = time.Hour
	maxLetters = 600    // of one organisation
	maxDomains = 10_000 // organisations
)

// A crowd counts the letters of an hour, by the organisation of their senders.
type crowd struct {
	mu    sync.Mutex // held to read or change what follows
	until time.Time
	came  map[string]int
}

// admit counts a letter that is believed, and reports whether it may come in.
func (c *crowd) admit(domain string, now time.Time) bool {
	if org, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil {
		domain = org
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !now.Before(c.until) {
		c.until, c.came = now.Add(crowdTime), map[string]int{}
	}
	if _, known := c.came[domain]; !known && len(c.came) == maxDomains {
		return false
	}
	c.came[domain]++
	return c.came[domain] <= maxLetters
}
