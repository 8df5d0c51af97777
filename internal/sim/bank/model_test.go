package bank_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// The size of a village, whose history is checked by itself: what a checker
// has to try grows with every call that is open at the same time.
const (
	accounts   = 4  // the first is emission, which has no floor
	maxNumbers = 64 // acts that leave something behind
	opening    = 20 // what each account but emission begins with
	unheard    = 255
)

// A journal is what is known of the transactions of a village in the end: nothing
// is ever deleted.
type journal struct {
	at   [2 * maxNumbers]int64 // when each was made, in microseconds
	rank [2 * maxNumbers]int   // which it is, from 1, by the numbers that they were given; 0: it never was
}

// A kind is what a client does.
type kind int

// The kinds of acts. The last five only read.
const (
	transfer kind = iota
	place
	capture
	release
	reverse
	balances  // of all accounts, in one View
	statement // of one account, with its balance
	past      // balance at a moment
	holding   // what is left of a hold
)

func (k kind) String() string {
	return [...]string{"transfer", "place", "capture", "release", "reverse", "balances", "statement", "past", "holding"}[k]
}

func (k kind) reads() bool { return k >= balances }

// An act is one call, as a client means it.
type act struct {
	kind     kind
	number   int // makes its key: an act that comes again has the number of the first
	from, to int // by their places in the village
	amount   int64
	target   int           // number of the transfer that is reversed
	hold     int           // number of the place that is captured, released or looked at
	limit    int           // of a statement
	at       int64         // of past, in microseconds
	dawdle   time.Duration // between two looks of one View
}

// mark is the number of the transaction that an act makes.
func (a act) mark() int {
	if a.kind == reverse {
		return reversal(a.target)
	}
	return a.number
}

func (a act) String() string {
	switch a.kind {
	case transfer:
		return fmt.Sprintf("transfer #%d: %d from %d to %d", a.number, a.amount, a.from, a.to)
	case place:
		return fmt.Sprintf("place #%d: %d of %d", a.number, a.amount, a.from)
	case capture:
		return fmt.Sprintf("capture #%d: %d of hold #%d, from %d to %d", a.number, a.amount, a.hold, a.from, a.to)
	case reverse:
		return fmt.Sprintf("reverse #%d: %d back from %d to %d", a.target, a.amount, a.from, a.to)
	case release, holding:
		return fmt.Sprintf("%v of hold #%d", a.kind, a.hold)
	case statement:
		return fmt.Sprintf("statement of %d, at most %d", a.from, a.limit)
	case past:
		return fmt.Sprintf("balance of %d at %d", a.from, a.at)
	}
	return a.kind.String()
}

// An outcome is how an act ended.
type outcome int

// The outcomes.
const (
	done outcome = iota
	already
	insufficient
	notHeld
	notFound
	open // nobody knows: the answer was an outage
)

func (o outcome) String() string {
	return [...]string{"done", "already", "insufficient", "not held", "not found", "unknown"}[o]
}

// An answer is what a client was told.
type answer struct {
	outcome       outcome
	balance, held [accounts]int64
	moves         string
	left          int64
}

// A state is all that a village's money is at one moment. It can be compared,
// and a copy is a new one.
type state struct {
	balance, held [accounts]int64
	moves         [accounts]string // of each account, the oldest first
	used          [2 * maxNumbers]bool
	posted        int // how many
	placed        [maxNumbers]bool
	left          [maxNumbers]int64
}

// reversal is the number of the transaction that reverses another.
func reversal(number int) int { return maxNumbers + number }

// A move is one line of a statement, as it stands in a state.
func move(number int, amount, balance int64) string {
	b := []byte{byte(number)}
	b = binary.BigEndian.AppendUint32(b, uint32(amount))
	return string(binary.BigEndian.AppendUint32(b, uint32(balance)))
}

const moveLen = 9

func begin() state {
	var s state
	for n := 1; n < accounts; n++ {
		s.balance[n], s.balance[0] = opening, s.balance[0]-opening
	}
	return s
}

func (s *state) spendable(account int) int64 {
	if account == 0 {
		return 1 << 40
	}
	return s.balance[account] - s.held[account]
}

func (s *state) post(number, from, to int, amount int64) {
	s.used[number] = true
	s.posted++
	s.balance[from] -= amount
	s.balance[to] += amount
	s.moves[from] += move(number, -amount, s.balance[from])
	s.moves[to] += move(number, amount, s.balance[to])
}

// do is what a bank of one goroutine does. It asks in the order in which the
// rules of the ledger ask.
func (s *state) do(a act) outcome {
	switch a.kind {
	case transfer:
		switch {
		case s.spendable(a.from) < a.amount:
			return insufficient
		case s.used[a.number]:
			return already
		}
		s.post(a.number, a.from, a.to, a.amount)
	case place:
		switch {
		case s.placed[a.number]:
			return already
		case s.spendable(a.from) < a.amount:
			return insufficient
		}
		s.placed[a.number], s.left[a.number] = true, a.amount
		s.held[a.from] += a.amount
	case capture:
		switch {
		case s.used[a.number]:
			return already
		case s.left[a.hold] < a.amount:
			return notHeld
		}
		s.left[a.hold] -= a.amount
		s.held[a.from] -= a.amount
		s.post(a.number, a.from, a.to, a.amount)
	case release:
		s.held[a.from] -= s.left[a.hold]
		s.left[a.hold] = 0
	case reverse:
		switch {
		case !s.used[a.target]:
			return notFound
		case s.spendable(a.from) < a.amount:
			return insufficient
		case s.used[reversal(a.target)]:
			return already
		}
		s.post(reversal(a.target), a.from, a.to, a.amount)
	}
	return done
}

// shows reports whether a reader may be told this now.
func (s *state) shows(a act, told answer, end *journal) bool {
	switch a.kind {
	case balances:
		return told.balance == s.balance && told.held == s.held
	case statement:
		moves := s.moves[a.from]
		return told.balance[a.from] == s.balance[a.from] && told.held[a.from] == s.held[a.from] &&
			told.moves == moves[max(0, len(moves)-a.limit*moveLen):]
	case past:
		return told.balance[a.from] == s.balanceAt(a.from, a.at, end)
	case holding:
		return told.left == s.left[a.hold]
	}
	return true
}

func (s *state) balanceAt(account int, moment int64, end *journal) int64 {
	moves := s.moves[account]
	for n := len(moves) - moveLen; n >= 0; n -= moveLen {
		if end.at[moves[n]] <= moment {
			return int64(int32(binary.BigEndian.Uint32([]byte(moves[n+5 : n+moveLen]))))
		}
	}
	first := begin()
	return first.balance[account]
}

// model is the bank that does one thing after the other, in the order in which
// its journal has them. A call whose answer is an outage is open to the end of
// the history: it may have happened at any time since, or, after everything
// else, as good as never.
func model(end *journal) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return begin() },
		Step: func(before, input, output any) (bool, any) {
			s, a, told := before.(state), input.(act), output.(answer)
			if a.kind.reads() {
				return s.shows(a, told, end), s
			}
			posted := s.posted
			got := s.do(a)
			if s.posted > posted && end.rank[a.mark()] != s.posted {
				return false, s
			}
			return told.outcome == open || told.outcome == got, s
		},
		DescribeOperation: func(input, output any) string { return describe(input.(act), output.(answer)) },
	}
}

func describe(a act, told answer) string {
	switch a.kind {
	case balances:
		return fmt.Sprintf("%v → %v, held %v", a, told.balance, told.held)
	case statement:
		var b strings.Builder
		for m := told.moves; len(m) >= moveLen; m = m[moveLen:] {
			fmt.Fprintf(&b, " #%d %+d=%d", m[0], int32(binary.BigEndian.Uint32([]byte(m[1:5]))), int32(binary.BigEndian.Uint32([]byte(m[5:9]))))
		}
		return fmt.Sprintf("%v → %d, held %d:%s", a, told.balance[a.from], told.held[a.from], b.String())
	case past:
		return fmt.Sprintf("%v → %d", a, told.balance[a.from])
	case holding:
		return fmt.Sprintf("%v → %d", a, told.left)
	}
	return fmt.Sprintf("%v → %v", a, told.outcome)
}
