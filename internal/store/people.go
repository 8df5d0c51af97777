package store

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/order"
)

// A MemberStanding is how members are listed for whoever looks after them.
type MemberStanding string

// The standings.
const (
	AnyMembers     MemberStanding = ""
	ActiveMembers  MemberStanding = "active"  // members
	NewMembers     MemberStanding = "new"     // were given money, have not said yes
	StaffMembers   MemberStanding = "staff"   // administrators, with or without an account
	BlockedMembers MemberStanding = "blocked" // frozen or lost
	LockedMembers  MemberStanding = "locked"  // after wrong codes, now
	ErasedMembers  MemberStanding = "closed"  // erased
)

// MemberStandings returns every standing.
func MemberStandings() []MemberStanding {
	return []MemberStanding{AnyMembers, ActiveMembers, NewMembers, StaffMembers, BlockedMembers, LockedMembers, ErasedMembers}
}

// standingWhere is what each standing asks of a row.
var standingWhere = map[MemberStanding]string{
	AnyMembers:     ``,
	ActiveMembers:  ` AND m.state = 'active'`,
	NewMembers:     ` AND m.state = 'new'`,
	StaffMembers:   ` AND m.role <> ''`,
	BlockedMembers: ` AND (m.frozen_at > 0 OR m.lost_at > 0)`,
	LockedMembers:  ` AND m.locked_till > 0 AND m.locked_till > $3`,
	ErasedMembers:  ` AND m.state = 'closed'`,
}

// MembersBy returns at most limit members of a standing, the newest first,
// before one; 0 is from the newest on.
func (tx *Tx) MembersBy(ctx context.Context, s MemberStanding, before member.ID, limit int) ([]*member.Member, error) {
	if before <= 0 {
		before = 1<<63 - 1
	}
	args := []any{int64(before), limit}
	if s == LockedMembers {
		args = append(args, micros(tx.now))
	}
	var all []*member.Member
	err := tx.each(ctx, func(scan func(...any) error) error {
		m, err := tx.scanMember(scan)
		all = append(all, m)
		return err
	}, `SELECT `+memberColumns+fromMember+`WHERE m.id < $1`+standingWhere[s]+` ORDER BY m.id DESC LIMIT $2 + 0`, args...)
	return all, err
}

// NicksNear returns at most limit members whose pseudo is this one but for one
// letter, or looks like it, sorted by it.
func (tx *Tx) NicksNear(ctx context.Context, nick string, limit int) ([]*member.Member, error) {
	seen, err := tx.near(ctx, nick)
	if err != nil || seen == nil {
		return nil, err
	}
	if err := tx.each(ctx, func(scan func(...any) error) error {
		var id member.ID
		err := scan(&id)
		seen[id] = true
		return err
	}, `SELECT member FROM nick WHERE lookalike = $1 AND free_at = 0 LIMIT $2 + 0`, tx.nickHash("like", lookalike(nick)), maxNear); err != nil {
		return nil, err
	}
	var near []*member.Member
	for id := range seen {
		m, err := tx.Member(ctx, id)
		if err != nil {
			return nil, err
		}
		if m.Nick != "" && m.Nick != nick && (oneApart(nick, m.Nick) || lookalike(nick) == lookalike(m.Nick)) {
			near = append(near, m)
		}
	}
	slices.SortFunc(near, func(a, b *member.Member) int { return cmp.Compare(a.Nick, b.Nick) })
	return near[:min(len(near), limit)], nil
}

// LastAct returns the ID of the newest act about something, but for one kind of
// act; 0 if there is none.
func (tx *Tx) LastAct(ctx context.Context, subject, but string) (id int64, err error) {
	err = tx.row(ctx, `SELECT id FROM audit WHERE subject = $1 AND subject <> '' AND what <> $2 ORDER BY id DESC LIMIT 1`, subject, but).Scan(&id)
	if errors.Is(found(err), ErrNotFound) {
		return 0, nil
	}
	return id, err
}

// LastOut returns the ID of the newest message in the outbox.
func (tx *Tx) LastOut(ctx context.Context) (id int64, err error) {
	err = tx.row(ctx, `SELECT coalesce(max(id), 0) FROM outbox`).Scan(&id)
	return id, err
}

// MovementsBefore returns at most limit movements of an account before a time,
// the newest first, the opening balance too.
func (tx *Tx) MovementsBefore(ctx context.Context, a ledger.Account, before time.Time, limit int) ([]Movement, error) {
	c := a.Balance.Currency()
	var all []Movement
	err := tx.each(ctx, func(scan func(...any) error) error {
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
		WHERE p.account = $1 AND t.at < $2 ORDER BY p.txn DESC LIMIT $3 + 0`, int64(a.ID), micros(before), limit)
	return all, err
}

// OrdersOf returns at most limit orders that a member made, or was asked about,
// before a time, the newest first.
func (tx *Tx) OrdersOf(ctx context.Context, m member.ID, before time.Time, limit int) ([]*order.Order, error) {
	return tx.orders(ctx, `SELECT id FROM (
			SELECT * FROM (SELECT o.id FROM orders o WHERE o.owner = $1 AND o.created_at < $2 ORDER BY o.id DESC LIMIT $3 + 0) AS made
			UNION
			SELECT * FROM (SELECT o.id FROM orders o WHERE o.asked = $1 AND o.code_end > 0 AND o.created_at < $2 ORDER BY o.id DESC LIMIT $3 + 0) AS asked
		) AS hers ORDER BY id DESC LIMIT $3 + 0`, int64(m), micros(before), limit)
}

// WaitingOrders returns at most limit orders of a kind that wait for time or a
// person after one, the oldest first. Of gifts, those that a rule holds are not
// among them.
func (tx *Tx) WaitingOrders(ctx context.Context, after int64, limit int, kinds ...order.Kind) ([]*order.Order, error) {
	first, second := kinds[0], kinds[len(kinds)-1]
	return tx.orders(ctx, `SELECT o.id FROM orders o WHERE `+waits+`o.state = 'waiting' AND o.kind IN ($1, $2) AND o.hold = 0 AND o.id > $3
		ORDER BY o.id LIMIT $4 + 0`, string(first), string(second), after, limit)
}

// Disputes returns at most limit orders over which an administrator decides,
// after one, the oldest first.
func (tx *Tx) Disputes(ctx context.Context, after int64, limit int) ([]*order.Order, error) {
	return tx.orders(ctx, `SELECT o.id FROM orders o WHERE `+waits+`o.state = 'disputed' AND o.id > $1 ORDER BY o.id LIMIT $2 + 0`, after, limit)
}

// maxScan bounds how many transactions one search looks through.
const maxScan = 20_000

// TransactionsWhere says which transactions are looked for; zero values ask for
// nothing.
type TransactionsWhere struct {
	Before      ledger.TransactionID
	Account     ledger.AccountID
	Kind        ledger.Kind
	Amount      int64 // of one of its postings, in smallest units, whatever its sign
	Since       time.Time
	Until       time.Time
	atLeast, at ledger.TransactionID
}

// FindTransactions returns at most limit transactions, the newest first, and
// from which one on it may be looked further; 0 if there is nothing further. It
// looks through at most so many that a page is not waited for.
func (tx *Tx) FindTransactions(ctx context.Context, w TransactionsWhere, limit int) (all []ledger.Transaction, next ledger.TransactionID, err error) {
	if err := tx.narrow(ctx, &w); err != nil || w.at <= w.atLeast {
		return nil, 0, err
	}
	floor := w.atLeast
	text := `SELECT t.id FROM txn t WHERE t.id < $1 AND t.id >= $2 AND (CAST($3 AS TEXT) = '' OR t.kind = $3)
		AND (CAST($4 AS BIGINT) = 0 OR EXISTS (SELECT 1 FROM posting p WHERE p.txn = t.id AND (p.amount = $4 OR p.amount = -$4)))
		ORDER BY t.id DESC LIMIT $5 + 0`
	args := []any{int64(w.at), int64(floor), string(w.Kind), w.Amount, limit + 1}
	if w.Account != 0 {
		text = `SELECT t.id FROM posting h JOIN txn t ON t.id = h.txn WHERE h.txn < $1 AND h.txn >= $2 AND (CAST($3 AS TEXT) = '' OR t.kind = $3)
			AND (CAST($4 AS BIGINT) = 0 OR h.amount = $4 OR h.amount = -$4) AND h.account = $6 ORDER BY h.txn DESC LIMIT $5 + 0`
		args = append(args, int64(w.Account))
	} else {
		floor = max(w.at-maxScan, w.atLeast)
		args[1] = int64(floor)
	}
	var ids []ledger.TransactionID
	err = tx.each(ctx, func(scan func(...any) error) error {
		var id ledger.TransactionID
		err := scan(&id)
		ids = append(ids, id)
		return err
	}, text, args...)
	if err != nil {
		return nil, 0, err
	}
	switch {
	case len(ids) > limit:
		ids = ids[:limit]
		next = ids[limit-1]
	case floor > w.atLeast:
		next = floor
	}
	for _, id := range ids {
		t, err := tx.Transaction(ctx, id)
		if err != nil {
			return nil, 0, err
		}
		all = append(all, t)
	}
	return all, next, nil
}

// narrow turns times into numbers, for transactions are numbered in the order
// of their times.
func (tx *Tx) narrow(ctx context.Context, w *TransactionsWhere) (err error) {
	var newest ledger.TransactionID
	if err := tx.row(ctx, `SELECT coalesce(max(id), 0) FROM txn`).Scan(&newest); err != nil {
		return err
	}
	w.at, w.atLeast = newest+1, 1
	if w.Before > 0 {
		w.at = min(w.at, w.Before)
	}
	if !w.Until.IsZero() {
		end, err := tx.firstAt(ctx, w.Until, newest)
		if err != nil {
			return err
		}
		w.at = min(w.at, end)
	}
	if !w.Since.IsZero() {
		w.atLeast, err = tx.firstAt(ctx, w.Since, newest)
	}
	return err
}

// firstAt returns the first transaction at a time or later, by halving.
func (tx *Tx) firstAt(ctx context.Context, t time.Time, newest ledger.TransactionID) (ledger.TransactionID, error) {
	low, high := ledger.TransactionID(1), newest+1
	for low < high {
		middle := low + (high-low)/2
		var id ledger.TransactionID
		var at time.Time
		err := tx.row(ctx, `SELECT id, at FROM txn WHERE id >= $1 ORDER BY id LIMIT 1`, int64(middle)).Scan(&id, moment{&at})
		if errors.Is(found(err), ErrNotFound) || err == nil && !at.Before(t) {
			high = middle
			continue
		}
		if err != nil {
			return 0, err
		}
		low = id + 1
	}
	return low, nil
}

// errRehearsed undoes a rehearsal.
var errRehearsed = errors.New("rehearsed")

// Rehearse runs do as Update does, and then undoes all of it: it finds out what
// would happen. Nothing is written, sent or told.
func (db *DB) Rehearse(ctx context.Context, do func(*Tx) error) error {
	err := db.Update(ctx, func(tx *Tx) error {
		if err := do(tx); err != nil {
			return err
		}
		return errRehearsed
	})
	if errors.Is(err, errRehearsed) {
		return nil
	}
	return err
}

// An Alarm is a rule that met a member.
type Alarm struct {
	At   time.Time
	Rule string
}

// AlarmsOf returns at most limit alerts about a member, the newest first.
func (tx *Tx) AlarmsOf(ctx context.Context, m member.ID, limit int) ([]Alarm, error) {
	var all []Alarm
	err := tx.each(ctx, func(scan func(...any) error) error {
		var a Alarm
		err := scan(moment{&a.At}, &a.Rule)
		all = append(all, a)
		return err
	}, `SELECT at, rule FROM alert WHERE member = $1 AND member > 0 ORDER BY id DESC LIMIT $2 + 0`, int64(m), limit)
	return all, err
}

// Blocks counts from how many members one wants no requests.
func (tx *Tx) Blocks(ctx context.Context, m member.ID) (n int, err error) {
	err = tx.row(ctx, `SELECT count(*) FROM block WHERE member = $1`, int64(m)).Scan(&n)
	return n, err
}
