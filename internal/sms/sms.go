// Package sms is the telephone world as the rest of the house sees it: numbers,
// messages, what fits in one SMS, and the gateway that carries them.
package sms

import (
	"context"
	"errors"
	"time"
)

// Priority orders the outbox: a code before a receipt before a notice.
type Priority int

// The priorities, the most urgent first.
const (
	Code    Priority = iota + 1 // a question with its code; worthless once the code has expired
	Receipt                     // what was debited or credited
	Notice                      // all else
)

// An Incoming message is one SMS as a gateway gives it: joined if it came in
// parts, decoded to Unicode, and not otherwise touched.
type Incoming struct {
	Gateway string    // the configured name of the gateway
	Key     string    // what the gateway knows this SMS by: the same for each repeated delivery of one SMS; it may hold number and text, so keep only a keyed hash
	From    string    // the sender as the gateway wrote it; letters and short codes are not numbers; the e-mail address of what is Signed
	To      string    // the line on which it came, as the gateway wrote it; may be empty
	Text    string    // valid UTF-8; what could not be decoded is U+FFFD
	Media   bool      // an MMS: its content is not read
	SentAt  time.Time // service-centre time stamp; zero if the gateway has none
	Proof   Proof     // how well From is proven
	Charge  *Charge   // what the sender pays for this SMS to the operator, for a merchant; nil: the usual rate
}

// A Proof is how well a sender is proven.
type Proof int

// The proofs.
const (
	Forgeable Proof = iota // a SIM in a machine or a phone, and whatever says nothing: anybody can write any number
	Network                // the operator bills the sender
	Signed                 // an e-mail whose domain signed for its sender, RFC 6376
)

// A ChargeState is what an operator says of a charge.
type ChargeState string

// The states of a charge.
const (
	ChargePending    ChargeState = "pending"     // not billed yet: nothing may be given for it
	ChargeConfirmed  ChargeState = "confirmed"   // billed
	ChargeFailed     ChargeState = "failed"      // never billed
	ChargeClawedBack ChargeState = "clawed_back" // billed, and taken back
)

// A Charge is what an operator bills the sender of a premium SMS.
type Charge struct {
	Currency string // ISO 4217, or a local unit's code
	Gross    int64  // what the sender pays, in smallest units
	Net      int64  // what we expect of it, in smallest units; 0: not known
	Model    string // MO: billed for sending, MT: for our answer, DCB: by the operator's page
	State    ChargeState
}

// A Bill is what an operator says later of a charge.
type Bill struct {
	Gateway string // by which the SMS came
	Key     string // of that SMS, as Incoming has it
	State   ChargeState
	Net     int64 // what we get of it, if that is known by now
}

// A Biller takes bills. Bill returns nil when it is on disk, new or repeated
// alike: only then may the gateway acknowledge it.
type Biller interface {
	Bill(ctx context.Context, b Bill) error
}

// An Outgoing message is one SMS to send.
type Outgoing struct {
	ID       string // ours, letters and digits: comes back in a Report
	To       Number
	Address  Address // where it goes instead of To, if it is not zero: only a Postal gateway can
	Text     string
	Priority Priority
	Validity time.Duration // after it the network should drop the message; more than 0
}

// ReportState is what the network says of a message that we sent.
type ReportState int

// The states of a report.
const (
	Accepted  ReportState = iota + 1 // the network or provider has it
	Delivered                        // the phone has it
	Failed                           // it will never arrive
)

// A Report is a delivery report. It is a courtesy: absent, late, doubled, even
// forged, it must never decide about money.
type Report struct {
	Gateway    string
	ID         string // ours, if the gateway gives it back
	ProviderID string // theirs, as returned by Send
	State      ReportState
	Detail     string // a code of the provider, never a number or a text
}

// Health is how a gateway feels, for people and for metrics.
type Health struct {
	Up     bool
	Since  time.Time // when Up last changed
	Detail string    // for the operator; never a number or a text
}

// An Inbox takes what a gateway receives. Receive returns nil when the message
// is on disk, new or repeated alike: only then may the gateway acknowledge it.
type Inbox interface {
	Receive(ctx context.Context, m Incoming) error
	Report(ctx context.Context, r Report) error
}

// A Gateway is one connection to the telephone world.
type Gateway interface {
	// Run serves until ctx ends, and acknowledges only what in has committed.
	Run(ctx context.Context, in Inbox) error
	// Send hands one SMS to the network and returns the provider's name for it,
	// "" if it has none.
	// Its error is ErrBusy, ErrRefused or, whatever else it is, unknown: the
	// message may have left.
	Send(ctx context.Context, m Outgoing) (providerID string, err error)
	Health() Health
}

// A Visited gateway is also called from outside, as by its provider's webhooks.
// Of several servers, only one runs a gateway and sends by it; but any of them
// may be called, and lets the calls through to in until ctx ends.
type Visited interface {
	Gateway
	Attend(ctx context.Context, in Inbox)
}

var (
	// ErrBusy means that the message surely was not sent: try again later.
	ErrBusy = errors.New("gateway busy")
	// ErrRefused means that the message will never be sent: do not try again.
	ErrRefused = errors.New("gateway refused the message")
	// ErrOptedOut comes with ErrRefused: the recipient has told the provider to
	// stop, and it will pass on nothing, codes included, until she tells it to
	// start again. Somebody should call her.
	ErrOptedOut = errors.New("recipient told the provider to stop")
	// ErrLater is what an Inbox returns when it cannot commit now: the gateway
	// must not acknowledge, and the network will deliver again.
	ErrLater = errors.New("inbox cannot commit now")
)
