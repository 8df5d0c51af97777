// Package order is what somebody asked for and what became of it: a payment, a
// request, money to give back, an account to close, an administrator's act. An
// order waits for its code; the transfer that it becomes bears its reference.
package order

import (
	"time"

	"maillon/internal/ledger"
	"maillon/internal/money"
	"maillon/internal/sms"
)

// A Kind says what is asked.
type Kind string

// The kinds of orders.
const (
	Pay      Kind = "pay"      // payer to payee, at the payer's wish
	Request  Kind = "request"  // payer to payee, at the payee's wish
	Return   Kind = "return"   // the payer wants a payment back: its payee decides
	Refund   Kind = "refund"   // the payee gives a payment back
	Close    Kind = "close"    // close the account
	Credit   Kind = "credit"   // an administrator credits a member
	Freeze   Kind = "freeze"   // an administrator blocks paying out
	Unfreeze Kind = "unfreeze" // and unblocks it
	Pause    Kind = "pause"    // an administrator stops all payments
	Renumber Kind = "renumber" // a member's account moves to another number
	Reversal Kind = "reversal" // an administrator undid a transfer
	Expiry   Kind = "expiry"   // a gift that was not accepted went back
	Dispute  Kind = "dispute"  // what VOL put in doubt
	Share    Kind = "share"    // an administrator gave into a pot or out of it
)

// A State is how far an order has come.
type State string

// The states. Open orders wait for a code; Waiting ones for time or a person.
const (
	Open      State = "open"      // its code may come
	Waiting   State = "waiting"   // a gift that its payee has not accepted; a change of number; a credit held by a rule
	Held      State = "held"      // a rule held it: an administrator decides
	Disputed  State = "disputed"  // an administrator decides
	Done      State = "done"      // it happened
	Refused   State = "refused"   // who was asked said no
	Cancelled State = "cancelled" // who asked took it back, or two orders met
	Expired   State = "expired"   // nobody answered in time
	Locked    State = "locked"    // too many wrong codes
)

// Lasts reports whether an order in this state must outlive the machine: it is
// written to the journal. The others die with their code.
func (s State) Lasts() bool {
	return s == Waiting || s == Held || s == Disputed || s == Done || s == Refused
}

// An Order is one thing asked. Secret is personal: at rest it is sealed with
// the key of Owner.
type Order struct {
	ID    int64
	Ref   string // four characters and later more; unique for ever
	Kind  Kind
	State State

	Owner int64 // member who asked; for a Renumber the member concerned
	Asked int64 // member whose code or NON is awaited
	Payer int64 // member who pays; 0 is the association
	Payee int64 // member who is paid; 0 while the number has no account

	Amount money.Amount
	Secret Secret

	Question string // key of the text that was asked last
	Late     int    // what the question says of time: hours for "retard", minutes for "doublon"
	Nonce    []byte // the code is derived from it
	CodeLen  int    // its digits
	Tries    int    // wrong codes so far
	Warned   bool   // the question warned of theft

	Created time.Time
	CodeEnd time.Time // the code is good until then
	Due     time.Time // when time itself does the next step; zero: never
	Paid    time.Time // when its money moved; zero: not
	Ended   time.Time // when it came to an end

	Transaction ledger.TransactionID // what it became
	Target      ledger.TransactionID // what it gives back or undoes
	TargetRef   string
	Hold        ledger.HoldID
	Line        string // the gateway on which the code was asked
}

// A Secret is what an order knows of people.
type Secret struct {
	Memo   string `json:"memo,omitempty"`   // whole
	Number string `json:"number,omitempty"` // E.164: the payee without account, or the new number
	Typed  string `json:"typed,omitempty"`  // how the payee was named
	Item   int64  `json:"item,omitempty"`   // what a stall sells: the row of its template
}

// PayeeNumber returns the number of a payee without account; zero if there is none.
func (o *Order) PayeeNumber() sms.Number {
	n, err := sms.FromE164(o.Secret.Number)
	if err != nil {
		return sms.Number{}
	}
	return n
}

// Same reports whether two orders ask for the same thing: same kind, payer,
// payee, unit, amount and whole memo.
func (o *Order) Same(p *Order) bool {
	return o.Kind == p.Kind && o.Payer == p.Payer && o.Payee == p.Payee && o.Secret.Number == p.Secret.Number &&
		o.Amount == p.Amount && o.Secret.Memo == p.Secret.Memo && o.Target == p.Target
}

// Own reports whether o moves money at the wish of who holds its code: two
// different ones open at once cancel each other.
func (o *Order) Own() bool {
	switch o.Kind {
	case Pay, Refund, Close, Credit:
		return true
	}
	return false
}

// OpenAt reports whether the code of o may still come.
func (o *Order) OpenAt(now time.Time) bool { return o.State == Open && now.Before(o.CodeEnd) }
