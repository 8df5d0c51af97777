package merchant

import (
	"context"
	"errors"
	"fmt"
	"time"

	"maillon/internal/notice"
	"maillon/internal/store"
	"maillon/internal/trade"
)

// contestIn is how long after the forfeit an administrator may still hear a client.
const contestIn = 60 * 24 * time.Hour

// Contest opens a dispute for a client who says that she honoured an order, or
// that she could not: of one that is about to be forfeited, or was lately.
func (s *Service) Contest(ctx context.Context, tx *store.Tx, by string, m *trade.Merchant, claim int64) (*trade.Dispute, error) {
	c, err := s.ClaimByID(ctx, tx, m, claim)
	if err != nil {
		return nil, err
	}
	if c.Dispute != 0 {
		return s.Dispute(ctx, tx, m, c.Dispute)
	}
	now := s.Now(tx, m)
	if c.State != trade.NotHonoured && (c.State != trade.Forfeit || now.Sub(c.Done) > contestIn) {
		return nil, &trade.StateError{Is: c.State}
	}
	d := &trade.Dispute{Merchant: m.ID, Claim: c.ID, State: trade.DisputeOpen, Due: now.Add(trade.AnswerIn)}
	if err := s.saveDispute(ctx, tx, d); err != nil {
		return nil, err
	}
	c.Dispute, c.Due = d.ID, time.Time{}
	if err := s.saveClaim(ctx, tx, c); err != nil {
		return nil, err
	}
	a, err := s.Authorization(ctx, tx, m, c.Authorization)
	if err != nil {
		return nil, err
	}
	if a.Deposited == trade.Held {
		a.Deposited = trade.Disputed
		if err := s.saveAuthorization(ctx, tx, a); err != nil {
			return nil, err
		}
	}
	tx.Act(by, "dispute.open", fmt.Sprintf("claim:%d", c.ID), "")
	return d, s.emit(ctx, tx, m.ID, "dispute.opened", d)
}

// Answer is the merchant's: it accepts, and the client is right; or it says why
// not, and an administrator decides.
func (s *Service) Answer(ctx context.Context, tx *store.Tx, by string, m *trade.Merchant, dispute int64, accept bool, answer string, evidence []string) (*trade.Dispute, error) {
	d, err := s.Dispute(ctx, tx, m, dispute)
	if err != nil {
		return nil, err
	}
	if d.State != trade.DisputeOpen {
		return nil, &trade.StateError{Is: d.State}
	}
	if accept {
		return d, s.judge(ctx, tx, by, m, d, true, "accepted")
	}
	if !plain(answer) || !grounds(evidence) {
		return nil, ErrReasonNeeded
	}
	d.State, d.Answer, d.Evidence, d.Due = trade.DisputeAnswer, answer, evidence, time.Time{}
	return d, s.saveDispute(ctx, tx, d)
}

// Judge decides a dispute, by an administrator.
func (s *Service) Judge(ctx context.Context, tx *store.Tx, by string, dispute int64, client bool, reason string) (*trade.Dispute, error) {
	if !plain(reason) {
		return nil, ErrReasonNeeded
	}
	d, err := s.Dispute(ctx, tx, nil, dispute)
	if err != nil {
		return nil, err
	}
	if d.State != trade.DisputeOpen && d.State != trade.DisputeAnswer {
		return nil, &trade.StateError{Is: d.State}
	}
	m, err := s.Merchant(ctx, tx, d.Merchant)
	if err != nil {
		return nil, err
	}
	tx.Act(by, "dispute.judge", fmt.Sprintf("dispute:%d", d.ID), reason)
	return d, s.judge(ctx, tx, by, m, d, client, reason)
}

func (s *Service) judge(ctx context.Context, tx *store.Tx, by string, m *trade.Merchant, d *trade.Dispute, client bool, reason string) error {
	d.By, d.Reason, d.Due = by, reason, time.Time{}
	d.State = trade.DisputeLost
	event, text := "dispute.lost", "marchand.litige.perdu"
	if client {
		d.State, event, text = trade.DisputeWon, "dispute.won", "marchand.litige.gagne"
	}
	if err := s.saveDispute(ctx, tx, d); err != nil {
		return err
	}
	c, err := s.ClaimByID(ctx, tx, m, d.Claim)
	if err != nil {
		return err
	}
	a, err := s.Authorization(ctx, tx, m, c.Authorization)
	if err != nil {
		return err
	}
	if err := s.tellClient(ctx, tx, m, a, text, notice.Fields{"shop": m.Name, "order": cut(c.OrderRef)}); err != nil {
		return err
	}
	switch {
	case client:
		err = s.reinstate(ctx, tx, m, c.ID)
	case c.State == trade.NotHonoured:
		_, err = s.forfeit(ctx, tx, m, c.ID)
	default:
		a.Decided()
		if err = s.release(ctx, tx, a); err == nil {
			err = s.saveAuthorization(ctx, tx, a)
		}
	}
	if err != nil {
		return err
	}
	return s.emit(ctx, tx, m.ID, event, d)
}

// reinstate gives a client back what an order cost her. What was forfeited before
// and has been paid out since, the merchant owes.
func (s *Service) reinstate(ctx context.Context, tx *store.Tx, m *trade.Merchant, id int64) error {
	before, err := s.ClaimByID(ctx, tx, m, id)
	if err != nil {
		return err
	}
	o, moved, err := s.move(ctx, tx, m, id, trade.Reinstated)
	if err != nil || !moved {
		return err
	}
	after := before.State == trade.Forfeit
	deposit := int64(0)
	if !after {
		if err := s.back(ctx, tx, o, "reinstate"); err != nil {
			return err
		}
	} else {
		deposit = o.c.AtRisk
		sum := deposit + o.c.Advance
		payable, err := leg{name: accPayable, of: m.ID}.account(ctx, tx, m.Test, o.p.Currency)
		if err != nil {
			return err
		}
		there := min(payable.Balance.Minor(), sum)
		_, err = s.post(ctx, tx, o.p.Test, o.p.Currency, fmt.Sprintf("claim:%d:reinstate", o.c.ID),
			leg{name: accPayable, of: m.ID, amount: -there}, leg{name: accOwed, of: m.ID, amount: there - sum},
			leg{name: accDeposit, of: o.a.ID, amount: deposit}, leg{name: accAdvance, of: o.a.ID, amount: o.c.Advance})
		if err != nil {
			return err
		}
	}
	err = s.change(ctx, tx, m, o.a, func() {
		if after {
			o.a.Earned -= deposit + o.c.Advance
		}
		o.a.Reinstate(o.p, deposit, o.c.Advance, after, s.Now(tx, m))
	})
	if err != nil {
		return err
	}
	return s.done(ctx, tx, o, "claim.reinstated")
}

// contestBy is Contest by the client's SMS, which names the number of the claim:
// it must be hers.
func (s *Service) contestBy(ctx context.Context, tx *store.Tx, claim int64, from address) (*trade.Merchant, *trade.Dispute, error) {
	c, err := s.ClaimByID(ctx, tx, nil, claim)
	if err != nil {
		return nil, nil, err
	}
	m, err := s.Merchant(ctx, tx, c.Merchant)
	if err != nil {
		return nil, nil, err
	}
	if m.Test || c.Authorization == 0 { // the clients of tests are made up
		return nil, nil, store.ErrNotFound
	}
	a, err := s.Authorization(ctx, tx, nil, c.Authorization)
	if err != nil {
		return nil, nil, err
	}
	to, err := s.contact(ctx, tx, a)
	if errors.Is(err, store.ErrErased) || err == nil && to.Number != from.Number {
		return nil, nil, store.ErrNotFound
	}
	if err != nil {
		return nil, nil, err
	}
	if c.State == trade.Forfeit { // from then on it is for an administrator to hear her
		return m, nil, &trade.StateError{Is: c.State}
	}
	d, err := s.Contest(ctx, tx, "client", m, claim)
	return m, d, err
}
