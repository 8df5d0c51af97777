package story_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"maillon/internal/story"
)

// A bank is a small server in memory. It knows SOLDE, VIR n @x, codes, VERIF ref
// and silence, asks for every payment, and reminds of an order after ten
// minutes. What is wrong with it is said by its faults.
type bank struct {
	faults faults

	mu        sync.Mutex
	balances  map[string]int64
	order     order
	delivered map[string]bool
	known     map[string]bool // references of transfers
	sent      []story.Sent
	moved     []story.Moved
	timers    sync.WaitGroup
	closed    chan struct{}
}

type order struct {
	from, to, code, ref string
	amount              int64
}

// faults are what a server may get wrong, and a look at what it is told.
type faults struct {
	codes, refs []string // to be drawn first
	send        func(story.Sent) []story.Sent
	move        func(story.Moved) []story.Moved
	check       error
	replay      error
	leave       bool // a goroutine that Close forgets
	ticks       bool // one more, which never waits for long
	panics      bool
	opened      func(story.Setup)
	deliver     func(phone string, sentAt time.Time, text string)
	deed        func(story.Deed)
}

func (f faults) open(_ context.Context, s story.Setup) (story.Server, error) {
	if f.opened != nil {
		f.opened(s)
	}
	b := &bank{
		faults: f, balances: map[string]int64{}, delivered: map[string]bool{}, known: map[string]bool{},
		closed: make(chan struct{}),
	}
	for _, g := range s.Given {
		b.balances[g.Account] = g.Amount
	}
	if f.leave {
		go func() { <-make(chan int) }()
	}
	if f.ticks {
		go func() {
			for range time.Tick(time.Hour) {
				continue
			}
		}()
	}
	return b, nil
}

func (b *bank) Deliver(_ context.Context, phone string, sentAt time.Time, text string) error {
	if b.faults.deliver != nil {
		b.faults.deliver(phone, sentAt, text)
	}
	if b.faults.panics {
		panic("out of paper")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	key := fmt.Sprint(phone, sentAt.UnixNano(), text)
	if b.delivered[key] {
		return nil
	}
	b.delivered[key] = true
	b.timers.Go(func() { b.answer(phone, text) }) // the SMS is on disk, the answer comes when it comes
	return nil
}

func (b *bank) answer(phone, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var amount int64
	var to, ref string
	switch {
	case text == "solde":
		b.send(phone, fmt.Sprintf("Solde: %d m.", b.balances[phone]))
	case text == strings.ReplaceAll(b.order.code, " ", "") && phone == b.order.from:
		b.pay()
	case scan(text, "verif %s", &ref):
		word := map[bool]string{true: "VRAI", false: "INCONNU"}[b.known[strings.ToUpper(ref)]]
		b.send(phone, word+". Réf "+strings.ToUpper(ref))
	case scan(text, "vir %d @%s", &amount, &to):
		b.ask(order{from: phone, to: to, amount: amount, code: b.drawCode(), ref: b.drawRef()})
	}
}

func scan(text, format string, to ...any) bool {
	n, err := fmt.Sscanf(text, format, to...)
	return err == nil && n == len(to)
}

func (b *bank) ask(o order) {
	b.order = o
	b.send(o.from, fmt.Sprintf("Payer %d m à %s ? Répondre %s. Réf %s", o.amount, o.to, o.code, o.ref))
	b.timers.Go(func() {
		select {
		case <-b.closed:
		case <-time.After(10 * time.Minute):
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.order == o {
				b.send(o.from, "Trop tard. Réf "+o.ref)
			}
		}
	})
}

func (b *bank) pay() {
	o := b.order
	b.order = order{}
	b.transfer(o.from, o.to, o.amount, o.ref)
	b.send(o.to, fmt.Sprintf("%s vous a payé %d m. Réf %s", o.from, o.amount, o.ref))
	b.send(o.from, fmt.Sprintf("Payé: %d m. Réf %s. Erreur ? ANNULE %s", o.amount, o.ref, o.ref))
}

func (b *bank) transfer(from, to string, amount int64, ref string) {
	b.balances[from] -= amount
	b.balances[to] += amount
	b.known[ref] = true
	m := story.Moved{From: from, To: to, Amount: amount, Ref: ref, Attributes: map[string]string{"note": "bonne foi"}}
	if b.faults.move == nil {
		b.moved = append(b.moved, m)
		return
	}
	b.moved = append(b.moved, b.faults.move(m)...)
}

func (b *bank) send(phone, text string) {
	m := story.Sent{Phone: phone, Text: text}
	if b.faults.send == nil {
		b.sent = append(b.sent, m)
		return
	}
	b.sent = append(b.sent, b.faults.send(m)...)
}

func (b *bank) drawCode() string {
	if len(b.faults.codes) > 0 {
		code := b.faults.codes[0]
		b.faults.codes = b.faults.codes[1:]
		return code
	}
	return fmt.Sprintf("%03d %03d", below(1000), below(1000))
}

func (b *bank) drawRef() string {
	if len(b.faults.refs) > 0 {
		ref := b.faults.refs[0]
		b.faults.refs = b.faults.refs[1:]
		return ref
	}
	letter := func() string { return string("ABCDEFGHJKLMNPQRSTUVWXYZ"[below(24)]) }
	digit := func() string { return string("123456789"[below(9)]) }
	return letter() + digit() + letter() + digit()
}

func below(n int64) int64 {
	k, err := rand.Int(rand.Reader, big.NewInt(n))
	if err != nil {
		panic(err)
	}
	return k.Int64()
}

func (b *bank) Do(_ context.Context, d story.Deed) error {
	if b.faults.deed != nil {
		b.faults.deed(d)
	}
	return nil
}

func (b *bank) Post(_ context.Context, from, to string, amount int64) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ref := b.drawRef()
	b.transfer(from, to, amount, ref)
	b.send(to, "swallowed")
	return ref, nil
}

func (b *bank) News(context.Context) ([]story.Sent, []story.Moved, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	sent, moved := b.sent, b.moved
	b.sent, b.moved = nil, nil
	return sent, moved, nil
}

func (b *bank) Balance(_ context.Context, account string) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.balances[account], nil
}

func (b *bank) Check(context.Context) error  { return b.faults.check }
func (b *bank) Replay(context.Context) error { return b.faults.replay }

func (b *bank) Close() error {
	close(b.closed)
	b.timers.Wait()
	return nil
}

// head is how the stories of these tests begin, in four lines.
const head = "# 1 Un essai\n@clock 2026-03-28 14:00\n@given yann=100 lena=0 emission=-100\n! le quatrième\n"

// paid is a payment, from line 5 to line 11.
const paid = `>yann vir 20 @lena
<yann Payer 20 m à lena ? Répondre 556 030. Réf F1G2
>yann 556030
~ yann lena 20 F1G2
<yann Payé: 20 m. Réf F1G2. Erreur ? ANNULE F1G2
<lena yann vous a payé 20 m. Réf F1G2
= yann=80 lena=20
`

func parse(t *testing.T, text string) *story.Story {
	t.Helper()
	s, err := story.Parse("t.sms", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// play runs a story against a bank.
func play(t *testing.T, text string, f faults) (err error) {
	t.Helper()
	s := parse(t, text)
	synctest.Test(t, func(t *testing.T) { err = story.Run(t.Context(), s, f.open) })
	return err
}

func holds(t *testing.T, text string, f faults) {
	t.Helper()
	if err := play(t, text, f); err != nil {
		t.Errorf("the story does not hold: %v", err)
	}
}

func differs(t *testing.T, text string, f faults, line int, want, got string) {
	t.Helper()
	err := play(t, text, f)
	d, ok := errors.AsType[*story.Diff](err)
	if !ok {
		t.Fatalf("played with %v, want a difference", err)
	}
	if d.Line != line || d.Want != want || d.Got != got {
		t.Errorf("differs at line %d:\n- %s\n+ %s\nwant line %d:\n- %s\n+ %s", d.Line, d.Want, d.Got, line, want, got)
	}
}
