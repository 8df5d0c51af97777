package store

import (
	"context"
	"errors"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/order"
	"maillon/internal/sms"
)

// What is asked for many members at once: some dozens of rows for each
// statement, where one by one the statements would be most of the time.

// MembersByNumbers returns who has these numbers, by number.
func (tx *Tx) MembersByNumbers(ctx context.Context, numbers []sms.Number) (map[sms.Number]*member.Member, error) {
	hashes := make([]any, 0, len(numbers))
	for _, n := range numbers {
		hashes = append(hashes, keyedHash(tx.db.keys.number, n.E164()))
	}
	all := make(map[sms.Number]*member.Member, len(numbers))
	err := in(context.WithoutCancel(ctx), tx.c, `SELECT `+memberColumns+fromMember+`WHERE m.number_hash IN `, hashes, func(scan scan) error {
		m, err := tx.scanMember(scan)
		if err == nil {
			all[m.Number] = m
		}
		return err
	})
	return all, err
}

// MembersByNicks returns who has these pseudos now, by pseudo.
func (tx *Tx) MembersByNicks(ctx context.Context, nicks []string) (map[string]*member.Member, error) {
	hashes := make([]any, 0, len(nicks))
	for _, n := range nicks {
		hashes = append(hashes, tx.nickHash("is", n))
	}
	all := make(map[string]*member.Member, len(nicks))
	err := in(context.WithoutCancel(ctx), tx.c, `SELECT `+memberColumns+fromMember+
		`JOIN nick n ON n.member = m.id WHERE n.free_at = 0 AND n.hash IN `, hashes, func(scan scan) error {
		m, err := tx.scanMember(scan)
		if err == nil {
			all[m.Nick] = m
		}
		return err
	})
	return all, err
}

// MembersByIDs returns members by ID; one who does not exist is missing.
func (tx *Tx) MembersByIDs(ctx context.Context, ids []member.ID) (map[member.ID]*member.Member, error) {
	numbers := make([]any, 0, len(ids))
	for _, id := range ids {
		numbers = append(numbers, int64(id))
	}
	all := make(map[member.ID]*member.Member, len(ids))
	err := in(context.WithoutCancel(ctx), tx.c, `SELECT `+memberColumns+fromMember+`WHERE m.id IN `, numbers, func(scan scan) error {
		m, err := tx.scanMember(scan)
		if err == nil {
			all[m.ID] = m
		}
		return err
	})
	return all, err
}

// RefusedAmong returns those of some numbers that must never be written to.
func (tx *Tx) RefusedAmong(ctx context.Context, numbers []sms.Number) (map[sms.Number]bool, error) {
	hashes := make([]any, 0, len(numbers))
	of := make(map[string]sms.Number, len(numbers))
	for _, n := range numbers {
		h := keyedHash(tx.db.keys.refuse, n.E164())
		hashes, of[string(h)] = append(hashes, h), n
	}
	all := map[sms.Number]bool{}
	err := in(context.WithoutCancel(ctx), tx.c, `SELECT hash FROM refused WHERE hash IN `, hashes, func(scan scan) error {
		var h []byte
		err := scan(&h)
		all[of[string(h)]] = true
		return err
	})
	return all, err
}

// A Posted is who got how much by a transaction.
type Posted struct {
	Member member.ID
	Amount money.Amount
}

const postedUnder = `SELECT t.key, a.member, p.amount, a.currency, a.decimals FROM txn t
	JOIN posting p ON p.txn = t.id AND p.amount > 0 JOIN account a ON a.id = p.account WHERE t.key IN `

// PostedUnder returns what the transactions with these keys gave to members, by
// key. In an Update, the keys that nothing has are remembered as free.
func (tx *Tx) PostedUnder(ctx context.Context, keys []string) (map[string]Posted, error) {
	values := make([]any, 0, len(keys))
	for _, k := range keys {
		values = append(values, k)
	}
	all := map[string]Posted{}
	if err := tx.ready(ctx, false, postedUnder, nil); err != nil {
		return nil, err
	}
	err := in(context.WithoutCancel(ctx), tx.c, postedUnder, values, func(scan scan) error {
		var k string
		var p Posted
		var n int64
		var c money.Currency
		if err := scan(&k, &p.Member, &n, &c.Code, &c.Decimals); err != nil {
			return err
		}
		p.Amount = money.New(n, c)
		all[k] = p
		return nil
	})
	if err != nil || !tx.writes {
		return all, err
	}
	for _, k := range keys {
		_, used := all[k]
		if _, known := tx.behind.keys[k]; !known {
			tx.behind.setKey(k, used)
		}
	}
	return all, nil
}

// ExpectMany makes ready for crediting many members: their accounts are read
// at once, and as many references are drawn. It makes nothing right or wrong,
// only fast.
func (tx *Tx) ExpectMany(ctx context.Context, ids []member.ID, refs int) error {
	if err := tx.expectAccounts(ctx, ids); err != nil {
		return err
	}
	return tx.drawRefs(ctx, refs)
}

func (tx *Tx) expectAccounts(ctx context.Context, ids []member.ID) error {
	var unknown []any
	of := map[member.ID][]ledger.AccountID{}
	for _, id := range ids {
		_, ours := tx.owned[id]
		_, known := tx.knownOwned[id]
		if _, twice := of[id]; !ours && !known && !twice {
			unknown, of[id] = append(unknown, int64(id)), nil
		}
	}
	err := in(context.WithoutCancel(ctx), tx.c, `SELECT `+accountColumns+`, member, name FROM account WHERE member IN `, unknown, func(scan scan) error {
		r, err := scanAccountRow(scan)
		if err != nil {
			return err
		}
		tx.meet(r.Account)
		of[r.Member] = append(of[r.Member], r.ID)
		return nil
	})
	if err != nil {
		return err
	}
	for id, accounts := range of {
		tx.own(id, accounts)
	}
	return nil
}

// drawRefs draws references that neither an order nor a transaction has.
func (tx *Tx) drawRefs(ctx context.Context, n int) error {
	last, err := tx.nextID(ctx, "orders")
	if err != nil {
		return err
	}
	tx.behind.ids["orders"] = last - 1 // it was only looked at
	length := order.RefLen(last + int64(n))
	if tx.fresh == nil {
		tx.fresh = make(map[string]bool, n)
	}
	for round := 0; len(tx.drawn) < n; round++ {
		if round == maxDraws {
			return errors.New("no reference is free")
		}
		some := map[string]bool{}
		for range n - len(tx.drawn) {
			some[order.DrawRef(length)] = true
		}
		values := make([]any, 0, len(some))
		for ref := range some {
			values = append(values, ref)
		}
		for _, table := range []string{"orders", "txn"} {
			err := in(context.WithoutCancel(ctx), tx.c, `SELECT ref FROM `+table+` WHERE ref IN `, values, func(scan scan) error {
				var ref string
				err := scan(&ref)
				delete(some, ref)
				return err
			})
			if err != nil {
				return err
			}
		}
		for ref := range some {
			if !tx.fresh[ref] && !tx.behind.refs[sheetRef{orderSheet, ref}] && !tx.behind.refs[sheetRef{txnSheet, ref}] {
				tx.drawn, tx.fresh[ref] = append(tx.drawn, ref), true
			}
		}
	}
	return nil
}

// Seal encrypts what a member has prepared, so that only this server reads it,
// and nobody once the member is erased.
func (tx *Tx) Seal(ctx context.Context, m *member.Member, text []byte) ([]byte, error) {
	key, err := tx.key(ctx, m.Key)
	if err != nil {
		return nil, err
	}
	return key.seal("proposal", string(text)), nil
}

// Unseal decrypts what Seal returned, or says ErrErased.
func (tx *Tx) Unseal(ctx context.Context, m *member.Member, sealed []byte) ([]byte, error) {
	key, err := tx.key(ctx, m.Key)
	if err != nil {
		return nil, err
	}
	text, err := key.open("proposal", sealed)
	return []byte(text), err
}

// SetFloor changes how far below zero an account may go. It returns
// ledger.ErrInsufficient if it is further down already.
func (tx *Tx) SetFloor(ctx context.Context, id ledger.AccountID, floor money.Amount) error {
	a, err := tx.Account(ctx, id)
	if err != nil {
		return err
	}
	if err := a.SetFloor(floor); err != nil {
		return err
	}
	tx.record(event{Floor: &floorEvent{int64(id), floor.Minor()}})
	return tx.setFloor(ctx, a)
}

func (tx *Tx) setFloor(ctx context.Context, a ledger.Account) error {
	tx.know(a)
	_, err := tx.exec(ctx, `UPDATE account SET floor = $2 WHERE id = $1`, int64(a.ID), a.Floor.Minor())
	return err
}

// SystemBalance returns what is in an account of the association, without
// opening it.
func (tx *Tx) SystemBalance(ctx context.Context, name string, c money.Currency) (money.Amount, error) {
	a, err := scanAccount(tx.row(ctx, `SELECT `+accountColumns+` FROM account WHERE member = 0 AND name = $1 AND currency = $2`, name, c.Code).Scan)
	if errors.Is(found(err), ErrNotFound) {
		return money.New(0, c), nil
	}
	return a.Balance, err
}

// MemberAccounts returns at most limit accounts of members in a currency after
// one, by ID.
func (tx *Tx) MemberAccounts(ctx context.Context, c money.Currency, after ledger.AccountID, limit int) ([]AccountRow, error) {
	var all []AccountRow
	err := tx.each(ctx, func(scan scan) error {
		r, err := scanAccountRow(scan)
		r.Account = tx.meet(r.Account)
		all = append(all, r)
		return err
	}, `SELECT `+accountColumns+`, member, name FROM account WHERE id > $1 AND member > 0 AND currency = $2 ORDER BY id LIMIT $3 + 0`,
		int64(after), c.Code, limit)
	return all, err
}

// BelowZero returns at most limit accounts of members that owe, the deepest
// first.
func (tx *Tx) BelowZero(ctx context.Context, c money.Currency, limit int) ([]AccountRow, error) {
	var all []AccountRow
	err := tx.each(ctx, func(scan scan) error {
		r, err := scanAccountRow(scan)
		all = append(all, r)
		return err
	}, `SELECT `+accountColumns+`, member, name FROM account WHERE member > 0 AND currency = $1 AND (balance < 0 OR floor < 0)
		ORDER BY balance, id LIMIT $2 + 0`, c.Code, limit)
	return all, err
}

// LastBefore returns the last transaction that was posted before a moment; 0 is
// none.
func (tx *Tx) LastBefore(ctx context.Context, at time.Time) (id ledger.TransactionID, err error) {
	err = tx.row(ctx, `SELECT id FROM txn WHERE at < $1 ORDER BY id DESC LIMIT 1`, micros(at)).Scan(&id)
	if errors.Is(found(err), ErrNotFound) {
		err = nil
	}
	return id, err
}

// BalancesAfter returns what belonged to accounts after a transaction; an account
// that had no posting yet is missing.
func (tx *Tx) BalancesAfter(ctx context.Context, ids []ledger.AccountID, last ledger.TransactionID) (map[ledger.AccountID]int64, error) {
	all := make(map[ledger.AccountID]int64, len(ids))
	for _, id := range ids {
		var balance int64
		err := tx.row(ctx, `SELECT balance FROM posting WHERE account = $1 AND txn <= $2 ORDER BY txn DESC, n DESC LIMIT 1`,
			int64(id), int64(last)).Scan(&balance)
		if errors.Is(found(err), ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all[id] = balance
	}
	return all, nil
}

// CreditsBetween returns at most limit credits that were paid from a time and
// before another, the newest first.
func (tx *Tx) CreditsBetween(ctx context.Context, from, to time.Time, limit int) ([]*order.Order, error) {
	var all []*order.Order
	err := tx.each(ctx, func(scan func(...any) error) error {
		o, err := tx.scanOrder(scan)
		all = append(all, o)
		return err
	}, `SELECT `+orderColumns+fromOrder+`WHERE o.payer = 0 AND o.paid_at > 0 AND o.paid_at >= $1 AND o.paid_at < $2 AND o.kind = 'credit'
		ORDER BY o.paid_at DESC, o.id DESC LIMIT $3 + 0`, micros(from), micros(to), limit)
	return all, err
}

// CountAudience counts who can be written to, by language: members with an
// account, without those who want no notices.
func (tx *Tx) CountAudience(ctx context.Context) (map[string]int, error) {
	all := map[string]int{}
	err := tx.each(ctx, func(scan func(...any) error) error {
		var language string
		var n int
		err := scan(&language, &n)
		all[language] = n
		return err
	}, `SELECT language, count(*) FROM member WHERE state = 'active' AND muted = 0 GROUP BY language ORDER BY language`)
	return all, err
}
