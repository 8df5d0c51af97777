package rest

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"maillon/internal/merchant"
	"maillon/internal/trade"
	"maillon/internal/trade/object"
)

// A policyRequest is what is asked of a policy; nil is left out.
type policyRequest struct {
	Keyword            *string          `json:"keyword,omitempty"`
	Flow               *trade.Flow      `json:"flow,omitempty"`
	Kind               *trade.Kind      `json:"kind,omitempty"`
	Currency           *string          `json:"currency,omitempty"`
	ShortCode          optional[string] `json:"short_code,omitzero"`
	MessagesRequired   *int             `json:"messages_required,omitempty"`
	Price              *int64           `json:"price,omitempty"`
	AdvancePerOrder    *int64           `json:"advance_per_order,omitempty"`
	Deposit            *int64           `json:"deposit,omitempty"`
	ForfeitAmount      optional[int64]  `json:"forfeit_amount,omitzero"`
	MaxOrders          optional[int]    `json:"max_orders,omitzero"`
	MaxOpenOrders      optional[int]    `json:"max_open_orders,omitzero"`
	MaxOrderTotal      optional[int64]  `json:"max_order_total,omitzero"`
	Validity           optional[int64]  `json:"validity,omitzero"`
	Delivery           *trade.Delivery  `json:"delivery,omitempty"`
	PickupPoints       *[]string        `json:"pickup_points,omitempty"`
	DisputeHours       *int64           `json:"dispute_hours,omitempty"`
	ReleaseReturnsSlot *bool            `json:"release_returns_slot,omitempty"`
	WithdrawalRefunds  *bool            `json:"withdrawal_refunds,omitempty"`
	OnOutage           *trade.Outage    `json:"on_outage,omitempty"`
	Rails              *[]trade.Rail    `json:"rails,omitempty"`
	CreditBasis        *trade.Basis     `json:"credit_basis,omitempty"`
	Holder             *trade.Holder    `json:"holder,omitempty"`
	Ended              *bool            `json:"ended,omitempty"`
}

// An optional is a field that may be null, which is not the same as left out.
type optional[T comparable] struct {
	given, null bool
	value       T // the zero value for null
}

// UnmarshalJSON implements json.Unmarshaler.
func (o *optional[T]) UnmarshalJSON(text []byte) error {
	o.given, o.null = true, string(text) == "null"
	return json.Unmarshal(text, &o.value)
}

func (o optional[T]) to(field *T) {
	if o.given {
		*field = o.value
	}
}

// IsZero reports whether it was left out.
func (o optional[T]) IsZero() bool { return !o.given }

// MarshalJSON implements json.Marshaler: what was asked is compared in this form.
func (o optional[T]) MarshalJSON() ([]byte, error) {
	if o.null {
		return []byte("null"), nil
	}
	return json.Marshal(o.value)
}

// zero reports whether a zero was given, which is not how none is said.
func (o optional[T]) zero() bool {
	var none T
	return o.given && !o.null && o.value == none
}

func set[T any](field *T, v *T) {
	if v != nil {
		*field = *v
	}
}

// maxHours and maxSeconds bound what is read as a duration; the rules of policies
// are narrower.
const (
	maxHours   = 1 << 20
	maxSeconds = 1 << 32

	minValidity = 60 // seconds
)

// apply writes what was asked into a policy.
func (q policyRequest) apply(p *trade.Policy) error {
	for _, f := range []struct {
		name string
		zero bool
	}{
		{"forfeit_amount", q.ForfeitAmount.zero()},
		{"max_orders", q.MaxOrders.zero()},
		{"max_open_orders", q.MaxOpenOrders.zero()},
		{"max_order_total", q.MaxOrderTotal.zero()},
		{"validity", q.Validity.zero()},
	} {
		if f.zero {
			return &trade.PolicyError{Field: f.name, What: "is at least 1, or null for none"}
		}
	}
	if q.Validity.given && !q.Validity.null && q.Validity.value < minValidity {
		return &trade.PolicyError{Field: "validity", What: "from a minute to ten years, in seconds, or null"}
	}
	if q.Rails != nil && len(slices.Compact(slices.Sorted(slices.Values(*q.Rails)))) != len(*q.Rails) {
		return &trade.PolicyError{Field: "rails", What: "each of premium_sms, balance and cash once"}
	}
	set(&p.Keyword, q.Keyword)
	set(&p.Flow, q.Flow)
	set(&p.Kind, q.Kind)
	q.ShortCode.to(&p.ShortCode)
	set(&p.Messages, q.MessagesRequired)
	set(&p.Price, q.Price)
	set(&p.PerOrder, q.AdvancePerOrder)
	set(&p.Deposit, q.Deposit)
	q.ForfeitAmount.to(&p.Forfeit)
	q.MaxOrders.to(&p.MaxOrders)
	q.MaxOpenOrders.to(&p.MaxOpen)
	q.MaxOrderTotal.to(&p.MaxTotal)
	set(&p.Delivery, q.Delivery)
	set(&p.Pickups, q.PickupPoints)
	set(&p.ReturnsSlot, q.ReleaseReturnsSlot)
	set(&p.RefundWithdraw, q.WithdrawalRefunds)
	set(&p.OnOutage, q.OnOutage)
	set(&p.Rails, q.Rails)
	set(&p.Basis, q.CreditBasis)
	set(&p.Holder, q.Holder)
	set(&p.Ended, q.Ended)
	if q.Validity.given {
		p.Validity = time.Duration(min(max(q.Validity.value, -1), maxSeconds)) * time.Second
	}
	if q.DisputeHours != nil {
		p.Window = time.Duration(min(max(*q.DisputeHours, -1), maxHours)) * time.Hour
		if p.Window == 0 {
			p.Window = -1 // zero is how the rules say that it was left out
		}
	}
	if q.MessagesRequired != nil && *q.MessagesRequired == 0 {
		p.Messages = -1
	}
	return nil
}

func (h *Handler) postPolicy(ctx context.Context, c *call, q policyRequest) (answer, error) {
	if q.Ended != nil {
		return answer{}, problemMalformed.because("a new policy has no field ended")
	}
	p := &trade.Policy{}
	if err := q.apply(p); err != nil {
		return answer{}, err
	}
	if q.Currency != nil {
		var is bool
		if p.Currency, is = h.merchants.Set.CurrencyOf(*q.Currency); !is {
			return answer{}, &trade.PolicyError{Field: "currency", What: "a unit of the association, or a code of ISO 4217 such as MAD"}
		}
	}
	if err := h.merchants.AddPolicy(ctx, c.tx, c.by, c.m, p); err != nil {
		return answer{}, err
	}
	return created(object.OfPolicy(p), "/v1/policies/"+object.PolicyID.Of(p.ID))
}

// patchPolicy changes what was given, and leaves the rest.
func (h *Handler) patchPolicy(ctx context.Context, c *call, q policyRequest) (answer, error) {
	if q.Keyword != nil || q.Flow != nil || q.Kind != nil || q.Currency != nil {
		return answer{}, problemMalformed.because("keyword, flow, kind and currency stay: make another policy")
	}
	p, err := h.policy(ctx, c)
	if err != nil {
		return answer{}, err
	}
	if err := q.apply(p); err != nil {
		return answer{}, err
	}
	if err := h.merchants.ChangePolicy(ctx, c.tx, c.by, c.m, p); err != nil {
		return answer{}, err
	}
	return ok(object.OfPolicy(p))
}

func (h *Handler) policy(ctx context.Context, c *call) (*trade.Policy, error) {
	id, err := pathID(c, object.PolicyID, problemNoPolicy)
	if err != nil {
		return nil, err
	}
	p, err := h.merchants.Policy(ctx, c.tx, c.m, id)
	return p, found(err, problemNoPolicy)
}

func (h *Handler) getPolicy(ctx context.Context, c *call) (answer, error) {
	p, err := h.policy(ctx, c)
	if err != nil {
		return answer{}, err
	}
	return ok(object.OfPolicy(p))
}

func (h *Handler) listPolicies(ctx context.Context, c *call) (answer, error) {
	var page merchant.Page
	limit, err := readPage(c, object.PolicyID, &page, nil)
	if err != nil {
		return answer{}, err
	}
	all, err := h.merchants.Policies(ctx, c.tx, c.m, page)
	if err != nil {
		return answer{}, err
	}
	show := func(p *trade.Policy) (object.Policy, error) { return object.OfPolicy(p), nil }
	return shown(all, limit, show, func(p object.Policy) string { return p.ID })
}
