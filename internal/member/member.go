// Package member says who takes part: members, the numbers that were given
// money and have not said yes yet, and administrators, with what stands in the
// way of each.
package member

import (
	"time"

	"maillon/internal/sms"
)

// An ID names a member for ever, also after the name and number are erased.
type ID int64

// A State is how far somebody takes part.
type State string

// The states.
const (
	Staff  State = "staff"  // an administrator without an account
	New    State = "new"    // was given money, has not accepted it yet
	Active State = "active" // a member
	Closed State = "closed" // has left, or never came; erased
)

// A Role is what an administrator may do; "" is no administrator.
type Role string

// The roles, from the least to the most.
const (
	Reader    Role = "reader"
	FrontDesk Role = "frontdesk"
	Cashier   Role = "cashier"
	Treasurer Role = "treasurer"
	Admin     Role = "admin"
	Auditor   Role = "auditor"
)

// Roles returns every role.
func Roles() []Role { return []Role{Reader, FrontDesk, Cashier, Treasurer, Admin, Auditor} }

// MayFreeze reports whether the role may block and unblock payments of a member.
func (r Role) MayFreeze() bool { return r == FrontDesk || r.MayCredit() }

// MayCredit reports whether the role may credit within a ceiling.
func (r Role) MayCredit() bool { return r == Cashier || r.MayReverse() }

// MayReverse reports whether the role may decide disputes and undo one payment.
func (r Role) MayReverse() bool { return r == Treasurer || r == Admin }

// MayPause reports whether the role may stop all payments.
func (r Role) MayPause() bool { return r == Admin }

// A Freezer says who blocked an account. One that its own member protected is
// still paid into; one that an administrator blocked is not.
type Freezer string

// Who can freeze.
const (
	Self Freezer = "self"
	Desk Freezer = "desk"
)

// A Member is one person or shop. Number, Nick and Word are personal: at rest
// they are sealed with the member's own key.
type Member struct {
	ID       ID
	Key      int64 // the key that seals what is personal
	State    State
	Number   sms.Number
	Nick     string // lower case; "" until one is chosen
	Word     string // the word that begins every SMS to this member
	Language string
	Chosen   bool // the language was chosen, not guessed from the verbs used
	Muted    bool // no notices
	Role     Role
	Group    string // of the association's choosing: who gets which starting credit; "" is everybody else
	Ceiling  int64  // what this administrator may credit a day, in smallest units
	Line     string // the gateway on which the member wrote last
	FrozenBy Freezer

	OpenedAt   time.Time
	SeenAt     time.Time // the last SMS from this number
	FrozenAt   time.Time // paying out is blocked
	LostAt     time.Time // reported lost
	LockedTill time.Time // paying out is locked after wrong codes
	LookTill   time.Time // looking names up is closed
	AskTill    time.Time // requests are closed
	DoubtTill  time.Time // a change of number or of SIM: large payments ask for a card cell
	ProvedAt   time.Time // the last right card cell
	Waiting    bool      // the pause refused or cancelled an order: to be told on resume

	FloodTill time.Time // no answer until then
}

// Recent reports whether the account was opened less than 30 days before now.
func (m *Member) Recent(now time.Time) bool { return now.Sub(m.OpenedAt) < 30*24*time.Hour }

// Frozen reports whether paying out is blocked until a human decides.
func (m *Member) Frozen() bool { return !m.FrozenAt.IsZero() || !m.LostAt.IsZero() }

// BlockedSince returns since when a frozen account is blocked.
func (m *Member) BlockedSince() time.Time {
	if m.FrozenAt.IsZero() {
		return m.LostAt
	}
	return m.FrozenAt
}

// Payable reports whether others may pay into the account.
func (m *Member) Payable() bool {
	return m.LostAt.IsZero() && (m.FrozenAt.IsZero() || m.FrozenBy == Self)
}

// HasAccount reports whether the member can own money.
func (m *Member) HasAccount() bool { return m.State == New || m.State == Active }

// Bounds of a pseudo, in letters.
const MinNick, MaxNick = 3, 12

// ValidNick reports whether a word, in lower case and without accents, has the
// form of a pseudo: 3 to 12 letters or digits, at least one of them a letter.
func ValidNick(s string) bool {
	letter := false
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z':
			letter = true
		case r < '0' || r > '9':
			return false
		}
	}
	return letter && len(s) >= MinNick && len(s) <= MaxNick
}
