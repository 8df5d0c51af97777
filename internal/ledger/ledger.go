// Package ledger moves money between accounts by double entry.
//
// Every movement is a Transaction: two or more postings that sum to zero in
// each currency. Nothing is ever changed or deleted; a mistake is undone by a
// second transaction that names the first. A Hold sets money aside: it still
// belongs to its account but cannot be spent.
//
// The rules live here once, over small interfaces, whoever keeps the books: a
// database, or the Books in memory that replay a journal.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"maillon/internal/money"
)

// MaxPostings bounds the postings of one transaction.
const MaxPostings = 1000

var (
	// ErrUnbalanced means that postings do not sum to zero in some currency.
	ErrUnbalanced = errors.New("postings do not sum to zero")
	// ErrShape means that a transaction has too few or too many postings, one
	// of nothing, or none of the postings that its hold asks for.
	ErrShape = errors.New("malformed transaction")
	// ErrInsufficient means that an account would pass below its floor, or
	// spend what is held.
	ErrInsufficient = errors.New("insufficient funds")
	// ErrNoAccount means that an account does not exist.
	ErrNoAccount = errors.New("no such account")
	// ErrDuplicate means that a transaction with the same key or reference was
	// posted before. Nothing was done a second time.
	ErrDuplicate = errors.New("already posted")
	// ErrHold means that a hold does not exist, or that less is left of it
	// than was asked for.
	ErrHold = errors.New("not held")
)

type (
	// An AccountID names an account.
	AccountID int64
	// A TransactionID names a transaction; 0 is none.
	TransactionID int64
	// A HoldID names a hold; 0 is none.
	HoldID int64
)

// A Kind says what a transaction was for.
type Kind string

// The kinds of transactions.
const (
	Opening    Kind = "opening"    // a balance brought from elsewhere; not shown to members
	Payment    Kind = "payment"    // a member paid another
	Credit     Kind = "credit"     // an administrator credited an account from emission
	Return     Kind = "return"     // a payment given back by its payee, or a gift not accepted
	Correction Kind = "correction" // a transaction undone by an administrator
	Closing    Kind = "closing"    // what was left on a closed account, to the pot
	Demurrage  Kind = "demurrage"  // what melted, to a pot
	Share      Kind = "share"      // into a pot or out of it, by an administrator
	Trade      Kind = "trade"      // of merchants: advances, deposits, what operators bill
)

// An Account holds one currency.
type Account struct {
	ID        AccountID
	Balance   money.Amount // all that belongs to it, held or not
	Held      money.Amount // set aside by holds, never below zero
	Floor     money.Amount // the least that may be left to spend
	Unbounded bool         // no floor: emission and pertes only
}

// Spendable returns what the account can pay now: its balance without what is
// held and above its floor, never below zero.
func (a Account) Spendable() money.Amount {
	return money.New(max(a.free(), 0), a.Balance.Currency())
}

// SetFloor changes the least that may be left to spend. It returns ErrInsufficient
// if less than that is there, and ErrShape for an account without a floor.
func (a *Account) SetFloor(floor money.Amount) error {
	if a.Unbounded || floor.Currency() != a.Balance.Currency() {
		return fmt.Errorf("account %d: %w", a.ID, ErrShape)
	}
	after := *a
	if after.Floor = floor; !after.sound() {
		return fmt.Errorf("account %d: %w", a.ID, ErrInsufficient)
	}
	*a = after
	return nil
}

func (a Account) free() int64 { return a.Balance.Minor() - a.Held.Minor() - a.Floor.Minor() }

func (a Account) sound() bool { return a.Unbounded || a.free() >= 0 }

// A Posting adds an amount, which may be negative, to one account.
type Posting struct {
	Account AccountID
	Amount  money.Amount
}

// A Transaction is a set of postings that happen together or not at all.
type Transaction struct {
	ID       TransactionID // given when it is appended
	Ref      string        // the reference that people see; unique
	Key      string        // names what caused it; unique, so that no cause acts twice
	Kind     Kind
	At       time.Time
	Postings []Posting
	Reverses TransactionID // the transaction that this one undoes, in part or whole
	Via      TransactionID // the payment by which undone money had reached the account
	Note     string        // for the books; never a name, a number or a member's words
}

// A Hold sets part of an account's money aside.
type Hold struct {
	ID      HoldID // given when it is first saved
	Account AccountID
	Placed  money.Amount  // what was set aside at first
	Left    money.Amount  // what still is; zero once captured or released
	For     TransactionID // the transaction that is in doubt, if any
	Expires time.Time     // zero: never by itself
}

// Transfer is the usual transaction: amount from one account to another.
func Transfer(from, to AccountID, amount money.Amount) ([]Posting, error) {
	minus, err := amount.Neg()
	if err != nil {
		return nil, err
	}
	return []Posting{{from, minus}, {to, amount}}, nil
}

// Tx is what posting asks of whoever keeps the books. Both methods act inside
// one transaction of the keeper: an error undoes all.
type Tx interface {
	// Account returns an account as it is now, or ErrNoAccount. Until the
	// transaction of the keeper ends nobody else can change it.
	Account(ctx context.Context, id AccountID) (Account, error)
	// Append writes t, whose ID it sets, and the accounts as they are after
	// it. It returns ErrDuplicate if the key or the reference was used.
	Append(ctx context.Context, t *Transaction, after []Account) error
}

// Post checks t and appends it, setting its ID. It returns ErrShape,
// ErrUnbalanced, ErrNoAccount, ErrInsufficient, ErrDuplicate, or an error of
// money; then nothing was posted.
func Post(ctx context.Context, tx Tx, t *Transaction) error {
	return post(ctx, tx, t, nil)
}

// post is Post after release, a change of held sums that belongs to it.
func post(ctx context.Context, tx Tx, t *Transaction, release func(*Account) error) error {
	if err := checkShape(t); err != nil {
		return err
	}
	after, err := load(ctx, tx, t.Postings)
	if err != nil {
		return err
	}
	for i := range after {
		if release != nil {
			if err := release(&after[i]); err != nil {
				return err
			}
		}
		before := after[i].free()
		for _, p := range t.Postings {
			if p.Account != after[i].ID {
				continue
			}
			if after[i].Balance, err = after[i].Balance.Add(p.Amount); err != nil {
				return fmt.Errorf("account %d: %w", p.Account, err)
			}
		}
		if after[i].free() < before && !after[i].sound() {
			return fmt.Errorf("account %d: %w", after[i].ID, ErrInsufficient)
		}
	}
	return tx.Append(ctx, t, after)
}

// checkShape refuses what no account can make right.
func checkShape(t *Transaction) error {
	if len(t.Postings) < 2 || len(t.Postings) > MaxPostings || t.Key == "" {
		return ErrShape
	}
	sums := map[money.Currency]money.Amount{}
	for _, p := range t.Postings {
		if p.Amount.IsZero() {
			return ErrShape
		}
		c := p.Amount.Currency()
		sum, ok := sums[c]
		if !ok {
			sum = money.New(0, c)
		}
		var err error
		if sums[c], err = sum.Add(p.Amount); err != nil {
			return err
		}
	}
	for _, sum := range sums {
		if !sum.IsZero() {
			return ErrUnbalanced
		}
	}
	return nil
}

// load returns the accounts of postings, each once, sorted, so that two
// transactions never wait for each other's locks.
func load(ctx context.Context, tx Tx, postings []Posting) ([]Account, error) {
	ids := make([]AccountID, 0, len(postings))
	for _, p := range postings {
		ids = append(ids, p.Account)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	accounts := make([]Account, 0, len(ids))
	for _, id := range ids {
		a, err := tx.Account(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("account %d: %w", id, err)
		}
		accounts = append(accounts, a)
	}
	return accounts, nil
}

// ReverseKey is the key of whatever undoes a transaction, in part or whole: so
// it is undone once.
func ReverseKey(id TransactionID) string { return fmt.Sprintf("reverse:%d", id) }

// Reverse posts the opposite of original as t, which brings its reference,
// kind and time. The key is the reversal's own, so that a transaction is
// reversed once: a second time is ErrDuplicate.
func Reverse(ctx context.Context, tx Tx, original Transaction, t *Transaction) error {
	t.Reverses = original.ID
	t.Key = ReverseKey(original.ID)
	t.Postings = make([]Posting, len(original.Postings))
	for i, p := range original.Postings {
		back, err := p.Amount.Neg()
		if err != nil {
			return err
		}
		t.Postings[i] = Posting{p.Account, back}
	}
	return Post(ctx, tx, t)
}
