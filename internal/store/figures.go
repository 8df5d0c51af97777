package store

import (
	"context"
	"errors"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
)

// A FigureMark says how far the ledger is counted by days.
type FigureMark struct {
	Txn ledger.TransactionID // the last that is counted
	Day int64                // that is being counted; 0: nothing is counted yet
}

// FigureMark returns how far the ledger is counted.
func (tx *Tx) FigureMark(ctx context.Context) (m FigureMark, err error) {
	err = found(tx.row(ctx, `SELECT txn, day FROM figure_mark WHERE id = 1`).Scan(&m.Txn, &m.Day))
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return m, err
}

// SetFigureMark says how far the ledger is counted.
func (tx *Tx) SetFigureMark(ctx context.Context, m FigureMark) error {
	return tx.later(ctx, `INSERT INTO figure_mark (id, txn, day) VALUES (1, $1, $2)
		ON CONFLICT (id) DO UPDATE SET txn = excluded.txn, day = excluded.day`, int64(m.Txn), m.Day)
}

// A FigureAccount is an account as of the last transaction that is counted.
type FigureAccount struct {
	ID       ledger.AccountID
	Member   member.ID // 0: of the association
	Name     string    // of an account of the association
	Currency string
	Balance  int64
	Seen     int64 // day of its last payment, made or received; 0: none
	Month    int64 // of what it got
	Got      int64 // payments received in that month
	Before   int64 // and in the month before
}

// FigureAccounts returns some accounts as they are counted.
func (tx *Tx) FigureAccounts(ctx context.Context, ids []ledger.AccountID) (map[ledger.AccountID]*FigureAccount, error) {
	numbers := make([]any, len(ids))
	for n, id := range ids {
		numbers[n] = int64(id)
	}
	const text = `SELECT a.id, a.member, a.name, a.currency, coalesce(f.balance, 0), coalesce(f.seen, 0), coalesce(f.month, 0),
		coalesce(f.got, 0), coalesce(f.before, 0) FROM account a LEFT JOIN figure_account f ON f.account = a.id WHERE a.id IN `
	if err := tx.ready(ctx, false, text, nil); err != nil {
		return nil, err
	}
	all := make(map[ledger.AccountID]*FigureAccount, len(ids))
	err := in(context.WithoutCancel(ctx), tx.c, text, numbers, func(scan scan) error {
		var a FigureAccount
		err := scan(&a.ID, &a.Member, &a.Name, &a.Currency, &a.Balance, &a.Seen, &a.Month, &a.Got, &a.Before)
		all[a.ID] = &a
		return err
	})
	return all, err
}

// SaveFigureAccount writes an account as it is counted.
func (tx *Tx) SaveFigureAccount(ctx context.Context, a *FigureAccount) error {
	return tx.later(ctx, `INSERT INTO figure_account (account, balance, seen, month, got, before) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (account) DO UPDATE SET balance = excluded.balance, seen = excluded.seen, month = excluded.month,
		got = excluded.got, before = excluded.before`, int64(a.ID), a.Balance, a.Seen, a.Month, a.Got, a.Before)
}

// A FigureDay is what a day came to in one currency, in its smallest units.
type FigureDay struct {
	Day         int64
	Currency    string
	Circulating int64 // at its end
	Payments    int64
	Volume      int64
	Credited    int64
	Returned    int64
	Lost        int64 // that pertes paid
	Accounts    int64 // of members, at its end
	Active      [3]int64
	Dormant     int64 // what those have who have not been active for the longest of ActiveDays
}

// ActiveDays are the numbers of days within which those who paid or were paid
// are counted as active.
func ActiveDays() [3]int64 { return [3]int64{7, 30, 90} }

// FigureDays returns the days from one to another, both included, of a currency,
// the oldest first; with "", of all.
func (tx *Tx) FigureDays(ctx context.Context, currency string, from, to int64) ([]FigureDay, error) {
	var all []FigureDay
	err := tx.each(ctx, func(scan scan) error {
		var d FigureDay
		err := scan(&d.Day, &d.Currency, &d.Circulating, &d.Payments, &d.Volume, &d.Credited, &d.Returned, &d.Lost, &d.Accounts,
			&d.Active[0], &d.Active[1], &d.Active[2], &d.Dormant)
		all = append(all, d)
		return err
	}, `SELECT day, currency, circulating, payments, volume, credited, returned, lost, accounts, active7, active30, active90, dormant
		FROM figure_day WHERE day >= $1 AND day <= $2 AND (CAST($3 AS TEXT) = '' OR currency = $3) ORDER BY day, currency`, from, to, currency)
	return all, err
}

// SaveFigureDay writes what a day came to so far.
func (tx *Tx) SaveFigureDay(ctx context.Context, d *FigureDay) error {
	return tx.later(ctx, `INSERT INTO figure_day (day, currency, circulating, payments, volume, credited, returned, lost, accounts,
			active7, active30, active90, dormant) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
		ON CONFLICT (day, currency) DO UPDATE SET circulating = excluded.circulating, payments = excluded.payments, volume = excluded.volume,
			credited = excluded.credited, returned = excluded.returned, lost = excluded.lost, accounts = excluded.accounts,
			active7 = excluded.active7, active30 = excluded.active30, active90 = excluded.active90, dormant = excluded.dormant`,
		d.Day, d.Currency, d.Circulating, d.Payments, d.Volume, d.Credited, d.Returned, d.Lost, d.Accounts,
		d.Active[0], d.Active[1], d.Active[2], d.Dormant)
}

// FigureStocks returns for each currency what there is at the end of a day, of
// accounts as they are counted: the fields of FigureDay that are no sums.
func (tx *Tx) FigureStocks(ctx context.Context, day int64) ([]FigureDay, error) {
	var all []FigureDay
	since := ActiveDays()
	err := tx.each(ctx, func(scan scan) error {
		d := FigureDay{Day: day}
		err := scan(&d.Currency, &d.Circulating, &d.Accounts, &d.Active[0], &d.Active[1], &d.Active[2], &d.Dormant)
		all = append(all, d)
		return err
	}, `SELECT a.currency, CAST(sum(CASE WHEN a.unbounded = 0 THEN f.balance ELSE 0 END) AS BIGINT), count(CASE WHEN a.member > 0 THEN 1 END),
			count(CASE WHEN a.member > 0 AND f.seen > $1 THEN 1 END), count(CASE WHEN a.member > 0 AND f.seen > $2 THEN 1 END),
			count(CASE WHEN a.member > 0 AND f.seen > $3 THEN 1 END),
			CAST(sum(CASE WHEN a.member > 0 AND f.seen <= $3 THEN f.balance ELSE 0 END) AS BIGINT)
		FROM figure_account f JOIN account a ON a.id = f.account GROUP BY a.currency ORDER BY a.currency`,
		day-since[0], day-since[1], day-since[2])
	return all, err
}

// A FigureFlow is what one kind of member paid another on a day.
type FigureFlow struct {
	Day              int64
	Currency         string
	Payer, Payee     string
	Payments, Volume int64
}

// AddFigureFlow adds to what one kind of member paid another on a day.
func (tx *Tx) AddFigureFlow(ctx context.Context, f *FigureFlow) error {
	return tx.later(ctx, `INSERT INTO figure_flow (day, currency, payer, payee, payments, volume) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (day, currency, payer, payee) DO UPDATE
		SET payments = figure_flow.payments + excluded.payments, volume = figure_flow.volume + excluded.volume`,
		f.Day, f.Currency, f.Payer, f.Payee, f.Payments, f.Volume)
}

// FigureFlows returns what the kinds of members paid each other from one day to
// another, both included, in a currency.
func (tx *Tx) FigureFlows(ctx context.Context, currency string, from, to int64) ([]FigureFlow, error) {
	var all []FigureFlow
	err := tx.each(ctx, func(scan scan) error {
		f := FigureFlow{Currency: currency}
		err := scan(&f.Payer, &f.Payee, &f.Payments, &f.Volume)
		all = append(all, f)
		return err
	}, `SELECT payer, payee, CAST(sum(payments) AS BIGINT), CAST(sum(volume) AS BIGINT) FROM figure_flow
		WHERE day >= $1 AND day <= $2 AND currency = $3 GROUP BY payer, payee ORDER BY 4 DESC, payer, payee`, from, to, currency)
	return all, err
}

// A FigureSMS is what left on a day by SMS.
type FigureSMS struct{ Day, Messages, Segments int64 }

// CountSMS counts what was written from a time and before another, and left.
func (tx *Tx) CountSMS(ctx context.Context, from, to time.Time) (s FigureSMS, err error) {
	err = tx.row(ctx, `SELECT count(*), coalesce(sum(segments), 0) FROM outbox WHERE at >= $1 AND at < $2 AND handed_at > 0`,
		micros(from), micros(to)).Scan(&s.Messages, &s.Segments)
	return s, err
}

// SaveFigureSMS writes what left on a day.
func (tx *Tx) SaveFigureSMS(ctx context.Context, s FigureSMS) error {
	return tx.later(ctx, `INSERT INTO figure_sms (day, messages, segments) VALUES ($1, $2, $3)
		ON CONFLICT (day) DO UPDATE SET messages = excluded.messages, segments = excluded.segments`, s.Day, s.Messages, s.Segments)
}

// FigureSMS returns what left on each day from one to another, both included.
func (tx *Tx) FigureSMS(ctx context.Context, from, to int64) ([]FigureSMS, error) {
	var all []FigureSMS
	err := tx.each(ctx, func(scan scan) error {
		var s FigureSMS
		err := scan(&s.Day, &s.Messages, &s.Segments)
		all = append(all, s)
		return err
	}, `SELECT day, messages, segments FROM figure_sms WHERE day >= $1 AND day <= $2 ORDER BY day`, from, to)
	return all, err
}

// TurnoverAfter counts the payments after a transaction, in a currency.
func (tx *Tx) TurnoverAfter(ctx context.Context, after ledger.TransactionID, c money.Currency) (payments int64, volume money.Amount, err error) {
	var n int64
	err = tx.row(ctx, `SELECT count(DISTINCT t.id), coalesce(sum(p.amount), 0) FROM txn t JOIN posting p ON p.txn = t.id JOIN account a ON a.id = p.account
		WHERE t.id > $1 AND t.kind = 'payment' AND p.amount > 0 AND a.currency = $2`, int64(after), c.Code).Scan(&payments, &n)
	return payments, money.New(n, c), err
}

// Asked is what was asked for within some time, and what became of it.
type Asked struct {
	N       int64
	Refused int64
	Open    int64         // not decided yet
	Took    time.Duration // on average, of those that are decided
}

// Hours is how long it took, in whole hours, at least one.
func (a Asked) Hours() int64 { return max(int64(a.Took.Round(time.Hour)/time.Hour), 1) }

// The orders that Asked counts, as their indexes have them.
const (
	requested = `kind = 'request'`
	disputed  = `kind IN ('dispute', 'return')`
)

// CountRequests counts requests for money that were made from a time and before
// another.
func (tx *Tx) CountRequests(ctx context.Context, from, to time.Time) (Asked, error) {
	return tx.countAsked(ctx, requested, from, to)
}

// CountDisputes counts payments that were disputed, or asked back, from a time
// and before another.
func (tx *Tx) CountDisputes(ctx context.Context, from, to time.Time) (Asked, error) {
	return tx.countAsked(ctx, disputed, from, to)
}

func (tx *Tx) countAsked(ctx context.Context, which string, from, to time.Time) (a Asked, err error) {
	var took, ended int64
	err = tx.row(ctx, `SELECT count(*), count(CASE WHEN state = 'refused' THEN 1 END), count(CASE WHEN ended_at = 0 THEN 1 END),
			count(CASE WHEN ended_at > 0 THEN 1 END), coalesce(sum(CASE WHEN ended_at > 0 THEN ended_at - created_at ELSE 0 END), 0)
		FROM orders WHERE `+which+` AND created_at >= $1 AND created_at < $2`, micros(from), micros(to)).
		Scan(&a.N, &a.Refused, &a.Open, &ended, &took)
	if ended > 0 {
		a.Took = time.Duration(took/ended) * time.Microsecond
	}
	return a, err
}

// SumCredits returns what each administrator credited from a time and before
// another, in a currency; 0 is the operator.
func (tx *Tx) SumCredits(ctx context.Context, c money.Currency, from, to time.Time) (map[member.ID]Till, error) {
	all := map[member.ID]Till{}
	err := tx.each(ctx, func(scan scan) error {
		var by member.ID
		var n, sum int64
		err := scan(&by, &n, &sum)
		all[by] = Till{N: int(n), Sum: money.New(sum, c)}
		return err
	}, `SELECT owner, count(*), CAST(sum(amount) AS BIGINT) FROM orders WHERE kind = 'credit' AND paid_at > 0 AND paid_at >= $1 AND paid_at < $2
		AND currency = $3 GROUP BY owner`, micros(from), micros(to), c.Code)
	return all, err
}
