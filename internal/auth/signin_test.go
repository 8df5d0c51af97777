package auth_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pquerna/otp/totp"

	"maillon/internal/auth"
	"maillon/internal/member"
	"maillon/internal/store"
)

const (
	here = "192.0.2.7"
	good = "velo rouge au soleil"
)

// A worker is somebody who can sign in.
type worker struct {
	*member.Member
	secret   string
	recovery []string
}

// code is the code of the moment, some steps away.
func (w worker) code(t *testing.T, steps int) string {
	t.Helper()
	c, err := totp.GenerateCode(w.secret, time.Now().Add(time.Duration(steps)*30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// welcome registers somebody who accepts an invitation.
func (h *house) welcome(name string, role member.Role) worker {
	h.t.Helper()
	w := worker{Member: h.hire(name, role)}
	var invitation auth.Token
	h.update(func(ctx context.Context, tx *store.Tx) (err error) {
		invitation, err = h.Invite(ctx, tx, "operator", w.Member)
		return err
	})
	return h.accept(w, invitation)
}

func (h *house) accept(w worker, invitation auth.Token) worker {
	h.t.Helper()
	w.secret = h.Enrolment(string(invitation))
	draft, err := h.Prepare(h.t.Context(), invitation, good, w.code(h.t, 0))
	if err != nil {
		h.t.Fatal(err)
	}
	h.update(func(ctx context.Context, tx *store.Tx) (err error) {
		w.recovery, err = h.Accept(ctx, tx, invitation, w.Member, draft)
		return err
	})
	time.Sleep(2 * time.Minute) // the code of the invitation is used
	return w
}

func (h *house) password(name, password string) (auth.Token, error) {
	return h.Password(h.t.Context(), here, name, password)
}

func TestSigningInTakesBothFactors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		annaig := h.welcome("annaig", member.Admin)
		for _, wrong := range [][2]string{{"annaig", good + "!"}, {"annaig", ""}, {"nobody", good}, {"", ""}} {
			if step, err := h.password(wrong[0], wrong[1]); !errors.Is(err, auth.ErrNo) || step != "" {
				t.Errorf("signing in with %d letters as %q: %v", len(wrong[1]), wrong[0], err)
			}
		}
		step, err := h.password(" @Annaig", good)
		if err != nil {
			t.Fatal(err)
		}
		h.enters(step, auth.ErrUnknown) // half way is not in
		if _, err := h.Code(t.Context(), here, step, "000000", ""); !errors.Is(err, auth.ErrNo) {
			t.Errorf("a wrong code: %v", err)
		}
		time.Sleep(time.Minute)
		session, err := h.Code(t.Context(), here, step, annaig.code(t, 0), "Firefox")
		if err != nil {
			t.Fatal(err)
		}
		if session == step {
			t.Error("the session has the token of before")
		}
		h.enters(session, nil)
		if _, err := h.Code(t.Context(), here, step, annaig.code(t, 1), ""); !errors.Is(err, auth.ErrExpired) {
			t.Errorf("a second session for one password: %v", err)
		}
	})
}

// Each code works once, a step too early or too late, and no further away.
func TestACodeWorksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		annaig := h.welcome("annaig", member.Admin)
		try := func(code string) error {
			t.Helper()
			time.Sleep(25*time.Hour + 15*time.Second) // so that nothing is slowed
			step, err := h.password("annaig", good)
			if err != nil {
				t.Fatal(err)
			}
			if code == "" {
				code = annaig.code(t, 0)
			}
			_, err = h.Code(t.Context(), here, step, code, "")
			return err
		}
		if err := try(""); err != nil {
			t.Error(err)
		}
		for steps, want := range map[int]error{-2: auth.ErrNo, -1: nil, 1: nil, 2: auth.ErrNo} {
			time.Sleep(25 * time.Hour)
			step, err := h.password("annaig", good)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := h.Code(t.Context(), here, step, annaig.code(t, steps), ""); !errors.Is(err, want) {
				t.Errorf("a code %d steps away: %v, want %v", steps, err, want)
			}
		}
		time.Sleep(25 * time.Hour)
		code := annaig.code(t, 0)
		for n, want := range []error{nil, auth.ErrNo} {
			step, err := h.password("annaig", good)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := h.Code(t.Context(), here, step, code, ""); !errors.Is(err, want) {
				t.Errorf("the same code, time %d: %v, want %v", n+1, err, want)
			}
		}
	})
}

func TestARecoveryCodeWorksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		annaig := h.welcome("annaig", member.Admin)
		if len(annaig.recovery) != auth.RecoveryCodes {
			t.Fatalf("there are %d recovery codes", len(annaig.recovery))
		}
		try := func(code string, want error) {
			t.Helper()
			time.Sleep(25 * time.Hour)
			step, err := h.password("annaig", good)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := h.Code(t.Context(), here, step, code, ""); !errors.Is(err, want) {
				t.Errorf("a recovery code: %v, want %v", err, want)
			}
		}
		last := annaig.recovery[auth.RecoveryCodes-1]
		try(strings.ToLower(strings.ReplaceAll(annaig.recovery[0], "-", " ")), nil)
		try(annaig.recovery[0], auth.ErrNo)
		try(last, nil)
		var fresh []string
		h.update(func(ctx context.Context, tx *store.Tx) (err error) {
			fresh, err = h.NewRecovery(ctx, tx, annaig.Member)
			return err
		})
		try(annaig.recovery[1], auth.ErrNo)
		try(fresh[0], nil)
	})
}

// Whoever guesses waits longer and longer, and whoever owns the account gets in
// when the wait is over. A name that is not there waits in the same way.
func TestGuessingIsSlowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.welcome("annaig", member.Admin)
		for n, name := range []string{"annaig", "nobody"} {
			began, judged := time.Now(), 0
			address := func() string { judged++; return here + strings.Repeat("0", judged%200) + name } // many addresses
			var slow *auth.SlowError
			for time.Since(began) < 24*time.Hour {
				_, err := h.Password(t.Context(), address(), name, "guess")
				if errors.As(err, &slow) {
					if wait := time.Until(slow.Till); wait <= 0 || wait > 15*time.Minute {
						t.Fatalf("%s waits %s", name, wait)
					}
					judged--
					time.Sleep(time.Until(slow.Till))
				} else if !errors.Is(err, auth.ErrNo) {
					t.Fatal(err)
				}
			}
			if judged > 120 {
				t.Errorf("%s: %d guesses in a day were judged", name, judged)
			}
			if n == 0 {
				time.Sleep(15 * time.Minute)
				if _, err := h.password(name, good); err != nil {
					t.Errorf("the owner, after the wait: %v", err)
				}
			}
		}
	})
}

// A right password does not give a new set of guesses at the code.
func TestGuessingCodesIsSlowedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.welcome("annaig", member.Admin)
		slowed := false
		for range 10 {
			step, err := h.password("annaig", good)
			if err == nil {
				_, err = h.Code(t.Context(), here, step, "000000", "")
			}
			_, slow := errors.AsType[*auth.SlowError](err)
			slowed = slowed || slow
		}
		if !slowed {
			t.Error("ten codes in a row were judged")
		}
		time.Sleep(time.Hour)
		step, err := h.password("annaig", good)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 7 {
			_, err := h.Code(t.Context(), here, step, "000000", "")
			if n >= 5 && !errors.Is(err, auth.ErrExpired) {
				if _, slow := errors.AsType[*auth.SlowError](err); !slow {
					t.Errorf("code %d for one password: %v", n+1, err)
				}
			}
		}
	})
}

func TestAnAddressIsSlowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		judged := 0
		for n := range 100 {
			_, err := h.Password(t.Context(), here, "nobody"+strings.Repeat("x", n%50)+strings.Repeat("y", n/50), "guess")
			if errors.Is(err, auth.ErrNo) {
				judged++
			}
		}
		if judged > 30 {
			t.Errorf("%d of 100 names were judged at once", judged)
		}
		if _, err := h.Password(t.Context(), "192.0.2.8", "nobody", "guess"); !errors.Is(err, auth.ErrNo) {
			t.Errorf("another address: %v", err)
		}
		time.Sleep(time.Minute)
		if _, err := h.Password(t.Context(), here, "somebody", "guess"); !errors.Is(err, auth.ErrNo) {
			t.Errorf("the address, a minute later: %v", err)
		}
	})
}

// Many at the same time are counted one after the other.
func TestGuessingAtOnceIsCounted(t *testing.T) {
	h := newHouse(t)
	h.hire("annaig", member.Admin)
	var mu sync.Mutex
	judged := 0
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			_, err := h.Password(t.Context(), here, "annaig", "guess")
			mu.Lock()
			defer mu.Unlock()
			if errors.Is(err, auth.ErrNo) {
				judged++
			}
		})
	}
	all.Wait()
	if judged != 5 {
		t.Errorf("%d of 20 guesses were judged, want 5", judged)
	}
}

func TestWhoWasRevokedRenewsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		annaig, treso := h.welcome("annaig", member.Admin), h.hire("treso", member.Admin)
		var planted, invitation auth.Token
		h.update(func(ctx context.Context, tx *store.Tx) (err error) {
			// What a thief of her session invited is worth nothing either.
			if planted, err = h.Invite(ctx, tx, "member:1", treso); err != nil {
				return err
			}
			return h.RevokeSessions(ctx, tx, "member:2", annaig.Member)
		})
		if _, err := h.password("annaig", good); !errors.Is(err, auth.ErrRenew) {
			t.Errorf("the old password: %v", err)
		}
		if _, err := h.password("annaig", "guess"); !errors.Is(err, auth.ErrNo) {
			t.Errorf("a wrong password of who was revoked: %v", err)
		}
		h.update(func(ctx context.Context, tx *store.Tx) (err error) {
			if _, err := h.Invited(ctx, tx, planted); !errors.Is(err, auth.ErrInvitation) {
				t.Errorf("the thief's invitation: %v", err)
			}
			invitation, err = h.RenewCredentials(ctx, tx, "member:2", annaig.Member)
			return err
		})
		old := annaig.secret
		annaig = h.accept(annaig, invitation)
		if annaig.secret == old {
			t.Error("the second factor is the old one")
		}
		h.update(func(ctx context.Context, tx *store.Tx) error { return auth.MayApprove(ctx, tx, annaig.Member) })

		// Nobody is alone by revoking all others, and no stranger is the first.
		h.update(func(ctx context.Context, tx *store.Tx) error {
			if err := h.RevokeSessions(ctx, tx, "member:2", annaig.Member); err != nil {
				return err
			}
			alone, err := auth.Alone(ctx, tx, treso.ID)
			first, err2 := h.InviteFirst(ctx, tx, "operator")
			if alone || first != "" {
				t.Errorf("after all others were revoked: alone %v, an invitation for the first %v", alone, first != "")
			}
			return errors.Join(err, err2)
		})
		h.update(func(ctx context.Context, tx *store.Tx) (err error) {
			invitation, err = h.RenewCredentials(ctx, tx, "member:2", annaig.Member)
			return err
		})
		annaig = h.accept(annaig, invitation)
		step, err := h.password("annaig", good)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Code(t.Context(), here, step, annaig.code(t, 0), ""); err != nil {
			t.Error(err)
		}
	})
}

func TestAnInvitationIsGoodOnceAndForOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		annaig, treso := h.hire("annaig", member.Admin), h.hire("treso", member.Treasurer)
		invite := func(m *member.Member) (i auth.Token) {
			h.update(func(ctx context.Context, tx *store.Tx) (err error) {
				i, err = h.Invite(ctx, tx, "operator", m)
				return err
			})
			return i
		}
		try := func(i auth.Token, m *member.Member) error {
			w := worker{Member: m, secret: h.Enrolment(string(i))}
			draft, err := h.Prepare(t.Context(), i, good, w.code(t, 0))
			if err != nil {
				t.Fatal(err)
			}
			return h.db.Update(t.Context(), func(tx *store.Tx) error {
				_, err := h.Accept(t.Context(), tx, i, m, draft)
				return err
			})
		}
		first := invite(annaig)
		second := invite(annaig)
		for _, c := range []struct {
			what string
			i    auth.Token
			m    *member.Member
			want error
		}{
			{"replaced", first, annaig, auth.ErrInvitation},
			{"another's", second, treso, auth.ErrInvitation},
			{"good", second, annaig, nil},
			{"used", second, annaig, auth.ErrInvitation},
			{"nonsense", "nonsense", annaig, auth.ErrInvitation},
		} {
			if err := try(c.i, c.m); !errors.Is(err, c.want) {
				t.Errorf("an invitation that is %s: %v, want %v", c.what, err, c.want)
			}
		}
		late := invite(treso)
		time.Sleep(auth.InvitationLife)
		if err := try(late, treso); !errors.Is(err, auth.ErrInvitation) {
			t.Errorf("an invitation that is too old: %v", err)
		}
		if _, err := h.Prepare(t.Context(), late, good, "123456"); !errors.Is(err, auth.ErrNo) {
			t.Errorf("a code of another secret: %v", err)
		}
	})
}

func TestTheFirstComesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		annaig, treso := worker{Member: h.hire("annaig", member.Admin)}, worker{Member: h.hire("treso", member.Admin)}
		first := func() (i auth.Token) {
			h.update(func(ctx context.Context, tx *store.Tx) (err error) {
				i, err = h.InviteFirst(ctx, tx, "operator")
				return err
			})
			return i
		}
		one, other := first(), first()
		h.accept(annaig, one)
		if i := first(); i != "" {
			t.Error("there is an invitation for the first although somebody is in")
		}
		h.update(func(ctx context.Context, tx *store.Tx) error {
			if _, err := h.Invited(ctx, tx, other); !errors.Is(err, auth.ErrInvitation) {
				t.Errorf("the other invitation for the first: %v", err)
			}
			alone, err := auth.Alone(ctx, tx, annaig.ID)
			if err != nil || !alone {
				t.Errorf("the first is not alone: %v", err)
			}
			return nil
		})
		_ = treso
	})
}

func TestTheSecondFactorIsShownAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		annaig := h.welcome("annaig", member.Admin)
		session := h.signIn(annaig.Member)
		time.Sleep(11 * time.Minute)
		if h.enters(session, nil).Fresh(time.Now()) {
			t.Error("a second factor counts for eleven minutes")
		}
		if _, err := h.Confirm(t.Context(), here, string(session), "000000"); !errors.Is(err, auth.ErrNo) {
			t.Errorf("a wrong code: %v", err)
		}
		to, err := h.Confirm(t.Context(), here, string(session), annaig.code(t, 0))
		if err != nil {
			t.Fatal(err)
		}
		h.enters(session, auth.ErrUnknown)
		if !h.enters(to, nil).Fresh(time.Now()) {
			t.Error("the second factor was not shown")
		}
	})
}

func TestChangingWhatOnePasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		annaig := h.welcome("annaig", member.Admin)
		here, away := h.signIn(annaig.Member), h.signIn(annaig.Member)
		change := func(old, password string) error {
			return h.ChangePassword(t.Context(), annaig.Member, string(here), old, password, "annaig")
		}
		if err := change("guess", "another long one"); !errors.Is(err, auth.ErrNo) {
			t.Errorf("without the old password: %v", err)
		}
		if err := change(good, "annaig-annaig-1987"); !errors.Is(err, auth.ErrOwnName) {
			t.Errorf("the own name: %v", err)
		}
		if err := change(good, "another long one"); err != nil {
			t.Fatal(err)
		}
		h.enters(here, nil)
		h.enters(away, auth.ErrUnknown)
		if _, err := h.password("annaig", good); !errors.Is(err, auth.ErrNo) {
			t.Errorf("the old password: %v", err)
		}
		seed := auth.NewSeed()
		other := worker{secret: h.Enrolment(seed)}
		err := h.db.Update(t.Context(), func(tx *store.Tx) error {
			return h.ChangeTOTP(t.Context(), tx, annaig.Member, string(here), seed, annaig.code(t, 0))
		})
		if !errors.Is(err, auth.ErrNo) {
			t.Errorf("a code of the old second factor: %v", err)
		}
		h.update(func(ctx context.Context, tx *store.Tx) error {
			return h.ChangeTOTP(ctx, tx, annaig.Member, string(here), seed, other.code(t, 0))
		})
		time.Sleep(time.Minute)
		if _, err := h.Confirm(t.Context(), "", string(here), annaig.code(t, 0)); !errors.Is(err, auth.ErrNo) {
			t.Errorf("the old second factor: %v", err)
		}
		if _, err := h.Confirm(t.Context(), "", string(here), other.code(t, 0)); err != nil {
			t.Errorf("the new second factor: %v", err)
		}
	})
}

func TestPasswords(t *testing.T) {
	own := []string{"annaig", "06 39 98 00 12", "+33639980012", "Penn Rustin'"}
	for password, want := range map[string]error{
		"velo rouge au soleil":         nil,
		"éééé çççç ôôôô":               nil,
		"4 chats et 1 chien":           nil,
		"":                             auth.ErrShort,
		"elevenchars":                  auth.ErrShort,
		strings.Repeat("né ", 43):      auth.ErrLong,
		"motdepasse2026!":              auth.ErrCommon,
		"MotDePasseMotDePasse":         auth.ErrCommon,
		"azertyuiopqsdfghjklm":         auth.ErrCommon,
		"abcdefghijklmn":               auth.ErrCommon,
		"987654321098":                 auth.ErrCommon,
		"aaaaaaaaaaaaaab":              auth.ErrCommon,
		"123456123456":                 auth.ErrCommon,
		"annaig-1987-2026":             auth.ErrOwnName,
		"AnnaigAnnaig":                 auth.ErrOwnName,
		"06.39.98.00.12":               auth.ErrOwnName,
		"penn rustin 35":               auth.ErrOwnName,
		"penn ar bed rustin annaig 35": nil,
	} {
		if err := auth.CheckPassword(password, own...); !errors.Is(err, want) {
			t.Errorf("a password of %d characters, %.4q…: %v, want %v", len([]rune(password)), password, err, want)
		}
	}
}

// What each role may, against the table of roles.
func TestRolesAndRights(t *testing.T) {
	table := map[auth.Right]string{ // reader frontdesk cashier treasurer admin auditor
		auth.SeeFigures: "R F C T A U",
		auth.SeeNames:   "F C T A U",
		auth.Register:   "F C T A",
		auth.Freeze:     "F C T A",
		auth.Renumber:   "F C T A",
		auth.Credit:     "C T A",
		auth.Many:       "T A",
		auth.Decide:     "T A",
		auth.Reverse:    "T A",
		auth.Approve:    "T A",
		auth.Export:     "T A U",
		auth.SeeAudit:   "T A U",
		auth.SeeSetting: "T A U",
		auth.Erase:      "A",
		auth.Announce:   "A",
		auth.Settings:   "A",
		auth.Staff:      "A",
		auth.Pause:      "A",
		auth.Restore:    "A",
	}
	letters := map[member.Role]string{
		member.Reader: "R", member.FrontDesk: "F", member.Cashier: "C", member.Treasurer: "T", member.Admin: "A", member.Auditor: "U", "": "-",
	}
	for right, who := range table {
		for role, letter := range letters {
			if may := auth.May(role, right); may != slices.Contains(strings.Fields(who), letter) {
				t.Errorf("May(%s, %s) = %v", role, right, may)
			}
		}
	}
	var nobody *auth.Visitor
	if nobody.May(auth.SeeFigures) || nobody.Fresh(time.Now()) {
		t.Error("nobody may something")
	}
}
