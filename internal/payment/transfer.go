package payment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/store"
)

// Why a transfer between two accounts is refused, beside what ledger.Post says.
var (
	// ErrPaused means that payments are stopped.
	ErrPaused = errors.New("payments are paused")
	// ErrBlocked means that the payer or the payee is frozen or locked.
	ErrBlocked = errors.New("account is blocked")
	// ErrNotOpen means that nobody who accepted owns the account any more, or yet.
	ErrNotOpen = errors.New("account is not open")
	// ErrReserved means that the account is where money comes from or ends:
	// only administrators move that.
	ErrReserved = errors.New("account is reserved")
	// ErrReused means that the key stands for another transfer.
	ErrReused = errors.New("key was used for another transfer")
	// ErrAmount means that a transfer is not of more than zero.
	ErrAmount = errors.New("not more than zero")
	// ErrOneself means that a transfer would come back to its account.
	ErrOneself = errors.New("from an account to itself")
)

// An AccountError is why an account cannot take part in a transfer.
type AccountError struct {
	Account ledger.AccountID
	Err     error
}

// Error implements error.
func (e *AccountError) Error() string { return fmt.Sprintf("account %d: %v", e.Account, e.Err) }

// Unwrap returns the reason.
func (e *AccountError) Unwrap() error { return e.Err }

// A Transfer is what a program asks that was given the right to: no code, no
// limit of a member's day and no SMS stand between it and the books.
type Transfer struct {
	From, To ledger.AccountID
	Minor    int64  // in smallest units
	Currency string // of both accounts
	Key      string // unique; that of the transaction
}

// A Moved is what became of a Transfer.
type Moved struct {
	Transaction ledger.Transaction
	Again       bool  // it was done before, and is as it was then
	Err         error // why it was refused; then nothing was done
}

// Hint is what moving some transfers looks at.
func Hint(all ...Transfer) store.Hint {
	h := store.Hint{Standing: true}
	for _, t := range all {
		h.Keys, h.Accounts = append(h.Keys, t.Key), append(h.Accounts, t.From, t.To)
	}
	return h
}

// Move moves money between two accounts by ID, once for each key. A transfer
// that was refused is not remembered.
func (d *Desk) Move(ctx context.Context, tx *store.Tx, asked Transfer) (ledger.Transaction, bool, error) {
	all, err := tx.Standings(ctx, asked.From, asked.To)
	if err != nil {
		return ledger.Transaction{}, false, err
	}
	m, err := move(ctx, tx, all, asked)
	return m.Transaction, m.Again, cmp.Or(err, m.Err)
}

// MoveAll is Move for many, in their order: each is done or refused by itself.
// An error means that none was done.
func (d *Desk) MoveAll(ctx context.Context, tx *store.Tx, asked []Transfer) ([]Moved, error) {
	ids := Hint(asked...).Accounts
	slices.Sort(ids)
	all, err := tx.Standings(ctx, slices.Compact(ids)...)
	if err != nil {
		return nil, err
	}
	moved := make([]Moved, len(asked))
	for n, t := range asked {
		if moved[n], err = move(ctx, tx, all, t); err != nil {
			return nil, fmt.Errorf("transfer %d of %d: %w", n+1, len(asked), err)
		}
	}
	return moved, nil
}

// move returns an error only if it does not know what became of a transfer.
func move(ctx context.Context, tx *store.Tx, all store.Standings, asked Transfer) (Moved, error) {
	t, err := moveNew(ctx, tx, all, asked)
	if err == nil {
		return Moved{Transaction: t}, nil
	}
	if !refusal(err) {
		return Moved{}, err
	}
	// What was done stays done, whatever forbids it today.
	before, e := tx.TransactionByKey(ctx, asked.Key)
	switch {
	case errors.Is(e, store.ErrNotFound):
		return Moved{Err: err}, nil
	case e != nil:
		return Moved{}, fmt.Errorf("look for a transfer that was done: %w", e)
	case !asked.is(before):
		return Moved{Err: ErrReused}, nil
	}
	return Moved{Transaction: before, Again: true}, nil
}

// refusal reports whether an error is an answer rather than trouble.
func refusal(err error) bool {
	for _, known := range []error{
		ErrPaused, ErrBlocked, ErrNotOpen, ErrReserved, ErrAmount, ErrOneself, money.ErrCurrency, money.ErrOverflow,
		ledger.ErrInsufficient, ledger.ErrNoAccount, ledger.ErrDuplicate,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

func moveNew(ctx context.Context, tx *store.Tx, all store.Standings, asked Transfer) (t ledger.Transaction, err error) {
	switch {
	case asked.Minor <= 0:
		return t, ErrAmount
	case asked.From == asked.To:
		return t, ErrOneself
	case all.Paused:
		return t, ErrPaused
	}
	for _, id := range []ledger.AccountID{asked.From, asked.To} {
		if err := mayMove(tx, all, id, id == asked.From, asked.Currency); err != nil {
			return t, &AccountError{id, err}
		}
	}
	postings, err := ledger.Transfer(asked.From, asked.To, money.New(asked.Minor, all.Of[asked.From].Currency))
	if err != nil {
		return t, err
	}
	t = ledger.Transaction{Key: asked.Key, Kind: ledger.Payment, At: tx.Now(), Postings: postings}
	if err := ledger.Post(ctx, tx, &t); err != nil {
		return t, fmt.Errorf("move: %w", err)
	}
	return t, nil
}

// mayMove refuses an account that cannot pay, or be paid.
func mayMove(tx *store.Tx, all store.Standings, id ledger.AccountID, pays bool, currency string) error {
	s, ok := all.Of[id]
	switch m := s.Owner; {
	case !ok:
		return ledger.ErrNoAccount
	case s.Currency.Code != currency:
		return money.ErrCurrency
	case s.Unbounded:
		return ErrReserved
	case m == nil: // a pot of the association
		return nil
	case m.State != member.Active:
		return ErrNotOpen
	case pays && (m.Frozen() || m.LockedTill.After(tx.Now())), !pays && !m.Payable():
		return ErrBlocked
	}
	return nil
}

// is reports whether a transaction is what was asked.
func (asked Transfer) is(t ledger.Transaction) bool {
	if len(t.Postings) != 2 || t.Reverses != 0 {
		return false
	}
	from, to := t.Postings[0], t.Postings[1]
	return from.Account == asked.From && to.Account == asked.To && to.Amount.Minor() == asked.Minor && to.Amount.Currency().Code == asked.Currency
}
