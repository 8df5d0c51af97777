package report

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/store"
)

// Bounds of a report.
const (
	MaxDays    = 5 * 366 // of a period
	maxCredits = 1000    // whose reasons are read
	maxReasons = 12      // that are told apart
	maxFresh   = 100_000 // transactions that are counted when a report is asked for
)

// Figures are those of a period in one currency.
type Figures struct {
	Period
	Circulating money.Amount // at its end
	Payments    int64
	Volume      money.Amount
	Credited    money.Amount
	Returned    money.Amount // given back or undone
	Lost        money.Amount // that pertes paid
	Accounts    int64        // of members, at its end
	Active      [3]int64     // within store.ActiveDays before its end
	Dormant     money.Amount
	Counted     bool // a day of it is counted: without one all is zero
}

// Velocity returns how often each unit changed hands, in hundredths.
func (f Figures) Velocity() int64 {
	if f.Circulating.Sign() <= 0 {
		return 0
	}
	return f.Volume.Minor() * 100 / f.Circulating.Minor()
}

// add continues the figures with a day after them.
func (f *Figures) add(d *store.FigureDay, c money.Currency) {
	sum := func(to *money.Amount, n int64) { *to = money.New(to.Minor()+n, c) }
	f.Circulating, f.Dormant = money.New(d.Circulating, c), money.New(d.Dormant, c)
	f.Payments += d.Payments
	sum(&f.Volume, d.Volume)
	sum(&f.Credited, d.Credited)
	sum(&f.Returned, d.Returned)
	sum(&f.Lost, d.Lost)
	f.Accounts, f.Active, f.Counted = d.Accounts, d.Active, true
}

func empty(p Period, c money.Currency) Figures {
	zero := money.New(0, c)
	return Figures{Period: p, Circulating: zero, Volume: zero, Credited: zero, Returned: zero, Lost: zero, Dormant: zero}
}

// A Flow is what one kind of member paid another.
type Flow struct {
	Payer, Payee string // Association, Shop, Regular or Occasional
	Payments     int64
	Volume       money.Amount
}

// A Credit is what one administrator credited; 0 is the operator.
type Credit struct {
	By  member.ID
	N   int
	Sum money.Amount
}

// A Reason is what was credited for one reason, as it was typed; "" are all
// others together.
type Reason struct {
	Text string
	N    int
	Sum  money.Amount
}

// SMS are those that left.
type SMS struct {
	Period
	Messages, Segments int64
}

// A Report is how a currency did in a period.
type Report struct {
	Figures           // of the whole
	Before    Figures // of as many days before it
	Days      []Figures
	Weeks     []Figures // from Monday on; the first and last may be cut
	Flows     []Flow    // the largest first
	SMS       []SMS     // by week
	Sent      SMS       // in all
	Requests  store.Asked
	Disputes  store.Asked
	Credits   []Credit
	Reasons   []Reason
	Unread    bool // there were more credits than reasons were read
	Currency  money.Currency
	CountedTo Day // the last day that is counted
}

// A Reader reads reports of one association.
type Reader struct {
	Zone     *time.Location
	Currency money.Currency
}

// Counted returns the last day that is counted, and whether that is all that are
// over. Without any transaction there is nothing to count, and nothing missing.
func (r Reader) Counted(ctx context.Context, tx *store.Tx) (Day, bool, error) {
	mark, err := tx.FigureMark(ctx)
	if err != nil {
		return 0, false, err
	}
	today := DayOf(tx.Now(), r.Zone)
	if mark.Day == 0 {
		last, err := tx.LastTransaction(ctx)
		if err != nil {
			return 0, false, err
		}
		first, err := tx.TransactionsAfter(ctx, 0, 0, 1)
		fresh := last == 0 || len(first) > 0 && DayOf(first[0].At, r.Zone) >= today
		return today - 1, fresh, err
	}
	return Day(mark.Day) - 1, Day(mark.Day) >= today, nil
}

// A Now is what is known of this moment.
type Now struct {
	At          time.Time
	Circulating money.Amount
	Payments    int64 // since the last day that is counted
	Volume      money.Amount
	Complete    bool // there were not too many to count them
}

// Now returns what is known of this moment, and what was paid since the days
// that are counted.
func (r Reader) Now(ctx context.Context, tx *store.Tx) (n Now, err error) {
	n.At, n.Volume = tx.Now(), money.New(0, r.Currency)
	owed := int64(0) // by the accounts that may be below zero
	for _, name := range []string{store.Emission, store.Pertes} {
		a, err := tx.SystemAccount(ctx, name, r.Currency)
		if err != nil {
			return n, err
		}
		owed -= a.Balance.Minor()
	}
	n.Circulating = money.New(owed, r.Currency)
	mark, err := tx.FigureMark(ctx)
	if err != nil {
		return n, err
	}
	last, err := tx.LastTransaction(ctx)
	if err != nil || last-mark.Txn > maxFresh {
		return n, err
	}
	n.Complete = true
	n.Payments, n.Volume, err = tx.TurnoverAfter(ctx, mark.Txn, r.Currency)
	return n, err
}

// Days returns the part of a report that says how each day was, of a period of at
// most MaxDays.
func (r Reader) Days(ctx context.Context, tx *store.Tx, p Period) (*Report, error) {
	p.From = max(p.From, p.To-MaxDays+1)
	x := &Report{Figures: empty(p, r.Currency), Currency: r.Currency}
	x.Before = empty(Last(p.Days(), p.From-1), r.Currency)
	var err error
	if x.CountedTo, _, err = r.Counted(ctx, tx); err != nil {
		return nil, err
	}
	days, err := tx.FigureDays(ctx, r.Currency.Code, int64(x.Before.From), int64(min(p.To, x.CountedTo)))
	for n := range days {
		r.count(x, &days[n])
	}
	return x, err
}

// Read returns the whole report of a period of at most MaxDays.
func (r Reader) Read(ctx context.Context, tx *store.Tx, p Period) (*Report, error) {
	x, err := r.Days(ctx, tx, p)
	if err != nil {
		return nil, err
	}
	p = x.Period
	flows, err := tx.FigureFlows(ctx, r.Currency.Code, int64(p.From), int64(p.To))
	if err != nil {
		return nil, err
	}
	for _, f := range flows {
		x.Flows = append(x.Flows, Flow{f.Payer, f.Payee, f.Payments, money.New(f.Volume, r.Currency)})
	}
	if err := r.readSMS(ctx, tx, x); err != nil {
		return nil, err
	}
	from, to := p.From.Begin(r.Zone), (p.To + 1).Begin(r.Zone)
	if x.Requests, err = tx.CountRequests(ctx, from, to); err != nil {
		return nil, err
	}
	if x.Disputes, err = tx.CountDisputes(ctx, from, to); err != nil {
		return nil, err
	}
	return x, r.readCredits(ctx, tx, x, from, to)
}

// count puts a day where it belongs.
func (r Reader) count(x *Report, d *store.FigureDay) {
	day := Day(d.Day)
	if !x.Holds(day) {
		x.Before.add(d, r.Currency)
		return
	}
	x.add(d, r.Currency)
	one := empty(Period{day, day}, r.Currency)
	one.add(d, r.Currency)
	x.Days = append(x.Days, one)
	if n := len(x.Weeks); n == 0 || x.Weeks[n-1].From.Monday() != day.Monday() {
		x.Weeks = append(x.Weeks, empty(Period{day, day}, r.Currency))
	}
	week := &x.Weeks[len(x.Weeks)-1]
	week.To = day
	week.add(d, r.Currency)
}

func (r Reader) readSMS(ctx context.Context, tx *store.Tx, x *Report) error {
	x.Sent.Period = x.Period
	all, err := tx.FigureSMS(ctx, int64(x.From), int64(x.To))
	for _, s := range all {
		day := Day(s.Day)
		if n := len(x.SMS); n == 0 || x.SMS[n-1].From.Monday() != day.Monday() {
			x.SMS = append(x.SMS, SMS{Period: Period{day, day}})
		}
		for _, to := range []*SMS{&x.Sent, &x.SMS[len(x.SMS)-1]} {
			to.Messages, to.Segments = to.Messages+s.Messages, to.Segments+s.Segments
		}
		x.SMS[len(x.SMS)-1].To = day
	}
	return err
}

// readCredits reads who credited how much, and for what.
func (r Reader) readCredits(ctx context.Context, tx *store.Tx, x *Report, from, to time.Time) error {
	by, err := tx.SumCredits(ctx, r.Currency, from, to)
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(by)) {
		x.Credits = append(x.Credits, Credit{id, by[id].N, by[id].Sum})
	}
	orders, err := tx.CreditsBetween(ctx, from, to, maxCredits)
	if err != nil {
		return err
	}
	x.Unread = len(orders) == maxCredits
	reasons := map[string]Reason{}
	for _, o := range orders {
		if o.Amount.Currency() != r.Currency {
			continue
		}
		old, ok := reasons[o.Secret.Memo]
		if !ok {
			old = Reason{Text: o.Secret.Memo, Sum: money.New(0, r.Currency)}
		}
		old.N++
		if old.Sum, err = old.Sum.Add(o.Amount); err != nil {
			return err
		}
		reasons[old.Text] = old
	}
	x.Reasons = slices.SortedFunc(maps.Values(reasons), func(a, b Reason) int {
		return cmp.Or(b.Sum.Cmp(a.Sum), cmp.Compare(a.Text, b.Text))
	})
	return x.joinReasons(r.Currency)
}

// joinReasons makes one of the smallest reasons.
func (x *Report) joinReasons(c money.Currency) (err error) {
	if len(x.Reasons) <= maxReasons {
		return nil
	}
	rest := Reason{Sum: money.New(0, c)}
	for _, one := range x.Reasons[maxReasons:] {
		rest.N += one.N
		if rest.Sum, err = rest.Sum.Add(one.Sum); err != nil {
			return err
		}
	}
	x.Reasons = append(x.Reasons[:maxReasons], rest)
	return nil
}
