package store_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"

	"maillon/internal/ledger"
	"maillon/internal/store"
)

// A full disk is told apart from a row that cannot be.
func TestAnOutageIsNoFaultOfTheRow(t *testing.T) {
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "small.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1) // the bound is one connection's own
	for _, text := range []string{`CREATE TABLE one (id INTEGER PRIMARY KEY, text BLOB)`, `INSERT INTO one VALUES (1, x'')`, `PRAGMA max_page_count = 3`} {
		if _, err := db.Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	_, full := db.Exec(`INSERT INTO one VALUES (2, zeroblob(1000000))`)
	_, twice := db.Exec(`INSERT INTO one VALUES (1, x'')`)
	if full == nil || twice == nil {
		t.Fatalf("full: %v, twice: %v", full, twice)
	}
	for _, test := range []struct {
		err  error
		want bool
	}{
		{fmt.Errorf("insert order: %w", full), true},
		{store.ErrBusy, true},
		{fmt.Errorf("update: %w", store.ErrClosed), true},
		{twice, false},
		{ledger.ErrInsufficient, false},
		{nil, false},
	} {
		if got := store.IsOutage(test.err); got != test.want {
			t.Errorf("IsOutage(%v) = %v, want %v", test.err, got, test.want)
		}
	}
}
