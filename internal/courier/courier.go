// Package courier carries messages between the gateways and the store.
//
// What comes in is acknowledged only once the conversation has committed it.
// What goes out leaves the outbox by the line that it names, the most urgent
// first, and its fate is written there:
//
//	queued ─► handing ─► accepted ─► delivered | failed
//	  │          ├─► queued    the gateway was busy: again after a while
//	  │          ├─► failed    the gateway refused it for good
//	  │          └─► unknown   it may have left; a report may still tell
//	  └─► expired
//
// A message is marked as being handed over before the first octet of it leaves,
// so that nothing is sent twice by accident: what was being handed over when
// the program died is unknown, never queued. Only a code is then sent once
// more, if it is still worth something. Reports decide about nothing but the
// state that people are shown.
//
// Several servers may have a courier each on one database. What comes in is
// taken by any of them; each line is a duty of one at a time, and whoever takes
// a line over finds out what its last server was handing over, once the lease of
// the message has ended.
package courier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"maillon/internal/duty"
	"maillon/internal/member"
	"maillon/internal/sms"
	"maillon/internal/store"
)

// The times of a message on its way.
const (
	receiveTimeout = 3 * time.Second // to commit what came in; SMPP must answer within 4 s
	reportTimeout  = 3 * time.Second
	sendTimeout    = 90 * time.Second // for one Send; a modem waits 60 s for its network
	findTimeout    = 20 * time.Second
	findAfter      = 5 * time.Second // a listing may lag behind what it lists
	lease          = sendTimeout + findAfter + findTimeout + 30*time.Second
	saveTimeout    = 10 * time.Second
	saveRetry      = time.Second
	retryLeast     = 2 * time.Second // back-off of a message that met a busy gateway
	retryMost      = 5 * time.Minute
	restMost       = 30 * time.Second // back-off of a line that is busy with everything
	worthResending = 2 * time.Minute  // the life that a code needs to be sent once more
	downBefore     = 2 * time.Minute  // how long a line is down before its backup helps
	lookAgain      = 10 * time.Second // how often a backup looks at a line for which messages wait
	handWithin     = 10 * time.Second // after its claim, or a message is not handed over: whoever slept does not know what happened meanwhile
)

// The bounds of running.
const (
	grace         = 20 * time.Second // for what is being sent when the program ends
	abandon       = 2 * time.Second  // for a Send that was cancelled, and for gateways to end
	restartLeast  = time.Second      // back-off of a gateway that failed
	restartMost   = time.Minute
	restartForget = 5 * time.Minute // a gateway that ran so long begins with restartLeast
	defaultWindow = 10
)

// A Conversation answers what comes in. Receive returns nil once the message,
// new or repeated alike, and all that it led to are on disk.
type Conversation interface {
	Receive(ctx context.Context, m sms.Incoming) error
}

// A Finder is a gateway that can look up whether a message has left, and under
// which name: it is asked before anything is guessed.
type Finder interface {
	Find(ctx context.Context, m sms.Outgoing, since time.Time) (providerID string, found bool, err error)
}

// A Line is one number of the server and the gateway behind it.
type Line struct {
	Name    string // of the gateway in the configuration, as in sms.Incoming
	Gateway sms.Gateway
	Number  string
	Default bool   // what names no line, or none that exists, leaves by it; without any, the first
	Backup  string // the line that takes codes and receipts over when this one is down; may be empty
	Rate    Rate
	Daily   int // segments a day beyond which only codes leave; 0: no bound
	Window  int // messages at the gateway at once; 0: 10
}

// A Trouble is what the courier tells the operator.
type Trouble string

// The troubles. Each is told at most once a day for a line.
const (
	CapReached  Trouble = "daily cap reached"     // only codes leave until midnight
	CodeExpired Trouble = "code expired in queue" // the line is too slow for its members
	OptedOut    Trouble = "member opted out"      // the provider passes nothing on to her, told for each member
)

// An Alert is a trouble and where it is.
type Alert struct {
	Line    string
	Trouble Trouble
	Member  member.ID // 0: nobody, or a stranger
}

// Options are what a courier may be told besides.
type Options struct {
	Zone  *time.Location               // whose midnight ends a day; nil: UTC
	Alert func(context.Context, Alert) // called outside any transaction, by many at once; nil: the log must do

	Roster *duty.Roster // who does what among several servers; nil: there is no other server
	Biller sms.Biller   // takes what operators bill; nil: nobody does
}

// A Courier carries messages. It is the sms.Inbox of all its gateways.
type Courier struct {
	db           *store.DB
	conversation Conversation
	options      Options
	lines        []*line
	byName       map[string]*line
	late         pending
	roster       *duty.Roster
	sweeper      *duty.Duty    // to end what waits too long, and what left by a line that is no more
	lapsed       chan struct{} // the lease of something has ended that left by such a line
}

// New returns a courier between a store and the gateways of some lines, whose
// names must differ. Run sets it to work.
func New(db *store.DB, lines []Line, conversation Conversation, options Options) *Courier {
	if options.Zone == nil {
		options.Zone = time.UTC
	}
	if options.Roster == nil {
		options.Roster = duty.New(db, false)
	}
	c := &Courier{
		db: db, conversation: conversation, options: options, roster: options.Roster, sweeper: options.Roster.Duty("sweep", nil),
		byName: map[string]*line{}, lapsed: make(chan struct{}, 1),
	}
	for _, l := range lines {
		w := newLine(c, l)
		c.lines = append(c.lines, w)
		c.byName[l.Name] = w
	}
	return c
}

// owner returns the line by which leaves what names a gateway: the default one
// if there is none of that name.
func (c *Courier) owner(gateway string) *line {
	if w := c.byName[gateway]; w != nil {
		return w
	}
	for _, w := range c.lines {
		if w.Default {
			return w
		}
	}
	return c.lines[0]
}

// Receive implements sms.Inbox. It is not cancelled with ctx: what has begun
// ends, and only its own time-out bounds it.
func (c *Courier) Receive(ctx context.Context, m sms.Incoming) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), receiveTimeout)
	defer cancel()
	w := c.byName[m.Gateway]
	if err := c.conversation.Receive(ctx, m); err != nil {
		if w != nil {
			w.count(func(n *Counts) { n.Deferred++ })
		}
		return fmt.Errorf("receive from %s: %w: %w", m.Gateway, sms.ErrLater, err)
	}
	if w != nil {
		w.heard(time.Now())
	}
	return nil
}

// Bill implements sms.Biller: it passes on what operators bill, and says
// sms.ErrLater if nobody takes that, or cannot commit. Like Receive it is not
// cancelled with ctx.
func (c *Courier) Bill(ctx context.Context, b sms.Bill) error {
	if c.options.Biller == nil {
		return sms.ErrLater
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), receiveTimeout)
	defer cancel()
	if err := c.options.Biller.Bill(ctx, b); err != nil {
		return fmt.Errorf("bill from %s: %w: %w", b.Gateway, sms.ErrLater, err)
	}
	return nil
}

// Run runs the gateways and carries messages until ctx ends. It then takes
// nothing more from the outbox, lets what is being sent end, for a while, and
// stops the gateways.
func (c *Courier) Run(ctx context.Context) error {
	if c.roster.Alone() {
		// Nobody else carries: what was being handed over is nobody's any more.
		if err := c.db.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error { return tx.EndLeases(ctx) }); err != nil {
			return fmt.Errorf("start the courier: %w", err)
		}
	}
	sending, cancelSending := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelSending()
	attending, cancelAttending := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelAttending()

	var lines, doors sync.WaitGroup
	for _, w := range c.lines {
		if v, ok := w.Gateway.(sms.Visited); ok {
			doors.Go(func() { v.Attend(attending, c) })
		}
		lines.Go(func() { w.duty.While(ctx, func(on context.Context) { w.work(on, sending) }) })
	}
	lines.Go(func() { c.sweeper.While(ctx, func(on context.Context) { c.tidy(on, sending) }) })
	<-ctx.Done()
	cancelled := time.AfterFunc(grace, cancelSending)
	defer cancelled.Stop()
	waitAtMost(grace+3*abandon, lines.Wait)
	cancelAttending()
	waitAtMost(abandon, doors.Wait)
	return nil
}

// waitAtMost returns when wait has, or after d.
func waitAtMost(d time.Duration, wait func()) {
	done := make(chan struct{})
	go func() { defer close(done); wait() }()
	select {
	case <-done:
	case <-time.After(d):
	}
}

// serve runs a gateway again and again.
func (c *Courier) serve(ctx context.Context, w *line) {
	pause := restartLeast
	for ctx.Err() == nil {
		began := time.Now()
		err := w.Gateway.Run(ctx, c)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) >= restartForget {
			pause = restartLeast
		}
		slog.ErrorContext(ctx, "gateway stopped", "line", w.Name, "again_in", pause, "error", err)
		sleep(ctx, pause)
		pause = min(2*pause, restartMost)
	}
}

// sleep waits for d, or for the end of ctx.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// poke wakes the loop that listens, if it does not know already.
func poke(loop chan<- struct{}) {
	select {
	case loop <- struct{}{}:
	default:
	}
}

// loop takes a step now, at the time that each step asks for, when the outbox
// was touched, and when poked. A step that fails is taken again a little later.
func (c *Courier) loop(ctx context.Context, name string, poked <-chan struct{}, step func(context.Context) (next time.Time, err error)) {
	touched, unsubscribe := c.db.Subscribe(store.Outgoing)
	defer unsubscribe()
	for ctx.Err() == nil {
		next, err := step(ctx)
		if errors.Is(err, store.ErrClosed) || ctx.Err() != nil {
			return
		}
		if errors.Is(err, duty.ErrLost) { // we slept, and are about to be told
			sleep(ctx, saveRetry)
			continue
		}
		if err != nil {
			slog.ErrorContext(ctx, "outbox out of reach", "loop", name, "error", err)
			sleep(ctx, saveRetry)
			continue
		}
		var timer <-chan time.Time
		if !next.IsZero() {
			timer = time.After(time.Until(next))
		}
		select {
		case <-touched:
		case <-poked:
		case <-timer:
		case <-ctx.Done():
		}
	}
}

// tell warns the operator of a trouble, once a day for all that is named alike.
func (c *Courier) tell(ctx context.Context, name string, a Alert) {
	var n int
	err := c.db.Update(ctx, func(tx *store.Tx) (err error) {
		n, err = tx.Count(ctx, "courier:"+name, c.midnight(tx.Now()))
		return err
	})
	if err != nil || n > 1 {
		return
	}
	slog.WarnContext(ctx, "messages in trouble", "line", a.Line, "trouble", string(a.Trouble), "member", int64(a.Member))
	if c.options.Alert != nil {
		c.options.Alert(ctx, a)
	}
}

// midnight returns when the local day of t began.
func (c *Courier) midnight(t time.Time) time.Time {
	y, m, d := t.In(c.options.Zone).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, c.options.Zone)
}

// tomorrow returns when the local day of t ends.
func (c *Courier) tomorrow(t time.Time) time.Time {
	y, m, d := t.In(c.options.Zone).Date()
	return time.Date(y, m, d+1, 0, 0, 0, 0, c.options.Zone)
}
