package smstest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"unicode/utf8"

	"maillon/internal/sms"
)

// An Inbox is quick and real: it applies each SMS once, by gateway and key, and
// keeps what it got in memory. The zero Inbox works.
type Inbox struct {
	mu       sync.Mutex // held to read or change what follows
	keys     map[key]bool
	messages []sms.Incoming
	repeated int
	reports  []sms.Report
	refuse   int
	lose     int
}

type key struct{ gateway, key string }

// Refuse makes the next n calls of Receive fail with ErrLater before anything
// is kept, as when the database is stopped.
func (i *Inbox) Refuse(n int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.refuse = n
}

// Lose makes the next n calls of Receive keep the SMS and fail nevertheless, as
// when the program dies between its commit and its answer.
func (i *Inbox) Lose(n int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.lose = n
}

// Receive keeps m, once.
func (i *Inbox) Receive(_ context.Context, m sms.Incoming) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.refuse > 0 {
		i.refuse--
		return sms.ErrLater
	}
	i.keep(m)
	if i.lose > 0 {
		i.lose--
		return sms.ErrLater
	}
	return nil
}

// keep must be called with mu held.
func (i *Inbox) keep(m sms.Incoming) {
	k := key{m.Gateway, m.Key}
	if i.keys[k] {
		i.repeated++
		return
	}
	if i.keys == nil {
		i.keys = make(map[key]bool)
	}
	i.keys[k] = true
	i.messages = append(i.messages, m)
}

// Report keeps r.
func (i *Inbox) Report(_ context.Context, r sms.Report) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.reports = append(i.reports, r)
	return nil
}

// Messages returns the SMS that had an effect, in their order.
func (i *Inbox) Messages() []sms.Incoming {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.messages)
}

// Repeated returns how often an SMS came that was already there.
func (i *Inbox) Repeated() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.repeated
}

// Reports returns the delivery reports, in their order.
func (i *Inbox) Reports() []sms.Report {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.reports)
}

// CheckIncoming fails the test unless all that came into i is as sms.Incoming
// promises, however hostile its origin was.
func CheckIncoming(t testing.TB, i *Inbox) {
	t.Helper()
	for _, m := range i.Messages() {
		if m.Gateway == "" || m.Key == "" || !utf8.ValidString(m.From+m.To+m.Text) {
			t.Errorf("came in: %+v", m)
		}
	}
}
