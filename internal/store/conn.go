package store

import "context"

// A conn is one connection to a database. Its statements are constants of this
// package, so that each is prepared once.
type conn interface {
	// exec runs a statement and returns how many rows it changed.
	exec(ctx context.Context, text string, args ...any) (int64, error)
	// later runs a statement of which nobody waits for the answer. Where an
	// answer costs a way over the network it is sent with the next that is
	// waited for, which then returns its error too.
	later(ctx context.Context, text string, args ...any) error
	// settle waits for the answers to what is later.
	settle(ctx context.Context) error
	// row asks for one row.
	row(ctx context.Context, text string, args ...any) row
	// each calls do for each row. do may use the connection meanwhile.
	each(ctx context.Context, do func(scan) error, text string, args ...any) error
	// open returns rows that may be too many to remember, one after the other.
	// The connection may be used meanwhile.
	open(ctx context.Context, text string, args ...any) (rows, error)
	// broken reports whether the connection is of no use any more.
	broken() bool
	close() error
}

// A scan reads the columns of a row.
type scan = func(...any) error

// A row is one row asked for, or the error that came instead. No row is
// sql.ErrNoRows.
type row interface{ Scan(to ...any) error }

// rows are read one after the other, and closed.
type rows interface {
	Next() bool
	Scan(to ...any) error
	Err() error
	Close() error
}

// A badRow is the error that came instead of a row.
type badRow struct{ err error }

// Scan returns the error.
func (r badRow) Scan(...any) error { return r.err }

// An engine is a kind of database: how it is reached, and what differs beside
// the SQL text that all share.
type engine interface {
	// migrate brings the schema up to date, creating the database if that is
	// possible.
	migrate(ctx context.Context) error
	// connect opens a connection, for reading alone or for both.
	connect(ctx context.Context, write bool) (conn, error)
	// another opens a connection for reading that is beside all others.
	another(ctx context.Context) (conn, error)
	// begin begins a transaction that writes, and waits until nobody else does.
	begin(ctx context.Context, c conn) error
	// view begins a transaction that reads one state of the database.
	view(ctx context.Context, c conn) error
	// patient lets the transaction that c is in take its time.
	patient(ctx context.Context, c conn) error
	// readers is how many connections read at once; 0: reads take their turn
	// among the Updates.
	readers() int
	// shared reports whether other machines may write to the same database.
	shared() bool
	// forget makes sure that what was deleted is not left in a log.
	forget(ctx context.Context, c conn)
	// lastKey returns the number of the last key ever given, setLastKey makes
	// sure that none up to it is given again.
	lastKey(ctx context.Context, c conn) (int64, error)
	setLastKey(ctx context.Context, c conn, last int64) error
	close() error
}

// The savepoint of one request among those of its batch.
const (
	savepoint = "SAVEPOINT u"
	release   = "RELEASE SAVEPOINT u"
	undo      = "ROLLBACK TO SAVEPOINT u"
)
