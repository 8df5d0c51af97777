package store_test

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"maillon/internal/store"
)

// A record is found by what it says of itself, and proven like all else.
func TestRecordsAreFoundAndProven(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		db := p.open(t)
		now := time.Now()
		update(t, db, func(tx *store.Tx) error {
			for _, r := range []store.Record{
				{Kind: "claim", Owner: 1, Parent: 7, State: "open", Ref: "A-1", Who: tx.Whose("+33639980010"), Due: now.Add(time.Minute), Body: []byte(`{"n":1}`)},
				{Kind: "claim", Owner: 1, Parent: 7, State: "honoured", Ref: "A-2", Body: []byte(`{}`)},
				{Kind: "claim", Owner: 2, Parent: 8, State: "open", Ref: "A-1", Due: now.Add(time.Hour), Body: []byte(`{}`)},
				{Kind: "attempt", Owner: 1, State: "open", Loose: true, Body: []byte(`{}`)},
			} {
				if err := tx.SaveRecord(t.Context(), &r); err != nil {
					return err
				}
			}
			return nil
		})
		for _, c := range []struct {
			name  string
			where store.RecordsWhere
			want  []int64
		}{
			{"all of a kind", store.RecordsWhere{Kind: "claim"}, []int64{1, 2, 3}},
			{"whose they are", store.RecordsWhere{Kind: "claim", Owner: 1}, []int64{1, 2}},
			{"the newest first", store.RecordsWhere{Kind: "claim", Owner: 1, Newest: true}, []int64{2, 1}},
			{"what they belong to", store.RecordsWhere{Kind: "claim", Parent: 8}, []int64{3}},
			{"their states", store.RecordsWhere{Kind: "claim", States: []string{"open", "reserved"}}, []int64{1, 3}},
			{"what is due", store.RecordsWhere{Kind: "claim", DueBy: now.Add(2 * time.Minute)}, []int64{1}},
			{"after one", store.RecordsWhere{Kind: "claim", After: 1, Before: 3}, []int64{2}},
			{"another kind", store.RecordsWhere{Kind: "attempt"}, []int64{4}},
		} {
			var got []int64
			view(t, db, func(tx *store.Tx) error {
				all, err := tx.Records(t.Context(), c.where, 10)
				for _, r := range all {
					got = append(got, r.ID)
				}
				return err
			})
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: %v, want %v", c.name, got, c.want)
			}
		}
		update(t, db, func(tx *store.Tx) error {
			r, err := tx.RecordByRef(t.Context(), "claim", 1, "A-1")
			if err != nil || string(r.Body) != `{"n":1}` || !r.Due.Equal(now.Add(time.Minute).Truncate(time.Microsecond)) {
				t.Errorf("the record by its reference is %+v, %v", r, err)
			}
			mine, err := tx.Records(t.Context(), store.RecordsWhere{Kind: "claim", Who: tx.Whose("+33639980010")}, 10)
			if err != nil || len(mine) != 1 {
				t.Errorf("%d records concern the number, %v", len(mine), err)
			}
			again := store.Record{Kind: "claim", Owner: 1, Ref: "A-1", Body: []byte(`{}`)}
			if err := tx.SaveRecord(t.Context(), &again); !errors.Is(err, store.ErrTaken) {
				t.Errorf("a reference given twice: %v", err)
			}
			r.State, r.Due = "honoured", time.Time{}
			return errors.Join(tx.SaveRecord(t.Context(), &r), tx.EndRecord(t.Context(), "claim", 2), tx.EndRecord(t.Context(), "claim", 99))
		})
		view(t, db, func(tx *store.Tx) error {
			states, err := tx.CountRecords(t.Context(), "claim", 0)
			if err != nil || states["honoured"] != 1 || states["open"] != 1 {
				t.Errorf("states %v, %v", states, err)
			}
			due, err := tx.NextRecordDue(t.Context(), "claim", "attempt")
			if err != nil || !due.Equal(now.Add(time.Hour).Truncate(time.Microsecond)) {
				t.Errorf("next due %v, %v", due, err)
			}
			return nil
		})
		faults, err := db.Verify(t.Context(), nil)
		if err != nil || len(faults) > 0 {
			t.Errorf("verify: %v, %v", faults, err)
		}
	})
}

// Somebody with a knife at the table is named.
func TestARecordChangedByHandIsFound(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		db := p.open(t)
		update(t, db, func(tx *store.Tx) error {
			return tx.SaveRecord(t.Context(), &store.Record{Kind: "claim", Owner: 1, State: "open", Body: []byte(`{}`)})
		})
		p.edit(t, `UPDATE record SET state = 'honoured'`)
		faults, err := db.Verify(t.Context(), nil)
		if err != nil || len(faults) != 1 || faults[0].Table != "record" {
			t.Errorf("verify: %v, %v", faults, err)
		}
	})
}

// What is sealed for a client is read until its key dies, or is destroyed before.
func TestWhatIsSealedForAClientDies(t *testing.T) {
	dir := t.TempDir()
	db := openFile(t, filepath.Join(dir, "books.db"))
	var sealed, gone []byte
	update(t, db, func(tx *store.Tx) (err error) {
		if sealed, err = tx.SealFor(t.Context(), tx.Now().Add(400*24*time.Hour), []byte("+33639980010")); err != nil {
			return err
		}
		if gone, err = tx.SealFor(t.Context(), tx.Now().Add(400*24*time.Hour), []byte("secret")); err != nil {
			return err
		}
		return tx.EraseSealed(t.Context(), gone)
	})
	view(t, db, func(tx *store.Tx) error {
		text, err := tx.UnsealFor(t.Context(), sealed)
		if err != nil || string(text) != "+33639980010" {
			t.Errorf("unsealed %q, %v", text, err)
		}
		if _, err := tx.UnsealFor(t.Context(), gone); !errors.Is(err, store.ErrErased) {
			t.Errorf("what was erased: %v", err)
		}
		return nil
	})
	update(t, db, func(tx *store.Tx) error { return tx.Forget(t.Context()) })
	view(t, db, func(tx *store.Tx) error {
		_, err := tx.UnsealFor(t.Context(), sealed)
		return err
	})
}

// A backup brings records back, and what is sealed for clients; what was erased
// stays so, and what is loose is gone.
func TestRecordsComeBackFromABackup(t *testing.T) {
	dir := t.TempDir()
	db := open(t)
	var sealed, gone []byte
	claim := store.Record{Kind: "claim", Owner: 1, State: "open", Ref: "A-1", Body: []byte(`{"n":1}`)}
	loose := store.Record{Kind: "attempt", Loose: true, Body: []byte(`{}`)}
	update(t, db, func(tx *store.Tx) (err error) {
		dies := tx.Now().Add(400 * 24 * time.Hour)
		if sealed, err = tx.SealFor(t.Context(), dies, []byte("+33639980010")); err != nil {
			return err
		}
		if gone, err = tx.SealFor(t.Context(), dies, []byte("secret")); err != nil {
			return err
		}
		return errors.Join(tx.SaveRecord(t.Context(), &claim), tx.SaveRecord(t.Context(), &loose))
	})
	update(t, db, func(tx *store.Tx) error {
		claim.State = "honoured"
		return errors.Join(tx.SaveRecord(t.Context(), &claim), tx.EraseSealed(t.Context(), gone))
	})
	backup(t, db, dir)
	restored, _ := restore(t, store.Restoration{From: dir})
	view(t, restored, func(tx *store.Tx) error {
		r, err := tx.RecordByRef(t.Context(), "claim", 1, "A-1")
		if err != nil || r.State != "honoured" || string(r.Body) != `{"n":1}` {
			t.Errorf("the record is %+v, %v", r, err)
		}
		if _, err := tx.Record(t.Context(), "attempt", loose.ID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a loose one: %v", err)
		}
		text, err := tx.UnsealFor(t.Context(), sealed)
		if err != nil || string(text) != "+33639980010" {
			t.Errorf("unsealed %q, %v", text, err)
		}
		if _, err := tx.UnsealFor(t.Context(), gone); !errors.Is(err, store.ErrErased) {
			t.Errorf("what was erased: %v", err)
		}
		return nil
	})
	faults, err := restored.Verify(t.Context(), nil)
	if err != nil || len(faults) > 0 {
		t.Errorf("verify: %v, %v", faults, err)
	}
}
