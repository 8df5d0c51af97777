package store

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"maillon/internal/guard"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
)

// Bounds of what the rules of the house look at.
const (
	maxInto   = 200 // payments into one account in a day
	maxStamps = 500 // SMS whose service-centre time is looked at
	maxProven = 200 // rows of the journal in one slice
	maxWeight = 500 // transactions after which a slice ends with its row
)

// MovesSince returns at most limit payments between members after one, in order.
// A move's ID is that of its transaction, its accounts are members.
func (tx *Tx) MovesSince(ctx context.Context, after ledger.TransactionID, c money.Currency, limit int) ([]guard.Move, error) {
	return tx.moves(ctx, `SELECT t.id, o.payer, o.payee, o.amount, o.paid_at, o.currency FROM txn t JOIN orders o ON o.txn = t.id AND o.txn > 0
		WHERE t.id > $1 AND t.kind = 'payment' ORDER BY t.id LIMIT $2 + 0`, c, int64(after), limit)
}

// MovesInto returns payments of members into one since a time, the newest first.
func (tx *Tx) MovesInto(ctx context.Context, payee member.ID, c money.Currency, since time.Time) ([]guard.Move, error) {
	return tx.moves(ctx, `SELECT txn, payer, payee, amount, paid_at, currency FROM orders WHERE payee = $1 AND paid_at >= $2 AND paid_at > 0
		AND kind IN ('pay', 'request') ORDER BY paid_at DESC LIMIT $3 + 0`, c, int64(payee), micros(since), maxInto)
}

// moves leaves the other currencies out.
func (tx *Tx) moves(ctx context.Context, text string, c money.Currency, args ...any) ([]guard.Move, error) {
	var all []guard.Move
	err := tx.each(ctx, func(scan scan) error {
		var m guard.Move
		var unit string
		if err := scan(&m.ID, &m.From, &m.To, &m.Amount, moment{&m.At}, &unit); err != nil {
			return err
		}
		if unit != c.Code {
			m.Amount = 0
		}
		all = append(all, m)
		return nil
	}, text, args...)
	return all, err
}

// LastTransaction returns the newest transaction, 0 if there is none.
func (tx *Tx) LastTransaction(ctx context.Context) (id ledger.TransactionID, err error) {
	err = tx.row(ctx, `SELECT coalesce(max(id), 0) FROM txn`).Scan(&id)
	return id, err
}

// Arrivals are the SMS that came by a gateway, and how often one came again.
type Arrivals struct {
	Gateway     string
	Came, Again int
}

// Arrivals returns what came by each gateway since a time.
func (tx *Tx) Arrivals(ctx context.Context, since time.Time) ([]Arrivals, error) {
	var all []Arrivals
	err := tx.each(ctx, func(scan scan) error {
		var a Arrivals
		err := scan(&a.Gateway, &a.Came, &a.Again)
		all = append(all, a)
		return err
	}, `SELECT gateway, count(*), CAST(sum(repeats) AS BIGINT) FROM inbox WHERE at >= $1 GROUP BY gateway ORDER BY gateway LIMIT $2 + 0`, micros(since), maxGateways)
	return all, err
}

// Delays returns, for each gateway, how long after the service centre's time its
// SMS came, the newest first.
func (tx *Tx) Delays(ctx context.Context, since time.Time) (map[string][]time.Duration, error) {
	all := map[string][]time.Duration{}
	err := tx.each(ctx, func(scan scan) error {
		var gateway string
		var at, sent int64
		err := scan(&gateway, &at, &sent)
		all[gateway] = append(all[gateway], time.Duration(at-sent)*time.Microsecond)
		return err
	}, `SELECT gateway, at, sent_at FROM inbox WHERE at >= $1 AND sent_at > 0 ORDER BY at DESC LIMIT $2 + 0`, micros(since), maxStamps)
	return all, err
}

// WrittenBetween counts the messages that were written to leave between two
// moments.
func (tx *Tx) WrittenBetween(ctx context.Context, from, to time.Time) (n int, err error) {
	err = tx.row(ctx, `SELECT count(*) FROM outbox WHERE at >= $1 AND at < $2`, micros(from), micros(to)).Scan(&n)
	return n, err
}

// FirstWritten returns when the oldest message that is kept was written; zero if
// there is none.
func (tx *Tx) FirstWritten(ctx context.Context) (at time.Time, err error) {
	err = tx.row(ctx, `SELECT coalesce(min(at), 0) FROM outbox`).Scan(moment{&at})
	return at, err
}

// A Proof goes over the books in slices, from the first row of the journal to
// the newest: the chain holds, each transaction and each posting stands as the
// journal says, each balance follows from the one before, and what an account
// has is what its last posting says. Verify proves more, at once.
type Proof struct {
	last journalRow
	txn  int64 // the newest transaction that was proven
}

// Seq is how far the proof has come in the journal.
func (p *Proof) Seq() int64 { return p.last.seq }

// Slice goes on by at most 200 rows of the journal. It returns the faults, and
// whether it has reached the newest row.
func (p *Proof) Slice(ctx context.Context, tx *Tx) (faults []Fault, done bool, err error) {
	var rows []journalRow
	err = tx.each(ctx, func(scan scan) error {
		var r journalRow
		err := scan(&r.seq, &r.at, &r.body, &r.hash)
		rows = append(rows, r)
		return err
	}, `SELECT seq, at, body, hash FROM journal WHERE seq > $1 ORDER BY seq LIMIT $2 + 0`, p.last.seq, maxProven)
	if err != nil {
		return nil, false, err
	}
	v := &verifier{tx: tx, last: p.last}
	if p.last.seq > 0 {
		v.links = [][]byte{p.last.hash}
		if err := p.again(ctx, tx, v); err != nil {
			return nil, false, err
		}
	}
	touched, weight, whole := map[int64]bool{}, 0, len(rows) < maxProven
	for _, r := range rows {
		if weight >= maxWeight {
			whole = false
			break
		}
		v.link(r)
		events, err := decodeEvents(r.body)
		if err != nil {
			v.journalFault(r, "body cannot be read")
			continue
		}
		for _, e := range events {
			if e.Txn == nil {
				continue
			}
			weight++
			if err := p.transaction(ctx, v, e.Txn, r.at, touched); err != nil {
				return nil, false, err
			}
		}
	}
	for account := range touched {
		if err := lastBalance(ctx, v, account); err != nil {
			return nil, false, err
		}
	}
	p.last = v.last
	if !whole {
		return v.faults, false, nil
	}
	var strays int64
	if err := tx.row(ctx, `SELECT count(*) FROM txn WHERE id > $1`, p.txn).Scan(&strays); err != nil {
		return nil, false, err
	}
	if strays > 0 {
		v.fault(Fault{Table: "txn", Row: fmt.Sprintf("after %d", p.txn), What: fmt.Sprintf("%d are not in the journal", strays)})
	}
	return v.faults, true, nil
}

// again looks whether the row up to which all was proven is still the same.
func (p *Proof) again(ctx context.Context, tx *Tx, v *verifier) error {
	var hash []byte
	err := tx.row(ctx, `SELECT coalesce((SELECT hash FROM journal WHERE seq = $1), $2)`, p.last.seq, []byte{}).Scan(&hash)
	if err == nil && string(hash) != string(p.last.hash) {
		v.journalFault(p.last, "hash is "+hex.EncodeToString(hash)+", it was another")
	}
	return err
}

func (p *Proof) transaction(ctx context.Context, v *verifier, e *txnEvent, at int64, touched map[int64]bool) error {
	var strays int64
	if err := v.tx.row(ctx, `SELECT count(*) FROM txn WHERE id > $1 AND id < $2`, p.txn, e.ID).Scan(&strays); err != nil {
		return err
	}
	name := Fault{Table: "txn", Row: fmt.Sprint(e.ID), Ref: e.Ref}
	if strays > 0 {
		name.What = fmt.Sprintf("%d before it are not in the journal", strays)
		v.fault(name)
	}
	p.txn = max(p.txn, e.ID)
	got, err := scanTxnRow(v.tx.row(ctx, `SELECT id, ref, key, kind, at, reverses, via, note FROM txn WHERE id = $1`, e.ID).Scan)
	if err = found(err); errors.Is(err, ErrNotFound) {
		name.What = "missing"
		v.fault(name)
		return nil
	}
	if err != nil {
		return err
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
	var postings []postingRow
	err = v.tx.each(ctx, func(scan scan) error {
		r, err := scanPostingRow(scan)
		postings = append(postings, r)
		return err
	}, `SELECT txn, n, account, amount, balance FROM posting WHERE txn = $1 ORDER BY n`, e.ID)
	if err != nil {
		return err
	}
	if len(postings) != len(e.Postings) {
		name.What = fmt.Sprintf("%d postings, the journal says %d", len(postings), len(e.Postings))
		v.fault(name)
		return nil
	}
	for n, p := range postings {
		var before int64
		err := v.tx.row(ctx, `SELECT coalesce((SELECT balance FROM posting WHERE account = $1 AND (txn < $2 OR txn = $2 AND n < $3)
			ORDER BY txn DESC, n DESC LIMIT 1), 0)`, p.account, p.txn, p.n).Scan(&before)
		if err != nil {
			return err
		}
		v.compare(p.name(e.Ref), []pair{
			{"account", p.account, e.Postings[n][0]}, {"amount", p.amount, e.Postings[n][1]}, {"balance", p.balance, before + e.Postings[n][1]},
		})
		touched[p.account] = true
	}
	return nil
}

func lastBalance(ctx context.Context, v *verifier, account int64) error {
	var has, says int64
	err := v.tx.row(ctx, `SELECT a.balance, coalesce((SELECT p.balance FROM posting p WHERE p.account = a.id ORDER BY p.txn DESC, p.n DESC LIMIT 1), 0)
		FROM account a WHERE a.id = $1`, account).Scan(&has, &says)
	name := Fault{Table: "account", Row: fmt.Sprint(account)}
	if err = found(err); errors.Is(err, ErrNotFound) {
		name.What = "missing"
		v.fault(name)
		return nil
	}
	if err == nil && has != says {
		name.What = fmt.Sprintf("balance is %d, its last posting says %d", has, says)
		v.fault(name)
	}
	return err
}

// PaidAfter returns the payments between members of the limit transactions after one,
// in order, as rules would have seen them. An account that its payment opened
// was opened at it.
func (tx *Tx) PaidAfter(ctx context.Context, after ledger.TransactionID, c money.Currency, limit int) ([]guard.Paid, error) {
	var all []guard.Paid
	err := tx.each(ctx, func(scan scan) error {
		var p guard.Paid
		var unit string
		err := scan(&p.ID, &p.From, &p.To, &p.Amount, moment{&p.At}, &unit, &p.Balance, moment{&p.Opened}, moment{&p.FirstPaid})
		p.Balance += p.Amount
		if unit == c.Code {
			all = append(all, p)
		}
		return err
	}, `SELECT t.id, o.payer, o.payee, o.amount, o.paid_at, o.currency, p.balance, coalesce(m.opened_at, 0),
			(SELECT min(e.paid_at) FROM orders e WHERE e.payer = o.payer AND e.payee = o.payee AND e.paid_at > 0 AND e.kind IN ('pay', 'request'))
		FROM txn t JOIN orders o ON o.txn = t.id AND o.txn > 0 JOIN posting p ON p.txn = t.id AND p.amount < 0
			LEFT JOIN member m ON m.id = o.payee
		WHERE t.id > $1 AND t.id <= $2 AND t.kind = 'payment' AND o.kind IN ('pay', 'request') ORDER BY t.id`,
		int64(after), int64(after)+int64(limit))
	return all, err
}

// TransactionsFrom returns the transaction after which at most limit have come,
// and when it was; zero if there was none.
func (tx *Tx) TransactionsFrom(ctx context.Context, limit int) (from, last ledger.TransactionID, at time.Time, err error) {
	if last, err = tx.LastTransaction(ctx); err != nil {
		return 0, 0, at, err
	}
	from = max(last-ledger.TransactionID(limit), 0)
	err = tx.row(ctx, `SELECT coalesce((SELECT at FROM txn WHERE id = $1), 0)`, int64(from)).Scan(moment{&at})
	return from, last, at, err
}

// RefOf returns the reference of a transaction, "" if it has none.
func (tx *Tx) RefOf(ctx context.Context, id int64) (ref string, err error) {
	err = tx.row(ctx, `SELECT coalesce((SELECT ref FROM txn WHERE id = $1), '')`, id).Scan(&ref)
	return ref, err
}
