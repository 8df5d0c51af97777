package store_test

import (
	"path/filepath"
	"regexp"
	"testing"

	"github.com/jackc/pgx/v5"

	"maillon/internal/store"
	"maillon/internal/store/pgtest"
)

// A place is where the database of a test is kept, over several openings.
type place struct{ where string }

// both runs a test on each kind of database: what one promises, both promise.
func both(t *testing.T, test func(t *testing.T, p place)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, place{filepath.Join(t.TempDir(), "books.db")}) })
	t.Run("postgres", func(t *testing.T) { test(t, place{pgtest.New(t)}) })
}

// everywhere is both, and in memory.
func everywhere(t *testing.T, test func(t *testing.T, p place)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) { test(t, place{store.Memory}) })
	both(t, test)
}

func (p place) open(t testing.TB) *store.DB {
	t.Helper()
	return openFile(t, p.where)
}

// empty makes the tables of a database server as they were at first.
func (p place) empty(t testing.TB) {
	t.Helper()
	p.edit(t, `DO $$ DECLARE r record; BEGIN
		FOR r IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ('turn', 'goose_db_version') LOOP
			EXECUTE 'TRUNCATE ' || quote_ident(r.tablename);
		END LOOP;
	END $$`)
}

var blob = regexp.MustCompile(`x'([0-9a-f]*)'`)

// edit changes the database as somebody with a knife would.
func (p place) edit(t testing.TB, texts ...string) {
	t.Helper()
	if !store.IsURL(p.where) {
		edit(t, p.where, texts...)
		return
	}
	c, err := pgx.Connect(t.Context(), p.where)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	for _, text := range texts {
		if _, err := c.Exec(t.Context(), blob.ReplaceAllString(text, `'\x$1'::bytea`)); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}
