// Package smstest holds every gateway to the same promises: Suite is what they
// are, a Bench is the network in front of one kind of gateway, and Inbox what
// stands behind it.
package smstest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"maillon/internal/sms"
)

// A Bench is one gateway, not yet running, and the network before it.
type Bench struct {
	Gateway sms.Gateway
	// From is how the gateway writes the sender that is Member to the network;
	// "" if it writes it likewise.
	From string
	// Deliver brings an SMS to the gateway and returns whether the gateway
	// acknowledged it. Two calls with one message are one SMS, repeated.
	Deliver func(Message) (acknowledged bool)
	// Sent returns what the network got from the gateway, in its order.
	Sent func() []Message
	// Meet tells what becomes of the next Send.
	Meet func(Fault)
	// Report lets the network say that it delivered a message, given our ID and
	// the provider's. Nil if this network gives no reports.
	Report func(id, providerID string)
}

// A Message is one SMS as the network knows it.
type Message struct {
	ID     string // of an SMS that comes in, letters and digits
	From   string // of an SMS that comes in
	To     string // of an SMS that goes out
	Text   string
	SentAt time.Time // of an SMS that comes in
}

// A Fault is what may befall a Send.
type Fault int

// The faults.
const (
	Busy    Fault = iota // the network does not take it now
	Refused              // the network will never take it
	Silent               // the network takes it, or not, and does not answer
)

// patience is how long what must happen may take, as on a slow machine.
const patience = 10 * time.Second

// Member is a number for stories (ARCEP keeps 06 39 98 free for them).
const Member = "+33639980012"

// Texts are what an SMS may hold, one of each kind of difficulty.
var texts = []string{
	"vir 20 @lena",
	"Payé 12,50 € à Zoé [reçu: ç’est noté] ¡@£!",
	"Pellkent: 5 m evit ar c'hafe — « trugarez »",
	"Перевод 10 м для @лена",
	"merci 👍🏽 à toi",
	"a&b=c%20d+e;f\"g\\h<i>{j}",
	"deux\nlignes",
	strings.Repeat("un long message, ", 20) + "fin",
}

// Suite holds the gateways that newBench makes, a new one for each promise, to
// what sms.Gateway promises.
func Suite(t *testing.T, newBench func(t *testing.T) Bench) {
	promises := map[string]func(*testing.T, *running){
		"a text comes in as it was written":        comesIn,
		"an SMS delivered twice is applied once":   twice,
		"two SMS with one text are two":            twoAlike,
		"what is not committed comes again":        refused,
		"what was committed unanswered comes once": lost,
		"many at once come once each":              many,
		"a text goes out as it was written":        goesOut,
		"the fate of a message is told":            fate,
		"a report finds its message":               report,
		"a gateway at rest takes nothing":          rest,
	}
	for name, hold := range promises {
		t.Run(name, func(t *testing.T) { hold(t, run(t, newBench(t))) })
	}
}

// running is a bench whose gateway runs until the test ends or stop is called.
type running struct {
	Bench
	inbox *Inbox
	stop  func()
}

func run(t *testing.T, b Bench) *running {
	r := &running{Bench: b, inbox: new(Inbox)}
	if r.Deliver(incoming("early", "vir 20 @lena")) {
		t.Error("an SMS was acknowledged before Run")
	}
	r.stop = Start(t, b.Gateway, r.inbox)
	Eventually(t, "the gateway is up", func() bool { return b.Gateway.Health().Up })
	return r
}

// Start runs g and returns once the gateway takes messages. It runs until stop
// is called or the test ends, and fails the test if it ends otherwise.
func Start(t testing.TB, g sms.Gateway, in sms.Inbox) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx, in) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("Run = %v", err)
			}
		case <-time.After(patience):
			t.Error("Run goes on after its context")
		}
	})
	t.Cleanup(stop)
	Eventually(t, "the gateway has noted its health", func() bool { return !g.Health().Since.IsZero() })
	return stop
}

// Eventually waits until holds does, and fails the test if that takes too long.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("waited in vain: %s", what)
}

func incoming(id, text string) Message {
	return Message{ID: id, From: Member, Text: text, SentAt: time.Date(2026, 3, 28, 13, 0, 5, 0, time.UTC)}
}

func outgoing(t *testing.T, id, text string) sms.Outgoing {
	t.Helper()
	to, err := sms.FromE164(Member)
	if err != nil {
		t.Fatal(err)
	}
	return sms.Outgoing{ID: id, To: to, Text: text, Priority: sms.Code, Validity: 10 * time.Minute}
}

// holds fails the test unless the inbox has n messages, with the text of m.
func (r *running) holds(t *testing.T, n int, m Message) {
	t.Helper()
	got := r.inbox.Messages()
	if len(got) != n {
		t.Fatalf("%d SMS came in, want %d", len(got), n)
	}
	for _, in := range got {
		if in.Text != m.Text || in.From != cmp.Or(r.From, m.From) || in.Key == "" || in.Gateway == "" || in.Media {
			t.Errorf("came in: %+v, want the text %q of %s, with a key", in, m.Text, m.From)
		}
	}
}

func comesIn(t *testing.T, r *running) {
	for i, text := range texts {
		m := incoming(fmt.Sprintf("in%d", i), text)
		if !r.Deliver(m) {
			t.Fatalf("%q was not acknowledged", text)
		}
		if got := r.inbox.Messages(); len(got) != i+1 || got[i].Text != text || got[i].From != cmp.Or(r.From, m.From) {
			t.Fatalf("%q came in as %+v", text, got[i:])
		}
	}
}

func twice(t *testing.T, r *running) {
	m := incoming("a1", "vir 20 @lena")
	if !r.Deliver(m) || !r.Deliver(m) { //nolint:staticcheck // the network repeats it
		t.Error("not acknowledged")
	}
	r.holds(t, 1, m)
	if n := r.inbox.Repeated(); n != 1 {
		t.Errorf("%d repeats were counted, want 1", n)
	}
}

func twoAlike(t *testing.T, r *running) {
	first, second := incoming("a1", "vir 20 @lena"), incoming("a2", "vir 20 @lena")
	second.SentAt = second.SentAt.Add(time.Second)
	if !r.Deliver(first) || !r.Deliver(second) {
		t.Error("not acknowledged")
	}
	r.holds(t, 2, first)
}

func refused(t *testing.T, r *running) {
	m := incoming("a1", "vir 20 @lena")
	r.inbox.Refuse(3)
	for range 3 {
		if r.Deliver(m) {
			t.Error("acknowledged without a commit")
		}
	}
	if !r.Deliver(m) {
		t.Error("not acknowledged after the commit")
	}
	r.holds(t, 1, m)
}

func lost(t *testing.T, r *running) {
	m := incoming("a1", "vir 20 @lena")
	r.inbox.Lose(1)
	if r.Deliver(m) {
		t.Error("acknowledged although the inbox failed")
	}
	if !r.Deliver(m) {
		t.Error("the repeat was not acknowledged")
	}
	r.holds(t, 1, m)
}

func many(t *testing.T, r *running) {
	const n = 50
	var all sync.WaitGroup
	for i := range n {
		m := incoming(fmt.Sprintf("m%d", i), "vir 20 @lena")
		m.SentAt = m.SentAt.Add(time.Duration(i) * time.Second)
		for range 2 {
			all.Go(func() {
				if !r.Deliver(m) {
					t.Errorf("%s was not acknowledged", m.ID)
				}
			})
		}
	}
	all.Wait()
	r.holds(t, n, incoming("", "vir 20 @lena"))
}

func goesOut(t *testing.T, r *running) {
	for i, text := range texts {
		if _, err := r.Gateway.Send(t.Context(), outgoing(t, fmt.Sprintf("out%d", i), text)); err != nil {
			t.Fatalf("Send(%q): %v", text, err)
		}
		Eventually(t, "the network has the text", func() bool { return len(r.Sent()) == i+1 })
		if got := r.Sent()[i]; got.Text != text || got.To != Member {
			t.Errorf("%q went out to %s as %q", text, got.To, got.Text)
		}
	}
}

func fate(t *testing.T, r *running) {
	const secret = "code 482 913"
	for _, test := range []struct {
		fault         Fault
		busy, refused bool
	}{{Busy, true, false}, {Refused, false, true}, {Silent, false, false}} {
		r.Meet(test.fault)
		_, err := r.Gateway.Send(t.Context(), outgoing(t, "f1", secret))
		if err == nil || errors.Is(err, sms.ErrBusy) != test.busy || errors.Is(err, sms.ErrRefused) != test.refused {
			t.Errorf("fault %d: Send = %v", test.fault, err)
		}
		if err != nil && (strings.Contains(err.Error(), Member[1:]) || strings.Contains(err.Error(), "482")) {
			t.Errorf("the error tells a number or a text: %v", err)
		}
	}
	if _, err := r.Gateway.Send(t.Context(), outgoing(t, "f2", "after the faults")); err != nil {
		t.Errorf("Send after the faults: %v", err)
	}
}

func report(t *testing.T, r *running) {
	if r.Report == nil {
		t.Skip("this network gives no reports")
	}
	id, err := r.Gateway.Send(t.Context(), outgoing(t, "r1", "Payé"))
	if err != nil {
		t.Fatal(err)
	}
	r.Report("r1", id)
	Eventually(t, "the report is there", func() bool {
		for _, got := range r.inbox.Reports() {
			ours := got.ID == "r1" || got.ID == "" && got.ProviderID == id
			if ours && got.State == sms.Delivered && got.Gateway != "" {
				return true
			}
		}
		return false
	})
}

func rest(t *testing.T, r *running) {
	r.stop()
	if r.Deliver(incoming("late", "vir 20 @lena")) {
		t.Error("an SMS was acknowledged after Run")
	}
	r.holds(t, 0, Message{})
	if r.Gateway.Health().Up {
		t.Error("the gateway is up after Run")
	}
}
