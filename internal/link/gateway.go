package link

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"maillon/internal/sms"
	"maillon/internal/sms/premium"
	"maillon/internal/store"
)

// Times of a gateway: of the end of its certificate, and of one that asks for
// what goes out.
const (
	warnWithin = 7 * 24 * time.Hour
	askWithin  = 2 * time.Minute  // or it is down
	seenEvery  = 30 * time.Second // how often other servers are told that it asks
)

var (
	// errNoCharge means that a charge came by a gateway that may bring none.
	errNoCharge = errors.New("the assurance of this gateway does not let it bring charges")
	// errOnlyAnswers means that nobody waits for what should leave.
	errOnlyAnswers = errors.New("by this gateway only answers leave, while the SMS that they answer is being taken")
)

// A Config is one gateway.
type Config struct {
	Name    string
	Region  string          // how senders that are not written in full are read
	Adapter premium.Adapter // reads what comes to Handler; nil: it speaks our own protocol alone
	Charge  *sms.Charge     // what an SMS costs that says nothing of it; nil: the usual rate
	Network bool            // its operator proves the senders: it may bring charges
	Key     sms.Secret      // it signs with it, for it has no certificate; zero: it has one, or its adapter knows it

	// How messages leave, each tried in its turn.
	Body bool        // in the answer to the SMS that they answer
	Push sms.Gateway // to it; nil: not
	Pull bool        // when it asks
}

// A Gateway is one of those that the link lets in.
type Gateway struct {
	config Config
	db     atomic.Pointer[store.DB]
	door   sms.Door
	pulse  sms.Pulse

	mu      sync.Mutex              // held to read or change what follows
	waiting map[int64]chan struct{} // calls that wait for their answers, by record
	asking  chan struct{}           // closed when something waits for whoever asks
	seen    time.Time               // when other servers were last told that it asks
	ends    time.Time               // when the certificate ends with which it last came; zero: it has none
}

var _ sms.Visited = (*Gateway)(nil)

// NewGateway makes a gateway of a link.
func NewGateway(c Config) *Gateway {
	return &Gateway{config: c, waiting: map[int64]chan struct{}{}, asking: make(chan struct{})}
}

// Use says where the books are.
func (g *Gateway) Use(db *store.DB) { g.db.Store(db) }

// Run lets calls through until ctx ends.
func (g *Gateway) Run(ctx context.Context, in sms.Inbox) error {
	if g.db.Load() == nil {
		return errClosed
	}
	g.door.Open(in)
	defer g.pulse.Stop()
	defer g.door.Shut()
	if g.config.Push != nil {
		return g.config.Push.Run(ctx, in)
	}
	if !g.config.Pull {
		g.pulse.Beat()
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(seenEvery)
	defer tick.Stop()
	for {
		if err := g.look(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Attend lets calls through to in until ctx ends, be the gateway run or not.
func (g *Gateway) Attend(ctx context.Context, in sms.Inbox) { g.door.Attend(ctx, in) }

// Health returns whether messages can leave, and that a certificate ends soon.
func (g *Gateway) Health() sms.Health {
	h := g.pulse.Health()
	if g.config.Push != nil {
		h = g.config.Push.Health()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if h.Detail == "" && !g.ends.IsZero() && time.Until(g.ends) < warnWithin {
		h.Detail = "its certificate ends on " + g.ends.UTC().Format(time.DateOnly)
	}
	return h
}

// present notes with which certificate the gateway came.
func (g *Gateway) present(c *x509.Certificate) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ends = c.NotAfter
}

// Send hands a message over in the first way that is open.
func (g *Gateway) Send(ctx context.Context, m sms.Outgoing) (providerID string, err error) {
	db := g.db.Load()
	if db == nil {
		return "", fmt.Errorf("send by the link: %w", sms.ErrBusy)
	}
	if g.config.Body {
		answered, err := g.answer(ctx, db, m)
		if err != nil {
			return "", fmt.Errorf("answer by the link: %w", err)
		}
		if answered {
			return "", nil
		}
	}
	switch {
	case g.config.Push != nil:
		return g.config.Push.Send(ctx, m)
	case !g.config.Pull:
		return "", fmt.Errorf("send by the link: %w: %w", sms.ErrRefused, errOnlyAnswers)
	case !g.pulse.Health().Up:
		return "", fmt.Errorf("send by the link: it does not ask: %w", sms.ErrBusy)
	}
	if err := g.lay(ctx, db, m); err != nil {
		return "", fmt.Errorf("send by the link: %w", err)
	}
	return "", nil
}

// take passes on what a call says, and returns what to say to it once that is on
// disk. Whoever gets an error calls again.
func (g *Gateway) take(ctx context.Context, c premium.Call) (body string, err error) {
	if b := c.Bill; (b != nil || c.Message != nil && c.Message.Charge != nil) && !g.config.Network {
		return "", errNoCharge
	}
	body = c.Said
	if m := c.Message; m != nil {
		if body, err = g.receive(ctx, *m, c); err != nil {
			return "", err
		}
	}
	if b := c.Bill; b != nil {
		bill := *b
		bill.Gateway = g.config.Name
		if err := g.door.Bill(ctx, bill); err != nil {
			return "", err
		}
	}
	if r := c.Report; r != nil {
		report := *r
		report.Gateway = g.config.Name
		if err := g.door.Report(ctx, report); err != nil {
			return "", err
		}
	}
	return body, nil
}

// receive passes one SMS on, and returns its answer if that leaves in the body.
func (g *Gateway) receive(ctx context.Context, m sms.Incoming, c premium.Call) (body string, err error) {
	m.Gateway = g.config.Name
	if g.config.Network {
		m.Proof = sms.Network
	}
	if m.Charge == nil && g.config.Charge != nil {
		charge := *g.config.Charge
		m.Charge = &charge
	}
	from, err := sms.ParseNumber(m.From, g.config.Region)
	if err != nil || !g.config.Body || !c.Body { // nobody can be answered, or not here
		return c.Said, g.door.Receive(ctx, m)
	}
	w, err := g.begin(ctx, m.Key, from, c.MaxReply)
	if err != nil {
		return "", err
	}
	defer g.leave(w)
	if w.answered {
		return w.text, nil
	}
	if err := g.door.Receive(ctx, m); err != nil {
		return "", err
	}
	return g.wait(ctx, w)
}
