package payment

import (
	"context"
	"crypto/rand"
	"errors"
	"math/big"
	"slices"
	"time"

	"maillon/internal/card"
	"maillon/internal/guard"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/notice"
	"maillon/internal/order"
	"maillon/internal/sms"
	"maillon/internal/store"
)

const (
	cardTries = 3
	cardLock  = dayLong
)

func setZero(d *Desk) money.Amount { return money.New(0, d.Set.Currency()) }

func (d *Desk) numberTaken(ctx context.Context, tx *store.Tx, n sms.Number) (bool, error) {
	_, err := tx.MemberByNumber(ctx, n)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Protect is VOL: somebody forged this member. Paying out is blocked, open
// orders die, and what went out in the last day is held where it went, as far
// as it is still there, until a human decides.
func (d *Desk) Protect(ctx context.Context, tx *store.Tx, m *member.Member) error {
	already := !m.FrozenAt.IsZero()
	if !already {
		m.FrozenAt, m.FrozenBy = tx.Now(), member.Self
		if err := tx.SaveMember(ctx, m); err != nil {
			return err
		}
	}
	if err := d.CancelOwn(ctx, tx, m); err != nil {
		return err
	}
	if _, err := d.Unbind(ctx, tx, m); err != nil {
		return err
	}
	out, err := tx.PaidOutSince(ctx, m.ID, tx.Now().Add(-dayLong), maxPaidOut)
	if err != nil {
		return err
	}
	slices.Reverse(out)
	for _, paid := range out {
		if paid.Kind != order.Pay && paid.Kind != order.Request {
			continue
		}
		if err := d.dispute(ctx, tx, m, paid); err != nil {
			return err
		}
	}
	balance, err := d.Balance(ctx, tx, m, d.Set.Currency())
	if err != nil {
		return err
	}
	if err := d.Voice.Answer(ctx, tx, m, "vol", notice.Fields{"bal": balance}); err != nil || already {
		return err
	}
	return d.Voice.Alert(ctx, tx, "VOL", notice.Phrase{Key: "alerte.vol"}, m)
}

// Unbind ends the e-mail address of a member, and whatever she asked about
// another; she is written to by SMS from then on. It reports whether she had one.
func (d *Desk) Unbind(ctx context.Context, tx *store.Tx, m *member.Member) (had bool, err error) {
	all, err := tx.Mailboxes(ctx, m)
	if err != nil {
		return false, err
	}
	phone := ""
	for _, b := range all {
		if b.Bound {
			had, phone = true, b.Line
		}
		if err := tx.EndMailbox(ctx, b.ID); err != nil {
			return had, err
		}
	}
	if !d.Voice.Letters[m.Line] {
		return had, nil
	}
	m.Line = phone
	return had, tx.SeeMember(ctx, m)
}

// dispute puts a payment in doubt once: what is still there of it is held.
func (d *Desk) dispute(ctx context.Context, tx *store.Tx, payer *member.Member, paid *order.Order) error {
	about, err := tx.OrdersAbout(ctx, paid.Transaction, maxQuestions)
	if err != nil {
		return err
	}
	for _, q := range about {
		if q.Kind == order.Dispute || q.State == order.Done {
			return nil
		}
	}
	payee, err := tx.Member(ctx, member.ID(paid.Payee))
	if err != nil || !payee.HasAccount() {
		return err
	}
	a, err := d.account(ctx, tx, payee, paid.Amount.Currency())
	if err != nil {
		return err
	}
	held := a.Spendable()
	if held.Cmp(paid.Amount) > 0 {
		held = paid.Amount
	}
	o := &order.Order{
		Kind: order.Dispute, State: order.Disputed, Owner: int64(payer.ID), Payer: int64(payee.ID), Payee: int64(payer.ID),
		Amount: paid.Amount, Target: paid.Transaction, TargetRef: paid.Ref,
	}
	if held.Sign() > 0 {
		h := ledger.Hold{Account: a.ID, Placed: held, For: paid.Transaction}
		if err := ledger.Place(ctx, tx, &h); err != nil {
			return err
		}
		o.Hold = h.ID
	}
	if err := tx.InsertOrder(ctx, o, nil); err != nil || held.IsZero() {
		return err
	}
	return d.Voice.Answer(ctx, tx, payee, "litige", notice.Fields{"ref": paid.Ref, "amt": held})
}

// Cell returns the cell of the code card that is asked of a member: always the
// same one until it is right. Who has no card is asked all the same, so that
// nobody learns it; no answer is right then.
func (d *Desk) Cell(ctx context.Context, tx *store.Tx, m *member.Member) (string, error) {
	c, err := tx.Card(ctx, m)
	if errors.Is(err, store.ErrNotFound) {
		return noCardCell(m.ID), nil
	}
	if err != nil {
		return "", err
	}
	if c.Asked != "" {
		return c.Asked, nil
	}
	free := make([]string, 0, len(c.Cells))
	for cell := range c.Cells {
		if !slices.Contains(c.Used, cell) {
			free = append(free, cell)
		}
	}
	if len(free) == 0 { // all were used: they come back
		c.Used = nil
		for cell := range c.Cells {
			free = append(free, cell)
		}
	}
	slices.Sort(free)
	k, err := rand.Int(rand.Reader, big.NewInt(int64(len(free))))
	if err != nil {
		return "", err
	}
	c.Asked = free[k.Int64()]
	return c.Asked, tx.SaveCard(ctx, m, c)
}

// noCardCell is what a member without card is asked for.
func noCardCell(id member.ID) string {
	positions := card.Positions()
	return positions[int(id)%len(positions)]
}

// Prove checks a cell of the code card. It reports whether it is right; if
// not, the refusal says how many tries are left.
func (d *Desk) Prove(ctx context.Context, tx *store.Tx, m *member.Member, cell string) (bool, error) {
	_, err := tx.Card(ctx, m)
	if errors.Is(err, store.ErrNotFound) {
		return false, notice.Refuse("carte.faux", notice.Fields{"cell": noCardCell(m.ID), "n": 0})
	}
	if err != nil {
		return false, err
	}
	asked, err := d.Cell(ctx, tx, m)
	if err != nil {
		return false, err
	}
	c, err := tx.Card(ctx, m)
	if err != nil {
		return false, err
	}
	if c.LockedTill.After(tx.Now()) {
		return false, notice.Refuse("carte.faux", notice.Fields{"cell": asked, "n": 0})
	}
	if guard.SameCode(c.Cells[asked], cell) {
		c.Used, c.Asked, c.Tries = append(c.Used, asked), "", 0
		m.ProvedAt = tx.Now()
		return true, tx.SaveCard(ctx, m, c)
	}
	c.Tries++
	left := cardTries - c.Tries
	if left <= 0 {
		c.Tries, c.LockedTill = 0, tx.Now().Add(cardLock)
	}
	if err := tx.SaveCard(ctx, m, c); err != nil {
		return false, err
	}
	return false, notice.Refuse("carte.faux", notice.Fields{"cell": asked, "n": max(left, 0)})
}

// Undo takes a transfer back by an administrator's decision, as far as it is
// still there, and tells both sides: as a fraud, or as a mistake.
func (d *Desk) Undo(ctx context.Context, tx *store.Tx, t ledger.Transaction, fraud bool, by int64) (money.Amount, error) {
	none := money.Amount{}
	if len(t.Postings) != 2 || t.Kind == ledger.Opening || t.Kind == ledger.Trade || t.Reverses != 0 {
		return none, ErrNotUndone
	}
	if _, err := tx.ReversalOf(ctx, t.ID); !errors.Is(err, store.ErrNotFound) {
		return none, errors.Join(err, ledger.ErrDuplicate)
	}
	giver, taker := t.Postings[0].Account, t.Postings[1].Account
	amount := t.Postings[1].Amount
	o := &order.Order{Kind: order.Reversal, State: order.Done, Owner: by, Amount: amount, Target: t.ID, TargetRef: t.Ref, Ended: tx.Now()}
	holds, err := tx.HoldsFor(ctx, t.ID)
	if err != nil {
		return none, err
	}
	for _, h := range holds {
		if err := ledger.Release(ctx, tx, h); err != nil {
			return none, err
		}
	}
	from, err := tx.Account(ctx, taker)
	if err != nil {
		return none, err
	}
	if !from.Unbounded && from.Spendable().Cmp(amount) < 0 {
		o.Amount = from.Spendable()
	}
	if o.Amount.IsZero() {
		return none, ledger.ErrInsufficient
	}
	to, err := d.heir(ctx, tx, giver)
	if err != nil {
		return none, err
	}
	if to == taker { // who gave it has left, and it went to the pot
		return none, ErrNotUndone
	}
	if err := tx.InsertOrder(ctx, o, nil); err != nil {
		return none, err
	}
	if err := d.postReturn(ctx, tx, o, taker, to, ledger.Correction); err != nil {
		return none, err
	}
	if err := d.endAbout(ctx, tx, o); err != nil {
		return none, err
	}
	if err := d.endGift(ctx, tx, t.ID); err != nil {
		return none, err
	}
	for _, side := range []struct {
		account ledger.AccountID
		sign    string
	}{{taker, "-"}, {to, "+"}} {
		if err := d.tellCorrection(ctx, tx, side.account, side.sign, o, t, fraud); err != nil {
			return none, err
		}
	}
	return o.Amount, nil
}

// ErrNotUndone means that a transaction is none that can be undone by itself.
var ErrNotUndone = errors.New("this transaction cannot be undone by itself")

// heir is the account that gets money back: the giver's, or the pot if the
// giver has left.
func (d *Desk) heir(ctx context.Context, tx *store.Tx, giver ledger.AccountID) (ledger.AccountID, error) {
	id, _, err := tx.Owner(ctx, giver)
	if err != nil || id == 0 {
		return giver, err
	}
	m, err := tx.Member(ctx, id)
	if err != nil || m.State != member.Closed {
		return giver, err
	}
	a, err := tx.Account(ctx, giver)
	if err != nil {
		return 0, err
	}
	pot, err := tx.SystemAccount(ctx, store.Pot, a.Balance.Currency())
	return pot.ID, err
}

// endGift ends the waiting of a gift that was undone.
func (d *Desk) endGift(ctx context.Context, tx *store.Tx, t ledger.TransactionID) error {
	o, err := tx.OrderOf(ctx, t)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil || o.State != order.Waiting {
		return err
	}
	o.State, o.Ended, o.Due = order.Cancelled, tx.Now(), time.Time{}
	return tx.SaveOrder(ctx, o)
}

func (d *Desk) tellCorrection(ctx context.Context, tx *store.Tx, account ledger.AccountID, sign string, o *order.Order, t ledger.Transaction, fraud bool) error {
	id, _, err := tx.Owner(ctx, account)
	if err != nil || id == 0 {
		return err
	}
	m, err := tx.Member(ctx, id)
	if err != nil {
		return err
	}
	balance, err := d.Balance(ctx, tx, m, o.Amount.Currency())
	if err != nil {
		return err
	}
	key := "correction.avis"
	if fraud {
		key = "correction"
	}
	f := notice.Fields{"sgn": sign, "amt": o.Amount, "ref": t.Ref, "d": notice.Day(t.At), "bal": balance}
	gone, err := d.nothingLeft(ctx, tx, m)
	if err != nil || !gone {
		return errors.Join(err, d.Voice.Receipt(ctx, tx, m, key, f))
	}
	former := notice.Former(m)
	if err := d.forget(ctx, tx, m); err != nil {
		return err
	}
	return d.Voice.Stranger(ctx, tx, former, key, f)
}

// nothingLeft reports whether a number that has not said yes has nothing any
// more that it could say yes to.
func (d *Desk) nothingLeft(ctx context.Context, tx *store.Tx, m *member.Member) (bool, error) {
	if m.State != member.New {
		return false, nil
	}
	gifts, err := tx.GiftsFor(ctx, m.ID, 1)
	return len(gifts) == 0, err
}

// Keep ends a dispute in favour of the payee: what was held is hers again.
func (d *Desk) Keep(ctx context.Context, tx *store.Tx, target ledger.TransactionID, ref string) error {
	about, err := tx.OrdersAbout(ctx, target, maxQuestions)
	if err != nil {
		return err
	}
	found := false
	for _, q := range about {
		if q.State != order.Disputed {
			continue
		}
		found = true
		q.State, q.Ended = order.Refused, tx.Now()
		if err := tx.SaveOrder(ctx, q); err != nil {
			return err
		}
	}
	if !found {
		return ErrNotWaiting
	}
	holds, err := tx.HoldsFor(ctx, target)
	if err != nil {
		return err
	}
	for _, id := range holds {
		if err := d.freeHold(ctx, tx, id, ref); err != nil {
			return err
		}
	}
	return nil
}

func (d *Desk) freeHold(ctx context.Context, tx *store.Tx, id ledger.HoldID, ref string) error {
	h, err := tx.Hold(ctx, id)
	if err != nil {
		return err
	}
	if err := ledger.Release(ctx, tx, id); err != nil {
		return err
	}
	owner, _, err := tx.Owner(ctx, h.Account)
	if err != nil || owner == 0 {
		return err
	}
	m, err := tx.Member(ctx, owner)
	if err != nil {
		return err
	}
	balance, err := d.Balance(ctx, tx, m, h.Left.Currency())
	if err != nil {
		return err
	}
	return d.Voice.Answer(ctx, tx, m, "litige.fin", notice.Fields{"ref": ref, "amt": h.Left, "bal": balance})
}
