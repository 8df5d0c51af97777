package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"net/url"
	"strings"
	"time"

	"github.com/pquerna/otp/hotp"

	"maillon/internal/guard"
	"maillon/internal/member"
	"maillon/internal/store"
)

// The second factor: codes of the moment, RFC 6238 as every application does
// them, SHA-1, six digits and steps of 30 seconds.
const (
	codeStep   = 30 * time.Second
	codeSkew   = 1 // steps that a clock may be wrong
	codeLen    = 6
	totpLen    = 20 // octets of the shared secret: as many as SHA-1 gives
	nonceShown = 26 // characters of what rand.Text returns
)

// RecoveryCodes is how many recovery codes somebody has at first. Each is worth
// a second factor, once.
const RecoveryCodes = 10

const recoveryLen = 10 // octets: 80 bits, which nobody guesses

var recoveryText = base32.StdEncoding.WithPadding(base32.NoPadding)

// Enrolment returns the secret of a second factor for whoever holds something
// drawn at random, an invitation or what a page drew. It stands nowhere before
// it is accepted, and only this server can make it.
func (g *Gate) Enrolment(seed string) string {
	return recoveryText.EncodeToString(g.keyed("totp", seed)[:totpLen])
}

// EnrolmentAddress returns a secret as applications for codes read it.
func EnrolmentAddress(association, name, secret string) string {
	u := url.URL{Scheme: "otpauth", Host: "totp", Path: "/" + association + ":" + name}
	u.RawQuery = "secret=" + secret + "&issuer=" + url.QueryEscape(association)
	return strings.ReplaceAll(u.String(), "+", "%20") // some read the form's space as a plus
}

// NewSeed draws what a page keeps between showing a secret and taking its code.
func NewSeed() string { return rand.Text() }

// stepOf returns which step around a time a code is of, false for none.
func stepOf(secret, code string, now time.Time) (int64, bool) {
	code = strings.ReplaceAll(strings.TrimSpace(code), " ", "")
	if len(code) != codeLen {
		return 0, false
	}
	at, right := now.Unix()/int64(codeStep/time.Second), int64(-1)
	for step := at - codeSkew; step <= at+codeSkew; step++ {
		want, err := hotp.GenerateCode(secret, uint64(step)) //nolint:gosec // a step of time is not below zero
		if err == nil && guard.SameCode(code, want) {
			right = step
		}
	}
	return right, right >= 0
}

// second reports whether a text is the second factor of a person now: a code
// that was not used, or a recovery code, which is used up.
func (g *Gate) second(ctx context.Context, tx *store.Tx, m *member.Member, code string) (bool, error) {
	c, err := credential(ctx, tx, m)
	if err != nil || len(code) > maxTyped {
		return false, err
	}
	if c.TOTP != "" {
		if step, ok := stepOf(c.TOTP, code, tx.Now()); ok {
			fresh, err := tx.UseStep(ctx, m.ID, step)
			if err == nil && !fresh { // somebody looked over a shoulder, or pressed twice
				tx.Act(by(m.ID), "totp.reuse", by(m.ID), "")
			}
			return fresh, err
		}
	}
	hash := g.recoveryHash(m.ID, code)
	for n, one := range c.Recovery {
		if subtle.ConstantTimeCompare(one, hash) != 1 {
			continue
		}
		c.Recovery = append(c.Recovery[:n:n], c.Recovery[n+1:]...)
		tx.Act(by(m.ID), "recovery.use", by(m.ID), "")
		return true, tx.SaveCredential(ctx, m, c)
	}
	return false, nil
}

// recoveryHash hides a recovery code under the server's key, for one person: who
// has the books alone cannot even try.
func (g *Gate) recoveryHash(m member.ID, code string) []byte {
	code = strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(strings.TrimSpace(code)))
	return g.keyed("recovery", by(m)+"\x00"+code)
}

// drawRecovery draws recovery codes: as people write them down, and their hashes.
func (g *Gate) drawRecovery(m member.ID) (codes []string, hashes [][]byte) {
	for range RecoveryCodes {
		var b [recoveryLen]byte
		_, _ = rand.Read(b[:]) // it never fails
		text := recoveryText.EncodeToString(b[:])
		code := text[:4] + "-" + text[4:8] + "-" + text[8:12] + "-" + text[12:]
		codes, hashes = append(codes, code), append(hashes, g.recoveryHash(m, code))
	}
	return codes, hashes
}

// NewRecovery draws new recovery codes for a person. Those before are worth
// nothing from now on.
func (g *Gate) NewRecovery(ctx context.Context, tx *store.Tx, m *member.Member) ([]string, error) {
	c, err := tx.Credential(ctx, m)
	if err != nil {
		return nil, err
	}
	codes, hashes := g.drawRecovery(m.ID)
	c.Recovery = hashes
	tx.Act(by(m.ID), "recovery.new", by(m.ID), "")
	return codes, tx.SaveCredential(ctx, m, c)
}

// ChangeTOTP gives a person another second factor, of which they show a code.
// It returns ErrNo for a code that is none of it.
func (g *Gate) ChangeTOTP(ctx context.Context, tx *store.Tx, m *member.Member, session, seed, code string) error {
	if len(seed) != nonceShown {
		return ErrNo
	}
	secret := g.Enrolment(seed)
	step, ok := stepOf(secret, code, tx.Now())
	if !ok {
		return ErrNo
	}
	c, err := tx.Credential(ctx, m)
	if err != nil {
		return err
	}
	c.TOTP = secret
	if err := tx.SaveCredential(ctx, m, c); err != nil {
		return err
	}
	if _, err := tx.UseStep(ctx, m.ID, step); err != nil {
		return err
	}
	tx.Act(by(m.ID), "totp.change", by(m.ID), "")
	return tx.EndSessions(ctx, m.ID, Token(session).key())
}

// ChangePassword gives a person another password, once the old one is shown. It
// returns ErrNo, a *SlowError, or what is wrong with the new one.
func (g *Gate) ChangePassword(ctx context.Context, m *member.Member, session, old, password string, own ...string) error {
	if err := CheckPassword(password, own...); err != nil {
		return err
	}
	var c *store.Credential
	err := g.db.Update(ctx, func(tx *store.Tx) (err error) {
		if err := g.count(ctx, tx, g.account(m.ID)); err != nil {
			return err
		}
		c, err = credential(ctx, tx, m)
		return err
	})
	if err != nil {
		return wrap("change a password", err)
	}
	same, err := g.matches(ctx, old, c.Password)
	if err != nil {
		return err
	}
	if !same {
		return ErrNo
	}
	hash, err := g.hash(ctx, password)
	if err != nil {
		return err
	}
	err = g.db.Update(ctx, func(tx *store.Tx) error {
		c, err := tx.Credential(ctx, m)
		if err != nil {
			return err
		}
		c.Password = hash
		tx.Act(by(m.ID), "password.change", by(m.ID), "")
		return firstError(
			func() error { return tx.SaveCredential(ctx, m, c) },
			func() error { return tx.ForgetAttempt(ctx, g.account(m.ID)) },
			func() error { return tx.EndSessions(ctx, m.ID, Token(session).key()) },
		)
	})
	return wrap("change a password", err)
}

// firstError does one thing after the other until one fails.
func firstError(all ...func() error) error {
	for _, do := range all {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}
