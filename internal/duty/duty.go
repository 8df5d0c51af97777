// Package duty decides which of several servers does what only one may do, such
// as carrying the messages of a gateway.
//
// A duty is held by one server at a time, by a lease in the database. The
// server renews it for as long as it lives; if it dies, hangs, or cannot reach
// the database, another takes the duty over when the lease has ended, and one
// that stops in order leaves its duties at once. Whoever has lost a duty knows
// it before anybody else can have it; who slept meanwhile and cannot know is
// found out by Check, in the same transaction as the deed.
//
// A server that is alone on its database has every duty, always, and costs the
// database nothing.
package duty

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"maillon/internal/store"
)

// The times of a lease.
const (
	TTL        = 5 * time.Second // after its last renewal somebody else may take it
	lookEvery  = time.Second
	renewAfter = 3 * time.Second / 2 // so a lease is renewed every two seconds
	slack      = time.Second         // a duty is laid down so long before its lease ends
	patience   = TTL - slack         // how long a lease must not have changed, by our own clock, before it is taken from somebody
	stepTime   = 3 * time.Second     // for one look at the leases
	remembered = time.Hour           // what ended before is forgotten
)

// present is what the leases begin with that only say that a server lives.
const present = "server:"

// ErrLost is the cause with which a duty's context ends when the duty is lost,
// and what Check returns then.
var ErrLost = errors.New("another server does this now")

// A Roster is what one server knows of everybody's duties. It is safe for
// concurrent use.
type Roster struct {
	db     *store.DB
	holder string // who we are; "" if we are alone

	mu     sync.Mutex // held to read or change what follows
	duties []*Duty
	seen   map[string]sighting // by name, of everybody's leases
}

// A sighting is a lease as it was seen, and when it was first seen so.
type sighting struct {
	store.Lease
	since time.Time
}

// New returns the roster of one server on a database, which is alone on it or
// one of several. Duties are added before Run.
func New(db *store.DB, several bool) *Roster {
	r := &Roster{db: db, seen: map[string]sighting{}}
	if several {
		r.holder = rand.Text()
	}
	return r
}

// Alone reports whether no other server may be there.
func (r *Roster) Alone() bool { return r.holder == "" }

// A Duty is one thing that only one server may do.
type Duty struct {
	name   string
	roster *Roster
	note   func() string

	mu      sync.Mutex // held to read or change what follows
	till    time.Time  // until when it is ours by our own clock; zero: it is not
	renewed time.Time  // when it was last asked for with success
	lost    bool       // and what we did is not over yet
	left    bool       // we do not want it any more
	changed chan struct{}
}

// Duty adds a duty. What note returns, if it is not nil, is what the others see
// as its Note.
func (r *Roster) Duty(name string, note func() string) *Duty {
	if note == nil {
		note = func() string { return "" }
	}
	d := &Duty{name: name, roster: r, note: note, changed: make(chan struct{}, 1)}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.duties = append(r.duties, d)
	return d
}

// Note returns what the holder of a duty, if it is somebody else and alive,
// lets us know.
func (d *Duty) Note() (note string, ok bool) {
	r := d.roster
	if r.Alone() || d.Held() {
		return "", false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.seen[d.name]
	if !ok || s.Holder == r.holder || time.Since(s.since) >= TTL {
		return "", false
	}
	return s.Note, true
}

// Held reports whether the duty is ours.
func (d *Duty) Held() bool {
	if d.roster.Alone() {
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Now().Before(d.till)
}

// Check returns ErrLost unless the duty is ours for as long as tx lasts: what
// is done in the same transaction is done by nobody else.
func (d *Duty) Check(ctx context.Context, tx *store.Tx) error {
	if d.roster.Alone() {
		return nil
	}
	is, err := tx.Leased(ctx, d.name, d.roster.holder)
	if err == nil && !is {
		err = fmt.Errorf("%s: %w", d.name, ErrLost)
	}
	return err
}

// While lets do work whenever the duty is ours, until ctx ends or do returns by
// itself. The context of do ends with ctx, and with the cause ErrLost when the
// duty is lost; do must then return soon. At last the duty is left to others.
func (d *Duty) While(ctx context.Context, do func(context.Context)) {
	if d.roster.Alone() {
		do(ctx)
		return
	}
	defer d.leave(context.WithoutCancel(ctx))
	for d.await(ctx) {
		slog.InfoContext(ctx, "duty taken", "duty", d.name)
		on, end := context.WithCancelCause(ctx)
		watched := make(chan struct{})
		go func() { defer close(watched); d.watch(on, end) }()
		do(on)
		itself := on.Err() == nil
		end(nil)
		<-watched
		d.lose(false)
		if itself {
			return
		}
		if ctx.Err() == nil {
			slog.WarnContext(ctx, "duty lost", "duty", d.name)
		}
	}
}

// await returns true when the duty is ours, false when ctx ends.
func (d *Duty) await(ctx context.Context) bool {
	for ctx.Err() == nil && !d.Held() {
		select {
		case <-d.changed:
		case <-ctx.Done():
		}
	}
	return ctx.Err() == nil
}

// watch ends a context when the duty is lost.
func (d *Duty) watch(ctx context.Context, end context.CancelCauseFunc) {
	for ctx.Err() == nil {
		d.mu.Lock()
		left := time.Until(d.till)
		d.mu.Unlock()
		if left <= 0 {
			d.lose(true)
			end(ErrLost)
			return
		}
		select {
		case <-d.changed:
		case <-time.After(left):
		case <-ctx.Done():
		}
	}
}

func (d *Duty) lose(lost bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lost = lost
}

func (d *Duty) leave(ctx context.Context) {
	d.mu.Lock()
	d.left, d.till = true, time.Time{}
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	err := d.roster.db.Update(ctx, func(tx *store.Tx) error { return tx.Release(ctx, d.name, d.roster.holder) })
	if err != nil && !errors.Is(err, store.ErrClosed) {
		slog.WarnContext(ctx, "duty is left late", "duty", d.name, "error", err)
	}
}

func (d *Duty) unwanted() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.left || d.lost
}

// set notes whether the duty is ours, as was asked at a time.
func (d *Duty) set(asked time.Time, held bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.left, d.lost:
		return
	case held:
		d.till, d.renewed = asked.Add(TTL-slack), asked
	default:
		d.till = time.Time{}
	}
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// wants reports whether to ask for the duty now.
func (d *Duty) wants(now time.Time, s sighting, seen bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.left, d.lost:
		return false
	case !seen:
		return true
	case s.Holder == d.roster.holder:
		return now.Sub(d.renewed) >= renewAfter
	}
	return now.Sub(s.since) >= patience && !s.Till.After(now)
}

// Borrow takes in tx a duty that nobody else has, for a moment, and reports
// whether it could.
func (r *Roster) Borrow(ctx context.Context, tx *store.Tx, name string) (bool, error) {
	if r.Alone() {
		return true, nil
	}
	return tx.Lease(ctx, name, r.holder, TTL, "")
}

// Run takes and renews what is ours to do until ctx ends. Duties must have been
// left by then; what is not, ends by itself.
func (r *Roster) Run(ctx context.Context) {
	if r.Alone() {
		return
	}
	self := r.Duty(present+r.holder, nil)
	failing := false
	for ctx.Err() == nil {
		err := r.step(ctx)
		if errors.Is(err, store.ErrClosed) || ctx.Err() != nil {
			break
		}
		if err != nil && !failing {
			slog.ErrorContext(ctx, "duties out of reach", "error", err)
		}
		failing = err != nil
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
		}
	}
	self.leave(context.WithoutCancel(ctx))
}

// step looks at everybody's leases, and asks for those that we want.
func (r *Roster) step(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	var all []store.Lease
	err := r.db.View(ctx, func(tx *store.Tx) (err error) {
		all, err = tx.Leases(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("look at the leases: %w", err)
	}
	asked := time.Now()
	wanted := r.see(asked, all)
	if len(wanted) == 0 {
		return nil
	}
	notes, held := make([]string, len(wanted)), make([]bool, len(wanted))
	for n, d := range wanted {
		notes[n] = d.note()
	}
	err = r.db.Update(ctx, func(tx *store.Tx) (err error) {
		for n, d := range wanted {
			if d.unwanted() {
				continue // since we looked
			}
			if held[n], err = tx.Lease(ctx, d.name, r.holder, TTL, notes[n]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("renew the leases: %w", err)
	}
	for n, d := range wanted {
		d.set(asked, held[n])
	}
	return nil
}

// see notes what leases there are, and returns the duties to ask for.
func (r *Roster) see(now time.Time, all []store.Lease) (wanted []*Duty) {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := map[string]sighting{}
	for _, l := range all {
		s, ok := r.seen[l.Name]
		if !ok || s.Holder != l.Holder || !s.Till.Equal(l.Till) {
			s.since = now
		}
		s.Lease = l
		seen[l.Name] = s
	}
	r.seen = seen
	for _, d := range r.duties {
		s, ok := seen[d.name]
		if ok && s.Holder != r.holder {
			d.set(now, false)
		}
		if d.wants(now, s, ok) {
			wanted = append(wanted, d)
		}
	}
	return wanted
}

// Enter notes in tx that we are here, and reports whether other servers are. Run
// must begin soon after.
func (r *Roster) Enter(ctx context.Context, tx *store.Tx) (others bool, err error) {
	if r.Alone() {
		return false, nil
	}
	if err := tx.ReleaseEnded(ctx, tx.Now().Add(-remembered)); err != nil {
		return false, err
	}
	if _, err := tx.Lease(ctx, present+r.holder, r.holder, TTL, ""); err != nil {
		return false, err
	}
	return r.others(ctx, tx)
}

// Leave notes in tx that we are gone, and reports whether other servers stay.
func (r *Roster) Leave(ctx context.Context, tx *store.Tx) (others bool, err error) {
	if r.Alone() {
		return false, nil
	}
	if err := tx.Release(ctx, present+r.holder, r.holder); err != nil {
		return false, err
	}
	return r.others(ctx, tx)
}

func (r *Roster) others(ctx context.Context, tx *store.Tx) (bool, error) {
	all, err := tx.Leases(ctx)
	for _, l := range all {
		if strings.HasPrefix(l.Name, present) && l.Holder != r.holder && l.Till.After(tx.Now()) {
			return true, err
		}
	}
	return false, err
}
