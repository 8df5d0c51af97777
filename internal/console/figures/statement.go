package figures

import (
	"context"
	"slices"
	"time"

	"maillon/internal/console/frame"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/report"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// maxLines is how many movements of an account a statement shows; of more it
// says so.
const maxLines = 1000

// A statement is what happened to the accounts of a member in a month.
type statement struct {
	Member   *member.Member
	Name     string
	Month    time.Time // its first day
	Previous time.Time
	Next     time.Time // zero: it has not begun
	Accounts []accountView
}

// An accountView is what happened to one account.
type accountView struct {
	Before, In, Out, After money.Amount
	Lines                  []line // the oldest first
	Cut                    bool   // there is more, before the first
}

type line struct {
	store.Movement
	With string
}

// showStatement shows the statement of a month, that of today if none is chosen.
// That somebody opened it is written down, as it is for a sheet.
func (r room) showStatement(v *frame.Visit) error {
	id, err := v.PathID("id")
	if err != nil {
		return err
	}
	var s statement
	err = v.Update(func(ctx context.Context, tx *store.Tx) (err error) {
		s, err = r.readStatement(ctx, tx, v, member.ID(id))
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("statement", s)
}

func (r room) readStatement(ctx context.Context, tx *store.Tx, v *frame.Visit, id member.ID) (s statement, err error) {
	zone := r.server.Settings.Zone
	text := v.Value("month")
	if text == "" {
		text = tx.Now().In(zone).Format("2006-01")
	}
	p, ok := report.ParseMonth(text)
	if !ok || tx.Now().Before(p.From.Begin(zone)) {
		return s, store.ErrNotFound
	}
	s.Month = p.From.Date()
	s.Previous = s.Month.AddDate(0, -1, 0)
	from, to := p.From.Begin(zone), (p.To + 1).Begin(zone)
	if !tx.Now().Before(to) {
		s.Next = (p.To + 1).Date()
	}
	if s.Member, err = tx.Member(ctx, id); err != nil {
		return s, err
	}
	if v.Who.Member.ID != id {
		tx.Act(v.By(), treasury.Looked, treasury.By(s.Member), "")
	}
	accounts, err := tx.AccountsOf(ctx, id)
	if err != nil {
		return s, err
	}
	ids := []member.ID{id}
	for _, a := range accounts {
		one, err := readAccount(ctx, tx, a, from, to)
		if err != nil {
			return s, err
		}
		s.Accounts = append(s.Accounts, one)
		for _, l := range one.Lines {
			ids = append(ids, l.OtherMember)
		}
	}
	names, err := v.Names(ctx, tx, ids...)
	s.Name = names.Of(id)
	for _, a := range s.Accounts {
		for n, l := range a.Lines {
			if a.Lines[n].With = l.OtherName; l.OtherMember != 0 {
				a.Lines[n].With = names.Of(l.OtherMember)
			}
		}
	}
	return s, err
}

// readAccount reads what happened to an account from a time until another.
func readAccount(ctx context.Context, tx *store.Tx, a ledger.Account, from, to time.Time) (v accountView, err error) {
	zero := money.New(0, a.Balance.Currency())
	v.In, v.Out = zero, zero
	moves, err := tx.MovementsBefore(ctx, a, to, maxLines+1)
	if err != nil {
		return v, err
	}
	moves = slices.DeleteFunc(moves, func(m store.Movement) bool { return m.At.Before(from) })
	if v.Cut = len(moves) > maxLines; v.Cut {
		moves = moves[:maxLines]
	}
	slices.Reverse(moves)
	for _, m := range moves {
		v.Lines = append(v.Lines, line{Movement: m})
		sum := &v.In
		if m.Amount.Sign() < 0 {
			sum = &v.Out
		}
		if *sum, err = sum.Add(m.Amount); err != nil {
			return v, err
		}
	}
	if len(moves) == 0 {
		v.Before, err = tx.BalanceAt(ctx, a.ID, to.Add(-time.Microsecond))
		v.After = v.Before
		return v, err
	}
	v.After = moves[len(moves)-1].Balance
	v.Before, err = moves[0].Balance.Sub(moves[0].Amount)
	return v, err
}
