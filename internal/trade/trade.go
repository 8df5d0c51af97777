// Package trade is what merchants and their clients agree on, as nouns and the
// rules between them: a merchant's policy says what a client sends by SMS to be
// allowed to order and pay on delivery; an authorization is one client's
// standing under it; a claim is one order that it lets through, and has one
// outcome.
//
// All sums are whole smallest units of the policy's currency. Nothing here reads
// a clock or a database: whoever calls says what time it is, and saves.
package trade

import (
	"time"

	"maillon/internal/money"
)

// A Kind says what a client's money is.
type Kind string

// The kinds.
const (
	Advance Kind = "advance" // spent with each order, and deducted from what is paid on delivery
	Deposit Kind = "deposit" // stays, for some orders or for a time, and is lost if one is not honoured
	Both    Kind = "both"    // the deposit is filled first, the rest is advance
)

// A Flow says how a shop knows which authorization a client has.
type Flow string

// The flows.
const (
	ByCode     Flow = "code"     // a code that is sent back by SMS
	ByUsername Flow = "username" // the shop's name for the client, written in the SMS
	ByPhone    Flow = "phone"    // the number that the shop has
)

// A Rail is a way by which money comes.
type Rail string

// The rails.
const (
	Premium Rail = "premium_sms" // billed by the operator
	Balance Rail = "balance"     // set aside on a member's account
	Cash    Rail = "cash"        // paid at the association's desk
)

// A Basis says how much of a premium SMS counts for the client.
type Basis string

// The bases.
const (
	Face Basis = "face" // all that she paid
	Net  Basis = "net"  // what the operator passes on
)

// A Delivery is how an order reaches the client.
type Delivery string

// The deliveries.
const (
	Home   Delivery = "home"
	Pickup Delivery = "pickup"
	Either Delivery = "both" // of a policy
)

// An Outage says what a shop does while this service cannot be reached.
type Outage string

// What there is to do.
const (
	Closed Outage = "closed" // nobody orders on delivery
	Open   Outage = "open"   // everybody may
)

// A Holder is who has the clients' money until it has an outcome: the association,
// which the operators pay; or the merchant, whom they pay, and who owes it from then
// on. What a member sets aside and what is paid at the desk the association has.
type Holder string

// The holders.
const (
	Platform  Holder = "platform"
	AMerchant Holder = "merchant"
)

// A Merchant sells. Each has a twin for tests, whose accounts, clock and objects
// are apart.
type Merchant struct {
	ID        int64         `json:"-"`
	Name      string        `json:"name"` // as clients read it in SMS, 2 to 20 letters of GSM-7
	Test      bool          `json:"test,omitempty"`
	Twin      int64         `json:"twin,omitempty"`     // the same merchant in the other mode
	Member    int64         `json:"member,omitempty"`   // who is paid out; 0: nobody yet
	Clock     time.Duration `json:"clock,omitempty"`    // of the twin for tests: how far ahead of the time
	HoldDays  int           `json:"hold_days"`          // how long after a charge is settled it may be paid out
	Withheld  int64         `json:"withheld,omitempty"` // earned from charges that are not settled, in smallest units
	Braked    bool          `json:"braked,omitempty"`   // too many forfeits: no more until an administrator has looked
	Looked    time.Time     `json:"looked,omitzero"`    // when one did: the orders of before count no more
	Suspended bool          `json:"suspended,omitempty"`
	Created   time.Time     `json:"-"`
}

// A Policy is a merchant's offer.
type Policy struct {
	ID             int64          `json:"-"`
	Merchant       int64          `json:"-"`
	Keyword        string         `json:"keyword"`    // the first word of an SMS, 2 to 12 letters and digits, in capitals; unique
	ShortCode      string         `json:"short_code"` // where it is sent; the client reads it
	Flow           Flow           `json:"flow"`
	Kind           Kind           `json:"kind"`
	Messages       int            `json:"messages_required"`
	Price          int64          `json:"price"` // of one message; 0: an SMS at the usual rate counts
	Currency       money.Currency `json:"currency"`
	PerOrder       int64          `json:"advance_per_order,omitempty"`
	Deposit        int64          `json:"deposit,omitempty"`
	Forfeit        int64          `json:"forfeit_amount,omitempty"`  // at most this of the deposit is lost; 0: all of it
	MaxOrders      int            `json:"max_orders,omitempty"`      // 0: as many as there may be
	MaxOpen        int            `json:"max_open_orders,omitempty"` // 0: as many; but not if MaxOrders is 0
	MaxTotal       int64          `json:"max_order_total,omitempty"` // 0: any
	Validity       time.Duration  `json:"validity,omitempty"`        // 0: for ever, but for ByPhone
	Delivery       Delivery       `json:"delivery"`
	Pickups        []string       `json:"pickup_points,omitempty"` // those there are; none: any
	Window         time.Duration  `json:"dispute_window"`
	ReturnsSlot    bool           `json:"release_returns_slot"`
	RefundWithdraw bool           `json:"withdrawal_refunds"` // the advance of an order that was withdrawn goes back to the client
	OnOutage       Outage         `json:"on_outage"`
	Rails          []Rail         `json:"rails"`
	Basis          Basis          `json:"credit_basis"`
	Holder         Holder         `json:"holder"`
	Ended          bool           `json:"ended,omitempty"` // nobody new
	Test           bool           `json:"test,omitempty"`
	Created        time.Time      `json:"-"`
}

// A State is where an authorization, a claim or another object stands.
type State string

// The states of an authorization.
const (
	Pending   State = "pending"
	Active    State = "active"
	Exhausted State = "exhausted" // its last order was let through
	Over      State = "closed"    // and had its outcome
	Expired   State = "expired"
	Revoked   State = "revoked"
	Forfeited State = "forfeited"
)

// The states of a deposit.
const (
	NoDeposit  State = ""
	Held       State = "held"
	Disputed   State = "disputed"
	Releasable State = "releasable"
	Refunded   State = "refunded"
	Lost       State = "forfeited"
)

// The states of a claim.
const (
	Requested   State = "requested" // the order exists, the client is asked for the SMS
	Reserved    State = "reserved"  // let through; free again unless the shop confirms
	Opened      State = "open"
	Honoured    State = "honoured"
	Released    State = "released"  // the merchant cancelled, or never confirmed
	Withdrawn   State = "withdrawn" // the client used her right to withdraw
	NotHonoured State = "not_honoured"
	Forfeit     State = "forfeited"
	Reinstated  State = "reinstated" // the client was right
)

// The states of a charge.
const (
	ChargePending    State = "pending"
	ChargeConfirmed  State = "confirmed"
	ChargeSettled    State = "settled" // the operator has paid
	ChargeFailed     State = "failed"
	ChargeClawedBack State = "clawed_back"
)

// The states of a dispute.
const (
	DisputeOpen   State = "open"     // the merchant is to answer
	DisputeAnswer State = "answered" // an administrator is to decide
	DisputeWon    State = "won"      // by the client
	DisputeLost   State = "lost"
)

// An Authorization is one client's standing under a policy.
type Authorization struct {
	ID        int64         `json:"-"`
	Merchant  int64         `json:"-"`
	Policy    int64         `json:"-"`
	State     State         `json:"-"`
	Deposited State         `json:"deposit_state,omitempty"`
	Who       []byte        `json:"-"`                  // keyed hash of the client's number or address; nil while unknown
	Contact   []byte        `json:"contact,omitempty"`  // sealed: how she is written to
	Member    int64         `json:"member,omitempty"`   // if she is one
	Username  []byte        `json:"username,omitempty"` // sealed
	User      string        `json:"user,omitempty"`     // keyed hash of it, to find by
	Code      string        `json:"code,omitempty"`     // keyed hash of the code
	Challenge string        `json:"challenge,omitempty"`
	Tries     int           `json:"tries,omitempty"` // at the challenge
	Paid      int           `json:"messages"`        // that were confirmed
	Deposit   int64         `json:"deposit,omitempty"`
	Advance   int64         `json:"advance,omitempty"`
	Used      int           `json:"orders_used,omitempty"`
	Open      int           `json:"orders_open,omitempty"`
	Unsettled int64         `json:"unsettled,omitempty"` // credited from charges that are not settled
	Earned    int64         `json:"earned,omitempty"`    // what the merchant has of it
	Rail      Rail          `json:"rail,omitempty"`
	Hold      int64         `json:"hold,omitempty"` // on the member's account, for Balance
	Reason    string        `json:"reason,omitempty"`
	Expires   time.Time     `json:"expires,omitzero"`
	Dies      time.Time     `json:"dies,omitzero"`    // pending only until then
	Warned    bool          `json:"warned,omitempty"` // that it ends soon
	Validity  time.Duration `json:"-"`
	Created   time.Time     `json:"-"`
}

// A Claim is one order.
type Claim struct {
	ID            int64     `json:"-"`
	Merchant      int64     `json:"-"`
	Policy        int64     `json:"policy"`
	Authorization int64     `json:"-"` // 0 while Requested
	Who           []byte    `json:"-"`
	Contact       []byte    `json:"contact,omitempty"` // sealed, while Requested
	OrderRef      string    `json:"-"`
	Total         int64     `json:"total"`
	Currency      string    `json:"currency"`
	Delivery      Delivery  `json:"delivery,omitempty"`
	Point         string    `json:"pickup_point,omitempty"`
	State         State     `json:"-"`
	Advance       int64     `json:"advance,omitempty"`
	AtRisk        int64     `json:"deposit_at_risk,omitempty"`
	Reason        string    `json:"reason,omitempty"`
	Evidence      []string  `json:"evidence,omitempty"`
	Dispute       int64     `json:"dispute,omitempty"`
	Due           time.Time `json:"-"`
	Done          time.Time `json:"done,omitzero"`
	Created       time.Time `json:"-"`
}

// A Charge is what one message of a client costs her.
type Charge struct {
	ID            int64     `json:"-"`
	Merchant      int64     `json:"-"`
	Authorization int64     `json:"-"`
	Gateway       string    `json:"gateway"`
	Key           string    `json:"key"` // keyed hash of what the gateway knows it by
	Rail          Rail      `json:"rail"`
	Gross         int64     `json:"gross"`
	Net           int64     `json:"net"`
	Credited      int64     `json:"credited"` // what counts for the client
	Currency      string    `json:"currency"`
	Decimals      uint8     `json:"decimals"`
	Model         string    `json:"model,omitempty"`
	Held          bool      `json:"held,omitempty"` // the operator pays the merchant
	State         State     `json:"-"`
	Settled       time.Time `json:"settled,omitzero"`
	Created       time.Time `json:"-"`
}

// A Dispute is a client who says that she honoured an order.
type Dispute struct {
	ID       int64     `json:"-"`
	Merchant int64     `json:"-"`
	Claim    int64     `json:"-"`
	State    State     `json:"-"`
	Answer   string    `json:"answer,omitempty"` // the merchant's
	Evidence []string  `json:"evidence,omitempty"`
	By       string    `json:"by,omitempty"` // who decided
	Reason   string    `json:"reason,omitempty"`
	Due      time.Time `json:"-"` // the merchant's silence ends it then
	Created  time.Time `json:"-"`
}

// A Refund is money that went back to a client.
type Refund struct {
	ID            int64     `json:"-"`
	Merchant      int64     `json:"-"`
	Authorization int64     `json:"-"`
	Amount        int64     `json:"amount"`
	To            string    `json:"to"` // wallet, cash, mobile_money, hold
	Transaction   int64     `json:"transaction,omitempty"`
	Created       time.Time `json:"-"`
}

// A Payout is money that went to a merchant.
type Payout struct {
	ID          int64     `json:"-"`
	Merchant    int64     `json:"-"`
	Amount      int64     `json:"amount"`
	Currency    string    `json:"currency"`
	Decimals    uint8     `json:"decimals"`
	To          string    `json:"to"` // wallet, bank
	Transaction int64     `json:"transaction,omitempty"`
	Created     time.Time `json:"-"`
}

// A Statement is what an operator has paid for the charges of a gateway.
type Statement struct {
	ID       int64     `json:"-"`
	Gateway  string    `json:"gateway"`
	Currency string    `json:"currency"`
	Charges  int       `json:"charges"`
	Expected int64     `json:"expected"`
	Received int64     `json:"received"`
	Created  time.Time `json:"-"`
}

// An Order is what a shop asks about.
type Order struct {
	Ref      string
	Total    int64
	Currency string
	Delivery Delivery
	Point    string // of pickup
}
