package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/order"
)

// waits is the condition of the index of what waits, word for word: only so is
// it used.
const waits = `o.state IN ('held', 'disputed', 'waiting') AND `

const maxDraws = 64 // tries for a reference that is not taken

const orderColumns = `o.id, o.ref, o.kind, o.state, o.owner, o.asked, o.payer, o.payee, o.currency, o.decimals, o.amount, o.secret,
	o.question, o.late, o.nonce, o.code_len, o.tries, o.warned, o.created_at, o.code_end, o.due_at, o.paid_at, o.ended_at, o.txn, o.target,
	o.target_ref, o.hold, o.line, o.key, k.sealed`

const fromOrder = ` FROM orders o LEFT JOIN key k ON k.id = o.key `

func (tx *Tx) scanOrder(scan func(...any) error) (*order.Order, error) {
	var o order.Order
	var c money.Currency
	var amount, keyID int64
	var secret, wrapped []byte
	err := scan(&o.ID, &o.Ref, &o.Kind, &o.State, &o.Owner, &o.Asked, &o.Payer, &o.Payee, &c.Code, &c.Decimals, &amount, &secret,
		&o.Question, &o.Late, &o.Nonce, &o.CodeLen, &o.Tries, &o.Warned, moment{&o.Created}, moment{&o.CodeEnd}, moment{&o.Due},
		moment{&o.Paid}, moment{&o.Ended}, &o.Transaction, &o.Target, &o.TargetRef, &o.Hold, &o.Line, &keyID, &wrapped)
	if err != nil {
		return nil, found(err)
	}
	o.Amount = money.New(amount, c)
	if len(secret) == 0 || len(wrapped) == 0 {
		return &o, nil
	}
	key, err := tx.unwrap(keyID, wrapped)
	if err != nil {
		return nil, err
	}
	text, err := key.open("orders", secret)
	if err != nil {
		return nil, fmt.Errorf("order %d: %w", o.ID, err)
	}
	return &o, json.Unmarshal([]byte(text), &o.Secret)
}

// orderRow are the columns of an order as the sheet writes them. Those from
// orderState on, but for target and target_ref, may change.
const orderRow = `id, ref, kind, owner, payer, currency, decimals, key, secret, code_len, created_at, target, target_ref,
	state, asked, payee, question, late, nonce, tries, warned, code_end, due_at, paid_at, ended_at, txn, hold, line, amount`

// Where values stand in a row.
const (
	orderRefAt    = 1
	orderKeyAt    = 7
	orderSecretAt = 8
	orderStateAt  = 13
)

// orderMembersAt is where the members whom an order concerns stand in a row:
// owner, payer, asked and payee.
var orderMembersAt = [...]int{3, 4, 14, 15}

// changing returns the values that may change, in the order of orderRow.
func changing(o *order.Order) []any {
	return []any{
		string(o.State), o.Asked, o.Payee, o.Question, int64(o.Late), o.Nonce, int64(o.Tries), bit(o.Warned),
		micros(o.CodeEnd), micros(o.Due), micros(o.Paid), micros(o.Ended), int64(o.Transaction), int64(o.Hold), o.Line, o.Amount.Minor(),
	}
}

// InsertOrder draws a reference for o and writes it. What is personal in it is
// sealed with the key of its owner. It sets the ID and the reference.
func (tx *Tx) InsertOrder(ctx context.Context, o *order.Order, owner *member.Member) (err error) {
	o.Created = tx.now
	if o.ID, err = tx.nextID(ctx, "orders"); err != nil {
		return err
	}
	keyID, secret, err := tx.sealOrder(ctx, o, owner)
	if err != nil {
		return err
	}
	if o.Ref, err = tx.freeRef(ctx, order.RefLen(o.ID-1)); err != nil {
		return err
	}
	tx.behind.add(orderSheet, append([]any{
		o.ID, o.Ref, string(o.Kind), o.Owner, o.Payer, o.Amount.Currency().Code, int64(o.Amount.Currency().Decimals),
		keyID, secret, int64(o.CodeLen), micros(o.Created), int64(o.Target), o.TargetRef,
	}, changing(o)...)...)
	tx.behind.setRef(orderSheet, o.Ref)
	tx.orderChanged(o, keyID, secret)
	return nil
}

// freeRef draws a reference that no order has.
func (tx *Tx) freeRef(ctx context.Context, length int) (string, error) {
	for range maxDraws {
		if n := len(tx.drawn); n > 0 && len(tx.drawn[n-1]) >= length {
			ref := tx.drawn[n-1]
			tx.drawn = tx.drawn[:n-1]
			return ref, nil
		}
		ref := order.DrawRef(length)
		if tx.behind.refs[sheetRef{orderSheet, ref}] {
			continue
		}
		var n int64
		if err := tx.peek(ctx, `SELECT count(*) FROM orders WHERE ref = $1`, ref).Scan(&n); err != nil {
			return "", err
		}
		if n == 0 {
			return ref, nil
		}
	}
	return "", errors.New("no reference is free")
}

func (tx *Tx) sealOrder(ctx context.Context, o *order.Order, owner *member.Member) (int64, []byte, error) {
	if owner == nil || o.Secret == (order.Secret{}) {
		return 0, nil, nil
	}
	key, err := tx.key(ctx, owner.Key)
	if err != nil {
		return 0, nil, err
	}
	text, err := json.Marshal(o.Secret)
	if err != nil {
		return 0, nil, err
	}
	return owner.Key, key.seal("orders", string(text)), nil
}

// SaveOrder writes what may change of an order: all but its parties' names,
// its memo and its reference.
func (tx *Tx) SaveOrder(ctx context.Context, o *order.Order) error {
	if !tx.writes {
		return ErrReadOnly
	}
	var keyID int64
	var secret []byte
	if before, ok := tx.behind.waiting(orderSheet, o.ID); ok {
		tx.behind.add(orderSheet, append(slices.Clone(before[:orderStateAt]), changing(o)...)...)
		keyID, secret = before[orderKeyAt].(int64), before[orderSecretAt].([]byte)
		tx.orderChanged(o, keyID, secret)
		return nil
	}
	if err := tx.row(ctx, `UPDATE orders SET state = $2, asked = $3, payee = $4, question = $5, late = $6, nonce = $7, tries = $8, warned = $9,
		code_end = $10, due_at = $11, paid_at = $12, ended_at = $13, txn = $14, hold = $15, line = $16, amount = $17 WHERE id = $1
		RETURNING key, secret`, append([]any{o.ID}, changing(o)...)...).Scan(&keyID, &secret); err != nil {
		return found(err)
	}
	tx.orderChanged(o, keyID, secret)
	return nil
}

// orderChanged writes what outlives its code to the journal, and wakes who
// waits for time.
func (tx *Tx) orderChanged(o *order.Order, keyID int64, secret []byte) {
	if !o.Due.IsZero() {
		tx.touch(Due)
	}
	if o.State == order.Open && o.Paid.IsZero() && o.Kind != order.Request {
		return // it dies with its code
	}
	tx.record(event{Order: eventOf(o, keyID, secret)})
}

// eventOf is what the journal says of an order.
func eventOf(o *order.Order, keyID int64, secret []byte) *orderEvent {
	return &orderEvent{
		ID: o.ID, Ref: o.Ref, Kind: string(o.Kind), State: string(o.State), Owner: o.Owner, Asked: o.Asked, Payer: o.Payer, Payee: o.Payee,
		Currency: o.Amount.Currency().Code, Decimals: o.Amount.Currency().Decimals, Amount: o.Amount.Minor(), Key: keyID, Secret: secret,
		Question: o.Question, Created: micros(o.Created), Due: micros(o.Due), Paid: micros(o.Paid), Ended: micros(o.Ended),
		Txn: int64(o.Transaction), Target: int64(o.Target), TargetRef: o.TargetRef, Hold: int64(o.Hold),
	}
}

// orders reads the orders whose IDs a query returns. Most often there are none,
// and many columns cost even then.
func (tx *Tx) orders(ctx context.Context, text string, args ...any) ([]*order.Order, error) {
	var ids []int64
	err := tx.each(ctx, func(scan func(...any) error) error {
		var id int64
		err := scan(&id)
		ids = append(ids, id)
		return err
	}, text, args...)
	if err != nil {
		return nil, err
	}
	all := make([]*order.Order, 0, len(ids))
	for _, id := range ids { // a row that was found has no newer one that is not written yet
		o, err := tx.scanOrder(tx.peek(ctx, `SELECT `+orderColumns+fromOrder+`WHERE o.id = $1`, id).Scan)
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}

// OrderByRef returns an order by its reference, or ErrNotFound.
func (tx *Tx) OrderByRef(ctx context.Context, ref string) (*order.Order, error) {
	return tx.scanOrder(tx.row(ctx, `SELECT `+orderColumns+fromOrder+`WHERE o.ref = $1`, ref).Scan)
}

// OrderOf returns the order that became a transaction, or ErrNotFound.
func (tx *Tx) OrderOf(ctx context.Context, t ledger.TransactionID) (*order.Order, error) {
	return tx.scanOrder(tx.row(ctx, `SELECT `+orderColumns+fromOrder+`WHERE o.txn = $1 AND o.txn > 0`, int64(t)).Scan)
}

// Questions returns at most limit orders whose code was asked of a member and
// was good until a time or later, the newest first, whatever became of them.
func (tx *Tx) Questions(ctx context.Context, asked member.ID, since time.Time, limit int) ([]*order.Order, error) {
	return tx.orders(ctx, `SELECT o.id FROM orders o WHERE o.asked = $1 AND o.code_end > CAST($2 AS BIGINT) AND o.code_end > 0
		ORDER BY o.id DESC LIMIT $3 + 0`, int64(asked), micros(since), limit)
}

// OpenOf returns at most limit open orders of a kind that a member made, the newest first.
func (tx *Tx) OpenOf(ctx context.Context, owner member.ID, kind order.Kind, limit int) ([]*order.Order, error) {
	return tx.orders(ctx, `SELECT o.id FROM orders o WHERE o.owner = $1 AND o.kind = $2 AND o.state IN ('open', 'waiting')
		ORDER BY o.id DESC LIMIT $3 + 0`, int64(owner), string(kind), limit)
}

// CountEnded returns how many orders of a kind that a member made ended in a
// state since a time.
func (tx *Tx) CountEnded(ctx context.Context, owner member.ID, kind order.Kind, state order.State, since time.Time) (n int, err error) {
	err = tx.row(ctx, `SELECT count(*) FROM orders WHERE owner = $1 AND kind = $2 AND state = $3 AND ended_at >= $4`,
		int64(owner), string(kind), string(state), micros(since)).Scan(&n)
	return n, err
}

// GiftsFor returns the payments that a number without a yes has been given,
// the oldest first.
func (tx *Tx) GiftsFor(ctx context.Context, payee member.ID, limit int) ([]*order.Order, error) {
	return tx.orders(ctx, `SELECT o.id FROM orders o WHERE o.payee = $1 AND o.paid_at > 0 AND o.state = 'waiting' AND o.hold = 0
		ORDER BY o.id LIMIT $2 + 0`, int64(payee), limit)
}

// Queue returns the orders that wait for an administrator, the oldest first.
func (tx *Tx) Queue(ctx context.Context, limit int) ([]*order.Order, error) {
	return tx.orders(ctx, `SELECT o.id FROM orders o WHERE `+waits+`o.state IN ('held', 'disputed') ORDER BY o.id LIMIT $1 + 0`, limit)
}

// HeldOrders returns the payments and credits that a rule holds, the oldest
// first.
func (tx *Tx) HeldOrders(ctx context.Context, limit int) ([]*order.Order, error) {
	return tx.orders(ctx, `SELECT o.id FROM orders o WHERE `+waits+`o.state = 'held' ORDER BY o.id LIMIT $1 + 0`, limit)
}

// HeldOf returns at most limit payments of a member that a rule holds, the
// oldest first.
func (tx *Tx) HeldOf(ctx context.Context, payer member.ID, limit int) ([]*order.Order, error) {
	return tx.orders(ctx, `SELECT o.id FROM orders o WHERE `+waits+`o.state = 'held' AND o.payer = $1 ORDER BY o.id LIMIT $2 + 0`, int64(payer), limit)
}

// OrdersAbout returns the orders that want a transaction undone, the newest first.
func (tx *Tx) OrdersAbout(ctx context.Context, target ledger.TransactionID, limit int) ([]*order.Order, error) {
	return tx.orders(ctx, `SELECT o.id FROM orders o WHERE o.target = $1 AND o.target > 0 ORDER BY o.id DESC LIMIT $2 + 0`, int64(target), limit)
}

// DueOrders returns at most limit orders whose time has come, in its order.
func (tx *Tx) DueOrders(ctx context.Context, limit int) ([]*order.Order, error) {
	return tx.orders(ctx, `SELECT o.id FROM orders o WHERE o.due_at > 0 AND o.due_at <= $1 ORDER BY o.due_at, o.id LIMIT $2 + 0`, micros(tx.now), limit)
}

// AllOpen returns at most limit open orders after one, by ID, whose code was
// good at a time or later.
func (tx *Tx) AllOpen(ctx context.Context, since time.Time, after int64, limit int) ([]*order.Order, error) {
	return tx.orders(ctx, `SELECT o.id FROM orders o WHERE o.state = 'open' AND o.code_end >= $1 AND o.id > $2 ORDER BY o.id LIMIT $3 + 0`,
		micros(since), after, limit)
}

// LastSamePair returns at most limit payments between two members since a
// time, the newest first.
func (tx *Tx) LastSamePair(ctx context.Context, payer, payee member.ID, since time.Time, limit int) ([]*order.Order, error) {
	return tx.orders(ctx, `SELECT o.id FROM orders o WHERE o.payer = $1 AND o.payee = $2 AND o.paid_at >= $3 AND o.paid_at > 0
		ORDER BY o.paid_at DESC LIMIT $4 + 0`, int64(payer), int64(payee), micros(since), limit)
}

// PaidOutSince returns the payments of a member since a time, the newest first.
func (tx *Tx) PaidOutSince(ctx context.Context, payer member.ID, since time.Time, limit int) ([]*order.Order, error) {
	return tx.orders(ctx, `SELECT o.id FROM orders o WHERE o.payer = $1 AND o.paid_at >= $2 AND o.paid_at > 0
		ORDER BY o.paid_at DESC LIMIT $3 + 0`, int64(payer), micros(since), limit)
}

// Outflow is what a member has paid out lately, in one currency.
type Outflow struct {
	Today  int64 // since local midnight
	Lately int   // payments
}

// PaidOut sums what a member paid since local midnight, and counts what was
// paid within a time.
func (tx *Tx) PaidOut(ctx context.Context, payer member.ID, c money.Currency, midnight time.Time, lately time.Duration) (Outflow, error) {
	var f Outflow
	err := tx.row(ctx, `SELECT coalesce(sum(CASE WHEN paid_at >= $3 THEN amount ELSE 0 END), 0), count(CASE WHEN paid_at >= $4 THEN 1 END)
		FROM orders WHERE payer = $1 AND paid_at >= $5 AND paid_at > 0 AND currency = $2 AND kind IN ('pay', 'request')`,
		int64(payer), c.Code, micros(midnight), micros(tx.now.Add(-lately)),
		micros(earlier(midnight, tx.now.Add(-lately)))).Scan(&f.Today, &f.Lately)
	return f, err
}

// CountBetween counts a member's payments of 24 hours between two amounts.
func (tx *Tx) CountBetween(ctx context.Context, payer member.ID, c money.Currency, ranges [][2]int64) (n int, err error) {
	for _, r := range ranges {
		var k int
		err = tx.row(ctx, `SELECT count(*) FROM orders WHERE payer = $1 AND paid_at >= $2 AND paid_at > 0 AND currency = $3 AND amount BETWEEN $4 AND $5
			AND kind IN ('pay', 'request')`, int64(payer), micros(tx.now.Add(-24*time.Hour)), c.Code, r[0], r[1]).Scan(&k)
		if err != nil {
			return 0, err
		}
		n += k
	}
	return n, nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// A Pair is what one member paid another.
type Pair struct {
	First time.Time // zero: never
	Today int64     // since local midnight, in one currency
}

// Paid returns what payer paid payee.
func (tx *Tx) Paid(ctx context.Context, payer, payee member.ID, c money.Currency, midnight time.Time) (Pair, error) {
	var p Pair
	err := tx.row(ctx, `SELECT coalesce(min(paid_at), 0), coalesce(sum(CASE WHEN paid_at >= $3 AND currency = $4 THEN amount ELSE 0 END), 0)
		FROM orders WHERE payer = $1 AND payee = $2 AND paid_at > 0 AND kind IN ('pay', 'request')`,
		int64(payer), int64(payee), micros(midnight), c.Code).Scan(moment{&p.First}, &p.Today)
	return p, err
}

// Inflow is what came into a member's account lately.
type Inflow struct {
	Payers int
	Sum    int64
	Out    int64 // and left again
}

// PaidIn returns what members paid to one since a time.
func (tx *Tx) PaidIn(ctx context.Context, payee member.ID, c money.Currency, since time.Time) (Inflow, error) {
	var f Inflow
	err := tx.row(ctx, `SELECT count(DISTINCT payer), coalesce(sum(amount), 0) FROM orders
		WHERE payee = $1 AND paid_at >= $2 AND paid_at > 0 AND currency = $3 AND kind IN ('pay', 'request')`,
		int64(payee), micros(since), c.Code).Scan(&f.Payers, &f.Sum)
	if err != nil || f.Payers == 0 {
		return f, err
	}
	err = tx.row(ctx, `SELECT coalesce(sum(amount), 0) FROM orders WHERE payer = $1 AND paid_at >= $2 AND paid_at > 0 AND currency = $3`,
		int64(payee), micros(since), c.Code).Scan(&f.Out)
	return f, err
}

// A Till is what came in between two moments.
type Till struct {
	N    int
	Sum  money.Amount
	Last *order.Order // nil if nothing came
}

// TillOf returns what a member was paid between two moments in a currency.
func (tx *Tx) TillOf(ctx context.Context, payee member.ID, c money.Currency, from, to time.Time) (Till, error) {
	var t Till
	var sum int64
	err := tx.row(ctx, `SELECT count(*), coalesce(sum(amount), 0) FROM orders WHERE payee = $1 AND paid_at >= $2 AND paid_at < $3 AND paid_at > 0
		AND currency = $4 AND kind IN ('pay', 'request')`, int64(payee), micros(from), micros(to), c.Code).Scan(&t.N, &sum)
	t.Sum = money.New(sum, c)
	if err != nil || t.N == 0 {
		return t, err
	}
	t.Last, err = tx.scanOrder(tx.row(ctx, `SELECT `+orderColumns+fromOrder+`WHERE o.payee = $1 AND o.paid_at >= $2 AND o.paid_at < $3 AND o.paid_at > 0
		AND o.currency = $4 AND o.kind IN ('pay', 'request') ORDER BY o.paid_at DESC, o.id DESC LIMIT 1`,
		int64(payee), micros(from), micros(to), c.Code).Scan)
	return t, err
}

// CreditedBy returns what an administrator credited since a time.
func (tx *Tx) CreditedBy(ctx context.Context, admin member.ID, c money.Currency, since time.Time) (money.Amount, error) {
	var n int64
	err := tx.row(ctx, `SELECT coalesce(sum(amount), 0) FROM orders WHERE owner = $1 AND kind = 'credit' AND paid_at >= $2 AND paid_at > 0 AND currency = $3`,
		int64(admin), micros(since), c.Code).Scan(&n)
	return money.New(n, c), err
}

// DisputesOf returns at most limit disputes in which a member takes part.
func (tx *Tx) DisputesOf(ctx context.Context, m member.ID, limit int) ([]*order.Order, error) {
	return tx.orders(ctx, `SELECT o.id FROM orders o WHERE `+waits+`o.state = 'disputed' AND (o.payer = $1 OR o.payee = $1) ORDER BY o.id LIMIT $2 + 0`,
		int64(m), limit)
}

// PaidAt returns when a member's last payments were made, the newest first.
func (tx *Tx) PaidAt(ctx context.Context, payer member.ID, limit int) ([]time.Time, error) {
	var all []time.Time
	err := tx.each(ctx, func(scan scan) error {
		var at time.Time
		err := scan(moment{&at})
		all = append(all, at)
		return err
	}, `SELECT paid_at FROM orders WHERE payer = $1 AND paid_at > 0 AND kind IN ('pay', 'request') ORDER BY paid_at DESC LIMIT $2 + 0`,
		int64(payer), limit)
	return all, err
}
