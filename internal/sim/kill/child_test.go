package kill_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"maillon/internal/courier"
	"maillon/internal/ledger"
	"maillon/internal/phrase"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/store"
)

// What tells this program that it is the server, on which database, and how it
// is broken.
const (
	whereVariable  = "MAILLON_KILL_DATABASE"
	brokenVariable = "MAILLON_KILL_BROKEN"
)

// The ways in which a server may be broken, to see that it is noticed.
const (
	sound      = ""
	early      = "acknowledges before it commits"
	forgetful  = "does not recognise a repeated delivery"
	talkative  = "hands over what it has handed over"
	manyOnLine = 10 // messages of each line on their way at once
)

// The lines of the server. Senders of the second may be forged, so that it asks
// for a code before it pays; the first pays at once.
const (
	direct = "direct"
	coded  = "coded"
)

func TestMain(m *testing.M) {
	if where := os.Getenv(whereVariable); where != "" {
		if err := serve(where, os.Getenv(brokenVariable)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// funds are what each member begins with. No payment is as large.
const funds = 50_000_000

// settings let members pay as often and as much as they like: limits and rules
// would only keep the load away.
func settings() setting.Settings {
	s := setting.Default()
	s.Confirm, s.Rules = setting.Off, setting.Log
	s.Max, s.FirstMax, s.FirstWarn, s.Day = 999_999, 999_999, 999_999, 1_000_000_000_000
	s.Flood.N, s.Lookups = 1_000_000, 1_000_000
	return s
}

// secret is no secret here.
var secret = store.Secret{1}

// open opens the server of a database.
func open(ctx context.Context, where string, lines ...courier.Line) (*server.Server, error) {
	book, err := phrase.Shipped()
	if err != nil {
		return nil, err
	}
	return server.Open(ctx, server.Config{
		Path: where, Secret: secret, Settings: settings(), Book: book,
		Lines: lines, Always: map[string]bool{coded: true},
	})
}

// serve is the server: it tells what stands in its books, if it is alone on
// them, then works until it is told to stop, or killed.
func serve(where, broken string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w := &wire{out: newPipe(os.Stdout), broken: broken, stop: cancel, answers: map[string]chan string{}}
	a, b := &gateway{name: direct, wire: w}, &gateway{name: coded, wire: w}
	s, err := open(ctx, where,
		courier.Line{Name: direct, Gateway: a, Number: "+33700099001", Default: true, Window: manyOnLine},
		courier.Line{Name: coded, Gateway: b, Number: "+33700099002", Window: manyOnLine})
	if err != nil {
		return err
	}
	w.server, w.gateways = s, map[string]*gateway{direct: a, coded: b}
	w.started, w.running = make(chan event, 1), sync.WaitGroup{}
	w.running.Add(len(w.gateways))
	go func() {
		read(os.Stdin, w.take)
		cancel() // nobody is there any more
	}()
	after := <-w.started
	if !s.DB.Shared() {
		if err := s.DB.View(ctx, func(tx *store.Tx) error { return audit(ctx, tx, after, w.out.write) }); err != nil {
			return err
		}
	}
	go func() {
		w.running.Wait()
		w.out.write(event{Is: "ready"})
	}()
	err = errors.Join(s.Run(ctx), s.Close())
	w.out.close()
	return err
}

// A wire is the server's end of the line to the network.
type wire struct {
	out      *pipe
	broken   string
	server   *server.Server
	gateways map[string]*gateway
	started  chan event
	running  sync.WaitGroup // gateways that nobody can call yet
	stop     func()

	mu      sync.Mutex
	answers map[string]chan string // of the network, by message on its way
	again   int64
}

// take takes one line of the network.
func (w *wire) take(e event) {
	switch e.Is {
	case "start":
		w.started <- e
	case "sms":
		go w.receive(e)
	case "sent":
		w.mu.Lock()
		answer := w.answers[e.ID]
		delete(w.answers, e.ID)
		w.mu.Unlock()
		if answer != nil {
			answer <- "p" + e.ID
		}
	case "report":
		go w.report(e)
	case "state":
		go w.state(e.Busy)
	case "stop":
		w.stop()
	}
}

func (w *wire) receive(e event) {
	g := w.gateways[e.Line]
	key := e.Key
	if w.broken == forgetful {
		w.mu.Lock()
		w.again++
		key = fmt.Sprintf("%s of %d, %d", key, os.Getpid(), w.again)
		w.mu.Unlock()
	}
	if w.broken == early {
		w.out.write(event{Is: "ack", N: e.N})
	}
	err := g.door.Receive(context.Background(), sms.Incoming{
		Gateway: g.name, Key: key, From: e.From, Text: e.Text, SentAt: time.UnixMicro(e.At),
	})
	switch {
	case w.broken == early:
	case err != nil:
		w.out.write(event{Is: "later", N: e.N, Text: err.Error()})
	default:
		w.out.write(event{Is: "ack", N: e.N})
	}
}

func (w *wire) report(e event) {
	err := w.gateways[e.Line].door.Report(context.Background(), sms.Report{Gateway: e.Line, ID: e.ID, State: sms.Delivered})
	if err == nil {
		w.out.write(event{Is: "reported", ID: e.ID})
	}
}

// state tells whether something waits in the outbox or, if that counts, is on
// its way.
func (w *wire) state(flying bool) {
	ctx := context.Background()
	var busy bool
	err := w.server.DB.View(ctx, func(tx *store.Tx) error {
		b, err := tx.Backlog(ctx)
		busy = b.N > 0
		for line := range w.gateways {
			if err != nil || busy || !flying {
				break
			}
			var lapse time.Time
			lapse, err = tx.NextLapse(ctx, line)
			busy = !lapse.IsZero()
		}
		return err
	})
	w.out.write(event{Is: "state", Busy: busy || err != nil})
}

// atOnce is how many rows are told in one look at the books.
const atOnce = 1000

// audit tells all that came into the books after what the network has seen, and
// the sum of all balances.
func audit(ctx context.Context, tx *store.Tx, after event, tell func(event)) error {
	for last, more := ledger.TransactionID(after.Txn), true; more; {
		txns, err := tx.Transactions(ctx, last, atOnce)
		if err != nil {
			return err
		}
		for _, t := range txns {
			last = t.ID
			tell(told(t))
		}
		more = len(txns) == atOnce
	}
	for last, more := after.Out, true; more; {
		outs, err := tx.Outbox(ctx, last, atOnce)
		if err != nil {
			return err
		}
		for _, o := range outs {
			last = o.ID
			tell(event{Is: "out", Out: o.ID, To: o.To.E164(), Text: o.Text})
		}
		more = len(outs) == atOnce
	}
	sum := int64(0)
	err := tx.AllAccounts(ctx, func(a store.AccountRow) error { sum += a.Balance.Minor(); return nil })
	tell(event{Is: "sum", Sum: sum})
	return err
}

// told returns a transaction as the network is told of it.
func told(t ledger.Transaction) event {
	e := event{Is: "txn", Txn: int64(t.ID), Key: t.Key, Kind: string(t.Kind), Ref: t.Ref}
	if len(t.Postings) != 2 {
		e.Kind = "of several postings"
	}
	for _, p := range t.Postings {
		if p.Amount.Sign() < 0 {
			e.Debit = int64(p.Account)
		} else {
			e.Credit, e.Amount = int64(p.Account), p.Amount.Minor()
		}
	}
	return e
}

// A gateway is one line, as its courier knows it.
type gateway struct {
	name string
	wire *wire
	door sms.Door
}

// Attend implements sms.Visited: what comes in may come to any server.
func (g *gateway) Attend(ctx context.Context, in sms.Inbox) {
	g.door.Open(in)
	defer g.door.Shut()
	g.wire.running.Done()
	<-ctx.Done()
}

// Run implements sms.Gateway.
func (g *gateway) Run(ctx context.Context, _ sms.Inbox) error {
	<-ctx.Done()
	return nil
}

// Send implements sms.Gateway: it writes to the network and waits for its
// answer.
func (g *gateway) Send(ctx context.Context, m sms.Outgoing) (string, error) {
	answer := make(chan string, 1)
	g.wire.mu.Lock()
	g.wire.answers[m.ID] = answer
	g.wire.mu.Unlock()
	e := event{Is: "send", Line: g.name, ID: m.ID, To: m.To.E164(), Text: m.Text}
	g.wire.out.write(e)
	if g.wire.broken == talkative {
		g.wire.out.write(e)
	}
	select {
	case id := <-answer:
		return id, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// Health implements sms.Gateway.
func (g *gateway) Health() sms.Health { return sms.Health{Up: true} }
