package member_test

import (
	"testing"
	"time"

	"maillon/internal/member"
)

func TestEachRoleMayWhatTheOneBelowMay(t *testing.T) {
	for _, c := range []struct {
		role                           member.Role
		freeze, credit, reverse, pause bool
	}{
		{"", false, false, false, false},
		{member.Reader, false, false, false, false},
		{member.Auditor, false, false, false, false},
		{member.FrontDesk, true, false, false, false},
		{member.Cashier, true, true, false, false},
		{member.Treasurer, true, true, true, false},
		{member.Admin, true, true, true, true},
	} {
		if r := c.role; r.MayFreeze() != c.freeze || r.MayCredit() != c.credit || r.MayReverse() != c.reverse || r.MayPause() != c.pause {
			t.Errorf("%q may freeze %v, credit %v, reverse %v, pause %v", r, r.MayFreeze(), r.MayCredit(), r.MayReverse(), r.MayPause())
		}
	}
}

func TestWhatStandsInTheWay(t *testing.T) {
	early, late := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 3, 20, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		what            string
		m               member.Member
		frozen, payable bool
		since           time.Time
	}{
		{"nothing", member.Member{}, false, true, time.Time{}},
		{"protected by herself", member.Member{FrozenAt: early, FrozenBy: member.Self}, true, true, early},
		{"blocked by the desk", member.Member{FrozenAt: early, FrozenBy: member.Desk}, true, false, early},
		{"lost", member.Member{LostAt: late}, true, false, late},
		{"blocked, then lost", member.Member{FrozenAt: early, FrozenBy: member.Self, LostAt: late}, true, false, early},
	} {
		if c.m.Frozen() != c.frozen || c.m.Payable() != c.payable || !c.m.BlockedSince().Equal(c.since) {
			t.Errorf("%s: frozen %v, payable %v, since %v", c.what, c.m.Frozen(), c.m.Payable(), c.m.BlockedSince())
		}
	}
	m := member.Member{OpenedAt: early}
	if !m.Recent(early.Add(30*24*time.Hour-1)) || m.Recent(early.Add(30*24*time.Hour)) {
		t.Error("an account is not recent for 30 days")
	}
	for state, want := range map[member.State]bool{member.Staff: false, member.New: true, member.Active: true, member.Closed: false} {
		if got := (&member.Member{State: state}).HasAccount(); got != want {
			t.Errorf("HasAccount of %s = %v", state, got)
		}
	}
}
