package store

import (
	"encoding/json"
)

// An event is one thing of record that happened. Exactly one field is set.
// Rows are written whole, as they are after the event, so that the last image
// of each row up to a moment is the state at that moment.
type event struct {
	SMS     *smsEvent     `json:"sms,omitempty"`
	Account *accountEvent `json:"account,omitempty"`
	Txn     *txnEvent     `json:"txn,omitempty"`
	Hold    *holdEvent    `json:"hold,omitempty"`
	Member  *memberEvent  `json:"member,omitempty"`
	Nick    *nickEvent    `json:"nick,omitempty"`
	Order   *orderEvent   `json:"order,omitempty"`
	Card    *cardEvent    `json:"card,omitempty"`
	Block   *blockEvent   `json:"block,omitempty"`
	Refused *refusedEvent `json:"refused,omitempty"`
	State   *stateEvent   `json:"state,omitempty"`
	Erase   *eraseEvent   `json:"erase,omitempty"`
	Act     *actEvent     `json:"act,omitempty"`
	Floor   *floorEvent   `json:"floor,omitempty"`
	Record  *recordEvent  `json:"record,omitempty"`
}

// smsEvent: an SMS came. Its text is not here, only the hash of what was sealed.
type smsEvent struct {
	ID     int64  `json:"id"`
	Member int64  `json:"member,omitempty"`
	Hash   []byte `json:"hash"`
}

type accountEvent struct {
	ID        int64  `json:"id"`
	Member    int64  `json:"member,omitempty"`
	Name      string `json:"name,omitempty"`
	Currency  string `json:"currency"`
	Decimals  uint8  `json:"decimals"`
	Floor     int64  `json:"floor,omitempty"`
	Unbounded bool   `json:"unbounded,omitempty"`
}

// floorEvent: how far an account may go below zero was changed.
type floorEvent struct {
	Account int64 `json:"account"`
	Floor   int64 `json:"floor"`
}

type txnEvent struct {
	ID       int64      `json:"id"`
	Ref      string     `json:"ref,omitempty"`
	Key      string     `json:"key"`
	Kind     string     `json:"kind"`
	Postings [][2]int64 `json:"postings"` // account, amount
	Reverses int64      `json:"reverses,omitempty"`
	Via      int64      `json:"via,omitempty"`
	Note     string     `json:"note,omitempty"`
	At       int64      `json:"at,omitempty"`   // if not the time of the row
	Hold     int64      `json:"hold,omitempty"` // that it was captured from
}

type holdEvent struct {
	ID        int64 `json:"id"`
	Account   int64 `json:"account"`
	Placed    int64 `json:"placed"`
	Remaining int64 `json:"remaining"`
	Txn       int64 `json:"txn,omitempty"`
	Expires   int64 `json:"expires,omitempty"`
}

type memberEvent struct {
	ID       int64  `json:"id"`
	Key      int64  `json:"key"`
	State    string `json:"state"`
	Secret   []byte `json:"secret,omitempty"`
	Language string `json:"language"`
	Chosen   bool   `json:"chosen,omitempty"`
	Muted    bool   `json:"muted,omitempty"`
	Role     string `json:"role,omitempty"`
	Ceiling  int64  `json:"ceiling,omitempty"`
	Opened   int64  `json:"opened"`
	Seen     int64  `json:"seen"`
	Frozen   int64  `json:"frozen,omitempty"`
	FrozenBy string `json:"frozen_by,omitempty"`
	Lost     int64  `json:"lost,omitempty"`
	Locked   int64  `json:"locked,omitempty"`
	Look     int64  `json:"look,omitempty"`
	Ask      int64  `json:"ask,omitempty"`
	Doubt    int64  `json:"doubt,omitempty"`
	Proved   int64  `json:"proved,omitempty"`
	Group    string `json:"group,omitempty"`
}

type nickEvent struct {
	Hash      []byte `json:"hash"`
	Lookalike []byte `json:"lookalike"`
	Member    int64  `json:"member"`
	Free      int64  `json:"free,omitempty"`
}

type orderEvent struct {
	ID        int64  `json:"id"`
	Ref       string `json:"ref"`
	Kind      string `json:"kind"`
	State     string `json:"state"`
	Owner     int64  `json:"owner,omitempty"`
	Asked     int64  `json:"asked,omitempty"`
	Payer     int64  `json:"payer,omitempty"`
	Payee     int64  `json:"payee,omitempty"`
	Currency  string `json:"currency"`
	Decimals  uint8  `json:"decimals"`
	Amount    int64  `json:"amount"`
	Key       int64  `json:"key,omitempty"`
	Secret    []byte `json:"secret,omitempty"`
	Question  string `json:"question,omitempty"`
	Created   int64  `json:"created"`
	Due       int64  `json:"due,omitempty"`
	Paid      int64  `json:"paid,omitempty"`
	Ended     int64  `json:"ended,omitempty"`
	Txn       int64  `json:"txn,omitempty"`
	Target    int64  `json:"target,omitempty"`
	TargetRef string `json:"target_ref,omitempty"`
	Hold      int64  `json:"hold,omitempty"`
}

type cardEvent struct {
	Member int64  `json:"member"`
	Key    int64  `json:"key"`
	Sealed []byte `json:"sealed"`
	Tries  int    `json:"tries,omitempty"`
	Locked int64  `json:"locked,omitempty"`
}

type blockEvent struct {
	Member int64 `json:"member"`
	Other  int64 `json:"other"`
	Ended  bool  `json:"ended,omitempty"`
}

type refusedEvent struct {
	Hash []byte `json:"hash"`
}

type stateEvent struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type eraseEvent struct {
	Key int64 `json:"key"`
}

// actEvent: somebody with rights did something. No name, number or text of a
// member stands here, only IDs and references.
type actEvent struct {
	ID      int64  `json:"id,omitempty"` // of its row in the audit; acts of older books have none
	By      string `json:"by"`
	What    string `json:"what"`
	Subject string `json:"on,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Was     string `json:"was,omitempty"`
	Became  string `json:"became,omitempty"`
}

func encodeEvents(events []event) ([]byte, error) { return json.Marshal(events) }

func decodeEvents(body string) ([]event, error) {
	var events []event
	err := json.Unmarshal([]byte(body), &events)
	return events, err
}

func (tx *Tx) record(e event) { tx.events = append(tx.events, e) }
