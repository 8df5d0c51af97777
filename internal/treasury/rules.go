package treasury

import (
	"context"
	"maps"
	"strconv"

	"maillon/internal/guard"
	"maillon/internal/store"
)

// Acts about rules and alerts, as the audit names them.
const (
	ChangeRule = "rule"
	EndAlert   = "alert.end"
)

// SetRule changes what a rule does and from when on, for all servers at once.
// was is how whoever decides saw it before: if somebody has changed it since,
// it is ErrDecided. What a rule cannot be is guard.ErrRule.
func (t *Treasury) SetRule(ctx context.Context, tx *store.Tx, by, id string, was, now guard.Decree, reason string) error {
	if reason == "" {
		return ErrReason
	}
	if err := now.Check(id); err != nil {
		return err
	}
	regime, err := tx.Regime(ctx)
	if err != nil {
		return err
	}
	r, _ := guard.RuleOf(id)
	before := regime.Decrees.Of(r)
	if before.String() != was.String() {
		return ErrDecided
	}
	all := maps.Clone(regime.Decrees) // what is remembered is shared
	if all == nil {
		all = guard.Decrees{}
	}
	all[id] = now
	if now.String() == r.Default().String() {
		delete(all, id)
	}
	tx.Audit(store.Act{By: by, What: ChangeRule, Subject: "rule:" + id, Reason: reason, Was: before.String(), Became: now.String()})
	return tx.SetDecrees(ctx, all)
}

// EndAlert notes that somebody has dealt with an alert, and how. It returns
// ErrDecided if somebody has already, or if there was nothing to deal with.
func (t *Treasury) EndAlert(ctx context.Context, tx *store.Tx, by string, id int64, reason string) error {
	if reason == "" {
		return ErrReason
	}
	if _, err := tx.Alert(ctx, id); err != nil {
		return err
	}
	ended, err := tx.EndAlert(ctx, id, by, reason)
	if err != nil {
		return err
	}
	if !ended {
		return ErrDecided
	}
	tx.Act(by, EndAlert, "alert:"+strconv.FormatInt(id, 10), reason)
	return nil
}
