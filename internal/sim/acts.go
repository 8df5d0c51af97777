package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pquerna/otp/totp"

	"maillon/internal/auth"
	"maillon/internal/charter"
	"maillon/internal/correction"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/notice"
	"maillon/internal/order"
	"maillon/internal/payment"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/story"
	"maillon/internal/treasury"
)

// Do implements story.Server. An intruder acts as whoever's session it is.
func (s *stage) Do(ctx context.Context, d story.Deed) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.DB.Update(ctx, func(tx *store.Tx) error {
		admin, err := s.memberOf(ctx, tx, d.Who)
		if err != nil {
			return err
		}
		if err := auth.MayApprove(ctx, tx, admin); err != nil { // nor sign in
			return err
		}
		return s.act(ctx, tx, admin, d.Act)
	})
	if refused(err) {
		return nil
	}
	return err
}

// refused reports whether the page would have said no.
func refused(err error) bool {
	if _, ok := errors.AsType[*notice.Refusal](err); ok {
		return true
	}
	return slices.ContainsFunc([]error{
		errNobody, errCeiling, auth.ErrRenew, treasury.ErrUnknown, treasury.ErrTaken, treasury.ErrNotPaused, treasury.ErrSecond,
		treasury.ErrRunning, treasury.ErrMoved, treasury.ErrNotYet, treasury.ErrDecided, correction.ErrNothing,
		payment.ErrNotWaiting, payment.ErrNotUndone, ledger.ErrDuplicate, ledger.ErrInsufficient,
	}, func(no error) bool { return errors.Is(err, no) })
}

// act does one act as an administrator, in the order of its words.
func (s *stage) act(ctx context.Context, tx *store.Tx, admin *member.Member, a story.Act) error {
	by := treasury.By(admin)
	switch a.Name {
	case "credit":
		return s.credit(ctx, tx, admin, a)
	case "reverse":
		_, err := s.Treasury.Reverse(ctx, tx, by, admin, a.Args[0], true, "")
		return err
	case "dispute":
		return s.Treasury.Decide(ctx, tx, by, a.Args[0], a.Args[1] == "return", "")
	case "release", "reject":
		return s.Treasury.Review(ctx, tx, by, admin, a.Args[0], a.Name == "release", "")
	case "demurrage run":
		return s.melt(ctx, tx, by, a.Args[0])
	case "pause":
		return s.Treasury.Pause(ctx, tx, by)
	case "resume":
		_, err := s.Treasury.Resume(ctx, tx, by)
		return err
	case "restore preview":
		return s.preview(ctx, tx, a)
	case "restore approve":
		return s.approve(ctx, tx, admin)
	case "freeze", "unfreeze", "renumber", "revoke-sessions", "renew-credentials":
		return s.actOn(ctx, tx, by, a)
	}
	return fmt.Errorf("unknown act %q", a.Name)
}

// storyRate is the demurrage of stories, in hundredths of a percent a month: the
// assembly that decides on it is not played.
const storyRate = 200

// melt takes the demurrage of a month, of all that slept, to the common pot.
func (s *stage) melt(ctx context.Context, tx *store.Tx, by, month string) error {
	p, err := charter.ParsePeriod(month)
	if err != nil {
		return err
	}
	err = s.Treasury.SetCharter(ctx, tx, by, "story", func(c *charter.Charter) error {
		if !c.Demurrage.On || p.Before(c.Demurrage.Since) {
			c.Demurrage = charter.Demurrage{On: true, Rate: storyRate, Since: p}
		}
		return nil
	})
	if err != nil {
		return err
	}
	zero := money.New(0, s.Settings.Currency())
	r := treasury.Melt{Period: p, Total: zero, Largest: zero}
	for after := ledger.AccountID(0); ; {
		if after, err = s.Treasury.MeltSome(ctx, tx, by, p, after, &r); err != nil || after == 0 {
			return err
		}
	}
}

// actOn does what concerns one member.
func (s *stage) actOn(ctx context.Context, tx *store.Tx, by string, a story.Act) error {
	m, err := s.memberOf(ctx, tx, a.Args[0])
	if err != nil {
		return err
	}
	switch a.Name {
	case "freeze":
		return s.Treasury.Freeze(ctx, tx, by, m, "")
	case "unfreeze":
		return s.Treasury.Unfreeze(ctx, tx, by, m, "")
	case "revoke-sessions":
		return s.Gate.RevokeSessions(ctx, tx, by, m)
	case "renew-credentials":
		return s.renew(ctx, tx, by, m)
	}
	n, err := sms.FromE164(a.Args[1])
	if err != nil {
		return err
	}
	return s.Treasury.Renumber(ctx, tx, by, m, n, "")
}

// renew lets a person at the desk choose a new password and second factor.
func (s *stage) renew(ctx context.Context, tx *store.Tx, by string, m *member.Member) error {
	invitation, err := s.Gate.RenewCredentials(ctx, tx, by, m)
	if err != nil {
		return err
	}
	code, err := totp.GenerateCode(s.Gate.Enrolment(string(invitation)), time.Now())
	if err != nil {
		return err
	}
	draft, err := s.Gate.Prepare(ctx, invitation, "chosen at the desk", code)
	if err != nil {
		return err
	}
	_, err = s.Gate.Accept(ctx, tx, invitation, m, draft)
	return err
}

// errCeiling means that a second person must approve a credit.
var errCeiling = errors.New("over the ceiling of the day")

// credit credits one account, within what one person may credit a day.
func (s *stage) credit(ctx context.Context, tx *store.Tx, admin *member.Member, a story.Act) error {
	units, err := money.ParseDecimal(a.Args[1])
	if err != nil {
		return err
	}
	amount, err := units.In(s.Settings.Currency())
	if err != nil {
		return err
	}
	left, err := s.Desk.CeilingLeft(ctx, tx, admin, amount.Currency())
	if err != nil {
		return err
	}
	if amount.Cmp(left) > 0 {
		return errCeiling
	}
	name, why, by := a.Args[0], a.Attributes["motif"], treasury.By(admin)
	if _, ok := s.phones[name]; !ok {
		t, err := s.transfer(ctx, tx, story.Emission, name, amount.Minor())
		if err != nil {
			return err
		}
		t.order.Owner = int64(admin.ID)
		return s.Treasury.Post(ctx, tx, by, t.from, t.to, t.kind, t.order)
	}
	m, err := s.memberOf(ctx, tx, name)
	if errors.Is(err, errNobody) {
		m, err = nil, nil
	}
	if err != nil {
		return err
	}
	_, err = s.Treasury.Grant(ctx, tx, by, admin, m, s.phones[name], amount, why)
	return err
}

// Post implements story.Server. A phone without account gets one, with money
// that waits for its yes, as from any payment.
func (s *stage) Post(ctx context.Context, from, to string, amount int64) (ref string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		if err := s.welcome(ctx, tx, to); err != nil {
			return err
		}
		t, err := s.transfer(ctx, tx, from, to, amount)
		if err != nil {
			return err
		}
		if err := s.Treasury.Post(ctx, tx, treasury.Operator, t.from, t.to, t.kind, t.order); err != nil {
			return err
		}
		ref = t.order.Ref
		return s.await(ctx, tx, t.order)
	})
	return ref, err
}

// welcome opens an account for a phone that has none.
func (s *stage) welcome(ctx context.Context, tx *store.Tx, name string) error {
	n, isPhone := s.phones[name]
	if !isPhone {
		return nil
	}
	m, err := s.memberOf(ctx, tx, name)
	switch {
	case errors.Is(err, errNobody):
		m = &member.Member{State: member.New, Number: n, Language: language, Line: gateway, OpenedAt: tx.Now(), SeenAt: tx.Now()}
		err = tx.CreateMember(ctx, m)
	case err == nil && m.State == member.Staff:
		m.State, m.OpenedAt = member.New, tx.Now()
		err = tx.SaveMember(ctx, m)
	}
	if err == nil {
		s.owners[m.ID] = name
	}
	return err
}

// await lets a transfer to a new number wait for its yes.
func (s *stage) await(ctx context.Context, tx *store.Tx, o *order.Order) error {
	if o.Payee == 0 {
		return nil
	}
	m, err := tx.Member(ctx, member.ID(o.Payee))
	if err != nil || m.State != member.New {
		return err
	}
	o.State, o.Ended, o.Due = order.Waiting, time.Time{}, tx.Now().Add(s.Settings.UnacceptedReminder)
	return tx.SaveOrder(ctx, o)
}
