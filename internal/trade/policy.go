package trade

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// Bounds of policies.
const (
	MaxMessages  = 20
	MaxSum       = 1_000_000_000_000 // smallest units
	MaxOrders    = 1_000_000
	MaxPickups   = 200
	MaxPoint     = 64 // octets of a pickup point
	MinWindow    = 24 * time.Hour
	MaxWindow    = 60 * 24 * time.Hour
	MaxValidity  = 10 * 366 * 24 * time.Hour
	PhoneFor     = 365 * 24 * time.Hour // numbers are given to others
	DefaultHours = 72                   // of the dispute window
)

var (
	keywordForm = regexp.MustCompile(`^[A-Z][A-Z0-9]{1,11}$`)
	codeForm    = regexp.MustCompile(`^\+?[0-9]{2,15}$`)
)

// Check fills in what was left out and says what is wrong with a policy, as a
// *PolicyError.
func (p *Policy) Check() error {
	p.fill()
	for _, c := range []struct {
		bad         bool
		field, what string
	}{
		{!keywordForm.MatchString(p.Keyword), "keyword", "2 to 12 letters and digits, a letter first, such as SOUK"},
		{p.ShortCode != "" && !codeForm.MatchString(p.ShortCode), "short_code", "2 to 15 digits"},
		{!slices.Contains([]Flow{ByCode, ByUsername, ByPhone}, p.Flow), "flow", "code, username or phone"},
		{!slices.Contains([]Kind{Advance, Deposit, Both}, p.Kind), "kind", "advance, deposit or both"},
		{p.Messages < 1 || p.Messages > MaxMessages, "messages_required", fmt.Sprintf("from 1 to %d", MaxMessages)},
		{p.Price < 0 || p.Price > MaxSum, "price", fmt.Sprintf("from 0 to %d smallest units", int64(MaxSum))},
		{p.Currency.Code == "", "currency", "is needed"},
		{p.PerOrder < 0 || p.PerOrder > MaxSum, "advance_per_order", "a sum in smallest units"},
		{p.Deposit < 0 || p.Deposit > MaxSum, "deposit", "a sum in smallest units"},
		{p.Kind == Deposit && p.PerOrder > 0, "advance_per_order", "a policy of kind deposit has none: choose both"},
		{p.Kind == Advance && p.Deposit > 0, "deposit", "a policy of kind advance has none: choose both"},
		{p.Kind != Deposit && p.Price > 0 && p.PerOrder == 0, "advance_per_order", "is needed: what one order takes"},
		{p.Kind != Advance && p.Price > 0 && p.Deposit == 0, "deposit", "is needed: what is at stake"},
		{p.Price == 0 && (p.PerOrder > 0 || p.Deposit > 0), "price", "without a price there is neither advance nor deposit"},
		{p.Price*int64(p.Messages) < p.Deposit, "deposit", "is more than the messages bring"},
		{p.Forfeit < 0 || p.Forfeit > p.Deposit, "forfeit_amount", "at most the deposit"},
		{p.MaxOrders < 0 || p.MaxOrders > MaxOrders, "max_orders", fmt.Sprintf("from 1 to %d, or none", MaxOrders)},
		{p.MaxOpen < 0 || p.MaxOpen > MaxOrders, "max_open_orders", fmt.Sprintf("from 1 to %d, or none", MaxOrders)},
		{p.MaxOrders == 0 && p.MaxOpen == 0, "max_open_orders", "is needed when orders are not limited: else all of them could be open at once"},
		{p.MaxTotal < 0, "max_order_total", "a sum in smallest units"},
		{p.Validity < 0 || p.Validity > MaxValidity, "validity", "from a minute to ten years, or none"},
		{!slices.Contains([]Delivery{Home, Pickup, Either}, p.Delivery), "delivery", "home, pickup or both"},
		{len(p.Pickups) > MaxPickups, "pickup_points", fmt.Sprintf("at most %d", MaxPickups)},
		{slices.ContainsFunc(p.Pickups, func(s string) bool { return s == "" || len(s) > MaxPoint }), "pickup_points", "a name has 1 to 64 octets"},
		{p.Window < MinWindow || p.Window > MaxWindow, "dispute_hours", "from 24 to 1440"},
		{p.OnOutage != Closed && p.OnOutage != Open, "on_outage", "closed or open"},
		{
			len(p.Rails) == 0 || slices.ContainsFunc(p.Rails, func(r Rail) bool { return !slices.Contains([]Rail{Premium, Balance, Cash}, r) }),
			"rails", "premium_sms, balance, cash",
		},
		{p.Basis != Face && p.Basis != Net, "credit_basis", "face or net"},
		{p.Holder != Platform && p.Holder != AMerchant, "holder", "platform or merchant"},
	} {
		if c.bad {
			return &PolicyError{c.field, c.what}
		}
	}
	return nil
}

func (p *Policy) fill() {
	p.Flow = cmp.Or(p.Flow, ByCode)
	p.Messages = cmp.Or(p.Messages, 1)
	p.Delivery = cmp.Or(p.Delivery, Either)
	p.Window = cmp.Or(p.Window, DefaultHours*time.Hour)
	p.OnOutage = cmp.Or(p.OnOutage, Closed)
	p.Basis = cmp.Or(p.Basis, Face)
	p.Holder = cmp.Or(p.Holder, Platform)
	if len(p.Rails) == 0 {
		p.Rails = []Rail{Premium, Balance, Cash}
	}
}

// Takes reports whether money may come by a rail.
func (p *Policy) Takes(r Rail) bool { return slices.Contains(p.Rails, r) }

// Until returns when an authorization that becomes active now ends; zero: never.
func (p *Policy) Until(now time.Time) time.Time {
	d := p.Validity
	if p.Flow == ByPhone && (d == 0 || d > PhoneFor) {
		d = PhoneFor
	}
	if d == 0 {
		return time.Time{}
	}
	return now.Add(d)
}
