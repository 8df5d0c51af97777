package kill_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// How the network and the people at their phones behave, in percent or in time.
const (
	deliversTwice = 3  // a delivery is made twice at once
	deliversLate  = 4  // what was acknowledged is delivered once more, later
	reports       = 50 // what it was given is reported as delivered
	asksBalance   = 8  // a phone asks for its balance before it pays again
	repeatsCode   = 10 // a phone sends its code twice, as another SMS

	patience        = 150 * time.Millisecond // until a phone without answer goes on
	patienceSeveral = time.Second            // the same, where another server must first take over
	beat            = 10 * time.Millisecond  // how often the network looks for such phones

	deliverAgain = 4 * time.Second        // what is not acknowledged
	reportAgain  = 10 * time.Second       // the same, of reports
	laterAfter   = 500 * time.Millisecond // what the server did not want now
)

// A letter is one SMS of a phone, however often the network delivers it.
type letter struct {
	phone *phone
	key   string
	text  string
	at    time.Time
	acked int // 0, or the how manieth that was acknowledged
	onAck func()

	to   *life // to which server it was delivered last; nil: to none
	sent time.Time
}

// A payment is what one phone pays another. No two have the same amount, so
// that whatever speaks of the amount speaks of the payment.
type payment struct {
	amount       int64
	payer, payee *phone
	orders       []*letter // a phone types again what is not answered
	codes        []*letter

	txns, debits, credits, questions, repeats int // what the books hold of it
	told, bad                                 bool
}

// A phone is one member. One SMS at a time is on its way from it.
type phone struct {
	number  string
	nick    string
	line    string
	account int64

	open     *letter // not acknowledged yet
	payment  *payment
	code     string // as it came in, until it is used
	since    time.Time
	balances []*letter // asked
	shown    int       // balances in the outbox
	acked    int
	bad      bool
}

// A sending is one message that the server handed over.
type sending struct {
	to, text string
	times    int
}

// A death is what was done to a server or to the database, when, and how many
// messages that were then on their way have a fate that nobody knows.
type death struct {
	born, at time.Time // since when they may have been on their way
	most     int       // of them
	unknown  int
}

// A notice is a report to be made.
type notice struct {
	line string
	at   time.Time // when it was made last
}

// A network is the telephone network, all that happens on it, and its memory:
// what it was acknowledged and what it was given.
type network struct {
	several bool // servers beside each other, which do not tell what is in their books
	lapses  bool // at the end, what is being handed over is waited for

	mu       sync.Mutex // held for what follows
	lives    []*life    // the servers that are not dead
	carrier  *life      // that gave us a message last
	carried  time.Time  // when
	phones   []*phone
	byNumber map[string]*phone
	payments map[int64]*payment
	open     []*payment        // not proven since they ended
	letters  map[int64]*letter // by delivery
	written  int
	waiting  []*letter // to be delivered once the server is there again
	sendings map[string]*sending
	pending  map[string]*notice // reports to make, by message
	reported map[string]bool    // those that were acknowledged
	deaths   []*death
	quiet    bool      // nobody begins anything new
	idle     bool      // as a server said last
	late     time.Time // when what is waiting was delivered last
	asOf     int       // how many SMS had been acknowledged when the books were read

	takeovers []time.Duration // of messages, from the end of their carrier to its successor's first
	books     books
	faults    []string
	count     figures
}

// figures are what the end of a run tells.
type figures struct {
	rounds, kills, early             int // early: before the server was ready
	both, crashes, stalls            int // both servers killed, the database killed, the database stopped for a moment
	pauses, lapses                   int // servers stopped for a moment; of these, for longer than their leases
	undone                           int // servers that did not start because there was no database
	acked, redelivered, again        int // SMS of phones: acknowledged; delivered once more, unacknowledged or not
	payments, sent, unknown, arrived int // arrived: of those that are unknown to the server
	lost, doubled, half              int
}

func newNetwork() *network {
	return &network{
		byNumber: map[string]*phone{}, payments: map[int64]*payment{}, letters: map[int64]*letter{},
		sendings: map[string]*sending{}, pending: map[string]*notice{}, reported: map[string]bool{}, books: books{outs: map[int64]message{}},
	}
}

// hear takes one line of a server.
func (n *network) hear(l *life, e event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch e.Is {
	case "txn", "out", "sum":
		n.learn(e)
	case "ready":
		l.ready = true
		if !n.several {
			n.asOf = n.count.acked
			n.prove()
		}
		n.resume()
	case "ack":
		n.acknowledged(n.letters[e.N])
	case "later":
		n.waiting = append(n.waiting, n.letters[e.N])
	case "send":
		n.carry(l, e)
	case "reported":
		delete(n.pending, e.ID)
		n.reported[e.ID] = true
	case "state":
		n.idle = !e.Busy
	}
}

// anyone returns a server that takes what comes, or nil. That one of them stands
// still nobody knows.
func (n *network) anyone() *life {
	var ready []*life
	for _, l := range n.lives {
		if l.ready {
			ready = append(ready, l)
		}
	}
	if len(ready) == 0 {
		return nil
	}
	return ready[rand.IntN(len(ready))]
}

// resume delivers what a server had not acknowledged before it died.
func (n *network) resume() {
	n.deliverLate()
	for _, p := range n.phones {
		if !n.several {
			p.since = time.Now()
		}
		if p.open != nil && (p.open.to == nil || p.open.to.dead) {
			n.count.redelivered++
			n.deliver(p.open)
		}
	}
	for id := range n.pending {
		n.report(id)
	}
}

// deliverLate delivers what is to be delivered once more.
func (n *network) deliverLate() {
	late := n.waiting
	n.waiting, n.late = nil, time.Now()
	for _, l := range late {
		n.count.again++
		n.deliver(l)
	}
}

// report reports a message as delivered.
func (n *network) report(id string) {
	if to := n.anyone(); to != nil {
		n.pending[id].at = time.Now()
		to.out.write(event{Is: "report", Line: n.pending[id].line, ID: id})
	}
}

// deliver brings an SMS to a server, now and then twice.
func (n *network) deliver(l *letter) {
	times := 1
	if rand.IntN(100) < deliversTwice {
		times = 2
		n.count.again++
	}
	for range times {
		if l.to = n.anyone(); l.to == nil {
			return
		}
		l.sent = time.Now()
		id := int64(len(n.letters) + 1)
		n.letters[id] = l
		l.to.out.write(event{Is: "sms", N: id, Line: l.phone.line, Key: l.key, From: l.phone.number, Text: l.text, At: l.at.UnixMicro()})
	}
}

// write lets a phone write an SMS.
func (n *network) write(p *phone, text string, onAck func()) *letter {
	n.written++
	l := &letter{phone: p, key: fmt.Sprintf("k%d", n.written), text: text, at: time.Now(), onAck: onAck}
	p.open = l
	n.deliver(l)
	return l
}

func (n *network) acknowledged(l *letter) {
	if l.acked > 0 {
		return
	}
	l.phone.acked++
	n.count.acked++
	l.acked = n.count.acked
	if rand.IntN(100) < deliversLate {
		n.waiting = append(n.waiting, l)
	}
	if l.phone.open == l {
		l.phone.open, l.phone.since = nil, time.Now()
	}
	if l.onAck != nil {
		l.onAck()
	}
	n.step(l.phone)
}

// carry brings a message of a server to its phone.
func (n *network) carry(l *life, e event) {
	l.out.write(event{Is: "sent", ID: e.ID})
	n.carried = time.Now()
	if was := n.carrier; was != l {
		if was != nil && !was.until.IsZero() {
			n.takeovers = append(n.takeovers, time.Since(was.until))
		}
		n.carrier = l
	}
	s := n.sendings[e.ID]
	if s == nil {
		s = &sending{to: e.To, text: e.Text}
		n.sendings[e.ID] = s
	}
	s.times++
	n.count.sent++
	most := 1
	if is, _, _ := understand(e.Text); is == question {
		most = 2 // a code without which nobody could go on
	}
	if s.times > most {
		n.double("message %s was sent %d times", e.ID, s.times)
	}
	if s.to != e.To || s.text != e.Text {
		n.fault("message %s was sent with two texts", e.ID)
	}
	if rand.IntN(100) < reports {
		n.pending[e.ID] = &notice{line: e.Line}
		n.report(e.ID)
	}
	p := n.byNumber[e.To]
	if p == nil {
		n.fault("message %s was sent to nobody", e.ID)
		return
	}
	n.read(p, e.Text)
}

// read lets a phone read what came in.
func (n *network) read(p *phone, text string) {
	is, amount, code := understand(text)
	pay := p.payment
	if pay == nil || amount != pay.amount {
		return
	}
	switch {
	case is == question && len(pay.codes) == 0:
		p.code = code
		n.step(p)
	case is == debit && pay.payer == p:
		pay.told = true
		n.step(p)
	}
}

// tick lets phones whose answer does not come go on.
func (n *network) tick() {
	n.mu.Lock()
	defer n.mu.Unlock()
	to := n.anyone()
	if to == nil {
		return
	}
	if !n.several || time.Since(n.late) > laterAfter {
		n.deliverLate()
	}
	for _, p := range n.phones {
		if p.open != nil && time.Since(p.open.sent) > deliverAgain {
			n.count.redelivered++
			n.deliver(p.open)
		}
		n.step(p)
	}
	for id, r := range n.pending {
		if time.Since(r.at) > reportAgain {
			n.report(id)
		}
	}
	if n.quiet {
		to.out.write(event{Is: "state", Busy: n.lapses})
	}
}

// step lets a phone do what comes next, if nothing of it is on its way.
func (n *network) step(p *phone) {
	if p.open != nil || n.anyone() == nil {
		return
	}
	pay, waited := p.payment, time.Since(p.since) > n.patience()
	switch {
	case pay == nil:
		n.begin(p)
	case p.line == direct && (pay.told || waited):
		n.begin(p)
	case p.line == direct:
	case len(pay.codes) > 0:
		if pay.told || waited {
			n.begin(p)
		}
	case p.code != "":
		n.answer(p, pay)
	case waited:
		pay.orders = append(pay.orders, n.write(p, p.orderText(pay), nil))
	}
}

func (n *network) patience() time.Duration {
	if n.several {
		return patienceSeveral
	}
	return patience
}

// begin lets a phone pay somebody, or ask for its balance before.
func (n *network) begin(p *phone) {
	p.payment = nil
	if n.quiet {
		return
	}
	if rand.IntN(100) < asksBalance {
		p.balances = append(p.balances, n.write(p, "solde", nil))
		return
	}
	payee := p
	for payee == p {
		payee = n.phones[rand.IntN(len(n.phones))]
	}
	pay := &payment{amount: int64(len(n.payments) + 1), payer: p, payee: payee}
	n.payments[pay.amount] = pay
	n.open = append(n.open, pay)
	p.payment, p.code = pay, ""
	pay.orders = append(pay.orders, n.write(p, p.orderText(pay), nil))
}

// orderText writes an order in one of the ways in which people do.
func (p *phone) orderText(pay *payment) string {
	if pay.amount%2 == 0 {
		return fmt.Sprintf("vir=%d num=0%s", pay.amount, pay.payee.number[len("+33"):])
	}
	return fmt.Sprintf("vir %d @%s", pay.amount, pay.payee.nick)
}

// answer sends the code that came, sometimes once more when that was taken.
func (n *network) answer(p *phone, pay *payment) {
	code := p.code
	p.code = ""
	var again func()
	if rand.IntN(100) < repeatsCode {
		again = func() { pay.codes = append(pay.codes, n.write(p, code, nil)) }
	}
	pay.codes = append(pay.codes, n.write(p, code, again))
}

// settled reports whether nothing is on its way any more.
func (n *network) settled() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.anyone() == nil || !n.idle || len(n.waiting) > 0 || len(n.pending) > 0 {
		return false
	}
	for _, p := range n.phones {
		if p.open != nil || p.payment != nil {
			return false
		}
	}
	return true
}

// maxFaults bounds what a test that fails tells.
const maxFaults = 30

func (n *network) fault(format string, args ...any) {
	if len(n.faults) < maxFaults {
		n.faults = append(n.faults, fmt.Sprintf(format, args...))
	}
}
