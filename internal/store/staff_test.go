package store_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"
	"time"

	"maillon/internal/member"
	"maillon/internal/sms"
	"maillon/internal/store"
)

func hashOf(text string) []byte { h := sha256.Sum256([]byte(text)); return h[:] }

func TestHowPeopleSignInIsKept(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		db, ctx := p.open(t), t.Context()
		m := staffMember(t, db, "+33639980001")
		update(t, db, func(tx *store.Tx) error {
			if _, err := tx.Credential(ctx, m); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("a credential before there is one: %v", err)
			}
			return tx.SaveCredential(ctx, m, &store.Credential{
				Password: "hash", TOTP: "JBSWY3DPEHPK3PXP", Recovery: [][]byte{hashOf("one"), hashOf("two")},
			})
		})
		update(t, db, func(tx *store.Tx) error {
			c, err := tx.Credential(ctx, m)
			if err != nil || c.Password != "hash" || c.TOTP != "JBSWY3DPEHPK3PXP" || len(c.Recovery) != 2 || !bytes.Equal(c.Recovery[1], hashOf("two")) {
				t.Errorf("the credential is %+v, %v", c, err)
			}
			for _, use := range []struct {
				step int64
				want bool
			}{{7, true}, {7, false}, {6, false}, {8, true}} {
				if ok, err := tx.UseStep(ctx, m.ID, use.step); err != nil || ok != use.want {
					t.Errorf("UseStep(%d) = %v, %v", use.step, ok, err)
				}
			}
			c.Recovery, c.Renew = nil, tx.Now()
			return tx.SaveCredential(ctx, m, c)
		})
		update(t, db, func(tx *store.Tx) error {
			if ok, err := tx.UseStep(ctx, m.ID, 8); err != nil || ok {
				t.Errorf("a step that was used is good again: %v", err)
			}
			states, err := tx.StaffStates(ctx)
			if s := states[m.ID]; err != nil || !s.Password || s.Renew.IsZero() {
				t.Errorf("the states are %+v, %v", states, err)
			}
			return nil
		})
		// Whoever leaves takes it along.
		update(t, db, func(tx *store.Tx) error { return tx.Erase(ctx, m, time.Time{}) })
		update(t, db, func(tx *store.Tx) error {
			if _, err := tx.Credential(ctx, m); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("somebody erased has a credential: %v", err)
			}
			return nil
		})
	})
}

func TestSessionsInvitationsAndDoorstepsEnd(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		db, ctx := p.open(t), t.Context()
		m := staffMember(t, db, "+33639980001")
		update(t, db, func(tx *store.Tx) error {
			for _, name := range []string{"home", "away"} {
				if err := tx.AddSession(ctx, &store.Session{Hash: hashOf(name), Member: m.ID, Role: m.Role, Till: tx.Now().Add(time.Hour), Browser: name}); err != nil {
					return err
				}
			}
			return errors.Join(
				tx.AddInvitation(ctx, &store.Invitation{Hash: hashOf("in"), Member: m.ID, By: "operator", Till: tx.Now().Add(time.Hour)}),
				tx.AddDoorstep(ctx, &store.Doorstep{Hash: hashOf("step"), Kind: "password", Member: m.ID, Data: []byte("x"), Till: tx.Now().Add(time.Hour)}),
				tx.SaveAttempt(ctx, hashOf("who"), store.Attempt{Fails: 3, Till: tx.Now()}),
			)
		})
		update(t, db, func(tx *store.Tx) error {
			if ok, err := tx.RenewSession(ctx, hashOf("home"), hashOf("here")); err != nil || !ok {
				t.Errorf("RenewSession = %v, %v", ok, err)
			}
			if _, err := tx.Session(ctx, hashOf("home")); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("the session's old hash: %v", err)
			}
			for want := range 3 {
				d, err := tx.TryDoorstep(ctx, hashOf("step"), "password")
				if err != nil || d.Tries != want+1 || d.Member != m.ID || string(d.Data) != "x" {
					t.Errorf("the doorstep is %+v, %v", d, err)
				}
			}
			if _, err := tx.TryDoorstep(ctx, hashOf("step"), "passkey"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("a doorstep of another kind: %v", err)
			}
			for n, want := range []bool{true, false} {
				if ok, err := tx.UseInvitation(ctx, hashOf("in")); err != nil || ok != want {
					t.Errorf("UseInvitation, time %d: %v, %v", n+1, ok, err)
				}
			}
			if a, err := tx.Attempt(ctx, hashOf("who")); err != nil || a.Fails != 3 {
				t.Errorf("the attempts are %+v, %v", a, err)
			}
			return tx.EndSessions(ctx, m.ID, hashOf("here"))
		})
		update(t, db, func(tx *store.Tx) error {
			all, err := tx.Sessions(ctx, m.ID, time.Time{})
			if err != nil || len(all) != 1 || all[0].Browser != "home" {
				t.Errorf("the sessions are %+v, %v", all, err)
			}
			if _, err := tx.TryDoorstep(ctx, hashOf("step"), "password"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("a doorstep of somebody whose sessions ended: %v", err)
			}
			if ok, err := tx.RenewSession(ctx, hashOf("away"), hashOf("back")); err != nil || ok {
				t.Errorf("a session that has ended is renewed: %v", err)
			}
			return tx.ForgetAttempt(ctx, hashOf("who"))
		})
	})
}

func TestPasskeysAreKept(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		db, ctx := p.open(t), t.Context()
		m := staffMember(t, db, "+33639980001")
		update(t, db, func(tx *store.Tx) error {
			for n := range store.MaxPasskeys {
				if err := tx.AddPasskey(ctx, &store.Passkey{ID: []byte{byte(n)}, Member: m.ID, Public: []byte("{}"), Browser: "Firefox"}); err != nil {
					return err
				}
			}
			if err := tx.AddPasskey(ctx, &store.Passkey{ID: []byte("more"), Member: m.ID}); !errors.Is(err, store.ErrManyKeys) {
				t.Errorf("one too many: %v", err)
			}
			return tx.UsePasskey(ctx, []byte{3}, []byte(`{"n":1}`))
		})
		update(t, db, func(tx *store.Tx) error {
			k, err := tx.Passkey(ctx, []byte{3})
			if err != nil || string(k.Public) != `{"n":1}` || k.Used.IsZero() || k.Member != m.ID {
				t.Errorf("the passkey is %+v, %v", k, err)
			}
			if err := tx.DropPasskey(ctx, m.ID+1, []byte{3}); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("another's passkey: %v", err)
			}
			return tx.DropPasskey(ctx, m.ID, []byte{3})
		})
		update(t, db, func(tx *store.Tx) error {
			all, err := tx.Passkeys(ctx, m.ID)
			if err != nil || len(all) != store.MaxPasskeys-1 || slices.ContainsFunc(all, func(k store.Passkey) bool { return k.ID[0] == 3 }) {
				t.Errorf("there are %d passkeys, %v", len(all), err)
			}
			return tx.DropPasskey(ctx, m.ID, nil)
		})
	})
}

// After a restore people sign in as they did last, not as they did at the moment
// that was restored; where they were signed in, they are no more.
func TestHowPeopleSignInIsRestored(t *testing.T) {
	db, ctx := open(t), t.Context()
	m, gone := staffMember(t, db, "+33639980001"), staffMember(t, db, "+33639980002")
	save := func(password string) {
		update(t, db, func(tx *store.Tx) error {
			for _, who := range []*member.Member{m, gone} {
				c := &store.Credential{Password: password, TOTP: "JBSWY3DPEHPK3PXP", Recovery: [][]byte{hashOf("one")}}
				if err := tx.SaveCredential(ctx, who, c); err != nil {
					return err
				}
			}
			return nil
		})
	}
	save("old")
	update(t, db, func(tx *store.Tx) error {
		_, err := tx.UseStep(ctx, m.ID, 9)
		return errors.Join(err,
			tx.AddPasskey(ctx, &store.Passkey{ID: []byte("key"), Member: m.ID, Public: []byte("{}"), Browser: "Firefox"}),
			tx.AddSession(ctx, &store.Session{Hash: hashOf("home"), Member: m.ID, Role: m.Role, Till: tx.Now().Add(time.Hour)}))
	})
	moment := time.Now()
	save("new")
	update(t, db, func(tx *store.Tx) error { return tx.Erase(ctx, gone, time.Time{}) })
	dir := t.TempDir()
	backup(t, db, dir)
	for name, at := range map[string]time.Time{"the end": {}, "a moment": moment} {
		to, _ := restore(t, store.Restoration{From: dir, At: at})
		update(t, to, func(tx *store.Tx) error {
			c, err := tx.Credential(ctx, m)
			if err != nil || c.Password != "new" || c.TOTP != "JBSWY3DPEHPK3PXP" || len(c.Recovery) != 1 {
				t.Errorf("%s: the credential is %+v, %v", name, c, err)
			}
			if ok, err := tx.UseStep(ctx, m.ID, 9); err != nil || ok {
				t.Errorf("%s: a code works a second time: %v", name, err)
			}
			if k, err := tx.Passkey(ctx, []byte("key")); err != nil || k.Browser != "Firefox" {
				t.Errorf("%s: the passkey is %+v, %v", name, k, err)
			}
			if _, err := tx.Session(ctx, hashOf("home")); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: the session: %v", name, err)
			}
			if _, err := tx.Credential(ctx, gone); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: who left signs in: %v", name, err)
			}
			return nil
		})
	}
}

// staffMember registers somebody who works here.
func staffMember(t *testing.T, db *store.DB, e164 string) *member.Member {
	t.Helper()
	n, err := sms.FromE164(e164)
	if err != nil {
		t.Fatal(err)
	}
	m := &member.Member{State: member.Staff, Number: n, Language: "fr", Role: member.Admin}
	update(t, db, func(tx *store.Tx) error { return tx.CreateMember(t.Context(), m) })
	return m
}
