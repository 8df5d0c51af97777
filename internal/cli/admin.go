package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"maillon/internal/auth"
	"maillon/internal/console/door"
	"maillon/internal/member"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// adminCommand lets people into the administrators' pages.
type adminCommand struct {
	Invite adminInvite `cmd:"" help:"Print a link by which somebody who has a role chooses a password and a second factor."`
	Reset  adminReset  `cmd:"" help:"End somebody's sessions, password, second factor and passkeys, and print a link to choose others."`
}

// An invitee is whom a link is for, and where the pages are.
type invitee struct {
	place
	Name string `arg:"" help:"A pseudo, a number, or member:ID."`
	URL  string `help:"Where browsers find the server." placeholder:"URL" default:"http://localhost:8080" env:"MAILLON_URL"`
}

type adminInvite struct{ invitee }

// Run prints an invitation.
func (c adminInvite) Run(ctx context.Context, io *Streams) error {
	return c.hand(ctx, io, func(ctx context.Context, tx *store.Tx, b *books, m *member.Member) (auth.Token, error) {
		return b.Gate.Invite(ctx, tx, treasury.Operator, m)
	})
}

type adminReset struct{ invitee }

// Run ends what somebody signs in with, and prints an invitation.
func (c adminReset) Run(ctx context.Context, io *Streams) error {
	return c.hand(ctx, io, func(ctx context.Context, tx *store.Tx, b *books, m *member.Member) (auth.Token, error) {
		return b.Gate.RenewCredentials(ctx, tx, treasury.Operator, m)
	})
}

// hand draws an invitation and prints it, this once. The other administrators
// are told.
func (c invitee) hand(ctx context.Context, io *Streams, draw func(context.Context, *store.Tx, *books, *member.Member) (auth.Token, error)) error {
	at, err := url.Parse(c.URL)
	if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" || strings.Trim(at.Path, "/") != "" || at.RawQuery != "" {
		return exitf(ExitUsage, "--url %s: an address such as https://maillon.example is expected", c.URL)
	}
	b, err := c.open(ctx, false)
	if err != nil {
		return err
	}
	defer b.Close() //nolint:errcheck // every Update is on disk already
	var t auth.Token
	err = b.update(ctx, func(tx *store.Tx) error {
		m, err := b.find(ctx, tx, c.Name)
		if err != nil {
			return err
		}
		if t, err = draw(ctx, tx, b, m); err != nil {
			return err
		}
		return b.Treasury.Warn(ctx, tx, treasury.Operator, m, true)
	})
	if errors.Is(err, auth.ErrNoRole) {
		return exitf(ExitNo, "%s: %w; give one first with: maillon member role", c.Name, err)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(io.Err, "Whoever opens this link is %s from then on: hand it over in person. It is good once, for %d hours.\n",
		c.Name, auth.InvitationLife/time.Hour)
	_, err = fmt.Fprintln(io.Out, door.Link(at.Scheme+"://"+at.Host, t))
	return err
}
