package safety

import (
	"context"
	"time"

	"maillon/internal/console/frame"
	"maillon/internal/member"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// pauseView is what the page of the pause knows.
type pauseView struct {
	Since    time.Time
	Proposed string    // who wants to go on
	At       time.Time // since when
	Mine     bool      // it was this visitor
	Waiting  int       // members whose order the pause met: they will be told
	More     bool      // and there are more of them
	Undone   int       // corrections that nobody has decided yet
}

func (r room) showPause(v *frame.Visit) error {
	var p pauseView
	err := v.View(func(ctx context.Context, tx *store.Tx) (err error) {
		if p.Since, err = tx.Paused(ctx); err != nil || p.Since.IsZero() {
			return err
		}
		waiting, err := tx.Members(ctx, store.WaitingForResume, 0, maxShown)
		if err != nil {
			return err
		}
		p.Waiting, p.More = len(waiting), len(waiting) == maxShown
		proposals, err := tx.Proposals(ctx)
		if err != nil {
			return err
		}
		for _, one := range proposals {
			if one.Kind == treasury.PutBack {
				p.Undone++
			}
		}
		by, at, err := r.server.Treasury.ResumeProposed(ctx, tx)
		if err != nil || by == "" {
			return err
		}
		id, _ := frame.ActorID(by)
		names, err := v.Names(ctx, tx, id)
		p.Proposed, p.At, p.Mine = names.By(by), at, by == v.By()
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("pause", p)
}

func (r room) pause(v *frame.Visit) error {
	err := v.Update(func(ctx context.Context, tx *store.Tx) error { return r.server.Treasury.Pause(ctx, tx, v.By()) })
	if err != nil {
		return err
	}
	return v.Done("/pause", "pause.done")
}

func (r room) resume(v *frame.Visit) error {
	goesOn := false
	err := v.Update(func(ctx context.Context, tx *store.Tx) (err error) {
		goesOn, err = r.server.Treasury.Resume(ctx, tx, v.By())
		return err
	})
	switch {
	case err != nil:
		return err
	case goesOn:
		return v.Done("/", "resume.done")
	}
	return v.Done("/pause", "resume.proposed")
}

// approvalView is one proposal.
type approvalView struct {
	store.Proposal
	Who     string
	Word    string
	More    string // path of a page with all of it
	May     bool   // decide it
	Mine    bool
	Decider string
}

// maxShown bounds the proposals on a page, and the members that it counts.
const maxShown = 200

func (r room) listApprovals(v *frame.Visit) error {
	var all []approvalView
	err := v.View(func(ctx context.Context, tx *store.Tx) error {
		waiting, err := tx.Proposals(ctx)
		if err != nil {
			return err
		}
		all, err = describe(ctx, tx, v, waiting[:min(len(waiting), maxShown)]...)
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("approvals", all)
}

func (r room) showApproval(v *frame.Visit) error {
	id, err := v.PathID("id")
	if err != nil {
		return err
	}
	var all []approvalView
	err = v.View(func(ctx context.Context, tx *store.Tx) error {
		p, err := tx.Proposal(ctx, id)
		if err != nil {
			return err
		}
		all, err = describe(ctx, tx, v, p)
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("approval", all[0])
}

func describe(ctx context.Context, tx *store.Tx, v *frame.Visit, proposals ...store.Proposal) ([]approvalView, error) {
	var ids []member.ID
	for _, p := range proposals {
		for _, actor := range []string{p.By, p.DecidedBy} {
			if id, ok := frame.ActorID(actor); ok {
				ids = append(ids, id)
			}
		}
	}
	names, err := v.Names(ctx, tx, ids...)
	if err != nil {
		return nil, err
	}
	kinds := v.Approvals()
	all := make([]approvalView, 0, len(proposals))
	for _, p := range proposals {
		k := kinds[p.Kind]
		open := p.State == store.Pending && tx.Now().Before(p.Till)
		all = append(all, approvalView{
			Proposal: p, Who: names.By(p.By), Decider: names.By(p.DecidedBy), Word: k.Word, More: k.At(p.ID),
			Mine: p.By == v.By(), May: open && v.May(k.Right),
		})
	}
	return all, nil
}

// decide approves or declines a proposal. What its kind does happens at once.
func (r room) decide(v *frame.Visit) error {
	id, err := v.PathID("id")
	if err != nil {
		return err
	}
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	approves := v.Value("verdict") == "approve"
	err = v.Update(func(ctx context.Context, tx *store.Tx) error {
		p, err := tx.Proposal(ctx, id)
		if err != nil {
			return err
		}
		if p.By != v.By() && !v.May(v.Approvals()[p.Kind].Right) {
			return frame.ErrMayNot
		}
		if approves {
			return r.server.Treasury.Approve(ctx, tx, v.By(), id)
		}
		return r.server.Treasury.Decline(ctx, tx, v.By(), id, v.Value("reason"))
	})
	switch {
	case err != nil:
		return err
	case approves:
		return v.Done("/approvals", "approval.approved")
	}
	return v.Done("/approvals", "approval.declined")
}
