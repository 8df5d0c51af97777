package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"maillon/internal/store"
)

// What administrators did is found by who, what and to whom, the newest first,
// and cannot be changed by hand without Verify saying so.
func TestActsAreFoundAndProven(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		db := p.open(t)
		for n := range 5 {
			update(t, db, func(tx *store.Tx) error {
				tx.Act("member:1", "freeze", fmt.Sprintf("member:%d", n), "")
				tx.Audit(store.Act{By: "member:2", What: "set", Subject: "max", Reason: "market", Was: "200", Became: "300"})
				return nil
			})
		}
		for name, c := range map[string]struct {
			where store.ActsWhere
			want  []int64
		}{
			"all":        {store.ActsWhere{}, []int64{10, 9, 8}},
			"further":    {store.ActsWhere{Before: 4}, []int64{3, 2, 1}},
			"by whom":    {store.ActsWhere{By: "member:1"}, []int64{9, 7, 5}},
			"what":       {store.ActsWhere{What: "set", Before: 10}, []int64{8, 6, 4}},
			"to whom":    {store.ActsWhere{Subject: "member:3"}, []int64{7}},
			"not so old": {store.ActsWhere{Since: time.Now().Add(time.Hour)}, nil},
			"not so new": {store.ActsWhere{Until: time.Now().Add(-time.Hour)}, nil},
		} {
			var got []int64
			view(t, db, func(tx *store.Tx) error {
				acts, err := tx.Acts(t.Context(), c.where, 3)
				for _, a := range acts {
					got = append(got, a.ID)
				}
				return err
			})
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: acts %v, want %v", name, got, c.want)
			}
		}
		if faults, err := db.Verify(t.Context(), nil); err != nil || len(faults) > 0 {
			t.Fatalf("Verify = %v, %v", faults, err)
		}
		p.edit(t, `UPDATE audit SET became = '900' WHERE id = 4`, `DELETE FROM audit WHERE id = 5`)
		faults, err := db.Verify(t.Context(), nil)
		if err != nil || len(faults) != 2 {
			t.Errorf("Verify finds %v, %v after two changes by hand", faults, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// A proposal waits until one person decides.
func TestAProposalIsDecidedOnce(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		db := p.open(t)
		defer func() { _ = db.Close() }()
		proposal := store.Proposal{Kind: "role", By: "member:1", Till: time.Now().Add(time.Hour), Payload: []byte{1, 0, 2}, Reason: "why"}
		update(t, db, func(tx *store.Tx) error { return tx.AddProposal(t.Context(), &proposal) })
		old := store.Proposal{Kind: "role", By: "member:1", Till: time.Now().Add(-time.Hour), Payload: []byte{}}
		update(t, db, func(tx *store.Tx) error { return tx.AddProposal(t.Context(), &old) })
		view(t, db, func(tx *store.Tx) error {
			all, err := tx.Proposals(t.Context())
			if len(all) != 1 || all[0].ID != proposal.ID || string(all[0].Payload) != "\x01\x00\x02" || all[0].Reason != "why" {
				t.Errorf("waiting: %v, want the one that is not too old", all)
			}
			return err
		})
		for n, want := range []bool{true, false} {
			update(t, db, func(tx *store.Tx) error {
				done, err := tx.DecideProposal(t.Context(), proposal.ID, fmt.Sprintf("member:%d", n+2), store.Approved, "")
				if done != want {
					t.Errorf("decision %d counts: %v, want %v", n+1, done, want)
				}
				return err
			})
		}
		view(t, db, func(tx *store.Tx) error {
			got, err := tx.Proposal(t.Context(), proposal.ID)
			if got.State != store.Approved || got.DecidedBy != "member:2" {
				t.Errorf("it is %s by %s, want what the first decided", got.State, got.DecidedBy)
			}
			return err
		})
	})
}
