package store

import (
	"context"
	"strconv"
	"strings"

	"maillon/internal/ledger"
)

// A Hint says what an Update is going to look at, so that a batch looks it all
// up at once instead of one by one. It makes nothing right or wrong, only fast.
type Hint struct {
	Keys     []string           // of transactions
	Accounts []ledger.AccountID // by which they move money
	Standing bool               // where the accounts stand, too
}

// expect looks up what requests are going to look at.
func (db *DB) expect(ctx context.Context, all []*request) error {
	var h Hint
	var standing []ledger.AccountID
	for _, r := range all {
		h.Keys, h.Accounts = append(h.Keys, r.hint.Keys...), append(h.Accounts, r.hint.Accounts...)
		if r.hint.Standing {
			standing = append(standing, r.hint.Accounts...)
		}
	}
	if err := db.expectStandings(ctx, standing); err != nil { // they bring the accounts
		return err
	}
	return db.lookUp(ctx, db.writer, h)
}

// lookUp remembers keys and accounts that the writer does not know yet. What it
// knows may be newer than what is written.
func (db *DB) lookUp(ctx context.Context, c conn, h Hint) error {
	var keys, ids []any
	used, wanted := map[string]bool{}, map[ledger.AccountID]bool{}
	for _, k := range h.Keys {
		if _, known := db.behind.keys[k]; !known {
			used[k] = false
		}
	}
	for k := range used {
		keys = append(keys, k)
	}
	for _, id := range h.Accounts {
		if _, known := db.accounts[id]; !known && !wanted[id] {
			wanted[id] = true
			ids = append(ids, int64(id))
		}
	}
	err := in(ctx, c, `SELECT key FROM txn WHERE key IN `, keys, func(scan scan) error {
		var k string
		err := scan(&k)
		used[k] = true
		return err
	})
	if err != nil {
		return err
	}
	for k, is := range used {
		db.behind.setKey(k, is)
	}
	return in(ctx, c, `SELECT `+accountColumns+` FROM account WHERE id IN `, ids, func(scan scan) error {
		a, err := scanAccount(scan)
		db.accounts[a.ID] = a
		return err
	})
}

// in runs a statement for any number of values, some at a time.
func in(ctx context.Context, c conn, text string, values []any, do func(scan) error) error {
	for len(values) > 0 {
		n := 1
		for n < min(len(values), maxTogether) {
			n *= 2
		}
		some := values[:min(n, len(values))]
		values = values[len(some):]
		for len(some) < n { // the same once more does no harm
			some = append(some[:len(some):len(some)], some[0])
		}
		if err := c.each(ctx, do, text+lists[n], some...); err != nil {
			return err
		}
	}
	return nil
}

// lists are the texts of lists of marks, by their length.
var lists = func() map[int]string {
	all := map[int]string{}
	for n := 1; n <= maxTogether; n *= 2 {
		marks := make([]string, n)
		for i := range marks {
			marks[i] = "$" + strconv.Itoa(i+1)
		}
		all[n] = "(" + strings.Join(marks, ", ") + ")"
	}
	return all
}()
