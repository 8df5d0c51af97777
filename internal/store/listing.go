package store

import (
	"context"
	"errors"
	"fmt"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
)

// A Standing is what may forbid an account to pay or be paid, beside its balance.
type Standing struct {
	Account   ledger.AccountID
	Currency  string
	Unbounded bool
	Owner     *member.Member // only state, freeze and lock are filled; nil: of the association
}

// Standings returns where two accounts stand, and whether payments are paused.
// It returns ledger.ErrNoAccount, with the ID, for one that does not exist.
func (tx *Tx) Standings(ctx context.Context, a, b ledger.AccountID) (from, to Standing, paused bool, err error) {
	// Nothing that is written behind is looked at.
	err = tx.c.each(context.WithoutCancel(ctx), func(scan scan) error {
		var s Standing
		var m member.Member
		if err := scan(&s.Account, &s.Currency, &s.Unbounded, &m.ID, &m.State, moment{&m.FrozenAt}, &m.FrozenBy,
			moment{&m.LostAt}, moment{&m.LockedTill}, &paused); err != nil {
			return err
		}
		if m.ID != 0 {
			s.Owner = &m
		}
		if s.Account == a {
			from = s
		}
		if s.Account == b {
			to = s
		}
		return nil
	}, `SELECT a.id, a.currency, a.unbounded, a.member, coalesce(m.state, ''), coalesce(m.frozen_at, 0), coalesce(m.frozen_by, ''),
			coalesce(m.lost_at, 0), coalesce(m.locked_till, 0), (SELECT count(*) FROM state WHERE name = 'paused_at' AND value <> '')
		FROM account a LEFT JOIN member m ON m.id = a.member WHERE a.id IN ($1, $2)`, int64(a), int64(b))
	switch {
	case err != nil:
		err = fmt.Errorf("read where accounts stand: %w", err)
	case from.Account != a:
		err = fmt.Errorf("account %d: %w", a, ledger.ErrNoAccount)
	case to.Account != b:
		err = fmt.Errorf("account %d: %w", b, ledger.ErrNoAccount)
	}
	return from, to, paused, err
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
