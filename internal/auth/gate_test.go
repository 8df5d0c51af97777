package auth_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/argon2id"

	"maillon/internal/auth"
	"maillon/internal/member"
	"maillon/internal/sms"
	"maillon/internal/store"
)

// cheap is what a password costs in tests: they sign in often.
var cheap = argon2id.Params{Memory: 64, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// A house is a gate in front of books in memory.
type house struct {
	*auth.Gate
	db *store.DB
	t  *testing.T
}

func newHouse(t *testing.T) *house {
	t.Helper()
	db := open(t)
	find := func(ctx context.Context, tx *store.Tx, who string) (*member.Member, error) {
		return tx.MemberByNick(ctx, who)
	}
	return &house{auth.NewGateAt(db, find, cheap), db, t}
}

// update runs do in a transaction, which must not fail.
func (h *house) update(do func(ctx context.Context, tx *store.Tx) error) {
	h.t.Helper()
	ctx := h.t.Context()
	if err := h.db.Update(ctx, func(tx *store.Tx) error { return do(ctx, tx) }); err != nil {
		h.t.Fatal(err)
	}
}

// hire registers somebody who works here.
func (h *house) hire(name string, role member.Role) *member.Member {
	h.t.Helper()
	numbers := map[string]string{"annaig": "+33639980001", "treso": "+33639980002", "fay": "+33639980003"}
	n, err := sms.FromE164(numbers[name])
	if err != nil {
		h.t.Fatal(err)
	}
	m := &member.Member{State: member.Staff, Number: n, Language: "fr", Role: role}
	h.update(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.CreateMember(ctx, m); err != nil {
			return err
		}
		return tx.TakeNick(ctx, m, name, time.Time{})
	})
	return m
}

func (h *house) signIn(m *member.Member) (token auth.Token) {
	h.t.Helper()
	h.update(func(ctx context.Context, tx *store.Tx) (err error) {
		token, err = h.Open(ctx, tx, m, "Firefox")
		return err
	})
	return token
}

// enters checks what a token is at the gate.
func (h *house) enters(token auth.Token, want error) *auth.Visitor {
	h.t.Helper()
	v, err := h.Enter(h.t.Context(), string(token))
	if !errors.Is(err, want) || (err == nil) != (v != nil) {
		h.t.Errorf("Enter says %v, want %v", err, want)
	}
	return v
}

func TestASessionIsWhoeverSignedIn(t *testing.T) {
	h := newHouse(t)
	annaig, treso := h.hire("annaig", member.Admin), h.hire("treso", member.Treasurer)
	one, other := h.signIn(annaig), h.signIn(treso)
	if v := h.enters(one, nil); v.Member.ID != annaig.ID || !v.May(auth.Restore) || !v.Fresh(time.Now()) {
		t.Errorf("the visitor is %+v", v)
	}
	if v := h.enters(other, nil); v.Member.ID != treso.ID || v.May(auth.Restore) {
		t.Errorf("the other visitor is %+v", v)
	}
	for _, wrong := range []auth.Token{"", "x", one + "x", one[1:], auth.Token(strings.Repeat("A", 43)), auth.Token(strings.Repeat("é", 21)) + "a"} {
		h.enters(wrong, auth.ErrUnknown)
	}
	err := h.db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := h.Open(t.Context(), tx, &member.Member{ID: annaig.ID}, "")
		return err
	})
	if !errors.Is(err, auth.ErrUnknown) {
		t.Errorf("a session without a role: %v", err)
	}
}

func TestASessionEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		annaig := h.hire("annaig", member.Admin)
		idle, busy := h.signIn(annaig), h.signIn(annaig)
		for range 4 {
			time.Sleep(auth.SessionIdle / 2)
			h.enters(busy, nil)
		}
		h.enters(idle, auth.ErrExpired)
		for range int(auth.SessionLife/auth.SessionIdle) * 2 {
			if _, err := h.Enter(t.Context(), string(busy)); err != nil {
				break
			}
			time.Sleep(auth.SessionIdle / 2)
		}
		h.enters(busy, auth.ErrExpired)
	})
}

// What rights somebody has is known when they sign in, and no session outlives
// a change of them.
func TestAnotherRoleEndsASession(t *testing.T) {
	h := newHouse(t)
	for _, role := range []member.Role{member.Admin, member.Reader, ""} {
		m := h.hire("annaig", member.Treasurer)
		token := h.signIn(m)
		h.update(func(ctx context.Context, tx *store.Tx) error {
			m.Role = role
			return tx.SaveMember(ctx, m)
		})
		h.enters(token, auth.ErrExpired)
		h.update(func(ctx context.Context, tx *store.Tx) error { return tx.Erase(ctx, m, tx.Now()) })
		h.enters(token, auth.ErrUnknown)
	}
}

func TestASessionThatIsEndedIsRefusedAtOnce(t *testing.T) {
	h := newHouse(t)
	annaig, treso := h.hire("annaig", member.Admin), h.hire("treso", member.Treasurer)
	home, away, other := h.signIn(annaig), h.signIn(annaig), h.signIn(treso)

	ended, others := h.enters(away, nil).Session, h.enters(other, nil).Session
	h.update(func(ctx context.Context, tx *store.Tx) error {
		all, err := auth.Sessions(ctx, tx, annaig.ID)
		if err != nil || len(all) != 2 || all[0].Browser != "Firefox" {
			t.Errorf("the sessions are %+v, %v", all, err)
		}
		return auth.EndSession(ctx, tx, annaig.ID, ended)
	})
	h.enters(away, auth.ErrUnknown)
	h.enters(home, nil)

	third := h.signIn(annaig)
	h.update(func(ctx context.Context, tx *store.Tx) error { return auth.EndOthers(ctx, tx, annaig.ID, string(home)) })
	h.enters(third, auth.ErrUnknown)
	h.enters(home, nil)
	h.enters(other, nil)

	// Nobody ends another's by its name.
	err := h.db.Update(t.Context(), func(tx *store.Tx) error {
		return auth.EndSession(t.Context(), tx, annaig.ID, others)
	})
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another's session: %v", err)
	}
	if err := h.SignOut(t.Context(), string(home)); err != nil {
		t.Fatal(err)
	}
	h.enters(home, auth.ErrUnknown)
	if err := h.SignOut(t.Context(), "nonsense"); err != nil {
		t.Error(err)
	}
}

func TestRevokedPeopleApproveNothing(t *testing.T) {
	h := newHouse(t)
	annaig, treso := h.hire("annaig", member.Admin), h.hire("treso", member.Admin)
	hers, his := h.signIn(annaig), h.signIn(treso)
	may := func(m *member.Member) (err error) {
		h.update(func(ctx context.Context, tx *store.Tx) error { err = auth.MayApprove(ctx, tx, m); return nil })
		return err
	}
	if err := may(annaig); err != nil {
		t.Error(err)
	}
	h.update(func(ctx context.Context, tx *store.Tx) error { return h.RevokeSessions(ctx, tx, "member:2", annaig) })
	h.enters(hers, auth.ErrUnknown)
	h.enters(his, nil)
	if err := may(annaig); !errors.Is(err, auth.ErrRenew) {
		t.Errorf("whoever was revoked may approve: %v", err)
	}

	// Everybody: also who does it must sign in again, but keeps the keys.
	h.update(func(ctx context.Context, tx *store.Tx) error { return h.RevokeAll(ctx, tx, "member:2") })
	h.enters(his, auth.ErrUnknown)
	if err := may(treso); err != nil {
		t.Error(err)
	}
}

// A session in the books opens nothing.
func TestTheBooksHoldNoSessionThatOpens(t *testing.T) {
	h := newHouse(t)
	annaig := h.hire("annaig", member.Admin)
	token := h.signIn(annaig)
	h.update(func(ctx context.Context, tx *store.Tx) error {
		all, err := tx.Sessions(ctx, annaig.ID, time.Time{})
		if err != nil || len(all) != 1 || len(all[0].Hash) != 32 || bytes.Contains(all[0].Hash, []byte(token)) {
			t.Errorf("the books keep %+v, %v", all, err)
		}
		return nil
	})
}
