package auth

import (
	"context"
	"errors"
	"time"

	"maillon/internal/member"
	"maillon/internal/store"
)

// InvitationLife is how long an invitation is good.
const InvitationLife = 72 * time.Hour

var (
	// ErrInvitation means that there is no such invitation, or that it was used,
	// replaced by another one, or is too old.
	ErrInvitation = errors.New("no invitation that is good")
	// ErrNoRole means that somebody who does not work here cannot be invited to.
	ErrNoRole = errors.New("whoever has no role has nothing to sign in for")
)

// Invite draws what lets a person choose a password and a second factor, once.
// It is all that is needed to be that person here: whoever gets it must hand it
// over.
func (g *Gate) Invite(ctx context.Context, tx *store.Tx, who string, m *member.Member) (Token, error) {
	if m.Role == "" {
		return "", ErrNoRole
	}
	tx.Act(who, "invite", by(m.ID), "")
	return g.invite(ctx, tx, who, m.ID)
}

func (g *Gate) invite(ctx context.Context, tx *store.Tx, who string, m member.ID) (Token, error) {
	t := draw()
	return t, tx.AddInvitation(ctx, &store.Invitation{Hash: t.key(), Member: m, By: who, Till: tx.Now().Add(InvitationLife)})
}

// InviteFirst draws what lets whoever comes first be an administrator, as long
// as nobody can sign in: afterwards it is "", and what was drawn is worth nothing.
func (g *Gate) InviteFirst(ctx context.Context, tx *store.Tx, who string) (Token, error) {
	some, err := Somebody(ctx, tx)
	if err != nil || some {
		return "", err
	}
	return g.invite(ctx, tx, who, 0)
}

// Somebody reports whether anybody can sign in.
func Somebody(ctx context.Context, tx *store.Tx) (bool, error) {
	n, err := approvers(ctx, tx, 0, false, func(member.Role) bool { return true })
	return n > 0, err
}

// approvers counts who can sign in, but for one, with a role that will do;
// renewed leaves out who must renew everything first.
func approvers(ctx context.Context, tx *store.Tx, but member.ID, renewed bool, will func(member.Role) bool) (n int, err error) {
	states, err := tx.StaffStates(ctx)
	if err != nil {
		return 0, err
	}
	for id, s := range states {
		if id == but || !s.Password || renewed && !s.Renew.IsZero() {
			continue
		}
		m, err := tx.Member(ctx, id)
		if err != nil {
			return 0, err
		}
		if will(m.Role) {
			n++
		}
	}
	return n, nil
}

// Alone reports whether nobody but one person could approve anything, so that
// there is no second person to ask. Who was revoked counts: a thief must not be
// alone by revoking all others.
func Alone(ctx context.Context, tx *store.Tx, m member.ID) (bool, error) {
	n, err := approvers(ctx, tx, m, false, func(r member.Role) bool { return May(r, Approve) })
	return n == 0, err
}

// LastAdmin reports whether nobody but one person can sign in as an
// administrator.
func LastAdmin(ctx context.Context, tx *store.Tx, m member.ID) (bool, error) {
	n, err := approvers(ctx, tx, m, true, func(r member.Role) bool { return r == member.Admin })
	return n == 0, err
}

// RenewCredentials draws what lets a person choose a new password and a new
// second factor, for the old ones are lost or feared to be. They and all
// sessions are worth nothing from now on.
func (g *Gate) RenewCredentials(ctx context.Context, tx *store.Tx, who string, m *member.Member) (Token, error) {
	if m.Role == "" {
		return "", ErrNoRole
	}
	if err := g.RevokeSessions(ctx, tx, who, m); err != nil {
		return "", err
	}
	tx.Act(who, "credentials.renew", by(m.ID), "")
	return g.invite(ctx, tx, who, m.ID)
}

// Invited returns who is invited, nil for whoever comes first, or ErrInvitation.
func (g *Gate) Invited(ctx context.Context, tx *store.Tx, invitation Token) (*member.Member, error) {
	if !invitation.drawn() {
		return nil, ErrInvitation
	}
	i, err := tx.Invitation(ctx, invitation.key())
	switch {
	case errors.Is(err, store.ErrNotFound) || err == nil && (!i.Used.IsZero() || !tx.Now().Before(i.Till)):
		return nil, ErrInvitation
	case err != nil:
		return nil, err
	case i.Member != 0:
		m, err := tx.Member(ctx, i.Member)
		if err == nil && m.Role == "" {
			err = ErrInvitation
		}
		return m, err
	}
	some, err := Somebody(ctx, tx)
	if err == nil && some {
		err = ErrInvitation
	}
	return nil, err
}

// A Draft is a password and a second factor that somebody has chosen, before
// they are theirs. It is made outside of any transaction, for it takes time.
type Draft struct {
	password string // its hash
	totp     string
	step     int64 // of the code that was shown
}

// Prepare makes a draft for an invitation: the code must be of the secret that
// Enrolment gives for it. It returns ErrNo for one that is not, and what is
// wrong with the password.
func (g *Gate) Prepare(ctx context.Context, invitation Token, password, code string, own ...string) (*Draft, error) {
	if err := CheckPassword(password, own...); err != nil {
		return nil, err
	}
	d := &Draft{totp: g.Enrolment(string(invitation))}
	var ok bool
	if d.step, ok = stepOf(d.totp, code, time.Now()); !ok {
		return nil, ErrNo
	}
	var err error
	d.password, err = g.hash(ctx, password)
	return d, err
}

// Accept gives an invited person what they have chosen, and returns their
// recovery codes, which nobody can read again. It returns ErrInvitation.
func (g *Gate) Accept(ctx context.Context, tx *store.Tx, invitation Token, m *member.Member, d *Draft) ([]string, error) {
	invited, err := g.Invited(ctx, tx, invitation)
	if err != nil {
		return nil, err
	}
	if invited != nil && invited.ID != m.ID || m.Role == "" {
		return nil, ErrInvitation
	}
	if ok, err := tx.UseInvitation(ctx, invitation.key()); err != nil || !ok {
		return nil, errors.Join(err, ErrInvitation)
	}
	codes, hashes := g.drawRecovery(m.ID)
	tx.Act(by(m.ID), "credentials.set", by(m.ID), "")
	return codes, firstError(
		func() error {
			return tx.SaveCredential(ctx, m, &store.Credential{Member: m.ID, Password: d.password, TOTP: d.totp, Recovery: hashes})
		},
		func() error { _, err := tx.UseStep(ctx, m.ID, d.step); return err },
		func() error { return tx.DropPasskey(ctx, m.ID, nil) },
		func() error { return tx.EndSessions(ctx, m.ID, nil) },
		func() error { return tx.ForgetAttempt(ctx, g.account(m.ID)) },
	)
}
