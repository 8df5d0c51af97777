package auth

import (
	"errors"
	"slices"
	"time"

	"maillon/internal/member"
)

// ErrExpired means that a session has ended by itself.
var ErrExpired = errors.New("the session has ended")

// A Right is something that a page lets a person see or do.
type Right string

// The rights.
const (
	SeeFigures Right = "figures.see"  // statistics without names
	SeeNames   Right = "names.see"    // members, payments, alerts
	SeeAudit   Right = "audit.see"    // what administrators did
	SeeSetting Right = "settings.see" // settings, gateways, rules

	Register  Right = "register"  // open accounts, correct a pseudo, issue code cards
	Freeze    Right = "freeze"    // block and unblock payments of a member
	Renumber  Right = "renumber"  // start a change of number
	Erase     Right = "erase"     // close an account, erase a member; with a second person
	Credit    Right = "credit"    // within a ceiling
	Many      Right = "many"      // credit many at once, demurrage, starting credits
	Decide    Right = "decide"    // disputes, held payments, alerts
	Reverse   Right = "reverse"   // one payment
	Export    Right = "export"    // books, members
	Announce  Right = "announce"  // write to all members
	Approve   Right = "approve"   // be the second person
	Merchants Right = "merchants" // what merchants offer, their orders, refunds and payouts
	Settings  Right = "settings"  // change settings, rules, texts
	Staff     Right = "staff"     // invite administrators, change roles, revoke sessions
	Pause     Right = "pause"     // stop all payments, and ask that they go on
	Restore   Right = "restore"   // put balances back; with a second person
)

// rights are those of each role, after the table of roles: reader, front desk,
// cashier, treasurer and admin each have those of the role before.
var rights = func() map[member.Role][]Right {
	all := map[member.Role][]Right{}
	sum := []Right(nil)
	for _, step := range []struct {
		role member.Role
		more []Right
	}{
		{member.Reader, []Right{SeeFigures}},
		{member.FrontDesk, []Right{SeeNames, Register, Freeze, Renumber}},
		{member.Cashier, []Right{Credit}},
		{member.Treasurer, []Right{Many, Decide, Reverse, Export, Approve, Merchants, SeeAudit, SeeSetting}},
		{member.Admin, []Right{Announce, Settings, Staff, Pause, Restore, Erase}},
	} {
		sum = append(slices.Clip(sum), step.more...)
		all[step.role] = sum
	}
	all[member.Auditor] = []Right{SeeFigures, SeeNames, SeeAudit, SeeSetting, Export}
	return all
}()

// May reports whether a role has a right.
func May(role member.Role, right Right) bool { return slices.Contains(rights[role], right) }

// A Visitor is a person who is signed in.
type Visitor struct {
	Member  *member.Member
	Session string    // which of the person's; it opens nothing
	Proved  time.Time // when the second factor was shown last
}

// freshness is how long a second factor that was shown counts for what is
// dangerous.
const freshness = 10 * time.Minute

// Fresh reports whether the second factor was shown lately.
func (v *Visitor) Fresh(now time.Time) bool { return v != nil && now.Sub(v.Proved) < freshness }

// May reports whether the visitor has a right.
func (v *Visitor) May(right Right) bool { return v != nil && May(v.Member.Role, right) }
