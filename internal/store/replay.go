package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/money"
)

// ErrReplay means that a journal says what the rules of the ledger forbid.
var ErrReplay = errors.New("journal does not replay")

// A keeper is what a journal is replayed into.
type keeper interface {
	ledger.HoldTx
	openAccount(ctx context.Context, e *accountEvent) error
	setFloor(ctx context.Context, a ledger.Account) error
}

// memoryKeeper makes Books a keeper.
type memoryKeeper struct{ *ledger.Books }

func (k memoryKeeper) openAccount(_ context.Context, e *accountEvent) error {
	return k.Open(e.account())
}

func (k memoryKeeper) setFloor(_ context.Context, a ledger.Account) error { return k.Books.SetFloor(a) }

func (e accountEvent) account() ledger.Account {
	zero := money.New(0, money.Currency{Code: e.Currency, Decimals: e.Decimals})
	return ledger.Account{
		ID: ledger.AccountID(e.ID), Balance: zero, Held: zero,
		Floor: money.New(e.Floor, zero.Currency()), Unbounded: e.Unbounded,
	}
}

// replay does with k what e says of money, by the rules of the ledger. Of
// anything else it does nothing.
func replay(ctx context.Context, k keeper, e event, at int64) error {
	switch {
	case e.Account != nil:
		return k.openAccount(ctx, e.Account)
	case e.Txn != nil:
		return replayTxn(ctx, k, e.Txn, at)
	case e.Hold != nil:
		return replayHold(ctx, k, e.Hold)
	case e.Floor != nil:
		return replayFloor(ctx, k, e.Floor)
	}
	return nil
}

func replayFloor(ctx context.Context, k keeper, e *floorEvent) error {
	a, err := k.Account(ctx, ledger.AccountID(e.Account))
	if err != nil {
		return fmt.Errorf("account %d: %w", e.Account, err)
	}
	if err := a.SetFloor(money.New(e.Floor, a.Balance.Currency())); err != nil {
		return err
	}
	return k.setFloor(ctx, a)
}

func replayTxn(ctx context.Context, k keeper, e *txnEvent, at int64) error {
	t := ledger.Transaction{
		ID: ledger.TransactionID(e.ID), Ref: e.Ref, Key: e.Key, Kind: ledger.Kind(e.Kind), At: fromMicros(cmp.Or(e.At, at)),
		Reverses: ledger.TransactionID(e.Reverses), Via: ledger.TransactionID(e.Via), Note: e.Note,
	}
	for _, p := range e.Postings {
		a, err := k.Account(ctx, ledger.AccountID(p[0]))
		if err != nil {
			return fmt.Errorf("account %d: %w", p[0], err)
		}
		t.Postings = append(t.Postings, ledger.Posting{Account: a.ID, Amount: money.New(p[1], a.Balance.Currency())})
	}
	if e.Hold == 0 {
		return ledger.Post(ctx, k, &t)
	}
	h, err := k.Hold(ctx, ledger.HoldID(e.Hold))
	if err != nil {
		return err
	}
	amount := money.New(0, h.Placed.Currency())
	for _, p := range t.Postings {
		if p.Account != h.Account {
			continue
		}
		if amount, err = amount.Sub(p.Amount); err != nil {
			return err
		}
	}
	return ledger.Capture(ctx, k, h.ID, amount, &t)
}

// replayHold places a hold that is new, releases one of which nothing is left,
// and finds the others as the capture before has left them.
func replayHold(ctx context.Context, k keeper, e *holdEvent) error {
	h, err := k.Hold(ctx, ledger.HoldID(e.ID))
	if errors.Is(err, ledger.ErrHold) {
		return replayPlace(ctx, k, e)
	}
	if err != nil {
		return err
	}
	switch {
	case h.Left.Minor() == e.Remaining:
		return nil
	case e.Remaining == 0:
		return ledger.Release(ctx, k, h.ID)
	}
	return fmt.Errorf("hold %d: %d is left, not %d: %w", e.ID, h.Left.Minor(), e.Remaining, ErrReplay)
}

func replayPlace(ctx context.Context, k keeper, e *holdEvent) error {
	a, err := k.Account(ctx, ledger.AccountID(e.Account))
	if err != nil {
		return fmt.Errorf("account %d: %w", e.Account, err)
	}
	h := ledger.Hold{
		Account: a.ID, Placed: money.New(e.Placed, a.Balance.Currency()),
		For: ledger.TransactionID(e.Txn), Expires: fromMicros(e.Expires),
	}
	if err := ledger.Place(ctx, k, &h); err != nil {
		return err
	}
	if int64(h.ID) != e.ID || e.Remaining != e.Placed {
		return fmt.Errorf("hold %d: placed as hold %d with %d: %w", e.ID, h.ID, e.Remaining, ErrReplay)
	}
	return nil
}

// A Head names the last row of a journal: how many rows it has, when it was
// written, and the hash that stands for all of them. The zero Head is that of
// an empty journal.
type Head struct {
	Seq  int64
	At   time.Time
	Hash []byte
}

// A journalRow is one row of the journal.
type journalRow struct {
	seq, at int64
	body    string
	hash    []byte
}

func (r journalRow) head() Head { return Head{r.seq, fromMicros(r.at), r.hash} }

// journal calls do for each row of the journal up to a moment, in order, and
// stops when ctx ends.
func (tx *Tx) journal(ctx context.Context, until int64, do func(journalRow) error) error {
	return tx.stream(ctx, func(scan func(...any) error) error {
		var r journalRow
		if err := scan(&r.seq, &r.at, &r.body, &r.hash); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		return do(r)
	}, `SELECT seq, at, body, hash FROM journal WHERE at <= $1 ORDER BY seq`, until)
}

// Replay replays the journal up to a moment, to the end if it is zero, into
// books of their own, and returns them with its last row. A journal whose chain
// is broken or that the rules forbid is ErrReplay.
func (db *DB) Replay(ctx context.Context, until time.Time) (*ledger.Books, Head, error) {
	books, last := ledger.NewBooks(), Head{}
	err := db.apart(ctx, func(tx *Tx) error {
		return tx.journal(ctx, untilMicros(until), func(r journalRow) error {
			if err := checkLink(last, r); err != nil {
				return err
			}
			last = r.head()
			return replayRow(ctx, memoryKeeper{books}, r)
		})
	})
	return books, last, err
}

func checkLink(last Head, r journalRow) error {
	if r.seq != last.Seq+1 {
		return fmt.Errorf("journal row %d after row %d: %w", r.seq, last.Seq, ErrReplay)
	}
	if string(chain(last.Hash, r.seq, r.at, []byte(r.body))) != string(r.hash) {
		return fmt.Errorf("journal row %d: hash does not follow from row %d: %w", r.seq, last.Seq, ErrReplay)
	}
	return nil
}

func replayRow(ctx context.Context, k keeper, r journalRow) error {
	events, err := decodeEvents(r.body)
	if err != nil {
		return fmt.Errorf("journal row %d: %w", r.seq, err)
	}
	for _, e := range events {
		if err := replay(ctx, k, e, r.at); err != nil {
			return fmt.Errorf("journal row %d: %w", r.seq, err)
		}
	}
	return nil
}

func untilMicros(t time.Time) int64 {
	if t.IsZero() {
		return 1<<63 - 1
	}
	return t.UnixMicro()
}

// apart runs do like View, but on a connection of its own, for long work that
// must not be in the way of the others.
func (db *DB) apart(ctx context.Context, do func(*Tx) error) (err error) {
	if db.engine.readers() == 0 {
		return db.View(ctx, do)
	}
	c, err := db.engine.another(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	return db.look(context.WithoutCancel(ctx), c, do)
}
