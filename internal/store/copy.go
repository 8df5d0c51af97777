package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of a copy.
const (
	copyRows = 64   // in one statement
	copyStep = 4096 // rows in one commit, and rows compared at once
)

// A table is one of the schema: its columns, of which the first are its key.
type table struct {
	name    string
	columns []string
	keys    int
	final   bool // rows are only ever added, in the order of the key
}

// finalTables are those whose rows never change.
var finalTables = []string{"txn", "posting", "journal"}

// notCopied are tables that belong to one database alone.
var notCopied = []string{"goose_db_version", "sqlite_sequence", "turn", "lease"}

// tables returns the tables of today's schema, read from an empty database.
func tables(ctx context.Context) (all []table, err error) {
	e, err := openSQLite(Memory)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	if err := e.migrate(ctx); err != nil {
		return nil, err
	}
	c, err := e.connect(ctx, true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	err = c.each(ctx, func(scan scan) error {
		var name, column string
		var key int
		if err := scan(&name, &column, &key); err != nil || slices.Contains(notCopied, name) {
			return err
		}
		if len(all) == 0 || all[len(all)-1].name != name {
			all = append(all, table{name: name, final: slices.Contains(finalTables, name)})
		}
		t := &all[len(all)-1]
		if key > 0 {
			t.keys++
		}
		t.columns = append(t.columns, column)
		return nil
	}, `SELECT m.name, c.name, c.pk FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'
		ORDER BY m.name, CASE c.pk WHEN 0 THEN 1000 ELSE c.pk END, c.cid`)
	return all, err
}

// A tableRow is the values of a row, those of the key first: int64, string, []byte
// or nil.
type tableRow []any

// after returns the condition for rows whose key comes after another, for the
// marks from $1 on. A key has one, two or three columns.
func (t table) after() string {
	var all []string
	for n := range t.keys {
		var one []string
		for m := range n {
			one = append(one, fmt.Sprintf("%s = $%d", t.columns[m], m+1))
		}
		one = append(one, fmt.Sprintf("%s > $%d", t.columns[n], n+1))
		all = append(all, "("+strings.Join(one, " AND ")+")")
	}
	return strings.Join(all, " OR ")
}

func (t table) order() string { return strings.Join(t.columns[:t.keys], ", ") }

// page returns at most copyStep rows after a key, nil for the first, by key. Text
// is ordered by its octets in every database.
func (t table) page(ctx context.Context, c conn, after tableRow) (all []tableRow, err error) {
	where, args := "", []any(nil)
	if after != nil {
		where, args = " WHERE "+t.after(), after[:t.keys]
	}
	err = c.each(ctx, func(scan scan) error {
		r, at := make(tableRow, len(t.columns)), make([]any, len(t.columns))
		for n := range r {
			at[n] = &r[n]
		}
		err := scan(at...)
		all = append(all, r)
		return err
	}, `SELECT `+strings.Join(t.columns, ", ")+` FROM `+t.name+where+` ORDER BY `+t.order()+` LIMIT `+strconv.Itoa(copyStep), args...)
	return all, err
}

// put writes rows that are not there yet.
func (t table) put(ctx context.Context, tx *Tx, rows []tableRow) error {
	for len(rows) > 0 {
		n := copyRows
		for n > len(rows) {
			n /= 2
		}
		var marks []string
		var args []any
		for _, r := range rows[:n] {
			var one []string
			for _, v := range r {
				args = append(args, v)
				one = append(one, "$"+strconv.Itoa(len(args)))
			}
			marks = append(marks, "("+strings.Join(one, ", ")+")")
		}
		if err := tx.later(ctx, `INSERT INTO `+t.name+` (`+strings.Join(t.columns, ", ")+`) VALUES `+strings.Join(marks, ", "), args...); err != nil {
			return fmt.Errorf("copy %s: %w", t.name, err)
		}
		rows = rows[n:]
	}
	return nil
}

// remove deletes rows by key.
func (t table) remove(ctx context.Context, tx *Tx, rows []tableRow) error {
	var where []string
	for n, k := range t.columns[:t.keys] {
		where = append(where, fmt.Sprintf("%s = $%d", k, n+1))
	}
	for _, r := range rows {
		if err := tx.later(ctx, `DELETE FROM `+t.name+` WHERE `+strings.Join(where, " AND "), r[:t.keys]...); err != nil {
			return fmt.Errorf("copy %s: %w", t.name, err)
		}
	}
	return nil
}

// compare orders two rows by key.
func (t table) compare(a, b tableRow) int {
	for n := range t.keys {
		var by int
		switch v := a[n].(type) {
		case int64:
			w, _ := b[n].(int64)
			by = int(min(max(v-w, -1), 1))
		case string:
			w, _ := b[n].(string)
			by = strings.Compare(v, w)
		case []byte:
			w, _ := b[n].([]byte)
			by = bytes.Compare(v, w)
		}
		if by != 0 {
			return by
		}
	}
	return 0
}

func (r tableRow) equal(s tableRow) bool {
	return slices.EqualFunc(r, s, func(a, b any) bool {
		if x, ok := a.([]byte); ok {
			y, ok := b.([]byte)
			return ok && bytes.Equal(x, y)
		}
		return a == b
	})
}

// sum adds a row to a hash so that no two rows give the same.
func (r tableRow) sum(h hash.Hash) {
	var n [9]byte
	for _, v := range r {
		var text []byte
		switch v := v.(type) {
		case int64:
			n[0], text = 'i', binary.BigEndian.AppendUint64(nil, uint64(v)) //nolint:gosec // its bits
		case string:
			n[0], text = 't', []byte(v)
		case []byte:
			n[0], text = 'b', v
		default:
			n[0] = '0'
		}
		binary.BigEndian.PutUint64(n[1:], uint64(len(text)))
		_, _ = h.Write(n[:])
		_, _ = h.Write(text)
	}
}

// A Migration moves a database to another of any kind, which must be empty.
type Migration struct {
	From, To *DB
	Progress func(table string, rows int64) // may be nil
}

// Migrated says what a migration has moved.
type Migrated struct {
	Head Head              // the end of the journal, the same in both
	Rows map[string]int64  // by table
	Hash map[string][]byte // SHA-256 of all rows of a table, the same in both
}

var (
	// ErrNotEmpty means that the database to migrate to holds something.
	ErrNotEmpty = errors.New("the database to migrate to is not empty")
	// ErrMoved means that the database was migrated to another, and is only
	// kept for reference. Nothing was done.
	ErrMoved = errors.New("this database has moved to another")
)

// MovedAt is the name under which is kept when a database was migrated away.
const MovedAt = "moved_at"

// Run copies everything while whoever writes to From goes on, then stops all
// writing there for good, brings the copy up to date, and proves it: each table
// has the same hash on both sides, and Verify finds no fault. From then on every
// Update of From is ErrMoved. If anything fails, From goes on as before, and To
// is to be thrown away.
func (m Migration) Run(ctx context.Context) (Migrated, error) {
	report, err := m.run(ctx)
	if err != nil {
		return report, fmt.Errorf("migrate: %w", err)
	}
	return report, nil
}

func (m Migration) run(ctx context.Context) (report Migrated, err error) {
	all, err := tables(ctx)
	if err != nil {
		return report, err
	}
	if err := m.empty(ctx, all); err != nil {
		return report, err
	}
	err = m.From.apart(ctx, func(from *Tx) error {
		if err := m.From.engine.patient(ctx, from.c); err != nil {
			return err
		}
		for _, t := range all {
			if err := m.bring(ctx, t, from.c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return report, err
	}
	// The last Update of From lasts until all that came since is at To too. Its
	// own row of the journal is what To does not have.
	err = m.From.Update(ctx, func(from *Tx) error {
		if err := errors.Join(m.From.engine.patient(ctx, from.c), from.behind.writeAll(ctx, from.c)); err != nil {
			return err
		}
		for _, t := range all {
			if err := m.bring(ctx, t, from.c); err != nil {
				return err
			}
		}
		last, err := m.From.engine.lastKey(ctx, from.c)
		if err != nil {
			return err
		}
		if err := m.To.Update(ctx, func(to *Tx) error { return m.To.engine.setLastKey(ctx, to.c, last) }); err != nil {
			return err
		}
		if report, err = m.prove(ctx, all, from.c); err != nil {
			return err
		}
		return from.SetState(ctx, MovedAt, strconv.FormatInt(micros(from.now), 10))
	})
	return report, err
}

func (m Migration) empty(ctx context.Context, all []table) error {
	return m.To.apart(ctx, func(to *Tx) error {
		for _, t := range all {
			rows, err := t.page(ctx, to.c, nil)
			if err != nil {
				return err
			}
			if len(rows) > 0 {
				return fmt.Errorf("%s: %w", t.name, ErrNotEmpty)
			}
		}
		return nil
	})
}

// bring makes a table of To what it is in From, page by page. Of a table whose
// rows never change, only what is new is looked at.
func (m Migration) bring(ctx context.Context, t table, from conn) error {
	var after tableRow
	if t.final {
		var err error
		if after, err = m.newest(ctx, t); err != nil {
			return err
		}
	}
	for copied := int64(0); ; {
		theirs, err := t.page(ctx, from, after)
		if err != nil {
			return err
		}
		end := len(theirs) < copyStep
		if err := m.bringPage(ctx, t, after, theirs, end); err != nil || end {
			return err
		}
		after, copied = theirs[len(theirs)-1], copied+int64(len(theirs))
		if m.Progress != nil {
			m.Progress(t.name, copied)
		}
	}
}

// newest returns the last row of a table of To, nil if there is none.
func (m Migration) newest(ctx context.Context, t table) (last tableRow, err error) {
	down := strings.ReplaceAll(t.order(), ",", " DESC,") + " DESC"
	err = m.To.View(ctx, func(to *Tx) error {
		return to.each(ctx, func(scan scan) error {
			last = make(tableRow, len(t.columns))
			at := make([]any, len(t.columns))
			for n := range last {
				at[n] = &last[n]
			}
			return scan(at...)
		}, `SELECT `+strings.Join(t.columns, ", ")+` FROM `+t.name+` ORDER BY `+down+` LIMIT 1`)
	})
	return last, err
}

// bringPage makes the rows of To after a key, up to the last of theirs or to the
// end, what theirs are.
func (m Migration) bringPage(ctx context.Context, t table, after tableRow, theirs []tableRow, end bool) error {
	return m.To.Update(ctx, func(to *Tx) error {
		var extra, missing []tableRow
		known := map[string]tableRow{}
		var ours []tableRow
		for from := after; ; {
			page, err := t.page(ctx, to.c, from)
			if err != nil {
				return err
			}
			ours = append(ours, page...)
			if len(page) < copyStep || !end && t.compare(page[len(page)-1], theirs[len(theirs)-1]) >= 0 {
				break
			}
			from = page[len(page)-1]
		}
		for _, r := range ours {
			if end || t.compare(r, theirs[len(theirs)-1]) <= 0 {
				known[t.id(r)] = r
			}
		}
		for _, r := range theirs {
			mine, ok := known[t.id(r)]
			delete(known, t.id(r))
			switch {
			case ok && mine.equal(r):
				continue
			case ok:
				extra = append(extra, mine)
			}
			missing = append(missing, r)
		}
		for _, r := range known {
			extra = append(extra, r)
		}
		if err := t.remove(ctx, to, extra); err != nil {
			return err
		}
		return t.put(ctx, to, missing)
	})
}

// id names a row within its table.
func (t table) id(r tableRow) string {
	var b strings.Builder
	for _, v := range r[:t.keys] {
		fmt.Fprintf(&b, "%v\x00", v)
	}
	return b.String()
}

// prove compares the hashes of all tables, and lets the journal prove the copy.
func (m Migration) prove(ctx context.Context, all []table, from conn) (Migrated, error) {
	report := Migrated{Rows: map[string]int64{}, Hash: map[string][]byte{}}
	err := m.To.apart(ctx, func(to *Tx) error {
		if err := m.To.engine.patient(ctx, to.c); err != nil {
			return err
		}
		for _, t := range all {
			theirs, n, err := t.hash(ctx, from)
			if err != nil {
				return err
			}
			ours, _, err := t.hash(ctx, to.c)
			if err != nil {
				return err
			}
			if !bytes.Equal(theirs, ours) {
				return fmt.Errorf("%s: its rows are not the same on both sides: %w", t.name, ErrProof)
			}
			report.Rows[t.name], report.Hash[t.name] = n, ours
		}
		return nil
	})
	if err != nil {
		return report, err
	}
	faults, err := m.To.Verify(ctx, nil)
	if err == nil && len(faults) > 0 {
		err = fmt.Errorf("%d faults, first %s: %w", len(faults), faults[0], ErrProof)
	}
	if err != nil {
		return report, err
	}
	_, report.Head, err = m.To.Replay(ctx, time.Time{})
	return report, err
}

// hash returns the SHA-256 of all rows of a table, by key, and their number.
func (t table) hash(ctx context.Context, c conn) ([]byte, int64, error) {
	h := sha256.New()
	var n int64
	for after := tableRow(nil); ; {
		page, err := t.page(ctx, c, after)
		if err != nil {
			return nil, 0, err
		}
		for _, r := range page {
			r.sum(h)
		}
		n += int64(len(page))
		if len(page) < copyStep {
			return h.Sum(nil), n, nil
		}
		after = page[len(page)-1]
	}
}
