package courier_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"maillon/internal/courier"
	"maillon/internal/duty"
	"maillon/internal/sms"
	"maillon/internal/store"
)

// soon is when all is quiet where several servers are at work.
const soon = 9 * time.Minute

// usualRuns is how often chance is tried where time is short.
const usualRuns = 10

// A post is one server of several.
type post struct {
	*courier.Courier
	hang func() // it renews nothing any more, as who cannot reach the database
	stop func() // it stops in order
}

// open opens one more server beside those that are there.
func (b *bench) open(lines ...courier.Line) *post {
	roster := duty.New(b.db, true)
	p := &post{Courier: courier.New(b.db, lines, answering(func(context.Context, sms.Incoming) error { return nil }), courier.Options{
		Alert: func(_ context.Context, a courier.Alert) { b.alerts <- a }, Roster: roster,
	})}
	hanging, hang := context.WithCancel(context.Background())
	stopping, stop := context.WithCancel(context.Background())
	var carrying, keeping sync.WaitGroup
	keeping.Go(func() { roster.Run(hanging) })
	carrying.Go(func() {
		if err := p.Run(stopping); err != nil {
			b.t.Errorf("Run = %v", err)
		}
	})
	p.hang = sync.OnceFunc(func() { hang(); keeping.Wait() })
	p.stop = sync.OnceFunc(func() { stop(); carrying.Wait(); p.hang() })
	b.t.Cleanup(p.stop)
	return p
}

func (n *network) ran() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.runs
}

func TestOneServerRunsAGatewayAndSendsByIt(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		here, there := newNetwork(), newNetwork()
		first := b.open(courier.Line{Name: "g", Gateway: here})
		pass(time.Second)
		b.open(courier.Line{Name: "g", Gateway: there})
		for i := range 20 {
			b.enqueue(sms.Receipt, time.Hour, "", fmt.Sprint(i))
		}
		pass(time.Minute)
		if len(here.sent()) != 20 || len(there.sent()) != 0 || here.ran() != 1 || there.ran() != 0 {
			t.Errorf("%d and %d messages, %d and %d runs, want all at the first", len(here.sent()), len(there.sent()), here.ran(), there.ran())
		}
		first.stop()
		b.enqueue(sms.Receipt, time.Hour, "", "after")
		pass(1500 * time.Millisecond)
		b.want("sent by the other when the first has stopped", there.texts(), "after")
	})
}

// What is at a gateway when its server stops lands, and only then does another
// server have the gateway.
func TestAServerThatStopsLetsWhatIsOnItsWayLand(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		here, there := newNetwork(), newNetwork()
		here.answer = func(context.Context, int, sms.Outgoing) (string, error) {
			time.Sleep(10 * time.Second)
			return "p", nil
		}
		first := b.open(courier.Line{Name: "g", Gateway: here, Window: 1})
		pass(time.Second)
		b.open(courier.Line{Name: "g", Gateway: there})
		b.enqueue(sms.Receipt, time.Hour, "", "a")
		b.enqueue(sms.Receipt, time.Hour, "", "b")
		pass(time.Second)
		go first.stop()
		pass(8 * time.Second)
		b.want("states meanwhile", b.states(), "handing queued")
		pass(3 * time.Second)
		b.want("sent here", here.texts(), "a")
		b.want("sent there", there.texts(), "b")
		b.want("states", b.states(), "accepted accepted")
	})
}

// What a server was handing over when it hung is left alone until its own lease
// ends; the rest leaves by the other server as soon as that has the line.
func TestWhatAServerWasHandingOverWhenItHungIsUnknown(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		here, there := newNetwork(), newNetwork()
		here.answer = func(ctx context.Context, _ int, _ sms.Outgoing) (string, error) {
			<-ctx.Done() // it never comes back
			return "", ctx.Err()
		}
		first := b.open(courier.Line{Name: "g", Gateway: here, Window: 2})
		pass(time.Second)
		b.open(courier.Line{Name: "g", Gateway: there})
		b.enqueue(sms.Code, 10*time.Minute, "", "code")
		b.enqueue(sms.Receipt, time.Hour, "", "receipt")
		pass(time.Second)
		first.hang()
		b.enqueue(sms.Receipt, time.Hour, "", "rest")
		pass(7 * time.Second)
		b.want("sent by the other", there.texts(), "rest")
		pass(soon)
		b.want("sent by the other at last", there.texts(), "rest code")
		b.want("states", b.states(), "accepted unknown accepted")
	})
}

// A line's rate holds across servers.
func TestARateHoldsAcrossServers(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		here, there := newNetwork(), newNetwork()
		rate := courier.Rate{Segments: 2, Per: time.Minute}
		first := b.open(courier.Line{Name: "g", Gateway: here, Rate: rate})
		pass(time.Second)
		b.open(courier.Line{Name: "g", Gateway: there, Rate: rate})
		for i := range 3 {
			b.enqueue(sms.Receipt, time.Hour, "", fmt.Sprint(i))
		}
		pass(time.Second)
		first.stop()
		pass(50 * time.Second)
		b.want("sent there in the same minute", there.texts(), "")
		pass(10 * time.Second)
		b.want("sent there", there.texts(), "2")
	})
}

// How a gateway does is known wherever its line is.
func TestAServerKnowsHowTheLinesOfAnotherDo(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		mine, backup := newNetwork(), newNetwork()
		lines := func(a, z *network) []courier.Line {
			return []courier.Line{{Name: "a", Gateway: a, Default: true, Backup: "z"}, {Name: "z", Gateway: z}}
		}
		b.open(lines(mine, backup)...)
		pass(time.Second)
		elsewhere := newNetwork()
		elsewhere.turn(false) // nobody runs it there
		other := b.open(lines(elsewhere, elsewhere)...)
		pass(10 * time.Second)
		if !other.Gateway("a").Up || other.Down(time.Minute) {
			t.Error("a gateway that is up at the server that has it is down at another")
		}
		mine.turn(false)
		pass(10 * time.Second)
		if other.Gateway("a").Up || !other.Gateway("z").Up {
			t.Error("another server does not know which gateway is down")
		}
		pass(10 * time.Minute)
		if h := other.Gateway("a"); !other.Down(5*time.Minute) || h.Since.IsZero() {
			t.Errorf("another server does not know since when a gateway is down: %+v", h)
		}
	})
}

// What left by a line that no server has any more is not left in doubt for ever.
func TestWhatLeftByALineThatIsNoMoreIsSettled(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		old := newNetwork()
		old.answer = func(ctx context.Context, _ int, _ sms.Outgoing) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		}
		first := b.open(courier.Line{Name: "old", Gateway: old})
		b.enqueue(sms.Receipt, time.Hour, "old", "r")
		pass(5 * time.Second)
		first.hang()
		b.open(courier.Line{Name: "new", Gateway: newNetwork()})
		pass(soon)
		b.want("states", b.states(), "unknown")
	})
}

// Whatever the gateway does, and whichever server hangs, stops or comes back
// when, nothing is sent twice, and everything is sent or known to be in doubt.
func TestNothingIsSentTwiceWhicheverServerSendsIt(t *testing.T) {
	runs := 0
	rapid.Check(t, func(r *rapid.T) {
		if runs++; runs > usualRuns && os.Getenv("MAILLON_REAL") == "" {
			return
		}
		all := trials(r)
		priorities := rapid.SliceOfN(rapid.SampledFrom([]sms.Priority{sms.Code, sms.Receipt, sms.Notice}), 1, 12).Draw(r, "messages")
		window := rapid.IntRange(1, 5).Draw(r, "window")
		turns := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) turn {
			return turn{
				time.Duration(rapid.IntRange(0, 100).Draw(t, "after")) * time.Second,
				rapid.SampledFrom([]string{"hang", "stop", "open"}).Draw(t, "what"),
				rapid.IntRange(0, 5).Draw(t, "who"),
			}
		}), 0, 6).Draw(r, "turns")
		var states []store.Out
		saw := map[string]tally{}
		in(t, func(_ *testing.T, b *bench) {
			n := newNetwork()
			n.answer = func(ctx context.Context, i int, m sms.Outgoing) (string, error) { return all.answer(ctx, n, saw, i, m) }
			for i, p := range priorities {
				b.enqueue(p, 6*time.Minute, "", fmt.Sprint(i))
			}
			line := courier.Line{Name: "g", Gateway: n, Window: window}
			posts := []*post{b.open(line), b.open(line)}
			for _, turn := range turns {
				time.Sleep(turn.after)
				switch p := posts[turn.who%len(posts)]; turn.what {
				case "hang":
					p.hang()
				case "stop":
					p.stop()
				case "open":
					posts = append(posts, b.open(line))
				}
			}
			b.open(line)
			time.Sleep(soon)
			synctest.Wait()
			states = b.outbox()
		})
		for _, o := range states {
			check(r, o, saw[store.OutID(o.ID)])
		}
	})
}

// A turn is what befalls one of several servers.
type turn struct {
	after time.Duration
	what  string
	who   int
}

// script is what befalls all Sends, again and again.
type script []trial

// answer does what the script says of the ith Send.
func (s script) answer(ctx context.Context, n *network, saw map[string]tally, i int, m sms.Outgoing) (string, error) {
	what := s[(i-1)%len(s)]
	select {
	case <-time.After(what.takes):
	case <-ctx.Done():
		what.outcome = "silent"
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	seen := saw[m.ID]
	defer func() { saw[m.ID] = seen }()
	switch what.outcome {
	case "busy":
		return "", sms.ErrBusy
	case "refused":
		seen.refused++
		return "", sms.ErrRefused
	case "silent":
		seen.silent++
		return "", errors.New("no answer")
	}
	seen.taken++
	return fmt.Sprint("p", i), nil
}
