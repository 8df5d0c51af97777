// Package payment is the life of an order: asked, confirmed by its code,
// executed, refused, expired, given back. It is the only room that moves the
// money of members. All it does happens in the caller's transaction, together
// with the messages that tell of it.
package payment

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"maillon/internal/guard"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/notice"
	"maillon/internal/order"
	"maillon/internal/setting"
	"maillon/internal/store"
)

// Bounds of what is looked at for one member.
const (
	maxQuestions = 50 // open or recent questions
	maxGifts     = 50
	maxPaidOut   = 200 // payments that VOL can put in doubt
	maxRedraws   = 16  // codes drawn until one differs from the others
	nonceLen     = 16
)

const dayLong = 24 * time.Hour

// Doubt is how long large payments ask for a card cell after a change of
// number or a lost phone.
const Doubt = 30 * dayLong

// A Desk executes orders for one association.
type Desk struct {
	Voice    *notice.Voice
	Set      *setting.Settings
	CodeKey  []byte
	LongCode int // digits of a code while too many are guessed: rule COD2
	// Proof returns the codes by which a stall without network knows of a payment
	// that was just made to it; "" if the payee is none. nil: there are no stalls.
	Proof func(ctx context.Context, tx *store.Tx, o *order.Order) (string, error)
	// Forget destroys what else is kept of a member who leaves. nil: nothing is.
	Forget func(ctx context.Context, tx *store.Tx, m *member.Member) error
}

// A Confirmation says how an order must be confirmed, beside the setting.
type Confirmation struct {
	Bare   bool // it had no verb
	Late   int  // hours between its service-centre time and its arrival; 0: not late
	Always bool // it came by a gateway whose senders may be forged: whatever the setting says
}

// MayPay refuses who may not move money now: service.paused, account frozen,
// or locked after wrong codes.
func (d *Desk) MayPay(ctx context.Context, tx *store.Tx, m *member.Member) error {
	paused, err := tx.Paused(ctx)
	switch {
	case err != nil:
		return err
	case !paused.IsZero():
		m.Waiting = true
		if err := tx.SeeMember(ctx, m); err != nil {
			return err
		}
		return notice.Refuse("pause", nil)
	}
	return d.MayAct(ctx, tx, m)
}

// MayAct refuses who may not move money whatever the service does: the account
// is frozen, or locked after wrong codes.
func (d *Desk) MayAct(ctx context.Context, tx *store.Tx, m *member.Member) error {
	switch {
	case m.Frozen():
		return notice.Refuse("gele", notice.Fields{"d": notice.Day(m.BlockedSince())})
	case m.LockedTill.After(tx.Now()):
		return d.locked(ctx, tx, m)
	}
	return nil
}

func (d *Desk) locked(ctx context.Context, tx *store.Tx, m *member.Member) error {
	balance, err := d.Balance(ctx, tx, m, d.Set.Currency())
	if err != nil {
		return err
	}
	return notice.Refuse("code.bloque", notice.Fields{"bal": balance})
}

// Balance returns all that a member has in a currency, without opening an account.
func (d *Desk) Balance(ctx context.Context, tx *store.Tx, m *member.Member, c money.Currency) (money.Amount, error) {
	a, err := d.account(ctx, tx, m, c)
	return a.Balance, err
}

// account returns a member's account in a currency; an empty one, without ID,
// if there is none.
func (d *Desk) account(ctx context.Context, tx *store.Tx, m *member.Member, c money.Currency) (ledger.Account, error) {
	all, err := tx.AccountsOf(ctx, m.ID)
	if err != nil {
		return ledger.Account{}, err
	}
	for _, a := range all {
		if a.Balance.Currency() == c {
			return a, nil
		}
	}
	zero := money.New(0, c)
	return ledger.Account{Balance: zero, Held: zero, Floor: zero}, nil
}

// Pay takes the order of a payer to a payee, who is nil if the number has no
// account. It asks for the code, or pays at once where the setting says so.
func (d *Desk) Pay(ctx context.Context, tx *store.Tx, payer, payee *member.Member, o *order.Order, how Confirmation) error {
	o.Kind, o.State, o.Owner, o.Asked, o.Payer = order.Pay, order.Open, int64(payer.ID), int64(payer.ID), int64(payer.ID)
	if payee != nil {
		o.Payee = int64(payee.ID)
	}
	facts, err := d.judge(ctx, tx, o, payer, payee)
	if err != nil {
		return err
	}
	open, err := d.Questions(ctx, tx, payer)
	if err != nil {
		return err
	}
	if again, err := d.met(ctx, tx, payer, open, o); again || err != nil {
		return err
	}
	if err := d.chooseQuestion(ctx, tx, o, facts, how); err != nil {
		return err
	}
	if o.Question == "" {
		if again, err := d.heldAlready(ctx, tx, payer, payee, o); again || err != nil {
			return err
		}
		if err := d.lately(ctx, tx, o, payer, &facts); err != nil {
			return err
		}
		asks, err := d.asksFirst(ctx, tx, o, facts)
		if err != nil {
			return err
		}
		if asks {
			o.Question = "confirm"
			return d.open(ctx, tx, o, payer, d.Set.CodeTTL, open)
		}
		if err := tx.InsertOrder(ctx, o, payer); err != nil {
			return err
		}
		return d.transfer(ctx, tx, o, payer, payee, facts)
	}
	return d.open(ctx, tx, o, payer, d.Set.CodeTTL, open)
}

// met looks for an own order that is still open: the same one is asked again,
// with its code; a different one cancels both. It reports whether that was
// the answer.
func (d *Desk) met(ctx context.Context, tx *store.Tx, m *member.Member, open []*order.Order, o *order.Order) (bool, error) {
	for _, q := range open {
		if !q.OpenAt(tx.Now()) || !q.Own() || tx.Now().Sub(q.Created) >= d.Set.Conflict && !q.Same(o) {
			continue
		}
		if (q.Kind == order.Credit) != (o.Kind == order.Credit) {
			continue // what an administrator grants is no order about his own money
		}
		if q.Same(o) {
			return true, d.ask(ctx, tx, q, m)
		}
		q.State, q.Ended = order.Cancelled, tx.Now()
		if err := tx.SaveOrder(ctx, q); err != nil {
			return true, err
		}
		return true, d.Voice.Answer(ctx, tx, m, "conflit", nil)
	}
	return false, nil
}

// heldAlready looks for the same order, held a moment ago by a rule: a text that
// a gateway repeats asks for nothing more. It reports whether that was the answer.
func (d *Desk) heldAlready(ctx context.Context, tx *store.Tx, payer, payee *member.Member, o *order.Order) (bool, error) {
	held, err := tx.HeldOf(ctx, payer.ID, maxQuestions)
	if err != nil {
		return false, err
	}
	for _, q := range held {
		if q.Same(o) && tx.Now().Sub(q.Created) < d.Set.Repeat {
			return true, d.verifying(ctx, tx, payer, payee, q)
		}
	}
	return false, nil
}

// chooseQuestion sets the key of the text that asks, or "" to pay at once.
func (d *Desk) chooseQuestion(ctx context.Context, tx *store.Tx, o *order.Order, p guard.Payment, how Confirmation) error {
	limits, unit := d.limits(o.Amount.Currency()), setting.Whole(1, o.Amount.Currency()).Minor()
	repeated, err := d.repeated(ctx, tx, o)
	if err != nil {
		return err
	}
	mode := d.Set.Confirm
	if how.Always {
		mode = setting.Always
	}
	rules, err := d.Rules(ctx, tx)
	if err != nil {
		return err
	}
	rules.Unasked = mode == setting.Off
	new1, dra1, ngt1 := rules.Ruling("NEW1"), rules.Ruling("DRA1"), rules.Ruling("NGT1")
	isFirst, isGros := limits.First(p), dra1.Nearly(p, unit)
	first, gros := isFirst && new1.Act == guard.Warn, isGros && dra1.Act == guard.Warn
	asks := mode == setting.Always || how.Late > 0 || repeated != nil || how.Bare
	if mode == setting.Above {
		above := setting.Whole(d.Set.ConfirmAbove, o.Amount.Currency()).Minor()
		asks = asks || p.Today+p.Amount > above || first || gros || p.PayeeUnknown || ngt1.Act == guard.Ask && ngt1.Night(p, unit)
		asks = asks || isFirst && new1.Act == guard.Ask || isGros && dra1.Act == guard.Ask
	}
	o.Warned = (first || gros) && asks
	switch {
	case !asks:
		o.Question = ""
	case first:
		o.Question = "confirm.alerte"
	case gros:
		o.Question = "confirm.gros"
	case how.Late > 0:
		o.Question, o.Late = "retard", how.Late
	case repeated != nil:
		o.Question, o.Late = "doublon", int(tx.Now().Sub(repeated.Paid)/time.Minute)
	case p.PayeeUnknown:
		o.Question = "confirm.nouveau"
	default:
		o.Question = "confirm"
	}
	return nil
}

// repeated returns the same order if it was paid less than 10 minutes ago.
func (d *Desk) repeated(ctx context.Context, tx *store.Tx, o *order.Order) (*order.Order, error) {
	if o.Payee == 0 {
		return nil, nil
	}
	const enough = 20
	last, err := tx.LastSamePair(ctx, member.ID(o.Payer), member.ID(o.Payee), tx.Now().Add(-d.Set.Repeat), enough)
	if err != nil {
		return nil, err
	}
	for _, q := range last {
		if q.Kind == order.Pay && q.Amount == o.Amount && q.Secret.Memo == o.Secret.Memo && tx.Now().Sub(q.Paid) < d.Set.Repeat {
			return q, nil
		}
	}
	return nil, nil
}

// open writes a new order whose code is awaited, and asks for it.
func (d *Desk) open(ctx context.Context, tx *store.Tx, o *order.Order, asked *member.Member, life time.Duration, others []*order.Order) error {
	if err := d.write(ctx, tx, o, asked, life, others); err != nil {
		return err
	}
	return d.ask(ctx, tx, o, asked)
}

// Question asks an administrator for the code of an act that moves no money;
// typed again, the same one is asked again.
func (d *Desk) Question(ctx context.Context, tx *store.Tx, admin *member.Member, o *order.Order) error {
	o.Owner, o.Asked, o.Amount = int64(admin.ID), int64(admin.ID), money.New(0, d.Set.Currency())
	open, err := d.Questions(ctx, tx, admin)
	if err != nil {
		return err
	}
	for _, q := range open {
		if q.OpenAt(tx.Now()) && q.Same(o) && q.Line == admin.Line {
			return d.ask(ctx, tx, q, admin)
		}
	}
	return d.open(ctx, tx, o, admin, d.Set.CodeTTL, open)
}

// CloseOrder asks a member whether the account shall be closed.
func (d *Desk) CloseOrder(ctx context.Context, tx *store.Tx, m *member.Member) error {
	if err := d.MayClose(ctx, tx, m); err != nil {
		return err
	}
	balance, err := d.Balance(ctx, tx, m, d.Set.Currency())
	if err != nil {
		return err
	}
	o := &order.Order{
		Kind: order.Close, Owner: int64(m.ID), Asked: int64(m.ID), Payer: int64(m.ID), Amount: balance, Question: "fermer",
	}
	open, err := d.Questions(ctx, tx, m)
	if err != nil {
		return err
	}
	if again, err := d.met(ctx, tx, m, open, o); again || err != nil {
		return err
	}
	return d.open(ctx, tx, o, m, d.Set.CodeTTL, open)
}

// CancelOwn cancels what a member has ordered and that is not paid yet: orders
// that wait for their code, and payments that a rule holds.
func (d *Desk) CancelOwn(ctx context.Context, tx *store.Tx, m *member.Member) error {
	open, err := d.Questions(ctx, tx, m)
	if err != nil {
		return err
	}
	for _, q := range open {
		if q.State != order.Open || !q.Own() {
			continue
		}
		q.State, q.Ended = order.Cancelled, tx.Now()
		if err := tx.SaveOrder(ctx, q); err != nil {
			return err
		}
	}
	return d.cancelHeld(ctx, tx, m)
}

// cancelHeld cancels the payments of a member that a rule holds.
func (d *Desk) cancelHeld(ctx context.Context, tx *store.Tx, m *member.Member) error {
	for {
		held, err := tx.HeldOf(ctx, m.ID, maxQuestions)
		if err != nil || len(held) == 0 {
			return err
		}
		for _, q := range held {
			q.State, q.Ended = order.Cancelled, tx.Now()
			if err := tx.SaveOrder(ctx, q); err != nil {
				return err
			}
		}
	}
}

// write writes a new order with a code that no other question of the same
// phone has.
func (d *Desk) write(ctx context.Context, tx *store.Tx, o *order.Order, owner *member.Member, life time.Duration, others []*order.Order) error {
	o.State, o.CodeEnd, o.Line = order.Open, tx.Now().Add(life), owner.Line
	guessed, err := tx.Counted(ctx, wrongCodes, tx.Now().Truncate(time.Hour))
	if err != nil {
		return err
	}
	r, err := d.Rule(ctx, tx, "COD2")
	if err != nil {
		return err
	}
	if o.CodeLen = d.Set.CodeLen; r.Act == guard.Ask && int64(guessed) > r.At[0] {
		o.CodeLen = max(d.LongCode, o.CodeLen)
	}
	o.Nonce = make([]byte, nonceLen)
	if _, err := rand.Read(o.Nonce); err != nil {
		return err
	}
	if err := tx.InsertOrder(ctx, o, owner); err != nil {
		return err
	}
	for range maxRedraws {
		if !d.taken(tx.Now(), d.Code(o), others) {
			return nil
		}
		if _, err := rand.Read(o.Nonce); err != nil {
			return err
		}
		if err := tx.SaveOrder(ctx, o); err != nil {
			return err
		}
	}
	return errors.New("no code differs from the open ones")
}

func (d *Desk) taken(now time.Time, code string, others []*order.Order) bool {
	for _, q := range others {
		if len(q.Nonce) > 0 && now.Sub(q.Created) < 2*dayLong+d.Set.RequestTTL && guard.SameCode(code, d.Code(q)) {
			return true
		}
	}
	return false
}

// Code returns the one-time code of an order: it is tied to its parties, its
// amount and its reference.
func (d *Desk) Code(o *order.Order) string {
	payee := o.Secret.Number
	if payee == "" {
		payee = fmt.Sprint(o.Payee)
	}
	facts := fmt.Sprintf("%s|%s|%d|%d|%s|%d|%s|%d", o.Ref, o.Kind, o.Asked, o.Payer, payee, o.Amount.Minor(), o.Amount.Currency().Code, o.Target)
	return guard.Code(d.CodeKey, o.Nonce, facts, o.CodeLen)
}

// ask sends the question of an open order, again if need be: the same code,
// the same reference, the same expiry.
func (d *Desk) ask(ctx context.Context, tx *store.Tx, o *order.Order, asked *member.Member) error {
	f, err := d.Fields(ctx, tx, o)
	if err != nil {
		return err
	}
	if o.Kind == order.Credit {
		if f["bal"], err = d.CeilingLeft(ctx, tx, asked, o.Amount.Currency()); err != nil {
			return err
		}
	}
	return d.Voice.Ask(ctx, tx, asked, o.Question, f, o.CodeEnd)
}

// Fields are what texts say of an order to whoever holds its code.
func (d *Desk) Fields(ctx context.Context, tx *store.Tx, o *order.Order) (notice.Fields, error) {
	other := member.ID(o.Payee)
	if o.Asked == o.Payee && o.Kind != order.Credit {
		other = member.ID(o.Payer)
	}
	f := notice.Fields{"amt": o.Amount, "ref": o.Ref, "n": o.Late, "memo": o.Secret.Memo, "who": o.Secret.Typed, "ph": o.PayeeNumber().Masked()}
	if len(o.Nonce) > 0 {
		f["code"] = notice.Code(d.Code(o))
	}
	if o.Kind == order.Close { // the pot is paid
		f["who"], f["bal"] = notice.Phrase{Key: "compte." + store.Pot}, o.Amount
	}
	if o.TargetRef != "" && (o.Kind == order.Return || o.Kind == order.Refund) {
		f["ref"] = o.TargetRef
	}
	if n := o.PayeeNumber(); !n.IsZero() {
		f["phf"] = n.National()
	}
	if other == 0 {
		return f, nil
	}
	m, err := tx.Member(ctx, other)
	if err != nil {
		return nil, err
	}
	f["who"], f["ph"] = Called(m, o.Secret.Typed), m.Number.Masked()
	if !m.Number.IsZero() {
		f["phf"] = full(m)
	}
	return f, nil
}

// Called names a member to somebody who typed typed: the pseudo, else the
// number as typed, else what stands for somebody who left.
func Called(m *member.Member, typed string) any {
	if m.State == member.Closed {
		return notice.Phrase{Key: "compte.efface"}
	}
	return notice.Name(m, typed)
}

// full names somebody without account to who pays: the number, which the payer
// typed, but never behind a pseudo.
func full(m *member.Member) string {
	if m.Nick != "" {
		return m.Nick
	}
	return m.Number.National()
}

// Questions returns the questions of a member that are open, or were until a
// day ago, the newest first.
func (d *Desk) Questions(ctx context.Context, tx *store.Tx, m *member.Member) ([]*order.Order, error) {
	return tx.Questions(ctx, m.ID, tx.Now().Add(-dayLong), maxQuestions)
}
