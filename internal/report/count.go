package report

import (
	"context"
	"fmt"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/store"
)

// Bounds of one step of counting.
const (
	stepTxns = 1000 // transactions
	stepDays = 1    // days that are closed, at most
)

// The kinds of members between whom money flows, by how often they are paid.
const (
	Association = "association"
	Shop        = "shop"       // was paid ShopAt times in this month or the one before
	Regular     = "regular"    // RegularAt times
	Occasional  = "occasional" // less often
)

// How often somebody is paid in a month who is taken for a shop, or for a
// regular.
const (
	ShopAt    = 20
	RegularAt = 5
)

// kindOf returns the kind of an account in a month, by what it was paid.
func kindOf(a *store.FigureAccount, month int64) string {
	if a.Member == 0 {
		return Association
	}
	n := int64(0)
	switch a.Month {
	case month:
		n = max(a.Got, a.Before)
	case month - 1:
		n = a.Got
	}
	switch {
	case n >= ShopAt:
		return Shop
	case n >= RegularAt:
		return Regular
	}
	return Occasional
}

// A flow is who pays whom.
type flow struct{ currency, payer, payee string }

// A count is one step of counting.
type count struct {
	tx       *store.Tx
	mark     store.FigureMark
	zone     *time.Location
	today    Day
	closed   int
	accounts map[ledger.AccountID]*store.FigureAccount
	touched  map[ledger.AccountID]bool
	days     map[string]*store.FigureDay // of the day of the mark, by currency
	flows    map[flow]*store.FigureFlow
}

// Step counts some of what days that are over have come to, and reports whether
// all of it is counted. What it does is bounded, so that payments go on.
func Step(ctx context.Context, tx *store.Tx, zone *time.Location) (done bool, err error) {
	c := &count{tx: tx, zone: zone, today: DayOf(tx.Now(), zone)}
	if c.mark, err = tx.FigureMark(ctx); err != nil {
		return false, err
	}
	some, err := tx.TransactionsAfter(ctx, 0, c.mark.Txn, stepTxns)
	if err != nil || len(some) == 0 && c.mark.Day == 0 {
		return true, err
	}
	if c.mark.Day == 0 {
		c.mark.Day = int64(DayOf(some[0].At, zone))
	}
	if err := c.read(ctx, some); err != nil {
		return false, err
	}
	reached := len(some) < stepTxns // today
	for _, t := range some {
		day := DayOf(t.At, zone)
		if reached = reached || day >= c.today; day >= c.today {
			break
		}
		if there, err := c.closeUntil(ctx, day); err != nil || !there {
			return false, err
		}
		if err := c.add(&t); err != nil {
			return false, err
		}
	}
	if err := c.save(ctx); err != nil || !reached {
		return false, err
	}
	return c.closeUntil(ctx, c.today)
}

// read reads the accounts that some transactions touch, and what the day that is
// being counted has come to.
func (c *count) read(ctx context.Context, some []ledger.Transaction) (err error) {
	var ids []ledger.AccountID
	known := map[ledger.AccountID]bool{}
	for _, t := range some {
		for _, p := range t.Postings {
			if !known[p.Account] {
				known[p.Account] = true
				ids = append(ids, p.Account)
			}
		}
	}
	c.touched, c.flows, c.days = map[ledger.AccountID]bool{}, map[flow]*store.FigureFlow{}, map[string]*store.FigureDay{}
	if c.accounts, err = c.tx.FigureAccounts(ctx, ids); err != nil {
		return err
	}
	days, err := c.tx.FigureDays(ctx, "", c.mark.Day, c.mark.Day)
	for n := range days {
		c.days[days[n].Currency] = &days[n]
	}
	return err
}

// day returns what the day that is being counted has come to in a currency.
func (c *count) day(currency string) *store.FigureDay {
	d := c.days[currency]
	if d == nil {
		d = &store.FigureDay{Day: c.mark.Day, Currency: currency}
		c.days[currency] = d
	}
	return d
}

// add counts one transaction. One that says it was earlier, because a clock was
// set back, is counted on the day of those before it.
func (c *count) add(t *ledger.Transaction) error {
	month := Day(c.mark.Day).month()
	var payer, payee *store.FigureAccount
	sum := int64(0)
	for _, p := range t.Postings {
		a := c.accounts[p.Account]
		if a == nil {
			return fmt.Errorf("transaction %d: %w", t.ID, ledger.ErrNoAccount)
		}
		minor := p.Amount.Minor()
		a.Balance += minor
		c.touched[a.ID] = true
		if minor > 0 {
			payee, sum = a, sum+minor
		} else {
			payer = a
		}
		if a.Member == 0 && a.Name == store.Pertes {
			c.day(a.Currency).Lost -= minor
		}
	}
	c.mark.Txn = t.ID
	if payer == nil || payee == nil {
		return nil
	}
	d := c.day(payee.Currency)
	switch t.Kind {
	case ledger.Payment:
		d.Payments, d.Volume = d.Payments+1, d.Volume+sum
	case ledger.Credit:
		d.Credited += sum
	case ledger.Return, ledger.Correction:
		d.Returned += sum
	case ledger.Opening, ledger.Closing:
	}
	if len(t.Postings) == 2 && (t.Kind == ledger.Payment || t.Kind == ledger.Credit) {
		c.addFlow(payer, payee, sum, month)
	}
	if t.Kind == ledger.Payment {
		for _, p := range t.Postings {
			c.accounts[p.Account].Seen = c.mark.Day
		}
		receive(payee, month)
	}
	return nil
}

// receive counts a payment that an account got in a month.
func receive(a *store.FigureAccount, month int64) {
	if a.Month != month {
		a.Before = 0
		if a.Month == month-1 {
			a.Before = a.Got
		}
		a.Month, a.Got = month, 0
	}
	a.Got++
}

func (c *count) addFlow(payer, payee *store.FigureAccount, sum, month int64) {
	k := flow{payee.Currency, kindOf(payer, month), kindOf(payee, month)}
	f := c.flows[k]
	if f == nil {
		f = &store.FigureFlow{Day: c.mark.Day, Currency: k.currency, Payer: k.payer, Payee: k.payee}
		c.flows[k] = f
	}
	f.Payments, f.Volume = f.Payments+1, f.Volume+sum
}

// closeUntil closes the days before one, and reports whether none is left.
func (c *count) closeUntil(ctx context.Context, day Day) (bool, error) {
	for Day(c.mark.Day) < day {
		if c.closed == stepDays {
			return false, nil
		}
		if err := c.close(ctx); err != nil {
			return false, err
		}
		c.closed++
	}
	return true, nil
}

// close writes what there is at the end of the day, and begins the next one.
func (c *count) close(ctx context.Context) error {
	if err := c.save(ctx); err != nil {
		return err
	}
	stocks, err := c.tx.FigureStocks(ctx, c.mark.Day)
	if err != nil {
		return err
	}
	for n := range stocks {
		s, d := &stocks[n], c.day(stocks[n].Currency)
		d.Circulating, d.Accounts, d.Active, d.Dormant = s.Circulating, s.Accounts, s.Active, s.Dormant
		if err := c.tx.SaveFigureDay(ctx, d); err != nil {
			return err
		}
	}
	day := Day(c.mark.Day)
	sent, err := c.tx.CountSMS(ctx, day.Begin(c.zone), (day + 1).Begin(c.zone))
	if err != nil {
		return err
	}
	sent.Day = c.mark.Day
	if sent.Messages > 0 {
		if err := c.tx.SaveFigureSMS(ctx, sent); err != nil {
			return err
		}
	}
	c.days = map[string]*store.FigureDay{}
	c.mark.Day++
	return c.tx.SetFigureMark(ctx, c.mark)
}

// save writes what was counted.
func (c *count) save(ctx context.Context) error {
	for id := range c.touched {
		if err := c.tx.SaveFigureAccount(ctx, c.accounts[id]); err != nil {
			return err
		}
	}
	for _, f := range c.flows {
		if err := c.tx.AddFigureFlow(ctx, f); err != nil {
			return err
		}
	}
	for _, d := range c.days {
		if err := c.tx.SaveFigureDay(ctx, d); err != nil {
			return err
		}
	}
	clear(c.touched)
	clear(c.flows)
	return c.tx.SetFigureMark(ctx, c.mark)
}
