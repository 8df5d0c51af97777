package rest

import (
	"context"
	"crypto/rand"
	"time"

	"maillon/internal/merchant"
	"maillon/internal/sms"
	"maillon/internal/trade/object"
)

// A testMessage is an SMS that a test says came in.
type testMessage struct {
	From   string      `json:"from"`
	Text   string      `json:"text"`
	ID     string      `json:"id"`
	Proof  string      `json:"proof"`
	Charge *testCharge `json:"charge"`
}

// A testCharge is what it cost.
type testCharge struct {
	Currency string `json:"currency"`
	Gross    int64  `json:"gross"`
	Net      int64  `json:"net"`
	Model    string `json:"model"`
	Status   string `json:"status"`
}

// A testReply is what would be answered.
type testReply struct {
	Object string  `json:"object"`
	ID     string  `json:"id"`
	Reply  *string `json:"reply"`
}

// Bounds of a test message.
const (
	maxText   = 1600 // octets
	maxTestID = 64
)

var (
	proofs = map[string]sms.Proof{"": sms.Network, "forgeable": sms.Forgeable, "network": sms.Network, "signed": sms.Signed}
	bills  = map[string]sms.ChargeState{
		"pending": sms.ChargePending, "confirmed": sms.ChargeConfirmed, "failed": sms.ChargeFailed, "clawed_back": sms.ChargeClawedBack,
	}
	models = map[string]bool{"MO": true, "MT": true, "DCB": true}
)

func (h *Handler) postTestMessage(ctx context.Context, c *call, q testMessage) (answer, error) {
	proof, known := proofs[q.Proof]
	switch {
	case !known:
		return answer{}, problemMalformed.because("proof is forgeable, network or signed")
	case q.Text == "" || len(q.Text) > maxText:
		return answer{}, problemMalformed.because("text has from 1 to 1600 octets")
	case len(q.From) > maxWord:
		return answer{}, merchant.ErrPhone
	case q.ID == "":
		q.ID = rand.Text()
	case !printable(q.ID, maxTestID):
		return answer{}, problemMalformed.because("id has from 1 to 64 printable characters without spaces")
	}
	m := merchant.Message{From: q.From, Text: q.Text, Key: q.ID, Proof: proof}
	if q.Charge != nil {
		var err error
		if m.Charge, err = q.Charge.read(); err != nil {
			return answer{}, err
		}
	}
	text, err := h.merchants.Inject(ctx, c.tx, c.m, m)
	if err != nil {
		return answer{}, err
	}
	v := testReply{Object: "test_message", ID: q.ID}
	if text != "" {
		v.Reply = &text
	}
	return ok(v)
}

func (q testCharge) read() (*sms.Charge, error) {
	if q.Model == "" {
		q.Model = "MO"
	}
	if q.Status == "" {
		q.Status = "confirmed"
	}
	state, known := bills[q.Status]
	if !known || !models[q.Model] || q.Currency == "" || len(q.Currency) > maxWord {
		return nil, problemMalformed.because("a charge has a currency, a model (MO, MT, DCB) and a status")
	}
	if q.Gross < 1 || q.Gross > maxAmount || q.Net < 0 || q.Net > q.Gross {
		return nil, problemMalformed.because("a charge has a gross sum, and a net sum that is not more")
	}
	return &sms.Charge{Currency: q.Currency, Gross: q.Gross, Net: q.Net, Model: q.Model, State: state}, nil
}

// A testBill is what an operator says of the charge of a message.
type testBill struct {
	ID     string `json:"id"`
	Status string `json:"status"`
}

func (h *Handler) postTestBill(ctx context.Context, c *call, q testBill) (answer, error) {
	state, known := bills[q.Status]
	if !known || q.Status == "pending" || !printable(q.ID, maxTestID) {
		return answer{}, problemMalformed.because("a bill has the id of a message, and is confirmed, failed or clawed_back")
	}
	if err := h.merchants.InjectBill(ctx, c.tx, c.m, q.ID, state); err != nil {
		return answer{}, err
	}
	return ok(q)
}

// A testClock is what time it is in test mode.
type testClock struct {
	Object string    `json:"object"`
	Now    time.Time `json:"now"`
}

// A clockRequest lets time pass.
type clockRequest struct {
	Advance int64 `json:"advance"` // seconds
}

// maxAdvance bounds one step of the clock, in seconds.
const maxAdvance = 366 * 24 * 60 * 60

func (h *Handler) getTestClock(_ context.Context, c *call) (answer, error) {
	if !c.m.Test {
		return answer{}, merchant.ErrTestOnly
	}
	return ok(testClock{"test_clock", h.merchants.Now(c.tx, c.m).UTC()})
}

func (h *Handler) postTestClock(ctx context.Context, c *call, q clockRequest) (answer, error) {
	if !c.m.Test {
		return answer{}, merchant.ErrTestOnly
	}
	if q.Advance < 1 || q.Advance > maxAdvance {
		return answer{}, problemClock
	}
	at := h.merchants.Now(c.tx, c.m).Add(time.Duration(q.Advance) * time.Second)
	if err := h.merchants.SetClock(ctx, c.tx, c.m, at); err != nil {
		return answer{}, err
	}
	return ok(testClock{"test_clock", h.merchants.Now(c.tx, c.m).UTC()})
}

// printable reports whether a word is printable ASCII without spaces.
func printable(word string, most int) bool {
	for _, c := range []byte(word) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return word != "" && len(word) <= most
}

// A testDispute says which claim a client disputes.
type testDispute struct {
	Claim string `json:"claim"`
}

func (h *Handler) postTestDispute(ctx context.Context, c *call, q testDispute) (answer, error) {
	if !c.m.Test {
		return answer{}, merchant.ErrTestOnly
	}
	id, is := object.ClaimID.Number(q.Claim)
	if !is {
		return answer{}, problemNoClaim
	}
	d, err := h.merchants.Contest(ctx, c.tx, c.by, c.m, id)
	if err != nil {
		return answer{}, found(err, problemNoClaim)
	}
	v := object.OfDispute(true, d)
	return created(v, "/v1/disputes/"+v.ID)
}
