package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// Bounds of SQLite.
const (
	sqliteReaders = 2 // connections for View
	cacheKiB      = 32 << 10
	logPages      = 8000   // of the write-ahead log, 32 MiB, before they move into the database: one commit of many fills 1000
	busyMillis    = 10_000 // how long to wait for another process that writes
)

// Memory is the path of a database that lives in memory, for tests and stories.
const Memory = ":memory:"

// A sqliteEngine is one file, or a database in memory, with one writer.
type sqliteEngine struct {
	path   string
	writer *sql.DB
	reader *sql.DB
}

func openSQLite(path string) (*sqliteEngine, error) {
	if err := createPrivate(path); err != nil {
		return nil, fmt.Errorf("create %s: %w", filepath.Base(path), err)
	}
	e := &sqliteEngine{path: path}
	var err error
	if e.writer, err = openPool(path, "rwc"); err != nil {
		return nil, err
	}
	if path == Memory {
		return e, nil
	}
	if e.reader, err = openPool(path, "ro"); err != nil {
		return nil, errors.Join(err, e.writer.Close())
	}
	return e, nil
}

// createPrivate creates a database that is not there yet for nobody but its
// owner, whatever folder it stands in. SQLite gives the files beside it the
// same rights.
func createPrivate(path string) error {
	if path == Memory {
		return nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the caller's own folder
	if err != nil {
		return err
	}
	return f.Close()
}

// openPool opens connections with the settings that durability asks for: WAL,
// and a sync of it at every commit (synchronous=FULL). What is deleted is
// overwritten, for a key that was destroyed must not be found in the file.
func openPool(path, mode string) (*sql.DB, error) {
	q := url.Values{}
	dsn := path
	if path != Memory {
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		dsn = (&url.URL{Scheme: "file", Path: abs}).String()
		q.Set("mode", mode)
	}
	for _, p := range []string{
		"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(OFF)", "temp_store(MEMORY)", "secure_delete(ON)",
		fmt.Sprintf("busy_timeout(%d)", busyMillis), fmt.Sprintf("cache_size(-%d)", cacheKiB),
		fmt.Sprintf("wal_autocheckpoint(%d)", logPages),
	} {
		if mode == "ro" && p == "journal_mode(WAL)" {
			continue
		}
		q.Add("_pragma", p)
	}
	pool, err := sql.Open("sqlite", dsn+"?"+q.Encode())
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(1)
	if mode == "ro" {
		pool.SetMaxOpenConns(sqliteReaders)
	}
	return pool, nil
}

func (e *sqliteEngine) migrate(ctx context.Context) error { return migrateSQLite(ctx, e.writer) }

func migrateSQLite(ctx context.Context, pool *sql.DB) error {
	files, err := schema(nil)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, pool, files)
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

func (e *sqliteEngine) connect(ctx context.Context, write bool) (conn, error) {
	pool := e.reader
	if write {
		pool = e.writer
	}
	c, err := newConn(ctx, pool)
	if err != nil {
		return nil, err
	}
	return &wholeConn{conn: c}, nil
}

func (e *sqliteEngine) another(ctx context.Context) (conn, error) {
	pool, err := openPool(e.path, "ro")
	if err != nil {
		return nil, err
	}
	c, err := newConn(ctx, pool)
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	c.pool = pool
	return c, nil
}

func (e *sqliteEngine) begin(ctx context.Context, c conn) error {
	_, err := c.exec(ctx, "BEGIN IMMEDIATE")
	return err
}

func (e *sqliteEngine) view(ctx context.Context, c conn) error {
	_, err := c.exec(ctx, "BEGIN")
	return err
}

func (e *sqliteEngine) patient(context.Context, conn) error { return nil }

func (e *sqliteEngine) readers() int {
	if e.path == Memory {
		return 0
	}
	return sqliteReaders
}

func (e *sqliteEngine) shared() bool { return false }

// forget empties the write-ahead log, where a key that was destroyed may still
// stand. If somebody reads now it is left to the next time.
func (e *sqliteEngine) forget(ctx context.Context, c conn) {
	for _, text := range []string{
		"PRAGMA busy_timeout(0)", "PRAGMA wal_checkpoint(TRUNCATE)", fmt.Sprintf("PRAGMA busy_timeout(%d)", busyMillis),
	} {
		if _, err := c.exec(ctx, text); err != nil {
			slog.Warn("write-ahead log not emptied", "error", err)
		}
	}
}

func (e *sqliteEngine) lastKey(ctx context.Context, c conn) (last int64, err error) {
	err = c.row(ctx, `SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'key'`).Scan(&last)
	return last, err
}

func (e *sqliteEngine) setLastKey(ctx context.Context, c conn, last int64) error {
	if _, err := c.exec(ctx, `DELETE FROM sqlite_sequence WHERE name = 'key'`); err != nil {
		return err
	}
	_, err := c.exec(ctx, `INSERT INTO sqlite_sequence (name, seq) VALUES ('key', $1)`, last)
	return err
}

// close closes the writer last: it empties the log.
func (e *sqliteEngine) close() error {
	var err error
	if e.reader != nil {
		err = e.reader.Close()
	}
	return errors.Join(err, e.writer.Close())
}

// A sqliteConn is a connection with its prepared statements.
type sqliteConn struct {
	c     *sql.Conn
	stmts map[string]*sql.Stmt
	pool  *sql.DB // closed with it; nil: of the engine
}

func newConn(ctx context.Context, pool *sql.DB) (*sqliteConn, error) {
	c, err := pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &sqliteConn{c: c, stmts: map[string]*sql.Stmt{}}, nil
}

func (c *sqliteConn) broken() bool { return false }

func (c *sqliteConn) close() error {
	for _, s := range c.stmts {
		_ = s.Close()
	}
	err := c.c.Close()
	if c.pool != nil {
		err = errors.Join(err, c.pool.Close())
	}
	return err
}

// stmt returns a prepared statement. The texts are constants of this package,
// so there are only so many of them. They write LIMIT $1 + 0: of a bare $1
// SQLite looks at the value to choose a plan, and prepares anew for each.
func (c *sqliteConn) stmt(ctx context.Context, text string) (*sql.Stmt, error) {
	if s, ok := c.stmts[text]; ok {
		return s, nil
	}
	s, err := c.c.PrepareContext(ctx, nameless(text))
	if err != nil {
		return nil, err
	}
	c.stmts[text] = s
	return s, nil
}

// nameless writes ? for $1, $2 and so on, if each stands once and in order: the
// driver looks a name up among all others, for each value of each row.
func nameless(text string) string {
	var b strings.Builder
	parts := strings.Split(text, "$")
	b.WriteString(parts[0])
	for n, part := range parts[1:] {
		rest, ok := strings.CutPrefix(part, strconv.Itoa(n+1))
		if !ok || rest != "" && '0' <= rest[0] && rest[0] <= '9' {
			return text
		}
		b.WriteString("?" + rest)
	}
	return b.String()
}

func (c *sqliteConn) exec(ctx context.Context, text string, args ...any) (int64, error) {
	s, err := c.stmt(ctx, text) //nolint:sqlclosecheck // kept, and closed with the connection
	if err != nil {
		return 0, err
	}
	r, err := s.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func (c *sqliteConn) later(ctx context.Context, text string, args ...any) error {
	_, err := c.exec(ctx, text, args...)
	return err
}

func (c *sqliteConn) settle(context.Context) error { return nil }

func (c *sqliteConn) row(ctx context.Context, text string, args ...any) row {
	s, err := c.stmt(ctx, text) //nolint:sqlclosecheck // kept, and closed with the connection
	if err != nil {
		return badRow{err}
	}
	return s.QueryRowContext(ctx, args...)
}

func (c *sqliteConn) open(ctx context.Context, text string, args ...any) (rows, error) {
	s, err := c.stmt(ctx, text) //nolint:sqlclosecheck // kept, and closed with the connection
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...) //nolint:rowserrcheck // whoever asked looks
}

func (c *sqliteConn) each(ctx context.Context, do func(scan) error, text string, args ...any) error {
	return walk(ctx, c, do, text, args...)
}

// walk calls do for each row as it comes.
func walk(ctx context.Context, c conn, do func(scan) error, text string, args ...any) (err error) {
	r, err := c.open(ctx, text, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for r.Next() {
		if err := do(r.Scan); err != nil {
			return err
		}
	}
	return r.Err()
}
