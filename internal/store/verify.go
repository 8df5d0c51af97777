package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
)

// maxFaults bounds what one Verify names: whoever edits a database by hand
// rarely stops at one row, and the first of them tell most.
const maxFaults = 1000

// progressEvery is after how many rows of the journal progress is told.
const progressEvery = 1000

// A Fault is one place where the database is not what its journal says. It
// holds nothing personal.
type Fault struct {
	Table string // "journal"
	Row   string // "3", or "txn=17 n=1"
	Ref   string // the reference that people know it by, if it has one
	What  string
}

// String returns the fault as one line: "posting txn=17 n=1 (K7F2): amount is
// 60, the journal says 50".
func (f Fault) String() string {
	if f.Ref != "" {
		return fmt.Sprintf("%s %s (%s): %s", f.Table, f.Row, f.Ref, f.What)
	}
	return fmt.Sprintf("%s %s: %s", f.Table, f.Row, f.What)
}

// Verify proves the database by its journal: the chain of hashes holds, the
// journal replayed by the rules of the ledger gives every transaction, balance
// and hold, all balances of a currency sum to zero, every row of record is as
// its last event left it, and SQLite finds its file whole. It returns each place
// where that is not so, at most maxFaults of them; an error means that it could
// not look.
//
// It reads one state of the database, beside a server at work. progress, which
// may be nil, is told how much is done.
func (db *DB) Verify(ctx context.Context, progress func(done, total int64)) ([]Fault, error) {
	var faults []Fault
	err := db.apart(ctx, func(tx *Tx) error {
		v := verifier{
			tx: tx, books: ledger.NewBooks(), progress: progress,
			accounts: map[int64]accountEvent{}, holds: map[int64]holdEvent{},
			erased: seen{}, left: seen{}, rows: map[string]seen{}, others: map[string]bool{},
		}
		err := v.verify(ctx)
		faults = v.faults
		return err
	})
	return faults, err
}

// A verifier walks the journal forwards for what is replayed, then backwards
// for what is imaged: the first image met on the way back is the last.
type verifier struct {
	tx       *Tx
	books    *ledger.Books
	faults   []Fault
	progress func(done, total int64)
	done     int64
	total    int64
	broken   bool // the file does not fit together

	links    [][]byte // the hashes from which the next row may follow
	last     journalRow
	accounts map[int64]accountEvent
	holds    map[int64]holdEvent
	txns     *cursor[txnRow]
	postings *cursor[postingRow]

	erased seen            // keys
	left   seen            // members
	rows   map[string]seen // by table, those with one number as their key
	others map[string]bool // the other rows, by image.id
}

func (v *verifier) fault(f Fault) {
	if len(v.faults) < maxFaults {
		v.faults = append(v.faults, f)
	}
}

func (v *verifier) verify(ctx context.Context) error {
	if err := v.tx.row(ctx, `SELECT 2 * count(*) FROM journal`).Scan(&v.total); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{
		v.checkPages, v.forwards, v.checkAccounts, v.checkHolds, v.backwards, v.checkStrays, v.checkKeys, v.checkNumbers,
	} {
		err := step(ctx)
		if err != nil && v.broken {
			v.fault(Fault{Table: "file", Row: "pages", What: "the rest cannot be read"})
			break
		}
		if err != nil {
			return err
		}
	}
	v.tell(v.total)
	return nil
}

func (v *verifier) tell(done int64) {
	if v.progress != nil {
		v.progress(done, v.total)
	}
}

func (v *verifier) step() {
	if v.done++; v.done%progressEvery == 0 {
		v.tell(v.done)
	}
}

// forwards replays the journal beside the rows of the ledger.
func (v *verifier) forwards(ctx context.Context) (err error) {
	if v.txns, err = openCursor(ctx, v.tx, scanTxnRow, `SELECT id, ref, key, kind, at, reverses, via, note FROM txn ORDER BY id`); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.txns.close()) }()
	v.postings, err = openCursor(ctx, v.tx, scanPostingRow, `SELECT txn, n, account, amount, balance FROM posting ORDER BY txn, n`)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.postings.close()) }()
	if err := v.tx.journal(ctx, untilMicros(time.Time{}), func(r journalRow) error { return v.forward(ctx, r) }); err != nil {
		return err
	}
	if err := v.strayTxns(1<<63 - 1); err != nil {
		return err
	}
	return v.strayPostings(postingRow{txn: 1<<63 - 1})
}

func (v *verifier) forward(ctx context.Context, r journalRow) error {
	v.step()
	v.link(r)
	events, err := decodeEvents(r.body)
	if err != nil {
		v.journalFault(r, "body cannot be read")
		return nil //nolint:nilerr // a fault was noted
	}
	for _, e := range events {
		if err := v.replay(ctx, r, e); err != nil {
			return err
		}
	}
	return nil
}

// link checks that r follows from the row before. Of two rows between which
// the chain breaks, the one that was edited is named: a row may follow from
// the hash that stands before it, or from the one that should.
func (v *verifier) link(r journalRow) {
	whole := r.seq == v.last.seq+1
	if !whole {
		v.journalFault(r, fmt.Sprintf("row %d is missing before it", r.seq-1))
	}
	if r.at < v.last.at {
		v.journalFault(r, fmt.Sprintf("its time is before that of row %d", v.last.seq))
	}
	if len(v.links) == 0 {
		v.links = [][]byte{nil}
	}
	held := !whole
	var should []byte
	for _, before := range v.links {
		should = chain(before, r.seq, r.at, []byte(r.body))
		if held = held || bytes.Equal(should, r.hash); held {
			break
		}
	}
	v.links = [][]byte{r.hash}
	if !held {
		v.journalFault(r, fmt.Sprintf("hash does not follow from row %d", v.last.seq))
		v.links = append(v.links, should)
	}
	v.last = r
}

func (v *verifier) journalFault(r journalRow, what string) {
	v.fault(Fault{Table: "journal", Row: fmt.Sprintf("row %d", r.seq), What: what})
}

// replay lets the books do what e says, and compares what that left on disk.
func (v *verifier) replay(ctx context.Context, r journalRow, e event) error {
	var balances map[int64]int64
	switch {
	case e.Account != nil:
		v.accounts[e.Account.ID] = *e.Account
	case e.Hold != nil:
		v.holds[e.Hold.ID] = *e.Hold
	case e.Floor != nil:
		a := v.accounts[e.Floor.Account]
		a.Floor = e.Floor.Floor
		v.accounts[e.Floor.Account] = a
	case e.Erase != nil:
		v.erased.add(e.Erase.Key)
	case e.Txn != nil:
		balances = v.balances(ctx, e.Txn)
	}
	if err := replay(ctx, memoryKeeper{v.books}, e, r.at); err != nil {
		v.journalFault(r, err.Error())
	}
	if e.Txn == nil {
		return nil
	}
	if err := v.compareTxn(e.Txn, r.at); err != nil {
		return err
	}
	return v.comparePostings(e.Txn, balances)
}

func (v *verifier) balances(ctx context.Context, e *txnEvent) map[int64]int64 {
	balances := map[int64]int64{}
	for _, p := range e.Postings {
		if a, err := v.books.Account(ctx, ledger.AccountID(p[0])); err == nil {
			balances[p[0]] = a.Balance.Minor()
		}
	}
	return balances
}

type txnRow struct {
	id, at, reverses, via int64
	ref, key, kind, note  string
}

func scanTxnRow(scan func(...any) error) (r txnRow, err error) {
	return r, scan(&r.id, &r.ref, &r.key, &r.kind, &r.at, &r.reverses, &r.via, &r.note)
}

func (v *verifier) compareTxn(e *txnEvent, at int64) error {
	if err := v.strayTxns(e.ID); err != nil {
		return err
	}
	name := Fault{Table: "txn", Row: fmt.Sprint(e.ID), Ref: e.Ref}
	got := v.txns.row
	if !v.txns.ok || got.id != e.ID {
		name.What = "missing"
		v.fault(name)
		return nil
	}
	v.compare(name, []pair{
		{"ref", got.ref, e.Ref},
		{"key", got.key, e.Key},
		{"kind", got.kind, e.Kind},
		{"at", got.at, cmp.Or(e.At, at)},
		{"reverses", got.reverses, e.Reverses},
		{"via", got.via, e.Via},
		{"note", got.note, e.Note},
	})
	return v.txns.next()
}

// strayTxns names the rows before id: the journal has passed them by.
func (v *verifier) strayTxns(id int64) error {
	for v.txns.ok && v.txns.row.id < id {
		v.fault(Fault{Table: "txn", Row: fmt.Sprint(v.txns.row.id), Ref: v.txns.row.ref, What: "not in the journal"})
		if err := v.txns.next(); err != nil {
			return err
		}
	}
	return nil
}

type postingRow struct{ txn, n, account, amount, balance int64 }

func scanPostingRow(scan func(...any) error) (r postingRow, err error) {
	return r, scan(&r.txn, &r.n, &r.account, &r.amount, &r.balance)
}

func (r postingRow) name(ref string) Fault {
	return Fault{Table: "posting", Row: fmt.Sprintf("txn=%d n=%d", r.txn, r.n), Ref: ref}
}

func (r postingRow) before(s postingRow) bool { return r.txn < s.txn || r.txn == s.txn && r.n < s.n }

func (v *verifier) comparePostings(e *txnEvent, balances map[int64]int64) error {
	for n, p := range e.Postings {
		balances[p[0]] += p[1]
		want := postingRow{txn: e.ID, n: int64(n), account: p[0], amount: p[1], balance: balances[p[0]]}
		if err := v.strayPostings(want); err != nil {
			return err
		}
		got := v.postings.row
		if !v.postings.ok || want.before(got) {
			f := want.name(e.Ref)
			f.What = "missing"
			v.fault(f)
			continue
		}
		v.compare(want.name(e.Ref), []pair{
			{"account", got.account, want.account}, {"amount", got.amount, want.amount}, {"balance", got.balance, want.balance},
		})
		if err := v.postings.next(); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) strayPostings(next postingRow) error {
	for v.postings.ok && v.postings.row.before(next) {
		f := v.postings.row.name("")
		f.What = "not in the journal"
		v.fault(f)
		if err := v.postings.next(); err != nil {
			return err
		}
	}
	return nil
}

// A pair is a column as it stands and as the journal says.
type pair struct {
	name      string
	got, want any
}

func (v *verifier) compare(name Fault, pairs []pair) {
	for _, p := range pairs {
		if p.got != p.want {
			name.What = fmt.Sprintf("%s is %v, the journal says %v", p.name, p.got, p.want)
			v.fault(name)
		}
	}
}

// checkAccounts compares every account with the books, and sums each currency.
func (v *verifier) checkAccounts(ctx context.Context) error {
	sums := map[money.Currency]money.Amount{}
	found := seen{}
	err := v.tx.each(ctx, func(scan func(...any) error) error {
		var owner int64
		var name string
		a, err := scanAccount(func(to ...any) error { return scan(append(to, &owner, &name)...) })
		if err != nil {
			return err
		}
		found.add(int64(a.ID))
		v.checkAccount(ctx, a, owner, name)
		return v.addTo(sums, a.Balance)
	}, `SELECT `+accountColumns+`, member, name FROM account ORDER BY id`)
	if err != nil {
		return err
	}
	for _, a := range v.books.Accounts() {
		if !found.has(int64(a.ID)) {
			v.fault(Fault{Table: "account", Row: fmt.Sprint(a.ID), What: "missing"})
		}
	}
	for c, sum := range sums {
		if !sum.IsZero() {
			v.fault(Fault{Table: "currency", Row: c.Code, What: fmt.Sprintf("its balances sum to %d, not to 0", sum.Minor())})
		}
	}
	return nil
}

func (v *verifier) addTo(sums map[money.Currency]money.Amount, a money.Amount) error {
	c := a.Currency()
	sum, ok := sums[c]
	if !ok {
		sum = money.New(0, c)
	}
	sum, err := sum.Add(a)
	if err != nil {
		v.fault(Fault{Table: "currency", Row: c.Code, What: "its balances cannot be summed"})
		return nil //nolint:nilerr // a fault was noted
	}
	sums[c] = sum
	return nil
}

func (v *verifier) checkAccount(ctx context.Context, a ledger.Account, owner int64, name string) {
	f := Fault{Table: "account", Row: fmt.Sprint(a.ID)}
	want, err := v.books.Account(ctx, a.ID)
	if err != nil {
		f.What = "not in the journal"
		v.fault(f)
		return
	}
	e := v.accounts[int64(a.ID)]
	v.compare(f, []pair{
		{"member", owner, e.Member},
		{"name", name, e.Name},
		{"currency", a.Balance.Currency().Code, e.Currency},
		{"decimals", a.Balance.Currency().Decimals, e.Decimals},
		{"floor", a.Floor.Minor(), e.Floor},
		{"unbounded", a.Unbounded, e.Unbounded},
	})
	if a.Balance.Minor() != want.Balance.Minor() {
		f.What = fmt.Sprintf("balance is %d, its postings sum to %d", a.Balance.Minor(), want.Balance.Minor())
		v.fault(f)
	}
	if a.Held.Minor() != want.Held.Minor() {
		f.What = fmt.Sprintf("held is %d, its holds sum to %d", a.Held.Minor(), want.Held.Minor())
		v.fault(f)
	}
}

func (v *verifier) checkHolds(ctx context.Context) error {
	err := v.tx.each(ctx, func(scan func(...any) error) error {
		var h holdEvent
		if err := scan(&h.ID, &h.Account, &h.Placed, &h.Remaining, &h.Txn, &h.Expires); err != nil {
			return err
		}
		f := Fault{Table: "hold", Row: fmt.Sprint(h.ID)}
		want, ok := v.holds[h.ID]
		delete(v.holds, h.ID)
		if !ok {
			f.What = "not in the journal"
			v.fault(f)
			return nil
		}
		v.compare(f, []pair{
			{"account", h.Account, want.Account},
			{"placed", h.Placed, want.Placed},
			{"remaining", h.Remaining, want.Remaining},
			{"txn", h.Txn, want.Txn},
			{"expires_at", h.Expires, want.Expires},
		})
		return nil
	}, `SELECT id, account, placed, remaining, txn, expires_at FROM hold ORDER BY id`)
	for id := range v.holds {
		v.fault(Fault{Table: "hold", Row: fmt.Sprint(id), What: "missing"})
	}
	return err
}

// backwards compares each row of record with its last image.
func (v *verifier) backwards(ctx context.Context) error {
	return v.tx.each(ctx, func(scan func(...any) error) error {
		var r journalRow
		if err := scan(&r.seq, &r.at, &r.body); err != nil {
			return err
		}
		v.step()
		if err := ctx.Err(); err != nil {
			return err
		}
		events, err := decodeEvents(r.body)
		if err != nil {
			return nil //nolint:nilerr // named on the way forwards
		}
		for n := len(events) - 1; n >= 0; n-- {
			if err := v.backward(ctx, events[n], r.at); err != nil {
				return err
			}
		}
		return nil
	}, `SELECT seq, at, body FROM journal ORDER BY seq DESC`)
}

func (v *verifier) backward(ctx context.Context, e event, at int64) error {
	if e.SMS != nil {
		return v.checkSMS(ctx, e.SMS, at)
	}
	i, ok := e.image(at)
	if !ok || !v.first(i) {
		return nil
	}
	if id, ok := i.left(); ok {
		v.left.add(id)
	}
	all, err := v.tx.differences(ctx, i, i.gone(micros(v.tx.now), v.left))
	for _, what := range all {
		v.fault(Fault{Table: i.table, Row: i.row(), Ref: i.ref(), What: what})
	}
	return err
}

// first reports whether no later image of the row was met.
func (v *verifier) first(i image) bool {
	id, ok := i.number()
	if !ok {
		known := v.others[i.id()]
		v.others[i.id()] = true
		return !known
	}
	if v.rows[i.table] == nil {
		v.rows[i.table] = seen{}
	}
	return v.rows[i.table].add(id)
}

func (v *verifier) known(i image) bool {
	if id, ok := i.number(); ok {
		return v.rows[i.table].has(id)
	}
	return v.others[i.id()]
}

// checkSMS compares an SMS with the hash of it, while it is kept.
func (v *verifier) checkSMS(ctx context.Context, e *smsEvent, at int64) error {
	v.first(image{table: "inbox", keys: 1, columns: []column{{name: "id", value: e.ID}}})
	f := Fault{Table: "inbox", Row: fmt.Sprint(e.ID)}
	var from int64
	var sealed []byte
	err := v.tx.row(ctx, `SELECT member, sealed FROM inbox WHERE id = $1`, e.ID).Scan(&from, &sealed)
	if errors.Is(err, sql.ErrNoRows) {
		if at > micros(v.tx.now.Add(-keepKeys)) {
			f.What = "missing"
			v.fault(f)
		}
		return nil
	}
	if err != nil {
		return err
	}
	v.compare(f, []pair{{"member", from, e.Member}})
	if hash := sha256.Sum256(sealed); sealed != nil && !bytes.Equal(hash[:], e.Hash) {
		f.What = "text is not what the journal says"
		v.fault(f)
	}
	return nil
}

// checkStrays names the rows of record of which the journal knows nothing.
func (v *verifier) checkStrays(ctx context.Context) error {
	for _, t := range []struct {
		table, where string
		keys         []string
	}{
		{"member", "", []string{"id"}},
		{"orders", `WHERE NOT (state = 'open' AND paid_at = 0 AND kind <> 'request')`, []string{"id"}},
		{"nick", "", []string{"hash"}},
		{"card", "", []string{"member"}},
		{"block", "", []string{"member", "other"}},
		{"refused", "", []string{"hash"}},
		{"state", "", []string{"name"}},
		{"audit", "", []string{"id"}},
		{"record", "WHERE loose = 0", []string{"id"}},
		{"inbox", "", []string{"id"}},
	} {
		if err := v.checkStray(ctx, t.table, t.where, t.keys); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) checkStray(ctx context.Context, table, where string, keys []string) error {
	text := `SELECT ` + keys[0] + `, ` + keys[len(keys)-1] + ` FROM ` + table + ` ` + where
	return v.tx.each(ctx, func(scan func(...any) error) error {
		values := make([]any, 2)
		if err := scan(&values[0], &values[1]); err != nil {
			return err
		}
		i := image{table: table, keys: len(keys)}
		for n, k := range keys {
			i.columns = append(i.columns, column{name: k, value: values[n]})
		}
		if !v.known(i) {
			v.fault(Fault{Table: table, Row: i.row(), What: "not in the journal"})
		}
		return nil
	}, text)
}

// checkKeys names keys that should not be there, and members whose key is not.
func (v *verifier) checkKeys(ctx context.Context) error {
	err := v.tx.each(ctx, func(scan func(...any) error) error {
		var id int64
		if err := scan(&id); err != nil {
			return err
		}
		if v.erased.has(id) {
			v.fault(Fault{Table: "key", Row: fmt.Sprint(id), What: "there, though the journal says that it was destroyed"})
		}
		return nil
	}, `SELECT id FROM key ORDER BY id`)
	if err != nil {
		return err
	}
	return v.tx.each(ctx, func(scan func(...any) error) error {
		var id, key int64
		if err := scan(&id, &key); err != nil {
			return err
		}
		v.fault(Fault{Table: "key", Row: fmt.Sprint(key), What: fmt.Sprintf("missing, and member %d has not left", id)})
		return nil
	}, `SELECT m.id, m.key FROM member m WHERE m.state <> 'closed' AND NOT EXISTS (SELECT 1 FROM key k WHERE k.id = m.key) ORDER BY m.id`)
}

// checkNumbers names members who would not be found by their number, or who
// would be found by another.
func (v *verifier) checkNumbers(ctx context.Context) error {
	return v.tx.each(ctx, func(scan func(...any) error) error {
		var hash, want []byte
		m, err := v.tx.scanMember(func(to ...any) error { return scan(append(to, &hash)...) })
		if m == nil {
			return err
		}
		f := Fault{Table: "member", Row: fmt.Sprint(m.ID)}
		if err != nil {
			f.What = "secret cannot be opened with its key"
			v.fault(f)
			return nil //nolint:nilerr // a fault was noted
		}
		if m.State != member.Closed {
			want = keyedHash(v.tx.db.keys.number, m.Number.E164())
		}
		if erased := m.State != member.Closed && m.Number.E164() == ""; erased {
			return nil // its key is missing: named before
		}
		if !bytes.Equal(hash, want) {
			f.What = "number_hash is not that of its number"
			v.fault(f)
		}
		return nil
	}, `SELECT `+memberColumns+`, m.number_hash`+fromMember+`ORDER BY m.id`)
}
