package sim_test

import (
	"path/filepath"
	"testing"

	"maillon/internal/sim"
	"maillon/internal/store"
)

// A town that was filled is proven by its journal, and its members are found.
func TestAFilledTownIsProven(t *testing.T) {
	path := filepath.Join(t.TempDir(), "books.db")
	if err := sim.FillTown(t.Context(), path, store.Secret{1}, 300, 2_000, nil); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), path, store.Secret{1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if faults, err := db.Verify(t.Context(), nil); err != nil || len(faults) > 0 {
		t.Fatalf("Verify = %v, %v", faults, err)
	}
	err = db.View(t.Context(), func(tx *store.Tx) error {
		m, err := tx.MemberByNick(t.Context(), "m100300")
		if err == nil && m.ID != 300 {
			t.Errorf("m100300 is member %d", m.ID)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
