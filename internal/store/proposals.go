package store

import (
	"context"
	"time"
)

// MaxProposals bounds how many proposals are listed, and MaxPayload what one
// holds, in octets.
const (
	MaxProposals = 500
	MaxPayload   = 16 << 20
)

// A Verdict is what became of a proposal.
type Verdict string

// The verdicts.
const (
	Pending  Verdict = "open"
	Approved Verdict = "approved"
	Declined Verdict = "declined"
)

// A Proposal is what one person asked for and another must approve.
type Proposal struct {
	ID      int64
	Kind    string
	By      string
	At      time.Time
	Till    time.Time // then nobody can approve it any more
	State   Verdict
	Payload []byte // of the kind
	Reason  string

	DecidedBy string
	DecidedAt time.Time
	Verdict   string // why it was declined
}

const proposalColumns = `id, kind, actor, at, till, state, payload, reason, decided_by, decided_at, verdict`

func scanProposal(scan scan) (p Proposal, err error) {
	err = scan(&p.ID, &p.Kind, &p.By, moment{&p.At}, moment{&p.Till}, &p.State, &p.Payload, &p.Reason, &p.DecidedBy, moment{&p.DecidedAt}, &p.Verdict)
	return p, found(err)
}

// AddProposal writes a new proposal and gives its ID and time.
func (tx *Tx) AddProposal(ctx context.Context, p *Proposal) error {
	id, err := tx.nextID(ctx, "proposal")
	if err != nil {
		return err
	}
	p.ID, p.At, p.State = id, tx.now, Pending
	return tx.later(ctx, `INSERT INTO proposal (id, kind, actor, at, till, state, payload, reason) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		p.ID, p.Kind, p.By, micros(p.At), micros(p.Till), string(p.State), p.Payload, p.Reason)
}

// Proposal returns a proposal, or ErrNotFound.
func (tx *Tx) Proposal(ctx context.Context, id int64) (Proposal, error) {
	return scanProposal(tx.row(ctx, `SELECT `+proposalColumns+` FROM proposal WHERE id = $1`, id).Scan)
}

// Proposals returns the proposals that wait, the oldest first.
func (tx *Tx) Proposals(ctx context.Context) ([]Proposal, error) {
	var all []Proposal
	err := tx.each(ctx, func(scan scan) error {
		p, err := scanProposal(scan)
		all = append(all, p)
		return err
	}, `SELECT `+proposalColumns+` FROM proposal WHERE state = 'open' AND till > $1 ORDER BY id LIMIT $2 + 0`, micros(tx.now), MaxProposals)
	return all, err
}

// DecideProposal ends a proposal that waits. It reports false if somebody else
// was quicker.
func (tx *Tx) DecideProposal(ctx context.Context, id int64, by string, v Verdict, why string) (bool, error) {
	n, err := tx.exec(ctx, `UPDATE proposal SET state = $2, decided_by = $3, decided_at = $4, verdict = $5 WHERE id = $1 AND state = 'open'`,
		id, string(v), by, micros(tx.now), why)
	return n > 0, err
}
