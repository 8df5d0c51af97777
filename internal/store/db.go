// Package store keeps everything on disk. It is the one room that speaks SQL.
//
// Update is the only way to change anything: what must happen together happens
// in one Update, and when it returns nil, all of it is on disk. Concurrent
// calls share one commit, so that the cost of the disk is shared too; callers
// never notice.
//
// Each Update that changes something of record appends one row to the journal,
// chained to the row before by its hash. What is personal is sealed with a key
// per member; the journal holds only what is sealed, so that destroying the
// key erases the member, and the chain holds all the same.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"maillon/internal/ledger"
)

//go:embed migrations
var migrations embed.FS

// A dialect is what differs between databases beside the SQL text they share.
type dialect struct {
	name   string
	goose  goose.Dialect
	driver string
}

var sqlite = dialect{name: "sqlite", goose: goose.DialectSQLite3, driver: "sqlite"}

// Bounds of the store.
const (
	queueLen    = 4096 // Updates that may wait; beyond, ErrBusy
	maxBatch    = 512  // Updates in one commit
	readers     = 2    // connections for View
	cacheKiB    = 32 << 10
	logPages    = 8000   // of the write-ahead log, 32 MiB, before they move into the database: one commit of many fills 1000
	busyMillis  = 10_000 // how long to wait for another process that writes
	maxAccounts = 50_000 // that the writer remembers
)

var (
	// ErrBusy means that too many Updates wait already. Nothing was done.
	ErrBusy = errors.New("store is busy")
	// ErrClosed means that the store was closed. Nothing was done.
	ErrClosed = errors.New("store is closed")
	// ErrNotFound means that there is no such row.
	ErrNotFound = errors.New("not found")
)

// Memory is the path of a database that lives in memory, for tests and stories.
const Memory = ":memory:"

// A DB is one database. It is safe for concurrent use.
type DB struct {
	path    string
	keys    *keyring
	pools   []*sql.DB
	writer  *conn
	reading chan *conn // nil in memory: reads take their turn among the Updates

	accounts map[ledger.AccountID]ledger.Account // of the writer, as of last
	last     head                                // of the writer: the end of the journal after its last commit

	queue   chan *request
	closing chan struct{}
	done    chan struct{}
	closed  func() error

	topicMu sync.Mutex
	topics  map[Topic][]chan struct{} // held by topicMu
}

// Open opens the database at path, or creates it, and brings its schema up to
// date. The secret must be the one that it was created with.
func Open(ctx context.Context, path string, secret Secret) (*DB, error) {
	keys, err := newKeyring(secret)
	if err != nil {
		return nil, err
	}
	db := &DB{
		path: path, keys: keys,
		queue: make(chan *request, queueLen), closing: make(chan struct{}), done: make(chan struct{}),
		topics: map[Topic][]chan struct{}{},
	}
	db.closed = sync.OnceValue(db.stop)
	if err := createPrivate(path); err != nil {
		return nil, fmt.Errorf("create %s: %w", filepath.Base(path), err)
	}
	pool, err := openPool(path, "rwc")
	if err != nil {
		return nil, err
	}
	db.pools = append(db.pools, pool)
	if err := migrate(ctx, pool); err != nil {
		_ = pool.Close()
		return nil, fmt.Errorf("migrate %s: %w", filepath.Base(path), err)
	}
	if db.writer, err = newConn(ctx, pool); err != nil {
		_ = pool.Close()
		return nil, err
	}
	if err := db.checkSecret(ctx); err != nil {
		_ = db.closePools()
		return nil, err
	}
	if path != Memory {
		if err := db.openReaders(ctx); err != nil {
			_ = db.closePools()
			return nil, err
		}
	}
	go db.write()
	return db, nil
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

func (db *DB) openReaders(ctx context.Context) error {
	pool, err := openPool(db.path, "ro")
	if err != nil {
		return err
	}
	db.pools = append(db.pools, pool)
	reading := make(chan *conn, readers)
	for range readers {
		c, err := newConn(ctx, pool)
		if err != nil {
			return err
		}
		reading <- c
	}
	db.reading = reading
	return nil
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
	pool, err := sql.Open(sqlite.driver, dsn+"?"+q.Encode())
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(1)
	if mode == "ro" {
		pool.SetMaxOpenConns(readers)
	}
	return pool, nil
}

func migrate(ctx context.Context, pool *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations/"+sqlite.name)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(sqlite.goose, pool, files)
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

// checkSecret refuses a secret that is not the one of this database, before it
// can seal anything under the wrong key.
func (db *DB) checkSecret(ctx context.Context) error {
	var id int64
	var sealed []byte
	err := db.writer.c.QueryRowContext(ctx, `SELECT id, sealed FROM key ORDER BY id DESC LIMIT 1`).Scan(&id, &sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = db.keys.unwrap(id, sealed)
	return err
}

// Close lets the Updates that have begun end, refuses the others, and closes
// the database. A second call does nothing more.
func (db *DB) Close() error { return db.closed() }

func (db *DB) stop() error {
	close(db.closing)
	<-db.done
	return db.closePools()
}

func (db *DB) closePools() error {
	var errs []error
	if db.reading != nil {
		for range readers {
			errs = append(errs, (<-db.reading).close())
		}
	}
	errs = append(errs, db.writer.close())
	for _, p := range slices.Backward(db.pools) { // the writer last: it empties the log
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}

// CodeKey returns the key under which one-time codes are made.
func (db *DB) CodeKey() []byte { return db.keys.code }

// A conn is one connection with its prepared statements.
type conn struct {
	c     *sql.Conn
	stmts map[string]*sql.Stmt
}

func newConn(ctx context.Context, pool *sql.DB) (*conn, error) {
	c, err := pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{c, map[string]*sql.Stmt{}}, nil
}

func (c *conn) close() error {
	for _, s := range c.stmts {
		_ = s.Close()
	}
	return c.c.Close()
}

// stmt returns a prepared statement. The texts are constants of this package,
// so there are only so many of them. They write LIMIT $1 + 0: of a bare $1
// SQLite looks at the value to choose a plan, and prepares anew for each.
func (c *conn) stmt(ctx context.Context, text string) (*sql.Stmt, error) {
	if s, ok := c.stmts[text]; ok {
		return s, nil
	}
	s, err := c.c.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	c.stmts[text] = s
	return s, nil
}

// exec runs a statement, and returns how many rows it changed and the row that
// was inserted last.
func (c *conn) exec(ctx context.Context, text string, args ...any) (rows, id int64, err error) {
	s, err := c.stmt(ctx, text)
	if err != nil {
		return 0, 0, err
	}
	r, err := s.ExecContext(ctx, args...)
	if err != nil {
		return 0, 0, err
	}
	if rows, err = r.RowsAffected(); err != nil {
		return 0, 0, err
	}
	id, err = r.LastInsertId()
	return rows, id, err
}
