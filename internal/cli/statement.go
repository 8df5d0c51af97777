package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/store"
	"maillon/internal/table"
	"maillon/internal/treasury"
)

// Bounds of a statement.
const (
	maxMovements  = 100_000
	movementsOnce = 1000
)

// statementCommand prints what happened to one account.
type statementCommand struct {
	who
	From string `placeholder:"DAY" help:"First day, such as 2026-03-01 (default: the beginning)."`
	To   string `placeholder:"DAY" help:"Last day, included (default: today)."`
}

// Run prints a statement for each currency, and has the journal note it.
func (c statementCommand) Run(ctx context.Context, io *Streams) error {
	return c.act(ctx, func(b *books, tx *store.Tx, m *member.Member) error {
		from, err := b.day("--from", c.From, 0)
		if err != nil {
			return err
		}
		to, err := b.day("--to", c.To, 1)
		if err != nil {
			return err
		}
		if to.IsZero() {
			to = tx.Now().Add(time.Microsecond)
		}
		tx.Act(treasury.Operator, "statement", treasury.By(m), "")
		accounts, err := tx.AccountsOf(ctx, m.ID)
		if err != nil {
			return err
		}
		if len(accounts) == 0 {
			_, err = fmt.Fprintf(io.Out, "%s has never had anything\n", called(m))
			return err
		}
		for _, a := range accounts {
			if err := b.statement(ctx, io, tx, m, a, from, to); err != nil {
				return err
			}
		}
		return nil
	})
}

// day reads a day of the server's zone, and returns when it begins, or when
// the day so many later does. "" is the zero time.
func (b *books) day(flag, text string, later int) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.ParseInLocation("2006-01-02", text, b.Settings.Zone)
	if err != nil {
		return t, exitf(ExitUsage, "%s %s: a day such as 2026-03-28 is expected", flag, text)
	}
	return t.AddDate(0, 0, later), nil
}

// statement prints the movements of one account from a time until another.
func (b *books) statement(ctx context.Context, io *Streams, tx *store.Tx, m *member.Member, a ledger.Account, from, to time.Time) error {
	movements, err := between(ctx, tx, a.ID, from, to)
	if err != nil {
		return err
	}
	// What is before the first movement counts too: an opening balance is none.
	before, err := before(ctx, tx, a.ID, movements, to)
	if err != nil {
		return err
	}
	fmt.Fprintf(io.Out, "%s, %s\n", called(m), a.Balance.Currency().Code)
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "before\t\t\t\t\t%s\t\n", before.Plain())
	after := before
	for _, v := range movements {
		other, err := b.other(ctx, tx, v)
		if err != nil {
			return err
		}
		memo, err := memoOf(ctx, tx, v.Transaction)
		if err != nil {
			return err
		}
		after = v.Balance
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", b.showTime(v.At), dash(v.Ref), v.Kind, other, signed(v.Amount), v.Balance.Plain(), memo)
	}
	fmt.Fprintf(w, "after\t\t\t\t\t%s\t\n", after.Plain())
	return w.Flush()
}

func before(ctx context.Context, tx *store.Tx, id ledger.AccountID, movements []store.Movement, to time.Time) (money.Amount, error) {
	if len(movements) > 0 {
		return movements[0].Balance.Sub(movements[0].Amount)
	}
	return tx.BalanceAt(ctx, id, to.Add(-time.Microsecond))
}

// between returns the movements of a time, the oldest first.
func between(ctx context.Context, tx *store.Tx, id ledger.AccountID, from, to time.Time) ([]store.Movement, error) {
	var all []store.Movement
	for skip := 0; ; skip += movementsOnce {
		some, err := tx.Movements(ctx, id, skip, movementsOnce)
		if err != nil {
			return nil, err
		}
		for _, v := range some {
			if !v.At.Before(from) && v.At.Before(to) {
				all = append(all, v)
			}
		}
		if len(all) > maxMovements {
			return nil, exitf(ExitNo, "more than %d movements: choose less with --from and --to", maxMovements)
		}
		if len(some) < movementsOnce {
			slices.Reverse(all)
			return all, nil
		}
	}
}

// other names the other side of a movement.
func (b *books) other(ctx context.Context, tx *store.Tx, v store.Movement) (string, error) {
	if v.OtherMember == 0 {
		return v.OtherName, nil
	}
	m, err := tx.Member(ctx, v.OtherMember)
	if err != nil {
		return "", err
	}
	return called(m), nil
}

// memoOf returns what its order says a transaction is for; "" once that is erased.
func memoOf(ctx context.Context, tx *store.Tx, id ledger.TransactionID) (string, error) {
	o, err := tx.OrderOf(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return table.Line(o.Secret.Memo), nil
}

func signed(a money.Amount) string {
	if a.Sign() > 0 {
		return "+" + a.Plain()
	}
	return a.Plain()
}
