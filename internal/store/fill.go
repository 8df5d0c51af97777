package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/money"
	"maillon/internal/order"
)

// Bounds of Fill.
const (
	fillTogether = 100       // transfers in one row of the journal, as of one bulk request
	fillCommit   = 2_000     // rows of the journal in one transaction
	fillAhead    = 64        // rows of the journal that are made before they are written
	fillCacheKiB = 256 << 10 // of SQLite: the index is sorted in pieces as large
	fillRefLen   = 6         // characters of a reference: enough for ten million
	fillSince    = 365 * 24 * time.Hour
)

// FillEmission and FillFirst are the accounts of filled books: emission, and
// the first of the members, whose accounts follow each other.
const (
	FillEmission ledger.AccountID = 1
	FillFirst    ledger.AccountID = 2
)

// A Filling says what Fill is to leave. Counts are of all there is afterwards.
type Filling struct {
	Currency  money.Currency
	Accounts  int64 // of members
	Transfers int64 // at least; the credit by which each account is opened is one
	Credit    int64 // what each account is opened with
	// Pay chooses who pays how much to whom: members from 0 to members-1, the
	// amount at least 1. An amount that the payer does not have is not paid, and
	// Pay is asked again.
	Pay func(members int64) (from, to, amount int64)
	// Orders says that each transfer is an order too, with a reference, as if
	// somebody had asked for it by SMS.
	Orders bool
	// Progress, which may be nil, is told how many transfers are written.
	Progress func(done, total int64)
}

// ErrFilling means that books are not of those that Fill fills, or it was asked
// for something that cannot be. Nothing was changed.
var ErrFilling = errors.New("cannot fill these books")

// maxRefusals is how often in a row Pay may ask for more than somebody has.
const maxRefusals = 10_000

// Fill makes large books for measuring, in minutes instead of hours: a file at
// path as if members had made all those transfers, many to a request, and
// nothing else. The journal is whole, and Verify proves the books. Books that
// were filled may be filled further, others never.
//
// Nobody may use the file meanwhile, and nothing is safe until Fill returns: of
// books half filled the file is worth nothing.
func Fill(ctx context.Context, path string, secret Secret, f Filling) (err error) {
	db, err := Open(ctx, path, secret) // makes the schema
	if err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	pool, err := openPool(path, "rw")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	c, err := newConn(ctx, pool)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	l := &loader{Filling: f, c: c}
	if err := l.fill(ctx); err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	return syncAll(path)
}

// A loader writes filled books.
type loader struct {
	Filling
	c        conn
	before   int64   // accounts of members that are there already
	balances []int64 // of the members
	emission int64   // its balance
	txn      int64   // the last
	head     head
	step     int64 // between two rows of the journal
}

func (l *loader) fill(ctx context.Context) error {
	if err := l.look(ctx); err != nil {
		return err
	}
	if l.Transfers == l.txn {
		return nil
	}
	if err := l.run(ctx, `PRAGMA journal_mode(OFF)`, `PRAGMA synchronous(OFF)`, `PRAGMA locking_mode(EXCLUSIVE)`,
		`PRAGMA temp_store(FILE)`, fmt.Sprintf(`PRAGMA cache_size(-%d)`, fillCacheKiB)); err != nil {
		return err
	}
	// Of the indexes this one alone is filled in no order: it is made at once
	// when its rows are there. The others only grow at their end.
	var index string
	if err := l.c.row(ctx, `SELECT sql FROM sqlite_schema WHERE name = 'posting_account'`).Scan(&index); err != nil {
		return err
	}
	if err := l.run(ctx, `DROP INDEX posting_account`); err != nil {
		return err
	}
	if err := l.transfers(ctx); err != nil {
		return err
	}
	if err := l.accounts(ctx); err != nil {
		return err
	}
	return l.run(ctx, index, `PRAGMA locking_mode(NORMAL)`, `PRAGMA journal_mode(WAL)`, `PRAGMA synchronous(FULL)`)
}

func (l *loader) run(ctx context.Context, texts ...string) error {
	for _, text := range texts {
		if _, err := l.c.exec(ctx, text); err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
	}
	return nil
}

// look reads what is there, and refuses books that Fill did not make.
func (l *loader) look(ctx context.Context) error {
	l.balances = make([]int64, l.Accounts)
	n := int64(0)
	err := l.c.each(ctx, func(scan scan) error {
		var id, member, balance int64
		var name string
		if err := scan(&id, &member, &name, &balance); err != nil {
			return err
		}
		if id != n+int64(FillEmission) || member != n || (n == 0) != (name == Emission) || n > l.Accounts {
			return fmt.Errorf("account %d: %w", id, ErrFilling)
		}
		if n == 0 {
			l.emission = balance
		} else {
			l.balances[n-1], l.before = balance, n
		}
		n++
		return nil
	}, `SELECT id, member, name, balance FROM account ORDER BY id`)
	if err != nil {
		return err
	}
	if err := l.c.row(ctx, `SELECT coalesce(max(id), 0) FROM txn`).Scan(&l.txn); err != nil {
		return err
	}
	err = l.c.row(ctx, `SELECT seq, at, hash FROM journal ORDER BY seq DESC LIMIT 1`).Scan(&l.head.seq, &l.head.at, &l.head.hash)
	if errors.Is(err, sql.ErrNoRows) {
		l.head.at, err = time.Now().Add(-fillSince).UnixMicro(), nil
	}
	if err != nil {
		return err
	}
	if l.head.seq > 0 && l.before == 0 {
		return fmt.Errorf("they hold something else: %w", ErrFilling)
	}
	if l.Accounts < 2 || l.Credit < 1 {
		return fmt.Errorf("%d accounts with %d each: %w", l.Accounts, l.Credit, ErrFilling)
	}
	l.Transfers = max(l.Transfers, l.txn+l.Accounts-l.before)
	l.step = max(time.Now().UnixMicro()-l.head.at, 0) / ((l.Transfers-l.txn)/fillTogether + 2)
	return nil
}

// A page is one row of the journal with the rows of which it tells.
type page struct {
	head
	body     string
	txns     []any
	postings []any
	orders   []any
}

// transfers makes pages on one processor and writes them on another.
func (l *loader) transfers(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	first, from := l.txn, l.Transfers-l.txn
	pages, made := make(chan page, fillAhead), make(chan error, 1)
	go func() {
		defer close(pages)
		made <- l.make(ctx, pages)
	}()
	done, n := first, 0
	if err := l.run(ctx, `BEGIN`); err != nil {
		return err
	}
	for p := range pages {
		if err := l.write(ctx, p); err != nil {
			return err
		}
		done += int64(len(p.txns) / txnMarks)
		if n++; n%fillCommit == 0 {
			if err := l.run(ctx, `COMMIT`, `BEGIN`); err != nil {
				return err
			}
		}
		if l.Progress != nil {
			l.Progress(done-first, from)
		}
	}
	return errors.Join(<-made, l.run(ctx, `COMMIT`))
}

// make makes the pages: first those that open accounts, then payments.
func (l *loader) make(ctx context.Context, pages chan<- page) error {
	var events []event
	opened := l.before
	if l.head.seq == 0 {
		events = append(events, event{Account: &accountEvent{
			ID: int64(FillEmission), Name: Emission, Currency: l.Currency.Code, Decimals: l.Currency.Decimals, Unbounded: true,
		}})
	}
	for l.txn < l.Transfers {
		p := page{
			txns:     make([]any, 0, fillTogether*txnMarks),
			postings: make([]any, 0, fillTogether*2*postingMarks),
		}
		p.seq, p.at = l.head.seq+1, l.head.at+l.step
		for range min(fillTogether, l.Transfers-l.txn) {
			if opened < l.Accounts {
				id := int64(FillFirst) + opened
				events = append(events, event{Account: &accountEvent{
					ID: id, Member: opened + 1, Currency: l.Currency.Code, Decimals: l.Currency.Decimals,
				}})
				events = append(events, p.post(l, ledger.Credit, &l.emission, &l.balances[opened], int64(FillEmission), id, l.Credit)...)
				opened++
				continue
			}
			paid, err := l.pay(&p)
			if err != nil {
				return err
			}
			events = append(events, paid...)
		}
		body, err := encodeEvents(events)
		if err != nil {
			return err
		}
		p.hash, p.body = chain(l.head.hash, p.seq, p.at, body), string(body)
		l.head, events = p.head, events[:0]
		select {
		case pages <- p:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// pay makes one payment that its payer can make.
func (l *loader) pay(p *page) ([]event, error) {
	for range maxRefusals {
		from, to, amount := l.Pay(l.Accounts)
		if from == to || amount < 1 || l.balances[from] < amount {
			continue
		}
		first := int64(FillFirst)
		return p.post(l, ledger.Payment, &l.balances[from], &l.balances[to], first+from, first+to, amount), nil
	}
	return nil, errors.New("nobody can pay")
}

// post makes one transfer.
func (p *page) post(l *loader, kind ledger.Kind, payer, payee *int64, from, to, amount int64) []event {
	l.txn++
	*payer -= amount
	*payee += amount
	e := txnEvent{
		ID: l.txn, Key: FillKey(l.txn), Kind: string(kind),
		Postings: [][2]int64{{from, -amount}, {to, amount}},
	}
	if l.Orders {
		e.Ref = fillRef(l.txn)
	}
	p.txns = append(p.txns, e.ID, e.Ref, e.Key, e.Kind, p.at)
	p.postings = append(p.postings, e.ID, from, -amount, *payer, e.ID, to, amount, *payee)
	if !l.Orders {
		return []event{{Txn: &e}}
	}
	o := fillOrder(e, kind, p.at, from-int64(FillEmission), to-int64(FillEmission), money.New(amount, l.Currency))
	p.orders = append(p.orders, append([]any{
		o.ID, o.Ref, string(o.Kind), o.Owner, o.Payer, l.Currency.Code, int64(l.Currency.Decimals), int64(0), nil, int64(0), p.at, int64(0), "",
	}, changing(o)...)...)
	return []event{{Txn: &e}, {Order: eventOf(o, 0, nil)}}
}

// fillOrder is the order that became a transfer. Members have the numbers that
// follow those of their accounts; the association is 0.
func fillOrder(e txnEvent, kind ledger.Kind, at, payer, payee int64, amount money.Amount) *order.Order {
	paid := fromMicros(at)
	o := &order.Order{
		ID: e.ID, Ref: e.Ref, Kind: order.Pay, State: order.Done, Owner: payer, Asked: payer, Payer: payer, Payee: payee, Amount: amount,
		Created: paid, Paid: paid, Ended: paid, Transaction: ledger.TransactionID(e.ID),
	}
	if kind == ledger.Credit {
		o.Kind = order.Credit
	}
	return o
}

// fillRef is the reference of a transfer of filled books, by its number.
func fillRef(n int64) string {
	ref := make([]byte, fillRefLen)
	for i := range slices.Backward(ref) {
		set := order.RefSymbols(i)
		ref[i] = set[n%int64(len(set))]
		n /= int64(len(set))
	}
	return string(ref)
}

// FillKey is the key of a transfer of filled books, by its number: they sort as
// they were made, like all keys that begin with the time.
func FillKey(n int64) string { return fmt.Sprintf("fill:%012d", n) }

// The rows of Fill, and how many marks each has.
const (
	txnMarked     = `(?, ?, ?, ?, ?, 0, 0, '')`
	txnMarks      = 5
	postingMarked = `(?, 0, ?, ?, ?), (?, 1, ?, ?, ?)`
	postingMarks  = 4
	accountMarked = `(?, ?, '', ?, ?, 0, 0, ?, 0)`
	accountMarks  = 5
	orderMarks    = 29
)

func (l *loader) write(ctx context.Context, p page) error {
	n := len(p.txns) / txnMarks
	if err := l.insert(ctx, `txn (id, ref, key, kind, at, reverses, via, note)`, txnMarked, n, p.txns); err != nil {
		return err
	}
	if err := l.insert(ctx, `posting (txn, n, account, amount, balance)`, postingMarked, n, p.postings); err != nil {
		return err
	}
	if len(p.orders) > 0 {
		marked := "(?" + strings.Repeat(", ?", orderMarks-1) + ")"
		if err := l.insert(ctx, `orders (`+orderRow+`)`, marked, n, p.orders); err != nil {
			return err
		}
	}
	return l.insert(ctx, `journal (seq, at, body, hash)`, `(?, ?, ?, ?)`, 1, []any{p.seq, p.at, p.body, p.hash})
}

// insert writes n rows with one statement, which is prepared once for each n.
func (l *loader) insert(ctx context.Context, into, row string, n int, args []any) error {
	text := `INSERT INTO ` + into + ` VALUES ` + strings.Repeat(row+`, `, n-1) + row
	if _, err := l.c.exec(ctx, text, args...); err != nil {
		return fmt.Errorf("insert into %s: %w", into, err)
	}
	return nil
}

// accounts writes the accounts as the transfers have left them.
func (l *loader) accounts(ctx context.Context) error {
	if err := l.run(ctx, `BEGIN`); err != nil {
		return err
	}
	const columns = `account (id, member, name, currency, decimals, floor, unbounded, balance, held)`
	code, decimals := l.Currency.Code, int64(l.Currency.Decimals)
	_, err := l.c.exec(ctx, `INSERT INTO `+columns+` VALUES (?, 0, ?, ?, ?, 0, 1, ?, 0)
		ON CONFLICT (id) DO UPDATE SET balance = excluded.balance`, int64(FillEmission), Emission, code, decimals, l.emission)
	if err != nil {
		return fmt.Errorf("emission: %w", err)
	}
	for n := range l.before {
		if _, err := l.c.exec(ctx, `UPDATE account SET balance = ? WHERE id = ?`, l.balances[n], int64(FillFirst)+n); err != nil {
			return err
		}
	}
	for n := l.before; n < l.Accounts; {
		args := make([]any, 0, fillTogether*accountMarks)
		for range min(fillTogether, l.Accounts-n) {
			args = append(args, int64(FillFirst)+n, n+1, code, decimals, l.balances[n])
			n++
		}
		if err := l.insert(ctx, columns, accountMarked, len(args)/accountMarks, args); err != nil {
			return err
		}
	}
	return l.run(ctx, `COMMIT`)
}
