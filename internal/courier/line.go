package courier

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"maillon/internal/duty"
	"maillon/internal/sms"
	"maillon/internal/store"
)

// A line at work: one goroutine chooses what leaves, and each message on its
// way has its own, so that a slow gateway holds up nobody but itself. Of several
// servers one has the line at work.
type line struct {
	Line
	courier *Courier
	duty    *duty.Duty
	bucket  *bucket
	window  int
	sends   sync.WaitGroup
	flying  atomic.Int64  // messages at the gateway
	landed  chan struct{} // one of them is there no more
	lapsed  chan struct{} // the lease of one of them has ended
	capDay  time.Time     // the day of which was told that its cap is reached; for run alone

	mu      sync.Mutex // held to read or change what follows
	counts  Counts
	lastIn  time.Time
	expired time.Time // when a code last expired in the queue
	weary   int       // how often in a row the gateway was busy, with nothing accepted between
	rest    time.Time // until when a weary line tries nothing
	began   time.Time // when the line came to this server: its gateway is not down for longer
	known   sms.Health
}

func newLine(c *Courier, l Line) *line {
	window := l.Window
	if window <= 0 {
		window = defaultWindow
	}
	w := &line{
		Line: l, courier: c, bucket: newBucket(l.Rate), window: window, began: time.Now(),
		landed: make(chan struct{}, 1), lapsed: make(chan struct{}, 1),
	}
	w.duty = c.roster.Duty(dutyOf(l.Name), w.note)
	return w
}

// dutyOf names the duty of a line.
func dutyOf(name string) string { return "gateway:" + name }

// work runs the gateway and hands over what waits for the line until ctx ends.
// What is on its way may then land, unless another server has the line already:
// then it lands beside it.
func (w *line) work(ctx, sending context.Context) {
	serving, cancelServing := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelServing()
	w.begin(time.Now())
	var gateway, loops sync.WaitGroup
	gateway.Go(func() { w.courier.serve(serving, w) })
	loops.Go(func() { w.run(ctx, sending) })
	loops.Go(func() {
		w.courier.loop(ctx, "settle "+w.Name, w.lapsed, func(ctx context.Context) (time.Time, error) { return w.recover(ctx, sending) })
	})
	<-ctx.Done()
	if !errors.Is(context.Cause(ctx), duty.ErrLost) {
		waitAtMost(grace+abandon, func() { loops.Wait(); w.sends.Wait() })
		cancelServing()
		waitAtMost(abandon, gateway.Wait)
		return
	}
	cancelServing()
	waitAtMost(abandon, gateway.Wait)
	loops.Wait() // before the line may come back
}

func (w *line) begin(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.began = now
}

// run hands over what waits for the line until ctx ends; what is on its way
// then goes on with sending.
func (w *line) run(ctx, sending context.Context) {
	remembers := false
	w.courier.loop(ctx, w.Name, w.landed, func(ctx context.Context) (time.Time, error) {
		if !remembers {
			if err := w.remember(ctx); err != nil {
				return time.Time{}, err
			}
			remembers = true
		}
		round, err := w.claim(ctx)
		if err != nil {
			return time.Time{}, err
		}
		for _, d := range round.claimed {
			w.flying.Add(1)
			w.sends.Go(func() {
				defer w.land()
				w.carry(sending, d)
			})
		}
		if today := w.courier.midnight(time.Now()); round.capped && !w.capDay.Equal(today) {
			w.capDay = today
			w.courier.tell(ctx, string(CapReached)+":"+w.Name, Alert{Line: w.Name, Trouble: CapReached})
		}
		return round.next, nil
	})
}

func (w *line) land() {
	w.flying.Add(-1)
	poke(w.landed)
}

// remember spends the tokens that were spent before a restart, or at another
// server.
func (w *line) remember(ctx context.Context) error {
	if w.bucket.home == nil {
		return nil
	}
	w.bucket.forget()
	return w.courier.db.View(ctx, func(tx *store.Tx) error {
		left, err := tx.Departures(ctx, w.Name, tx.Now().Add(-w.bucket.per), len(w.bucket.home))
		for _, d := range left {
			w.bucket.spend(d.At, d.Segments)
		}
		return err
	})
}

// A departure is a message on its way and the tokens that it cost.
type departure struct {
	store.Out
	spent []time.Time
	asked time.Time // when its claim began
}

// A round is what one look at the outbox found for a line.
type round struct {
	claimed []departure
	next    time.Time // when to look again if nothing happens before; zero: no need to
	capped  bool      // something had to stay because of the daily cap
	asked   time.Time
}

// wait notes that there may be something to do at t.
func (r *round) wait(t time.Time) {
	if !t.IsZero() && (r.next.IsZero() || t.Before(r.next)) {
		r.next = t
	}
}

// claim marks what may leave now as being handed over.
func (w *line) claim(ctx context.Context) (r round, err error) {
	room, rest := w.room(time.Now())
	if room <= 0 {
		return round{next: rest}, nil
	}
	asked := time.Now()
	err = w.courier.db.Update(ctx, func(tx *store.Tx) error {
		r = round{asked: asked}
		if err := w.duty.Check(ctx, tx); err != nil {
			return err
		}
		queues, err := w.queues(ctx, tx, &r)
		if err != nil {
			return err
		}
		ready, err := merge(ctx, tx, queues, room)
		if err != nil {
			return err
		}
		if err := w.take(ctx, tx, ready, &r); err != nil || len(r.claimed) < len(ready) || len(ready) == room {
			return err
		}
		for _, q := range queues {
			next, err := tx.NextReady(ctx, q.gateway, q.first, q.last)
			if err != nil {
				return err
			}
			r.wait(next)
		}
		return nil
	})
	if err != nil {
		for _, d := range r.claimed {
			w.bucket.refund(d.spent)
		}
		return round{}, err
	}
	return r, nil
}

// room returns how many messages the line may take now, and until when it
// rests if it does. A weary line tries with one message.
func (w *line) room(now time.Time) (n int, rest time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Before(w.rest) {
		return 0, w.rest
	}
	n = w.window
	if w.weary > 0 {
		n = 1
	}
	return n - int(w.flying.Load()), time.Time{}
}

// take claims of ready what the rate and the daily cap let through, in order.
func (w *line) take(ctx context.Context, tx *store.Tx, ready []store.Ready, r *round) error {
	left := 0
	if w.Daily > 0 && len(ready) > 0 {
		used, err := tx.SegmentsSince(ctx, w.Name, w.courier.midnight(tx.Now()))
		if err != nil {
			return err
		}
		left = w.Daily - used
	}
	var regime store.Regime
	if len(ready) > 0 {
		var err error
		if regime, err = tx.Regime(ctx); err != nil {
			return err
		}
	}
	for _, m := range ready {
		if now := tx.Now(); m.Priority != sms.Code && !now.Before(regime.Scarce) && now.Before(regime.Plenty) { // rule SMS1
			r.wait(regime.Plenty)
			return nil
		}
		if w.Daily > 0 && m.Priority != sms.Code && m.Segments > left {
			r.capped = true
			r.wait(w.courier.tomorrow(tx.Now()))
			return nil
		}
		if at := w.bucket.ready(m.Segments); at.After(tx.Now()) {
			r.wait(at)
			return nil
		}
		o, err := tx.Claim(ctx, m.ID, w.Name, tx.Now().Add(lease))
		if err != nil {
			return err
		}
		r.claimed = append(r.claimed, departure{o, w.bucket.spend(tx.Now(), m.Segments), r.asked})
		left -= m.Segments
	}
	return nil
}

// A queue is what a line may take of what waits for a gateway.
type queue struct {
	gateway     string
	first, last sms.Priority
	impatient   bool // whatever the back-off after a gateway that is down
}

// queues returns what the line may take now: its own, what names no line that
// exists if it is the default one, and what is urgent of the lines that it
// backs up. Where something urgent waits and may change hands, r looks again.
func (w *line) queues(ctx context.Context, tx *store.Tx, r *round) ([]queue, error) {
	names, err := tx.QueuedGateways(ctx)
	if err != nil {
		return nil, err
	}
	var all []queue
	now := tx.Now()
	for _, name := range names {
		owner := w.courier.owner(name)
		relieved := owner.relieved(now)
		urgent := queue{gateway: name, first: sms.Code, last: sms.Receipt, impatient: true}
		switch {
		case owner == w && relieved:
			all = append(all, queue{gateway: name, first: sms.Notice, last: sms.Notice})
		case owner == w:
			all = append(all, queue{gateway: name, first: sms.Code, last: sms.Notice})
			continue
		case owner.Backup == w.Name && relieved:
			all = append(all, urgent)
			continue
		case owner.Backup != w.Name:
			continue
		}
		waiting, err := urgent.ready(ctx, tx, 1)
		if err != nil {
			return nil, err
		}
		if len(waiting) > 0 {
			r.wait(owner.lookAt(now))
		}
	}
	return all, nil
}

func (q queue) ready(ctx context.Context, tx *store.Tx, limit int) ([]store.Ready, error) {
	by := tx.Now()
	if q.impatient {
		by = by.Add(retryMost)
	}
	return tx.Ready(ctx, q.gateway, q.first, q.last, by, limit)
}

// relieved reports whether the backup of the line has what is urgent: the line
// has been down for a while, and its backup is up.
func (w *line) relieved(now time.Time) bool {
	backup := w.courier.byName[w.Backup]
	return backup != nil && backup != w && backup.feels().Up && w.down(now) >= downBefore
}

// down returns for how long the gateway has been down, 0 if it is up.
func (w *line) down(now time.Time) time.Duration {
	h := w.feels()
	if h.Up {
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.duty.Held() && h.Since.Before(w.began) {
		return now.Sub(w.began)
	}
	return now.Sub(h.Since)
}

// lookAt returns when to see again whether the line or its backup is up.
func (w *line) lookAt(now time.Time) time.Time {
	if d := w.down(now); d > 0 && d < downBefore {
		return now.Add(min(lookAgain, downBefore-d))
	}
	return now.Add(lookAgain)
}

// merge returns at most limit of the messages that are ready in some queues,
// the most urgent first, the oldest first among equals.
func merge(ctx context.Context, tx *store.Tx, queues []queue, limit int) ([]store.Ready, error) {
	var all []store.Ready
	for _, q := range queues {
		ready, err := q.ready(ctx, tx, limit)
		if err != nil {
			return nil, err
		}
		all = append(all, ready...)
	}
	slices.SortFunc(all, func(a, b store.Ready) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.ID, b.ID))
	})
	return all[:min(limit, len(all))], nil
}

// tire notes that the gateway was busy. What met it at the same time does not
// count twice.
func (w *line) tire(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Before(w.rest) {
		return
	}
	w.weary++
	w.rest = now.Add(min(backOff(w.weary), restMost))
}

// revive notes that the gateway works, and reports whether it had not for more
// than a moment.
func (w *line) revive() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	long := w.weary > 1
	w.weary, w.rest = 0, time.Time{}
	return long
}
