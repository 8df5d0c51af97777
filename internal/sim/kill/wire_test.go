package kill_test

import (
	"bufio"
	"encoding/json"
	"io"
	"sync"
)

// maxLine bounds one line between the server and the network.
const maxLine = 64 << 10

// An event is one line between the network and the server. Which fields it has
// depends on Is.
type event struct {
	Is string `json:"is"`

	// From the network: start, sms, sent, report, state, stop.
	// From the server: txn, out, sum, ready, ack, later, send, reported, state.
	N    int64  `json:"n,omitempty"`    // which delivery
	Line string `json:"line,omitempty"` // of sms, report, send
	Key  string `json:"key,omitempty"`  // of sms, txn
	From string `json:"from,omitempty"` // of sms
	To   string `json:"to,omitempty"`   // of send, out
	Text string `json:"text,omitempty"` // of sms, send, out
	At   int64  `json:"at,omitempty"`   // of sms: microseconds
	ID   string `json:"id,omitempty"`   // of send, sent, report: the outbox message

	Txn    int64  `json:"txn,omitempty"`    // of start: after which; of txn
	Out    int64  `json:"out,omitempty"`    // of start: after which; of out
	Kind   string `json:"kind,omitempty"`   // of txn
	Ref    string `json:"ref,omitempty"`    // of txn
	Debit  int64  `json:"debit,omitempty"`  // of txn: account
	Credit int64  `json:"credit,omitempty"` // of txn: account
	Amount int64  `json:"amount,omitempty"` // of txn
	Sum    int64  `json:"sum"`              // of sum: of all balances
	Busy   bool   `json:"busy,omitempty"`   // of state: what is on its way counts; something waits or is on its way
}

// A pipe carries events to the other side without ever letting who writes wait:
// two sides that wait for each other would stand still.
type pipe struct {
	mu     sync.Mutex
	more   *sync.Cond
	queue  [][]byte
	closed bool
}

func newPipe(w io.WriteCloser) *pipe {
	p := &pipe{}
	p.more = sync.NewCond(&p.mu)
	go p.pump(w)
	return p
}

func (p *pipe) write(e event) {
	line, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, append(line, '\n'))
	p.more.Signal()
}

func (p *pipe) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.more.Signal()
}

// pump ends at the first line that cannot be written: the other side is dead.
func (p *pipe) pump(w io.WriteCloser) {
	defer func() { _ = w.Close() }()
	for {
		p.mu.Lock()
		for len(p.queue) == 0 && !p.closed {
			p.more.Wait()
		}
		lines := p.queue
		p.queue = nil
		p.mu.Unlock()
		if len(lines) == 0 {
			return
		}
		for _, line := range lines {
			if _, err := w.Write(line); err != nil {
				return
			}
		}
	}
}

// read calls do for each whole line until there are no more. What was being
// written when the other side died is nothing.
func read(r io.Reader, do func(event)) {
	buffered := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := buffered.ReadSlice('\n')
		if err != nil {
			return
		}
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			panic(err)
		}
		do(e)
	}
}
