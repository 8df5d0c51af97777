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
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"maillon/internal/ledger"
	"maillon/internal/member"
)

// Bounds of the store.
const (
	queueLen    = 4096   // Updates that may wait; beyond, ErrBusy
	maxBatch    = 512    // Updates in one commit
	maxAccounts = 50_000 // that the writer remembers
	maxAgain    = 5      // times that a batch is begun again because somebody else came first
)

var (
	// ErrBusy means that too many Updates wait already. Nothing was done.
	ErrBusy = errors.New("store is busy")
	// ErrClosed means that the store was closed. Nothing was done.
	ErrClosed = errors.New("store is closed")
	// ErrNotFound means that there is no such row.
	ErrNotFound = errors.New("not found")
)

// A DB is one database. It is safe for concurrent use.
type DB struct {
	where   string // the path; "" of a database server, whose address is not for everybody
	engine  engine
	keys    *keyring
	writer  conn      // nil while there is none
	reading chan conn // of which those that are nil are opened when needed; a nil channel: reads take their turn among the Updates

	// What the writer knows as of last, the end of the journal after its last
	// commit.
	last     head
	accounts map[ledger.AccountID]ledger.Account
	owned    map[member.ID][]ledger.AccountID
	behind   behind
	regime   *Regime         // nil: not known
	looks    map[string]look // by statement

	queue   chan *request
	closing chan struct{}
	done    chan struct{}
	closed  func() error

	counter *counter
	watch   *stopwatch

	topicMu sync.Mutex
	topics  map[Topic][]chan struct{} // held by topicMu
}

// Open opens a database, or creates it, and brings its schema up to date: the
// file at a path, Memory, or a PostgreSQL database by its URL. The secret must
// be the one that it was created with.
func Open(ctx context.Context, where string, secret Secret) (*DB, error) {
	keys, err := newKeyring(secret)
	if err != nil {
		return nil, err
	}
	return openWith(ctx, where, keys)
}

func openWith(ctx context.Context, where string, keys *keyring) (db *DB, err error) {
	db = &DB{
		keys: keys, looks: map[string]look{},
		queue: make(chan *request, queueLen), closing: make(chan struct{}), done: make(chan struct{}),
		topics: map[Topic][]chan struct{}{}, counter: newCounter(),
	}
	db.watch = newStopwatch(db.counter)
	db.closed = sync.OnceValue(db.stop)
	name := "the database"
	if IsURL(where) {
		db.engine, err = openPostgres(where)
	} else {
		name, db.where = filepath.Base(where), where
		db.engine, err = openSQLite(where)
	}
	if err != nil {
		return nil, err
	}
	db.engine = timedEngine{db.engine, db.watch}
	if err := db.open(ctx, name); err != nil {
		return nil, errors.Join(err, db.closeAll())
	}
	go db.write()
	return db, nil
}

func (db *DB) open(ctx context.Context, name string) (err error) {
	if err := db.engine.migrate(ctx); err != nil {
		return fmt.Errorf("migrate %s: %w", name, err)
	}
	if db.writer, err = db.engine.connect(ctx, true); err != nil {
		return err
	}
	if err := db.checkSecret(ctx); err != nil {
		return err
	}
	if n := db.engine.readers(); n > 0 {
		db.reading = make(chan conn, n)
		for range n {
			db.reading <- nil
		}
	}
	return nil
}

// checkSecret refuses a secret that is not the one of this database, before it
// can seal anything under the wrong key.
func (db *DB) checkSecret(ctx context.Context) error {
	var id int64
	var sealed []byte
	err := db.writer.row(ctx, `SELECT id, sealed FROM key ORDER BY id DESC LIMIT 1`).Scan(&id, &sealed)
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
	return db.closeAll()
}

func (db *DB) closeAll() error {
	var errs []error
	for range cap(db.reading) {
		if c := <-db.reading; c != nil {
			errs = append(errs, c.close())
		}
	}
	if db.writer != nil {
		errs = append(errs, db.writer.close())
	}
	return errors.Join(append(errs, db.engine.close())...)
}

// Shared reports whether other machines may write to the same database.
func (db *DB) Shared() bool { return db.engine.shared() }

// CodeKey returns the key under which one-time codes are made.
func (db *DB) CodeKey() []byte { return db.keys.code }
