package ledger

import (
	"context"
	"fmt"

	"maillon/internal/money"
)

// HoldTx is what holds ask of whoever keeps the books, beside posting.
type HoldTx interface {
	Tx
	// Hold returns a hold as it is now, or ErrHold.
	Hold(ctx context.Context, id HoldID) (Hold, error)
	// SaveHold writes h, whose ID it sets if it is new, and its account.
	SaveHold(ctx context.Context, h *Hold, after Account) error
}

// Place sets h.Placed aside on its account and sets the ID of h. It returns
// ErrInsufficient if less can be spent, ErrShape if it is not more than zero.
func Place(ctx context.Context, tx HoldTx, h *Hold) error {
	if h.Placed.Sign() <= 0 {
		return ErrShape
	}
	a, err := tx.Account(ctx, h.Account)
	if err != nil {
		return err
	}
	if a.Held, err = a.Held.Add(h.Placed); err != nil {
		return err
	}
	if !a.sound() {
		return fmt.Errorf("account %d: %w", a.ID, ErrInsufficient)
	}
	h.Left = h.Placed
	return tx.SaveHold(ctx, h, a)
}

// Release gives back what is left of a hold. Releasing it again changes
// nothing.
func Release(ctx context.Context, tx HoldTx, id HoldID) error {
	h, err := tx.Hold(ctx, id)
	if err != nil {
		return err
	}
	if h.Left.IsZero() {
		return nil
	}
	a, err := tx.Account(ctx, h.Account)
	if err != nil {
		return err
	}
	if a.Held, err = a.Held.Sub(h.Left); err != nil {
		return err
	}
	h.Left = money.New(0, h.Left.Currency())
	return tx.SaveHold(ctx, &h, a)
}

// Capture posts t, which must take amount from the account of the hold, out of
// what the hold set aside. The rest stays held: release it, or capture again.
// It returns ErrHold if less than amount is left.
func Capture(ctx context.Context, tx HoldTx, id HoldID, amount money.Amount, t *Transaction) error {
	h, err := tx.Hold(ctx, id)
	if err != nil {
		return err
	}
	if h.Left, err = h.Left.Sub(amount); err != nil {
		return err
	}
	if amount.Sign() <= 0 || h.Left.Sign() < 0 {
		return fmt.Errorf("hold %d: %w", id, ErrHold)
	}
	taken := money.New(0, amount.Currency())
	for _, p := range t.Postings {
		if p.Account == h.Account {
			if taken, err = taken.Sub(p.Amount); err != nil {
				return err
			}
		}
	}
	if taken.Cmp(amount) != 0 {
		return fmt.Errorf("hold %d: %w", id, ErrShape)
	}
	err = post(ctx, tx, t, func(a *Account) (err error) {
		if a.ID == h.Account {
			a.Held, err = a.Held.Sub(amount)
		}
		return err
	})
	if err != nil {
		return err
	}
	a, err := tx.Account(ctx, h.Account)
	if err != nil {
		return err
	}
	return tx.SaveHold(ctx, &h, a)
}
