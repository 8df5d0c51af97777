package treasury

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"maillon/internal/charter"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/notice"
	"maillon/internal/setting"
	"maillon/internal/store"
)

// meltTogether is how many accounts melt in one transaction: payments wait for
// no more than that.
const meltTogether = 200

// ErrNotYet means that a month has not ended, or that demurrage began later.
var ErrNotYet = errors.New("this month does not melt")

// A Melt says what demurrage took of a month, or would take.
type Melt struct {
	Period   charter.Period
	Accounts int // from which something melts
	Spared   int // of exempt groups, at or below the free base, or not accepted yet
	Done     int // from which it was taken before
	Total    money.Amount
	Largest  money.Amount
}

// melts are the rules of one month.
type melts struct {
	*Treasury
	charter charter.Charter
	period  charter.Period
	end     time.Time // of the month: what was there then is what slept
	last    ledger.TransactionID
	free    int64
	unit    money.Currency
	pot     ledger.AccountID
}

// meltsOf returns the rules for a month, or ErrOff or ErrNotYet.
func (t *Treasury) meltsOf(ctx context.Context, tx *store.Tx, p charter.Period) (*melts, error) {
	c, err := t.Desk.Charter(ctx, tx)
	if err != nil {
		return nil, err
	}
	m := &melts{Treasury: t, charter: c, period: p, end: p.Add(1).Start(t.Desk.Set.Zone), unit: t.Desk.Set.Currency()}
	switch {
	case !c.Demurrage.On:
		return nil, ErrOff
	case p.Before(c.Demurrage.Since) || tx.Now().Before(m.end):
		return nil, ErrNotYet
	}
	m.free = setting.Whole(c.Demurrage.Free, m.unit).Minor()
	m.last, err = tx.LastBefore(ctx, m.end)
	return m, err
}

// key is that of what melts of one account in one month: it does so once.
func (m *melts) key(id ledger.AccountID) string { return fmt.Sprintf("demurrage:%s:%d", m.period, id) }

// A drop is what melts of one account.
type drop struct {
	store.AccountRow
	owner *member.Member
	share money.Amount
	done  bool
}

// drops returns what melts of the next accounts; more is false after the last.
func (m *melts) drops(ctx context.Context, tx *store.Tx, after ledger.AccountID, limit int) (all []drop, next ledger.AccountID, err error) {
	rows, err := tx.MemberAccounts(ctx, m.unit, after, limit)
	if err != nil || len(rows) == 0 {
		return nil, 0, err
	}
	ids, owners, keys := make([]ledger.AccountID, len(rows)), make([]member.ID, len(rows)), make([]string, len(rows))
	for n, r := range rows {
		ids[n], owners[n], keys[n] = r.ID, r.Member, m.key(r.ID)
	}
	slept, err := tx.BalancesAfter(ctx, ids, m.last)
	if err != nil {
		return nil, 0, err
	}
	members, err := tx.MembersByIDs(ctx, owners)
	if err != nil {
		return nil, 0, err
	}
	done, err := tx.PostedUnder(ctx, keys)
	if err != nil {
		return nil, 0, err
	}
	for n, r := range rows {
		d := drop{AccountRow: r, owner: members[r.Member], share: money.New(0, m.unit)}
		if _, d.done = done[keys[n]]; !d.done && d.owner != nil && d.owner.State == member.Active && !m.charter.Group(d.owner.Group).Exempt {
			share := m.charter.Demurrage.Share(slept[r.ID], m.free)
			d.share = money.New(min(share, max(r.Balance.Minor()-r.Held.Minor(), 0)), m.unit)
		}
		all = append(all, d)
	}
	return all, rows[len(rows)-1].ID, nil
}

// add counts one account.
func (r *Melt) add(d drop) (err error) {
	switch {
	case d.done:
		r.Done++
	case d.share.IsZero():
		r.Spared++
	default:
		r.Accounts++
		if d.share.Cmp(r.Largest) > 0 {
			r.Largest = d.share
		}
		r.Total, err = r.Total.Add(d.share)
	}
	return err
}

func (m *melts) report() Melt {
	zero := money.New(0, m.unit)
	return Melt{Period: m.period, Total: zero, Largest: zero}
}

// ForeseeDemurrage returns what demurrage would take of a month. It changes
// nothing.
func (t *Treasury) ForeseeDemurrage(ctx context.Context, tx *store.Tx, p charter.Period) (Melt, error) {
	m, err := t.meltsOf(ctx, tx, p)
	if err != nil {
		return Melt{}, err
	}
	r := m.report()
	for after := ledger.AccountID(0); ; {
		some, next, err := m.drops(ctx, tx, after, meltTogether)
		if err != nil || len(some) == 0 {
			return r, err
		}
		for _, d := range some {
			if err := r.add(d); err != nil {
				return r, err
			}
		}
		after = next
	}
}

// MeltSome takes the demurrage of a month from the accounts after one, some at a
// time, and adds to the report; 0 is returned after the last. Each account melts
// once a month, however often it is asked: a run that was interrupted is run
// again. Who is not muted is told.
func (t *Treasury) MeltSome(ctx context.Context, tx *store.Tx, by string, p charter.Period, after ledger.AccountID, r *Melt) (ledger.AccountID, error) {
	if err := t.Desk.StillOpen(ctx, tx); err != nil {
		return 0, err
	}
	m, err := t.meltsOf(ctx, tx, p)
	if err != nil {
		return 0, err
	}
	pot, err := m.charter.Pot(m.charter.Demurrage.Pot)
	if err != nil {
		return 0, err
	}
	to, err := tx.SystemAccount(ctx, pot.Account(), m.unit)
	if err != nil {
		return 0, err
	}
	m.pot = to.ID
	some, next, err := m.drops(ctx, tx, after, meltTogether)
	if err != nil {
		return 0, err
	}
	took := m.report()
	told := m.charter.Spread(tx.Now().Add(time.Duration(r.Accounts)*time.Hour/time.Duration(m.charter.PerHour())), t.Desk.Set.Zone)
	for _, d := range some {
		if err := m.take(ctx, tx, d, told); err != nil {
			return 0, err
		}
		if err := took.add(d); err != nil {
			return 0, err
		}
	}
	if took.Accounts > 0 {
		tx.Audit(store.Act{By: by, What: "demurrage", Subject: "demurrage:" + p.String(), Became: fmt.Sprintf("%d: %s", took.Accounts, took.Total)})
	}
	return next, r.merge(took)
}

func (r *Melt) merge(o Melt) (err error) {
	r.Accounts, r.Spared, r.Done = r.Accounts+o.Accounts, r.Spared+o.Spared, r.Done+o.Done
	if o.Largest.Cmp(r.Largest) > 0 {
		r.Largest = o.Largest
	}
	r.Total, err = r.Total.Add(o.Total)
	return err
}

// take takes what melts of one account, and tells its member.
func (m *melts) take(ctx context.Context, tx *store.Tx, d drop, told *charter.Spread) error {
	if d.share.IsZero() {
		return nil
	}
	postings, err := ledger.Transfer(d.ID, m.pot, d.share)
	if err != nil {
		return err
	}
	txn := ledger.Transaction{Key: m.key(d.ID), Kind: ledger.Demurrage, At: tx.Now(), Postings: postings, Note: m.period.String()}
	if err := ledger.Post(ctx, tx, &txn); err != nil {
		return fmt.Errorf("demurrage: %w", err)
	}
	balance, err := d.Balance.Sub(d.share)
	if err != nil {
		return err
	}
	percent := m.charter.Demurrage.Percent()
	if m.Desk.Voice.Comma(d.owner.Language) {
		percent = strings.Replace(percent, ".", ",", 1)
	}
	return m.Desk.Voice.Later(ctx, tx, d.owner, "fonte", notice.Fields{
		"month": notice.Month(m.period.Month), "amt": d.share, "pct": percent, "bal": balance,
	}, told.Next())
}

// MeltAll runs the demurrage of a month in one transaction after the other.
func (t *Treasury) MeltAll(ctx context.Context, db *store.DB, by string, p charter.Period) (Melt, error) {
	zero := money.New(0, t.Desk.Set.Currency())
	r := Melt{Period: p, Total: zero, Largest: zero}
	for after := ledger.AccountID(0); ; {
		var next ledger.AccountID
		before := r
		err := db.Update(ctx, func(tx *store.Tx) (err error) {
			r = before // the database may try again
			next, err = t.MeltSome(ctx, tx, by, p, after, &r)
			return err
		})
		if err != nil || next == 0 {
			return r, err
		}
		after = next
	}
}
