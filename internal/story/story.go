// Package story reads and plays stories: conversations by SMS that must work
// word for word, each in a file that people read, tests run and the browser
// shows.
//
// A story that breaks a rule of the format does not start. One that does is
// compared at every event: each SMS and each transfer, none missing, none more,
// and the first difference ends it. The codes and references of a file are names,
// bound to what the server draws when it first shows them.
package story

import (
	"context"
	"fmt"
	"time"

	"maillon/internal/money"
)

// Step is how long after the event before it an SMS or an act happens.
const Step = 20 * time.Second

// A Story is one file, read and found right.
type Story struct {
	File   string // as it is named in errors
	Number int
	Title  string
	Setup  Setup
	Events []Event // the first is the first @clock, when the server opens

	Currency money.Currency // of all amounts
}

// A Setup is what is there when a story begins. Amounts, here and everywhere in
// this package, are of the smallest unit.
type Setup struct {
	Settings map[string]string
	At       time.Time                    // the first @clock
	Given    []Balance                    // who has an account, with its opening balance; the sum is zero
	New      []string                     // opened five days before, not a year
	Past     []Past                       // counted in Given already
	Cards    map[string]map[string]string // by member, then by cell: the whole card
	Seen     map[string]time.Time         // by phone: its last SMS, if not the day before
	Stalls   []Stall
}

// A Stall is a member who sells, and has a device that tells codes of payments.
type Stall struct {
	Name  string
	Items []Item
}

// An Item is something that a stall sells under a short id.
type Item struct {
	Short  string
	Amount int64 // 0: the buyer says it
}

// A Balance is what an account holds. An account is a phone's name or one of
// the association's.
type Balance struct {
	Account string
	Amount  int64
}

// A Past is a transfer before the story.
type Past struct {
	At       time.Time // some moment of the day that the file names, before the story
	From, To string
	Amount   int64
}

// An Event is something that happens, and what must come of it.
type Event struct {
	Line   int
	At     time.Time
	Do     Action // nil for @clock: only time passes
	Expect []Expectation
}

// An Action is what happens in an Event: an SMS, a Posting or a Deed.
type Action interface {
	do(ctx context.Context, p *player) error
}

// An SMS is a text that the server receives.
type SMS struct {
	Phone   string
	SentAt  time.Time // service-centre time
	Text    string
	Dup     bool // an earlier SMS, delivered again
	Spoofed bool // the sender is forged
	Stolen  bool // the phone is in other hands
}

// A Posting is a transfer that is committed by means that the story does not
// show.
type Posting struct {
	From, To string
	Amount   int64
	Ref      string
}

// A Deed is what an administrator, or an intruder in her session, does on the
// web page.
type Deed struct {
	Who      string
	Intruder bool
	Act      Act
}

// An Act is one of the acts of administrators: the words of its name joined by
// a space, its positional arguments, and its attributes without quotes.
type Act struct {
	Name       string
	Args       []string
	Attributes map[string]string
}

// An Expectation is what one line promises of the event before it: a Sent, a
// Moved or Balances.
type Expectation struct {
	Line int
	Want Promise
}

// A Promise is what an Expectation wants.
type Promise interface{ promise() }

// A Sent is an SMS that the server put in its outbox.
type Sent struct {
	Phone string
	Text  string
}

// A Moved is a transfer that was committed. Its attributes are reverses and via,
// both references, and note; in an expectation those that must be compared.
type Moved struct {
	From, To   string
	Amount     int64
	Ref        string
	Attributes map[string]string
}

// Balances are what accounts hold, of some accounts only.
type Balances []Balance

func (Sent) promise()     {}
func (Moved) promise()    {}
func (Balances) promise() {}

// A SyntaxError says why a story cannot start.
type SyntaxError struct {
	File    string
	Line    int
	Problem string
}

// Error returns "FILE:LINE: what is wrong".
func (e *SyntaxError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Problem) }
