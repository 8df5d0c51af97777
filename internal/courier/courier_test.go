package courier_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"maillon/internal/courier"
	"maillon/internal/sms"
	"maillon/internal/store"
)

const member = "+33639980012"

// quiet is the time after which nothing is on its way any more.
const quiet = 24 * time.Hour

// A handed message is what a network got, and when.
type handed struct {
	sms.Outgoing
	At time.Time
}

// A network takes what it is given, unless its answer says otherwise.
type network struct {
	answer func(ctx context.Context, n int, m sms.Outgoing) (string, error)

	mu   sync.Mutex
	up   bool
	at   time.Time
	got  []handed
	in   sms.Inbox
	runs int
}

func newNetwork() *network { return &network{up: true, at: time.Now()} }

func (n *network) Run(ctx context.Context, in sms.Inbox) error {
	n.mu.Lock()
	n.in = in
	n.runs++
	n.mu.Unlock()
	<-ctx.Done()
	return nil
}

func (n *network) Send(ctx context.Context, m sms.Outgoing) (string, error) {
	n.mu.Lock()
	n.got = append(n.got, handed{m, time.Now()})
	i, answer := len(n.got), n.answer
	n.mu.Unlock()
	if answer != nil {
		return answer(ctx, i, m)
	}
	return fmt.Sprintf("p%d", i), nil
}

func (n *network) Health() sms.Health {
	n.mu.Lock()
	defer n.mu.Unlock()
	return sms.Health{Up: n.up, Since: n.at}
}

func (n *network) turn(up bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.up, n.at = up, time.Now()
}

func (n *network) sent() []handed {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.got)
}

func (n *network) texts() string {
	var all []string
	for _, h := range n.sent() {
		all = append(all, h.Text)
	}
	return strings.Join(all, " ")
}

// ages returns when messages reached the network, in seconds since a time.
func (n *network) ages(since time.Time) string {
	var all []string
	for _, h := range n.sent() {
		all = append(all, fmt.Sprint(h.At.Sub(since).Seconds()))
	}
	return strings.Join(all, " ")
}

type answering func(context.Context, sms.Incoming) error

func (a answering) Receive(ctx context.Context, m sms.Incoming) error { return a(ctx, m) }

// A bench is a courier with its store.
type bench struct {
	*courier.Courier
	t      *testing.T
	db     *store.DB
	start  time.Time
	alerts chan courier.Alert
}

// in runs test in a bubble with an empty store.
func in(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		db, err := store.Open(t.Context(), store.Memory, store.Secret{1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		test(t, &bench{t: t, db: db, start: time.Now(), alerts: make(chan courier.Alert, 100)})
	})
}

// run starts a courier and returns what stops it.
func (b *bench) run(lines ...courier.Line) (stop func()) {
	b.Courier = courier.New(b.db, lines, answering(func(context.Context, sms.Incoming) error { return nil }), courier.Options{
		Alert: func(_ context.Context, a courier.Alert) { b.alerts <- a },
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := b.Run(ctx); err != nil {
			b.t.Errorf("Run = %v", err)
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	b.t.Cleanup(stop)
	return stop
}

func (b *bench) enqueue(p sms.Priority, life time.Duration, line, text string) {
	b.t.Helper()
	to, err := sms.FromE164(member)
	if err != nil {
		b.t.Fatal(err)
	}
	err = b.db.Update(b.t.Context(), func(tx *store.Tx) error {
		return tx.Enqueue(b.t.Context(), store.Out{To: to, Text: text, Gateway: line, Priority: p, Expires: tx.Now().Add(life)}, nil)
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) outbox() (all []store.Out) {
	b.t.Helper()
	err := b.db.View(b.t.Context(), func(tx *store.Tx) (err error) {
		all, err = tx.Outbox(b.t.Context(), 0, 10_000)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}

// states returns the state of each message, in the order of their enqueuing.
func (b *bench) states() string {
	b.t.Helper()
	var all []string
	for _, o := range b.outbox() {
		all = append(all, o.State)
	}
	return strings.Join(all, " ")
}

func (b *bench) want(what, got, want string) {
	b.t.Helper()
	if got != want {
		b.t.Errorf("%s: %s, want %s", what, got, want)
	}
}

// pass lets time pass until all that was to happen has happened.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestTheUrgentLeavesFirst(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		for _, m := range []struct {
			p    sms.Priority
			text string
		}{{sms.Notice, "n1"}, {sms.Receipt, "r1"}, {sms.Code, "c1"}, {sms.Notice, "n2"}, {sms.Code, "c2"}, {sms.Receipt, "r2"}} {
			b.enqueue(m.p, time.Hour, "", m.text)
		}
		n := newNetwork()
		n.answer = func(_ context.Context, i int, _ sms.Outgoing) (string, error) {
			time.Sleep(3 * time.Second)
			if i == 3 {
				b.enqueue(sms.Code, time.Hour, "", "c3")
			}
			return "", nil
		}
		b.run(courier.Line{Name: "g", Gateway: n, Window: 1})
		pass(time.Minute)
		b.want("order", n.texts(), "c1 c2 r1 c3 r2 n1 n2")
	})
}

func TestABusyGatewayIsTriedAgainLaterAndLater(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.enqueue(sms.Receipt, time.Hour, "", "r")
		n := newNetwork()
		n.answer = func(_ context.Context, i int, _ sms.Outgoing) (string, error) {
			if i <= 10 {
				return "", fmt.Errorf("no signal: %w", sms.ErrBusy)
			}
			return "p", nil
		}
		b.run(courier.Line{Name: "g", Gateway: n})
		pass(quiet)
		b.want("tries", n.ages(b.start), "0 2 6 14 30 62 126 254 510 810 1110")
		b.want("state", b.states(), "accepted")
	})
}

func TestWhatMetABusyGatewayLeavesWhenItWorksAgain(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		n := newNetwork()
		n.answer = func(context.Context, int, sms.Outgoing) (string, error) {
			if time.Since(b.start) < 10*time.Minute {
				return "", sms.ErrBusy
			}
			return "", nil
		}
		b.run(courier.Line{Name: "g", Gateway: n})
		for i := range 200 {
			b.enqueue(sms.Receipt, time.Hour, "", fmt.Sprint(i))
		}
		pass(10*time.Minute + 31*time.Second)
		b.want("states", b.states(), strings.TrimSpace(strings.Repeat("accepted ", 200)))
		if tries := len(n.sent()); tries > 300 {
			t.Errorf("%d tries for 200 messages: an outage must not burn through the queue", tries)
		}
	})
}

func TestWhatLivedTooLongIsNotSent(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.enqueue(sms.Code, time.Minute, "", "c")
		b.enqueue(sms.Receipt, 2*time.Minute, "", "r")
		n := newNetwork()
		n.answer = func(context.Context, int, sms.Outgoing) (string, error) { return "", sms.ErrBusy }
		b.run(courier.Line{Name: "g", Gateway: n})
		pass(time.Minute)
		b.want("after a minute", b.states(), "expired queued")
		if a := <-b.alerts; a.Trouble != courier.CodeExpired || a.Line != "g" {
			t.Errorf("alert = %+v", a)
		}
		pass(time.Minute)
		b.want("after two", b.states(), "expired expired")
		tries := len(n.sent())
		pass(quiet)
		if len(n.sent()) != tries {
			t.Error("an expired message was sent")
		}
	})
}

func TestTheNetworkHasAMessageForWhatIsLeftOfItsLife(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.enqueue(sms.Code, 10*time.Minute, "", "c")
		n := newNetwork()
		n.answer = func(_ context.Context, i int, _ sms.Outgoing) (string, error) {
			return "", map[bool]error{true: sms.ErrBusy}[i == 1]
		}
		b.run(courier.Line{Name: "g", Gateway: n})
		pass(time.Minute)
		got := n.sent()
		if len(got) != 2 || got[0].Validity != 10*time.Minute || got[1].Validity != 10*time.Minute-2*time.Second {
			t.Errorf("handed over: %+v", got)
		}
	})
}

func TestOnlyACodeIsSentOnceMore(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.enqueue(sms.Code, 10*time.Minute, "", "long")
		b.enqueue(sms.Code, 119*time.Second, "", "short")
		b.enqueue(sms.Receipt, 12*time.Hour, "", "receipt")
		b.enqueue(sms.Notice, 12*time.Hour, "", "notice")
		n := newNetwork()
		n.answer = func(context.Context, int, sms.Outgoing) (string, error) { return "", errors.New("no answer") }
		b.run(courier.Line{Name: "g", Gateway: n, Window: 1})
		pass(quiet)
		b.want("handed over", n.texts(), "long long short receipt notice")
		b.want("states", b.states(), "unknown unknown unknown unknown")
	})
}

func TestACodeThatMayHaveLeftNeverCountsAsExpired(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.enqueue(sms.Code, 10*time.Minute, "", "c")
		n := newNetwork()
		n.answer = func(_ context.Context, i int, _ sms.Outgoing) (string, error) {
			if i == 1 {
				return "", errors.New("no answer")
			}
			return "", sms.ErrBusy
		}
		b.run(courier.Line{Name: "g", Gateway: n})
		pass(quiet)
		b.want("state", b.states(), "unknown")
	})
}

func TestAnAnswerAfterItsLeaseDoesNotDecideTheSecondCopy(t *testing.T) {
	for _, test := range []struct {
		first, second error
		want          string
	}{
		{sms.ErrBusy, nil, "accepted"},
		{sms.ErrBusy, sms.ErrRefused, "unknown"},
		{sms.ErrRefused, nil, "accepted"},
		{nil, sms.ErrRefused, "accepted"},
		{errors.New("no answer"), sms.ErrRefused, "unknown"},
	} {
		in(t, func(t *testing.T, b *bench) {
			b.enqueue(sms.Code, 10*time.Minute, "", "c")
			n := newNetwork()
			n.answer = func(_ context.Context, i int, _ sms.Outgoing) (string, error) {
				if i == 1 {
					time.Sleep(4 * time.Minute) // does not heed its context
					return "p1", test.first
				}
				time.Sleep(3 * time.Minute)
				return "p2", test.second
			}
			stop := b.run(courier.Line{Name: "g", Gateway: n})
			pass(quiet)
			stop()
			b.want(fmt.Sprintf("handed over, answered %v and %v", test.first, test.second), n.texts(), "c c")
			b.want("state", b.states(), test.want)
		})
	}
}

// finding is a network that lists what it took.
type finding struct {
	*network
	lists func(m sms.Outgoing) (string, bool, error)
}

func (f finding) Find(_ context.Context, m sms.Outgoing, _ time.Time) (string, bool, error) {
	return f.lists(m)
}

func TestAGatewayThatCanTellIsAskedFirst(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.enqueue(sms.Code, 10*time.Minute, "", "left")
		b.enqueue(sms.Code, 10*time.Minute, "", "lost")
		b.enqueue(sms.Receipt, 10*time.Minute, "", "left too")
		n := newNetwork()
		n.answer = func(_ context.Context, i int, _ sms.Outgoing) (string, error) {
			if i <= 3 {
				return "", errors.New("no answer")
			}
			return "new", nil
		}
		b.run(courier.Line{Name: "g", Gateway: finding{n, func(m sms.Outgoing) (string, bool, error) {
			return "listed", strings.HasPrefix(m.Text, "left"), nil
		}}})
		pass(quiet)
		b.want("states", b.states(), "accepted accepted accepted")
		if got := n.sent(); len(got) != 4 || got[3].Text != "lost" {
			t.Errorf("handed over: %v", n.texts())
		}
		if o := b.outbox()[0]; o.ProviderID != "listed" {
			t.Errorf("provider id = %q", o.ProviderID)
		}
	})
}

func TestWhatWasBeingHandedOverAtTheEndIsUnknown(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.enqueue(sms.Code, 10*time.Minute, "", "code")
		b.enqueue(sms.Receipt, time.Hour, "", "receipt")
		silent := newNetwork()
		silent.answer = func(ctx context.Context, _ int, _ sms.Outgoing) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		}
		stop := b.run(courier.Line{Name: "g", Gateway: silent})
		pass(time.Second)
		b.want("on their way", b.states(), "handing handing")
		stop()
		if d := time.Since(b.start); d > 30*time.Second {
			t.Errorf("Run ended %v after its context", d)
		}
		b.want("at the end", b.states(), "handing handing")

		n := newNetwork()
		b.run(courier.Line{Name: "g", Gateway: n})
		pass(time.Second)
		b.want("after the restart", b.states(), "accepted unknown")
		b.want("handed over", n.texts(), "code")
	})
}

func TestWhatIsBeingSentEndsBeforeRunDoes(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		for i := range 20 {
			b.enqueue(sms.Receipt, time.Hour, "", fmt.Sprint(i))
		}
		n := newNetwork()
		n.answer = func(context.Context, int, sms.Outgoing) (string, error) {
			time.Sleep(10 * time.Second)
			return "", nil
		}
		stop := b.run(courier.Line{Name: "g", Gateway: n, Window: 5})
		pass(time.Second)
		stop()
		b.want("states", b.states(), strings.Repeat("accepted ", 5)+strings.TrimSpace(strings.Repeat("queued ", 15)))
		if got := len(n.sent()); got != 5 {
			t.Errorf("%d messages were handed over, want the window of 5", got)
		}
	})
}

func TestAGatewayThatFailsIsStartedAgain(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		n := &failing{network: newNetwork()}
		b.run(courier.Line{Name: "g", Gateway: n})
		pass(10 * time.Second)
		b.want("starts", fmt.Sprint(n.starts), "[0s 1s 3s 7s]")
	})
}

type failing struct {
	*network
	starts []time.Duration
}

func (f *failing) Run(context.Context, sms.Inbox) error {
	f.starts = append(f.starts, time.Since(f.at))
	return errors.New("no such device")
}
