// Package virtual is the telephone network of the console and of the stories:
// phones that live in memory, an SMS away from the server, and no operator in
// between. It keeps the promises of every gateway and is their reference.
package virtual

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"maillon/internal/sms"
)

// What is kept in memory: the phones used last, and of each its last messages.
const (
	MaxPhones           = 2000
	MaxMessagesPerPhone = 100
)

// maxSegments is how long a text a phone may write, as on the air.
const maxSegments = 6

// Bounds of the queues: events that a subscriber may lag behind before it is
// dropped, and delivery reports that wait for Run; the rest are lost.
const (
	maxLag     = 256
	maxReports = 1024
)

// ErrTooLong means that a text has more than six segments.
var ErrTooLong = errors.New("text too long for an SMS")

// A Gateway is a network of virtual phones. All methods may be called at once.
type Gateway struct {
	name    string
	door    sms.Door
	pulse   sms.Pulse
	reports chan sms.Report

	mu     sync.Mutex // held to read or change what follows
	phones map[sms.Number]*list.Element
	recent *list.List // of *phone, the one used last in front
	lives  map[chan Event]struct{}
	sent   int
	fault  error
}

type phone struct {
	number sms.Number
	thread []Bubble
}

// A Bubble is one SMS as its phone shows it.
type Bubble struct {
	Mine   bool // written on this phone, not received by it
	Text   string
	At     time.Time
	Failed bool // the server did not take it
}

// An Event says that a bubble came to the thread of a phone, or changed there.
type Event struct {
	Phone  sms.Number
	Bubble Bubble
}

// New returns a network without phones; they come into being by their first
// message. The name is the gateway's in the configuration.
func New(name string) *Gateway {
	return &Gateway{
		name:    name,
		reports: make(chan sms.Report, maxReports),
		phones:  make(map[sms.Number]*list.Element),
		recent:  list.New(),
		lives:   make(map[chan Event]struct{}),
	}
}

// Run carries messages until ctx ends.
func (g *Gateway) Run(ctx context.Context, in sms.Inbox) error {
	g.door.Open(in)
	defer g.door.Shut()
	g.pulse.Beat()
	defer g.pulse.Stop()
	for {
		select {
		case r := <-g.reports:
			// A report is a courtesy: what cannot be committed now is dropped.
			_ = in.Report(ctx, r)
		case <-ctx.Done():
			return nil
		}
	}
}

// Text writes an SMS on a phone and sends it to the server. It returns nil once
// the server has committed it, ErrLater or its error if not. The same text sent
// at the same instant is the same SMS, delivered again by the network.
func (g *Gateway) Text(ctx context.Context, from sms.Number, text string, sentAt time.Time) error {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if _, segments := sms.Segments(text); segments > maxSegments {
		return ErrTooLong
	}
	bubble := Bubble{Mine: true, Text: text, At: sentAt}
	g.show(from, bubble)
	err := g.door.Receive(ctx, sms.Incoming{
		Gateway: g.name,
		Key:     from.E164() + " " + strconv.FormatInt(sentAt.UnixNano(), 10) + " " + text,
		From:    from.E164(),
		Text:    text,
		SentAt:  sentAt,
	})
	if err != nil {
		bubble.Failed = true
		g.show(from, bubble)
		return fmt.Errorf("text from a virtual phone: %w", err)
	}
	return nil
}

// Send puts m into the thread of its phone and reports it delivered.
func (g *Gateway) Send(_ context.Context, m sms.Outgoing) (providerID string, err error) {
	if !g.door.IsOpen() {
		return "", fmt.Errorf("send to a virtual phone: %w", sms.ErrBusy)
	}
	id, err := g.nextID()
	if err != nil {
		return "", fmt.Errorf("send to a virtual phone: %w", err)
	}
	g.show(m.To, Bubble{Text: m.Text, At: time.Now()})
	select {
	case g.reports <- sms.Report{Gateway: g.name, ID: m.ID, ProviderID: id, State: sms.Delivered}:
	default:
	}
	return id, nil
}

func (g *Gateway) nextID() (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fault != nil {
		return "", g.fault
	}
	g.sent++
	return "v" + strconv.Itoa(g.sent), nil
}

// Break lets every Send fail with err, ErrBusy for example, without effect
// until Break(nil): a network that is out of order.
func (g *Gateway) Break(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fault = err
}

// Health returns whether Run runs.
func (g *Gateway) Health() sms.Health { return g.pulse.Health() }

// Thread returns the messages of a phone, the oldest first; none if the phone
// has none or was forgotten.
func (g *Gateway) Thread(number sms.Number) []Bubble {
	g.mu.Lock()
	defer g.mu.Unlock()
	e, ok := g.phones[number]
	if !ok {
		return nil
	}
	return slices.Clone(e.Value.(*phone).thread)
}

// Subscribe returns what happens on all phones from now on. The channel is
// closed when ctx ends, and as soon as its reader lags too far behind: the
// reader then takes the threads anew.
func (g *Gateway) Subscribe(ctx context.Context) <-chan Event {
	live := make(chan Event, maxLag)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lives[live] = struct{}{}
	context.AfterFunc(ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.drop(live)
	})
	return live
}

// drop must be called with mu held.
func (g *Gateway) drop(live chan Event) {
	if _, ok := g.lives[live]; ok {
		delete(g.lives, live)
		close(live)
	}
}

func (g *Gateway) show(number sms.Number, b Bubble) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.phone(number).put(b)
	for live := range g.lives {
		select {
		case live <- Event{Phone: number, Bubble: b}:
		default:
			g.drop(live)
		}
	}
}

// phone must be called with mu held.
func (g *Gateway) phone(number sms.Number) *phone {
	if e, ok := g.phones[number]; ok {
		g.recent.MoveToFront(e)
		return e.Value.(*phone)
	}
	if g.recent.Len() >= MaxPhones {
		oldest := g.recent.Remove(g.recent.Back()).(*phone)
		delete(g.phones, oldest.number)
	}
	p := &phone{number: number}
	g.phones[number] = g.recent.PushFront(p)
	return p
}

// put appends b to the thread; a text that the phone sends again stays one
// bubble.
func (p *phone) put(b Bubble) {
	for i, old := range p.thread {
		if b.Mine && old.Mine && old.At.Equal(b.At) && old.Text == b.Text {
			p.thread[i] = b
			return
		}
	}
	if len(p.thread) >= MaxMessagesPerPhone {
		p.thread = slices.Delete(p.thread, 0, 1)
	}
	p.thread = append(p.thread, b)
}
