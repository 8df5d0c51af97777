// Package treasury is what administrators do, whether by SMS, on the command
// line or on a page: credit, freeze, decide, undo, pause. Every act is written
// to the journal with who did it.
package treasury

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"maillon/internal/auth"
	"maillon/internal/card"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/notice"
	"maillon/internal/order"
	"maillon/internal/payment"
	"maillon/internal/sms"
	"maillon/internal/store"
)

const (
	maxBatch       = 100  // rows read at once
	maxAdmins      = 1000 // who is told of a change of role
	resumeWindow   = time.Hour
	resumeProposed = "resume_proposed" // by whom, and when
)

var (
	// ErrUnknown means that nobody has this pseudo or number.
	ErrUnknown = errors.New("no such member")
	// ErrTaken means that the number or pseudo belongs to somebody.
	ErrTaken = errors.New("already taken")
	// ErrNotPaused means that payments are not stopped.
	ErrNotPaused = errors.New("payments are not paused")
	// ErrSecond means that the same person cannot approve twice.
	ErrSecond = errors.New("a second person must approve")
)

// Operator is who acts on the machine itself.
const Operator = "operator"

// Looked is the act of opening what is known of a member.
const Looked = "member.look"

// By names an administrator in the journal.
func By(m *member.Member) string { return "member:" + strconv.FormatInt(int64(m.ID), 10) }

func on(m *member.Member) string { return By(m) }

// A Treasury serves one association.
type Treasury struct {
	Desk  *payment.Desk
	Kinds map[string]Kind // of what a second person must approve
}

// A NewMember is who is registered at the desk.
type NewMember struct {
	Number   sms.Number
	Nick     string
	Language string
	Role     member.Role
	Ceiling  money.Amount
	NoMember bool // an administrator without an account
	Group    string
}

// Add registers a member or an administrator. It returns ErrTaken.
func (t *Treasury) Add(ctx context.Context, tx *store.Tx, by string, n NewMember) (*member.Member, error) {
	if _, err := tx.MemberByNumber(ctx, n.Number); !errors.Is(err, store.ErrNotFound) {
		return nil, errors.Join(err, fmt.Errorf("number: %w", ErrTaken))
	}
	if n.Nick != "" {
		taken, err := tx.NickTaken(ctx, n.Nick, 0)
		if err != nil {
			return nil, err
		}
		if taken {
			return nil, fmt.Errorf("pseudo %q: %w", n.Nick, ErrTaken)
		}
	}
	m := &member.Member{
		State: member.Active, Number: n.Number, Language: n.Language, Role: n.Role, Ceiling: n.Ceiling.Minor(),
		OpenedAt: tx.Now(), SeenAt: tx.Now(), Group: n.Group,
	}
	if n.NoMember {
		m.State = member.Staff
	}
	if m.Language == "" {
		m.Language = t.Desk.Set.Language
	}
	if err := tx.CreateMember(ctx, m); err != nil {
		return nil, err
	}
	tx.Act(by, "add", on(m), string(n.Role))
	if n.Nick != "" {
		if err := tx.TakeNick(ctx, m, n.Nick, time.Time{}); err != nil {
			return nil, err
		}
	}
	return m, t.Desk.Start(ctx, tx, m)
}

// Grant credits a member, or a number that has no account yet, from emission.
// admin is nil for the operator. The reason is required.
func (t *Treasury) Grant(ctx context.Context, tx *store.Tx, by string, admin, payee *member.Member, number sms.Number, amount money.Amount, reason string) (*order.Order, error) {
	return t.GrantOnce(ctx, tx, by, admin, payee, number, amount, reason, "")
}

// GrantOnce is Grant with a name that whoever asks gives to this credit: with
// the same name, it is ledger.ErrDuplicate however often it is asked.
func (t *Treasury) GrantOnce(ctx context.Context, tx *store.Tx, by string, admin, payee *member.Member, number sms.Number, amount money.Amount, reason, name string) (*order.Order, error) {
	if err := checkGrant(amount, reason); err != nil {
		return nil, err
	}
	o := &order.Order{Amount: amount, Secret: order.Secret{Memo: reason}}
	if admin != nil {
		o.Owner = int64(admin.ID)
	}
	if payee == nil {
		o.Secret.Number, o.Secret.Typed = number.E164(), number.National()
	}
	key := ""
	if name != "" {
		key = t.grantKey(name)
	}
	if err := t.Desk.Grant(ctx, tx, o, payee, key); err != nil {
		return nil, err
	}
	tx.Act(by, "credit", "order:"+o.Ref, "")
	return o, nil
}

func checkGrant(amount money.Amount, reason string) error {
	if reason == "" {
		return ErrReason
	}
	if amount.Sign() <= 0 {
		return errors.New("a credit is more than zero")
	}
	return nil
}

// Granted returns the credit that was granted once under a name, or
// store.ErrNotFound.
func (t *Treasury) Granted(ctx context.Context, tx *store.Tx, name string) (ledger.Transaction, error) {
	return tx.TransactionByKey(ctx, t.grantKey(name))
}

// grantKey hides the name, for keys stand in the journal and names may say who.
func (t *Treasury) grantKey(name string) string {
	mac := hmac.New(sha256.New, t.Desk.CodeKey)
	_, _ = mac.Write([]byte("grant:" + name))
	return "grant:" + hex.EncodeToString(mac.Sum(nil)[:16])
}

// Freeze blocks paying out of an account. Freezing again changes nothing.
func (t *Treasury) Freeze(ctx context.Context, tx *store.Tx, by string, m *member.Member, reason string) error {
	tx.Act(by, "freeze", on(m), reason)
	if !m.FrozenAt.IsZero() && m.FrozenBy == member.Desk {
		return nil
	}
	if m.FrozenAt.IsZero() {
		m.FrozenAt = tx.Now()
	}
	m.FrozenBy = member.Desk
	return tx.SaveMember(ctx, m)
}

// Unfreeze lets an account pay again, whatever blocked it, and tells its member.
func (t *Treasury) Unfreeze(ctx context.Context, tx *store.Tx, by string, m *member.Member, reason string) error {
	tx.Act(by, "unfreeze", on(m), reason)
	if !m.Frozen() && !m.LockedTill.After(tx.Now()) {
		return nil
	}
	if !m.LostAt.IsZero() { // the phone is back, or its SIM is another
		m.DoubtTill = tx.Now().Add(payment.Doubt)
	}
	m.FrozenAt, m.FrozenBy, m.LostAt, m.LockedTill = time.Time{}, "", time.Time{}, time.Time{}
	m.SeenAt = tx.Now()
	if err := tx.SaveMember(ctx, m); err != nil {
		return err
	}
	balance, err := t.Desk.Balance(ctx, tx, m, t.Desk.Set.Currency())
	if err != nil {
		return err
	}
	return t.Desk.Voice.Answer(ctx, tx, m, "degele", notice.Fields{"bal": balance})
}

// Pause stops all payments, at once.
func (t *Treasury) Pause(ctx context.Context, tx *store.Tx, by string) error {
	since, err := tx.Paused(ctx)
	if err != nil {
		return err
	}
	tx.Act(by, "pause", "", "")
	if !since.IsZero() {
		return nil
	}
	return tx.SetPaused(ctx, tx.Now())
}

// Resume lets payments go on once two persons asked for it within an hour. It
// reports whether they do; not yet after the first one. Neither may be one whose
// sessions were revoked. Orders that the pause
// met are cancelled, and their owners told.
func (t *Treasury) Resume(ctx context.Context, tx *store.Tx, by string) (bool, error) {
	since, err := tx.Paused(ctx)
	if err != nil {
		return false, err
	}
	if since.IsZero() {
		return false, ErrNotPaused
	}
	if err := trusted(ctx, tx, by); err != nil {
		return false, err
	}
	first, err := tx.State(ctx, resumeProposed)
	if err != nil {
		return false, err
	}
	who, at := splitProposal(first)
	if who == "" || tx.Now().Sub(at) > resumeWindow {
		tx.Act(by, "resume.propose", "", "")
		return false, tx.SetState(ctx, resumeProposed, fmt.Sprintf("%d %s", tx.Now().UnixMicro(), by))
	}
	if who == by {
		return false, ErrSecond
	}
	tx.Act(by, "resume", "", "")
	if err := tx.SetState(ctx, resumeProposed, ""); err != nil {
		return false, err
	}
	if err := tx.SetPaused(ctx, time.Time{}); err != nil {
		return false, err
	}
	if err := t.endOpen(ctx, tx, since, tx.Now().Add(t.Desk.Set.CodeTTL), order.Cancelled); err != nil {
		return false, err
	}
	return true, t.tellResumed(ctx, tx)
}

// ResumeProposed returns who wants payments to go on, and since when; "" if
// nobody does, or did too long ago.
func (t *Treasury) ResumeProposed(ctx context.Context, tx *store.Tx) (by string, at time.Time, err error) {
	first, err := tx.State(ctx, resumeProposed)
	if err != nil {
		return "", time.Time{}, err
	}
	if by, at = splitProposal(first); tx.Now().Sub(at) > resumeWindow {
		by = ""
	}
	return by, at, nil
}

func splitProposal(s string) (by string, at time.Time) {
	var micros int64
	if _, err := fmt.Sscanf(s, "%d %s", &micros, &by); err != nil {
		return "", time.Time{}
	}
	return by, time.UnixMicro(micros)
}

// endOpen ends the own orders whose code was good at a time, and is worth
// nothing any more at another, and notes that their owners must be told.
func (t *Treasury) endOpen(ctx context.Context, tx *store.Tx, since, until time.Time, end order.State) error {
	for after := int64(0); ; {
		open, err := tx.AllOpen(ctx, since, after, maxBatch)
		if err != nil {
			return err
		}
		for _, o := range open {
			after = o.ID
			if !o.Own() || o.CodeEnd.After(until) {
				continue
			}
			o.State, o.Ended = end, tx.Now()
			if err := tx.SaveOrder(ctx, o); err != nil {
				return err
			}
			m, err := tx.Member(ctx, member.ID(o.Owner))
			if err != nil {
				return err
			}
			m.Waiting = true
			if err := tx.SeeMember(ctx, m); err != nil {
				return err
			}
		}
		if len(open) < maxBatch {
			return nil
		}
	}
}

func (t *Treasury) tellResumed(ctx context.Context, tx *store.Tx) error {
	for after := member.ID(0); ; {
		waiting, err := tx.Members(ctx, store.WaitingForResume, after, maxBatch)
		if err != nil {
			return err
		}
		for _, m := range waiting {
			after = m.ID
			m.Waiting = false
			if err := tx.SeeMember(ctx, m); err != nil {
				return err
			}
			balance, err := t.Desk.Balance(ctx, tx, m, t.Desk.Set.Currency())
			if err != nil {
				return err
			}
			if err := t.Desk.Voice.Answer(ctx, tx, m, "reprise", notice.Fields{"t": notice.Clock(tx.Now()), "bal": balance}); err != nil {
				return err
			}
		}
		if len(waiting) < maxBatch {
			return nil
		}
	}
}

// Back tells the members whose order expired while the server was away.
func (t *Treasury) Back(ctx context.Context, tx *store.Tx, since time.Time) error {
	paused, err := tx.Paused(ctx)
	if err != nil || !paused.IsZero() {
		return err
	}
	if err := t.endOpen(ctx, tx, since, tx.Now(), order.Expired); err != nil {
		return err
	}
	return t.tellResumed(ctx, tx)
}

// unknown says that nothing waits under a reference that is none.
func unknown(ref string, err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("reference %s: %w", ref, payment.ErrNotWaiting)
	}
	return err
}

// Reverse takes one transfer back, as a fraud or as a mistake, as far as its
// money is still there, and returns how much came back.
func (t *Treasury) Reverse(ctx context.Context, tx *store.Tx, by string, admin *member.Member, ref string, fraud bool, reason string) (money.Amount, error) {
	txn, err := tx.TransactionByRef(ctx, ref)
	if err != nil {
		return money.Amount{}, unknown(ref, err)
	}
	id := int64(0)
	if admin != nil {
		id = int64(admin.ID)
	}
	tx.Act(by, "reverse", "transaction:"+ref, reason)
	return t.Desk.Undo(ctx, tx, txn, fraud, id)
}

// Decide ends a dispute about a payment: its money goes back, or stays.
func (t *Treasury) Decide(ctx context.Context, tx *store.Tx, by string, ref string, giveBack bool, reason string) error {
	txn, err := tx.TransactionByRef(ctx, ref)
	if err != nil {
		return unknown(ref, err)
	}
	if giveBack {
		tx.Act(by, "dispute.return", "transaction:"+ref, reason)
		_, err = t.Desk.Undo(ctx, tx, txn, false, 0)
		return err
	}
	tx.Act(by, "dispute.keep", "transaction:"+ref, reason)
	return t.Desk.Keep(ctx, tx, txn.ID, ref)
}

// Review ends the wait of a payment or a credit that was held: it is executed,
// or not. Who asked for a credit cannot approve it.
func (t *Treasury) Review(ctx context.Context, tx *store.Tx, by string, admin *member.Member, ref string, release bool, reason string) error {
	o, err := tx.OrderByRef(ctx, ref)
	if err != nil {
		return unknown(ref, err)
	}
	if release && o.Kind == order.Credit && admin != nil && o.Owner == int64(admin.ID) {
		return ErrSecond
	}
	if !release {
		tx.Act(by, "reject", "order:"+ref, reason)
		return t.Desk.Reject(ctx, tx, o)
	}
	tx.Act(by, "release", "order:"+ref, reason)
	return t.Desk.Release(ctx, tx, o)
}

// Renumber starts to move an account to another number. It returns ErrTaken.
func (t *Treasury) Renumber(ctx context.Context, tx *store.Tx, by string, m *member.Member, to sms.Number, reason string) error {
	if _, err := tx.MemberByNumber(ctx, to); !errors.Is(err, store.ErrNotFound) {
		return errors.Join(err, fmt.Errorf("number: %w", ErrTaken))
	}
	tx.Act(by, "renumber", on(m), reason)
	return t.Desk.Renumber(ctx, tx, m, &order.Order{Secret: order.Secret{Number: to.E164(), Typed: to.National()}})
}

// IssueCard draws a new code card for a member, who is at the desk. The one
// before is worth nothing from now on.
func (t *Treasury) IssueCard(ctx context.Context, tx *store.Tx, by string, m *member.Member) (card.Cells, error) {
	cells := card.Draw()
	tx.Act(by, "card", on(m), "")
	m.SeenAt = tx.Now()
	if err := tx.SaveMember(ctx, m); err != nil {
		return nil, err
	}
	return cells, tx.SaveCard(ctx, m, &store.Card{Cells: cells})
}

// SetRole makes a member an administrator, or ends it with "". The others are
// told.
func (t *Treasury) SetRole(ctx context.Context, tx *store.Tx, by string, m *member.Member, role member.Role, ceiling money.Amount) error {
	tx.Audit(store.Act{By: by, What: "role", Subject: on(m), Was: string(m.Role), Became: string(role)})
	m.Role, m.Ceiling = role, ceiling.Minor()
	if err := tx.SaveMember(ctx, m); err != nil {
		return err
	}
	if role == "" {
		if err := auth.Dismiss(ctx, tx, m); err != nil {
			return err
		}
	}
	return t.Warn(ctx, tx, by, m, false)
}

// Find returns a member by pseudo or number as an administrator types it.
func (t *Treasury) Find(ctx context.Context, tx *store.Tx, who string) (*member.Member, error) {
	m, err := tx.MemberByNick(ctx, who)
	if !errors.Is(err, store.ErrNotFound) {
		return m, err
	}
	n, err := sms.ParseNumber(who, t.Desk.Set.Region())
	if err != nil {
		return nil, ErrUnknown
	}
	m, err = tx.MemberByNumber(ctx, n)
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrUnknown
	}
	return m, err
}

// Post records a transfer that has already been agreed elsewhere, without
// asking limits or rules and without telling anybody.
func (t *Treasury) Post(ctx context.Context, tx *store.Tx, by string, from, to ledger.AccountID, kind ledger.Kind, o *order.Order) error {
	postings, err := ledger.Transfer(from, to, o.Amount)
	if err != nil {
		return err
	}
	if err := tx.InsertOrder(ctx, o, nil); err != nil {
		return err
	}
	txn := ledger.Transaction{Ref: o.Ref, Key: "order:" + strconv.FormatInt(o.ID, 10), Kind: kind, At: tx.Now(), Postings: postings}
	if err := ledger.Post(ctx, tx, &txn); err != nil {
		return err
	}
	tx.Act(by, "post", "transaction:"+o.Ref, "")
	o.State, o.Transaction, o.Paid, o.Ended = order.Done, txn.ID, tx.Now(), tx.Now()
	return tx.SaveOrder(ctx, o)
}
