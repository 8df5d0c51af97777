package trade

import (
	"slices"
	"time"
)

// How long things wait.
const (
	PendingFor = 24 * time.Hour     // for the messages that are still missing
	ReserveFor = 30 * time.Minute   // for the shop to say that the order was placed
	RequestFor = 72 * time.Hour     // for the client of an order that exists
	AnswerIn   = 7 * 24 * time.Hour // for the merchant in a dispute
	WarnBefore = 3 * 24 * time.Hour // that an authorization ends
)

// Live reports whether money of a client may still go to the authorization.
func (a *Authorization) Live() bool { return a.State == Pending || a.State == Active }

// Fund adds what a confirmed message brings: to the deposit until that is full,
// and the rest to the advance, so that nothing is lost.
func (a *Authorization) Fund(p *Policy, credited int64) (deposit, advance int64) {
	if p.Kind != Advance && (a.Deposited == NoDeposit || a.Deposited == Held) {
		deposit = min(credited, max(p.Deposit-a.Deposit, 0))
	}
	advance = credited - deposit
	a.Paid++
	a.Deposit += deposit
	a.Advance += advance
	if a.Deposit > 0 && a.Deposited == NoDeposit {
		a.Deposited = Held
	}
	return deposit, advance
}

// Activate makes a pending authorization active if all is paid, and reports
// whether it did.
func (a *Authorization) Activate(p *Policy, now time.Time) bool {
	if a.State != Pending || a.Paid < p.Messages {
		return false
	}
	a.State, a.Dies, a.Expires = Active, time.Time{}, p.Until(now)
	a.Warned = a.Expires.IsZero() || a.Expires.Sub(now) <= 2*WarnBefore // what is short ends soon from the beginning
	return true
}

// Pass applies what time does, and reports whether that was something.
func (a *Authorization) Pass(now time.Time) bool {
	switch {
	case a.State == Pending && !a.Dies.IsZero() && !now.Before(a.Dies),
		(a.State == Active || a.State == Exhausted) && !a.Expires.IsZero() && !now.Before(a.Expires):
		a.State = Expired
		a.settle()
		return true
	}
	return false
}

// Allows says whether an order would be let through now, and the advance that it
// takes; or why not, as a *Refusal.
func (a *Authorization) Allows(p *Policy, o Order, now time.Time) (advance int64, err error) {
	if o.Currency != p.Currency.Code {
		return 0, refuse(WrongCurrency)
	}
	if !p.Delivers(o) {
		return 0, refuse(NotDelivered)
	}
	switch a.State {
	case Pending:
		return 0, refuse(IsPending)
	case Exhausted:
		return 0, refuse(IsExhausted)
	case Expired:
		return 0, refuse(IsExpired)
	case Revoked:
		return 0, refuse(IsRevoked)
	case Forfeited:
		return 0, refuse(IsForfeited)
	case Active:
	default:
		return 0, refuse(IsClosed)
	}
	switch {
	case !a.Expires.IsZero() && !now.Before(a.Expires):
		return 0, refuse(IsExpired)
	case p.MaxOrders > 0 && a.Used >= p.MaxOrders:
		return 0, refuse(OrderLimit)
	case p.MaxOpen > 0 && a.Open >= p.MaxOpen:
		return 0, refuse(TooManyOpen)
	case p.MaxTotal > 0 && o.Total > p.MaxTotal:
		return 0, refuse(TotalTooHigh)
	case a.Advance < p.PerOrder:
		return 0, refuse(AdvanceRequired)
	}
	return min(p.PerOrder, max(o.Total, 0)), nil
}

// Delivers reports whether the policy is for how an order is delivered. An order
// that does not say is taken.
func (p *Policy) Delivers(o Order) bool {
	if o.Delivery == "" {
		return true
	}
	if p.Delivery != Either && p.Delivery != o.Delivery {
		return false
	}
	return o.Delivery != Pickup || len(p.Pickups) == 0 || slices.Contains(p.Pickups, o.Point)
}

// Take lets an order through, after Allows.
func (a *Authorization) Take(p *Policy, advance int64) {
	a.Used++
	a.Open++
	a.Advance -= advance
	if p.MaxOrders > 0 && a.Used >= p.MaxOrders {
		a.State = Exhausted
	}
}

// End notes that an order has its outcome. An order that counts no more, such as
// one that was released, gives its slot back.
func (a *Authorization) End(returned int64, slot bool) {
	a.Open--
	a.Advance += returned
	if slot {
		a.Used--
		if a.State == Exhausted {
			a.State = Active
		}
	}
	a.settle()
}

// Revoke ends it for new orders.
func (a *Authorization) Revoke(reason string) error {
	if !slices.Contains([]State{Pending, Active, Exhausted}, a.State) {
		return &StateError{a.State}
	}
	a.State, a.Reason = Revoked, reason
	a.settle()
	return nil
}

// settle closes what has no more orders, and frees its deposit.
func (a *Authorization) settle() {
	if a.Open > 0 {
		return
	}
	if a.State == Exhausted {
		a.State = Over
	}
	if !a.Live() && a.Deposited == Held {
		a.Deposited = Releasable
	}
}

// Refundable returns what may go back to the client.
func (a *Authorization) Refundable() int64 {
	if a.Live() || a.State == Exhausted {
		return 0
	}
	sum := a.Advance
	if a.Deposited == Releasable {
		sum += a.Deposit
	}
	return sum
}

// Refund takes an amount out, of the deposit first.
func (a *Authorization) Refund(amount int64) (deposit, advance int64) {
	if a.Deposited == Releasable {
		deposit = min(amount, a.Deposit)
	}
	advance = amount - deposit
	a.Deposit -= deposit
	a.Advance -= advance
	if a.Deposited == Releasable && a.Deposit == 0 {
		a.Deposited = Refunded
	}
	return deposit, advance
}

// withheld is what the merchant has earned from charges that are not settled.
func (a *Authorization) withheld() int64 { return min(a.Unsettled, a.Earned) }

// Change runs do, and returns by how much it changed what the merchant must wait for.
func (a *Authorization) Change(do func()) (withheld int64) {
	before := a.withheld()
	do()
	return a.withheld() - before
}

// Forfeit ends it with an order that was not honoured, and takes from its deposit
// what is lost.
func (a *Authorization) Forfeit(lost int64) {
	a.Open--
	a.Deposit -= lost
	a.State = Forfeited
	switch {
	case a.Deposit == 0 && lost > 0:
		a.Deposited = Lost
	case a.Deposited == Disputed:
		a.Deposited = Held
	}
	a.settle()
}

// Decided ends a dispute about an order that stays forfeited: what is left of the
// deposit is as it was before.
func (a *Authorization) Decided() {
	if a.Deposited == Disputed {
		a.Deposited = Held
	}
	a.settle()
}

// Reinstate puts it back to where it was before an order that the client has
// honoured after all: deposit and advance are hers, and the slot too. after says
// that the money had been forfeited.
func (a *Authorization) Reinstate(p *Policy, deposit, advance int64, after bool, now time.Time) {
	if !after {
		a.Open--
	}
	a.Used--
	a.Deposit += deposit
	a.Advance += advance
	if a.Deposit > 0 && p.Kind != Advance {
		a.Deposited = Held
	}
	switch {
	case a.State != Forfeited && a.State != Exhausted:
	case a.Reason != "": // it had been revoked before
		a.State = Revoked
	default:
		a.State = Active
	}
	if !a.Pass(now) {
		a.settle()
	}
}
