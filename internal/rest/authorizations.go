package rest

import (
	"context"

	"maillon/internal/merchant"
	"maillon/internal/trade"
	"maillon/internal/trade/object"
)

// An orderRequest asks about an order of a client.
type orderRequest struct {
	Code          string         `json:"code"`
	Phone         string         `json:"phone"`
	Username      string         `json:"username"`
	Authorization string         `json:"authorization"`
	Policy        string         `json:"policy"`
	OrderRef      string         `json:"order_ref"`
	OrderTotal    *int64         `json:"order_total"`
	Currency      string         `json:"currency"`
	Delivery      trade.Delivery `json:"delivery"`
	PickupPoint   string         `json:"pickup_point"`
	Shopper       string         `json:"shopper"`
}

// Bounds of what is asked.
const (
	maxWord    = 64  // octets of a code, a number, a name
	maxShopper = 128 // octets
)

// ask checks the form of what is asked. An ID of something that cannot be is that
// of nothing.
func (q orderRequest) ask(c *call) (merchant.Ask, error) {
	a := merchant.Ask{
		Code: q.Code, Phone: q.Phone, Username: q.Username, Client: q.Shopper,
		Order: trade.Order{Ref: q.OrderRef, Currency: q.Currency, Delivery: q.Delivery, Point: q.PickupPoint},
	}
	if c.client != "" { // who asks from a page could say that each try is another shopper's
		a.Client = c.client
	}
	if q.OrderTotal == nil || q.Currency == "" {
		return a, problemMalformed.because("order_ref, order_total and currency are needed")
	}
	if q.Delivery != "" && q.Delivery != trade.Home && q.Delivery != trade.Pickup {
		return a, problemMalformed.because("delivery is home or pickup")
	}
	for _, word := range []string{q.Code, q.Phone, q.Username, q.PickupPoint} {
		if len(word) > maxWord {
			return a, problemMalformed.because("a code, a number, a name or a point is too long")
		}
	}
	if len(q.Shopper) > maxShopper {
		return a, problemMalformed.because("shopper is too long")
	}
	a.Order.Total = *q.OrderTotal
	var is bool
	if q.Authorization != "" {
		if a.Authorization, is = object.AuthorizationID.Number(q.Authorization); !is {
			a.Authorization = nobody
		}
	}
	if q.Policy != "" {
		if a.Policy, is = object.PolicyID.Number(q.Policy); !is {
			return a, problemNoPolicy
		}
	}
	return a, nil
}

// nobody is the number of no object.
const nobody = -1

// A check is whether an order may be placed.
type check struct {
	Object        string               `json:"object"`
	Allowed       bool                 `json:"allowed"`
	Reason        *trade.Reason        `json:"reason"`
	AdvanceAmount int64                `json:"advance_amount"`
	CashDue       int64                `json:"cash_due"`
	Authorization *string              `json:"authorization"`
	Claim         *string              `json:"claim"`
	OnOutage      trade.Outage         `json:"on_outage"`
	Instructions  *object.Instructions `json:"instructions"`
}

func (h *Handler) postCheck(ctx context.Context, c *call, q orderRequest) (answer, error) {
	ask, err := q.ask(c)
	if err != nil {
		return answer{}, err
	}
	d, err := h.merchants.Check(ctx, c.tx, c.m, ask)
	if err != nil {
		return answer{}, found(err, problemNoPolicy)
	}
	v := check{
		Object: "check", Allowed: d.Allowed, AdvanceAmount: d.Advance, CashDue: object.CashDue(ask.Order.Total, d.Advance), OnOutage: trade.Closed,
		Instructions: instructions(d.Instructions),
	}
	if !d.Allowed {
		v.Reason = &d.Reason
	}
	if d.Authorization != nil {
		v.Authorization = object.AuthorizationID.Maybe(d.Authorization.ID)
	}
	if d.Claim != nil {
		v.Claim = object.ClaimID.Maybe(d.Claim.ID)
	}
	if d.Policy != nil {
		v.OnOutage = d.Policy.OnOutage
	}
	return ok(v)
}

func instructions(i *merchant.Instructions) *object.Instructions {
	if i == nil {
		return nil
	}
	v := object.Instructions{
		Keyword: i.Keyword, Text: i.Text, Messages: i.Messages, Price: i.Price, Currency: i.Currency.Code, Rails: i.Rails,
	}
	if i.ShortCode != "" {
		v.ShortCode = &i.ShortCode
	}
	return &v
}

// An authorizationRequest registers a client.
type authorizationRequest struct {
	Policy   string `json:"policy"`
	Phone    string `json:"phone"`
	Username string `json:"username"`
	Language string `json:"language"`
}

func (h *Handler) postAuthorization(ctx context.Context, c *call, q authorizationRequest) (answer, error) {
	policy, is := object.PolicyID.Number(q.Policy)
	if !is {
		return answer{}, problemNoPolicy
	}
	if len(q.Phone) > maxWord || len(q.Username) > maxWord || len(q.Language) > maxWord {
		return answer{}, problemMalformed.because("a number, a name or a language is too long")
	}
	a, i, err := h.merchants.Register(ctx, c.tx, c.m, merchant.Registration{Policy: policy, Phone: q.Phone, Username: q.Username, Language: q.Language})
	if err != nil {
		return answer{}, found(err, problemNoPolicy)
	}
	v, err := h.showAuthorization(ctx, c, a)
	if err != nil {
		return answer{}, err
	}
	v.Instructions = instructions(i)
	return created(v, "/v1/authorizations/"+v.ID)
}

// showAuthorization shows an authorization under its policy.
func (h *Handler) showAuthorization(ctx context.Context, c *call, a *trade.Authorization) (object.Authorization, error) {
	p, err := h.merchants.Terms(ctx, c.tx, a)
	if err != nil {
		return object.Authorization{}, err
	}
	return object.OfAuthorization(p, a), nil
}

func (h *Handler) getAuthorization(ctx context.Context, c *call) (answer, error) {
	id, err := pathID(c, object.AuthorizationID, problemNoAuthorization)
	if err != nil {
		return answer{}, err
	}
	a, err := h.merchants.Authorization(ctx, c.tx, c.m, id)
	if err != nil {
		return answer{}, found(err, problemNoAuthorization)
	}
	v, err := h.showAuthorization(ctx, c, a)
	if err != nil {
		return answer{}, err
	}
	return ok(v)
}

// authorizationStates are those that a list can be asked for.
var authorizationStates = []trade.State{trade.Pending, trade.Active, trade.Exhausted, trade.Over, trade.Expired, trade.Revoked, trade.Forfeited}

func (h *Handler) listAuthorizations(ctx context.Context, c *call) (answer, error) {
	var page merchant.Page
	limit, err := readPage(c, object.AuthorizationID, &page, filters{
		"status": stateFilter(&page.States, authorizationStates...), "policy": idFilter(object.PolicyID, &page.Parent),
	})
	if err != nil {
		return answer{}, err
	}
	return h.authorizations(ctx, c, page, limit, "")
}

func (h *Handler) authorizations(ctx context.Context, c *call, page merchant.Page, limit int, phone string) (answer, error) {
	all, err := h.merchants.Authorizations(ctx, c.tx, c.m, page, phone)
	if err != nil {
		return answer{}, err
	}
	show := func(a *trade.Authorization) (object.Authorization, error) { return h.showAuthorization(ctx, c, a) }
	return shown(all, limit, show, func(a object.Authorization) string { return a.ID })
}

// A searchRequest looks for what a client has.
type searchRequest struct {
	Phone  string      `json:"phone"`
	Status trade.State `json:"status"`
}

func (h *Handler) searchAuthorizations(ctx context.Context, c *call, q searchRequest) (answer, error) {
	page := merchant.Page{Limit: maxList, Newest: true}
	if q.Status != "" && !stateFilter(&page.States, authorizationStates...)(string(q.Status)) {
		return answer{}, problemMalformed.because("there is no such status")
	}
	if q.Phone == "" || len(q.Phone) > maxWord {
		return answer{}, merchant.ErrPhone
	}
	return h.authorizations(ctx, c, page, maxList, q.Phone)
}

// A reasonRequest says why.
type reasonRequest struct {
	Reason string `json:"reason"`
}

func (h *Handler) revokeAuthorization(ctx context.Context, c *call, q reasonRequest) (answer, error) {
	id, err := pathID(c, object.AuthorizationID, problemNoAuthorization)
	if err != nil {
		return answer{}, err
	}
	a, err := h.merchants.Revoke(ctx, c.tx, c.by, c.m, id, q.Reason)
	if err != nil {
		return answer{}, found(err, problemNoAuthorization)
	}
	v, err := h.showAuthorization(ctx, c, a)
	if err != nil {
		return answer{}, err
	}
	return ok(v)
}

// A refundRequest says where money goes back to, and how much of it.
type refundRequest struct {
	Destination string `json:"destination"`
	Amount      *int64 `json:"amount"`
}

func (h *Handler) refundAuthorization(ctx context.Context, c *call, q refundRequest) (answer, error) {
	id, err := pathID(c, object.AuthorizationID, problemNoAuthorization)
	if err != nil {
		return answer{}, err
	}
	amount := int64(0) // all of it
	if q.Amount != nil {
		if amount = *q.Amount; amount < 1 {
			return answer{}, merchant.ErrAmount
		}
	}
	// A merchant sends nobody's money elsewhere; cash is handed out by the desk of
	// the association, which says so itself. What it holds it gives back itself.
	if q.Destination != merchant.ToWallet && q.Destination != merchant.ByShop && (q.Destination != merchant.ToCash || !c.m.Test) {
		return answer{}, merchant.ErrDestination
	}
	r, err := h.merchants.Refund(ctx, c.tx, c.by, c.m, id, q.Destination, amount)
	if err != nil {
		return answer{}, found(err, problemNoAuthorization)
	}
	p, err := h.policyOf(ctx, c, r.Authorization)
	if err != nil {
		return answer{}, err
	}
	return created(object.OfRefund(p, r), "/v1/authorizations/"+object.AuthorizationID.Of(id))
}

// policyOf returns the policy of an authorization.
func (h *Handler) policyOf(ctx context.Context, c *call, authorization int64) (*trade.Policy, error) {
	a, err := h.merchants.Authorization(ctx, c.tx, c.m, authorization)
	if err != nil {
		return nil, err
	}
	return h.merchants.Policy(ctx, c.tx, c.m, a.Policy)
}
