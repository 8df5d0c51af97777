package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
)

// A Standing is what may forbid an account to pay or be paid, beside its balance.
type Standing struct {
	Currency  money.Currency
	Unbounded bool
	Owner     *member.Member // only state, freeze and lock are filled; nil: of the association
}

// Standings are those of some accounts, and whether payments are paused.
type Standings struct {
	Paused bool
	Of     map[ledger.AccountID]Standing // an account that is missing does not exist
}

// has reports whether all of some accounts are there.
func (s *Standings) has(ids []ledger.AccountID) bool {
	for _, id := range ids {
		if _, ok := s.Of[id]; !ok {
			return false
		}
	}
	return true
}

// Standings returns where accounts stand.
func (tx *Tx) Standings(ctx context.Context, ids ...ledger.AccountID) (Standings, error) {
	if tx.behind != nil && tx.behind.known.has(ids) {
		return tx.behind.known, nil
	}
	s := Standings{Of: make(map[ledger.AccountID]Standing, len(ids))}
	return s, s.read(context.WithoutCancel(ctx), tx.c, ids, func(a ledger.Account) { tx.meet(a) })
}

// expectStandings finds out where accounts stand, for the whole batch.
func (db *DB) expectStandings(ctx context.Context, ids []ledger.AccountID) error {
	slices.Sort(ids)
	ids = slices.DeleteFunc(slices.Compact(ids), func(id ledger.AccountID) bool { return db.behind.known.has([]ledger.AccountID{id}) })
	if len(ids) == 0 {
		return nil
	}
	if db.behind.known.Of == nil || len(db.behind.known.Of) >= maxAccounts {
		db.behind.known = Standings{Of: make(map[ledger.AccountID]Standing, len(ids))}
	}
	return db.behind.known.read(ctx, db.writer, ids, func(a ledger.Account) {
		if _, ok := db.accounts[a.ID]; !ok { // what is known may be newer
			db.accounts[a.ID] = a
		}
	})
}

// changeStanding forgets where accounts stand, for something of it is about to
// change.
func (tx *Tx) changeStanding() {
	if tx.behind != nil {
		tx.behind.known = Standings{}
	}
}

// read adds where accounts stand, and calls met with what else was read of them.
func (s *Standings) read(ctx context.Context, c conn, ids []ledger.AccountID, met func(ledger.Account)) error {
	numbers := make([]any, len(ids))
	for i, id := range ids {
		numbers[i] = int64(id)
	}
	err := in(ctx, c, `SELECT a.id, a.currency, a.decimals, a.floor, a.unbounded, a.balance, a.held, a.member,
			coalesce(m.state, ''), coalesce(m.frozen_at, 0), coalesce(m.frozen_by, ''), coalesce(m.lost_at, 0), coalesce(m.locked_till, 0),
			(SELECT count(*) FROM state WHERE name = 'paused_at' AND value <> '')
		FROM account a LEFT JOIN member m ON m.id = a.member WHERE a.id IN `, numbers, func(scan scan) error {
		a, err := s.scan(scan)
		if err == nil {
			met(a)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read where accounts stand: %w", err)
	}
	return nil
}

func (s *Standings) scan(scan scan) (ledger.Account, error) {
	var m member.Member
	a, err := scanAccount(func(to ...any) error {
		return scan(append(to, &m.ID, &m.State, moment{&m.FrozenAt}, &m.FrozenBy, moment{&m.LostAt}, moment{&m.LockedTill}, &s.Paused)...)
	})
	if err != nil {
		return a, err
	}
	one := Standing{Currency: a.Balance.Currency(), Unbounded: a.Unbounded}
	if m.ID != 0 {
		one.Owner = &m
	}
	s.Of[a.ID] = one
	return a, nil
}

// scanAccountRow scans the columns of an account, its member and its name.
func scanAccountRow(scan scan) (r AccountRow, err error) {
	r.Account, err = scanAccount(func(to ...any) error { return scan(append(to, &r.Member, &r.Name)...) })
	return r, err
}

// AccountRow returns an account with who owns it, or ledger.ErrNoAccount.
func (tx *Tx) AccountRow(ctx context.Context, id ledger.AccountID) (AccountRow, error) {
	r, err := scanAccountRow(tx.row(ctx, `SELECT `+accountColumns+`, member, name FROM account WHERE id = $1`, int64(id)).Scan)
	if errors.Is(found(err), ErrNotFound) {
		return r, ledger.ErrNoAccount
	}
	return r, err
}

// AccountRows returns at most limit accounts after one, by ID.
func (tx *Tx) AccountRows(ctx context.Context, after ledger.AccountID, limit int) ([]AccountRow, error) {
	var all []AccountRow
	err := tx.each(ctx, func(scan scan) error {
		r, err := scanAccountRow(scan)
		all = append(all, r)
		return err
	}, `SELECT `+accountColumns+`, member, name FROM account WHERE id > $1 ORDER BY id LIMIT $2 + 0`, int64(after), limit)
	return all, err
}

// TransactionsAfter returns at most limit transactions after one with their
// postings, the oldest first: those of one account, or all with 0.
func (tx *Tx) TransactionsAfter(ctx context.Context, of ledger.AccountID, after ledger.TransactionID, limit int) ([]ledger.Transaction, error) {
	const columns = `SELECT ` + txnColumns + `, p.account, p.amount, a.currency, a.decimals
		FROM txn t JOIN posting p ON p.txn = t.id JOIN account a ON a.id = p.account WHERE t.id IN `
	text, args := columns+`(SELECT id FROM txn WHERE id > $1 ORDER BY id LIMIT $2 + 0) ORDER BY t.id, p.n`, []any{int64(after), limit}
	if of != 0 {
		text = columns + `(SELECT DISTINCT txn FROM posting WHERE account = $1 AND txn > $2 ORDER BY txn LIMIT $3 + 0) ORDER BY t.id, p.n`
		args = []any{int64(of), int64(after), limit}
	}
	var all []ledger.Transaction
	err := tx.each(ctx, func(scan scan) error {
		var p ledger.Posting
		var c money.Currency
		var amount int64
		t, err := scanTransaction(func(to ...any) error { return scan(append(to, &p.Account, &amount, &c.Code, &c.Decimals)...) })
		if err != nil {
			return err
		}
		p.Amount = money.New(amount, c)
		if len(all) == 0 || all[len(all)-1].ID != t.ID {
			all = append(all, t)
		}
		last := &all[len(all)-1]
		last.Postings = append(last.Postings, p)
		return nil
	}, text, args...)
	return all, err
}

// TransactionSpan returns the earliest and the latest time of a transaction, zero
// if there is none. A clock that was set back leaves an earlier time behind a
// later one.
func (tx *Tx) TransactionSpan(ctx context.Context) (first, last time.Time, err error) {
	err = tx.row(ctx, `SELECT coalesce(min(at), 0), coalesce(max(at), 0) FROM txn`).Scan(moment{&first}, moment{&last})
	return first, last, err
}
