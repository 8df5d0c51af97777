package sim

import (
	"context"
	"errors"
	"strings"

	"maillon/internal/correction"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/store"
	"maillon/internal/story"
	"maillon/internal/treasury"
)

// A shown is the correction of which a story has seen the preview, and the
// proposal that it became with the first approval.
type shown struct {
	treasury.Correction
	proposal int64
}

// preview works out what putting balances back would do. Without accounts, the
// theft is what the page proposes.
func (s *stage) preview(ctx context.Context, tx *store.Tx, a story.Act) error {
	if a.Attributes["scope"] == "undo" { // the last correction of this story
		c, err := s.Treasury.Backwards(ctx, tx, s.shown.proposal)
		if err != nil {
			return err
		}
		return s.show(ctx, tx, c)
	}
	since, err := story.Moment(a.Attributes["t0"])
	if err != nil {
		return err
	}
	c := treasury.Correction{Since: since, Scope: correction.Scope{All: a.Attributes["scope"] == "all"}}
	for to, names := range map[*[]ledger.AccountID]string{&c.Accounts: a.Attributes["accounts"], &c.Keep: a.Attributes["keep"]} {
		for name := range strings.SplitSeq(names, ",") {
			if name == "" {
				continue
			}
			account, err := s.accountOf(ctx, tx, name)
			if err != nil {
				return err
			}
			*to = append(*to, account.ID)
		}
	}
	if a.Attributes["scope"] == "tainted" {
		suspects, err := s.Treasury.Suspects(ctx, tx, since)
		if err != nil {
			return err
		}
		for _, one := range suspects {
			c.Roots = append(c.Roots, one.ID)
		}
	}
	return s.show(ctx, tx, c)
}

// show works a correction out, for who approves it.
func (s *stage) show(ctx context.Context, tx *store.Tx, c treasury.Correction) error {
	p, err := s.Treasury.Preview(ctx, tx, c)
	if err != nil {
		return err
	}
	s.shown = shown{Correction: p.Correction}
	return nil
}

// approve proposes what was shown, or approves what another has proposed.
func (s *stage) approve(ctx context.Context, tx *store.Tx, admin *member.Member) (err error) {
	switch by := treasury.By(admin); {
	case s.shown.Shown == "":
		return errors.New("there is no preview")
	case s.shown.proposal == 0:
		s.shown.proposal, err = s.Treasury.ProposeCorrection(ctx, tx, by, s.shown.Correction, "story")
		return err
	default:
		return s.Treasury.Approve(ctx, tx, by, s.shown.proposal)
	}
}
