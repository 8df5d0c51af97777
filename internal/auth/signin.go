package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"maillon/internal/guard"
	"maillon/internal/member"
	"maillon/internal/store"
)

// How often somebody may try. An account waits longer after each failure, and an
// address may try so often in a time; neither is ever locked for good, for then
// anybody could lock anybody out. Trying is counted before it is judged, so that
// many at once are no way around.
const (
	freeTries    = 5 // of an account, before it waits
	firstWait    = 2 * time.Second
	longestWait  = 15 * time.Minute
	forgiven     = 24 * time.Hour // after which failures do not count
	addressTries = 30
	addressTime  = 10 * time.Minute
)

// Bounds of one sign-in.
const (
	stepLife  = 5 * time.Minute // between the password and the code
	stepTries = 5               // codes for one password
	maxTyped  = 64              // octets of a name or a code
)

// What stands in a doorstep.
const (
	afterPassword = "password"
	toEnter       = "passkey"
	toAdd         = "passkey.add"
)

// ErrNo means that somebody is not who they say. It does not tell whether it is
// the name, the password, the code or the passkey.
var ErrNo = errors.New("name, password or second factor is not right")

// A SlowError means that somebody has tried too often, and may try again at a
// time. Nothing was looked at.
type SlowError struct{ Till time.Time }

// Error implements error.
func (e *SlowError) Error() string { return "too many attempts to sign in" }

// slow counts an attempt of an address. It returns a *SlowError for one too many.
func (g *Gate) slow(ctx context.Context, tx *store.Tx, address string) error {
	who := g.keyed("address", address)
	a, err := tx.Attempt(ctx, who)
	if err != nil {
		return err
	}
	till, ok := guard.Rate(a.Till, tx.Now(), addressTries, addressTime)
	if !ok {
		return &SlowError{till.Add(-addressTime + addressTime/addressTries)}
	}
	return tx.SaveAttempt(ctx, who, store.Attempt{Till: till})
}

// count counts an attempt at an account, as if it would fail. It returns a
// *SlowError if the account still waits after the one before.
func (g *Gate) count(ctx context.Context, tx *store.Tx, account []byte) error {
	a, err := tx.Attempt(ctx, account)
	if err != nil {
		return err
	}
	if tx.Now().Before(a.Till) {
		return &SlowError{a.Till}
	}
	if tx.Now().Sub(a.At) > forgiven {
		a.Fails = 0
	}
	a.Fails++
	a.Till = tx.Now().Add(wait(a.Fails))
	return tx.SaveAttempt(ctx, account, a)
}

// wait returns how long an account waits after so many failures.
func wait(fails int) time.Duration {
	if fails < freeTries {
		return 0
	}
	w := firstWait
	for n := freeTries; n < fails && w < longestWait; n++ {
		w *= 2
	}
	return min(w, longestWait)
}

func (g *Gate) account(id member.ID) []byte { return g.keyed("account", by(id)) }

// Password takes a name and a password, and returns what the second factor is
// shown with. It returns ErrNo, ErrRenew or a *SlowError, after as long a time
// whether there is such a name or not.
func (g *Gate) Password(ctx context.Context, address, name, password string) (Token, error) {
	name = strings.ToLower(strings.TrimPrefix(strings.TrimSpace(name), "@"))
	if len(name) > maxTyped {
		name = name[:maxTyped]
	}
	var m *member.Member
	c := &store.Credential{}
	err := g.db.Update(ctx, func(tx *store.Tx) (err error) {
		if err := g.slow(ctx, tx, address); err != nil {
			return err
		}
		m, err = g.find(ctx, tx, name)
		switch {
		case errors.Is(err, store.ErrNotFound) || err == nil && m.Role == "":
			m = nil
			return g.count(ctx, tx, g.keyed("name", name))
		case err != nil:
			return err
		}
		if err := g.count(ctx, tx, g.account(m.ID)); err != nil {
			return err
		}
		c, err = credential(ctx, tx, m)
		return err
	})
	if err != nil {
		return "", wrap("sign in", err)
	}
	same, err := g.matches(ctx, password, c.Password)
	switch {
	case err != nil:
		return "", err
	case !same:
		return "", ErrNo
	case !c.Renew.IsZero():
		return "", ErrRenew
	}
	t := draw()
	err = g.db.Update(ctx, func(tx *store.Tx) error {
		return tx.AddDoorstep(ctx, &store.Doorstep{Hash: t.key(), Kind: afterPassword, Member: m.ID, Till: tx.Now().Add(stepLife)})
	})
	return t, wrap("sign in", err)
}

// Code takes the second factor of whoever has shown the password, a code of the
// moment or a recovery code, and begins a session. It returns ErrExpired if the
// password must be shown again, ErrNo, ErrRenew or a *SlowError.
func (g *Gate) Code(ctx context.Context, address string, shown Token, code, browser string) (session Token, err error) {
	verdict := ErrNo
	err = g.db.Update(ctx, func(tx *store.Tx) error {
		d, err := tx.TryDoorstep(ctx, shown.key(), afterPassword)
		if errors.Is(err, store.ErrNotFound) || err == nil && d.Tries > stepTries {
			verdict = ErrExpired
			return tx.DropDoorstep(ctx, shown.key())
		}
		if err != nil {
			return err
		}
		if err := errors.Join(g.slow(ctx, tx, address), g.count(ctx, tx, g.account(d.Member))); err != nil {
			return err
		}
		m, err := tx.Member(ctx, d.Member)
		if err != nil {
			return err
		}
		right, err := g.second(ctx, tx, m, code)
		if err != nil || !right {
			return err
		}
		if err := MayApprove(ctx, tx, m); err != nil {
			return err
		}
		verdict = nil
		if err := tx.DropDoorstep(ctx, shown.key()); err != nil {
			return err
		}
		session, err = g.admit(ctx, tx, m, browser, "password")
		return err
	})
	if err != nil {
		return "", wrap("sign in", err)
	}
	return session, verdict
}

// admit begins a session of who has shown all there is to show.
func (g *Gate) admit(ctx context.Context, tx *store.Tx, m *member.Member, browser, with string) (Token, error) {
	tx.Act(by(m.ID), "signin", by(m.ID), with)
	if err := tx.ForgetAttempt(ctx, g.account(m.ID)); err != nil {
		return "", err
	}
	return g.Open(ctx, tx, m, browser)
}

// Confirm takes the second factor again of whoever a session is, and returns the
// token of the session from now on. It returns ErrUnknown, ErrNo or a *SlowError.
func (g *Gate) Confirm(ctx context.Context, address, session, code string) (to Token, err error) {
	verdict := ErrNo
	err = g.db.Update(ctx, func(tx *store.Tx) error {
		v, _, err := enter(ctx, tx, Token(session))
		if err != nil {
			return err
		}
		if err := errors.Join(g.slow(ctx, tx, address), g.count(ctx, tx, g.account(v.Member.ID))); err != nil {
			return err
		}
		right, err := g.second(ctx, tx, v.Member, code)
		if err != nil || !right {
			return err
		}
		verdict = nil
		to, err = g.refresh(ctx, tx, v.Member.ID, session)
		return err
	})
	if err != nil {
		return "", wrap("confirm", err)
	}
	return to, verdict
}

// refresh gives a session another token, for the second factor was just shown.
func (g *Gate) refresh(ctx context.Context, tx *store.Tx, m member.ID, session string) (Token, error) {
	to := draw()
	ok, err := tx.RenewSession(ctx, Token(session).key(), to.key())
	if err == nil && !ok {
		err = ErrUnknown
	}
	if err != nil {
		return "", err
	}
	return to, tx.ForgetAttempt(ctx, g.account(m))
}

// wrap says what was being done, but for errors that tell the visitor something.
func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
