package kill_test

import (
	"regexp"
	"strconv"
	"strings"

	"maillon/internal/ledger"
)

// A meaning is what a text of the server says.
type meaning int

const (
	other meaning = iota
	question
	debit
	credit
	balance
	repeat
)

// The texts that a member of this test may get, in the words of the shipped
// French.
var texts = []struct {
	is      meaning
	pattern *regexp.Regexp
}{
	{debit, regexp.MustCompile(`^Payé: (\d+) m à \S+ \(\S+\)\. Nouveau solde \d+ m\. Réf \w+\.`)},
	{credit, regexp.MustCompile(`^\S+ \(\S+\) vous a payé (\d+) m\. Nouveau solde \d+ m\. Réf \w+`)},
	{question, regexp.MustCompile(`^Payer (\d+) m à \S+ \(\S+\) \? Pour OUI répondre (\d{3} \d{3})\.`)},
	{balance, regexp.MustCompile(`^Solde: \d+ m\.`)},
	{repeat, regexp.MustCompile(`^Déjà fait à \d\d:\d\d: (\d+) m à `)},
}

// understand returns what a text says, of which amount, and its code.
func understand(text string) (is meaning, amount int64, code string) {
	for _, t := range texts {
		m := t.pattern.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		if len(m) > 1 {
			amount, _ = strconv.ParseInt(m[1], 10, 64)
		}
		if len(m) > 2 {
			code = strings.ReplaceAll(m[2], " ", "")
		}
		return t.is, amount, code
	}
	return other, 0, ""
}

// books are what the network knows of the server's books: how far it has read.
type books struct {
	txn, out int64
	outs     map[int64]message
}

// A message is one row of the outbox.
type message struct{ to, text string }

// learn takes one row of the books: each is told once, at the first start after
// it was written, so that a second one about the same payment is seen.
func (n *network) learn(e event) {
	switch e.Is {
	case "sum":
		if e.Sum != 0 {
			n.fault("all balances sum to %d after %d kills", e.Sum, n.count.kills)
		}
	case "txn":
		n.books.txn = e.Txn
		n.learnTransaction(e)
	case "out":
		n.books.out = e.Out
		n.learnMessage(e)
	}
}

func (n *network) learnTransaction(e event) {
	if e.Kind != string(ledger.Payment) {
		n.fault("transaction %d is a %s, which nobody asked for", e.Txn, e.Kind)
		return
	}
	p := n.payments[e.Amount]
	if p == nil {
		n.fault("transaction %d of %d, which nobody asked for", e.Txn, e.Amount)
		return
	}
	if e.Debit != p.payer.account || e.Credit != p.payee.account {
		n.fault("transaction %d of %d is between the wrong accounts", e.Txn, e.Amount)
	}
	p.txns++
}

func (n *network) learnMessage(e event) {
	is, amount, _ := understand(e.Text)
	n.books.outs[e.Out] = message{to: e.To, text: e.Text}
	if is == balance {
		n.byNumber[e.To].shown++
		return
	}
	p := n.payments[amount]
	if is == other || p == nil {
		n.fault("message %d says what nobody asked for: %s", e.Out, e.Text)
		return
	}
	to := p.payer
	switch is {
	case debit:
		p.debits++
	case credit:
		p.credits++
		to = p.payee
	case question:
		p.questions++
	case repeat:
		p.repeats++
	}
	if e.To != to.number {
		n.fault("message %d about payment %d went to the wrong phone", e.Out, amount)
	}
}

// prove compares what the network knew when the books were read with what stands
// in them. What is over and holds is not looked at again before the end.
func (n *network) prove() {
	kept := n.open[:0]
	for _, p := range n.open {
		n.provePayment(p)
		if p.payer.payment == p || !n.over(p) {
			kept = append(kept, p)
		}
	}
	n.open = kept
	for _, p := range n.phones {
		acked := n.known(p.balances)
		switch {
		case p.bad:
			continue
		case p.shown < acked:
			n.lose("%d balances were asked for by %s and acknowledged, %d were told", acked, p.nick, p.shown)
		case p.shown > len(p.balances):
			n.double("%d balances were asked for by %s, %d were told", len(p.balances), p.nick, p.shown)
		default:
			continue
		}
		p.bad = true
	}
}

// provePayment tells of each payment once.
func (n *network) provePayment(p *payment) {
	before := len(n.faults)
	if !p.bad {
		n.proveBooks(p)
		n.proveReplies(p)
	}
	p.bad = p.bad || len(n.faults) > before
}

// proveBooks compares what was posted with the debit and the credit that were
// told: the three are one, whatever was acknowledged.
func (n *network) proveBooks(p *payment) {
	if p.txns > 1 || p.debits > 1 || p.credits > 1 {
		n.double("payment %d: posted %d times, %d debits and %d credits told", p.amount, p.txns, p.debits, p.credits)
	}
	if p.debits != p.txns || p.credits != p.txns {
		n.halve("payment %d: posted %d times, %d debits and %d credits told", p.amount, p.txns, p.debits, p.credits)
	}
}

// proveReplies compares what was acknowledged with what came of it.
func (n *network) proveReplies(p *payment) {
	orders, codes := n.known(p.orders), n.known(p.codes)
	if p.payer.line == direct {
		if orders > 0 && p.txns == 0 {
			n.lose("payment %d was acknowledged and is not posted", p.amount)
		}
		return
	}
	switch {
	case p.txns > 0 && len(p.codes) == 0:
		n.fault("payment %d is posted without its code", p.amount)
	case codes > 0 && p.txns == 0:
		n.lose("the code of payment %d was acknowledged, and nothing is posted", p.amount)
	case p.questions < orders:
		n.lose("payment %d was ordered %d times and asked for its code %d times", p.amount, orders, p.questions)
	case p.questions > len(p.orders):
		n.double("payment %d was ordered %d times and asked for its code %d times", p.amount, len(p.orders), p.questions)
	case p.repeats < codes-1:
		n.lose("the code of payment %d was acknowledged %d times, and %d times told that it was done", p.amount, codes, p.repeats)
	case p.repeats > max(0, len(p.codes)-1):
		n.double("the code of payment %d was sent %d times, and %d times told that it was done", p.amount, len(p.codes), p.repeats)
	}
}

// known counts the letters that had been acknowledged when the books were read.
func (n *network) known(letters []*letter) (acked int) {
	for _, l := range letters {
		if l.acked > 0 && l.acked <= n.asOf {
			acked++
		}
	}
	return acked
}

// over reports whether all that was written for a payment was acknowledged when
// the books were read.
func (n *network) over(p *payment) bool {
	return n.known(p.orders) == len(p.orders) && n.known(p.codes) == len(p.codes)
}

func (n *network) lose(format string, args ...any) { n.count.lost++; n.fault("lost: "+format, args...) }

func (n *network) double(format string, args ...any) {
	n.count.doubled++
	n.fault("doubled: "+format, args...)
}

func (n *network) halve(format string, args ...any) {
	n.count.half++
	n.fault("half: "+format, args...)
}
