package trade

// A Reason is why an order is not let through, for programs: it never changes
// its meaning.
type Reason string

// The reasons.
const (
	NotFound        Reason = "authorization_not_found"
	IsPending       Reason = "authorization_pending"
	IsExhausted     Reason = "authorization_exhausted"
	IsExpired       Reason = "authorization_expired"
	IsRevoked       Reason = "authorization_revoked"
	IsForfeited     Reason = "authorization_forfeited"
	IsClosed        Reason = "authorization_closed"
	OrderLimit      Reason = "order_limit_reached"
	TooManyOpen     Reason = "too_many_open_orders"
	AdvanceRequired Reason = "advance_required"
	TotalTooHigh    Reason = "order_total_too_high"
	WrongCurrency   Reason = "currency_mismatch"
	NotDelivered    Reason = "delivery_not_allowed"
	RefConflict     Reason = "order_ref_conflict"
)

// Reasons returns every reason.
func Reasons() []Reason {
	return []Reason{
		NotFound, IsPending, IsExhausted, IsExpired, IsRevoked, IsForfeited, IsClosed, OrderLimit, TooManyOpen, AdvanceRequired,
		TotalTooHigh, WrongCurrency, NotDelivered, RefConflict,
	}
}

// A Refusal is an order that is not let through.
type Refusal struct{ Reason Reason }

// Error implements error.
func (r *Refusal) Error() string { return "refused: " + string(r.Reason) }

func refuse(r Reason) error { return &Refusal{r} }

// A StateError means that an object is not where it would have to be: another
// outcome came first.
type StateError struct{ Is State }

// Error implements error.
func (e *StateError) Error() string { return "it is " + string(e.Is) }

// A PolicyError says what is wrong with a policy, and in which of its fields.
type PolicyError struct{ Field, What string }

// Error implements error.
func (e *PolicyError) Error() string { return e.Field + ": " + e.What }
