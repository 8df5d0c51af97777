package treasury

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"maillon/internal/member"
	"maillon/internal/notice"
	"maillon/internal/order"
	"maillon/internal/payment"
	"maillon/internal/store"
)

// EraseMember is the kind of proposal that closes an account and forgets its
// member.
const EraseMember = "erase"

var (
	// ErrRole means that somebody cannot be forgotten who administers still.
	ErrRole = errors.New("the role must end first")
	// ErrProposed means that the same thing waits for a second person already.
	ErrProposed = errors.New("already proposed")
	// ErrNick means that a text is no pseudo.
	ErrNick = errors.New("not a pseudo")
	// ErrClosed means that somebody has left.
	ErrClosed = errors.New("the account is closed")
)

// Register is Add for a member who is at the desk, and welcomes her by SMS.
func (t *Treasury) Register(ctx context.Context, tx *store.Tx, by string, n NewMember) (*member.Member, error) {
	m, err := t.Add(ctx, tx, by, n)
	if err != nil {
		return nil, err
	}
	balance, err := t.Desk.Balance(ctx, tx, m, t.Desk.Set.Currency())
	if err != nil {
		return nil, err
	}
	return m, t.Desk.Voice.Answer(ctx, tx, m, "bienvenue2", notice.Fields{"who": notice.Name(m, m.Number.National()), "bal": balance})
}

// Rename corrects a pseudo, and tells its member. The one before stays reserved.
// It returns ErrNick or ErrTaken.
func (t *Treasury) Rename(ctx context.Context, tx *store.Tx, by string, m *member.Member, nick, reason string) error {
	if !member.ValidNick(nick) || nick == m.Nick {
		return ErrNick
	}
	if m.State == member.Closed {
		return ErrClosed
	}
	taken, err := tx.NickTaken(ctx, nick, m.ID)
	if err != nil {
		return err
	}
	if taken {
		return fmt.Errorf("pseudo: %w", ErrTaken)
	}
	tx.Act(by, "rename", on(m), reason)
	old := m.Nick
	if err := tx.TakeNick(ctx, m, nick, tx.Now().Add(t.Desk.Set.NickReserved)); err != nil {
		return err
	}
	if old != "" {
		return t.Desk.Voice.Answer(ctx, tx, m, "pseudo.ok", notice.Fields{"who": nick, "who2": old})
	}
	return t.answerBalance(ctx, tx, m, "bienvenue2", notice.Fields{"who": nick})
}

// Speak chooses the language in which a member is written to.
func (t *Treasury) Speak(ctx context.Context, tx *store.Tx, by string, m *member.Member, language, reason string) error {
	if !t.Desk.Voice.Speaks(language) {
		return fmt.Errorf("language: %w", store.ErrNotFound)
	}
	if m.State == member.Closed {
		return ErrClosed
	}
	tx.Audit(store.Act{By: by, What: "language", Subject: on(m), Reason: reason, Was: m.Language, Became: language})
	m.Language, m.Chosen = language, true
	if err := tx.SaveMember(ctx, m); err != nil {
		return err
	}
	return t.Desk.Voice.Answer(ctx, tx, m, "langue", nil)
}

// Mute stops the notices to a member, or lets them come again, and says so.
func (t *Treasury) Mute(ctx context.Context, tx *store.Tx, by string, m *member.Member, muted bool, reason string) error {
	if m.State == member.Closed {
		return ErrClosed
	}
	what, key := "mute", "stop"
	if !muted {
		what, key = "unmute", "reprendre"
	}
	tx.Act(by, what, on(m), reason)
	m.Muted = muted
	if err := tx.SaveMember(ctx, m); err != nil {
		return err
	}
	return t.answerBalance(ctx, tx, m, key, notice.Fields{})
}

// EndMail ends the e-mail address of a member, and tells her telephone.
func (t *Treasury) EndMail(ctx context.Context, tx *store.Tx, by string, m *member.Member, reason string) error {
	if m.State == member.Closed {
		return ErrClosed
	}
	tx.Act(by, "endmail", on(m), reason)
	had, err := t.Desk.Unbind(ctx, tx, m)
	if err != nil || !had {
		return err
	}
	return t.Desk.Voice.Answer(ctx, tx, m, "mail.stop", nil)
}

func (t *Treasury) answerBalance(ctx context.Context, tx *store.Tx, m *member.Member, key string, f notice.Fields) (err error) {
	if f["bal"], err = t.Desk.Balance(ctx, tx, m, t.Desk.Set.Currency()); err != nil {
		return err
	}
	return t.Desk.Voice.Answer(ctx, tx, m, key, f)
}

// StopMove stops a change of number that waits, and tells the number that has
// the account. It returns payment.ErrNotWaiting.
func (t *Treasury) StopMove(ctx context.Context, tx *store.Tx, by, ref, reason string) error {
	o, err := tx.OrderByRef(ctx, ref)
	if err != nil {
		return unknown(ref, err)
	}
	if o.Kind != order.Renumber || o.State != order.Waiting {
		return payment.ErrNotWaiting
	}
	m, err := tx.Member(ctx, member.ID(o.Owner))
	if err != nil {
		return err
	}
	tx.Act(by, "renumber.stop", on(m), reason)
	o.State, o.Ended, o.Due = order.Refused, tx.Now(), time.Time{}
	if err := tx.SaveOrder(ctx, o); err != nil {
		return err
	}
	return t.answerBalance(ctx, tx, m, "changenum.non", notice.Fields{})
}

// whom is what a proposal about a member says.
type whom struct {
	Member member.ID `json:"member"`
}

// ProposeErase proposes to close the account of a member and to forget her. It
// returns ErrRole, ErrClosed or ErrProposed, or refuses what could not be done
// now.
func (t *Treasury) ProposeErase(ctx context.Context, tx *store.Tx, by string, m *member.Member, reason string) (int64, error) {
	if reason == "" {
		return 0, ErrReason
	}
	if err := t.mayErase(ctx, tx, m); err != nil {
		return 0, err
	}
	waiting, err := t.ErasureOf(ctx, tx, m.ID)
	if err != nil {
		return 0, err
	}
	if waiting != 0 {
		return 0, ErrProposed
	}
	payload, err := json.Marshal(whom{m.ID})
	if err != nil {
		return 0, err
	}
	return t.Propose(ctx, tx, by, EraseMember, payload, reason)
}

func (t *Treasury) mayErase(ctx context.Context, tx *store.Tx, m *member.Member) error {
	switch {
	case m.State == member.Closed:
		return ErrClosed
	case m.Role != "":
		return ErrRole
	}
	return t.Desk.MayClose(ctx, tx, m)
}

// ErasureOf returns the proposal to forget a member that waits, 0 if none does.
func (t *Treasury) ErasureOf(ctx context.Context, tx *store.Tx, id member.ID) (int64, error) {
	all, err := tx.Proposals(ctx)
	if err != nil {
		return 0, err
	}
	for _, p := range all {
		var w whom
		if p.Kind == EraseMember && json.Unmarshal(p.Payload, &w) == nil && w.Member == id {
			return p.ID, nil
		}
	}
	return 0, nil
}

// Erase closes the account that two persons agreed to close. It is the Kind of
// EraseMember.
func (t *Treasury) Erase(ctx context.Context, tx *store.Tx, p store.Proposal) error {
	var w whom
	if err := json.Unmarshal(p.Payload, &w); err != nil {
		return fmt.Errorf("proposal %d: %w", p.ID, err)
	}
	m, err := tx.Member(ctx, w.Member)
	if err != nil {
		return err
	}
	if err := t.mayErase(ctx, tx, m); err != nil {
		return err
	}
	tx.Audit(store.Act{By: p.DecidedBy, What: EraseMember, Subject: on(m), Reason: p.Reason, Was: string(m.State), Became: string(member.Closed)})
	return t.Desk.Leave(ctx, tx, m)
}
