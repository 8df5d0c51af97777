package store

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The files of a folder of backups: one folder for each backup, named by its
// time, and beside them the one file of keys.
const (
	backupBooks    = "books.db"
	backupManifest = "manifest.json"
	backupKeys     = BackupKeys
	backupName     = "20060102T150405.000Z"
)

// BackupKeys is the name of the file of keys, beside all backups.
const BackupKeys = "keys.db"

// BackupFiles are the files of one backup: the last says that it is whole.
func BackupFiles() []string { return []string{backupBooks, backupManifest} }

// BackupTime returns when the backup with a name was made.
func BackupTime(name string) (time.Time, error) { return time.Parse(backupName, name) }

// keepBackups is the age at which a backup is removed by a later one.
const keepBackups = 35 * 24 * time.Hour

// A Manifest says what a backup holds.
type Manifest struct {
	Path   string    `json:"-"` // of the backup's folder
	Time   time.Time `json:"time"`
	Seq    int64     `json:"seq"`    // of the last row of the journal
	Hash   string    `json:"hash"`   // of that row, in hexadecimal digits
	Schema int64     `json:"schema"` // the last migration
}

// Backup copies the database as it is at one moment, beside a server at work,
// into a new folder within dir, and returns once all of it is on disk.
//
// The copy is without the members' keys. They stand, still wrapped by the
// server's secret, in one file beside all backups, which the newest replaces:
// so the key of a member who was erased is gone from the old backups too. The
// secret is in neither, nor is anything about strangers that can be read.
// Backups older than 35 days are removed.
func (db *DB) Backup(ctx context.Context, dir string) (Manifest, error) {
	if db.where == Memory {
		return Manifest{}, errors.New("backup: a database in memory has no backup")
	}
	m := Manifest{Time: time.Now().UTC().Truncate(time.Millisecond)}
	m.Path = filepath.Join(dir, m.Time.Format(backupName))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	partial, err := os.MkdirTemp(dir, ".partial-")
	if err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	defer func() { _ = os.RemoveAll(partial) }() // what is whole was renamed
	if err := db.backUp(ctx, &m, partial); err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	return m, prune(dir, m.Time.Add(-keepBackups))
}

func (db *DB) backUp(ctx context.Context, m *Manifest, partial string) error {
	books, keys := filepath.Join(partial, backupBooks), filepath.Join(partial, backupKeys)
	if err := createCopy(ctx, books); err != nil {
		return err
	}
	fill := db.fillCopy
	if db.where == "" {
		fill = db.fillFromServer
	}
	if err := fill(ctx, m, books, keys); err != nil {
		return err
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	manifest := filepath.Join(partial, backupManifest)
	if err := os.WriteFile(manifest, append(text, '\n'), 0o600); err != nil {
		return err
	}
	if err := syncAll(books, keys, manifest, partial); err != nil {
		return err
	}
	// The keys first: they open this backup and all before it.
	dir := filepath.Dir(m.Path)
	if err := os.Rename(keys, filepath.Join(dir, backupKeys)); err != nil {
		return err
	}
	if err := os.Rename(partial, m.Path); err != nil {
		return err
	}
	return syncAll(m.Path, dir)
}

// createCopy makes an empty database with today's schema, in one file.
func createCopy(ctx context.Context, path string) (err error) {
	pool, err := openPool(path, "rwc")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close(), oneFile(ctx, path)) }()
	return migrateSQLite(ctx, pool)
}

// fillCopy copies the tables on one connection, so that books and keys are of
// one moment. Rows go as they are, for both schemas are the same.
func (db *DB) fillCopy(ctx context.Context, m *Manifest, books, keys string) (err error) {
	pool, err := openPool(db.where, "rw")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	if _, err := pool.ExecContext(ctx, `ATTACH $1 AS copy`, books); err != nil {
		return err
	}
	if _, err := pool.ExecContext(ctx, `ATTACH $1 AS keys`, keys); err != nil {
		return err
	}
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing is left of it once committed
	for _, text := range []string{
		strings.Replace(keyTable, "key", "keys.key", 1),
		fmt.Sprintf(`INSERT INTO keys.key (id, sealed, dies_at) SELECT id, sealed, dies_at FROM main.key WHERE dies_at = 0 OR dies_at > %d`, lastStranger(m.Time)),
		`INSERT INTO copy.sqlite_sequence (name, seq) SELECT name, seq FROM main.sqlite_sequence WHERE name = 'key'`,
	} {
		if _, err := tx.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	for _, table := range []string{
		"member", "nick", "nick_near", "account", "txn", "posting", "hold", "orders", "inbox", "outbox", "card", "block", "lookup",
		"refused", "alert", "state", "audit", "proposal", "record", "credential", "passkey", "journal",
	} {
		if _, err := tx.ExecContext(ctx, `INSERT INTO copy.`+table+` SELECT * FROM main.`+table); err != nil {
			return fmt.Errorf("copy %s: %w", table, err)
		}
	}
	var hash []byte
	if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(seq), 0), coalesce((SELECT hash FROM copy.journal ORDER BY seq DESC LIMIT 1), x''),
		(SELECT max(version_id) FROM main.goose_db_version) FROM copy.journal`).Scan(&m.Seq, &hash, &m.Schema); err != nil {
		return err
	}
	m.Hash = hex.EncodeToString(hash)
	return tx.Commit()
}

// fillFromServer does the same from a database server: one state of it is read
// table by table.
func (db *DB) fillFromServer(ctx context.Context, m *Manifest, books, keys string) (err error) {
	all, err := tables(ctx)
	if err != nil {
		return err
	}
	to, err := openWith(ctx, books, db.keys)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close(), oneFile(ctx, books)) }()
	return db.apart(ctx, func(from *Tx) error {
		if err := db.engine.patient(ctx, from.c); err != nil {
			return err
		}
		for _, t := range all {
			if t.name == "key" {
				continue
			}
			if err := (Migration{From: db, To: to}).bring(ctx, t, from.c); err != nil {
				return err
			}
		}
		last, err := db.engine.lastKey(ctx, from.c)
		if err != nil {
			return err
		}
		if err := to.Update(ctx, func(tx *Tx) error { return to.engine.setLastKey(ctx, tx.c, last) }); err != nil {
			return err
		}
		if err := copyKeys(ctx, from, keys); err != nil {
			return fmt.Errorf("copy keys: %w", err)
		}
		var hash []byte
		err = from.row(ctx, `SELECT j.seq, j.hash, (SELECT max(version_id) FROM goose_db_version) FROM journal j ORDER BY j.seq DESC LIMIT 1`).
			Scan(&m.Seq, &hash, &m.Schema)
		m.Hash = hex.EncodeToString(hash)
		if errors.Is(found(err), ErrNotFound) {
			err = nil
		}
		return err
	})
}

// copyKeys writes the members' keys, wrapped as they are, into a file of their
// own.
func copyKeys(ctx context.Context, from *Tx, path string) (err error) {
	pool, err := openPool(path, "rwc")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close(), oneFile(ctx, path)) }()
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing is left of it once committed
	if _, err := tx.ExecContext(ctx, keyTable); err != nil {
		return err
	}
	err = from.stream(ctx, func(scan scan) error {
		var id int64
		var sealed []byte
		var dies int64
		if err := scan(&id, &sealed, &dies); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO key (id, sealed, dies_at) VALUES (?, ?, ?)`, id, sealed, dies)
		return err
	}, `SELECT id, sealed, dies_at FROM key WHERE dies_at = 0 OR dies_at > $1 ORDER BY id`, lastStranger(from.now))
	if err != nil {
		return err
	}
	return tx.Commit()
}

// lastStranger returns when the last key of strangers dies that there may be at a
// time: what dies later is kept in copies.
func lastStranger(now time.Time) int64 { return micros(now.Add(strangerKeyLife)) }

// keyTable makes the table of the file of keys.
const keyTable = `CREATE TABLE key (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL, dies_at INTEGER NOT NULL DEFAULT 0)`

// oneFile leaves a database that nobody uses in one file.
func oneFile(ctx context.Context, path string) (err error) {
	pool, err := openPool(path, "rw")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	_, err = pool.ExecContext(ctx, `PRAGMA journal_mode(DELETE)`)
	return err
}

// prune removes the backups from before a time.
func prune(dir string, before time.Time) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	for _, e := range entries {
		at, err := time.Parse(backupName, e.Name())
		if err != nil || !e.IsDir() || !at.Before(before) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("backup: %w", err)
		}
	}
	return nil
}

// syncAll waits until files and folders are on disk.
func syncAll(paths ...string) error {
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return nil
}
