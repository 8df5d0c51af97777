package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// Bounds of PostgreSQL.
const (
	postgresReaders = 8
	connectTimeout  = 3 * time.Second  // to one host
	hangTimeout     = 15 * time.Second // for an answer: beyond it the connection is given up
	maxQueued       = 64               // statements that wait for the next answer
	fetchRows       = 1000             // at once, of rows too many to remember
)

// session is what every connection says first. Who hangs in the middle of a
// batch loses its turn after idle_in_transaction_session_timeout; who waits for
// a turn gives up after lock_timeout.
var session = map[string]string{
	"application_name":                    "maillon",
	"idle_in_transaction_session_timeout": "5s",
	"lock_timeout":                        "10s",
	"timezone":                            "UTC",
	"default_transaction_isolation":       "read committed",
}

// A postgresEngine is a PostgreSQL database that several servers may share.
type postgresEngine struct{ config *pgx.ConnConfig }

// IsURL reports whether where names a database server rather than a file.
func IsURL(where string) bool {
	return strings.HasPrefix(where, "postgres://") || strings.HasPrefix(where, "postgresql://")
}

// openPostgres reads a URL. Its errors repeat nothing of it: a password may
// stand in it.
func openPostgres(url string) (*postgresEngine, error) {
	c, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errors.New("the address of the database cannot be read: postgres://USER@HOST:PORT/NAME is expected")
	}
	maps.Copy(c.RuntimeParams, session)
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectTimeout
	}
	c.StatementCacheCapacity = 1024
	return &postgresEngine{c}, nil
}

// migrate is safe beside other servers that start: one of them does it.
func (e *postgresEngine) migrate(ctx context.Context) (err error) {
	pool := stdlib.OpenDB(*e.config)
	defer func() { err = errors.Join(err, pool.Close()) }()
	files, err := schema(postgresTypes)
	if err != nil {
		return err
	}
	turn, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectPostgres, pool, files, goose.WithSessionLocker(turn))
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return outage(err)
}

func (e *postgresEngine) connect(ctx context.Context, _ bool) (conn, error) {
	p := &postgresConn{}
	config := e.config.Copy()
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { p.warned = p.warned || n.SeverityUnlocalized == "WARNING" }
	c, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, outage(err)
	}
	p.c = c
	_, err = p.exec(ctx, `SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`)
	return p, err
}

func (e *postgresEngine) another(ctx context.Context) (conn, error) { return e.connect(ctx, false) }

// begin takes the one row that whoever writes holds: a chain of hashes has one
// end. What is read after it was committed by whoever held it before.
func (e *postgresEngine) begin(ctx context.Context, c conn) error {
	if err := c.later(ctx, "BEGIN"); err != nil {
		return err
	}
	return c.later(ctx, `SELECT id FROM turn WHERE id = 1 FOR UPDATE`)
}

func (e *postgresEngine) view(ctx context.Context, c conn) error {
	return c.later(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
}

func (e *postgresEngine) patient(ctx context.Context, c conn) error {
	return c.later(ctx, "SET LOCAL idle_in_transaction_session_timeout = 0")
}

func (e *postgresEngine) readers() int { return postgresReaders }

func (e *postgresEngine) shared() bool { return true }

// forget has nothing to do: the log of PostgreSQL is recycled by itself, see
// docs/ops/postgresql.md for how long that takes.
func (e *postgresEngine) forget(context.Context, conn) {}

func (e *postgresEngine) lastKey(ctx context.Context, c conn) (last int64, err error) {
	err = c.row(ctx, `SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM key_id_seq`).Scan(&last)
	return last, err
}

func (e *postgresEngine) setLastKey(ctx context.Context, c conn, last int64) error {
	_, err := c.exec(ctx, `SELECT setval('key_id_seq', greatest($1::bigint, 1), $1::bigint > 0)`, last)
	return err
}

func (e *postgresEngine) close() error { return nil }

// A postgresConn sends what nobody waits for together with what somebody does.
type postgresConn struct {
	c       *pgx.Conn
	queue   pgx.Batch
	warned  bool   // the server warned of something since the last exec began
	ended   string // how the server calls what it did last
	cursors int
}

func (p *postgresConn) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	return p.c.Close(ctx)
}

func (p *postgresConn) broken() bool { return p.c.IsClosed() }

func (p *postgresConn) later(ctx context.Context, text string, args ...any) error {
	p.queue.Queue(text, args...)
	if p.queue.Len() < maxQueued {
		return nil
	}
	return p.settle(ctx)
}

// settle sends what is queued and waits for all of it.
func (p *postgresConn) settle(ctx context.Context) error {
	_, err := p.send(ctx, nil)
	return err
}

// send sends what is queued, and lets last read the answer to the last of it.
func (p *postgresConn) send(ctx context.Context, last func(pgx.Rows) error) (n int64, err error) {
	count := p.queue.Len()
	if count == 0 {
		return 0, nil
	}
	queue := p.queue
	p.queue = pgx.Batch{}
	ctx, cancel := context.WithTimeout(ctx, hangTimeout)
	defer cancel()
	results := p.c.SendBatch(ctx, &queue)
	defer func() {
		if e := results.Close(); err == nil {
			err = e
		}
		err = outage(err)
	}()
	for i := range count {
		if last == nil || i < count-1 {
			tag, err := results.Exec()
			if err != nil {
				return 0, err
			}
			n, p.ended = tag.RowsAffected(), tag.String()
			continue
		}
		r, err := results.Query()
		if err != nil {
			return 0, err
		}
		err = last(r)
		r.Close()
		return 0, errors.Join(err, r.Err())
	}
	return n, nil
}

// exec runs a statement. A COMMIT about which the server warns has not done
// what was promised: the wait for a standby was cut off. One that the server
// answers with ROLLBACK, without an error, ended a transaction that had failed.
func (p *postgresConn) exec(ctx context.Context, text string, args ...any) (int64, error) {
	p.warned = false
	p.queue.Queue(text, args...)
	n, err := p.send(ctx, nil)
	switch {
	case err != nil || text != "COMMIT":
		return n, err
	case p.ended != text:
		return 0, errOutage{errors.New("commit: the server rolled back")}
	case p.warned:
		return 0, errOutage{errors.New("commit: the server warned")}
	}
	return n, nil
}

// A heldRow is a row as it came over the network.
type heldRow struct {
	types  *pgtype.Map
	fields []pgconn.FieldDescription
	values [][]byte
}

func (p *postgresConn) hold(fields []pgconn.FieldDescription, r pgx.Rows) heldRow {
	h := heldRow{types: p.c.TypeMap(), fields: fields}
	for _, v := range r.RawValues() {
		if v != nil {
			v = append(make([]byte, 0, len(v)), v...)
		}
		h.values = append(h.values, v)
	}
	return h
}

// Scan reads the columns.
func (h heldRow) Scan(to ...any) error {
	if len(to) != len(h.fields) {
		return fmt.Errorf("scan %d columns into %d", len(h.fields), len(to))
	}
	for n, f := range h.fields {
		at := to[n]
		if b, ok := at.(*bool); ok {
			at = flag{b}
		}
		if err := h.types.Scan(f.DataTypeOID, f.Format, h.values[n], at); err != nil {
			return fmt.Errorf("column %s: %w", f.Name, err)
		}
	}
	return nil
}

// A flag scans a truth, which columns keep as 0 or 1.
type flag struct{ to *bool }

// Scan implements sql.Scanner.
func (f flag) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return errors.New("a truth is 0 or 1")
	}
	*f.to = n != 0
	return nil
}

func (p *postgresConn) row(ctx context.Context, text string, args ...any) row {
	all, err := p.read(ctx, text, args...)
	switch {
	case err != nil:
		return badRow{err}
	case len(all) == 0:
		return badRow{sql.ErrNoRows}
	}
	return all[0]
}

func (p *postgresConn) read(ctx context.Context, text string, args ...any) (all []heldRow, err error) {
	p.queue.Queue(text, args...)
	_, err = p.send(ctx, func(r pgx.Rows) error {
		fields := slices.Clone(r.FieldDescriptions()) // the connection writes over its own
		for r.Next() {
			all = append(all, p.hold(fields, r))
		}
		return nil
	})
	return all, err
}

func (p *postgresConn) each(ctx context.Context, do func(scan) error, text string, args ...any) error {
	all, err := p.read(ctx, text, args...)
	if err != nil {
		return err
	}
	for _, r := range all {
		if err := do(r.Scan); err != nil {
			return err
		}
	}
	return nil
}

// open declares a cursor, from which rows are fetched some at a time. It needs
// a transaction.
func (p *postgresConn) open(ctx context.Context, text string, args ...any) (rows, error) {
	p.cursors++
	name := "rows" + strconv.Itoa(p.cursors)
	if err := p.later(ctx, "DECLARE "+name+" NO SCROLL CURSOR FOR "+inlined(text, args)); err != nil {
		return nil, err
	}
	return &postgresRows{p: p, ctx: ctx, name: name}, nil
}

// inlined writes whole numbers into a text, for a cursor takes no arguments.
func inlined(text string, args []any) string {
	for n := len(args); n > 0; n-- {
		text = strings.ReplaceAll(text, "$"+strconv.Itoa(n), fmt.Sprintf("(%d)::bigint", args[n-1]))
	}
	return text
}

// postgresRows fetches rows from a cursor.
type postgresRows struct {
	p    *postgresConn
	ctx  context.Context //nolint:containedctx // as database/sql's Rows has it
	name string
	held []heldRow
	at   heldRow
	err  error
	end  bool
}

// Next goes to the next row.
func (r *postgresRows) Next() bool {
	if len(r.held) == 0 && !r.end && r.err == nil {
		r.held, r.err = r.p.read(r.ctx, "FETCH "+strconv.Itoa(fetchRows)+" FROM "+r.name)
		r.end = len(r.held) < fetchRows
	}
	if len(r.held) == 0 || r.err != nil {
		return false
	}
	r.at, r.held = r.held[0], r.held[1:]
	return true
}

// Scan reads the columns of the row.
func (r *postgresRows) Scan(to ...any) error { return r.at.Scan(to...) }

// Err returns what ended the rows too early.
func (r *postgresRows) Err() error { return r.err }

// Close ends the cursor.
func (r *postgresRows) Close() error {
	if r.err != nil {
		return nil //nolint:nilerr // the transaction is over, and Err has said so
	}
	return r.p.later(r.ctx, "CLOSE "+r.name)
}

// An errOutage is an error of the network, or of a server that went away.
type errOutage struct{ error }

// Unwrap returns the cause.
func (e errOutage) Unwrap() error { return e.error }

// outage marks the errors that come from the machine rather than from what was
// asked. What is no error of the server itself comes from the way to it.
func outage(err error) error {
	if err == nil || errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && !machine(e.Code) {
		return err
	}
	if _, ok := errors.AsType[errOutage](err); ok {
		return err
	}
	return errOutage{err}
}

// machine tells whether an SQLSTATE (PostgreSQL, appendix A) blames the machine.
func machine(code string) bool {
	switch code[:2] {
	case "08", "53", "57", "58", "XX": // connection, resources, intervention, system, internal
		return true
	}
	switch code {
	case "25006", "25P03", "55P03", "40001", "40P01", "25P02": // not the primary any more, idle too long, lock not available, to be repeated, aborted
		return true
	}
	return false
}

// again reports whether a transaction may well succeed when it is repeated:
// somebody else came first.
func again(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code == "40001" || e.Code == "40P01")
}
