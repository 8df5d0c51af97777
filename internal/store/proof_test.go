package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"maillon/internal/store"
)

// A backup is read as it is on its disk; one that is damaged is found out.
func TestABackupIsReadBack(t *testing.T) {
	for name, hurt := range map[string]func(t *testing.T, m *store.Manifest){
		"": func(*testing.T, *store.Manifest) {},
		"a row was lost": func(t *testing.T, m *store.Manifest) {
			edit(t, filepath.Join(m.Path, "books.db"), `DROP TRIGGER IF EXISTS journal_no_delete; DELETE FROM journal WHERE seq = 2`)
		},
		"the end was lost": func(t *testing.T, m *store.Manifest) { m.Seq++ },
		"a page was lost":  func(t *testing.T, m *store.Manifest) { scratch(t, filepath.Join(m.Path, "books.db")) },
		"the keys were lost": func(t *testing.T, m *store.Manifest) {
			if err := os.Remove(filepath.Join(filepath.Dir(m.Path), "keys.db")); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t)
			settle(t, db)
			m := backup(t, db, t.TempDir())
			if err := m.ReadBack(t.Context()); err != nil {
				t.Fatalf("a good backup: %v", err)
			}
			hurt(t, &m)
			err := m.ReadBack(t.Context())
			if (err != nil) != (name != "") {
				t.Errorf("ReadBack = %v", err)
			}
			if name == "a row was lost" && !errors.Is(err, store.ErrBackup) {
				t.Errorf("ReadBack = %v, want ErrBackup", err)
			}
		})
	}
}

// scratch overwrites a file from its second page on.
func scratch(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, 40<<10), 4<<10); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
