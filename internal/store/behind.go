package store

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// maxTogether is how many rows one statement writes at most; a power of two,
// so that few statements serve for any number.
const maxTogether = 64

// A sheet is a table whose rows are written behind: gathered while a batch
// runs, and then written many to a statement. Most of what a payment costs is
// the statement, not the row.
type sheet int

// The sheets, in the order in which they are written.
const (
	txnSheet sheet = iota
	postingSheet
	balanceSheet
	orderSheet
	inboxSheet
	outboxSheet
	auditSheet
	journalSheet
	sheets
)

// sheetText says what each sheet's rows are: the statement before and after
// them, and how many columns a row has.
var sheetText = [sheets]struct {
	before, after string
	columns       int
}{
	txnSheet:     {`INSERT INTO txn (id, ref, key, kind, at, reverses, via, note) VALUES `, ``, 8},
	postingSheet: {`INSERT INTO posting (txn, n, account, amount, balance) VALUES `, ``, 5},
	balanceSheet: {
		`UPDATE account SET balance = v.column2, held = v.column3 FROM (VALUES `, `) AS v WHERE account.id = v.column1`, 3,
	},
	orderSheet: {`INSERT INTO orders (` + orderRow + `) VALUES `, ``, 29},
	inboxSheet: {`INSERT INTO inbox (id, gateway, dedup, at, sent_at, member, key, sealed, state) VALUES `, ``, 9},
	outboxSheet: {
		`INSERT INTO outbox (id, at, member, key, sealed, gateway, priority, expires_at, next_at, state, segments) VALUES `, ``, 11,
	},
	auditSheet:   {`INSERT INTO audit (` + auditColumns + `) VALUES `, ``, 8},
	journalSheet: {`INSERT INTO journal (seq, at, body, hash) VALUES `, ``, 4},
}

// sheetTables are the tables of which a sheet is, as statements name them.
var sheetTables = map[string]sheet{
	"txn": txnSheet, "posting": postingSheet, "account": balanceSheet, "orders": orderSheet, "inbox": inboxSheet, "outbox": outboxSheet,
	"audit": auditSheet, "journal": journalSheet,
}

// behind is what a batch has not written yet. Rows stay until the batch ends,
// for those written inside a savepoint may have to be written again.
type behind struct {
	rows    [sheets][][]any
	written [sheets]int
	keys    map[string]bool   // of transactions: true in rows, false known to be nowhere
	ids     map[string]int64  // the last given of each table; nil: not known
	refs    map[sheetRef]bool // of orders and transactions in rows
	known   Standings         // that requests said they would look at, until somebody changes one
}

// A sheetRef is a reference in the rows of a sheet.
type sheetRef struct {
	sheet sheet
	ref   string
}

// txnRefAt is where the reference of a transaction stands in its row.
const txnRefAt = 1

// A place is where a batch was when a request began.
type place struct {
	rows [sheets]int
	ids  map[string]int64
}

func (b *behind) place() place {
	p := place{ids: maps.Clone(b.ids)}
	for s := range sheets {
		p.rows[s] = len(b.rows[s])
	}
	return p
}

// back forgets what came after a place. written is what was written before the
// savepoint; what was written since is no more.
func (b *behind) back(p place, written [sheets]int) {
	for _, r := range b.rows[txnSheet][p.rows[txnSheet]:] {
		b.keys[r[2].(string)] = false
		delete(b.refs, sheetRef{txnSheet, r[txnRefAt].(string)})
	}
	for _, r := range b.rows[orderSheet][p.rows[orderSheet]:] {
		if r[0].(int64) > p.ids["orders"] {
			delete(b.refs, sheetRef{orderSheet, r[orderRefAt].(string)})
		}
	}
	for s := range sheets {
		b.rows[s] = b.rows[s][:p.rows[s]]
		b.written[s] = min(b.written[s], written[s])
	}
	b.ids = p.ids
}

// numberedOfRecord are the tables of which no row is written without one in the
// journal, where another process would be noticed.
var numberedOfRecord = []string{"account", "hold", "inbox", "member", "txn"}

// clear forgets all rows: they are on disk, or will never be. The last number
// of a table that is not of record is read again for the next batch, for
// another process may have given it without leaving a trace in the journal.
func (b *behind) clear() {
	for s := range sheets {
		clear(b.rows[s])
		b.rows[s] = b.rows[s][:0]
	}
	b.written = [sheets]int{}
	b.keys, b.refs = nil, nil
	maps.DeleteFunc(b.ids, func(table string, _ int64) bool { return !slices.Contains(numberedOfRecord, table) })
}

// setKey notes whether the key of a transaction is used.
func (b *behind) setKey(key string, used bool) {
	if b.keys == nil {
		b.keys = map[string]bool{}
	}
	b.keys[key] = used
}

// setRef notes that a reference stands in the rows of a sheet.
func (b *behind) setRef(s sheet, ref string) {
	if b.refs == nil {
		b.refs = map[sheetRef]bool{}
	}
	b.refs[sheetRef{s, ref}] = true
}

func (b *behind) add(s sheet, values ...any) { b.rows[s] = append(b.rows[s], values) }

func (b *behind) pending(s sheet) bool { return b.written[s] < len(b.rows[s]) }

// writeAll writes the rows of all sheets that are not written yet.
func (b *behind) writeAll(ctx context.Context, c conn) error {
	for s := range sheets {
		if err := b.write(ctx, c, s); err != nil {
			return err
		}
	}
	return nil
}

// write writes the rows of a sheet that are not written yet.
func (b *behind) write(ctx context.Context, c conn, s sheet) error {
	rows := b.rows[s][b.written[s]:]
	if s == balanceSheet || s == orderSheet {
		rows = lastOf(rows)
	}
	for len(rows) > 0 {
		n := maxTogether
		for n > len(rows) {
			n /= 2
		}
		args := make([]any, 0, n*sheetText[s].columns)
		for _, r := range rows[:n] {
			args = append(args, r...)
		}
		if err := c.later(ctx, sheetStatement(s, n), args...); err != nil {
			return fmt.Errorf("write behind: %w", err)
		}
		rows = rows[n:]
	}
	b.written[s] = len(b.rows[s])
	return nil
}

// waiting returns the newest row of a sheet that begins with a number and is
// not written yet.
func (b *behind) waiting(s sheet, id int64) ([]any, bool) {
	for n := len(b.rows[s]) - 1; n >= b.written[s]; n-- {
		if b.rows[s][n][0] == id {
			return b.rows[s][n], true
		}
	}
	return nil, false
}

// lastOf returns the last row for each number.
func lastOf(rows [][]any) [][]any {
	if len(rows) < 2 {
		return rows
	}
	last := make(map[any]int, len(rows))
	for n, r := range rows {
		last[r[0]] = n
	}
	kept := make([][]any, 0, len(last))
	for n, r := range rows {
		if last[r[0]] == n {
			kept = append(kept, r)
		}
	}
	return kept
}

// statements are the texts of sheetStatement, made once.
var statements = func() (all [sheets]map[int]string) {
	for s := range sheets {
		all[s] = map[int]string{}
		for n := 1; n <= maxTogether; n *= 2 {
			all[s][n] = makeStatement(s, n)
		}
	}
	return all
}()

func sheetStatement(s sheet, n int) string { return statements[s][n] }

// makeStatement writes n rows of marks; the numbers of an UPDATE need to be told
// that they are numbers.
func makeStatement(s sheet, n int) string {
	var b strings.Builder
	b.WriteString(sheetText[s].before)
	mark := "$%d"
	if s == balanceSheet {
		mark = "CAST($%d AS BIGINT)"
	}
	for r := range n {
		if r > 0 {
			b.WriteString(", ")
		}
		b.WriteByte('(')
		for c := range sheetText[s].columns {
			if c > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, mark, r*sheetText[s].columns+c+1)
		}
		b.WriteByte(')')
	}
	b.WriteString(sheetText[s].after)
	return b.String()
}

// A look is what a statement has to do with tables that are written behind.
type look struct {
	at []sheet
	of int // the argument that is a member whom all orders it looks at concern; -1: none
}

// memberArg finds the condition that makes a statement about one member.
var memberArg = regexp.MustCompile(`\b(?:payer|payee|asked|owner|member) = \$(\d+)`)

// looksAt returns what a statement looks at or changes. It is worked out once for
// each text.
func (db *DB) looksAt(text string) look {
	known, ok := db.looks[text]
	if ok {
		return known
	}
	known.of = -1
	before := ""
	for _, w := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" (),\n\t", r) }) {
		if s, ok := sheetTables[w]; ok && slices.Contains([]string{"FROM", "JOIN", "INTO", "UPDATE"}, before) {
			known.at = append(known.at, s)
		}
		before = w
	}
	if m := memberArg.FindStringSubmatch(text); m != nil && strings.HasPrefix(text, "SELECT") && !strings.Contains(text, " OR ") {
		n, err := strconv.Atoi(m[1])
		if err == nil {
			known.of = n - 1
		}
	}
	db.looks[text] = known
	return known
}

// due returns the sheets that must be written before a statement runs.
func (b *behind) due(l look, args []any) (all []sheet) {
	for _, s := range l.at {
		if b.pending(s) && (s != orderSheet || l.of < 0 || b.concerns(args[l.of])) {
			all = append(all, s)
		}
	}
	return all
}

// concerns reports whether an order that is not written yet is about a member.
func (b *behind) concerns(m any) bool {
	id, ok := m.(int64)
	if !ok {
		return true
	}
	for _, r := range b.rows[orderSheet][b.written[orderSheet]:] {
		for _, at := range orderMembersAt {
			if r[at] == id {
				return true
			}
		}
	}
	return false
}

// nextID gives the next number of a table. Whoever writes is alone, so that
// none is given twice.
func (tx *Tx) nextID(ctx context.Context, table string) (int64, error) {
	if !tx.writes {
		return 0, ErrReadOnly
	}
	b := tx.behind
	last, ok := b.ids[table]
	if !ok {
		if err := tx.c.row(context.WithoutCancel(ctx), `SELECT coalesce(max(id), 0) FROM `+table).Scan(&last); err != nil {
			return 0, err
		}
	}
	if b.ids == nil {
		b.ids = map[string]int64{}
	}
	b.ids[table] = last + 1
	return last + 1, nil
}
