// Package object shows what merchants have as their programs read it, in answers
// of the API and in events alike: with IDs that say what they are of, sums in
// whole smallest units, null for what is not there, and nobody's number. The form
// is that of api/openapi.yaml.
package object

import (
	"time"

	"maillon/internal/trade"
)

// A Merchant is who sells.
type Merchant struct {
	Object         string    `json:"object"`
	ID             string    `json:"id"`
	Livemode       bool      `json:"livemode"`
	Name           string    `json:"name"`
	Suspended      bool      `json:"suspended"`
	Braked         bool      `json:"braked"`
	Wallet         *string   `json:"wallet"`
	PayoutHoldDays int       `json:"payout_hold_days"`
	CreatedAt      time.Time `json:"created_at"`
}

// OfMerchant shows a merchant.
func OfMerchant(m *trade.Merchant) Merchant {
	return Merchant{
		"merchant", MerchantID.Of(m.ID), !m.Test, m.Name, m.Suspended, m.Braked, MemberID.Maybe(m.Member), m.HoldDays, m.Created.UTC(),
	}
}

// A Policy is a merchant's offer.
type Policy struct {
	Object             string         `json:"object"`
	ID                 string         `json:"id"`
	Livemode           bool           `json:"livemode"`
	Keyword            string         `json:"keyword"`
	Flow               trade.Flow     `json:"flow"`
	Currency           string         `json:"currency"`
	ShortCode          *string        `json:"short_code"`
	Kind               trade.Kind     `json:"kind"`
	MessagesRequired   int            `json:"messages_required"`
	Price              int64          `json:"price"`
	AdvancePerOrder    int64          `json:"advance_per_order"`
	Deposit            int64          `json:"deposit"`
	ForfeitAmount      *int64         `json:"forfeit_amount"`
	MaxOrders          *int           `json:"max_orders"`
	MaxOpenOrders      *int           `json:"max_open_orders"`
	MaxOrderTotal      *int64         `json:"max_order_total"`
	Validity           *int64         `json:"validity"` // seconds
	Delivery           trade.Delivery `json:"delivery"`
	PickupPoints       []string       `json:"pickup_points"`
	DisputeHours       int64          `json:"dispute_hours"`
	ReleaseReturnsSlot bool           `json:"release_returns_slot"`
	WithdrawalRefunds  bool           `json:"withdrawal_refunds"`
	OnOutage           trade.Outage   `json:"on_outage"`
	Rails              []trade.Rail   `json:"rails"`
	CreditBasis        trade.Basis    `json:"credit_basis"`
	Holder             trade.Holder   `json:"holder"`
	Ended              bool           `json:"ended"`
	CreatedAt          time.Time      `json:"created_at"`
}

// OfPolicy shows a policy.
func OfPolicy(p *trade.Policy) Policy {
	return Policy{
		Object: "policy", ID: PolicyID.Of(p.ID), Livemode: !p.Test, Keyword: p.Keyword, Flow: p.Flow, Currency: p.Currency.Code,
		ShortCode: maybe(p.ShortCode), Kind: p.Kind, MessagesRequired: p.Messages, Price: p.Price, AdvancePerOrder: p.PerOrder,
		Deposit: p.Deposit, ForfeitAmount: maybe(p.Forfeit), MaxOrders: maybe(p.MaxOrders), MaxOpenOrders: maybe(p.MaxOpen),
		MaxOrderTotal: maybe(p.MaxTotal), Validity: maybe(int64(p.Validity / time.Second)), Delivery: p.Delivery, PickupPoints: list(p.Pickups),
		DisputeHours: int64(p.Window / time.Hour), ReleaseReturnsSlot: p.ReturnsSlot, WithdrawalRefunds: p.RefundWithdraw,
		OnOutage: p.OnOutage, Rails: list(p.Rails), CreditBasis: p.Basis, Holder: p.Holder, Ended: p.Ended, CreatedAt: p.Created.UTC(),
	}
}

// An Authorization is one client's standing.
type Authorization struct {
	Object           string        `json:"object"`
	ID               string        `json:"id"`
	Livemode         bool          `json:"livemode"`
	Policy           string        `json:"policy"`
	Status           trade.State   `json:"status"`
	DepositState     trade.State   `json:"deposit_state"`
	MessagesReceived int           `json:"messages_received"`
	MessagesRequired int           `json:"messages_required"`
	DepositHeld      int64         `json:"deposit_held"`
	AdvanceBalance   int64         `json:"advance_balance"`
	Refundable       int64         `json:"refundable"`
	Currency         string        `json:"currency"`
	OrdersUsed       int           `json:"orders_used"`
	OpenOrders       int           `json:"open_orders"`
	MaxOrders        *int          `json:"max_orders"`
	Reason           *string       `json:"reason"`
	ExpiresAt        *time.Time    `json:"expires_at"`
	Instructions     *Instructions `json:"instructions"` // in answers alone
	CreatedAt        time.Time     `json:"created_at"`
}

// OfAuthorization shows an authorization under its policy.
func OfAuthorization(p *trade.Policy, a *trade.Authorization) Authorization {
	v := Authorization{
		Object: "authorization", ID: AuthorizationID.Of(a.ID), Livemode: !p.Test, Policy: PolicyID.Of(p.ID), Status: a.State,
		DepositState: a.Deposited, MessagesReceived: a.Paid, MessagesRequired: p.Messages, DepositHeld: a.Deposit, AdvanceBalance: a.Advance,
		Refundable: a.Refundable(), Currency: p.Currency.Code, OrdersUsed: a.Used, OpenOrders: a.Open, MaxOrders: maybe(p.MaxOrders),
		Reason: maybe(a.Reason), ExpiresAt: moment(a.Expires), CreatedAt: a.Created.UTC(),
	}
	if v.DepositState == trade.NoDeposit {
		v.DepositState = "none"
	}
	if a.State == trade.Pending {
		v.ExpiresAt = moment(a.Dies)
	}
	return v
}

// Instructions say what a client is to send.
type Instructions struct {
	ShortCode *string      `json:"short_code"`
	Keyword   string       `json:"keyword"`
	Text      string       `json:"text"`
	Messages  int          `json:"messages"`
	Price     int64        `json:"price"`
	Currency  string       `json:"currency"`
	Rails     []trade.Rail `json:"rails"`
}

// A Claim is one order.
type Claim struct {
	Object        string          `json:"object"`
	ID            string          `json:"id"`
	Livemode      bool            `json:"livemode"`
	Authorization *string         `json:"authorization"`
	Policy        string          `json:"policy"`
	OrderRef      string          `json:"order_ref"`
	OrderTotal    int64           `json:"order_total"`
	Currency      string          `json:"currency"`
	Delivery      *trade.Delivery `json:"delivery"`
	PickupPoint   *string         `json:"pickup_point"`
	Status        trade.State     `json:"status"`
	AdvanceAmount int64           `json:"advance_amount"`
	CashDue       int64           `json:"cash_due"`
	DepositAtRisk int64           `json:"deposit_at_risk"`
	Reason        *string         `json:"reason"`
	Evidence      []string        `json:"evidence"`
	Dispute       *string         `json:"dispute"`
	DueAt         *time.Time      `json:"due_at"`
	EndedAt       *time.Time      `json:"ended_at"`
	CreatedAt     time.Time       `json:"created_at"`
}

// OfClaim shows a claim, in test mode or not.
func OfClaim(test bool, c *trade.Claim) Claim {
	return Claim{
		Object: "claim", ID: ClaimID.Of(c.ID), Livemode: !test, Authorization: AuthorizationID.Maybe(c.Authorization), Policy: PolicyID.Of(c.Policy),
		OrderRef: c.OrderRef, OrderTotal: c.Total, Currency: c.Currency, Delivery: maybe(c.Delivery), PickupPoint: maybe(c.Point), Status: c.State,
		AdvanceAmount: c.Advance, CashDue: CashDue(c.Total, c.Advance), DepositAtRisk: c.AtRisk, Reason: maybe(c.Reason), Evidence: list(c.Evidence),
		Dispute: DisputeID.Maybe(c.Dispute), DueAt: moment(c.Due), EndedAt: moment(c.Done), CreatedAt: c.Created.UTC(),
	}
}

// CashDue returns what of an order is still to be paid on delivery.
func CashDue(total, advance int64) int64 { return max(total-advance, 0) }

// A Dispute is a client who says that she honoured an order.
type Dispute struct {
	Object    string      `json:"object"`
	ID        string      `json:"id"`
	Livemode  bool        `json:"livemode"`
	Claim     string      `json:"claim"`
	Status    trade.State `json:"status"`
	RespondBy *time.Time  `json:"respond_by"`
	Answer    *string     `json:"answer"`
	Evidence  []string    `json:"evidence"`
	Reason    *string     `json:"reason"`
	CreatedAt time.Time   `json:"created_at"`
}

// OfDispute shows a dispute, in test mode or not.
func OfDispute(test bool, d *trade.Dispute) Dispute {
	return Dispute{
		"dispute", DisputeID.Of(d.ID), !test, ClaimID.Of(d.Claim), d.State, moment(d.Due), maybe(d.Answer), list(d.Evidence), maybe(d.Reason), d.Created.UTC(),
	}
}

// A Charge is what one message costs a client.
type Charge struct {
	Object        string      `json:"object"`
	ID            string      `json:"id"`
	Livemode      bool        `json:"livemode"`
	Authorization *string     `json:"authorization"`
	Rail          trade.Rail  `json:"rail"`
	Gateway       string      `json:"gateway"`
	Gross         int64       `json:"gross"`
	Net           int64       `json:"net"`
	Credited      int64       `json:"credited"`
	Currency      string      `json:"currency"`
	Model         *string     `json:"model"`
	Status        trade.State `json:"status"`
	CreatedAt     time.Time   `json:"created_at"`
}

// OfCharge shows a charge, in test mode or not.
func OfCharge(test bool, c *trade.Charge) Charge {
	return Charge{
		"charge", ChargeID.Of(c.ID), !test, AuthorizationID.Maybe(c.Authorization), c.Rail, c.Gateway, c.Gross, c.Net, c.Credited, c.Currency,
		maybe(c.Model), c.State, c.Created.UTC(),
	}
}

// A Refund is money that went back to a client.
type Refund struct {
	Object        string    `json:"object"`
	ID            string    `json:"id"`
	Livemode      bool      `json:"livemode"`
	Authorization string    `json:"authorization"`
	Amount        int64     `json:"amount"`
	Currency      string    `json:"currency"`
	Destination   string    `json:"destination"`
	Transfer      *string   `json:"transfer"`
	CreatedAt     time.Time `json:"created_at"`
}

// OfRefund shows a refund of an authorization under a policy.
func OfRefund(p *trade.Policy, r *trade.Refund) Refund {
	return Refund{
		"refund", RefundID.Of(r.ID), !p.Test, AuthorizationID.Of(r.Authorization), r.Amount, p.Currency.Code, r.To, TransferID.Maybe(r.Transaction),
		r.Created.UTC(),
	}
}

// A Payout is money that went to the merchant.
type Payout struct {
	Object      string    `json:"object"`
	ID          string    `json:"id"`
	Livemode    bool      `json:"livemode"`
	Amount      int64     `json:"amount"`
	Currency    string    `json:"currency"`
	Destination string    `json:"destination"`
	Transfer    *string   `json:"transfer"`
	CreatedAt   time.Time `json:"created_at"`
}

// OfPayout shows a payout, in test mode or not.
func OfPayout(test bool, p *trade.Payout) Payout {
	return Payout{"payout", PayoutID.Of(p.ID), !test, p.Amount, p.Currency, p.To, TransferID.Maybe(p.Transaction), p.Created.UTC()}
}

// A Statement is what an operator has paid: of all merchants together, so that
// one of them reads no sums of it.
type Statement struct {
	Object    string    `json:"object"`
	Gateway   string    `json:"gateway"`
	Currency  string    `json:"currency"`
	CreatedAt time.Time `json:"created_at"`
}

// OfStatement shows a statement.
func OfStatement(s *trade.Statement) Statement {
	return Statement{"statement", s.Gateway, s.Currency, s.Created.UTC()}
}

// maybe returns a value that may be missing, nil for the zero value.
func maybe[T comparable](v T) *T {
	var none T
	if v == none {
		return nil
	}
	return &v
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// list returns a list that is never null.
func list[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}
