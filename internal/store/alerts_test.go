package store_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"maillon/internal/guard"
	"maillon/internal/store"
)

// Alerts are listed with their facts, the newest first; one that is open can be
// ended once, and one that only logs asks nobody for anything.
func TestAlerts(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		db := p.open(t)
		facts := []store.Fact{{Name: "order", Value: "K7F2"}, {Name: "amount", Value: "50 MAILLON"}}
		update(t, db, func(tx *store.Tx) error {
			for _, a := range []store.Alert{
				{Rule: "VEL1", About: 7, Act: guard.Hold, Facts: facts}, {Rule: "STR1", About: 7, Act: guard.Log}, {Rule: "BUR2", Act: guard.Warn},
			} {
				if err := tx.RaiseAlert(t.Context(), a); err != nil {
					return err
				}
			}
			return nil
		})
		ids := func(w store.AlertsWhere) (ids []int64) {
			view(t, db, func(tx *store.Tx) error {
				all, err := tx.Alerts(t.Context(), w, 10)
				for _, a := range all {
					ids = append(ids, a.ID)
				}
				return err
			})
			return ids
		}
		for name, c := range map[string]struct {
			where store.AlertsWhere
			want  []int64
		}{
			"all": {store.AlertsWhere{}, []int64{3, 2, 1}}, "open": {store.AlertsWhere{Open: true}, []int64{3, 1}},
			"of a rule": {store.AlertsWhere{Rule: "STR1"}, []int64{2}}, "of a member": {store.AlertsWhere{About: 7}, []int64{2, 1}},
			"further": {store.AlertsWhere{Before: 3, Open: true}, []int64{1}},
		} {
			if got := ids(c.where); !slices.Equal(got, c.want) {
				t.Errorf("%s: alerts %v, want %v", name, got, c.want)
			}
		}
		for n, want := range map[int64][]bool{1: {true, false}, 2: {false, false}} {
			for i := range want {
				update(t, db, func(tx *store.Tx) error {
					ended, err := tx.EndAlert(t.Context(), n, "member:2", "rang her: all well")
					if ended != want[i] {
						t.Errorf("alert %d ended the %d. time: %v, want %v", n, i+1, ended, want[i])
					}
					return err
				})
			}
		}
		view(t, db, func(tx *store.Tx) error {
			a, err := tx.Alert(t.Context(), 1)
			if a.Open() || a.EndedBy != "member:2" || a.Reason == "" || a.Act != guard.Hold || !slices.Equal(a.Facts, facts) {
				t.Errorf("the ended alert is %+v", a)
			}
			n, countErr := tx.OpenAlerts(t.Context())
			fired, firedErr := tx.Fired(t.Context(), "STR1", time.Now().Add(-time.Hour))
			if n != 1 || fired != 1 {
				t.Errorf("%d alerts are open, STR1 fired %d times; want 1 and 1", n, fired)
			}
			if countErr != nil || firedErr != nil {
				t.Error(countErr, firedErr)
			}
			return err
		})
	})
}

// What is decreed of the rules holds from the next transaction on, on every
// server, and not if its transaction failed; and it is proven like all of record.
func TestDecreesHoldAtOnceEverywhere(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		here, there := p.open(t), p.open(t)
		act := func(db *store.DB) (act guard.Act) {
			rule, _ := guard.RuleOf("VEL1")
			update(t, db, func(tx *store.Tx) error {
				r, err := tx.Regime(t.Context())
				if r.Begun.IsZero() {
					t.Error("the books were never begun")
				}
				act = r.Decrees.Of(rule).Act
				return err
			})
			return act
		}
		decree := func(a guard.Act) func(*store.Tx) error {
			return func(tx *store.Tx) error {
				return tx.SetDecrees(t.Context(), guard.Decrees{"VEL1": {Act: a, At: []int64{5, 10}}})
			}
		}
		update(t, here, func(tx *store.Tx) error { tx.Act("operator", "begin", "", ""); return nil })
		for _, want := range []guard.Act{guard.Hold, guard.Warn, guard.Refuse} {
			if want != guard.Hold {
				update(t, here, decree(want))
			}
			if a, b := act(here), act(there); a != want || b != want {
				t.Errorf("VEL1 is %v here and %v there, want %v", a, b, want)
			}
		}
		if err := here.Update(t.Context(), func(tx *store.Tx) error {
			if err := decree(guard.Log)(tx); err != nil {
				return err
			}
			return errors.New("no")
		}); err == nil {
			t.Error("a failing transaction succeeded")
		}
		if a := act(here); a != guard.Refuse {
			t.Errorf("after a change that failed VEL1 is %v, want refuse", a)
		}
		if faults, err := here.Verify(t.Context(), nil); err != nil || len(faults) > 0 {
			t.Errorf("Verify = %v, %v", faults, err)
		}
	})
}

// What a rule only wrote down is forgotten after 90 days; an alert is not.
func TestLogsAreForgotten(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		db := p.open(t)
		for range 2 {
			for _, act := range []guard.Act{guard.Log, guard.Warn, guard.Log} {
				update(t, db, func(tx *store.Tx) error { return tx.RaiseAlert(t.Context(), store.Alert{Rule: "NGT1", Act: act}) })
			}
			p.edit(t, `UPDATE alert SET at = at - 91 * CAST(86400000000 AS BIGINT) WHERE id <= 3`)
		}
		update(t, db, func(tx *store.Tx) error { return tx.Forget(t.Context()) })
		var left []int64
		view(t, db, func(tx *store.Tx) error {
			all, err := tx.Alerts(t.Context(), store.AlertsWhere{}, 10)
			for _, a := range all {
				left = append(left, a.ID)
			}
			return err
		})
		if want := []int64{6, 5, 4, 2}; !slices.Equal(left, want) {
			t.Errorf("left are %v, want %v", left, want)
		}
	})
}
