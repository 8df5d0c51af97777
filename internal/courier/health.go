package courier

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"maillon/internal/sms"
	"maillon/internal/store"
)

// From when on a queue worries.
const (
	oldCode     = time.Minute
	oldMessage  = 10 * time.Minute
	lostCodeFor = time.Hour // a code that expired in the queue counts so long
)

// A Level says how well a line does.
type Level int

// The levels, the best first.
const (
	Good Level = iota
	Warning
	Down
)

// Counts are what happened on a line since the program started.
type Counts struct {
	Received  int // committed, repeats included
	Deferred  int // could not be committed: the network keeps them
	Requeued  int // the gateway was busy, or a code is sent once more
	Accepted  int
	Delivered int
	Failed    int
	Unknown   int
	Expired   int
}

func (n *Counts) add(state string) {
	switch state {
	case store.Queued:
		n.Requeued++
	case store.Accepted:
		n.Accepted++
	case store.Delivered:
		n.Delivered++
	case store.Failed:
		n.Failed++
	case store.Unknown:
		n.Unknown++
	case store.Expired:
		n.Expired++
	}
}

// A LineHealth is how a line does, for people and for metrics.
type LineHealth struct {
	Name     string
	Number   string
	Level    Level
	Gateway  sms.Health
	Queues   []store.Queue // what waits to leave by the line, by priority
	Segments int           // that left today
	Daily    int           // after so many only codes leave; 0: no bound
	LastIn   time.Time     // when something came in last; zero: not since the start
	Counts   Counts
}

// Health returns how each line does.
func (c *Courier) Health(ctx context.Context) ([]LineHealth, error) {
	all := make([]LineHealth, len(c.lines))
	err := c.db.View(ctx, func(tx *store.Tx) error {
		queues, err := tx.Queues(ctx)
		if err != nil {
			return err
		}
		for i, w := range c.lines {
			segments, err := tx.SegmentsSince(ctx, w.Name, c.midnight(tx.Now()))
			if err != nil {
				return err
			}
			mine := slices.DeleteFunc(slices.Clone(queues), func(q store.Queue) bool { return c.owner(q.Gateway) != w })
			all[i] = w.health(tx.Now(), mine, segments)
		}
		return nil
	})
	return all, err
}

// Worst returns the line that does worst, the first of them; a line without
// name if there is none.
func Worst(lines []LineHealth) LineHealth {
	var worst LineHealth
	for _, h := range lines {
		if worst.Name == "" || h.Level > worst.Level {
			worst = h
		}
	}
	return worst
}

func (w *line) health(now time.Time, queues []store.Queue, segments int) LineHealth {
	feeling := w.feels()
	w.mu.Lock()
	defer w.mu.Unlock()
	h := LineHealth{
		Name: w.Name, Number: w.Number, Gateway: feeling, Queues: queues,
		Segments: segments, Daily: w.Daily, LastIn: w.lastIn, Counts: w.counts,
	}
	if h.Gateway.Detail != "" || w.Daily > 0 && segments >= w.Daily {
		h.Level = Warning
	}
	for _, q := range queues {
		age := now.Sub(q.Oldest)
		if age > oldMessage || q.Priority == sms.Code && age > oldCode {
			h.Level = Warning
		}
	}
	if !h.Gateway.Up || !w.expired.IsZero() && now.Sub(w.expired) < lostCodeFor {
		h.Level = Down
	}
	return h
}

// Gateway returns how the gateway of a line does, at this server or at the one
// that has the line.
func (c *Courier) Gateway(line string) sms.Health {
	if w := c.byName[line]; w != nil {
		return w.feels()
	}
	return sms.Health{}
}

// Down reports whether the gateway of any line has been down for so long.
func (c *Courier) Down(d time.Duration) bool {
	for _, w := range c.lines {
		if h := w.feels(); !h.Up && time.Since(h.Since) >= d {
			return true
		}
	}
	return false
}

// feels returns how the gateway does. If another server has the line it is as
// that one says; while none has it, as was known last.
func (w *line) feels() sms.Health {
	if w.duty.Held() {
		return w.Gateway.Health()
	}
	note, ok := w.duty.Note()
	w.mu.Lock()
	defer w.mu.Unlock()
	if ok {
		w.known = parseNote(note)
	} else if w.known.Since.IsZero() {
		w.known = sms.Health{Since: time.Now(), Detail: "at no server"}
	}
	return w.known
}

// note is what other servers are told of the gateway: whether it is up, since
// when, and its detail.
func (w *line) note() string {
	h := w.Gateway.Health()
	w.mu.Lock()
	defer w.mu.Unlock()
	if h.Since.Before(w.began) {
		h.Since = w.began
	}
	return fmt.Sprintf("%t %d %s", h.Up, h.Since.UnixMicro(), h.Detail)
}

// parseNote reads what note wrote.
func parseNote(text string) sms.Health {
	up, rest, _ := strings.Cut(text, " ")
	since, detail, _ := strings.Cut(rest, " ")
	n, err := strconv.ParseInt(since, 10, 64)
	if err != nil {
		return sms.Health{Since: time.Now(), Detail: "unreadable"}
	}
	return sms.Health{Up: up == "true", Since: time.UnixMicro(n), Detail: detail}
}

func (w *line) count(do func(*Counts)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	do(&w.counts)
}

func (w *line) heard(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts.Received++
	w.lastIn = now
}

func (w *line) lostCode(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.expired = now
}
