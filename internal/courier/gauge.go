package courier

import "maillon/internal/sms"

// A Gauge is how a line does, as far as that is known without the database.
type Gauge struct {
	Name    string
	Held    bool // this server has the line
	Gateway sms.Health
	Flying  int64 // messages at the gateway
	Counts  Counts
}

// Gauges returns how each line does, without asking the database.
func (c *Courier) Gauges() []Gauge {
	all := make([]Gauge, len(c.lines))
	for n, w := range c.lines {
		g := Gauge{Name: w.Name, Held: w.duty.Held(), Gateway: w.feels(), Flying: w.flying.Load()}
		w.count(func(counts *Counts) { g.Counts = *counts })
		all[n] = g
	}
	return all
}

// Owner returns the name of the line by which leaves what names a gateway.
func (c *Courier) Owner(gateway string) string { return c.owner(gateway).Name }
