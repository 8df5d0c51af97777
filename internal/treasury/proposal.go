package treasury

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"maillon/internal/auth"
	"maillon/internal/member"
	"maillon/internal/store"
)

// proposalLife is how long a proposal waits for a second person.
const proposalLife = 7 * 24 * time.Hour

var (
	// ErrDecided means that somebody has decided already.
	ErrDecided = errors.New("it was decided already")
	// ErrTooLate means that a proposal waited too long.
	ErrTooLate = errors.New("the proposal is too old")
	// ErrReason means that a reason is missing.
	ErrReason = errors.New("a reason is needed")
)

// A Kind of proposal says what is done once a second person approves one. It is
// done in the transaction of the approval: if it fails, nothing was approved.
type Kind func(ctx context.Context, tx *store.Tx, p store.Proposal) error

// Propose writes down what a second person must approve, and why. The payload is
// of the kind; it holds no personal data unless sealed.
func (t *Treasury) Propose(ctx context.Context, tx *store.Tx, by, kind string, payload []byte, reason string) (int64, error) {
	if _, ok := t.Kinds[kind]; !ok {
		return 0, fmt.Errorf("proposal of an unknown kind %q", kind)
	}
	if len(payload) > store.MaxPayload {
		return 0, fmt.Errorf("proposal of %d octets, at most %d", len(payload), store.MaxPayload)
	}
	p := &store.Proposal{Kind: kind, By: by, Till: tx.Now().Add(proposalLife), Payload: payload, Reason: reason}
	if err := tx.AddProposal(ctx, p); err != nil {
		return 0, err
	}
	tx.Act(by, "propose", subject(p.ID), kind)
	return p.ID, nil
}

func subject(id int64) string { return "proposal:" + strconv.FormatInt(id, 10) }

// Approve does what another person has proposed. It returns ErrSecond,
// ErrDecided, ErrTooLate, or auth.ErrRenew for a person who must prove anew who
// they are.
func (t *Treasury) Approve(ctx context.Context, tx *store.Tx, by string, id int64) error {
	p, err := t.pending(ctx, tx, id)
	if err != nil {
		return err
	}
	if p.By == by {
		return ErrSecond
	}
	if err := trusted(ctx, tx, by); err != nil {
		return err
	}
	do, ok := t.Kinds[p.Kind]
	if !ok {
		return fmt.Errorf("proposal of an unknown kind %q", p.Kind)
	}
	if _, err := tx.DecideProposal(ctx, id, by, store.Approved, ""); err != nil {
		return err
	}
	tx.Act(by, "approve", subject(id), p.Kind)
	p.DecidedBy = by
	return do(ctx, tx, p)
}

// trusted returns auth.ErrRenew for a person whose sessions were revoked.
func trusted(ctx context.Context, tx *store.Tx, by string) error {
	digits, is := strings.CutPrefix(by, "member:")
	if !is {
		return nil // whoever holds the machine
	}
	id, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return fmt.Errorf("who is %q: %w", by, err)
	}
	m, err := tx.Member(ctx, member.ID(id))
	if err != nil {
		return err
	}
	return auth.MayApprove(ctx, tx, m)
}

// Decline ends a proposal. Whoever made it may take it back too.
func (t *Treasury) Decline(ctx context.Context, tx *store.Tx, by string, id int64, why string) error {
	p, err := t.pending(ctx, tx, id)
	if err != nil {
		return err
	}
	if why == "" && p.By != by {
		return ErrReason
	}
	if _, err := tx.DecideProposal(ctx, id, by, store.Declined, why); err != nil {
		return err
	}
	tx.Act(by, "decline", subject(id), why)
	return nil
}

func (t *Treasury) pending(ctx context.Context, tx *store.Tx, id int64) (store.Proposal, error) {
	p, err := tx.Proposal(ctx, id)
	switch {
	case err != nil:
		return p, err
	case p.State != store.Pending:
		return p, ErrDecided
	case !tx.Now().Before(p.Till):
		return p, ErrTooLate
	}
	return p, nil
}
