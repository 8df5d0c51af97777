package sms

import (
	"sync"
	"time"
)

// missesToDown is how many beats in a row a gateway may miss before it is down:
// one is no reason to wake anybody.
const missesToDown = 2

// A Pulse keeps the health of a gateway from its successes and failures. The
// zero Pulse is down.
type Pulse struct {
	mu     sync.Mutex
	health Health
	misses int
}

// Beat notes that the other side answered as it should.
func (p *Pulse) Beat() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.misses = 0
	p.set(true, "")
}

// Miss notes that it did not, and why. The second miss in a row is down.
func (p *Pulse) Miss(detail string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.misses++
	p.set(p.health.Up && p.misses < missesToDown, detail)
}

// Stop notes that the gateway no longer runs.
func (p *Pulse) Stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.misses = 0
	p.set(false, "not running")
}

func (p *Pulse) set(up bool, detail string) {
	if up != p.health.Up || p.health.Since.IsZero() {
		p.health.Since = time.Now()
	}
	p.health.Up, p.health.Detail = up, detail
}

// Health returns the health as of now.
func (p *Pulse) Health() Health {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.health
}
