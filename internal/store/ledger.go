package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
)

// The accounts of the association.
const (
	Emission = "emission" // where units come from; may be below zero
	Pertes   = "pertes"   // what frauds cost; may be below zero
	Pot      = "pot"      // the common pot
)

const accountColumns = `id, currency, decimals, floor, unbounded, balance, held`

func scanAccount(scan func(...any) error) (ledger.Account, error) {
	var a ledger.Account
	var c money.Currency
	var floor, balance, held int64
	if err := scan(&a.ID, &c.Code, &c.Decimals, &floor, &a.Unbounded, &balance, &held); err != nil {
		return a, err
	}
	a.Floor, a.Balance, a.Held = money.New(floor, c), money.New(balance, c), money.New(held, c)
	return a, nil
}

// meet remembers an account as the database has it, unless it is known better:
// balances are written behind. It returns the account as it is.
func (tx *Tx) meet(a ledger.Account) ledger.Account {
	if now, ok := tx.accounts[a.ID]; ok {
		return now
	}
	if now, ok := tx.known[a.ID]; ok {
		return now
	}
	tx.know(a)
	return a
}

func (tx *Tx) know(a ledger.Account) {
	if tx.accounts == nil {
		tx.accounts = map[ledger.AccountID]ledger.Account{}
	}
	tx.accounts[a.ID] = a
}

// Account implements ledger.Tx.
func (tx *Tx) Account(ctx context.Context, id ledger.AccountID) (ledger.Account, error) {
	if a, ok := tx.accounts[id]; ok {
		return a, nil
	}
	if a, ok := tx.known[id]; ok {
		return a, nil
	}
	a, err := scanAccount(tx.peek(ctx, `SELECT `+accountColumns+` FROM account WHERE id = $1`, int64(id)).Scan)
	if errors.Is(found(err), ErrNotFound) {
		return a, ledger.ErrNoAccount
	}
	if err == nil {
		tx.know(a)
	}
	return a, err
}

// AccountsOf returns the accounts of a member, the oldest first.
func (tx *Tx) AccountsOf(ctx context.Context, m member.ID) ([]ledger.Account, error) {
	ids, ok := tx.owned[m]
	if !ok {
		ids, ok = tx.knownOwned[m]
	}
	if !ok {
		if err := tx.readAccounts(ctx, m); err != nil {
			return nil, err
		}
		ids = tx.owned[m]
	}
	all := make([]ledger.Account, 0, len(ids))
	for _, id := range ids {
		a, err := tx.Account(ctx, id)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// readAccounts reads the accounts of a member once for the whole transaction.
func (tx *Tx) readAccounts(ctx context.Context, m member.ID) error {
	ids := make([]ledger.AccountID, 0, 1)
	err := tx.c.each(context.WithoutCancel(ctx), func(scan scan) error {
		a, err := scanAccount(scan)
		if err != nil {
			return err
		}
		tx.meet(a)
		ids = append(ids, a.ID)
		return nil
	}, `SELECT `+accountColumns+` FROM account WHERE member = $1 ORDER BY id`, int64(m))
	if err == nil {
		tx.own(m, ids)
	}
	return err
}

// AccountOf returns the account of a member in a currency, and opens it if
// there is none yet.
func (tx *Tx) AccountOf(ctx context.Context, m member.ID, c money.Currency) (ledger.Account, error) {
	mine, err := tx.AccountsOf(ctx, m)
	if err != nil {
		return ledger.Account{}, err
	}
	for _, a := range mine {
		if a.Balance.Currency().Code == c.Code {
			return a, nil
		}
	}
	e := accountEvent{Member: int64(m), Currency: c.Code, Decimals: c.Decimals}
	if err := tx.openAccount(ctx, &e); err != nil {
		return ledger.Account{}, err
	}
	return tx.accounts[ledger.AccountID(e.ID)], nil
}

// SystemAccount returns an account of the association, and opens it if there
// is none yet; a View, which opens none, finds an empty one without ID then.
// Emission and Pertes have no floor.
func (tx *Tx) SystemAccount(ctx context.Context, name string, c money.Currency) (ledger.Account, error) {
	return tx.account(ctx, accountEvent{
		Name: name, Currency: c.Code, Decimals: c.Decimals, Unbounded: name == Emission || name == Pertes,
	})
}

// NamedAccount returns an account that belongs to no member, and opens it if there
// is none yet; a View, which opens none, finds an empty one without ID then. One
// that is unbounded has no floor.
func (tx *Tx) NamedAccount(ctx context.Context, name string, c money.Currency, unbounded bool) (ledger.Account, error) {
	return tx.account(ctx, accountEvent{Name: name, Currency: c.Code, Decimals: c.Decimals, Unbounded: unbounded})
}

func (tx *Tx) account(ctx context.Context, e accountEvent) (ledger.Account, error) {
	a, err := scanAccount(tx.peek(ctx, `SELECT `+accountColumns+` FROM account WHERE member = $1 AND name = $2 AND currency = $3`,
		e.Member, e.Name, e.Currency).Scan)
	if err == nil {
		return tx.meet(a), nil
	}
	if !errors.Is(found(err), ErrNotFound) {
		return a, err
	}
	if !tx.writes {
		return e.account(), nil
	}
	if err := tx.openAccount(ctx, &e); err != nil {
		return a, err
	}
	return tx.accounts[ledger.AccountID(e.ID)], nil
}

// openAccount writes a new account, and sets the ID of e.
func (tx *Tx) openAccount(ctx context.Context, e *accountEvent) (err error) {
	if e.ID == 0 {
		if e.ID, err = tx.nextID(ctx, "account"); err != nil {
			return err
		}
	}
	err = tx.later(ctx, `INSERT INTO account (id, member, name, currency, decimals, floor, unbounded) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		e.ID, e.Member, e.Name, e.Currency, e.Decimals, e.Floor, bit(e.Unbounded))
	if err != nil {
		return err
	}
	tx.record(event{Account: e})
	tx.know(e.account())
	m := member.ID(e.Member)
	if ids, ok := tx.owned[m]; ok {
		tx.own(m, append(slices.Clip(ids), ledger.AccountID(e.ID)))
	} else if ids, ok := tx.knownOwned[m]; ok {
		tx.own(m, append(slices.Clip(ids), ledger.AccountID(e.ID)))
	}
	return nil
}

func (tx *Tx) own(m member.ID, ids []ledger.AccountID) {
	if tx.owned == nil {
		tx.owned = map[member.ID][]ledger.AccountID{}
	}
	tx.owned[m] = ids
}

// Append implements ledger.Tx. A transaction without a time gets that of tx.
func (tx *Tx) Append(ctx context.Context, t *ledger.Transaction, after []ledger.Account) error {
	if t.At.IsZero() {
		t.At = tx.now
	}
	if taken, err := tx.taken(ctx, t); err != nil || taken {
		return cmp.Or(err, ledger.ErrDuplicate)
	}
	id, err := tx.nextID(ctx, "txn")
	if err != nil {
		return err
	}
	tx.behind.add(txnSheet, id, t.Ref, t.Key, string(t.Kind), micros(t.At), int64(t.Reverses), int64(t.Via), t.Note)
	tx.behind.setKey(t.Key, true)
	tx.behind.setRef(txnSheet, t.Ref)
	t.ID = ledger.TransactionID(id)
	e := txnEvent{
		ID: id, Ref: t.Ref, Key: t.Key, Kind: string(t.Kind),
		Reverses: int64(t.Reverses), Via: int64(t.Via), Note: t.Note,
	}
	if !t.At.Equal(tx.now) {
		e.At = micros(t.At)
	}
	balances := map[ledger.AccountID]int64{}
	for i, p := range t.Postings {
		if _, ok := balances[p.Account]; !ok {
			a, err := tx.Account(ctx, p.Account)
			if err != nil {
				return err
			}
			balances[p.Account] = a.Balance.Minor()
		}
		balances[p.Account] += p.Amount.Minor()
		tx.behind.add(postingSheet, id, int64(i), int64(p.Account), p.Amount.Minor(), balances[p.Account])
		e.Postings = append(e.Postings, [2]int64{int64(p.Account), p.Amount.Minor()})
	}
	for _, a := range after {
		tx.saveAccount(a)
	}
	tx.record(event{Txn: &e})
	tx.touch(Books)
	return nil
}

// taken reports whether the key of a transaction, or its reference, was used.
func (tx *Tx) taken(ctx context.Context, t *ledger.Transaction) (bool, error) {
	if !tx.writes {
		return false, ErrReadOnly
	}
	used, known := tx.behind.keys[t.Key]
	switch {
	case used:
		return true, nil
	case t.Ref != "" && tx.behind.refs[sheetRef{txnSheet, t.Ref}]:
		return true, nil
	case known && (t.Ref == "" || tx.fresh[t.Ref]):
		return false, nil
	}
	var n int64
	err := tx.peek(ctx, `SELECT (SELECT count(*) FROM txn WHERE key = $1) + (SELECT count(*) FROM txn WHERE ref = $2 AND ref <> '')`,
		t.Key, t.Ref).Scan(&n)
	return n > 0, err
}

func (tx *Tx) saveAccount(a ledger.Account) {
	tx.behind.add(balanceSheet, int64(a.ID), a.Balance.Minor(), a.Held.Minor())
	tx.know(a)
}

// Hold implements ledger.HoldTx.
func (tx *Tx) Hold(ctx context.Context, id ledger.HoldID) (ledger.Hold, error) {
	h := ledger.Hold{ID: id}
	var placed, remaining, expires int64
	err := tx.row(ctx, `SELECT account, placed, remaining, txn, expires_at FROM hold WHERE id = $1`, int64(id)).
		Scan(&h.Account, &placed, &remaining, &h.For, &expires)
	if errors.Is(found(err), ErrNotFound) {
		return h, fmt.Errorf("hold %d: %w", id, ledger.ErrHold)
	}
	if err != nil {
		return h, err
	}
	a, err := tx.Account(ctx, h.Account)
	c := a.Balance.Currency()
	h.Placed, h.Left, h.Expires = money.New(placed, c), money.New(remaining, c), fromMicros(expires)
	return h, err
}

// SaveHold implements ledger.HoldTx. A hold whose account has let go of its
// part already is captured by the transaction just appended: the journal says
// so, for the two replay as one.
func (tx *Tx) SaveHold(ctx context.Context, h *ledger.Hold, after ledger.Account) error {
	e := holdEvent{
		ID: int64(h.ID), Account: int64(h.Account), Placed: h.Placed.Minor(), Remaining: h.Left.Minor(),
		Txn: int64(h.For), Expires: micros(h.Expires),
	}
	var err error
	if h.ID == 0 {
		if e.ID, err = tx.nextID(ctx, "hold"); err != nil {
			return err
		}
		err = tx.later(ctx, `INSERT INTO hold (id, account, placed, remaining, txn, expires_at) VALUES ($1, $2, $3, $4, $5, $6)`,
			e.ID, e.Account, e.Placed, e.Remaining, e.Txn, e.Expires)
		h.ID = ledger.HoldID(e.ID)
	} else {
		if last := tx.lastTxn(); last != nil && after.Held == tx.accounts[after.ID].Held {
			last.Hold = e.ID
		}
		err = tx.later(ctx, `UPDATE hold SET remaining = $2 WHERE id = $1`, e.ID, e.Remaining)
	}
	if err != nil {
		return err
	}
	tx.record(event{Hold: &e})
	tx.saveAccount(after)
	return nil
}

// lastTxn returns the transaction that was just appended; nil if something
// else happened last.
func (tx *Tx) lastTxn() *txnEvent {
	if len(tx.events) == 0 {
		return nil
	}
	return tx.events[len(tx.events)-1].Txn
}

// HoldsFor returns the open holds for a transaction that is in doubt.
func (tx *Tx) HoldsFor(ctx context.Context, id ledger.TransactionID) ([]ledger.HoldID, error) {
	var all []ledger.HoldID
	err := tx.each(ctx, func(scan func(...any) error) error {
		var h ledger.HoldID
		err := scan(&h)
		all = append(all, h)
		return err
	}, `SELECT id FROM hold WHERE txn = $1 AND remaining > 0 ORDER BY id`, int64(id))
	return all, err
}

// HoldsOn returns at most limit open holds on an account, the oldest first.
func (tx *Tx) HoldsOn(ctx context.Context, id ledger.AccountID, limit int) ([]ledger.HoldID, error) {
	var all []ledger.HoldID
	err := tx.each(ctx, func(scan func(...any) error) error {
		var h ledger.HoldID
		err := scan(&h)
		all = append(all, h)
		return err
	}, `SELECT id FROM hold WHERE account = $1 AND remaining > 0 ORDER BY id LIMIT $2 + 0`, int64(id), limit)
	return all, err
}

// Doubted returns at most limit payments, from one on, because of which something
// is set aside, the oldest first.
func (tx *Tx) Doubted(ctx context.Context, from ledger.TransactionID, limit int) (all []ledger.TransactionID, err error) {
	err = tx.each(ctx, func(scan func(...any) error) error {
		var id ledger.TransactionID
		err := scan(&id)
		all = append(all, id)
		return err
	}, `SELECT DISTINCT h.txn FROM hold h JOIN txn t ON t.id = h.txn WHERE h.remaining > 0 AND h.txn >= $1 AND t.kind = 'payment'
		ORDER BY h.txn LIMIT $2 + 0`, int64(from), limit)
	return all, err
}

// CreditsFrom returns at most limit credits that undo nothing, from a transaction
// on and before another, the oldest first, without their postings.
func (tx *Tx) CreditsFrom(ctx context.Context, from, before ledger.TransactionID, limit int) ([]ledger.Transaction, error) {
	var all []ledger.Transaction
	err := tx.each(ctx, func(scan func(...any) error) error {
		t, err := scanTransaction(scan)
		all = append(all, t)
		return err
	}, `SELECT `+txnColumns+` FROM txn t WHERE t.id >= $1 AND t.id < $2 AND t.kind = 'credit' AND t.reverses = 0 ORDER BY t.id LIMIT $3 + 0`,
		int64(from), int64(before), limit)
	return all, err
}

// AccountRowsOf returns accounts by ID; one that does not exist is missing.
func (tx *Tx) AccountRowsOf(ctx context.Context, ids []ledger.AccountID) (map[ledger.AccountID]AccountRow, error) {
	numbers := make([]any, 0, len(ids))
	for _, id := range ids {
		numbers = append(numbers, int64(id))
	}
	all := make(map[ledger.AccountID]AccountRow, len(ids))
	err := tx.ready(context.WithoutCancel(ctx), false, `SELECT id FROM account`, nil)
	if err != nil {
		return nil, err
	}
	err = in(context.WithoutCancel(ctx), tx.c, `SELECT `+accountColumns+`, member, name FROM account WHERE id IN `, numbers, func(scan scan) error {
		r, err := scanAccountRow(scan)
		all[r.ID] = r
		return err
	})
	return all, err
}

// FirstSince returns the first transaction of a time or later; one that is still
// to come if there is none. Transactions are numbered in the order of their time.
func (tx *Tx) FirstSince(ctx context.Context, at time.Time) (ledger.TransactionID, error) {
	var low, high int64 = 1, 0
	if err := tx.row(ctx, `SELECT coalesce(max(id), 0) FROM txn`).Scan(&high); err != nil {
		return 0, err
	}
	for high++; low < high; {
		middle := low + (high-low)/2
		var id, when int64
		if err := tx.row(ctx, `SELECT id, at FROM txn WHERE id >= $1 ORDER BY id LIMIT 1`, middle).Scan(&id, &when); err != nil {
			return 0, err
		}
		if when >= micros(at) {
			high = middle
		} else {
			low = id + 1
		}
	}
	return ledger.TransactionID(low), nil
}

const txnColumns = `t.id, t.ref, t.key, t.kind, t.at, t.reverses, t.via, t.note`

func scanTransaction(scan func(...any) error) (ledger.Transaction, error) {
	var t ledger.Transaction
	err := scan(&t.ID, &t.Ref, &t.Key, &t.Kind, moment{&t.At}, &t.Reverses, &t.Via, &t.Note)
	return t, err
}

// Transaction returns a transaction with its postings, or ErrNotFound.
func (tx *Tx) Transaction(ctx context.Context, id ledger.TransactionID) (ledger.Transaction, error) {
	t, err := scanTransaction(tx.row(ctx, `SELECT `+txnColumns+` FROM txn t WHERE t.id = $1`, int64(id)).Scan)
	if err != nil {
		return t, found(err)
	}
	return t, tx.postings(ctx, &t)
}

// TransactionByRef returns a transaction by its reference, or ErrNotFound.
func (tx *Tx) TransactionByRef(ctx context.Context, ref string) (ledger.Transaction, error) {
	t, err := scanTransaction(tx.row(ctx, `SELECT `+txnColumns+` FROM txn t WHERE t.ref = $1 AND t.ref <> ''`, ref).Scan)
	if err != nil {
		return t, found(err)
	}
	return t, tx.postings(ctx, &t)
}

// TransactionByKey returns a transaction by its idempotency key, or ErrNotFound.
func (tx *Tx) TransactionByKey(ctx context.Context, key string) (ledger.Transaction, error) {
	t, err := scanTransaction(tx.row(ctx, `SELECT `+txnColumns+` FROM txn t WHERE t.key = $1`, key).Scan)
	if err != nil {
		return t, found(err)
	}
	return t, tx.postings(ctx, &t)
}

func (tx *Tx) postings(ctx context.Context, t *ledger.Transaction) error {
	return tx.each(ctx, func(scan func(...any) error) error {
		var p ledger.Posting
		var c money.Currency
		var amount int64
		if err := scan(&p.Account, &amount, &c.Code, &c.Decimals); err != nil {
			return err
		}
		p.Amount = money.New(amount, c)
		t.Postings = append(t.Postings, p)
		return nil
	}, `SELECT p.account, p.amount, a.currency, a.decimals FROM posting p JOIN account a ON a.id = p.account
		WHERE p.txn = $1 ORDER BY p.n`, int64(t.ID))
}

// ReversalOf returns the transaction that undid another, or ErrNotFound.
func (tx *Tx) ReversalOf(ctx context.Context, id ledger.TransactionID) (ledger.Transaction, error) {
	t, err := scanTransaction(tx.row(ctx, `SELECT `+txnColumns+` FROM txn t WHERE t.reverses = $1 AND t.reverses <> 0 ORDER BY t.id LIMIT 1`, int64(id)).Scan)
	if err != nil {
		return t, found(err)
	}
	return t, tx.postings(ctx, &t)
}

// Transactions returns at most limit transactions after one, the oldest first.
func (tx *Tx) Transactions(ctx context.Context, after ledger.TransactionID, limit int) ([]ledger.Transaction, error) {
	var all []ledger.Transaction
	err := tx.each(ctx, func(scan func(...any) error) error {
		t, err := scanTransaction(scan)
		all = append(all, t)
		return err
	}, `SELECT `+txnColumns+` FROM txn t WHERE t.id > $1 ORDER BY t.id LIMIT $2 + 0`, int64(after), limit)
	for i := range all {
		if err == nil {
			err = tx.postings(ctx, &all[i])
		}
	}
	return all, err
}

// LastTransactions returns at most limit transactions, the newest first.
func (tx *Tx) LastTransactions(ctx context.Context, limit int) ([]ledger.Transaction, error) {
	var newest int64
	if err := tx.row(ctx, `SELECT coalesce(max(id), 0) FROM txn`).Scan(&newest); err != nil {
		return nil, err
	}
	all, err := tx.Transactions(ctx, ledger.TransactionID(max(newest-int64(limit), 0)), limit)
	slices.Reverse(all)
	return all, err
}

// A Movement is one posting of a member's account, as a statement shows it.
type Movement struct {
	Transaction ledger.TransactionID
	Ref         string
	Kind        ledger.Kind
	At          time.Time
	Amount      money.Amount
	Balance     money.Amount     // after it
	Other       ledger.AccountID // the first account on the other side
	OtherMember member.ID        // 0: of the association
	OtherName   string           // of an account of the association
}

// Movements returns at most limit movements of an account, the newest first,
// without the opening balance, after skipping some.
func (tx *Tx) Movements(ctx context.Context, id ledger.AccountID, skip, limit int) ([]Movement, error) {
	a, err := tx.Account(ctx, id)
	if err != nil {
		return nil, err
	}
	c := a.Balance.Currency()
	var all []Movement
	err = tx.each(ctx, func(scan func(...any) error) error {
		var m Movement
		var amount, balance int64
		if err := scan(&m.Transaction, &m.Ref, &m.Kind, moment{&m.At}, &amount, &balance, &m.Other, &m.OtherMember, &m.OtherName); err != nil {
			return err
		}
		m.Amount, m.Balance = money.New(amount, c), money.New(balance, c)
		all = append(all, m)
		return nil
	}, `SELECT t.id, t.ref, t.kind, t.at, p.amount, p.balance, o.account, b.member, b.name
		FROM posting p JOIN txn t ON t.id = p.txn
		JOIN posting o ON o.txn = p.txn AND o.n = (SELECT min(q.n) FROM posting q WHERE q.txn = p.txn AND q.account <> p.account)
		JOIN account b ON b.id = o.account
		WHERE p.account = $1 AND t.kind <> 'opening' ORDER BY p.txn DESC LIMIT $2 + 0 OFFSET $3`, int64(id), limit, skip)
	return all, err
}

// BalanceAt returns what belonged to an account at a moment.
func (tx *Tx) BalanceAt(ctx context.Context, id ledger.AccountID, at time.Time) (money.Amount, error) {
	a, err := tx.Account(ctx, id)
	if err != nil {
		return money.Amount{}, err
	}
	var balance int64
	err = tx.row(ctx, `SELECT p.balance FROM posting p JOIN txn t ON t.id = p.txn
		WHERE p.account = $1 AND t.at <= $2 ORDER BY p.txn DESC, p.n DESC LIMIT 1`, int64(id), micros(at)).Scan(&balance)
	if errors.Is(found(err), ErrNotFound) {
		err = nil
	}
	return money.New(balance, a.Balance.Currency()), err
}

// An AccountRow is an account with who owns it.
type AccountRow struct {
	ledger.Account
	Member member.ID
	Name   string // of the association's
}

// AllAccounts calls do for every account, by ID.
func (tx *Tx) AllAccounts(ctx context.Context, do func(AccountRow) error) error {
	return tx.stream(ctx, func(scan scan) error {
		var r AccountRow
		a, err := scanAccount(func(to ...any) error { return scan(append(to, &r.Member, &r.Name)...) })
		if err != nil {
			return err
		}
		r.Account = a
		return do(r)
	}, `SELECT `+accountColumns+`, member, name FROM account ORDER BY id`)
}

// Owner returns who owns an account: a member, or the name of an account of
// the association.
func (tx *Tx) Owner(ctx context.Context, id ledger.AccountID) (m member.ID, name string, err error) {
	err = tx.row(ctx, `SELECT member, name FROM account WHERE id = $1`, int64(id)).Scan(&m, &name)
	return m, name, found(err)
}

// Circulation returns the sum of what members and pots have in a currency.
func (tx *Tx) Circulation(ctx context.Context, c money.Currency) (money.Amount, error) {
	var n int64
	err := tx.row(ctx, `SELECT coalesce(sum(balance), 0) FROM account WHERE currency = $1 AND unbounded = 0`, c.Code).Scan(&n)
	return money.New(n, c), err
}
